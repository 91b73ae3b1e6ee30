"""Position along the slices from small beads on the phantom's surface: which slices hold how much of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.locate.columns import ColumnOrigin
from dose_audit.phantom.locate.wires import lean_mm_per_mm
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.series import ImageSeries

__all__ = ["MarkerOrigin", "marked_slices", "marker_origin"]

Floats = NDArray[np.float64]
_WITHIN_MM = 3.0
_ALONG_MM = 9.0
_STANDS_OUT = 8.0
_STEP_MM = 0.02
# What the model of a bead leaves unexplained, as a share of its height: the slice's profile is not quite a rectangle.
_MODEL = 0.1
# A bead in a slice without neighbours: how far beside it on the same circle no bead is, and by how much more than those places
# differ among themselves it must rise over them.
_BESIDE_DEG = (-32.0, -24.0, -16.0, 16.0, 24.0, 32.0)
_OVER_BESIDE, _LEAST_RISE_HU = 3.0, 100.0
# Beads are pressed in by hand.
_PLACED_MM = 0.2


@dataclass(frozen=True, slots=True)
class MarkerOrigin:
    """Position of the definition's z = 0, its standard uncertainty, the beads that tell it, and how far they are apart.

    ``apart_mm`` is the distance between what the beads say and what the module's ends say, where both were given.
    """

    z_mm: float
    uncertainty_mm: float
    count: int
    apart_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class _Bead:
    """One bead's height in the slices about it, by their distance from where it is expected."""

    away_mm: Floats
    heights: Floats
    noise: float
    size_mm: float


def _seen(series: ImageSeries, pose: Pose, marker: Feature, expected_mm: float) -> _Bead | None:
    """Heights over the same place's usual value, at the pixel where the bead is brightest."""
    reach = _ALONG_MM + (series.thickness_mm or series.step_mm or 0.0)
    frames = np.flatnonzero(np.abs(series.z_mm - expected_mm) <= reach)
    if frames.size < 3:
        return None
    row, column = pose.to_pixel(marker.x_mm, marker.y_mm, expected_mm)
    half = [ceil(_WITHIN_MM / step) for step in pose.spacing_mm]
    top, left = round(row) - half[0], round(column) - half[1]
    bottom, right = top + 2 * half[0] + 1, left + 2 * half[1] + 1
    if top < 0 or left < 0 or bottom > series.shape[0] or right > series.shape[1]:
        return None
    part = np.asarray(series.volume[frames, top:bottom, left:right], dtype=float)
    rise = part - np.median(part, axis=0)
    noise = 1.4826 * float(np.median(np.abs(rise))) or 1.0
    index, at_row, at_column = np.unravel_index(int(np.argmax(rise)), rise.shape)
    heights = rise[:, at_row, at_column]
    if heights[index] < _STANDS_OUT * noise or index in (0, frames.size - 1):
        return None
    return _Bead(series.z_mm[frames] - expected_mm, heights, noise, marker.size_mm[0])


def _misfit(bead: _Bead, shifts: Floats, thickness_mm: float) -> Floats:
    """Chi-square of a bead that lies at each of the shifts: its share of every slice, with the best height for it."""
    away = bead.away_mm[None, :] - shifts[:, None]
    wide, thin = max(thickness_mm, bead.size_mm), min(thickness_mm, bead.size_mm)
    share = np.clip((0.5 * (wide + thin) - np.abs(away)) / max(thin, 0.05), 0.0, 1.0)
    weight = (share**2).sum(axis=1)
    height = (share * bead.heights).sum(axis=1) / np.maximum(weight, 1e-9)
    sigma = np.hypot(bead.noise, _MODEL * float(bead.heights.max()))
    misfit = ((bead.heights - np.maximum(height, 0.0)[:, None] * share) ** 2).sum(axis=1)
    return np.asarray(misfit / sigma**2)


def marker_origin(
    series: ImageSeries,
    pose: Pose,
    definition: Definition,
    markers: Sequence[Feature],
    columns: ColumnOrigin | None = None,
) -> MarkerOrigin | None:
    """Position of z = 0 from all beads that are seen and the module's ends together, freed of the tilt that the pose tells.

    Parameters
    ----------
    columns : ColumnOrigin, optional
        What the ends of the inserts say.

    Returns
    -------
    MarkerOrigin or None
        `None` where fewer than two beads are seen.

    Notes
    -----
    A bead of diameter d in slices of thickness T contributes to each the share of it that the slice holds, a trapezoid in
    the distance. Chi-square of all beads and the module's ends is summed over a grid of positions; where a bead lies
    whole in one slice it has a flat floor, whose width is the uncertainty that remains.
    """
    lean_x, lean_y = lean_mm_per_mm(pose)
    thickness = series.thickness_mm or series.step_mm or 1.0
    reach = max(4.0, thickness, series.step_mm or 0.0)
    shifts = np.arange(-reach, reach + _STEP_MM / 2, _STEP_MM)
    beads = []
    for marker in markers:
        row, column = pose.to_pixel(marker.x_mm, marker.y_mm)
        x, y = (column - pose.centre_px[1]) * pose.spacing_mm[1], (row - pose.centre_px[0]) * pose.spacing_mm[0]
        offset = pose.direction * definition.module(marker.module).z_mm - (lean_x * x + lean_y * y)
        bead = _seen(series, pose, marker, pose.origin_z_mm + offset)
        if bead is not None:
            beads.append(_misfit(bead, shifts, thickness))
    if len(beads) < 2:
        return None
    # A bead that was taken for something else cannot pull the others: beyond a limit its misfit tells no more.
    floors = np.stack([one - one.min() for one in beads])
    total = np.minimum(floors, 25.0).sum(axis=0)
    count = int((floors[:, int(np.argmin(total))] < 9.0).sum())
    if count < 2:
        return None
    alone, _ = _centre(shifts, total)
    apart = 0.0
    if columns is not None:
        by_ends = columns.z_mm - pose.origin_z_mm
        apart = _distance(shifts, total, by_ends)
        total = total + ((shifts - by_ends) / max(columns.uncertainty_mm, 0.05)) ** 2
        if apart > 3.0 * columns.uncertainty_mm + _PLACED_MM:
            return MarkerOrigin(pose.origin_z_mm + alone, apart, count, apart)
    place, spread = _centre(shifts, total)
    return MarkerOrigin(pose.origin_z_mm + place, sqrt(spread**2 + _PLACED_MM**2 / count), count, apart)


def marked_slices(
    series: ImageSeries, pose: Pose, definition: Definition, markers: Sequence[Feature]
) -> MarkerOrigin | None:
    """Position of z = 0 from single slices far apart, one to a module: where beads are seen, their plane lies in the slice.

    Notes
    -----
    Two beads or more must be seen in a slice. Each such slice allows positions over its own thickness; what all of them
    allow is left, as evenly likely.
    """
    thickness = series.thickness_mm or 0.0
    low, high, count = -np.inf, np.inf, 0
    for module in (one for one in definition.modules if any(marker.module == one.id for marker in markers)):
        index = series.nearest(pose.z_in_series(module.z_mm))
        z_mm = float(series.z_mm[index])
        own = [one for one in markers if one.module == module.id]
        if abs(z_mm - pose.z_in_series(module.z_mm)) > module.half_length_mm + thickness:
            continue
        there = sum(_stands_out(series, pose, one, index) for one in own)
        if there >= 2:
            half = 0.5 * (thickness + own[0].size_mm[0])
            low, high = (
                max(low, z_mm - pose.direction * module.z_mm - half),
                min(high, z_mm - pose.direction * module.z_mm + half),
            )
            count += there
    if count == 0 or low >= high:
        return None
    return MarkerOrigin(0.5 * (low + high), (high - low) / sqrt(12.0), count)


def _stands_out(series: ImageSeries, pose: Pose, marker: Feature, index: int) -> bool:
    """Whether a bead's place is brighter than others at the same distance from the axis."""
    z_mm, image = float(series.z_mm[index]), series.image(index)
    heights = []
    for turn in (0.0, *_BESIDE_DEG):
        x, y = (
            marker.x_mm * cos(radians(turn)) - marker.y_mm * sin(radians(turn)),
            marker.x_mm * sin(radians(turn)) + marker.y_mm * cos(radians(turn)),
        )
        row, column = pose.to_pixel(x, y, z_mm)
        half = [ceil(_WITHIN_MM / step) for step in pose.spacing_mm]
        top, left = round(row) - half[0], round(column) - half[1]
        part = image[max(top, 0) : top + 2 * half[0] + 1, max(left, 0) : left + 2 * half[1] + 1]
        if top < 0 or left < 0 or part.shape != (2 * half[0] + 1, 2 * half[1] + 1):
            return False
        heights.append(float(part.max()))
    beside = np.array(heights[1:])
    usual = float(np.median(beside))
    return heights[0] - usual > max(_LEAST_RISE_HU, _OVER_BESIDE * float(np.ptp(beside)))


def _centre(shifts: Floats, misfit: Floats) -> tuple[float, float]:
    """Mean and standard deviation of the position under exp(-χ²/2)."""
    weight = np.exp(-0.5 * (misfit - misfit.min()))
    weight /= weight.sum()
    mean = float((weight * shifts).sum())
    return mean, sqrt(max(float((weight * (shifts - mean) ** 2).sum()), _STEP_MM**2 / 12))


def _distance(shifts: Floats, misfit: Floats, place: float) -> float:
    """How far a place is from the positions that the beads allow."""
    allowed = shifts[misfit - misfit.min() <= 4.0]
    if allowed[0] <= place <= allowed[-1]:
        return 0.0
    return float(np.abs(allowed - place).min())
