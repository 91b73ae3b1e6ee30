"""Phantom measurements: what was analysed, every value as it came out, accepted baselines, schedules, recorded events."""

from django.db import models

from dose_audit.store.models.equipment import Equipment
from dose_audit.store.models.fields import LocalDateTimeField
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
    definition = models.TextField()
    definition_sha256 = models.TextField()
    algorithm_version = models.TextField()
    engine_version = models.TextField()
    inputs_sha256 = models.TextField(db_index=True)
    study_instance_uid = models.TextField(null=True)
    series_instance_uid = models.TextField(null=True)
    modality = models.TextField()
    acquired_at = LocalDateTimeField(null=True, db_index=True)
    received_at = models.DateTimeField(null=True)
    stored_at = models.DateTimeField(db_index=True)
    software_versions = models.TextField(null=True)
    conditions = models.JSONField(default=dict)  # kVp, kernel, nominal thickness, CTDIvol …: what makes runs comparable
    condition_key = models.TextField()
    verdict = models.TextField()
    record = models.JSONField()  # the whole contract of `phantom analyse --json`
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
    name = models.TextField()
    title = models.TextField()
    module = models.TextField(blank=True)
    value = models.FloatField(null=True)
    unit = models.TextField()
    uncertainty = models.FloatField(null=True)
    status = models.TextField()
    reason = models.TextField(blank=True)
    judgement = models.TextField()
    tolerance = models.ForeignKey("Tolerance", models.PROTECT, null=True)
    baseline = models.FloatField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["study", "name"], name="one_value_per_name"),)
        indexes = (models.Index(fields=["name"]),)


class Tolerance(models.Model):
    """Limits as they were applied: immutable, one row for each text; a change is a new row."""

    sha256 = models.TextField(unique=True)
    definition = models.TextField()
    measurement = models.TextField()
    unit = models.TextField()
    about = models.TextField()
    nominal = models.FloatField(null=True)
    remedial = models.JSONField()
    suspension = models.JSONField()
    source = models.TextField()
    edition = models.TextField(blank=True)
    status = models.TextField()
    first_used = models.DateTimeField()


class Baseline(models.Model):
    """The accepted value of a measurement on a device, and the control limits frozen with it.

    Notes
    -----
    Set from accepted runs by a named role; it holds from ``valid_from`` until the next one. A new one needs a recorded
    event (service, software, recalibration), except the first.
    """

    equipment = models.ForeignKey(Equipment, models.PROTECT, related_name="baselines")
    definition = models.TextField()
    condition_key = models.TextField()
    measurement = models.TextField()
    unit = models.TextField()
    value = models.FloatField()
    sigma = models.FloatField(null=True)
    lower = models.FloatField(null=True)
    upper = models.FloatField(null=True)
    runs = models.JSONField()  # ids of the studies that it rests on
    valid_from = LocalDateTimeField()
    set_by = models.TextField()
    set_at = models.DateTimeField()
    reason = models.TextField()
    event = models.ForeignKey("EquipmentEvent", models.PROTECT, null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["equipment", "definition", "condition_key", "measurement", "valid_from"], name="one_baseline"
            ),
        )


class EquipmentEvent(models.Model):
    """What was done to a device and when: service, software, recalibration, a part exchanged."""

    equipment = models.ForeignKey(Equipment, models.PROTECT, related_name="events")
    kind = models.TextField()  # service, software, recalibration, part, move
    at = LocalDateTimeField()
    text = models.TextField(blank=True)
    recorded_by = models.TextField()
    recorded_at = models.DateTimeField()


class QaTask(models.Model):
    """A phantom measurement that is due on a device every so many days."""

    equipment = models.ForeignKey(Equipment, models.PROTECT, related_name="qa_tasks")
    definition = models.TextField()
    every_days = models.IntegerField()
    grace_days = models.IntegerField(default=0)
    since = models.DateField()
    until = models.DateField(null=True)
    set_by = models.TextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["equipment", "definition", "since"], name="one_task"),)
