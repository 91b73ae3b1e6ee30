"""The nightly audit: bring the columns up to date, look, tell each finding once, and freeze the run in a
folder.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dose_audit.audit.context import KnownFinding
from dose_audit.audit.examine import Progress, Result, examine
from dose_audit.audit.findings import KINDS, Finding
from dose_audit.audit.freeze import input_sha256, write_values
from dose_audit.audit.mapping import StoredMapping, stored_mapping
from dose_audit.audit.methods import ALGORITHMS, method_texts
from dose_audit.audit.references import editions_in_force
from dose_audit.audit.runs import FINDINGS_RAISED, NOTHING_TO_DO, AuditOutcome, run_name, write_report

if TYPE_CHECKING:
    from dose_audit.config import Settings
    from dose_audit.drl import DrlRegistry

__all__ = ["DEFAULT_SETS", "PERIOD_MONTHS", "default_since", "load_registry", "run_audit"]

DEFAULT_SETS = ("uk-adult-ct", "eu-rp185-paediatric-ct")
"""Sets in order of preference where the settings name none."""
PERIOD_MONTHS = 12
"""Months before the current one that a run looks at unless told otherwise. The start moves once a month and
not every night: a verdict looked at nightly over a rolling window would raise false alarms by mere
repetition."""

_PASSING = tuple(kind for kind in KINDS if kind != "high_exposure")
"""Kinds that are over when a night no longer finds them. A high exposure that has grown older than the period
has still happened: it waits until a person has acknowledged it."""


def run_audit(
    settings: Settings,
    *,
    since: date | None = None,
    until: date | None = None,
    now: datetime | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> AuditOutcome:
    """Run the audit and freeze it.

    Parameters
    ----------
    settings : Settings
    since, until : date, optional
        First and last study date, both included. By default from the first of the month a year ago until
        today.
    now : datetime, optional
        The moment of looking, local time; the clock's by default.
    out : Path, optional
        Folder in which the run's own folder is made; the settings' reports by default.
    progress : callable, optional
        Called with text and fraction.

    Returns
    -------
    AuditOutcome

    Raises
    ------
    ValueError
        A period that ends before it begins; a DRL set that does not exist.
    AuditInputError
        The stored exams cannot be read.

    Notes
    -----
    A run over a period that was asked for raises findings but clears none: what it does not look at may still
    be so.
    """
    from dose_audit.retrieve import latest_reconciliation
    from dose_audit.store.parquet import refresh_parquet
    from dose_audit.store.settings import prepare

    tell = progress or (lambda _text, _fraction: None)
    now = (now or datetime.now()).replace(tzinfo=None)
    nightly = since is None and until is None
    until = until or now.date()
    since = since or default_since(until)
    if until < since:
        raise ValueError(f"the period ends on {until}, before it begins on {since}")
    prepare(settings)
    tell("copying the store to columns", 0.0)
    parquet_dir = refresh_parquet(settings)
    registry = load_registry(settings)
    mapping = stored_mapping()
    result = examine(
        parquet_dir,
        registry,
        mapping,
        registry.examinations,
        since=since,
        until=until,
        now=now,
        view=settings.drl_view,
        known=_known_findings(),
        progress=lambda text, fraction: tell(text, 0.3 + 0.6 * fraction),
    )
    archived = latest_reconciliation(settings.home)
    if archived is not None:
        result.completeness["archive"] = archived
    tell("freezing the run", 0.9)
    run = _run_record(settings, registry, mapping, result, since, until, now)
    run_dir = (out or settings.reports_dir) / run["id"]
    run_dir.mkdir(parents=True, exist_ok=True)
    write_values(result.values, run_dir / "values.parquet")
    states = _raise(result.findings, run["id"], clear=nightly)
    exit_code = _exit_code(result.findings, states)
    report = {
        "run": run,
        "completeness": result.completeness,
        "comparisons": result.comparisons,
        "findings": [_finding_record(finding, states[finding.key]) for finding in result.findings],
        "unmapped": result.unmapped,
        "excluded": result.excluded,
        "methods": method_texts(run["drl_sets"], mapping, settings.drl_view),
    }
    write_report(report, run_dir / "report.json")
    _keep_run(run, exit_code)
    tell("done", 1.0)
    new = sum(state["state"] == "new" for state in states.values())
    return AuditOutcome(run["id"], run_dir, new, exit_code)


def default_since(until: date) -> date:
    """First day of the month, `PERIOD_MONTHS` months before.

    >>> default_since(date(2026, 7, 15))
    datetime.date(2025, 7, 1)
    """
    months = until.year * 12 + until.month - 1 - PERIOD_MONTHS
    return date(months // 12, months % 12 + 1, 1)


def load_registry(settings: Settings) -> DrlRegistry:
    """Load the DRL sets that the settings name, or the default ones."""
    from dose_audit.drl import load_sets

    return load_sets(include=settings.drl_sets or DEFAULT_SETS, allow_unverified=settings.allow_unverified_drl)


def _run_record(
    settings: Settings,
    registry: DrlRegistry,
    mapping: StoredMapping,
    result: Result,
    since: date,
    until: date,
    now: datetime,
) -> dict[str, Any]:
    import dose_audit

    sets = [
        {
            "set": s.set_id,
            "edition": s.edition,
            "status": s.status,
            "title": s.title,
            "sha256": _rows_sha256(s.folder),
        }
        for s in editions_in_force(registry, since=since, until=until, view=settings.drl_view, now=now.date())
    ]
    facts = {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "view": settings.drl_view,
        "drl_sets": sets,
        "mapping": mapping.record(),
        "completeness": result.completeness,
        "findings": [(f.key, f.severity, f.message) for f in result.findings],
        "algorithms": ALGORITHMS,
        "engine": dose_audit.__version__,
    }
    frozen = input_sha256(result.values, facts)
    return {
        "id": run_name(now, frozen),
        "created_at": now.isoformat(timespec="seconds"),
        "network": settings.network_name,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "drl_view": settings.drl_view,
        "versions": {
            "engine": dose_audit.__version__,
            "python": platform.python_version(),
            "algorithms": dict(ALGORITHMS),
        },
        "drl_sets": sets,
        "drl_skipped": [{"set": s.set_id, "edition": s.edition, "reason": s.reason} for s in registry.skipped],
        "mapping": mapping.record(),
        "frozen_input_sha256": frozen,
        "sites": result.sites,
    }


def _rows_sha256(folder: str) -> str:
    import hashlib

    return hashlib.sha256((Path(folder) / "rows.csv").read_bytes()).hexdigest()


def _known_findings() -> list[KnownFinding]:
    from dose_audit.store.models import Finding as Row

    rows = Row.objects.filter(kind__in=("step_change", "unit_slip")).order_by("first_raised_at", "key")
    return [KnownFinding(row.kind, row.site, row.equipment, dict(row.evidence)) for row in rows]


def _raise(findings: list[Finding], run_id: str, *, clear: bool) -> dict[str, dict[str, Any]]:
    """Tell the store, and return each finding's state: ``new``, ``open`` or ``acknowledged``."""
    from dose_audit.audit.runs import json_ready
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


def _exit_code(findings: list[Finding], states: Mapping[str, Mapping[str, Any]]) -> int:
    waiting = any(f.severity != "note" and states[f.key]["state"] in ("new", "open") for f in findings)
    return FINDINGS_RAISED if waiting else NOTHING_TO_DO


def _finding_record(finding: Finding, state: Mapping[str, Any]) -> dict[str, Any]:
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
        "evidence": dict(finding.evidence),
        "first_raised_run": state["first_raised_run"],
        "state": state["state"],
    }


def _keep_run(run: Mapping[str, Any], exit_code: int) -> None:
    from dose_audit.store.models import AuditRun

    AuditRun.objects.update_or_create(
        run_id=run["id"],
        defaults={
            "created_at": datetime.fromisoformat(run["created_at"]).astimezone(),
            "since": date.fromisoformat(run["since"]),
            "until": date.fromisoformat(run["until"]),
            "versions": run["versions"],
            "drl_sets": run["drl_sets"],
            "mapping_version": run["mapping"]["version"],
            "frozen_input_sha256": run["frozen_input_sha256"],
            "exit_code": exit_code,
        },
    )
