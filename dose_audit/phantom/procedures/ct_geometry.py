"""Lengths in CT: the body's diameter and the distances of the nodes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import ceil, hypot, sqrt

import numpy as np

from dose_audit.image_quality.inserts import fit_insert
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.locate.ct_axis import bodies
from dose_audit.phantom.locate.ct_scale import finder
from dose_audit.phantom.locate.outline import outlines
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, result, section_plane
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["bead_distance", "body_diameter", "node_distance"]

# A circle's radius from some 180 half-height crossings; what remains is the threshold's choice and the wall's blur.
_DIAMETER_FLOOR_MM = 0.05
_CONCENTRIC_MM = 2.5
# Where a bead is sought about its place, along the slices and within them.
_BEAD_ALONG_MM = 6.0
_BEAD_WITHIN_MM = 4.0


def body_diameter(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Outer diameter: median over the slices that show the whole edge."""
    title = "Outer diameter"
    found = []
    looked_at = finder(bench)
    for index in bodies(looked_at, definition):
        one = outlines(looked_at)[index]
        row, column = pose.centre_at(float(bench.series.z_mm[index]))
        away = hypot((one.row - row) * pose.spacing_mm[0], (one.column - column) * pose.spacing_mm[1])
        # A circle about another centre is not this body's: the field of view's, or a table's.
        if away <= _CONCENTRIC_MM:
            found.append(one)
    if not found:
        yield absent(measure.name, "mm", "no slice shows the body's whole edge", measure, title=title)
        return
    diameters = np.array([2 * (one.radius_mm or 0.0) for one in found])
    spread = 1.4826 * float(np.median(np.abs(diameters - np.median(diameters))))
    frame = bench.frame_at(pose, 0.0) or 0
    row, column = pose.centre_at(float(bench.series.z_mm[frame]))
    radius = float(np.median(diameters)) / 2
    value = Measured(
        measure.name,
        2 * radius,
        "mm",
        uncertainty=hypot(_DIAMETER_FLOOR_MM, spread / sqrt(len(found))),
        method="robust circle through half-height edges on 180 rays, median over slices",
        details={"slices": len(found), "spread_mm": spread},
    )
    size = (radius / pose.spacing_mm[0], radius / pose.spacing_mm[1])
    yield result(value, measure, title=title, rois=[Roi("circle", ((row, column),), size, frame, "body")])


def node_distance(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Distances of neighbouring nodes around their square, ``<name>.<node>-<node>``, and the mean of all."""
    plane = section_plane(bench, pose, definition, measure)
    nodes = definition.features_of(measure)
    if isinstance(plane, str):
        yield absent(f"{measure.name}.mean", "mm", plane, measure, title="Mean distance of nodes")
        return
    places: dict[str, tuple[float, float, float]] = {}
    for node in nodes:
        near = pose.to_pixel(node.x_mm, node.y_mm, plane.z_mm)
        fit = fit_insert(plane.image, pose.spacing_mm, near, node.size_mm[0] / 2, search_mm=2.5, fix_radius=True)
        if fit.position_px is not None and fit.contrast.status == "ok":
            places[node.id] = (*fit.position_px, fit.position_uncertainty_mm or 0.0)
    lengths: list[tuple[float, float]] = []
    for first, second in pairwise([*nodes, nodes[0]]):
        name, title = f"{measure.name}.{first.id}-{second.id}", f"Distance of {first.id} and {second.id}"
        if first.id not in places or second.id not in places:
            missing = [one.id for one in (first, second) if one.id not in places]
            yield absent(
                name, "mm", f"{' and '.join(missing)} does not stand out where it should be", measure, title=title
            )
            continue
        (row1, column1, u1), (row2, column2, u2) = places[first.id], places[second.id]
        length = hypot((row1 - row2) * pose.spacing_mm[0], (column1 - column2) * pose.spacing_mm[1])
        lengths.append((length, hypot(u1, u2)))
        value = Measured(name, length, "mm", uncertainty=hypot(u1, u2), method="blurred discs fitted to both nodes")
        line = Roi("line", ((row1, column1), (row2, column2)), frame=plane.frame, label="")
        yield result(value, measure, title=title, rois=[line])
    title = "Mean distance of nodes"
    if not lengths:
        yield absent(f"{measure.name}.mean", "mm", "no two neighbouring nodes were found", measure, title=title)
        return
    mean = float(np.mean([length for length, _ in lengths]))
    own = sqrt(sum(u * u for _, u in lengths)) / len(lengths)
    value = Measured(f"{measure.name}.mean", mean, "mm", uncertainty=own, method=f"mean of {len(lengths)} distances")
    yield result(value if len(lengths) == len(nodes) else value.doubt("not all nodes were found"), measure, title=title)


def _bead(bench: Workbench, pose: Pose, bead: Feature, z_mm: float) -> tuple[float, float, int] | str:
    """Row and column of a bead in the slice that shows it best, from the centroid of what rises over its surroundings."""
    frames = bench.frames_between(pose, z_mm - _BEAD_ALONG_MM, z_mm + _BEAD_ALONG_MM)
    best: tuple[float, float, float, int] | None = None
    for index in frames:
        near = pose.to_pixel(bead.x_mm, bead.y_mm, float(bench.series.z_mm[index]))
        image = bench.series.image(index)
        half = [ceil(_BEAD_WITHIN_MM / step) for step in pose.spacing_mm]
        top, left = round(near[0]) - half[0], round(near[1]) - half[1]
        part = image[max(top, 0) : top + 2 * half[0] + 1, max(left, 0) : left + 2 * half[1] + 1].astype(float)
        if top < 0 or left < 0 or part.shape != (2 * half[0] + 1, 2 * half[1] + 1):
            continue
        base = float(np.median(part))
        noise = 1.4826 * float(np.median(np.abs(part - base))) or 1.0
        peak = np.unravel_index(int(np.argmax(part)), part.shape)
        height = (float(part[peak]) - base) / noise
        # What rises towards the border is the foot of something else.
        at_border = any(at in (0, size - 1) for at, size in zip(peak, part.shape, strict=True))
        if height < 6.0 or at_border or (best is not None and height <= best[0]):
            continue
        reach = max(2, ceil(1.5 / min(pose.spacing_mm)))
        rows = slice(max(0, int(peak[0]) - reach), int(peak[0]) + reach + 1)
        columns = slice(max(0, int(peak[1]) - reach), int(peak[1]) + reach + 1)
        weight = np.clip(part[rows, columns] - base - 0.2 * height * noise, 0.0, None)
        down, right = np.mgrid[
            rows.start : rows.start + weight.shape[0], columns.start : columns.start + weight.shape[1]
        ]
        total = float(weight.sum())
        best = (height, top + float((down * weight).sum()) / total, left + float((right * weight).sum()) / total, index)
    if best is None:
        return f"{bead.id} does not stand out of the noise where it should be" if frames else "no slice shows the beads"
    return best[1], best[2], best[3]


def bead_distance(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Distance of two beads in the plane of the slices."""
    title = "Distance of the beads"
    first, second = definition.features_of(measure)[:2]
    z_mm = definition.module(measure.module).z_mm
    found = [_bead(bench, pose, one, z_mm) for one in (first, second)]
    reasons = [one for one in found if isinstance(one, str)]
    if reasons:
        yield absent(measure.name, "mm", "; ".join(dict.fromkeys(reasons)), measure, title=title)
        return
    (row1, column1, frame), (row2, column2, _) = (one for one in found if not isinstance(one, str))
    length = hypot((row1 - row2) * pose.spacing_mm[0], (column1 - column2) * pose.spacing_mm[1])
    spread = 0.15 * max(pose.spacing_mm)
    value = Measured(measure.name, length, "mm", spread, method="centroids of both beads, each in its best slice")
    yield result(value, measure, title=title, rois=[Roi("line", ((row1, column1), (row2, column2)), frame=frame)])
