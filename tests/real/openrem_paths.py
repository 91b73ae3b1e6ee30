"""Where OpenREM keeps a value and where the exam record does: one row per path, with the scale between the
units.

A row is a regular expression over OpenREM's path (its prefix, ``.get()`` and ordering removed) and a getter of
`openrem_getters`. Rows of `NOT_A_VALUE` are assertions on something else than what an object says: rows of OpenREM's
database, drawings of its skin-dose map, names of its register.
"""

from __future__ import annotations

import re

from tests.real import openrem_getters as get
from tests.real.openrem_getters import Getter

__all__ = ["NOT_A_VALUE", "ROWS", "find", "plain_path"]

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


ROWS: tuple[tuple[str, Getter], ...] = (
    # ---- study, patient, equipment
    (r"^(?:objects\.)?count\(\)$", lambda reading, match: reading.exams),
    (r"^study_date$", get.date),
    (r"^study_time$", get.study_time),
    (r"^accession_number$|^xlsx .* / Accession number$", get.exam("accession_number")),
    (r"^study_description$", get.exam("study_description")),
    (r"^study_id$", get.exam("study_id")),
    (r"^study_instance_uid$", get.exam("study_instance_uid")),
    (r"^series_instance_uid$", lambda reading, match: reading.exam.sources[0].series_instance_uid),
    (r"^requested_procedure_code_meaning$", get.exam("requested_procedure_description")),
    (r"^modality_type$", get.exam("modality")),
    (r"^referring_physician_name$", get.exam("referring_physician_name")),
    (r"^performing_physician_name$", get.exam("performing_physician_name")),
    (r"^operator_name$", get.exam("operators_name")),
    (r"^name_of_physician_reading_study$", lambda r, m: r.exam.extra["name_of_physicians_reading_study"]),
    (r"^patientmoduleattr_set\.patient_name$", get.patient("name")),
    (r"^patientmoduleattr_set\.patient_id$|^xlsx .* / Patient ID$", get.patient("patient_id")),
    (r"^patientmoduleattr_set\.patient_birth_date$", get.patient("birth_date")),
    (r"^patientmoduleattr_set\.patient_sex$", get.patient("sex")),
    (r"^patientmoduleattr_set\.not_patient_indicator$", get.patient("is_phantom_reason")),
    (r"^patientstudymoduleattr_set\.patient_age$", get.patient("age_years")),
    (r"^patientstudymoduleattr_set\.patient_age_decimal$", get.patient("age_years")),
    (r"^PHE CT 2019 sheet row 4 col 3$", get.patient("weight_kg")),
    (r"^PHE CT 2019 sheet row 4 col 4$", lambda r, m: get.times(r.exam.patient.height_m, 100)),
    (
        r"^generalequipmentmoduleattr_set\.unique_equipment_name\.device_observer_uid$",
        get.equipment("device_observer_uid"),
    ),
    (r"^generalequipmentmoduleattr_set\.device_serial_number$", get.equipment("serial_number")),
    (r"^generalequipmentmoduleattr_set\.institution_address$", get.equipment("institution_address")),
    (r"^generalequipmentmoduleattr_set\.institution_name$", get.equipment("institution_name")),
    (r"^generalequipmentmoduleattr_set\.institutional_department_name$", get.equipment("department")),
    (r"^generalequipmentmoduleattr_set\.manufacturer$", get.equipment("manufacturer")),
    (r"^generalequipmentmoduleattr_set\.manufacturer_model_name$", get.equipment("model_name")),
    (r"^generalequipmentmoduleattr_set\.software_versions$", get.equipment("software_versions")),
    (r"^generalequipmentmoduleattr_set\.station_name$", get.equipment("station_name")),
    (r"^objectuidsprocessed_set\.values_list.*as_multiset\(\)$", get.processed),
    (r"^number_of_events$", lambda reading, match: len(reading.exam.events)),
    (r"^number_of_planes$", lambda reading, match: max(1, len(reading.exam.totals.planes))),
    (r"^number_of_axial$", get.count_of("sequenced")),
    (r"^number_of_spiral$", get.count_of("spiral")),
    (r"^number_of_stationary$", get.count_of("stationary")),
    (r"^number_of_const_angle$", get.count_of("constant_angle")),
    # ---- totals
    (r"^total_dlp$|^xlsx .* / Total DLP|^PHE CT 2019 sheet row 4 col 37$", get.total_or_sum("ct_dlp_mgy_cm")),
    (r"^total_dap(?:_a)?$", get.total_or_sum("kap_gy_cm2", 1e-4)),
    (r"^total_rp_dose_a$|^xlsx .* / A Dose RP total", get.total("dose_rp_mgy", 1e-3)),
    (r"^total_agd_left$", get.agd("left")),
    (r"^total_agd_right$", get.agd("right")),
    (r"^response\.context\['study_totals'\] (.*)$", get.study_totals),
    (ACCUMULATED + r"dose_area_product_total$", get.total("kap_gy_cm2", 1e-4)),
    (ACCUMULATED + r"dose_rp_total$", get.total("dose_rp_mgy", 1e-3)),
    (ACCUMULATED + r"fluoro_dose_area_product_total$", get.total("fluoro_kap_gy_cm2", 1e-4)),
    (ACCUMULATED + r"fluoro_dose_rp_total$", get.total("fluoro_dose_rp_mgy", 1e-3)),
    (ACCUMULATED + r"acquisition_dose_area_product_total$", get.total("acquisition_kap_gy_cm2", 1e-4)),
    (ACCUMULATED + r"acquisition_dose_rp_total$", get.total("acquisition_dose_rp_mgy", 1e-3)),
    (ACCUMULATED + r"total_acquisition_time$", get.total("acquisition_time_s")),
    (ACCUMULATED + r"total_number_of_radiographic_frames$", get.total("radiographic_frames")),
    (
        ACCUMULATED + r"reference_point_definition(?:_code\.code_meaning)?$",
        lambda reading, match: get.wording(reading.exam.totals.planes[0].extra["reference_point_definition"]),
    ),
    (
        r"^projectionxrayradiationdose_set\.accumxraydose_set\.accummammographyxraydose_set\.count\(\)$",
        lambda reading, match: len(reading.exam.totals.agd_mgy),
    ),
    (
        r"^projectionxrayradiationdose_set\.accumxraydose_set\.accummammographyxraydose_set\[(\d+)\]"
        r"\.accumulated_average_glandular_dose$",
        get.accumulated_agd,
    ),
    (
        r"^projectionxrayradiationdose_set\.accumxraydose_set\.accummammographyxraydose_set\[(\d+)\]"
        r"\.laterality\.code_meaning$",
        lambda reading, match: list(reading.exam.totals.agd_mgy)[int(match[1])],
    ),
    (
        r"^ctradiationdose_set\.ctaccumulateddosedata_set\.ct_dose_length_product_total$",
        get.total("ct_dlp_mgy_cm"),
    ),
    (
        r"^ctradiationdose_set\.ctaccumulateddosedata_set\.total_number_of_irradiation_events$",
        get.total("ct_event_count"),
    ),
    # ---- document
    (REPORT + r"start_of_xray_irradiation$", get.at_moment(get.report("started_at"))),
    (REPORT + r"end_of_xray_irradiation$", get.at_moment(get.report("ended_at"))),
    (REPORT + r"(?:procedure_reported|associated_procedure)\.code_meaning$", get.report("procedure_reported")),
    (REPORT + r"has_intent\.code_meaning$", get.report("has_intent")),
    (REPORT + r"scope_of_accumulation\.code_meaning$", get.report("scope_of_accumulation")),
    (REPORT + r"source_of_dose_information\.code_meaning$", get.report("source_of_dose_information")),
    (
        REPORT + r"xray_(detector|source|mechanical)_data_available\.code_meaning$",
        lambda reading, match: get.meaning(reading.exam.report.extra[f"x_ray_{match[1]}_data_available"]),
    ),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_manufacturer$", get.device("manufacturer")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_model_name$", get.device("model_name")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_name$", get.device("name")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_serial_number$", get.device("serial_number")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_observer_physical_location.*$", get.device("location")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.device_role_in_procedure\.code_meaning$", get.device("role")),
    (REPORT + r"observercontext_set(?:\[\d+\])?\.observer_type\.code_meaning$", get.observer_type),
    # ---- CT events
    (r"^ctradiationdose_set\.ctirradiationeventdata_set\.count\(\)$", lambda r, m: len(r.exam.events)),
    (CT + r"acquisition_protocol$", get.event("acquisition_protocol")),
    (CT + r"comment$", get.event("comment")),
    (CT + r"ct_acquisition_type\.code_meaning$", get.event("ct_acquisition_type")),
    (CT + r"ctdiw_phantom_type\.code_meaning$", get.event("ctdi_phantom")),
    (CT + r"procedure_context\.code_meaning$", get.event_code("procedure_context")),
    (CT + r"target_region\.code_meaning$", get.event_code("target_region")),
    (CT + r"dlp$", get.event("dlp_mgy_cm")),
    (CT + r"mean_ctdivol$", get.event("ctdi_vol_mgy")),
    (CT + r"exposure_time$", get.event("exposure_time_s")),
    (CT + r"nominal_single_collimation_width$", get.event("nominal_single_collimation_mm")),
    (CT + r"nominal_total_collimation_width$", get.event("nominal_total_collimation_mm")),
    (CT + r"number_of_xray_sources$", get.event("source_count")),
    (CT + r"pitch_factor$", get.event("pitch_factor")),
    (CT + r"scanninglength_set\.scanning_length$", get.event("scanning_length_mm")),
    *(
        (CT + rf"ctdosecheckdetails_set\.{theirs}$", get.dose_check(ours))
        for theirs, ours in (
            ("dlp_alert_value_configured", "dlp_alert_configured"),
            ("ctdivol_alert_value_configured", "ctdi_vol_alert_configured"),
            ("dlp_alert_value", "dlp_alert_value_mgy_cm"),
            ("ctdivol_alert_value", "ctdi_vol_alert_value_mgy"),
            ("accumulated_dlp_forward_estimate", "accumulated_dlp_forward_estimate_mgy_cm"),
            ("accumulated_ctdivol_forward_estimate", "accumulated_ctdi_vol_forward_estimate_mgy"),
            ("dlp_notification_value_configured", "dlp_notification_configured"),
            ("ctdivol_notification_value_configured", "ctdi_vol_notification_configured"),
            (r"tid1020_alert\.person_name", "person_name"),
        )
    ),
    (CT + r"deviceparticipant_set\.device_manufacturer$", get.participant("manufacturer")),
    (CT + r"deviceparticipant_set\.device_model_name$", get.participant("model_name")),
    (CT + r"deviceparticipant_set\.device_serial_number$", get.participant("serial_number")),
    (TUBE + r"exposure_time_per_rotation$", get.tube("exposure_time_per_rotation_s")),
    (TUBE + r"kvp$", get.tube("kvp_kv")),
    (TUBE + r"maximum_xray_tube_current$", get.tube("max_tube_current_ma")),
    (TUBE + r"xray_tube_current$", get.tube("tube_current_ma")),
    (r"^PHE CT 2019 sheet row 4 col 5$", get.scanned(0, "scanning_length_mm")),
    (r"^PHE CT 2019 sheet row 4 col 11$", get.scanned(0, "ctdi_vol_mgy")),
    (r"^PHE CT 2019 sheet row 4 col 20$", get.scanned(1, "dlp_mgy_cm")),
    # ---- projection events
    (
        r"^projectionxrayradiationdose_set\.irradeventxraydata_set\.count\(\)$",
        lambda r, m: len(r.exam.events),
    ),
    (EVENT + r"acquisition_plane\.code_meaning$", get.event("plane")),
    (EVENT + r"acquisition_protocol$", get.event("acquisition_protocol")),
    (EVENT + r"anatomical_structure\.code_meaning$", get.event_code("anatomical_structure")),
    (EVENT + r"date_time_started$", get.event_time),
    (EVENT + r"dose_area_product$", get.event("kap_gy_cm2", 1e-4)),
    (EVENT + r"entrance_exposure_at_rp$", get.event("entrance_exposure_mgy")),
    (EVENT + r"percent_fibroglandular_tissue$", get.event("fibroglandular_percent")),
    (EVENT + r"half_value_layer$", get.event("half_value_layer_mm")),
    (EVENT + r"image_view\.code_meaning$", get.event_code("view")),
    (EVENT + r"irradiation_event_type\.code_meaning$", get.event("irradiation_event_type")),
    (EVENT + r"irradiation_event_uid$", get.event("irradiation_event_uid")),
    (EVENT + r"laterality\.code_meaning$", get.event("laterality")),
    (EVENT + r"patient_orientation_cid\.code_value$", get.event_code("patient_orientation", "value")),
    (EVENT + r"patient_orientation_modifier_cid\.code_meaning$", get.event_code("patient_orientation_modifier")),
    (
        EVENT + r"patient_table_relationship_cid\.code_value$",
        get.event_code("patient_table_relationship", "value"),
    ),
    (EVENT + r"reference_point_definition\.code_meaning$", get.position),
    (
        EVENT + r"reference_point_definition\.code_value$",
        lambda reading, match: get.at(reading.events, match[1]).extra["reference_point_definition"].value,
    ),
    (EVENT + r"target_region\.code_meaning$", get.event_code("target_region")),
    (DETECTOR + r"deviation_index$", get.event("deviation_index")),
    (
        DETECTOR + r"exposure_index$|^xlsx .* / E(1) Exposure index$",
        lambda r, m: get.at(r.events, m[1] or 0).exposure_index,
    ),
    (DETECTOR + r"relative_xray_exposure$", get.event("relative_xray_exposure")),
    (DETECTOR + r"sensitivity$", get.event_extra("sensitivity")),
    (DETECTOR + r"target_exposure_index$", get.event("target_exposure_index")),
    (MECHANICAL + r"compression_thickness$", get.event("compression_thickness_mm")),
    (MECHANICAL + r"compression_force$", get.event("compression_force_n")),
    (MECHANICAL + r"magnification_factor$", get.event("magnification")),
    # OpenREM puts the primary angle of a mammogram's header here.
    (MECHANICAL + r"column_angulation$", get.event("primary_angle_deg")),
    (
        MECHANICAL + r"doserelateddistancemeasurements_set\.distance_source_to_entrance_surface$",
        get.event_extra("source_entrance_mm"),
    ),
    (
        MECHANICAL + r"crdr_mechanical_configuration\.code_meaning$",
        get.event_extra("cr_dr_mechanical_configuration"),
    ),
    (
        MECHANICAL + r"doserelateddistancemeasurements_set\.distance_source_to_detector$",
        get.event("source_detector_mm"),
    ),
    (MECHANICAL + r"positioner_primary_angle$", get.event("primary_angle_deg")),
    (SOURCE + r"anode_target_material\.code_meaning$", get.event("anode_material")),
    (SOURCE + r"average_glandular_dose$", get.event("agd_mgy")),
    (
        # OpenREM puts the mean of the tube currents here when no average was sent; ours stands elsewhere.
        SOURCE + r"average_xray_tube_current$",
        lambda reading, match: (
            get.at(reading.events, match[1]).average_tube_current_ma or get.at(reading.events, match[1]).tube_current_ma
        ),
    ),
    (SOURCE + r"collimated_field_area$", get.field_area),
    (SOURCE + r"collimated_field_height$", get.event("field_height_mm")),
    (SOURCE + r"collimated_field_width$", get.event("field_width_mm")),
    (SOURCE + r"deviceparticipant_set\.device_manufacturer$", get.participant("manufacturer")),
    (SOURCE + r"deviceparticipant_set\.device_model_name$", get.participant("model_name")),
    (SOURCE + r"deviceparticipant_set\.device_name$", get.participant("name")),
    (SOURCE + r"deviceparticipant_set\.device_role_in_procedure\.code_meaning$", get.participant("role")),
    (SOURCE + r"deviceparticipant_set\.device_serial_number$", get.participant("serial_number")),
    (SOURCE + r"dose_rp$", get.event("dose_rp_mgy", 1e-3)),
    (SOURCE + r"exposure_set\.exposure$", get.event("exposure_mas", 1e3)),
    (SOURCE + r"exposure_time$", get.event("exposure_time_ms")),
    (SOURCE + r"focal_spot_size$", get.event("focal_spot_mm")),
    (SOURCE + r"grid_focal_distance$", get.event_extra("grid_focal_distance_mm")),
    (SOURCE + r"ii_field_size$", get.event_extra("image_intensifier_diameter_mm")),
    (SOURCE + r"kvp_set\.kvp$", get.event("kvp_kv")),
    (SOURCE + r"number_of_pulses$", get.event("pulse_count")),
    (SOURCE + r"xraytubecurrent_set\.xray_tube_current$", get.event("tube_current_ma")),
    (SOURCE + r"xrayfilters_set\.count\(\)$", lambda r, m: len(get.at(r.events, m[1]).filters)),
    (
        SOURCE + r"xraygrid_set\.xray_grid\.code_(?:meaning|value)$",
        lambda reading, match: get.at(reading.events, match[1]).grid[0],
    ),
    (FILTER + r"xray_filter_material\.code_meaning$", get.filter_part("material")),
    (FILTER + r"xray_filter_type\.code_meaning$", get.filter_part("type")),
    (FILTER + r"xray_filter_thickness_maximum$", get.filter_part("max_mm")),
    (FILTER + r"xray_filter_thickness_minimum$", get.filter_part("min_mm")),
    (r"^sheet 'fl_-_ang' / Filter material$", get.filters_of(None, False)),
    (r"^sheet 'fl_-_ang' / Mean filter thickness", get.filters_of(None, True)),
    (r"^sheet / Filter material$", get.filters_of("Abdomen 2fps 25%", False)),
    (r"^sheet / Mean filter thickness", get.filters_of("Abdomen 2fps 25%", True)),
    (r"^aec sheet / Filters$", get.filters_of(None, False)),
    (r"^aec sheet / Filter thicknesses", get.filters_of(None, True)),
    # ---- administrations and PET series
    (ADMINISTRATION + r"administered_activity$", get.administration("administered_activity_mbq")),
    (ADMINISTRATION + r"effective_dose$", get.administration("effective_dose_msv")),
    (ADMINISTRATION + r"radionuclide\.code_meaning$", get.administration("radionuclide")),
    (ADMINISTRATION + r"radionuclide_half_life$", get.administration("half_life_s")),
    (
        ADMINISTRATION + r"radiopharmaceutical_administration_event_uid$",
        get.administration("irradiation_event_uid"),
    ),
    (ADMINISTRATION + r"radiopharmaceutical_agent\.code_meaning$", get.administration("radiopharmaceutical")),
    (
        ADMINISTRATION + r"radiopharmaceutical_agent_string$",
        lambda reading, match: reading.exam.events[0].extra["radiopharmaceutical_text"],
    ),
    (ADMINISTRATION + r"radiopharmaceutical_start_datetime$", get.at_moment(get.administration("started_at"))),
    (ADMINISTRATION + r"radiopharmaceutical_stop_datetime$", get.at_moment(get.administration("stopped_at"))),
    (ADMINISTRATION + r"route_of_administration\.code_meaning$", get.administration("route")),
    (ADMINISTRATION + r"site_of\.code_meaning$", get.administration("site")),
    (
        ADMINISTRATION + r"personparticipant_set\.person_name$",
        lambda reading, match: reading.exam.events[0].extra["persons"][0]["name"],
    ),
    (
        ADMINISTRATION + r"personparticipant_set\.person_role_in_procedure_cid\.code_meaning$",
        lambda reading, match: reading.exam.events[0].extra["persons"][0]["role"].meaning,
    ),
    (ORGAN + r"finding_site\.code_meaning$", get.organ("site")),
    (ORGAN + r"laterality(?:\.code_meaning)?$", get.organ("laterality")),
    (ORGAN + r"organ_dose$", get.organ("dose_mgy")),
    (ORGAN + r"reference_authority_text$", get.organ("authority")),
    (
        r"radiopharmaceuticaladministrationpatientcharacteristics_set\."
        rf"(?:patient_|subject_)?({'|'.join(map(re.escape, get.CHARACTERISTICS))})(?:\.code_(?:value|meaning))?$",
        get.characteristic,
    ),
    (ADMINISTRATION + r"brand_name$", get.identifier("brand_name")),
    (ADMINISTRATION + r"radiopharmaceutical_dispense_unit_identifier$", get.identifier("dispense_unit")),
    (ADMINISTRATION + r".*radiopharmaceutical_lot_identifier$", get.identifier("lot")),
    (ADMINISTRATION + r".*reagent_vial_identifier$", get.identifier("reagent_vial")),
    (ADMINISTRATION + r".*radionuclide_identifier$", get.identifier("radionuclide")),
    (ADMINISTRATION + r".*prescription_identifier$", get.identifier("prescription")),
    (ADMINISTRATION + r".*billing_code\.code_meaning$", get.identifier("billing_code")),
    (ADMINISTRATION + r".*drug_product_identifier\.code_meaning$", get.identifier("drug_product")),
    (ADMINISTRATION + r"comment$", get.administration("comment")),
    (ADMINISTRATION + r"radiopharmaceutical_volume$", get.administration("volume_ml")),
    (
        ADMINISTRATION + r"(pre|post)_administration_measured_activity$",
        lambda r, m: getattr(r.exam.events[0], f"{m[1]}_administration_activity_mbq"),
    ),
    (
        ADMINISTRATION + r"estimated_extravasation_activity$",
        lambda r, m: r.exam.events[0].extra["estimated_extravasation_activity_percent"],
    ),
    (SERIES + r"series_datetime$", get.at_moment(get.series("started_at"))),
    (SERIES + r"number_of_rr_intervals$", get.series("rr_interval_count")),
    (SERIES + r"number_of_time_slots$", get.series("time_slot_count")),
    (SERIES + r"number_of_time_slices$", get.series("time_slice_count")),
    (SERIES + r"number_of_slices$", get.series("slice_count")),
    (SERIES + r"reconstruction_method$", get.series("reconstruction_method")),
    (SERIES + r"coincidence_window_width$", get.series("coincidence_window_ns")),
    (SERIES + r"energy_window_lower_limit$", lambda r, m: r.exam.pet_series[0].energy_window_kev[0]),
    (SERIES + r"energy_window_upper_limit$", lambda r, m: r.exam.pet_series[0].energy_window_kev[1]),
    (SERIES + r"scan_progression_direction$", get.series("scan_progression")),
    (
        SERIES + r"petseriescorrection_set(?:\.first\(\)|\[(\d+)\])\.corrected_image$",
        get.series_entry("corrections"),
    ),
    (SERIES + r"petseriestype_set(?:\.first\(\)|\[(\d+)\])\.series_type$", get.series_entry("series_type")),
)

_COMPILED = tuple((re.compile(pattern), getter) for pattern, getter in ROWS)


def find(path: str) -> tuple[Getter, re.Match[str]] | None:
    """The row for a path that `plain_path` has cleaned."""
    for pattern, getter in _COMPILED:
        match = pattern.search(path)
        if match:
            return getter, match
    return None
