"""Bytes of a text value → text, by the Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 chapter 6)."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Any

CODECS = {
    # Without a set only ASCII is allowed. Other bytes are read as Latin-1, which every byte is valid in.
    "": "latin-1",
    "IR 6": "latin-1",
    "IR 13": "shift_jis",
    "IR 100": "latin-1",
    "IR 101": "iso8859-2",
    "IR 109": "iso8859-3",
    "IR 110": "iso8859-4",
    "IR 126": "iso8859-7",
    "IR 127": "iso8859-6",
    "IR 138": "iso8859-8",
    "IR 144": "iso8859-5",
    "IR 148": "iso8859-9",
    "IR 166": "iso8859-11",
    "IR 203": "iso8859-15",
    "IR 149": "euc_kr",
    "IR 58": "gb2312",
    "IR 87": "iso2022_jp_2",
    "IR 159": "iso2022_jp_2",
    "IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
"""Defined term, without its "ISO_" or "ISO 2022 " → Python codec."""

ESCAPES = {
    b"\x1b(B": "ascii",
    b"\x1b-A": "latin-1",
    b"\x1b-B": "iso8859-2",
    b"\x1b-C": "iso8859-3",
    b"\x1b-D": "iso8859-4",
    b"\x1b-F": "iso8859-7",
    b"\x1b-G": "iso8859-6",
    b"\x1b-H": "iso8859-8",
    b"\x1b-L": "iso8859-5",
    b"\x1b-M": "iso8859-9",
    b"\x1b-T": "iso8859-11",
    b"\x1b-b": "iso8859-15",
    b"\x1b(J": "shift_jis",
    b"\x1b)I": "shift_jis",
    b"\x1b$)C": "euc_kr",
    b"\x1b$)A": "gb2312",
    b"\x1b$B": "iso2022_jp_2",
    b"\x1b$(D": "iso2022_jp_2",
}
"""Escape sequence → codec of the bytes behind it (PS3.3 Tables C.12-3 and C.12-4)."""

_FRAGMENT = re.compile(rb"\x1b(?:\$[()][A-Z]|\$[A-Z]|[-()][A-Za-z])?[^\x1b]*|[^\x1b]+")
_ESCAPE = re.compile(rb"\x1b(?:\$[()][A-Z]|\$[A-Z]|[-()][A-Za-z])")
_ESCAPE_BYTE = 0x1B  # a byte is found in bytes ten times as fast by its number
# After any of these the first set is in force again; "^" and "=" only part the components of a person's name.
_RESETS = re.compile(rb"[\t\n\f\r\\]")
_NAME_RESETS = re.compile(rb"[\t\n\f\r\\^=]")


class Charset:
    """One value of Specific Character Set, with the concepts already decoded under it.

    Attributes
    ----------
    explicit_codes, implicit_codes : dict
        Bytes of a code sequence → the code; filled by `TreeReader`, which keeps them bounded.
    item_heads, number_heads : dict
        Bytes with which a content item, or its measured value, begins → what they say; filled by `TreeReader`.
    code_sequences : dict
        Bytes of a code sequence and how they are encoded → its codes; filled and kept bounded by `Header`.
    """

    __slots__ = ("_codec", "code_sequences", "explicit_codes", "implicit_codes", "item_heads", "number_heads")

    def __init__(self, terms: tuple[str, ...]) -> None:
        self._codec = _codec(terms[0])
        self.explicit_codes: dict[object, Any] = {}
        self.implicit_codes: dict[object, Any] = {}
        self.item_heads: dict[object, Any] = {}
        self.number_heads: dict[object, Any] = {}
        self.code_sequences: dict[object, Any] = {}

    def decode(self, raw: bytes) -> str:
        """Decode a text value, padding kept; bytes that the set does not have become U+FFFD."""
        if _ESCAPE_BYTE not in raw:
            return raw.decode(self._codec, "replace")
        return self._decode_extended(raw, _RESETS)

    def decode_name(self, raw: bytes) -> str:
        """Decode a PN value, in which component delimiters end the reach of an escape sequence too."""
        if _ESCAPE_BYTE not in raw:
            return raw.decode(self._codec, "replace")
        return self._decode_extended(raw, _NAME_RESETS)

    def _decode_extended(self, raw: bytes, resets: re.Pattern[bytes]) -> str:
        parts = []
        for fragment in _FRAGMENT.findall(raw):
            escape = _ESCAPE.match(fragment)
            codec = ESCAPES.get(escape[0]) if escape else None
            if codec == "iso2022_jp_2":
                # The codec wants to see the escape, and any byte behind it is half of a character.
                parts.append(fragment.decode(codec, "replace"))
                continue
            text = fragment[escape.end() :] if escape else fragment
            reset = resets.search(text) if codec else None
            cut = reset.start() if reset else len(text)
            parts.append(text[:cut].decode(_over_ascii(codec or self._codec, self._codec), "replace"))
            parts.append(text[cut:].decode(self._codec, "replace"))
        return "".join(parts)


def _over_ascii(codec: str, first: str) -> str:
    """ESC ( B sets only the lower half back to ASCII, so bytes above 7F still belong to the first set."""
    return first if codec == "ascii" and first not in ("iso2022_jp_2", "shift_jis") else codec


def _codec(term: str) -> str:
    """The codec of a defined term, forgiving misspellings (``ISO-IR 100``, ``ISO 2022 GBK``)."""
    # In capitals only afterwards: those of a stray "ß" in place of the underscore are two letters.
    plain = re.sub(r"^ISO.2022.IR\D(?=\d)", "IR ", term.strip(), flags=re.IGNORECASE)
    plain = re.sub(r"^ISO.?(?=2022|IR|GBK|58)(2022)?[ _-]*", "", plain, flags=re.IGNORECASE).upper()
    plain = re.sub(r"^IR[ _-]?", "IR ", plain)
    if plain in CODECS:
        return CODECS[plain]
    if f"IR {plain}" in CODECS:
        return CODECS[f"IR {plain}"]
    try:
        found = codecs.lookup(term.strip())
        "".encode(found.name)  # a name such as "hex" is a codec too, but not of text
        return found.name
    except (LookupError, ValueError):
        return CODECS[""]


@lru_cache(maxsize=16)
def charset(raw: bytes) -> Charset:
    """The character set for the bytes of (0008,0005); empty bytes stand for an absent element."""
    terms = tuple(term.strip(" \0") for term in raw.decode("latin-1").split("\\"))
    return Charset(terms or ("",))
