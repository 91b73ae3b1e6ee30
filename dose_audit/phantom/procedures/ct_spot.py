"""In-plane MTF in CT from a wire or a bead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from dose_audit.image_quality import wire_mtf
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, box, plane_at, result
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["wire"]

# Half the side of the region about the wire; wide enough for the foot of the point spread.
_HALF_MM = 5.5
# Largest lean at which averaging slices does not blur the wire's image.
_LEAST_SHIFT_PX = 0.25


def wire(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Frequencies at which the MTF of a wire falls to 50 and 10 %, ``<name>50`` and ``<name>10``."""
    titles = {"50": "MTF 50 %", "10": "MTF 10 %"}
    half_length = float(measure.settings.get("half_length_mm", 0.0))
    plane = plane_at(bench, pose, 0.0, half_length_mm=half_length)
    half_mm = float(measure.settings.get("half_mm", _HALF_MM))
    reason = plane if isinstance(plane, str) else ""
    regions: list[np.ndarray] = []
    if not isinstance(plane, str):
        centre = pose.to_pixel(0.0, 0.0, plane.z_mm)
        half = [round(half_mm / step) for step in pose.spacing_mm]
        top, left = round(centre[0]) - half[0], round(centre[1]) - half[1]
        if min(top, left) < 0:
            reason = "the region about the wire is cut off by the image's edge"
        for index in plane.frames:
            at = pose.to_pixel(0.0, 0.0, float(bench.series.z_mm[index]))
            moved = max(abs(one - other) for one, other in zip(at, centre, strict=True))
            # A leaning wire moves from slice to slice: only slices in which it lies at the same place are averaged.
            if moved <= _LEAST_SHIFT_PX and not reason:
                regions.append(bench.series.image(index)[top : top + 2 * half[0] + 1, left : left + 2 * half[1] + 1])
        if not regions and not reason:
            regions.append(plane.image[top : top + 2 * half[0] + 1, left : left + 2 * half[1] + 1])
    if isinstance(plane, str) or reason:
        for level, title in titles.items():
            yield absent(f"{measure.name}{level}", "/mm", reason, measure, title=title)
        return
    diameter = float(measure.settings.get("wire_diameter_mm", 0.0))
    curve = wire_mtf(np.stack(regions), pose.spacing_mm, wire_diameter_mm=diameter)
    outline = box(pose, 0.0, 0.0, 2 * half_mm, 2 * half_mm, 0.0, plane, "wire")
    for level, one in (("50", curve.mtf50), ("10", curve.mtf10)):
        yield result(replace(one, name=f"{measure.name}{level}"), measure, title=titles[level], rois=[outline])
