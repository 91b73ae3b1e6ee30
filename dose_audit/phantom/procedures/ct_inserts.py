"""CT numbers of inserts, their linearity, contrast to noise, and the transfer function at their edges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import hypot, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality import contrast_to_noise as cnr
from dose_audit.image_quality import disc_ttf, hu_linearity
from dose_audit.image_quality.inserts import fit_insert
from dose_audit.image_quality.rois import RoiStatistics, annulus_window, disc_statistics
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, circle, result, section_plane
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["contrast_to_noise", "ct_numbers", "linearity", "task_transfer"]

# Share of an insert's radius that the region covers at most, and at least; what it keeps off the edge, in standard deviations
# of the edge's blur.
_ROI_SHARE, _LEAST_SHARE, _OFF_EDGE = 0.65, 0.3, 2.5
_LEAST_PIXELS = 20
_UNIFORM = "ct_uniformity.noise"
# Specimens of one plastic, beams, and lists of nominal values differ by up to 40 HU (Delrin 325 to 365 at 120 kV); an insert
# that is taken for another differs by more.
_APART_HU = 45.0
# Share of an insert's pixels at its least value from which the scale is taken to end there, and from which nothing is left to
# measure; only in air, and only where there is noise that would go further down.
_CUT_OFF, _LOST = 0.02, 0.4
_LOWEST_HU, _LEAST_NOISE_HU = -950.0, 1.5
# Where the scale ends at air's own CT number by definition, as cone-beam devices let it, its end is air's value; how much
# further down air would lie is known by half of what the noise's cut-off part tells.
_VACUUM_HU, _AT_VACUUM_HU, _MOST_TOLD = -1000.0, 2.0, 0.98


def _place(plane: Plane, pose: Pose, feature: Feature) -> tuple[tuple[float, float], float | None]:
    """Where the insert is, and its edge's blur in mm: its own edge where it stands out, its nominal place where it does not."""
    nominal = pose.to_pixel(feature.x_mm, feature.y_mm, plane.z_mm)
    fit = fit_insert(plane.image, pose.spacing_mm, nominal, feature.size_mm[0] / 2, search_mm=1.5)
    if fit.position_px is not None and abs(fit.contrast.value or 0.0) > 60.0:
        return fit.position_px, float(fit.contrast.details["blur_mm"])
    return nominal, None


def _clear_share(features: Sequence[Feature], blurs_mm: Sequence[float | None], share: float) -> float:
    """Share of the inserts' radius that is clear of their edges' blur: smooth kernels reach further in."""
    seen = [one for one in blurs_mm if one is not None]
    if not seen:
        return share
    radius = 0.5 * min(one.size_mm[0] for one in features)
    return max(_LEAST_SHARE, min(share, 1.0 - _OFF_EDGE * float(np.median(seen)) / radius))


@dataclass(frozen=True, slots=True)
class _Seen:
    """One insert: its statistics over a share of its radius, its CT number with the standard uncertainty, and the share of its
    pixels that is cut off."""

    found: RoiStatistics
    share: float
    hu: float | None
    spread: float | None
    cut_off: float = 0.0
    least: float = 0.0

    @property
    def lost(self) -> bool:
        """Whether so much is cut off that nothing is left to measure."""
        return self.cut_off > _LOST and abs(self.least - _VACUUM_HU) > _AT_VACUUM_HU


def _inserts(
    bench: Workbench, plane: Plane, pose: Pose, definition: Definition, features: Sequence[Feature], share: float
) -> list[_Seen]:
    """Each insert's CT number; measured once for all measures that ask for the same."""
    key = f"inserts {plane.frames} {share} {pose.roll_deg} {pose.centre_px} {[one.id for one in features]}"
    return bench.once(key, lambda: _measured_inserts(bench, plane, pose, definition, features, share))


def _measured_inserts(
    bench: Workbench, plane: Plane, pose: Pose, definition: Definition, features: Sequence[Feature], share: float
) -> list[_Seen]:
    """Each insert's CT number.

    How far the noise reaches is not told by the few hundred pixels of an insert: their own mean hides it. It is that of
    all inserts together, or of the uniform section where that shows it to be more. Air that the scale's end cuts off has
    its median.
    """
    placed = [_place(plane, pose, feature) for feature in features]
    share = _clear_share(features, [blur for _, blur in placed], share)
    found = [
        disc_statistics(plane.image, place, share * feature.size_mm[0] / 2, pose.spacing_mm)
        for feature, (place, _) in zip(features, placed, strict=True)
    ]
    areas = [one.correlation_area for one in found if one.correlation_area is not None and one.pixels >= _LEAST_PIXELS]
    area = max(float(np.mean(areas)), _noise_area(bench, pose, definition)) if areas else None
    noise = float(np.median([one.sd for one in found if one.sd is not None] or [0.0]))
    seen = []
    for feature, (place, _), one in zip(features, placed, found, strict=True):
        spread = None if one.sd is None or area is None else one.sd * sqrt(min(area / max(one.pixels, 1), 1.0))
        if one.mean is None or one.mean > _LOWEST_HU + 50.0 or noise < _LEAST_NOISE_HU:
            seen.append(_Seen(one, share, one.mean, spread))
            continue
        pixels = _pixels(bench, plane, place, share * feature.size_mm[0] / 2)
        least = float(pixels.min())
        cut = float(np.mean(pixels == least)) if least <= _LOWEST_HU else 0.0
        if cut <= max(_CUT_OFF, 3.0 / pixels.size):
            seen.append(_Seen(one, share, one.mean, spread))
        else:
            below = 0.5 * noise * max(0.0, NormalDist().inv_cdf(min(cut, _MOST_TOLD)))
            known = None if spread is None else hypot(1.25 * spread, below)
            seen.append(_Seen(one, share, float(np.median(pixels)), known, cut, least))
    return seen


def _noise_area(bench: Workbench, pose: Pose, definition: Definition) -> float:
    """Pixels that share one value of the noise, by the middle of the uniform section; 0 where the series shows none."""
    for measure in definition.measures:
        if measure.procedure == _UNIFORM:
            plane = section_plane(bench, pose, definition, measure)
            if isinstance(plane, Plane):
                centre = pose.to_pixel(0.0, 0.0, plane.z_mm)
                wide = disc_statistics(plane.image, centre, float(measure.settings["radius_mm"]), pose.spacing_mm)
                return wide.correlation_area or 0.0
    return 0.0


def _pixels(bench: Workbench, plane: Plane, place: tuple[float, float], radius_mm: float) -> NDArray[np.float32]:
    """Pixels of a disc in all slices of the plane, before they are averaged."""
    shape = (plane.image.shape[0], plane.image.shape[1])
    window, inside = annulus_window(shape, place, 0.0, radius_mm, bench.spacing_mm)
    return np.concatenate([bench.series.image(index)[window][inside] for index in plane.frames])


def ct_numbers(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Mean CT number of each insert, ``hu.<insert>``, over 65 % of its radius, or less where its edge's blur reaches in."""
    plane = section_plane(bench, pose, definition, measure)
    share = float(measure.settings.get("roi_share", _ROI_SHARE))
    features = definition.features_of(measure)
    if isinstance(plane, str):
        for feature in features:
            title = f"CT number of {feature.material or feature.id}"
            yield absent(f"hu.{feature.id}", "HU", plane, measure, title=title)
        return
    for feature, seen in zip(features, _inserts(bench, plane, pose, definition, features, share), strict=True):
        found = seen.found
        method = f"mean of a disc over {100 * seen.share:.0f} % of the insert's radius, {len(plane.frames)} slice(s)"
        name, title = f"hu.{feature.id}", f"CT number of {feature.material or feature.id}"
        if seen.hu is None or found.pixels < _LEAST_PIXELS:
            yield absent(name, "HU", f"only {found.pixels} pixels in the insert", measure, title=title)
            continue
        details = {"sd_hu": found.sd, "pixels": found.pixels, "nominal_hu": feature.nominal}
        value = Measured(name, seen.hu, "HU", uncertainty=seen.spread, method=method, details=details)
        if seen.cut_off:
            said = f"{seen.cut_off:.0%} of the pixels lie at {seen.least:g} HU, the least that these images hold"
            value = replace(value, method=method.replace("mean", "median", 1) + f", because {said}")
            value = value.doubt(said) if seen.lost else value
        outline = circle(pose, feature, plane, seen.share * feature.size_mm[0] / 2, feature.id)
        yield result(value, measure, title=title, rois=[outline])


def linearity(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Straight line of measured against nominal CT numbers: slope, intercept, largest deviation."""
    plane = section_plane(bench, pose, definition, measure)
    if isinstance(plane, str):
        yield absent(measure.name, "1", plane, measure, title="CT number linearity")
        return
    features = [one for one in definition.features_of(measure) if one.nominal is not None]
    inserts = _inserts(bench, plane, pose, definition, features, _ROI_SHARE)
    seen = [
        None if one.hu is None or one.lost else Measured(feature.id, one.hu, "HU", uncertainty=one.spread)
        for feature, one in zip(features, inserts, strict=True)
    ]
    nominal = [one.nominal for one in features if one.nominal is not None]
    fit = hu_linearity(seen, nominal, apart_hu=float(measure.settings.get("apart_hu", _APART_HU)))
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
    plane = section_plane(bench, pose, definition, measure)
    if isinstance(plane, str):
        yield absent(measure.name, "1", plane, measure, title=title)
        return
    insert, background = definition.features_of(measure)[:2]
    # Averaged slices have less noise; contrast to noise belongs to one image.
    image = bench.series.image(plane.frame)
    radius = float(measure.settings.get("roi_radius_mm", 0.6 * insert.size_mm[0] / 2))
    places = [pose.to_pixel(one.x_mm, one.y_mm, float(bench.series.z_mm[plane.frame])) for one in (insert, background)]
    seen = [disc_statistics(image, place, radius, pose.spacing_mm) for place in places]
    wide = _noise_area(bench, pose, definition)
    signal, behind = (
        one if one.correlation_area is None else replace(one, correlation_area=max(one.correlation_area, wide))
        for one in seen
    )
    value = replace(cnr(signal, behind), name=measure.name)
    rois = [circle(pose, one, plane, radius, one.id) for one in (insert, background)]
    yield result(value, measure, title=title, rois=rois)


def task_transfer(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Frequency at which the transfer function of an insert's edge falls to a half, for each insert named."""
    plane = section_plane(bench, pose, definition, measure)
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
