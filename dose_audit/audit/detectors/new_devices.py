"""Devices that nobody has seen before: a new unit, a loan, or a known one under another name."""

from __future__ import annotations

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding

__all__ = ["detect"]

SETTLING_DAYS = 60
"""Devices first seen within so many days of the store's first exam belong to the start of the register itself."""


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``new_device`` for devices whose first exam lies in the period, the store's own beginning apart."""
    devices = context.exposures.first_exams
    if len(devices) == 0:
        return []
    first = devices["first_exam"].astype("datetime64[D]")
    settled = first.min() + np.timedelta64(SETTLING_DAYS, "D")
    here = {place for place, _ in context.exams.groups(("site", "equipment"))}
    dated = context.exams["study_datetime"]
    if not len(context.exams) or np.isnat(dated).all():
        return []
    begin = dated[~np.isnat(dated)].min().astype("datetime64[D]")
    findings = []
    for row in np.flatnonzero((first > settled) & (first >= begin)).tolist():
        site, equipment = devices["site"][row], devices["equipment"][row]
        if (site, equipment) not in here:
            continue
        findings.append(
            Finding(
                kind="new_device",
                severity="check",
                subject=f"First seen on {first[row]}",
                message=(
                    f"First exam of this device on {first[row]}. Enter it in the equipment register, and have its "
                    "acceptance and commissioning tests on file."
                ),
                site=site,
                equipment=equipment,
                identity=(str(first[row]),),
                evidence={"first_exam": str(first[row]), "exams": int(devices["exams"][row])},
            )
        )
    return findings
