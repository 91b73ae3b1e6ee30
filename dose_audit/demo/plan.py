"""Who is exposed when, on what, with which dose: the demonstration's exams before any DICOM is written.

Notes
-----
A known-answer test needs a network in which nothing but the planted truths can look like a finding, so chance
is kept on a short lead. Within one device and examination the log doses of each ten successive exams are one
draw from each tenth of the normal distribution, in random order: the median, the quartiles and the robust
spread of a group are then those of its cohort row, tails end at 2.05 standard deviations, and no run of high
doses imitates a trend. Exams are spread evenly over a device's working days in the same manner. Real networks
are rougher than this one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from random import Random
from statistics import NormalDist

from dose_audit.demo import planted
from dose_audit.demo.cohorts import COHORTS, Cohort
from dose_audit.demo.network import Device, device

__all__ = ["Patient", "PlannedExam", "plan", "uid"]

_NORMAL = NormalDist()
_BLOCK = 10


@dataclass(frozen=True, slots=True)
class Patient:
    """A made-up patient: a number for a name, decimal strings as they are written into the header."""

    name: str
    patient_id: str
    sex: str
    birth_date: date
    weight_kg: str | None
    height_m: str


@dataclass
class PlannedExam:
    """One study to be written.

    Attributes
    ----------
    key : str
        What its UIDs are derived from.
    number : int
        Position in time among all exams, from 1; accession number and patient number follow it.
    device : Device
        Where; its ``software_versions`` are those of that day.
    cohort : Cohort
        What.
    started : datetime
        Local time of the first exposure.
    deviate : float
        Standard normal deviate of the log dose.
    leading : float
        Leading dose quantity, see :mod:`dose_audit.demo.cohorts`.
    variant : str
        ``plain``, ``cumulative``, ``continued``, or the kind of a planted extra.
    planted : list of str
        Kinds of planted truth that this exam carries.
    """

    key: str
    number: int
    device: Device
    cohort: Cohort
    started: datetime
    deviate: float
    leading: float
    variant: str = "plain"
    planted: list[str] = field(default_factory=list)

    @cached_property
    def patient(self) -> Patient:
        """Who; named after the exam's number, so asked for only once that is known."""
        return _patient(self)

    def uid(self, *parts: object) -> str:
        """Return the UID of a part of this exam."""
        return uid(self.key, *parts)

    def random(self, purpose: str) -> Random:
        """Return a generator of its own for one purpose, so that no detail depends on another."""
        return Random(f"{self.key}/{purpose}")


def uid(*parts: object) -> str:
    """Return a UUID-derived UID (``2.25.``, PS3.5 annex B) that depends on nothing but ``parts``.

    >>> uid("a", 1) == uid("a", 1), len(uid("a", 1)) <= 64
    (True, True)
    """
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big') + 1}"


def plan(seed: int, scale: float = 1.0) -> list[PlannedExam]:
    """Plan the exams of the demonstration in time order.

    Parameters
    ----------
    seed : int
        Seed; the same seed and scale give the same exams, UIDs and doses.
    scale : float
        Factor on every cohort's number of exams; at least one each. Planted extras stay.

    Returns
    -------
    list of PlannedExam
    """
    exams = [exam for cohort in COHORTS for exam in _cohort_exams(cohort, seed, scale)]
    exams.extend(_extra_exams(seed))
    exams.sort(key=lambda exam: (exam.started, exam.key))
    for number, exam in enumerate(exams, start=1):
        exam.number = number
    return exams


def _cohort_exams(cohort: Cohort, seed: int, scale: float) -> Iterator[PlannedExam]:
    where = device(cohort.device)
    count = max(1, round(cohort.count * scale))
    key = f"{seed}/{cohort.device}/{cohort.examination}/{cohort.band}"
    random = Random(key)
    starts = _starts(where, count, random)
    for index, (started, deviate) in enumerate(zip(starts, _deviates(count, random), strict=True)):
        exam = PlannedExam(f"{key}/{index}", 0, where, cohort, started, deviate, 0.0)
        exam.leading = cohort.median * math.exp(cohort.spread * deviate)
        _plant(exam, index)
        yield exam


def _extra_exams(seed: int) -> Iterator[PlannedExam]:
    for extra in planted.EXTRAS:
        key = f"{seed}/{extra.kind}"
        random = Random(key)
        for index, deviate in enumerate(_deviates(extra.cohort.count, random)):
            exam = PlannedExam(
                f"{key}/{index}",
                0,
                device(extra.cohort.device),
                extra.cohort,
                extra.first + timedelta(days=extra.days * index),
                deviate,
                extra.cohort.median * math.exp(extra.cohort.spread * deviate),
                variant=extra.kind,
                planted=[extra.kind],
            )
            _plant(exam, None)
            yield exam


def _plant(exam: PlannedExam, index: int | None) -> None:
    """Apply the planted shifts and mark the exam; ``index`` is its place in its cohort."""
    for kind, shift in (
        ("above_drl", planted.ABOVE_DRL),
        ("step_at_software_change", planted.STEP),
        ("kap_unit_slip", planted.UNIT_SLIP),
    ):
        if exam.device.key != shift.device or exam.started.date() < shift.since:
            continue
        if shift.examination not in (None, exam.cohort.examination):
            continue
        exam.leading *= shift.factor
        exam.planted.append(kind)
        if shift.software_versions is not None:
            exam.device = replace(exam.device, software_versions=shift.software_versions)
    gap = planted.NO_WEIGHT
    if exam.device.key == gap.device and gap.first <= exam.started.date() <= gap.last:
        exam.planted.append("missing_weight")
    if index is None:
        return
    if _picked(planted.CUMULATIVE, exam, index):
        exam.variant = "cumulative"
    elif _picked(planted.CONTINUED, exam, index):
        exam.variant = "continued"
    else:
        for how, every in planted.RESENT:
            if _picked(every, exam, index):
                exam.variant = f"resent, {how}"
    if exam.variant != "plain":
        exam.planted.append(exam.variant)


def _picked(every: planted.Every, exam: PlannedExam, index: int) -> bool:
    if exam.device.key != every.device or exam.cohort.examination != every.examination:
        return False
    turn, rest = divmod(index - every.offset, every.step)
    return rest == 0 and 0 <= turn < every.limit


def _deviates(count: int, random: Random) -> Iterator[float]:
    """Yield standard normal deviates, one from each tenth of the distribution in every ten."""
    for first in range(0, count, _BLOCK):
        size = min(_BLOCK, count - first)
        order = list(range(size))
        random.shuffle(order)
        for stratum in order:
            yield _NORMAL.inv_cdf((stratum + random.uniform(0.2, 0.8)) / size)


def _starts(where: Device, count: int, random: Random) -> list[datetime]:
    """Spread exams evenly over the device's working days."""
    first, last = planted.PERIOD
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    days = [day for day in days if where.weekends or day.weekday() < 5]
    if where.key == planted.SILENT.device:
        days = [day for day in days if not planted.SILENT.first <= day <= planted.SILENT.last]
    starts = []
    for index in range(count):
        position = (index + random.uniform(0.2, 0.8)) / count
        day = days[int(position * len(days))]
        opening = datetime.combine(day, time(8, 0))
        starts.append(opening + timedelta(seconds=random.randrange(9 * 3600)))
    return starts


def _patient(exam: PlannedExam) -> Patient:
    random = exam.random("patient")
    # Larger patients get more dose: size shares half of the variance of the log dose.
    size = 0.7 * exam.deviate + 0.7 * max(-1.6, min(1.6, random.gauss(0, 1)))
    fraction = _NORMAL.cdf(size)
    youngest, oldest = exam.cohort.age_months
    spread = fraction if exam.cohort.weight_kg else random.random()
    months = max(0.4, youngest + (oldest - youngest) * spread)
    weight, height = _build(months / 12, size, fraction, exam.cohort.weight_kg)
    extra = next((entry for entry in planted.EXTRAS if entry.kind == exam.variant), None)
    return Patient(
        name=(extra and extra.patient_name) or f"DEMO^{exam.number:04d}",
        patient_id=(extra and extra.patient_id) or f"DEMO{exam.number:06d}",
        sex="F" if exam.cohort.examination.startswith("mg-") else random.choice("FM"),
        birth_date=exam.started.date() - timedelta(days=round(months * 30.4375)),
        weight_kg=None if "missing_weight" in exam.planted else f"{weight:.1f}",
        height_m=f"{height:.2f}",
    )


def _build(years: float, size: float, fraction: float, weight_band: tuple[float, float] | None) -> tuple[float, float]:
    """Return plausible weight (kg) and height (m); ``size`` is a standard deviate, ``fraction`` its rank."""
    if years >= 18:
        return 76.0 * math.exp(0.15 * size), 1.70 + 0.04 * size
    height = 0.52 + 0.23 * years if years < 1 else 0.75 + 0.060 * (years - 1)
    if weight_band is not None:
        lowest, highest = weight_band
        return lowest + (highest - lowest) * fraction, height
    weight = 3.5 + 6.5 * years if years < 1 else 10.0 + 2.5 * (years - 1)
    return weight * math.exp(0.08 * size), height
