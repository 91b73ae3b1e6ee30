"""Slice thickness in CT from arrays of wires at rising positions: each wire's height against its distance from the slice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.sampling import strip_profile
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.locate.wires import lean_mm_per_mm
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
# Profiles that are tried: rectangular through wires of two heights, and Gaussian. What they differ by is not known better.
_PROFILES = (("rect", 0.3), ("rect", 0.6), ("gauss", 0.3))
_WIDTHS_MM = np.geomspace(0.35, 12.0, 72)
_PLACES_MM = np.arange(-3.0, 3.01, 0.1)
# Profiles that leave not much more unexplained than the best one are as likely.
_AS_GOOD = 1.3
_EXPLAINED, _WELL_EXPLAINED = 0.25, 0.5


@dataclass(frozen=True, slots=True)
class _Heights:
    """Height of every wire in every slice by column, (columns, slices, wires); distance of each from its slice for wires that
    rise outwards, both parts of it; and the noise."""

    values: Floats
    rise_mm: Floats
    lean_mm: Floats
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
            # The mean over a part of the pitch: the array may lie a little off its drawing.
            fine = np.stack([np.interp(places + d, at, values) for d in np.linspace(-0.3, 0.3, 7) * pitch])
            between = 0.5 * (np.interp(places - pitch, at, values) + np.interp(places + pitch, at, values))
            columns.append(fine.mean(axis=0) - between)
            quiet.append(np.median(np.abs(np.diff(values))))
        table.append(columns)
    lean_x, lean_y = lean_mm_per_mm(pose)
    turn = np.radians(along_deg)
    out = array.r_mm + places
    rise = float(array.extra["step_mm"]) / pitch * places
    return _Heights(
        np.moveaxis(np.asarray(table, dtype=np.float64), 0, 1),
        np.asarray(rise, dtype=np.float64),
        -(lean_x * np.cos(turn) + lean_y * np.sin(turn)) * out,
        float(np.median(quiet)),
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """Width of the profile, its uncertainty, the share of the heights' squares it explains, and the height of a wire."""

    width_mm: float
    spread_mm: float
    explained: float
    height: float
    rest: float


def _fit(away: Floats, heights: Floats, profile: str, wire_mm: float) -> _Fit | None:
    """Least squares of ``height · profile((away - place) / width)`` over a grid of widths and places."""
    distance = np.abs(away[None, :] - _PLACES_MM[:, None])
    rest = np.empty((_WIDTHS_MM.size, _PLACES_MM.size))
    total = float((heights**2).sum())
    tall = np.empty_like(rest)
    for k, width in enumerate(_WIDTHS_MM):
        if profile == "gauss":
            shape = np.exp(-4.0 * np.log(2.0) * (distance / width) ** 2)
        else:
            wide, thin = max(width, wire_mm), min(width, wire_mm)
            shape = np.clip((0.5 * (wide + thin) - distance) / thin, 0.0, 1.0)
        norm = (shape**2).sum(axis=1)
        height = np.maximum((shape * heights).sum(axis=1), 0.0) / np.maximum(norm, 1e-9)
        rest[k] = total - height**2 * norm
        tall[k] = height
    at = np.unravel_index(int(np.argmin(rest)), rest.shape)
    best = float(rest[at])
    if at[0] in (0, _WIDTHS_MM.size - 1) or total <= 0.0:
        return None
    valley = rest.min(axis=1)
    # Neighbouring values share noise: half of them count.
    allowed = _WIDTHS_MM[valley <= best * (1.0 + 2.0 / max(heights.size / 2.0, 4.0))]
    if allowed[-1] == _WIDTHS_MM[-1]:
        return None
    near = slice(at[0] - 1, at[0] + 2)
    curve = np.polyfit(np.log(_WIDTHS_MM[near]), valley[near], 2)
    width = float(np.exp(-curve[1] / (2 * curve[0]))) if curve[0] > 0 else float(_WIDTHS_MM[at[0]])
    return _Fit(width, 0.5 * float(np.ptp(allowed)), 1.0 - best / total, float(tall[at]), best)


def _width(seen: _Heights, z_mm: Floats) -> _Fit | None:
    """The best fit over both senses in which the wires may rise, both ways in which they may alternate, and all profiles."""
    odd = np.arange(seen.rise_mm.size) % 2
    fits: list[list[_Fit]] = []
    for sense in (1.0, -1.0):
        away = (z_mm[:, None] - (sense * seen.rise_mm + seen.lean_mm)[None, :]).ravel()
        for first in (0, 1):
            heights = np.where(odd[None, :] == first, seen.values[0], seen.values[1]).ravel()
            found = [_fit(away, heights, profile, wire) for profile, wire in _PROFILES]
            fits.append([one for one in found if one is not None])
    there = [own for own in fits if own]
    if not there:
        return None
    own = max(there, key=lambda one: max(fit.explained for fit in one))
    best = max(own, key=lambda one: one.explained)
    alike = [one.width_mm for one in own if one.rest <= _AS_GOOD * best.rest]
    # Wires and slices in step sample the profile at few distances, and between those it is the model's word.
    sampled = _sampled_mm(z_mm, seen.rise_mm, best.width_mm)
    if best.height < _STANDS_OUT * seen.noise or best.explained < _EXPLAINED:
        return None
    model = float(np.hypot(0.5 * np.ptp(alike), sampled**2 / (4.0 * best.width_mm)))
    return replace(best, spread_mm=float(np.hypot(best.spread_mm, model)))


def _sampled_mm(z_mm: Floats, rise_mm: Floats, width_mm: float) -> float:
    """Usual distance of the places at which the profile is sampled."""
    away = (z_mm[:, None] - rise_mm[None, :]).ravel()
    near = np.unique(np.round(away[np.abs(away) <= width_mm] / 0.02))
    return float(np.median(np.diff(near))) * 0.02 if near.size > 1 else width_mm


def array_thickness(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Width of the profile that the wires' heights follow against their distance from the slice, over all slices near.

    In which direction the wires rise, and in which column the first one lies, is not taken from the drawing: what lets all
    slices show one profile is.
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
        outline = box(pose, array.x_mm, array.y_mm, array.size_mm[0], array.size_mm[1], 0.0, plane, array.id)
        rois.append(outline)
        name = f"{measure.name}.{array.id}"
        fit = _width(seen, z - pose.z_in_series(z_mm))
        if fit is not None:
            one = Measured(name, fit.width_mm, "mm", max(_FLOOR_MM, fit.spread_mm), method=_METHOD)
            if fit.explained < _WELL_EXPLAINED:
                one = one.doubt("the wires' heights follow no common profile")
            elif fit.spread_mm > 0.25 * fit.width_mm:
                one = one.doubt("the wires are too few or too far apart for a slice this thin")
        else:
            one = not_measurable(name, "mm", "no wires stand out of the noise, or the slice is wider than the array")
        found.append(one)
        yield result(one, measure, title=f"{title}: {array.id}", rois=[outline])
    usable = [one for one in found if one.value is not None and one.status == "ok"]
    if not usable:
        yield absent(measure.name, "mm", "; ".join(dict.fromkeys(one.reason for one in found)), measure, title=title)
        return
    values = [one.value for one in usable if one.value is not None]
    # Both arrays are sampled at the same distances: their mean is no surer than one of them.
    spread = max(max(one.uncertainty or 0.0 for one in usable), float(np.ptp(values)) / 2)
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


_METHOD = "width at half maximum of the profile that the wires' heights follow against their distance from the slice"
_FLOOR_MM = 0.05
