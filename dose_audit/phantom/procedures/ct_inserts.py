"""CT numbers of inserts, their linearity, contrast to noise, and the transfer function at their edges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from dose_audit.image_quality import contrast_to_noise as cnr
from dose_audit.image_quality import disc_ttf, hu_linearity
from dose_audit.image_quality.inserts import fit_insert
from dose_audit.image_quality.rois import RoiStatistics, disc_statistics
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, circle, module_plane, result
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["contrast_to_noise", "ct_numbers", "linearity", "task_transfer"]

# Share of an insert's radius that the region covers: clear of the edge's blur.
_ROI_SHARE = 0.65


def _place(plane: Plane, pose: Pose, feature: Feature) -> tuple[tuple[float, float], bool]:
    """Where the insert is: its own edge where it stands out, its nominal place where it does not."""
    nominal = pose.to_pixel(feature.x_mm, feature.y_mm, plane.z_mm)
    fit = fit_insert(plane.image, pose.spacing_mm, nominal, feature.size_mm[0] / 2, search_mm=1.5)
    if fit.position_px is not None and abs(fit.contrast.value or 0.0) > 60.0:
        return fit.position_px, True
    return nominal, False


def _statistics(plane: Plane, pose: Pose, feature: Feature, share: float) -> RoiStatistics:
    place, _ = _place(plane, pose, feature)
    return disc_statistics(plane.image, place, share * feature.size_mm[0] / 2, pose.spacing_mm)


def ct_numbers(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Mean CT number of each insert, ``hu.<insert>``, over 65 % of its radius."""
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    share = float(measure.settings.get("roi_share", _ROI_SHARE))
    for feature in definition.features_of(measure):
        name, title = f"hu.{feature.id}", f"CT number of {feature.material or feature.id}"
        if isinstance(plane, str):
            yield absent(name, "HU", plane, measure, title=title)
            continue
        found = _statistics(plane, pose, feature, share)
        if found.mean is None or found.pixels < 20:
            yield absent(name, "HU", f"only {found.pixels} pixels in the insert", measure, title=title)
            continue
        method = f"mean of a disc over {100 * share:.0f} % of the insert's radius, {len(plane.frames)} slice(s)"
        value = Measured(
            name,
            found.mean,
            "HU",
            uncertainty=found.mean_uncertainty,
            method=method,
            details={"sd_hu": found.sd, "pixels": found.pixels, "nominal_hu": feature.nominal},
        )
        yield result(
            value, measure, title=title, rois=[circle(pose, feature, plane, share * feature.size_mm[0] / 2, feature.id)]
        )


def linearity(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Straight line of measured against nominal CT numbers: slope, intercept, largest deviation."""
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    if isinstance(plane, str):
        yield absent(measure.name, "1", plane, measure, title="CT number linearity")
        return
    nominal, seen = [], []
    for feature in definition.features_of(measure):
        found = _statistics(plane, pose, feature, _ROI_SHARE)
        if found.mean is not None and feature.nominal is not None:
            nominal.append(feature.nominal)
            seen.append(found.mean)
    fit = hu_linearity(np.asarray(seen), np.asarray(nominal))
    for one, title in (
        (fit.slope, "CT number linearity: slope"),
        (fit.intercept, "CT number linearity: intercept"),
        (fit.largest_deviation, "CT number linearity: largest deviation from the line"),
    ):
        yield result(one, measure, title=title)


def contrast_to_noise(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Contrast of an insert to a background region over the background's noise, in one slice."""
    title = str(measure.settings.get("title", "Contrast to noise"))
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    if isinstance(plane, str):
        yield absent(measure.name, "1", plane, measure, title=title)
        return
    insert, background = definition.features_of(measure)[:2]
    # Averaged slices have less noise; contrast to noise belongs to one image.
    image = bench.series.image(plane.frame)
    radius = float(measure.settings.get("roi_radius_mm", 0.6 * insert.size_mm[0] / 2))
    places = [pose.to_pixel(one.x_mm, one.y_mm, float(bench.series.z_mm[plane.frame])) for one in (insert, background)]
    signal, behind = (disc_statistics(image, place, radius, pose.spacing_mm) for place in places)
    value = replace(cnr(signal, behind), name=measure.name)
    rois = [circle(pose, one, plane, radius, one.id) for one in (insert, background)]
    yield result(value, measure, title=title, rois=rois)


def task_transfer(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Frequency at which the transfer function of an insert's edge falls to a half, for each insert named."""
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    for feature in definition.features_of(measure):
        name, title = f"ttf50.{feature.id}", f"Task transfer function of {feature.material or feature.id}: 50 %"
        if isinstance(plane, str):
            yield absent(name, "/mm", plane, measure, title=title)
            continue
        place, _ = _place(plane, pose, feature)
        radius = feature.size_mm[0] / 2
        # Cropped to the insert and a margin as wide as its radius, so that no neighbour is taken for it.
        half = [int(2.0 * radius / step) + 1 for step in pose.spacing_mm]
        row, column = (max(0, round(at) - size) for at, size in zip(place, half, strict=True))
        stack = bench.series.volume[list(plane.frames), row : row + 2 * half[0] + 1, column : column + 2 * half[1] + 1]
        found = disc_ttf(stack, pose.spacing_mm, centre_px=(place[0] - row, place[1] - column), radius_mm=radius)
        outline = circle(pose, feature, plane, radius, feature.id)
        yield result(replace(found.mtf50, name=name), measure, title=title, rois=[outline])
