"""Tells the store what a run found, what earlier runs found, and which of it still waits for somebody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dose_audit.audit.context import KnownFinding
from dose_audit.audit.findings import KINDS, Finding
from dose_audit.audit.runs import FINDINGS_RAISED, NOTHING_TO_DO, json_ready

__all__ = ["exit_code", "finding_record", "known_findings", "raise_all"]

_KEPT = ("high_exposure", "cumulative_exposure", "dose_check_alert")
"""Kinds that have happened: they wait until a person has acknowledged them, even when older than the period."""
_PASSING = tuple(kind for kind in KINDS if kind not in _KEPT)
_RECOGNISED = ("step_change", "unit_slip", "drl_exceeded")


def known_findings() -> list[KnownFinding]:
    """What earlier runs raised, as far as a detector must recognise it. Django must be set up."""
    from dose_audit.store.models import Finding as Row

    rows = Row.objects.filter(kind__in=_RECOGNISED).order_by("first_raised_at", "key")
    return [
        KnownFinding(row.kind, row.site, row.equipment, dict(row.evidence), row.key, row.state != "cleared")
        for row in rows
    ]


def raise_all(findings: list[Finding], run_id: str, *, clear: bool) -> dict[str, dict[str, Any]]:
    """Tell the store, and return each finding's state: ``new``, ``open`` or ``acknowledged``."""
    from dose_audit.store.findings import RaisedFinding, clear_findings, raise_findings

    rows = raise_findings(
        [
            RaisedFinding(
                key=f.key,
                kind=f.kind,
                severity=f.severity,
                subject=f.subject,
                message=f.message,
                site=f.site,
                equipment=f.equipment,
                likely_causes=f.causes,
                evidence=json_ready(f.evidence),
            )
            for f in findings
        ],
        run_id=run_id,
    )
    if clear:
        clear_findings(_PASSING, except_keys=set(rows))
    return {
        key: {
            "id": row.pk,
            "first_raised_run": row.first_raised_run,
            "state": "new" if row.state == "open" and row.first_raised_run == run_id else row.state,
        }
        for key, row in rows.items()
    }


def exit_code(findings: list[Finding], states: Mapping[str, Mapping[str, Any]], *, nothing_compared: bool) -> int:
    """3 where a finding waits for somebody, or exams came and none could be compared; else 0."""
    waiting = any(f.severity != "note" and states[f.key]["state"] in ("new", "open") for f in findings)
    return FINDINGS_RAISED if waiting or nothing_compared else NOTHING_TO_DO


def finding_record(finding: Finding, state: Mapping[str, Any]) -> dict[str, Any]:
    """Entry of ``report.json``."""
    return {
        "id": state["id"],
        "key": finding.key,
        "kind": finding.kind,
        "severity": finding.severity,
        "subject": finding.subject,
        "site": finding.site,
        "equipment": finding.equipment,
        "message": finding.message,
        "likely_causes": list(finding.causes),
        "for_role": finding.for_role,
        "evidence": dict(finding.evidence),
        "first_raised_run": state["first_raised_run"],
        "state": state["state"],
    }
