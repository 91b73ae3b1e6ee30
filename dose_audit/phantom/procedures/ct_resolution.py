"""Resolution in CT from groups of bars: modulation corrected for noise, group by group, and where it falls to a level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from math import ceil, cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.bars import BarGroup, bar_mtf_curve
from dose_audit.image_quality.rois import sample_points
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, box, plane_at, result
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["bar_groups"]

Floats = NDArray[np.float64]
# Bars are thin along the axis: the sharpest of the slices this near to their nominal plane is taken.
_SEARCH_MM = 4.0
_LEVELS = ((0.5, "50"), (0.1, "10"))


def _patch(
    plane: Plane, pose: Pose, x_mm: float, y_mm: float, along_mm: float, across_mm: float, angle_deg: float
) -> Floats:
    """A turned rectangle, whole to its rim, sampled at about the pixel spacing: columns along, rows across."""
    counts = [max(3, ceil(length / min(pose.spacing_mm) - 1e-9)) for length in (across_mm, along_mm)]
    across, along = (
        ((np.arange(n) + 0.5) / n - 0.5) * length for n, length in zip(counts, (across_mm, along_mm), strict=True)
    )
    turn = radians(pose.angle_on_screen(angle_deg))
    row, column = pose.to_pixel(x_mm, y_mm, plane.z_mm)
    down = along[None, :] * sin(turn) + across[:, None] * cos(turn)
    right = along[None, :] * cos(turn) - across[:, None] * sin(turn)
    return sample_points(plane.image, row + down / pose.spacing_mm[0], column + right / pose.spacing_mm[1])


def _pattern(plane: Plane, pose: Pose, group: Feature) -> Floats:
    """Whole periods inside the group."""
    pitch = 1.0 / float(group.extra["lp_per_mm"])
    bars = int(group.extra["bars"])
    return _patch(plane, pose, group.x_mm, group.y_mm, (bars - 1) * pitch, group.size_mm[1] * 0.6, group.angle_deg)


def _sharpest(bench: Workbench, pose: Pose, z_mm: float, groups: list[Feature]) -> Plane | str:
    """The slice in which the coarse groups have the largest modulation."""
    first = plane_at(bench, pose, z_mm)
    if isinstance(first, str):
        return first
    frames = bench.frames_between(pose, z_mm - _SEARCH_MM, z_mm + _SEARCH_MM) or [first.frame]
    best, most = first, -1.0
    for index in frames:
        plane = Plane(bench.series.image(index), (index,), index, float(bench.series.z_mm[index]))
        strength = float(np.mean([_pattern(plane, pose, group).std() for group in groups]))
        if strength > most:
            best, most = plane, strength
    return best


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
            doubts = "; ".join(x.reason for x in (one, two) if x.status == "suspect")
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
    # Beyond the Nyquist frequency a group is aliased: it shows nothing of the scanner.
    nyquist = 0.5 / max(pose.spacing_mm)
    groups = [
        one
        for one in definition.features_of(measure)
        if int(one.extra.get("bars", 0)) >= 3 and float(one.extra["lp_per_mm"]) < nyquist
    ]
    solid = min(definition.features_of(measure), key=lambda one: float(one.extra["lp_per_mm"]))
    titles = [f"MTF {level} %" for _, level in _LEVELS]
    plane = _sharpest(bench, pose, module.z_mm, groups[:4])
    if isinstance(plane, str):
        for (_, level), title in zip(_LEVELS, titles, strict=True):
            yield absent(f"{measure.name}{level}", "/mm", plane, measure, title=title)
        return
    gap_mm = 0.5 / float(solid.extra["lp_per_mm"])
    # A bar of the coarsest group, and the body inside the ring beside it, carry the full contrast and the noise.
    turn = radians(solid.angle_deg)
    candidates = [
        _patch(
            plane,
            pose,
            solid.x_mm + side * gap_mm * cos(turn),
            solid.y_mm + side * gap_mm * sin(turn),
            0.6 * gap_mm,
            3.0,
            solid.angle_deg,
        )
        for side in (-1, 1)
    ]
    bar = max(candidates, key=lambda part: abs(float(part.mean())))
    inside = 0.72
    body = _patch(plane, pose, solid.x_mm * inside, solid.y_mm * inside, 8.0, 5.0, solid.angle_deg)
    parts = [BarGroup(float(group.extra["lp_per_mm"]), _pattern(plane, pose, group)) for group in groups]
    found = bar_mtf_curve(parts, bar, body, min(pose.spacing_mm))
    order = sorted(groups, key=lambda one: float(one.extra["lp_per_mm"]))
    points = []
    for group, one in zip(order, found, strict=True):
        frequency = float(group.extra["lp_per_mm"])
        points.append((frequency, one))
        outline = box(
            pose, group.x_mm, group.y_mm, group.size_mm[0], group.size_mm[1], group.angle_deg, plane, group.id
        )
        named = replace(one, name=f"{measure.name}.{group.id}")
        yield result(named, measure, title=f"Modulation at {10 * frequency:g} lp/cm", rois=[outline])
    for (level, text), title in zip(_LEVELS, titles, strict=True):
        yield result(_crossing(points, level, f"{measure.name}{text}"), measure, title=title)
