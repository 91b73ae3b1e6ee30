"""A turned rectangle of an image as an array of its own: what bar groups and plates are read from."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.image_quality.rois import Position, Spacing, position_pair, sample_points, spacing_pair

__all__ = ["sample_rectangle"]

Floats = NDArray[np.float64]


def sample_rectangle(
    image: ArrayLike,
    centre_px: Position,
    size_mm: tuple[float, float],
    spacing_mm: Spacing,
    *,
    angle_deg: float = 0.0,
    counts: tuple[int, int] | None = None,
) -> Floats:
    """Samples in equal cells that fill a rectangle to its rim.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    centre_px : (row, column)
    size_mm : (length along the angle, width across it)
    spacing_mm : float or (row, column)
    angle_deg : float
        Direction of the length.
    counts : (along, across), optional
        Number of samples; by default as many as keep them no farther apart than the smaller spacing, at least three.

    Returns
    -------
    ndarray, shape (across, along)
        Cubic-spline values at the cells' middles. A rectangle that lies along the pixels and is a whole number of them
        is read on their own grid as far as rounding allows.

    Examples
    --------
    >>> grid = np.outer(np.ones(40), np.arange(40.0))
    >>> np.round(sample_rectangle(grid, (20, 20), (4.0, 3.0), 1.0)[0], 6).tolist()
    [18.5, 19.5, 20.5, 21.5]
    """
    row_mm, column_mm = spacing_pair(spacing_mm)
    row, column = position_pair(centre_px)
    if min(size_mm) <= 0:
        raise ValueError(f"a rectangle has two positive sides, not {size_mm!r}")
    fine = min(row_mm, column_mm)
    numbers = counts or tuple(max(3, math.ceil(length / fine - 1e-9)) for length in size_mm)
    along, across = (((np.arange(n) + 0.5) / n - 0.5) * length for n, length in zip(numbers, size_mm, strict=True))
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    right = along[None, :] * cosine - across[:, None] * sine
    down = along[None, :] * sine + across[:, None] * cosine
    return sample_points(image, row + down / row_mm, column + right / column_mm)
