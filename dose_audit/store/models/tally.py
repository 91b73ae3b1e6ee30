"""Tally: counts of reception that have no row of their own, such as duplicates refused at the door."""

from django.db import models

from dose_audit.store.models.fields import CleanTextField


class Tally(models.Model):
    """One named count, replaced each time ingest looks at the spool."""

    name = CleanTextField(unique=True)
    value = models.BigIntegerField()
    updated_at = models.DateTimeField()
