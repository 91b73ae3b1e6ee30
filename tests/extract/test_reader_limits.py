"""The reader on objects that are broken, or made to exhaust it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dose_audit.extract import _item_values
from dose_audit.extract._charset import charset
from dose_audit.extract.errors import Malformed, NotDicom, ReadError, TooDeep, TooLarge, Truncated
from dose_audit.extract.reader import Limits, peek, read_object
from tests.extract.objects import encode, image, number_item, report


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "deflated"])
def test_a_report_cut_anywhere_is_refused(syntax: str) -> None:
    # A report that lost its end must never pass for a smaller one. Fewer than eight bytes behind the last
    # element are no element, so only a cut exactly between two top-level elements can go unseen.
    data = encode(report(), syntax)
    assert read_object(data).content is not None
    for cut in range(1, min(len(data), 1500)):
        try:
            found = read_object(data[:-cut])
        except (Truncated, Malformed, NotDicom):
            continue
        assert not found.has("ContentSequence")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotDicom),
        (b"\0" * 200, NotDicom),
        (b"Patient,Dose\n" * 50, NotDicom),
        (b"PK\x03\x04" + b"\0" * 200, NotDicom),
        (b"\0" * 128 + b"DICM", Truncated),
        (b"\0" * 128 + b"DICM\x02\0\0\0UL\4\0", Truncated),
    ],
)
def test_what_is_no_dicom_object(data: bytes, error: type[ReadError]) -> None:
    for function in (read_object, peek):
        with pytest.raises(error) as raised:
            function(data)
        assert "\n" not in str(raised.value)


def test_pixel_data_is_never_read(tmp_path: Path) -> None:
    # The file claims 4 GB of pixels that a sparse file holds no block of.
    ds = image()
    del ds.PixelData
    path = tmp_path / "huge"
    path.write_bytes(encode(ds) + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 0xFFFFFFF0))
    with path.open("r+b") as file:
        file.truncate(1 << 31)
    assert read_object(path).number("CTDIvol") == 12.25
    with pytest.raises(TooLarge):
        read_object(path, limits=Limits(object_bytes=1 << 20))


def test_a_header_larger_than_the_first_chunk(tmp_path: Path) -> None:
    ds = image()
    ds.private_block(0x0029, "BULKY", create=True).add_new(0x10, "OB", bytes(300_000))
    path = tmp_path / "image"
    path.write_bytes(encode(ds))
    assert read_object(path).number("Rows") == 64
    assert read_object(memoryview(path.read_bytes())).number("Rows") == 64
    with pytest.raises(TooLarge):
        read_object(path, limits=Limits(header_bytes=200_000))


def nested(depth: int, *, undefined: bool, element: int = 0xA730) -> bytes:
    head = encode(image())
    head = head[: 144 + struct.unpack("<I", head[140:144])[0]] + struct.pack("<HH2sH", 8, 5, b"CS", 0)
    value = b""
    for _ in range(depth):
        if undefined:
            item = bytes.fromhex("feff00e0ffffffff") + value + bytes.fromhex("feff0de000000000")
            value = struct.pack("<HH2sHI", 0x0040, element, b"SQ", 0, 0xFFFFFFFF) + item
            value += bytes.fromhex("feffdde000000000")
        else:
            item = struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value
            value = struct.pack("<HH2sHI", 0x0040, element, b"SQ", 0, len(item)) + item
    return head + value


@pytest.mark.parametrize("undefined", [True, False])
def test_nesting_is_capped(undefined: bool) -> None:
    assert read_object(nested(60, undefined=undefined)).content is not None
    for depth in (66, 3000):
        with pytest.raises(TooDeep):
            read_object(nested(depth, undefined=undefined))


def test_nesting_of_other_sequences_ends_where_it_is_followed() -> None:
    header = read_object(nested(3000, undefined=False, element=0x0555))
    problems = header.problems
    depth = 0
    while items := header.items("AcquisitionContextSequence"):
        header = items[0]
        depth += 1
    assert depth == Limits().depth
    assert problems == [("AcquisitionContextSequence", "nested too deep")]


def test_a_big_endian_image_is_not_read_into_its_pixels(tmp_path: Path) -> None:
    ds = image()
    ds.Rows = ds.Columns = 2048
    ds.PixelData = bytes(2048 * 2048 * 2)
    path = tmp_path / "image"
    path.write_bytes(encode(ds, "big endian"))
    found = read_object(path)
    assert (found.number("Rows"), found.number("CTDIvol")) == (2048, 12.25)
    ds.private_block(0x0029, "BULKY", create=True).add_new(0x10, "OB", bytes(3 << 20))
    path.write_bytes(encode(ds, "big endian"))
    assert read_object(path).number("Rows") == 2048
    with pytest.raises(TooLarge):
        read_object(path, limits=Limits(header_bytes=2 << 20))


def test_counts_are_capped() -> None:
    data = encode(report())
    with pytest.raises(TooLarge):
        read_object(data, limits=Limits(items=3))
    with pytest.raises(TooLarge):
        read_object(data, limits=Limits(elements=5))
    with pytest.raises(TooLarge):
        read_object(data, limits=Limits(report_bytes=1000))


def test_a_deflate_bomb_is_capped() -> None:
    head = encode(image(), "deflated")
    head = head[: 144 + struct.unpack("<I", head[140:144])[0]]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    chunk = bytes(1 << 20)
    bomb = head + b"".join(packer.compress(chunk) for _ in range(80)) + packer.flush()
    assert len(bomb) < 100_000
    with pytest.raises(TooLarge):
        read_object(bomb)


def test_a_value_too_long_to_be_one_is_not_decoded() -> None:
    ds = report()
    ds.ContentSequence[1].ContentSequence[2].TextValue = "x" * 3000
    found = read_object(encode(ds), limits=Limits(value_bytes=2000))
    assert found.content.children[1].children[2].text is None
    assert found.problems == [("TextValue", "the value is too long")]


def test_what_is_kept_between_objects_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_item_values, "_KEPT_CODES", 64)
    charset.cache_clear()
    ds = report()
    for block in range(3):
        event = Dataset()
        event.ValueType, event.RelationshipType = "CONTAINER", "CONTAINS"
        event.ContentSequence = [number_item((f"{block}-{index}", "99X", "x"), "1", "mGy") for index in range(50)]
        ds.ContentSequence.append(event)
    root = read_object(encode(ds)).content
    assert root is not None
    assert [event.children[49].key for event in root.children[2:]] == [("99X", f"{n}-49") for n in range(3)]
    assert 0 < len(charset(b"ISO_IR 192").explicit_codes) <= 64
    for number in range(100):
        charset(b"UNHEARD OF %d" % number)
    assert charset.cache_info().currsize <= 16


@pytest.mark.parametrize("length_told", [True, False])
def test_what_pydicom_is_asked_to_repair_is_capped(length_told: bool) -> None:
    # A big-endian object goes through pydicom, which takes long for each element and longer for each item.
    ds = image()
    ds.AcquisitionContextSequence = [Dataset() for _ in range(200)]
    ds["AcquisitionContextSequence"].is_undefined_length = not length_told
    data = encode(ds, "big endian")
    assert len(read_object(data).items("AcquisitionContextSequence")) == 200
    with pytest.raises(TooLarge):
        read_object(data, limits=Limits(fallback_elements=500))


def test_an_item_that_is_read_by_its_header_does_not_read_its_children_again() -> None:
    """Twice at each of forty depths would be a million million times."""

    def element(number: int, vr: bytes, value: bytes) -> bytes:
        length = struct.pack("<HI", 0, len(value)) if vr == b"SQ" else struct.pack("<H", len(value))
        return struct.pack("<HH", 0x0040, number) + vr + length + value

    value_type, odd_text = element(0xA040, b"CS", b"TEXT"), element(0xA160, b"LO", b"deep")
    content = b""
    for _ in range(40):
        body = value_type + content + odd_text
        content = element(0xA730, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body)
    data = encode(report())
    data = data[: data.index(b"\x40\x00\x30\xa7SQ")] + content
    item = read_object(data, limits=Limits(items=40 * 8)).content
    for _ in range(40):
        assert item is not None
        (item,) = item.children
        assert item.text == "deep"
