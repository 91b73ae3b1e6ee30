"""Raw answers to entries: the keys of each query level, and the checks that an answer has to pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from dose_audit.retrieve.entries import Answers, Instance, Series, Study, Window, as_day, as_text, as_whole, known_uid

__all__ = ["LEVELS", "Gathering", "Raw"]

Raw = Mapping[str, object]
"""Keyword → value of one answer; several values as a list."""

LEVELS: dict[str, tuple[str, ...]] = {
    "STUDY": ("StudyInstanceUID", "StudyDate", "StudyTime", "ModalitiesInStudy", "StationName"),
    "SERIES": ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "StationName", "NumberOfSeriesRelatedInstances"),
    "IMAGE": (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "SOPClassUID",
        "InstanceNumber",
        "AcquisitionNumber",
    ),
}
"""Query level → attributes asked for. None of them is about a patient."""


class Gathering:
    """Collects the answers to one query, each entry once, and counts what it leaves out.

    Parameters
    ----------
    read : callable
        Raw answer → entry, or a text that says why it is left out.
    most : int
        Entries after which no more are taken; `full` is true then.
    """

    def __init__(self, read: Callable[[Raw], Study | Series | Instance | str], most: int) -> None:
        self.answers = Answers()
        self.full = False
        self._read = read
        self._most = most
        self._seen: set[str] = set()
        self._raw = 0

    def add(self, raw: Raw) -> bool:
        """Take one answer; whether it was a new entry."""
        self._raw += 1
        entry = self._read(raw)
        if isinstance(entry, str):
            self.answers.left_out[entry] += 1
            self._stop_if_full()
            return False
        identity = (
            entry.sop_instance_uid
            if isinstance(entry, Instance)
            else entry.series_instance_uid
            if isinstance(entry, Series)
            else entry.study_instance_uid
        )
        new = identity not in self._seen
        if new:
            self._seen.add(identity)
            self.answers.entries.append(entry)
        self._stop_if_full()
        return new

    def _stop_if_full(self) -> None:
        # Worthless answers count too: an archive may send the same one for ever.
        if len(self._seen) >= self._most or self._raw >= 2 * self._most:
            self.full = self.answers.truncated = self.answers.endless = True


def study_reader(window: Window | None, modality: str | None) -> Callable[[Raw], Study | str]:
    """Reader of study answers, for archives that honour a key and for those that ignore it."""

    def read(raw: Raw) -> Study | str:
        uid = known_uid(raw.get("StudyInstanceUID"))
        if uid is None:
            return "no valid Study Instance UID"
        day = as_day(raw.get("StudyDate"))
        if window is not None and day is not None and day != window.day:
            return "study of another day"
        modalities = _texts(raw.get("ModalitiesInStudy"))
        if modality and modalities and modality not in modalities:
            return "study of another modality"
        asked: date | None = window.day if window else None
        return Study(uid, day or asked, modalities, as_text(raw.get("StationName")) or None)

    return read


def series_reader(study_instance_uid: str) -> Callable[[Raw], Series | str]:
    """Reader of series answers about one study."""

    def read(raw: Raw) -> Series | str:
        uid = known_uid(raw.get("SeriesInstanceUID"))
        if uid is None:
            return "no valid Series Instance UID"
        if (known_uid(raw.get("StudyInstanceUID")) or study_instance_uid) != study_instance_uid:
            return "series of another study"
        return Series(
            study_instance_uid,
            uid,
            as_text(raw.get("Modality")).upper(),
            as_text(raw.get("StationName")) or None,
            as_whole(raw.get("NumberOfSeriesRelatedInstances")),
        )

    return read


def instance_reader(study_instance_uid: str, series_instance_uid: str) -> Callable[[Raw], Instance | str]:
    """Reader of instance answers about one series."""

    def read(raw: Raw) -> Instance | str:
        uid = known_uid(raw.get("SOPInstanceUID"))
        if uid is None:
            return "no valid SOP Instance UID"
        if (known_uid(raw.get("StudyInstanceUID")) or study_instance_uid) != study_instance_uid:
            return "instance of another study"
        if (known_uid(raw.get("SeriesInstanceUID")) or series_instance_uid) != series_instance_uid:
            return "instance of another series"
        return Instance(
            study_instance_uid,
            series_instance_uid,
            uid,
            known_uid(raw.get("SOPClassUID")) or "",
            as_whole(raw.get("InstanceNumber")),
            as_whole(raw.get("AcquisitionNumber")),
        )

    return read


def _texts(value: object) -> tuple[str, ...]:
    """Several short texts, however the archive packed them."""
    if value is None:
        return ()
    parts = list(value)[:32] if isinstance(value, list | tuple) else str(value)[:1024].split("\\")
    return tuple(text for text in (as_text(part).upper() for part in parts) if text)
