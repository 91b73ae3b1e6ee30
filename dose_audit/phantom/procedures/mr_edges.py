"""Resolution of MR from the edges of a dark square: MTF across each, and half the period at which it falls to one half."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from dose_audit.image_quality import edge_mtf
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, module_plane, result
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["square_edges"]

_METHOD = "slanted edge, 1/(2 f) at MTF 0.5, mean of two opposite edges"


def square_edges(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """MTF 50 across the edges, along rows and along columns of the image, and the resolution 1/(2 f50) in mm."""
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    size = float(definition.body["square_mm"])
    for name, side_angles in (("horizontal", (0.0, 180.0)), ("vertical", (90.0, 270.0))):
        title = f"Resolution, {name}"
        if isinstance(plane, str):
            yield absent(f"{measure.name}_{name}", "mm", plane, measure, title=title)
            continue
        found: list[Measured] = []
        rois: list[Roi] = []
        for angle in side_angles:
            turn = math.radians(angle)
            # The edge lies half a side from the centre; the region is a box of the image about its middle.
            row, column = pose.to_pixel(0.5 * size * math.cos(turn), 0.5 * size * math.sin(turn))
            along, across = 0.5 * 0.62 * size * pose.scale, float(measure.settings.get("across_mm", 11.0))
            half = (along, across) if name == "horizontal" else (across, along)
            rows, columns = (
                slice(max(0, round(at - reach / step)), round(at + reach / step) + 1)
                for at, reach, step in zip((row, column), half, pose.spacing_mm, strict=True)
            )
            corners = (
                (rows.start, columns.start),
                (rows.start, columns.stop - 1),
                (rows.stop - 1, columns.stop - 1),
                (rows.stop - 1, columns.start),
            )
            rois.append(Roi("polygon", corners, frame=plane.frame))
            found.append(edge_mtf(np.asarray(plane.image[rows, columns]), pose.spacing_mm).mtf50)
        yield result(_mean(found, f"{measure.name}_{name}"), measure, title=title, rois=rois)


def _mean(found: list[Measured], name: str) -> Measured:
    """Resolution from the edges that could be measured."""
    known = [one for one in found if one.value]
    if not known:
        return not_measurable(name, "mm", found[0].reason or "no edge was measured", method=_METHOD)
    periods = [0.5 / one.value for one in known if one.value]
    value = float(np.mean(periods))
    spread = [p * (one.uncertainty or 0.0) / (one.value or 1.0) for p, one in zip(periods, known, strict=True)]
    uncertainty = max(float(np.hypot.reduce(spread)) / len(spread), 0.5 * float(np.ptp(periods)))
    measured = Measured(
        name, value, "mm", uncertainty, method=_METHOD, details={"mtf50_per_mm": [one.value for one in found]}
    )
    doubts = sorted({one.reason for one in found if one.status != "ok" and one.reason})
    if np.ptp(periods) > 0.25 * value:
        doubts.append("the two opposite edges disagree")
    return measured.doubt("; ".join(doubts)) if doubts else measured
