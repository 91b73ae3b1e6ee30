"""The order of rows by columns of few distinct values, given as numbers into them.

Rows that were sorted by some of these columns lie in runs, a few thousand among millions of rows: then the runs are put in
order and not the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.numbering import renumbered

__all__ = ["rows_by_groups", "run_of", "sorted_order", "spans"]

Key = tuple[NDArray[np.integer[Any]], int]
"""Numbers of a column, from zero, and how many there may be."""

_FEW = 1 << 16
_MANY = (1 << 31) - 1
_SPAN = 1 << 16
_A_RUN = 16
"""Rows that runs have on average where it pays to put them in order."""


def rows_by_groups(
    keys: Sequence[Key], every: Callable[[], NDArray[np.int64]] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by each combination of some columns that occurs.

    Parameters
    ----------
    keys : sequence
        Columns of one or more rows.
    every : callable, optional
        Gives all rows in their order, where somebody has them at hand.

    Returns
    -------
    rows : array of int
        Those of a combination one behind the other, in their order; combinations ascending.
    edges : array of int
        Where in `rows` each combination begins, and the end.

    Examples
    --------
    >>> rows, edges = rows_by_groups([(np.array([1, 0, 1]), 2), (np.array([0, 3, 0]), 4)])
    >>> rows.tolist(), edges.tolist()
    ([1, 0, 2], [0, 1, 3])
    """
    n = keys[0][0].size
    starts, lying = _runs([codes for codes, _ in keys])
    if starts is None:
        combined, size = _combined(keys)
        return _stable_order(combined, size), _edges(np.bincount(combined, minlength=size))
    lengths = np.diff(starts, append=n)
    number, size = _combined([(codes[starts], count) for codes, count in keys[:lying]])
    if lying < len(keys):
        combined, size = _combined([(np.repeat(number, lengths), size), *keys[lying:]])
        return _stable_order(combined, size), _edges(np.bincount(combined, minlength=size))
    rows = np.arange(n) if every is None else every()
    counts = np.zeros(size, dtype=np.int64)
    np.add.at(counts, number, lengths)
    if (number[1:] > number[:-1]).all():
        return rows, _edges(counts)
    order = _stable_order(number, size)
    moved = lengths[order]
    return np.repeat(starts[order] - (np.cumsum(moved) - moved), moved) + rows, _edges(counts)


def run_of(rows: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """Ascending rows as a slice where each follows the one before: what lies so is looked at and not copied.

    >>> run_of(np.array([3, 4, 5])), run_of(np.array([3, 5]))
    (slice(3, 6, None), array([3, 5]))
    """
    first, last = (int(rows[0]), int(rows[-1])) if rows.size else (0, -1)
    return slice(first, last + 1) if last - first == rows.size - 1 else rows


def spans(n: int) -> Iterator[slice]:
    """Successive parts of so many rows: what is worked out of one, pass after pass, stays near the processor.

    >>> [(part.start, part.stop) for part in spans(100_000)]
    [(0, 65536), (65536, 100000)]
    """
    return (slice(first, min(first + _SPAN, n)) for first in range(0, n, _SPAN))


def sorted_order(
    texts: Sequence[tuple[NDArray[np.integer[Any]], int]], others: Sequence[NDArray[Any]]
) -> NDArray[np.int64]:
    """The order of rows by some columns of few values and then by others.

    What comes in night after night is in the order of time already: only combinations of the first columns in which it is
    not are sorted.
    """
    if not texts or not texts[0][0].size:
        return np.lexsort(others[::-1]) if others else np.zeros(0, dtype=np.int64)
    combined, size = _combined(texts)
    order = _stable_order(combined, size)
    group = combined[order]
    equal = group[1:] == group[:-1]
    wrong = np.zeros(equal.size, dtype=np.bool_)
    for key in others:
        ordered = key[order]
        before, after = ordered[:-1], ordered[1:]
        same = before == after
        wrong |= equal & ~(same | (before < after))  # what is not known is never in order
        equal &= same
    if wrong.any():
        disordered = np.zeros(size, dtype=np.bool_)
        disordered[group[1:][wrong]] = True
        places = np.flatnonzero(disordered[group])
        rows = order[places]
        order[places] = rows[np.lexsort((*(key[rows] for key in reversed(others)), group[places]))]
    return order


def _runs(columns: Sequence[NDArray[np.integer[Any]]]) -> tuple[NDArray[np.int64] | None, int]:
    """Where the runs of equal rows begin, by the first columns as far as these runs are long, and how many columns these are;
    None where already the first one's are not."""
    n = columns[0].size
    changes = np.zeros(n - 1, dtype=np.bool_)
    starts = None
    for place, codes in enumerate(columns):
        changes = changes | (codes[1:] != codes[:-1])
        if (np.count_nonzero(changes) + 1) * _A_RUN > n:
            return starts, place
        starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    return starts, len(columns)


def _edges(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)])


def _combined(keys: Sequence[Key]) -> Key:
    """Each row's combination of keys as a number, ascending with them, and how many combinations occur."""
    combined, size = keys[0]
    if combined.dtype.itemsize < 4:
        combined = combined.astype(np.int32)
    for codes, count in keys[1:]:
        if size * count > _MANY:
            combined, size = renumbered(combined, size)  # so that many wide columns cannot overflow
        if size * count > _MANY:
            combined = combined.astype(np.int64)
        combined, size = combined * count + codes, size * count
    return renumbered(combined, size)


def _stable_order(numbers: NDArray[np.integer[Any]], size: int) -> NDArray[np.int64]:
    narrow = numbers.astype(np.uint16) if size <= _FEW else numbers  # sixteen bits sort by radix
    return np.argsort(narrow, kind="stable")
