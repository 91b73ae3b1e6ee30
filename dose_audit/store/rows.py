"""Exams and events as database rows: which column takes which value, in the order of the insert statements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from dose_audit.extract.codes import Code, key
from dose_audit.extract.exam import AdministrationEvent, CtEvent, Exam, ProjectionEvent
from dose_audit.store.compact import clean_text, dump, record_text

__all__ = ["CODES", "EVENT_COLUMNS", "EXAM_COLUMNS", "code_text", "event_row", "exam_values", "local_time"]

EXAM_COLUMNS = (
    "study_instance_uid", "software_versions", "accession_number", "study_datetime", "study_date", "utc_offset",
    "modality", "study_description", "requested_procedure_description", "procedure_codes", "requested_procedure_codes",
    "acquisition_protocols", "target_regions", "source_kinds", "warning_codes", "sex", "age_years", "weight_kg",
    "height_m", "pseudonym", "is_phantom", "is_phantom_reason", "ct_dlp_mgy_cm", "events_ct_dlp_mgy_cm",
    "ct_dlp_head_16cm_mgy_cm", "ct_dlp_body_32cm_mgy_cm", "kap_gy_cm2", "events_kap_gy_cm2", "dose_rp_mgy",
    "fluoro_time_s", "agd_left_mgy", "agd_right_mgy", "administered_activity_mbq", "event_count", "record",
)  # fmt: skip
"""Columns that `exam_values` fills, in its order; the writer adds site, equipment and times of reception."""

_TEXTS = (
    "irradiation_event_uid", "acquisition_protocol", "laterality", "reason", "ct_acquisition_type", "ctdi_phantom",
    "plane", "irradiation_event_type",
)  # fmt: skip
CODES = ("target_region", "anatomical_structure", "view", "radiopharmaceutical")
_NUMBERS = (
    "ctdi_vol_mgy", "dlp_mgy_cm", "scanning_length_mm", "kvp_kv", "kap_gy_cm2", "dose_rp_mgy", "agd_mgy",
    "compression_thickness_mm", "exposure_index", "target_exposure_index", "deviation_index", "exposure_mas",
    "water_equivalent_diameter_mm", "ssde_mgy", "administered_activity_mbq",
)  # fmt: skip
EVENT_COLUMNS = ("event_index", "type", "started_at", "utc_offset", *_TEXTS, *CODES, *_NUMBERS, "rest")
"""Columns that `event_row` fills, in its order, after the exam's id."""

# A code's meaning has no column, so codes stay in ``rest`` as well; so does a time that is no complete date and time.
_IN_COLUMNS = frozenset({"index", "type", *_TEXTS, *_NUMBERS})
_WITH_TIME = _IN_COLUMNS | {"started_at"}


def _getter(kind: type, names: tuple[str, ...]) -> Callable[[Any], list[Any]]:
    """Values of `names` of an event of this kind, None for those it does not have."""
    known = {part.name for part in fields(kind)}
    positions = [index for index, name in enumerate(names) if name in known]
    present = [names[position] for position in positions]
    # Asking for one name more keeps attrgetter from returning a bare value where a kind has a single column.
    read = attrgetter(*present, "index")
    width = len(names)

    def values(event: Any) -> list[Any]:
        row: list[Any] = [None] * width
        for position, value in zip(positions, read(event), strict=False):
            row[position] = value
        return row

    return values


_GETTERS = {
    kind: (_getter(kind, _TEXTS), _getter(kind, _NUMBERS)) for kind in (CtEvent, ProjectionEvent, AdministrationEvent)
}
_KVP = _NUMBERS.index("kvp_kv")


def exam_values(exam: Exam, study_key: str) -> list[Any]:
    """Values of `EXAM_COLUMNS` for one merged exam.

    Parameters
    ----------
    exam : Exam
        As merged from all parts of the study.
    study_key : str
        Study Instance UID, or what stands for it.
    """
    totals, patient = exam.totals, exam.patient
    moment, day, offset = local_time(exam.study_datetime)
    phantoms = totals.ct_dlp_by_phantom_mgy_cm
    agd = {**totals.events_agd_mgy, **totals.agd_mgy}
    return [
        study_key,
        clean_text(exam.equipment.software_versions),
        clean_text(exam.accession_number),
        moment,
        day,
        offset,
        clean_text(exam.modality),
        clean_text(exam.study_description),
        clean_text(exam.requested_procedure_description),
        _codes(exam.procedure_codes),
        _codes(exam.requested_procedure_codes),
        _distinct(event.acquisition_protocol for event in exam.events),
        _distinct(code_text(event.target_region) for event in exam.events),
        _distinct(source.kind for source in exam.sources),
        _distinct(warning.code for warning in exam.warnings),
        clean_text(patient.sex),
        patient.age_years,
        patient.weight_kg,
        patient.height_m,
        patient.pseudonym,
        bool(patient.is_phantom),
        clean_text(patient.is_phantom_reason),
        totals.ct_dlp_mgy_cm,
        totals.events_ct_dlp_mgy_cm,
        phantoms.get("head_16cm"),
        phantoms.get("body_32cm"),
        totals.kap_gy_cm2,
        totals.events_kap_gy_cm2,
        totals.dose_rp_mgy,
        totals.fluoro_time_s,
        agd.get("left"),
        agd.get("right"),
        totals.administered_activity_mbq,
        len(exam.events),
        record_text(exam, EVENTS),
    ]


EVENTS = frozenset({"events"})


def event_rest(event: Any) -> frozenset[str]:
    """Fields of an event that have a column, so that ``rest`` leaves them out."""
    return _WITH_TIME if event.started_at and local_time(event.started_at)[0] else _IN_COLUMNS


def event_row(event: Any, rest: str | None = None) -> list[Any]:
    """Values of `EVENT_COLUMNS` for one event; `rest` is its record without `event_rest`, where that is known."""
    texts, numbers = _GETTERS[type(event)]
    moment, _, offset = local_time(event.started_at)
    values = numbers(event)
    if event.type == "ct" and event.sources:
        values[_KVP] = event.sources[0].kvp_kv
    return [
        event.index,
        event.type,
        moment,
        offset,
        *[clean_text(text) if text is not None else None for text in texts(event)],
        *[code_text(getattr(event, name, None)) for name in CODES],
        *values,
        record_text(event, _WITH_TIME if moment else _IN_COLUMNS) if rest is None else rest,
    ]


@lru_cache(maxsize=1024)
def local_time(text: str | None) -> tuple[str | None, str | None, str | None]:
    """Split ISO text into local date-time (both databases read it), date, and the offset as sent.

    Examples
    --------
    >>> local_time("2024-03-05T07:08:09+01:00")
    ('2024-03-05 07:08:09', '2024-03-05', '+01:00')
    >>> local_time("2024-03-05")
    (None, '2024-03-05', None)
    >>> local_time(None)
    (None, None, None)
    """
    if not text:
        return None, None, None
    try:
        if len(text) <= 10:
            return None, dt.date.fromisoformat(text).isoformat(), None
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None, None, None
    naive = moment.replace(tzinfo=None).isoformat(" ")
    return naive, naive[:10], moment.isoformat()[len(naive) :] or None


@lru_cache(maxsize=4096)
def code_text(code: Code | None) -> str | None:
    """``scheme:value`` of a concept; retired spellings are folded, so that one concept is one text."""
    if code is None:
        return None
    scheme, value = key(code)
    return clean_text(f"{scheme}:{value}")


def _codes(codes: list[Code]) -> str:
    return _distinct(map(code_text, codes)) if codes else "[]"


def _distinct(texts: Iterable[str | None]) -> str:
    """JSON list of the distinct texts, sorted, so that equal exams give equal rows."""
    return _listed(frozenset(texts))


# A device's exams repeat the same few sets of protocols, regions, kinds and warnings.
@lru_cache(maxsize=4096)
def _listed(texts: frozenset[str | None]) -> str:
    found = {cleaned for text in texts if text and (cleaned := clean_text(text))}
    return dump(sorted(found)) if found else "[]"
