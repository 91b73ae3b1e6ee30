"""Connected pieces of a mask, kept as the runs of its rows: a hundredth as many as pixels, so that all about them is quick."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry._morphology import Mask

__all__ = ["Box", "Pieces", "fill"]

Box = tuple[slice, slice]


class Pieces:
    """The pieces of a mask whose pixels touch with a side, numbered from 0 on in the order of their first pixels.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)

    Attributes
    ----------
    count : int

    Examples
    --------
    >>> pieces = Pieces(np.array([[1, 0, 1], [1, 0, 0]], bool))
    >>> pieces.count, pieces.sizes.tolist(), pieces.box(0)
    (2, [2, 1], (slice(0, 2, None), slice(0, 1, None)))
    """

    def __init__(self, mask: Mask) -> None:
        rows, columns = self._shape = mask.shape
        self._width = columns + 1  # an empty column parts the end of one row from the beginning of the next
        flat = np.zeros(rows * self._width + 1, bool)
        flat[1:].reshape(rows, self._width)[:, :columns] = mask
        changes = np.flatnonzero(flat[1:] != flat[:-1])
        self._starts, self._stops = changes[::2], changes[1::2]
        self._piece = _joined(*_touching(self._starts, self._stops, self._width), len(self._starts))
        self.count = int(self._piece.max()) + 1 if len(self._piece) else 0

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Pixels of each."""
        sizes = np.zeros(self.count, np.intp)
        np.add.at(sizes, self._piece, self._stops - self._starts)
        return sizes

    def touch_edge(self) -> Mask:
        """Which lie at the image's edge."""
        rows, columns = self._shape
        row, column = np.divmod(self._starts, self._width)
        at_edge = (row == 0) | (row == rows - 1) | (column == 0) | (self._stops % self._width == columns)
        touching = np.zeros(self.count, bool)
        touching[self._piece[at_edge]] = True
        return touching

    @property
    def lengths(self) -> NDArray[np.intp]:
        """The longer side of each one's box."""
        row, column = np.divmod(self._starts, self._width)
        first, last = np.full((2, self.count), max(self._shape)), np.zeros((2, self.count), np.intp)
        for axis, (low, high) in enumerate(((row, row + 1), (column, self._stops % self._width))):
            np.minimum.at(first[axis], self._piece, low)
            np.maximum.at(last[axis], self._piece, high)
        return (last - first).max(axis=0)

    def box(self, index: int | np.intp, margin: int = 0) -> Box:
        """The smallest part of the image that holds a piece, and a margin as far as the image goes."""
        mine = self._piece == index
        starts, stops = self._starts[mine], self._stops[mine]
        low, high = int((starts % self._width).min()), int((stops % self._width).max())
        first, last = int(starts[0] // self._width), int(starts[-1] // self._width) + 1
        return (
            slice(max(0, first - margin), min(self._shape[0], last + margin)),
            slice(max(0, low - margin), min(self._shape[1], high + margin)),
        )

    def plane(self, wanted: Mask) -> Mask:
        """The pixels of some of the pieces.

        Parameters
        ----------
        wanted : ndarray of bool, shape (count,)

        Returns
        -------
        ndarray of bool, shape (H, W)
        """
        rows, columns = self._shape
        flat = np.zeros(rows * self._width, bool)
        chosen = wanted[self._piece]
        for start, stop in zip(self._starts[chosen].tolist(), self._stops[chosen].tolist(), strict=True):
            flat[start:stop] = True
        return flat.reshape(rows, self._width)[:, :columns].copy()

    def only(self, index: int | np.intp, box: Box) -> Mask:
        """The pixels of one piece in a part of the image."""
        top, left = box[0].start, box[1].start
        mask = np.zeros((box[0].stop - top, box[1].stop - left), bool)
        mine = self._piece == index
        for start, stop in zip(self._starts[mine].tolist(), self._stops[mine].tolist(), strict=True):
            row, column = divmod(start, self._width)
            if 0 <= row - top < len(mask) and column + stop - start > left:
                mask[row - top, max(0, column - left) : column + stop - start - left] = True
        return mask

    def hits(self, marked: Mask) -> NDArray[np.intp]:
        """How many of some pixels, all of which belong to pieces, lie in each."""
        place = np.flatnonzero(marked)
        run = np.searchsorted(self._starts, place + place // self._shape[1], side="right") - 1
        return np.bincount(self._piece[run], minlength=self.count)


def fill(mask: Mask) -> Mask:
    """Fill what the mask encloses: every hole that does not reach the image's edge.

    Examples
    --------
    >>> ring = np.ones((5, 5), bool); ring[2, 2] = False; ring[0] = False
    >>> int(fill(ring).sum())
    20
    """
    air = Pieces(~mask)
    holes = ~air.touch_edge()
    return mask | air.plane(holes) if holes.any() else mask


def _touching(
    starts: NDArray[np.intp], stops: NDArray[np.intp], width: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of runs that lie next to each other in two rows."""
    first = np.searchsorted(stops, starts + width, side="right")
    count = np.maximum(np.searchsorted(starts, stops + width, side="left") - first, 0)
    upper = np.repeat(np.arange(len(starts)), count)
    return upper, np.arange(len(upper)) + np.repeat(first - (np.cumsum(count) - count), count)


def _joined(one: NDArray[np.intp], other: NDArray[np.intp], runs: int) -> NDArray[np.intp]:
    """Number of each run's piece: each points to an earlier run of its piece, until all point to the first."""
    first = np.arange(runs)
    while True:
        low, high = np.minimum(first[one], first[other]), np.maximum(first[one], first[other])
        if np.array_equal(low, high):
            break
        np.minimum.at(first, high, low)
        while not np.array_equal(further := first[first], first):
            first = further
    return (np.cumsum(first == np.arange(runs)) - 1)[first]
