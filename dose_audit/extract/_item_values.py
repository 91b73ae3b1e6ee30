"""What stands in a content item: codes, numbers, texts and the rare rest, from their bytes.

A 25 kB dose report repeats a few dozen coded concepts hundreds of times, so the bytes of a whole code
sequence are the key under which its decoded concept is kept; the same bytes always give the same concept.

This quick way is for elements that carry the VR of the dictionary, or none. An item in which one carries another
is an `OddItem`, and `fill` reads it from its header, as it reads the root.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from dose_audit.extract._charset import Charset
from dose_audit.extract._elements import (
    IMPLICIT,
    ITEM,
    ITEM_END,
    MARKS,
    NO_VR,
    SEQUENCE_END,
    UNDEFINED,
    VALUE_OFFSET,
    Limits,
    Unusual,
    explicit_head,
    implicit_head,
    long_length,
    read_items,
    skip_sequence,
    tag,
)
from dose_audit.extract._header import Header
from dose_audit.extract._heads import is_number_head
from dose_audit.extract._values import (
    NUMBER_FORMATS,
    PADDING,
    UID_PADDING,
    UNDERSCORE,
    decimals,
)
from dose_audit.extract.codes import Code, key
from dose_audit.extract.content import Item
from dose_audit.extract.tabulated import tabulated

_QUALIFIER = tag(0x0040, 0xA301)
_NUMERIC_VALUE = tag(0x0040, 0xA30A)
_FLOATING_POINT = tag(0x0040, 0xA161)
_UNITS = tag(0x0040, 0x08EA)
_MEASURED = frozenset({_NUMERIC_VALUE, _FLOATING_POINT, _UNITS, tag(0x0008, 0x0005)})
_PERSON_NAME = tag(0x0040, 0xA123)
_TEXT_VALUE = tag(0x0040, 0xA160)
_UID = tag(0x0040, 0xA124)
TEXTS = {
    _TEXT_VALUE: ("TextValue", b"UT"),
    tag(0x0040, 0xA120): ("DateTime", b"DT"),
    tag(0x0040, 0xA121): ("Date", b"DA"),
    tag(0x0040, 0xA122): ("Time", b"TM"),
    _UID: ("UID", b"UI"),
    _PERSON_NAME: ("PersonName", b"PN"),
}
_OBSERVATION = {
    tag(0x0040, 0xA171): ("observation_uid", "ObservationUID", b"UI"),
    tag(0x0040, 0xA032): ("observation_datetime", "ObservationDateTime", b"DT"),
}
_TEMPLATE = tag(0x0040, 0xA504)
_REFERENCE = tag(0x0008, 0x1199)
_TABLE = tag(0x0040, 0xA801)
_RARE_SEQUENCES = {
    _TEMPLATE: "ContentTemplateSequence",
    _QUALIFIER: "NumericValueQualifierCodeSequence",
    _REFERENCE: "ReferencedSOPSequence",
    _TABLE: "TabulatedValuesSequence",
}
_DELIMITER = bytes.fromhex("feffdde000000000")
CODE_BYTES = 512  # a longer code sequence is not kept
_KEPT_CODES = 2048  # per character set; a scanner's whole vocabulary is a few hundred

SEQUENCES = frozenset({b"SQ", IMPLICIT})
_DECIMALS = frozenset({b"DS", IMPLICIT})
_BINARIES = frozenset({b"FD", IMPLICIT})
Entry = tuple[Code | None, tuple[str, str] | None]


class OddItem(Exception):
    """An element of a content item carries another VR than the dictionary's."""


class ItemValues:
    """Decodes the values of content items.

    Parameters
    ----------
    buffer : bytes
        The whole object.
    explicit : bool
        Whether its elements carry their VR.
    limits : Limits
        Caps on items, depth and lengths.
    problems : list
        Gets ``(keyword, raw text)`` of each value that cannot be decoded.
    """

    def __init__(self, buffer: bytes, explicit: bool, limits: Limits, problems: list[tuple[str, str]]) -> None:
        self.buffer = buffer
        self.explicit = explicit
        self.limits = limits
        self.problems = problems

    def measured(self, item: Item, position: int, end: int, undefined: bool, charset_: Charset) -> int:
        """Read a Measured Value Sequence into `item`; return the position behind it."""
        buffer, explicit = self.buffer, self.explicit
        codes = charset_.explicit_codes if explicit else charset_.implicit_codes
        first = True
        begin = position
        if explicit and not undefined:
            try:
                digits = begin + 28 + buffer[begin + 16] + (buffer[begin + 17] << 8)
                known = charset_.number_heads.get(buffer[begin:digits]) if digits - begin <= CODE_BYTES else None
            except IndexError:  # a value so short that there is no number in it
                known, digits = None, end
            if known is not None and digits + known[1] == end:
                item.unit = known[0]
                self._number(item, buffer[digits:end], None)
                return end
        while position < end:
            mark, length = implicit_head(buffer, position)
            position += 8
            if mark != ITEM:
                if mark == SEQUENCE_END and undefined and not length:
                    return position
                raise Unusual("a sequence holds something that is no item")
            open_ended = length == UNDEFINED
            item_end = end if open_ended else position + length
            if item_end > end:
                raise Unusual("an item is longer than its sequence")
            raw: bytes | None = None
            binary: bytes | None = None
            unit: Code | None = None
            while position < item_end:
                if explicit:
                    element, vr, length = explicit_head(buffer, position)
                    offset = VALUE_OFFSET.get(vr)
                    if offset == 8:
                        start = position + 8
                    elif offset == 12:
                        length = long_length(buffer, position + 8)[0]
                        start = position + 12
                    elif element == ITEM_END and open_ended and vr == NO_VR and not length:
                        position += 8
                        break
                    else:
                        raise Unusual("a value representation is unknown")
                else:
                    element, length = implicit_head(buffer, position)
                    start, vr = position + 8, IMPLICIT
                    if element == ITEM_END and open_ended:
                        if length:
                            raise Unusual("the end of an item has a length")
                        position = start
                        break
                if length == UNDEFINED:
                    if element != _UNITS or vr not in SEQUENCES:
                        raise OddItem
                    (unit, _), position = self.open_code(start, item_end, charset_)
                    continue
                position = start + length
                if position > item_end:
                    raise Unusual("a value is longer than its item")
                if element == _NUMERIC_VALUE and vr in _DECIMALS:
                    raw = buffer[start:position]
                elif element == _UNITS and vr in SEQUENCES:
                    value = buffer[start:position]
                    unit = (codes.get(value) or self.read_code(value, charset_))[0]
                elif element == _FLOATING_POINT and vr in _BINARIES:
                    binary = buffer[start:position]
                elif element in _MEASURED:
                    raise OddItem
                elif element in MARKS:
                    raise Unusual("a mark of items stands among elements")
            else:
                if open_ended:
                    raise Unusual("an item has no end")
            if first:
                item.unit = unit
                self._number(item, raw, binary)
                first = False
            else:
                self._more_numbers(item, raw, unit)
        if undefined or position != end:
            raise Unusual("a sequence has no end")
        if explicit and digits < end and is_number_head(buffer, begin, digits, end):
            self.keep(charset_.number_heads, buffer[begin:digits], digits - begin, (item.unit, end - digits))
        return position

    def _number(self, item: Item, raw: bytes | None, binary: bytes | None) -> None:
        if not raw:
            if binary is not None and len(binary) == 8:
                value = NUMBER_FORMATS[b"FD"].unpack(binary)[0]
                item.raw_bytes = repr(value).encode()
                item.number = value if math.isfinite(value) else None
            return
        item.raw_bytes = raw[: self.limits.value_bytes]
        try:
            value = float(raw)
            if math.isfinite(value) and UNDERSCORE not in raw:
                item.number = value
                return
        except ValueError:
            pass  # several values, padding with NUL, or no number at all: looked at with more care below
        values, refused = decimals(raw) if len(raw) <= self.limits.value_bytes else ([], ["the value is too long"])
        if refused:
            self._problem("NumericValue", refused[0])
        elif values:
            item.number = values[0]
            if len(values) > 1:
                item.set_rare("numbers", values)

    def _more_numbers(self, item: Item, raw: bytes | None, unit: Code | None) -> None:
        """Add a further measured value, which counts only in the unit of the first."""
        values, refused = decimals(raw or b"")
        if refused:
            self._problem("MeasuredValueSequence", refused[0])
        else:
            _add_numbers(item, values, unit, self._problem)

    def text(self, item: Item, element: int, vr: bytes, raw: bytes, charset_: Charset) -> None:
        keyword, usual = TEXTS[element]
        if vr != usual and vr != IMPLICIT:
            raise OddItem
        if len(raw) > self.limits.value_bytes:
            self._problem(keyword, "the value is too long")
            return
        if element == _TEXT_VALUE:
            text = charset_.decode(raw)
        else:
            text = charset_.decode_name(raw) if element == _PERSON_NAME else raw.decode("latin-1")
            # Only Text Value may hold a backslash; elsewhere it parts values, of which there is to be one.
            text = text.partition("\\")[0]
        item.text = text.strip(UID_PADDING if element == _UID else PADDING) or None

    def other(self, item: Item, element: int, vr: bytes, start: int, stop: int, charset_: Charset) -> None:
        """Keep the rare attributes of an item; everything else in it is of no use for dose."""
        if element in _OBSERVATION:
            name, _keyword, usual = _OBSERVATION[element]
            if vr != usual and vr != IMPLICIT:
                raise OddItem
            text = self.buffer[start : min(stop, start + 256)].decode("latin-1").partition("\\")[0]
            if text := text.strip(UID_PADDING if usual == b"UI" else PADDING):
                item.set_rare(name, text)
        elif element in _RARE_SEQUENCES:
            if vr not in SEQUENCES:
                raise OddItem
            raw = self.buffer[start:stop]
            codes = charset_.explicit_codes if self.explicit else charset_.implicit_codes
            # Containers of one template come by the hundred, so theirs are kept beside the codes.
            known = codes.get((element, raw))
            if known is None:
                items = read_items(raw, 0, len(raw), self.explicit, self.limits)
                header = Header(raw, items[0] if items else {}, self.explicit, self.limits, self.problems, charset_)
                known = _rare_attribute(element, header)
                if element not in (_REFERENCE, _TABLE):
                    self.keep(codes, (element, raw), len(raw), known)
            item.set_rare(*known)
        elif element in MARKS:
            raise Unusual("a mark of items stands among elements")

    def open_code(self, start: int, end: int, charset_: Charset) -> tuple[Entry, int]:
        """The code in a code sequence of undefined length, and the position behind the sequence."""
        codes = charset_.explicit_codes if self.explicit else charset_.implicit_codes
        found = self.buffer.find(_DELIMITER, start, min(end, start + CODE_BYTES))
        if found >= 0 and (entry := codes.get(self.buffer[start:found])):
            return entry, found + 8
        stop = skip_sequence(self.buffer, start, end, self.explicit, self.limits)
        return self.read_code(self.buffer[start : stop - 8], charset_), stop

    def read_code(self, raw: bytes, charset_: Charset) -> Entry:
        """Decode the items of a code sequence; equal bytes under the same character set are decoded once."""
        header = None
        for elements in read_items(raw, 0, len(raw), self.explicit, self.limits)[:1]:
            header = Header(raw, elements, self.explicit, self.limits, self.problems, charset_)
        code = header.as_code() if header else None
        entry: Entry = (code, key(code) if code else None)
        self.keep(charset_.explicit_codes if self.explicit else charset_.implicit_codes, raw, len(raw), entry)
        return entry

    def keep(self, codes: dict[object, Any], where: object, length: int, decoded: object) -> None:
        # What cannot be decoded has to be said of every object that holds it.
        if length <= CODE_BYTES and not self.problems:
            if len(codes) >= _KEPT_CODES:
                codes.clear()
            codes[where] = decoded

    def _problem(self, keyword: str, text: str) -> None:
        if len(self.problems) < 1000:
            self.problems.append((keyword, text[:64]))


def fill(item: Item, header: Header) -> None:
    """Read all but the children of a content item from its header, whatever the VRs in it.

    Parameters
    ----------
    item : Item
        Gets the values.
    header : Header
        The data set of the item; of the root, that of the object.
    """
    item.value_type = header.text("ValueType") or ""
    item.relationship = header.text("RelationshipType")
    item.concept = header.code("ConceptNameCodeSequence")
    item.key = key(item.concept) if item.concept else None
    item.code = header.code("ConceptCodeSequence")
    item.text = next((text for keyword, _vr in TEXTS.values() if (text := header.text(keyword))), None)
    for name, keyword, _vr in _OBSERVATION.values():
        if text := header.text(keyword):
            item.set_rare(name, text)
    for element, keyword in _RARE_SEQUENCES.items():
        for first in header.items(keyword)[:1]:
            item.set_rare(*_rare_attribute(element, first))
    for index, measured in enumerate(header.items("MeasuredValueSequence")):
        values, unit = measured.numbers("NumericValue"), measured.code("MeasurementUnitsCodeSequence")
        if index:
            _add_numbers(item, values, unit, header.problem)
            continue
        item.unit = unit
        sent = measured.texts("NumericValue")
        if not sent:
            sent, values = measured.texts("FloatingPointValue"), measured.numbers("FloatingPointValue")
        item.raw_bytes = sent[0].encode("latin-1", "replace") if sent else None
        item.number = values[0] if values else None
        if len(values) > 1:
            item.set_rare("numbers", values)


def _add_numbers(item: Item, values: list[float], unit: Code | None, problem: Callable[[str, str], None]) -> None:
    if item.number is None:
        problem("MeasuredValueSequence", "a further value without a first")
    elif (unit and unit[:2]) != (item.unit and item.unit[:2]):
        problem("MeasuredValueSequence", "values in several units")
    else:
        item.add_numbers(values)


def _rare_attribute(element: int, header: Header) -> tuple[str, object]:
    """Name and value of the attribute that the first item of the sequence `element` gives a content item."""
    if element == _TEMPLATE:
        return "template", header.text("TemplateIdentifier")
    if element == _QUALIFIER:
        return "qualifier", header.as_code()
    if element == _TABLE:
        return "table", tabulated(header)
    pair = (header.text("ReferencedSOPClassUID"), header.text("ReferencedSOPInstanceUID"))
    return "reference", pair if all(pair) else None
