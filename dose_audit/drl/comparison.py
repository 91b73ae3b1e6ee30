"""A group's doses beside their reference level: interval, the ICRP flag, the evidence, and one verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.drl.registry import AMBIGUOUS, MATCHED, PHANTOM_MISMATCH, Match
from dose_audit.drl.tables import DrlRow
from dose_audit.drl.units import QUANTITIES
from dose_audit.figures import figure, figure_beside
from dose_audit.statistics.grouped import GroupFigures, SortedGroups
from dose_audit.statistics.order_statistics import SignTest
from dose_audit.texts import counted

MINIMUM_N = {
    "CT": 20,
    "DX": 20,
    "CR": 20,
    "PX": 20,
    "IO": 20,
    "NM": 20,
    "PT": 20,
    "RF": 30,
    "XA": 30,
    "MG": 50,
}
"""Fewest exams for a verdict, by modality (ICRP Publication 135, recalled; for CT its lower figure). It speaks of patients:
an exam stands for one, and whoever is examined twice is in the group twice."""
MINIMUM_N_CHILD = 10
"""Fewest in a paediatric band (recalled)."""
_MINIMUM_N_OTHER = 30


class Verdict(StrEnum):
    """What is said of a group; each is counted in the report."""

    INSUFFICIENT_N = "INSUFFICIENT_N"
    WITHIN = "WITHIN"
    ABOVE = "ABOVE"
    BELOW_P25_CHECK_IQ = "BELOW_P25_CHECK_IQ"
    NO_DRL = "NO_DRL"
    AMBIGUOUS = "AMBIGUOUS"
    PHANTOM_MISMATCH = "PHANTOM_MISMATCH"


class Evidence(StrEnum):
    """What the sample can show about the true median, whatever the flag says."""

    EXCEEDS = "exceeds"
    CONSISTENT = "consistent"
    BELOW = "below"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A group's statistics and what they mean against the reference level.

    Attributes
    ----------
    n : int
        Doses used; `n_excluded` more were left out for the reasons counted in `excluded`.
    median, ci_low, ci_high, p25, p75 : float or None
        In `unit`; the interval is the order-statistic one, with its exact `coverage`.
    drl : float or None
        Reference value in `unit`, from row `row_id` of `set_id` `edition`.
    verdict : Verdict
    icrp_flag : bool or None
        Median above the reference level; None where either is missing or there are fewer doses than `minimum_n`. It is the
        regulatory act, and is shown whatever the evidence.
    evidence : Evidence
        From the exact one-sided sign tests.
    p_exceeds, p_below : float or None
        Their p values, for the false discovery rate over all groups of a run.
    ratio : float or None
        Median over reference level.
    minimum_n : int
    reason : str
    flags : tuple of str
    """

    n: int
    median: float | None
    ci_low: float | None
    ci_high: float | None
    coverage: float | None
    p25: float | None
    p75: float | None
    drl: float | None
    unit: str
    verdict: Verdict
    icrp_flag: bool | None
    evidence: Evidence
    p_exceeds: float | None
    p_below: float | None
    ratio: float | None
    minimum_n: int
    n_excluded: int
    excluded: dict[str, int] = field(default_factory=dict)
    set_id: str = ""
    edition: str = ""
    row_id: str = ""
    reason: str = ""
    flags: tuple[str, ...] = ()


def compare(
    values: ArrayLike,
    match: Match,
    *,
    modality: str,
    quantity: str | None = None,
    level: float = 0.95,
    minimum_n: int | None = None,
) -> Comparison:
    """Compare a group of doses with its reference level.

    Parameters
    ----------
    values : array_like
        Doses of one site × device × examination × band, in the canonical unit of the quantity. Doses that are
        not finite, not positive or physically absurd are left out and counted, never used.
    match : Match
        What the reference levels say about the group.
    modality : str
        Sets the least n.
    quantity : str, optional
        Symbol, for the plausibility limit and unit where there is no row.
    level : float
        Of the interval and of the one-sided tests.
    minimum_n : int, optional
        Instead of the table's.

    Returns
    -------
    Comparison

    Notes
    -----
    The verdict is about the median: above the reference level ``ABOVE``, under the set's 25th percentile
    (where it has one) ``BELOW_P25_CHECK_IQ``, else ``WITHIN``; equal to the level is ``WITHIN``. The evidence
    is a separate axis: ``exceeds`` when so many doses lie above the level that a true median at it would show
    them with probability at most 1 − level.

    A reference level is not a limit and is never held against one patient.

    References
    ----------
    ICRP Publication 135, Ann. ICRP 46(1), 2017, doi 10.1177/0146645317717209.
    """
    symbol = match.row.quantity if match.row else (quantity or "")
    kept, excluded = _usable(values, QUANTITIES[symbol].largest if symbol in QUANTITIES else math.inf)
    group = SortedGroups(kept, [kept.size])
    [test] = group.sign_tests([match.row.value if match.row else None])
    return compare_figures(
        group.figures(level)[0],
        test,
        match,
        modality=modality,
        quantity=quantity,
        level=level,
        minimum_n=minimum_n,
        excluded=excluded,
    )


def compare_figures(
    figures: GroupFigures,
    test: SignTest | None,
    match: Match,
    *,
    modality: str,
    quantity: str | None = None,
    level: float = 0.95,
    minimum_n: int | None = None,
    excluded: Mapping[str, int] | None = None,
) -> Comparison:
    """Compare a group whose figures are known, as `SortedGroups` gives them for many at once; see `compare`.

    Parameters
    ----------
    figures : GroupFigures
        Of doses that can be dose.
    test : SignTest or None
        Of their median against the row's value; None without a row.
    match, modality, quantity, level, minimum_n
        As for `compare`; `level` is also that of the figures.
    excluded : mapping, optional
        How many doses were left out before, by reason.
    """
    row = match.row
    symbol = row.quantity if row else (quantity or "")
    least = minimum_n if minimum_n is not None else least_n(modality, match.patient_group)
    estimate = figures.median
    drl = row.value if row else None
    enough = estimate.n >= least
    flag = None if drl is None or estimate.value is None or not enough else estimate.value > drl
    p_exceeds = test.p_above if test and enough else None
    p_below = test.p_below if test and enough else None
    verdict, reason = _verdict(match, estimate.value, estimate.n, least)
    return Comparison(
        n=estimate.n,
        median=estimate.value,
        ci_low=estimate.low,
        ci_high=estimate.high,
        coverage=estimate.coverage,
        p25=figures.p25,
        p75=figures.p75,
        drl=drl,
        unit=row.unit if row else (QUANTITIES[symbol].unit if symbol in QUANTITIES else ""),
        verdict=verdict,
        icrp_flag=flag,
        evidence=_evidence(p_exceeds, p_below, 1.0 - level),
        p_exceeds=p_exceeds,
        p_below=p_below,
        ratio=None if drl is None or estimate.value is None else estimate.value / drl,
        minimum_n=least,
        n_excluded=sum((excluded or {}).values()),
        excluded=dict(excluded or {}),
        set_id=row.set_id if row else "",
        edition=row.edition if row else "",
        row_id=row.row_id if row else "",
        reason=reason,
        flags=match.flags,
    )


def least_n(modality: str, patient_group: str = "") -> int:
    """Fewest exams for a verdict on a group of this modality; 30 where it is not in the table."""
    if patient_group == "child":
        return MINIMUM_N_CHILD
    return MINIMUM_N.get(modality, _MINIMUM_N_OTHER)


def _usable(values: ArrayLike, largest: float) -> tuple[NDArray[np.float64], dict[str, int]]:
    """Doses that can be dose, and how many were left out for which reason."""
    array = np.asarray(values, dtype=float).ravel()
    finite = np.isfinite(array)
    positive = finite & (array > 0)
    plausible = positive & (array <= largest)
    counts = {
        "not_finite": int(np.count_nonzero(~finite)),
        "not_positive": int(np.count_nonzero(finite & ~positive)),
        "implausible": int(np.count_nonzero(positive & ~plausible)),
    }
    return array[plausible], {reason: count for reason, count in counts.items() if count}


def _verdict(match: Match, median: float | None, n: int, least: int) -> tuple[Verdict, str]:
    if match.status == AMBIGUOUS:
        return Verdict.AMBIGUOUS, match.reason
    if match.status == PHANTOM_MISMATCH:
        return Verdict.PHANTOM_MISMATCH, match.reason
    if match.status != MATCHED or match.row is None:
        return Verdict.NO_DRL, match.reason or match.status
    if median is None or n < least:
        return Verdict.INSUFFICIENT_N, f"{counted(n, 'exam')}, {least} needed"
    if median > match.row.value:
        return Verdict.ABOVE, _beside(median, "is above", match.row)
    if match.p25 is not None and median < match.p25.value:
        return Verdict.BELOW_P25_CHECK_IQ, _beside(median, "is below the 25th percentile", match.p25)
    return Verdict.WITHIN, match.reason


def _beside(median: float, stands: str, row: DrlRow) -> str:
    return f"median {figure_beside(median, row.value)} {stands} {figure(row.value, 6)} {row.unit}"


def _evidence(p_exceeds: float | None, p_below: float | None, alpha: float) -> Evidence:
    if p_exceeds is None or p_below is None:
        return Evidence.INSUFFICIENT
    alpha += 1e-12  # 1 − 0.95 is a hair above 0.05 already; make the boundary independent of that
    if p_exceeds <= alpha:
        return Evidence.EXCEEDS
    return Evidence.BELOW if p_below <= alpha else Evidence.CONSISTENT
