"""Decodes single values: bytes and their VR to text or numbers, tolerant of what devices really write."""

from __future__ import annotations

import math
import re
from struct import Struct

from dose_audit.extract._charset import Charset

# VR → how one number of it is packed
NUMBER_FORMATS = {
    b"US": Struct("<H"),
    b"SS": Struct("<h"),
    b"UL": Struct("<I"),
    b"SL": Struct("<i"),
    b"UV": Struct("<Q"),
    b"SV": Struct("<q"),
    b"FL": Struct("<f"),
    b"FD": Struct("<d"),
    b"OF": Struct("<f"),
    b"OD": Struct("<d"),
    b"OL": Struct("<I"),
    b"OV": Struct("<Q"),
    # Where the dictionary leaves it open, the values of dose objects are counts, never negative.
    b"US or SS": Struct("<H"),
}
# VRs in ASCII whatever the Specific Character Set is, and those in which a backslash is no delimiter
PLAIN_VRS = frozenset({b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"TM", b"UI", b"UR"})
SINGLE_VALUED_VRS = frozenset({b"ST", b"LT", b"UT", b"UR"})
BINARY_VRS = frozenset({b"OB", b"OW", b"OB or OW", b"SQ", b"US or OW", b"US or SS or OW"})

PADDING = " \0"
UID_PADDING = " \0\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0"
"""A NUL and all that is white space to Python in ISO 8859-1."""
_THOUSANDS = re.compile(rb"[+-]?[1-9]\d{0,2}(?:,\d{3})+\.\d*")
UNDERSCORE = ord("_")
"""Python reads 1_000 as a number, DICOM does not. A byte is found in bytes ten times as fast by its number."""


class Undecodable(ValueError):
    """The bytes do not hold what their VR says."""


def text_values(raw: bytes, vr: bytes, charset: Charset) -> list[str]:
    """The values of an element as text without padding; binary numbers as Python writes them, AT in hex.

    Raises
    ------
    Undecodable
        Binary data, or a length that is no multiple of the VR's.
    """
    if not raw:
        return []
    if vr == b"UI":
        # No white space belongs into a UID, and two that differ in it are the same.
        uids = [uid.strip(UID_PADDING) for uid in raw.decode("latin-1").split("\\")]
        return uids if uids != [""] else []
    if vr in PLAIN_VRS:
        text = raw.decode("latin-1")
    elif vr in NUMBER_FORMATS:
        return [repr(number) for number in _unpack(raw, NUMBER_FORMATS[vr])]
    elif vr in BINARY_VRS:
        raise Undecodable("binary data")
    elif vr == b"AT":
        return [f"{tag & 0xFFFF:04X}{tag >> 16:04X}" for tag in map(int, _unpack(raw, NUMBER_FORMATS[b"UL"]))]
    elif vr == b"PN":
        text = charset.decode_name(raw)
    else:
        text = charset.decode(raw)
    if vr in SINGLE_VALUED_VRS:
        text = text.rstrip(PADDING)
        return [text] if text else []
    if "\\" not in text:
        text = text.strip(PADDING)
        return [text] if text else []
    return [value.strip(PADDING) for value in text.split("\\")]


def number_values(raw: bytes, vr: bytes) -> tuple[list[float], list[str]]:
    """The values of an element as finite numbers, and the texts of those that are none.

    Raises
    ------
    Undecodable
        As `text_values`.
    """
    if vr in NUMBER_FORMATS:
        numbers = [float(number) for number in _unpack(raw, NUMBER_FORMATS[vr])]
        finite = [number for number in numbers if math.isfinite(number)]
        return finite, [repr(number) for number in numbers if not math.isfinite(number)]
    if vr in BINARY_VRS or vr == b"AT":
        raise Undecodable("binary data")
    return decimals(raw)


def decimals(raw: bytes) -> tuple[list[float], list[str]]:
    """Decimal strings (DS, IS) as finite numbers, and the texts that are none.

    Decimals in an IS and more than 16 characters are read. Commas part a list only where they cannot be
    decimal commas: with three parts or more, or with a point in one of them. ``12,5`` may mean either, and commas
    between thousands as in ``1,234.5`` may be no list either. A list may end with a comma, not begin with one.

    Examples
    --------
    >>> decimals(b"0.1\\\\0.25 ")
    ([0.1, 0.25], [])
    >>> decimals(b"0.1,0.25")
    ([0.1, 0.25], [])
    >>> decimals(b"12,5")
    ([], ['12,5'])
    >>> decimals(b"1,234.5")
    ([], ['1,234.5'])
    """
    numbers: list[float] = []
    refused: list[str] = []
    for value in raw.split(b"\\"):
        value = value.rstrip(b" \0").lstrip(b" ")
        if not value:
            continue
        parts = value.split(b",")
        if (len(parts) > 2 or b"." in value) and not _THOUSANDS.fullmatch(value):
            while len(parts) > 1 and not parts[-1].strip():
                parts.pop()
        else:
            parts = [value]
        found = [_decimal(part) for part in parts]
        if None in found:
            refused.append(value.decode("latin-1"))
        else:
            numbers += [number for number in found if number is not None]
    return numbers, refused


def _decimal(raw: bytes) -> float | None:
    try:
        number = float(raw)
    except ValueError:
        return None
    return number if math.isfinite(number) and UNDERSCORE not in raw else None


def _unpack(raw: bytes, form: Struct) -> list[int | float]:
    if len(raw) % form.size:
        raise Undecodable("the length is no multiple of a number's")
    return [number for (number,) in form.iter_unpack(raw)]
