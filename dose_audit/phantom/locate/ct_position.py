"""Position of a CT phantom along the slices: from oblique wires, surface beads, and the ends of the inserts."""

from __future__ import annotations

from dataclasses import replace

from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.locate.columns import ColumnOrigin, column_origin
from dose_audit.phantom.locate.markers import marked_slices, marker_origin
from dose_audit.phantom.locate.wires import wire_origin
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Workbench

__all__ = ["along", "ring_features", "slab_mm"]

# Standard uncertainty of the position up to which it is within a quarter slice with all likelihood, as a share of a slice;
# and what no measurement minds.
_SURE_SHARE, _SURE_MM = 0.15, 0.25


def ring_features(definition: Definition) -> list[Feature]:
    """The inserts of the reference module."""
    reference = definition.recognise.get("reference")
    return [
        one
        for one in definition.features
        if one.module == reference and one.shape == "disc" and one.nominal is not None
    ]


def slab_mm(definition: Definition) -> tuple[float, float]:
    """From where to where the module of inserts reaches in the phantom's own frame."""
    low, high = definition.recognise.get("slab_mm", (None, None))
    if low is not None and high is not None:
        return float(low), float(high)
    half = definition.module(str(definition.recognise["reference"])).half_length_mm
    return -half, half


def along(bench: Workbench, definition: Definition, pose: Pose) -> tuple[Pose, str]:
    """Position from oblique wires or surface markers; where these are lost, the middle of the inserts' slab, in doubt."""
    wires = [
        one
        for one in definition.features
        if one.shape == "wire_ramp" and one.module == definition.recognise.get("reference")
    ]
    markers = [one for one in definition.features if one.shape == "marker"]
    sure = max(_SURE_MM, _SURE_SHARE * max(bench.series.thickness_mm or 0.0, bench.series.step_mm or 0.0))
    ends = _ends(bench, definition, pose)
    if wires:
        found = wire_origin(bench.series, pose, wires, ends.slab_mm if ends else (None, None))
        if found is not None:
            moved = replace(pose, origin_z_mm=found.z_mm, centre_px=pose.centre_at(found.z_mm))
            return moved, f"position from {len(wires)} wires in {found.slices} slices"
    elif markers:
        seen = marker_origin(bench.series, pose, definition, markers, ends)
        if seen is not None:
            moved = replace(pose, origin_z_mm=seen.z_mm, centre_px=pose.centre_at(seen.z_mm))
            said = f"position from {seen.count} markers" + (f" and {ends.ends} ends of inserts" if ends else "")
            if seen.uncertainty_mm > sure:
                minded = 2.0 * seen.uncertainty_mm > float(definition.body.get("position_slack_mm", 0.0))
                moved = moved.doubt(f"the position is known to ± {seen.uncertainty_mm:.1f} mm only", of_values=minded)
            return moved, f"{said}, ± {seen.uncertainty_mm:.2f} mm"
        alone = marked_slices(bench.series, pose, definition, markers)
        if alone is not None and ends is None:
            moved = replace(pose, origin_z_mm=alone.z_mm, centre_px=pose.centre_at(alone.z_mm))
            return moved, f"position from {alone.count} markers in single slices, ± {alone.uncertainty_mm:.1f} mm"
    if not (wires or markers):
        return pose, ""
    lost = "no wire was found" if wires else "no surface marker was found"
    if ends is None:
        return pose.doubt(f"{lost}: the position is from the middle of the insert module alone"), ""
    moved = replace(pose, origin_z_mm=ends.z_mm, centre_px=pose.centre_at(ends.z_mm))
    said = f"position from {ends.ends} ends of inserts, ± {ends.uncertainty_mm:.2f} mm"
    confirmed = definition.module(str(definition.recognise["reference"])).status == "confirmed"
    if not confirmed or ends.uncertainty_mm > sure:
        moved = moved.doubt(f"{lost}: the position is from the ends of the inserts, ± {ends.uncertainty_mm:.1f} mm")
    return moved, said


def _ends(bench: Workbench, definition: Definition, pose: Pose) -> ColumnOrigin | None:
    """Position by the ends of the inserts of the reference module."""
    return column_origin(bench.series, pose, ring_features(definition), slab_mm(definition))
