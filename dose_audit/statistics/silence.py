"""Devices that fell silent: a gap between exams judged by the device's own week and its own other gaps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from dose_audit.statistics.order_statistics import INSUFFICIENT_N, OK

_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Gap:
    """One silence.

    Attributes
    ----------
    start, end : datetime.datetime
        Last exam before it, and first exam after it (or the moment of looking, if it is still going on).
    days : float
    expected_exams : float
        How many the device would have sent in that time by its own weekday rates.
    p_value : float
        Chance of at least one such gap in the whole period, for a device that never stopped.
    ongoing : bool
        Whether no exam has come since.
    """

    start: datetime
    end: datetime
    days: float
    expected_exams: float
    p_value: float
    ongoing: bool


@dataclass(frozen=True, slots=True)
class SilenceScan:
    """Silences of one device.

    Attributes
    ----------
    gaps : tuple of Gap
        Those that are not explained by the device's own habits, in time order.
    n : int
        Exams used.
    longest_usual_days : float or None
        Longest gap that counts as the device's habit.
    status, reason : str
        ``OK`` or ``INSUFFICIENT_N``.
    """

    gaps: tuple[Gap, ...]
    n: int
    longest_usual_days: float | None
    status: str = OK
    reason: str = ""


def silent_gaps(
    times: Iterable[datetime] | NDArray[np.datetime64],
    until: datetime,
    *,
    alpha: float = 0.001,
    factor: float = 1.5,
    minimum_n: int = 20,
    minimum_days: float = 3.0,
) -> SilenceScan:
    """Find silences of a device that its own rhythm does not explain.

    Parameters
    ----------
    times : iterable of datetime.datetime, or array of datetime64
        Exam times, in any order; all naive, or all with an offset like `until`. An array has neither offsets nor NaT.
    until : datetime.datetime
        The moment of looking: the silence after the last exam counts too.
    alpha : float
        Chance of a false alarm in the whole period for a device with Poisson arrivals.
    factor : float
        A silence must also exceed `factor` times the third longest of the device's other gaps, so that two
        earlier outages cannot hide a third, while a van that comes once a month has its habit respected.
    minimum_n : int
        Fewer exams give ``INSUFFICIENT_N``.
    minimum_days : float
        Nothing shorter is reported.

    Notes
    -----
    The expected number in a gap is the sum over its days of the weekday's mean rate, counted over the days
    outside the gap; p = number of gaps × exp(−expected). Only the first exam starts the clock: a device is
    not silent before it is known.

    Examples
    --------
    >>> start = datetime(2026, 1, 5, 9)
    >>> days = [start + timedelta(days=d) for d in range(60) if not 30 <= d < 44]
    >>> [round(gap.days) for gap in silent_gaps(days, start + timedelta(days=60)).gaps]
    [15]
    """
    origin, seconds = _seconds(times, until)
    n = seconds.size - 1
    if n < minimum_n:
        return SilenceScan((), n, None, INSUFFICIENT_N, f"{n} exams, {minimum_n} needed to know the device's rhythm")
    lengths = np.diff(seconds) / _DAY_S
    usual = np.sort(lengths)[::-1]
    counts, exposure = _weekday_table(seconds, origin)
    found = []
    for i in np.flatnonzero(lengths >= minimum_days).tolist():
        others = usual[1:4] if lengths[i] >= usual[3] else usual[:3]
        if lengths[i] <= factor * float(others[-1]):
            continue
        inside = _weekday_days(seconds[i], seconds[i + 1], origin)
        outside = np.maximum(exposure - inside, 0.0)
        rates = np.divide(counts, outside, out=np.zeros(7), where=outside > 0)
        expected = float(np.dot(rates, inside))
        p_value = min(1.0, lengths.size * math.exp(-expected))
        if p_value < alpha:
            start, end = (origin + timedelta(seconds=float(seconds[place])) for place in (i, i + 1))
            gap = Gap(start, end, float(lengths[i]), expected, p_value, i == lengths.size - 1)
            found.append(gap)
    habit = float(usual[len(found)]) if len(found) < usual.size else None
    return SilenceScan(tuple(found), n, habit)


def _seconds(
    times: Iterable[datetime] | NDArray[np.datetime64], until: datetime
) -> tuple[datetime, NDArray[np.float64]]:
    """The first moment, and seconds from it of each moment in time order, that of looking last."""
    if isinstance(times, np.ndarray):
        micro = np.sort(times.astype("datetime64[us]").astype(np.int64))
        last = int(np.datetime64(until, "us").astype(np.int64))
        micro = np.append(micro[: np.searchsorted(micro, last, side="right")], last)
        return np.datetime64(int(micro[0]), "us").item(), (micro - micro[0]) / 1e6
    ordered = [*sorted(moment for moment in times if moment <= until), until]
    return ordered[0], np.array([(moment - ordered[0]).total_seconds() for moment in ordered])


def _weekday_table(seconds: NDArray[np.float64], origin: datetime) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exams and days of exposure on each weekday (Monday first) over the whole period."""
    midnight = origin.replace(hour=0, minute=0, second=0, microsecond=0)
    since_midnight = np.round(((origin - midnight).total_seconds() + seconds[:-1]) * 1e6).astype(np.int64)
    weekdays = (since_midnight // 86_400_000_000 + origin.weekday()) % 7
    counts = np.bincount(weekdays, minlength=7).astype(float)
    return counts, _weekday_days(0.0, float(seconds[-1]), origin)


def _weekday_days(start_s: float, stop_s: float, origin: datetime) -> NDArray[np.float64]:
    """Days that the span covers on each weekday, in fractions of a day."""
    midnight = origin.replace(hour=0, minute=0, second=0, microsecond=0)
    start, stop = ((origin - midnight).total_seconds() + second for second in (start_s, stop_s))
    first = np.arange(math.floor(start / _DAY_S), math.ceil(stop / _DAY_S))
    covered = np.minimum((first + 1) * _DAY_S, stop) - np.maximum(first * _DAY_S, start)
    return np.bincount((first + origin.weekday()) % 7, covered / _DAY_S, minlength=7).astype(np.float64)
