"""The way back out: a stored exam as the exam record that it was written from."""

from __future__ import annotations

import json
from typing import Any

from dose_audit.store.models import Event, Exam
from dose_audit.store.rows import EVENT_COLUMNS

__all__ = ["exam_record"]

_NOT_FIELDS = {"event_index", "utc_offset", "started_at", "rest", "target_region", "view"}
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
    record = dict(_plain(exam.record))
    events = [_event(event) for event in Event.objects.filter(exam=exam).order_by("event_index")]
    if events:
        record["events"] = events
    return record


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
