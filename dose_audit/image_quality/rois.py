"""Regions of interest in millimetres: discs, rectangles, annuli and strips with sub-pixel centres on any pixel shape.

Every position of this room is ``(row, column)`` in pixels, the centre of the first pixel being ``(0, 0)``; every length is
in millimetres; every angle is in degrees from the image's +x axis, clockwise on the screen (rows grow downwards).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.image_quality.correlation import correlation_areas

__all__ = [
    "RoiStatistics",
    "annulus_mask",
    "annulus_statistics",
    "disc_mask",
    "disc_statistics",
    "mask_statistics",
    "offset_position",
    "polar_position",
    "rectangle_mask",
    "rectangle_statistics",
]

Spacing = float | Sequence[float] | NDArray[np.float64]
Position = Sequence[float] | NDArray[np.float64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Window = tuple[slice, slice]
_MOST, _LEAST = 1e30, 1e-30  # see `as_floats`


@dataclass(frozen=True, slots=True)
class RoiStatistics:
    """First statistics of the finite pixels of a region.

    Parameters
    ----------
    pixels : int
        Number of finite pixels; with none, all other fields are ``None``.
    mean, sd, median, minimum, maximum : float or None
        Sample statistics in the image's unit; `sd` with ``n - 1``, ``None`` below two pixels.
    correlation_area : float or None
        Pixels that share one independent noise value when means are formed; ``1`` for white noise.
    correlation_area_squared : float or None
        The same for variances.
    """

    pixels: int
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    correlation_area: float | None = None
    correlation_area_squared: float | None = None

    @property
    def mean_uncertainty(self) -> float | None:
        """Standard uncertainty of the mean, with the noise's correlation."""
        if self.sd is None or self.correlation_area is None:
            return None
        return self.sd * math.sqrt(min(self.correlation_area / self.pixels, 1.0))

    @property
    def sd_uncertainty(self) -> float | None:
        """Standard uncertainty of the standard deviation, with the noise's correlation."""
        if self.sd is None or self.correlation_area_squared is None:
            return None
        return self.sd * math.sqrt(min(self.correlation_area_squared / (2.0 * max(self.pixels - 1, 1)), 1.0))


def as_image(image: ArrayLike) -> NDArray[np.generic]:
    """`image` as a two-dimensional numeric array; anything else is the caller's error."""
    array = np.asarray(image)
    if array.ndim != 2:
        raise ValueError(f"an image has two dimensions, not {array.ndim}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"an image is made of real numbers, not {array.dtype}")
    return array


def as_floats(pixels: ArrayLike) -> Floats:
    """Pixels as numbers of 64 bits; those beyond all measure are not numbers, and those below it are 0.

    Powers of pixel values must be numbers; no detector gives more than 10³⁰ or less than 10⁻³⁰ of its unit.

    Examples
    --------
    >>> as_floats([[1, 2]]).tolist(), as_floats([1.0, 1e200, -np.inf]).tolist()
    ([[1.0, 2.0]], [1.0, nan, nan])
    """
    given = np.asarray(pixels)
    values = np.array(given, dtype=np.float64)
    if given.dtype.kind != "f" or not values.size:
        return values
    low, high = values.min(), values.max()
    if not (low >= -_MOST and high <= _MOST):
        values[~(np.abs(values) <= _MOST)] = np.nan
        low, high = np.nanmin(values, initial=0.0), np.nanmax(values, initial=0.0)
    if low > -_LEAST and high < _LEAST:
        values[np.isfinite(values)] = 0.0
    return values


def spacing_pair(spacing_mm: Spacing) -> tuple[float, float]:
    """Row and column spacing (the order of *Pixel Spacing*) from one number or two."""
    values = np.atleast_1d(np.asarray(spacing_mm, dtype=float))
    if values.shape not in ((1,), (2,)) or not np.all(np.isfinite(values)) or np.any(values <= 0):
        raise ValueError(f"spacing is one or two positive lengths in mm, not {spacing_mm!r}")
    return float(values[0]), float(values[-1])


def position_pair(position_px: Position) -> tuple[float, float]:
    """Row and column of a position, both finite."""
    values = np.asarray(position_px, dtype=float)
    if values.shape != (2,) or not np.all(np.isfinite(values)):
        raise ValueError(f"a position is (row, column) in pixels, not {position_px!r}")
    return float(values[0]), float(values[1])


def offset_position(
    centre_px: Position, right_mm: float, down_mm: float, spacing_mm: Spacing, *, roll_deg: float = 0.0
) -> tuple[float, float]:
    """Position at an offset given in the phantom's axes, turned by the phantom's roll.

    Parameters
    ----------
    centre_px : (row, column)
        Origin of the offset, in pixels.
    right_mm, down_mm : float
        Offset along the phantom's x (right) and y (down) axis.
    spacing_mm : float or (row, column)
        Pixel spacing.
    roll_deg : float
        Roll of the phantom, clockwise on the screen.

    Returns
    -------
    (row, column) : tuple of float

    Examples
    --------
    >>> offset_position((100, 100), 20.0, 5.0, (0.5, 1.0))
    (110.0, 120.0)
    """
    row_mm, column_mm = spacing_pair(spacing_mm)
    row, column = position_pair(centre_px)
    cosine, sine = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    right, down = cosine * right_mm - sine * down_mm, sine * right_mm + cosine * down_mm
    return row + down / row_mm, column + right / column_mm


def polar_position(centre_px: Position, radius_mm: float, angle_deg: float, spacing_mm: Spacing) -> tuple[float, float]:
    """Position at `radius_mm` and `angle_deg` (0 = 3 o'clock, 90 = 6 o'clock) from `centre_px`.

    Examples
    --------
    >>> row, column = polar_position((0, 0), 10.0, 90.0, 0.5)
    >>> round(row, 6), round(column, 6)
    (20.0, 0.0)
    """
    return offset_position(centre_px, radius_mm, 0.0, spacing_mm, roll_deg=angle_deg)


def disc_mask(shape: tuple[int, int], centre_px: Position, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Pixels whose centres lie within `radius_mm` of `centre_px`.

    Examples
    --------
    >>> int(disc_mask((41, 41), (20, 20), 10.0, 1.0).sum())
    317
    """
    return annulus_mask(shape, centre_px, 0.0, radius_mm, spacing_mm)


def annulus_mask(
    shape: tuple[int, int], centre_px: Position, inner_mm: float, outer_mm: float, spacing_mm: Spacing
) -> Mask:
    """Pixels whose centres lie between two radii, both included."""
    mask = np.zeros(shape, dtype=bool)
    window, inside = annulus_window(shape, centre_px, inner_mm, outer_mm, spacing_mm)
    mask[window] = inside
    return mask


def rectangle_mask(
    shape: tuple[int, int],
    centre_px: Position,
    size_mm: Sequence[float],
    spacing_mm: Spacing,
    *,
    angle_deg: float = 0.0,
) -> Mask:
    """Pixels whose centres lie in a rectangle.

    Parameters
    ----------
    shape : (rows, columns)
        Shape of the image.
    centre_px : (row, column)
        Centre in pixels; need not lie on a pixel, nor in the image.
    size_mm : (length along the angle, width across it)
        With ``angle_deg=0`` the width and the height as seen on the screen.
    spacing_mm : float or (row, column)
        Pixel spacing.
    angle_deg : float
        Direction of the length.

    Returns
    -------
    ndarray of bool, shape `shape`

    Examples
    --------
    >>> int(rectangle_mask((20, 20), (9.5, 9.5), (8.0, 4.0), (1.0, 2.0)).sum())
    16
    """
    mask = np.zeros(shape, dtype=bool)
    window, inside = _rectangle(shape, centre_px, size_mm, spacing_mm, angle_deg)
    mask[window] = inside
    return mask


def disc_statistics(image: ArrayLike, centre_px: Position, radius_mm: float, spacing_mm: Spacing) -> RoiStatistics:
    """Statistics of a disc; only the pixels around it are touched.

    Examples
    --------
    >>> disc_statistics([[1.0, 2.0], [3.0, 4.0]], (0.5, 0.5), 2.0, 1.0).mean
    2.5
    """
    array = as_image(image)
    return _statistics(array, *annulus_window(array.shape, centre_px, 0.0, radius_mm, spacing_mm))


def annulus_statistics(
    image: ArrayLike, centre_px: Position, inner_mm: float, outer_mm: float, spacing_mm: Spacing
) -> RoiStatistics:
    """Statistics of an annulus, see `annulus_mask`."""
    array = as_image(image)
    return _statistics(array, *annulus_window(array.shape, centre_px, inner_mm, outer_mm, spacing_mm))


def rectangle_statistics(
    image: ArrayLike, centre_px: Position, size_mm: Sequence[float], spacing_mm: Spacing, *, angle_deg: float = 0.0
) -> RoiStatistics:
    """Statistics of a rectangle, see `rectangle_mask`."""
    array = as_image(image)
    return _statistics(array, *_rectangle(array.shape, centre_px, size_mm, spacing_mm, angle_deg))


def mask_statistics(image: ArrayLike, mask: ArrayLike) -> RoiStatistics:
    """Statistics of the pixels of any mask of the image's shape."""
    array = as_image(image)
    chosen = np.asarray(mask, dtype=bool)
    if chosen.shape != array.shape:
        raise ValueError(f"mask {chosen.shape} and image {array.shape} differ in shape")
    rows, columns = np.flatnonzero(chosen.any(axis=1)), np.flatnonzero(chosen.any(axis=0))
    if not rows.size:
        return RoiStatistics(0)
    window = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    return _statistics(array, window, chosen[window])


def _box(
    shape: tuple[int, ...], centre_px: Position, half_mm: tuple[float, float], spacing: tuple[float, float]
) -> Window:
    row, column = position_pair(centre_px)
    spans = []
    for at, half, step, size in zip((row, column), half_mm, spacing, shape, strict=True):
        low = min(max(math.ceil(at - half / step - 1e-9), 0), size)
        high = min(max(math.floor(at + half / step + 1e-9) + 1, low), size)
        spans.append(slice(low, high))
    return spans[0], spans[1]


def annulus_window(
    shape: tuple[int, ...], centre_px: Position, inner_mm: float, outer_mm: float, spacing_mm: Spacing
) -> tuple[Window, Mask]:
    """The part of an image that holds an annulus, and which of its pixels lie in it."""
    if not 0 <= inner_mm <= outer_mm:
        raise ValueError(f"radii must satisfy 0 <= inner <= outer, not {inner_mm}, {outer_mm}")
    spacing = spacing_pair(spacing_mm)
    window = _box(shape, centre_px, (outer_mm, outer_mm), spacing)
    row, column = position_pair(centre_px)
    down = (np.arange(window[0].start, window[0].stop) - row) * spacing[0]
    right = (np.arange(window[1].start, window[1].stop) - column) * spacing[1]
    squared = down[:, None] ** 2 + right[None, :] ** 2
    inside = squared <= outer_mm**2 * (1 + 1e-12)
    if inner_mm > 0:
        inside &= squared >= inner_mm**2 * (1 - 1e-12)
    return window, inside


def _rectangle(
    shape: tuple[int, ...], centre_px: Position, size_mm: Sequence[float], spacing_mm: Spacing, angle_deg: float
) -> tuple[Window, Mask]:
    length, width = (float(v) for v in size_mm)
    if length <= 0 or width <= 0:
        raise ValueError(f"a rectangle has two positive sides, not {size_mm!r}")
    spacing = spacing_pair(spacing_mm)
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    half_down = 0.5 * (abs(sine) * length + abs(cosine) * width)
    half_right = 0.5 * (abs(cosine) * length + abs(sine) * width)
    window = _box(shape, centre_px, (half_down, half_right), spacing)
    row, column = position_pair(centre_px)
    down = (np.arange(window[0].start, window[0].stop) - row)[:, None] * spacing[0]
    right = (np.arange(window[1].start, window[1].stop) - column)[None, :] * spacing[1]
    # Half-open on the far side, so that neighbouring rectangles share no pixel.
    along, across = cosine * right + sine * down, cosine * down - sine * right
    tiny = 1e-9 * (length + width)
    inside = (along >= -0.5 * length - tiny) & (along < 0.5 * length - tiny)
    return window, inside & (across >= -0.5 * width - tiny) & (across < 0.5 * width - tiny)


def _statistics(array: NDArray[np.generic], window: Window, inside: Mask) -> RoiStatistics:
    part = as_floats(array[window])
    chosen = inside & np.isfinite(part)
    values = part[chosen]
    if not values.size:
        return RoiStatistics(0)
    mean = float(values.mean())
    sd = float(values.std(ddof=1)) if values.size > 1 else None
    area, area_squared = correlation_areas(part, chosen) if values.size >= 25 else (1.0, 1.0)
    return RoiStatistics(
        int(values.size),
        mean,
        sd,
        float(np.median(values)),
        float(values.min()),
        float(values.max()),
        area,
        area_squared,
    )
