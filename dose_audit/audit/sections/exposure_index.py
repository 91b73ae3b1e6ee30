"""Exposure and deviation index by device and acquisition protocol: centre, spread, months, share beyond ±3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.deviation import IndexGroup, index_groups
from dose_audit.audit.findings import Finding

__all__ = ["build"]


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry a device and acquisition protocol."""
    return [_entry(group) for group in context.once(index_groups)]


def _entry(group: IndexGroup) -> dict[str, Any]:
    months = group.times.astype("datetime64[M]")
    return {
        "site": group.site,
        "equipment": group.equipment,
        "acquisition_protocol": group.acquisition_protocol,
        "n": int(group.deviation.size),
        "n_without_target": group.without_target,
        "median_ei": group.median_ei,
        "targets": [{"target": target, "n": n} for target, n in group.targets],
        "median_di": float(np.median(group.deviation)) if group.deviation.size else None,
        "sd_di": float(group.deviation.std(ddof=1)) if group.deviation.size > 1 else None,
        "beyond_3": group.beyond,
        "share_beyond_3": group.beyond / group.deviation.size if group.deviation.size else None,
        "above_1": int(np.count_nonzero(group.deviation > 1.0)),
        "below_1": int(np.count_nonzero(group.deviation < -1.0)),
        "header_disagrees": group.header_disagrees,
        "drift_di_a_year": group.drift.value,
        "drift_low": group.drift.low,
        "drift_high": group.drift.high,
        "months": [
            {
                "month": str(month),
                "n": int(np.count_nonzero(months == month)),
                "median_di": float(np.median(group.deviation[months == month])),
            }
            for month in np.unique(months)
        ],
    }
