"""MTF of radiographs from groups of lead bars: modulation freed of noise and harmonics, and where it falls to a level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.bars import BarGroup, bar_mtf_curve
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, box, result
from dose_audit.phantom.procedures.xray_values import doubted, in_plane_spacing, not_linear, patch, plane_of
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["bar_groups", "falls_to", "limiting_resolution"]

Floats = NDArray[np.float64]
# Of the five slits of a group: so that the region stays inside where an insert lies off its place.
_PERIODS = 3.0
_LEVELS = ((0.5, "50"), (0.2, "20"), (0.1, "10"))
_ACROSS = 0.7  # of a group's width is read
# Inserts are glued in by hand: their groups lie up to this far from their places along the bars' normal.
_SHIFT_MM = 1.2
_CLEAR_OF_NYQUIST = 0.98
# Turned against the pixels, what lies beyond this share of the Nyquist frequency suffers from interpolation.
_TURNED_SHARE = 0.75
# A group counts as resolved from this modulation on, and from so many standard uncertainties.
_RESOLVED, _CERTAIN = 0.02, 3.0


def bar_groups(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Modulation of each group, ``<name>.<group>``, the frequencies of 50, 20 and 10 %, ``<name>50`` …, and ``<name>_limit``.

    Settings: ``bar`` and ``gap``, ids of the solid features of bar and gap material. Frequencies are the engraved ones:
    they hold in the plane of the object whatever the magnification.
    """
    plane = plane_of(bench)
    spacing = in_plane_spacing(pose)
    nyquist = 0.5 / max(spacing)
    solids = {one.id: one for one in definition.features}
    bar, gap = (_solid(plane.image, pose, solids[str(measure.settings[kind])]) for kind in ("bar", "gap"))
    everything = sorted(definition.features_of(measure), key=lambda one: float(one.extra["lp_per_mm"]))
    groups = [one for one in everything if float(one.extra["lp_per_mm"]) < _CLEAR_OF_NYQUIST * nyquist]
    doubt = not_linear(bench, measure)
    if len(groups) < 2:
        reason = f"the groups are finer than the Nyquist frequency of the pixels ({nyquist:.2f} /mm in the object)"
        for _, text in _LEVELS:
            yield absent(f"{measure.name}{text}", "/mm", reason, measure, title=f"MTF {text} %")
        yield absent(f"{measure.name}_limit", "/mm", reason, measure, title="Limiting resolution")
        return
    shift = _shift(plane.image, pose, groups)
    parts = [BarGroup(float(one.extra["lp_per_mm"]), _pattern(plane.image, pose, one, shift)) for one in groups]
    found = bar_mtf_curve(parts, bar, gap, min(spacing))
    points = []
    for one, value in zip(groups, found, strict=True):
        frequency = float(one.extra["lp_per_mm"])
        if _turned(pose, one) and frequency > _TURNED_SHARE * nyquist:
            value = value.doubt("near the Nyquist frequency and turned against the pixels: interpolation blurs it")
        points.append((frequency, value))
        x, y = _moved(one, shift)
        periods = _PERIODS / frequency
        outline = box(pose, x, y, periods, _ACROSS * one.size_mm[1], one.angle_deg, plane, f"{frequency:g}")
        yield doubted(
            result(
                replace(value, name=f"{measure.name}.{one.id}"),
                measure,
                title=f"Modulation at {frequency:g} lp/mm",
                rois=[outline],
            ),
            doubt,
        )
    outlines = [
        box(pose, one.x_mm, one.y_mm, one.size_mm[0], one.size_mm[-1], one.angle_deg, plane, one.id)
        for one in (solids[str(measure.settings["bar"])], solids[str(measure.settings["gap"])])
    ]
    for level, text in _LEVELS:
        yield doubted(
            result(falls_to(points, level, f"{measure.name}{text}"), measure, title=f"MTF {text} %", rois=outlines),
            doubt,
        )
    limit = limiting_resolution(points, f"{measure.name}_limit")
    yield doubted(result(limit, measure, title="Limiting resolution", rois=outlines), doubt)


def limiting_resolution(points: list[tuple[float, Measured]], name: str) -> Measured:
    """The finest group that is resolved with all coarser ones, between its own and the next group's frequency.

    Resolved is a modulation of at least 2 % and of three standard uncertainties; a group that gave no value ends the row.
    """
    method = "finest group, with all coarser ones, whose modulation is at least 2 % and three standard uncertainties"
    last: float | None = None
    following: float | None = None
    for frequency, one in points:
        enough = one.value is not None and one.value >= max(_RESOLVED, _CERTAIN * (one.uncertainty or 0.0))
        if not enough:
            following = frequency
            break
        last = frequency
    if last is None:
        reason = (
            points[0][1].reason if points and points[0][1].value is None else "not even the coarsest group is resolved"
        )
        return not_measurable(name, "/mm", reason, method=method)
    if following is None:
        return Measured(
            name, last, "/mm", None, method=f"{method}; no finer group lies below the pixels' Nyquist frequency"
        )
    return Measured(name, last, "/mm", (following - last) / 12**0.5, method=method)


def falls_to(points: list[tuple[float, Measured]], level: float, name: str) -> Measured:
    """Frequency at which modulation falls to a level for good, between two groups; never beyond the measured ones."""
    known = [(f, one, one.value) for f, one in points if one.value is not None]
    if not known:
        return not_measurable(name, "/mm", points[0][1].reason if points else "no groups")
    if known[0][2] < level:
        return not_measurable(name, "/mm", f"modulation is below {level:.0%} already at {known[0][0]:g} /mm")
    for (f1, one, v1), (f2, two, v2) in pairwise(known):
        if v1 >= level > v2:
            steep = (f2 - f1) / (v1 - v2)
            spread = steep * max(one.uncertainty or 0.0, two.uncertainty or 0.0)
            value = Measured(
                name,
                f1 + (v1 - level) * steep,
                "/mm",
                spread,
                method="bars, variance method; straight line between two groups",
            )
            doubts = "; ".join(dict.fromkeys(x.reason for x in (one, two) if x.status == "suspect"))
            return value.doubt(doubts) if doubts else value
    finest = known[-1][0]
    return not_measurable(
        name, "/mm", f"modulation stays above {level:.0%} up to {finest:g} /mm, the finest group below Nyquist"
    )


def _solid(image: NDArray[np.float32], pose: Pose, one: Feature) -> Floats:
    return patch(image, pose, one.x_mm, one.y_mm, one.size_mm[0], one.size_mm[-1], one.angle_deg)


def _moved(one: Feature, shift_mm: float) -> tuple[float, float]:
    turn = radians(one.angle_deg)
    return one.x_mm + shift_mm * cos(turn), one.y_mm + shift_mm * sin(turn)


def _pattern(image: NDArray[np.float32], pose: Pose, one: Feature, shift_mm: float) -> Floats:
    """Whole periods inside the group."""
    x, y = _moved(one, shift_mm)
    periods = min(_PERIODS, int(one.extra["bars"]) - 0.5) / float(one.extra["lp_per_mm"])
    return patch(image, pose, x, y, periods, _ACROSS * one.size_mm[1], one.angle_deg)


def _shift(image: NDArray[np.float32], pose: Pose, groups: list[Feature]) -> float:
    """How far the insert lies off along the bars' normal: the middle of the shifts at which the groups are filled best."""
    coarse = groups[: max(2, min(9, len(groups)))]
    trials = np.arange(-_SHIFT_MM, _SHIFT_MM + 0.05, 0.1)
    score = np.zeros(trials.size)
    for one in coarse:
        own = np.array([_pattern(image, pose, one, float(shift)).mean(axis=0).std() for shift in trials])
        score += own / max(float(own.max()), 1e-12)
    good = trials[score >= 0.985 * score.max()]
    return float(good.mean())


def _turned(pose: Pose, one: Feature) -> bool:
    """Whether the bars' normal lies off the pixel axes by more than half a degree."""
    return abs((pose.angle_on_screen(one.angle_deg) + 45.0) % 90.0 - 45.0) > 0.5
