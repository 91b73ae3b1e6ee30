"""Low-contrast rods in CT: which are seen against the measured noise, set by set of one nominal contrast."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dose_audit.image_quality import low_contrast_visible
from dose_audit.image_quality.rois import annulus_mask
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, circle, module_plane, result
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["rods"]


def _sets(features: Iterable[Feature]) -> dict[str, list[Feature]]:
    """Rods by set: what stands before the last underscore of their ids, largest rod first."""
    sets: dict[str, list[Feature]] = {}
    for one in features:
        sets.setdefault(one.id.rpartition("_")[0], []).append(one)
    return {name: sorted(rods, key=lambda one: -one.size_mm[0]) for name, rods in sets.items()}


def rods(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """For each set the number of rods seen, largest first without a gap, and the contrast of the largest.

    The slices of the module are averaged; ``<name>_visible.<set>`` and ``<name>_contrast.<set>``.
    """
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
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
        # Background from the ring in which the rods lie: the same distance from the axis sees the same cupping.
        reach = float(measure.settings.get("ring_half_width_mm", 16.0))
        centre = pose.to_pixel(0.0, 0.0, plane.z_mm)
        ring = annulus_mask(plane.image.shape, centre, max(0.0, r_mm - reach), r_mm + reach, pose.spacing_mm)
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
            polarity=1 if positive else -1,
            consecutive=True,
            unit=members[0].unit or "1",
        )
        outlines = [circle(pose, one, plane, one.size_mm[0] / 2) for one in members]
        yield result(replace(found.count, name=names[0]), measure, title=titles[0], rois=outlines)
        yield result(replace(found.detections[0].contrast, name=names[1]), measure, title=titles[1], rois=outlines[:1])
