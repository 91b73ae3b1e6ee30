"""Size-specific dose of CT by the patient's water-equivalent diameter: examination by examination, in bands of 40 mm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.sections.common import summary

__all__ = ["BAND_MM", "build"]

BAND_MM = 40.0
_POSSIBLE_MM = (40.0, 600.0)


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry a site, device, examination and band of diameter in which an SSDE is known."""
    columns = context.values.columns
    is_ssde, is_ctdi = columns["quantity"] == "SSDE", columns["quantity"] == "CTDIvol"
    if not is_ssde.any():
        return []
    diameter = np.asarray(columns["wed_mm"], dtype=float)
    ct = context.values.compared & (is_ssde | is_ctdi)
    known = ct & (diameter >= _POSSIBLE_MM[0]) & (diameter <= _POSSIBLE_MM[1])
    found = []
    for (site, equipment, examination), rows in columns.groups(("site", "equipment", "examination"), known):
        place = np.floor(diameter[rows] / BAND_MM)
        for number in np.unique(place).tolist():
            members = rows[place == number]
            ssde = members[is_ssde[members]]
            if not ssde.size:
                continue
            found.append(
                {
                    "site": site,
                    "equipment": equipment,
                    "examination": examination,
                    "examination_name": columns["examination_name"][members[0]],
                    "low_mm": number * BAND_MM,
                    "high_mm": (number + 1) * BAND_MM,
                    "median_wed_mm": float(np.median(diameter[ssde])),
                    "ssde": summary(np.asarray(columns["value"][ssde], dtype=float)),
                    "ctdi_vol": summary(np.asarray(columns["value"][members[is_ctdi[members]]], dtype=float)),
                }
            )
    return found
