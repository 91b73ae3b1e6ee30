"""What keeps its place from slice to slice, a table, a cushion or a holder: learnt where it is clear of the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._connected import Pieces
from dose_audit.dosimetry._morphology import Mask, dilate, erode
from dose_audit.dosimetry.pooling import Pooled

__all__ = ["MARGIN_PX", "StillThing", "Surroundings"]

MARGIN_PX = 4
"""Around a thing in its box."""

_LEAST_MM2 = 150.0
_SAME_HU = 40.0
_AIR_HU, _EMPTY_HU = -1000.0, -700.0
_ALIKE, _ALIKE_THIN, _MOST_LIGHTER = 0.85, 0.5, 0.1  # of its pixels
_LEAST_CORE = 0.3  # of its pixels: of less it is all border
_FREE_EDGE = 0.45  # of the air around it: of what is around a cup a little more than half is at its outer side
_CLEAR_PX = 2  # pixels from the patient at which nothing of him is in a pixel


@dataclass(frozen=True, slots=True)
class StillThing:
    """A thing beside the patient.

    Attributes
    ----------
    shape : tuple of int
        Of the slices.
    box : tuple of slice
        Where in them it lies; the arrays that follow are of this box.
    inner : ndarray of bool
        Its pixels.
    border : ndarray of bool
        The outermost of them, and those around it that are partly its own.
    edge : ndarray of bool
        The pixels around these, air where nothing lies next to it.
    image_hu : ndarray
        CT numbers.
    share : ndarray
        Of the 3 × 3 pixels about each, how many are its own.
    seen_alone, seen_beside_patient : bool
        Whether most of it was seen in a slice without a patient, and in one with a patient.
    pixel_mm2 : float
    """

    shape: tuple[int, ...]
    box: tuple[slice, slice]
    inner: Mask
    border: Mask
    edge: Mask
    image_hu: NDArray[np.float32]
    share: NDArray[np.float32]
    seen_alone: bool
    seen_beside_patient: bool
    pixel_mm2: float

    def seen_in(self, image: Pooled) -> Mask | None:
        """Find it in a slice.

        Parameters
        ----------
        image : Pooled

        Returns
        -------
        ndarray of bool or None
            Its pixels, in its box, without those that something else fills; None when what is there is not this thing.

        Notes
        -----
        85 % of its pixels are alike to 40 HU, as means of 3 × 3 of its own; of a thing so thin that all of them lie at a
        border it is half, for a patient who touches it adds his water to them. No more than 10 % are lighter: nobody takes
        water away. 45 % of its edge is free, so that it is not a part of something larger of its number.
        """
        if image.image_hu.shape != self.shape:
            return None
        view = image.image_hu[self.box]
        off = np.where(self.inner, view - self.image_hu, np.float32(0))
        off = ndimage.uniform_filter(off, 3) / self.share
        core = self.inner & ~self.border
        thin = np.count_nonzero(core) < _LEAST_CORE * np.count_nonzero(self.inner)
        looked = off[self.inner if thin else core]
        alike = np.count_nonzero(np.abs(looked) < _SAME_HU) / len(looked)
        lighter = np.count_nonzero(looked < -_SAME_HU) / len(looked)
        if alike < (_ALIKE_THIN if thin else _ALIKE) or lighter > _MOST_LIGHTER:
            return None
        free = np.maximum(view, self.image_hu)[self.edge] < _EMPTY_HU
        if np.count_nonzero(free) < _FREE_EDGE * len(free):
            return None
        return self.inner & (np.abs(off) < 2 * _SAME_HU)

    def take_out_of(self, image_hu: NDArray[np.float32], seen: Mask) -> None:
        """Take its water out of a slice, in place.

        Parameters
        ----------
        image_hu : ndarray of float32, shape (H, W)
        seen : ndarray of bool
            As `seen_in` gave it.

        Notes
        -----
        A pixel of which the patient fills a share f shows ``f · patient + (1 - f) · thing``, and alone it shows ``(1 - f)
        · thing``: the difference is the patient's water exactly.
        """
        own = seen | (self.border & dilate(seen, _CLEAR_PX))
        image_hu[self.box] -= np.where(own, self.image_hu - np.float32(_AIR_HU), np.float32(0))


class Surroundings:
    """What lies around the patient of a series, averaged over the slices in which it is clear of him."""

    def __init__(self) -> None:
        self._sum = np.zeros((0, 0), np.float32)
        self._alone = self._beside = np.zeros((0, 0), np.int32)
        self._pixel_mm2 = 0.0

    def add(self, image: Pooled, body: Mask | None) -> None:
        """Add a slice.

        Parameters
        ----------
        image : Pooled
            One of another size than the first is left out.
        body : ndarray of bool or None
            The patient; None when there is none.
        """
        shape = image.image_hu.shape
        if not self._sum.size:
            self._sum, self._pixel_mm2 = np.zeros(shape, np.float32), image.row_mm * image.column_mm
            self._alone, self._beside = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        if shape != self._sum.shape:
            return
        if body is None:
            self._sum += image.image_hu
            self._alone += 1
            return
        clear = ~dilate(body, _CLEAR_PX)
        self._sum += image.image_hu * clear
        self._beside += clear

    def things(self, threshold_hu: float) -> list[StillThing]:
        """All that exceeds the threshold, piece by piece."""
        count = self._alone + self._beside
        known = count > 0
        image = np.where(known, self._sum / np.maximum(count, 1), np.float32(_AIR_HU)).astype(np.float32)
        dense = image > threshold_hu
        pieces = Pieces(dense)
        things = []
        for index in np.flatnonzero(pieces.sizes * self._pixel_mm2 >= _LEAST_MM2):
            box = pieces.box(index, margin=MARGIN_PX)
            inner = pieces.only(index, box)
            near = dilate(inner, _CLEAR_PX)
            border = near & ~erode(inner, 1) & known[box] & (inner | ~dense[box])
            edge = near & ~dilate(inner, 1) & known[box] & (inner | ~dense[box])
            if edge.any():
                alone, beside = (_most(seen[box][inner] > 0) for seen in (self._alone, self._beside))
                share = np.maximum(ndimage.uniform_filter(inner.astype(np.float32), 3), np.float32(1e-3))
                things.append(
                    StillThing(image.shape, box, inner, border, edge, image[box], share, alone, beside, self._pixel_mm2)
                )
        return things


def _most(flags: Mask) -> bool:
    return 2 * int(np.count_nonzero(flags)) > flags.size
