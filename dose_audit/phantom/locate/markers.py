"""Position along the slices from small beads on the phantom's surface, each by the slices in which it lights up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.locate.wires import lean_mm_per_mm
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.series import ImageSeries

__all__ = ["MarkerOrigin", "marker_origin"]

_WITHIN_MM = 3.0
_ALONG_MM = 9.0
_STANDS_OUT = 8.0


@dataclass(frozen=True, slots=True)
class MarkerOrigin:
    """Position of the definition's z = 0 by the beads found, and how far they agree."""

    z_mm: float
    count: int
    spread_mm: float


def _seen_at(series: ImageSeries, pose: Pose, marker: Feature, expected_mm: float) -> float | None:
    """Position of one bead: centroid over the slices of what rises over the same place's usual value."""
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
    lit = heights > 0.25 * heights[index]
    first = last = int(index)
    while first > 0 and lit[first - 1]:
        first -= 1
    while last < frames.size - 1 and lit[last + 1]:
        last += 1
    weights = heights[first : last + 1]
    return float((series.z_mm[frames[first : last + 1]] * weights).sum() / weights.sum())


def marker_origin(
    series: ImageSeries, pose: Pose, definition: Definition, markers: Sequence[Feature]
) -> MarkerOrigin | None:
    """Position of z = 0 from all beads that are seen, freed of the tilt that the pose tells.

    Returns
    -------
    MarkerOrigin or None
        `None` where fewer than two beads are seen or they disagree by more than the slices' width.
    """
    lean_x, lean_y = lean_mm_per_mm(pose)
    origins = []
    for marker in markers:
        row, column = pose.to_pixel(marker.x_mm, marker.y_mm)
        x, y = (column - pose.centre_px[1]) * pose.spacing_mm[1], (row - pose.centre_px[0]) * pose.spacing_mm[0]
        offset = pose.direction * definition.module(marker.module).z_mm - (lean_x * x + lean_y * y)
        seen = _seen_at(series, pose, marker, pose.origin_z_mm + offset)
        if seen is not None:
            origins.append(seen - offset)
    if len(origins) < 2:
        return None
    middle = float(np.median(origins))
    width = max(series.thickness_mm or 0.0, series.step_mm or 0.0, 1.0)
    agreeing = [one for one in origins if abs(one - middle) <= width]
    if len(agreeing) < 2:
        return None
    return MarkerOrigin(float(np.mean(agreeing)), len(agreeing), float(np.ptp(agreeing)))
