"""Broken in ways that mutations found: read as pydicom reads them."""

from __future__ import annotations

import pytest

from dose_audit.extract.reader import read_object
from tests.extract.objects import encode, image, report
from tests.extract.pydicom_peer import differences, pydicom_read


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) >= 1
    return data.replace(old, new, 1)


def same_as_pydicom(data: bytes) -> bool:
    return differences(read_object(data), pydicom_read(data)) == []


@pytest.mark.parametrize("padding", [b"\n", b"\0", b" ", b"\t"])
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
