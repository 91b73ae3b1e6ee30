"""Size of an MR phantom in a slice: diameters in four directions from radial edges, and how much they differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dose_audit.image_quality import circle_diameter
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.mr_looks import looks
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, module_plane, result
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["diameters"]

_TITLES = {
    "horizontal": "Horizontal diameter",
    "vertical": "Vertical diameter",
    "diagonal_down": "Diameter, diagonal down",
    "diagonal_up": "Diameter, diagonal up",
}
_UNIT_VECTORS = {
    "horizontal": (0.0, 1.0),
    "vertical": (1.0, 0.0),
    "diagonal_down": (0.70711, 0.70711),
    "diagonal_up": (-0.70711, 0.70711),
}


def diameters(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Mean diameter, the directions asked for (``directions``), and the distortion where all four are there.

    Directions are those of the image, as gradients have them, not of the phantom. Angles at which air or a missing edge
    breaks the outline carry no weight in the fit.
    """
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    wanted = [str(one) for one in measure.settings.get("directions", tuple(_TITLES))]
    if isinstance(plane, str):
        yield absent(measure.name, "mm", plane, measure, title="Diameter")
        for name in wanted:
            yield absent(f"{measure.name}_{name}", "mm", plane, measure, title=_TITLES[name])
        return
    nominal = definition.body.get("diameter_mm")
    # Where the size is not known the outline that the location rests on tells it.
    size = float(nominal) * pose.scale if nominal is not None else looks(bench)[plane.frame].outline.diameter.value
    found = circle_diameter(
        plane.image, bench.spacing_mm, pose.centre_at(plane.z_mm), None if size is None else 0.5 * size
    )
    spacing = bench.spacing_mm
    outline: tuple[Roi, ...] = ()
    if found.centre_px is not None and found.diameter.value is not None:
        half = 0.5 * found.diameter.value
        outline = (Roi("circle", (found.centre_px,), (half / spacing[0], half / spacing[1]), plane.frame, "outline"),)
    yield result(replace(found.diameter, name=measure.name), measure, title="Diameter", rois=outline)
    for name in wanted:
        one = replace(found.diameters[name], name=f"{measure.name}_{name}")
        rois: tuple[Roi, ...] = ()
        if one.value is not None and found.centre_px is not None:
            down, right = (
                0.5 * one.value * part / step for part, step in zip(_UNIT_VECTORS[name], spacing, strict=True)
            )
            row, column = found.centre_px
            rois = (
                Roi("line", ((row - down, column - right), (row + down, column + right)), frame=plane.frame, label=""),
            )
        yield result(one, measure, title=_TITLES[name], rois=rois)
    if len(wanted) == len(_TITLES):
        yield result(
            replace(found.distortion, name=f"{measure.name}_distortion"),
            measure,
            title="Distortion (variation of the diameters)",
        )
