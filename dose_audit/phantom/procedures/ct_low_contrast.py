"""Low-contrast rods in CT: which are seen against the measured noise, set by set of one nominal contrast."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality import low_contrast_visible
from dose_audit.image_quality.rois import annulus_mask
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, circle, module_plane, plane_at, result
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["groups", "rods"]

# Share of the largest rod's radius over which its contrast is taken: clear of the edge's blur.
_ROI_SHARE = 0.7


def _sets(features: Iterable[Feature]) -> dict[str, list[Feature]]:
    """Rods by set: what stands before the last underscore of their ids, largest rod first."""
    sets: dict[str, list[Feature]] = {}
    for one in features:
        sets.setdefault(one.id.rpartition("_")[0], []).append(one)
    return {name: sorted(rods, key=lambda one: -one.size_mm[0]) for name, rods in sets.items()}


def _same_noise(bench: Workbench, pose: Pose, definition: Definition, measure: Measure, plane: Plane) -> Plane | None:
    """Mean of as many slices of the uniform module as the rods' image has, where there are as many."""
    module = measure.settings.get("uniform")
    if module is None:
        return None
    found = definition.module(str(module))
    empty = plane_at(bench, pose, found.z_mm, half_length_mm=found.half_length_mm, most=len(plane.frames))
    return empty if isinstance(empty, Plane) and len(empty.frames) == len(plane.frames) else None


def _shifted(image: NDArray[np.float32], by_px: tuple[float, float]) -> NDArray[np.float32]:
    """The image moved by whole pixels, so that one axis lies over the other."""
    return np.roll(image, (round(by_px[0]), round(by_px[1])), axis=(0, 1))


def _largest_contrast(
    plane: Plane, pose: Pose, definition: Definition, rod: Feature, spread: float | None, name: str
) -> Measured:
    """Mean inside the rod less the mean of the ring about it that no other rod touches."""
    place = pose.to_pixel(rod.x_mm, rod.y_mm, plane.z_mm)
    radius = rod.size_mm[0] / 2
    shape, spacing = plane.image.shape, pose.spacing_mm
    inside = annulus_mask(shape, place, 0.0, _ROI_SHARE * radius, spacing)
    around = annulus_mask(shape, place, radius + 1.5, radius + 8.0, spacing)
    for other in definition.features:
        if other.module == rod.module and other.size_mm:
            at = pose.to_pixel(other.x_mm, other.y_mm, plane.z_mm)
            around &= ~annulus_mask(shape, at, 0.0, other.size_mm[0] / 2 + 1.5, spacing)
    if inside.sum() < 20 or around.sum() < 20:
        return not_measurable(name, rod.unit or "1", "too few pixels inside or around the largest rod")
    value = float(plane.image[inside].mean() - plane.image[around].mean())
    method = f"mean inside less mean around, {len(plane.frames)} slice(s); uncertainty by the noise elsewhere"
    found = Measured(name, value, rod.unit or "1", spread, method=method, details={"diameter_mm": rod.size_mm[0]})
    return (
        found if spread else found.doubt("too little of the slices is free of rods to tell the noise of this contrast")
    )


def rods(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """For each set the number of rods seen, largest first without a gap, and the contrast of the largest.

    The slices of the module are averaged; ``<name>_visible.<set>`` and ``<name>_contrast.<set>``. The rods leave little
    of their module free: what noise alone does is told by as many slices of the uniform module, named by ``uniform``.
    """
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    empty = None if isinstance(plane, str) else _same_noise(bench, pose, definition, measure, plane)
    for name, members in _sets(definition.features_of(measure)).items():
        label = f"{members[0].nominal:g} {members[0].unit}" if members[0].nominal is not None else name
        titles = (f"Low-contrast rods seen of {len(members)} at {label}", f"Contrast of the largest rod of {label}")
        names = (f"{measure.name}_visible.{name}", f"{measure.name}_contrast.{name}")
        if isinstance(plane, str):
            yield absent(names[0], "1", plane, measure, title=titles[0])
            yield absent(names[1], members[0].unit or "1", plane, measure, title=titles[1])
            continue
        places = [pose.to_pixel(one.x_mm, one.y_mm, plane.z_mm) for one in members]
        r_mm = sum(one.r_mm for one in members) / len(members)
        # Background from the ring in which the rods lie: the same distance from the axis sees the same noise and cupping.
        reach = float(measure.settings.get("ring_half_width_mm", 16.0))
        centre = pose.to_pixel(0.0, 0.0, plane.z_mm)
        ring = annulus_mask(plane.image.shape, centre, max(0.0, r_mm - reach), r_mm + reach, pose.spacing_mm)
        background = None
        if empty is not None:
            at = pose.to_pixel(0.0, 0.0, empty.z_mm)
            background = _shifted(empty.image, (centre[0] - at[0], centre[1] - at[1]))
            ring = annulus_mask(plane.image.shape, centre, 0.0, r_mm + reach, pose.spacing_mm)
        else:
            for other in definition.features:
                if other.module == measure.module and other not in members and other.size_mm:
                    place = pose.to_pixel(other.x_mm, other.y_mm, plane.z_mm)
                    ring &= ~annulus_mask(plane.image.shape, place, 0.0, other.size_mm[0] / 2 + 1.0, pose.spacing_mm)
        positive = members[0].nominal is None or members[0].nominal >= 0
        found = low_contrast_visible(
            plane.image,
            pose.spacing_mm,
            places,
            [one.size_mm[0] for one in members],
            region=ring,
            background=background,
            polarity=1 if positive else -1,
            consecutive=True,
            unit=members[0].unit or "1",
        )
        outlines = [circle(pose, one, plane, one.size_mm[0] / 2) for one in members]
        yield result(replace(found.count, name=names[0]), measure, title=titles[0], rois=outlines)
        spread = found.detections[0].contrast.uncertainty
        contrast = _largest_contrast(plane, pose, definition, members[0], spread, names[1])
        yield result(contrast, measure, title=titles[1], rois=outlines[:1])


def groups(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Groups of equal rods seen whole, largest first without a gap, and the diameter of the smallest seen."""
    titles = ("Low-contrast groups seen", "Smallest low-contrast rods seen")
    names = (f"{measure.name}_groups", f"{measure.name}_smallest")
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    if isinstance(plane, str):
        for name, unit, title in zip(names, ("1", "mm"), titles, strict=True):
            yield absent(name, unit, plane, measure, title=title)
        return
    members = sorted(definition.features_of(measure), key=lambda one: -one.size_mm[0])
    sizes = sorted({one.size_mm[0] for one in members}, reverse=True)
    places = [pose.to_pixel(one.x_mm, one.y_mm, plane.z_mm) for one in members]
    centre = pose.to_pixel(0.0, 0.0, plane.z_mm)
    reach = max(one.r_mm for one in members) + float(measure.settings.get("ring_half_width_mm", 16.0))
    ring = annulus_mask(plane.image.shape, centre, 0.0, reach, pose.spacing_mm)
    empty = _same_noise(bench, pose, definition, measure, plane)
    background = None
    if empty is not None:
        at = pose.to_pixel(0.0, 0.0, empty.z_mm)
        background = _shifted(empty.image, (centre[0] - at[0], centre[1] - at[1]))
    found = low_contrast_visible(
        plane.image,
        pose.spacing_mm,
        places,
        [one.size_mm[0] for one in members],
        region=ring,
        background=background,
        polarity=1,
        groups=[[k for k, one in enumerate(members) if one.size_mm[0] == size] for size in sizes],
        consecutive=True,
        unit=members[0].unit or "1",
    )
    outlines = [circle(pose, one, plane, one.size_mm[0] / 2) for one in members]
    count = replace(found.count, name=names[0])
    yield result(count, measure, title=f"{titles[0]} of {len(sizes)}", rois=outlines)
    if count.value is None or count.value < 1:
        reason = count.reason or "not even the largest rods are seen"
        yield absent(names[1], "mm", reason, measure, title=titles[1])
        return
    smallest = Measured(names[1], sizes[round(count.value) - 1], "mm", method=count.method)
    yield result(smallest, measure, title=titles[1])
