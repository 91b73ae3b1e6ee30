"""Devices whose exams bear dates that have not come: a clock that is wrong, and exams that no period will have for years."""

from __future__ import annotations

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding

__all__ = ["detect"]

_ELSEWHERE = np.timedelta64(1, "D")  # it is tomorrow already in another time zone


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``future_date`` once a device, in nightly runs: a period that was asked for may end before today."""
    devices = context.exposures.device_months
    if context.schedule.single_look or len(devices) == 0:
        return []
    months = devices["last_exam"].astype("datetime64[D]")
    today = np.datetime64(context.until, "D")
    findings = []
    for (site, equipment), rows in devices.groups(("site", "equipment")):
        last = months[rows].max()
        if last <= today + _ELSEWHERE:
            continue
        findings.append(
            Finding(
                kind="future_date",
                severity="check",
                subject=f"Exams dated up to {last}",
                message=(
                    f"This device has exams with study dates in the future, the latest {last}. They are in no period "
                    "and are compared with nothing: have the device's clock set, and the exams sent again with their date."
                ),
                site=site,
                equipment=equipment,
                evidence={"latest_date": str(last)},
            )
        )
    return findings
