"""Medians, quantiles, intervals and tests that rest on ranks alone: no dose distribution is assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrc, ndtri

OK = "OK"
EMPTY = "EMPTY"
NO_INTERVAL = "NO_INTERVAL"
INSUFFICIENT_N = "INSUFFICIENT_N"
NO_SPREAD = "NO_SPREAD"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval.

    Attributes
    ----------
    value, low, high : float or None
        The estimate and the ends of its interval; None where there is none.
    n : int
        Observations used.
    level : float
        Level that was asked for.
    coverage : float or None
        Level that the interval really has (exact where it comes from order statistics, else the nominal one).
    status : str
        ``OK``, ``EMPTY``, ``NO_INTERVAL`` or ``INSUFFICIENT_N``.
    reason : str
        Why the status is not ``OK``; empty otherwise.
    p_value : float or None
        Of the null hypothesis that the function's own docstring names.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    level: float = 0.95
    coverage: float | None = None
    status: str = OK
    reason: str = ""
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class SignTest:
    """One-sided sign tests of a median against a fixed reference.

    Attributes
    ----------
    n, n_above, n_below, n_tied : int
        Observations and how they lie about the reference.
    p_above : float or None
        Probability of at least `n_above` exceedances if the median were at the reference.
    p_below : float or None
        The same for values under the reference.
    """

    n: int
    n_above: int
    n_below: int
    n_tied: int
    p_above: float | None
    p_below: float | None


def as_finite(values: ArrayLike, *, positive: bool = False) -> NDArray[np.float64]:
    """Return `values` as a flat float array, or refuse them.

    Parameters
    ----------
    values : array_like
        Numbers.
    positive : bool
        Also refuse zero and negative numbers (a logarithm follows).

    Raises
    ------
    ValueError
        If a value is not finite (or not positive); the message names the first position.
    """
    array = np.asarray(values, dtype=float).ravel()
    bad = ~np.isfinite(array)
    if positive:
        bad |= ~(array > 0)
    if bad.any():
        where = int(np.argmax(bad))
        needed = "finite and positive" if positive else "finite"
        raise ValueError(f"value {array[where]} at position {where} is not {needed}")
    return array


def median_of(values: NDArray[np.float64]) -> float:
    """`numpy.median` of one number or more that are all finite, to the last bit: for a few hundred in a fraction of its
    time.

    Examples
    --------
    >>> median_of(np.array([3.0, 1.0])), median_of(np.array([3.0, 1.0, 7.0]))
    (2.0, 3.0)
    """
    half = values.size // 2
    if values.size % 2:
        return float(np.partition(values, half)[half])
    ordered = np.partition(values, (half - 1, half))
    return float((ordered[half - 1] + ordered[half]) / 2.0)


def quantile(values: ArrayLike, q: float) -> float | None:
    """Quantile of type 8 (median-unbiased), the one definition used everywhere in this project.

    Parameters
    ----------
    values : array_like
        Finite numbers.
    q : float
        Between 0 and 1.

    Returns
    -------
    float or None
        None for an empty sample.

    Notes
    -----
    Linear interpolation at the plotting position (k − 1/3)/(n + 1/3), which is approximately median-unbiased
    whatever the distribution.

    References
    ----------
    Hyndman and Fan, Sample quantiles in statistical packages, Am. Stat. 50 (1996) 361, definition 8.

    Examples
    --------
    >>> quantile([1, 2, 3, 4], 0.75)
    3.5833333333333335
    """
    array = as_finite(values)
    if array.size == 0:
        return None
    return float(np.quantile(array, q, method="median_unbiased"))


@lru_cache(maxsize=8192)
def interval_ranks(n: int, level: float = 0.95, *, equal_tails: bool = True) -> tuple[int, int, float] | None:
    """Ranks of the shortest order-statistic interval for the median whose coverage is never under `level`.

    Parameters
    ----------
    n : int
        Sample size.
    level : float
        Between 0 and 1, both excluded.
    equal_tails : bool
        With True (the default) the ranks mirror each other, so that either end is a one-sided bound too. With
        False the pair with the fewest ranks between is taken, which can be one rank shorter; of two mirror
        images the upper one, which errs on the side of the higher dose.

    Returns
    -------
    (int, int, float) or None
        1-based lower and upper rank and the exact coverage; None where even the whole range falls short
        (n < 6 for 95 %).

    Notes
    -----
    P(x_(l) ≤ median ≤ x_(u)) ≥ P(l ≤ B ≤ u − 1) with B binomial(n, ½); equality for a continuous
    distribution.

    References
    ----------
    David and Nagaraja, Order Statistics, 3rd ed., Wiley 2003, section 7.1.

    Examples
    --------
    >>> interval_ranks(20)
    (6, 15, 0.9586105346679688)
    >>> interval_ranks(5) is None
    True
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level} is not between 0 and 1")
    if n < 1 or 1.0 - 2.0 * 0.5**n < level:
        return None
    tail = (1.0 - level) / 2.0
    near = int(n / 2 + float(ndtri(tail)) * math.sqrt(n) / 2)  # the normal approximation is right to a rank or two
    candidates = np.arange(max(1, near - 4), max(1, near + 4) + 1)
    below = bdtr(candidates - 1, n, 0.5)  # P(B < l)
    lower = int(candidates[np.count_nonzero(below <= tail) - 1])  # the largest l that leaves no more than the tail
    upper = n + 1 - lower
    coverage = 1.0 - 2.0 * float(bdtr(lower - 1, n, 0.5))
    if equal_tails or upper - lower < 2:
        return lower, upper, coverage
    # One rank less is all that unequal tails can save: the binomial is symmetric and unimodal.
    one_less = float(bdtr(upper - 1, n, 0.5) - bdtr(lower, n, 0.5))
    return (lower + 1, upper, one_less) if one_less >= level else (lower, upper, coverage)


def median_interval(values: ArrayLike, level: float = 0.95, *, equal_tails: bool = True) -> Estimate:
    """Median with its distribution-free order-statistic interval.

    Parameters
    ----------
    values : array_like
        Finite numbers in any order and unit.
    level : float
        The coverage is never under this.
    equal_tails : bool
        See `interval_ranks`.

    Returns
    -------
    Estimate
        ``EMPTY`` without values; ``NO_INTERVAL`` with a median but too few values for the level.

    Examples
    --------
    >>> estimate = median_interval([5, 6, 7, 8, 9, 10])
    >>> estimate.value, estimate.low, estimate.high, estimate.coverage
    (7.5, 5.0, 10.0, 0.96875)
    """
    array = np.sort(as_finite(values))
    n = array.size
    if n == 0:
        return Estimate(None, None, None, 0, level, status=EMPTY, reason="no values")
    median = median_of(array)
    ranks = interval_ranks(n, level, equal_tails=equal_tails)
    if ranks is None:
        reason = f"{n} values give no {level:.0%} order-statistic interval"
        return Estimate(median, None, None, n, level, status=NO_INTERVAL, reason=reason)
    low, high, coverage = ranks
    return Estimate(median, float(array[low - 1]), float(array[high - 1]), n, level, coverage)


def sign_test(values: ArrayLike, reference: float) -> SignTest:
    """Exact one-sided sign tests of the median against `reference`, one in either direction.

    Parameters
    ----------
    values : array_like
        Finite numbers.
    reference : float
        The fixed level, in the values' unit.

    Raises
    ------
    ValueError
        If a value or the reference is not finite: against none, every value would count as tied.

    Notes
    -----
    Values equal to the reference stay in n and count for neither side, which is conservative in both
    directions (and what ``scipy.stats.quantile_test`` does).

    Examples
    --------
    >>> round(sign_test([9] * 15 + [7] * 5, 8).p_above, 4)
    0.0207
    """
    array = as_finite(values)
    if not math.isfinite(reference):
        raise ValueError(f"reference {reference} is not finite")
    above, below = np.count_nonzero(array > reference), np.count_nonzero(array < reference)
    return sign_test_of_counts(array.size, int(above), int(below))


def sign_test_of_counts(n: int, above: int, below: int) -> SignTest:
    """Sign tests of `n` values of which so many lie above and below the reference; see `sign_test`."""
    if n == 0:
        return SignTest(0, 0, 0, 0, None, None)
    return SignTest(n, above, below, n - above - below, _upper_tail(above, n), _upper_tail(below, n))


def _upper_tail(count: int, n: int) -> float:
    """P(B ≥ count) for B binomial(n, ½)."""
    return 1.0 if count == 0 else float(bdtrc(count - 1, n, 0.5))
