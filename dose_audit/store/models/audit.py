"""What the audit decided and told people: exam mapping versions, runs, findings."""

from django.db import models


class ExamMapping(models.Model):
    """One approved version of the table that says which examination a study is. Never edited: a change is a new row."""

    version = models.IntegerField(unique=True)
    rows = models.JSONField()
    sha256 = models.TextField()
    note = models.TextField(blank=True)
    approved_by = models.TextField()
    approved_at = models.DateTimeField()


class AuditRun(models.Model):
    """One frozen run of the audit: what it looked at, with what, and where its report is."""

    run_id = models.TextField(unique=True)
    created_at = models.DateTimeField()
    since = models.DateField(null=True)
    until = models.DateField(null=True)
    versions = models.JSONField(default=dict)
    drl_sets = models.JSONField(default=list)
    mapping_version = models.IntegerField(null=True)
    frozen_input_sha256 = models.TextField()
    exit_code = models.IntegerField(null=True)


class Finding(models.Model):
    """Something a person should know or do. One row per key, through all runs that raise it.

    Notes
    -----
    ``open`` until it is ``acknowledged`` (by whom and why are kept) or ``cleared`` (a run no longer raises it). Raised
    again after being cleared it opens again; an acknowledged one stays acknowledged.
    """

    key = models.TextField(unique=True)
    kind = models.TextField(db_index=True)
    severity = models.TextField()
    state = models.TextField(default="open", db_index=True)
    subject = models.TextField()
    site = models.TextField(null=True)
    equipment = models.TextField(null=True)
    message = models.TextField()
    likely_causes = models.JSONField(default=list)
    evidence = models.JSONField(default=dict)
    first_raised_at = models.DateTimeField()
    last_raised_at = models.DateTimeField()
    first_raised_run = models.TextField(null=True)
    last_raised_run = models.TextField(null=True)
    acknowledged_by = models.TextField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_reason = models.TextField(null=True)


class Action(models.Model):
    """What a person did about a finding: by which role, when and why. Never edited."""

    finding = models.ForeignKey(Finding, models.PROTECT, related_name="actions")
    kind = models.TextField()  # acknowledged, reopened
    by_role = models.TextField()
    reason = models.TextField()
    at = models.DateTimeField()


class LocalEdition(models.Model):
    """A local set of reference levels: proposed from exams, then approved by a named role. Its rows never change.

    Notes
    -----
    Two times: ``valid_from`` bounds the study dates that it answers for, ``approved_at`` says from when it was known.
    """

    set_id = models.TextField()
    edition = models.TextField()
    kind = models.TextField()  # typical, local
    state = models.TextField(default="proposed")  # proposed, approved
    site = models.TextField(blank=True)
    rows = models.JSONField()
    computed_from = models.JSONField(default=dict)
    proposed_by = models.TextField()
    proposed_at = models.DateTimeField()
    approved_by = models.TextField(null=True)
    approved_at = models.DateTimeField(null=True)
    valid_from = models.DateField(null=True)
    rows_sha256 = models.TextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["set_id", "edition"], name="one_local_edition"),)


class Delivery(models.Model):
    """One message that was sent, or could not be: to which role, about which run. Its text is not kept."""

    run_id = models.TextField(db_index=True)
    role = models.TextField()
    recipients = models.IntegerField()
    findings = models.IntegerField()
    state = models.TextField()  # sent, failed
    reason = models.TextField(blank=True)
    at = models.DateTimeField()
    text_sha256 = models.TextField()
