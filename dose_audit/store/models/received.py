"""ReceivedObject: every object that came in, what became of it, and what it alone says."""

from django.db import models


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

    sop_instance_uid = models.TextField()
    sha256 = models.TextField()
    sop_class_uid = models.TextField(null=True)
    study_instance_uid = models.TextField(null=True, db_index=True)
    station_name = models.TextField(null=True)
    site = models.TextField(null=True)
    source = models.TextField(null=True)
    kind = models.TextField(null=True)
    state = models.TextField()
    reason = models.TextField(null=True)
    size_bytes = models.BigIntegerField()
    received_at = models.DateTimeField(db_index=True)
    updated_at = models.DateTimeField(db_index=True)
    engine_version = models.TextField()
    part = models.TextField(null=True)
    spool_id = models.BigIntegerField(null=True)
    copies = models.JSONField(default=list)  # numbers in the spool of further, identical copies

    class Meta:
        constraints = (models.UniqueConstraint(fields=["sop_instance_uid", "sha256"], name="one_row_per_object"),)
        indexes = (models.Index(fields=["state"]),)
