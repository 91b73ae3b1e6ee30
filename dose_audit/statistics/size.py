"""Dose at a reference patient size: a robust slope of ln(dose) on size, so that unlike patients can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from dose_audit.statistics.order_statistics import EMPTY, OK, Estimate, as_finite, median_interval, quantile
from dose_audit.statistics.slope import robust_slope

EXTRAPOLATION = "EXTRAPOLATION"
SIZE_MISSING = "SIZE_MISSING"
UNEVEN_MISSING = "UNEVEN_MISSING"
MOST_MISSING = 0.3
"""Share of exams without a size, over all sites or at one of them, beyond which they are not compared at one size."""


@dataclass(frozen=True, slots=True)
class SizeAxis:
    """How ln(dose) depends on one measure of size, and which sizes can be real.

    Attributes
    ----------
    name, unit : str
    logarithmic : bool
        Whether ln(dose) is taken as linear in ln(size) (a power law) or in the size itself (an exponential).
    smallest, largest : float
        Sizes outside are slips of unit or defaults, and count as missing.
    """

    name: str
    unit: str
    logarithmic: bool
    smallest: float
    largest: float

    def position(self, size: ArrayLike) -> NDArray[np.float64]:
        """Size on the axis that ln(dose) is linear in."""
        array = np.asarray(size, dtype=float)
        return np.log(array) if self.logarithmic else array


SIZE_AXES = {
    axis.name: axis
    for axis in (
        SizeAxis("water_equivalent_diameter", "cm", False, 5.0, 70.0),
        SizeAxis("effective_diameter", "cm", False, 5.0, 70.0),
        SizeAxis("weight", "kg", True, 0.4, 350.0),
        SizeAxis("paediatric_weight", "kg", False, 0.4, 150.0),
        SizeAxis("compressed_thickness", "mm", False, 5.0, 150.0),
    )
}
"""Attenuation is exponential in thickness and diameter; in adults dose goes with a power of weight."""


@dataclass(frozen=True, slots=True)
class SizeStandardised:
    """Median dose at a reference size.

    Attributes
    ----------
    value, low, high : float or None
        Median and its interval in the unit of dose; None where the reference is outside the data.
    slope : Estimate
        Change of ln(dose) per unit of size (exponential) or per unit of ln(size) (power law). It is itself a
        check of the exposure control: near 0 means a fixed technique.
    reference : float
        Size that the value holds for, in the axis's unit.
    axis : SizeAxis
    support : (float, float) or None
        Sizes between which a reference is accepted.
    doses : numpy.ndarray
        Every dose brought to the reference size, in the order given; NaN where the size is missing.
    ratios : numpy.ndarray
        Every dose over the usual one at its own size; NaN where the size is missing. Fit for `log_outliers`,
        `find_changes` and the comparisons between sites.
    n, n_missing : int
        Doses with and without a usable size.
    level : float
    status, reason : str
        ``OK``, ``EMPTY``, ``INSUFFICIENT_N``, ``NO_SPREAD`` (all sizes equal), ``EXTRAPOLATION``, or
        ``SIZE_MISSING`` (the value stands for the complete cases alone and is no basis for a verdict between
        sites).
    """

    value: float | None
    low: float | None
    high: float | None
    slope: Estimate
    reference: float
    axis: SizeAxis
    support: tuple[float, float] | None
    doses: NDArray[np.float64]
    ratios: NDArray[np.float64]
    n: int
    n_missing: int
    level: float = 0.95
    status: str = OK
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Missingness:
    """Whether sizes are missing too often, or more often at one site than at another.

    Attributes
    ----------
    value : float or None
        Share of exams without a usable size, over all sites.
    p_value : float or None
        That all sites have the same share (chi-square).
    n : int
        Exams.
    status, reason : str
        ``OK``, ``EMPTY``, ``SIZE_MISSING`` or ``UNEVEN_MISSING``; with either of the last two no
        size-adjusted verdict between sites is sound.
    """

    value: float | None
    p_value: float | None
    n: int
    status: str = OK
    reason: str = ""


def standardise_size(
    doses: ArrayLike,
    sizes: ArrayLike,
    reference: float,
    *,
    axis: str | SizeAxis,
    level: float = 0.95,
    minimum_n: int = 20,
    most_missing: float = 0.3,
) -> SizeStandardised:
    """Median dose at a reference size, from the robust slope of ln(dose) on size.

    Parameters
    ----------
    doses : array_like
        Positive doses of one examination (and acquisition protocol: standardise within an indication).
    sizes : array_like
        One a dose, in the axis's unit; NaN (or None) where it is not known.
    reference : float
        Size to standardise to; nearest the centre of the data the interval is shortest.
    axis : str or SizeAxis
        A row of ``SIZE_AXES`` or one of the caller's own.
    level : float
        Of the intervals.
    minimum_n : int
        Fewer doses with a size give ``INSUFFICIENT_N`` and no value.
    most_missing : float
        A larger share without a size gives ``SIZE_MISSING``.

    Raises
    ------
    ValueError
        If a dose is not positive, the arrays differ in length, or the axis is unknown.

    Notes
    -----
    ln d_i = α + β·(s_i − s_0) + ε_i with β after Theil and Sen; the value is exp of the median of
    ln d_i − β·(s_i − s_0). Its interval joins in quadrature the order-statistic interval of that median and the
    slope's interval times the distance of the reference from the median size, each side on its own. A reference
    below the 5th or above the 95th percentile of the sizes is refused: a slope says nothing of patients who
    were never examined. Missing sizes are counted, never imputed.

    References
    ----------
    ICRP Publication 135, Ann. ICRP 46(1), 2017, doi 10.1177/0146645317717209 (dose as a function of size).

    Examples
    --------
    >>> size_cm = [24, 26, 28, 30, 32, 34] * 4
    >>> dose_mgy = [4 * math.exp(0.05 * (size - 29)) for size in size_cm]
    >>> result = standardise_size(dose_mgy, size_cm, 29, axis="water_equivalent_diameter")
    >>> round(result.value, 3), round(result.slope.value, 3)
    (4.0, 0.05)
    """
    row = SIZE_AXES.get(axis) if isinstance(axis, str) else axis
    if row is None:
        raise ValueError(f"size axis {axis!r} is not one of {', '.join(SIZE_AXES)}")
    dose = as_finite(doses, positive=True)
    size = np.asarray(sizes, dtype=float).ravel()
    if size.size != dose.size:
        raise ValueError(f"{dose.size} doses and {size.size} sizes")
    known = (size >= row.smallest) & (size <= row.largest)  # NaN is neither
    n, n_missing = int(np.count_nonzero(known)), int(np.count_nonzero(~known))
    position, logs = row.position(size[known]), np.log(dose[known])
    slope = robust_slope(position, logs, level=level, minimum_n=minimum_n)
    blank = np.full(dose.size, np.nan)
    limits = size_support(size[known])
    if slope.value is None:
        status, reason = (EMPTY, "no doses") if dose.size == 0 else (slope.status, slope.reason)
        return SizeStandardised(
            None, None, None, slope, reference, row, limits, blank, blank, n, n_missing, level, status, reason
        )
    detrended = logs - slope.value * position
    ratios = blank.copy()
    ratios[known] = np.exp(detrended - np.median(detrended))
    if limits is None or not limits[0] <= reference <= limits[1]:
        reason = f"reference {reference:g} {row.unit} is outside the sizes that were examined"
        if limits is not None:
            reason += f", {limits[0]:.4g} to {limits[1]:.4g} {row.unit}"
        return SizeStandardised(
            None,
            None,
            None,
            slope,
            reference,
            row,
            limits,
            blank,
            ratios,
            n,
            n_missing,
            level,
            EXTRAPOLATION,
            reason,
        )
    origin = float(row.position(reference))
    adjusted = logs - slope.value * (position - origin)
    standardised = blank.copy()
    standardised[known] = np.exp(adjusted)
    value, low, high = _median_at(adjusted, slope, origin - float(np.median(position)), level)
    status, reason = slope.status, slope.reason
    share = n_missing / dose.size
    if share > most_missing:
        status = SIZE_MISSING
        reason = f"{n_missing} of {dose.size} doses have no usable size ({share:.0%})"
    return SizeStandardised(
        value,
        low,
        high,
        slope,
        reference,
        row,
        limits,
        standardised,
        ratios,
        n,
        n_missing,
        level,
        status,
        reason,
    )


def size_support(sizes: ArrayLike) -> tuple[float, float] | None:
    """5th and 95th percentile of the sizes: nothing is said of patients outside; None without sizes."""
    low, high = quantile(sizes, 0.05), quantile(sizes, 0.95)
    return None if low is None or high is None else (low, high)


def size_missingness(
    missing: Mapping[str, int], total: Mapping[str, int], *, most_missing: float = MOST_MISSING, alpha: float = 0.01
) -> Missingness:
    """Judge whether missing sizes forbid a size-adjusted comparison between sites.

    Parameters
    ----------
    missing, total : mapping of str to int
        Exams without a usable size, and all exams, by site.
    most_missing : float
        A larger share, over all sites or at any one of them, gives ``SIZE_MISSING``.
    alpha : float
        Shares that differ between sites with a smaller p value give ``UNEVEN_MISSING``.

    Raises
    ------
    ValueError
        If the sites of the two tables differ or a count is impossible.

    Examples
    --------
    >>> size_missingness({"A": 2, "B": 15}, {"A": 60, "B": 60}).status
    'UNEVEN_MISSING'
    """
    if set(missing) != set(total):
        raise ValueError("the two tables do not name the same sites")
    for site in total:
        if not 0 <= missing[site] <= total[site]:
            raise ValueError(f"site {site!r}: {missing[site]} of {total[site]} exams cannot be")
    n, lost = sum(total.values()), sum(missing.values())
    if n == 0:
        return Missingness(None, None, 0, EMPTY, "no exams")
    share = lost / n
    seen = [site for site in total if total[site]]
    p_value = None
    if len(seen) > 1 and 0 < lost < n:
        squares = sum((missing[site] - total[site] * share) ** 2 / total[site] for site in seen)
        p_value = float(chdtrc(len(seen) - 1, squares / (share * (1.0 - share))))
    worst = max(seen, key=lambda site: missing[site] / total[site])
    if missing[worst] > most_missing * total[worst] or share > most_missing:
        reason = f"site {worst!r} has no usable size for {missing[worst]} of {total[worst]} exams"
        return Missingness(share, p_value, n, SIZE_MISSING, reason)
    if p_value is not None and p_value < alpha:
        return Missingness(
            share,
            p_value,
            n,
            UNEVEN_MISSING,
            f"sizes are missing most often at site {worst!r} (p = {p_value:.2g})",
        )
    return Missingness(share, p_value, n)


def _median_at(
    adjusted: NDArray[np.float64], slope: Estimate, distance: float, level: float
) -> tuple[float, float | None, float | None]:
    """Dose of the median adjusted log, with an interval that owns the slope's uncertainty too."""
    middle = median_interval(adjusted, level)
    if middle.value is None or slope.value is None:
        raise AssertionError("a sample that has a slope has a median")
    if middle.low is None or middle.high is None or slope.low is None or slope.high is None:
        return math.exp(middle.value), None, None
    steeper, flatter = distance * (slope.high - slope.value), distance * (slope.low - slope.value)
    up = math.hypot(middle.high - middle.value, max(steeper, flatter))
    down = math.hypot(middle.value - middle.low, min(steeper, flatter))
    return math.exp(middle.value), math.exp(middle.value - down), math.exp(middle.value + up)
