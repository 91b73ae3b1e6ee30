"""Which band of a set a patient belongs to: measured weight first, then size, then age; half-open always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dose_audit.drl.tables import AgeEquivalent, Band, DrlRow

AGE_EQUIVALENT = "AGE_EQUIVALENT"
"""The set's own age equivalence stood in for a weight that was not measured."""
AGE_NEAR_EDGE = "AGE_NEAR_EDGE"
"""An infant's age is kept to 0.1 year and lies nearer than that to the edge of a band."""

AGE_RESOLUTION_YEARS = 0.05 + 1e-9
"""Half a step of an age to 0.1 year. The hair above lets 0.2 and 0.3 both count as next to 0.25, whatever binary makes of
them."""
INFANT_EDGE_YEARS = 2.0
"""Ends of bands up to here are near enough together for the rounding of an age to matter."""


@dataclass(frozen=True, slots=True)
class PatientSize:
    """What is known of a patient's age and size; None is not known."""

    age_years: float | None = None
    weight_kg: float | None = None
    water_equivalent_diameter_mm: float | None = None
    thickness_mm: float | None = None
    field_of_view_cm2: float | None = None


@dataclass(frozen=True, slots=True)
class BandChoice:
    """Rows whose band the patient is in.

    Attributes
    ----------
    rows : tuple of DrlRow
    status : str
        ``MATCHED``, ``OUT_OF_BAND``, ``MISSING_WEIGHT``, ``MISSING_SIZE`` or ``MISSING_AGE``.
    by : str
        Band type that decided; ``age_equivalent`` where age stood in for weight.
    flags : tuple of str
    reason : str
    """

    rows: tuple[DrlRow, ...]
    status: str
    by: str
    flags: tuple[str, ...] = ()
    reason: str = ""


_MEASURES = (
    ("weight", "weight_kg", "MISSING_WEIGHT"),
    ("water_equivalent_diameter", "water_equivalent_diameter_mm", "MISSING_SIZE"),
    ("thickness", "thickness_mm", "MISSING_SIZE"),
    ("field_of_view", "field_of_view_cm2", "MISSING_SIZE"),
    ("age", "age_years", "MISSING_AGE"),
)
"""Band types in the order they are tried, the patient's measure for each, and the status without it."""


def choose_band(rows: Sequence[DrlRow], patient: PatientSize, equivalents: Sequence[AgeEquivalent] = ()) -> BandChoice:
    """Choose the rows whose band a patient is in.

    Parameters
    ----------
    rows : sequence of DrlRow
        Of one set, examination, quantity and patient group.
    patient : PatientSize
        What was measured.
    equivalents : sequence of AgeEquivalent
        The set's own age equivalence of its weight bands, used only where weight is missing, and flagged.

    Notes
    -----
    Measured weight, then size, then age in bands of age, then the age equivalent of weight bands. A patient
    beyond the last band has no reference level: bands are never stretched.
    """
    types = {row.band.type for row in rows}
    if "none" in types:
        return BandChoice(tuple(row for row in rows if row.band.type == "none"), "MATCHED", "none")
    missing = ""
    for kind, attribute, status in _MEASURES:
        if kind not in types:
            continue
        measure = getattr(patient, attribute)
        if measure is None:
            missing = missing or status
            continue
        banded = [row for row in rows if row.band.type == kind]
        hits = tuple(row for row in banded if row.band.contains(in_band_unit(measure, row.band)))
        if not hits:
            return BandChoice(
                (), "OUT_OF_BAND", kind, (), f"{kind.replace('_', ' ')} {measure:g} is in no band of the set"
            )
        ends = {end / in_band_unit(1.0, r.band) for r in banded for end in (r.band.low, r.band.high) if end}
        flags = (AGE_NEAR_EDGE,) if kind == "age" and _near_edge(measure, ends) else ()
        return BandChoice(hits, "MATCHED", kind, flags)
    if "weight" in types and equivalents and patient.age_years is not None:
        return _by_age_equivalent(rows, patient.age_years, equivalents)
    if types == {"nominal_age"}:
        return BandChoice((), "OUT_OF_BAND", "nominal_age", (), "the set names a nominal age, which is no interval")
    return BandChoice((), missing or "OUT_OF_BAND", "", (), "the patient's size and age are not known")


def in_band_unit(measure: float, band: Band) -> float:
    """Age in years expressed in the band's unit; other measures as they are."""
    return measure * 12.0 if band.unit == "month" else measure


def _by_age_equivalent(rows: Sequence[DrlRow], age_years: float, equivalents: Sequence[AgeEquivalent]) -> BandChoice:
    months = age_years * 12.0
    ends = {end / 12.0 for entry in equivalents for end in (entry.low_months, entry.high_months) if end}
    flags = (AGE_EQUIVALENT, AGE_NEAR_EDGE) if _near_edge(age_years, ends) else (AGE_EQUIVALENT,)
    for entry in equivalents:
        if entry.low_months <= months < entry.high_months:
            wanted = (entry.band_low, entry.band_high)
            hits = tuple(r for r in rows if r.band.type == "weight" and (r.band.low or 0.0, r.band.high) == wanted)
            if hits:
                reason = f"weight missing: band {hits[0].band.label} by the set's age equivalence"
                return BandChoice(hits, "MATCHED", "age_equivalent", flags, reason)
    return BandChoice(
        (),
        "OUT_OF_BAND",
        "age_equivalent",
        (AGE_EQUIVALENT,),
        f"age {age_years:g} years is in no band of the set",
    )


def _near_edge(age_years: float, ends_years: set[float]) -> bool:
    """Whether an infant's age may belong on the other side of the end of a band, being rounded."""
    return any(end <= INFANT_EDGE_YEARS and abs(age_years - end) <= AGE_RESOLUTION_YEARS for end in ends_years)
