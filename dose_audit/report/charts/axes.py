"""Log axes that fit their data: a snug domain, and round labels at 1, 2, 5 (or finer where the range is short)."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log10
from typing import Any

__all__ = ["PERCENT", "log_scale", "log_ticks"]

PERCENT = "format(round(1000 * datum.value) / 10, '~r') + ' %'"
"""Labels of an axis of shares, written as percentages are elsewhere in the report."""

_COARSE, _MIDDLE, _FINE = (1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
_FINEST = (1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0)
MARGIN = 1.07


def log_ticks(low: float, high: float) -> list[float]:
    """Round values from ``low`` to ``high``, about three to eight of them.

    Examples
    --------
    >>> log_ticks(80, 1500)
    [100.0, 200.0, 500.0, 1000.0]
    >>> log_ticks(12, 31)
    [15.0, 20.0, 25.0, 30.0]
    >>> log_ticks(0.82, 1.4)
    [0.9, 1.0, 1.1, 1.2, 1.3, 1.4]
    """
    decades = log10(high / low)
    steps = _COARSE if decades > 3 else _MIDDLE if decades > 0.75 else _FINE if decades > 0.33 else _FINEST
    exponents = range(floor(log10(low)), ceil(log10(high)) + 1)
    ticks = [float(f"{step * 10.0**exponent:.6g}") for exponent in exponents for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def log_scale(values: Iterable[float | None]) -> tuple[Any, list[float]]:
    """Altair scale around positive values, and its ticks."""
    import altair as alt

    positive = [value for value in values if value is not None and value > 0]
    low, high = min(positive) / MARGIN, max(positive) * MARGIN
    return alt.Scale(type="log", domain=[low, high], nice=False), log_ticks(low, high)
