"""What the audit decided and told people: exam mapping versions, runs, findings."""

from django.db import models

from dose_audit.store.models.fields import CleanJSONField, CleanTextField


class ExamMapping(models.Model):
    """One approved version of the table that says which examination a study is. Never edited: a change is a new row."""

    version = models.IntegerField(unique=True)
    rows = CleanJSONField()
    sha256 = CleanTextField()
    note = CleanTextField(blank=True)
    approved_by = CleanTextField()
    approved_at = models.DateTimeField()


class AuditRun(models.Model):
    """One frozen run of the audit: what it looked at, with what, and where its report is."""

    run_id = CleanTextField(unique=True)
    created_at = models.DateTimeField()
    since = models.DateField(null=True)
    until = models.DateField(null=True)
    versions = CleanJSONField(default=dict)
    drl_sets = CleanJSONField(default=list)
    mapping_version = models.IntegerField(null=True)
    frozen_input_sha256 = CleanTextField()
    exit_code = models.IntegerField(null=True)


class Signature(models.Model):
    """A person's word for a frozen run, and for which bytes of it. Never edited: who changes their mind signs again."""

    run = models.ForeignKey(AuditRun, models.PROTECT, related_name="signatures")
    by_role = CleanTextField()
    statement = CleanTextField()
    at = models.DateTimeField()
    seal_sha256 = CleanTextField()  # of the run's seal.json, which holds the hashes of all the rest
    engine = CleanTextField()  # version of the program that showed the run


class Finding(models.Model):
    """Something a person should know or do. One row per key, through all runs that raise it.

    Notes
    -----
    ``open`` until it is ``acknowledged`` (by whom and why are kept) or ``cleared`` (a run no longer raises it). Raised
    again after being cleared it opens again; an acknowledged one stays acknowledged until it is graver than it was then
    (``acknowledged_as``: its severity, and its ratio to the level if it has one).
    """

    key = CleanTextField(unique=True)
    kind = CleanTextField(db_index=True)
    severity = CleanTextField()
    state = CleanTextField(default="open", db_index=True)
    subject = CleanTextField()
    site = CleanTextField(null=True)
    equipment = CleanTextField(null=True)
    message = CleanTextField()
    likely_causes = CleanJSONField(default=list)
    evidence = CleanJSONField(default=dict)
    first_raised_at = models.DateTimeField()
    last_raised_at = models.DateTimeField()
    first_raised_run = CleanTextField(null=True)
    last_raised_run = CleanTextField(null=True)
    acknowledged_by = CleanTextField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_reason = CleanTextField(null=True)
    acknowledged_as = CleanJSONField(null=True)


class Action(models.Model):
    """What was done about a finding: by which role (or by the audit, where it became graver), when and why. Never edited."""

    finding = models.ForeignKey(Finding, models.PROTECT, related_name="actions")
    kind = CleanTextField()  # acknowledged, reopened
    by_role = CleanTextField()
    reason = CleanTextField()
    at = models.DateTimeField()


class LocalEdition(models.Model):
    """A local set of reference levels: proposed from exams, then approved by a named role. Its rows never change.

    Notes
    -----
    Two times: ``valid_from`` bounds the study dates that it answers for, ``approved_at`` says from when it was known.
    """

    set_id = CleanTextField()
    edition = CleanTextField()
    kind = CleanTextField()  # typical, local
    state = CleanTextField(default="proposed")  # proposed, approved
    site = CleanTextField(blank=True)
    rows = CleanJSONField()
    computed_from = CleanJSONField(default=dict)
    proposed_by = CleanTextField()
    proposed_at = models.DateTimeField()
    approved_by = CleanTextField(null=True)
    approved_at = models.DateTimeField(null=True)
    valid_from = models.DateField(null=True)
    rows_sha256 = CleanTextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["set_id", "edition"], name="one_local_edition"),)


class Delivery(models.Model):
    """One message that was sent, or could not be: to which role, about which run. Its text is not kept."""

    run_id = CleanTextField(db_index=True)
    role = CleanTextField()
    recipients = models.IntegerField()
    findings = models.IntegerField()
    delivered_to = CleanJSONField(null=True)  # addresses that the server took it for; null: not written down
    state = CleanTextField()  # sent, failed
    reason = CleanTextField(blank=True)
    at = models.DateTimeField()
    text_sha256 = CleanTextField()
