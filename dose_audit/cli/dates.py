"""Dates as people type them: one way for the options of every command."""

from __future__ import annotations

from datetime import datetime

import typer

__all__ = ["a_day", "a_moment"]

_DAYS = ("%Y-%m-%d", "%Y%m%d")
_MOMENTS = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
_LENGTHS = {"%Y%m%d": 8}  # strptime would take 2022131 for one, too


def a_day(text: str) -> datetime:
    """A day, as 2026-01-31 or, as DICOM writes it, 20260131.

    Examples
    --------
    >>> a_day("2022-03-20") == a_day(" 20220320 ")
    True
    """
    return _read(text, _DAYS, "give year, month and day, as 2026-01-31 or 20260131")


def a_moment(text: str) -> datetime:
    """A day, or a moment of it, as 2026-01-31T14:05.

    Examples
    --------
    >>> a_moment("2022-03-20T08:30").hour, a_moment("20220320").hour
    (8, 0)
    """
    return _read(text, (*_DAYS, *_MOMENTS), "give a day, as 2026-01-31, or a moment of it, as 2026-01-31T14:05")


def _read(text: str, forms: tuple[str, ...], wanted: str) -> datetime:
    plain = text.strip()
    for form in forms:
        if len(plain) != _LENGTHS.get(form, len(plain)):
            continue
        try:
            return datetime.strptime(plain, form)
        except ValueError:
            continue
    raise typer.BadParameter(f"{text!r} is no date: {wanted}")
