"""The reader on objects whose content is known, in every encoding."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from dose_audit.extract.codes import Code
from dose_audit.extract.errors import NotDicom
from dose_audit.extract.reader import peek, read_object
from tests.extract.objects import SYNTAXES, code, encode, image, number_item, report
from tests.extract.pydicom_peer import differences, pydicom_read

ENCODINGS = [(syntax, undefined) for syntax in SYNTAXES for undefined in (False, True)]


@pytest.mark.parametrize(("syntax", "undefined"), ENCODINGS)
def test_content_tree_in_every_encoding(syntax: str, undefined: bool) -> None:
    found = read_object(encode(report(), syntax, undefined=undefined))
    root = found.content
    assert root is not None
    assert (root.value_type, root.key, root.template, root.position) == (
        "CONTAINER",
        ("DCM", "113701"),
        "10011",
        "1",
    )
    started, event = root.children
    assert started.text == "20240131101112+0100"
    region, uid, comment, missing, dose, pulses = event.children
    assert region.code == Code("T-D4000", "SRT", "Abdomen")
    assert (uid.text, comment.text) == ("1.2.5", "Bauch größer")
    assert (missing.number, missing.numbers, missing.raw_number, missing.unit) == (None, [], None, None)
    assert missing.qualifier == Code("114007", "DCM", "Measurement not attempted")
    assert (dose.number, dose.raw_number, dose.unit) == (12.345, "12.345", Code("mGy", "UCUM", "mGy"))
    assert dose.children[0].reference == ("1.2.840.10008.5.1.4.1.1.2", "1.2.6")
    assert (dose.children[0].relationship, dose.children[0].position) == ("HAS PROPERTIES", "1.2.5.1")
    assert (pulses.number, pulses.numbers) == (100.0, [100.0, 110.5])
    assert event.find(("DCM", "113830")) is dose
    assert event.find_all(("DCM", "113830"), ("DCM", "113734")) == [dose, pulses]
    assert root.find(("DCM", "113830")) is None
    assert found.problems == []
    assert (found.transfer_syntax_uid, found.sop_class_uid) == (SYNTAXES[syntax], report().SOPClassUID)


@pytest.mark.parametrize(("syntax", "undefined"), ENCODINGS)
def test_header_in_every_encoding(syntax: str, undefined: bool) -> None:
    found = read_object(encode(image(), syntax, undefined=undefined))
    assert (found.text("Manufacturer"), found.texts("ImageType")) == (
        "Müller Röntgen",
        ["ORIGINAL", "PRIMARY", "AXIAL"],
    )
    assert (found.number("CTDIvol"), found.number("KVP"), found.number("XRayTubeCurrent")) == (
        12.25,
        120,
        321,
    )
    assert found.number("Rows") == 64
    assert found.code("CTDIPhantomTypeCodeSequence") == Code("113691", "DCM", "IEC Body Dosimetry Phantom")
    assert found.codes("ProcedureCodeSequence") == []
    assert not found.has("PixelData") and found.content is None
    assert found.has("Rows") and not found.has("PatientName")
    assert found.text("PatientName") is None and found.number("Exposure") is None
    assert found.problems == []


@pytest.mark.parametrize("syntax", ["implicit", "explicit"])
def test_private_elements(syntax: str) -> None:
    found = read_object(encode(image(), syntax))
    assert found.private_number(0x0099, "MAKER 1.0", 0x01) == 0.125
    assert found.private_text(0x0099, "MAKER 1.0", 0x02) == "ruhig ü"
    assert found.private_items(0x0099, "MAKER 1.0", 0x03)[0].text("CodeMeaning") == "eins"
    assert found.private_number(0x0099, "MAKER 1.0", 0x04) == 7.5
    assert found.private_text(0x0099, "ANOTHER MAKER", 0x02) is None
    assert found.private_items(0x0099, "MAKER 1.0", 0x09) == []


@pytest.mark.parametrize("make", [report, image])
@pytest.mark.parametrize(("syntax", "undefined"), ENCODINGS)
def test_every_element_equals_pydicoms(make, syntax: str, undefined: bool) -> None:
    data = encode(make(), syntax, undefined=undefined)
    assert differences(read_object(data), pydicom_read(data)) == []


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big endian"])
def test_without_preamble_and_file_meta(syntax: str) -> None:
    found = read_object(encode(report(), syntax, meta=False))
    assert found.content is not None and found.content.children[1].find(("DCM", "113830")).number == 12.345
    assert found.transfer_syntax_uid == SYNTAXES[syntax]


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (struct.pack("<d", 7.25), 7.25),
        (b"7.25    ", 7.25),
        (b"NO DOSE!", None),
        (struct.pack("<d", float("inf")), None),
        (b"\1\2", None),
    ],
)
def test_private_numbers_of_unknown_vr(raw: bytes, number: float | None) -> None:
    ds = image()
    del ds.PixelData
    ds.private_block(0x0099, "MAKER 1.0").add_new(0x05, "UN", raw)
    found = read_object(encode(ds))
    assert found.private_number(0x0099, "MAKER 1.0", 0x05) == number
    assert found.problems == ([] if number else [("(0099,xx05)", found.problems[0][1])])


def test_file_meta_without_preamble() -> None:
    assert read_object(encode(image())[132:]).number("CTDIvol") == 12.25


@pytest.mark.parametrize("length", [0, 7, 0xFFFFFFFF])
def test_a_wrong_group_length_of_the_file_meta_is_not_relied_on(length: int) -> None:
    data = bytearray(encode(image()))
    data[140:144] = struct.pack("<I", length)
    assert read_object(bytes(data)).number("CTDIvol") == 12.25


@pytest.mark.parametrize(("declared", "real"), [("implicit", "explicit"), ("explicit", "implicit")])
def test_a_transfer_syntax_that_the_data_set_contradicts(declared: str, real: str) -> None:
    head = encode(report(), declared)
    head = head[: 144 + struct.unpack("<I", head[140:144])[0]]
    found = read_object(head + encode(report(), real, meta=False))
    assert found.content is not None and found.content.children[0].text == "20240131101112+0100"


@pytest.mark.parametrize("inside", ["implicit", "explicit"])
@pytest.mark.parametrize("defined", [True, False])
def test_a_sequence_sent_as_unknown_vr(inside: str, defined: bool) -> None:
    ds = image()
    del ds.PixelData
    item = encode_sequence_item(inside)
    value = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
    if not defined:
        value += bytes.fromhex("feffdde000000000")
    element = struct.pack("<HH2sHI", 0x0040, 0x08EA, b"UN", 0, len(value) if defined else 0xFFFFFFFF) + value
    found = read_object(encode(ds) + element)
    assert found.code("MeasurementUnitsCodeSequence") == Code("mGy", "UCUM", "milligray")
    assert found.problems == []


def encode_sequence_item(syntax: str) -> bytes:
    elements = [(0x0100, b"SH", b"mGy "), (0x0102, b"SH", b"UCUM"), (0x0104, b"LO", b"milligray ")]
    if syntax == "implicit":
        return b"".join(struct.pack("<HHI", 8, number, len(raw)) + raw for number, _vr, raw in elements)
    return b"".join(struct.pack("<HH2sH", 8, number, vr, len(raw)) + raw for number, vr, raw in elements)


def test_an_item_with_a_character_set_of_its_own() -> None:
    ds = report()
    comment = ds.ContentSequence[1].ContentSequence[2]
    comment.SpecificCharacterSet = "ISO_IR 144"
    comment.TextValue = "Доза"
    for undefined in (False, True):
        root = read_object(encode(ds, undefined=undefined)).content
        assert root is not None
        event = root.children[1]
        assert event.children[2].text == "Доза"
        assert event.children[0].code.meaning == "Abdomen"


def numbers_of(vr: bytes, raw: bytes) -> tuple[list[float], list[tuple[str, str]]]:
    """What becomes of a raw value in KVP (0018,0060), sent with the given VR."""
    ds = image()
    del ds.PixelData
    for keyword in ("CTDIPhantomTypeCodeSequence", "Rows", "Columns", "KVP"):
        delattr(ds, keyword)
    data = encode(ds) + struct.pack("<HH2sH", 0x0018, 0x0060, vr, len(raw)) + raw
    found = read_object(data)
    numbers = found.numbers("KVP")
    assert found.number("KVP") == (numbers[0] if numbers else None)
    return numbers, found.problems


@pytest.mark.parametrize(
    ("vr", "raw", "numbers"),
    [
        (b"DS", b"120 ", [120.0]),
        (b"DS", b" 1.25E-05\0", [1.25e-05]),
        (b"DS", b"123.4567890123456789", [123.4567890123456789]),
        (b"DS", b"1\\2.5\\3 ", [1.0, 2.5, 3.0]),
        (b"DS", b"0.94,0.194", [0.94, 0.194]),
        (b"DS", b"1,2,3 ", [1.0, 2.0, 3.0]),
        (b"IS", b"161.3 ", [161.3]),
        (b"US", b"\x78\0", [120.0]),
        (b"SS", b"\xff\xff", [-1.0]),
        (b"UL", b"\0\0\1\0", [65536.0]),
        (b"FL", struct.pack("<f", 1.5), [1.5]),
        (b"FD", struct.pack("<2d", 1.5, -2.25), [1.5, -2.25]),
        (b"LO", b"120 ", [120.0]),
        (b"DS", b"", []),
        (b"DS", b"  ", []),
    ],
)
def test_numbers_in_the_forms_met_in_real_objects(vr: bytes, raw: bytes, numbers: list[float]) -> None:
    assert numbers_of(vr, raw) == (numbers, [])


@pytest.mark.parametrize(
    ("vr", "raw"),
    [
        (b"DS", b"12,5"),  # twelve and a half, or twelve and five
        (b"DS", b"1,234.5"),  # a thousand and more, or one and more
        (b"DS", b",09.6"),  # the first digit was lost
        (b"DS", b"nan "),
        (b"DS", b"1e999 "),
        (b"DS", b"-inf"),
        (b"DS", b"1_0 "),
        (b"DS", b"10.50/ 15.00"),
        (b"DS", b"1\\x "),
        (b"FD", struct.pack("<d", float("nan"))),
        (b"US", b"\1\2\3\0\5"),
        (b"AT", b"\1\2\3\4"),
    ],
)
def test_what_is_no_number_is_none_and_on_record(vr: bytes, raw: bytes) -> None:
    numbers, problems = numbers_of(vr, raw)
    assert numbers == []
    assert [keyword for keyword, _raw in problems] == ["KVP"]


@pytest.mark.parametrize("value", ["10.50/ 15.00", "nan", "1e400", "12,5"])
def test_a_measured_value_that_is_no_number(value: str) -> None:
    ds = report()
    measured = ds.ContentSequence[1].ContentSequence[4].MeasuredValueSequence[0]
    data = encode(ds)
    measured.NumericValue = "1" * len(value)
    marker = encode(ds)
    at = marker.index(b"1" * len(value), marker.index(b"Mean CTDIvol"))
    del data
    broken = marker[:at] + value.encode() + marker[at + len(value) :]
    found = read_object(broken)
    item = found.content.children[1].children[4]
    assert (item.number, item.numbers, item.raw_number) == (None, [], value)
    assert found.problems == [("NumericValue", value)]


def test_several_measured_values_count_only_in_one_unit() -> None:
    ds = report()
    dose = ds.ContentSequence[1].ContentSequence[4]
    dose.MeasuredValueSequence.append(number_item(("x", "99X", "x"), "3", "mGy").MeasuredValueSequence[0])
    item = read_object(encode(ds)).content.children[1].children[4]
    assert (item.number, item.numbers) == (12.345, [12.345, 3.0])
    dose.MeasuredValueSequence[1].MeasurementUnitsCodeSequence = code("Gy", "UCUM", "gray")
    found = read_object(encode(ds))
    item = found.content.children[1].children[4]
    assert (item.number, item.numbers) == (12.345, [12.345])
    assert found.problems == [("MeasuredValueSequence", "values in several units")]


def test_long_and_urn_code_values() -> None:
    ds = image()
    item = ds.CTDIPhantomTypeCodeSequence[0]
    del item.CodeValue
    item.LongCodeValue = "7" * 40
    assert read_object(encode(ds)).code("CTDIPhantomTypeCodeSequence").value == "7" * 40
    del item.LongCodeValue
    item.URNCodeValue = "urn:x:1"
    assert read_object(encode(ds)).code("CTDIPhantomTypeCodeSequence").value == "urn:x:1"


def test_a_word_that_is_no_keyword_is_a_bug_of_the_caller() -> None:
    with pytest.raises(KeyError, match="NoSuchKeyword"):
        read_object(encode(image())).text("NoSuchKeyword")


@pytest.mark.parametrize("make", [report, image])
@pytest.mark.parametrize(("syntax", "undefined"), ENCODINGS)
def test_peek_tells_what_the_whole_object_says(make, syntax: str, undefined: bool) -> None:
    data = encode(make(), syntax, undefined=undefined)
    seen, found = peek(data), read_object(data)
    assert seen.sop_class_uid == found.sop_class_uid
    assert seen.sop_instance_uid == found.sop_instance_uid
    assert seen.transfer_syntax_uid == found.transfer_syntax_uid
    assert seen.modality == found.text("Modality")
    assert seen.manufacturer == found.text("Manufacturer")
    assert seen.study_instance_uid == found.text("StudyInstanceUID")
    assert seen.series_instance_uid == found.text("SeriesInstanceUID")
    assert seen.image_type == ("\\".join(found.texts("ImageType")) or None)
    assert seen.size == len(data)


def test_paths(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(encode(image()))
    for source in (path, str(path)):
        assert read_object(source).number("CTDIvol") == 12.25
        assert peek(source).size == path.stat().st_size
    with pytest.raises(NotDicom):
        read_object(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "vanished")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotDicom):
        read_object(tmp_path / "pipe")
