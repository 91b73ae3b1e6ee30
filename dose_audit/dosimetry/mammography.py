"""Mean glandular dose after Dance, beside the machine's own, and which exposures may be compared with each other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from dose_audit.dosimetry.tables import load_table
from dose_audit.measured import Measured, not_measurable

if TYPE_CHECKING:
    from dose_audit.extract.exam import ProjectionEvent

__all__ = ["agd_agreement", "distinct_exposures", "exposure_kind", "mean_glandular_dose", "thickness_band"]

_NAME = "mean_glandular_dose"
_MOST_KERMA_MGY = 100.0
_AGREE = 0.25  # vendors' models (Dance, Wu, Boone) differ by up to a fifth
_PLAUSIBLE_AGD_MGY = (0.1, 15.0)
_K_UNCERTAINTY, _G_UNCERTAINTY, _S_UNCERTAINTY, _C_UNCERTAINTY = 0.05, 0.02, 0.02, 0.07
_HVL_HALF_WIDTH_MM_AL, _THICKNESS_HALF_WIDTH_MM = 0.03, 5.0  # displayed values are taken to be as near, rectangular
_NO_FACTOR = {("W", "Al"): "it changes with the breast's thickness, in a table of Dance 2009 that is not here"}
# PS3.16 CID 4014 and 4015, for meanings in other languages.
_VIEW_CODES = {
    "127457009": "specimen", "G-8310": "specimen",
    "399209000": "implant", "R-102D5": "implant",
    "399163009": "magnification", "R-102D6": "magnification",
    "399055006": "spot", "R-102D7": "spot",
}  # fmt: skip
_SYMBOLS = {
    "molybdenum": "Mo",
    "rhodium": "Rh",
    "tungsten": "W",
    "silver": "Ag",
    "aluminum": "Al",
    "aluminium": "Al",
}


def mean_glandular_dose(
    entrance_air_kerma_mgy: float | None,
    hvl_mm_al: float | None,
    thickness_mm: float | None,
    anode: str | None,
    filter_material: str | None,
    *,
    c_factor: float | None = None,
    t_factor: float | None = None,
    tomosynthesis: bool = False,
    machine_agd_mgy: float | None = None,
) -> Measured:
    """Mean glandular dose of one mammographic exposure by Dance's model.

    Parameters
    ----------
    entrance_air_kerma_mgy : float
        Incident air kerma K at the breast's upper surface, without backscatter, 0 to 100 mGy.
    hvl_mm_al : float
        First half-value layer with the compression paddle, 0.30 to 0.60 mm Al.
    thickness_mm : float
        Compressed breast thickness, 20 to 110 mm.
    anode, filter_material : str
        ``Mo``, ``Rh``, ``W`` or the DICOM words; the pairs of ``dance_s.csv``.
    c_factor : float, optional
        Correction for glandularity, 0.7 to 1.5; 1, a breast of 50 % glandular tissue, when not given.
    t_factor : float, optional
        Correction for the angles of a tomosynthesis sweep, 0.8 to 1.1; needed for one.
    tomosynthesis : bool
        Whether the exposure is a sweep.
    machine_agd_mgy : float, optional
        The machine's own average glandular dose; a disagreement by more than a quarter makes the result *suspect*.

    Returns
    -------
    Measured
        ``mean_glandular_dose`` in mGy; `details` with g, c, s, T and ``machine_ratio`` (machine's over this one).

    Notes
    -----
    ``MGD = K g c s`` and, for tomosynthesis, ``K g c s T``. g is interpolated linearly in HVL and thickness and never
    beyond the table. The uncertainty (k = 1) holds K to 5 %, g and s to 2 % each, c to 7 % where it is not given, and what
    g changes by for a half-value layer that is off by up to 0.03 mm Al and a thickness by up to 5 mm. The model's breast is
    simple: newer ones find about 30 % less (Dance and Sechopoulos 2016).

    References
    ----------
    Dance et al, Phys Med Biol 45 (2000) 3225, doi 10.1088/0031-9155/45/11/308; 54 (2009) 4361; 56 (2011) 453.

    Examples
    --------
    >>> round(mean_glandular_dose(5.0, 0.40, 40.0, "Mo", "Mo").value, 3)
    1.305
    """
    method = "Dance 2000: K g c s" + (" T" if tomosynthesis else "")
    for value, low, high, what in (
        (entrance_air_kerma_mgy, 0.0, _MOST_KERMA_MGY, "incident air kerma in mGy"),
        (hvl_mm_al, 0.30, 0.60, "half-value layer in mm Al"),
        (thickness_mm, 20.0, 110.0, "compressed thickness in mm"),
    ):
        problem = _outside(value, low, high, what)
        if problem:
            return not_measurable(_NAME, "mGy", problem, method=method)
    for given, low, high, what in ((c_factor, 0.7, 1.5, "factor c"), (t_factor, 0.8, 1.1, "factor T")):
        if given is not None and (problem := _outside(given, low, high, what)):
            return not_measurable(_NAME, "mGy", problem, method=method)
    if tomosynthesis and t_factor is None:
        return not_measurable(_NAME, "mGy", "a tomosynthesis sweep needs its system's factor T", method=method)
    s_factor = _spectrum_factor(anode, filter_material)
    if isinstance(s_factor, str):
        return not_measurable(_NAME, "mGy", s_factor, method=method)
    assert entrance_air_kerma_mgy is not None and hvl_mm_al is not None and thickness_mm is not None
    if entrance_air_kerma_mgy == 0 and machine_agd_mgy is not None and machine_agd_mgy > 0:
        reason = f"incident air kerma of 0 beside a machine's AGD of {machine_agd_mgy:.2f} mGy"
        return not_measurable(_NAME, "mGy", reason, method=method)
    g = _conversion(hvl_mm_al, thickness_mm / 10)
    c, t = (1.0 if c_factor is None else c_factor), (t_factor if tomosynthesis and t_factor is not None else 1.0)
    value = entrance_air_kerma_mgy * g * c * s_factor * t
    by_inputs = _spread_of_g(hvl_mm_al, thickness_mm / 10)
    by_composition = _C_UNCERTAINTY if c_factor is None else 0.0
    relative = math.hypot(_K_UNCERTAINTY, _G_UNCERTAINTY, _S_UNCERTAINTY, by_composition, *by_inputs)
    details: dict[str, float | None] = {"g": g, "c": c, "s": s_factor, "t": t, "machine_agd_mgy": machine_agd_mgy}
    if c_factor is None:
        method += "; c = 1, 50 % glandular"
    result = Measured(_NAME, value, "mGy", relative * value, method=method, details=details)
    if machine_agd_mgy is None:
        return result
    ratio, disagreement = agd_agreement(machine_agd_mgy, value)
    details["machine_ratio"] = ratio
    return result.doubt(disagreement) if disagreement else result


def agd_agreement(machine_agd_mgy: float, mgd_mgy: float) -> tuple[float | None, str]:
    """Ratio of the machine's AGD to the computed one, and what is wrong when they differ by more than a quarter.

    Parameters
    ----------
    machine_agd_mgy, mgd_mgy : float
        In mGy.

    Returns
    -------
    (float or None, str)
        The ratio, ``None`` when a dose is 0, and the complaint, empty when there is none.

    Examples
    --------
    >>> agd_agreement(1.0, 1.1)[1]
    ''
    >>> agd_agreement(13.0, 1.3)[1]
    "the machine's AGD of 13.00 mGy is 10.00 times this one"
    """
    if not (machine_agd_mgy > 0 and mgd_mgy > 0):
        return None, ""
    ratio = machine_agd_mgy / mgd_mgy
    if 1 / (1 + _AGREE) <= ratio <= 1 + _AGREE:
        return ratio, ""
    return ratio, f"the machine's AGD of {machine_agd_mgy:.2f} mGy is {ratio:.2f} times this one"


def _outside(value: float | None, low: float, high: float, what: str) -> str:
    if value is None:
        return f"no {what}"
    return (
        "" if math.isfinite(value) and low <= value <= high else f"{what} of {value:g} is outside {low:g} to {high:g}"
    )


def _spectrum_factor(anode: str | None, filter_material: str | None) -> float | str:
    pair = _symbol(anode), _symbol(filter_material)
    for row in load_table("dance_s"):
        if (row["anode"], row["filter"]) == pair:
            return float(row["s"])
    if not all(pair):
        return "no target or filter material is stated"
    known = ", ".join(f"{row['anode']}/{row['filter']}" for row in load_table("dance_s"))
    why = _NO_FACTOR.get(pair, "none is published in Dance 2000 and 2009")
    return f"no factor s for {'/'.join(pair)} ({why}; there are {known}): only the machine's own AGD can be compared"


def _symbol(material: str | None) -> str:
    words = (material or "").strip().lower().split()
    return _SYMBOLS.get(words[0], words[0].capitalize()) if words else ""


def _conversion(hvl_mm_al: float, thickness_cm: float) -> float:
    layers, thicknesses, g = _dance_g()
    return float(np.interp(hvl_mm_al, layers, [np.interp(thickness_cm, thicknesses, line) for line in g]))


def _spread_of_g(hvl_mm_al: float, thickness_cm: float) -> tuple[float, float]:
    """Relative standard uncertainties of g on account of half-value layer and thickness."""
    layers, thicknesses, _ = _dance_g()
    g = _conversion(hvl_mm_al, thickness_cm)
    layer, thick = _HVL_HALF_WIDTH_MM_AL / math.sqrt(3), _THICKNESS_HALF_WIDTH_MM / 10 / math.sqrt(3)
    low, high = max(layers[0], hvl_mm_al - layer), min(layers[-1], hvl_mm_al + layer)
    thin, wide = max(thicknesses[0], thickness_cm - thick), min(thicknesses[-1], thickness_cm + thick)
    by_layer = (_conversion(high, thickness_cm) - _conversion(low, thickness_cm)) / (high - low)
    by_thickness = (_conversion(hvl_mm_al, wide) - _conversion(hvl_mm_al, thin)) / (wide - thin)
    return by_layer * layer / g, by_thickness * thick / g


@cache
def _dance_g() -> tuple[list[float], list[float], list[list[float]]]:
    """Half-value layers, thicknesses, and g by both."""
    rows = {(float(row["hvl_mm_al"]), float(row["thickness_cm"])): float(row["g"]) for row in load_table("dance_g")}
    layers, thicknesses = (sorted({key[axis] for key in rows}) for axis in (0, 1))
    return layers, thicknesses, [[rows[layer, thickness] for thickness in thicknesses] for layer in layers]


def thickness_band(thickness_mm: float | None) -> str | None:
    """Band of 10 mm in which a compressed thickness lies, ``None`` without one or outside 10 to 150 mm.

    Examples
    --------
    >>> thickness_band(55.0), thickness_band(60.0), thickness_band(0.0)
    ('50-60 mm', '60-70 mm', None)
    """
    if thickness_mm is None or not (math.isfinite(thickness_mm) and 10 <= thickness_mm < 150):
        return None
    low = int(thickness_mm // 10) * 10
    return f"{low}-{low + 10} mm"


def exposure_kind(event: ProjectionEvent) -> str:
    """What a mammographic exposure is, so that only like is compared with like.

    Parameters
    ----------
    event : ProjectionEvent

    Returns
    -------
    str
        ``standard``, ``tomosynthesis``, ``implant``, ``magnification``, ``spot``, ``biopsy``, ``no_dose`` (AGD of zero
        or none) or ``implausible`` (AGD outside 0.1 to 15 mGy).
    """
    words = " ".join(
        text.lower()
        for text in (
            event.view.meaning if event.view else None,
            event.view_modifier.meaning if event.view_modifier else None,
            event.acquisition_protocol,
            event.comment,
            event.procedure_context.meaning if event.procedure_context else None,
        )
        if text
    )
    words += "".join(f" {_VIEW_CODES.get(code.value, '')}" for code in (event.view, event.view_modifier) if code)
    implant = event.extra.get("breast_implant_present")
    if "biops" in words or "specimen" in words or "stereo" in words:
        return "biopsy"
    if "implant" in words or (isinstance(implant, str) and implant.upper().startswith("Y")):
        return "implant"
    if "magnif" in words or (event.magnification is not None and event.magnification >= 1.3):
        return "magnification"
    if "spot" in words:
        return "spot"
    if not event.agd_mgy:
        return "no_dose"
    if not _PLAUSIBLE_AGD_MGY[0] <= event.agd_mgy <= _PLAUSIBLE_AGD_MGY[1]:
        return "implausible"
    return "tomosynthesis" if event.tomosynthesis else "standard"


def distinct_exposures(events: Iterable[ProjectionEvent]) -> list[ProjectionEvent]:
    """Each exposure once: a for-processing image and its for-presentation twin are one.

    Parameters
    ----------
    events : iterable of ProjectionEvent

    Returns
    -------
    list of ProjectionEvent
        The first of each; two are the same by Irradiation Event UID, else by breast, view, dose and time to a second.
    """
    kept: list[ProjectionEvent] = []
    seen: set[tuple[object, ...]] = set()
    for event in events:
        if event.irradiation_event_uid:
            key: tuple[object, ...] = (event.irradiation_event_uid,)
        elif event.started_at:
            view = event.view.value if event.view else None
            key = (event.laterality, view, event.agd_mgy, event.exposure_mas, event.started_at[:19])
        else:
            kept.append(event)
            continue
        if key not in seen:
            seen.add(key)
            kept.append(event)
    return kept
