"""What a text from outside may hold: nothing that steers a terminal, breaks a drawing, or reads otherwise than it is stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = [
    "REPLACEMENT",
    "RoleError",
    "clean",
    "clean_values",
    "counted",
    "escaped",
    "from_spreadsheet",
    "is_clean_json",
    "named_role",
    "no_formula",
    "one_line",
]

REPLACEMENT = "\ufffd"
"""Stands where something was that no text holds."""

_NONCHARACTERS = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_RANGES = (
    "\x00-\x08\x0b\x0c\x0e-\x1f"  # C0 but tab and the ends of lines: a terminal obeys them, XML refuses them
    "\x7f-\x9f"  # DEL and C1, among them the one-character form of ESC [
    "\u202a-\u202e\u2066-\u2069"  # overrides, embeddings and isolates: what is read is not what is there
    "\ud800-\udfff"  # halves of a character
    f"\ufdd0-\ufdef{_NONCHARACTERS}"
)
_HOSTILE = re.compile(f"[{_RANGES}]")
# In JSON besides: ends of lines to many a reader of one object a line.
_ESCAPED_IN_JSON = re.compile(f"[{_RANGES}\u2028\u2029]")
_ENDS_OF_LINES = re.compile("[\t\n\r\u2028\u2029]+")
# What a spreadsheet takes for a formula, in the wide forms of East Asian keyboards too, behind any number of apostrophes.
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
# Escapes of ASCII JSON that may stand for one of them. Halves of a character may be the two of a whole one, which stays:
# what is found by this is looked at again, character by character.
_ESCAPED = re.compile(r"\\(?:[bf]|u(?:00[0189]|007f|d[89a-f]|fd[de]|fff[ef]|202[a-e]|206[6-9]))")


def clean(text: str) -> str:
    """The text with `REPLACEMENT` for every character that no text holds, and without NUL.

    Parameters
    ----------
    text : str
        From a file, a sender or a person.

    Returns
    -------
    str
        Control characters but tab and the ends of lines, overrides of the direction of writing, halves of characters and
        Unicode's noncharacters are replaced, one for one; NUL, with which DICOM pads, is taken out. Every script and every
        character beyond the first 65,536 stays, with the marks that join and order letters.

    Notes
    -----
    The ranges are those of Unicode's general category Cc, its noncharacters and surrogates (The Unicode Standard, sections
    23.1, 23.6 and 23.7), and the nine explicit formatting characters of its Annex 9.

    Examples
    --------
    >>> clean("CT" + chr(0x1B) + "[31m 1" + chr(0))
    'CT�[31m 1'
    >>> clean("胸部 صدر 🫁")
    '胸部 صدر 🫁'
    """
    if text.isprintable():  # nearly every text, and the fastest question that can be asked of one
        return text
    return _HOSTILE.sub(REPLACEMENT, text.replace("\0", ""))


def one_line(text: str) -> str:
    """The clean text on a single line, for a table's cell, a log's line, a heading or a label.

    Examples
    --------
    >>> one_line("first" + chr(13) + chr(10) + "second")
    'first second'
    """
    if text.isprintable():
        return text
    return _ENDS_OF_LINES.sub(" ", clean(text))


def clean_values(value: Any, made: Callable[[str], str] = clean) -> Any:
    """Plain data (of JSON, say) with all its texts and keys clean, or what else is to be made of each.

    Examples
    --------
    >>> clean_values({"CT" + chr(7): ["a" + chr(0), 1.5, None]})
    {'CT�': ['a', 1.5, None]}
    """
    if isinstance(value, str):
        return made(value)
    if isinstance(value, dict):
        return {clean_values(key, made): clean_values(item, made) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_values(item, made) for item in value]
    return value


class RoleError(ValueError):
    """Whoever answers for something was not named, or not by role."""


_LONGEST_ROLE = 100
# Forms of address; as they are written, since MR and DR are modalities.
_OF_A_PERSON = re.compile(r"\b(Dr|Mr|Mrs|Ms|Miss|Mx|Prof|Herr|Frau|Mme|Monsieur|Madame)\b\.?\s+\w")


def named_role(text: str) -> str:
    """The role by which somebody answers for what is recorded.

    Raises
    ------
    RoleError
        There is no word in it, it is longer than 100 characters, or it is a person's: an e-mail address, or a name after a form
        of address. A bare name cannot be told from a role.

    Examples
    --------
    >>> named_role(" MPE, North ")
    'MPE, North'
    >>> named_role("-")
    Traceback (most recent call last):
    ...
    dose_audit.texts.RoleError: '-' names no role: say by which role somebody answers for it, as 'MPE, North'
    """
    role = one_line(text).strip()
    if (
        not any(character.isalpha() for character in role)
        or "@" in role
        or len(role) > _LONGEST_ROLE
        or _OF_A_PERSON.search(role)
    ):
        raise RoleError(f"{role[:40]!r} names no role: say by which role somebody answers for it, as 'MPE, North'")
    return role


def is_clean_json(text: str) -> bool:
    r"""Whether ASCII JSON certainly holds nothing that `clean` would replace.

    Examples
    --------
    >>> is_clean_json('{"name":"CT \\u00c4"}'), is_clean_json('{"name":"CT\\u001b[31m"}')
    (True, False)
    """
    return "\\" not in text or _ESCAPED.search(text) is None


def counted(count: int, one: str, many: str | None = None, *, thousands: str = "") -> str:
    """A count with its noun.

    Parameters
    ----------
    count : int
    one, many : str
        The noun for one, and for any other number where that is more than an s.
    thousands : str
        What stands between thousands.

    Examples
    --------
    >>> counted(1, "exam"), counted(0, "exam"), counted(2, "study", "studies"), counted(4012, "exam", thousands=",")
    ('1 exam', '0 exams', '2 studies', '4,012 exams')
    """
    return f"{count:,} ".replace(",", thousands) + (one if count == 1 else many or f"{one}s")


def escaped(json_text: str) -> str:
    r"""JSON text in which such characters are written as escapes: the same JSON, without what a terminal obeys or ends a line.

    Examples
    --------
    >>> escaped('"' + chr(0x9B) + '31m"')
    '"\\u009b31m"'
    """
    return json_text if json_text.isprintable() else _ESCAPED_IN_JSON.sub(_escape, json_text)


def no_formula(text: str) -> str:
    """A table's cell that no spreadsheet runs: an apostrophe stands in front of what would be taken for a formula.

    Notes
    -----
    CSV has no other way to say that a cell is text (OWASP, *CSV Injection*).

    Examples
    --------
    >>> print(no_formula("=1+1"), no_formula("CT Thorax"))
    '=1+1 CT Thorax
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_spreadsheet(cell: str) -> str:
    """The text for which `no_formula` wrote this cell.

    Examples
    --------
    >>> from_spreadsheet(no_formula("+C Abdomen")), from_spreadsheet("'Thorax'")
    ('+C Abdomen', "'Thorax'")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
