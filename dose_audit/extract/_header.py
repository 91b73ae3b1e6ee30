"""A data set or a sequence item whose values are decoded only when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from math import isfinite
from operator import itemgetter
from typing import Any, TypeVar

from dose_audit.extract._charset import Charset, charset
from dose_audit.extract._dictionary import KEYWORDS, keyword_of, vr_of
from dose_audit.extract._elements import (
    IMPLICIT,
    UNTOLD,
    Elements,
    Limits,
    Unusual,
    looks_explicit,
    read_items,
    tag,
)
from dose_audit.extract._values import (
    NUMBER_FORMATS,
    PADDING,
    PLAIN_VRS,
    SINGLE_VALUED_VRS,
    UID_PADDING,
    UNDERSCORE,
    Undecodable,
    number_values,
    text_values,
)
from dose_audit.extract.codes import Code
from dose_audit.extract.errors import ReadError

_CHARSET = tag(0x0008, 0x0005)
_MAX_PROBLEMS = 1000
_SHOWN = 64
_SHORT = 64
_DECIMAL_VRS = (b"DS", b"IS")
_CODE_BYTES = 512  # a longer code sequence is not kept
_KEPT_CODES = 2048  # per character set
# A byte is found in bytes faster by its number.
_BACKSLASH, _ESCAPE, _TILDE = b"\\\x1b~"
_UNCODED_VRS = PLAIN_VRS - SINGLE_VALUED_VRS
_CODED_VRS = frozenset({b"LO", b"PN", b"SH"})


_Made = TypeVar("_Made")
_NumberRow = TypeVar("_NumberRow", bound="tuple[int, bytes, str, *tuple[Any, ...]]")


class Header:
    """One data set or sequence item.

    No method raises for what the object holds: a value that cannot be decoded counts as absent, and the
    element's keyword and raw text are added to `problems`. A word that is no keyword raises `KeyError`.

    Attributes
    ----------
    charset : Charset
        The character set of its texts.
    problems : list of tuple of str
        ``(keyword, raw text)`` of values that could not be decoded so far.
    """

    __slots__ = (
        "_buffer",
        "_creators",
        "_depth",
        "_elements",
        "_explicit",
        "_limits",
        "_sequences",
        "charset",
        "problems",
    )

    def __init__(
        self,
        buffer: bytes,
        elements: Elements,
        explicit: bool,
        limits: Limits,
        problems: list[tuple[str, str]],
        inherited: Charset | None = None,
        depth: int = 0,
    ) -> None:
        self._buffer = buffer
        self._elements = elements
        self._explicit = explicit
        self._limits = limits
        self._depth = depth
        self._sequences: dict[int, list[Header]] = {}
        self._creators: dict[int, dict[str, int]] = {}
        self.problems = problems
        own = elements.get(_CHARSET)
        if own is not None:
            self.charset = charset(buffer[own[1] : min(own[2], own[1] + 256)])
        else:
            self.charset = inherited or charset(b"")

    def has(self, keyword: str) -> bool:
        """Whether the element is present, be it empty."""
        return KEYWORDS[keyword][0] in self._elements

    def keywords(self) -> Iterator[str]:
        """The keywords of the elements present, private and unknown ones left out."""
        return (keyword for number in self._elements if (keyword := keyword_of(number)))

    def text(self, keyword: str) -> str | None:
        """The first value as text without its padding; None when absent or empty."""
        number, vr = KEYWORDS[keyword]
        found = self._elements.get(number)
        if found is None:
            return None
        sent, start, stop = found
        if stop - start <= _SHORT:
            # What most texts are: one value, and in ASCII where the character set has a say.
            raw = self._buffer[start:stop]
            kind = vr if sent in UNTOLD else sent
            # What is not in ASCII may be the end of an undefined length.
            plain = raw.isascii() if kind in _UNCODED_VRS else kind in _CODED_VRS and _in_ascii(raw)
            if plain and _BACKSLASH not in raw:
                return raw.decode().strip(UID_PADDING if kind == b"UI" else PADDING) or None
        values = self._texts(number, vr, keyword)
        return (values[0] or None) if values else None

    def present(self, rows: Iterable[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
        """Of rows that begin with a tag those whose element is here."""
        elements = self._elements
        return [row for row in rows if row[0] in elements]

    def texts(self, keyword: str) -> list[str]:
        """All values as text; an empty one among several stays as "", which keeps the others' places."""
        number, vr = KEYWORDS[keyword]
        found = self._elements.get(number)
        if found is None:
            return []
        sent, start, stop = found
        if stop - start <= _SHORT:
            raw = self._buffer[start:stop]
            kind = vr if sent in UNTOLD else sent
            if raw.isascii() if kind in _UNCODED_VRS else kind in _CODED_VRS and _in_ascii(raw):
                padding = UID_PADDING if kind == b"UI" else PADDING
                if _BACKSLASH not in raw:
                    value = raw.decode().strip(padding)
                    return [value] if value else []
                return [value.strip(padding) for value in raw.decode().split("\\")]
        return self._texts(number, vr, keyword)

    def number(self, keyword: str) -> float | None:
        """The first value as a number, whatever its VR; None when absent, empty or no finite number."""
        number, vr = KEYWORDS[keyword]
        found = self._elements.get(number)
        return None if found is None else self._number(number, vr, keyword, found)

    def present_numbers(self, rows: Iterable[_NumberRow]) -> list[tuple[_NumberRow, float]]:
        """Of rows that begin with tag, VR and keyword: the row and `number` of each that has one."""
        elements, buffer = self._elements, self._buffer
        there = []
        for row in [row for row in rows if row[0] in elements]:
            found = elements[row[0]]
            value: float | None
            if found[0] in _DECIMAL_VRS and found[2] - found[1] <= _SHORT:
                # What nearly every number is: one plain decimal string. What is none is looked at with more care.
                raw = buffer[found[1] : found[2]]
                try:
                    value = float(raw)
                except ValueError:
                    value = self._number(row[0], row[1], row[2], found)
                else:
                    if value - value or UNDERSCORE in raw:
                        value = self._number(row[0], row[1], row[2], found)
            else:
                value = self._number(row[0], row[1], row[2], found)
            if value is not None:
                there.append((row, value))
        return there

    def _number(self, number: int, vr: bytes, keyword: str, found: tuple[bytes, int, int]) -> float | None:
        sent, start, stop = found
        if start == stop:
            return None
        if sent not in UNTOLD:
            vr = sent
        if vr in _DECIMAL_VRS and stop - start <= _SHORT:
            # What nearly every number is: one plain decimal string, or one binary number.
            raw = self._buffer[start:stop].rstrip(b" \0")
            try:
                value = float(raw)
            except ValueError:
                pass  # empty, several values or none: the long way tells which
            else:
                if isfinite(value) and UNDERSCORE not in raw:
                    return value
        elif vr in NUMBER_FORMATS and stop - start == NUMBER_FORMATS[vr].size and not self.is_open(start):
            value = float(NUMBER_FORMATS[vr].unpack_from(self._buffer, start)[0])
            if isfinite(value):
                return value
        values = self._numbers(number, vr, keyword)
        return values[0] if values else None

    def numbers(self, keyword: str) -> list[float]:
        """All values as numbers; [] as soon as one is no finite number, since places would shift."""
        number, vr = KEYWORDS[keyword]
        found = self._elements.get(number)
        if found is None:
            return []
        if found[0] in _DECIMAL_VRS and found[2] - found[1] <= _SHORT:
            raw = self._buffer[found[1] : found[2]]
            try:
                values = [float(value) for value in raw.split(b"\\")]
            except ValueError:
                pass  # an empty one, or none: the long way tells which
            else:
                total = sum(values)
                if not total - total and UNDERSCORE not in raw:
                    return values
        return self._numbers(number, vr, keyword)

    def items(self, keyword: str) -> list[Header]:
        """The items of a sequence; [] when absent or empty."""
        number = KEYWORDS[keyword][0]
        return self._items(number, keyword) if number in self._elements else []

    def code(self, keyword: str) -> Code | None:
        """The first item of a code sequence."""
        number = KEYWORDS[keyword][0]
        codes = self._codes(number, keyword, 1) if number in self._elements else ()
        return codes[0] if codes else None

    def codes(self, keyword: str) -> list[Code]:
        """All items of a code sequence that hold a code."""
        number = KEYWORDS[keyword][0]
        if number not in self._elements:
            return []
        return [code for code in self._codes(number, keyword, self._limits.items) if code]

    def code_and(self, keyword: str, below: str) -> tuple[Code | None, Code | None]:
        """The first item of a code sequence, and of the code sequence `below` that the item holds."""
        number = KEYWORDS[keyword][0]
        if number not in self._elements:
            return None, None

        def read() -> tuple[Code | None, ...]:
            return next(((item.as_code(), item.code(below)) for item in self._items(number, keyword)), (None, None))

        code, inside = self._kept(number, below, read)
        return code, inside

    def _codes(self, number: int, keyword: str, most: int) -> Sequence[Code | None]:
        return self._kept(number, most, lambda: tuple(item.as_code() for item in self._items(number, keyword)[:most]))

    def _kept(self, number: int, what: object, read: Callable[[], tuple[Code | None, ...]]) -> tuple[Code | None, ...]:
        """What `read` makes of a code sequence; equal bytes in equal character sets are decoded once."""
        vr, start, stop = self._elements[number]
        if not (vr in (b"SQ", IMPLICIT) and stop - start <= _CODE_BYTES and self._depth < self._limits.depth):
            return read()
        kept = self.charset.code_sequences
        where = (self._buffer[start:stop], self._explicit, what)
        known = kept.get(where)
        if known is None:
            known = read()
            # What cannot be decoded has to be said of every object that holds it.
            if not self.problems:
                if len(kept) >= _KEPT_CODES:
                    kept.clear()
                kept[where] = known
        return known

    def kept(self, name: str, numbers: Iterable[int], read: Callable[[Header], _Made]) -> _Made:
        """What `read` makes of the elements under these tags, made once for all objects in which they are the same.

        Only for elements that many objects share and that name nobody: those of the device.
        """
        find, buffer = self._elements.get, self._buffer
        # With its VR and length, which stand in front of it.
        same = [buffer[found[1] - 8 : found[2]] if (found := find(number)) else b"" for number in numbers]
        if sum(map(len, same)) > 4 * _CODE_BYTES:
            return read(self)
        kept = self.charset.code_sequences
        where = (name, self._explicit, *same)
        made = kept.get(where)
        if made is None:
            made = read(self)
            if not self.problems:
                if len(kept) >= _KEPT_CODES:
                    kept.clear()
                kept[where] = made
        return made

    def private_text(self, group: int, creator: str, offset: int) -> str | None:
        """First value of the private element ``(group, xx<offset>)`` in the block that `creator` reserved."""
        number = self._private(group, creator, offset)
        values = self._texts(number, b"UN", _private_name(group, offset)) if number is not None else []
        return (values[0] or None) if values else None

    def private_number(self, group: int, creator: str, offset: int) -> float | None:
        """As `private_text`, as a number; eight bytes of VR UN that are no text are read as FD."""
        number = self._private(group, creator, offset)
        values = self._numbers(number, b"UN", _private_name(group, offset)) if number is not None else []
        return values[0] if values else None

    def private_items(self, group: int, creator: str, offset: int) -> list[Header]:
        """As `private_text`, the items of a private sequence."""
        number = self._private(group, creator, offset)
        return self._items(number, _private_name(group, offset)) if number is not None else []

    def _private(self, group: int, creator: str, offset: int) -> int | None:
        creators = self._creators.get(group)
        if creators is None:
            named = [(*self._elements[number], number) for number in _creator_tags(group).intersection(self._elements)]
            creators = self._creators[group] = {}
            for _, start, stop, number in sorted(named, key=itemgetter(1)):
                name = self.charset.decode(self._buffer[start:stop]).partition("\\")[0]
                creators.setdefault(name.strip(PADDING), number >> 16)
        block = creators.get(creator.strip(PADDING)) if creators else None
        return tag(group, block << 8 | offset) if block is not None else None

    def as_code(self) -> Code | None:
        """This item of a code sequence as a code; None when it has neither value nor meaning."""
        value = self.text("CodeValue") or self.text("LongCodeValue") or self.text("URNCodeValue") or ""
        meaning = self.text("CodeMeaning") or ""
        return Code(value, self.text("CodingSchemeDesignator") or "", meaning) if value or meaning else None

    def _raw(self, number: int, dictionary_vr: bytes) -> tuple[bytes, bytes] | None:
        found = self._elements.get(number)
        if found is None:
            return None
        vr, start, stop = found
        if vr in UNTOLD:
            vr = dictionary_vr
        if stop - start > self._limits.value_bytes:
            raise Undecodable("the value is too long")
        return self._buffer[start : stop - 8 if self.is_open(start) else stop], vr

    def is_open(self, start: int) -> bool:
        """Whether the value at `start` has an undefined length and so ends in a delimiter, which is no part of it."""
        return self._buffer[start - 4 : start] == b"\xff\xff\xff\xff"

    def _texts(self, number: int, dictionary_vr: bytes, name: str) -> list[str]:
        try:
            found = self._raw(number, dictionary_vr)
            return text_values(found[0], found[1], self.charset) if found else []
        except Undecodable as error:
            self.problem(name, str(error))
            return []

    def _numbers(self, number: int, dictionary_vr: bytes, name: str) -> list[float]:
        try:
            found = self._raw(number, dictionary_vr)
            if not found or not found[0]:
                return []
            raw, vr = found
            values, refused = number_values(raw, vr)
            if refused and vr == b"UN" and len(raw) == 8 and not raw.decode("latin-1").isprintable():
                values, refused = number_values(raw, b"FD")
        except Undecodable as error:
            self.problem(name, str(error))
            return []
        for text in refused:
            self.problem(name, text)
        return [] if refused else values

    def _items(self, number: int, name: str) -> list[Header]:
        known = self._sequences.get(number)
        if known is None:
            found = self._elements.get(number)
            known = self._sequences[number] = self._read_items(found, number, name) if found else []
        return known

    def _read_items(self, found: tuple[bytes, int, int], number: int, name: str) -> list[Header]:
        vr, start, stop = found
        if start == stop:
            return []
        if vr not in (b"SQ", b"UN", IMPLICIT) or (vr == IMPLICIT and vr_of(number) not in (b"SQ", b"UN")):
            self.problem(name, "not a sequence")
            return []
        if self._depth >= self._limits.depth:
            self.problem(name, "nested too deep")
            return []
        explicit = self._explicit
        if explicit and vr == b"UN":
            explicit = looks_explicit(self._buffer, start + 8)
        try:
            items = read_items(self._buffer, start, stop, explicit, self._limits)
        except (Unusual, ReadError):
            return self._fallback_items(start, stop, name)
        return [
            Header(self._buffer, item, explicit, self._limits, self.problems, self.charset, self._depth + 1)
            for item in items
        ]

    def _fallback_items(self, start: int, stop: int, name: str) -> list[Header]:
        from dose_audit.extract._fallback import transcode_sequence

        if stop - start > self._limits.fallback_bytes:
            self.problem(name, "the sequence breaks the encoding rules")
            return []
        try:
            value = transcode_sequence(self._buffer[start:stop], self._explicit, self._limits)
            items = read_items(value, 0, len(value), True, self._limits)
        except (Unusual, ReadError) as error:
            self.problem(name, str(error))
            return []
        return [Header(value, item, True, self._limits, self.problems, self.charset, self._depth + 1) for item in items]

    def problem(self, name: str, text: str) -> None:
        """Put on record that an element cannot be decoded."""
        entry = (name, text[:_SHOWN])
        if len(self.problems) < _MAX_PROBLEMS and entry not in self.problems[-8:]:
            self.problems.append(entry)


def _in_ascii(raw: bytes) -> bool:
    """Whether a text reads the same in every character set: an escape changes it, a tilde is Japan's overline."""
    return raw.isascii() and _ESCAPE not in raw and _TILDE not in raw


@cache
def _creator_tags(group: int) -> frozenset[int]:
    """Where a group can name its private creators (PS3.5 7.8.1)."""
    return frozenset(tag(group, element) for element in range(0x10, 0x100))


@lru_cache(maxsize=1024)
def _private_name(group: int, offset: int) -> str:
    return f"({group:04X},xx{offset:02X})"
