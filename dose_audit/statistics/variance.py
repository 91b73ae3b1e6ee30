"""How much of the spread of dose lies between sites, between their scanners, between acquisition protocols."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, chdtri, ndtri

from dose_audit.statistics._nested import Nest, nest
from dose_audit.statistics.order_statistics import EMPTY, INSUFFICIENT_N, NO_SPREAD, OK, Estimate, as_finite

CONFOUNDED = "CONFOUNDED"
EXAM = "exam"
"""Name of the innermost component: exams on one scanner with one acquisition protocol."""

PAIR_REACH = 1.959963984540054 * math.sqrt(2.0)
"""95 % of differences between two sites lie within this many standard deviations."""


@dataclass(frozen=True, slots=True)
class Component:
    """Spread of one level.

    Attributes
    ----------
    name : str
        Level as the caller named it, or ``exam``.
    value, low, high : float or None
        Standard deviation of ln(dose) between the groups of this level within the same outer group, with its
        profile-likelihood interval; `low` is 0 where the data do not exclude it.
    share : float or None
        Its part of the total variance (for the outermost level the intraclass correlation).
    p_value : float or None
        That the component is 0 (likelihood ratio on the boundary).
    n : int
        Groups (for ``exam``: exams).
    status, reason : str
        ``OK``; ``INSUFFICIENT_N`` (too few groups: part of the model, no value given); ``CONFOUNDED`` (the level
        cannot be told from its neighbour: one of the two is given, includes the other and says so).
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    share: float | None
    p_value: float | None
    n: int
    status: str = OK
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SiteEffect:
    """One group of the outermost level beside the average one.

    Attributes
    ----------
    name : str
    value, low, high : float
        Dose over that of the average group, shrunk towards 1 by what chance would do; rank these, not the raw
        medians.
    n : int
        Exams.
    """

    name: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Nested variance components of ln(dose).

    Attributes
    ----------
    components : tuple of Component
        Outermost first, ``exam`` last.
    centre : Estimate
        Geometric mean dose of the average site.
    site_factor : Estimate
        exp(σ) of the outermost level: the typical factor between a site and the average.
    pair_factor : Estimate
        exp(1.96·√2·σ): 95 % of pairs of sites differ by less than this factor.
    effects : tuple of SiteEffect
        Empty where the outermost component is not given.
    deviance : float or None
        −2·restricted log-likelihood, for comparison with other software.
    n : int
        Exams.
    status, reason : str
        The outermost component's, or ``EMPTY`` or ``NO_SPREAD``.
    """

    components: tuple[Component, ...]
    centre: Estimate
    site_factor: Estimate
    pair_factor: Estimate
    effects: tuple[SiteEffect, ...]
    deviance: float | None
    n: int
    status: str = OK
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Blurred:
    """A level without a value of its own, and the one whose value includes it."""

    carrier: str
    component: Component


def variance_components(
    values: ArrayLike,
    levels: Mapping[str, Sequence[Hashable]],
    *,
    level: float = 0.95,
    minimum_groups: int = 5,
) -> VarianceComponents:
    """Restricted maximum likelihood for nested random effects, balanced or not.

    Parameters
    ----------
    values : array_like
        Positive doses, or size-standardised ratios (standardise first: size is no part of this model).
    levels : mapping of str to sequence
        Labels by level, outermost first, one a dose: site, scanner, acquisition protocol. A label belongs to
        its outer group: scanner ``1`` of two sites is two scanners.
    level : float
        Of the intervals.
    minimum_groups : int
        A level with fewer than this minus one degrees of freedom (groups less outer groups) is given no value:
        with three or four sites the interval would span everything.

    Returns
    -------
    VarianceComponents

    Raises
    ------
    ValueError
        If a dose is not positive, no level is given, or a level has another length.

    Notes
    -----
    ln d = μ + site + scanner(site) + acquisition protocol(scanner) + ε, all normal and independent. The
    likelihood of a nested design is worked out from the inside by precision-weighted means, so one evaluation
    costs the number of groups, not of exams. Intervals are those of the restricted profile likelihood; p values
    halve the chi-square tail, the null value being on the boundary. With balanced data and no component at 0
    the estimates are those of the analysis of variance.

    Acquisition protocols that are shared between scanners are treated as each scanner's own: the component is
    what differs within a scanner, and a difference common to all sites adds to it. A factor between sites that
    is smaller than the calibration of the displayed dose (CTDIvol ±20 %, KAP ±25–35 %) is no evidence.

    References
    ----------
    Searle, Casella and McCulloch, Variance Components, Wiley 1992, chapters 4 and 6; Self and Liang, J. Am.
    Stat. Assoc. 82 (1987) 605.

    Examples
    --------
    >>> doses = [math.exp(site + 0.1 * exam) for site in range(6) for exam in (-1, 0, 1)]
    >>> result = variance_components(doses, {"site": [site for site in range(6) for _ in range(3)]})
    >>> [(part.name, round(part.value, 3)) for part in result.components]
    [('site', 1.87), ('exam', 0.1)]
    """
    doses = as_finite(values, positive=True)
    n = int(doses.size)
    if not levels:
        raise ValueError("no level is given")
    for name, labels in levels.items():
        if len(labels) != n:
            raise ValueError(f"{n} values and {len(labels)} labels of {name}")
    if n == 0 or float(doses.max()) == float(doses.min()):
        status, reason = (NO_SPREAD, f"all {n} values are equal") if n else (EMPTY, "no values")
        return _nothing(n, level, status, reason)
    model = nest(np.log(doses), levels)
    kept, blurred = _told_apart(model)
    if not kept:
        return _nothing(n, level, INSUFFICIENT_N, f"{n} values, each a {model.names[0]} of its own")
    fitted = model.fit(kept)
    cut = float(chdtri(1, 1.0 - level))
    total = float(np.sum(fitted.sigmas**2))
    freedom = {name: model.groups[name] - model.outer_groups[name] for name in kept}
    components = []
    for name in (*model.names, EXAM):
        if name in blurred:
            components.append(blurred[name].component)
            continue
        i = len(kept) if name == EXAM else kept.index(name)
        count = n if name == EXAM else model.groups[name]
        if name != EXAM and freedom[name] < minimum_groups - 1:
            reason = f"{count} groups of {name} leave {freedom[name]} degrees of freedom, {minimum_groups - 1} needed"
            components.append(Component(name, None, None, None, None, None, count, INSUFFICIENT_N, reason))
            continue
        low, high = fitted.profile(i, cut)
        excess = None if name == EXAM else fitted.excess_at_zero(i)
        p_value = None if excess is None else (0.5 * float(chdtrc(1, excess)) if excess > 0.0 else 1.0)
        sigma = float(fitted.sigmas[i])
        components.append(Component(name, sigma, low, high, sigma**2 / total, p_value, count))
    parts = tuple(_with_notes(components, blurred))
    centre_log, centre_error = fitted.centre()
    reach = -float(ndtri((1.0 - level) / 2.0))
    centre = Estimate(
        math.exp(centre_log),
        math.exp(centre_log - reach * centre_error),
        math.exp(centre_log + reach * centre_error),
        n,
        level,
        level,
    )
    outer = parts[0]
    effects = tuple(
        SiteEffect(str(name), math.exp(e), math.exp(e - reach * s), math.exp(e + reach * s), count)
        for name, e, s, count in (fitted.effects() if outer.value is not None else ())
    )
    return VarianceComponents(
        parts,
        centre,
        _factor(outer, 1.0, level),
        _factor(outer, PAIR_REACH, level),
        effects,
        fitted.deviance,
        n,
        outer.status,
        outer.reason,
    )


def _told_apart(model: Nest) -> tuple[list[str], dict[str, _Blurred]]:
    """Levels that the design can tell from their neighbours, and what becomes of each of the others."""
    kept: list[str] = []
    blurred: dict[str, _Blurred] = {}
    for name in model.names:
        count = model.groups[name]
        if kept and count == model.groups[kept[-1]]:
            carrier, reason = kept[-1], f"every {kept[-1]} has one {name}: the two cannot be told apart"
        elif count == model.n:
            carrier, reason = EXAM, f"every {name} has one exam: the two cannot be told apart"
        else:
            kept.append(name)
            continue
        blank = Component(name, None, None, None, None, None, count, CONFOUNDED, reason)
        blurred[name] = _Blurred(carrier, blank)
    return kept, blurred


def _with_notes(components: Sequence[Component], blurred: Mapping[str, _Blurred]) -> list[Component]:
    """Say of a component that it carries another one too."""
    noted = []
    for component in components:
        carried = [item.component for item in blurred.values() if item.carrier == component.name]
        if carried and component.status == OK:
            reason = "; ".join(f"includes {item.name}: {item.reason}" for item in carried)
            component = replace(component, status=CONFOUNDED, reason=reason)
        noted.append(component)
    return noted


def _factor(component: Component, reach: float, level: float) -> Estimate:
    """exp(reach·σ) with its interval."""
    if component.value is None:
        return Estimate(None, None, None, component.n, level, status=component.status, reason=component.reason)
    low = None if component.low is None else math.exp(reach * component.low)
    high = None if component.high is None else math.exp(reach * component.high)
    return Estimate(
        math.exp(reach * component.value),
        low,
        high,
        component.n,
        level,
        level,
        component.status,
        component.reason,
        component.p_value,
    )


def _nothing(n: int, level: float, status: str, reason: str) -> VarianceComponents:
    blank = Estimate(None, None, None, n, level, status=status, reason=reason)
    return VarianceComponents((), blank, blank, blank, (), None, n, status, reason)
