"""Runs ingest: claims objects from the spool, has workers read and write them, settles what became of each."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dose_audit.config import Settings
from dose_audit.ingest.pool import Pool, PoolError
from dose_audit.ingest.reading import READER
from dose_audit.ingest.worker import BatchResult, Task, Worker
from dose_audit.receive.scanner import ScanSummary, scan
from dose_audit.receive.spool import Spool
from dose_audit.store.places import where
from dose_audit.store.settings import let_go, prepare

__all__ = ["IngestError", "IngestSummary", "open_spool", "reprocess", "run_ingest", "scan_paths", "without_row"]

log = logging.getLogger(__name__)

_IDLE_S = 1.0
_SMALL_BATCH = 20
_FINISH_EVERY_S = 60.0  # judging devices' histories costs more than an object does
_ESTIMATE_S = 1.0  # what arrives while nothing waited is read after so long at the latest


class IngestError(RuntimeError):
    """Ingest cannot go on at all: the store cannot be written or workers cannot start. Nothing is lost by it."""


@dataclass(slots=True)
class IngestSummary:
    """What one run did.

    Attributes
    ----------
    objects : int
        Objects that were settled.
    by_state : Counter
        End state → how many.
    reasons : Counter
        ``state: reason`` → how many, for all that were not extracted.
    moved : Counter
        State → how many objects, settled before, came to it by what arrived after them.
    unit_slips : int
        Exams newly marked, or no longer marked, as off by a power of ten.
    estimated : int
        Exams whose dosimetry was computed once nothing waited to be read.
    seconds : float
        Wall-clock time.
    """

    objects: int = 0
    by_state: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    unit_slips: int = 0
    estimated: int = 0
    seconds: float = 0.0


def open_spool(settings: Settings, *, or_read: bool = False) -> Spool:
    """The installation's spool, with the bounds of its settings; `or_read` opens one that cannot be written to be read."""
    return Spool(
        settings.spool_dir,
        min_free_bytes=settings.min_free_bytes,
        max_object_bytes=settings.max_object_bytes,
        or_read=or_read,
    )


def scan_paths(
    settings: Settings,
    paths: Iterable[Path | str],
    *,
    site: str | None = None,
    phantom: bool = False,
    progress: Callable[[ScanSummary], None] | None = None,
) -> ScanSummary:
    """Register everything under `paths` that may carry dose; `run_ingest` does the rest.

    What the settings' routes send to phantom analysis is registered for it; `run_phantoms` does the rest of that.

    Parameters
    ----------
    settings : Settings
    paths : iterable of path
        Files, folders, zip archives.
    site : str, optional
        Where the objects come from.
    phantom : bool
        All of it is phantom images.
    progress : callable, optional
        Called with the running summary.

    Returns
    -------
    ScanSummary
    """
    from dose_audit.ingest.judge import judge_for

    with open_spool(settings) as spool:
        return scan(paths, spool, judge_for(settings.routes, phantom=phantom), site=site, progress=progress)


def run_ingest(
    settings: Settings,
    *,
    workers: int | None = None,
    once: bool = True,
    progress: Callable[[IngestSummary, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    reader: str = READER,
    object_cap_s: float | None = None,
    estimates: bool = True,
) -> IngestSummary:
    """Bring what waits in the spool into the store. Safe to stop at any moment and to run again.

    Parameters
    ----------
    settings : Settings
    workers : int, optional
        Worker processes, by default ``settings.workers``. 0 works in this process: for notebooks and small batches,
        without protection from an object that crashes or never ends.
    once : bool
        Return when the spool is empty; otherwise wait for more until `stop` says so.
    progress : callable, optional
        Called after every batch with the summary and the number of objects that still wait.
    stop : callable, optional
        Asked between batches.
    reader : str
        ``module:name`` of the function that reads an object.
    object_cap_s : float, optional
        Longest time for one object, seconds; by default the settings'.
    estimates : bool
        Compute the dosimetry of stored exams (`estimate_waiting`) whenever nothing waits to be read.

    Returns
    -------
    IngestSummary

    Raises
    ------
    IngestError
        The store cannot be written or workers cannot start. What was in hand waits in the spool again.
    """
    prepare(settings)
    began = time.monotonic()
    count = settings.workers if workers is None else workers
    cap_s = settings.object_cap_s if object_cap_s is None else object_cap_s
    with open_spool(settings) as spool:
        run = _Run(settings, spool, progress, estimates=estimates)
        try:
            if count <= 0:
                run.here(Worker(settings, reader), once, stop)
            else:
                with Pool(settings, count, reader, object_cap_s=cap_s) as pool:
                    run.pooled(pool, count, once, stop)
            run.estimate(workers=count, stop=stop)
        except PoolError as error:
            raise IngestError(str(error)) from error
        finally:
            run.close()
    run.summary.seconds = time.monotonic() - began
    return run.summary


def reprocess(settings: Settings, *, ids: Iterable[int] | None = None, **options: object) -> IngestSummary:
    """Read quarantined objects again, after an upgrade that reads more.

    Parameters
    ----------
    settings : Settings
    ids : iterable of int, optional
        Spool numbers; all that are quarantined by default.
    **options
        As for `run_ingest`.
    """
    with open_spool(settings) as spool:
        spool.requeue(state="quarantined", ids=None if ids is None else list(ids))
    return run_ingest(settings, **options)  # type: ignore[arg-type]


class _Run:
    """The books of one run: what was claimed, settled, and which devices it touched."""

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        progress: Callable[[IngestSummary, int], None] | None,
        *,
        estimates: bool = True,
    ) -> None:
        self.summary = IngestSummary()
        self._settings = settings
        self._spool = spool
        self._progress = progress
        self._estimates = estimates
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._equipment: set[int] = set()
        self._open: set[int] = set()
        self._finished = False
        self._finished_at = time.monotonic()

    def here(self, worker: Worker, once: bool, stop: Callable[[], bool]) -> None:
        while not stop():
            tasks = self._claim(self._settings.batch_size)
            if tasks:
                self._settle(worker.run(tasks))
            elif once:
                return
            else:
                self._rest()

    def pooled(self, pool: Pool, workers: int, once: bool, stop: Callable[[], bool]) -> None:
        while True:
            stopping = stop()
            while pool.free and not stopping:
                tasks = self._claim(self._batch_size(workers))
                if not tasks:
                    break
                pool.give(tasks)
            if pool.busy:
                for result in pool.results():
                    self._settle(result)
            elif stopping or once:
                return
            else:
                self._rest()

    def close(self) -> None:
        """Hand back what is still in hand, and leave the reception's counts in the store."""
        if self._open:
            self._spool.requeue(state="in_work", ids=sorted(self._open))
        self._finish()

    def _claim(self, limit: int) -> list[Task]:
        claimed = self._spool.claim(limit, worker=self._name)
        self._open.update(spooled.id for spooled in claimed)
        return [Task(spooled) for spooled in claimed]

    def _batch_size(self, workers: int) -> int:
        """A full batch, or a fair share of what waits, so that a small spool keeps all workers busy."""
        share = -(-self._waiting(workers * self._settings.batch_size) // workers)
        return min(self._settings.batch_size, max(_SMALL_BATCH, share))

    def _settle(self, result: BatchResult) -> None:
        self._spool.settle_many(result.fates)
        for number, state, reason in result.fates:
            if number in self._open:
                self._open.discard(number)
                self.summary.objects += 1
                self.summary.by_state[state] += 1
                if state != "extracted":
                    self.summary.reasons[f"{state}: {reason}"] += 1
            else:
                self.summary.moved[state] += 1
        self._equipment |= result.equipment
        if self._progress is not None:
            self._progress(self.summary, self._waiting())
        self._finished = False

    def _waiting(self, most: int = -1) -> int:
        """How many objects wait, counted no further than `most`."""
        query = "SELECT COUNT(*) FROM (SELECT 1 FROM objects WHERE state = 'pending' LIMIT ?)"
        return self._spool.ledger.read(query, (most,))[0][0]

    def _rest(self) -> None:
        if not self._finished and time.monotonic() - self._finished_at > _FINISH_EVERY_S:
            self._finish()
        if not self.estimate(limit_s=_ESTIMATE_S):
            time.sleep(_IDLE_S)

    def estimate(
        self, *, limit_s: float | None = None, workers: int = 0, stop: Callable[[], bool] = lambda: False
    ) -> int:
        """Dosimetry of stored exams that wait for it; how many were done."""
        from django.db import Error

        from dose_audit.ingest.dosimetry import estimate_waiting

        if not self._estimates:
            return 0
        try:
            done = estimate_waiting(self._settings, limit_s=limit_s, workers=workers, stop=stop).exams
        except Error as error:
            log.warning("Dosimetry waits, the store cannot be written: %s", where(error))
            let_go()
            return 0
        self.summary.estimated += done
        return done

    def _finish(self) -> None:
        """What is done once the spool is empty: devices' slipped units, and counts that have no row in the store."""
        from django.db import Error

        from dose_audit.store.slips import mark_unit_slips
        from dose_audit.store.tallies import set_tallies

        self._finished_at = time.monotonic()
        try:
            if self._equipment:
                self.summary.unit_slips += mark_unit_slips(self._equipment)
                self._equipment = set()
            set_tallies(without_row(self._spool))
        except Error as error:  # a database that is away for a while must not end whoever reads what arrives
            log.warning("The reception's counts wait, the store cannot be written: %s", where(error))
            let_go()
        else:
            self._finished = True


def without_row(spool: Spool) -> dict[str, int]:
    """Objects that the spool counts and the store does not see: duplicates at the door, and what waits."""
    counts = spool.counts()
    at_the_door = spool.ledger.read("SELECT value FROM counters WHERE kind = 'duplicate' AND name = 'at the door'")
    return {
        "duplicate": at_the_door[0][0] if at_the_door else 0,
        "pending": counts["pending"] + counts["phantom"] + counts["in_work"],
    }
