"""A second pass over stored exams: dosimetry and skin dose of those that wait for it, never in the way of a dose report.

An exam that is written anew waits again. Where a site routes CT images for the patient's size, they are measured here.
What cannot be computed is a result with its reason; no exam is lost by it.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

from dose_audit.config import Settings
from dose_audit.dosimetry import exam_dosimetry
from dose_audit.dosimetry.calibration import CalibrationFactor
from dose_audit.dosimetry.corrected import Correction, corrected_exam, skin_exam
from dose_audit.extract.exam import Exam
from dose_audit.ingest.dosimetry_images import SizeImages, size_estimates
from dose_audit.ingest.dosimetry_process import estimate_range, start
from dose_audit.measured import Measured, not_measurable
from dose_audit.store.calibrations import calibrations_of
from dose_audit.store.estimates import (
    Estimate,
    Estimated,
    WaitingExam,
    keep_estimates,
    take_waiting,
    waiting,
)
from dose_audit.store.places import where

__all__ = ["EstimateSummary", "estimate_between", "estimate_exam", "estimate_waiting"]

log = logging.getLogger(__name__)

Factors = Sequence[tuple[CalibrationFactor, int]]

_CHUNK = 100  # exams of one transaction
_SHARED_FROM = 400  # waiting exams that are worth starting processes for
_SKIN = ("RF", "XA")
# A region without a factor is the rule and no fault of the exam: its reason would fill the table and tell nobody anything.
_ONLY_WITH_VALUE = ("effective_dose",)
_SCREENING = "peak_skin_dose_screening"


@dataclass(slots=True)
class EstimateSummary:
    """What one pass did: exams looked at, results kept, exams that could not be computed at all, seconds."""

    exams: int = 0
    estimates: int = 0
    failed: int = 0
    seconds: float = 0.0


def estimate_exam(exam: Exam, factors: Factors = (), day: date | None = None) -> tuple[Estimate, ...]:
    """Everything that is computed from one exam.

    Parameters
    ----------
    exam : Exam
        As stored, with the device's registered modality.
    factors : sequence of (CalibrationFactor, int)
        The device's calibrations with the numbers of their rows.
    day : date, optional
        Of the exposure.

    Returns
    -------
    tuple of Estimate
        Corrected displays, then `exam_dosimetry` on the corrected values with what the displayed ones give beside it,
        then ``peak_skin_dose`` where the geometry is known, else ``peak_skin_dose_screening``. Empty for a phantom.
    """
    if exam.patient.is_phantom:
        return ()
    rows = dict(factors)
    corrected, corrections = corrected_exam(exam, list(rows), day)
    used = {item.event_index: rows[item.factor] for item in reversed(corrections) if item.factor is not None}
    found = [_correction(item, rows) for item in corrections if exam.modality not in _SKIN or item.event_index is None]
    found += _computed(exam, corrected, used)
    if exam.modality in _SKIN:
        found += _skin(exam, corrections, rows)
    return tuple(found)


def _correction(item: Correction, rows: dict[CalibrationFactor, int]) -> Estimate:
    number = rows[item.factor] if item.factor is not None else None
    return Estimate(item.result, item.event_index, item.result.details.get("raw_value"), number)


def _computed(exam: Exam, corrected: Exam, used: dict[int | None, int]) -> Iterator[Estimate]:
    results = exam_dosimetry(corrected)
    raw = results if corrected is exam else exam_dosimetry(exam)
    displayed = {(item.details.get("event_index"), item.name): item.value for item in raw}
    for item in results:
        if item.value is None and item.name in _ONLY_WITH_VALUE:
            continue
        index = item.details.get("event_index")
        before = displayed.get((index, item.name))
        if index in used and item.value != before:
            yield Estimate(item, index, before, used[index])
        else:
            yield Estimate(item, index)


def _skin(exam: Exam, corrections: Sequence[Correction], rows: dict[CalibrationFactor, int]) -> Iterator[Estimate]:
    from dose_audit.dosimetry.skin import skin_dose

    patient = replace(exam, events=[event for event in exam.events if not event.reason])
    if not any(event.type == "projection" for event in patient.events):
        return
    raw = skin_dose(patient)
    moved = skin_exam(patient, corrections)
    changed = any(a is not b for a, b in zip(moved.events, patient.events, strict=True))
    result = skin_dose(moved) if changed else raw
    name = "peak_skin_dose" if result.method == "map" else _SCREENING
    peak = replace(result.peak, name=name)
    if not changed:
        yield Estimate(peak)
        return
    used = {item.result.name: item.factor for item in corrections if item.factor is not None}
    yield Estimate(peak, None, raw.peak.value, rows[used.get("dose_rp") or used["kap"]])


def _with_sizes(
    item: WaitingExam, estimates: Sequence[Estimate], images: Sequence[Path], factors: Factors
) -> tuple[Estimate, ...]:
    """The same with what the exam's images say: an SSDE of a measured size goes before one of a reported diameter."""
    corrected, _ = corrected_exam(item.exam, [factor for factor, _ in factors], item.study_date)
    measured = [
        Estimate(result, result.details["event_index"])
        for result in size_estimates(replace(item, exam=corrected), images)
    ]
    told = {(one.event_index, one.result.name) for one in measured if one.result.value is not None}
    return (*(one for one in estimates if (one.event_index, one.result.name) not in told), *measured)


def _estimated(item: WaitingExam, factors: Factors, images: Sequence[Path]) -> tuple[Estimated, bool]:
    """The exam's estimates; in place of an error, what it was and where."""
    try:
        estimates = estimate_exam(item.exam, factors, item.study_date)
        if images:
            estimates = _with_sizes(item, estimates, images, factors)
        return Estimated(item, estimates), True
    except Exception as error:  # noqa: BLE001  said as a result: hostile numbers must not stop the pass
        log.warning("Dosimetry of one exam failed: %s", where(error))
        result: Measured = not_measurable("dosimetry", "1", f"cannot be computed: {where(error)}")
        return Estimated(item, (Estimate(result),)), False


def estimate_waiting(
    settings: Settings,
    *,
    limit_s: float | None = None,
    workers: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> EstimateSummary:
    """Make the estimates of all exams that wait. Safe to stop at any moment and to run again.

    Parameters
    ----------
    settings : Settings
        Django must be set up for them.
    limit_s : float, optional
        Begin with no further exam after so long, in this process; what is left waits.
    workers : int, optional
        Processes for many exams, by default ``settings.workers``; 0 works in this one.
    stop : callable, optional
        Asked between exams (between hundreds of them where processes work).
    progress : callable, optional
        Called with exams done and exams in all.

    Returns
    -------
    EstimateSummary
    """
    began = time.monotonic()
    summary = EstimateSummary()
    until = None if limit_s is None else began + limit_s
    count = settings.workers if workers is None else workers
    total = waiting() if limit_s is None else 0
    tell = progress or (lambda _done, _total: None)
    if limit_s is None and count > 1 and total >= _SHARED_FROM:
        for part in _shared(settings, count, stop):
            _add(summary, part)
            tell(summary.exams, total)
    # What a lost process left waits still, and is done here.
    for part in _here(SizeImages(settings), until, stop):
        _add(summary, part)
        tell(summary.exams, max(total, summary.exams))
    summary.seconds = time.monotonic() - began
    return summary


def _add(summary: EstimateSummary, part: EstimateSummary) -> None:
    summary.exams += part.exams
    summary.estimates += part.estimates
    summary.failed += part.failed


def _here(sizes: SizeImages, until: float | None, stop: Callable[[], bool]) -> Iterator[EstimateSummary]:
    after = 0
    while not stop() and not _over(until):
        items = take_waiting(_CHUNK if until is None else 10, after=after)
        if not items:
            return
        yield _work_off(items, sizes, until, stop)
        after = items[-1].id  # one that was written meanwhile waits for the next pass


def _over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until


def _work_off(
    items: Iterable[WaitingExam], sizes: SizeImages, until: float | None, stop: Callable[[], bool]
) -> EstimateSummary:
    items = list(items)
    factors = calibrations_of(item.equipment for item in items)
    images = sizes.of(items)
    done: list[Estimated] = []
    failed = 0
    for item in items:
        if done and (_over(until) or stop()):
            break
        estimated, fine = _estimated(item, factors.get(item.equipment, ()), images.get(item.id, ()))
        done.append(estimated)
        failed += not fine
    keep_estimates(done)
    return EstimateSummary(len(done), sum(len(item.estimates) for item in done), failed)


def _shared(settings: Settings, count: int, stop: Callable[[], bool]) -> Iterator[EstimateSummary]:
    """Let processes do hundreds of exams each; one that is lost leaves its exams waiting."""
    from dose_audit.store.models import Exam as ExamRow

    ids = list(ExamRow.objects.filter(estimated_with__isnull=True).order_by("id").values_list("id", flat=True))
    ranges = [(part[0] - 1, part[-1]) for part in (ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK))]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=start, initargs=(settings,)) as pool:
        try:
            for at in range(0, len(ranges), 2 * count):
                if stop():
                    return
                yield from pool.map(partial(estimate_range, settings), ranges[at : at + 2 * count])
        except BrokenProcessPool:
            log.warning("A process that makes estimates was lost; its exams are done one by one.")


def estimate_between(settings: Settings, after: int, last: int) -> EstimateSummary:
    """Work off the waiting exams of a range of ids, in the process that calls it."""
    return _work_off(take_waiting(_CHUNK, after=after, last=last), SizeImages(settings), None, lambda: False)
