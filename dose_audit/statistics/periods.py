"""Verdicts on fixed periods that do not flap: raised on evidence, kept until there is evidence or time to lower them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike
from scipy.special import bdtrc

from dose_audit.statistics.order_statistics import INSUFFICIENT_N, OK, Estimate, median_interval, sign_test

EXCEEDS = "exceeds"
CONSISTENT = "consistent"
BELOW = "below"
INSUFFICIENT = "insufficient"

STANDING = "standing"
CLEAR = "clear"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PeriodVerdict:
    """What one period shows, and what stands after it.

    Attributes
    ----------
    name : str
    median : Estimate
        Of the period's doses.
    flag : bool or None
        Median above the reference level (the ICRP flag): of this period alone, whatever the evidence; None
        with too few doses.
    evidence : str
        ``exceeds``, ``consistent``, ``below`` or ``insufficient``: of this period alone.
    p_above, p_below : float or None
        One-sided sign tests.
    finding : str
        What stands after the period: ``standing`` (an exceedance was shown and not yet taken back), ``clear``,
        or ``unknown`` (no period had enough doses so far).
    changed : bool
        Whether this period raised or cleared the finding.
    n : int
    status, reason : str
        ``OK`` or ``INSUFFICIENT_N``; the reason says what moved the finding or kept it.
    """

    name: str
    median: Estimate
    flag: bool | None
    evidence: str
    p_above: float | None
    p_below: float | None
    finding: str
    changed: bool
    n: int
    status: str = OK
    reason: str = ""


def period_verdicts(
    periods: Sequence[tuple[str, ArrayLike]],
    reference: float,
    *,
    periods_per_year: int = 4,
    alpha_per_year: float = 0.05,
    minimum_n: int = 20,
    quiet_periods: int = 2,
    level: float = 0.95,
    standing: bool = False,
) -> tuple[PeriodVerdict, ...]:
    """Judge complete, non-overlapping periods against a reference level, each once, in time order.

    Parameters
    ----------
    periods : sequence of (str, array_like)
        Name and doses of each complete period, oldest first. The period that is still running is not passed:
        between verdicts a monitor watches (`ewma`, `cusum` with limits of `calibrate`).
    reference : float
        Reference level in the doses' unit, positive.
    periods_per_year : int
        Shares out the year's chance of error.
    alpha_per_year : float
        Chance that a group whose median is at the level is given a finding in a year.
    minimum_n : int
        Periods with fewer doses say nothing and move nothing.
    quiet_periods : int
        Judged periods in a row with the flag down that clear a finding without further evidence.
    level : float
        Of the medians' intervals.
    standing : bool
        Whether a finding stood before the first period.

    Returns
    -------
    tuple of PeriodVerdict

    Raises
    ------
    ValueError
        If a setting is out of range or two periods have the same name.

    Notes
    -----
    A finding is raised when the one-sided sign test of a period has p ≤ α/periods_per_year (Bonferroni: exact
    whatever the distribution, and a period is judged once). It is cleared when the test in the other direction
    reaches the same level, or after `quiet_periods` judged periods whose median is not above the level. A median
    that strays to and fro across the level therefore moves the flag, which is shown, but not the finding.

    References
    ----------
    ICRP Publication 135, Ann. ICRP 46(1), 2017, doi 10.1177/0146645317717209.

    Examples
    --------
    >>> quarters = [("Q1", [12] * 18 + [8] * 4), ("Q2", [11] * 10 + [9] * 12), ("Q3", [9] * 14 + [11] * 8)]
    >>> [(verdict.flag, verdict.evidence, verdict.finding) for verdict in period_verdicts(quarters, 10.0)]
    [(True, 'exceeds', 'standing'), (False, 'consistent', 'standing'), (False, 'consistent', 'clear')]
    """
    if not (reference > 0.0 and math.isfinite(reference)):
        raise ValueError(f"reference level {reference} is not finite and positive")
    if periods_per_year < 1 or quiet_periods < 1 or not 0.0 < alpha_per_year < 0.5:
        raise ValueError("periods per year and quiet periods must be 1 or more, and alpha between 0 and 0.5")
    names = [name for name, _ in periods]
    if len(set(names)) != len(names):
        raise ValueError("two periods have the same name")
    alpha = alpha_per_year / periods_per_year * (1.0 + 1e-9)
    finding, quiet = (STANDING if standing else UNKNOWN), 0
    verdicts = []
    for name, doses in periods:
        median = median_interval(doses, level)
        if median.value is None or median.n < minimum_n:
            reason = f"{median.n} doses, {minimum_n} needed; what stood before stands"
            blank = PeriodVerdict(
                name, median, None, INSUFFICIENT, None, None, finding, False, median.n, INSUFFICIENT_N, reason
            )
            verdicts.append(blank)
            continue
        test = sign_test(doses, reference)
        flag = median.value > reference
        evidence = _evidence(test.p_above, test.p_below, alpha)
        quiet = 0 if flag else quiet + 1
        before = finding
        finding, reason = _next(before, evidence, quiet, quiet_periods)
        changed = finding != before and STANDING in (finding, before)
        verdicts.append(
            PeriodVerdict(
                name,
                median,
                flag,
                evidence,
                test.p_above,
                test.p_below,
                finding,
                changed,
                median.n,
                reason=reason,
            )
        )
    return tuple(verdicts)


def finding_probability(
    n: int, share_above: float, *, periods_per_year: int = 4, alpha_per_year: float = 0.05
) -> float:
    """Exact probability that `period_verdicts` raises a finding within one year.

    Parameters
    ----------
    n : int
        Doses in each period.
    share_above : float
        True share of the group's doses above the reference level; for a log-normal dose
        Φ(ln(median/reference)/ln GSD).
    periods_per_year, alpha_per_year
        As for `period_verdicts`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the share is not between 0 and 1, or `n` is not positive.

    Examples
    --------
    >>> round(finding_probability(50, 0.4565), 4)  # GSD 1.6, true median 5 % below the level
    0.0047
    """
    if n < 1 or not 0.0 <= share_above <= 1.0:
        raise ValueError(f"{n} doses and a share of {share_above} are impossible")
    alpha = alpha_per_year / periods_per_year * (1.0 + 1e-9)
    needed = next((k for k in range(n // 2, n + 1) if k > 0 and bdtrc(k - 1, n, 0.5) <= alpha), None)
    if needed is None:
        return 0.0
    once = float(bdtrc(needed - 1, n, share_above))
    return -math.expm1(periods_per_year * math.log1p(-once)) if once < 1.0 else 1.0


def _evidence(p_above: float | None, p_below: float | None, alpha: float) -> str:
    if p_above is None or p_below is None:
        return INSUFFICIENT
    if p_above <= alpha:
        return EXCEEDS
    return BELOW if p_below <= alpha else CONSISTENT


def _next(before: str, evidence: str, quiet: int, quiet_periods: int) -> tuple[str, str]:
    """Finding after a judged period, and why."""
    if evidence == EXCEEDS:
        return STANDING, "" if before == STANDING else "the period shows a median above the level"
    if before != STANDING:
        return CLEAR, ""
    if evidence == BELOW:
        return CLEAR, "the period shows a median below the level"
    if quiet >= quiet_periods:
        return CLEAR, f"{quiet} periods in a row with a median not above the level"
    return STANDING, "raised earlier; this period does not show that it is over"
