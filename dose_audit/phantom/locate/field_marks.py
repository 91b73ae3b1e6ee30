"""What is burned into an even field or lies on it at the side: text, lead markers, the corner of a shutter; and what is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["FreePart", "free_part"]

Floats = NDArray[np.float64]
# From the level about it, in its share and in the noise: lettering and lead, not what an object of contrast has. What is
# written has one value, the largest or smallest of all, and need not be as far from the level.
_APART, _WRITTEN, _SIGMAS = 0.4, 0.1, 8.0
# A mark is at least as thick and as long, in pixels; thinner or smaller are dead pixels and lines, which are measured.
_THICK_PX, _LONG_PX, _FEWEST_PX = 3, 8, 16
_LINE = 0.8  # of a side of the image: as long is no mark but a line of the detector, or a structure through all of it
_AWAY_MM = 3.0
_MOST_LOST = 0.4  # of the field: more is a field with an object in it
_CELLS = 96


@dataclass(frozen=True, slots=True)
class FreePart:
    """The largest part of a field without marks.

    Parameters
    ----------
    rows, columns : (int, int)
        Half-open, in the field.
    marks : int
        How many separate marks lie outside of it.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    marks: int


def free_part(
    part: NDArray[np.float32], spacing_mm: tuple[float, float], level: float, noise: float
) -> FreePart | None:
    """The largest rectangle about the middle of a field that holds no mark.

    Parameters
    ----------
    part : ndarray, shape (rows, columns)
        The field.
    spacing_mm : (row, column)
    level, noise : float
        Median of the field, and the standard deviation of a pixel, in its unit.

    Returns
    -------
    FreePart or None
        `None` where there is no mark, or where leaving all of them out would cost more than two fifths of the field.

    Examples
    --------
    >>> field = np.full((400, 300), 1000.0, np.float32)
    >>> field[20:60, 30:90] = 4000.0
    >>> found = free_part(field, (0.5, 0.5), 1000.0, 10.0)
    >>> found.marks, found.rows[0] >= 60, found.rows[1], found.columns
    (1, True, 400, (0, 300))
    """
    limit, written = (max(share * abs(level), _SIGMAS * noise) for share in (_APART, _WRITTEN))
    factor = max(1, max(part.shape) // 256)
    rows, columns = (size // factor for size in part.shape)
    coarse = part[: rows * factor : factor, : columns * factor : factor][:rows, :columns]
    about = ndimage.median_filter(np.asarray(coarse, dtype=np.float32), 9, mode="nearest")
    wide = np.kron(ndimage.uniform_filter(about, 9), np.ones((factor, factor), np.float32))
    wide = np.pad(wide, [(0, full - size) for full, size in zip(part.shape, wide.shape, strict=True)], mode="edge")
    # From what is about it, or from the level: a large mark is its own surroundings.
    apart = (np.abs(part - wide) > limit) | (np.abs(part - level) > max(2.0 * limit, 0.5 * abs(level)))
    for extreme in (float(part.min()), float(part.max())):
        if abs(extreme - level) > written:
            apart |= part == extreme
    if not apart.any():
        return None
    labels, _ = ndimage.label(apart, np.ones((3, 3)))
    number = np.bincount(labels.ravel())
    marks = [
        box
        for one, box in enumerate(ndimage.find_objects(labels), 1)
        if number[one] >= _FEWEST_PX and _is_mark(box, part.shape)
    ]
    if not marks:
        return None
    cells = [min(_CELLS, size) for size in part.shape]
    taken = np.zeros(cells, dtype=bool)
    for box in marks:
        spans = []
        for span, step, size, count in zip(box, spacing_mm, part.shape, cells, strict=True):
            margin = _AWAY_MM / step
            first, last = (span.start - margin) * count / size, (span.stop + margin) * count / size
            spans.append(slice(max(int(np.floor(first)), 0), max(int(np.ceil(last)), 1)))
        taken[spans[0], spans[1]] = True
    best = _largest_about_the_middle(~taken)
    if best is None:
        return None
    bounds = [
        (-(-low * size // count), high * size // count)
        for (low, high), size, count in zip(best, part.shape, cells, strict=True)
    ]
    area = (bounds[0][1] - bounds[0][0]) * (bounds[1][1] - bounds[1][0])
    if area < (1.0 - _MOST_LOST) * part.size:
        return None
    return FreePart(bounds[0], bounds[1], len(marks))


def _is_mark(box: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    sides = [span.stop - span.start for span in box]
    through = any(side > _LINE * size for side, size in zip(sides, shape, strict=True))
    return min(sides) >= _THICK_PX and max(sides) >= _LONG_PX and not through


def _largest_about_the_middle(free: NDArray[np.bool_]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The largest rectangle of free cells that holds the middle one: half-open rows and columns."""
    middle = [size // 2 for size in free.shape]
    if not free[middle[0], middle[1]]:
        return None
    best, found = 0, None
    blocked = ~free
    for top in range(middle[0], -1, -1):
        if blocked[top, middle[1]]:
            break
        upper = blocked[top : middle[0] + 1].any(axis=0)
        for bottom in range(middle[0] + 1, free.shape[0] + 1):
            if blocked[bottom - 1, middle[1]]:
                break
            upper = upper | blocked[bottom - 1]
            left = np.flatnonzero(upper[: middle[1]])
            right = np.flatnonzero(upper[middle[1] :])
            low = int(left[-1]) + 1 if left.size else 0
            high = middle[1] + int(right[0]) if right.size else free.shape[1]
            if (bottom - top) * (high - low) > best:
                best, found = (bottom - top) * (high - low), ((top, bottom), (low, high))
    return found
