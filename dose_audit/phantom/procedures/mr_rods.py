"""MagNET / Eurospin TO2: distances of the rods, and slice width from two opposed glass plates between their rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from dose_audit.image_quality import ProfileFit, fit_slice_profile, sample_points, slice_thickness_crossed
from dose_audit.image_quality.profile_shapes import plateau_shape
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.mr_rods import rod_centres
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, box, module_plane, result
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["distances", "plate_thickness"]

_LEAST_DEPTH = 0.05
# A cubic follows the coil's shading over 8 cm.
_GROUND_ORDER = 3


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
    """Slice width from the images of the two plates, mean over a band along each, by the scale that the rods give."""
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
    scale = _scale_along(bench, pose, definition, plane.frame)
    if thickness.value is not None and scale is not None:
        # Lengths along the plates are told by the rods beside them: gradients that stretch both cancel.
        thickness = replace(
            thickness,
            value=thickness.value / scale,
            method=f"{thickness.method}, lengths by the rods' distance",
            details={**thickness.details, "scale_of_lengths": scale},
        )
    # The fits are of the signal over its ground: a plate takes a good share of it away.
    if thickness.value is not None and any((fit.amplitude or 0.0) > -_LEAST_DEPTH for fit in fits):
        thickness = not_measurable(measure.name, "mm", "no dark plates are seen between the rows of rods")
    yield result(replace(thickness, name=measure.name), measure, title=title, rois=rois)


def _scale_along(bench: Workbench, pose: Pose, definition: Definition, frame: int) -> float | None:
    """Mean distance of the outer rods along the plates over the nominal one."""
    found = rod_centres(bench, definition, frame)
    if found is None:
        return None
    grid = np.array(found).reshape(3, 3, 2) * np.array(bench.spacing_mm)
    rods = np.array([one.x_mm for one in definition.features if "rods" in one.extra.get("looks", ())])
    # The rods are kept in order of the image, upright to an eighth turn; the plates may lie either way.
    lying = abs((pose.roll_deg + 45.0) % 180.0 - 45.0) <= 45.0
    lines = grid if lying else grid.transpose(1, 0, 2)
    return float(np.mean([np.hypot(*(line[2] - line[0])) for line in lines])) / float(np.ptp(rods))


def _flat_fit(along: NDArray[np.float64], signal: NDArray[np.float64]) -> ProfileFit:
    """Fit of the plate's profile over a curved ground that was found together with it."""
    first = fit_slice_profile(along, signal, tilted_top=True)
    if first.width is None or first.centre is None or first.blur is None:
        return first
    ground = _ground(along, signal, (first.centre, first.width, first.blur))
    return first if ground is None else fit_slice_profile(along, signal / ground)


def _ground(
    along: NDArray[np.float64], signal: NDArray[np.float64], start: tuple[float, float, float]
) -> NDArray[np.float64] | None:
    """The coil's shading along the profile, under the plate too: a cubic of which the plate takes a share.

    Ground and plate are fitted at once, the cubic's terms by linear least squares within each step. A ground from beside
    the plate alone takes the plate's blurred ends for shading, and the width comes out 2 % short.
    """
    reach = float(np.abs(along).max())
    powers = (along[:, None] / reach) ** np.arange(_GROUND_ORDER + 1)

    def solved(parameters: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        centre, width, blur, share = parameters
        left = 1.0 - share * plateau_shape(along - centre, width, blur)
        terms = powers * left[:, None]
        weights = np.linalg.lstsq(terms, signal, rcond=None)[0]
        return powers @ weights, terms @ weights - signal

    lower, upper = np.array([-reach, 0.1 * reach, 0.25, 0.02]), np.array([reach, 1.6 * reach, 0.5 * reach, 0.98])
    begin = np.clip([*start, 0.3], lower * 1.001 + 1e-6, upper * 0.999)
    scales = np.array([1.0, 1.0, 1.0, 0.1])
    fitted = optimize.least_squares(lambda p: solved(p)[1], begin, bounds=(lower, upper), x_scale=scales, max_nfev=100)
    ground = solved(fitted.x)[0]
    return ground if ground.min() > 0 else None
