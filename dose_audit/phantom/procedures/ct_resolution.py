"""Resolution in CT from groups of bars: modulation corrected for noise, group by group, and where it falls to a level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.bars import BarGroup, bar_mtf_curve
from dose_audit.image_quality.sampling import rectangle_response, sample_rectangle
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure, Module
from dose_audit.phantom.locate.ring_turn import RingTurn, bar_turn, turned
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, box, plane_at, result
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["bar_groups"]

Floats = NDArray[np.float64]
# Bars are thin along the axis: the sharpest of the slices this near to their nominal plane is taken.
_SEARCH_MM = 5.0
# What the bars' place along the axis may differ from the drawing.
_JOINT_MM = 1.5
# Over which length slices are averaged to see how a gauge is turned.
_RING_MM = 3.0
_SHARE_OF_NYQUIST, _SURE_SHARE = 0.95, 0.75
# Share of the bars' length that is measured; clear of their ends.
_SHARE_ACROSS = 0.6
# Where, along the radius from a group's middle, and over what region the body beside it is seen.
_BESIDE_MM = (-11.0, 10.0)
_BESIDE_SIZE_MM = (14.0, 8.0)
_LEVELS = ((0.5, "50"), (0.1, "10"))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A group of bars in the slice that shows it best: pattern, what lies beside it, the grid of both and what that takes."""

    group: Feature
    plane: Plane
    pattern: Floats
    beside: Floats
    spacing_mm: tuple[float, float]
    response: Floats

    @property
    def contrast(self) -> float:
        return float(self.pattern.mean() - self.beside.mean())


@dataclass(frozen=True, slots=True)
class _Patch:
    """A turned rectangle, whole to its rim, in steps (across, along) that divide it: columns along, rows across."""

    x_mm: float
    y_mm: float
    along_mm: float
    across_mm: float
    angle_deg: float
    step_mm: tuple[float, float]

    def _placed(self, plane: Plane, pose: Pose) -> dict[str, Any]:
        sides = zip((self.along_mm, self.across_mm), reversed(self.step_mm), strict=True)
        along, across = (max(3, round(length / step)) for length, step in sides)
        return {
            "centre_px": pose.to_pixel(self.x_mm, self.y_mm, plane.z_mm),
            "size_mm": (self.along_mm, self.across_mm),
            "spacing_mm": pose.spacing_mm,
            "angle_deg": pose.angle_on_screen(self.angle_deg),
            "counts": (along, across),
        }

    def samples(self, plane: Plane, pose: Pose) -> Floats:
        return sample_rectangle(plane.image, **self._placed(plane, pose))

    def response(self, frequency_per_mm: float, plane: Plane, pose: Pose) -> Floats:
        return rectangle_response(frequency_per_mm, **self._placed(plane, pose))


def _seen(plane: Plane, pose: Pose, group: Feature, settings: Mapping[str, Any]) -> _Seen:
    """Whole periods inside a group, and the body on both sides of it along the radius."""
    length = (int(group.extra["bars"]) - 1) / float(group.extra["lp_per_mm"])
    across = group.size_mm[1] * _SHARE_ACROSS
    fine = min(pose.spacing_mm)
    # Whole steps, never coarser than the pixels, so that the region holds whole periods.
    step = (across / max(6, ceil(across / fine - 1e-9)), length / max(6, ceil(length / fine - 1e-9)))
    at_bars = _Patch(group.x_mm, group.y_mm, length, across, group.angle_deg, step)
    sides, size = [], settings.get("beside_size_mm", _BESIDE_SIZE_MM)
    for away in settings.get("beside_mm", _BESIDE_MM):
        share = 1.0 + away / group.r_mm
        part = _Patch(group.x_mm * share, group.y_mm * share, size[0], size[1], group.angle_deg, step)
        sides.append(part.samples(plane, pose))
    # Cupping: the level at the bars is midway between inside and outside, the noise that of both.
    level = float(np.mean([part.mean() for part in sides]))
    beside = np.hstack([part - part.mean() for part in sides]) + level
    response = at_bars.response(float(group.extra["lp_per_mm"]), plane, pose)
    return _Seen(group, plane, at_bars.samples(plane, pose), beside, step, response)


def _ring(bench: Workbench, pose: Pose, z_mm: float, groups: Sequence[Feature]) -> RingTurn | None:
    """How the gauge is turned, in the mean of the slices about its plane."""
    plane = plane_at(bench, pose, z_mm, half_length_mm=_RING_MM)
    return None if isinstance(plane, str) else bar_turn(plane.image, plane.z_mm, pose, groups)


def _as_found(one: Measured, ring: RingTurn | None) -> Measured:
    """The value with how its gauge lies, in doubt where no bars agree with the drawing."""
    if ring is None:
        return one
    details = {**one.details, "gauge_turn_deg": round(ring.turn_deg, 2), "gauge_mirrored": ring.mirrored}
    found = replace(one, details=details)
    return found if ring.seen or one.value is None else found.doubt("the ring of bars does not agree with its drawing")


def _best(bench: Workbench, pose: Pose, module: Module, group: Feature, settings: Mapping[str, Any]) -> _Seen | str:
    """The slice in which a group stands out most: in a tilted phantom the groups do not share one."""
    z_mm = module.z_mm
    first = plane_at(bench, pose, z_mm)
    if isinstance(first, str):
        return first
    reach = module.half_length_mm + 0.5 * (bench.series.thickness_mm or bench.series.step_mm or 0.0) + _JOINT_MM
    if abs(float(bench.series.z_mm[first.frame]) - pose.z_in_series(z_mm)) > reach:
        return "no slice lies within the bars"
    frames = bench.frames_between(pose, z_mm - _SEARCH_MM, z_mm + _SEARCH_MM) or [first.frame]
    planes = [Plane(bench.series.image(index), (index,), index, float(bench.series.z_mm[index])) for index in frames]
    return max((_seen(plane, pose, group, settings) for plane in planes), key=lambda one: one.contrast)


def _crossing(points: list[tuple[float, Measured]], level: float, name: str) -> Measured:
    """Frequency at which the modulation falls to a level, between two groups; never beyond the measured ones."""
    known = [(f, one) for f, one in points if one.value is not None]
    if not known:
        return not_measurable(name, "/mm", points[0][1].reason if points else "no bars")
    for (f1, one), (f2, two) in pairwise(known):
        v1, v2 = one.value, two.value
        assert v1 is not None and v2 is not None
        if v1 >= level >= v2 and v1 > v2:
            f = f1 + (v1 - level) / (v1 - v2) * (f2 - f1)
            steep = (f2 - f1) / (v1 - v2)
            spread = steep * max(one.uncertainty or 0.0, two.uncertainty or 0.0)
            doubts = "; ".join(dict.fromkeys(x.reason for x in (one, two) if x.status == "suspect"))
            value = Measured(name, f, "/mm", spread, method="bars, variance method; straight line between two groups")
            return value.doubt(doubts) if doubts else value
    top, bottom = known[0][1].value, known[-1][1].value
    assert top is not None and bottom is not None
    if top < level:
        return not_measurable(name, "/mm", f"modulation is below {level:.0%} already at {known[0][0]:g} /mm")
    return not_measurable(
        name, "/mm", f"modulation stays above {level:.0%} up to {known[-1][0]:g} /mm, the finest group measured"
    )


def bar_groups(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Modulation of each group, ``<name>.<group>``, and the frequencies of 50 and 10 %."""
    module = definition.module(measure.module)
    # Beyond the Nyquist frequency a group is aliased, and near it turned sampling itself takes modulation away.
    finest = _SHARE_OF_NYQUIST * 0.5 / max(pose.spacing_mm)
    groups = [
        one
        for one in definition.features_of(measure)
        if int(one.extra.get("bars", 0)) >= 3 and float(one.extra["lp_per_mm"]) < finest
    ]
    titles = [f"MTF {level} %" for _, level in _LEVELS]
    ring = _ring(bench, pose, module.z_mm, definition.features_of(measure))
    if ring is not None and ring.seen:
        groups = [turned(one, ring) for one in groups]
    seen = [_best(bench, pose, module, group, measure.settings) for group in groups]
    shown = [one for one in seen if not isinstance(one, str)]
    if not shown:
        reason = next((one for one in seen if isinstance(one, str)), "no group is coarse enough for these pixels")
        for (_, text), title in zip(_LEVELS, titles, strict=True):
            yield absent(f"{measure.name}{text}", "/mm", reason, measure, title=title)
        return
    parts = [
        BarGroup(float(one.group.extra["lp_per_mm"]), one.pattern, one.beside, one.spacing_mm, one.response)
        for one in shown
    ]
    found = bar_mtf_curve(parts, None, None, min(pose.spacing_mm))
    points = []
    for own, one in zip(sorted(shown, key=lambda one: float(one.group.extra["lp_per_mm"])), found, strict=True):
        group, plane = own.group, own.plane
        frequency = float(group.extra["lp_per_mm"])
        if one.value is not None and frequency > _SURE_SHARE * 0.5 / max(pose.spacing_mm):
            one = one.doubt("near the pixels' Nyquist frequency, where turned sampling takes modulation away")
        one = _as_found(one, ring)
        points.append((frequency, one))
        outline = box(
            pose, group.x_mm, group.y_mm, group.size_mm[0], group.size_mm[1], group.angle_deg, plane, group.id
        )
        named = replace(one, name=f"{measure.name}.{group.id}")
        yield result(named, measure, title=f"Modulation at {10 * frequency:g} lp/cm", rois=[outline])
    for (share, text), title in zip(_LEVELS, titles, strict=True):
        crossing = _as_found(_crossing(points, share, f"{measure.name}{text}"), ring)
        yield result(crossing, measure, title=title)
