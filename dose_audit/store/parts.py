"""What one received object brings to its study, and how the objects of a study stand to each other. No SQL here."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from dose_audit.extract.exam import Exam
from dose_audit.store.compact import clean_text, cleaned, load, record_text, record_texts
from dose_audit.store.identity import Protection, protect
from dose_audit.store.places import where
from dose_audit.store.rows import EVENTS, event_rest
from dose_audit.store.sql import utc_text
from dose_audit.texts import is_clean_json

__all__ = [
    "Fate",
    "Part",
    "ReceivedPart",
    "admit",
    "prepare",
    "refuse",
    "settle_conflicts",
]

COUNTING = ("extracted", "superseded")
"""States of an object whose part is merged into its exam."""

NEWEST = "newest of several objects with one SOP Instance UID"
_OLDER = "a newer object has the same SOP Instance UID and other bytes"


@dataclass(slots=True)
class ReceivedPart:
    """One received object and what was read from it.

    Attributes
    ----------
    sop_instance_uid, sop_class_uid, sha256, size_bytes, source, received_at
        As the spool recorded it.
    site : str or None
        Site of the way it came in; a device's registered site goes before it.
    spool_id : int or None
        Its number in the spool: the same number again is the same object, another number a copy.
    exam : Exam or None
        What the object alone says; None unless ``state`` is ``extracted``.
    state : str
        ``extracted``, ``not_relevant`` or ``quarantined``.
    reason, kind : str or None
        Why it was not extracted; what it is.
    """

    sop_instance_uid: str
    sha256: str
    size_bytes: int
    received_at: dt.datetime
    exam: Exam | None = None
    state: str = "extracted"
    reason: str | None = None
    kind: str | None = None
    sop_class_uid: str | None = None
    source: str | None = None
    site: str | None = None
    spool_id: int | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one object; ``state`` is one of the spool's end states."""

    spool_id: int | None
    state: str
    reason: str = ""


Standing = tuple[str, str | None, str | None, tuple[int, ...], str | None]
"""State, reason, study, copies and kind."""


@dataclass(slots=True)
class Part:
    """One object of a study, from the batch or from the store.

    ``text`` is its record and ``rests`` what of its events has no column (None where it comes from the store);
    ``stored`` is what the store says of it now (None for an object that is new to it), ``changed_at`` since when;
    ``incoming`` is set where the row has to be written anew, ``rewritten`` where only its text has.
    """

    sop: str
    sha256: str
    received_at: str
    state: str
    site: str | None = None
    study: str | None = None
    text: str | None = None
    rests: list[str] | None = None
    exam: Exam | None = None
    spool_id: int | None = None
    copies: list[int] = field(default_factory=list)
    kind: str | None = None
    station: str | None = None
    reason: str | None = None
    incoming: ReceivedPart | None = None
    stored: Standing | None = None
    rewritten: bool = False
    changed_at: str = ""

    @property
    def standing(self) -> Standing:
        """What can change of a stored object without its being read again."""
        return self.state, self.reason, self.study, tuple(self.copies), self.kind

    @property
    def fate(self) -> Fate:
        """Its end state, as the spool is told it."""
        return self.fate_of(self.spool_id)

    def fate_of(self, spool_id: int | None) -> Fate:
        """The same end state for another object of the spool that this one stands for."""
        return Fate(spool_id, self.state, self.reason or "")


def prepare(received: ReceivedPart, protection: Protection) -> Part:
    """Make a received object ready for the store: identifiers protected, record as text, key of the study found."""
    part = Part(
        sop=_uid(received.sop_instance_uid) or f"sha256:{received.sha256}",
        sha256=received.sha256,
        received_at=utc_text(received.received_at),
        state=received.state,
        site=clean_text(received.site, 200),
        spool_id=received.spool_id,
        kind=clean_text(received.kind, 64),
        reason=clean_text(received.reason, 500),
        incoming=received,
    )
    exam = received.exam
    if exam is None:
        return part
    try:
        protect(exam, protection)
        part.text, part.rests = _texts(exam)
        if not is_clean_json(part.text):  # the exam as well: what is merged now is what will be read again
            exam = cleaned(exam)
            part.text, part.rests = _texts(exam)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        refuse(part, f"the record cannot be kept: {where(error)}")
        return part
    part.exam = exam
    part.study = _uid(exam.study_instance_uid) or f"object:{part.sop}"
    part.station = clean_text(exam.equipment.station_name)
    if exam.sources:
        part.kind = clean_text(exam.sources[0].kind, 64)
    return part


def _texts(exam: Exam) -> tuple[str, list[str]]:
    """The record of an exam, and of each event what has no column."""
    text = record_text(exam, EVENTS)
    if not exam.events:
        return text, []
    events = [record_texts(event, event_rest(event)) for event in exam.events]
    told = ",".join([whole for whole, _ in events])
    return f'{text[:-1]}{"," if len(text) > 2 else ""}"events":[{told}]}}', [rest for _, rest in events]


def refuse(part: Part, reason: str) -> None:
    """Quarantine an object that cannot be written."""
    part.exam = part.text = part.rests = part.study = None
    part.state, part.reason = "quarantined", reason[:500]


def admit(part: Part, objects: dict[tuple[str, str], Part]) -> Part | None:
    """Take one object of a batch into the picture.

    Parameters
    ----------
    part : Part
    objects : dict
        What is known, by SOP Instance UID and SHA-256; changed in place.

    Returns
    -------
    Part or None
        The object that stands for it in the picture; None for a mere copy of one that is there.
    """
    at = (part.sop, part.sha256)
    known = objects.get(at)
    if known is None:
        objects[at] = part
        return part
    if known.spool_id != part.spool_id:
        if part.spool_id is not None and part.spool_id not in known.copies:
            known.copies.append(part.spool_id)
        if known.state in (*COUNTING, "conflict", part.state):
            return None
    # Read again, after an upgrade or because nobody learnt that it was stored: the new reading counts.
    known.incoming, known.text, known.rests, known.exam = part.incoming, part.text, part.rests, part.exam
    known.state, known.kind, known.station, known.reason = part.state, part.kind, part.station, part.reason
    known.study = part.study
    return known


def settle_conflicts(parts: Iterable[Part]) -> None:
    """Of the objects with one SOP Instance UID and different bytes the newest counts; the others are in conflict.

    Newest is whose content was made last; where the objects do not tell, which came last.
    """
    by_sop: dict[str, list[Part]] = {}
    for part in parts:
        if part.text is not None and part.state in (*COUNTING, "conflict"):
            by_sop.setdefault(part.sop, []).append(part)
    for group in by_sop.values():
        if len(group) > 1:
            newest = max(group, key=lambda part: (_made(part), part.received_at, part.sha256))
            for part in group:
                part.state, part.reason = ("extracted", NEWEST) if part is newest else ("conflict", _OLDER)


def _made(part: Part) -> str:
    exam = part.exam or load(part.text or "{}")
    return max((source.content_datetime or "" for source in exam.sources), default="")


def _uid(text: str | None) -> str | None:
    """A UID as key: as sent when it is of lawful length, else a hash of it, so that no two become one."""
    text = clean_text(text, 1 << 20)
    if text is None or len(text) <= 64:
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8")).hexdigest()
