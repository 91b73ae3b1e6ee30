"""The way back: the JSON of an exam record to its dataclasses, so that a stored exam can be merged again."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from dose_audit.extract.codes import Code
from dose_audit.extract.errors import ReadError
from dose_audit.extract.exam import AdministrationEvent, CtEvent, Event, Exam, ProjectionEvent

__all__ = ["from_record"]

EVENT_TYPES: dict[str, type[Event]] = {
    "ct": CtEvent,
    "projection": ProjectionEvent,
    "administration": AdministrationEvent,
}
"""What ``type`` of an event's JSON object means."""

_CODE_KEYS = {"value", "scheme", "meaning"}


def from_record(record: dict[str, Any]) -> Exam:
    """Rebuild the exam that `as_record` wrote.

    Parameters
    ----------
    record : dict
        One JSON object of ``dose-audit extract --json``.

    Returns
    -------
    Exam
        ``as_record`` of it equals `record` again. What is no named field goes to ``extra``.

    Raises
    ------
    ReadError
        When it is no exam record: no object, or an event without a known ``type``.

    Examples
    --------
    >>> from dose_audit.extract.exam import as_record
    >>> exam = Exam(modality="CT", events=[CtEvent(ctdi_vol_mgy=7.2)])
    >>> from_record(as_record(exam)) == exam
    True
    """
    if not isinstance(record, dict):
        raise ReadError("an exam record is a JSON object")
    return _build(Exam, record)


def _build(cls: type, record: dict[str, Any]) -> Any:
    known = _hints(cls)
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in record.items():
        if name == "events" and cls is Exam:
            values[name] = [_event(item) for item in value]
        elif name in known:
            values[name] = _read(known[name], value)
        else:
            extra[name] = _plain(value)
    built = cls(**values)
    if extra:
        if not hasattr(built, "extra"):
            raise ReadError(f"{cls.__name__} has no field {sorted(extra)[0][:40]!r}")
        built.extra = extra
    return built


def _event(record: Any) -> Event:
    cls = EVENT_TYPES.get(str(record.get("type"))) if isinstance(record, dict) else None
    if cls is None:
        raise ReadError("an event without a known type")
    return _build(cls, record)


def _read(hint: Any, value: Any) -> Any:
    """Bring one JSON value to the type that its field declares."""
    if value is None:
        return None
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _read(next(part for part in get_args(hint) if part is not type(None)), value)
    if origin is list and isinstance(value, list):
        (item,) = get_args(hint)
        return [_read(item, entry) for entry in value]
    if hint is Code and isinstance(value, dict):
        return _code(value)
    if isinstance(value, dict) and is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value)
    return _plain(value)


def _plain(value: Any) -> Any:
    """What stands in ``extra``: a dictionary with exactly the three keys of a code is a code."""
    if isinstance(value, dict):
        return _code(value) if set(value) == _CODE_KEYS else {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _code(value: dict[str, Any]) -> Code:
    return Code(value.get("value") or "", value.get("scheme") or "", value.get("meaning") or "")


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {part.name: hints[part.name] for part in fields(cls) if part.name != "extra"}
