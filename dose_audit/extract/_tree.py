"""The content tree of a structured report, built straight from the bytes in one pass.

The bytes with which an item begins (relationship, value type, concept name) and those around a number (unit and
lengths) say the same wherever they are the same, so that they are taken apart once. For speed the head of an
element is taken apart in the loop itself, not in a function. Of a very large report the tree is never whole in
memory: what stands below the root's children is read when it is asked for.
"""

from __future__ import annotations

from struct import error as StructError

from dose_audit.extract._charset import Charset, charset
from dose_audit.extract._elements import (
    IMPLICIT,
    ITEM,
    ITEM_END,
    NO_VR,
    SEQUENCE_END,
    UNDEFINED,
    VALUE_OFFSET,
    Elements,
    Limits,
    Unusual,
    explicit_head,
    implicit_head,
    long_length,
    read_item,
    skip_sequence,
    tag,
)
from dose_audit.extract._header import Header
from dose_audit.extract._heads import is_item_head
from dose_audit.extract._item_values import CODE_BYTES, SEQUENCES, TEXTS, ItemValues, OddItem, fill
from dose_audit.extract._values import PADDING
from dose_audit.extract.content import Item, LateItem
from dose_audit.extract.errors import Malformed, TooDeep, TooLarge

_RELATIONSHIP = tag(0x0040, 0xA010)
_VALUE_TYPE = tag(0x0040, 0xA040)
_CONCEPT_NAME = tag(0x0040, 0xA043)
_MEASURED_VALUE = tag(0x0040, 0xA300)
_CONCEPT_CODE = tag(0x0040, 0xA168)
_CONCEPTS = frozenset({_CONCEPT_NAME, _CONCEPT_CODE})
_CONTENT = tag(0x0040, 0xA730)
_ITEM_TAGS = _CONCEPTS | {_RELATIONSHIP, _VALUE_TYPE, _MEASURED_VALUE, _CONTENT}
_ODD_COST = 7  # an item that is read by its header takes as long as so many others more
_CODE_STRINGS = frozenset({b"CS", IMPLICIT})
_CHARSET = tag(0x0008, 0x0005)


class _Terms(dict[bytes, str]):
    """Defined terms by their bytes; unknown ones are decoded and not kept."""

    def __missing__(self, raw: bytes) -> str:
        return raw.decode("latin-1").partition("\\")[0].strip(PADDING)


_TERMS = _Terms(
    (f"{term}{' ' * (len(term) % 2)}".encode(), term)
    for term in (
        *("CONTAINER", "TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"),
        *("IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "TCOORD"),
        *("CONTAINS", "HAS CONCEPT MOD", "HAS OBS CONTEXT", "HAS ACQ CONTEXT", "HAS PROPERTIES"),
        *("INFERRED FROM", "SELECTED FROM"),
    )
)


class TreeReader(ItemValues):
    """Builds content items from the bytes of one report; the parameters are those of `ItemValues`."""

    def __init__(self, buffer: bytes, explicit: bool, limits: Limits, problems: list[tuple[str, str]]) -> None:
        super().__init__(buffer, explicit, limits, problems)
        self.items_left = limits.items
        self.late = len(buffer) > limits.whole_tree_bytes
        self._latest: tuple[Item | None, list[Item]] = None, []

    def children(
        self, position: int, end: int, undefined: bool, above: str, inherited: Charset, depth: int = 1
    ) -> tuple[list[Item], int]:
        """The items of the Content Sequence whose value starts at `position`.

        Parameters
        ----------
        position, end : int
            Bounds of the sequence; with `undefined` length, `end` is the bound of what is around it.
        undefined : bool
            Whether the sequence ends at a delimiter.
        above : str
            Tree position of the parent.
        inherited : Charset
            Character set of the parent.
        depth : int
            How deep the sequence is nested.

        Returns
        -------
        items : list of Item
        position : int
            Behind the sequence.

        Raises
        ------
        Unusual, TooDeep, TooLarge
        """
        if depth > self.limits.depth:
            raise TooDeep(f"content is nested deeper than {self.limits.depth}")
        buffer, explicit, terms, texts, concepts = self.buffer, self.explicit, _TERMS, TEXTS, _CONCEPTS
        inherited_codes = inherited.explicit_codes if explicit else inherited.implicit_codes
        heads = inherited.item_heads
        late = self.late and depth == 1
        make = LateItem if late else Item
        prefix = f"{above}."
        items: list[Item] = []
        count = 0
        while position < end:
            mark, length = implicit_head(buffer, position)
            position += 8
            if mark != ITEM:
                if mark == SEQUENCE_END and undefined and not length:
                    return items, position
                raise Unusual("a sequence holds something that is no item")
            count += 1
            self.items_left -= 1
            if self.items_left < 0:
                raise TooLarge(f"the report has more than {self.limits.items} content items")
            open_ended = length == UNDEFINED
            item_end = end if open_ended else position + length
            if item_end > end:
                raise Unusual("an item is longer than its sequence")
            item = make(f"{prefix}{count}")
            items.append(item)
            charset_, codes = inherited, inherited_codes
            content = 0
            head = position
            if explicit:
                try:
                    after = head + 8 + buffer[head + 6]
                    after += 8 + buffer[after + 6]
                    after += 12 + buffer[after + 8] + (buffer[after + 9] << 8)
                    # A sequence of undefined length has a length of 65535 here, which would be a long key.
                    known = heads.get(buffer[head:after]) if after - head <= CODE_BYTES else None
                except IndexError:  # an item so short that there is no head in it
                    known, after = None, 0
                if known is not None:
                    if after > item_end:
                        raise Unusual("a value is longer than its item")
                    item.relationship, item.value_type, item.concept, item.key = known
                    position = after
            try:
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
                    if length != UNDEFINED:
                        position = start + length
                        if position > item_end:
                            raise Unusual("a value is longer than its item")
                        if element in concepts and vr in SEQUENCES:
                            raw = buffer[start:position]
                            entry = codes.get(raw) or self.read_code(raw, charset_)
                            if element == _CONCEPT_NAME:
                                item.concept, item.key = entry
                                usual = explicit and position == after and charset_ is inherited
                                if usual and is_item_head(buffer, head, start):
                                    said = (item.relationship, item.value_type, item.concept, item.key)
                                    self.keep(heads, buffer[head:position], position - head, said)
                            else:
                                item.code = entry[0]
                        elif element == _VALUE_TYPE and vr in _CODE_STRINGS:
                            item.value_type = terms[buffer[start:position]]
                        elif element == _RELATIONSHIP and vr in _CODE_STRINGS:
                            item.relationship = terms[buffer[start:position]] or None
                        elif element == _MEASURED_VALUE and vr in SEQUENCES:
                            self.measured(item, start, position, False, charset_)
                        elif element == _CONTENT and vr in SEQUENCES:
                            content = start
                            if late:
                                self._later(item, start, position, False, charset_)
                                continue
                            item.children, _ = self.children(start, position, False, item.position, charset_, depth + 1)
                        elif element in texts:
                            self.text(item, element, vr, buffer[start:position], charset_)
                        elif element == _CHARSET:
                            charset_ = charset(buffer[start : min(position, start + 256)])
                            codes = charset_.explicit_codes if explicit else charset_.implicit_codes
                        elif element in _ITEM_TAGS:
                            raise OddItem
                        else:
                            self.other(item, element, vr, start, position, charset_)
                    elif vr not in SEQUENCES:
                        raise OddItem
                    elif element == _CONTENT and late:
                        content = start
                        position = skip_sequence(buffer, start, item_end, explicit, self.limits)
                        self._later(item, start, position, True, charset_)
                    elif element == _CONTENT:
                        content = start
                        item.children, position = self.children(
                            start, item_end, True, item.position, charset_, depth + 1
                        )
                    elif element == _MEASURED_VALUE:
                        position = self.measured(item, start, item_end, True, charset_)
                    elif element in concepts:
                        entry, position = self.open_code(start, item_end, charset_)
                        if element == _CONCEPT_NAME:
                            item.concept, item.key = entry
                        else:
                            item.code = entry[0]
                    elif element in texts or element in _ITEM_TAGS:
                        raise Unusual("a value that is no sequence has no length")
                    else:
                        position = skip_sequence(buffer, start, item_end, explicit, self.limits)
                        self.other(item, element, vr, start, position, charset_)
                else:
                    if open_ended:
                        raise Unusual("an item has no end")
            except OddItem:
                length = UNDEFINED if open_ended else item_end - head
                position = self._odd_item(item, head, length, end, inherited, depth, content)
        if undefined or position != end:
            raise Unusual("a sequence has no end")
        return items, position

    def _odd_item(
        self, item: Item, position: int, length: int, end: int, inherited: Charset, depth: int, content: int
    ) -> int:
        """Read an item by its header; return the position behind it. The children at `content` have been read."""
        self.items_left -= _ODD_COST
        elements: Elements = {}
        behind = read_item(self.buffer, position, length, end, self.explicit, elements, self.limits)
        header = Header(self.buffer, elements, self.explicit, self.limits, self.problems, inherited, depth)
        fill(item, header)
        if _CONTENT in elements and elements[_CONTENT][1] != content:
            vr, start, stop = elements[_CONTENT]
            if vr not in SEQUENCES:
                raise Unusual("the content is no sequence")
            undefined = header.is_open(start)
            item.children, _ = self.children(start, stop, undefined, item.position, header.charset, depth + 1)
        return behind

    def _later(self, item: Item, start: int, stop: int, undefined: bool, charset_: Charset) -> None:
        """Have the children of one of the root's items read whenever they are asked for."""
        assert isinstance(item, LateItem)

        def read() -> list[Item]:
            if self._latest[0] is not item:
                self._latest = None, []  # one at a time
                self.items_left = self.limits.items
                try:
                    self._latest = item, self.children(start, stop, undefined, item.position, charset_, 2)[0]
                except (Unusual, StructError) as error:
                    raise Malformed(f"the content breaks the encoding rules: {error}") from None
            return self._latest[1]

        item.read_children = read
