"""Uniform regions in CT: five-region uniformity, noise, and the noise power spectrum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import sqrt

import numpy as np

from dose_audit.image_quality import hu_uniformity, noise_power_spectrum, noise_sd
from dose_audit.image_quality.rings import ring_share
from dose_audit.image_quality.rois import disc_mask
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, box, circle, result, section_plane
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["five_regions", "noise", "noise_power"]

# Share of the variance that rings may have: beyond it they add 5 % to the noise, or move the spectrum by a tenth.
_RINGS, _RINGS_NPS = 0.1, 0.03
_CENTRE = Feature("centre", "", "disc", 0.0, 0.0, (1.0,))


def five_regions(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """CT number at the centre and at 3, 6, 9 and 12 o'clock: the centre, and the largest difference to it."""
    settings = measure.settings
    plane = section_plane(bench, pose, definition, measure)
    if isinstance(plane, str):
        yield absent(measure.name, "HU", plane, measure, title="Uniformity: largest difference to the centre")
        yield absent(f"{measure.name}_centre", "HU", plane, measure, title="CT number at the centre")
        return
    r_mm, radius = float(settings["r_mm"]), float(settings["radius_mm"])
    centre = pose.to_pixel(0.0, 0.0, plane.z_mm)
    found = hu_uniformity(
        plane.image,
        pose.spacing_mm,
        centre,
        radius_mm=radius,
        distance_mm=r_mm * pose.scale,
        angles_deg=[pose.angle_on_screen(angle) for angle in (0.0, 90.0, 180.0, -90.0)],
    )
    places = [("centre", 0.0, 0.0), ("3", r_mm, 0.0), ("6", 0.0, r_mm), ("9", -r_mm, 0.0), ("12", 0.0, -r_mm)]
    rois = [circle(pose, replace(_CENTRE, id=name, x_mm=x, y_mm=y), plane, radius, name) for name, x, y in places]
    yield result(
        replace(found.largest_difference, name=measure.name),
        measure,
        title="Uniformity: largest difference to the centre",
        rois=rois,
    )
    yield result(
        replace(found.centre, name=f"{measure.name}_centre"), measure, title="CT number at the centre", rois=rois[:1]
    )


def _rings(pose: Pose, plane: Plane, radius_mm: float) -> float:
    """Standard deviation in HU of rings over a disc about the axis, in the mean of the slices.

    About the phantom's axis, or about the image's middle, where the axis of rotation mostly lies.
    """
    image = plane.image
    centre = pose.to_pixel(0.0, 0.0, plane.z_mm)
    inside = disc_mask(image.shape, centre, radius_mm, pose.spacing_mm)
    middle = (0.5 * (image.shape[0] - 1), 0.5 * (image.shape[1] - 1))
    return max(ring_share(image, pose.spacing_mm, one, inside).sd for one in (centre, middle))


def noise(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Standard deviation in the central region after removing a plane: root mean square over the single slices."""
    title = "Noise"
    plane = section_plane(bench, pose, definition, measure)
    if isinstance(plane, str):
        yield absent(measure.name, "HU", plane, measure, title=title)
        return
    radius = float(measure.settings["radius_mm"])
    singles = []
    for index in plane.frames:
        image = bench.series.image(index)
        mask = disc_mask(image.shape, pose.to_pixel(0.0, 0.0, float(bench.series.z_mm[index])), radius, pose.spacing_mm)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            continue
        window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        singles.append(noise_sd(np.where(mask[window], image[window], np.nan), unit="HU"))
    usable = [one for one in singles if one.value is not None]
    if not usable:
        reason = singles[0].reason if singles else "the region lies outside the images"
        yield absent(measure.name, "HU", reason, measure, title=title)
        return
    rms = sqrt(float(np.mean([one.value**2 for one in usable if one.value is not None])))
    single = max(usable, key=lambda one: one.status == "suspect")
    known = [one.uncertainty for one in usable if one.uncertainty is not None]
    spread = sqrt(sum(u * u for u in known)) / len(known) if known else None
    value = replace(
        single,
        name=measure.name,
        value=rms,
        uncertainty=spread,
        method=f"{single.method}; root mean square of {len(usable)} slice(s)",
    )
    ring_sd = _rings(pose, plane, radius)
    if ring_sd**2 > _RINGS * rms**2:
        value = value.doubt(f"rings of {ring_sd:.1f} HU (standard deviation) about the axis count as noise")
    yield result(value, measure, title=title, rois=[circle(pose, _CENTRE, plane, radius, "noise")])


def noise_power(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Mean and peak frequency of the noise power spectrum in the largest square within a circle."""
    plane = section_plane(bench, pose, definition, measure)
    titles = {"f_av": "Noise power spectrum: mean frequency", "f_peak": "Noise power spectrum: peak frequency"}
    if isinstance(plane, str):
        for part, title in titles.items():
            yield absent(f"{measure.name}_{part}", "/mm", plane, measure, title=title)
        return
    radius = float(measure.settings["radius_mm"])
    half = radius / sqrt(2.0)
    stack: list[np.ndarray] = []
    for index in plane.frames:
        row, column = pose.to_pixel(0.0, 0.0, float(bench.series.z_mm[index]))
        rows = slice(max(0, round(row - half / pose.spacing_mm[0])), round(row + half / pose.spacing_mm[0]))
        columns = slice(max(0, round(column - half / pose.spacing_mm[1])), round(column + half / pose.spacing_mm[1]))
        square = bench.series.image(index)[rows, columns]
        if not stack or square.shape == stack[0].shape:
            stack.append(square)
    size = int(measure.settings.get("roi_size", 64))
    found = noise_power_spectrum(np.stack(stack), pose.spacing_mm, roi_size=size, unit="HU")
    outline = box(pose, 0.0, 0.0, 2 * half, 2 * half, -pose.roll_deg, plane, "NPS")
    # Structure that no plane takes away lies at low frequencies, and is no noise.
    uneven = noise_sd(stack[len(stack) // 2], unit="HU")
    doubts = [uneven.reason] if uneven.status == "suspect" else []
    ring_sd = _rings(pose, plane, radius)
    if uneven.value is not None and ring_sd**2 > _RINGS_NPS * uneven.value**2:
        doubts.append(f"rings of {ring_sd:.1f} HU (standard deviation) about the axis count as noise")
    for one, part in ((found.f_av, "f_av"), (found.f_peak, "f_peak")):
        one = one.doubt("; ".join(doubts)) if doubts else one
        yield result(replace(one, name=f"{measure.name}_{part}"), measure, title=titles[part], rois=[outline])
