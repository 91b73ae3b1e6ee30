"""The axis of a cylinder in CT, from its body's edges or its ring of inserts, and what its size and tilt throw into doubt."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, degrees, hypot, radians

import numpy as np

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.ct_position import ring_features
from dose_audit.phantom.locate.inserts import ring_centre
from dose_audit.phantom.locate.outline import Outline, axis_line, outlines
from dose_audit.phantom.locate.wires import lean_mm_per_mm
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Workbench

__all__ = ["Axis", "bodies", "body_axis", "doubted_tilt", "inserts_axis"]

# By how much the body may differ from its size where the pixel spacing is not true.
_SPACING_SHARE = 0.03
# A round field of view: about the image's middle to this, and as wide as the image to this share.
_FIELD_OFF_MM, _FIELD_SHARE = 1.0, 0.01
# Tilt beyond which lengths across the phantom are wrong by more than its drawing.
_TILT_DEG = 3.5


@dataclass(frozen=True, slots=True)
class Axis:
    """The phantom's axis in pixels along the slice positions, where it comes from, and why the body's size is in doubt."""

    row: tuple[float, float]
    column: tuple[float, float]
    diameter_mm: float | None
    how: str
    off_size: str = ""

    def at(self, z_mm: float) -> tuple[float, float]:
        return self.row[0] + self.row[1] * z_mm, self.column[0] + self.column[1] * z_mm


def _about_the_middle(bench: Workbench, one: Outline) -> bool:
    rows, columns = bench.series.shape
    row_mm, column_mm = bench.spacing_mm
    away = hypot((one.row - 0.5 * (rows - 1)) * row_mm, (one.column - 0.5 * (columns - 1)) * column_mm)
    return away <= _FIELD_OFF_MM


def _fills_the_image(bench: Workbench, one: Outline) -> bool:
    """Whether a circle is as wide as the image and about its middle, as the edge of a round field of view is."""
    side = min(size * step for size, step in zip(bench.series.shape, bench.spacing_mm, strict=True))
    as_wide = one.radius_mm is not None and abs(2 * one.radius_mm - side) <= _FIELD_SHARE * side
    return as_wide and _about_the_middle(bench, one)


def bodies(bench: Workbench, definition: Definition) -> list[int]:
    """Slices whose outline can be this phantom's: of its size but for a pixel spacing that is not true, and no field's edge."""
    nominal = float(definition.body["diameter_mm"])
    furthest = max(float(definition.body.get("tolerance_mm", 3.0)), _SPACING_SHARE * nominal)
    return [
        index
        for index, one in enumerate(outlines(bench))
        if one.radius_mm is not None
        and abs(2 * one.radius_mm - nominal) <= furthest
        and not _fills_the_image(bench, one)
    ]


def body_axis(bench: Workbench, definition: Definition) -> Axis | None:
    """The axis from body edges; from the ring of inserts itself where the field of view cuts the body off."""
    nominal = float(definition.body["diameter_mm"])
    allowed = float(definition.body.get("tolerance_mm", 3.0))
    found = outlines(bench)
    z = bench.series.z_mm
    # A pixel spacing that is not true shows in the body's size; the inserts still tell what it is.
    own = bodies(bench, definition)
    if len(own) >= max(1, min(3, len(found) // 4)):
        if len(own) >= 8:
            # The phantom's tilted faces fill the first and the last slice in part, which pulls their centres.
            own = own[1:-1]
        positions = z[own]
        rows = axis_line(positions, np.array([found[index].row for index in own]))
        columns = axis_line(positions, np.array([found[index].column for index in own]))
        diameter = float(np.median([2 * (found[index].radius_mm or 0.0) for index in own]))
        said = ""
        if abs(diameter - nominal) > allowed:
            said = f"the body measures {diameter:.1f} mm, not {nominal:.1f} mm: the pixel spacing may not be true"
        return Axis(rows[:2], columns[:2], diameter, f"body edges in {len(own)} slices", said)
    # The edge of a round field of view within the body looks like a smaller body's about the middle of the image.
    cut = [
        one
        for one in found
        if (
            one.cut
            if one.radius_mm is None
            else 2 * one.radius_mm < nominal + allowed and _about_the_middle(bench, one)
        )
    ]
    return inserts_axis(bench, definition) if len(cut) > len(found) // 2 else None


def inserts_axis(bench: Workbench, definition: Definition) -> Axis | None:
    """The axis from the ring of inserts alone."""
    inserts = ring_features(definition)
    if not inserts:
        return None
    background = float(definition.body.get("background_hu", 100.0))
    centre = bench.once(f"ring centre {definition.id}", lambda: ring_centre(bench, inserts, background))
    if centre is None:
        return None
    return Axis((centre[0], 0.0), (centre[1], 0.0), None, "inserts, because the field of view cuts the body off")


def doubted_tilt(pose: Pose) -> Pose:
    """The pose, in doubt where the slices cut the phantom so obliquely that lengths across it grow."""
    tilt_deg = degrees(atan2(hypot(*lean_mm_per_mm(pose)), 1.0))
    if tilt_deg <= _TILT_DEG:
        return pose
    longer = 100.0 * (1.0 / cos(radians(tilt_deg)) - 1.0)
    return pose.doubt(
        f"the slices cut the phantom at {tilt_deg:.1f} degrees: lengths are up to {longer:.1f} % too long"
    )
