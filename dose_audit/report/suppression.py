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
    The totals are cells like all others. First each row and column is looked at by itself, its total included. A single
    hidden number in a line could be had by subtraction, and several whose sum is shown by the total and is small are as
    good as shown; there the next smallest number of the line is hidden as well, its total last, until no line tells
    anything.

    Several lines put together can still tell a number that none tells alone. So for every small number the largest value
    is sought that all shown numbers together allow, and more is hidden until that value is at least `smallest`: no
    arithmetic then shows the number to be small. The hidden numbers of a table with its totals are flows on a graph of
    rows and columns (each is in one row and one column), so the largest value is a maximum flow, and exact. A reader who
    knows that no hidden number is zero is reckoned with.

    References
    ----------
    Hundepool A et al. (2012) Statistical Disclosure Control, chapter 4. Wiley.
    Gusfield D (1988) A graph theoretic approach to statistical data security. SIAM J Comput 17:552–571.

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
    small = (whole > 0) & (whole < smallest)
    hidden = small.copy()
    _close_lines(whole, hidden, smallest)
    # What is hidden later only widens what was allowed before: each number needs one look.
    for row, column in np.argwhere(small):
        while _confined(whole, hidden, (int(row), int(column)), smallest):
            hidden[_beside(whole, hidden, (int(row), int(column)))] = True
            _close_lines(whole, hidden, smallest)
    shown = [
        [None if h else int(v) for v, h in zip(row, mask, strict=True)] for row, mask in zip(whole, hidden, strict=True)
    ]
    return SuppressedCounts(
        [row[:-1] for row in shown[:-1]], [row[-1] for row in shown[:-1]], shown[-1][:-1], shown[-1][-1]
    )


def _close_lines(whole: NDArray[np.int64], hidden: NDArray[np.bool_], smallest: int) -> None:
    """Hide more until no row and no column tells a hidden number by itself."""
    changed = True
    while changed:
        changed = False
        for values, mask in _lines(whole, hidden):
            while _telling(values, mask, smallest):
                mask[_next(values, mask)] = True
                changed = True


def _confined(whole: NDArray[np.int64], hidden: NDArray[np.bool_], place: tuple[int, int], smallest: int) -> bool:
    """Whether all shown numbers together leave a hidden one no value as large as the smallest that is shown.

    The graph has a node a row and a column, those of the totals among them. A cell flows from its row to its column, a
    row's total into its row, a column's total out of its column, and the grand total closes the circle: at every node
    what flows in flows out, which is what the totals say. A hidden number may grow without bound and shrink to one (a
    zero not at all); so much more of it as can flow back from its end to its beginning is possible.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    rows, columns = np.nonzero(hidden)
    height, width = whole.shape
    start, end = rows, height + columns
    back = (columns == width - 1) ^ (rows == height - 1)  # from its column to its row: the total of a row or a column
    start, end = np.where(back, end, start), np.where(back, start, end)
    values = whole[rows, columns]
    spare = np.minimum(np.maximum(values - 1, 0), smallest)
    growth = np.full(values.size, smallest)
    itself = (rows == place[0]) & (columns == place[1])
    spare[itself] = growth[itself] = 0
    graph = csr_array(
        (
            np.concatenate([growth, spare]).astype(np.int32),
            (np.concatenate([start, end]), np.concatenate([end, start])),
        ),
        shape=(height + width, height + width),
    )
    more = maximum_flow(graph, int(end[itself][0]), int(start[itself][0])).flow_value
    return bool(whole[place] + more < smallest)


def _beside(whole: NDArray[np.int64], hidden: NDArray[np.bool_], place: tuple[int, int]) -> tuple[int, int]:
    """Which number to hide next so that a confined one gets room: the smallest of its row and column, else of all.

    Totals come after parts and zeros last.
    """
    row, column = place
    near = np.zeros_like(hidden)
    near[row, :] = near[:, column] = True
    total = np.zeros_like(hidden)
    total[-1, :] = total[:, -1] = True
    shown = np.argwhere(~hidden)
    at = tuple(shown.T)
    order = np.lexsort((whole[at], total[at], ~near[at], whole[at] == 0))
    found = shown[order[0]]
    return int(found[0]), int(found[1])


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
