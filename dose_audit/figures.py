"""Numbers as reasons and findings print them: so many figures, and never an exponent."""

from __future__ import annotations

import math

__all__ = ["figure", "figure_beside", "ratio"]

_MOST_DIGITS = 17
"""Two numbers that are not the same differ within so many."""


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant figures and never an exponent; a dash where there is none.

    Examples
    --------
    >>> figure(999.7), figure(0.02531), figure(12345.0), figure(None)
    ('1000', '0.0253', '12300', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    text = f"{rounded:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def figure_beside(value: float | None, other: float, digits: int = 3) -> str:
    """Return a number as `figure` does, with as many figures more as tell it from another that it is said to differ from.

    Examples
    --------
    >>> figure_beside(8.504, 8.5), figure_beside(12.34, 8.5), figure_beside(8.5, 8.5), figure_beside(290.04, 290.0)
    ('8.504', '12.3', '8.5', '290.04')
    >>> figure_beside(math.nan, 8.5)
    '–'
    """
    known = value is not None and math.isfinite(value)
    while known and value != other and digits < _MOST_DIGITS and float(figure(value, digits)) == other:
        digits += 1
    return figure(value, digits)


def ratio(value: float, places: int = 2) -> str:
    """Return a ratio to so many places, and to more where it would read as one and is not.

    Examples
    --------
    >>> ratio(1.5), ratio(1.0034), ratio(1.0), ratio(12.3456)
    ('1.50', '1.003', '1.00', '12.35')
    """
    while value != 1.0 and places < _MOST_DIGITS and float(f"{value:.{places}f}") == 1.0:
        places += 1
    return f"{value:.{places}f}"
