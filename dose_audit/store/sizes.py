"""Patients' heights and weights from a list, joined to stored exams."""

from __future__ import annotations

import datetime as dt
import os

from django.db import transaction

from dose_audit.extract.patient_size import ExamSize, Plan, SizeRow, plan_sizes, read_sizes
from dose_audit.store.identity import Protection, keyed_hash
from dose_audit.store.models import Exam

__all__ = ["import_sizes"]


def import_sizes(
    source: str | os.PathLike[str] | bytes,
    protection: Protection,
    *,
    dry_run: bool = False,
    overwrite: bool = False,
) -> Plan:
    """Fill in what exams do not know of their patient's size.

    Parameters
    ----------
    source : path or bytes
        CSV; see `dose_audit.extract.patient_size`.
    protection : Protection
        Its key joins patient and accession numbers of the list to the keyed hashes in the store.
    dry_run : bool
        Only say what would change.
    overwrite : bool
        Replace sizes that exams have.

    Returns
    -------
    Plan
        What changes, which rows matched nothing, which were refused and why.
    """
    rows, refused = read_sizes(source, pseudonym_key=protection.key)
    plan = plan_sizes(rows, lambda row: _exams(row, protection), refused=refused, overwrite=overwrite)
    if not dry_run and plan.changes:
        now = dt.datetime.now(dt.UTC)
        with transaction.atomic():
            for change in plan.changes:
                given = {"given_height_m": change.height_m, "given_weight_kg": change.weight_kg}
                values = {name: value for name, value in given.items() if value is not None}
                Exam.objects.filter(pk=change.exam_id).update(updated_at=now, estimated_with=None, **values)
    return plan


def _exams(row: SizeRow, protection: Protection) -> list[ExamSize]:
    key = row.key
    if row.by == "accession_number" and not protection.keep_identifiers:
        key = keyed_hash(key, protection.key, "accession") or ""
    return [
        ExamSize(
            exam.pk,
            exam.study_date,
            exam.height_m if exam.given_height_m is None else exam.given_height_m,
            exam.weight_kg if exam.given_weight_kg is None else exam.given_weight_kg,
        )
        for exam in Exam.objects.filter(**{row.by: key})
    ]
