"""Outliers and unit slips on the logarithm of dose, by median and MAD so that none can hide itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.statistics.order_statistics import EMPTY, INSUFFICIENT_N, NO_SPREAD, OK, as_finite, median_of

MAD_TO_SIGMA = 1.4826022185056018  # 1 / Φ⁻¹(¾)
IQR_TO_SIGMA = 0.7413011092528009  # 1 / (2 Φ⁻¹(¾))
SCALE_FLOOR = math.log(1.05)
"""Smallest spread that a log z score is divided by: where a technique is fixed, 5 % is still not news."""
MOST_DECADES = 6
"""Of a wrong unit: Gy·m² read as µGy·m²."""

IQR_FALLBACK = "IQR_FALLBACK"
FLOOR = "SCALE_FLOOR"


@dataclass(frozen=True, slots=True)
class LogScale:
    """Robust centre and spread of ln(dose).

    Attributes
    ----------
    centre : float or None
        Median of ln(value).
    scale : float or None
        Spread comparable with a standard deviation of ln(value); never under the floor.
    n : int
        Observations used.
    status, reason : str
        ``OK`` (from the MAD), ``IQR_FALLBACK`` (more than half the values are equal), ``SCALE_FLOOR``,
        ``NO_SPREAD`` (all values are equal) or ``EMPTY``.
    """

    centre: float | None
    scale: float | None
    n: int
    status: str = OK
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outliers:
    """Robust log z scores and the positions beyond the threshold.

    Attributes
    ----------
    z : numpy.ndarray
        One score a value, in the order given; NaN where there is no history to judge by.
    high, low : tuple of int
        Positions beyond the threshold on either side.
    scale : LogScale
        What the scores were formed with.
    threshold : float
        In units of the robust spread.
    n : int
    status, reason : str
        The scale's, or ``INSUFFICIENT_N``.
    """

    z: NDArray[np.float64]
    high: tuple[int, ...]
    low: tuple[int, ...]
    scale: LogScale
    threshold: float
    n: int
    status: str = OK
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UnitSlip:
    """Whether doses moved by a whole power of ten against a device's own history.

    Attributes
    ----------
    decades : int
        −3 … 3; 0 where there is no slip.
    log10_ratio : float or None
        log10 of recent median over historical median.
    low, high : float or None
        Interval of it.
    n_history, n_recent : int
    status, reason : str
        ``OK`` or ``INSUFFICIENT_N``; the reason puts the result into words.
    """

    decades: int
    log10_ratio: float | None
    low: float | None
    high: float | None
    n_history: int
    n_recent: int
    status: str = OK
    reason: str = ""


def log_scale(values: ArrayLike, *, floor: float = SCALE_FLOOR) -> LogScale:
    """Robust centre and spread of ln(value).

    Parameters
    ----------
    values : array_like
        Positive numbers.
    floor : float
        Smallest spread that is returned, on the log scale.

    Notes
    -----
    1.4826·MAD; where more than half the values are equal the MAD is 0 and 0.7413·IQR stands in; below the
    floor, the floor.

    Examples
    --------
    >>> log_scale([7, 7, 7, 7]).status
    'NO_SPREAD'
    """
    logs = np.log(as_finite(values, positive=True))
    if logs.size == 0:
        return LogScale(None, None, 0, EMPTY, "no values")
    centre = median_of(logs)
    deviations = np.abs(logs - centre)
    scale = MAD_TO_SIGMA * median_of(deviations)
    status, reason = OK, ""
    if scale == 0.0:
        upper, lower = np.quantile(logs, [0.75, 0.25], method="median_unbiased")
        scale = IQR_TO_SIGMA * float(upper - lower)
        status, reason = IQR_FALLBACK, "more than half of the values are equal; spread from the quartiles"
    if scale < floor:
        scale = floor
        if float(deviations.max()) == 0.0:
            status, reason = NO_SPREAD, f"all {logs.size} values are equal"
        else:
            status, reason = FLOOR, f"spread below {math.expm1(floor):.0%}, which was used instead"
    return LogScale(centre, scale, int(logs.size), status, reason)


def log_outliers(
    values: ArrayLike, *, history: ArrayLike | None = None, threshold: float = 3.5, minimum_n: int = 30
) -> Outliers:
    """Single doses far from their group, judged on ln(dose) in both directions.

    Parameters
    ----------
    values : array_like
        Positive doses of one examination on one device (or exp of size-standardised residuals).
    history : array_like, optional
        Doses that form centre and spread; the values themselves by default.
    threshold : float
        Robust z beyond which a value is flagged.
    minimum_n : int
        Fewer values in the history give no flags, only the status.

    Notes
    -----
    z = (ln x − median)/(1.4826·MAD). On the raw scale a log-normal dose flags its own upper tail; very low
    doses (a missed phase, a unit slip) matter as much as high ones.

    References
    ----------
    Iglewicz and Hoaglin, How to Detect and Handle Outliers, ASQC 1993: modified z score and its limit 3.5.

    Examples
    --------
    >>> log_outliers([10, 11, 9, 10, 12, 10, 9, 11, 95], minimum_n=9).high
    (8,)
    """
    if not threshold > 0.0:
        raise ValueError(f"threshold {threshold} is not positive")
    logs = np.log(as_finite(values, positive=True))
    scale = log_scale(values if history is None else history)
    n = int(logs.size)
    if scale.centre is None or scale.scale is None or scale.n < minimum_n:
        blank = np.full(n, np.nan)
        reason = f"{scale.n} values, {minimum_n} needed to judge single ones"
        return Outliers(blank, (), (), scale, threshold, n, INSUFFICIENT_N, reason)
    z = (logs - scale.centre) / scale.scale
    high = tuple(np.flatnonzero(z > threshold).tolist())
    low = tuple(np.flatnonzero(z < -threshold).tolist())
    return Outliers(z, high, low, scale, threshold, n, scale.status, scale.reason)


def unit_slip(
    history: ArrayLike,
    recent: ArrayLike,
    *,
    tolerance: float = 0.05,
    minimum_history: int = 20,
    minimum_recent: int = 5,
) -> UnitSlip:
    """Test whether recent doses differ from a device's history by a power of ten up to a million, the mark of a wrong unit.

    Parameters
    ----------
    history, recent : array_like
        Positive doses of one device and examination (or quantity) before and after.
    tolerance : float
        How near log10 of the ratio must come to a whole number, on top of its own uncertainty (capped at
        0.2). By default 12 %: doses that are eight times too high are no slip where the figures can tell.
    minimum_history, minimum_recent : int
        Fewer give ``INSUFFICIENT_N``.

    Notes
    -----
    The ratio is that of the medians; its standard error is 1.2533·√(s₁²/n₁ + s₂²/n₂) with robust spreads s of
    log10. A slip needs the ratio near a whole power of ten and the interval to exclude a factor of √10, so
    that a real doubling or trebling of dose is never called a slip.

    Examples
    --------
    >>> unit_slip([1.0, 1.2, 0.9, 1.1] * 5, [11.0, 10.0, 9.5, 12.0, 10.5]).decades
    1
    """
    before = as_finite(history, positive=True)
    after = as_finite(recent, positive=True)
    counts = (int(before.size), int(after.size))
    if counts[0] < minimum_history or counts[1] < minimum_recent:
        reason = f"{counts[0]} doses before and {counts[1]} after, {minimum_history} and {minimum_recent} needed"
        return UnitSlip(0, None, None, None, *counts, INSUFFICIENT_N, reason)
    old, new = log_scale(before), log_scale(after)
    if old.centre is None or old.scale is None or new.centre is None or new.scale is None:
        raise AssertionError("a sample that is not empty has a centre and a spread")
    ratio = (new.centre - old.centre) / math.log(10)
    error = 1.2533 * math.hypot(old.scale / math.sqrt(counts[0]), new.scale / math.sqrt(counts[1])) / math.log(10)
    low, high = ratio - 1.96 * error, ratio + 1.96 * error
    decades = round(ratio)
    allowed = min(tolerance + 1.96 * error, 0.2)
    near = 1 <= abs(decades) <= MOST_DECADES and abs(ratio - decades) <= allowed
    excludes_half = min(abs(low), abs(high)) > 0.5
    if near and excludes_half:
        reason = f"median changed by a factor of {10.0**ratio:.3g}, close to 10^{decades}"
        return UnitSlip(decades, ratio, low, high, *counts, OK, reason)
    return UnitSlip(0, ratio, low, high, *counts, OK, f"median changed by a factor of {10.0**ratio:.3g}")


def slipped_values(
    values: ArrayLike,
    *,
    history: ArrayLike | None = None,
    minimum_n: int = 20,
    far: float = 3.5,
    near: float = 2.5,
) -> dict[int, int]:
    """Positions of single doses that fit the history only after division by a power of ten.

    Parameters
    ----------
    values : array_like
        Positive doses.
    history : array_like, optional
        What they are judged by; the values themselves by default (sound while fewer than half of them
        slipped).
    minimum_n : int
        Fewer values in the history give an empty answer.
    far, near : float
        A slip lies more than `far` robust spreads from the median as it is, and within `near` after division.

    Returns
    -------
    dict
        Position → power of ten (−6 … 6, never 0).

    Notes
    -----
    Where the spread is so wide that a tenfold dose is within `far` of the median nothing can be said, and
    nothing is.
    """
    logs = np.log(as_finite(values, positive=True))
    scale = log_scale(values if history is None else history)
    if scale.centre is None or scale.scale is None or scale.n < minimum_n:
        return {}
    distance = logs - scale.centre
    decades = np.clip(np.rint(distance / math.log(10)), -MOST_DECADES, MOST_DECADES).astype(int)
    remainder = np.abs(distance - decades * math.log(10)) / scale.scale
    slipped = (decades != 0) & (np.abs(distance) / scale.scale > far) & (remainder <= near)
    return {int(i): int(decades[i]) for i in np.flatnonzero(slipped)}
