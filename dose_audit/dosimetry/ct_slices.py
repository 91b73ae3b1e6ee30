"""Dw of slice after slice: the region found in one slice serves its close neighbours as long as nothing leaves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry._morphology import dilate, erode
from dose_audit.dosimetry.patient_region import PatientRegion
from dose_audit.dosimetry.pooling import Pooled
from dose_audit.dosimetry.water_equivalent import measured_with_region, size_of
from dose_audit.measured import Measured

__all__ = ["SliceMeasurer"]

_NEIGHBOUR_MM = 10.0  # how far a region is carried: what keeps it right is the comparison, not the distance
_RING, _INNER_RING = 4, 2  # pixels
_MOST_OUTSIDE = 0.001  # of the area: half of it is what Dw can be wrong by
_MOST_RETREAT = 0.005  # air in the region adds nothing to Aw, only to the area


@dataclass(frozen=True, slots=True)
class _Region:
    """Where a slice's body is, with what surrounds it, as sums that a neighbour can be compared by."""

    measured: Measured
    cloth_mm2: float
    weights: NDArray[np.float32]
    water: NDArray[np.float64]


class SliceMeasurer:
    """Measures the slices of one series in order of z.

    Parameters
    ----------
    threshold_hu : float
        As `water_equivalent_diameter`.

    Attributes
    ----------
    segmented : int
        Slices whose region was searched for; the others' is a neighbour's.
    region : PatientRegion or None
        Where the patient is in the slice measured last.

    Notes
    -----
    The body is summed in each slice itself. A neighbour's region is taken within 10 mm, and only when the water
    around it, in a ring of 4 pixels and farther away, differs by less than 0.1 % of the body's area from what the
    neighbour has there, and the body's outermost 2 pixels by less than 0.5 %: nothing has grown out of the region, come
    in from afar, or drawn back. Where the table was is left out, for it is not part of the sum.
    """

    def __init__(self, threshold_hu: float) -> None:
        self._threshold_hu = threshold_hu
        self._last: tuple[Pooled, PatientRegion, float, Measured] | None = None
        self._region: _Region | None = None
        self.segmented = 0
        self.region: PatientRegion | None = None

    def measure(
        self, image: Pooled, z_mm: float | None, found: tuple[Measured, PatientRegion | None] | None = None
    ) -> Measured:
        """Dw of the next slice; `found` is what a search in it gave before."""
        shared = self._as_neighbour(image, z_mm)
        if shared is not None:
            return shared
        self.segmented += 1
        result, region = found or measured_with_region(image, threshold_hu=self._threshold_hu)
        self.region = region
        self._last = self._region = None
        if region is not None and result.status == "ok" and z_mm is not None and image.inside is None:
            self._last = image, region, z_mm, result
        return result

    def _as_neighbour(self, image: Pooled, z_mm: float | None) -> Measured | None:
        if self._last is None or z_mm is None or abs(z_mm - self._last[2]) > _NEIGHBOUR_MM:
            return None
        neighbour, region, _, measured = self._last
        if image.inside is not None or image.metal_mm2 or not _same_grid(image, neighbour):
            return None
        if self._region is None:
            self._region = _described(neighbour, region, measured, self._threshold_hu)
        known = self._region
        water = _water(known.weights, image)
        area = known.measured.details["area_mm2"] / (image.row_mm * image.column_mm)
        _, retreat, ring, far = np.abs(water - known.water) / area
        if retreat > _MOST_RETREAT or max(ring, far) > _MOST_OUTSIDE:
            return None
        return size_of(known.measured, float(water[0]) * image.row_mm * image.column_mm - known.cloth_mm2)


def _same_grid(one: Pooled, other: Pooled) -> bool:
    return one.image_hu.shape == other.image_hu.shape and (one.row_mm, one.column_mm) == (other.row_mm, other.column_mm)


def _described(image: Pooled, region: PatientRegion, measured: Measured, threshold_hu: float) -> _Region:
    body = region.mask | region.rim
    table = dilate((image.image_hu > threshold_hu) & ~body, 1)
    ring = dilate(body, _RING) & ~body & ~table
    far = ~(body | ring | table)
    inner = region.mask & ~erode(region.mask, _INNER_RING)
    weights = np.stack([part.ravel() for part in (body, inner, ring, far)]).astype(np.float32)
    return _Region(measured, region.cloth_mm2, weights, _water(weights, image))


def _water(weights: NDArray[np.float32], image: Pooled) -> NDArray[np.float64]:
    """Water-equivalent area of each part, in pixels."""
    return (weights @ (image.image_hu.ravel() / np.float32(1000) + np.float32(1))).astype(np.float64)
