"""Few of many: the same ones in every run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["evenly"]


def evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many places of an array, spread evenly over it.

    >>> evenly(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    if rows.size <= most:
        return rows
    return rows[np.round(np.linspace(0, rows.size - 1, most)).astype(int)]
