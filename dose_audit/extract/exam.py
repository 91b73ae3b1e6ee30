"""The exam record: what one DICOM study's exposure is, as plain typed data.

Field names are the contract of ``dose-audit extract --json``. A value that the object does not carry is ``None``:
never 0, never a sentinel. A number is held once, in the unit of its suffix.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from dose_audit.extract.codes import Code
from dose_audit.extract.events import (
    AdministrationEvent,
    CtEvent,
    CtSource,
    DoseCheck,
    Event,
    Filter,
    OrganDose,
    PetSeries,
    ProjectionEvent,
)

__all__ = [
    "AdministrationEvent",
    "CtEvent",
    "CtSource",
    "DoseCheck",
    "Equipment",
    "Event",
    "Exam",
    "Filter",
    "Observer",
    "OrganDose",
    "Patient",
    "PetSeries",
    "PlaneTotals",
    "ProjectionEvent",
    "Report",
    "Source",
    "Totals",
    "Warning",
    "as_record",
    "twin",
]

_Record = TypeVar("_Record")


@dataclass(slots=True)
class Warning:
    """A repair, an unknown unit, an item that could not be read: what, where, and what was sent."""

    code: str
    message: str
    where: str | None = None
    raw: str | None = None


@dataclass(slots=True)
class Patient:
    """Who was exposed, as far as dose audit needs it. Identifiers stay ``None`` unless asked for."""

    sex: str | None = None
    age_years: float | None = None
    weight_kg: float | None = None
    height_m: float | None = None
    pseudonym: str | None = None
    patient_id: str | None = None
    name: str | None = None
    birth_date: str | None = None
    is_phantom: bool = False
    is_phantom_reason: str | None = None


@dataclass(slots=True)
class Equipment:
    """The device as it names itself."""

    manufacturer: str | None = None
    model_name: str | None = None
    station_name: str | None = None
    serial_number: str | None = None
    software_versions: str | None = None
    institution_name: str | None = None
    department: str | None = None
    device_observer_uid: str | None = None
    gantry_id: str | None = None
    detector_type: str | None = None
    institution_address: str | None = None


@dataclass(slots=True)
class Source:
    """One DICOM object that this exam was read from."""

    sop_instance_uid: str | None = None
    sop_class_uid: str | None = None
    kind: str | None = None
    series_instance_uid: str | None = None
    content_datetime: str | None = None
    """When the object's content was made: the newer of two versions of one object counts."""


@dataclass(slots=True)
class Observer:
    """Who or what reported (TID 1002)."""

    type: str | None = None
    name: str | None = None
    manufacturer: str | None = None
    model_name: str | None = None
    serial_number: str | None = None
    location: str | None = None
    role: str | None = None


@dataclass(slots=True)
class Report:
    """The document around the events: what the SR root says of itself."""

    procedure_reported: Code | None = None
    has_intent: Code | None = None
    scope_of_accumulation: Code | None = None
    source_of_dose_information: list[Code] = field(default_factory=list)
    started_at: str | None = None
    ended_at: str | None = None
    observers: list[Observer] = field(default_factory=list)
    comment: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class PlaneTotals:
    """Accumulated projection dose of one X-ray plane, as reported, with the events' own sum beside it."""

    plane: str | None = None
    kap_gy_cm2: float | None = None
    dose_rp_mgy: float | None = None
    fluoro_time_s: float | None = None
    acquisition_time_s: float | None = None
    fluoro_kap_gy_cm2: float | None = None
    acquisition_kap_gy_cm2: float | None = None
    fluoro_dose_rp_mgy: float | None = None
    acquisition_dose_rp_mgy: float | None = None
    radiographic_frames: float | None = None
    events_kap_gy_cm2: float | None = None
    events_dose_rp_mgy: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Totals:
    """The exam's totals as reported; each ``events_*`` field is what the events add up to."""

    ct_dlp_mgy_cm: float | None = None
    events_ct_dlp_mgy_cm: float | None = None
    ct_dlp_by_phantom_mgy_cm: dict[str, float] = field(default_factory=dict)
    ct_event_count: float | None = None
    events_ct_event_count: int | None = None
    ct_effective_dose_msv: float | None = None
    kap_gy_cm2: float | None = None
    events_kap_gy_cm2: float | None = None
    dose_rp_mgy: float | None = None
    events_dose_rp_mgy: float | None = None
    fluoro_time_s: float | None = None
    acquisition_time_s: float | None = None
    fluoro_kap_gy_cm2: float | None = None
    acquisition_kap_gy_cm2: float | None = None
    fluoro_dose_rp_mgy: float | None = None
    acquisition_dose_rp_mgy: float | None = None
    radiographic_frames: float | None = None
    planes: list[PlaneTotals] = field(default_factory=list)
    agd_mgy: dict[str, float] = field(default_factory=dict)
    events_agd_mgy: dict[str, float] = field(default_factory=dict)
    administered_activity_mbq: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Exam:
    """One study's exposure: header, totals, events in time order, and every warning on the way."""

    study_instance_uid: str | None = None
    accession_number: str | None = None
    study_id: str | None = None
    study_datetime: str | None = None
    modality: str | None = None
    study_description: str | None = None
    requested_procedure_description: str | None = None
    procedure_codes: list[Code] = field(default_factory=list)
    requested_procedure_codes: list[Code] = field(default_factory=list)
    performing_physician_name: str | None = None
    operators_name: str | None = None
    referring_physician_name: str | None = None
    patient: Patient = field(default_factory=Patient)
    equipment: Equipment = field(default_factory=Equipment)
    sources: list[Source] = field(default_factory=list)
    report: Report | None = None
    totals: Totals = field(default_factory=Totals)
    events: list[Any] = field(default_factory=list)
    pet_series: list[PetSeries] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


def twin(value: _Record) -> _Record:
    """A shallow copy of an exam or a part of one, five times as fast as `copy.copy` on a class with slots."""
    kind = type(value)
    names = _NAMES.get(kind)
    if names is None:
        names = _NAMES[kind] = tuple(part.name for part in fields(kind))  # type: ignore[arg-type]
    new = object.__new__(kind)
    for name in names:
        setattr(new, name, getattr(value, name))
    return new


_NAMES: dict[type, tuple[str, ...]] = {}


def as_record(value: Any) -> Any:
    """Turn an exam, or any part of one, into JSON-ready plain data in the contract's field order.

    Parameters
    ----------
    value : Exam or any dataclass, Code, list, dict or scalar of this module

    Returns
    -------
    dict, list or scalar
        ``Code`` becomes ``{"value", "scheme", "meaning"}``; what stands in ``extra`` follows the named fields under
        its own name, with ``_as_sent`` where that is the name of a field, which it never replaces.

    Examples
    --------
    >>> as_record(Filter(material="Cu", min_mm=0.1))
    {'type': None, 'material': 'Cu', 'min_mm': 0.1, 'max_mm': None}
    """
    if isinstance(value, Code):
        return {"value": value.value, "scheme": value.scheme, "meaning": value.meaning}
    if isinstance(value, list | tuple):
        return [as_record(item) for item in value]
    if isinstance(value, dict):
        return {key: as_record(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        record = {}
        for part in fields(value):
            if part.name != "extra":
                record[part.name] = as_record(getattr(value, part.name))
        for name, item in getattr(value, "extra", {}).items():
            record[f"{name}_as_sent" if name in record else name] = as_record(item)
        return record
    return value
