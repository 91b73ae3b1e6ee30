"""Mammography units whose median glandular dose at some thickness is shown to be above what quality control accepts."""

from __future__ import annotations

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.glandular import thickness_bins
from dose_audit.audit.verdicts import ALPHA_A_YEAR
from dose_audit.figures import figure

__all__ = ["detect"]

MINIMUM_N = 20


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``agd_above_limit``, once a device and bin of thickness, judged at the schedule's closes."""
    from dose_audit.statistics import median_interval, sign_test

    last = context.schedule.last_day
    findings = []
    for part in thickness_bins(context) if last is not None else ():
        closed = part.times.astype("datetime64[D]") <= np.datetime64(last, "D")
        doses = part.agd_mgy[closed]
        if part.acceptable_mgy is None or doses.size < MINIMUM_N:
            continue
        p_above = sign_test(doses, part.acceptable_mgy).p_above
        if p_above is None or p_above > ALPHA_A_YEAR / context.schedule.periods_per_year:
            continue
        median = median_interval(doses)
        stamp = "" if part.confidence == "primary" else f" The limit is {part.confidence}: check it against its source."
        findings.append(
            Finding(
                kind="agd_above_limit",
                severity="check",
                subject=f"AGD at {part.low_mm:.0f} to {part.high_mm:.0f} mm",
                message=(
                    f"Median AGD {figure(median.value)} mGy of {doses.size} views at {part.low_mm:.0f} to "
                    f"{part.high_mm:.0f} mm is above {figure(part.acceptable_mgy)} mGy, acceptable for that "
                    f"thickness.{stamp}"
                ),
                site=part.site,
                equipment=part.equipment,
                identity=(f"{part.low_mm:.0f}",),
                evidence={
                    "low_mm": part.low_mm,
                    "high_mm": part.high_mm,
                    "n": int(doses.size),
                    "median_mgy": median.value,
                    "ci_low": median.low,
                    "ci_high": median.high,
                    "acceptable_mgy": part.acceptable_mgy,
                    "limit_confidence": part.confidence,
                    "p_above": p_above,
                },
            )
        )
    return findings
