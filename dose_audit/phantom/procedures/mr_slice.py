"""Slice thickness and slice position of an MR phantom from crossed ramps and crossed wedges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dose_audit.image_quality import slice_thickness_ramps
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.mr_wedges import bars, by_lean
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, box, module_plane, result
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["bar_difference", "ramp_thickness"]

# A lean that shifts the bars by more than this is no longer a fault of the slice's position.
_LEANS_MM = 2.0


def ramp_thickness(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Thickness from two opposed ramps that run side by side in a dark bar."""
    title = "Slice thickness"
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    if isinstance(plane, str):
        yield absent(measure.name, "mm", plane, measure, title=title)
        return
    first, second = definition.features_of(measure)
    middle = (0.5 * (first.x_mm + second.x_mm), 0.5 * (first.y_mm + second.y_mm))
    found = slice_thickness_ramps(
        plane.image,
        bench.spacing_mm,
        pose.to_pixel(*middle, plane.z_mm),
        tangent=float(first.extra["tangent"]),
        length_mm=float(measure.settings.get("length_mm", 0.96 * first.size_mm[0])),
        offsets_mm=(first.y_mm - middle[1], second.y_mm - middle[1]),
        width_mm=first.size_mm[1],
        angle_deg=pose.angle_on_screen(0.0) if not pose.mirrored else pose.angle_on_screen(180.0),
        search_mm=float(measure.settings.get("search_mm", 8.0)),
    )
    rois = [
        box(pose, one.x_mm, one.y_mm, one.size_mm[0], one.size_mm[1], one.angle_deg, plane, one.id)
        for one in (first, second)
    ]
    yield result(replace(found.thickness, name=measure.name), measure, title=title, rois=rois)


def bar_difference(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Difference in length of the bars that crossed wedges leave, right minus left, and the slice's offset from it."""
    title = "Bar length difference"
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    if isinstance(plane, str):
        yield absent(measure.name, "mm", plane, measure, title=title)
        return
    left, right = sorted(definition.features_of(measure), key=lambda one: one.x_mm)
    found = bars(bench, pose, left, right, plane.frame, plane.z_mm)
    rois = [
        box(pose, one.x_mm, one.y_mm, one.size_mm[0], one.size_mm[1], one.angle_deg, plane, one.id)
        for one in (left, right)
    ]
    difference, offset = found.length_difference, found.offset
    lean = 2.0 * by_lean(pose, [left, right], plane.z_mm)
    if difference.value is not None and abs(lean) > _LEANS_MM:
        reason = f"the phantom leans, which alone makes {lean:+.1f} mm of the difference: align it"
        difference, offset = difference.doubt(reason), offset.doubt(reason)
    yield result(replace(difference, name=measure.name), measure, title=title, rois=rois)
    yield result(replace(offset, name=f"{measure.name}_offset"), measure, title="Slice offset", rois=rois)
