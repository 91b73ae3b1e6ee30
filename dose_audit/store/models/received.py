"""ReceivedObject: every object that came in, what became of it, and what it alone says."""

from django.db import models

from dose_audit.store.models.fields import CleanJSONField, CleanTextField


class ReceivedObject(models.Model):
    """One DICOM object as received: unique by SOP Instance UID and content.

    Notes
    -----
    ``part`` is what this object alone says. An exam is always merged anew from all parts of its study, so the order of
    arrival cannot matter. Of the slices of one acquisition one is its *carrier*: under ``folded`` its part says as well
    what all of them add up to; the others are of the kind ``slice``. States: ``extracted`` (its part counts),
    ``superseded`` (every event of it is now told by another object of the study), ``measured`` (an image of a phantom),
    ``conflict`` (a newer object has its SOP Instance UID and other bytes),
    ``not_relevant``, ``quarantined``.
    """

    sop_instance_uid = CleanTextField()
    sha256 = CleanTextField()
    sop_class_uid = CleanTextField(null=True)
    study_instance_uid = CleanTextField(null=True, db_index=True)
    station_name = CleanTextField(null=True)
    site = CleanTextField(null=True)
    source = CleanTextField(null=True)
    kind = CleanTextField(null=True)
    state = CleanTextField()
    reason = CleanTextField(null=True)
    size_bytes = models.BigIntegerField()
    received_at = models.DateTimeField(db_index=True)
    updated_at = models.DateTimeField(db_index=True)
    engine_version = CleanTextField()
    part = CleanTextField(null=True)
    spool_id = models.BigIntegerField(null=True)
    copies = CleanJSONField(default=list)  # numbers in the spool of further, identical copies

    class Meta:
        constraints = (models.UniqueConstraint(fields=["sop_instance_uid", "sha256"], name="one_row_per_object"),)
        indexes = (models.Index(fields=["state"]),)
