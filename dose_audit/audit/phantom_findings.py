"""Findings from phantoms: what is out of tolerance or out of control, could not be measured, is overdue, or paid for a dose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any

from dose_audit.audit.findings import Finding, likely_causes
from dose_audit.audit.labels import unit_label
from dose_audit.figures import figure

__all__ = ["phantom_findings"]

_OUT = ("failed", "beyond", "steadily_out")
_CHANGED = ("drifting", "changed")
_EVIDENCE = (
    *("definition", "conditions", "measurement", "unit", "at", "value", "uncertainty", "status", "reason", "baseline"),
    *("limits", "judgement", "control", "rule", "state", "since"),
)


def phantom_findings(panel: Mapping[str, Any] | None) -> list[Finding]:
    """Findings of the report's image-quality panel.

    Parameters
    ----------
    panel : mapping or None
        From `quality.panel.image_quality`.

    Returns
    -------
    list of Finding
        ``phantom_out_of_tolerance``, ``phantom_out_of_control``: one a device, phantom, conditions and quantity, as the
        latest run that counts left it. ``phantom_not_measured``, ``phantom_overdue``, ``dose_cut_images_worse``: one a
        device and phantom.

    Notes
    -----
    The level is part of an out-of-tolerance finding's key: who has acknowledged a remedial level has not acknowledged
    that the device is now beyond its suspension level. The value and the day are not: the next run of the same fault is
    the same finding.
    """
    if panel is None:
        return []
    found = [_state(row) for row in panel["states"] if row["state"] in (*_OUT, *_CHANGED)]
    return [*found, *_not_measured(panel), *_overdue(panel), *_trades(panel)]


def _state(row: Mapping[str, Any]) -> Finding:
    out = row["state"] in _OUT
    unit = f" {unit_label(row['unit'])}" if row["unit"] != "1" else ""
    told = f"{row['title']} {figure(row['value'], 4)}{unit} on {_day(row['at'])}"
    told += f", baseline {figure(row['baseline'], 4)}{unit}" if row["baseline"] is not None else ""
    level = row["limits"]["suspension" if row["judgement"] == "suspension" else "remedial"] if row["limits"] else None
    told += f", {row['judgement']} level {_span(level, unit)}" if out and level else ""
    causes = tuple(
        ": ".join(filter(None, (mark["kind"], mark["text"])))
        + f", on {_day(mark['at'])}: near in time, not proven the cause"
        for mark in row["since"]
    )
    kind = "phantom_out_of_tolerance" if out else "phantom_out_of_control"
    return Finding(
        kind=kind,
        severity=row["tone"],
        subject=f"{row['phantom']}: {row['title']} {row['words']}",
        message=f"{told}. {row['text']}",
        site=row["site"],
        equipment=row["equipment"],
        identity=(row["definition"], row["conditions"], row["measurement"], *((row["judgement"],) if out else ())),
        evidence={name: row[name] for name in _EVIDENCE},
        likely_causes=(*causes, *likely_causes(kind)) if causes else (),
    )


def _span(limits: list[float | None], unit: str) -> str:
    low, high = limits
    if low is None:
        return f"at most {figure(high, 4)}{unit}"
    if high is None:
        return f"at least {figure(low, 4)}{unit}"
    return f"{figure(low, 4)} to {figure(high, 4)}{unit}"


def _not_measured(panel: Mapping[str, Any]) -> list[Finding]:
    groups: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in panel["states"]:
        if row["state"] == "not_measured":
            groups[row["site"], row["equipment"], row["definition"], row["conditions"]].append(row)
    findings = []
    for (site, equipment, definition, conditions), rows in groups.items():
        named = "; ".join(f"{row['title']} ({row['reason']})" for row in rows[:4])
        named += f" and {len(rows) - 4} more" if len(rows) > 4 else ""
        findings.append(
            Finding(
                kind="phantom_not_measured",
                severity="check",
                subject=f"{rows[0]['phantom']}: {len(rows)} quantities in doubt",
                message=f"Not judged in the run of {_day(rows[0]['at'])}: {named}. Scan once more, set up as usual.",
                site=site,
                equipment=equipment,
                identity=(definition, conditions),
                evidence={
                    "definition": definition,
                    "conditions": conditions,
                    "at": rows[0]["at"],
                    "measurements": [row["measurement"] for row in rows],
                },
            )
        )
    return findings


def _overdue(panel: Mapping[str, Any]) -> list[Finding]:
    findings = []
    for row in panel["schedule"]:
        if row["state"] != "overdue":
            continue
        last = f"last done on {_day(row['last'])}" if row["last"] else "never done"
        findings.append(
            Finding(
                kind="phantom_overdue",
                severity="check",
                subject=f"{row['phantom']} overdue",
                message=(
                    f"Due on {_day(row['due'])} and {row['days_late']} days past the grace; it is to be measured every "
                    f"{row['every_days']} days and was {last}."
                ),
                site=row["site"],
                equipment=row["equipment"],
                identity=(row["definition"],),
                evidence={name: row[name] for name in ("definition", "every_days", "grace_days", "last", "due")},
            )
        )
    return findings


def _trades(panel: Mapping[str, Any]) -> list[Finding]:
    return [
        Finding(
            kind="dose_cut_images_worse",
            severity="check",
            subject=f"{part['phantom']}: a lower dose bought with worse images",
            message=part["trade"]["text"],
            site=part["site"],
            equipment=part["equipment"],
            identity=(part["definition"], part["conditions"], part["measurement"]),
            evidence={
                "definition": part["definition"],
                "conditions": part["conditions"],
                "measurement": part["measurement"],
                **{name: part["trade"][name] for name in ("dose", "quality", "merit")},
            },
        )
        for part in panel["dose_and_quality"]
        if part["trade"] and part["trade"]["verdict"] == "dose_down_images_worse"
    ]


def _day(moment: str) -> str:
    day = date.fromisoformat(moment[:10])
    return f"{day.day} {day:%B %Y}"
