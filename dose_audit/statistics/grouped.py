"""The figures of many groups at once: medians with their intervals, quartiles and sign tests, from one sorted array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.statistics.order_statistics import (
    EMPTY,
    NO_INTERVAL,
    Estimate,
    SignTest,
    as_finite,
    interval_ranks,
    sign_test_of_counts,
)

__all__ = ["GroupFigures", "SortedGroups"]

_THIRD = 1.0 / 3.0


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """What is told of one group.

    Attributes
    ----------
    median : Estimate
        As `median_interval` gives it.
    p25, p75 : float or None
        Quartiles, as `quantile` gives them.
    """

    median: Estimate
    p25: float | None
    p75: float | None


class SortedGroups:
    """Groups of values, each ascending: any order statistic of any group is a place in one array.

    Parameters
    ----------
    values : array_like
        Finite numbers, group by group.
    sizes : array_like of int
        How many of them each group has; a group may be empty.

    Raises
    ------
    ValueError
        A value that is not finite; sizes that do not add up to the values.

    Notes
    -----
    The figures are those of `median_interval`, `quantile` and `sign_test` to the last bit: the same ranks, the same
    interpolation.

    Examples
    --------
    >>> groups = SortedGroups([7, 5, 6, 8, 9, 10, 3], [6, 1])
    >>> [(found.median.value, found.median.low, found.p75) for found in groups.figures()]
    [(7.5, 5.0, 9.083333333333332), (3.0, None, 3.0)]
    >>> [test.n_above for test in groups.sign_tests([6.5, 6.5])]
    [4, 0]
    """

    def __init__(self, values: ArrayLike, sizes: ArrayLike) -> None:
        self.sizes = np.asarray(sizes, dtype=np.int64).ravel()
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        self.values = as_finite(values).copy()
        if (self.sizes < 0).any() or self.starts[-1] != self.values.size:
            raise ValueError(f"{self.sizes.size} sizes do not add up to {self.values.size} values")
        for start, end in self._places():
            self.values[start:end].sort()

    def __len__(self) -> int:
        return int(self.sizes.size)

    def _places(self) -> Iterator[tuple[int, int]]:
        return pairwise(self.starts.tolist())

    def figures(self, level: float = 0.95) -> list[GroupFigures]:
        """Median, interval and quartiles of every group, in their order.

        Parameters
        ----------
        level : float
            Of the intervals: their coverage is never under this.
        """
        medians, p25, p75 = self._medians(), self._quantile(0.25), self._quantile(0.75)
        ranks = {int(n): interval_ranks(int(n), level) for n in np.unique(self.sizes)}
        found = []
        for place, (start, n) in enumerate(zip(self.starts[:-1].tolist(), self.sizes.tolist(), strict=True)):
            if n == 0:
                estimate = Estimate(None, None, None, 0, level, status=EMPTY, reason="no values")
                found.append(GroupFigures(estimate, None, None))
                continue
            rank = ranks[n]
            if rank is None:
                reason = f"{n} values give no {level:.0%} order-statistic interval"
                estimate = Estimate(medians[place], None, None, n, level, status=NO_INTERVAL, reason=reason)
            else:
                low, high = float(self.values[start + rank[0] - 1]), float(self.values[start + rank[1] - 1])
                estimate = Estimate(medians[place], low, high, n, level, rank[2])
            found.append(GroupFigures(estimate, p25[place], p75[place]))
        return found

    def sign_tests(self, references: Sequence[float | None]) -> list[SignTest | None]:
        """Sign tests of every group's median against its own reference; None where it has none.

        Parameters
        ----------
        references : sequence of float or None
            In the values' unit, one a group.
        """
        found: list[SignTest | None] = []
        for (start, end), reference in zip(self._places(), references, strict=True):
            if reference is None:
                found.append(None)
                continue
            part = self.values[start:end]
            below = int(np.searchsorted(part, reference, side="left"))
            above = part.size - int(np.searchsorted(part, reference, side="right"))
            found.append(sign_test_of_counts(part.size, above, below))
        return found

    def _medians(self) -> list[float]:
        last = np.maximum(self.sizes - 1, 0)
        return ((self._at(last // 2) + self._at((last + 1) // 2)) / 2.0).tolist()

    def _quantile(self, share: float) -> list[float]:
        """Quantile of type 8 of every group, interpolated from the nearer end as numpy does; an empty one gives any."""
        place = self.sizes * share + (_THIRD + share * (1.0 - _THIRD - _THIRD)) - 1.0
        place = np.clip(place, 0.0, np.maximum(self.sizes - 1, 0))
        low = np.floor(place).astype(np.int64)
        below, above = self._at(low), self._at(np.minimum(low + 1, np.maximum(self.sizes - 1, 0)))
        part, width = place - low, above - below
        return np.where(part >= 0.5, above - width * (1.0 - part), below + width * part).tolist()

    def _at(self, place: NDArray[np.int64]) -> NDArray[np.float64]:
        """The value at a place of every group; any number where it is empty."""
        if self.values.size == 0:
            return np.zeros(self.sizes.size)
        found: NDArray[np.float64] = self.values[np.minimum(self.starts[:-1] + place, self.values.size - 1)]
        return found
