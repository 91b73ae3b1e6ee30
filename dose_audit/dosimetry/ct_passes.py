"""Dw of a whole series: each slice for itself, and once more without what other slices show to be a table or a cushion."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry._morphology import Mask
from dose_audit.dosimetry.ct_slices import SliceMeasurer
from dose_audit.dosimetry.patient_region import PatientRegion
from dose_audit.dosimetry.pooling import Pooled
from dose_audit.dosimetry.still_things import MARGIN_PX, StillThing, Surroundings
from dose_audit.dosimetry.water_equivalent import METHOD, NAME
from dose_audit.measured import Measured, not_measurable

__all__ = ["measure_slices"]

_LEAST_SHARE = 0.01  # of the patient's area that a thing takes: half of it is what Dw is wrong by
_SAMPLE, _THROUGHOUT = 12, 0.8  # slices looked at, and of them those in which a thing must be
_LEAST_REACH_MM = 30.0  # over less an arm keeps its place, too
_THIN = 0.6  # of the median area: a slice that may be a table alone
_MOST_BYTES = 64 << 20

Load = Callable[[int], Pooled | str]


@dataclass(frozen=True, slots=True)
class _Body:
    """The patient's region in one slice and in those that share it."""

    packed: NDArray[np.uint8]
    shape: tuple[int, ...]
    area: int
    doubted: bool

    @classmethod
    def of(cls, region: PatientRegion) -> _Body:
        mask = region.mask
        return cls(np.packbits(mask), mask.shape, int(np.count_nonzero(mask)), bool(region.doubt))

    @property
    def mask(self) -> Mask:
        return np.unpackbits(self.packed, count=self.shape[0] * self.shape[1]).reshape(self.shape).astype(bool)


def measure_slices(load: Load, z_mm: Sequence[float | None], threshold_hu: float) -> tuple[list[Measured], int]:
    """Dw of every slice of a series.

    Parameters
    ----------
    load : callable
        Gives the image of a slice by its index, or the reason why it cannot be had. It is called again for slices that
        are looked at again.
    z_mm : sequence of float or None
        Positions of the slices, in order.
    threshold_hu : float
        As `water_equivalent_diameter`.

    Returns
    -------
    list of Measured, and int
        Dw of each slice, and in how many slices the patient was searched for.

    Notes
    -----
    Each slice is first measured for itself. What was seen free of the patient, beyond his end or where he does not touch
    it, and was taken for a part of him in another slice, is then looked for in a dozen slices along the series. A thing
    that has the same place, CT numbers and free edges in 80 % of them is a table, a cushion or a holder: its water is
    taken out of every slice in which it is seen, and these are measured again. Where no slice shows it without a patient
    the series must be 30 mm long, so that it is no arm.
    """
    measurer, around = SliceMeasurer(threshold_hu), Surroundings()
    slices: list[Measured] = []
    bodies: list[_Body | None] = []
    body: _Body | None = None
    thinnest: Pooled | None = None
    least, kept = math.inf, 0
    for index, z in enumerate(z_mm):
        image = load(index)
        if isinstance(image, str):
            slices.append(not_measurable(NAME, "mm", image, method=METHOD))
            bodies.append(None)
            continue
        before = measurer.segmented
        slices.append(measurer.measure(image, z))
        if measurer.segmented > before:
            region = measurer.region
            body = None if region is None or kept > _MOST_BYTES else _Body.of(region)
            kept += 0 if body is None else body.packed.nbytes
            if region is None or not region.doubt:  # what is doubtful teaches nothing
                around.add(image, None if region is None else region.mask)
            if body is not None and body.area < least:
                thinnest, least = image, body.area
        bodies.append(body)
    areas = [body.area for body in bodies if body is not None]
    thin = _THIN * float(np.median(areas)) if areas else 0.0
    things = _there_throughout(_taken_for_patient(around.things(threshold_hu), z_mm, bodies), load, len(z_mm))
    if not things and thinnest is not None and least < thin:
        # Perhaps that is no patient but a table that is heavy enough for one.
        table = Surroundings()
        table.add(thinnest, None)
        things = _there_throughout(_taken_for_patient(table.things(threshold_hu), z_mm, bodies), load, len(z_mm))
    if not things:
        return slices, measurer.segmented
    again, hidden_mm2 = SliceMeasurer(threshold_hu), _hidden_between(things)
    for index, z in enumerate(z_mm):
        body = bodies[index]
        if body is None or isinstance(image := load(index), str):
            continue
        cleared, taken_mm2 = _without(things, image)
        if not taken_mm2:
            continue
        result = again.measure(cleared, z)
        # A body may end in a thin piece, as a phantom on a rod does.
        if result.value is not None or body.area < thin or all(thing.seen_beside_patient for thing in things):
            result = replace(result, details={**result.details, "taken_out_mm2": taken_mm2})
            slices[index] = _doubted(result, hidden_mm2)
    return slices, measurer.segmented + again.segmented


def _taken_for_patient(
    things: list[StillThing], z_mm: Sequence[float | None], bodies: Sequence[_Body | None]
) -> list[StillThing]:
    """Things that are a part of the patient's region somewhere, or are next to one that is in doubt."""
    if not things:
        return []
    placed = [z for z in z_mm if z is not None]
    if not placed or max(placed) - min(placed) < _LEAST_REACH_MM:
        things = [thing for thing in things if thing.seen_alone]
    found: dict[int, StillThing] = {}
    for body in {id(body): body for body in bodies if body is not None}.values():
        if len(found) == len(things):
            break
        mask = body.mask
        for index, thing in enumerate(things):
            if index not in found and mask.shape == thing.shape:
                taken = np.count_nonzero(mask[thing.box] & thing.inner) > _LEAST_SHARE * body.area
                if taken or (body.doubted and bool((mask[thing.box] & thing.border).any())):
                    found[index] = thing
    return [found[index] for index in sorted(found)]


def _there_throughout(things: list[StillThing], load: Load, count: int) -> list[StillThing]:
    """Those that are seen at their place along the whole series."""
    if not things:
        return []
    places = sorted({round(place) for place in np.linspace(0, count - 1, min(count, _SAMPLE))})
    seen = np.zeros(len(things), int)
    for place in places:
        image = load(place)
        if not isinstance(image, str):
            seen += [thing.seen_in(image) is not None for thing in things]
    return [thing for thing, times in zip(things, seen, strict=True) if times >= _THROUGHOUT * len(places)]


def _without(things: Sequence[StillThing], image: Pooled) -> tuple[Pooled, float]:
    """A slice without the things that are seen in it, and how much area they take."""
    found = [(thing, seen) for thing in things if (seen := thing.seen_in(image)) is not None]
    if not found:
        return image, 0.0
    cleared = image.image_hu.copy()
    for thing, seen in found:
        thing.take_out_of(cleared, seen)
    taken = sum(int(np.count_nonzero(seen)) for _, seen in found)
    return replace(image, image_hu=cleared), taken * image.row_mm * image.column_mm


def _hidden_between(things: Sequence[StillThing]) -> float:
    """Area in mm² of what may join pieces that are known at both sides of the patient only, and lie on beneath him."""
    pieces = [thing for thing in things if not thing.seen_alone]
    if len(pieces) < 2:
        return 0.0
    gap, thickness = 0.0, []
    for one in pieces:
        thickness.append(np.count_nonzero(one.inner) / max(one.inner.shape))
        apart = [max(_apart(one.box[axis], other.box[axis]) for axis in (0, 1)) for other in pieces if other is not one]
        gap = max(gap, min(apart))
    return gap * float(np.mean(thickness)) * pieces[0].pixel_mm2


def _apart(one: slice, other: slice) -> int:
    """Pixels between two things along an axis; their boxes have margins."""
    return max(0, other.start - one.stop, one.start - other.stop) + 2 * MARGIN_PX


def _doubted(result: Measured, hidden_mm2: float) -> Measured:
    """Suspect where so much of a thing may be hidden that Dw changes by half a per cent."""
    if result.value is None or result.uncertainty is None or hidden_mm2 < _LEAST_SHARE * result.details["area_mm2"]:
        return result
    relative = hidden_mm2 / (2 * result.details["area_mm2"])  # likely all of it
    result = replace(result, uncertainty=math.hypot(result.uncertainty, relative * result.value))
    return result.doubt("a cushion is known at both sides of the body and may go on beneath it")
