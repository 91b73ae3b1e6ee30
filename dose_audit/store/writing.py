"""Writes what was read from received objects: parts in, exams and events out, in any order, by any number of writers.

An exam is always merged anew from all parts of its study; slices were folded into one part each time they came
(`folding`). A batch is computed from a snapshot without holding a lock; then, in one short transaction, its studies are
locked, the snapshot is checked, and the rows are written. Where another writer was faster the batch is computed again.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError, connection, transaction

import dose_audit
from dose_audit.extract.exam import Exam, Warning
from dose_audit.store.compact import clean_text
from dose_audit.store.devices import Devices, site_on, sites_in_force
from dose_audit.store.folding import SLICE, mark_superseded, members_of, needs_every_slice
from dose_audit.store.identity import Protection
from dose_audit.store.models import DoseEstimate, Event, ReceivedObject
from dose_audit.store.models import Exam as ExamRow
from dose_audit.store.parts import (
    COUNTING,
    Fate,
    Part,
    ReceivedPart,
    admit,
    prepare,
    refuse,
    settle_conflicts,
)
from dose_audit.store.places import where
from dose_audit.store.rows import EVENT_COLUMNS, EXAM_COLUMNS, event_row, exam_values
from dose_audit.store.sql import delete_in, insert, lock_studies, select_in, utc_text

__all__ = ["Fate", "IngestResult", "ReceivedPart", "Writer"]

log = logging.getLogger(__name__)

_EXAM = ExamRow._meta.db_table
_EVENT = Event._meta.db_table
_ESTIMATE = DoseEstimate._meta.db_table
_RECEIVED = ReceivedObject._meta.db_table
_ATTEMPTS = 8

_EXAM_ROW = (
    *EXAM_COLUMNS,
    "site_id",
    "received_site",
    "equipment_id",
    "received_at",
    "updated_at",
    "unit_slips",
    "estimated_with",
    "peak_skin_dose_mgy",
)
_INSERT_EXAM = insert(_EXAM, _EXAM_ROW, key=("study_instance_uid",), keep=("unit_slips",))
_INSERT_EVENT = insert(_EVENT, ("exam_id", *EVENT_COLUMNS))
_SOFTWARE, _STUDY_DATE = EXAM_COLUMNS.index("software_versions"), EXAM_COLUMNS.index("study_date")
_RECEIVED_ROW = (
    "sop_instance_uid", "sha256", "sop_class_uid", "study_instance_uid", "station_name", "site", "source", "kind",
    "state", "reason", "size_bytes", "received_at", "updated_at", "engine_version", "part", "spool_id", "copies",
)  # fmt: skip
_INSERT_RECEIVED = insert(
    _RECEIVED,
    _RECEIVED_ROW,
    key=("sop_instance_uid", "sha256"),
    keep=("spool_id", "received_at", "source", "site"),
)
_RESTATE = (
    f"UPDATE {_RECEIVED} SET state = %s, reason = %s, kind = %s, copies = %s, part = COALESCE(%s, part), "
    "updated_at = %s WHERE sop_instance_uid = %s AND sha256 = %s"
)
_SNAPSHOT = (
    "sop_instance_uid, sha256, received_at, site, state, study_instance_uid, "
    "spool_id, copies, kind, station_name, reason, updated_at"
)


# The database itself fails (gone, full, not migrated): no object is to blame, none is quarantined.
_DATABASE = (OperationalError, ProgrammingError, InterfaceError, InternalError)


class _Overtaken(Exception):
    """Another writer changed one of the studies between snapshot and lock."""


class _EverySlice(Exception):
    """What a batch changes concerns slices that were folded, so that all of them have to be looked at."""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a batch.

    Attributes
    ----------
    fates : list of Fate
        One for each part that was given, in that order.
    moved : list of Fate
        Objects of earlier batches whose state changed because of this one.
    equipment : set of int
        Devices whose exams were written.
    """

    fates: list[Fate]
    moved: list[Fate]
    equipment: set[int]


@dataclass(slots=True)
class _ExamRows:
    study: str
    values: list[Any]
    events: list[list[Any]]
    equipment: int
    received_site: str | None
    received_at: str


class Writer:
    """Writes batches of parts to the store; keeps what it has learnt about devices between batches.

    Parameters
    ----------
    protection : Protection
        How identifiers are treated.
    merge : callable, optional
        ``merge_parts`` of the extract room by default.

    Notes
    -----
    Django must be set up. One writer belongs to one thread and one database.
    """

    def __init__(self, protection: Protection, *, merge: Callable[[Sequence[Exam]], Exam] | None = None) -> None:
        if merge is None:
            from dose_audit.extract.merge import merge_parts

            merge = merge_parts
        self._merge: Callable[[Sequence[Exam]], Exam] = merge
        self._protection = protection
        self._devices = Devices()

    def ingest_parts(self, parts: Iterable[ReceivedPart]) -> IngestResult:
        """Write a batch. Safe to repeat, in any order, by several processes at once.

        Parameters
        ----------
        parts : iterable of ReceivedPart
            A few hundred at a time; their exams are changed (identifiers removed).

        Returns
        -------
        IngestResult

        Raises
        ------
        django.db.Error
            The database itself cannot be written; nothing of the batch was.

        Notes
        -----
        The batch is one transaction. Where that fails for any reason but the database's, each study is written in a
        transaction of its own, and a study that still fails has its new objects quarantined with the place in our code.
        """
        batch = [prepare(part, self._protection) for part in parts]
        try:
            return self._write(batch)
        except _DATABASE:
            raise
        except Exception as error:  # noqa: BLE001  one study must not take the batch with it
            log.warning("A batch of %d objects is written study by study: %s", len(batch), where(error))
        by_study: dict[str | None, list[int]] = {}
        for number, part in enumerate(batch):
            part.exam = None  # merging may have changed it; its text is as it was
            by_study.setdefault(part.study, []).append(number)
        fates: list[Fate] = [part.fate for part in batch]
        moved: list[Fate] = []
        equipment: set[int] = set()
        for numbers in by_study.values():
            result = self._write_study([batch[number] for number in numbers])
            moved.extend(result.moved)
            equipment |= result.equipment
            for number, fate in zip(numbers, result.fates, strict=True):
                fates[number] = fate
        return IngestResult(fates, moved, equipment)

    def _write_study(self, parts: list[Part]) -> IngestResult:
        try:
            return self._write(parts)
        except _DATABASE:
            raise
        except Exception as error:  # noqa: BLE001  said in the ledger instead
            reason = f"cannot be stored: {where(error)}"
            log.warning("%d objects of one study are quarantined: %s", len(parts), reason)
            for part in parts:
                refuse(part, reason)
            return self._write(parts)

    def _write(self, batch: list[Part]) -> IngestResult:
        every_slice = False
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            # Every attempt starts from what was read: an attempt changes states and may change exams.
            fresh = [replace(part, copies=[], exam=None if attempt else part.exam) for part in batch]
            try:
                return self._write_once(fresh, every_slice)
            except _EverySlice:
                every_slice = True
            except _Overtaken:
                if last:
                    raise
            except OperationalError as error:
                if last or not _is_passing(error):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _write_once(self, batch: list[Part], every_slice: bool) -> IngestResult:
        known = _snapshot(batch, every_slice)
        if not every_slice and needs_every_slice(batch, known):
            raise _EverySlice
        before = {(part.sop, part.sha256, part.stored, part.changed_at) for part in known}
        objects = {(part.sop, part.sha256): part for part in known}
        standing = [admit(part, objects) for part in batch]
        settle_conflicts(objects.values())

        touched = {study for part in objects.values() if _is_new(part) for study in _studies(part)}
        members: dict[str, list[Part]] = {study: [] for study in touched}
        for part in objects.values():
            folded = part.kind == SLICE and part.incoming is None and not every_slice
            if part.study in members and part.text is not None and part.state in COUNTING and not folded:
                members[part.study].append(part)
        rows = [self._merged(study, parts, every_slice) for study, parts in sorted(members.items()) if parts]
        gone = sorted(study for study, parts in members.items() if not parts)
        self._devices.note_software((row.equipment, row.values[_SOFTWARE], row.values[_STUDY_DATE]) for row in rows)
        exams = self._exam_rows(rows)

        with transaction.atomic():
            lock_studies([key for part in objects.values() for key in (part.sop, *_studies(part))])
            now = _snapshot(batch, every_slice, with_text=False)
            if {(part.sop, part.sha256, part.stored, part.changed_at) for part in now} != before:
                raise _Overtaken
            _write_exams(rows, exams, gone)
            _write_objects([part for part in objects.values() if _has_changed(part)])
        return IngestResult(
            fates=[
                Fate(part.spool_id, "duplicate", "the same object came before") if stands is None
                else stands.fate_of(part.spool_id)
                for part, stands in zip(batch, standing, strict=True)
            ],
            moved=[
                part.fate for part in known
                if not part.incoming and part.stored and part.stored[0] != part.state and part.spool_id is not None
            ],
            equipment={row.equipment for row in rows},
        )  # fmt: skip

    def _merged(self, study: str, parts: list[Part], every_slice: bool) -> _ExamRows:
        members = members_of(parts, every_slice=every_slice)
        # The study's only object: merging leaves its events as they were told, in another order at most.
        rests = parts[0].rests if len(parts) == 1 and not members[0].of_slices else None
        told = {id(event): rest for event, rest in zip(members[0].exam.events, rests or (), strict=False)}
        brought = [(bool(m.exam.events), m.exam.sources[0].series_instance_uid) for m in members]
        exam = self._merge([member.exam for member in members])
        for sop in (sop for member in members for sop in member.newest):
            message = "several versions of one object: the newest counts"
            exam.warnings.append(Warning("object_versions", message, None, sop))
        if len(members) > 1:
            mark_superseded(members, brought, exam)
            if not every_slice and any(member.of_slices and _has_moved(member.parts) for member in members):
                raise _EverySlice
        return _ExamRows(
            study=study,
            values=exam_values(exam, study),
            events=[event_row(event, told.get(id(event))) for event in exam.events],
            equipment=self._devices.resolve(exam.equipment),
            received_site=next((member.site for member in members if member.site), None),
            received_at=members[0].received_at,
        )

    def _exam_rows(self, rows: list[_ExamRows]) -> list[list[Any]]:
        registered = sites_in_force(row.equipment for row in rows) if rows else {}
        now = utc_text(dt.datetime.now(dt.UTC))
        full = []
        for row in rows:
            site = site_on(registered.get(row.equipment, ()), row.values[_STUDY_DATE])
            site = site or self._devices.site(row.received_site)
            full.append([*row.values, site, row.received_site, row.equipment, row.received_at, now, "[]", None, None])
        return full


def _is_new(part: Part) -> bool:
    """Whether the exam has to be merged again on account of this object; one more copy changes no exam."""
    return part.incoming is not None or part.stored is None or part.standing[:3] != part.stored[:3]


def _has_moved(parts: Iterable[Part]) -> bool:
    """Whether stored objects among these have another state now."""
    return any(part.stored is not None and part.stored[0] != part.state for part in parts)


def _has_changed(part: Part) -> bool:
    """Whether an object's row has to be written."""
    return part.incoming is not None or part.rewritten or part.standing != part.stored


def _studies(part: Part) -> set[str]:
    """The study that an object belongs to, and the one that it belonged to before it was read again."""
    return {study for study in (part.study, part.stored and part.stored[2]) if study}


def _snapshot(batch: list[Part], every_slice: bool, *, with_text: bool = True) -> list[Part]:
    """What the store has that matters to the batch: the same objects and the objects of their studies.

    Without `every_slice` those that were folded are left out, however many they are.
    """
    sops = sorted({part.sop for part in batch})
    studies = {part.study for part in batch if part.study}
    columns = f"{_SNAPSHOT}, part" if with_text else f"{_SNAPSHOT}, NULL"
    unfolded = "" if every_slice else f"AND (kind IS NULL OR kind <> '{SLICE}')"
    rows = select_in(columns, _RECEIVED, [("sop_instance_uid", sops)])
    asked: set[str] = set()
    while studies := (studies | {row[5] for row in rows if row[5]}) - asked:
        rows += select_in(columns, _RECEIVED, [("study_instance_uid", sorted(studies))], unfolded)
        asked |= studies
    parts = {}
    for row in rows:
        part = Part(
            sop=row[0],
            sha256=row[1],
            received_at=row[2] if isinstance(row[2], str) else utc_text(row[2]),
            site=row[3],
            state=row[4],
            study=row[5],
            spool_id=row[6],
            copies=json.loads(row[7]),
            kind=row[8],
            station=row[9],
            reason=row[10],
            changed_at=row[11] if isinstance(row[11], str) else utc_text(row[11]),
            text=row[12],
        )
        part.stored = part.standing
        parts[(part.sop, part.sha256)] = part  # two slices of a long list may name one row
    return list(parts.values())


def _write_exams(rows: list[_ExamRows], exams: list[list[Any]], gone: list[str]) -> None:
    studies = [row.study for row in rows]
    with connection.cursor() as cursor:
        if exams:
            cursor.executemany(_INSERT_EXAM, exams)
        ids = dict(select_in("study_instance_uid, id", _EXAM, [("study_instance_uid", [*studies, *gone])]))
        delete_in(_EVENT, "exam_id", list(ids.values()))
        events = [[ids[row.study], *event] for row in rows for event in row.events]
        if events:
            cursor.executemany(_INSERT_EVENT, events)
    if gone:
        delete_in(_ESTIMATE, "exam_id", [ids[study] for study in gone if study in ids])
        delete_in(_EXAM, "study_instance_uid", gone)


def _write_objects(parts: list[Part]) -> None:
    now = utc_text(dt.datetime.now(dt.UTC))
    written, restated = [], []
    for part in parts:
        received, copies = part.incoming, json.dumps(part.copies)
        if received is None:
            text = part.text if part.rewritten else None
            restated.append((part.state, part.reason, part.kind, copies, text, now, part.sop, part.sha256))
            continue
        written.append(
            (
                part.sop, part.sha256, clean_text(received.sop_class_uid, 64), part.study, part.station, part.site,
                clean_text(received.source, 200), part.kind, part.state, part.reason, received.size_bytes,
                part.received_at, now, dose_audit.__version__, part.text, part.spool_id, copies,
            )
        )  # fmt: skip
    with connection.cursor() as cursor:
        if written:
            cursor.executemany(_INSERT_RECEIVED, written)
        if restated:
            cursor.executemany(_RESTATE, restated)


def _is_passing(error: OperationalError) -> bool:
    """Locked, deadlocked or not serialisable: worth another try."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) in ("40001", "40P01", "55P03") or "locked" in str(cause).lower()
