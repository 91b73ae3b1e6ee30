"""Where an object's data set starts and how it is encoded, from preamble and file meta information."""

from __future__ import annotations

from typing import NamedTuple

from dose_audit.extract._elements import (
    VALUE_OFFSET,
    explicit_head,
    implicit_head,
    long_length,
    looks_explicit,
    tag,
)
from dose_audit.extract.errors import Malformed, NotDicom, Truncated

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95"})

_SOP_CLASS = tag(0x0002, 0x0002)
_SOP_INSTANCE = tag(0x0002, 0x0003)
_TRANSFER_SYNTAX = tag(0x0002, 0x0010)
_WANTED = frozenset({_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX})
_MAX_META = 16 << 10


class Start(NamedTuple):
    """Position of the data set, its encoding, and what the file meta information says of the object."""

    position: int
    explicit: bool
    little_endian: bool
    deflated: bool
    transfer_syntax: str
    sop_class: str
    sop_instance: str


def find_start(front: bytes) -> Start:
    """Find the data set in the first bytes of an object, with or without preamble and file meta information.

    Where the transfer syntax and the first element disagree, the element is believed.

    Raises
    ------
    NotDicom
        Neither the DICOM prefix nor anything that could be the first element of a data set.
    Truncated, Malformed
        The file meta information is cut off, or longer than 16 kB.
    """
    if front[128:132] == b"DICM":
        position = 132
    elif _begins_data_set(front):
        position = 0
    else:
        archive = "a zip archive, " if front.startswith(b"PK\x03\x04") else ""
        raise NotDicom(f"{archive}not a DICOM object" if front else "the file is empty")
    found: dict[int, str] = {}
    end = len(front)
    while position + 8 <= end:
        number, vr, length = explicit_head(front, position)
        if number & 0xFFFF != 0x0002:
            break
        offset = 8 if vr == b"UI" else VALUE_OFFSET.get(vr)
        if offset is None:
            length, offset = implicit_head(front, position)[1], 8
        elif offset == 12:
            if position + 12 > end:
                raise Truncated("the object ends in its file meta information")
            length = long_length(front, position + 8)[0]
        stop = position + offset + length
        if stop > end:
            raise Truncated("the object ends in its file meta information")
        if number in _WANTED:
            found[number] = front[position + offset : stop].decode("latin-1").strip(" \0")
        position = stop
        if position > _MAX_META:
            raise Malformed("the file meta information is longer than any")
    # What a message carries in front of its data set (PS3.7 6.3.1), always in implicit VR, is left in some files.
    while front[position : position + 2] == b"\0\0" and position + 8 <= end:
        position += 8 + implicit_head(front, position)[1]
    if position + 8 > end:
        raise Truncated("the object ends before its data set")
    syntax = found.get(_TRANSFER_SYNTAX, "")
    deflated = syntax in DEFLATED
    little = syntax != EXPLICIT_BIG
    if not deflated:
        group = front[position : position + 2]
        if group in (b"\x08\x00", b"\x00\x08"):
            little = group == b"\x08\x00"
    explicit = deflated or looks_explicit(front, position)
    if not syntax:
        syntax = (EXPLICIT_LITTLE if little else EXPLICIT_BIG) if explicit else IMPLICIT_LITTLE
    return Start(position, explicit, little, deflated, syntax, found.get(_SOP_CLASS, ""), found.get(_SOP_INSTANCE, ""))


def _begins_data_set(front: bytes) -> bool:
    """Whether an object without preamble starts with file meta information or with group 0008."""
    if front[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08") or len(front) < 16:
        return False
    if looks_explicit(front, 0):
        return True
    # Implicit VR: the first element of the group is short. A length of megabytes is chance.
    return front[:2] == b"\x08\x00" and implicit_head(front, 0)[1] <= 1024
