"""Do sites differ: in level (Kruskal–Wallis, Dunn's pairs) and in spread (Brown–Forsythe on ln dose)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, fdtrc, ndtr

from dose_audit.statistics.change import median_step
from dose_audit.statistics.multiplicity import benjamini_hochberg
from dose_audit.statistics.order_statistics import INSUFFICIENT_N, NO_SPREAD, OK, Estimate, as_finite

_ROUNDINGS = 4
"""Roundings in a deviation from a median of logarithms."""


@dataclass(frozen=True, slots=True)
class KruskalWallis:
    """Rank test that all groups have the same distribution.

    Attributes
    ----------
    value : float or None
        ε² = H/(n − 1): the share of the variance of the ranks that lies between the groups, 0 to 1.
    statistic : float or None
        H, corrected for ties.
    degrees_of_freedom : int
    p_value : float or None
        From the chi-square distribution.
    n, n_groups : int
        Of the groups that were compared.
    left_out : tuple of str
        Groups with too few values.
    status, reason : str
        ``OK``, ``INSUFFICIENT_N`` or ``NO_SPREAD``.
    """

    value: float | None
    statistic: float | None
    degrees_of_freedom: int
    p_value: float | None
    n: int
    n_groups: int
    left_out: tuple[str, ...] = ()
    status: str = OK
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DunnPair:
    """Two groups compared by their mean ranks among all groups.

    Attributes
    ----------
    first, second : str
    ratio : Estimate
        Median of the second over that of the first, with its own distribution-free interval (not widened for
        the number of pairs).
    z : float
        Positive where the second group ranks higher.
    p_value, adjusted : float
        Two-sided, and adjusted over all pairs.
    """

    first: str
    second: str
    ratio: Estimate
    z: float
    p_value: float
    adjusted: float


@dataclass(frozen=True, slots=True)
class Dunn:
    """All pairs of a Dunn test.

    Attributes
    ----------
    pairs : tuple of DunnPair
    adjustment : str
        ``holm`` or ``bh``.
    n : int
    left_out : tuple of str
    status, reason : str
        As for `KruskalWallis`.
    """

    pairs: tuple[DunnPair, ...]
    adjustment: str
    n: int
    left_out: tuple[str, ...] = ()
    status: str = OK
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BrownForsythe:
    """Test that all groups spread alike on the log scale.

    Attributes
    ----------
    value : float or None
        Largest over smallest spread; None where a group does not spread at all.
    spreads : dict of str to float
        Mean absolute deviation of ln(dose) from the group's median.
    statistic, p_value : float or None
        F with the two degrees of freedom below.
    degrees_of_freedom : (int, int)
    n : int
    left_out : tuple of str
    status, reason : str
        As for `KruskalWallis`.
    """

    value: float | None
    spreads: dict[str, float]
    statistic: float | None
    p_value: float | None
    degrees_of_freedom: tuple[int, int]
    n: int
    left_out: tuple[str, ...] = ()
    status: str = OK
    reason: str = ""


def kruskal_wallis(groups: Mapping[str, ArrayLike], *, minimum_n: int = 5) -> KruskalWallis:
    """Kruskal–Wallis test over groups, corrected for ties.

    Parameters
    ----------
    groups : mapping of str to array_like
        Finite values by group: size-standardised ratios where size is known, else doses.
    minimum_n : int
        Smaller groups are left out and named.

    Notes
    -----
    H = 12/(n(n+1))·Σ R_i²/n_i − 3(n+1), divided by 1 − Σ(t³ − t)/(n³ − n). A small p value is no measure of
    difference in a large network: read it beside ε² and the ratios of `dunn`.

    References
    ----------
    Kruskal and Wallis, J. Am. Stat. Assoc. 47 (1952) 583; Tomczak and Tomczak, Trends Sport Sci. 1 (2014) 19
    (ε²).

    Examples
    --------
    >>> round(kruskal_wallis({"A": [1, 2, 3, 4, 5], "B": [6, 7, 8, 9, 10]}).statistic, 3)
    6.818
    """
    kept, left_out = _comparable(groups, minimum_n)
    n = sum(values.size for values in kept.values())
    df = max(len(kept) - 1, 0)
    problem = _problem(kept, minimum_n)
    if problem:
        return KruskalWallis(None, None, df, None, n, len(kept), left_out, *problem)
    mean_ranks, tie_loss = _mean_ranks(kept)
    centre = (n + 1) / 2.0
    between = sum(values.size * (rank - centre) ** 2 for values, rank in zip(kept.values(), mean_ranks, strict=True))
    statistic = 12.0 / (n * (n + 1.0)) * between / tie_loss
    return KruskalWallis(statistic / (n - 1.0), statistic, df, float(chdtrc(df, statistic)), n, len(kept), left_out)


def dunn(groups: Mapping[str, ArrayLike], *, adjustment: str = "holm", level: float = 0.95, minimum_n: int = 5) -> Dunn:
    """Dunn's comparison of all pairs after a Kruskal–Wallis test.

    Parameters
    ----------
    groups : mapping of str to array_like
        Positive values by group.
    adjustment : str
        ``holm`` (chance of any false pair) or ``bh`` (share of false pairs among those found).
    level : float
        Of the intervals of the ratios.
    minimum_n : int
        Smaller groups are left out and named.

    Raises
    ------
    ValueError
        If the adjustment is unknown or a value is not positive.

    Notes
    -----
    z = (R̄_2 − R̄_1)/√((n(n+1)/12 − Σ(t³ − t)/(12(n − 1)))·(1/n_1 + 1/n_2)) with mean ranks among all groups.
    For two groups z² is the Kruskal–Wallis H.

    References
    ----------
    Dunn, Technometrics 6 (1964) 241; Holm, Scand. J. Stat. 6 (1979) 65.

    Examples
    --------
    >>> test = dunn({"A": [1, 2, 3, 4, 5], "B": [6, 7, 8, 9, 10], "C": [2, 3, 4, 5, 6]})
    >>> [(pair.first, pair.second, round(pair.adjusted, 3)) for pair in test.pairs]
    [('A', 'B', 0.01), ('A', 'C', 0.5), ('B', 'C', 0.046)]
    """
    if adjustment not in ("holm", "bh"):
        raise ValueError(f"adjustment {adjustment!r} is neither holm nor bh")
    kept, left_out = _comparable(groups, minimum_n, positive=True)
    n = sum(values.size for values in kept.values())
    problem = _problem(kept, minimum_n)
    if problem:
        return Dunn((), adjustment, n, left_out, *problem)
    mean_ranks, tie_loss = _mean_ranks(kept)
    unit = n * (n + 1.0) / 12.0 * tie_loss
    names, samples = list(kept), list(kept.values())
    indices = list(combinations(range(len(names)), 2))
    scores = [
        (mean_ranks[j] - mean_ranks[i]) / math.sqrt(unit * (1.0 / samples[i].size + 1.0 / samples[j].size))
        for i, j in indices
    ]
    p_values = [2.0 * float(ndtr(-abs(z))) for z in scores]
    adjusted = holm(p_values) if adjustment == "holm" else benjamini_hochberg(p_values).adjusted
    pairs = tuple(
        DunnPair(
            names[i],
            names[j],
            median_step(samples[i], samples[j], level=level, minimum_n=minimum_n),
            float(z),
            p_value,
            q,
        )
        for (i, j), z, p_value, q in zip(indices, scores, p_values, adjusted, strict=True)
    )
    return Dunn(pairs, adjustment, n, left_out)


def brown_forsythe(groups: Mapping[str, ArrayLike], *, minimum_n: int = 5) -> BrownForsythe:
    """Brown–Forsythe test of equal spread on ln(value).

    Parameters
    ----------
    groups : mapping of str to array_like
        Positive values by group.
    minimum_n : int
        Smaller groups are left out and named.

    Notes
    -----
    One-way analysis of variance of |ln x − median(ln x)|; on the log scale a site that gives twice the dose
    with the same relative spread passes.

    References
    ----------
    Brown and Forsythe, J. Am. Stat. Assoc. 69 (1974) 364.

    Examples
    --------
    >>> test = brown_forsythe({"A": [10, 11, 12, 13, 14], "B": [5, 8, 12, 20, 30]})
    >>> round(test.p_value, 3)
    0.033
    """
    kept, left_out = _comparable(groups, minimum_n, positive=True)
    n, k = sum(values.size for values in kept.values()), len(kept)
    freedom = (max(k - 1, 0), max(n - k, 0))
    deviations = {name: np.abs(np.log(x) - np.median(np.log(x))) for name, x in kept.items()}
    spreads = {name: float(d.mean()) for name, d in deviations.items()}
    if k < 2:
        return BrownForsythe(None, spreads, None, None, freedom, n, left_out, INSUFFICIENT_N, _too_few(k, minimum_n))
    grand = float(np.concatenate(list(deviations.values())).mean())
    between = sum(d.size * (spreads[name] - grand) ** 2 for name, d in deviations.items())
    within = sum(float(np.sum((d - spreads[name]) ** 2)) for name, d in deviations.items())
    # Doses that alternate between two values deviate alike but for the rounding of their logarithms.
    rounding = _ROUNDINGS * np.finfo(float).eps * max(float(np.abs(np.log(x)).max()) for x in kept.values())
    if within <= n * rounding**2:
        reason = "the values of each group do not spread"
        return BrownForsythe(None, spreads, None, None, freedom, n, left_out, NO_SPREAD, reason)
    statistic = between / freedom[0] / (within / freedom[1])
    least, most = min(spreads.values()), max(spreads.values())
    p_value = float(fdtrc(*freedom, statistic))
    return BrownForsythe(most / least if least else None, spreads, statistic, p_value, freedom, n, left_out)


def holm(p_values: ArrayLike) -> tuple[float, ...]:
    """Holm's step-down adjustment: the chance of any false rejection in the family stays under the level.

    Parameters
    ----------
    p_values : array_like
        Each in [0, 1].

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    p = as_finite(p_values)
    if p.size and not (p.min() >= 0.0 and p.max() <= 1.0):
        raise ValueError("a p value is not between 0 and 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(p.size)
    stepped = p[order] * np.arange(p.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return tuple(adjusted.tolist())


def _comparable(
    groups: Mapping[str, ArrayLike], minimum_n: int, *, positive: bool = False
) -> tuple[dict[str, NDArray[np.float64]], tuple[str, ...]]:
    """Groups that are large enough, and the names of the others."""
    kept, left_out = {}, []
    for name, values in groups.items():
        try:
            array = as_finite(values, positive=positive)
        except ValueError as error:
            raise ValueError(f"group {name!r}: {error}") from error
        if array.size < max(minimum_n, 1):
            left_out.append(name)
        else:
            kept[name] = array
    return kept, tuple(left_out)


def _problem(kept: Mapping[str, NDArray[np.float64]], minimum_n: int) -> tuple[str, str] | None:
    """Status and reason that forbid a comparison of ranks."""
    if len(kept) < 2:
        return INSUFFICIENT_N, _too_few(len(kept), minimum_n)
    if min(x.min() for x in kept.values()) == max(x.max() for x in kept.values()):
        return NO_SPREAD, "all values are equal"
    return None


def _too_few(count: int, minimum_n: int) -> str:
    return f"{count} groups have {minimum_n} values or more, 2 needed"


def _mean_ranks(kept: Mapping[str, NDArray[np.float64]]) -> tuple[list[float], float]:
    """Mean rank of each group (ties share theirs), and 1 − Σ(t³ − t)/(n³ − n)."""
    pooled = np.concatenate(list(kept.values()))
    _, position, count = np.unique(pooled, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[position]
    n, ties = float(pooled.size), count.astype(float)
    edges = np.cumsum([x.size for x in kept.values()])[:-1]
    means = [float(part.mean()) for part in np.split(rank, edges)]
    return means, 1.0 - float(np.sum(ties**3 - ties)) / (n**3 - n)
