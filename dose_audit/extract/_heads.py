"""How nearly every device lays out the beginning of a content item and of its measured value in explicit VR.

Such a beginning says the same wherever its bytes are the same, so that `TreeReader` takes it apart once.
"""

from __future__ import annotations

from dose_audit.extract._elements import ITEM, implicit_head

# How each element begins: tag, VR, and of a sequence the two bytes without meaning.
_RELATIONSHIP = bytes.fromhex("400010a0") + b"CS"
_VALUE_TYPE = bytes.fromhex("400040a0") + b"CS"
_UNITS = bytes.fromhex("4000ea08") + b"SQ\0\0"
_NUMBER = bytes.fromhex("40000aa3") + b"DS"


def is_item_head(buffer: bytes, head: int, concept: int) -> bool:
    """Whether only relationship and value type stand between `head` and the concept name's value at `concept`."""
    value_type = head + 8 + buffer[head + 6]
    return (
        buffer[head : head + 6] == _RELATIONSHIP
        and not buffer[head + 7]
        and buffer[value_type : value_type + 6] == _VALUE_TYPE
        and not buffer[value_type + 7]
        and value_type + 20 + buffer[value_type + 6] == concept
    )


def is_number_head(buffer: bytes, begin: int, digits: int, end: int) -> bool:
    """Whether ``buffer[begin:end]`` is one item of unit and numeric value, and the latter's value begins at `digits`."""
    return (
        implicit_head(buffer, begin) == (ITEM, end - begin - 8)
        and buffer[begin + 8 : begin + 16] == _UNITS
        and buffer[begin + 18 : begin + 20] == b"\0\0"
        and buffer[digits - 8 : digits - 2] == _NUMBER
        and digits + int.from_bytes(buffer[digits - 2 : digits], "little") == end
    )
