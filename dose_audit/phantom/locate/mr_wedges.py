"""Crossed wedges of an MR phantom: bars whose lengths differ by twice what the slice lies off their plane, wherever it is."""

from __future__ import annotations

from dataclasses import replace

from dose_audit.image_quality import SlicePosition, slice_position_bars
from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Workbench

__all__ = ["bars", "by_lean", "refined"]

# Off by more, a slice is nearer to the next one's place, and its bars run out of their strips.
_MOST_MM = 4.6
# How far the wedges of two slices may disagree about the position of the phantom.
_TOGETHER_MM = 1.5


def bars(bench: Workbench, pose: Pose, left: Feature, right: Feature, frame: int, z_mm: float) -> SlicePosition:
    """The two bars of one pair of wedges in a frame that lies at `z_mm` of the series."""
    return slice_position_bars(
        bench.series.image(frame),
        bench.spacing_mm,
        pose.to_pixel(left.x_mm, left.y_mm, z_mm),
        pose.to_pixel(right.x_mm, right.y_mm, z_mm),
        length_mm=left.size_mm[1],
        width_mm=left.size_mm[0],
        angle_deg=pose.angle_on_screen(90.0),
        tangent=float(left.extra.get("tangent", 1.0)),
    )


def refined(bench: Workbench, pose: Pose, definition: Definition) -> Pose:
    """The pose with its origin where the wedges put it: slices tell it to their own distance, wedges to a tenth of a mm.

    In a phantom that leans, the wedges lie off the axis and see another depth than it does; the lean of the outlines' axis
    is allowed for.
    """
    found = []
    for module in definition.modules:
        pair = sorted(
            (one for one in definition.features if one.shape == "bar" and one.module == module.id),
            key=lambda one: one.x_mm,
        )
        frame = bench.frame_at(pose, module.z_mm) if len(pair) == 2 else None
        if frame is None:
            continue
        z = float(bench.series.z_mm[frame])
        seen = bars(bench, pose, pair[0], pair[1], frame, z).offset
        if seen.value is None or seen.status != "ok" or abs(seen.value) > _MOST_MM:
            continue
        away = pose.direction * (z - pose.z_in_series(module.z_mm))
        found.append(seen.value - away - by_lean(pose, pair, z))
    if not found or max(found) - min(found) > _TOGETHER_MM:
        return pose
    offset = sum(found) / len(found)
    note = f"the wedges put slice 1 {offset:+.2f} mm off its plane"
    return replace(
        pose,
        origin_z_mm=pose.origin_z_mm - pose.direction * offset,
        centre_px=pose.centre_at(pose.origin_z_mm - pose.direction * offset),
        notes=(*pose.notes, note),
    )


def by_lean(pose: Pose, pair: list[Feature], z_mm: float) -> float:
    """How much deeper in the phantom the bars lie than its axis does in the same slice."""
    middle = [sum(one.x_mm for one in pair) / 2, sum(one.y_mm for one in pair) / 2]
    centre, place = pose.centre_at(z_mm), pose.to_pixel(middle[0], middle[1], z_mm)
    return pose.direction * sum(
        (at - zero) * step * slope * step
        for at, zero, step, slope in zip(place, centre, pose.spacing_mm, pose.slope_px_per_mm, strict=True)
    )
