"""Devices that fell silent for longer than their own habit explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding

if TYPE_CHECKING:
    from dose_audit.statistics import Gap

__all__ = ["detect"]


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``silent_device``: ``act`` while it lasts, ``check`` when the device has come back or may only be unread."""
    waiting = context.objects.waiting
    return [
        _finding(site, equipment, gap, scan.longest_usual_days, waiting)
        for (site, equipment), scan in context.silences.items()
        for gap in scan.gaps
    ]


def _finding(site: str, equipment: str, gap: Gap, habit: float | None, waiting: int) -> Finding:
    usual = "" if habit is None else f" Its longest usual gap is {habit:.1f} days."
    unread = (
        f" {waiting} received objects wait to be read, and may be this device's." if gap.ongoing and waiting else ""
    )
    if gap.ongoing:
        what = f"No exam since {gap.start:%Y-%m-%d %H:%M}, {gap.days:.0f} days"
    else:
        what = f"No exam from {gap.start:%Y-%m-%d} to {gap.end:%Y-%m-%d}, {gap.days:.0f} days"
    return Finding(
        kind="silent_device",
        severity="act" if gap.ongoing and not waiting else "check",
        subject=f"Silent from {gap.start:%Y-%m-%d}",
        message=f"{what}; {gap.expected_exams:.0f} were to be expected by its own weekly rhythm.{usual}{unread}",
        site=site,
        equipment=equipment,
        # The last exam before the silence; neither its end nor its length, which grow.
        identity=(gap.start.isoformat(),),
        evidence={
            "start": gap.start.isoformat(),
            "end": None if gap.ongoing else gap.end.isoformat(),
            "days": gap.days,
            "expected_exams": gap.expected_exams,
            "p_value": gap.p_value,
            "ongoing": gap.ongoing,
            "longest_usual_days": habit,
        },
    )
