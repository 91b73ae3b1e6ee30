"""Glandular dose of single views by compressed thickness, in bins of 10 mm: the machine's AGD, Dance's beside it, limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.glandular import AGREEMENT, ThicknessBin, thickness_bins
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
            "mgd": _computed(part),
            "acceptable_mgy": part.acceptable_mgy,
            "achievable_mgy": part.achievable_mgy,
            "limit_confidence": part.confidence,
        }
        for part in thickness_bins(context)
    ]


def _computed(part: ThicknessBin) -> dict[str, Any] | None:
    """Mean glandular dose after Dance, and how it stands to the device's own; None where none could be computed."""
    if not part.mgd_mgy.size:
        return None
    ratio = part.mgd_ratio
    return {
        **summary(part.mgd_mgy),
        "n_both": int(ratio.size),
        "median_ratio": float(np.median(ratio)) if ratio.size else None,
        "disagree": int(np.count_nonzero(np.abs(ratio - 1.0) > AGREEMENT)),
    }
