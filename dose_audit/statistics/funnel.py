"""Funnel plots: which sites lie outside what chance, and the ordinary difference between sites, would give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrc, bdtri, ndtr, ndtri

from dose_audit.statistics.order_statistics import EMPTY, INSUFFICIENT_N, NO_SPREAD, OK, as_finite
from dose_audit.statistics.robust import log_scale

MEDIAN_ERROR = math.sqrt(math.pi / 2.0)
"""Standard error of a normal sample's median over that of its mean: 1.2533."""

_DRAWS = 200_000
"""Normal scores from which it is learned what winsorising leaves."""

UNIT_ERRORS = {"median": MEDIAN_ERROR, "geometric_mean": 1.0}


@dataclass(frozen=True, slots=True)
class FunnelPoint:
    """One site in a funnel.

    Attributes
    ----------
    name : str
    value, low, high : float
        The site's value and its interval at the first level, from its own error alone.
    n : int or None
        Exams; None where only the error is known.
    z : float
        Distance from the target in standard errors, without over-dispersion.
    z_adjusted : float
        The same with the spread between sites added to the error; decides.
    p_value : float
        Two-sided, of `z_adjusted`.
    beyond : float or None
        Highest level whose limits the site lies outside; None inside all.
    direction : int
        +1 above or −1 below those limits, 0 inside.
    """

    name: str
    value: float
    low: float
    high: float
    n: int | None
    z: float
    z_adjusted: float
    p_value: float
    beyond: float | None
    direction: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """A funnel plot in numbers.

    Attributes
    ----------
    target : float or None
        Centre line.
    points : tuple of FunnelPoint
        In the order given.
    levels : tuple of float
        Of the limits, ascending.
    unit_error : float or None
        Standard error of ln(value) for a single exam; over √n for n exams.
    phi : float or None
        Winsorised over-dispersion; about 1 where sites differ by chance alone.
    tau : float or None
        Standard deviation of ln(value) between sites beyond chance; 0 where there is none to be seen.
    n : int
        Sites.
    status, reason : str
        ``OK``, ``EMPTY``, ``NO_SPREAD``, or ``INSUFFICIENT_N`` (too few sites to estimate `tau`: no site is
        called outside).
    """

    target: float | None
    points: tuple[FunnelPoint, ...]
    levels: tuple[float, ...]
    unit_error: float | None
    phi: float | None
    tau: float | None
    n: int
    status: str = OK
    reason: str = ""


def group_funnel(
    groups: Mapping[str, ArrayLike],
    *,
    statistic: str = "median",
    target: float | None = None,
    levels: Sequence[float] = (0.95, 0.998),
    winsorise: float = 0.1,
    minimum_sites: int = 5,
) -> Funnel:
    """Funnel of the medians (or geometric means) of doses by site.

    Parameters
    ----------
    groups : mapping of str to array_like
        Positive doses (or size-standardised ratios) by site. Empty sites are passed over.
    statistic : str
        ``median`` or ``geometric_mean``.
    target, levels, winsorise, minimum_sites
        See `log_funnel`.

    Raises
    ------
    ValueError
        If a dose is not positive (the message names the site) or the statistic is unknown.

    Notes
    -----
    Standard error of ln(value) = c·s/√n, c = √(π/2) for a median and 1 for a mean; s is the robust spread of
    ln(dose) about each site's own mean, pooled over the sites, with k means estimated from N doses allowed
    for by √(N/(N − k)). One pooled s keeps a site of three exams from drawing its own narrow limits. About medians,
    one exam of every small site would lie at no distance at all, and so does the only exam of a site: s would come
    out too small. Sites of one exam are therefore judged by the others' spread. The factor for the median is that
    of a normal ln(dose).

    Examples
    --------
    >>> doses = {name: [4, 5, 6, 7, 8, 5, 6, 7, 6] for name in "ABCDEFGHIJ"} | {"K": [12, 14, 15, 16] * 2}
    >>> [(point.name, point.beyond) for point in group_funnel(doses).points if point.direction]
    [('K', 0.998)]
    """
    if statistic not in UNIT_ERRORS:
        raise ValueError(f"statistic {statistic!r} is not one of {', '.join(UNIT_ERRORS)}")
    levels = _checked_levels(levels)
    logs: dict[str, NDArray[np.float64]] = {}
    for name, values in groups.items():
        try:
            array = np.log(as_finite(values, positive=True))
        except ValueError as error:
            raise ValueError(f"group {name!r}: {error}") from error
        if array.size:
            logs[name] = array
    if not logs:
        return Funnel(target, (), levels, None, None, None, 0, EMPTY, "no doses")
    centre = np.median if statistic == "median" else np.mean
    centres = {name: float(centre(array)) for name, array in logs.items()}
    several = [array for array in logs.values() if array.size > 1]
    # Equal doses and their mean differ by rounding: they are told by the doses themselves.
    if all(array.min() == array.max() for array in several):
        reason = "no site has doses that differ: chance cannot be judged"
        return Funnel(target, (), levels, None, None, None, len(logs), NO_SPREAD, reason)
    residuals = np.concatenate([array - array.mean() for array in several])
    total, k = residuals.size, len(several)
    scale = log_scale(np.exp(residuals))
    if scale.scale is None:
        raise AssertionError("doses that differ have a spread")
    unit = UNIT_ERRORS[statistic] * scale.scale * math.sqrt(total / (total - k))
    counts = [array.size for array in logs.values()]
    return _judge(
        list(logs),
        np.array(list(centres.values())),
        unit / np.sqrt(counts),
        counts,
        target,
        levels,
        winsorise,
        minimum_sites,
        unit,
    )


def log_funnel(
    values: Mapping[str, float],
    errors: Mapping[str, float],
    *,
    target: float | None = None,
    levels: Sequence[float] = (0.95, 0.998),
    winsorise: float = 0.1,
    minimum_sites: int = 5,
) -> Funnel:
    """Funnel of positive values with known standard errors of their logarithm.

    Parameters
    ----------
    values : mapping of str to float
        By site; positive.
    errors : mapping of str to float
        Standard error of ln(value), by the same names; positive.
    target : float, optional
        Centre line: a reference level, or by default the median of the values, which no single site can move.
    levels : sequence of float
        Of the limits.
    winsorise : float
        Share of the z scores at either end that is drawn in before the over-dispersion is estimated, so that
        the sites to be found do not widen the limits that should find them. In [0, 0.5).
    minimum_sites : int
        Fewer give ``INSUFFICIENT_N``.

    Returns
    -------
    Funnel

    Raises
    ------
    ValueError
        If a value, error, level or share is impossible, or the names differ.

    Notes
    -----
    z_i = ln(value_i/target)/s_i; winsorised at the type 8 quantiles q and 1 − q; φ = Σ z_w²/I. With φ' = φ/c, where
    I·φ' > I − 1, τ² = (I·φ' − (I − 1))/(Σ w_i − Σ w_i²/Σ w_i) with w_i = 1/s_i², else 0. Limits
    target·exp(±z_p·√(s_i² + τ²)). Without winsorising, about the weighted mean, τ² is DerSimonian and Laird's.
    c is what winsorising leaves of the mean square of so many normal scores (0.68 of very many at q = 0.1, 1 of five; by
    simulation with a fixed seed). Without it, as published, τ comes out a fifth too small, and of 40 sites that differ as
    usual twice as many lie outside the 95 % limits as should, eight times as many outside those of 99.8 %. With fewer than
    about ten sites winsorising hardly draws in a single far one, whose distance then counts as the usual spread.

    References
    ----------
    Spiegelhalter, Funnel plots for comparing institutional performance, Stat. Med. 24 (2005) 1185, doi
    10.1002/sim.1970; Spiegelhalter, Handling over-dispersion of performance indicators, Qual. Saf. Health Care
    14 (2005) 347.

    Examples
    --------
    >>> sites = {"A": 9.0, "B": 10.0, "C": 10.0, "D": 11.0, "E": 10.5}
    >>> log_funnel(sites, dict.fromkeys(sites, 0.1)).tau
    0.0
    """
    levels = _checked_levels(levels)
    if set(values) != set(errors):
        raise ValueError("values and errors do not name the same sites")
    names = list(values)
    for name in names:
        if not (values[name] > 0.0 and math.isfinite(values[name])):
            raise ValueError(f"site {name!r}: value {values[name]} is not finite and positive")
        if not (errors[name] > 0.0 and math.isfinite(errors[name])):
            raise ValueError(f"site {name!r}: standard error {errors[name]} is not finite and positive")
    if not names:
        return Funnel(target, (), levels, None, None, None, 0, EMPTY, "no sites")
    logs = np.log([values[name] for name in names])
    spread = np.array([errors[name] for name in names])
    return _judge(names, logs, spread, None, target, levels, winsorise, minimum_sites, None)


def funnel_limits(funnel: Funnel, n: ArrayLike, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper limits of a `group_funnel` at numbers of exams `n`, for drawing.

    Raises
    ------
    ValueError
        If the funnel has no target or no error per exam (`log_funnel`, ``EMPTY``, ``NO_SPREAD``), or a number of exams
        is not positive.
    """
    if funnel.target is None or funnel.unit_error is None:
        raise ValueError("this funnel has no error per exam to draw limits from")
    count = np.asarray(n, dtype=float)
    as_finite(count, positive=True)
    reach = -float(ndtri((1.0 - level) / 2.0)) * np.sqrt(funnel.unit_error**2 / count + (funnel.tau or 0.0) ** 2)
    return funnel.target * np.exp(-reach), funnel.target * np.exp(reach)


def proportion_funnel(
    counts: Mapping[str, tuple[int, int]],
    *,
    target: float | None = None,
    levels: Sequence[float] = (0.95, 0.998),
) -> Funnel:
    """Funnel of proportions (exams above a trigger, repeats) with exact binomial limits.

    Parameters
    ----------
    counts : mapping of str to (int, int)
        Exams that count, and all exams, by site. Sites without exams are passed over.
    target : float, optional
        Expected share in (0, 1); by default the share over all sites.
    levels : sequence of float
        Of the limits.

    Returns
    -------
    Funnel
        `low` and `high` of a point are Clopper and Pearson's; `p_value` is twice the smaller exact tail and the
        z scores are its normal equivalent. There is no over-dispersion here: `phi` and `tau` are None.
        ``NO_SPREAD`` where no exam, or every exam, counts.

    Raises
    ------
    ValueError
        If a count or the target is impossible.

    Examples
    --------
    >>> shares = {"A": (2, 100), "B": (3, 100), "C": (20, 100), "D": (2, 100)}
    >>> [(point.name, point.beyond) for point in proportion_funnel(shares, target=0.03).points if point.direction]
    [('C', 0.998)]
    """
    levels = _checked_levels(levels)
    for name, (part, whole) in counts.items():
        if not 0 <= part <= whole:
            raise ValueError(f"site {name!r}: {part} of {whole} exams cannot be")
    seen = {name: pair for name, pair in counts.items() if pair[1]}
    if not seen:
        return Funnel(target, (), levels, None, None, None, 0, EMPTY, "no exams")
    if target is None:
        target = sum(part for part, _ in seen.values()) / sum(whole for _, whole in seen.values())
        if target in (0.0, 1.0):
            reason = f"{'every' if target else 'no'} exam counts at any site"
            return Funnel(target, (), levels, None, None, None, len(seen), NO_SPREAD, reason)
    elif not 0.0 < target < 1.0:
        raise ValueError(f"target {target} is not between 0 and 1")
    tail = (1.0 - levels[0]) / 2.0
    points = []
    for name, (part, whole) in seen.items():
        above = 1.0 if part == 0 else float(bdtrc(part - 1, whole, target))
        below = float(bdtr(part, whole, target))
        side = 1 if above < below else -1
        smaller = min(above, below, 0.5)
        low = 0.0 if part == 0 else 1.0 - float(bdtri(whole - part, whole, tail))
        high = 1.0 if part == whole else float(bdtri(part, whole, tail))
        z = -side * float(ndtri(smaller))
        beyond = _widest(2.0 * smaller, levels)
        point = FunnelPoint(name, part / whole, low, high, whole, z, z, 2.0 * smaller, beyond, side if beyond else 0)
        points.append(point)
    return Funnel(target, tuple(points), levels, None, None, None, len(points))


def _judge(
    names: Sequence[str],
    logs: NDArray[np.float64],
    errors: NDArray[np.float64],
    counts: Sequence[int] | None,
    target: float | None,
    levels: tuple[float, ...],
    winsorise: float,
    minimum_sites: int,
    unit: float | None,
) -> Funnel:
    """Place every site against the target, with the spread between sites added to its error."""
    if target is not None and not (target > 0.0 and math.isfinite(target)):
        raise ValueError(f"target {target} is not finite and positive")
    if not 0.0 <= winsorise < 0.5:
        raise ValueError(f"winsorised share {winsorise} is not in [0, 0.5)")
    centre = float(np.median(logs)) if target is None else math.log(target)
    z = (logs - centre) / errors
    enough = len(names) >= minimum_sites
    phi = tau = None
    status, reason = OK, ""
    if enough:
        phi, tau = _dispersion(z, errors, winsorise)
    else:
        status = INSUFFICIENT_N
        reason = f"{len(names)} sites, {minimum_sites} needed to know how much sites usually differ"
    adjusted = (logs - centre) / np.hypot(errors, tau or 0.0)
    reach = -float(ndtri((1.0 - levels[0]) / 2.0)) * errors
    points = []
    for i, name in enumerate(names):
        p_value = 2.0 * float(ndtr(-abs(adjusted[i])))
        beyond = _widest(p_value, levels) if enough else None
        point = FunnelPoint(
            name,
            math.exp(logs[i]),
            math.exp(logs[i] - reach[i]),
            math.exp(logs[i] + reach[i]),
            None if counts is None else int(counts[i]),
            float(z[i]),
            float(adjusted[i]),
            p_value,
            beyond,
            0 if beyond is None else (1 if adjusted[i] > 0 else -1),
        )
        points.append(point)
    return Funnel(math.exp(centre), tuple(points), levels, unit, phi, tau, len(names), status, reason)


def _dispersion(z: NDArray[np.float64], errors: NDArray[np.float64], winsorise: float) -> tuple[float, float]:
    """Winsorised φ, and the standard deviation between sites that it speaks for."""
    phi = float(np.mean(_drawn_in(z, winsorise) ** 2))
    weight = 1.0 / errors**2
    excess = z.size * phi / _share_left(z.size, winsorise) - (z.size - 1.0)
    room = float(weight.sum() - (weight**2).sum() / weight.sum())
    return phi, math.sqrt(excess / room) if excess > 0.0 and room > 0.0 else 0.0


def _drawn_in(z: NDArray[np.float64], winsorise: float) -> NDArray[np.float64]:
    """Scores with the far ones of each row at the type 8 quantiles."""
    if winsorise == 0.0:
        return z
    low, high = np.quantile(z, [winsorise, 1.0 - winsorise], axis=-1, keepdims=True, method="median_unbiased")
    return np.clip(z, low, high)


@lru_cache(maxsize=256)
def _share_left(sites: int, winsorise: float) -> float:
    """Which part of normal scores' mean square about their median winsorising leaves, on average over samples of so many."""
    if winsorise == 0.0:
        return 1.0
    random = np.random.default_rng(sites)
    z = random.standard_normal((max(200, _DRAWS // sites), sites))
    z -= np.median(z, axis=1, keepdims=True)
    return float(np.mean(_drawn_in(z, winsorise) ** 2) / np.mean(z**2))


def _checked_levels(levels: Sequence[float]) -> tuple[float, ...]:
    ordered = tuple(sorted(levels))
    if not ordered or not 0.0 < ordered[0] <= ordered[-1] < 1.0:
        raise ValueError(f"levels {tuple(levels)} are not between 0 and 1")
    return ordered


def _widest(p_value: float, levels: tuple[float, ...]) -> float | None:
    """Highest level whose limits a point with this two-sided p value lies outside."""
    outside = [level for level in levels if p_value < 1.0 - level]
    return outside[-1] if outside else None
