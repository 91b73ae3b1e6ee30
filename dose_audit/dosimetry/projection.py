"""Radiography: air kerma at the patient's surface, backscatter, and the exposure index recomputed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dose_audit.dosimetry import backscatter
from dose_audit.measured import Measured, not_measurable

__all__ = [
    "backscatter_factor",
    "deviation_index",
    "entrance_surface_air_kerma",
    "exposure_index",
    "incident_air_kerma_from_kap",
    "incident_air_kerma_from_output",
    "tube_output",
]

_FALLBACK_BACKSCATTER = 1.35
_DISTANCE_MM = (100.0, 5000.0)


def backscatter_factor(kvp_kv: float | None, hvl_mm_al: float | None, field_side_cm: float | None) -> Measured:
    """Backscatter factor of air kerma for a square field on water.

    Parameters
    ----------
    kvp_kv : float
        Tube voltage, 50 to 150 kV.
    hvl_mm_al : float
        First half-value layer, 1.8 to 12.5 mm Al.
    field_side_cm : float
        Side of the square field of the same area at the surface, 5 to 35 cm.

    Returns
    -------
    Measured
        ``backscatter_factor``, unit 1; not measurable outside these ranges.

    Notes
    -----
    Benmakhlouf's polynomial in kV and HVL for five field sides, joined by a cubic spline; it holds to 0.5 % of the
    published Monte Carlo values.

    References
    ----------
    Benmakhlouf et al, Phys Med Biol 58 (2013) 247, eq. 8, doi 10.1088/0031-9155/58/2/247.

    Examples
    --------
    >>> round(backscatter_factor(80, 4.08, 10).value, 3)
    1.37
    """
    name, method = "backscatter_factor", "Benmakhlouf 2013, eq. 8"
    given = (kvp_kv, hvl_mm_al, field_side_cm)
    words = ("tube voltage in kV", "half-value layer in mm Al", "field side in cm")
    for value, what, (low, high) in zip(given, words, backscatter.BACKSCATTER_RANGE.values(), strict=True):
        problem = _outside(value, low, high, what)
        if problem:
            return not_measurable(name, "1", problem, method=method)
    assert kvp_kv is not None and hvl_mm_al is not None and field_side_cm is not None
    value = float(backscatter.backscatter_factor(kvp_kv, hvl_mm_al, field_side_cm))
    return Measured(name, value, "1", 0.01 * value, method=method)


def incident_air_kerma_from_kap(
    kap_gy_cm2: float | None,
    field_area_cm2: float | None,
    field_distance_mm: float | None,
    focus_skin_mm: float | None,
    *,
    kap_relative_uncertainty: float = 0.15,
) -> Measured:
    """Incident air kerma at the skin from the air kerma-area product.

    Parameters
    ----------
    kap_gy_cm2 : float
        KAP in Gy·cm², 0 to 10 000.
    field_area_cm2 : float
        Field area at `field_distance_mm`, 1 to 3000 cm².
    field_distance_mm, focus_skin_mm : float
        Distances from the focus in mm, 100 to 5000.
    kap_relative_uncertainty : float
        Standard uncertainty of the KAP, 0.15 for an indicated value (±25 %, rectangular), less for a calibrated one.

    Returns
    -------
    Measured
        ``incident_air_kerma`` in mGy, without backscatter.

    Notes
    -----
    ``K = KAP / A(skin)`` with ``A(skin) = A (FSD/d)²``.

    References
    ----------
    IAEA Technical Reports Series 457 (2007).

    Examples
    --------
    >>> round(incident_air_kerma_from_kap(1.0, 900.0, 1000.0, 800.0).value, 4)
    1.7361
    """
    name, method = "incident_air_kerma", "KAP over the field area at the skin"
    for value, low, high, what in (
        (kap_gy_cm2, 0.0, 10_000.0, "KAP in Gy·cm²"),
        (field_area_cm2, 1.0, 3000.0, "field area in cm²"),
        (field_distance_mm, *_DISTANCE_MM, "distance of the field in mm"),
        (focus_skin_mm, *_DISTANCE_MM, "focus-skin distance in mm"),
    ):
        problem = _outside(value, low, high, what)
        if problem:
            return not_measurable(name, "mGy", problem, method=method)
    assert kap_gy_cm2 is not None and field_area_cm2 is not None
    assert field_distance_mm is not None and focus_skin_mm is not None
    area_cm2 = field_area_cm2 * (focus_skin_mm / field_distance_mm) ** 2
    value = 1000 * kap_gy_cm2 / area_cm2
    relative = math.hypot(kap_relative_uncertainty, 0.06)
    return Measured(name, value, "mGy", relative * value, method=method, details={"skin_area_cm2": area_cm2})


def incident_air_kerma_from_output(
    output_mgy_per_mas: float | None,
    exposure_mas: float | None,
    focus_skin_mm: float | None,
    *,
    output_distance_mm: float = 1000.0,
) -> Measured:
    """Incident air kerma at the skin from the tube's output.

    Parameters
    ----------
    output_mgy_per_mas : float
        Output Y at the tube voltage used, in mGy/mAs at `output_distance_mm`, 0 to 10; see `tube_output`.
    exposure_mas : float
        Tube current-time product, 0 to 10 000 mAs.
    focus_skin_mm, output_distance_mm : float
        Distances from the focus in mm, 100 to 5000.

    Returns
    -------
    Measured
        ``incident_air_kerma`` in mGy.

    Notes
    -----
    ``K = Y · mAs · (d/FSD)²``.

    References
    ----------
    IAEA Technical Reports Series 457 (2007).

    Examples
    --------
    >>> incident_air_kerma_from_output(0.05, 20.0, 500.0).value
    4.0
    """
    name, method = "incident_air_kerma", "tube output, mAs and the inverse square"
    for value, low, high, what in (
        (output_mgy_per_mas, 0.0, 10.0, "tube output in mGy/mAs"),
        (exposure_mas, 0.0, 10_000.0, "tube current-time product in mAs"),
        (focus_skin_mm, *_DISTANCE_MM, "focus-skin distance in mm"),
        (output_distance_mm, *_DISTANCE_MM, "distance of the output in mm"),
    ):
        problem = _outside(value, low, high, what)
        if problem:
            return not_measurable(name, "mGy", problem, method=method)
    assert output_mgy_per_mas is not None and exposure_mas is not None and focus_skin_mm is not None
    value = output_mgy_per_mas * exposure_mas * (output_distance_mm / focus_skin_mm) ** 2
    return Measured(name, value, "mGy", 0.08 * value, method=method)


def tube_output(kvp_kv: float, measured_kv: Sequence[float], measured_mgy_per_mas: Sequence[float]) -> Measured:
    """Tube output at a voltage between those at which it was measured.

    Parameters
    ----------
    kvp_kv : float
        Voltage asked for, within `measured_kv`.
    measured_kv, measured_mgy_per_mas : sequence of float, length n >= 3
        Measured voltages in kV and outputs in mGy/mAs, all above zero.

    Returns
    -------
    Measured
        ``tube_output`` in mGy/mAs, its uncertainty from the fit's residuals; `quality` is the fit's R².

    Raises
    ------
    ValueError
        The sequences differ in length.

    Notes
    -----
    Least squares of ``ln Y = a + n ln kV``; n is near 2. Never extrapolated.

    Examples
    --------
    >>> round(tube_output(80, [60, 70, 100], [0.036, 0.049, 0.100]).value, 6)
    0.064
    """
    if len(measured_kv) != len(measured_mgy_per_mas):
        raise ValueError(f"{len(measured_kv)} voltages for {len(measured_mgy_per_mas)} outputs")
    name, method = "tube_output", "power of the tube voltage, least squares of logarithms"
    kv, output = np.asarray(measured_kv, float), np.asarray(measured_mgy_per_mas, float)
    if len(np.unique(kv)) < 3 or not (np.isfinite(kv) & np.isfinite(output) & (kv > 0) & (output > 0)).all():
        return not_measurable(name, "mGy/mAs", "three voltages with outputs above zero are needed", method=method)
    problem = _outside(kvp_kv, float(kv.min()), float(kv.max()), "tube voltage in kV")
    if problem:
        return not_measurable(name, "mGy/mAs", problem, method=method)
    slope, start = np.polyfit(np.log(kv), np.log(output), 1)
    rest = np.log(output) - start - slope * np.log(kv)
    spread = math.sqrt(float((rest**2).sum()) / (len(kv) - 2))
    total = float(((np.log(output) - np.log(output).mean()) ** 2).sum())
    value = math.exp(start + slope * math.log(kvp_kv))
    quality = 1 - float((rest**2).sum()) / total if total > 0 else None
    return Measured(name, value, "mGy/mAs", spread * value, method=method, quality=quality, details={"power": slope})


def entrance_surface_air_kerma(
    incident: Measured | float,
    *,
    kvp_kv: float | None = None,
    hvl_mm_al: float | None = None,
    field_side_cm: float | None = None,
) -> Measured:
    """Air kerma on the patient's surface with backscatter.

    Parameters
    ----------
    incident : Measured or float
        Incident air kerma in mGy: `incident_air_kerma_from_kap`, `incident_air_kerma_from_output` or a measured one.
    kvp_kv, hvl_mm_al, field_side_cm : float, optional
        As `backscatter_factor`. When the factor cannot be had the usual 1.35 stands in and the result is *suspect*.

    Returns
    -------
    Measured
        ``entrance_surface_air_kerma`` in mGy.

    Notes
    -----
    ``ESAK = K · B``.

    References
    ----------
    IAEA Technical Reports Series 457 (2007); TECDOC-1423 for the stand-in.

    Examples
    --------
    >>> round(entrance_surface_air_kerma(2.0, kvp_kv=80, hvl_mm_al=4.08, field_side_cm=10).value, 2)
    2.74
    """
    name = "entrance_surface_air_kerma"
    if not isinstance(incident, Measured):
        problem = _outside(incident, 0.0, 1e5, "incident air kerma in mGy")
        if problem:
            return not_measurable(name, "mGy", problem)
        incident = Measured("incident_air_kerma", float(incident), "mGy", method="given")
    if incident.value is None:
        return not_measurable(name, "mGy", incident.reason, method=incident.method)
    factor = backscatter_factor(kvp_kv, hvl_mm_al, field_side_cm)
    known = factor.value is not None
    scatter, relative = (factor.value, 0.01) if factor.value is not None else (_FALLBACK_BACKSCATTER, 0.06)
    value = incident.value * scatter
    uncertainty = None
    if incident.uncertainty is not None:
        uncertainty = math.hypot(incident.uncertainty * scatter, relative * value)
    method = f"{incident.method}; backscatter {factor.method if known else 'of 1.35 by convention'}"
    details = {"incident_air_kerma_mgy": incident.value, "backscatter_factor": scatter}
    result = Measured(name, value, "mGy", uncertainty, method=method, details=details)
    if incident.status == "suspect":
        result = result.doubt(incident.reason)
    return result if known else result.doubt(f"backscatter of 1.35 assumed: {factor.reason}")


def exposure_index(detector_air_kerma_ugy: float | None) -> Measured:
    """Exposure index of a detector air kerma at the calibration beam: ``EI = 100 K`` with K in µGy (IEC 62494-1).

    Parameters
    ----------
    detector_air_kerma_ugy : float
        0 to 10 000 µGy.

    Returns
    -------
    Measured
        ``exposure_index``, unit 1.

    Examples
    --------
    >>> exposure_index(2.5).value
    250.0
    """
    method = "IEC 62494-1: 100 K"
    problem = _outside(detector_air_kerma_ugy, 0.0, 10_000.0, "detector air kerma in µGy")
    if problem:
        return not_measurable("exposure_index", "1", problem, method=method)
    assert detector_air_kerma_ugy is not None
    return Measured("exposure_index", 100 * detector_air_kerma_ugy, "1", method=method)


def deviation_index(
    exposure_index: float | None, target_exposure_index: float | None, *, reported: float | None = None
) -> Measured:
    """Deviation index from exposure index and target, beside the one that the image carries.

    Parameters
    ----------
    exposure_index, target_exposure_index : float
        EI and its target EI_T (IEC 62494-1), above 0.
    reported : float, optional
        The deviation index of the image; a difference of more than 0.1 makes the result *suspect*.

    Returns
    -------
    Measured
        ``deviation_index``, unit 1.

    Notes
    -----
    ``DI = 10 log10(EI / EI_T)``. A drifting target hides a drifting dose: look at EI too.

    References
    ----------
    IEC 62494-1:2008.

    Examples
    --------
    >>> round(deviation_index(800.0, 400.0).value, 4)
    3.0103
    """
    name, method = "deviation_index", "IEC 62494-1: 10 log10(EI/EIT)"
    for value, what in ((exposure_index, "exposure index"), (target_exposure_index, "target exposure index")):
        problem = _outside(value, 1e-3, 1e6, what)
        if problem:
            return not_measurable(name, "1", problem, method=method)
    assert exposure_index is not None and target_exposure_index is not None
    value = 10 * math.log10(exposure_index / target_exposure_index)
    result = Measured(name, value, "1", method=method, details={"reported": reported})
    if reported is not None and not abs(value - reported) <= 0.1:
        return result.doubt(f"the image says {reported:g}, its EI and target give {value:.2f}")
    return result


def _outside(value: float | None, low: float, high: float, what: str) -> str:
    if value is None:
        return f"no {what}"
    return (
        "" if math.isfinite(value) and low <= value <= high else f"{what} of {value:g} is outside {low:g} to {high:g}"
    )
