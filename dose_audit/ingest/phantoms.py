"""Measures phantom images as they arrive: takes quiet series off the spool, has each study measured, settles it."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dose_audit.config import Settings
from dose_audit.ingest.phantom_process import Measuring, Stopped, StoreFailure
from dose_audit.ingest.phantom_task import Page, StudyResult, StudyTask
from dose_audit.ingest.run import IngestError, open_spool, without_row
from dose_audit.receive.objects import SpooledObject, SpooledSeries
from dose_audit.receive.spool import Spool
from dose_audit.store.places import where
from dose_audit.store.settings import let_go, prepare

if TYPE_CHECKING:
    from dose_audit.phantom.definition import Definition

__all__ = ["PhantomSummary", "reanalyse", "run_phantoms"]

log = logging.getLogger(__name__)

_IDLE_S = 0.25
_SERIES_AT_ONCE = 64


@dataclass(slots=True)
class PhantomSummary:
    """What one run did.

    Attributes
    ----------
    studies, objects : int
        Studies that were looked at, objects that were settled.
    analyses : int
        Phantom results that are new in the store.
    by_state, reasons : Counter
        End state → how many objects; ``state: reason`` → how many, for all that were not measured.
    phantoms : Counter
        ``name: verdict`` → how many.
    seconds : float
    """

    studies: int = 0
    objects: int = 0
    analyses: int = 0
    by_state: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    phantoms: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class _Measurer(Protocol):
    def run(self, task: StudyTask, stop: Callable[[], bool] = ...) -> StudyResult: ...


class _Here:
    """Measures in this process: for notebooks and tests, without protection from images that crash or never end."""

    def __init__(self, settings: Settings, page: Page | None) -> None:
        from dose_audit.ingest.phantom_study import StudyMeasurer

        self._measurer = StudyMeasurer(settings, page)

    def run(self, task: StudyTask, stop: Callable[[], bool] = lambda: False) -> StudyResult:
        return self._measurer.run(task)


@contextmanager
def _measurer(settings: Settings, page: Page | None, own_process: bool) -> Iterator[_Measurer]:
    if not own_process:
        yield _Here(settings, page)
        return
    try:
        with Measuring(settings, page) as measuring:
            yield measuring
    except StoreFailure as error:
        raise IngestError(str(error)) from error


def run_phantoms(
    settings: Settings,
    *,
    once: bool = True,
    quiet_s: float | None = None,
    page: Page | None = None,
    stop: Callable[[], bool] = lambda: False,
    own_process: bool = True,
    progress: Callable[[PhantomSummary], None] | None = None,
) -> PhantomSummary:
    """Measure the phantom images that wait in the spool. Safe to stop at any moment and to run again.

    Parameters
    ----------
    settings : Settings
    once : bool
        Return when nothing is ready; otherwise wait for more until `stop` says so.
    quiet_s : float, optional
        How long a series must have been quiet; by default the settings' when waiting for more, else none.
    page : callable, optional
        Makes the page of a result, a function of a module; without it a result is pictures and JSON.
    stop : callable, optional
        Asked a few times a second.
    own_process : bool
        Measure in a process that may die or be stopped.
    progress : callable, optional
        Called after each study.

    Returns
    -------
    PhantomSummary

    Raises
    ------
    IngestError
        The store cannot be written, a process cannot start, or a phantom definition of the site's own cannot be used. What was
        in hand waits in the spool again.
    """
    prepare(settings)
    began = time.monotonic()
    quiet = quiet_s if quiet_s is not None else (0.0 if once else settings.phantom_quiet_s)
    summary = PhantomSummary()
    with open_spool(settings) as spool:
        if once and not _anything_waits(spool):
            return summary
        with _measurer(settings, page, own_process) as measurer:
            while not stop():
                waits = _anything_waits(spool)
                if waits:
                    _known(settings)
                ready = _take(spool, quiet) if waits else []
                if ready:
                    _measure(spool, ready, measurer, summary, stop, progress)
                elif once:
                    break
                else:
                    time.sleep(_IDLE_S)
    summary.seconds = time.monotonic() - began
    return summary


def reanalyse(
    settings: Settings,
    *,
    definition: str | None = None,
    everything: bool = False,
    page: Page | None = None,
    own_process: bool = True,
    progress: Callable[[PhantomSummary], None] | None = None,
) -> PhantomSummary:
    """Measure stored originals again after the algorithms or a definition changed; old results stay beside the new.

    Parameters
    ----------
    settings : Settings
    definition : str, optional
        Only runs of this phantom.
    everything : bool
        Also runs that were measured by the present algorithms and definitions: they give what is stored already.
    page, own_process, progress
        As for `run_phantoms`.

    Returns
    -------
    PhantomSummary
        ``analyses`` counts new results; ``reasons`` names studies whose images are no longer in the spool.

    Raises
    ------
    IngestError
        As `run_phantoms`.
    """
    from dose_audit.phantom.results import ALGORITHM_VERSION
    from dose_audit.store.models import PhantomStudy

    prepare(settings)
    began = time.monotonic()
    texts = {one.id: one.sha256 for one in _known(settings)}
    runs = PhantomStudy.objects.filter(study_instance_uid__isnull=False)
    if definition is not None:
        runs = runs.filter(definition=definition)
    stale: dict[str, bool] = {}
    shown: set[str] = set()
    for study, name, text, version, current in runs.order_by("pk").values_list(
        "study_instance_uid", "definition", "definition_sha256", "algorithm_version", "current"
    ):
        changed = current and (version != ALGORITHM_VERSION or texts.get(name) != text)
        stale[study] = stale.get(study, False) or changed or everything
        if current:
            shown.add(study)
    summary = PhantomSummary()
    with open_spool(settings) as spool, _measurer(settings, page, own_process) as measurer:
        # A study of which nothing is shown has lost its current result: it is measured, whatever its versions.
        for study in [uid for uid, wanted in stale.items() if wanted or uid not in shown]:
            images = spool.measured_of(study)
            summary.studies += 1
            if not images:
                summary.reasons["not measured again: its images are no longer in the spool"] += 1
                continue
            result = measurer.run(StudyTask((), tuple(spool.with_hashes(images))))
            summary.analyses += result.new
            summary.phantoms.update(result.phantoms)
            if progress is not None:
                progress(summary)
    summary.seconds = time.monotonic() - began
    return summary


def _known(settings: Settings) -> tuple[Definition, ...]:
    """The phantoms that are known; without a sound file of the site's own nothing is measured by another in its place."""
    from dose_audit.phantom.definition import DefinitionError, definitions

    try:
        return definitions(settings.phantom_definitions_dir)
    except DefinitionError as error:
        folder = settings.phantom_definitions_dir
        raise IngestError(f"{error} (in {folder}); phantom images wait until it is mended") from error


def _anything_waits(spool: Spool) -> bool:
    """A glance without a lock: whether any phantom image waits."""
    return bool(spool.ledger.read("SELECT 1 FROM objects WHERE state = 'phantom' LIMIT 1"))


def _take(spool: Spool, quiet_s: float) -> list[StudyTask]:
    """Series that are ready, by study, each with the images of its study that were measured before."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    studies: dict[str, list[SpooledSeries]] = {}
    for series in spool.take_series(worker=worker, quiet_s=quiet_s, limit=_SERIES_AT_ONCE):
        alone = f"series {series.series_instance_uid} {series.objects[0].id}"
        studies.setdefault(series.study_instance_uid or alone, []).append(series)
    tasks = []
    for study, members in studies.items():
        new = tuple(one for series in members for one in series.objects)
        known = {one.id for one in new}
        before = spool.measured_of(study) if members[0].study_instance_uid else []
        earlier = {one.id: one for one in before if one.id not in known}
        tasks.append(StudyTask(new, tuple(spool.with_hashes(list(earlier.values())))))
    return tasks


def _measure(
    spool: Spool,
    tasks: list[StudyTask],
    measurer: _Measurer,
    summary: PhantomSummary,
    stop: Callable[[], bool],
    progress: Callable[[PhantomSummary], None] | None,
) -> None:
    """Measure and settle study by study; whatever ends this early, what is not settled waits in the spool again."""
    in_hand: list[SpooledObject] = [one for task in tasks for one in task.objects]
    try:
        for task in tasks:
            if stop():
                return
            try:
                result = measurer.run(task, stop)
            except Stopped:
                return
            spool.settle_many(result.fates)
            settled = {number for number, _, _ in result.fates}
            in_hand = [one for one in in_hand if one.id not in settled]
            summary.studies += 1
            summary.analyses += result.new
            summary.phantoms.update(result.phantoms)
            for _, state, reason in result.fates:
                summary.objects += 1
                summary.by_state[state] += 1
                if state != "measured":
                    summary.reasons[f"{state}: {reason}"] += 1
            if progress is not None:
                progress(summary)
    finally:
        if in_hand:
            spool.requeue(state="in_work", ids=[one.id for one in in_hand])
        _tell_counts(spool)


def _tell_counts(spool: Spool) -> None:
    """Leave the reception's counts in the store, as the ingest of dose does."""
    from django.db import Error

    from dose_audit.store.tallies import set_tallies

    try:
        set_tallies(without_row(spool))
    except Error as error:  # as there
        log.warning("The reception's counts wait, the store cannot be written: %s", where(error))
        let_go()
