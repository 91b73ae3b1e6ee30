"""Beams laid out as arrays, one row a shot: a rotation is many shots from many sides, any other event is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry.backscatter import knot_factors
from dose_audit.dosimetry.skin.beam import Beam
from dose_audit.dosimetry.skin.geometry import beam_axes
from dose_audit.dosimetry.skin.transmission import normal_transmission

__all__ = ["MAX_SHOTS", "Shots", "count_shots", "lay_out"]

MAX_SHOTS = 20_000
_STEP_DEG = 3.0


@dataclass(frozen=True, slots=True)
class Shots:
    """n shots in the table's frame.

    Parameters
    ----------
    beam : ndarray of int, shape (n,)
        Which of the beams the shot belongs to.
    source_mm : ndarray, shape (n, 3)
        Focal spots.
    axis : ndarray, shape (n, 3)
        Unit vectors from the focal spot to the isocentre.
    across : ndarray, shape (n, 2, 3)
        Unit vectors of the field's width and height.
    half_field : ndarray, shape (n, 2)
        Half width and half height over the distance from the focal spot.
    kerma_mgy, reference_mm : ndarray, shape (n,)
        The shot's share of the air kerma, and where it is stated.
    factor : ndarray, shape (n,)
        Water-to-air ratio.
    knots : ndarray, shape (n, 5)
        Backscatter factor at the tabulated field sides.
    log_transmission : ndarray, shape (n, 2)
        Logarithms of the normal transmission of table and mattress.
    """

    beam: NDArray[np.int64]
    source_mm: NDArray[np.float64]
    axis: NDArray[np.float64]
    across: NDArray[np.float64]
    half_field: NDArray[np.float64]
    kerma_mgy: NDArray[np.float64]
    reference_mm: NDArray[np.float64]
    factor: NDArray[np.float64]
    knots: NDArray[np.float64]
    log_transmission: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.beam)

    def moved(self, left_mm: float, down_mm: float) -> Shots:
        """The same shots with every source and isocentre moved as seen from the table."""
        return replace(self, source_mm=self.source_mm + np.array([left_mm, down_mm, 0.0]))

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Shots:
        """The chosen shots alone, by mask or by index."""
        return Shots(*(getattr(self, item.name)[chosen] for item in fields(self)))


def count_shots(beam: Beam) -> int:
    """Into how many shots a beam falls: one for each 3° that it turns."""
    pose = beam.pose
    turned = max(abs(pose.primary_end_deg - pose.primary_deg), abs(pose.secondary_end_deg - pose.secondary_deg))
    return max(1, math.ceil(turned / _STEP_DEG))


def lay_out(beams: Sequence[Beam]) -> Shots:
    """Arrays of all the beams' shots.

    Parameters
    ----------
    beams : sequence of Beam
        At least one.

    Returns
    -------
    Shots

    Notes
    -----
    A rotation's kerma is shared evenly over the steps' middles, on the straight way from its first to its last angles.
    """
    rows: dict[str, list[object]] = {name: [] for name in ("beam", "source", "axis", "across", "half", "kerma")}
    for number, beam in enumerate(beams):
        pose, steps = beam.pose, count_shots(beam)
        for step in range(steps):
            part = (step + 0.5) / steps
            isocentre, up, across = beam_axes(
                pose,
                pose.primary_deg + part * (pose.primary_end_deg - pose.primary_deg),
                pose.secondary_deg + part * (pose.secondary_end_deg - pose.secondary_deg),
            )
            rows["beam"].append(number)
            rows["source"].append(isocentre + beam.source_isocentre_mm * up)
            rows["axis"].append(-up)
            rows["across"].append(across)
            rows["half"].append([side / 2 / beam.reference_mm for side in beam.field_mm])
            rows["kerma"].append(beam.kerma_mgy / steps)
    owner = np.array(rows["beam"], dtype=np.int64)
    reference = np.array([beam.reference_mm for beam in beams])[owner]
    quality = np.array(
        [
            (
                beam.quality.kvp_kv,
                beam.quality.copper_mm,
                beam.quality.hvl_mm_al,
                beam.quality.water_to_air,
            )
            for beam in beams
        ]
    )[owner]
    return Shots(
        beam=owner,
        source_mm=np.array(rows["source"]),
        axis=np.array(rows["axis"]),
        across=np.array(rows["across"]),
        half_field=np.array(rows["half"]),
        kerma_mgy=np.array(rows["kerma"]),
        reference_mm=reference,
        factor=quality[:, 3],
        knots=knot_factors(quality[:, 0], quality[:, 2]),
        log_transmission=np.log(normal_transmission(quality[:, 0], quality[:, 1])),
    )
