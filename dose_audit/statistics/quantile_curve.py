"""Quantile regression: the curve of dose against size that a child is held to, from every patient and no bands."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.statistics.order_statistics import EMPTY, INSUFFICIENT_N, NO_SPREAD, OK, Estimate, as_finite
from dose_audit.statistics.size import EXTRAPOLATION, SIZE_AXES, SizeAxis, size_support

_SEED = 20211  # frozen inputs give the same interval on every run


@dataclass(frozen=True, slots=True)
class QuantileCurve:
    """A quantile of dose as a function of patient size.

    Attributes
    ----------
    q : float
        Quantile: 0.5 for the typical value, 0.75 for a reference curve.
    axis : SizeAxis
    slope : Estimate
        Change of ln(dose) per unit of the axis's position, with its bootstrap interval.
    intercept : float or None
        ln(dose) at position 0 of the axis.
    replicates : numpy.ndarray
        Bootstrap intercepts and slopes, two columns.
    support : (float, float) or None
        Sizes between which the curve holds.
    level : float
    n, n_missing : int
        Doses with and without a usable size.
    status, reason : str
        ``OK``, ``EMPTY``, ``INSUFFICIENT_N`` (too few, or too few in a third of the range) or ``NO_SPREAD``.
    """

    q: float
    axis: SizeAxis
    slope: Estimate
    intercept: float | None
    replicates: NDArray[np.float64]
    support: tuple[float, float] | None
    level: float
    n: int
    n_missing: int
    status: str = OK
    reason: str = ""

    def at(self, size: float) -> Estimate:
        """Dose on the curve at one size, with its interval; ``EXTRAPOLATION`` outside the support."""
        if self.intercept is None or self.slope.value is None or self.support is None:
            return Estimate(None, None, None, self.n, self.level, status=self.status, reason=self.reason)
        if not self.support[0] <= size <= self.support[1]:
            reason = (
                f"{size:g} {self.axis.unit} is outside the sizes that were examined, "
                f"{self.support[0]:.4g} to {self.support[1]:.4g} {self.axis.unit}"
            )
            return Estimate(None, None, None, self.n, self.level, status=EXTRAPOLATION, reason=reason)
        position = float(self.axis.position(size))
        value = math.exp(self.intercept + self.slope.value * position)
        low, high = _interval(self.replicates @ np.array([1.0, position]), self.level)
        return Estimate(value, math.exp(low), math.exp(high), self.n, self.level, self.level)


def quantile_regression(
    design: ArrayLike, response: ArrayLike, q: float = 0.5, *, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Coefficients that minimise the weighted check loss: linear quantile regression, solved exactly.

    Parameters
    ----------
    design : array_like
        Shape (n, p), with a column of ones where an intercept is wanted; of full rank.
    response : array_like
        Length n.
    q : float
        Quantile, between 0 and 1.
    weights : array_like, optional
        Positive, length n.

    Returns
    -------
    numpy.ndarray
        Length p.

    Raises
    ------
    ValueError
        If shapes do not match, a value is not finite, `q` is impossible or the design has not full rank.

    Notes
    -----
    Minimises Σ w_i·(q − 1[r_i < 0])·r_i with r = y − X·β. Solved as its dual linear programme, max yᵀa with
    Xᵀa = (1 − q)·Xᵀw and 0 ≤ a ≤ w, which has only p equations; β is its vector of shadow prices. Where the
    minimum is not unique (a median of an even number) any one solution is returned.

    References
    ----------
    Koenker and Bassett, Econometrica 46 (1978) 33; Koenker, Quantile Regression, Cambridge 2005, section 6.

    Examples
    --------
    >>> quantile_regression([[1], [1], [1]], [3, 9, 4]).round(6).tolist()
    [4.0]
    """
    from scipy.optimize import linprog  # slow to import, and few need it

    x = np.asarray(design, dtype=float)
    y = as_finite(response)
    if x.ndim != 2 or x.shape[0] != y.size:
        raise ValueError(f"design of shape {x.shape} does not fit {y.size} responses")
    as_finite(x)
    if not 0.0 < q < 1.0:
        raise ValueError(f"quantile {q} is not between 0 and 1")
    weight = np.ones(y.size) if weights is None else as_finite(weights, positive=True)
    if weight.size != y.size:
        raise ValueError(f"{weight.size} weights for {y.size} responses")
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise ValueError(f"design of shape {x.shape} has not full rank")
    # A response of unit spread keeps the solver's absolute tolerances meaningful.
    centre, spread = float(np.median(y)), float(np.ptp(y)) or 1.0
    shift = np.linalg.lstsq(x, np.full(y.size, centre), rcond=None)[0]
    target = (y - x @ shift) / spread
    found = linprog(
        -target,
        A_eq=x.T,
        b_eq=(1.0 - q) * (x.T @ weight),
        bounds=np.column_stack([np.zeros(y.size), weight]),
        method="highs-ds",
    )
    if found.status != 0:
        raise RuntimeError(f"linear programme not solved: {found.message}")
    return np.asarray(shift - np.asarray(found.eqlin.marginals) * spread, dtype=float)


def dose_curve(
    doses: ArrayLike,
    sizes: ArrayLike,
    q: float = 0.5,
    *,
    axis: str | SizeAxis = "paediatric_weight",
    patients: Sequence[Hashable] | None = None,
    level: float = 0.95,
    minimum_n: int = 50,
    minimum_in_third: int = 5,
    replicates: int = 299,
) -> QuantileCurve:
    """Quantile of dose as an exponential (or power) of patient size.

    Parameters
    ----------
    doses : array_like
        Positive doses.
    sizes : array_like
        One a dose, in the axis's unit; NaN where it is not known.
    q : float
        Quantile, between 0 and 1.
    axis : str or SizeAxis
        A row of ``SIZE_AXES``; by default dose is exponential in weight.
    patients : sequence, optional
        One (pseudonymous) label a dose: exams of one patient are drawn together.
    level : float
        Of the intervals.
    minimum_n, minimum_in_third : int
        Fewest doses in all, and in each third of the supported range of the axis.
    replicates : int
        Bootstrap replicates, at least 50.

    Raises
    ------
    ValueError
        If a dose is not positive, lengths differ, or the axis or `replicates` is impossible.

    Notes
    -----
    Intervals are percentiles of the weighted bootstrap: every patient has an exponential weight, which never
    leaves a replicate without its large or small children as resampling would. The seed is fixed. To hold a
    site to a published curve, use `sign_test` on dose over curve against 1: every patient counts, and there
    are no bands.

    References
    ----------
    European Commission, Radiation Protection 185, 2018 (curves of dose against weight); Bose and Chatterjee,
    J. Stat. Plan. Inference 117 (2003) 225 (weighted bootstrap).

    Examples
    --------
    >>> weight_kg = list(range(4, 64))
    >>> curve = dose_curve([0.5 * math.exp(0.03 * kg) for kg in weight_kg], weight_kg, replicates=50)
    >>> round(curve.at(20).value, 4), curve.at(90).status
    (0.9111, 'EXTRAPOLATION')
    """
    row = SIZE_AXES.get(axis) if isinstance(axis, str) else axis
    if row is None:
        raise ValueError(f"size axis {axis!r} is not one of {', '.join(SIZE_AXES)}")
    if replicates < 50:
        raise ValueError(f"{replicates} replicates give no interval; 50 or more are needed")
    dose = as_finite(doses, positive=True)
    size = np.asarray(sizes, dtype=float).ravel()
    if size.size != dose.size or (patients is not None and len(patients) != dose.size):
        raise ValueError(f"{dose.size} doses, {size.size} sizes and the patients are not one a row")
    known = (size >= row.smallest) & (size <= row.largest)  # NaN is neither
    n, n_missing = int(np.count_nonzero(known)), int(np.count_nonzero(~known))
    support = size_support(size[known])
    position, logs = row.position(size[known]), np.log(dose[known])
    problem = _problem(position, row, support, minimum_n, minimum_in_third)
    if problem is not None or support is None:
        status, reason = problem or (EMPTY, "no doses")
        blank = Estimate(None, None, None, n, level, status=status, reason=reason)
        return QuantileCurve(q, row, blank, None, np.empty((0, 2)), support, level, n, n_missing, status, reason)
    design = np.column_stack([np.ones(n), position])
    intercept, slope = quantile_regression(design, logs, q)
    cluster = np.arange(n) if patients is None else _numbered(patients, known)
    rng = np.random.default_rng(_SEED)
    drawn = np.empty((replicates, 2))
    for i in range(replicates):
        # A weight of 1e-12 or less would only trouble the solver.
        weight = np.maximum(rng.standard_exponential(int(cluster.max()) + 1), 1e-9)[cluster]
        drawn[i] = quantile_regression(design, logs, q, weights=weight)
    steepness = Estimate(float(slope), *_interval(drawn[:, 1], level), n, level, level)
    return QuantileCurve(q, row, steepness, float(intercept), drawn, support, level, n, n_missing)


def _problem(
    position: NDArray[np.float64],
    axis: SizeAxis,
    support: tuple[float, float] | None,
    minimum_n: int,
    minimum_in_third: int,
) -> tuple[str, str] | None:
    """Status and reason that forbid a curve."""
    n = int(position.size)
    if support is None:
        return EMPTY, "no doses with a usable size"
    if n < minimum_n:
        return INSUFFICIENT_N, f"{n} doses with a size, {minimum_n} needed for a curve"
    low, high = (float(axis.position(end)) for end in support)
    if low == high:
        return NO_SPREAD, f"nearly all sizes are {support[0]:g} {axis.unit}"
    third = np.clip(((position - low) / (high - low) * 3.0).astype(int), 0, 2)
    counts = np.bincount(third, minlength=3)
    if counts.min() < minimum_in_third:
        name = ("lower", "middle", "upper")[int(counts.argmin())]
        reason = f"{counts.min()} doses in the {name} third of the sizes, {minimum_in_third} needed"
        return INSUFFICIENT_N, reason
    return None


def _numbered(labels: Sequence[Hashable], known: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Number of each label among those whose size is known."""
    seen: dict[Hashable, int] = {}
    numbers = [seen.setdefault(labels[i], len(seen)) for i in np.flatnonzero(known).tolist()]
    return np.array(numbers, dtype=np.int_)


def _interval(replicates: NDArray[np.float64], level: float) -> tuple[float, float]:
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail], method="median_unbiased")
    return float(low), float(high)
