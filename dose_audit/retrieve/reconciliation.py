"""What was done against what was received: completeness by device and day, and the studies that are missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from dose_audit.retrieve.entries import ArchiveError, Study
from dose_audit.retrieve.find import find_studies, look_into

if TYPE_CHECKING:
    from dose_audit.retrieve.entries import Archive
    from dose_audit.retrieve.journal import Journal
    from dose_audit.retrieve.ris import RisRow
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["DeviceDay", "Done", "Received", "Reconciliation", "done_by_archive", "done_by_ris", "reconcile"]

NO_STATION = "not named"
_FAILURES_IN_A_ROW = 3
MAX_LISTED = 1000
"""Missing studies that are listed in the record; all are counted."""


@dataclass(frozen=True, slots=True)
class Done:
    """One study that was done, as the archive or the RIS says.

    Attributes
    ----------
    name : str
        Study Instance UID; where only a RIS knows of it, ``line n``.
    study_instance_uid, accession_number : str
        Either may be empty. The accession number is for comparison only and stays in memory.
    """

    name: str
    day: date
    station: str
    modalities: tuple[str, ...] = ()
    study_instance_uid: str = ""
    accession_number: str = field(default="", repr=False)

    def study(self) -> Study:
        """As something that can be fetched."""
        return Study(self.study_instance_uid, self.day, self.modalities, self.station)


@dataclass(frozen=True, slots=True)
class Received:
    """What is here of the studies that were asked about.

    Attributes
    ----------
    with_dose : set of str
        Names of `Done` whose exam is stored, or whose objects wait in the spool.
    without_dose : set of str
        Names of `Done` of which objects came that tell no dose, or of which an archive has given all that it has.
    """

    with_dose: Collection[str] = frozenset()
    without_dose: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeviceDay:
    """Counts of one device on one day; every study is in exactly one of received, without dose, missing."""

    station: str
    day: date
    archived: int
    received: int
    without_dose: int
    missing: int

    @property
    def percent(self) -> float:
        """Share of studies whose dose is here, 0 to 100."""
        return 100.0 * self.received / self.archived


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One look at completeness.

    Attributes
    ----------
    source : str
        Name of the archive, or ``RIS list``.
    since, until : date
    checked_at : datetime
        Local time.
    by_device : tuple of DeviceDay
        By station, then day.
    missing : tuple of Done
    truncated : tuple of (date, str)
        Day and modality of which the archive did not tell everything: completeness may be lower than it looks.
    left_out : int
        Answers that could not be used.
    """

    source: str
    since: date
    until: date
    checked_at: datetime
    by_device: tuple[DeviceDay, ...]
    missing: tuple[Done, ...]
    truncated: tuple[tuple[date, str], ...] = ()
    left_out: int = 0

    @property
    def archived(self) -> int:
        """Studies that were done."""
        return sum(row.archived for row in self.by_device)

    @property
    def received(self) -> int:
        """Those whose dose is here."""
        return sum(row.received for row in self.by_device)

    @property
    def percent(self) -> float | None:
        """Completeness, 0 to 100; None where nothing was done."""
        return 100.0 * self.received / self.archived if self.archived else None

    def record(self) -> dict[str, Any]:
        """The audit's ``completeness.archive``: no patient, no accession number."""
        return {
            "source": self.source,
            "checked_at": self.checked_at.isoformat(timespec="seconds"),
            "period": {"since": self.since.isoformat(), "until": self.until.isoformat()},
            "archived": self.archived,
            "received": self.received,
            "without_dose": sum(row.without_dose for row in self.by_device),
            "percent": self.percent,
            "by_device": [
                {
                    "station": row.station,
                    "day": row.day.isoformat(),
                    "archived": row.archived,
                    "received": row.received,
                    "without_dose": row.without_dose,
                    "missing": row.missing,
                    "percent": row.percent,
                }
                for row in self.by_device
            ],
            "missing_count": len(self.missing),
            "missing": [
                {
                    "study": one.name,
                    "day": one.day.isoformat(),
                    "station": one.station,
                    "modalities": list(one.modalities),
                }
                for one in self.missing[:MAX_LISTED]
            ],
            "truncated": [{"day": day.isoformat(), "modality": modality} for day, modality in self.truncated],
            "left_out": self.left_out,
        }


def reconcile(
    done: Iterable[Done],
    received: Received,
    *,
    source: str,
    since: date,
    until: date,
    checked_at: datetime,
    truncated: Sequence[tuple[date, str]] = (),
    left_out: int = 0,
) -> Reconciliation:
    """Count what was done against what is here.

    Parameters
    ----------
    done : iterable of Done
        Each study once.
    received : Received
    source, since, until, checked_at, truncated, left_out
        As of `Reconciliation`.

    Examples
    --------
    >>> day = date(2026, 3, 1)
    >>> done = [Done("1.1", day, "CT1"), Done("1.2", day, "CT1"), Done("1.3", day, "CT2")]
    >>> here = Received(with_dose={"1.1"}, without_dose={"1.3"})
    >>> told = reconcile(done, here, source="pacs", since=day, until=day, checked_at=datetime(2026, 3, 2))
    >>> [(row.station, row.archived, row.percent) for row in told.by_device], [one.name for one in told.missing]
    ([('CT1', 2, 50.0), ('CT2', 1, 0.0)], ['1.2'])
    """
    counts: dict[tuple[str, date], list[int]] = {}
    missing: list[Done] = []
    for one in done:
        count = counts.setdefault((one.station, one.day), [0, 0, 0, 0])
        count[0] += 1
        if one.name in received.with_dose:
            count[1] += 1
        elif one.name in received.without_dose:
            count[2] += 1
        else:
            count[3] += 1
            missing.append(one)
    rows = tuple(DeviceDay(station, day, *count) for (station, day), count in sorted(counts.items()))
    missing.sort(key=lambda one: (one.day, one.station, one.name))
    return Reconciliation(source, since, until, checked_at, rows, tuple(missing), tuple(truncated), left_out)


def done_by_archive(
    settings: ArchiveSettings,
    archive: Archive,
    journal: Journal,
    since: date,
    until: date,
    *,
    modalities: Sequence[str] = (),
    finding: Callable[[int, int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Done], list[tuple[date, str]], int]:
    """Ask an archive what was done.

    The series of a study are asked where its answer names no station or no modality; the journal remembers them, so
    that a nightly run asks about each study once.

    Returns
    -------
    done : list of Done
    truncated : list of (date, str)
    left_out : int
    """
    asked = tuple(modalities) or settings.modalities
    found = find_studies(archive, since, until, asked, result_limit=settings.result_limit, progress=finding)
    left_out = sum(found.left_out.values())
    remembered = journal.devices(settings.name, [study.study_instance_uid for study in found.studies])
    done: list[Done] = []
    in_a_row = 0
    for number, study in enumerate(found.studies, start=1):
        if study.study_instance_uid in remembered:
            kinds, station = remembered[study.study_instance_uid]
            study = replace(study, modalities=kinds or study.modalities, station_name=station)
        elif study.station_name is None or not study.modalities:
            try:
                answers = archive.series(study.study_instance_uid)
            except ArchiveError:
                # It was done all the same; one study that cannot be asked about is no reason to know nothing at all.
                in_a_row += 1
                if in_a_row == _FAILURES_IN_A_ROW:
                    raise
            else:
                in_a_row = 0
                left_out += sum(answers.left_out.values())
                study = look_into(study, answers.entries)
                journal.remember_device(settings.name, study)
        if not study.modalities or set(asked) & set(study.modalities):
            done.append(
                Done(
                    study.study_instance_uid,
                    study.day or since,
                    study.station_name or NO_STATION,
                    tuple(kind for kind in study.modalities if kind in asked),
                    study.study_instance_uid,
                )
            )
        if progress is not None:
            progress(number, len(found.studies))
    return done, found.truncated, left_out


def done_by_ris(
    rows: Iterable[RisRow], *, since: date | None = None, until: date | None = None, modalities: Sequence[str] = ()
) -> list[Done]:
    """What a RIS list says was done, each study once.

    Parameters
    ----------
    rows : iterable of RisRow
    since, until : date, optional
        Both included.
    modalities : sequence of str, optional
        Rows of other modalities are left out; rows that name none stay.
    """
    done: dict[str, Done] = {}
    for row in rows:
        outside = (since is not None and row.day < since) or (until is not None and row.day > until)
        if outside or (modalities and row.modality and row.modality not in modalities):
            continue
        identity = row.study_instance_uid or f"accession {row.accession_number.upper()}"
        done.setdefault(
            identity,
            Done(
                row.study_instance_uid or f"line {row.line}",
                row.day,
                row.station_name or NO_STATION,
                (row.modality,) if row.modality else (),
                row.study_instance_uid,
                row.accession_number,
            ),
        )
    return list(done.values())
