"""The irradiation events and administrations of an exam record, one dataclass for each kind; `exam` is around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dose_audit.extract.codes import Code

__all__ = [
    "AdministrationEvent",
    "CtEvent",
    "CtSource",
    "DoseCheck",
    "Event",
    "Filter",
    "OrganDose",
    "PetSeries",
    "ProjectionEvent",
]


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
