"""Water-equivalent diameter of a patient in one axial CT image (AAPM 220), with the limits within which it holds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.dosimetry.patient_region import TABLE_THRESHOLD_HU, PatientRegion, find_patient_region
from dose_audit.dosimetry.pooling import Pooled, pool
from dose_audit.measured import Measured, not_measurable

__all__ = ["measure_slice", "measured_with_region", "size_of", "truncation_factor", "water_equivalent_diameter"]

NAME = "water_equivalent_diameter"
METHOD = "AAPM 220: water-equivalent area of the segmented patient"

_AIR_HU = -1000.0
_MOST_METAL = 0.005  # 0.5 % of the area at 3071 HU is 1 % in Dw
_LEAST_MEAN_HU = -500.0
_IGNORED_TRUNCATION, _MOST_TRUNCATION = 0.05, 0.30
_ANAM_K = 1.15  # thorax; Anam et al 2017
_RELATIVE_UNCERTAINTY = 0.004  # parting from the table 0.3 %, CT number of water ±4 HU 0.2 %, pixels 0.1 %
_DW_RANGE_MM = (30.0, 600.0)


def water_equivalent_diameter(
    image_hu: ArrayLike,
    spacing_mm: float | tuple[float, float],
    *,
    threshold_hu: float = TABLE_THRESHOLD_HU,
) -> Measured:
    """Water-equivalent diameter Dw of the patient in an axial CT image.

    Parameters
    ----------
    image_hu : array_like, shape (H, W)
        CT numbers in HU. Below -1500 HU, or NaN: outside the field of view.
    spacing_mm : float or (float, float)
        Pixel spacing (row, column) in mm, 0.05 to 10.
    threshold_hu : float
        Threshold between patient and air, -700 to -100 HU.

    Returns
    -------
    Measured
        ``water_equivalent_diameter`` in mm. `details`: ``water_equivalent_area_mm2``, ``area_mm2``, ``mean_hu``,
        ``effective_diameter_mm``, ``lateral_mm``, ``ap_mm``, ``truncated_fraction``, ``centre_mm`` (x, y from the
        image's centre), ``removed_mm2`` (table), ``threshold_hu``, ``truncation_factor``.
        *Suspect* when 5 to 30 % of the contour is cut by the field of view and the value is corrected for it, and when
        something that touches the body may or may not belong to it; the uncertainty says by how much. *Not
        measurable* without a patient, with more cut off, with metal (over 0.5 % of the area above 3000 HU) and with a
        mean below -500 HU.

    Raises
    ------
    ValueError
        The array has not two dimensions.

    Notes
    -----
    ``Aw = Σ (HU/1000 + 1) · pixel area`` over the patient with lungs and gas, ``Dw = 2 sqrt(Aw / π)``. The rim of
    partly covered pixels is summed too, so that the threshold does not bias the size. On analytic water cylinders of 14
    to 34 cm on slabs, shells and cradles the result holds within 1 %, and so it does in a shell that hugs up to half of a
    head or a phantom and has steps at its ends. A cushion of tissue's number that follows a trunk stays, and
    makes the result *suspect* where its two ends are cut off squarely at one height, and a whole series tells it
    (`series_water_equivalent_diameter`).

    References
    ----------
    AAPM Report 220 (2014). IEC 62985:2019. Truncation: Anam et al, Radiat Prot Dosim 175 (2017) 313,
    doi 10.1093/rpd/ncw326.

    Examples
    --------
    >>> y, x = np.mgrid[-128:128, -128:128] + 0.5
    >>> round(water_equivalent_diameter(np.where(x**2 + y**2 < 100**2, 0.0, -1000.0), 1.0).value)
    200
    """
    image = np.asarray(image_hu, dtype=np.float32)
    if image.ndim != 2:
        raise ValueError(f"an image has two dimensions, this array has {image.ndim}")
    row_mm, column_mm = (float(side) for side in np.broadcast_to(spacing_mm, 2))
    problem = _problem(image, row_mm, column_mm, threshold_hu)
    if problem:
        return not_measurable(NAME, "mm", problem, method=METHOD)
    return measure_slice(pool(image, row_mm, column_mm), threshold_hu=threshold_hu)


def _problem(image: NDArray[np.float32], row_mm: float, column_mm: float, threshold_hu: float) -> str:
    if min(image.shape) < 16 or max(image.shape) > 8192:
        return f"image of {image.shape[0]} × {image.shape[1]} pixels"
    for spacing in (row_mm, column_mm):
        if not (math.isfinite(spacing) and 0.05 <= spacing <= 10):
            return f"pixel spacing of {spacing} mm"
    if not -700 <= threshold_hu <= -100:
        return f"threshold of {threshold_hu} HU is outside -700 to -100"
    if max(row_mm, column_mm) > 1.1 * min(row_mm, column_mm):
        return "pixels are not square"
    return ""


def truncation_factor(truncated_fraction: float) -> float:
    """Factor by which Dw of a truncated image is multiplied: ``exp(1.15 TP³)`` (Anam et al 2017, thorax).

    Parameters
    ----------
    truncated_fraction : float
        Part TP of the contour on the edge of the field of view, 0 to 1; the correction is used from 0.05 to 0.30.

    Returns
    -------
    float

    Examples
    --------
    >>> round(truncation_factor(0.2), 6)
    1.009242
    """
    return math.exp(_ANAM_K * truncated_fraction**3)


def measure_slice(image: Pooled, *, threshold_hu: float = TABLE_THRESHOLD_HU) -> Measured:
    """Dw of an image that is already averaged; as `water_equivalent_diameter`."""
    return measured_with_region(image, threshold_hu=threshold_hu)[0]


def measured_with_region(
    image: Pooled, *, threshold_hu: float = TABLE_THRESHOLD_HU
) -> tuple[Measured, PatientRegion | None]:
    """As `measure_slice`, with the region that was found."""
    pixel_mm = math.sqrt(image.row_mm * image.column_mm)
    region = find_patient_region(image.image_hu, pixel_mm, threshold_hu=threshold_hu, inside_fov=image.inside)
    if region is None:
        return not_measurable(NAME, "mm", "no patient in the image", method=METHOD), None
    return _result(image, _describe(image, region, threshold_hu), region), region


def size_of(neighbour: Measured, water_mm2: float) -> Measured:
    """The size of a slice with the region of a neighbour and its own water-equivalent area."""
    area_mm2 = neighbour.details["area_mm2"]
    own = {"water_equivalent_area_mm2": water_mm2, "mean_hu": (water_mm2 / area_mm2 - 1) * 1000}
    dw_mm = 2 * math.sqrt(max(water_mm2, 0.0) / math.pi)
    relative = (
        neighbour.uncertainty / neighbour.value if neighbour.uncertainty and neighbour.value else _RELATIVE_UNCERTAINTY
    )
    return replace(neighbour, value=dw_mm, uncertainty=relative * dw_mm, details={**neighbour.details, **own})


def _result(image: Pooled, details: dict[str, Any], region: PatientRegion) -> Measured:
    area_mm2, truncated = details["area_mm2"], details["truncated_fraction"]
    dw_mm = 2 * math.sqrt(max(details["water_equivalent_area_mm2"], 0.0) / math.pi)
    if details["mean_hu"] < _LEAST_MEAN_HU:
        return not_measurable(NAME, "mm", f"not a body (mean of {details['mean_hu']:.0f} HU)", method=METHOD, **details)
    if image.metal_mm2 > _MOST_METAL * area_mm2:
        percent = 100 * image.metal_mm2 / area_mm2
        return not_measurable(NAME, "mm", f"too much metal ({percent:.1f} % of the area)", method=METHOD, **details)
    if truncated > _MOST_TRUNCATION:
        reason = f"field of view cuts over 30 % of the contour ({100 * truncated:.0f} %)"
        return not_measurable(NAME, "mm", reason, method=METHOD, indicated_mm=dw_mm, **details)
    if not _DW_RANGE_MM[0] <= dw_mm <= _DW_RANGE_MM[1]:
        return not_measurable(NAME, "mm", f"no patient's size ({dw_mm:.0f} mm)", method=METHOD, **details)
    neck = _neck(area_mm2, math.sqrt(image.row_mm * image.column_mm)) if region.removed_mm2 else 0.0
    relative = math.hypot(_RELATIVE_UNCERTAINTY, neck, region.doubtful_mm2 / (2 * area_mm2))
    if truncated < _IGNORED_TRUNCATION:
        result = Measured(NAME, dw_mm, "mm", relative * dw_mm, method=METHOD, details=details)
    else:
        factor = truncation_factor(truncated)
        details["truncation_factor"] = factor
        uncertainty = dw_mm * factor * math.hypot(relative, (factor - 1) / 2, 0.02 * truncated / 0.3)
        reason = f"{100 * truncated:.0f} % of the contour is cut by the field of view; multiplied by {factor:.4f}"
        method = f"{METHOD}; truncation after Anam 2017"
        result = Measured(NAME, dw_mm * factor, "mm", uncertainty, "suspect", reason, method, details=details)
    return result.doubt(region.doubt) if region.doubt else result


def _neck(area_mm2: float, pixel_mm: float) -> float:
    """What a pixel of the neck between a round body and what it rests on is of Dw: 0.1 % of an adult, 0.4 % of a newborn."""
    radius_mm = math.sqrt(area_mm2 / math.pi)
    return math.sqrt(2 * radius_mm * pixel_mm) * pixel_mm / area_mm2


def _describe(image: Pooled, region: PatientRegion, threshold_hu: float) -> dict[str, Any]:
    mask, pixel_mm2 = region.mask, image.row_mm * image.column_mm
    covered = mask | (region.rim & (image.image_hu > _AIR_HU / 2))
    area_mm2 = np.count_nonzero(covered) * pixel_mm2
    numbers = image.image_hu[mask | region.rim]
    water_mm2 = (float(numbers.sum(dtype=np.float64)) / 1000 + numbers.size) * pixel_mm2 - region.cloth_mm2
    columns, rows = np.nonzero(covered.any(axis=0))[0], np.nonzero(covered.any(axis=1))[0]
    centre_y, centre_x = (_centre(mask.sum(axis=axis, dtype=np.float64)) for axis in (1, 0))
    return {
        "water_equivalent_area_mm2": water_mm2,
        "area_mm2": area_mm2,
        "mean_hu": (water_mm2 / area_mm2 - 1) * 1000,
        "effective_diameter_mm": 2 * math.sqrt(area_mm2 / math.pi),
        "lateral_mm": float(columns[-1] - columns[0] + 1) * image.column_mm,
        "ap_mm": float(rows[-1] - rows[0] + 1) * image.row_mm,
        "centre_mm": [centre_x * image.column_mm, centre_y * image.row_mm],
        "truncated_fraction": region.truncated_fraction,
        "removed_mm2": region.removed_mm2,
        "threshold_hu": threshold_hu,
        "truncation_factor": 1.0,
    }


def _centre(weights: NDArray[np.float64]) -> float:
    """Centre of gravity in pixels from the middle."""
    places = np.arange(len(weights)) - (len(weights) - 1) / 2
    return float((places * weights).sum() / weights.sum())
