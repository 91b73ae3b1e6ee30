"""Worksheets for significant exposures, begun for the exams that findings name: they hold figures and never decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dose_audit.audit.exam_totals import exam_totals
from dose_audit.audit.findings import Finding
from dose_audit.audit.freeze import frozen_table
from dose_audit.audit.significant import reaches

if TYPE_CHECKING:
    from dose_audit.audit.values import Values

__all__ = ["CONCLUSION", "worksheets"]

KINDS = ("high_exposure", "outlier")
MOST = 20
ADULT_FROM_YEARS = 18.0
CONCLUSION = (
    "If the exposure was accidental or unintended, consider notification where a line fits. The employer's procedure says "
    "who decides; this worksheet does not."
)


def worksheets(findings: Sequence[Finding], values: Values) -> list[dict[str, Any]]:
    """Build ``significant_exposures`` of ``report.json``. Django must be set up.

    Parameters
    ----------
    findings : sequence of Finding
        Of the run. Single exams above a trigger level, or far above their group, get a worksheet.
    values : Values
        What the run looked at.

    Notes
    -----
    Every exam has the totals of its modality, see `exam_totals`.

    The effective dose is the sum over the exam's irradiation events as the store estimates them; where one of them has
    none, neither has the exam. The usual dose of its group, where it is known, stands beside it as what may have been
    intended: total × group median of DLP ÷ the exam's.
    """
    entries: list[dict[str, Any]] = []
    exams = values.columns["exam_id"]
    for finding in findings:
        ref = finding.evidence.get("exam_ref")
        if finding.kind not in KINDS or ref is None or (finding.kind == "outlier" and not _high(finding)):
            continue
        if any(entry["exam_ref"] == ref for entry in entries):
            continue
        rows = np.flatnonzero(exams == int(str(ref)[1:]))
        entries.append(_entry(finding, str(ref), frozen_table(values, rows).to_pylist(), values))
        if len(entries) == MOST:
            break
    return entries


def _high(finding: Finding) -> bool:
    ratios = [item["ratio"] for item in finding.evidence["values"] if item.get("ratio") is not None]
    return bool(ratios) and max(ratios) > 1.0


def _entry(finding: Finding, ref: str, rows: list[dict[str, Any]], values: Values) -> dict[str, Any]:
    first = rows[0] if rows else {}
    age = first.get("age_years")
    population = None if age is None else "adult" if age >= ADULT_FROM_YEARS else "child"
    total, uncertainty, reason = _effective_dose(int(ref[1:]))
    share = _of_group(next((row for row in rows if row["quantity"] == "DLP"), None), values)
    return {
        "key": finding.key,
        "exam_ref": ref,
        "kind": finding.kind,
        "site": finding.site,
        "equipment": finding.equipment,
        "examination_name": first.get("examination_name"),
        "study_datetime": None if first.get("study_datetime") is None else first["study_datetime"].isoformat(),
        "population": population,
        "doses": [{name: row[name] for name in ("quantity", "value", "unit")} for row in rows],
        "totals": exam_totals(int(ref[1:])),
        "total_msv": total,
        "uncertainty_msv": uncertainty,
        "total_reason": reason,
        "usual_msv": None if total is None or share is None else total / share,
        "reaches": []
        if total is None
        else [
            {
                "code": one.threshold.code,
                "version": one.threshold.version,
                "nations": one.threshold.nations.split("|"),
                "population": one.threshold.population,
                "criterion": one.threshold.words(),
                "assumption": one.words(),
                "reached": one.reached,
                "intended_low_msv": one.intended_low_msv,
                "intended_high_msv": one.intended_high_msv,
                "confidence": one.threshold.confidence,
            }
            for one in reaches(total, population)
        ],
        "conclusion": CONCLUSION,
    }


def _effective_dose(exam_id: int) -> tuple[float | None, float | None, str]:
    """Sum over the events in mSv, its standard uncertainty with fully correlated parts, and why there is none."""
    from dose_audit.store.models import DoseEstimate

    rows = list(
        DoseEstimate.objects.filter(exam_id=exam_id, quantity="effective_dose", current=True).values_list(
            "value", "uncertainty", "status"
        )
    )
    if not rows:
        return None, None, "no effective dose is estimated for this kind of exam"
    missing = sum(status != "ok" or value is None for value, _, status in rows)
    if missing:
        return None, None, f"{missing} of {len(rows)} irradiation events have no effective dose"
    total = math.fsum(value for value, _, _ in rows)
    parts = [uncertainty for _, uncertainty, _ in rows]
    return total, None if None in parts else math.fsum(parts), ""


def _of_group(row: dict[str, Any] | None, values: Values) -> float | None:
    """The exam's DLP over the median of the exams that it belongs to; None where it is compared with nothing."""
    if row is None or not row["examination"] or not row["value"]:
        return None
    columns = values.columns
    mask = values.compared & (columns["quantity"] == "DLP") & (values.band == row["band"])
    for name in ("site", "equipment", "examination"):
        if row[name] is None:
            return None
        mask &= columns[name] == row[name]
    doses = columns["value"][mask]
    return float(row["value"] / np.median(doses)) if doses.size > 1 else None
