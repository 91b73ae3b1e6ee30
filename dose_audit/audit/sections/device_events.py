"""What happened to devices in the period: recorded events, new software, mapping versions; and the steps near them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dose_audit.audit.context import AuditContext
from dose_audit.audit.device_events import MAPPING, SOFTWARE, DeviceEvent
from dose_audit.audit.findings import Finding
from dose_audit.audit.steps import ASSOCIATED_DAYS

__all__ = ["all_events", "build"]


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry an event, in order of time; an exam mapping's version has no device."""
    return [_entry(context, event) for event in all_events(context)]


def all_events(context: AuditContext) -> list[DeviceEvent]:
    """Events of the store, and the new software that only the period's exams tell."""
    known = {(event.site, event.equipment, event.text) for event in context.events if event.kind == SOFTWARE}
    seen = [
        DeviceEvent(-1, change.site, change.equipment, change.day, SOFTWARE, change.words, change.before)
        for change in context.software
        if (change.site, change.equipment, change.words) not in known
    ]
    return sorted([*context.events, *seen], key=lambda e: (e.day, e.site or "", e.equipment or "", e.kind, e.text))


def _entry(context: AuditContext, event: DeviceEvent) -> dict[str, Any]:
    steps = [
        {"day": step.day.isoformat(), "quantity": step.quantity, "ratio": step.ratio.value}
        for step in context.steps
        if (event.kind == MAPPING or (step.site, step.equipment) == (event.site, event.equipment))
        and abs((step.day - event.day).days) <= ASSOCIATED_DAYS
    ]
    return {
        "site": event.site,
        "equipment": event.equipment,
        "day": event.day.isoformat(),
        "kind": event.kind,
        "text": event.text,
        "before": event.before or None,
        "steps": steps,
    }
