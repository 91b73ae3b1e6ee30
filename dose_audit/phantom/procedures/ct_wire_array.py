"""Slice thickness in CT from arrays of wires at rising positions: each wire's height against its distance from the slice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.rois import strip_profile
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, box, plane_at, result
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["array_thickness"]

Floats = NDArray[np.float64]
_REACH_MM = 8.0
# The columns' middles, from the array's own, and the width over which a wire is averaged.
_COLUMNS_MM = (-5.0, 5.0)
_WIDTH_MM = 6.0
_STANDS_OUT = 4.0
_BIN_MM = 0.25


@dataclass(frozen=True, slots=True)
class _Heights:
    """Height of every wire in every slice: (slices, wires), the wires' places along the array, and the noise."""

    values: Floats
    along_mm: Floats
    noise: float


def _heights(bench: Workbench, pose: Pose, frames: list[int], array: Feature) -> _Heights:
    """Each wire over what lies midway to its neighbours in the same column."""
    pitch = float(array.extra["pitch_mm"])
    length = array.size_mm[1]
    places = np.arange(-round(length / 2 / pitch), round(length / 2 / pitch) + 1) * pitch
    # The array runs along the radius.
    along_deg = pose.angle_on_screen(float(np.degrees(np.arctan2(array.y_mm, array.x_mm))))
    radial = np.array([array.x_mm, array.y_mm]) / array.r_mm
    across = np.array([-radial[1], radial[0]])
    table, quiet = [], []
    for index in frames:
        columns = []
        for shift in _COLUMNS_MM:
            x, y = np.array([array.x_mm, array.y_mm]) + shift * across
            centre = pose.to_pixel(float(x), float(y), float(bench.series.z_mm[index]))
            at, values = strip_profile(
                bench.series.image(index), centre, length + 3 * pitch, _WIDTH_MM, pose.spacing_mm, angle_deg=along_deg
            )
            # The largest within a part of the pitch: the array may lie a little off its drawing.
            fine = np.stack([np.interp(places + d, at, values) for d in np.linspace(-0.3, 0.3, 7) * pitch])
            between = 0.5 * (np.interp(places - pitch, at, values) + np.interp(places + pitch, at, values))
            columns.append(fine.mean(axis=0) - between)
            quiet.append(np.median(np.abs(np.diff(values))))
        table.append(np.maximum(columns[0], columns[1]))
    return _Heights(np.stack(table), np.asarray(places, dtype=np.float64), float(np.median(quiet)))


def _width(away: Floats, heights: Floats, noise: float) -> tuple[float, float] | None:
    """Full width at half maximum of heights against distance, and how far they scatter about a common profile."""
    edges = np.arange(away.min(), away.max() + _BIN_MM, _BIN_MM)
    counts, _ = np.histogram(away, edges)
    sums, _ = np.histogram(away, edges, weights=heights)
    middle, there = 0.5 * (edges[1:] + edges[:-1]), counts > 0
    at, mean = middle[there], sums[there] / counts[there]
    if at.size < 5:
        return None
    top = float(np.mean(np.sort(mean)[-max(3, at.size // 8) :]))
    floor = float(np.median(np.sort(mean)[: max(3, at.size // 3)]))
    if top - floor < _STANDS_OUT * max(noise, 1e-6):
        return None
    half = 0.5 * (top + floor)
    above = np.flatnonzero(mean > half)
    first, last = int(above[0]), int(above[-1])
    if first == 0 or last == at.size - 1:
        return None
    low = np.interp(half, mean[first - 1 : first + 1], at[first - 1 : first + 1])
    high = np.interp(-half, -mean[last : last + 2], at[last : last + 2])
    scatter = float(np.sqrt(np.mean((heights - np.interp(away, at, mean)) ** 2))) / (top - floor)
    return float(high - low), scatter


def array_thickness(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Full width at half maximum of the wires' heights against their distance from the slice, over all slices near.

    In which direction the wires rise is not taken from the drawing: the sense in which all slices show one profile is.
    """
    title, z_mm = "Slice thickness", definition.module(measure.module).z_mm
    plane = plane_at(bench, pose, z_mm)
    if isinstance(plane, str):
        yield absent(measure.name, "mm", plane, measure, title=title)
        return
    frames = bench.frames_between(pose, z_mm - _REACH_MM, z_mm + _REACH_MM) or [plane.frame]
    z = bench.series.z_mm[frames]
    found, rois = [], []
    for array in definition.features_of(measure):
        seen = _heights(bench, pose, frames, array)
        rise = float(array.extra["step_mm"]) / float(array.extra["pitch_mm"])
        senses = []
        for sense in (1.0, -1.0):
            away = (z[:, None] - sense * rise * seen.along_mm[None, :]).ravel()
            width = _width(away, seen.values.ravel(), seen.noise)
            if width is not None:
                senses.append(width)
        outline = box(pose, array.x_mm, array.y_mm, array.size_mm[0], array.size_mm[1], 0.0, plane, array.id)
        rois.append(outline)
        name = f"{measure.name}.{array.id}"
        if senses:
            width_mm, scatter = min(senses, key=lambda one: one[1])
            one = Measured(name, width_mm, "mm", max(0.5 * _BIN_MM, width_mm * scatter / 4), method=_METHOD)
            if scatter > 0.25:
                one = one.doubt("the wires' heights follow no common profile")
        else:
            one = not_measurable(name, "mm", "no wires stand out of the noise, or the slice is wider than the array")
        found.append(one)
        yield result(one, measure, title=f"{title}: {array.id}", rois=[outline])
    usable = [one for one in found if one.value is not None and one.status == "ok"]
    if not usable:
        yield absent(measure.name, "mm", "; ".join(dict.fromkeys(one.reason for one in found)), measure, title=title)
        return
    values = [one.value for one in usable if one.value is not None]
    spread = max(max(one.uncertainty or 0.0 for one in usable) / len(usable) ** 0.5, float(np.ptp(values)) / 2)
    mean = Measured(measure.name, float(np.mean(values)), "mm", spread, method=_METHOD)
    if len(values) > 1 and np.ptp(values) > 0.3 * float(np.mean(values)):
        mean = mean.doubt(f"the arrays differ by {np.ptp(values):.2f} mm")
    yield result(mean, measure, title=title, rois=rois)
    nominal = bench.series.thickness_mm
    name = f"{measure.name}_error"
    if nominal is None or mean.value is None:
        yield absent(name, "mm", "no Slice Thickness in the header", measure, title=f"{title} against the nominal one")
        return
    error = Measured(
        name, mean.value - nominal, "mm", mean.uncertainty, mean.status, mean.reason, "less Slice Thickness"
    )
    yield result(error, measure, title=f"{title} against the nominal {nominal:g} mm")


_METHOD = "width at half maximum of the wires' heights against their distance from the slice"
