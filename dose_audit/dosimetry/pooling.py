"""CT images averaged to pixels of about 2 mm: a water-equivalent area is a sum, which averaging does not change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["METAL_HU", "POOLED_MM", "Pooled", "pool", "pooling_factor"]

POOLED_MM = 2.0
"""Pixels are averaged to at most this side."""
OUTSIDE_FOV_HU = -1500.0
METAL_HU = 3000.0

_AIR_HU = -1000.0
_LEAST_PIXELS = 96


@dataclass(frozen=True, slots=True)
class Pooled:
    """An image averaged to pixels of about 2 mm.

    Attributes
    ----------
    image_hu : ndarray of float32, shape (h, w)
        What lies outside the field of view is air.
    inside : ndarray of bool or None
        Field of view, where the object tells it by padding.
    row_mm, column_mm : float
        Pixel spacing after averaging.
    metal_mm2 : float
        Area above 3000 HU, counted before averaging.
    """

    image_hu: NDArray[np.float32]
    inside: NDArray[np.bool_] | None
    row_mm: float
    column_mm: float
    metal_mm2: float


def pooling_factor(rows: int, columns: int, pixel_mm: float) -> int:
    """How many pixels are averaged along a side: to at most 2 mm, and never to fewer than 96 pixels across."""
    return max(1, min(int(POOLED_MM / pixel_mm), min(rows, columns) // _LEAST_PIXELS))


def pool(
    stored: NDArray[np.floating] | NDArray[np.integer],
    row_mm: float,
    column_mm: float,
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
) -> Pooled:
    """Average an image to pixels of at most 2 mm, with what lies outside the field of view as air.

    Parameters
    ----------
    stored : ndarray, shape (H, W)
        Pixel values; ``slope * value + intercept`` is the CT number in HU.
    row_mm, column_mm : float
        Pixel spacing.
    slope, intercept : float
        Slope above 0.

    Returns
    -------
    Pooled
    """
    factor = pooling_factor(stored.shape[0], stored.shape[1], min(row_mm, column_mm))
    inside = None
    if not stored.min() * slope + intercept > OUTSIDE_FOV_HU:  # also NaN
        outside = ~(stored * np.float32(slope) + np.float32(intercept) > OUTSIDE_FOV_HU)
        stored = np.where(outside, np.float32((_AIR_HU - intercept) / slope), stored)
        inside = _averaged((~outside).astype(np.float32), factor, 0.0) > 0.99
    metal_mm2 = 0.0
    if stored.max() * slope + intercept > METAL_HU:
        metal_mm2 = float((stored > (METAL_HU - intercept) / slope).sum()) * row_mm * column_mm
    image_hu = _averaged(stored, factor, (_AIR_HU - intercept) / slope)
    if slope != 1:
        image_hu *= np.float32(slope)
    if intercept:
        image_hu += np.float32(intercept)
    return Pooled(image_hu, inside, factor * row_mm, factor * column_mm, metal_mm2)


def _averaged(image: NDArray[np.floating] | NDArray[np.integer], factor: int, beyond: float) -> NDArray[np.float32]:
    """Means over squares; a margin that fills no square is completed with `beyond`."""
    if factor == 1:
        return image.astype(np.float32)
    missing = [(0, -size % factor) for size in image.shape]
    if any(after for _, after in missing):
        image = np.pad(image, missing, constant_values=round(beyond))
    kind = _sum_type(image, factor**2)
    rows = np.add(image[::factor], image[1::factor], dtype=kind)
    for start in range(2, factor):
        rows += image[start::factor]
    total = rows[:, ::factor] + rows[:, 1::factor]
    for start in range(2, factor):
        total += rows[:, start::factor]
    return total * np.float32(1 / factor**2)


def _sum_type(image: NDArray[np.floating] | NDArray[np.integer], count: int) -> type[np.int16 | np.int32 | np.float32]:
    """The narrowest in which `count` pixels can be summed: a sum of 16-bit numbers takes a quarter of the time of floats."""
    if image.dtype.kind not in "iu" or image.dtype.itemsize > 2:
        return np.float32
    most = count * max(int(image.max()), -int(image.min()))
    return np.int16 if most <= np.iinfo(np.int16).max else np.int32
