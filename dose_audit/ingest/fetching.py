"""Retrieval and reconciliation for one installation: its archives, its spool and listener, and what its store knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dose_audit.config import Settings, SettingsError
from dose_audit.ingest.listening import listener_settings
from dose_audit.ingest.run import open_spool
from dose_audit.retrieve import (
    Journal,
    Reconciliation,
    RetrieveSummary,
    keep_reconciliation,
    open_archive,
    own_listener,
)
from dose_audit.retrieve.arrivals import studies_in_spool
from dose_audit.retrieve.listening import someone_listens
from dose_audit.retrieve.reconciliation import NO_STATION, Done, Received, done_by_archive, done_by_ris, reconcile
from dose_audit.retrieve.run import fetch_studies, retrieve

if TYPE_CHECKING:
    from dose_audit.receive.spool import Spool
    from dose_audit.retrieve.entries import Archive, Study
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["Look", "archive_named", "fetch_missing", "fetch_period", "look_at_archive", "look_at_ris"]

_JOURNAL = "retrieve.sqlite3"
Bar = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Look:
    """A reconciliation and the file in which it is kept."""

    reconciliation: Reconciliation
    path: Path


def archive_named(settings: Settings, name: str | None = None) -> ArchiveSettings:
    """The row of ``[[archives]]`` with this name; without one, the only row there is.

    Raises
    ------
    SettingsError
        There is none, or more than one.
    """
    rows = [row for row in settings.archives if name is None or row.name == name]
    if len(rows) == 1:
        return rows[0]
    known = ", ".join(row.name for row in settings.archives) or "none"
    if name is None and rows:
        raise SettingsError(f"there are several archives, say which: {known}.")
    raise SettingsError(f"there is no archive {name or 'in the settings'}; [[archives]] has: {known}.")


def fetch_period(
    settings: Settings,
    archive: ArchiveSettings,
    since: date,
    until: date,
    *,
    modalities: Sequence[str] = (),
    again: bool = False,
    dry_run: bool = False,
    port: int | None = None,
    finding: Bar | None = None,
    progress: Bar | None = None,
) -> RetrieveSummary:
    """Fetch the dose of a period's studies into the spool.

    Parameters
    ----------
    port : int, optional
        For C-MOVE: listen here for as long as the retrieval lasts. By default the listener that runs is used; where none
        runs, one is started on the settings' port.
    settings, archive, since, until, modalities, again, dry_run, finding, progress
        As of `dose_audit.retrieve.retrieve`.
    """
    with _opened(settings, archive, port=port, listens=not dry_run) as (opened, spool, journal):
        return retrieve(
            archive,
            opened,
            spool,
            journal,
            since,
            until,
            known=lambda uids: _with_dose(spool, uids),
            modalities=modalities,
            again=again,
            dry_run=dry_run,
            finding=finding,
            progress=progress,
        )


def look_at_archive(
    settings: Settings,
    archive: ArchiveSettings,
    since: date,
    until: date,
    *,
    modalities: Sequence[str] = (),
    finding: Bar | None = None,
    progress: Bar | None = None,
) -> Look:
    """Reconcile a period with an archive and keep the result."""
    with _opened(settings, archive) as (opened, spool, journal):
        done, truncated, left_out = done_by_archive(
            archive, opened, journal, since, until, modalities=modalities, finding=finding, progress=progress
        )
        done = _with_stations(done)
        told = reconcile(
            done,
            _received(settings, spool, journal, done),
            source=archive.name,
            since=since,
            until=until,
            checked_at=datetime.now(),
            truncated=truncated,
            left_out=left_out,
        )
    return Look(told, keep_reconciliation(settings.home, told))


def look_at_ris(
    settings: Settings,
    path: Path,
    *,
    since: date | None = None,
    until: date | None = None,
    modalities: Sequence[str] = (),
) -> Look:
    """Reconcile with a list that a RIS exported and keep the result; the period is the list's own unless given."""
    from dose_audit.retrieve.ris import RisError, read_ris
    from dose_audit.store.settings import prepare

    done = done_by_ris(read_ris(path), since=since, until=until, modalities=modalities)
    if not done:
        raise RisError("the list has no examination of this period")
    prepare(settings)
    with open_spool(settings) as spool, Journal(settings.home / _JOURNAL) as journal:
        received = _received(settings, spool, journal, done)
    told = reconcile(
        done,
        received,
        source="RIS list",
        since=since or min(one.day for one in done),
        until=until or max(one.day for one in done),
        checked_at=datetime.now(),
    )
    return Look(told, keep_reconciliation(settings.home, told))


def fetch_missing(
    settings: Settings,
    archive: ArchiveSettings,
    missing: Sequence[Done],
    *,
    port: int | None = None,
    progress: Bar | None = None,
) -> RetrieveSummary:
    """Fetch what a reconciliation found missing; studies that an earlier run gave up are asked for again."""
    with _opened(settings, archive, port=port, listens=True) as (opened, spool, journal):
        studies: list[Study] = []
        for one in missing:
            if one.study_instance_uid:
                studies.append(one.study())
            elif _is_one_order(one.accession_number):
                studies += opened.studies_by_accession(one.accession_number).entries[:20]
        return fetch_studies(
            archive,
            opened,
            spool,
            journal,
            list({study.study_instance_uid: study for study in studies}.values()),
            again=True,
            progress=progress,
        )


def _is_one_order(accession_number: str) -> bool:
    """Whether a query for it can match one order only: no wildcard, no second value, no longer than an SH may be."""
    return 0 < len(accession_number) <= 16 and not set("*?\\") & set(accession_number)


@contextmanager
def _opened(
    settings: Settings, archive: ArchiveSettings, *, port: int | None = None, listens: bool = False
) -> Iterator[tuple[Archive, Spool, Journal]]:
    """Store, spool, journal, archive and, for C-MOVE, a listener."""
    from dose_audit.store.settings import prepare

    if not (settings.plain_dicom or archive.tls or archive.method == "web"):
        raise SettingsError(f"archive {archive.name}: plain_dicom is off, and the archive has no tls.")
    prepare(settings)
    with open_spool(settings) as spool, Journal(settings.home / _JOURNAL) as journal:
        needs_listener = listens and archive.method == "move"
        own = needs_listener and (port is not None or not someone_listens(settings.host, settings.port))
        listener = own_listener(listener_settings(settings, port=port), archive, spool) if own else nullcontext()
        with journal.alone(), listener, open_archive(archive, our_aet=settings.aet) as opened:
            yield opened, spool, journal


def _with_dose(spool: Spool, uids: Sequence[str]) -> set[str]:
    """Studies that are stored, or whose objects wait to be."""
    from dose_audit.store.known import studies_with_exams

    return studies_with_exams(uids) | (studies_in_spool(spool, ("pending", "in_work")) & set(uids))


def _with_stations(done: Sequence[Done]) -> list[Done]:
    """Some archives name no station; for studies that are here the store does."""
    from dose_audit.store.known import stations_of

    stations = stations_of([one.study_instance_uid for one in done if one.station == NO_STATION])
    return [replace(one, station=stations.get(one.study_instance_uid, one.station)) for one in done]


def _received(settings: Settings, spool: Spool, journal: Journal, done: Sequence[Done]) -> Received:
    """What is here of what was done; without dose is what came, or was asked for to the last object, and has no exam."""
    from dose_audit.store.identity import protection
    from dose_audit.store.known import orders_with_exams

    uids = [one.study_instance_uid for one in done if one.study_instance_uid]
    with_dose = _with_dose(spool, uids) - journal.unfinished(uids)
    numbers = [one.accession_number for one in done if one.accession_number]
    orders = orders_with_exams(numbers, protection(settings)) if numbers else set()
    here = {one.name for one in done if one.study_instance_uid in with_dose or one.accession_number in orders}
    came = journal.exhausted(uids) | studies_in_spool(spool, ("not_relevant", "quarantined"))
    return Received(here, {one.name for one in done if one.study_instance_uid in came} - here)
