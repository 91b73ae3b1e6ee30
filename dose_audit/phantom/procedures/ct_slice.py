"""Slice thickness in CT from oblique wires: the whole stack about them, positions from the images, never the spacing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import radians, tan

from dose_audit.image_quality.wire_ramp import mean_thickness, slice_thickness_wire
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, box, plane_at, result
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["wire_thickness"]

# The wires' images stay within their strips over this distance from the middle.
_REACH_MM = 8.0


def wire_thickness(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Full width at half maximum of the slice profile: each wire, their mean, and the mean against the nominal thickness."""
    z_mm = definition.module(measure.module).z_mm
    plane = plane_at(bench, pose, z_mm)
    title = "Slice thickness"
    if isinstance(plane, str):
        yield absent(measure.name, "mm", plane, measure, title=title)
        return
    reach = float(measure.settings.get("reach_mm", _REACH_MM))
    frames = bench.frames_between(pose, z_mm - reach, z_mm + reach) or [plane.frame]
    stack = bench.series.volume[frames]
    positions = [float(bench.series.z_mm[index]) for index in frames]
    single: list[Measured] = []
    rois = []
    for wire in definition.features_of(measure):
        place = pose.to_pixel(wire.x_mm, wire.y_mm, plane.z_mm)
        along = pose.angle_on_screen(wire.angle_deg)
        tangent = tan(radians(float(wire.extra.get("ramp_deg", 23.0))))
        length, width = wire.size_mm
        if len(frames) == 1:
            one = slice_thickness_wire(
                stack[0], pose.spacing_mm, place, along, tangent=tangent, length_mm=length, width_mm=width + 6
            )
        else:
            one = slice_thickness_wire(
                stack,
                pose.spacing_mm,
                place,
                along,
                z_mm=positions,
                tangent=tangent,
                length_mm=length,
                width_mm=width + 6,
            )
        single.append(one)
        rois.append(box(pose, wire.x_mm, wire.y_mm, length, width + 6, wire.angle_deg, plane, wire.id))
    mean = mean_thickness(single, name=measure.name)
    for wire, one, roi in zip(definition.features_of(measure), single, rois, strict=True):
        # All show one slice in one noise: where that leaves their mean in doubt, a wire that looks sure is so by chance.
        told = one.doubt(mean.reason) if mean.status == "suspect" else one
        yield result(replace(told, name=f"{measure.name}.{wire.id}"), measure, title=f"{title}: {wire.id}", rois=[roi])
    yield result(mean, measure, title=title, rois=rois)
    nominal = bench.series.thickness_mm
    if nominal is None or mean.value is None:
        reason = mean.reason if mean.value is None else "no Slice Thickness in the header"
        yield absent(f"{measure.name}_error", "mm", reason, measure, title="Slice thickness against the nominal one")
        return
    for name, factor, unit in (
        (f"{measure.name}_error", 1.0, "mm"),
        (f"{measure.name}_error_percent", 100.0 / nominal, "%"),
    ):
        spread = None if mean.uncertainty is None else mean.uncertainty * factor
        value = Measured(
            name,
            (mean.value - nominal) * factor,
            unit,
            spread,
            mean.status,
            mean.reason,
            "measured minus Slice Thickness",
        )
        yield result(value, measure, title=f"Slice thickness against the nominal {nominal:g} mm ({unit})")
