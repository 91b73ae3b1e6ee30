"""Position of a module along the slices from the ends of its inserts: how much of each insert the last slices still hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.rois import disc_statistics
from dose_audit.phantom.definition import Feature
from dose_audit.phantom.locate.wires import lean_mm_per_mm
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.series import ImageSeries

__all__ = ["ColumnOrigin", "column_origin"]

Floats = NDArray[np.float64]
# Share of an insert's radius that is averaged, and how far it must stand out of what follows it along the axis.
_SHARE = 0.6
_STANDS_OUT_HU = 60.0
_OVER_NOISE = 6.0
# What lies beyond a module's end is taken over this length at most.
_BEYOND_MM = 12.0
# Joints between modules and the drawing's own lengths.
_DRAWING_MM = 0.3


@dataclass(frozen=True, slots=True)
class ColumnOrigin:
    """Position of the definition's z = 0 by the ends of the inserts, its standard uncertainty, and how many ends.

    ``slab_mm`` are the positions in the series of the ends themselves on the axis, `None` where the series does not show one.
    """

    z_mm: float
    uncertainty_mm: float
    ends: int
    slab_mm: tuple[float | None, float | None]


def _profile(series: ImageSeries, frames: NDArray[np.intp], pose: Pose, insert: Feature) -> tuple[Floats, Floats]:
    """Mean of the insert in each slice and that mean's noise."""
    means, noises = [], []
    for index in frames:
        place = pose.to_pixel(insert.x_mm, insert.y_mm, float(series.z_mm[index]))
        found = disc_statistics(series.image(int(index)), place, _SHARE * insert.size_mm[0] / 2, pose.spacing_mm)
        if found.mean is None or found.sd is None:
            return np.zeros(0), np.zeros(0)
        means.append(found.mean)
        # Noise is correlated over some pixels; a dozen of them is on the safe side.
        noises.append(found.sd * sqrt(min(1.0, 12.0 / max(found.pixels, 1))))
    return np.asarray(means), np.asarray(noises)


def _end(
    z: Floats, values: Floats, noise: Floats, middle_mm: float, expected_mm: float, reach_mm: float
) -> tuple[float, float] | None:
    """Where an insert ends on its way from the middle to beyond the expected end, and the statistical uncertainty."""
    sense = 1.0 if expected_mm > middle_mm else -1.0
    along, half = sense * (z - middle_mm), abs(expected_mm - middle_mm)
    order = np.argsort(along)
    along, values, noise = along[order], values[order], noise[order]
    inside = (along >= 0.0) & (along <= half - reach_mm)
    if not inside.any():
        inside = np.abs(along) == np.abs(along).min()
    beyond = (along >= half + reach_mm) & (along <= half + reach_mm + _BEYOND_MM)
    if not beyond.any():
        return None
    level, other = float(np.median(values[inside])), float(np.median(values[beyond]))
    usual = float(np.median(noise[inside]))
    if abs(level - other) < max(_STANDS_OUT_HU, _OVER_NOISE * usual):
        return None
    start, stop = int(np.flatnonzero(inside)[0]), int(np.flatnonzero(beyond)[0])
    part = (values[start : stop + 1] - other) / (level - other)
    part[0], part[-1] = 1.0, 0.0
    at = along[start : stop + 1]
    # The area under the share that is left: exact for contiguous slices of any profile, wherever the end falls.
    place = float(at[0] + np.trapezoid(part, at))
    step = float(np.max(np.diff(at)))
    spread = usual / abs(level - other) * step * sqrt(max(1.0, 2 * reach_mm / step))
    return middle_mm + sense * place, spread


def column_origin(
    series: ImageSeries, pose: Pose, inserts: Sequence[Feature], slab_mm: tuple[float, float]
) -> ColumnOrigin | None:
    """Position of z = 0 from where the inserts of one module begin and end.

    Parameters
    ----------
    series : ImageSeries
    pose : Pose
        Axis and roll; its origin within half a module of the truth.
    inserts : sequence of Feature
        Rods that run through the module.
    slab_mm : (float, float)
        Where the module begins and ends in the phantom's own frame.

    Returns
    -------
    ColumnOrigin or None
        `None` where the series shows neither end.

    Notes
    -----
    An end that falls into a slice takes its share from it. With the level inside and the one beyond known, the area under
    the share is the end's place; sampled every ``s`` mm through a slice of thickness ``T`` it is off by up to
    ``s/π |sinc(T/s)|``, nothing for contiguous slices and half the step for thin ones far apart.
    """
    z = series.z_mm
    low, high = sorted(pose.direction * one for one in slab_mm)
    length = high - low
    thickness = series.thickness_mm or series.step_mm or 0.0
    step = series.step_mm
    if step is None or step <= 0.0:
        return None
    lean_x, lean_y = lean_mm_per_mm(pose)
    frames = np.flatnonzero(np.abs(z - pose.origin_z_mm - 0.5 * (low + high)) <= length + _BEYOND_MM + thickness + step)
    found: dict[float, list[tuple[float, float]]] = {low: [], high: []}
    for insert in inserts:
        values, noise = _profile(series, frames, pose, insert)
        if values.size < 2:
            continue
        row, column = pose.to_pixel(insert.x_mm, insert.y_mm)
        x, y = (column - pose.centre_px[1]) * pose.spacing_mm[1], (row - pose.centre_px[0]) * pose.spacing_mm[0]
        lean = lean_x * x + lean_y * y
        slope = hypot(lean_x, lean_y) * _SHARE * insert.size_mm[0]
        reach = 0.5 * thickness + slope + 0.5
        middle = pose.origin_z_mm + 0.5 * (low + high) - lean
        for end in (low, high):
            seen = _end(z[frames], values, noise, middle, pose.origin_z_mm + end - lean, reach + 0.5 * step)
            if seen is not None:
                found[end].append((seen[0] + lean - end, seen[1]))
    ends = [(float(np.median([place for place, _ in own])), own) for own in found.values() if own]
    if not ends:
        return None
    wide = float(np.max(np.diff(z[frames]))) if frames.size > 1 else step
    sampling = wide / (pi * sqrt(2.0)) * abs(float(np.sinc(thickness / wide))) + 0.03 * max(thickness, wide)
    statistical = max(sqrt(float(np.mean([u * u for _, u in own])) / len(own)) for _, own in ends)
    spread = hypot(hypot(sampling, statistical), _DRAWING_MM) / sqrt(len(ends))
    places = [place for place, _ in ends]
    if len(places) == 2 and abs(places[0] - places[1]) > 2.0:
        # The two ends disagree about the module's length: neither is trusted beyond that.
        spread = max(spread, 0.5 * abs(places[0] - places[1]))
    slab = [float(np.median([place for place, _ in own])) + end if own else None for end, own in found.items()]
    return ColumnOrigin(float(np.mean(places)), spread, sum(len(own) for own in found.values()), (slab[0], slab[1]))
