"""Limits of control charts for a year of nightly looks: how often they cry wolf is computed, and kept to a promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import chdtri

from dose_audit.statistics.order_statistics import INSUFFICIENT_N, OK
from dose_audit.statistics.run_length import CUSUM, EWMA, check_chart, cusum_survival, ewma_survival

NOT_ATTAINABLE = "NOT_ATTAINABLE"

_BASELINE_NODES = 7
_LARGEST_LIMIT = {EWMA: 12.0, CUSUM: 60.0}


@dataclass(frozen=True, slots=True)
class ChartLimit:
    """A limit calibrated so that an unchanged process seldom signals within a period.

    Attributes
    ----------
    value : float or None
        L for `ewma` (its `width`) or h for `cusum` (its `decision`).
    chart : str
    parameter : float
        λ of the EWMA or k of the CUSUM.
    probability : float or None
        Chance of any false signal within `n` observations at that limit.
    n : int
        Observations of the period.
    baseline_n : int or None
        Observations from which centre and spread were estimated; None where they are known.
    status, reason : str
        ``OK``, ``INSUFFICIENT_N`` (baseline) or ``NOT_ATTAINABLE`` (no sensible limit keeps the promise).
    """

    value: float | None
    chart: str
    parameter: float
    probability: float | None
    n: int
    baseline_n: int | None = None
    status: str = OK
    reason: str = ""


@lru_cache(maxsize=256)
def calibrate(
    chart: str = EWMA,
    *,
    n: int,
    parameter: float | None = None,
    false_alarm: float = 0.05,
    baseline_n: int | None = None,
) -> ChartLimit:
    """Limit at which an unchanged process signals within `n` observations with probability `false_alarm`.

    Parameters
    ----------
    chart : str
        ``ewma`` or ``cusum``.
    n : int
        Observations of the period: a year's exams of the group, or 365 where each night is one point.
    parameter : float, optional
        λ (default 0.1) or k (default 0.5).
    false_alarm : float
        Between 0 and 0.5.
    baseline_n : int, optional
        Observations that centre and spread were estimated from. The promise then holds on average over the
        baselines that could have been drawn, and the limits are wider, much so where `n` is many times
        `baseline_n`. None for a centre and spread that are known.

    Returns
    -------
    ChartLimit

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Looking every night costs nothing: the chart moves with its observations, not with the looks. With a baseline
    the probability is averaged over N(0, 1/m) for the centre (Gauss–Hermite) and a scaled χ for the spread
    (equal-probability midpoints), both of a normal process.

    References
    ----------
    Jones, Champ and Rigdon, The performance of exponentially weighted moving average charts with estimated
    parameters, Technometrics 43 (2001) 156.

    Examples
    --------
    >>> limit = calibrate("ewma", n=365)
    >>> round(limit.value, 2), round(limit.probability, 3)
    (3.66, 0.05)
    """
    if chart not in _LARGEST_LIMIT:
        raise ValueError(f"chart {chart!r} is neither ewma nor cusum")
    setting = parameter if parameter is not None else (0.1 if chart == EWMA else 0.5)
    check_chart(chart, setting, 1.0, 1.0, n)
    if not 0.0 < false_alarm < 0.5:
        raise ValueError(f"false alarm probability {false_alarm} is not between 0 and 0.5")
    if baseline_n is not None and baseline_n < 10:
        reason = f"{baseline_n} observations in the baseline, 10 needed"
        return ChartLimit(None, chart, setting, None, n, baseline_n, INSUFFICIENT_N, reason)

    def probability(limit: float) -> float:
        return false_signal(chart, setting, limit, n, baseline_n)

    value = _limit_at(probability, false_alarm, _LARGEST_LIMIT[chart])
    if value is None:
        reason = f"no limit up to {_LARGEST_LIMIT[chart]:g} keeps the promise over {n} observations"
        if baseline_n is not None:
            reason += f" with a baseline of {baseline_n}"
        return ChartLimit(None, chart, setting, None, n, baseline_n, NOT_ATTAINABLE, reason)
    return ChartLimit(value, chart, setting, probability(value), n, baseline_n)


def false_signal(chart: str, parameter: float, limit: float, n: int, baseline_n: int | None = None) -> float:
    """Probability that an unchanged process signals within `n` observations.

    Parameters
    ----------
    chart, parameter, n, baseline_n
        As for `calibrate`.
    limit : float
        L or h.
    """

    def signal(shift: float, spread: float) -> float:
        if chart == EWMA:
            return 1.0 - ewma_survival(parameter, limit, shift, spread, n, True)[0]
        sides = (cusum_survival(parameter, limit, side * shift, spread, n)[0] for side in (1.0, -1.0))
        return min(1.0, 2.0 - sum(sides))

    if baseline_n is None:
        return signal(0.0, 1.0)
    total = 0.0
    for shift, spread, share in _baselines(baseline_n):
        total += share * signal(shift, spread)
    return total


def _baselines(m: int) -> list[tuple[float, float, float]]:
    """Shift and spread of an unchanged process as charts on baselines of `m` would see it, with their shares."""
    nodes, shares = np.polynomial.hermite_e.hermegauss(_BASELINE_NODES)
    shares = shares / shares.sum()
    found = []
    middles = (np.arange(_BASELINE_NODES) + 0.5) / _BASELINE_NODES
    for upper_tail in middles.tolist():
        ratio = math.sqrt(float(chdtri(m - 1, upper_tail)) / (m - 1))  # estimated over true sigma
        for node, share in zip(nodes.tolist(), shares.tolist(), strict=True):
            if node >= 0.0:  # both charts are symmetric: a shift and its mirror image signal alike
                twice = 1.0 if node == 0.0 else 2.0
                found.append((node / math.sqrt(m) / ratio, 1.0 / ratio, twice * share / _BASELINE_NODES))
    return found


def _limit_at(probability: Callable[[float], float], false_alarm: float, largest: float) -> float | None:
    """Smallest limit, to 1e-4, that keeps the promise; None where it would pass `largest`.

    The logarithm of a rare signal's probability falls smoothly with the limit, so that false position (Illinois)
    needs a handful of evaluations.
    """

    def rise(limit: float) -> float:
        return math.log(max(probability(limit), 1e-300) / false_alarm)

    low, below = 0.5, rise(0.5)
    high, above = 2.0, rise(2.0)
    while above > 0.0:
        if high >= largest:
            return None
        low, below = high, above
        high = min(1.5 * high, largest)
        above = rise(high)
    if below <= 0.0:
        return low
    while high - low > 1e-4:
        guess = high - above * (high - low) / (above - below)
        guess = min(max(guess, low + 4e-5), high - 4e-5)
        value = rise(guess)
        if value > 0.0:
            low, below, above = guess, value, above / 2.0
        else:
            high, above, below = guess, value, below / 2.0
    return high
