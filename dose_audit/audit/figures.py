"""Numbers as findings print them."""

from __future__ import annotations

import math

__all__ = ["figure"]


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
