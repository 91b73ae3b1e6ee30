"""CT Dose Check by device: how often values were configured, forecast above them, and answered with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.dose_checks import dose_checks
from dose_audit.audit.findings import Finding
from dose_audit.audit.values import exam_ref

__all__ = ["build"]


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry a device whose reports carry a Dose Check; nobody's name is in it."""
    columns = context.exposures.dose_checks
    places, told = context.once(dose_checks)
    marks = {
        "alert_configured": [check.alert_configured for check in told],
        "alert_exceeded": [bool(check.alerts) for check in told],
        "alert_exceeded_without_reason": [bool(check.alerts) and not check.reason_given for check in told],
        "notification_configured": [check.notification_configured for check in told],
        "notification_exceeded": [bool(check.notifications) for check in told],
    }
    marked = {name: np.array(kinds, dtype=np.bool_)[places] for name, kinds in marks.items()}
    found = []
    for (site, equipment), rows in columns.groups(("site", "equipment")):
        exams = np.unique(columns["exam_id"][rows[marked["alert_exceeded"][rows]]]).tolist()
        found.append(
            {
                "site": site,
                "equipment": equipment,
                "acquisitions": int(rows.size),
                **{name: int(np.count_nonzero(mark[rows])) for name, mark in marked.items()},
                "exams_with_alert": sorted(map(exam_ref, exams))[:100],
            }
        )
    return found
