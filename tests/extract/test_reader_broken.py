"""Broken in ways that mutations found: read as pydicom reads them."""

from __future__ import annotations

import pytest

from dose_audit.extract.errors import ReadError
from dose_audit.extract.reader import peek, read_object
from tests.extract.objects import encode, image, number_item, report
from tests.extract.pydicom_peer import differences, pydicom_read


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) >= 1
    return data.replace(old, new, 1)


def same_as_pydicom(data: bytes) -> bool:
    return differences(read_object(data), pydicom_read(data)) == []


@pytest.mark.parametrize("padding", [b"\n", b"\0", b" ", b"\t", b"\x1d", b"\xa0"])
def test_a_uid_keeps_no_white_space(padding: bytes) -> None:
    data = replaced(encode(image(), "implicit"), b"1.2.4\0", b"1.2.4" + padding)
    assert read_object(data).text("SeriesInstanceUID") == "1.2.4"
    assert read_object(data).texts("SeriesInstanceUID") == ["1.2.4"]
    assert same_as_pydicom(data)


def test_a_text_of_undefined_length_ends_before_its_delimiter() -> None:
    sent = b"\x08\x00\x70\x00" + (len("Müller Röntgen".encode("latin-1"))).to_bytes(4, "little")
    data = encode(image(), "implicit")
    start = data.index(sent)
    whole = data[start : start + 8 + 14]
    opened = whole[:4] + b"\xff\xff\xff\xff" + whole[8:] + bytes.fromhex("feffdde000000000")
    data = data.replace(whole, opened, 1)
    assert read_object(data).text("Manufacturer") == "Müller Röntgen"


def test_a_private_creator_with_nul_in_front() -> None:
    data = replaced(encode(image(), "implicit"), b"MAKER 1.0 ", b"\0\0\0\0\0\0 1.0"[:10].ljust(10))
    assert same_as_pydicom(data)


def test_a_root_that_names_a_relationship() -> None:
    value_type = b"\x40\x00\x40\xa0CS\x0a\x00CONTAINER "
    relationship = b"\x40\x00\x10\xa0CS\x08\x00CONTAINS"
    data = replaced(encode(report(), "explicit"), value_type, relationship + value_type)
    assert read_object(data).content.relationship == "CONTAINS"
    assert same_as_pydicom(data)


@pytest.mark.parametrize("vr", [b"SS", b"US"])
def test_a_value_type_of_binary_numbers_is_read_as_numbers(vr: bytes) -> None:
    data = replaced(
        encode(report(), "explicit"), b"\x40\x00\x40\xa0CS\x06\x00UIDREF", b"\x40\x00\x40\xa0" + vr + b"\x06\x00UIDREF"
    )
    assert same_as_pydicom(data)


def test_a_head_that_is_known_ends_in_its_own_item() -> None:
    """The bytes with which an item begins are known from earlier items; an item that ends inside them is broken."""
    data = encode(report(), "explicit")
    read_object(data)
    at = data.index(b"\xfe\xff\x00\xe0", data.index(b"\x40\x00\x30\xa7SQ"))
    short = data[: at + 4] + (40).to_bytes(4, "little") + data[at + 8 :]
    ours: object
    try:
        ours = differences(read_object(short), pydicom_read(short))
    except ValueError as error:
        ours = [] if str(error) else [error]
    assert ours == []


def test_the_end_of_an_item_whose_length_looks_like_a_value_representation() -> None:
    end = b"Target Region " + bytes.fromhex("feff0de0")
    more = b"LO\x08\x00Abdomen " + bytes.fromhex("feff0de000000000")
    data = encode(report(), "explicit", undefined=True)
    assert same_as_pydicom(replaced(data, end + bytes(4), end + more))


ITEM, ITEM_END, SEQUENCE_END = (bytes.fromhex(mark) for mark in ("feff00e0", "feff0de0", "feffdde0"))


@pytest.mark.parametrize("mark", [ITEM, ITEM_END, SEQUENCE_END])
@pytest.mark.parametrize("element", ["400040a0", "400043a0", "4000ea08", "40000aa3", "400024a1"])
@pytest.mark.parametrize("syntax", ["implicit", "explicit"])
@pytest.mark.parametrize("length", [False, True], ids=["its length", "no length"])
def test_a_mark_of_items_in_the_place_of_an_element(mark: bytes, element: str, syntax: str, length: bool) -> None:
    data = encode(report(), syntax)
    at = data.rindex(bytes.fromhex(element))
    head = mark + bytes(4) if length else mark
    broken = data[:at] + head + data[at + len(head) :]
    try:
        ours = read_object(broken)
    except ReadError:
        return
    assert differences(ours, pydicom_read(broken)) == []


@pytest.mark.parametrize(
    ("head", "other"),
    [
        (b"\x40\x00\x60\xa1UT\0\0\x0e\0\0\0Bauch", b"\x40\x00\x20\xa1UT\0\0\x0e\0\0\0Bauch"),
        (b"\x40\x00\x60\xa1UT\0\0\x0e\0\0\0Bauch", b"\x40\x00\x60\xa1UN\0\0\x0e\0\0\0Bauch"),
        (b"\x40\x00\x60\xa1UT\0\0\x0e\0\0\0Bauch", b"\x40\x00\x60\xa1OB\0\0\x0e\0\0\0Bauch"),
        (b"\x40\x00\x24\xa1UI", b"\x40\x00\x24\xa1LO"),
        (b"\x40\x00\x0a\xa3DS", b"\x40\x00\x0a\xa3LO"),
        (b"\x40\x00\x0a\xa3DS", b"\x40\x00\x0a\xa3US"),
        (b"\x40\x00\x40\xa0CS\x04\0TEXT", b"\x40\x00\x40\xa0LO\x04\0T\xc3\x9fT"),
        (b"\x40\x00\x10\xa0CS\x08\0CONTAINS", b"\x40\x00\x10\xa0PN\x08\0C\xc3\x96=AINS"),
        (b"\x40\x00\x60\xa1UT", b"\x40\x00\x32\xa0SQ"),
    ],
)
def test_another_vr_than_the_dictionary_has(head: bytes, other: bytes) -> None:
    data = encode(report(), "explicit", undefined=True)
    assert same_as_pydicom(replaced(data, head, other))


def test_a_root_with_a_measured_value() -> None:
    ds = report()
    ds.MeasuredValueSequence = number_item(("113830", "DCM", "Mean CTDIvol"), "12.5", "mGy").MeasuredValueSequence
    data = encode(ds)
    root = read_object(data).content
    assert root is not None and root.number == 12.5 and root.unit is not None and root.unit.value == "mGy"
    assert same_as_pydicom(data)


def test_what_a_message_carries_in_front_of_its_data_set_is_passed_over() -> None:
    data = encode(image())
    at = data.index(b"\x08\x00\x05\x00CS")
    command = bytes.fromhex("0000000004000000 0a000000 0000000802000000 0000".replace(" ", ""))
    found = read_object(data[:at] + command + data[at:])
    assert found.number("CTDIvol") == 12.25 and found.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"


def test_a_text_without_a_length_ends_where_pydicom_finds_its_delimiter() -> None:
    data = encode(report(), "implicit", undefined=True)
    code = bytes.fromhex("400043a0ffffffff")  # its items become the text
    assert same_as_pydicom(replaced(data, code, bytes.fromhex("400060a1ffffffff")))


def test_an_element_out_of_place_hides_nothing_from_a_glance() -> None:
    data = encode(image())
    early = bytes.fromhex("40005402") + b"LO\x04\x00late"
    at = data.index(b"\x08\x00\x60\x00CS")
    seen = peek(data[:at] + early + data[at:])
    assert (seen.modality, seen.manufacturer, seen.series_instance_uid) == ("CT", "Müller Röntgen", "1.2.4")


@pytest.mark.parametrize("signed", [0, 1])
def test_an_empty_sequence_leaves_the_other_elements_as_they_came(signed: int) -> None:
    ds = image()
    ds.PixelRepresentation, ds.ProcedureCodeSequence = signed, []
    data = encode(ds, "big endian")
    assert read_object(data).number("PixelRepresentation") == signed
    assert same_as_pydicom(data)


@pytest.mark.parametrize("syntax", ["implicit", "explicit"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_stray_delimiter_between_elements_is_passed_over(syntax: str, nested: bool) -> None:
    data = encode(report(), syntax, undefined=True)
    at = data.rindex(bytes.fromhex("400043a0")) if nested else data.index(bytes.fromhex("08006000"))
    stray = data[:at] + SEQUENCE_END + bytes(4) + data[at:]
    found = read_object(stray)
    assert found.content is not None and len(found.content.children) == 2
    assert same_as_pydicom(stray)
