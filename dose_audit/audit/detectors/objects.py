"""Received objects that could not be used, or that came twice with different contents."""

from __future__ import annotations

from dose_audit.audit.columns import Columns
from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.texts import counted

__all__ = ["detect", "short_reason"]

_KINDS = {"quarantined": "corrupt_object", "conflict": "conflict_object"}
_MOST_REASON = 200


def short_reason(reason: str | None) -> str:
    """Return a ledger reason as one line of bounded length."""
    text = " ".join((reason or "no reason given").split())
    return text if len(text) <= _MOST_REASON else f"{text[: _MOST_REASON - 1]}…"


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``corrupt_object`` and ``conflict_object``, one for each sender, day and reason."""
    objects = context.objects.set_aside
    devices = _devices_by_station(context.exams)
    findings = []
    for (state, site, station, reason), rows in objects.groups(("state", "site", "station_name", "reason")):
        if state not in _KINDS:
            continue
        days = objects["received_at"][rows].astype("datetime64[D]").astype(str)
        for day in sorted(set(days.tolist())):
            ids = objects["object_id"][rows[days == day]].astype(int).tolist()
            equipment = devices.get((site, station), station)
            findings.append(_finding(state, site, equipment, short_reason(reason), day, ids))
    return findings


def _devices_by_station(exams: Columns) -> dict[tuple[str | None, str | None], str]:
    """Device that a station name means at a site, where it means one."""
    names: dict[tuple[str | None, str | None], set[str]] = {}
    for (site, station, equipment), _ in exams.groups(("site", "station_name", "equipment")):
        names.setdefault((site, station), set()).add(equipment)
    return {key: next(iter(found)) for key, found in names.items() if len(found) == 1}


def _finding(state: str, site: str | None, equipment: str | None, reason: str, day: str, ids: list[int]) -> Finding:
    count = counted(len(ids), "object")
    when = "" if day == "NaT" else f" on {day}"
    what = {
        "quarantined": f"{count} received{when} could not be read and went into quarantine: {reason}",
        "conflict": f"{count} received{when} {'are' if len(ids) > 1 else 'is'} kept but not counted: {reason}",
    }[state]
    # The message tells a conflict's reason; a heading with the same words would only repeat it.
    about = "replaced by a newer object" if state == "conflict" else reason
    return Finding(
        kind=_KINDS[state],
        severity="check",
        subject=f"{equipment or 'Unknown sender'}: {about}"[:120],
        message=f"{what.rstrip('.')}.",
        site=site,
        equipment=equipment,
        identity=(reason, day),
        evidence={
            "n": len(ids),
            "day": None if day == "NaT" else day,
            "reason": reason,
            "object_ids": ids[:20],
        },
    )
