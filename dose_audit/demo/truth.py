"""Expected exam-record values: an object's decimal strings in the contract's units, unrounded.

Every number of a truth comes from the same string that is written into the object, by exact decimal
arithmetic and one final conversion to ``float``; so a reader that converts units correctly gives the same
double or its neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

__all__ = ["TO_GY_CM2", "TO_MGY", "number", "total"]

# One Gy.m2 in Gy.cm2 and so on: what is written, in the contract's unit.
TO_GY_CM2 = {"Gy.m2": "10000", "Gym2": "10000", "dGy.cm2": "0.1", "cGy.cm2": "0.01", "uGy.m2": "0.01"}
TO_MGY = {"Gy": "1000", "mGy": "1", "dGy": "100"}


def number(text: str | None, factor: str = "1") -> float | None:
    """Return the decimal string ``text`` times ``factor`` as the nearest float; ``None`` stays ``None``.

    >>> number("1.6e-005", "10000")
    0.16
    """
    return None if text is None else float(Decimal(text) * Decimal(factor))


def total(texts: Iterable[str | None], factor: str = "1") -> float | None:
    """Return the exact sum of decimal strings times ``factor``, or ``None`` when there is none to add.

    >>> total(["0.1", "0.2"])
    0.3
    """
    values = [Decimal(text) for text in texts if text is not None]
    return float(sum(values, Decimal(0)) * Decimal(factor)) if values else None
