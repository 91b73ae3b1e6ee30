"""The body of a round phantom in every slice: radial edges from inside outwards, a robust circle, and a straight axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.image_quality.circles import fit_circle
from dose_audit.phantom.workbench import Workbench

__all__ = ["Outline", "axis_line", "has_round_body", "outlines", "ring_profile"]

Floats = NDArray[np.float64]
_RAYS = 180
# Half way between air and plastic, in HU.
_BODY_HU = -500.0
# How far inside and outside of a circle body and air are seen, how far air lies below the body at least, and between which
# levels their middle may lie: a scale that is not calibrated moves it, padding outside the reconstructed field does not.
_INSIDE_MM, _OUTSIDE_MM = 2.5, 3.5
_PADDING_HU, _BELOW_BODY_HU = -1060.0, 300.0
_LEVELS_HU = (-750.0, -300.0)
_SMALLEST_RADIUS_MM = 25.0
_BAND_MM = 5.0
_AIR_MM = 5.0


@dataclass(frozen=True, slots=True)
class Outline:
    """The body in one slice; ``radius_mm`` is `None` where there is no round body or the image does not show its edge.

    ``cut`` says that there is a body whose edge the field of view, or something that touches it, may hide.
    """

    row: float
    column: float
    radius_mm: float | None
    residual_mm: float = 0.0
    seen: float = 0.0
    reason: str = ""
    cut: bool = False


def outlines(bench: Workbench) -> list[Outline]:
    """One outline for each frame; found once and kept."""
    return bench.once(
        "outlines", lambda: [_outline(bench.series.image(i), bench.spacing_mm) for i in range(len(bench.series.frames))]
    )


def has_round_body(image: NDArray[np.float32], spacing_mm: tuple[float, float]) -> bool:
    """Whether one image, in HU, shows a round body with its edge."""
    return _outline(image, spacing_mm).radius_mm is not None


def _start(image: NDArray[np.float32]) -> tuple[float, float] | None:
    """Centre of the largest body: the table and the padding outside the field are smaller or thinner."""
    small = image[::4, ::4]
    body = ndimage.binary_opening(small > _BODY_HU, iterations=2)
    labels, count = ndimage.label(body)
    if not count:
        return None
    sizes = ndimage.sum_labels(body, labels, np.arange(1, count + 1))
    largest = int(np.argmax(sizes)) + 1
    if sizes[largest - 1] < 60:
        return None
    # Filled, so that an empty phantom or a large air hole does not pull the centre.
    filled = ndimage.binary_fill_holes(labels == largest)
    row, column = ndimage.center_of_mass(filled)
    return 4.0 * row + 1.5, 4.0 * column + 1.5


def _outline(image: NDArray[np.float32], spacing_mm: tuple[float, float]) -> Outline:
    start = _start(image)
    if start is None:
        return Outline(0.0, 0.0, None, reason="no body in the slice")
    # Coarse on every second pixel, then fine in a narrow band about the circle that was found.
    coarse = (2 * spacing_mm[0], 2 * spacing_mm[1])
    row, column, seen = *start, 0.0
    band: tuple[float, float] | None = None
    fit = None
    for turn in range(2):
        if turn == 0:
            at_row, at_column, seen = _edges(image[::2, ::2], row / 2, column / 2, coarse, _RAYS // 2, None, _BODY_HU)
            at_row, at_column = 2 * at_row, 2 * at_column
        else:
            assert fit is not None and fit.radius is not None
            level = _level(image, (row, column), spacing_mm, fit.radius)
            at_row, at_column, seen = _edges(image, row, column, spacing_mm, _RAYS, band, level)
        if seen < 0.4:
            return Outline(row, column, None, seen=seen, reason="the body's edge lies outside the image", cut=True)
        fit = fit_circle(at_column * spacing_mm[1], at_row * spacing_mm[0], redundancy=2.0)
        if fit.radius is None or fit.x is None or fit.y is None or fit.residual is None:
            return Outline(row, column, None, seen=seen, reason=fit.reason)
        row, column = fit.y / spacing_mm[0], fit.x / spacing_mm[1]
        band = (fit.radius - _BAND_MM, fit.radius + _BAND_MM)
        if turn == 0 and fit.residual > 4.0:
            break
    assert fit is not None
    if fit.residual is None or fit.residual > 1.5 or fit.used.sum() < 0.4 * _RAYS * seen:
        return Outline(row, column, None, fit.residual or 0.0, seen, "the body is not round", cut=True)
    return Outline(row, column, fit.radius, fit.residual, seen)


def _level(
    image: NDArray[np.float32], centre: tuple[float, float], spacing_mm: tuple[float, float], radius_mm: float
) -> float:
    """Half way between what lies within the body's edge and the air beside it."""
    inside, outside = (
        float(np.median(ring_profile(image, centre, spacing_mm, radius_mm + away, half_width_mm=0.5, samples=_RAYS)))
        for away in (-_INSIDE_MM, _OUTSIDE_MM)
    )
    if not _PADDING_HU <= outside <= inside - _BELOW_BODY_HU:
        outside = -1000.0
    return float(np.clip(0.5 * (inside + outside), *_LEVELS_HU))


def _edges(
    image: NDArray[np.float32],
    row: float,
    column: float,
    spacing_mm: tuple[float, float],
    rays: int,
    band_mm: tuple[float, float] | None,
    level_hu: float,
) -> tuple[Floats, Floats, float]:
    """Where each ray last leaves the body on its way out, in pixels; sub-pixel by linear interpolation."""
    rows, columns = image.shape
    step = 0.5 * min(spacing_mm)
    low, high = band_mm or (_SMALLEST_RADIUS_MM, float(np.hypot(rows * spacing_mm[0], columns * spacing_mm[1])) / 1.4)
    radii = np.arange(low, high, step)
    # The outermost edge behind which the ray stays in air, within the image, for some millimetres: inserts, bubbles and a
    # thin table come before or after it.
    width = max(2, int((_AIR_MM if band_mm is None else 2.0) / step))
    if radii.size <= width:
        return np.empty(0), np.empty(0), 0.0
    angles = np.arange(rays) * (2 * np.pi / rays)
    at_row = row + radii * np.sin(angles)[:, None] / spacing_mm[0]
    at_column = column + radii * np.cos(angles)[:, None] / spacing_mm[1]
    inside = (at_row >= 0) & (at_row <= rows - 1) & (at_column >= 0) & (at_column <= columns - 1)
    values = ndimage.map_coordinates(image, [at_row, at_column], order=1, mode="nearest")
    body = (values > level_hu) & inside
    ahead = np.asarray(np.lib.stride_tricks.sliding_window_view(~body & inside, width, axis=1).all(axis=2))
    edge = ahead[:, 1:] & body[:, : ahead.shape[1] - 1]
    rays_found = np.flatnonzero(edge.any(axis=1))
    last = edge.shape[1] - 1 - np.argmax(edge[rays_found, ::-1], axis=1)
    high_value, low_value = values[rays_found, last], values[rays_found, last + 1]
    part = (high_value - level_hu) / np.maximum(high_value - low_value, 1e-6)
    radius = radii[last] + np.clip(part, 0, 1) * step
    found = angles[rays_found]
    return (
        row + radius * np.sin(found) / spacing_mm[0],
        column + radius * np.cos(found) / spacing_mm[1],
        rays_found.size / rays,
    )


def axis_line(positions_mm: Floats, values: Floats) -> tuple[float, float, NDArray[np.bool_]]:
    """Straight line through centres along the slices, robust against slices where something else was found.

    Returns
    -------
    intercept, slope : float
        Value at position 0 and its change per mm.
    used : ndarray of bool
        Which slices agree with the line.
    """
    used = np.ones(values.size, dtype=bool)
    slope, intercept = 0.0, float(np.median(values))
    for _ in range(5):
        if used.sum() >= 3 and np.ptp(positions_mm[used]) > 1e-6:
            slope, intercept = (float(one) for one in np.polyfit(positions_mm[used], values[used], 1))
        elif used.any():
            slope, intercept = 0.0, float(np.median(values[used]))
        residual = np.abs(values - (intercept + slope * positions_mm))
        limit = max(3.0 * 1.4826 * float(np.median(residual)), 0.3)
        new = residual <= limit
        if (new == used).all():
            break
        used = new
    return intercept, slope, used


def ring_profile(
    image: NDArray[np.float32],
    centre: tuple[float, float],
    spacing_mm: tuple[float, float],
    radius_mm: float,
    *,
    half_width_mm: float = 2.0,
    samples: int = 720,
) -> Floats:
    """Mean along radii around a circle, `samples` values clockwise from 3 o'clock; beyond the image the border's value."""
    angles = np.arange(samples) * (2 * np.pi / samples)
    step = max(0.5, 0.5 * min(spacing_mm))
    radii = radius_mm + np.arange(-half_width_mm, half_width_mm + 1e-9, step)
    at_row = centre[0] + radii[:, None] * np.sin(angles) / spacing_mm[0]
    at_column = centre[1] + radii[:, None] * np.cos(angles) / spacing_mm[1]
    values = ndimage.map_coordinates(image, [at_row, at_column], order=1, mode="nearest")
    return np.asarray(values.mean(axis=0), dtype=float)
