"""Exam and Event: one study's exposure, typed where it is queried, JSON for the rest."""

from django.db import models

from dose_audit.store.models.equipment import Equipment
from dose_audit.store.models.fields import CleanJSONField, CleanTextField, LocalDateTimeField
from dose_audit.store.models.site import Site


def _number() -> models.FloatField:
    return models.FloatField(null=True)


def _text() -> CleanTextField:
    return CleanTextField(null=True)


class Exam(models.Model):
    """One study's exposure. ``record`` holds the whole exam record but for the events, without its nulls."""

    study_instance_uid = CleanTextField(unique=True)
    site = models.ForeignKey(Site, models.PROTECT)
    received_site = _text()
    equipment = models.ForeignKey(Equipment, models.PROTECT)
    software_versions = _text()
    accession_number = CleanTextField(null=True, db_index=True)  # keyed hash unless identifiers are kept
    study_datetime = LocalDateTimeField(null=True)
    study_date = models.DateField(null=True, db_index=True)
    utc_offset = _text()
    modality = _text()
    study_description = _text()
    requested_procedure_description = _text()
    procedure_codes = CleanJSONField(default=list)
    requested_procedure_codes = CleanJSONField(default=list)
    acquisition_protocols = CleanJSONField(default=list)
    target_regions = CleanJSONField(default=list)
    source_kinds = CleanJSONField(default=list)
    warning_codes = CleanJSONField(default=list)
    sex = _text()
    age_years = _number()
    weight_kg = _number()
    height_m = _number()
    pseudonym = CleanTextField(null=True, db_index=True)
    is_phantom = models.BooleanField(default=False)
    is_phantom_reason = _text()
    ct_dlp_mgy_cm = _number()
    events_ct_dlp_mgy_cm = _number()
    ct_dlp_head_16cm_mgy_cm = _number()
    ct_dlp_body_32cm_mgy_cm = _number()
    kap_gy_cm2 = _number()
    events_kap_gy_cm2 = _number()
    dose_rp_mgy = _number()
    fluoro_time_s = _number()
    agd_left_mgy = _number()
    agd_right_mgy = _number()
    administered_activity_mbq = _number()
    event_count = models.IntegerField(default=0)
    record = CleanJSONField(default=dict)
    received_at = models.DateTimeField()
    updated_at = models.DateTimeField(db_index=True)
    # From a list of patients' sizes; goes before what the objects say, and no object overwrites it.
    given_weight_kg = _number()
    given_height_m = _number()
    unit_slips = CleanJSONField(default=list)  # set after ingest, from the device's whole history
    estimated_with = _text()  # version of the algorithms behind its estimates; null whenever it was written since
    peak_skin_dose_mgy = _number()  # its current estimate, for the audit

    class Meta:
        indexes = (
            models.Index(fields=["equipment", "study_date"]),
            models.Index(fields=["id"], name="exam_not_estimated", condition=models.Q(estimated_with__isnull=True)),
        )


class Event(models.Model):
    """One irradiation event or administration. ``rest`` holds every field that has no column, without its nulls."""

    exam = models.ForeignKey(Exam, models.CASCADE, related_name="events")
    event_index = models.IntegerField()
    irradiation_event_uid = CleanTextField(null=True, db_index=True)
    type = CleanTextField()
    started_at = LocalDateTimeField(null=True)
    utc_offset = _text()
    acquisition_protocol = _text()
    target_region = _text()
    anatomical_structure = _text()
    laterality = _text()
    reason = _text()
    ct_acquisition_type = _text()
    ctdi_vol_mgy = _number()
    ctdi_phantom = _text()
    dlp_mgy_cm = _number()
    scanning_length_mm = _number()
    kvp_kv = _number()
    kap_gy_cm2 = _number()
    dose_rp_mgy = _number()
    plane = _text()
    irradiation_event_type = _text()
    agd_mgy = _number()
    compression_thickness_mm = _number()
    exposure_index = _number()
    target_exposure_index = _number()
    deviation_index = _number()
    view = _text()
    radiopharmaceutical = _text()
    exposure_mas = _number()
    water_equivalent_diameter_mm = _number()
    ssde_mgy = _number()
    administered_activity_mbq = _number()
    # Current estimates that the audit reads beside what the device reports; an event that is written anew has none.
    computed_ssde_mgy = _number()
    computed_mgd_mgy = _number()
    computed_wed_mm = _number()
    rest = CleanJSONField(default=dict)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["exam", "event_index"], name="one_event_per_index"),)
