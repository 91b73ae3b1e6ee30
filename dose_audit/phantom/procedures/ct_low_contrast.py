"""Low-contrast rods in CT: which are seen against the measured noise, set by set of one nominal contrast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality import LowContrast, low_contrast_fitted
from dose_audit.image_quality.disc_fit import background_criteria, plane_shapes, ring_shapes
from dose_audit.image_quality.rois import annulus_mask
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.locate.ring_turn import rod_turn, turned
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, circle, result, section_plane
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["groups", "rods"]

# Of an ordinary body kernel; the smallest rods look a little larger and fainter by it.
_BLUR_MM = 0.5
# Orders of the smooth background among which the image chooses: cupping, and cupping with a shadow of the table.
_ORDERS = (2, 4)
# Turns about the axis that broad streaks make, slower than the largest rod.
_WAVES = 4
# Agreement of the rods with their drawing from which the place that agrees best is surer than the drawn one.
_SURE_TURN = 0.5
# Of the region in a ring that may be a ring artefact.
_RING_PIXELS = 20


def _sets(features: Iterable[Feature]) -> dict[str, list[Feature]]:
    """Rods by set: what stands before the last underscore of their ids, largest rod first."""
    sets: dict[str, list[Feature]] = {}
    for one in features:
        sets.setdefault(one.id.rpartition("_")[0], []).append(one)
    return {name: sorted(rods, key=lambda one: -one.size_mm[0]) for name, rods in sets.items()}


def _seen(
    image: NDArray[np.float32],
    region: NDArray[np.bool_],
    places: Sequence[tuple[float, float]],
    sizes: Sequence[float],
    pose: Pose,
    centre_px: tuple[float, float],
    **how: Any,
) -> LowContrast:
    """Which rods stand out, fitted together with the background of the region about them, rings included where it has some.

    The rods leave little of their module free; what lies between them is enough where no rod is taken for background.
    """
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0 or columns.size == 0:
        window, corner = image, (0, 0)
    else:
        corner = (int(rows[0]), int(columns[0]))
        at = (slice(corner[0], int(rows[-1]) + 1), slice(corner[1], int(columns[-1]) + 1))
        window, region = image[at], region[at]
    near = [(row - corner[0], column - corner[1]) for row, column in places]
    shape = (window.shape[0], window.shape[1])
    how |= {"region": region, "blur_mm": _BLUR_MM}
    planes = {order: plane_shapes(shape, order) for order in _ORDERS}
    # Rings lie about the axis of the gantry, which is the image's middle, wherever the phantom lies.
    middle = ((image.shape[0] - 1) / 2 - corner[0], (image.shape[1] - 1) / 2 - corner[1])
    rings = ring_shapes(shape, middle, float(np.hypot(*shape)) * max(pose.spacing_mm) * 2, pose.spacing_mm)
    rings = [one for one in rings if np.count_nonzero(one[region]) >= _RING_PIXELS]
    axis = (centre_px[0] - corner[0], centre_px[1] - corner[1])
    waves = _wave_shapes(shape, axis, pose.spacing_mm)
    # The plane's mean is in the rings already.
    smooth = planes[_ORDERS[0]]
    backgrounds = [*planes.values(), [*smooth[1:], *rings], [*smooth, *waves]]
    shapes = [one for background in backgrounds for one in background]
    ends = list(accumulate(len(one) for one in backgrounds))
    choices = [range(end - len(one), end) for one, end in zip(backgrounds, ends, strict=True)]
    tried = background_criteria(
        window, pose.spacing_mm, near, sizes, region=region, shapes=shapes, choices=choices, blur_mm=_BLUR_MM
    )
    criteria = [inf if one is None else one for one in tried]
    best = backgrounds[criteria.index(min(criteria))]
    return low_contrast_fitted(window, pose.spacing_mm, near, sizes, shapes=best, consecutive=True, **how)


def _wave_shapes(
    shape: tuple[int, int], centre_px: tuple[float, float], spacing_mm: tuple[float, float]
) -> list[NDArray[np.float64]]:
    """Waves about the phantom's axis, each even and rising along the radius: broad streaks between dense parts."""
    down = (np.arange(shape[0]) - centre_px[0])[:, None] * spacing_mm[0]
    right = (np.arange(shape[1]) - centre_px[1])[None, :] * spacing_mm[1]
    angle, radius = np.arctan2(down, right), np.hypot(down, right)
    radius = radius / max(float(radius.max()), 1e-9) - 0.5
    turns = [wave(number * angle) for number in range(1, _WAVES + 1) for wave in (np.cos, np.sin)]
    return [*turns, *(radius * one for one in turns)]


def _averaged(one: Measured, plane: Plane) -> str:
    """The method with the number of slices: what is seen in their mean cannot be compared with what one of them shows."""
    return f"{one.method}; mean of {len(plane.frames)} slice(s)"


def rods(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """For each set the number of rods seen, largest first without a gap, and the contrast of the largest.

    The slices of the module are averaged; ``<name>_visible.<set>`` and ``<name>_contrast.<set>``.
    """
    plane = section_plane(bench, pose, definition, measure)
    drawn = definition.features_of(measure)
    turn = None if isinstance(plane, str) else rod_turn(plane.image, plane.z_mm, pose, drawn)
    # Where too little is seen of them the rods are taken as drawn.
    turn = turn if turn is not None and turn.agreement >= _SURE_TURN else None
    lie = {} if turn is None else {"turn_deg": round(turn.turn_deg, 2), "mirrored": turn.mirrored}
    for name, members in _sets(drawn if turn is None else [turned(one, turn) for one in drawn]).items():
        label = f"{members[0].nominal:g} {members[0].unit}" if members[0].nominal is not None else name
        titles = (f"Low-contrast rods seen of {len(members)} at {label}", f"Contrast of the largest rod of {label}")
        names = (f"{measure.name}_visible.{name}", f"{measure.name}_contrast.{name}")
        if isinstance(plane, str):
            yield absent(names[0], "1", plane, measure, title=titles[0])
            yield absent(names[1], members[0].unit or "1", plane, measure, title=titles[1])
            continue
        ids = {one.id for one in members}
        places = [pose.to_pixel(one.x_mm, one.y_mm, plane.z_mm) for one in members]
        r_mm = sum(one.r_mm for one in members) / len(members)
        # Background from the ring in which the rods lie: the same distance from the axis sees the same noise and cupping.
        reach = float(measure.settings.get("ring_half_width_mm", 16.0))
        centre = pose.to_pixel(0.0, 0.0, plane.z_mm)
        ring = annulus_mask(plane.image.shape, centre, max(0.0, r_mm - reach), r_mm + reach, pose.spacing_mm)
        for other in definition.features:
            if other.module == measure.module and other.id not in ids and other.size_mm:
                own_place = other if turn is None else turned(other, turn)
                place = pose.to_pixel(own_place.x_mm, own_place.y_mm, plane.z_mm)
                ring &= ~annulus_mask(plane.image.shape, place, 0.0, other.size_mm[0] / 2 + 1.0, pose.spacing_mm)
        positive = members[0].nominal is None or members[0].nominal >= 0
        found = _seen(
            plane.image,
            ring,
            places,
            [one.size_mm[0] for one in members],
            pose,
            centre,
            polarity=1 if positive else -1,
            unit=members[0].unit or "1",
        )
        outlines = [circle(pose, one, plane, one.size_mm[0] / 2) for one in members]
        count = replace(found.count, name=names[0], method=_averaged(found.count, plane))
        yield result(count, measure, title=titles[0], rois=outlines)
        contrast = found.detections[0].contrast
        contrast = replace(
            contrast,
            name=names[1],
            method=_averaged(contrast, plane),
            details={"diameter_mm": members[0].size_mm[0], **lie},
        )
        yield result(contrast, measure, title=titles[1], rois=outlines[:1])


def groups(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Groups of equal rods seen whole, largest first without a gap, and the diameter of the smallest seen."""
    titles = ("Low-contrast groups seen", "Smallest low-contrast rods seen")
    names = (f"{measure.name}_groups", f"{measure.name}_smallest")
    plane = section_plane(bench, pose, definition, measure)
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
    found = _seen(
        plane.image,
        ring,
        places,
        [one.size_mm[0] for one in members],
        pose,
        centre,
        groups=[[k for k, one in enumerate(members) if one.size_mm[0] == size] for size in sizes],
        unit=members[0].unit or "1",
    )
    outlines = [circle(pose, one, plane, one.size_mm[0] / 2) for one in members]
    count = replace(found.count, name=names[0], method=_averaged(found.count, plane))
    yield result(count, measure, title=f"{titles[0]} of {len(sizes)}", rois=outlines)
    if count.value is None or count.value < 1:
        reason = count.reason or "not even the largest rods are seen"
        yield absent(names[1], "mm", reason, measure, title=titles[1])
        return
    smallest = Measured(names[1], sizes[round(count.value) - 1], "mm", method=count.method)
    yield result(smallest, measure, title=titles[1])
