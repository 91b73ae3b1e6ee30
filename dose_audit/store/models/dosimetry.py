"""What is computed from stored exams beside what machines report, and the certificates that correct their displays."""

from django.db import models

from dose_audit.store.models.equipment import Equipment
from dose_audit.store.models.exam import Exam
from dose_audit.store.models.fields import CleanTextField


class Calibration(models.Model):
    """One factor of a calibration certificate: measured over displayed value. Never edited: a correction is a new row.

    Notes
    -----
    It answers for exposures from ``valid_from`` to ``valid_to`` (both included; null: until the next one) and, where
    tube voltages are given, for those alone. Of several that answer the latest ``valid_from`` counts, then the latest row.
    """

    equipment = models.ForeignKey(Equipment, models.PROTECT, related_name="calibrations")
    quantity = CleanTextField()  # one of calibrations.CALIBRATED
    factor = models.FloatField()
    relative_uncertainty = models.FloatField()  # k = 1
    valid_from = models.DateField()
    valid_to = models.DateField(null=True)
    kv_from = models.FloatField(null=True)
    kv_to = models.FloatField(null=True)
    certificate = CleanTextField()
    entered_by = CleanTextField()  # a role
    entered_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=["equipment", "quantity"]),)


class DoseEstimate(models.Model):
    """One quantity computed from an exam by one version of the algorithms, with everything that must travel with it.

    Notes
    -----
    ``event_index`` is null for the exam as a whole. ``value`` rests on displayed values corrected by ``calibration``
    where there is one; ``raw_value`` is then what the displayed values give. ``current`` marks the latest version's rows;
    those of older versions stay beside them. They describe the exam as it is only while it has an ``estimated_with``.
    """

    exam = models.ForeignKey(Exam, models.CASCADE, related_name="estimates")
    event_index = models.IntegerField(null=True)
    quantity = CleanTextField()
    value = models.FloatField(null=True)
    unit = CleanTextField()
    uncertainty = models.FloatField(null=True)  # k = 1
    status = CleanTextField()  # ok, suspect, not_measurable
    reason = CleanTextField(blank=True)
    method = CleanTextField(blank=True)
    raw_value = models.FloatField(null=True)
    calibration = models.ForeignKey(Calibration, models.PROTECT, null=True)
    algorithm_version = CleanTextField()
    current = models.BooleanField(default=True)
    made_at = models.DateTimeField()
