"""Attributes to bytes in Explicit VR Little Endian, as pydicom would write them, only quicker.

The demonstration network is some four thousand objects. pydicom writes a 15 kB report in about 30 ms, this in
1 ms. The data dictionary is pydicom's, and the tests re-write every kind of object with pydicom and compare
bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

__all__ = ["Private", "attributes", "element", "items", "part10", "sequence"]

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLEMENTATION_CLASS_UID = "2.25.302150173284612951640023987718846320641"
IMPLEMENTATION_VERSION = "DOSEAUDIT_DEMO"

_LONG = frozenset({"OB", "OW", "OF", "OD", "OL", "SQ", "UC", "UN", "UR", "UT"})
_BINARY = {"US": "<H", "SS": "<h", "UL": "<I", "SL": "<i", "FL": "<f", "FD": "<d"}
_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)


class Private:
    """A value with its VR, for private elements, which no dictionary knows.

    Parameters
    ----------
    vr : str
        Two-letter value representation.
    value : object
        The value, as :func:`attributes` takes it.
    """

    __slots__ = ("value", "vr")

    def __init__(self, vr: str, value: Any) -> None:
        self.vr = vr
        self.value = value


def element(tag: int, vr: str, value: bytes) -> bytes:
    """Encode one element; the value is padded to even length with the VR's own padding.

    >>> element(0x00080060, "CS", b"CT").hex()
    '08006000435302004354'
    """
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("ascii")
    if vr in _LONG:
        return head + struct.pack("<HI", 0, len(value)) + value
    if len(value) > 0xFFFF:
        raise ValueError(f"{len(value)} bytes do not fit in a {vr} element ({tag:08X})")
    return head + struct.pack("<H", len(value)) + value


def items(contents: Iterable[bytes]) -> bytes:
    """Wrap each encoded data set as a sequence item of explicit length."""
    return b"".join(_ITEM + struct.pack("<I", len(content)) + content for content in contents)


def sequence(tag: int, contents: Iterable[bytes]) -> bytes:
    """Encode a sequence element from the encoded data sets of its items."""
    return element(tag, "SQ", items(contents))


@lru_cache(maxsize=4096)
def _lookup(keyword: str) -> tuple[int, str]:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(f"no DICOM keyword {keyword!r}")
    return int(tag), dictionary_VR(tag).split(" or ")[0]


def _value(vr: str, value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if vr == "SQ":
        return items(entry if isinstance(entry, bytes) else attributes(entry) for entry in value)
    several = value if isinstance(value, list | tuple) else (value,)
    if vr in _BINARY:
        return b"".join(struct.pack(_BINARY[vr], number) for number in several)
    if vr == "AT":
        return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in several)
    return "\\".join(str(part) for part in several).encode("utf-8")


def attributes(values: Mapping[str | int, Any]) -> bytes:
    """Encode a data set.

    Parameters
    ----------
    values : mapping
        DICOM keyword (or tag number, with a :class:`Private` value) to value. Text and numbers in text VRs
        are written as given, so a decimal string keeps its digits; lists are multi-valued; ``None`` is an
        empty element; for a sequence, a list of such mappings (or of encoded data sets).

    Returns
    -------
    bytes
        The elements in tag order.

    Raises
    ------
    KeyError
        If a keyword is not in the DICOM dictionary.

    Examples
    --------
    >>> attributes({"KVP": "120"}).hex()
    '180060004453040031323020'
    """
    encoded = []
    for key, value in values.items():
        if isinstance(key, int):
            encoded.append((key, element(key, value.vr, _value(value.vr, value.value))))
        else:
            tag, vr = _lookup(key)
            encoded.append((tag, element(tag, vr, _value(vr, value))))
    encoded.sort(key=lambda pair: pair[0])
    return b"".join(content for _, content in encoded)


def part10(sop_class_uid: str, sop_instance_uid: str, data_set: bytes) -> bytes:
    """Put the preamble and File Meta Information in front of an encoded data set (PS3.10, section 7)."""
    meta = b"".join(
        (
            element(0x00020001, "OB", b"\x00\x01"),
            element(0x00020002, "UI", sop_class_uid.encode("ascii")),
            element(0x00020003, "UI", sop_instance_uid.encode("ascii")),
            element(0x00020010, "UI", EXPLICIT_VR_LITTLE_ENDIAN.encode("ascii")),
            element(0x00020012, "UI", IMPLEMENTATION_CLASS_UID.encode("ascii")),
            element(0x00020013, "SH", IMPLEMENTATION_VERSION.encode("ascii")),
        )
    )
    length = element(0x00020000, "UL", struct.pack("<I", len(meta)))
    return b"\0" * 128 + b"DICM" + length + meta + data_set
