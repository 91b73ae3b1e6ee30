"""Medians above their reference level, and medians so low that images should be judged."""

from __future__ import annotations

from dose_audit.audit.comparisons import JudgedGroup
from dose_audit.audit.context import AuditContext
from dose_audit.audit.figures import figure
from dose_audit.audit.findings import Finding
from dose_audit.audit.labels import quantity_label, unit_label

__all__ = ["FALSE_DISCOVERY_RATE", "detect"]

FALSE_DISCOVERY_RATE = 0.05


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``drl_exceeded`` and ``low_dose_check_iq``.

    Notes
    -----
    A median above the level is always told: the ICRP flag is the regulatory act. It is ``act`` where the
    sample also shows it (the interval lies above the level, and the sign test survives Benjamini-Hochberg
    over all groups of the run), ``check`` where the median alone does. Groups under the minimum n have no
    verdict and no finding.
    """
    from dose_audit.drl import Verdict
    from dose_audit.statistics import benjamini_hochberg

    tested = [(group, p) for group in context.groups if (p := group.comparison.p_exceeds) is not None]
    family = benjamini_hochberg([p for _, p in tested], FALSE_DISCOVERY_RATE)
    adjusted = {id(group): p for (group, _), p in zip(tested, family.adjusted, strict=True)}
    findings = []
    for group in context.groups:
        if group.comparison.verdict is Verdict.ABOVE:
            findings.append(_exceeded(group, adjusted.get(id(group))))
        elif group.comparison.verdict is Verdict.BELOW_P25_CHECK_IQ:
            findings.append(_low(group))
    return findings


def _exceeded(group: JudgedGroup, adjusted: float | None) -> Finding:
    result = group.comparison
    shown = (
        adjusted is not None
        and adjusted <= FALSE_DISCOVERY_RATE
        and result.ci_low is not None
        and result.drl is not None
        and result.ci_low > result.drl
    )
    interval = "" if result.ci_low is None else f" (95 % interval {figure(result.ci_low)} to {figure(result.ci_high)})"
    weight = (
        "The sample shows that the true median is above."
        if shown
        else "The sample does not yet show that the true median is above."
    )
    unit = unit_label(group.unit)
    return Finding(
        kind="drl_exceeded",
        severity="act" if shown else "check",
        subject=_subject(group),
        message=(
            f"Median {quantity_label(group.quantity)} {figure(result.median)} {unit}{interval} of {result.n} exams is "
            f"{result.ratio:.2f} times the reference level {result.drl:g} {unit} "
            f"({result.set_id} {result.edition}). {weight}"
        ),
        site=group.site,
        equipment=group.equipment,
        identity=_identity(group),
        evidence=_evidence(group) | {"p_adjusted": adjusted},
    )


def _low(group: JudgedGroup) -> Finding:
    result = group.comparison
    return Finding(
        kind="low_dose_check_iq",
        severity="check",
        subject=_subject(group),
        message=(
            f"Median {quantity_label(group.quantity)} {figure(result.median)} {unit_label(group.unit)} of {result.n} exams: "
            f"{result.reason} ({result.set_id} {result.edition}). Check that images serve their purpose."
        ),
        site=group.site,
        equipment=group.equipment,
        identity=_identity(group),
        evidence=_evidence(group),
    )


def _subject(group: JudgedGroup) -> str:
    return f"{group.examination_name}, {group.band}: {quantity_label(group.quantity)}"


def _identity(group: JudgedGroup) -> tuple[str, ...]:
    # Without the edition's rows: a new edition of the same level does not make an old cause new.
    return (group.examination, group.band, group.quantity, group.comparison.set_id)


def _evidence(group: JudgedGroup) -> dict[str, object]:
    result = group.comparison
    return {
        "examination": group.examination,
        "band": group.band,
        "quantity": group.quantity,
        "unit": group.unit,
        "n": result.n,
        "median": result.median,
        "ci_low": result.ci_low,
        "ci_high": result.ci_high,
        "drl": result.drl,
        "drl_row": f"{result.set_id}/{result.edition}/{result.row_id}",
        "ratio": result.ratio,
        "p_exceeds": result.p_exceeds,
        "flags": list(group.flags),
    }
