"""Average glandular dose of single views by compressed breast thickness, in bins of 10 mm, beside its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.glandular import thickness_bins
from dose_audit.audit.sections.common import summary

__all__ = ["build"]


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry a device and bin of thickness."""
    return [
        {
            "site": part.site,
            "equipment": part.equipment,
            "low_mm": part.low_mm,
            "high_mm": part.high_mm,
            **summary(part.agd_mgy),
            "acceptable_mgy": part.acceptable_mgy,
            "achievable_mgy": part.achievable_mgy,
            "limit_confidence": part.confidence,
        }
        for part in thickness_bins(context)
    ]
