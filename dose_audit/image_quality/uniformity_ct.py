"""Uniformity of CT numbers: a central and four peripheral regions of a water section."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dose_audit.image_quality.rois import (
    Position,
    RoiStatistics,
    Spacing,
    as_image,
    disc_statistics,
    polar_position,
    position_pair,
    spacing_pair,
)
from dose_audit.measured import Measured, not_measurable

__all__ = ["HuUniformity", "hu_uniformity"]

_CLOCK = (-90.0, 0.0, 90.0, 180.0)
_METHOD = "means of five discs"


@dataclass(frozen=True, slots=True)
class HuUniformity:
    """CT numbers of the five regions and what they say together.

    Parameters
    ----------
    centre : Measured
        Mean of the central region, HU.
    periphery : mapping of float to Measured
        Means of the peripheral regions by their angle.
    largest_difference : Measured
        The peripheral mean farthest from the central one, less that one, HU, signed; without a sign it is the uniformity of
        IEC 61223-3-5 and the ACR.
    cupping : Measured
        Mean of the periphery less the centre, HU.
    uniformity_index : Measured
        ``100 max |(P - C)/(C + 1000)|`` with its sign, % (Elstrøm).
    integral_nonuniformity : Measured
        ``(max - min)/(max + min + 2000)``, a ratio (Elstrøm).
    noise : Measured
        Standard deviation in the central region, HU.
    """

    centre: Measured
    periphery: Mapping[float, Measured]
    largest_difference: Measured
    cupping: Measured
    uniformity_index: Measured
    integral_nonuniformity: Measured
    noise: Measured


def hu_uniformity(
    image: ArrayLike,
    spacing_mm: Spacing,
    centre_px: Position,
    *,
    radius_mm: float = 10.0,
    distance_mm: float = 53.0,
    angles_deg: Sequence[float] = _CLOCK,
) -> HuUniformity:
    """CT number uniformity from discs in the centre and around it.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        CT numbers in HU.
    spacing_mm : float or (row, column)
    centre_px : (row, column)
        Centre of the water section; a misplacement of a few mm does not matter.
    radius_mm : float
        Radius of the regions; IEC asks for a diameter of about 10 % of the phantom's.
    distance_mm : float
        Distance of the peripheral regions from the centre.
    angles_deg : sequence of float
        Their directions, clockwise from 3 o'clock.

    Returns
    -------
    HuUniformity
        Regions that leave the image are ``not_measurable``, and with them what needs them.

    Notes
    -----
    Means, not medians: CT numbers are integers, and a median of integers is one. The uncertainties hold the noise's correlation.

    References
    ----------
    IEC 61223-3-5: Acceptance and constancy tests, imaging performance of computed tomography X-ray equipment.
    Elstrøm U V, et al. Evaluation of image quality for different kV cone-beam CT acquisition and reconstruction methods.
    Acta Oncol 2011; 50: 908-917.

    Examples
    --------
    >>> row, column = np.mgrid[:200, :200]
    >>> cupped = 1.0 + 5e-4 * ((row - 100.0) ** 2 + (column - 100.0) ** 2)
    >>> round(hu_uniformity(cupped, 1.0, (100, 100)).largest_difference.value, 2)
    1.4
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    place = position_pair(centre_px)
    if radius_mm <= 0 or distance_mm < 0 or not angles_deg:
        raise ValueError("a positive radius, a distance, and at least one direction")
    middle = _region(array, place, radius_mm, spacing)
    around = {
        float(angle): _region(array, polar_position(place, distance_mm, angle, spacing), radius_mm, spacing)
        for angle in angles_deg
    }
    centre = _mean("hu_centre", middle)
    periphery = {angle: _mean(f"hu_{angle:g}", roi) for angle, roi in around.items()}
    if middle is None or middle.sd is None:
        noise = not_measurable("noise", "HU", "the central region leaves the image", method=_METHOD)
    else:
        noise = Measured(
            "noise", middle.sd, "HU", middle.sd_uncertainty, method="standard deviation in the central disc"
        )
    lost = [f"region at {angle:g} degrees" for angle, roi in around.items() if roi is None]
    lost += ["central region"] if middle is None else []
    if lost or middle is None or middle.mean is None:
        reason = f"not in the image: {', '.join(lost)}"
        names = (
            ("largest_difference", "HU"),
            ("cupping", "HU"),
            ("uniformity_index", "%"),
            ("integral_nonuniformity", "1"),
        )
        lost_ones = [not_measurable(name, unit, reason, method=_METHOD) for name, unit in names]
        return HuUniformity(centre, periphery, lost_ones[0], lost_ones[1], lost_ones[2], lost_ones[3], noise)
    level, own = float(centre.value or 0.0), centre.uncertainty or 0.0
    values = np.array([m.value for m in periphery.values()], dtype=float)
    spreads = np.array([m.uncertainty or 0.0 for m in periphery.values()])
    farthest = int(np.argmax(np.abs(values - level)))
    difference = float(values[farthest]) - level
    spread = math.hypot(float(spreads[farthest]), own)
    largest = Measured("largest_difference", difference, "HU", spread, method=_METHOD)
    cupping = Measured(
        "cupping",
        float(values.mean()) - level,
        "HU",
        math.hypot(float(np.sqrt((spreads**2).sum())) / spreads.size, own),
        method="mean of the peripheral discs less the central one",
    )
    return HuUniformity(
        centre, periphery, largest, cupping, _index(difference, level, spread), _integral([level, *values], own), noise
    )


def _region(
    array: np.ndarray, place: tuple[float, float], radius: float, spacing: tuple[float, float]
) -> RoiStatistics | None:
    """Statistics of a disc, or nothing when a part of it lies outside."""
    inside = all(
        radius / step - 0.5 <= at <= size - 0.5 - radius / step
        for at, step, size in zip(place, spacing, array.shape, strict=True)
    )
    found = disc_statistics(array, place, radius, spacing) if inside else RoiStatistics(0)
    return found if found.pixels >= 0.5 * math.pi * radius**2 / (spacing[0] * spacing[1]) and found.pixels > 1 else None


def _mean(name: str, roi: RoiStatistics | None) -> Measured:
    if roi is None or roi.mean is None:
        return not_measurable(name, "HU", "the region leaves the image or holds no numbers", method=_METHOD)
    return Measured(
        name,
        roi.mean,
        "HU",
        roi.mean_uncertainty,
        method="mean of a disc",
        details={"sd": roi.sd, "pixels": roi.pixels},
    )


def _index(difference: float, level: float, spread: float) -> Measured:
    method = "100 (P - C)/(C + 1000)"
    if level <= -900:
        return not_measurable("uniformity_index", "%", "the centre is air", method=method)
    return Measured(
        "uniformity_index", 100 * difference / (level + 1000), "%", 100 * spread / (level + 1000), method=method
    )


def _integral(values: Sequence[float], spread: float) -> Measured:
    method = "(max - min)/(max + min + 2000)"
    high, low = max(values), min(values)
    if high + low + 2000 <= 200:
        return not_measurable("integral_nonuniformity", "1", "the section is air", method=method)
    total = high + low + 2000
    return Measured("integral_nonuniformity", (high - low) / total, "1", math.sqrt(2) * spread / total, method=method)
