"""What every measure of a uniform MR section starts from: its plane, its outline, and the quiet corners of the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality import BodyOutline, rectangle_mask
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.mr_looks import looks, outline_at, share_of, template
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, module_plane
from dose_audit.phantom.results import Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["Section", "corners_of", "disc", "outline_of", "quiet_corners", "section"]

# Share of another section's insert in a section from which it is in the way: half a per cent of the uniformity.
_INSERT = 0.03
# The same in one direction, of inserts so near that a lean or a slice's tails bring a part of them in. Sound sets show up
# to 0.009; in a phantom that leans by a degree half of the share is telling.
_TOWARDS, _NEAR_MM, _LEANS_DEG = 0.02, 21.0, 1.0
# Side of the squares in the corners, and their distance from the borders.
_SIDE_MM, _EDGE_MM = 14.0, 4.0


@dataclass(frozen=True, slots=True)
class Section:
    """A uniform section: its plane, its outline, that outline's centre in pixels and its least half axis in mm.

    ``doubt`` says what of another section lies in it, where something does.
    """

    plane: Plane
    outline: BodyOutline
    centre_px: tuple[float, float]
    half_mm: float
    doubt: str = ""


def outline_of(bench: Workbench, pose: Pose, definition: Definition, plane: Plane) -> BodyOutline:
    """Outline of the frame; sought near the given size where the definition has one."""
    nominal = definition.body.get("diameter_mm")
    if nominal is None:
        return looks(bench)[plane.frame].outline
    return bench.once(
        f"mr outline {plane.frame}",
        lambda: outline_at(bench, plane.frame, pose.centre_at(plane.z_mm), 0.5 * float(nominal) * pose.scale),
    )


def section(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Section | str:
    """The section that a measure asks for, or why there is none."""
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    if isinstance(plane, str):
        return plane
    outline = outline_of(bench, pose, definition, plane)
    if outline.centre_px is None or outline.semi_axes_mm is None:
        return f"the outline of the phantom was not found: {outline.diameter.reason}"
    doubt = _other_inserts(bench, pose, definition, plane.frame, definition.module(measure.module).z_mm)
    return Section(plane, outline, outline.centre_px, min(outline.semi_axes_mm), doubt)


def _other_inserts(bench: Workbench, pose: Pose, definition: Definition, frame: int, z_mm: float) -> str:
    """What the slice shows of the inserts beside a section that should be empty: it lies off its place, or leans."""
    dark = looks(bench)[frame].dark
    kinds = {str(name): [float(z) for z in zs] for name, zs in dict(definition.recognise.get("looks", {})).items()}
    if dark is None or "diameter_mm" not in definition.body:
        return ""
    lean = math.hypot(*(a * step for a, step in zip(pose.slope_px_per_mm, pose.spacing_mm, strict=True)))
    towards = _TOWARDS if lean < math.tan(math.radians(_LEANS_DEG)) else 0.5 * _TOWARDS

    def make() -> str:
        seen: list[tuple[float, str]] = []
        for kind, planes in kinds.items():
            # What several kinds of slices share, as the notch, says nothing.
            own = [one for one in definition.features if one.extra.get("looks") == [kind]]
            if own:
                drawn = template(own, 0.5 * float(definition.body["diameter_mm"]))
                whole, most = share_of(dark, drawn, pose.roll_deg, mirrored=pose.mirrored)
                near = min(abs(plane - z_mm) for plane in planes) <= _NEAR_MM
                if whole > _INSERT or (near and most > towards):
                    seen.append((max(whole, most), " and ".join(one.id for one in own)))
        if not seen:
            return ""
        share, names = max(seen)
        return f"{100 * share:.0f} % of the {names} of another section is in this one: it lies off its place, or leans"

    return bench.once(f"mr other inserts {definition.id} {frame} {z_mm}", make)


def disc(centre: tuple[float, float], radius_mm: float, bench: Workbench, plane: Plane, label: str) -> Roi:
    """Outline of a disc in the plane."""
    spacing = bench.spacing_mm
    return Roi("circle", (centre,), (radius_mm / spacing[0], radius_mm / spacing[1]), plane.frame, label)


def corners_of(rows: slice, columns: slice) -> tuple[tuple[float, float], ...]:
    """Corners of a part of the image, for its outline."""
    return (
        (rows.start, columns.start),
        (rows.start, columns.stop - 1),
        (rows.stop - 1, columns.stop - 1),
        (rows.stop - 1, columns.start),
    )


def quiet_corners(
    bench: Workbench, plane: Plane, half_mm: float, centre: tuple[float, float]
) -> tuple[NDArray[np.bool_] | None, tuple[Roi, ...]]:
    """Squares in the image's corners, off the axes along which ghosts lie; the quietest and those like it."""
    image, spacing = plane.image, bench.spacing_mm
    rows, columns = image.shape
    side, edge = _SIDE_MM, _EDGE_MM
    found = []
    for row in (0, rows - 1):
        for column in (0, columns - 1):
            at = (
                abs(row - (edge + 0.5 * side) / spacing[0]),
                abs(column - (edge + 0.5 * side) / spacing[1]),
            )
            away = math.hypot((at[0] - centre[0]) * spacing[0], (at[1] - centre[1]) * spacing[1])
            if away < half_mm + side:
                continue
            square = rectangle_mask(image.shape, at, (side, side), spacing)
            values = image[square]
            if values.size >= 30:
                found.append((float(values.std()), square, at))
    noisy = [one for one in found if one[0] > 0]
    if not noisy:
        return (found[0][1], ()) if found else (None, ())
    quietest = min(one[0] for one in noisy)
    chosen = [one for one in noisy if one[0] <= 1.3 * quietest]
    mask = np.any([one[1] for one in chosen], axis=0)
    boxes = tuple(
        Roi(
            "polygon",
            corners_of(
                *(
                    slice(round(a - 0.5 * side / s), round(a + 0.5 * side / s) + 1)
                    for a, s in zip(at, spacing, strict=True)
                )
            ),
            frame=plane.frame,
            label="air",
        )
        for _, _, at in chosen
    )
    return mask, boxes
