"""Phantom measurements: what was analysed, every value as it came out, accepted baselines, schedules, recorded events."""

from django.db import models

from dose_audit.store.models.equipment import Equipment
from dose_audit.store.models.fields import CleanJSONField, CleanTextField, LocalDateTimeField
from dose_audit.store.models.site import Site


class PhantomStudy(models.Model):
    """One phantom in one series, analysed by one version of the algorithms. Never edited: a re-analysis is a new row.

    Notes
    -----
    ``inputs_sha256`` says which images, ``definition_sha256`` which text of the definition, ``algorithm_version`` which
    program. ``current`` marks the latest analysis of the same images; older ones stay beside it.
    """

    site = models.ForeignKey(Site, models.PROTECT)
    equipment = models.ForeignKey(Equipment, models.PROTECT, related_name="phantom_studies")
    definition = CleanTextField()
    definition_sha256 = CleanTextField()
    algorithm_version = CleanTextField()
    engine_version = CleanTextField()
    inputs_sha256 = CleanTextField(db_index=True)
    study_instance_uid = CleanTextField(null=True)
    series_instance_uid = CleanTextField(null=True)
    modality = CleanTextField()
    acquired_at = LocalDateTimeField(null=True, db_index=True)
    received_at = models.DateTimeField(null=True)
    stored_at = models.DateTimeField(db_index=True)
    software_versions = CleanTextField(null=True)
    conditions = CleanJSONField(default=dict)  # kVp, kernel, nominal thickness, CTDIvol …: what makes runs comparable
    condition_key = CleanTextField()
    verdict = CleanTextField()
    record = CleanJSONField()  # the whole contract of `phantom analyse --json`
    repeat_of_day = models.IntegerField(default=1)  # first, second … of the same phantom on the same device and day
    current = models.BooleanField(default=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["inputs_sha256", "definition", "definition_sha256", "algorithm_version"], name="one_analysis"
            ),
        )
        indexes = (models.Index(fields=["equipment", "definition", "acquired_at"]),)


class Measurement(models.Model):
    """One value of a phantom study, with everything that must travel with it."""

    study = models.ForeignKey(PhantomStudy, models.CASCADE, related_name="measurements")
    name = CleanTextField()
    title = CleanTextField()
    module = CleanTextField(blank=True)
    value = models.FloatField(null=True)
    unit = CleanTextField()
    uncertainty = models.FloatField(null=True)
    status = CleanTextField()
    reason = CleanTextField(blank=True)
    judgement = CleanTextField()
    tolerance = models.ForeignKey("Tolerance", models.PROTECT, null=True)
    baseline = models.FloatField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["study", "name"], name="one_value_per_name"),)
        indexes = (models.Index(fields=["name"]),)


class Tolerance(models.Model):
    """Limits as they were applied: immutable, one row for each text; a change is a new row."""

    sha256 = CleanTextField(unique=True)
    definition = CleanTextField()
    measurement = CleanTextField()
    unit = CleanTextField()
    about = CleanTextField()
    nominal = models.FloatField(null=True)
    remedial = CleanJSONField()
    suspension = CleanJSONField()
    source = CleanTextField()
    edition = CleanTextField(blank=True)
    status = CleanTextField()
    first_used = models.DateTimeField()


class Baseline(models.Model):
    """The accepted value of a measurement on a device, and the control limits frozen with it.

    Notes
    -----
    Set from accepted runs by a named role; it holds from ``valid_from`` until the next one. A new one needs a recorded
    event (service, software, recalibration), except the first and those on runs that are measured otherwise than before. Of two
    that hold from the same moment the later one counts.
    """

    equipment = models.ForeignKey(Equipment, models.PROTECT, related_name="baselines")
    definition = CleanTextField()
    condition_key = CleanTextField()
    measurement = CleanTextField()
    unit = CleanTextField()
    value = models.FloatField()
    sigma = models.FloatField(null=True)
    lower = models.FloatField(null=True)
    upper = models.FloatField(null=True)
    runs = CleanJSONField()  # ids of the studies that it rests on
    valid_from = LocalDateTimeField()
    set_by = CleanTextField()
    set_at = models.DateTimeField()
    reason = CleanTextField()
    event = models.ForeignKey("EquipmentEvent", models.PROTECT, null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["equipment", "definition", "condition_key", "measurement", "valid_from", "set_at"],
                name="one_baseline",
            ),
        )


class EquipmentEvent(models.Model):
    """What was done to a device and when: service, software, recalibration, a part exchanged."""

    equipment = models.ForeignKey(Equipment, models.PROTECT, related_name="events")
    kind = CleanTextField()  # service, software, recalibration, part, move
    at = LocalDateTimeField()
    text = CleanTextField(blank=True)
    recorded_by = CleanTextField()
    recorded_at = models.DateTimeField()


class QaTask(models.Model):
    """A phantom measurement that is due on a device every so many days."""

    equipment = models.ForeignKey(Equipment, models.PROTECT, related_name="qa_tasks")
    definition = CleanTextField()
    every_days = models.IntegerField()
    grace_days = models.IntegerField(default=0)
    since = models.DateField()
    until = models.DateField(null=True)
    set_by = CleanTextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["equipment", "definition", "since"], name="one_task"),)
