"""Findings: raised by a key that survives re-runs, acknowledged by a person with a reason, cleared when they pass."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from dose_audit.store.models import Action, Finding
from dose_audit.texts import named_role

__all__ = [
    "RaisedFinding",
    "acknowledge_finding",
    "clear_findings",
    "raise_finding",
    "raise_findings",
    "reopen_finding",
]

SEVERITIES = ("act", "check", "note")


@dataclass(frozen=True, slots=True)
class RaisedFinding:
    """What a run says. ``key`` names the matter, not the run: the same matter tomorrow has the same key."""

    key: str
    kind: str
    severity: str
    subject: str
    message: str
    site: str | None = None
    equipment: str | None = None
    likely_causes: Sequence[str] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)


def raise_finding(key: str, kind: str, severity: str, subject: str, message: str, **more: Any) -> Finding:
    """Raise one finding; the arguments are those of `RaisedFinding`, and ``run_id``."""
    run_id = more.pop("run_id", None)
    raised = RaisedFinding(key, kind, severity, subject, message, **more)
    return raise_findings([raised], run_id=run_id)[key]


def raise_findings(findings: Iterable[RaisedFinding], *, run_id: str | None = None) -> dict[str, Finding]:
    """Raise findings: new ones open, known ones get the latest message and evidence, cleared ones open again.

    Parameters
    ----------
    findings : iterable of RaisedFinding
        Of several with one key the last counts.
    run_id : str, optional
        The audit run that raises them.

    Returns
    -------
    dict
        Key → row as it now stands. An acknowledged finding stays acknowledged until it is graver than what was
        acknowledged: of a graver severity, or a quarter higher over its level. Then it is open again, on record.

    Raises
    ------
    ValueError
        A severity that is none of ``act``, ``check``, ``note``.
    """
    raised = {finding.key: finding for finding in findings}
    for finding in raised.values():
        if finding.severity not in SEVERITIES:
            raise ValueError(f"severity {finding.severity!r} is none of {', '.join(SEVERITIES)}")
    now = dt.datetime.now(dt.UTC)
    with transaction.atomic():
        new = [
            Finding(key=key, first_raised_at=now, last_raised_at=now, first_raised_run=run_id, **_words(finding))
            for key, finding in sorted(raised.items())
        ]
        # Two writers may raise one matter at once: the first makes the row, both then bring it up to date.
        Finding.objects.bulk_create(new, ignore_conflicts=True)
        rows = {
            row.key: row for row in Finding.objects.select_for_update().filter(key__in=list(raised)).order_by("key")
        }
        worse = {key: why for key, row in rows.items() if (why := _graver(row, raised[key]))}
        for key, row in rows.items():
            for name, value in _words(raised[key]).items():
                setattr(row, name, value)
            if row.state == "cleared" or key in worse:
                _open(row)
            row.last_raised_at, row.last_raised_run = now, run_id
        changed = ["state", "last_raised_at", "last_raised_run", *_WORDS, *_ACKNOWLEDGED]
        Finding.objects.bulk_update(rows.values(), changed, batch_size=200)
        for key, why in worse.items():
            Action.objects.create(finding=rows[key], kind="reopened", by_role=_AUDIT, reason=why, at=now)
    return rows


_AUDIT = "the audit itself"
_FURTHER = 1.25
"""Times the ratio to its level that was acknowledged: from there on it is another matter."""


def _graver(row: Finding, raised: RaisedFinding) -> str:
    """Why what a person acknowledged is no longer what is raised; empty where it is.

    What counts is how grave it was when it was acknowledged: a dose that creeps up is never much graver than last night.
    """
    if row.state != "acknowledged":
        return ""
    severity, before = row.acknowledged_as["severity"], row.acknowledged_as["ratio"]
    if SEVERITIES.index(raised.severity) < SEVERITIES.index(severity):
        return f"raised again as {raised.severity}; it was {severity} when it was acknowledged"
    now = _ratio(raised)
    if before is not None and now is not None and now > 1.0 and now >= before * _FURTHER:
        return f"{now:.2f} times its level; it was {before:.2f} times when it was acknowledged"
    return ""


def _ratio(finding: Finding | RaisedFinding) -> float | None:
    """Median over its reference level, of a finding that speaks of one."""
    found = finding.evidence.get("ratio") if "drl" in finding.evidence else None
    return float(found) if isinstance(found, int | float) else None


_ACKNOWLEDGED = ("acknowledged_by", "acknowledged_reason", "acknowledged_at", "acknowledged_as")


def _open(row: Finding) -> None:
    row.state = "open"
    for name in _ACKNOWLEDGED:
        setattr(row, name, None)


def clear_findings(kinds: Collection[str], *, except_keys: Collection[str]) -> int:
    """Mark as cleared what a run looked for and no longer found.

    Parameters
    ----------
    kinds : collection of str
        The kinds that the run judged; others are left alone.
    except_keys : collection of str
        What it raised.

    Returns
    -------
    int
        How many were cleared.
    """
    standing = Finding.objects.filter(kind__in=list(kinds)).exclude(state="cleared")
    gone = [pk for pk, key in standing.values_list("pk", "key") if key not in except_keys]
    return sum(
        Finding.objects.filter(pk__in=gone[start : start + 500]).update(state="cleared")
        for start in range(0, len(gone), 500)
    )


def acknowledge_finding(key: str, *, by: str, reason: str) -> Finding:
    """Record that a person has taken note of a finding, who, and why nothing more is to be done.

    Raises
    ------
    RoleError, ValueError
        Without a role or a reason.
    Finding.DoesNotExist
        No such finding.
    """
    return _act(key, "acknowledged", by, reason)


def reopen_finding(key: str, *, by: str, reason: str) -> Finding:
    """Open an acknowledged finding again, on record.

    Raises
    ------
    RoleError, ValueError
        Without a role or a reason.
    Finding.DoesNotExist
        No such finding.
    """
    return _act(key, "reopened", by, reason)


def _act(key: str, kind: str, by: str, reason: str) -> Finding:
    role = named_role(by)
    if not reason.strip():
        raise ValueError(f"a finding is {kind} for a reason")
    now = dt.datetime.now(dt.UTC)
    with transaction.atomic():
        row = Finding.objects.select_for_update().get(key=key)
        if kind == "acknowledged":
            row.state, row.acknowledged_by, row.acknowledged_reason = "acknowledged", role, reason.strip()
            row.acknowledged_at, row.acknowledged_as = now, {"severity": row.severity, "ratio": _ratio(row)}
        else:
            _open(row)
        row.save()
        Action.objects.create(finding=row, kind=kind, by_role=role, reason=reason.strip(), at=now)
    return row


_WORDS = ("kind", "severity", "subject", "message", "site", "equipment", "likely_causes", "evidence")


def _words(finding: RaisedFinding) -> dict[str, Any]:
    words = {name: getattr(finding, name) for name in _WORDS}
    return {**words, "likely_causes": list(finding.likely_causes), "evidence": dict(finding.evidence)}
