"""CT Dose Check by device: how often values were configured, forecast above them, and answered with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dose_audit.audit.context import AuditContext
from dose_audit.audit.dose_checks import dose_checks
from dose_audit.audit.findings import Finding

__all__ = ["build"]


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry a device whose reports carry a Dose Check; nobody's name is in it."""
    by_device: dict[tuple[str, str], dict[str, Any]] = {}
    for check in dose_checks(context):
        entry = by_device.setdefault(
            (check.site, check.equipment),
            {
                "site": check.site,
                "equipment": check.equipment,
                "acquisitions": 0,
                "alert_configured": 0,
                "alert_exceeded": 0,
                "alert_exceeded_without_reason": 0,
                "notification_configured": 0,
                "notification_exceeded": 0,
                "exams_with_alert": [],
            },
        )
        entry["acquisitions"] += 1
        entry["alert_configured"] += check.alert_configured
        entry["notification_configured"] += check.notification_configured
        entry["notification_exceeded"] += bool(check.notifications)
        if check.alerts:
            entry["alert_exceeded"] += 1
            entry["alert_exceeded_without_reason"] += not check.reason_given
            entry["exams_with_alert"].append(check.exam_ref)
    for entry in by_device.values():
        entry["exams_with_alert"] = sorted(set(entry["exams_with_alert"]))[:100]
    return [by_device[key] for key in sorted(by_device)]
