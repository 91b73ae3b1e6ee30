"""CT exams that went on although the scanner forecast a dose above its alert value."""

from __future__ import annotations

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.dose_checks import DoseCheck, dose_checks
from dose_audit.audit.findings import Finding
from dose_audit.audit.labels import unit_label
from dose_audit.audit.values import exam_ref
from dose_audit.figures import figure

__all__ = ["detect"]


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``dose_check_alert``, once an exam: to be checked, or to be known where a reason was given."""
    columns = context.exposures.dose_checks
    places, told = context.once(dose_checks)
    alerted = np.array([bool(check.alerts) for check in told], dtype=np.bool_)[places]
    by_exam: dict[int, list[int]] = {}
    for row in np.flatnonzero(alerted).tolist():
        by_exam.setdefault(int(columns["exam_id"][row]), []).append(row)
    return [
        _finding(
            exam_ref(exam), columns["site"][rows[0]], columns["equipment"][rows[0]], [told[places[r]] for r in rows]
        )
        for exam, rows in by_exam.items()
    ]


def _finding(ref: str, site: str, equipment: str, checks: list[DoseCheck]) -> Finding:
    without = [check for check in checks if not check.reason_given]
    alerts = {alert["quantity"]: alert for check in checks for alert in check.alerts}
    what = "; ".join(
        f"{name} {figure(alert['forecast'], 4)} {unit_label(alert['unit'])} (alert value {figure(alert['value'], 4)})"
        for name, alert in sorted(alerts.items())
    )
    reason = "No reason for proceeding was recorded." if without else "A reason for proceeding was recorded."
    return Finding(
        kind="dose_check_alert",
        severity="check" if without else "note",
        subject=f"Exam {ref}: dose alert at the console",
        message=f"The scanner forecast {what}, and the exam went on. {reason}",
        site=site,
        equipment=equipment,
        identity=(ref,),
        evidence={"exam_ref": ref, "alerts": list(alerts.values()), "acquisitions_without_reason": len(without)},
    )
