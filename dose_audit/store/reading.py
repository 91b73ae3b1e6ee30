"""The way back out: a stored exam as the exam record that it was written from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dose_audit.extract.codes import Code
from dose_audit.extract.exam import CtEvent, CtSource, Patient
from dose_audit.extract.exam import Exam as ExamRecord
from dose_audit.store.models import Event, Exam
from dose_audit.store.rows import CODES, EVENT_COLUMNS

__all__ = ["ct_exam", "exam_record", "record_with"]

_NOT_FIELDS = {"event_index", "utc_offset", "started_at", "rest", *CODES}
_FIELDS = tuple(name for name in EVENT_COLUMNS if name not in _NOT_FIELDS)


def exam_record(exam: Exam) -> dict[str, Any]:
    """Exam record (without its nulls) of a stored exam; ``dose_audit.extract.from_record`` reads it.

    Parameters
    ----------
    exam : Exam
        A row of the store.

    Returns
    -------
    dict
        The contract's names; ``extra`` of an exam and of its events stands beside the named fields.
    """
    return record_with(exam, Event.objects.filter(exam=exam).order_by("event_index"))


def record_with(exam: Exam, events: Iterable[Event]) -> dict[str, Any]:
    """Exam record of a stored exam whose events, in their order, are at hand."""
    record = dict(_plain(exam.record))
    told = [_event(event) for event in events]
    if told:
        record["events"] = told
    return record


def ct_exam(exam: Exam, events: Iterable[Event]) -> ExamRecord:
    """What the columns of a stored CT exam say: a tenth of the work of reading its whole record.

    Returns
    -------
    Exam
        Patient, modality and of each event dose, phantom, lengths, size, tube voltage and coded anatomy.
    """
    patient = Patient(
        sex=exam.sex,
        age_years=exam.age_years,
        weight_kg=exam.weight_kg,
        height_m=exam.height_m,
        is_phantom=exam.is_phantom,
    )
    return ExamRecord(modality=exam.modality, patient=patient, events=[_ct_event(event) for event in events])


def _ct_event(event: Event) -> CtEvent:
    rest = _plain(event.rest)
    return CtEvent(
        index=event.event_index,
        irradiation_event_uid=event.irradiation_event_uid,
        acquisition_protocol=event.acquisition_protocol,
        reason=event.reason,
        target_region=_code(rest.get("target_region")),
        anatomical_structure=_code(rest.get("anatomical_structure")),
        ct_acquisition_type=event.ct_acquisition_type,
        ctdi_vol_mgy=event.ctdi_vol_mgy,
        ctdi_phantom=event.ctdi_phantom,
        dlp_mgy_cm=event.dlp_mgy_cm,
        scanning_length_mm=event.scanning_length_mm,
        water_equivalent_diameter_mm=event.water_equivalent_diameter_mm,
        ssde_mgy=event.ssde_mgy,
        size_method=rest.get("size_method"),
        sources=[] if event.kvp_kv is None else [CtSource(kvp_kv=event.kvp_kv)],
    )


def _code(record: dict[str, str] | None) -> Code | None:
    return Code(**record) if record else None


def _event(event: Event) -> dict[str, Any]:
    record: dict[str, Any] = {"index": event.event_index}
    for name in _FIELDS:
        value = getattr(event, name)
        if value is not None and not (name == "kvp_kv" and event.type == "ct"):  # a CT's kVp is its first source's
            record[name] = value
    if event.started_at is not None:
        record["started_at"] = event.started_at.isoformat() + (event.utc_offset or "")
    record.update(_plain(event.rest))
    return record


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
