"""Charts that need no baseline and no distribution: CUSUM and EWMA of each exam's rank among those before it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from dose_audit.statistics.chart_limits import ChartLimit, calibrate
from dose_audit.statistics.monitor import cusum_sides, ewma_line, ewma_spread
from dose_audit.statistics.order_statistics import INSUFFICIENT_N, OK, as_finite
from dose_audit.statistics.run_length import CUSUM, EWMA

ALLOWANCE = 0.25
"""k of the CUSUM that decides. Where a step has to be found within 60 exams it is the best whatever the spread: what counts
is the sum that 60 exams must reach, h + 60 k, and with h calibrated that is least about here (docs/change_signals.md)."""
WEIGHT = 0.05
"""λ of the EWMA that is drawn beside it."""
FALSE_ALARM = 0.02
"""Of one chart over its whole series. A year of nightly runs starts it anew at every close, with another history, and shows
the signals of five quarters: looked at every third night, with the closes' own, 3.2 % of unchanged groups have a signal at
a GSD of 2 (1,500 groups, standard error 0.5 %), where fewer than 5 % are promised. 0.03 makes that 5.7 %
(docs/change_signals.md)."""
WARM_UP = 30
"""Exams that only build up the ranks."""
_STEPS_AN_OCTAVE = 4
_LEAST_PART = 5
_AT_ONCE = 1000
"""Exams that are counted among each other all at once: of more a list that is kept sorted is faster."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of a running chart.

    Attributes
    ----------
    index : int
        Observation at which the chart crossed its limit.
    change : int
        First observation after the most likely moment of the change.
    direction : int
        +1 or −1.
    """

    index: int
    change: int
    direction: int


@dataclass(frozen=True, slots=True)
class RunningChart:
    """A self-starting chart over a whole series.

    Attributes
    ----------
    scores : numpy.ndarray
        Sequential normal score of each observation.
    high, low : numpy.ndarray
        The two sides of the CUSUM, in standard deviations; they signal beyond ±`decision`.
    decision : float or None
        h, calibrated.
    line, reach : numpy.ndarray
        EWMA of the scores and its limit either side of 0, for the eye. Like the CUSUM they are NaN in the warm-up
        after the start and after each change.
    signals : tuple of Signal
        In time order; after each the chart starts anew at the change.
    n : int
    status, reason : str
        ``OK`` or ``INSUFFICIENT_N``.
    first_scores : numpy.ndarray or None
        Scores of all observations as if nothing had changed; more observations leave them as they are.
    """

    scores: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    decision: float | None
    line: NDArray[np.float64]
    reach: NDArray[np.float64]
    signals: tuple[Signal, ...]
    n: int
    status: str = OK
    reason: str = ""
    first_scores: NDArray[np.float64] | None = None


def sequential_scores(values: ArrayLike, known: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Normal score of each value's rank among itself and those before it.

    Parameters
    ----------
    values : array_like
        Finite numbers in time order.
    known : numpy.ndarray, optional
        Scores of the first of them, as this function gave them when there were no others yet: they stay as they are.

    Notes
    -----
    Φ⁻¹((R_i − ½)/i) with R_i the rank of value i among the first i (ties share theirs). Of an unchanged series the
    ranks are independent of each other whatever its distribution, so that a chart of the scores keeps its
    promise without a baseline to be estimated.

    References
    ----------
    Conover, Tercero-Gómez and Cordero-Franco, Sequential Analysis 36 (2017) 397.

    Examples
    --------
    >>> sequential_scores([5.0, 7.0, 6.0]).round(3).tolist()
    [0.0, 0.674, 0.0]
    """
    x = as_finite(values)
    told = np.empty(0) if known is None else known
    before, new = np.sort(x[: told.size]), x[told.size :]
    places = np.arange(new.size)
    if new.size <= _AT_ONCE:
        earlier = places[:, None] > places
        below = np.searchsorted(before, new, "left") + np.count_nonzero(earlier & (new < new[:, None]), axis=1)
        through = np.searchsorted(before, new, "right") + np.count_nonzero(earlier & (new <= new[:, None]), axis=1)
    else:
        seen: list[float] = before.tolist()
        below, through = np.empty(new.size, dtype=np.int64), np.empty(new.size, dtype=np.int64)
        for place, value in enumerate(new.tolist()):
            below[place], through[place] = bisect_left(seen, value), bisect_right(seen, value)
            insort(seen, value)
    rank = (below + through) / 2.0 + 0.5
    scores: NDArray[np.float64] = np.concatenate([told, ndtri(rank / (told.size + places + 1))])
    return scores


def running_chart(
    values: ArrayLike,
    *,
    false_alarm: float = FALSE_ALARM,
    known: NDArray[np.float64] | None = None,
    limits: tuple[float, float] | None = None,
) -> RunningChart:
    """Watch a series for lasting changes of its level, exam by exam.

    Parameters
    ----------
    values : array_like
        Log residuals (or doses) in time order.
    false_alarm : float
        Chance of any signal on the whole of an unchanged series of this length.
    known : numpy.ndarray, optional
        `first_scores` of the chart of the first of these values.
    limits : tuple of float, optional
        h of the CUSUM and L of the EWMA, as `chart_limits` gave them for this many values and chance.

    Returns
    -------
    RunningChart

    Notes
    -----
    Reading the chart every night costs nothing: it moves with the exams, not with the looks. A change is dated by the
    largest standardised difference of mean scores before the signal. The newest exams after a change are ranked
    among each other too, so that the chart finds a step the sooner the longer the history before it. Within 60
    exams it finds nine in ten steps of 0.7 standard deviations: of 20 % at a residual GSD of 1.3.

    Examples
    --------
    >>> rng = np.random.default_rng(4)
    >>> series = np.concatenate([rng.normal(0, 1, 300), rng.normal(1, 1, 60)])
    >>> [(signal.direction, abs(signal.change - 300) < 20) for signal in running_chart(series).signals]
    [(1, True)]
    """
    x = as_finite(values)
    n = int(x.size)
    scores, high, low, line, reach = (np.full(n, np.nan) for _ in range(5))
    if n <= 2 * WARM_UP:
        reason = f"{n} exams, more than {2 * WARM_UP} needed for a running chart"
        return RunningChart(scores, high, low, None, line, reach, (), n, INSUFFICIENT_N, reason)
    if limits is None:
        cusum_limit, ewma_limit = chart_limits(n, false_alarm)
        if cusum_limit.value is None or ewma_limit.value is None:
            reason = cusum_limit.reason or ewma_limit.reason
            return RunningChart(scores, high, low, None, line, reach, (), n, cusum_limit.status, reason)
        limits = cusum_limit.value, ewma_limit.value
    decision, width = limits
    signals: list[Signal] = []
    start = drawn = 0
    first_scores = sequential_scores(x, known)
    while n - start > WARM_UP:
        scores[start:] = sequential_scores(x[start:]) if start else first_scores
        first = start + WARM_UP
        judged = scores[first:]
        up, down = cusum_sides(judged, ALLOWANCE)
        drawing = (up, down, ewma_line(judged, WEIGHT), width * ewma_spread(judged.size, WEIGHT))
        # What was drawn up to the last signal stays as it was seen.
        for array, new in zip((high, low, line, reach), drawing, strict=True):
            array[max(first, drawn) :] = new[max(drawn - first, 0) :]
            array[drawn:first] = np.nan
        beyond = (up > decision) | (down < -decision)
        signal = int(np.argmax(beyond))
        if not beyond[signal]:
            break
        index = first + signal
        change = start + _most_likely_change(x[start : index + 1])
        signals.append(Signal(index, change, 1 if up[signal] > decision else -1))
        start, drawn = change, index + 1
    return RunningChart(scores, high, low, decision, line, reach, tuple(signals), n, first_scores=first_scores)


def chart_limits(n: int, false_alarm: float = FALSE_ALARM) -> tuple[ChartLimit, ChartLimit]:
    """Limits of a running chart of `n` values: h of the CUSUM and L of the EWMA.

    Examples
    --------
    >>> cusum_limit, ewma_limit = chart_limits(300)
    >>> (cusum_limit, ewma_limit) == chart_limits(290)  # worked out for few lengths, never for a shorter one
    True
    """
    length = limits_length(n)
    return (
        calibrate(CUSUM, n=length, parameter=ALLOWANCE, false_alarm=false_alarm),
        calibrate(EWMA, n=length, parameter=WEIGHT, false_alarm=false_alarm),
    )


def limits_length(n: int) -> int:
    """The next length for which limits are worked out: four in every doubling, never a shorter one."""
    octaves = math.ceil(_STEPS_AN_OCTAVE * math.log2(max(n, 1) / 100.0))
    return max(100, math.ceil(100 * 2.0 ** (octaves / _STEPS_AN_OCTAVE)))


def _most_likely_change(values: NDArray[np.float64]) -> int:
    """Start of the later part, for the split with the largest standardised difference of mean normal scores."""
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    level = ndtri((order + 0.5) / values.size)
    n, total = values.size, np.cumsum(level)
    before = np.arange(_LEAST_PART, n - _LEAST_PART + 1)
    difference = total[-1] * before / n - total[before - 1]
    return int(before[np.argmax(np.abs(difference) / np.sqrt(before * (n - before)))])
