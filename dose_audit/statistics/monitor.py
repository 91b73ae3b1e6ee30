"""EWMA and CUSUM: running charts that may be read every night without raising the rate of false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.blas import dtbsv

from dose_audit.statistics.order_statistics import EMPTY, OK, as_finite


@dataclass(frozen=True, slots=True)
class MonitorResult:
    """A control chart's statistic with its limits, one entry an observation.

    Attributes
    ----------
    upper, lower : numpy.ndarray
        The chart's statistics; for an EWMA both are the same line.
    upper_limit, lower_limit : numpy.ndarray
        Limits at each observation.
    first_signal : int or None
        Position of the first observation beyond a limit.
    direction : int
        +1 or −1 at that position, 0 without a signal.
    n : int
    status, reason : str
    """

    upper: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper_limit: NDArray[np.float64]
    lower_limit: NDArray[np.float64]
    first_signal: int | None
    direction: int
    n: int
    status: str = OK
    reason: str = ""


def ewma(values: ArrayLike, *, target: float, sigma: float, weight: float = 0.1, width: float = 2.814) -> MonitorResult:
    """Exponentially weighted moving average with exact time-varying limits.

    Parameters
    ----------
    values : array_like
        Observations in time order (for dose: ln of dose, standardised for size where that is known).
    target, sigma : float
        In-control mean and standard deviation, frozen from a baseline; sigma > 0.
    weight : float
        λ in (0, 1].
    width : float
        L: limits at ±L standard deviations of the average. λ 0.1 with L 2.814 gives a mean of 500
        observations between false signals.

    Notes
    -----
    z_i = λ·x_i + (1 − λ)·z_(i−1), z_0 = target; limits target ± L·sigma·√(λ/(2−λ)·(1 − (1−λ)^(2i))).

    References
    ----------
    Lucas and Saccucci, Technometrics 32 (1990) 1.

    Examples
    --------
    >>> ewma([10.2, 10.5], target=10.1, sigma=0.25, weight=0.2, width=2.962).upper.round(3).tolist()
    [10.12, 10.196]
    """
    x = _chart_input(values, target, sigma, width)
    if not 0.0 < weight <= 1.0:
        raise ValueError(f"weight {weight} is not in (0, 1]")
    line = target + ewma_line(x - target, weight)
    reach = width * sigma * ewma_spread(x.size, weight)
    return _judge(line, line, target + reach, target - reach)


def ewma_line(deviations: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """The average alone, of finite deviations from a target, as a deviation from it."""
    n = deviations.size
    if not n:
        return deviations.copy()
    # The recursion as a system of equations with two diagonals; scipy.signal has it too and is slow to import.
    line: NDArray[np.float64] = dtbsv(
        1, _diagonals(_rounded_up(n), weight)[:, :n], weight * deviations, lower=1, overwrite_x=1
    )
    return line


def ewma_spread(n: int, weight: float) -> NDArray[np.float64]:
    """Standard deviation of the average after 1 to n observations, in units of theirs."""
    return _spread(_rounded_up(n), weight)[:n]


def _rounded_up(n: int) -> int:
    """The next power of two: what depends on the length alone is worked out for few lengths."""
    return 1 << max(n - 1, 1).bit_length()


@lru_cache(maxsize=32)
def _diagonals(n: int, weight: float) -> NDArray[np.float64]:
    found = np.full((2, n), weight - 1.0, order="F")
    found[0] = 1.0
    return found


@lru_cache(maxsize=32)
def _spread(n: int, weight: float) -> NDArray[np.float64]:
    steps = np.arange(1, n + 1)
    found: NDArray[np.float64] = np.sqrt(weight / (2.0 - weight) * (1.0 - (1.0 - weight) ** (2 * steps)))
    return found


def cusum(
    values: ArrayLike, *, target: float, sigma: float, allowance: float = 0.5, decision: float = 5.0
) -> MonitorResult:
    """Two-sided tabular cumulative sum in units of sigma.

    Parameters
    ----------
    values : array_like
        Observations in time order.
    target, sigma : float
        In-control mean and standard deviation; sigma > 0.
    allowance : float
        k; half the shift to be found, in sigma.
    decision : float
        h; k 0.5 with h 5 gives a mean of 465 observations between false signals, and 10.4 to find one sigma.

    Notes
    -----
    C⁺_i = max(0, C⁺_(i−1) + (x_i − target)/sigma − k), and its mirror image, returned as negative numbers.

    References
    ----------
    Page, Biometrika 41 (1954) 100; Montgomery, Introduction to Statistical Quality Control, chapter 9.
    """
    if not math.isfinite(allowance):
        raise ValueError(f"allowance {allowance} is not finite")
    x = (_chart_input(values, target, sigma, decision) - target) / sigma
    limit = np.full(x.size, decision)
    return _judge(*cusum_sides(x, allowance), limit, -limit)


def cusum_sides(deviations: NDArray[np.float64], allowance: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sums alone, of finite deviations from a target in standard deviations."""
    sides = []
    for step, lowest in ((-allowance, np.minimum), (allowance, np.maximum)):
        total = deviations + step
        np.cumsum(total, out=total)
        # A sum that is held at zero is the plain sum less the lowest that it has been.
        held = lowest.accumulate(total)
        lowest(held, 0.0, out=held)
        total -= held
        sides.append(total)
    return sides[0], sides[1]


def _chart_input(values: ArrayLike, target: float, sigma: float, limit: float) -> NDArray[np.float64]:
    """The values, or a refusal of what no value could ever signal against."""
    if not math.isfinite(target):
        raise ValueError(f"target {target} is not finite")
    if not (limit > 0.0 and math.isfinite(limit)):
        raise ValueError(f"limit {limit} is not a positive number")
    if not (sigma > 0.0 and math.isfinite(sigma)):
        raise ValueError(f"sigma {sigma} is not a positive number")
    return as_finite(values)


def _judge(
    upper: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper_limit: NDArray[np.float64],
    lower_limit: NDArray[np.float64],
) -> MonitorResult:
    if upper.size == 0:
        return MonitorResult(upper, lower, upper_limit, lower_limit, None, 0, 0, EMPTY, "no values")
    above, below = upper > upper_limit, lower < lower_limit
    signals = np.flatnonzero(above | below)
    first = int(signals[0]) if signals.size else None
    direction = 0 if first is None else (1 if above[first] else -1)
    return MonitorResult(upper, lower, upper_limit, lower_limit, first, direction, int(upper.size))
