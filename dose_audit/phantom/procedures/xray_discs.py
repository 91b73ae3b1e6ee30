"""Low-contrast discs of a plate in radiography and fluoroscopy: contrast to noise of each, and how many stand out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.contrast import contrast_to_noise
from dose_audit.image_quality.low_contrast import low_contrast_visible
from dose_audit.image_quality.rois import annulus_mask, annulus_statistics, disc_statistics, rectangle_mask
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.locate.plate_round import contrast_sign
from dose_audit.phantom.locate.plate_template import placed
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, circle, result
from dose_audit.phantom.procedures.xray_values import doubted, in_plane_spacing, not_linear, plane_of
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["detail_sign", "low_contrast"]

# Shares of a disc's radius: inside, and the ring around it that is the background.
_INSIDE, _BACKGROUND = 0.7, (1.2, 1.5)


def low_contrast(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """CNR of each disc, ``<name>_cnr.<disc>``, and the number of discs that stand out of the noise, ``<name>_visible``.

    With ``average_frames`` the frames of a fluoroscopic run are averaged, as the eye does over some tenths of a second;
    a single image gives nothing then. Otherwise the first frame is read. With ``count_only`` there is no CNR: details of
    a pixel or two have none.
    """
    if measure.settings.get("average_frames") and len(bench.series.frames) < 2:
        return
    plane = _plane(bench, measure)
    spacing = in_plane_spacing(pose)
    discs = definition.features_of(measure)
    doubt = not_linear(bench, measure)
    places = []
    for one in discs:
        place = pose.to_pixel(one.x_mm, one.y_mm)
        places.append(place)
        if measure.settings.get("count_only"):
            continue
        radius = one.size_mm[0] / 2
        name, title = f"{measure.name}_cnr.{one.id}", f"CNR of {one.id.replace('_', ' ')}"
        if not _inside(place, radius * 1.6, spacing, plane.image.shape):
            yield absent(name, "1", "the disc lies outside the image", measure, title=title)
            continue
        found = contrast_to_noise(
            disc_statistics(plane.image, place, _INSIDE * radius, spacing),
            annulus_statistics(plane.image, place, _BACKGROUND[0] * radius, _BACKGROUND[1] * radius, spacing),
        )
        outline = circle(pose, one, plane, _INSIDE * radius * pose.scale, one.id)
        yield doubted(result(replace(found, name=name), measure, title=title, rois=[outline]), doubt)
    yield from _visible(bench, pose, definition, measure, list(discs), places)


def _visible(
    bench: Workbench,
    pose: Pose,
    definition: Definition,
    measure: Measure,
    discs: list[Feature],
    places: list[tuple[float, float]],
) -> Iterable[PhantomMeasurement]:
    name, title = f"{measure.name}_visible", "Discs that stand out of the noise"
    plane = _plane(bench, measure)
    spacing = in_plane_spacing(pose)
    if not all(
        _inside(place, one.size_mm[0], spacing, plane.image.shape) for one, place in zip(discs, places, strict=True)
    ):
        yield absent(name, "1", "not all discs lie within the image", measure, title=title)
        return
    rim = float(definition.body.get("ring_diameter_mm", 2.5 * max(one.r_mm for one in discs))) / 2 - 2.0
    around = annulus_mask(plane.image.shape, pose.centre_px, 0.0, rim, spacing)
    for one in definition.features:
        if _disturbs(one, discs):
            size = (one.size_mm[0] + 4.0, one.size_mm[-1] + 4.0)
            at = pose.to_pixel(one.x_mm, one.y_mm)
            around &= ~rectangle_mask(
                plane.image.shape, at, size, spacing, angle_deg=pose.angle_on_screen(one.angle_deg)
            )
    window = _window(around, 2.0 * max(one.size_mm[0] for one in discs) / min(spacing))
    origin = np.array([window[0].start, window[1].start])
    found = low_contrast_visible(
        plane.image[window],
        spacing,
        [tuple(np.asarray(place) - origin) for place in places],
        [one.size_mm[0] for one in discs],
        region=around[window],
        polarity=detail_sign(bench, definition),
        unit="1",
    )
    outlines = [
        circle(pose, one, plane, one.size_mm[0] / 2 * pose.scale, one.id if seen.visible else f"{one.id} not seen")
        for one, seen in zip(discs, found.detections, strict=True)
    ]
    weakest = [
        float(one.extra["contrast_percent"])
        for one, seen in zip(discs, found.detections, strict=True)
        if seen.visible and "contrast_percent" in one.extra
    ]
    count = replace(
        found.count,
        name=name,
        details={
            "d_prime": [seen.d_prime for seen in found.detections],
            "least_contrast_percent": min(weakest, default=None),
        },
    )
    yield result(count, measure, title=title, rois=outlines)


def _plane(bench: Workbench, measure: Measure) -> Plane:
    """The first frame, or the mean of all where the measure wants that."""
    if not measure.settings.get("average_frames"):
        return plane_of(bench)
    count = len(bench.series.frames)
    mean = bench.once("frames_mean", lambda: bench.series.volume.mean(axis=0, dtype="float64").astype("float32"))
    return Plane(mean, tuple(range(count)), 0, float(bench.series.z_mm[0]))


def detail_sign(bench: Workbench, definition: Definition) -> int:
    """+1 where absorbing details are higher in pixel value, -1 where they are lower, 0 where that is not known."""
    if definition.locator == "plate_template":
        found = placed(bench, definition)
        return 0 if found is None else found.sign
    return contrast_sign(bench, definition)


def _inside(place: tuple[float, float], reach_mm: float, spacing: tuple[float, float], shape: tuple[int, ...]) -> bool:
    return all(
        at - reach_mm / step >= 0 and at + reach_mm / step <= size - 1
        for at, step, size in zip(place, spacing, shape, strict=True)
    )


def _disturbs(one: Feature, discs: list[Feature]) -> bool:
    """Whether a feature would pass for a disc, or hide one, where the noise is told from the rest of the plate."""
    if one in discs or not one.size_mm:
        return False
    if one.shape in ("square", "structure") or "absorbs" in one.extra:
        return True
    return one.shape in ("low_contrast", "detail", "grey") and max(one.size_mm) > 0.25 * max(
        d.size_mm[0] for d in discs
    )


def _window(mask: NDArray[np.bool_], margin_px: float) -> tuple[slice, slice]:
    """The rows and columns that hold the mask, with room for the filter of a disc near its rim."""
    spans = []
    for axis in (1, 0):
        used, size = np.flatnonzero(mask.any(axis=axis)), mask.shape[1 - axis]
        spans.append(slice(max(0, int(used[0] - margin_px)), min(size, int(used[-1] + margin_px) + 1)))
    return spans[0], spans[1]
