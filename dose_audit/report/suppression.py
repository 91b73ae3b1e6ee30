"""Small numbers hidden in a table of counts, with enough others that no total gives them back by subtraction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SMALLEST_SHOWN", "SuppressedCounts", "suppress_counts"]

SMALLEST_SHOWN = 5
"""Counts from 1 to one below this are hidden unless the caller says otherwise."""


@dataclass(frozen=True)
class SuppressedCounts:
    """A table of counts as it may be shared; None is a hidden number.

    Attributes
    ----------
    cells : list of list
        Rows of the table.
    row_totals, column_totals : list
    total : int or None
    """

    cells: list[list[int | None]]
    row_totals: list[int | None]
    column_totals: list[int | None]
    total: int | None


def suppress_counts(counts: Sequence[Sequence[int]], *, smallest: int = SMALLEST_SHOWN) -> SuppressedCounts:
    """Hide small counts of a table that is shared with its totals.

    Parameters
    ----------
    counts : sequence of rows of int
        Non-negative; every row of the same length, at least one row and one column.
    smallest : int
        Smallest number of people that may be shown, at least 2. Zero is shown: it tells of nobody.

    Returns
    -------
    SuppressedCounts

    Raises
    ------
    ValueError
        When the table is empty or ragged, or a count is negative.

    Notes
    -----
    The totals are cells like all others. After the small numbers are hidden, each row and column, its total included,
    is looked at in turn. A single hidden number in a line could be had by subtraction, and several whose sum is shown
    by the total and is small are as good as shown; there the next smallest number of the line is hidden as well, its
    total last, until no line tells anything. Complementary suppression line by line; several lines put together as a
    system of equations can narrow a number further, which this does not exclude.

    References
    ----------
    Hundepool A et al. (2012) Statistical Disclosure Control, chapter 4. Wiley.

    Examples
    --------
    >>> shared = suppress_counts([[20, 3], [30, 40]])
    >>> shared.cells, shared.row_totals, shared.total
    ([[None, None], [None, None]], [23, 70], 93)
    """
    table = np.asarray(counts, dtype=np.int64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"a table of rows of equal length is needed, the shape is {table.shape}")
    if (table < 0).any():
        raise ValueError("a count is negative")
    if smallest < 2:
        raise ValueError(f"the smallest number shown is {smallest}, expected 2 or more")
    whole = np.zeros((table.shape[0] + 1, table.shape[1] + 1), dtype=np.int64)
    whole[:-1, :-1] = table
    whole[:-1, -1] = table.sum(axis=1)
    whole[-1, :-1] = table.sum(axis=0)
    whole[-1, -1] = table.sum()
    hidden = (whole > 0) & (whole < smallest)
    changed = True
    while changed:
        changed = False
        for values, mask in _lines(whole, hidden):
            while _telling(values, mask, smallest):
                mask[_next(values, mask)] = True
                changed = True
    shown = [
        [None if h else int(v) for v, h in zip(row, mask, strict=True)] for row, mask in zip(whole, hidden, strict=True)
    ]
    return SuppressedCounts(
        [row[:-1] for row in shown[:-1]], [row[-1] for row in shown[:-1]], shown[-1][:-1], shown[-1][-1]
    )


def _lines(
    whole: NDArray[np.int64], hidden: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Rows, then columns, as views: each is its parts and then their sum."""
    yield from zip(whole, hidden, strict=True)
    yield from zip(whole.T, hidden.T, strict=True)


def _telling(values: NDArray[np.int64], mask: NDArray[np.bool_], smallest: int) -> bool:
    """Whether subtraction within the line gives a hidden number away."""
    count = int(np.count_nonzero(mask))
    if count == 0:
        return False
    if count == 1:
        return True
    if mask[-1]:
        return False
    # The total shows the sum of the hidden parts. Where each of them must be at least 1, so small a sum tells them.
    together = int(values[:-1][mask[:-1]].sum())
    return together < smallest or together <= count


def _next(values: NDArray[np.int64], mask: NDArray[np.bool_]) -> int:
    """Place of the number to hide next: the smallest part that is not zero, else the total, else any zero."""
    parts = np.flatnonzero(~mask[:-1] & (values[:-1] > 0))
    if parts.size:
        return int(parts[np.argmin(values[parts])])
    return values.size - 1 if not mask[-1] else int(np.flatnonzero(~mask)[0])
