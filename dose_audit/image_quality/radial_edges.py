"""Sub-pixel edges of round objects: the half-maximum crossing along rays from a centre, against the local levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from dose_audit.image_quality.rois import (
    Position,
    Spacing,
    as_image,
    position_pair,
    spacing_pair,
)
from dose_audit.image_quality.sampling import most_samples, sample_points

__all__ = ["RadialEdges", "radial_edges"]

Floats = NDArray[np.float64]
_SMOOTHING_DEG = 5.0


@dataclass(frozen=True, slots=True)
class RadialEdges:
    """Edge distance in every direction.

    Parameters
    ----------
    angle_deg : ndarray, shape (n,)
        Directions, clockwise from +x.
    radius_mm : ndarray, shape (n,)
        Distance of the half-maximum crossing from the centre; NaN where there is no edge.
    x_mm, y_mm : ndarray, shape (n,)
        The same points as offsets (right, down) from the image's pixel (0, 0).
    contrast : float
        Median difference inside minus outside.
    redundancy : float
        Neighbouring directions that share one independent error.
    """

    angle_deg: Floats
    radius_mm: Floats
    x_mm: Floats
    y_mm: Floats
    contrast: float
    redundancy: float

    @property
    def found(self) -> NDArray[np.bool_]:
        """Directions in which there is an edge."""
        return np.asarray(np.isfinite(self.radius_mm))


def radial_edges(
    image: ArrayLike,
    spacing_mm: Spacing,
    centre_px: Position,
    radius_mm: float,
    *,
    search_mm: float | None = None,
    directions: int = 360,
) -> RadialEdges:
    """Half-maximum edges of a round object along rays.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    centre_px : (row, column)
        Approximate centre.
    radius_mm : float
        Approximate radius.
    search_mm : float, optional
        Half-width of the search about `radius_mm`; 15 % of the radius, at least five pixels, by default.
    directions : int
        Number of rays.

    Returns
    -------
    RadialEdges
        In directions without an edge the radius is NaN, a plain array's way to say *absent*.

    Notes
    -----
    A first pass finds the edge of each ray as the steepest place of the polar image (smoothed over at most 5°) whose sense is
    that of the whole object; a second takes the level inside and outside next to that place, the median of neighbouring rays,
    and interpolates where the ray crosses their mean. The levels are local, so that a bias field or a cupped image shifts
    the threshold along with the edge.

    Examples
    --------
    >>> row, column = np.mgrid[:64, :64]
    >>> disc = np.clip(20.5 - np.hypot(row - 31.0, column - 32.0), 0, 1)
    >>> edges = radial_edges(disc, 1.0, (31, 32), 20.0)
    >>> bool(abs(np.nanmean(edges.radius_mm) - 20.0) < 0.02)
    True
    """
    array = as_image(image)
    row_mm, column_mm = spacing_pair(spacing_mm)
    row, column = position_pair(centre_px)
    if radius_mm <= 0:
        raise ValueError("a radius is positive")
    pixel = math.sqrt(row_mm * column_mm)
    half = search_mm if search_mm is not None else max(0.15 * radius_mm, 5 * pixel)
    step = 0.5 * min(row_mm, column_mm)
    depth = 4.0 * pixel  # how far from the edge the levels beside it are taken
    angle = np.asarray(np.arange(directions) * (360.0 / directions), dtype=float)
    # Beyond the image's farthest corner there is nothing to sample.
    far = math.hypot(
        max(abs(row), abs(array.shape[0] - row)) * row_mm, max(abs(column), abs(array.shape[1] - column)) * column_mm
    )
    nearest, farthest = max(radius_mm - half - depth, step), min(radius_mm + half, far) + depth
    step = max(step, (farthest - nearest) / most_samples(array.shape))
    distance = np.arange(nearest, farthest, step)
    if distance.size < 2 * round(depth / step) + 2 or not array.size:
        nothing = np.full(directions, np.nan)
        return RadialEdges(angle, nothing, nothing, nothing, 0.0, 1.0)
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    rows = row + sine[:, None] * distance / row_mm
    columns = column + cosine[:, None] * distance / column_mm
    outside = (rows < 0) | (rows > array.shape[0] - 1) | (columns < 0) | (columns > array.shape[1] - 1)
    polar = sample_points(array, rows, columns)
    # Rays closer together than a pixel on the edge carry the same pixels: their mean costs no sharpness.
    arc = 2 * math.pi * radius_mm / directions
    width = max(
        1, round(0.7 * pixel / arc), round(_SMOOTHING_DEG * directions / 360 * min(1.0, 15.0 * pixel / radius_mm))
    )
    smooth = ndimage.uniform_filter1d(polar, width, axis=0, mode="wrap")
    slope = ndimage.gaussian_filter1d(smooth, pixel / step, axis=1, order=1, mode="nearest")
    slope[outside] = 0.0
    rim = round(0.5 * depth / step)
    slope[:, :rim] = 0.0
    slope[:, -rim:] = 0.0
    sense = -1.0 if -np.median(slope.min(axis=1)) >= np.median(slope.max(axis=1)) else 1.0
    place = _follow(sense * slope)
    first, last = round(1.75 * pixel / step), round(depth / step)
    inner, outer = _levels(smooth, place, outside, first, last)
    window = max(3, 2 * round(10 * directions / 360) + 1)
    inner = ndimage.median_filter(inner, window, mode="wrap")
    # A receive field still changes between where the level is taken and the edge: carry its slope on, within reason.
    deep = _levels(smooth, place, outside, last, 2 * last - first)[0]
    slope_on = ndimage.median_filter(inner - deep, min(2 * window + 1, directions), mode="wrap")
    most = 0.05 * float(np.median(np.abs(inner - outer)))
    inner = inner + np.clip(slope_on * 0.5 * (first + last) / max(last - first, 1), -most, most)
    outer = ndimage.median_filter(outer, window, mode="wrap")
    contrast = inner - outer
    typical = float(np.median(contrast))
    radius = _crossings(smooth, distance, place, 0.5 * (inner + outer), round(2.5 * pixel / step), sense)
    gone = outside[np.arange(directions), np.minimum(place + round(2 * pixel / step), distance.size - 1)]
    weak = contrast * np.sign(typical) < 0.3 * abs(typical)
    radius[gone | weak | (typical == 0)] = np.nan
    return RadialEdges(
        angle,
        radius,
        column * column_mm + radius * cosine,
        row * row_mm + radius * sine,
        typical,
        max(float(width), pixel / arc),
    )


def _follow(strength: Floats) -> NDArray[np.intp]:
    """The steepest place of each ray, those near the neighbours' median preferred to slightly steeper ones elsewhere."""
    window = min(strength.shape[0], 61)
    expected = ndimage.median_filter(np.argmax(strength, axis=1).astype(float), window, mode="wrap")
    away = np.arange(strength.shape[1])[None, :] - expected[:, None]
    preference = 0.5 + 0.5 * np.exp(-0.5 * (away / (0.15 * strength.shape[1])) ** 2)
    return np.asarray(np.argmax(strength * preference, axis=1))


def _levels(
    smooth: Floats, place: NDArray[np.intp], outside: NDArray[np.bool_], gap: int, depth: int
) -> tuple[Floats, Floats]:
    """Mean level inside and outside the edge, between `gap` and `depth` samples away from it."""
    rays = np.arange(place.size)[:, None]
    offsets = np.arange(gap, max(depth, gap + 1) + 1)[None, :]
    inner = smooth[rays, np.clip(place[:, None] - offsets, 0, smooth.shape[1] - 1)].mean(axis=1)
    at = np.clip(place[:, None] + offsets, 0, smooth.shape[1] - 1)
    seen = ~outside[rays, at]
    total = np.where(seen, smooth[rays, at], 0.0).sum(axis=1)
    nearest = smooth[np.arange(place.size), np.clip(place + gap, 0, smooth.shape[1] - 1)]
    return inner, np.where(seen.any(axis=1), total / np.maximum(seen.sum(axis=1), 1), nearest)


def _crossings(
    smooth: Floats, distance: Floats, place: NDArray[np.intp], threshold: Floats, reach: int, sense: float
) -> Floats:
    """Where each ray crosses its threshold in the object's sense, nearest to the steepest place; NaN where it does not."""
    rays = np.arange(place.size)
    at = np.clip(place[:, None] + np.arange(-reach, reach + 1)[None, :], 0, smooth.shape[1] - 1)
    values = sense * (smooth[rays[:, None], at] - threshold[:, None])
    crossing = (values[:, :-1] < 0) & (values[:, 1:] >= 0) & (at[:, 1:] > at[:, :-1])
    cost = np.where(crossing, np.abs(np.arange(2 * reach) - (reach - 0.5)), np.inf)
    first = np.argmin(cost, axis=1)
    low, high = values[rays, first], values[rays, first + 1]
    fraction = np.where(high > low, -low / np.where(high > low, high - low, 1.0), 0.0)
    radius = distance[at[rays, first]] + fraction * float(distance[1] - distance[0])
    return np.where(np.isfinite(cost[rays, first]), radius, np.nan)
