"""Finds the elements of a little-endian data set in a buffer: where each value starts and stops.

A tag is kept as its four bytes stand in the file, read as one little-endian number (element << 16 | group),
so that the walk never has to put it together; `tag` gives that number for a tag written the usual way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from struct import Struct
from struct import error as StructError

from dose_audit.extract._dictionary import vr_of
from dose_audit.extract.errors import TooDeep, TooLarge

Elements = dict[int, tuple[bytes, int, int]]
"""Tag → VR, start of the value, end of the value (behind its delimiter where the length is undefined)."""

UNDEFINED = 0xFFFFFFFF
NO_VR = b"\0\0"  # what stands for one in the head of an item's end, which has a length of 0
IMPLICIT = b""
"""Stands where an explicit data set has its VR."""
UNTOLD = frozenset({IMPLICIT, b"UN"})
"""With these the dictionary has to be asked for the VR."""

explicit_head = Struct("<I2sH").unpack_from
_numbered_head = Struct("<IHH").unpack_from
implicit_head = Struct("<II").unpack_from
long_length = Struct("<I").unpack_from

VALUE_OFFSET = dict.fromkeys(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO"),
        *(b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    ),
    8,
) | dict.fromkeys(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"),
    12,
)
"""VR → bytes from an element's tag to its value: 8, or 12 where the length has four bytes (PS3.5 7.1.2)."""
_SHORT_VRS = {int.from_bytes(vr, "little"): vr for vr, offset in VALUE_OFFSET.items() if offset == 8}
_LONG_VRS = {int.from_bytes(vr, "little"): vr for vr, offset in VALUE_OFFSET.items() if offset == 12}
"""The two letters as one number → the VR: found faster, and every element then shares one object for its VR."""
_UNKNOWN = int.from_bytes(b"UN", "little")
_OPEN = frozenset(int.from_bytes(vr, "little") for vr in (b"SQ", b"UN", b"OB", b"OW"))
"""VRs whose values may be items up to a delimiter: sequences, and compressed pixels (PS3.5 A.4)."""


def tag(group: int, element: int) -> int:
    """The number under which `Elements` keeps a tag.

    Examples
    --------
    >>> hex(tag(0x0040, 0xA730))
    '0xa7300040'
    """
    return element << 16 | group


ITEM, ITEM_END, SEQUENCE_END = tag(0xFFFE, 0xE000), tag(0xFFFE, 0xE00D), tag(0xFFFE, 0xE0DD)
MARKS = frozenset({ITEM, ITEM_END, SEQUENCE_END})
"""What parts items and ends them. Among the elements of a data set they have no place."""
CONTENT_SEQUENCE = tag(0x0040, 0xA730)
PIXEL_DATA = frozenset({tag(0x7FE0, 0x0008), tag(0x7FE0, 0x0009), tag(0x7FE0, 0x0010)})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of an object is looked at before it is refused; every input is taken to be hostile.

    Attributes
    ----------
    object_bytes : int
        Size of an object, pixel data included.
    header_bytes : int
        Bytes of an object up to its pixel data.
    report_bytes : int
        Size of a structured report: 6,900 events of an angiography unit that tells 14 kB of each, several times
        its longest day, in 200 MB of memory.
    whole_tree_bytes : int
        Size of a report above which its tree, of three times that size, is not held in memory as a whole.
    inflated_bytes : int
        Bytes that a deflated object may grow to.
    fallback_bytes : int
        Bytes of a data set that pydicom is asked to make sense of.
    fallback_elements : int
        Elements that it is asked to make sense of, an item counting as three; it takes about 10 microseconds
        for each.
    value_bytes : int
        Length of a value that is decoded to text or numbers; a longer one counts as unreadable.
    depth : int
        Nesting of sequences.
    elements : int
        Elements of one data set.
    items : int
        Items of one sequence, and content items of one report, or of one part where it is read in parts; an item
        in which a VR is not that of the dictionary counts as eight.
    """

    object_bytes: int = 2 << 30
    header_bytes: int = 64 << 20
    report_bytes: int = 96 << 20
    whole_tree_bytes: int = 8 << 20
    inflated_bytes: int = 64 << 20
    fallback_bytes: int = 4 << 20
    fallback_elements: int = 60_000
    value_bytes: int = 1 << 20
    depth: int = 64
    elements: int = 100_000
    items: int = 250_000


class Unusual(Exception):
    """The bytes are not laid out by the rules; pydicom may still make sense of them."""


class Overrun(Unusual):
    """The value of the element at `position` ends behind the buffer, which had to hold `needed` bytes."""

    def __init__(self, position: int, needed: int) -> None:
        super().__init__("a value is longer than the data set around it")
        self.position = position
        self.needed = needed


def scan(
    buffer: bytes,
    position: int,
    end: int,
    explicit: bool,
    elements: Elements,
    limits: Limits,
    stops: frozenset[int] = frozenset({ITEM_END}),
) -> int:
    """Add the elements of one data set to `elements`.

    Parameters
    ----------
    buffer : bytes
        Holds the data set; `position` is its first byte, `end` the byte behind its last.
    explicit : bool
        Whether each element carries its VR.
    elements : Elements
        Where they are added; a tag that comes twice keeps its last value.
    limits : Limits
        Caps on elements and depth.
    stops : frozenset of int
        Tags at which to stop, the end of an item among them. *Content Sequence* stops only when its length is undefined.

    Returns
    -------
    int
        Where the walk ended: less than eight bytes before `end`, at an item delimiter, or at one of `stops`.

    Raises
    ------
    Overrun
        A value reaches behind `end`; the elements in front of it have been added.
    Unusual, TooDeep, TooLarge
    """
    last = end - 8
    number = letters = length = start = 0
    vr: bytes | None = IMPLICIT
    explicit_element, implicit_element = _numbered_head, implicit_head
    short_vr, long_vr = _SHORT_VRS.get, _LONG_VRS.get
    budget = repeat(None, limits.elements)
    while True:
        # Nearly every element is done in one of these two loops. Whether it ends behind the buffer, as every undefined
        # length does, is asked when there is nothing behind it.
        if explicit:
            for _ in budget:
                if position > last:
                    break
                number, letters, length = explicit_element(buffer, position)
                vr = short_vr(letters)
                if vr is not None:
                    start = position + 8
                else:
                    vr = long_vr(letters)
                    if vr is None or number in stops or position > last - 4:
                        break
                    length = long_length(buffer, position + 8)[0]
                    start = position + 12
                position = start + length
                elements[number] = (vr, start, position)
            else:
                raise TooLarge(f"a data set has more than {limits.elements} elements")
        else:
            for _ in budget:
                if position > last:
                    break
                number, length = implicit_element(buffer, position)
                if number in stops:
                    break
                start = position + 8
                position = start + length
                elements[number] = (IMPLICIT, start, position)
            else:
                raise TooLarge(f"a data set has more than {limits.elements} elements")
        if position > end:
            elements.pop(number, None)
            begin = start - (12 if explicit and letters in _LONG_VRS else 8)
            if length != UNDEFINED:
                raise Overrun(begin, position)
            _has_items(number, explicit, letters)
            inside = explicit and (letters != _UNKNOWN or looks_explicit(buffer, start + 8))
            try:
                position = skip_sequence(buffer, start, end, inside, limits)
            except StructError:
                raise Overrun(begin, end + 1) from None
            except Overrun as overrun:
                raise Overrun(begin, overrun.needed) from None
        elif position > last:
            return position
        else:
            # One of `stops`, or no element at all.
            if explicit:
                if vr is None:
                    if number == ITEM_END:
                        return position
                    raise Unusual("a value representation is unknown")
                if position > last - 4:
                    raise Overrun(position, position + 12)
                length = long_length(buffer, position + 8)[0]
            if number != CONTENT_SEQUENCE or length == UNDEFINED:
                return position
            start = position + (12 if explicit else 8)
            if start + length > end:
                raise Overrun(position, start + length)
            position = start + length
        elements[number] = (vr or IMPLICIT, start, position)


def _has_items(number: int, explicit: bool, letters: int) -> None:
    """Make sure that an element of undefined length holds items; others end where pydicom finds a delimiter."""
    if letters not in _OPEN if explicit else vr_of(number) not in (b"SQ", b"UN", b"OB or OW"):
        raise Unusual("a value that is no sequence has no length")


def skip_sequence(buffer: bytes, position: int, end: int, explicit: bool, limits: Limits) -> int:
    """The position behind the undefined-length sequence whose first item is at `position`."""
    # Odd: between the items of a sequence; even: inside an item. Only undefined lengths open a level.
    level = 1
    deepest = 2 * limits.depth
    while level:
        if position > end:
            raise Overrun(position, position)
        if level & 1:
            tag, length = implicit_head(buffer, position)
            position += 8
            if tag == ITEM:
                if length == UNDEFINED:
                    level += 1
                else:
                    position += length
            elif tag == SEQUENCE_END and not length:
                level -= 1
            else:
                raise Unusual("a sequence holds something that is no item")
            continue
        if explicit:
            tag, letters, length = _numbered_head(buffer, position)
            while letters in _SHORT_VRS and tag != ITEM_END:
                position += 8 + length
                if position > end:
                    raise Overrun(position, position)
                tag, letters, length = _numbered_head(buffer, position)
            if letters in _LONG_VRS and tag != ITEM_END:
                offset = 12
                length = long_length(buffer, position + 8)[0]
                if length == UNDEFINED:
                    _has_items(tag, explicit, letters)
                if length == UNDEFINED and letters == _UNKNOWN and not looks_explicit(buffer, position + 20):
                    nested = Limits(depth=limits.depth - level // 2)
                    position = skip_sequence(buffer, position + 12, end, False, nested)
                    continue
            elif tag != ITEM_END or length or letters:
                raise Unusual("a value representation is unknown")
            else:
                offset = 8
        else:
            tag, length = implicit_head(buffer, position)
            while tag != ITEM_END and length != UNDEFINED:
                position += 8 + length
                if position > end:
                    raise Overrun(position, position)
                tag, length = implicit_head(buffer, position)
            offset = 8
        position += offset
        if tag == ITEM_END:
            if length:
                raise Unusual("the end of an item has a length")
            level -= 1
        elif length == UNDEFINED:
            if not explicit:
                _has_items(tag, explicit, 0)
            level += 1
            if level > deepest:
                raise TooDeep(f"sequences are nested deeper than {limits.depth}")
        else:
            position += length
    if position > end:
        raise Overrun(position, position)
    return position


def read_items(buffer: bytes, start: int, stop: int, explicit: bool, limits: Limits) -> list[Elements]:
    """The items of the sequence whose value is ``buffer[start:stop]``, each as its elements.

    Raises
    ------
    Unusual, TooDeep, TooLarge
    """
    items: list[Elements] = []
    position = start
    try:
        while position < stop:
            tag, length = implicit_head(buffer, position)
            position += 8
            if tag == SEQUENCE_END and not length:
                return items
            if tag != ITEM:
                raise Unusual("a sequence holds something that is no item")
            if len(items) >= limits.items:
                raise TooLarge(f"a sequence has more than {limits.items} items")
            elements: Elements = {}
            position = read_item(buffer, position, length, stop, explicit, elements, limits)
            items.append(elements)
    except StructError:
        raise Unusual("a sequence ends inside an item") from None
    return items


def read_item(
    buffer: bytes, position: int, length: int, stop: int, explicit: bool, elements: Elements, limits: Limits
) -> int:
    """Add the elements of the item whose first is at `position`; return the position behind the item."""
    if length == UNDEFINED:
        position = scan(buffer, position, stop, explicit, elements, limits)
        if position >= stop or implicit_head(buffer, position) != (ITEM_END, 0):
            raise Unusual("an item has no end")
        position += 8
    else:
        item_end = position + length
        if item_end > stop or scan(buffer, position, item_end, explicit, elements, limits) != item_end:
            raise Unusual("an item's length does not match its elements")
        position = item_end
    if not MARKS.isdisjoint(elements):
        raise Unusual("a mark of items stands among elements")
    return position


def looks_explicit(buffer: bytes, position: int) -> bool:
    """Whether the element at `position` carries a VR.

    PS3.5 section 6.2.2 note 2 wants implicit VR in a sequence of VR UN; some writers stay explicit.
    """
    return buffer[position + 4 : position + 6] in VALUE_OFFSET
