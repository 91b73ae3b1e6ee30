"""Dose estimates in the store: which exams wait for theirs, and how the results of a version are kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.utils import timezone

from dose_audit.extract.exam import Exam as ExamRecord
from dose_audit.extract.records import from_record
from dose_audit.measured import Measured
from dose_audit.store.models import DoseEstimate, Event, Exam
from dose_audit.store.reading import ct_exam, record_with
from dose_audit.store.sql import chunks

__all__ = [
    "ALGORITHM_VERSION",
    "Estimate",
    "Estimated",
    "WaitingExam",
    "ask_again",
    "keep_estimates",
    "take_waiting",
    "waiting",
]

ALGORITHM_VERSION = "6"
"""Raise it when a formula or constant of dosimetry changes; ``dose-audit dosimetry recompute`` then puts new beside old."""

# Estimates that have a column of their event, and the statuses with which they are shown there. A glandular dose is
# suspect when it disagrees with the machine's, which is what it is looked at for.
_SHOWN = {
    "ssde": ("computed_ssde_mgy", ("ok",)),
    "mean_glandular_dose": ("computed_mgd_mgy", ("ok", "suspect")),
    "water_equivalent_diameter": ("computed_wed_mm", ("ok",)),
}
_SKIN = "peak_skin_dose"  # suspect or not: a level that it reaches asks for the look that a suspect value needs


@dataclass(frozen=True, slots=True)
class WaitingExam:
    """A stored exam that has no estimates, or none of what it has become.

    Attributes
    ----------
    id, equipment : int
    updated_at : datetime
        When it was last written: estimates are kept only if it has not been since.
    study_date : date or None
    exam : Exam
        Its record, with the device's registered modality and the patient's size as a list of sizes gave it.
    """

    id: int
    equipment: int
    updated_at: dt.datetime
    study_date: dt.date | None
    exam: ExamRecord


@dataclass(frozen=True, slots=True)
class Estimate:
    """One result for one event, or (`event_index` None) for the exam; `raw_value` without its calibration."""

    result: Measured
    event_index: int | None = None
    raw_value: float | None = None
    calibration: int | None = None


@dataclass(frozen=True, slots=True)
class Estimated:
    """All results for one exam."""

    waiting: WaitingExam
    estimates: tuple[Estimate, ...]


def waiting() -> int:
    """How many exams wait for their estimates."""
    return Exam.objects.filter(estimated_with__isnull=True).count()


def take_waiting(limit: int, *, after: int = 0, last: int | None = None) -> list[WaitingExam]:
    """Exams that wait, in the order of their number.

    Parameters
    ----------
    limit : int
    after : int
        Only exams with higher numbers.
    last : int, optional
        Only exams up to this number.
    """
    rows = Exam.objects.filter(estimated_with__isnull=True, id__gt=after).select_related("equipment")
    if last is not None:
        rows = rows.filter(id__lte=last)
    exams = list(rows.defer("record").order_by("id")[:limit])
    whole = [exam.pk for exam in exams if exam.modality != "CT"]
    records = dict(Exam.objects.filter(pk__in=whole).values_list("id", "record"))
    for exam in exams:
        if exam.pk in records:
            exam.record = records[exam.pk]
    events: dict[int, list[Event]] = {exam.pk: [] for exam in exams}
    for event in Event.objects.filter(exam_id__in=list(events)).order_by("exam_id", "event_index"):
        events[event.exam_id].append(event)
    return [_waiting(exam, events[exam.pk]) for exam in exams]


def _waiting(row: Exam, events: Sequence[Event]) -> WaitingExam:
    exam = ct_exam(row, events) if row.modality == "CT" else from_record(record_with(row, events))
    exam.modality = row.equipment.modality_override or exam.modality
    if row.given_weight_kg is not None:
        exam.patient.weight_kg = row.given_weight_kg
    if row.given_height_m is not None:
        exam.patient.height_m = row.given_height_m
    return WaitingExam(row.pk, row.equipment_id, row.updated_at, row.study_date, exam)


def keep_estimates(done: Iterable[Estimated]) -> int:
    """Store the results of several exams, each only if its exam is still what was looked at.

    Parameters
    ----------
    done : iterable of Estimated

    Returns
    -------
    int
        Exams whose results were kept; the others wait again.

    Notes
    -----
    Results of the same algorithm version are replaced, those of others stay and are no longer current.
    """
    done = list(done)
    now = timezone.now()
    with transaction.atomic():
        written: dict[int, dt.datetime] = {}
        for part in chunks([item.waiting.id for item in done]):
            written.update(Exam.objects.select_for_update().filter(pk__in=part).values_list("id", "updated_at"))
        kept = [item for item in done if written.get(item.waiting.id) == item.waiting.updated_at]
        for part in chunks([item.waiting.id for item in kept]):
            # A new moment, so that the columnar copy is made anew for these exams.
            Exam.objects.filter(pk__in=part).update(estimated_with=ALGORITHM_VERSION, updated_at=now)
            DoseEstimate.objects.filter(exam_id__in=part, algorithm_version=ALGORITHM_VERSION).delete()
            DoseEstimate.objects.filter(exam_id__in=part, current=True).update(current=False)
        rows = [_row(item.waiting.id, estimate, now) for item in kept for estimate in item.estimates]
        DoseEstimate.objects.bulk_create(rows, batch_size=500)
        _show_to_audit(kept)
    return len(kept)


def _show_to_audit(kept: Sequence[Estimated]) -> None:
    """Put the values that the audit reads into the columns of their exams and events."""
    events: dict[tuple[int, int], dict[str, float]] = {}
    skin: dict[int, float] = {}
    for item in kept:
        for estimate in item.estimates:
            result, index = estimate.result, estimate.event_index
            if result.name == _SKIN and result.value is not None:
                skin[item.waiting.id] = result.value
            column, statuses = _SHOWN.get(result.name, ("", ()))
            if column and index is not None and result.value is not None and result.status in statuses:
                events.setdefault((item.waiting.id, index), {})[column] = result.value
    columns = tuple(column for column, _ in _SHOWN.values())
    for part in chunks([item.waiting.id for item in kept]):
        Exam.objects.filter(pk__in=part, peak_skin_dose_mgy__isnull=False).update(peak_skin_dose_mgy=None)
        empty = {f"{column}__isnull": True for column in columns}
        Event.objects.filter(exam_id__in=part).exclude(**empty).update(**dict.fromkeys(columns))
    with connection.cursor() as cursor:
        if skin:
            cursor.executemany(
                f"UPDATE {Exam._meta.db_table} SET peak_skin_dose_mgy = %s WHERE id = %s",
                [(value, exam) for exam, value in skin.items()],
            )
        if events:
            assigned = ", ".join(f"{column} = %s" for column in columns)
            cursor.executemany(
                f"UPDATE {Event._meta.db_table} SET {assigned} WHERE exam_id = %s AND event_index = %s",
                [(*map(values.get, columns), *at) for at, values in events.items()],
            )


def _row(exam: int, estimate: Estimate, now: dt.datetime) -> DoseEstimate:
    result = estimate.result
    return DoseEstimate(
        exam_id=exam,
        event_index=estimate.event_index,
        quantity=result.name,
        value=result.value,
        unit=result.unit,
        uncertainty=result.uncertainty,
        status=result.status,
        reason=result.reason,
        method=result.method,
        raw_value=estimate.raw_value,
        calibration_id=estimate.calibration,
        algorithm_version=ALGORITHM_VERSION,
        made_at=now,
    )


def ask_again(
    *,
    every: bool = False,
    equipment: int | None = None,
    since: dt.date | None = None,
    until: dt.date | None = None,
) -> int:
    """Have estimates made again.

    Parameters
    ----------
    every : bool
        Also those that today's version made.
    equipment : int, optional
        Of this device alone.
    since, until : date, optional
        First and last study date, both included.

    Returns
    -------
    int
        How many exams wait for that.
    """
    exams = Exam.objects.filter(estimated_with__isnull=False)
    if not every:
        exams = exams.exclude(estimated_with=ALGORITHM_VERSION)
    if equipment is not None:
        exams = exams.filter(equipment_id=equipment)
    if since is not None:
        exams = exams.filter(study_date__gte=since)
    if until is not None:
        exams = exams.filter(study_date__lte=until)
    return exams.update(estimated_with=None)
