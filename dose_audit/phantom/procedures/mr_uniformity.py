"""Uniformity of an MR section: percent integral uniformity, and the share of a profile that stays near the middle's signal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from dose_audit.image_quality import fractional_uniformity, percent_integral_uniformity
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, result
from dose_audit.phantom.procedures.mr_section import disc, section
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["fractional", "integral_uniformity"]


def integral_uniformity(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Percent integral uniformity over ``area_cm2`` (or ``area_share`` of the section), ``offset_mm`` away from the notch."""
    title = "Percent integral uniformity"
    ready = section(bench, pose, definition, measure)
    if isinstance(ready, str):
        yield absent(measure.name, "%", ready, measure, title=title)
        return
    plane, centre, half = ready.plane, ready.centre_px, ready.half_mm
    settings = measure.settings
    area = float(settings["area_cm2"]) if "area_cm2" in settings else 0.0
    if not area:
        area = float(settings.get("area_share", 0.75)) * math.pi * half**2 / 100.0
    down = float(settings.get("lower_mm", 0.0))
    radius = math.sqrt(100.0 * area / math.pi)
    if radius + down > half:
        yield absent(
            measure.name, "%", f"a region of {area:.0f} cm² does not fit into the section", measure, title=title
        )
        return
    turn = math.radians(pose.angle_on_screen(90.0))
    place = (
        centre[0] + down * math.sin(turn) / bench.spacing_mm[0],
        centre[1] + down * math.cos(turn) / bench.spacing_mm[1],
    )
    kernel = min(1.0, area / 20.0)
    found = percent_integral_uniformity(plane.image, bench.spacing_mm, place, area_cm2=area, kernel_cm2=kernel)
    rois = [disc(place, radius, bench, plane, f"{area:.0f} cm²")]
    for label, key in (("highest", "highest_at_px"), ("lowest", "lowest_at_px")):
        at = found.details.get(key)
        if at is not None:
            small = math.sqrt(100.0 * kernel / math.pi)
            rois.append(disc((float(at[0]), float(at[1])), small, bench, plane, label))
    found = replace(found, name=measure.name)
    yield result(found.doubt(ready.doubt) if ready.doubt else found, measure, title=title, rois=rois)


def fractional(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Fraction of the central profile within ``tolerance`` of the middle, along rows and columns of the image."""
    ready = section(bench, pose, definition, measure)
    length = float(measure.settings.get("length_mm", 160.0))
    for name, angle in (("horizontal", 0.0), ("vertical", 90.0)):
        title = f"Fractional uniformity, {name}"
        if isinstance(ready, str):
            yield absent(f"{measure.name}_{name}", "1", ready, measure, title=title)
            continue
        plane, centre = ready.plane, ready.centre_px
        if 0.5 * length > 0.98 * ready.half_mm:
            reason = f"a profile of {length:g} mm does not fit into the section"
            yield absent(f"{measure.name}_{name}", "1", reason, measure, title=title)
            continue
        found = fractional_uniformity(plane.image, bench.spacing_mm, centre, length_mm=length, angle_deg=angle)
        row, column = centre
        reach = (0.0, 0.5 * length / bench.spacing_mm[1]) if angle == 0 else (0.5 * length / bench.spacing_mm[0], 0.0)
        ends = ((row - reach[0], column - reach[1]), (row + reach[0], column + reach[1]))
        line = Roi("line", ends, frame=plane.frame)
        yield result(replace(found, name=f"{measure.name}_{name}"), measure, title=title, rois=(line,))
