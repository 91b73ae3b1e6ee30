"""Concentric circles in a radiograph: their common centre by votes of the gradients, and their radii."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Circles", "concentric_circles", "reduced"]

Floats = NDArray[np.float64]
_LARGEST_PX = 256
_LEAST_SIDE = 8  # of the reduced image; in a narrower strip no circle is to be seen
_STRONGEST_SHARE = 0.35  # of all pixels vote: those with the steepest gradients
_CENTRES = 4
_RADII = 8
_LEAST_PART = 0.25  # of a circle's circumference that shows an edge


@dataclass(frozen=True, slots=True)
class Circles:
    """A centre (row, column) and radii, both in pixels of the whole image; `part` is how much of each circle is seen."""

    centre_px: tuple[float, float]
    radii_px: tuple[float, ...]
    part: tuple[float, ...]


def reduced(image: NDArray[np.float32], largest_px: int = _LARGEST_PX) -> tuple[Floats, int]:
    """Mean of square blocks so that the larger side has at most that many pixels, and the blocks' side.

    Examples
    --------
    >>> reduced(np.ones((600, 300), np.float32))[0].shape
    (200, 100)
    """
    factor = max(1, -(-max(image.shape) // largest_px))
    rows, columns = (size // factor for size in image.shape)
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float64), factor


def concentric_circles(image: NDArray[np.float32], ratio: float) -> list[Circles]:
    """Likely centres of concentric circles, best first.

    Every steep pixel votes for all points of the line along its gradient; straight edges spread their votes, circles of
    any radius and either sense agree on their centre. `ratio` is the pixel's row over its column spacing.
    """
    small, factor = reduced(image)
    if min(small.shape) < _LEAST_SIDE:
        return []
    small = ndimage.gaussian_filter(small, 1.0) - ndimage.gaussian_filter(small, 6.0)
    down, across = np.gradient(small)
    down = down / ratio
    # Against the usual gradient around it: the rim of the collimation must not outvote a faint ring.
    usual = np.sqrt(ndimage.gaussian_filter(down**2 + across**2, 10.0))
    usual = np.maximum(usual, 1e-12 + 0.02 * float(usual.max()))
    down, across = down / usual, across / usual
    size = np.hypot(down, across)
    steep = size > max(float(np.quantile(size, 1 - _STRONGEST_SHARE)), 1e-6)
    steep[:2], steep[-2:], steep[:, :2], steep[:, -2:] = False, False, False, False
    rows, columns = np.nonzero(steep)
    if rows.size < 50:
        return []
    unit_down, unit_across = down[steep] / size[steep], across[steep] / size[steep]
    furthest = int(0.75 * min(small.shape))
    votes = np.zeros(small.size)
    for distance in range(8, furthest, 2):
        for sign in (-1, 1):
            at_row = np.rint(rows + sign * distance * unit_down / ratio).astype(np.intp)
            at_column = np.rint(columns + sign * distance * unit_across).astype(np.intp)
            inside = (at_row >= 0) & (at_row < small.shape[0]) & (at_column >= 0) & (at_column < small.shape[1])
            votes += np.bincount(at_row[inside] * small.shape[1] + at_column[inside], minlength=small.size)
    # A circle's votes meet within a pixel or two; the broad rest is what any picture has.
    grid = votes.reshape(small.shape)
    score = ndimage.gaussian_filter(grid, 1.5) - ndimage.gaussian_filter(grid, 8.0)
    found = []
    for _ in range(_CENTRES):
        row, column = np.unravel_index(int(np.argmax(score)), score.shape)
        top = score[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        weight = np.clip(top - 0.5 * top.max(), 0.0, None)
        at = np.asarray(ndimage.center_of_mass(weight) if weight.sum() > 0 else (0.0, 0.0), dtype=np.float64)
        centre = (max(0, int(row) - 2) + float(at[0]), max(0, int(column) - 2) + float(at[1]))
        radii, parts = _radii(rows, columns, unit_down, unit_across, centre, furthest, ratio)
        if radii:
            middle = (factor - 1) / 2
            found.append(
                Circles(
                    (centre[0] * factor + middle, centre[1] * factor + middle),
                    tuple(factor * radius for radius in radii),
                    parts,
                )
            )
        score[max(0, row - 6) : row + 7, max(0, column - 6) : column + 7] = -np.inf
    return found


def _radii(
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    unit_down: Floats,
    unit_across: Floats,
    centre: tuple[float, float],
    furthest: int,
    ratio: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Radii (in column pixels) at which gradients point to or away from the centre along a good part of the circle."""
    right, below = columns - centre[1], (rows - centre[0]) * ratio
    radius = np.maximum(np.hypot(right, below), 1e-9)
    radial = np.abs((unit_across * right + unit_down * below) / radius) > 0.96
    sectors = ((np.arctan2(below, right) + np.pi) / (2 * np.pi) * 72).astype(np.intp) % 72
    table = np.zeros((furthest + 2, 72), dtype=bool)
    at = np.rint(radius).astype(np.intp)
    kept = radial & (at <= furthest)
    table[at[kept], sectors[kept]] = True
    part = (table[:-1] | table[1:]).mean(axis=1)
    peaks = [
        k for k in range(6, part.size - 1) if part[k] >= _LEAST_PART and part[k] == part[max(0, k - 2) : k + 3].max()
    ]
    peaks = sorted(peaks, key=lambda k: -part[k])[:_RADII]
    return tuple(k + 0.5 for k in peaks), tuple(float(part[k]) for k in peaks)
