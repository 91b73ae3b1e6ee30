"""Ghosting of a uniform MR section: the ACR's ratio of two directions, and each direction against the image's corners."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from dose_audit.image_quality import (
    BodyOutline,
    Ghosting,
    RoiStatistics,
    mask_statistics,
    percent_signal_ghosting,
    rectangle_mask,
)
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, result
from dose_audit.phantom.procedures.mr_section import Section, corners_of, quiet_corners, section
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["ghost_share", "ghosting"]

_BY_CHANCE = 3.0  # standard deviations; the brightest of four passes 2.5 once in 40 images
# Leakage and Rician noise of sound images stay below this, in per cent of the signal.
_GHOST_APART = 0.65
# Rectangles beside the phantom, long side along its edge (Dutch guideline NVKF, as its test object has it).
_LONG_MM, _SHORT_MM = 56.0, 14.0
_PAIRS = {"rows": ("left", "right"), "columns": ("top", "bottom")}
# Noise of a magnitude is hardly ever one value; where nearly all pixels of air have the image's least, it was put there.
_ONE_VALUE = 0.9
_EMPTIED = "the air about the phantom has one value, without noise: ghosts were taken away with it"
_PAIR_METHOD = "100 (brighter of two opposite rectangles of 56 mm × 14 mm - corners)/(2 S)"


def ghosting(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Percent signal ghosting from four ellipses, and ghosts along rows and along columns by themselves.

    The ratio of the ACR compares the two directions and is blind to what both have in common; the brighter rectangle of a
    direction over the image's corners is not. A ghost on both sides counts twice in the former and once in the latter.
    """
    title = "Percent signal ghosting"
    ready = section(bench, pose, definition, measure)
    if isinstance(ready, str):
        yield absent(measure.name, "%", ready, measure, title=title)
        for along in _PAIRS:
            yield absent(f"{measure.name}_{along}", "%", ready, measure, title=_title(along))
        return
    plane = ready.plane
    found = percent_signal_ghosting(plane.image, bench.spacing_mm, outline=ready.outline)
    rois = [_ellipse(side, region, bench, plane) for side, region in found.regions.items()]
    sides, boxes = _rectangles(bench, plane, found)
    corners = _corners(bench, ready)
    psg = found.psg
    level = _common(sides, corners, found.signal.value)
    if psg.value is not None and level is not None and level - psg.value > _GHOST_APART:
        psg = psg.doubt(
            f"all four regions stand above the corners of the image by {level:.2f} %: ghosts in both directions cancel"
        )
    emptied = _EMPTIED if _emptied(plane, boxes) else ""
    if psg.value is not None and emptied:
        psg = psg.doubt(emptied)
    yield result(replace(psg, name=measure.name), measure, title=title, rois=rois)
    for along, pair in _PAIRS.items():
        one = _direction(f"{measure.name}_{along}", pair, sides, corners, found.signal)
        if one.value is not None and emptied:
            one = one.doubt(emptied)
        own = [boxes[side] for side in pair if side in boxes]
        yield result(one, measure, title=_title(along), rois=own if one.value is not None else ())


def ghost_share(bench: Workbench, plane: Plane, outline: BodyOutline) -> float | None:
    """The brightest of the four rectangles beside the phantom over the image's corners, in per cent of the signal.

    By the powers, which noise lifts alike in all of them, less what noise alone makes of the brightest of four; `None`
    where there is no room for regions in air.
    """
    if outline.centre_px is None or outline.semi_axes_mm is None:
        return None
    found = percent_signal_ghosting(plane.image, bench.spacing_mm, outline=outline)
    sides, _ = _rectangles(bench, plane, found)
    corners, _ = quiet_corners(bench, plane, max(outline.semi_axes_mm), outline.centre_px)
    if corners is None or not sides or not found.signal.value:
        return None
    air = mask_statistics(plane.image, corners)
    ground, shared = _power(air), air.correlation_area_squared or 1.0
    # The power of noise in air is distributed exponentially: its standard deviation is its mean.
    spreads = (ground * math.sqrt(shared * (1 / one.pixels + 1 / air.pixels)) for one in sides.values())
    above = max(_power(one) - ground - _BY_CHANCE * spread for one, spread in zip(sides.values(), spreads, strict=True))
    return 100.0 * math.sqrt(max(above, 0.0)) / found.signal.value


def _emptied(plane: Plane, boxes: Mapping[str, Roi]) -> bool:
    """Whether the air beside the phantom holds no noise: a mask over it, or padding beyond what was reconstructed."""
    floor, shares = plane.image.min(), []
    for box in boxes.values():
        rows, columns = zip(*box.points, strict=True)
        down, across = (slice(math.ceil(max(min(one), 0.0)), math.ceil(max(one))) for one in (rows, columns))
        air = plane.image[down, across]
        if air.size:
            shares.append(float((air == floor).mean()))
    return bool(shares) and float(np.median(shares)) > _ONE_VALUE


def _power(region: RoiStatistics) -> float:
    return (region.mean or 0.0) ** 2 + (region.sd or 0.0) ** 2


def _title(along: str) -> str:
    return f"Ghosts along {along} above the image's corners"


def _ellipse(side: str, region: tuple[float, float, float, float], bench: Workbench, plane: Plane) -> Roi:
    row, column, height, width = region
    angle = np.arange(0, 2 * np.pi, np.pi / 12)
    rows = row + 0.5 * height / bench.spacing_mm[0] * np.sin(angle)
    columns = column + 0.5 * width / bench.spacing_mm[1] * np.cos(angle)
    points = tuple((float(a), float(b)) for a, b in zip(rows, columns, strict=True))
    return Roi("polygon", points, frame=plane.frame, label=side)


def _rectangles(bench: Workbench, plane: Plane, found: Ghosting) -> tuple[dict[str, RoiStatistics], dict[str, Roi]]:
    """Statistics and outlines of a rectangle in the middle of each gap, no wider than the gap allows."""
    statistics, boxes = {}, {}
    for side, (row, column, height, width) in found.regions.items():
        upright = side in ("left", "right")
        size = (
            (min(_LONG_MM, height), min(_SHORT_MM, width))
            if upright
            else (min(_SHORT_MM, height), min(_LONG_MM, width))
        )
        mask = rectangle_mask(plane.image.shape, (row, column), (size[1], size[0]), bench.spacing_mm)
        if mask.sum() < 30:
            continue
        statistics[side] = mask_statistics(plane.image, mask)
        rows, columns = (
            slice(round(at - 0.5 * length / step), round(at + 0.5 * length / step) + 1)
            for at, length, step in zip((row, column), size, bench.spacing_mm, strict=True)
        )
        boxes[side] = Roi("polygon", corners_of(rows, columns), frame=plane.frame, label=side)
    return statistics, boxes


def _corners(bench: Workbench, ready: Section) -> RoiStatistics | None:
    assert ready.outline.semi_axes_mm is not None
    corners, _ = quiet_corners(bench, ready.plane, max(ready.outline.semi_axes_mm), ready.centre_px)
    return None if corners is None else mask_statistics(ready.plane.image, corners)


def _common(sides: Mapping[str, RoiStatistics], corners: RoiStatistics | None, signal: float | None) -> float | None:
    """What the brighter pair of opposite regions has above two corners, in per cent of twice the signal."""
    known = {side: one.mean for side, one in sides.items() if one.mean is not None}
    if corners is None or corners.mean is None or len(known) < 4 or not signal:
        return None
    pairs = [sum(known[side] for side in pair) - 2 * corners.mean for pair in _PAIRS.values()]
    return 100.0 * max(*pairs, 0.0) / (2.0 * signal)


def _direction(
    name: str,
    pair: tuple[str, str],
    sides: Mapping[str, RoiStatistics],
    corners: RoiStatistics | None,
    signal: Measured,
) -> Measured:
    """The brighter of two opposite rectangles over the corners, in per cent of twice the signal."""
    known = [sides[side] for side in pair if side in sides and sides[side].mean is not None]
    if signal.value is None:
        return not_measurable(name, "%", signal.reason or "no phantom was found", method=_PAIR_METHOD)
    if corners is None or corners.mean is None:
        return not_measurable(name, "%", "no corner of the image is free of the phantom", method=_PAIR_METHOD)
    if len(known) < 2:
        reason = f"no room for a region at the {' and the '.join(pair)} of the image"
        return not_measurable(name, "%", reason, method=_PAIR_METHOD)
    brighter = max(known, key=lambda one: one.mean or 0.0)
    value = 50.0 * ((brighter.mean or 0.0) - corners.mean) / signal.value
    spread = 50.0 * math.hypot(brighter.mean_uncertainty or 0.0, corners.mean_uncertainty or 0.0) / signal.value
    measured = Measured(name, value, "%", spread, method=_PAIR_METHOD)
    if value < -max(3.0 * spread, 0.1):
        return measured.doubt("the corners are brighter than the regions beside the phantom: noise is not even")
    return measured
