"""DICOM dates, times and date-times to ISO 8601 text, keeping the offset that the object has."""

from __future__ import annotations

import re
from datetime import date

__all__ = ["date_of", "iso_date_time", "iso_datetime", "iso_offset"]

# Digits with the separators of the ACR-NEMA forms (1997.01.31, 09:30:00) and of ISO 8601 allowed; anything after
# is an error. Only seconds have a fraction, of which six digits are kept.
_CLOCK = r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d*))?)?)?"
_DT = re.compile(rf"(\d{{4}})(?:[./-]?(\d\d)(?:[./-]?(\d\d)(?:[T ]?{_CLOCK})?)?)?(?: ?([+-]\d\d:?\d\d|Z))?", re.ASCII)
_DA = re.compile(r"(\d{4})[./-]?(\d\d)[./-]?(\d\d)", re.ASCII)
_TM = re.compile(_CLOCK, re.ASCII)
# GE Surgery writes "UTC-04:00".
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d\d):?(\d\d)", re.ASCII)


YEARS = range(1800, 2200)
"""Years in which somebody can have been born or exposed; 260102 is no day of the year 2601."""


def iso_offset(text: str | None) -> str:
    """ISO form of Timezone Offset From UTC, or the empty string when it is absent or no offset.

    Examples
    --------
    >>> iso_offset("+0100")
    '+01:00'
    >>> iso_offset("CET")
    ''
    """
    if text == "Z":
        return "+00:00"
    match = _OFFSET.fullmatch(text.strip()) if text else None
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        return ""
    return f"{match[1]}{match[2]}:{match[3]}"


def date_of(text: str | None) -> date | None:
    """The calendar date of a DA value (also ``YYYY.MM.DD``), or `None` when it is not one."""
    if not text:
        return None
    if not (len(text) == 8 and text.isascii() and text.isdigit()):
        match = _DA.fullmatch(text.strip())
        if match is None:
            return None
        text = "".join(match.groups())
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.year in YEARS else None


def _clock(hour: str, minute: str | None, second: str | None, fraction: str | None) -> str | None:
    if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
        return None
    # DICOM permits the leap second, ISO consumers do not.
    seconds = "59" if second == "60" else second or "00"
    text = f"{hour}:{minute or '00'}:{seconds}"
    fraction = (fraction or "")[:6].rstrip("0")
    return f"{text}.{fraction}" if fraction else text


def iso_datetime(text: str | None, offset: str = "") -> str | None:
    """ISO 8601 form of a DT value.

    Parameters
    ----------
    text : str or None
        The value as sent.
    offset : str
        ISO offset to use when the value carries none of its own.

    Returns
    -------
    str or None
        As precise as what was sent (a date alone stays a date); `None` when it is no valid date-time.

    Examples
    --------
    >>> iso_datetime("19970101000631.737+0000")
    '1997-01-01T00:06:31.737+00:00'
    >>> iso_datetime("20240229")
    '2024-02-29'
    >>> iso_datetime("20230229") is None
    True
    """
    match = _DT.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, own_offset = match.groups()
    if month is None or day is None:
        return None
    if date_of(f"{year}{month}{day}") is None:
        return None
    if hour is None:
        return f"{year}-{month}-{day}"
    clock = _clock(hour, minute, second, fraction)
    if clock is None:
        return None
    return f"{year}-{month}-{day}T{clock}{iso_offset(own_offset) or offset}"


def iso_date_time(day: str | None, clock: str | None, offset: str = "") -> str | None:
    """ISO 8601 form of a DA and a TM value; the date alone when the time is absent or no time.

    Examples
    --------
    >>> iso_date_time("20240131", "0930", "+01:00")
    '2024-01-31T09:30:00+01:00'
    >>> iso_date_time("20240131", None)
    '2024-01-31'
    """
    date_ = date_of(day)
    if date_ is None:
        return None
    match = _TM.fullmatch(clock.strip()) if clock else None
    time = _clock(*match.groups()) if match else None
    return f"{date_.isoformat()}T{time}{offset}" if time else date_.isoformat()
