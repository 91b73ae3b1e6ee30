"""What an archive answers, as plain values: studies, series and instances, cleaned before anybody looks at them.

An archive is a stranger. A UID that is none, an answer to another question, a text without end is counted and left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

from dose_audit.receive.errors import InvalidUID, ReceiveError
from dose_audit.receive.part10 import clean_uid

if TYPE_CHECKING:
    from dose_audit.receive.spool import Spool

__all__ = [
    "Answers",
    "Archive",
    "ArchiveError",
    "Delivery",
    "Instance",
    "Series",
    "Study",
    "Window",
    "as_day",
    "as_text",
    "as_whole",
    "known_uid",
]

_MAX_TEXT = 64
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class ArchiveError(ReceiveError):
    """The archive cannot be reached, refuses, or answers nonsense; the text is for people and names no patient."""


@dataclass(frozen=True, slots=True)
class Window:
    """A day, or hours of it: what one query asks for.

    Attributes
    ----------
    day : date
    first_s, last_s : int
        Seconds of the day, both included; 0 and 86,399 are the whole day.
    """

    day: date
    first_s: int = 0
    last_s: int = 86_399

    @property
    def whole(self) -> bool:
        """Whether it is the whole day."""
        return self.first_s == 0 and self.last_s == 86_399

    @property
    def date_key(self) -> str:
        """Study Date to match."""
        return f"{self.day:%Y%m%d}"

    @property
    def time_key(self) -> str:
        """Study Time range to match; empty for the whole day.

        >>> Window(date(2026, 3, 1), 3600, 7199).time_key
        '010000-015959.999999'
        """
        if self.whole:
            return ""
        return f"{_clock(self.first_s)}-{_clock(self.last_s)}.999999"

    def halves(self) -> tuple[Window, Window]:
        """The same time as two windows."""
        middle = (self.first_s + self.last_s) // 2
        return Window(self.day, self.first_s, middle), Window(self.day, middle + 1, self.last_s)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


@dataclass(frozen=True, slots=True)
class Study:
    """One study of an archive. No patient, no accession number."""

    study_instance_uid: str
    day: date | None = None
    modalities: tuple[str, ...] = ()
    station_name: str | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a study."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str = ""
    station_name: str | None = None
    instances: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a series; the SOP Class is empty where the archive does not say."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str = ""
    number: int | None = None
    acquisition_number: int | None = None


@dataclass(slots=True)
class Answers:
    """The answers to one query.

    Attributes
    ----------
    entries : list
        `Study`, `Series` or `Instance`, each once.
    truncated : bool
        There is more: the archive said so, or was cut off.
    endless : bool
        It was cut off: nobody knows how much more there is, and asking for less would not help.
    left_out : Counter
        Why answers were not used → how many.
    """

    entries: list = field(default_factory=list)
    truncated: bool = False
    endless: bool = False
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Delivery:
    """What one request to send brought: why not everything, in the archive's own status or in our words."""

    problem: str = ""
    unasked: int = 0


class Archive(Protocol):
    """What retrieval and reconciliation ask of an archive, however it is reached."""

    def studies(self, window: Window, modality: str) -> Answers:
        """Studies of a day or of hours of it that have a modality."""

    def studies_by_accession(self, accession_number: str) -> Answers:
        """Studies of one order."""

    def series(self, study_instance_uid: str) -> Answers:
        """Series of a study."""

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> Answers:
        """Instances of a series."""

    def fetch(self, wanted: Sequence[Instance], spool: Spool) -> Delivery:
        """Have these instances, all of one study, brought into the spool."""

    def close(self) -> None:
        """Say good-bye."""


def known_uid(value: object) -> str | None:
    """A UID as an archive gave it, or None when it is no UID.

    >>> known_uid("1.2.3"), known_uid("../../etc/passwd"), known_uid(None)
    ('1.2.3', None, None)
    """
    try:
        return clean_uid(str(value or ""))
    except InvalidUID:
        return None


def as_text(value: object) -> str:
    """A short text without control characters; longer ones are cut.

    >>> as_text(" CT\\x1b[31m1 ")
    'CT[31m1'
    """
    return _UNSEEN.sub("", str(value if value is not None else "")[: 4 * _MAX_TEXT]).strip()[:_MAX_TEXT]


def as_whole(value: object) -> int | None:
    """A whole number of reasonable size, or None."""
    text = as_text(value)
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,9}", text) else None


def as_day(value: object) -> date | None:
    """A DICOM date, or None.

    >>> as_day("20260301"), as_day("yesterday")
    (datetime.date(2026, 3, 1), None)
    """
    try:
        return datetime.strptime(as_text(value).replace(".", ""), "%Y%m%d").date()
    except ValueError:
        return None
