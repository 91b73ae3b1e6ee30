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
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, circle, result
from dose_audit.phantom.procedures.xray_values import doubted, in_plane_spacing, not_linear, plane_of
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["low_contrast"]

# Shares of a disc's radius: inside, and the ring around it that is the background.
_INSIDE, _BACKGROUND = 0.7, (1.2, 1.5)


def low_contrast(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """CNR of each disc, ``<name>_cnr.<disc>``, and the number of discs that stand out of the noise, ``<name>_visible``."""
    plane = plane_of(bench)
    spacing = in_plane_spacing(pose)
    discs = definition.features_of(measure)
    doubt = not_linear(bench, measure)
    places = []
    for one in discs:
        place = pose.to_pixel(one.x_mm, one.y_mm)
        places.append(place)
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
    plane = plane_of(bench)
    spacing = in_plane_spacing(pose)
    if not all(
        _inside(place, one.size_mm[0], spacing, plane.image.shape) for one, place in zip(discs, places, strict=True)
    ):
        yield absent(name, "1", "not all discs lie within the image", measure, title=title)
        return
    rim = float(definition.body.get("ring_diameter_mm", 2.5 * max(one.r_mm for one in discs))) / 2 - 2.0
    around = annulus_mask(plane.image.shape, pose.centre_px, 0.0, rim, spacing)
    for one in definition.features:
        if one.shape in ("square", "structure"):
            size = (one.size_mm[0] + 4.0, one.size_mm[-1] + 4.0)
            at = pose.to_pixel(one.x_mm, one.y_mm)
            around &= ~rectangle_mask(
                plane.image.shape, at, size, spacing, angle_deg=pose.angle_on_screen(one.angle_deg)
            )
    window = _window(around)
    origin = np.array([window[0].start, window[1].start])
    found = low_contrast_visible(
        plane.image[window],
        spacing,
        [tuple(np.asarray(place) - origin) for place in places],
        [one.size_mm[0] for one in discs],
        region=around[window],
        polarity=contrast_sign(bench, definition),
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


def _inside(place: tuple[float, float], reach_mm: float, spacing: tuple[float, float], shape: tuple[int, ...]) -> bool:
    return all(
        at - reach_mm / step >= 0 and at + reach_mm / step <= size - 1
        for at, step, size in zip(place, spacing, shape, strict=True)
    )


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
