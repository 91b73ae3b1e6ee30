"""Dw of a whole series, without what other slices show to be a table or a cushion: learnt in a dozen slices, taken out of all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry._morphology import Mask
from dose_audit.dosimetry.ct_slices import SliceMeasurer
from dose_audit.dosimetry.patient_region import PatientRegion
from dose_audit.dosimetry.pooling import Pooled
from dose_audit.dosimetry.still_things import MARGIN_PX, StillThing, Surroundings
from dose_audit.dosimetry.water_equivalent import METHOD, NAME, measured_with_region
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


@dataclass(slots=True)
class _Pass:
    """What one way through slices has found.

    Attributes
    ----------
    slices : dict of int to Measured
        Dw of each, by its index.
    bodies : list of _Body
        Each region that was searched for, as long as there is room.
    around : Surroundings
    thinnest : Pooled or None
        The slice with the smallest body.
    regions : dict of int to (Measured, PatientRegion or None)
        What the search gave in slices of the sample from which nothing was taken out.
    searched : int
        How many times a region was searched for.
    """

    slices: dict[int, Measured] = field(default_factory=dict)
    bodies: list[_Body] = field(default_factory=list)
    around: Surroundings = field(default_factory=Surroundings)
    thinnest: Pooled | None = None
    regions: dict[int, tuple[Measured, PatientRegion | None]] = field(default_factory=dict)
    searched: int = 0

    @property
    def thin(self) -> float:
        """Area in pixels below which a body may be none."""
        return _THIN * float(np.median([body.area for body in self.bodies])) if self.bodies else 0.0


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
        Dw of each slice, and how many times the patient was searched for.

    Notes
    -----
    A dozen slices along the series are measured first, each for itself. What was seen free of the patient, beyond his end
    or where he does not touch it, and was taken for a part of him in another slice, is looked for in all of the dozen. A
    thing that has the same place, CT numbers and free edges in 80 % of them is a table, a cushion or a holder: its water is
    taken out of every slice in which it is seen before that is measured. Where all slices show more than the dozen did,
    they are measured once more. Where no slice shows a thing without a patient the series must be 30 mm long, so that it
    is no arm.
    """
    series = _Series(load, z_mm, threshold_hu)
    first = found = series.measured(series.sample)
    searched = first.searched
    things = series.tables(first, [])
    if things or len(series.sample) < len(z_mm):
        found = series.measured(range(len(z_mm)), things, first)
        searched += found.searched
        more = series.tables(found, things)
        if more:
            found = series.measured(range(len(z_mm)), more, found)
            searched += found.searched
    return [found.slices[index] for index in range(len(z_mm))], searched


class _Series:
    """The slices of a series, in order."""

    def __init__(self, load: Load, z_mm: Sequence[float | None], threshold_hu: float) -> None:
        self._load, self._z_mm, self._threshold_hu = load, z_mm, threshold_hu
        placed = [z for z in z_mm if z is not None]
        self._long = bool(placed) and max(placed) - min(placed) >= _LEAST_REACH_MM
        self.sample = sorted({round(place) for place in np.linspace(0, len(z_mm) - 1, min(len(z_mm), _SAMPLE))})

    def measured(self, indices: Iterable[int], things: Sequence[StillThing] = (), before: _Pass | None = None) -> _Pass:
        """Measure slices without the things that are known; what cannot be read again keeps what it had `before`."""
        measurer, found = SliceMeasurer(self._threshold_hu), _Pass()
        before = before or _Pass()
        hidden_mm2, least, kept = _hidden_between(things), math.inf, 0
        for index in indices:
            image = self._load(index)
            if isinstance(image, str):
                nothing = not_measurable(NAME, "mm", image, method=METHOD)
                found.slices[index] = before.slices.get(index, nothing)
                continue
            cleared, taken_mm2 = _without(things, image)
            known = None if taken_mm2 else before.regions.get(index)
            count = measurer.segmented
            result = measurer.measure(cleared, self._z_mm[index], known)
            region, searched = measurer.region, measurer.segmented > count
            if searched and not taken_mm2 and index in self.sample:
                found.regions[index] = result, region
            found.searched += searched and known is None
            if result.value is None and taken_mm2 and not all(thing.seen_beside_patient for thing in things):
                # A body may end in a thin piece, as a phantom on a rod does.
                whole, thick = measured_with_region(image, threshold_hu=self._threshold_hu)
                if thick is not None and np.count_nonzero(thick.mask) >= before.thin:
                    result, region, taken_mm2 = whole, thick, 0.0
            if taken_mm2:
                result = replace(result, details={**result.details, "taken_out_mm2": taken_mm2})
                result = _doubted(result, hidden_mm2)
            found.slices[index] = result
            if not searched:
                continue
            if region is None or not region.doubt:  # what is doubtful teaches nothing
                found.around.add(image, None if region is None else region.mask)
            if region is not None and kept <= _MOST_BYTES:
                body = _Body.of(region)
                kept += body.packed.nbytes
                found.bodies.append(body)
                if body.area < least:
                    found.thinnest, least = image, body.area
        return found

    def tables(self, found: _Pass, known: Sequence[StillThing]) -> list[StillThing]:
        """Things that were taken for the patient and are there throughout; none where there are no more than are known."""
        things = self._taken_for_patient(found, known, found.around)
        if things or known or found.thinnest is None or min(body.area for body in found.bodies) >= found.thin:
            return things
        # Perhaps the thinnest is no patient but a table that is heavy enough for one.
        table = Surroundings()
        table.add(found.thinnest, None)
        return self._taken_for_patient(found, known, table)

    def _taken_for_patient(self, found: _Pass, known: Sequence[StillThing], around: Surroundings) -> list[StillThing]:
        """Things that are a part of the patient's region somewhere, or are next to one that is in doubt."""
        things = [thing for thing in around.things(self._threshold_hu) if self._long or thing.seen_alone]
        if not things or not found.bodies:
            return []
        new = [thing.inner & ~_plane(known, thing.shape)[thing.box] for thing in things]
        taken: dict[int, StillThing] = {}
        for body in found.bodies:
            if len(taken) == len(things):
                break
            mask = body.mask
            for index, thing in enumerate(things):
                if index not in taken and mask.shape == thing.shape:
                    hit = np.count_nonzero(mask[thing.box] & new[index]) > _LEAST_SHARE * body.area
                    unknown = new[index].sum() == thing.inner.sum()
                    if hit or (body.doubted and unknown and bool((mask[thing.box] & thing.border).any())):
                        taken[index] = thing
        more = self._there_throughout([taken[index] for index in sorted(taken)])
        if not more:
            return []
        return [thing for thing in known if not _plane(more, thing.shape)[thing.box][thing.inner].any()] + more

    def _there_throughout(self, things: list[StillThing]) -> list[StillThing]:
        """Those that are seen at their place along the whole series."""
        if not things:
            return []
        seen = np.zeros(len(things), int)
        for place in self.sample:
            image = self._load(place)
            if not isinstance(image, str):
                seen += [thing.seen_in(image) is not None for thing in things]
        return [thing for thing, times in zip(things, seen, strict=True) if times >= _THROUGHOUT * len(self.sample)]


def _plane(things: Iterable[StillThing], shape: tuple[int, ...]) -> Mask:
    """The pixels of all things."""
    plane = np.zeros(shape, bool)
    for thing in things:
        if thing.shape == shape:
            plane[thing.box] |= thing.inner
    return plane


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
