"""A forgiving look at the first bytes of a data set: enough to route an object, never a reason to crash."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"

_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LITTLE, _BIG = (tuple(struct.Struct(order + form) for form in ("HH2sH", "I")) for order in "<>")
_MAX_DEPTH = 16
_MAX_INFLATED = 256 * 1024
_LONGEST_TEXT = 1024

SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018


class Element(NamedTuple):
    """Where an element's value lies."""

    tag: int
    offset: int
    length: int


class _Malformed(Exception):
    """The bytes do not go on as a data set; what was read before stands."""


class Walker:
    """Walks the elements of an encoded data set without decoding values.

    Parameters
    ----------
    data : bytes or memoryview
        The data set, or its first bytes.
    transfer_syntax_uid : str
        Everything but Implicit VR and Big Endian is read as Explicit VR Little Endian. Deflated data must be
        inflated first.
    """

    def __init__(self, data: bytes | bytearray | memoryview, transfer_syntax_uid: str) -> None:
        self.data = data
        self.explicit = transfer_syntax_uid != IMPLICIT_LITTLE
        self._start, self._long = _BIG if transfer_syntax_uid == EXPLICIT_BIG else _LITTLE

    def elements(self, offset: int = 0, end: int | None = None) -> Iterator[Element]:
        """Elements from `offset` on; ends quietly where the bytes end or stop making sense."""
        end = len(self.data) if end is None else min(end, len(self.data))
        try:
            while offset + 8 <= end:
                tag, value, length = self._head(offset)
                if tag in (_ITEM_END, _SEQUENCE_END):
                    return
                yield Element(tag, value, length)
                offset = self._after(value, length, end, 0)
        except (_Malformed, struct.error):
            return

    def texts(self, tags: frozenset[int], longest: int) -> dict[int, str]:
        """The values of these elements as text, as far as `elements` would find them; written out for speed."""
        found: dict[int, str] = {}
        data, end, offset, tag, last = self.data, len(self.data), 0, -1, max(tags, default=0)
        try:
            while tag < last and offset + 8 <= end:
                tag, value, length = self._head(offset)
                if tag > last:
                    break
                offset = value + length if length != _UNDEFINED else self._after(value, length, end, 0)
                if tag in tags and length <= longest and offset <= end:
                    found[tag] = str(data[value:offset], "ascii", "replace")
        except (_Malformed, struct.error):
            pass  # what was found before stands
        return found

    def items(self, sequence: Element) -> Iterator[tuple[int, int]]:
        """Start and end of each item's content in a sequence."""
        end = (
            len(self.data) if sequence.length == _UNDEFINED else min(len(self.data), sequence.offset + sequence.length)
        )
        offset = sequence.offset
        try:
            while offset + 8 <= end:
                tag, value, length = self._head(offset)
                if tag != _ITEM:
                    return
                offset = self._after(value, length, end, 0)
                yield value, offset - 8 if length == _UNDEFINED else offset
        except (_Malformed, struct.error):
            return

    def _head(self, offset: int) -> tuple[int, int, int]:
        group, element, vr, length = self._start.unpack_from(self.data, offset)
        tag = group << 16 | element
        if not self.explicit or group == 0xFFFE:
            return tag, offset + 8, self._long.unpack_from(self.data, offset + 4)[0]
        if vr in _LONG_VRS:
            return tag, offset + 12, self._long.unpack_from(self.data, offset + 8)[0]
        return tag, offset + 8, length

    def _after(self, value: int, length: int, end: int, depth: int) -> int:
        """Offset behind a value, walking through values of undefined length."""
        if length != _UNDEFINED:
            return value + length
        if depth > _MAX_DEPTH:
            raise _Malformed
        offset = value
        while offset + 8 <= end:
            tag, inner, inner_length = self._head(offset)
            if tag in (_ITEM_END, _SEQUENCE_END):
                return offset + 8
            offset = self._after(inner, inner_length, end, depth + 1)
        raise _Malformed


def inflate_head(data: bytes | bytearray | memoryview) -> bytes:
    """The beginning of a deflated data set, bounded; empty when it is no deflate stream."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(bytes(data), _MAX_INFLATED)
    except zlib.error:
        return b""


def peek(data: bytes | bytearray | memoryview, transfer_syntax_uid: str, tags: frozenset[int]) -> dict[int, str]:
    """Text values of some elements near the start of a data set.

    Parameters
    ----------
    data : bytes or memoryview
        The first kilobytes of the data set.
    tags : frozenset of int
        Wanted elements as ``0xGGGGEEEE``; the walk ends behind the last of them.

    Returns
    -------
    dict
        What was found complete, without padding. Characters beyond ASCII become ``?``: patterns compare, people do
        not read.
    """
    if transfer_syntax_uid == DEFLATED:
        data = inflate_head(data)
    texts = Walker(data, transfer_syntax_uid).texts(tags, _LONGEST_TEXT)
    return {tag: text.replace("\ufffd", "?").strip("\0 ") for tag, text in texts.items()}
