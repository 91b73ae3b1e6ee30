"""Where OpenREM keeps a value and where the exam record does: one row per path, with the scale between the
units.

A row is a regular expression over OpenREM's path (its prefix, ``.get()`` and ordering removed) and a function
from the reading to our value, already in OpenREM's storage unit. Rows of `NOT_A_VALUE` are assertions on
something else than what an object says: rows of OpenREM's database, drawings of its skin-dose map, names of
its register.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dose_audit.extract.exam import Exam

__all__ = ["NOT_A_VALUE", "ROWS", "Reading", "find", "plain_path"]


@dataclass
class Reading:
    """What one assertion is held against: the merged exam, its events in content order, and without names."""

    exam: Exam
    events: list[Any]
    anonymous: Exam
    exams: int


Getter = Callable[[Reading, "re.Match[str]"], Any]

NOT_A_VALUE: tuple[tuple[str, str], ...] = (
    (r"^(len|max|sum)\(skin_map|^skin_map", "OpenREM's skin dose map is computed, not extracted"),
    (r"standard_name$", "a name of OpenREM's register of standard names"),
    (r"^UniqueEquipmentNames", "rows of OpenREM's equipment table"),
    (r"^test_export_rf_xlsx", "asserts no value"),
)

# Scenarios in which the peer's test forces two rows of one study, to see how its import resolves the race.
FORCED_ROWS = re.compile(r"ImportDuplicateDX\.test_duplicate_study_dx")


def plain_path(path: str) -> str:
    """Drop what does not tell one value from another: the model's name, ``.get()``, ordering."""
    path = path.removeprefix("GeneralStudyModuleAttr.")
    path = re.sub(r"\.order_by\('(?:id|pk)'\)", "", path)
    return path.replace(".get()", "").replace(".all()", "")


def _at(values: list[Any], index: str | None) -> Any:
    """The event at an index; an image read alone is its only one, wherever it stood in the study."""
    return values[0] if len(values) == 1 else values[int(index or 0)]


def _meaning(code: Any) -> str | None:
    return code.meaning if code is not None else None


def _wording(value: Any) -> Any:
    return getattr(value, "meaning", value)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _clock(text: str | None) -> str | None:
    return re.sub(r"([+-]\d\d:\d\d|Z)$", "", text) if text else None


CT = r"^ctradiationdose_set\.ctirradiationeventdata_set\[(\d+)\]\."
TUBE = CT + r"ctxraysourceparameters_set(?:\.order_by\('identification_of_the_xray_source'\)\[(\d+)\])?\."
EVENT = r"^projectionxrayradiationdose_set\.irradeventxraydata_set(?:\[(\d+)\])?\."
SOURCE = EVENT + r"irradeventxraysourcedata_set\."
MECHANICAL = EVENT + r"irradeventxraymechanicaldata_set\."
DETECTOR = EVENT + r"irradeventxraydetectordata_set\."
FILTER = SOURCE + r"xrayfilters_set(?:\[(\d+)\])?\."
ACCUMULATED = (
    r"^projectionxrayradiationdose_set\.accumxraydose_set\."
    r"accum(?:projxraydose|integratedprojradiogdose)_set\."
)
REPORT = r"^(?:ct|projectionxray|radiopharmaceutical)radiationdose_set\."
ADMINISTRATION = r"^radiopharmaceuticalradiationdose_set\.radiopharmaceuticaladministrationeventdata_set\."
ORGAN = ADMINISTRATION + r"organdose_set\.(first|last)\(\)\."
SERIES = r"^radiopharmaceuticalradiationdose_set\.petseries_set\."


def _event(field: str, factor: float | None = None) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = getattr(_at(reading.events, match[1]), field)
        return value if factor is None else _times(value, factor)

    return get


def _event_code(field: str, part: str = "meaning") -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        code = getattr(_at(reading.events, match[1]), field)
        return None if code is None else getattr(code, part)

    return get


def _event_extra(name: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = _at(reading.events, match[1]).extra.get(name)
        return getattr(value, "meaning", value)

    return get


def _tube(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        sources = sorted(_at(reading.events, match[1]).sources, key=lambda source: source.id or "")
        return getattr(sources[int(match[2] or 0)], field)

    return get


def _filter(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        return getattr(_at(reading.events, match[1]).filters[int(match[2] or 0)], field)

    return get


def _total(field: str, factor: float = 1) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        return _times(getattr(reading.exam.totals, field), factor)

    return get


def _total_or_sum(field: str, factor: float = 1) -> Getter:
    """OpenREM sums the images of a study into its total; here that sum stands beside it."""

    def get(reading: Reading, match: re.Match[str]) -> Any:
        totals = reading.exam.totals
        value = getattr(totals, field)
        return _times(getattr(totals, f"events_{field}") if value is None else value, factor)

    return get


def _agd(breast: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        totals = reading.exam.totals
        return totals.agd_mgy.get(breast, totals.events_agd_mgy.get(breast))

    return get


def _accumulated_agd(reading: Reading, match: re.Match[str]) -> Any:
    totals = reading.exam.totals
    return list((totals.agd_mgy or totals.events_agd_mgy).values())[int(match[1])]


def _exam(field: str) -> Getter:
    return lambda reading, match: getattr(reading.exam, field)


def _patient(field: str) -> Getter:
    return lambda reading, match: getattr(reading.exam.patient, field)


def _equipment(field: str) -> Getter:
    return lambda reading, match: getattr(reading.exam.equipment, field)


def _report(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = getattr(reading.exam.report, field)
        if isinstance(value, list):
            value = value[0]
        return getattr(value, "meaning", value)

    return get


def _device(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        device = next(seen for seen in reading.exam.report.observers if seen.type == "device")
        return getattr(device, field)

    return get


def _observer_type(reading: Reading, match: re.Match[str]) -> Any:
    # OpenREM has the device in every row; the device is the observer whose attributes it asserts.
    return next(seen.type for seen in reading.exam.report.observers if seen.type == "device")


def _participant(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = _at(reading.events, match[1]).extra["devices"][0][field]
        return getattr(value, "meaning", value)

    return get


def _administration(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = getattr(reading.exam.events[0], field)
        return getattr(value, "meaning", value)

    return get


def _organ(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        doses = reading.exam.events[0].organ_doses
        value = getattr(doses[0 if match[1] == "first" else -1], field)
        return getattr(value, "meaning", value)

    return get


def _series(field: str) -> Getter:
    return lambda reading, match: getattr(reading.exam.pet_series[0], field)


def _series_entry(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        return getattr(reading.exam.pet_series[0], field)[int(match[1]) if match[1] else 0]

    return get


def _count_of(kind: str) -> Getter:
    return lambda reading, match: sum(event.ct_acquisition_type == kind for event in reading.exam.events)


def _date(reading: Reading, match: re.Match[str]) -> Any:
    return (reading.exam.study_datetime or "")[:10] or None


def _study_time(reading: Reading, match: re.Match[str]) -> Any:
    _, _, clock = (_clock(reading.exam.study_datetime) or "").partition("T")
    return clock or None


def _event_time(reading: Reading, match: re.Match[str]) -> Any:
    return _clock(_at(reading.events, match[1]).started_at)


def _at_moment(get: Getter) -> Getter:
    return lambda reading, match: _clock(get(reading, match))


def _processed(reading: Reading, match: re.Match[str]) -> Any:
    return sorted(source.sop_instance_uid for source in reading.exam.sources)


def _scanned(number: int, field: str) -> Getter:
    """Of the n-th acquisition that is no localizer."""

    def get(reading: Reading, match: re.Match[str]) -> Any:
        scans = [event for event in reading.events if event.ct_acquisition_type != "constant_angle"]
        return getattr(scans[number], field)

    return get


def _filters_of(acquisition_protocol: str | None, thickness: bool) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        event = next(seen for seen in reading.events if acquisition_protocol in (None, seen.acquisition_protocol))
        if thickness:
            return " | ".join(f"{(one.min_mm + one.max_mm) / 2:.4f}" for one in event.filters)
        return " | ".join(one.material for one in event.filters)

    return get


def _study_totals(reading: Reading, match: re.Match[str]) -> Any:
    """OpenREM's table of an RF study, told apart by the words of the assertion."""
    totals = reading.exam.totals
    words = match[1]
    stationary = [event for event in reading.events if event.irradiation_event_type == "stationary_acquisition"]
    table = {
        "Fluoroscopy DAP": _times(totals.fluoro_kap_gy_cm2, 100),
        "Fluoroscopy dose at RP": _times(totals.fluoro_dose_rp_mgy, 1e-3),
        "Fluoroscopy time": totals.fluoro_time_s,
        "Acquisition DAP": _times(totals.acquisition_kap_gy_cm2, 100),
        "Acquisition dose at RP": _times(totals.acquisition_dose_rp_mgy, 1e-3),
        "Acquisition time": totals.acquisition_time_s,
        "- Stationary Acquisition DAP": sum(event.kap_gy_cm2 for event in stationary) * 100,
        "- Stationary Acquisition dose at RP": sum(event.dose_rp_mgy for event in stationary) * 1e-3,
        "- Stationary Acquisition time": sum(event.irradiation_duration_s or 0 for event in stationary),
        "Total DAP": _times(totals.kap_gy_cm2, 100),
        "Total dose at RP": _times(totals.dose_rp_mgy, 1e-3),
        "Total time": (totals.fluoro_time_s or 0) + (totals.acquisition_time_s or 0),
    }
    return table[words]


def _position(reading: Reading, match: re.Match[str]) -> Any:
    return _at(reading.events, match[1]).reference_point


ROWS: tuple[tuple[str, Getter], ...] = (
    # ---- study, patient, equipment
    (r"^(?:objects\.)?count\(\)$", lambda reading, match: reading.exams),
    (r"^study_date$", _date),
    (r"^study_time$", _study_time),
    (r"^accession_number$|^xlsx .* / Accession number$", _exam("accession_number")),
    (r"^study_description$", _exam("study_description")),
    (r"^study_id$", _exam("study_id")),
    (r"^study_instance_uid$", _exam("study_instance_uid")),
    (r"^series_instance_uid$", lambda reading, match: reading.exam.sources[0].series_instance_uid),
    (r"^requested_procedure_code_meaning$", _exam("requested_procedure_description")),
    (r"^modality_type$", _exam("modality")),
    (r"^referring_physician_name$", _exam("referring_physician_name")),
    (r"^performing_physician_name$", _exam("performing_physician_name")),
    (r"^operator_name$", _exam("operators_name")),
    (r"^name_of_physician_reading_study$", lambda r, m: r.exam.extra["name_of_physicians_reading_study"]),
    (r"^patientmoduleattr_set\.patient_name$", _patient("name")),
    (r"^patientmoduleattr_set\.patient_id$|^xlsx .* / Patient ID$", _patient("patient_id")),
    (r"^patientmoduleattr_set\.patient_birth_date$", _patient("birth_date")),
    (r"^patientmoduleattr_set\.patient_sex$", _patient("sex")),
    (r"^patientmoduleattr_set\.not_patient_indicator$", _patient("is_phantom_reason")),
    (r"^patientstudymoduleattr_set\.patient_age$", _patient("age_years")),
    (r"^patientstudymoduleattr_set\.patient_age_decimal$", _patient("age_years")),
    (r"^PHE CT 2019 sheet row 4 col 3$", _patient("weight_kg")),
    (r"^PHE CT 2019 sheet row 4 col 4$", lambda r, m: _times(r.exam.patient.height_m, 100)),
    (
        r"^generalequipmentmoduleattr_set\.unique_equipment_name\.device_observer_uid$",
        _equipment("device_observer_uid"),
    ),
    (r"^generalequipmentmoduleattr_set\.device_serial_number$", _equipment("serial_number")),
    (r"^generalequipmentmoduleattr_set\.institution_address$", _equipment("institution_address")),
    (r"^generalequipmentmoduleattr_set\.institution_name$", _equipment("institution_name")),
    (r"^generalequipmentmoduleattr_set\.institutional_department_name$", _equipment("department")),
    (r"^generalequipmentmoduleattr_set\.manufacturer$", _equipment("manufacturer")),
    (r"^generalequipmentmoduleattr_set\.manufacturer_model_name$", _equipment("model_name")),
    (r"^generalequipmentmoduleattr_set\.software_versions$", _equipment("software_versions")),
    (r"^generalequipmentmoduleattr_set\.station_name$", _equipment("station_name")),
    (r"^objectuidsprocessed_set\.values_list.*as_multiset\(\)$", _processed),
    (r"^number_of_events$", lambda reading, match: len(reading.exam.events)),
    (r"^number_of_planes$", lambda reading, match: max(1, len(reading.exam.totals.planes))),
    (r"^number_of_axial$", _count_of("sequenced")),
    (r"^number_of_spiral$", _count_of("spiral")),
    (r"^number_of_stationary$", _count_of("stationary")),
    (r"^number_of_const_angle$", _count_of("constant_angle")),
    # ---- totals
    (r"^total_dlp$|^xlsx .* / Total DLP|^PHE CT 2019 sheet row 4 col 37$", _total_or_sum("ct_dlp_mgy_cm")),
    (r"^total_dap(?:_a)?$", _total_or_sum("kap_gy_cm2", 1e-4)),
    (r"^total_rp_dose_a$|^xlsx .* / A Dose RP total", _total("dose_rp_mgy", 1e-3)),
    (r"^total_agd_left$", _agd("left")),
    (r"^total_agd_right$", _agd("right")),
    (r"^response\.context\['study_totals'\] (.*)$", _study_totals),
    (ACCUMULATED + r"dose_area_product_total$", _total("kap_gy_cm2", 1e-4)),
    (ACCUMULATED + r"dose_rp_total$", _total("dose_rp_mgy", 1e-3)),
    (ACCUMULATED + r"fluoro_dose_area_product_total$", _total("fluoro_kap_gy_cm2", 1e-4)),
    (ACCUMULATED + r"fluoro_dose_rp_total$", _total("fluoro_dose_rp_mgy", 1e-3)),
    (ACCUMULATED + r"acquisition_dose_area_product_total$", _total("acquisition_kap_gy_cm2", 1e-4)),
    (ACCUMULATED + r"acquisition_dose_rp_total$", _total("acquisition_dose_rp_mgy", 1e-3)),
    (ACCUMULATED + r"total_acquisition_time$", _total("acquisition_time_s")),
    (ACCUMULATED + r"total_number_of_radiographic_frames$", _total("radiographic_frames")),
    (
        ACCUMULATED + r"reference_point_definition(?:_code\.code_meaning)?$",
        lambda reading, match: _wording(reading.exam.totals.planes[0].extra["reference_point_definition"]),
    ),
    (
        r"^projectionxrayradiationdose_set\.accumxraydose_set\.accummammographyxraydose_set\.count\(\)$",
        lambda reading, match: len(reading.exam.totals.agd_mgy),
    ),
    (
        r"^projectionxrayradiationdose_set\.accumxraydose_set\.accummammographyxraydose_set\[(\d+)\]"
        r"\.accumulated_average_glandular_dose$",
        _accumulated_agd,
    ),
    (
        r"^projectionxrayradiationdose_set\.accumxraydose_set\.accummammographyxraydose_set\[(\d+)\]"
        r"\.laterality\.code_meaning$",
        lambda reading, match: list(reading.exam.totals.agd_mgy)[int(match[1])],
    ),
    (
        r"^ctradiationdose_set\.ctaccumulateddosedata_set\.ct_dose_length_product_total$",
        _total("ct_dlp_mgy_cm"),
    ),
    (
        r"^ctradiationdose_set\.ctaccumulateddosedata_set\.total_number_of_irradiation_events$",
        _total("ct_event_count"),
    ),
    # ---- document
    (REPORT + r"start_of_xray_irradiation$", _at_moment(_report("started_at"))),
    (REPORT + r"end_of_xray_irradiation$", _at_moment(_report("ended_at"))),
    (REPORT + r"(?:procedure_reported|associated_procedure)\.code_meaning$", _report("procedure_reported")),
    (REPORT + r"has_intent\.code_meaning$", _report("has_intent")),
    (REPORT + r"scope_of_accumulation\.code_meaning$", _report("scope_of_accumulation")),
    (REPORT + r"source_of_dose_information\.code_meaning$", _report("source_of_dose_information")),
    (
        REPORT + r"xray_(detector|source|mechanical)_data_available\.code_meaning$",
        lambda reading, match: _meaning(reading.exam.report.extra[f"x_ray_{match[1]}_data_available"]),
    ),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_manufacturer$", _device("manufacturer")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_model_name$", _device("model_name")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_name$", _device("name")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_serial_number$", _device("serial_number")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_physical_location.*$", _device("location")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_role_in_procedure\.code_meaning$", _device("role")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.observer_type\.code_meaning$", _observer_type),
    # ---- CT events
    (r"^ctradiationdose_set\.ctirradiationeventdata_set\.count\(\)$", lambda r, m: len(r.exam.events)),
    (CT + r"acquisition_protocol$", _event("acquisition_protocol")),
    (CT + r"comment$", _event("comment")),
    (CT + r"ct_acquisition_type\.code_meaning$", _event("ct_acquisition_type")),
    (CT + r"ctdiw_phantom_type\.code_meaning$", _event("ctdi_phantom")),
    (CT + r"procedure_context\.code_meaning$", _event_code("procedure_context")),
    (CT + r"target_region\.code_meaning$", _event_code("target_region")),
    (CT + r"dlp$", _event("dlp_mgy_cm")),
    (CT + r"mean_ctdivol$", _event("ctdi_vol_mgy")),
    (CT + r"exposure_time$", _event("exposure_time_s")),
    (CT + r"nominal_single_collimation_width$", _event("nominal_single_collimation_mm")),
    (CT + r"nominal_total_collimation_width$", _event("nominal_total_collimation_mm")),
    (CT + r"number_of_xray_sources$", _event("source_count")),
    (CT + r"pitch_factor$", _event("pitch_factor")),
    (CT + r"scanninglength_set\.scanning_length$", _event("scanning_length_mm")),
    (CT + r"deviceparticipant_set\.device_manufacturer$", _participant("manufacturer")),
    (CT + r"deviceparticipant_set\.device_model_name$", _participant("model_name")),
    (CT + r"deviceparticipant_set\.device_serial_number$", _participant("serial_number")),
    (TUBE + r"exposure_time_per_rotation$", _tube("exposure_time_per_rotation_s")),
    (TUBE + r"kvp$", _tube("kvp_kv")),
    (TUBE + r"maximum_xray_tube_current$", _tube("max_tube_current_ma")),
    (TUBE + r"xray_tube_current$", _tube("tube_current_ma")),
    (r"^PHE CT 2019 sheet row 4 col 5$", _scanned(0, "scanning_length_mm")),
    (r"^PHE CT 2019 sheet row 4 col 11$", _scanned(0, "ctdi_vol_mgy")),
    (r"^PHE CT 2019 sheet row 4 col 20$", _scanned(1, "dlp_mgy_cm")),
    # ---- projection events
    (
        r"^projectionxrayradiationdose_set\.irradeventxraydata_set\.count\(\)$",
        lambda r, m: len(r.exam.events),
    ),
    (EVENT + r"acquisition_plane\.code_meaning$", _event("plane")),
    (EVENT + r"acquisition_protocol$", _event("acquisition_protocol")),
    (EVENT + r"anatomical_structure\.code_meaning$", _event_code("anatomical_structure")),
    (EVENT + r"date_time_started$", _event_time),
    (EVENT + r"dose_area_product$", _event("kap_gy_cm2", 1e-4)),
    (EVENT + r"entrance_exposure_at_rp$", _event("entrance_exposure_mgy")),
    (EVENT + r"half_value_layer$", _event("half_value_layer_mm")),
    (EVENT + r"image_view\.code_meaning$", _event_code("view")),
    (EVENT + r"irradiation_event_type\.code_meaning$", _event("irradiation_event_type")),
    (EVENT + r"irradiation_event_uid$", _event("irradiation_event_uid")),
    (EVENT + r"laterality\.code_meaning$", _event("laterality")),
    (EVENT + r"patient_orientation_cid\.code_value$", _event_code("patient_orientation", "value")),
    (EVENT + r"patient_orientation_modifier_cid\.code_meaning$", _event_code("patient_orientation_modifier")),
    (
        EVENT + r"patient_table_relationship_cid\.code_value$",
        _event_code("patient_table_relationship", "value"),
    ),
    (EVENT + r"reference_point_definition\.code_meaning$", _position),
    (
        EVENT + r"reference_point_definition\.code_value$",
        lambda reading, match: _at(reading.events, match[1]).extra["reference_point_definition"].value,
    ),
    (EVENT + r"target_region\.code_meaning$", _event_code("target_region")),
    (DETECTOR + r"deviation_index$", _event("deviation_index")),
    (
        DETECTOR + r"exposure_index$|^xlsx .* / E(1) Exposure index$",
        lambda r, m: _at(r.events, m[1] or 0).exposure_index,
    ),
    (DETECTOR + r"relative_xray_exposure$", _event("relative_xray_exposure")),
    (DETECTOR + r"sensitivity$", _event_extra("sensitivity")),
    (DETECTOR + r"target_exposure_index$", _event("target_exposure_index")),
    (MECHANICAL + r"compression_thickness$", _event("compression_thickness_mm")),
    (
        MECHANICAL + r"crdr_mechanical_configuration\.code_meaning$",
        _event_extra("cr_dr_mechanical_configuration"),
    ),
    (
        MECHANICAL + r"doserelateddistancemeasurements_set\.distance_source_to_detector$",
        _event("source_detector_mm"),
    ),
    (MECHANICAL + r"positioner_primary_angle$", _event("primary_angle_deg")),
    (SOURCE + r"anode_target_material\.code_meaning$", _event("anode_material")),
    (SOURCE + r"average_glandular_dose$", _event("agd_mgy")),
    (
        # OpenREM puts the mean of the tube currents here when no average was sent; ours stands elsewhere.
        SOURCE + r"average_xray_tube_current$",
        lambda reading, match: (
            _at(reading.events, match[1]).average_tube_current_ma or _at(reading.events, match[1]).tube_current_ma
        ),
    ),
    (SOURCE + r"collimated_field_area$", _event("collimated_field_area_cm2", 1e-4)),
    (SOURCE + r"collimated_field_height$", _event("field_height_mm")),
    (SOURCE + r"collimated_field_width$", _event("field_width_mm")),
    (SOURCE + r"deviceparticipant_set\.device_manufacturer$", _participant("manufacturer")),
    (SOURCE + r"deviceparticipant_set\.device_model_name$", _participant("model_name")),
    (SOURCE + r"deviceparticipant_set\.device_name$", _participant("name")),
    (SOURCE + r"deviceparticipant_set\.device_role_in_procedure\.code_meaning$", _participant("role")),
    (SOURCE + r"deviceparticipant_set\.device_serial_number$", _participant("serial_number")),
    (SOURCE + r"dose_rp$", _event("dose_rp_mgy", 1e-3)),
    (SOURCE + r"exposure_set\.exposure$", _event("exposure_mas", 1e3)),
    (SOURCE + r"exposure_time$", _event("exposure_time_ms")),
    (SOURCE + r"focal_spot_size$", _event("focal_spot_mm")),
    (SOURCE + r"grid_focal_distance$", _event_extra("grid_focal_distance_mm")),
    (SOURCE + r"ii_field_size$", _event_extra("image_intensifier_diameter_mm")),
    (SOURCE + r"kvp_set\.kvp$", _event("kvp_kv")),
    (SOURCE + r"number_of_pulses$", _event("pulse_count")),
    (SOURCE + r"xraytubecurrent_set\.xray_tube_current$", _event("tube_current_ma")),
    (SOURCE + r"xrayfilters_set\.count\(\)$", lambda r, m: len(_at(r.events, m[1]).filters)),
    (
        SOURCE + r"xraygrid_set\.xray_grid\.code_(?:meaning|value)$",
        lambda reading, match: _at(reading.events, match[1]).grid[0],
    ),
    (FILTER + r"xray_filter_material\.code_meaning$", _filter("material")),
    (FILTER + r"xray_filter_type\.code_meaning$", _filter("type")),
    (FILTER + r"xray_filter_thickness_maximum$", _filter("max_mm")),
    (FILTER + r"xray_filter_thickness_minimum$", _filter("min_mm")),
    (r"^sheet 'fl_-_ang' / Filter material$", _filters_of(None, False)),
    (r"^sheet 'fl_-_ang' / Mean filter thickness", _filters_of(None, True)),
    (r"^sheet / Filter material$", _filters_of("Abdomen 2fps 25%", False)),
    (r"^sheet / Mean filter thickness", _filters_of("Abdomen 2fps 25%", True)),
    (r"^aec sheet / Filters$", _filters_of(None, False)),
    (r"^aec sheet / Filter thicknesses", _filters_of(None, True)),
    # ---- administrations and PET series
    (ADMINISTRATION + r"administered_activity$", _administration("administered_activity_mbq")),
    (ADMINISTRATION + r"effective_dose$", _administration("effective_dose_msv")),
    (ADMINISTRATION + r"radionuclide\.code_meaning$", _administration("radionuclide")),
    (ADMINISTRATION + r"radionuclide_half_life$", _administration("half_life_s")),
    (
        ADMINISTRATION + r"radiopharmaceutical_administration_event_uid$",
        _administration("irradiation_event_uid"),
    ),
    (ADMINISTRATION + r"radiopharmaceutical_agent\.code_meaning$", _administration("radiopharmaceutical")),
    (
        ADMINISTRATION + r"radiopharmaceutical_agent_string$",
        lambda reading, match: reading.exam.events[0].extra["radiopharmaceutical_text"],
    ),
    (ADMINISTRATION + r"radiopharmaceutical_start_datetime$", _at_moment(_administration("started_at"))),
    (ADMINISTRATION + r"radiopharmaceutical_stop_datetime$", _at_moment(_administration("stopped_at"))),
    (ADMINISTRATION + r"route_of_administration\.code_meaning$", _administration("route")),
    (ADMINISTRATION + r"site_of\.code_meaning$", _administration("site")),
    (
        ADMINISTRATION + r"personparticipant_set\.person_name$",
        lambda reading, match: reading.exam.events[0].extra["persons"][0]["name"],
    ),
    (
        ADMINISTRATION + r"personparticipant_set\.person_role_in_procedure_cid\.code_meaning$",
        lambda reading, match: reading.exam.events[0].extra["persons"][0]["role"].meaning,
    ),
    (ORGAN + r"finding_site\.code_meaning$", _organ("site")),
    (ORGAN + r"laterality(?:\.code_meaning)?$", _organ("laterality")),
    (ORGAN + r"organ_dose$", _organ("dose_mgy")),
    (ORGAN + r"reference_authority_text$", _organ("authority")),
    (
        r"radiopharmaceuticaladministrationpatientcharacteristics_set\."
        r"(?:patient_|subject_)(height|weight|age|sex)(?:\.code_value)?$",
        lambda reading, match: reading.exam.events[0].patient_characteristics[
            {"height": "height_m", "weight": "weight_kg", "age": "age_years", "sex": "sex"}[match[1]]
        ],
    ),
    (SERIES + r"series_datetime$", _at_moment(_series("started_at"))),
    (SERIES + r"number_of_rr_intervals$", _series("rr_interval_count")),
    (SERIES + r"number_of_time_slots$", _series("time_slot_count")),
    (SERIES + r"number_of_time_slices$", _series("time_slice_count")),
    (SERIES + r"number_of_slices$", _series("slice_count")),
    (SERIES + r"reconstruction_method$", _series("reconstruction_method")),
    (SERIES + r"coincidence_window_width$", _series("coincidence_window_ns")),
    (SERIES + r"energy_window_lower_limit$", lambda r, m: r.exam.pet_series[0].energy_window_kev[0]),
    (SERIES + r"energy_window_upper_limit$", lambda r, m: r.exam.pet_series[0].energy_window_kev[1]),
    (SERIES + r"scan_progression_direction$", _series("scan_progression")),
    (
        SERIES + r"petseriescorrection_set(?:\.first\(\)|\[(\d+)\])\.corrected_image$",
        _series_entry("corrections"),
    ),
    (SERIES + r"petseriestype_set(?:\.first\(\)|\[(\d+)\])\.series_type$", _series_entry("series_type")),
)

_COMPILED = tuple((re.compile(pattern), get) for pattern, get in ROWS)


def find(path: str) -> tuple[Getter, re.Match[str]] | None:
    """The row for a path that `plain_path` has cleaned."""
    for pattern, get in _COMPILED:
        match = pattern.search(path)
        if match:
            return get, match
    return None
