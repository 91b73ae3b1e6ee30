"""An image between its pixels: values at points, mean profiles along strips, turned rectangles as arrays of their own."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from dose_audit.image_quality.rois import Position, Spacing, as_floats, as_image, position_pair, spacing_pair

__all__ = ["most_samples", "rectangle_response", "sample_points", "sample_rectangle", "strip_profile"]

Floats = NDArray[np.float64]
_SPLINE_MARGIN = 12  # pixels after which the cubic spline's prefilter has forgotten the border (0.27 per pixel)


def sample_points(image: ArrayLike, rows: ArrayLike, columns: ArrayLike) -> Floats:
    """Cubic-spline values of the image at sub-pixel positions; beyond the border the border's value.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Non-finite pixels are replaced by the median of the neighbourhood that is read.
    rows, columns : array_like
        Positions in pixels, of one common shape.

    Returns
    -------
    ndarray
        Values at the positions, in their shape.

    Examples
    --------
    >>> grid = np.outer(np.ones(40), np.arange(40.0))
    >>> float(np.round(sample_points(grid, 20.0, 17.25), 6))
    17.25
    """
    array = as_image(image)
    if not array.size:
        raise ValueError("an image without pixels has no values")
    at_row, at_column = np.broadcast_arrays(np.asarray(rows, dtype=float), np.asarray(columns, dtype=float))
    shape, at_row, at_column = at_row.shape, np.atleast_1d(at_row), np.atleast_1d(at_column)
    window = (_span(at_row, array.shape[0]), _span(at_column, array.shape[1]))
    part = as_floats(array[window])
    broken = ~np.isfinite(part)
    if broken.any():
        part[broken] = float(np.median(part[~broken])) if not broken.all() else 0.0
    values = ndimage.map_coordinates(
        part, [at_row - window[0].start, at_column - window[1].start], order=3, mode="nearest"
    )
    return np.asarray(values, dtype=float).reshape(shape)


def strip_profile(
    image: ArrayLike,
    centre_px: Position,
    length_mm: float,
    width_mm: float,
    spacing_mm: Spacing,
    *,
    angle_deg: float = 0.0,
    step_mm: float | None = None,
) -> tuple[Floats, Floats]:
    """Mean profile along a strip of any direction.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    centre_px : (row, column)
        Centre of the strip.
    length_mm, width_mm : float
        Extent along and across the direction; the mean is taken across.
    spacing_mm : float or (row, column)
    angle_deg : float
        Direction of the profile.
    step_mm : float, optional
        Sampling distance; half the smaller spacing by default, more where the strip is many times as long as the image.

    Returns
    -------
    position_mm, mean : ndarray
        Distance from the strip's centre along the direction, and the mean across.

    Examples
    --------
    >>> grid = np.outer(np.ones(40), np.arange(40.0))
    >>> position, mean = strip_profile(grid, (20, 20), 4.0, 2.0, 1.0, step_mm=1.0)
    >>> [float(v) for v in np.round(mean, 6)]
    [18.0, 19.0, 20.0, 21.0, 22.0]
    """
    row_mm, column_mm = spacing_pair(spacing_mm)
    row, column = position_pair(centre_px)
    if length_mm <= 0 or width_mm < 0:
        raise ValueError("a strip has a positive length and a width")
    most = most_samples(as_image(image).shape)
    step = max(step_mm or 0.5 * min(row_mm, column_mm), length_mm / most)
    half = math.floor(0.5 * length_mm / step + 1e-9)
    along = step * np.arange(-half, half + 1)
    lines = min(max(1, round(width_mm / (0.5 * min(row_mm, column_mm)))), most)
    across = ((np.arange(lines) + 0.5) / lines - 0.5) * width_mm
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    right = cosine * along[None, :] - sine * across[:, None]
    down = sine * along[None, :] + cosine * across[:, None]
    values = sample_points(image, row + down / row_mm, column + right / column_mm)
    return np.asarray(along, dtype=float), np.asarray(values.mean(axis=0), dtype=float)


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
    return sample_points(image, *_cells(centre_px, size_mm, spacing_mm, angle_deg, counts))


def rectangle_response(
    frequency_per_mm: float,
    centre_px: Position,
    size_mm: tuple[float, float],
    spacing_mm: Spacing,
    *,
    angle_deg: float = 0.0,
    counts: tuple[int, int] | None = None,
) -> Floats:
    """What `sample_rectangle` leaves of the power of a sine along the rectangle's length, sample by sample.

    Parameters
    ----------
    frequency_per_mm : float
    centre_px, size_mm, spacing_mm, angle_deg, counts
        As `sample_rectangle`.

    Returns
    -------
    ndarray, shape (across, along)
        Squared response, 1 on the pixels themselves and at frequency 0, less between them near the Nyquist frequency.

    Notes
    -----
    A cubic spline through the pixels of a wave of u cycles a pixel is the wave times ``Σ w_k exp(2πikx)``, with
    ``w_k = sinc⁴(u + k) / Σ sinc⁴(u + j)``, along each axis (Unser, IEEE Signal Process. Mag. 16 (1999) 22).

    Examples
    --------
    >>> on_pixels = rectangle_response(0.4, (10.0, 10.0), (9.0, 9.0), 1.0, counts=(9, 9))
    >>> between = rectangle_response(0.4, (10.0, 10.5), (9.0, 9.0), 1.0, counts=(9, 9))
    >>> round(float(on_pixels.mean()), 3), round(float(between.mean()), 3)
    (1.0, 0.437)
    """
    row_mm, column_mm = spacing_pair(spacing_mm)
    rows, columns = _cells(centre_px, size_mm, spacing_mm, angle_deg, counts)
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    power = np.ones(rows.shape)
    for at, per_pixel in ((rows, frequency_per_mm * sine * row_mm), (columns, frequency_per_mm * cosine * column_mm)):
        order = np.arange(-4, 5)
        weights = np.sinc(per_pixel + order) ** 4
        power *= np.abs(np.exp(2j * math.pi * at[..., None] * order) @ (weights / weights.sum())) ** 2
    return power


def _cells(
    centre_px: Position,
    size_mm: tuple[float, float],
    spacing_mm: Spacing,
    angle_deg: float,
    counts: tuple[int, int] | None,
) -> tuple[Floats, Floats]:
    """Rows and columns of the middles of the cells of a rectangle."""
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
    return row + down / row_mm, column + right / column_mm


def most_samples(shape: tuple[int, ...]) -> int:
    """Samples along a line at which the line is longer than any that an image of this shape is worth."""
    return 4 * (max(shape) + 64)


def _span(at: Floats, size: int) -> slice:
    if not np.all(np.isfinite(at)):
        raise ValueError("positions must be finite")
    low = min(max(math.floor(at.min()) - _SPLINE_MARGIN, 0), size - 1)
    high = max(min(math.ceil(at.max()) + _SPLINE_MARGIN + 1, size), low + 1)
    return slice(low, high)
