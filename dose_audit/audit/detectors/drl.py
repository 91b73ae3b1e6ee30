"""Medians above their reference level, and medians so low that images should be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dose_audit.audit.comparisons import JudgedGroup
from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.labels import quantity_label, unit_label
from dose_audit.audit.verdicts import ALPHA_A_YEAR
from dose_audit.figures import figure, figure_beside, ratio

if TYPE_CHECKING:
    from dose_audit.statistics import PeriodVerdict

__all__ = ["FALSE_DISCOVERY_RATE", "detect", "exceedances"]

FALSE_DISCOVERY_RATE = 0.05


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``drl_exceeded``, ``median_above_drl`` and ``low_dose_check_iq``.

    Notes
    -----
    Verdicts are those of the schedule's closes, so that looking every night changes nothing. An exceedance is
    ``act`` where the last verdict shows it and survives Benjamini-Hochberg over all groups of the run, ``check``
    where it is shown but does not, or where an earlier close showed it and none has taken it back. A median above
    the level without such evidence is the ICRP flag alone: to be known, and to be checked where a person asked for
    this very period. Groups under the minimum n have no verdict and no finding.

    Where two editions answered within the period, their groups are one cause: the finding is about the later exams.
    """
    groups = sorted(context.groups, key=lambda group: group.days, reverse=True)
    return [*exceedances(groups), *_flags(context, groups), *_low(context, groups)]


def exceedances(groups: list[JudgedGroup]) -> list[Finding]:
    """``drl_exceeded`` of judged groups."""
    from dose_audit.statistics import benjamini_hochberg

    tested = [(group, p) for group in groups if (last := group.verdict.latest) and (p := last.p_above) is not None]
    family = benjamini_hochberg([p for _, p in tested], FALSE_DISCOVERY_RATE)
    adjusted = {id(group): p for (group, _), p in zip(tested, family.adjusted, strict=True)}
    return [_exceeded(group, adjusted.get(id(group))) for group in groups if group.verdict.exceeded]


def _exceeded(group: JudgedGroup, adjusted: float | None) -> Finding:
    last = group.verdict.latest
    now = last is not None and last.evidence == "exceeds"
    shown = now and adjusted is not None and adjusted <= FALSE_DISCOVERY_RATE
    if shown:
        weight = f"{_sign_test(last)}; chance does not explain it."
    elif now:
        weight = f"{_sign_test(last)}, but so many groups are tested that one in them may give this by chance."
    else:
        weight = "An earlier period showed it, and nothing since shows that it is over."
    return Finding(
        kind="drl_exceeded",
        severity="act" if shown else "check",
        subject=_subject(group),
        message=f"{_median_and_level(group, last)} {weight}",
        site=group.site,
        equipment=group.equipment,
        identity=_identity(group),
        evidence=_evidence(group, last) | {"p_adjusted": adjusted, "raised_at_close": group.raised_at_close},
    )


def _flags(context: AuditContext, groups: list[JudgedGroup]) -> list[Finding]:
    severity = "check" if context.schedule.single_look else "note"
    findings = []
    for group in groups:
        last = group.verdict.latest
        if last is None or not last.flag or group.verdict.exceeded:
            continue
        findings.append(
            Finding(
                kind="median_above_drl",
                severity=severity,
                subject=_subject(group),
                message=f"{_median_and_level(group, last)} {_sign_test(last)}; chance alone could explain it.",
                site=group.site,
                equipment=group.equipment,
                identity=_identity(group),
                evidence=_evidence(group, last),
            )
        )
    return findings


def _low(context: AuditContext, groups: list[JudgedGroup]) -> list[Finding]:
    """Medians under the survey's 25th percentile at the last close, shown by the sign test where nights repeat."""
    from dose_audit.statistics import sign_test

    findings = []
    columns = context.values.columns
    for group in groups:
        last, window, p25 = group.verdict.latest, group.verdict.window, group.match.p25
        if last is None or window is None or p25 is None or last.median.value is None or last.median.value >= p25.value:
            continue
        if not context.schedule.single_look:
            days = columns["study_date"][group.rows].astype("datetime64[D]")
            inside = (days >= np.datetime64(window.first, "D")) & (days <= np.datetime64(window.last, "D"))
            below = sign_test(columns["value"][group.rows][inside], p25.value).p_below
            if below is None or below > ALPHA_A_YEAR / context.schedule.periods_per_year:
                continue
        median, unit = figure_beside(last.median.value, p25.value), unit_label(group.unit)
        findings.append(
            Finding(
                kind="low_dose_check_iq",
                severity="check",
                subject=_subject(group),
                message=(
                    f"Median {quantity_label(group.quantity)} {median} {unit} of {last.n} exams is below the 25th "
                    f"percentile {figure(p25.value, 6)} {unit} of the survey ({p25.set_id} {p25.edition}). Check that "
                    "images serve their purpose."
                ),
                site=group.site,
                equipment=group.equipment,
                identity=_identity(group),
                evidence=_evidence(group, last),
            )
        )
    return findings


def _median_and_level(group: JudgedGroup, last: PeriodVerdict | None) -> str:
    result, unit = group.comparison, unit_label(group.unit)
    if last is None or result.drl is None:
        return f"{quantity_label(group.quantity)} has been above the reference level {figure(result.drl, 6)} {unit}."
    median = last.median
    interval = "" if median.low is None else f" (95 % interval {figure(median.low)} to {figure(median.high)})"
    times = ratio((median.value or 0.0) / result.drl)
    return (
        f"Median {quantity_label(group.quantity)} {figure_beside(median.value, result.drl)} {unit}{interval} of {last.n} exams, "
        f"{group.days or last.name}, is {times} times the reference level {figure(result.drl, 6)} {unit} ({result.set_id} "
        f"{result.edition})."
    )


def _sign_test(last: PeriodVerdict | None) -> str:
    """How likely so many exams above the level would be, were the true median at it."""
    p = None if last is None else last.p_above
    if p is None:
        return "Too few exams for a sign test"
    return f"Exact one-sided sign test against the level: p {'< 0.001' if p < 0.001 else f'= {p:.2g}'}"


def _subject(group: JudgedGroup) -> str:
    return f"{group.examination_name}, {group.band}: {quantity_label(group.quantity)}"


def _identity(group: JudgedGroup) -> tuple[str, ...]:
    # Without the edition's rows: a new edition of the same level does not make an old cause new.
    return (group.examination, group.band, group.quantity, group.comparison.set_id)


def _evidence(group: JudgedGroup, last: PeriodVerdict | None) -> dict[str, object]:
    result = group.comparison
    median = None if last is None else last.median
    return {
        "examination": group.examination,
        "band": group.band,
        "quantity": group.quantity,
        "unit": group.unit,
        "basis": group.verdict.basis,
        "window": None if group.verdict.window is None else group.verdict.window.record(),
        "n": None if last is None else last.n,
        "median": None if median is None else median.value,
        "ci_low": None if median is None else median.low,
        "ci_high": None if median is None else median.high,
        "drl": result.drl,
        "drl_row": f"{result.set_id}/{result.edition}/{result.row_id}",
        "ratio": None if median is None or not median.value or not result.drl else median.value / result.drl,
        "icrp_flag": None if last is None else last.flag,
        "shown": None if last is None else last.evidence,
        "p_exceeds": None if last is None else last.p_above,
        "flags": list(group.flags),
    }
