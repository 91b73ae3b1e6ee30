"""CT exams that went on although the scanner forecast a dose above its alert value."""

from __future__ import annotations

from dose_audit.audit.context import AuditContext
from dose_audit.audit.dose_checks import DoseCheck, dose_checks
from dose_audit.audit.figures import figure
from dose_audit.audit.findings import Finding
from dose_audit.audit.labels import unit_label

__all__ = ["detect"]


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``dose_check_alert``, once an exam: to be checked, or to be known where a reason was given."""
    by_exam: dict[str, list[DoseCheck]] = {}
    for check in dose_checks(context):
        if check.alerts:
            by_exam.setdefault(check.exam_ref, []).append(check)
    return [_finding(ref, checks) for ref, checks in by_exam.items()]


def _finding(ref: str, checks: list[DoseCheck]) -> Finding:
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
        site=checks[0].site,
        equipment=checks[0].equipment,
        identity=(ref,),
        evidence={"exam_ref": ref, "alerts": list(alerts.values()), "acquisitions_without_reason": len(without)},
    )
