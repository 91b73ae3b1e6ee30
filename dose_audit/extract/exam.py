"""The exam record: what one DICOM study's exposure is, as plain typed data.

Field names are the contract of ``dose-audit extract --json``. A value that the object does not carry is ``None``:
never 0, never a sentinel. A number is held once, in the unit of its suffix.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from dose_audit.extract.codes import Code

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


@dataclass(slots=True, kw_only=True)
class Event:
    """What every irradiation event has, of whatever kind."""

    index: int = 0
    type: str = ""
    irradiation_event_uid: str | None = None
    started_at: str | None = None
    acquisition_protocol: str | None = None
    comment: str | None = None
    target_region: Code | None = None
    anatomical_structure: Code | None = None
    procedure_context: Code | None = None
    laterality: str | None = None
    reason: str | None = None
    source_sop_instance_uid: str | None = None
    source_kind: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class CtSource:
    """One X-ray source of a CT acquisition."""

    id: str | None = None
    kvp_kv: float | None = None
    tube_current_ma: float | None = None
    max_tube_current_ma: float | None = None
    exposure_time_per_rotation_s: float | None = None
    filter_aluminium_equivalent_mm: float | None = None


@dataclass(slots=True, kw_only=True)
class DoseCheck:
    """CT dose check (TID 10015): what alert or notification was set and what was forecast."""

    dlp_alert_configured: bool | None = None
    dlp_alert_value_mgy_cm: float | None = None
    ctdi_vol_alert_configured: bool | None = None
    ctdi_vol_alert_value_mgy: float | None = None
    dlp_notification_configured: bool | None = None
    dlp_notification_value_mgy_cm: float | None = None
    ctdi_vol_notification_configured: bool | None = None
    ctdi_vol_notification_value_mgy: float | None = None
    accumulated_dlp_forward_estimate_mgy_cm: float | None = None
    accumulated_ctdi_vol_forward_estimate_mgy: float | None = None
    dlp_forward_estimate_mgy_cm: float | None = None
    ctdi_vol_forward_estimate_mgy: float | None = None
    reason_for_proceeding: str | None = None
    person_name: str | None = None


@dataclass(slots=True, kw_only=True)
class CtEvent(Event):
    """One CT acquisition (TID 10013, or CT image headers)."""

    type: str = "ct"
    ct_acquisition_type: str | None = None
    ctdi_vol_mgy: float | None = None
    ctdi_phantom: str | None = None
    dlp_mgy_cm: float | None = None
    scanning_length_mm: float | None = None
    exposed_range_mm: float | None = None
    reconstructable_length_mm: float | None = None
    exposure_time_s: float | None = None
    nominal_single_collimation_mm: float | None = None
    nominal_total_collimation_mm: float | None = None
    pitch_factor: float | None = None
    source_count: float | None = None
    sources: list[CtSource] = field(default_factory=list)
    modulation_type: str | None = None
    ctdi_free_air_mgy: float | None = None
    effective_dose_msv: float | None = None
    ssde_mgy: float | None = None
    water_equivalent_diameter_mm: float | None = None
    size_method: str | None = None
    dose_check: DoseCheck | None = None
    convolution_kernel: list[str] = field(default_factory=list)
    reconstruction_algorithm: str | None = None
    slice_thickness_mm: float | None = None


@dataclass(slots=True, kw_only=True)
class Filter:
    """One X-ray filter in the beam."""

    type: str | None = None
    material: str | None = None
    min_mm: float | None = None
    max_mm: float | None = None


@dataclass(slots=True, kw_only=True)
class ProjectionEvent(Event):
    """One projection exposure or fluoroscopy run (TID 10003, 10003A-C, or image headers)."""

    type: str = "projection"
    plane: str | None = None
    irradiation_event_type: str | None = None
    kap_gy_cm2: float | None = None
    dose_rp_mgy: float | None = None
    reference_point: str | None = None
    entrance_exposure_mgy: float | None = None
    agd_mgy: float | None = None
    half_value_layer_mm: float | None = None
    exposure_index: float | None = None
    target_exposure_index: float | None = None
    deviation_index: float | None = None
    relative_xray_exposure: float | None = None
    kvp_kv: float | None = None
    kvp_kv_pulses: list[float] = field(default_factory=list)
    tube_current_ma: float | None = None
    tube_current_ma_pulses: list[float] = field(default_factory=list)
    exposure_mas: float | None = None
    exposure_mas_pulses: list[float] = field(default_factory=list)
    pulse_width_ms: float | None = None
    pulse_width_ms_pulses: list[float] = field(default_factory=list)
    average_tube_current_ma: float | None = None
    max_tube_current_ma: float | None = None
    exposure_time_ms: float | None = None
    irradiation_duration_s: float | None = None
    pulse_rate_per_s: float | None = None
    pulse_count: float | None = None
    frames_count: float | None = None
    fluoro_mode: str | None = None
    focal_spot_mm: float | None = None
    anode_material: str | None = None
    filters: list[Filter] = field(default_factory=list)
    grid: list[str] = field(default_factory=list)
    collimated_field_area_cm2: float | None = None
    field_height_mm: float | None = None
    field_width_mm: float | None = None
    view: Code | None = None
    view_modifier: Code | None = None
    patient_table_relationship: Code | None = None
    patient_orientation: Code | None = None
    patient_orientation_modifier: Code | None = None
    primary_angle_deg: float | None = None
    secondary_angle_deg: float | None = None
    primary_end_angle_deg: float | None = None
    secondary_end_angle_deg: float | None = None
    column_angle_deg: float | None = None
    table_tilt_deg: float | None = None
    table_rotation_deg: float | None = None
    table_cradle_deg: float | None = None
    table_longitudinal_mm: float | None = None
    table_lateral_mm: float | None = None
    table_height_mm: float | None = None
    source_isocentre_mm: float | None = None
    source_detector_mm: float | None = None
    source_patient_mm: float | None = None
    source_reference_point_mm: float | None = None
    compression_thickness_mm: float | None = None
    compression_force_n: float | None = None
    compression_pressure_kpa: float | None = None
    magnification: float | None = None
    breast_composition: str | None = None
    fibroglandular_percent: float | None = None
    tomosynthesis: bool | None = None
    exposure_control_mode: str | None = None


@dataclass(slots=True, kw_only=True)
class OrganDose:
    """Absorbed dose of one organ, as the report gives it."""

    site: Code | None = None
    laterality: str | None = None
    dose_mgy: float | None = None
    authority: str | None = None
    mass_g: float | None = None
    method: str | None = None


@dataclass(slots=True, kw_only=True)
class AdministrationEvent(Event):
    """One administration of a radiopharmaceutical (TID 10021-10024, or NM and PET headers)."""

    type: str = "administration"
    radionuclide: Code | None = None
    radiopharmaceutical: Code | None = None
    half_life_s: float | None = None
    administered_activity_mbq: float | None = None
    pre_administration_activity_mbq: float | None = None
    post_administration_activity_mbq: float | None = None
    volume_ml: float | None = None
    route: Code | None = None
    site: Code | None = None
    stopped_at: str | None = None
    specific_activity_bq_per_mol: float | None = None
    extravasation: str | None = None
    organ_doses: list[OrganDose] = field(default_factory=list)
    effective_dose_msv: float | None = None
    identifiers: dict[str, Any] = field(default_factory=dict)
    patient_characteristics: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class PetSeries:
    """How one PET series was acquired and reconstructed."""

    started_at: str | None = None
    slice_count: float | None = None
    time_slice_count: float | None = None
    time_slot_count: float | None = None
    rr_interval_count: float | None = None
    reconstruction_method: str | None = None
    coincidence_window_ns: float | None = None
    energy_window_kev: list[float] = field(default_factory=list)
    scan_progression: str | None = None
    series_type: list[str] = field(default_factory=list)
    corrections: list[str] = field(default_factory=list)
    series_instance_uid: str | None = None


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
        its own name, and never replaces one of them.

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
            record.setdefault(name, as_record(item))
        return record
    return value
