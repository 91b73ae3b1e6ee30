"""MagNET / Eurospin TO2: distances of the rods, and slice width from two opposed glass plates between their rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality import ProfileFit, fit_slice_profile, sample_points, slice_thickness_crossed
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.mr_rods import rod_centres
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, box, module_plane, result
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["distances", "plate_thickness"]

# Beyond this many widths from its middle the plate is no longer seen.
_BESIDE = 0.68
_LEAST_DEPTH = 0.05


def distances(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Distance of the outer rods along each row and column, their mean error and variation."""
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    title = "Distance of the outer rods"
    found = None if isinstance(plane, str) else rod_centres(bench, definition, plane.frame)
    if isinstance(plane, str) or found is None:
        reason = plane if isinstance(plane, str) else "the rods do not form their lattice"
        yield absent(f"{measure.name}_horizontal", "mm", reason, measure, title=title)
        yield absent(f"{measure.name}_vertical", "mm", reason, measure, title=title)
        return
    grid = np.array(found).reshape(3, 3, 2)
    spacing = np.array(bench.spacing_mm)
    every: list[float] = []
    for name, lines in (("horizontal", grid), ("vertical", grid.transpose(1, 0, 2))):
        single = [float(np.hypot(*((line[2] - line[0]) * spacing))) for line in lines]
        every += single
        spread = max(float(np.std(single, ddof=1)) / math.sqrt(3.0), 0.02)
        measured = Measured(
            f"{measure.name}_{name}", float(np.mean(single)), "mm", spread,
            method="centres of gravity of the rods", details={"distances_mm": single},
        )  # fmt: skip
        rois = [
            Roi("line", (tuple(line[0]), tuple(line[2])), frame=plane.frame, label=f"{one:.1f}")
            for line, one in zip(lines, single, strict=True)
        ]
        yield result(measured, measure, title=f"{title}, {name}", rois=rois)
    variation = 100.0 * float(np.std(every, ddof=1)) / float(np.mean(every))
    yield result(
        Measured(f"{measure.name}_distortion", variation, "%", method="100 SD / mean of the six outer distances"),
        measure,
        title="Distortion (variation of the distances)",
    )


def plate_thickness(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Slice width from the images of the two plates, mean over a band along each."""
    title = "Slice width"
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    if isinstance(plane, str):
        yield absent(measure.name, "mm", plane, measure, title=title)
        return
    fits, rois = [], []
    plates = definition.features_of(measure)
    length, width = (float(one) for one in measure.settings["profile_mm"])
    for plate in plates:
        step = 0.25
        along = np.arange(-0.5 * length, 0.5 * length + step / 2, step)
        across = np.arange(-0.5 * width, 0.5 * width + 0.1, 0.5)
        origin = np.array(pose.to_pixel(plate.x_mm, plate.y_mm, plane.z_mm))
        right = np.array(pose.to_pixel(plate.x_mm + 1.0, plate.y_mm, plane.z_mm)) - origin
        down = np.array(pose.to_pixel(plate.x_mm, plate.y_mm + 1.0, plane.z_mm)) - origin
        values = sample_points(
            plane.image,
            origin[0] + right[0] * along[None, :] + down[0] * across[:, None],
            origin[1] + right[1] * along[None, :] + down[1] * across[:, None],
        )
        fits.append(_flat_fit(along, values.mean(axis=0)))
        rois.append(box(pose, plate.x_mm, plate.y_mm, length, width, 0.0, plane, plate.id))
    found = slice_thickness_crossed(fits[0], fits[1], tangent=float(plates[0].extra["tangent"]))
    thickness = found.thickness
    # The fits are of the signal over its ground: a plate takes a good share of it away.
    if thickness.value is not None and any((fit.amplitude or 0.0) > -_LEAST_DEPTH for fit in fits):
        thickness = not_measurable(measure.name, "mm", "no dark plates are seen between the rows of rods")
    yield result(replace(thickness, name=measure.name), measure, title=title, rois=rois)


def _flat_fit(along: NDArray[np.float64], signal: NDArray[np.float64]) -> ProfileFit:
    """Fit of the plate's profile over a curved ground: the coil's shading is divided out as a parabola beside the plate."""
    fit = fit_slice_profile(along, signal, tilted_top=True)
    for _ in range(4):
        if fit.fwhm is None or fit.centre is None:
            return fit
        beside = np.abs(along - fit.centre) > _BESIDE * fit.fwhm
        if beside.sum() < 20 or (along[beside] > fit.centre).all() or (along[beside] < fit.centre).all():
            return fit
        ground = np.polynomial.Polynomial.fit(along[beside], signal[beside], 2)(along)
        if ground.min() <= 0:
            return fit
        fit = fit_slice_profile(along, signal / ground)
    return fit
