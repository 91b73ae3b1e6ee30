"""Randomised placements for tests: poses, fields of view, slice spacings, gaps, reversals and noise, from one seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dose_audit.phantom.digital.acquisition import Acquisition, slice_positions
from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.pose import Pose

__all__ = ["Placement", "placements"]

SHIFT_MM, ROLL_DEG, TILT_DEG = 30.0, 180.0, 2.0
FIELD_MM, NOISE_HU = (180.0, 500.0), (3.0, 60.0)
SPACING_OVER_THICKNESS = (0.3, 1.5)
THICKNESS_MM = (0.6, 5.0)


@dataclass(frozen=True, slots=True)
class Placement:
    """One case: where the phantom lies and how it is scanned, for `write_series`."""

    name: str
    pose: Pose
    acquisition: Acquisition
    shuffle: bool


def placements(
    phantom: DigitalPhantom,
    count: int,
    seed: int = 0,
    *,
    smallest_field_mm: float = FIELD_MM[0],
    most_slices: int = 150,
) -> Iterator[Placement]:
    """Draw placements of a phantom that is scanned in slices.

    Parameters
    ----------
    phantom : DigitalPhantom
        From a recipe; its modules tell which length is scanned.
    count, seed : int
        How many, and from which seed; the first ones are the same for any count.
    smallest_field_mm : float
        Lower end of the fields of view, if cropped phantoms are not wanted.
    most_slices : int
        Coarser spacing is taken where more slices would be needed.

    Notes
    -----
    Shift within 30 mm, any roll, tilt within 2 degrees either way, field 180 to 500 mm, thickness 0.6 to 5 mm with
    spacing 0.3 to 1.5 times that, noise 3 to 60 HU (for MR: 0.3 to 6 % of 1000), and by lot: end for end, numbered
    backwards, shuffled names, up to three slices missing, table (CT), bubble (MR).

    Examples
    --------
    >>> from dose_audit.phantom.digital.recipes import recipe
    >>> [round(p.pose.roll_deg, 1) for p in placements(recipe("catphan504"), 2)] == [
    ...     round(p.pose.roll_deg, 1) for p in placements(recipe("catphan504"), 5)][:2]
    True
    """
    usual = phantom.acquisition
    if not usual.z_mm:
        raise ValueError(f"{phantom.kind} is a projection: it has no slices to place")
    for k in range(count):
        lot = np.random.default_rng((seed, k))
        x, y, z = (float(v) for v in lot.uniform(-SHIFT_MM, SHIFT_MM, 3))
        pose = Pose(
            x,
            y,
            z,
            roll_deg=float(lot.uniform(-ROLL_DEG, ROLL_DEG)),
            tilt_x_deg=float(lot.uniform(-TILT_DEG, TILT_DEG)),
            tilt_y_deg=float(lot.uniform(-TILT_DEG, TILT_DEG)),
            end_for_end=bool(lot.random() < 0.25),
        )
        thickness = float(np.exp(lot.uniform(*np.log(THICKNESS_MM))))
        length = max(usual.z_mm) - min(usual.z_mm)
        spacing = max(thickness * float(lot.uniform(*SPACING_OVER_THICKNESS)), length / most_slices)
        missing = tuple(int(v) for v in lot.integers(0, int(length / spacing), int(lot.integers(0, 4))))
        sd = float(np.exp(lot.uniform(*np.log(NOISE_HU))))
        effects = replace(
            usual.effects,
            table=usual.modality == "CT" and bool(lot.random() < 0.5),
            bubble_mm=float(lot.uniform(2.0, 10.0)) if usual.modality == "MR" and lot.random() < 0.3 else 0.0,
        )
        changed = replace(
            usual.with_field(float(lot.uniform(smallest_field_mm, FIELD_MM[1]))),
            thickness_mm=thickness,
            z_mm=slice_positions(min(usual.z_mm), max(usual.z_mm), spacing, missing=missing),
            noise=replace(usual.noise, sd=sd),
            effects=effects,
        ).following(pose.z_mm, pose.end_for_end)
        if lot.random() < 0.3:
            changed = replace(changed, z_mm=changed.z_mm[::-1])
        yield Placement(f"{phantom.kind} {seed}/{k}", pose, changed, bool(lot.random() < 0.5))
