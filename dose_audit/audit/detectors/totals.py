"""Reports whose total is not what their events add up to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.row_order import spans
from dose_audit.audit.values import exam_ref
from dose_audit.figures import figure

__all__ = ["RELATIVE_TOLERANCE", "detect"]

RELATIVE_TOLERANCE = 0.05
_PAIRS = (
    ("DLP", "mGy.cm", "ct_dlp_mgy_cm", "events_ct_dlp_mgy_cm", 1.0),
    ("KAP", "Gy.cm2", "kap_gy_cm2", "events_kap_gy_cm2", 0.01),
)
"""Quantity, unit, column of the total, column of the events' sum, and a difference that is only rounding."""
CHECK_SHARE, CHECK_FROM = 0.5, 10


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``totals_disagree`` for each device: to be known, and to be checked where it is the device's
    habit.
    """
    exams = context.exams
    patients = exams["left_out"] == None  # noqa: E711 (an array)
    findings = []
    for quantity, unit, total_name, sum_name, rounding in _PAIRS:
        total = np.asarray(exams[total_name], dtype=float)
        added = np.asarray(exams[sum_name], dtype=float)
        both, apart = np.zeros((2, len(exams)), dtype=np.bool_)
        for part in spans(len(exams)):
            one, other = total[part], added[part]
            both[part] = np.isfinite(one) & np.isfinite(other) & patients[part]
            one, other = one[both[part]], other[both[part]]
            differ = np.abs(one - other) > np.maximum(rounding, RELATIVE_TOLERANCE * np.maximum(one, other))
            apart[part][both[part]] = differ
        if not apart.any():
            continue
        of = {place: members.size for place, members in exams.groups(("site", "equipment"), both)}
        for (site, equipment), rows in exams.groups(("site", "equipment"), apart):
            findings.append(_finding(context, quantity, unit, site, equipment, rows, of[site, equipment], total, added))
    return findings


def _finding(
    context: AuditContext,
    quantity: str,
    unit: str,
    site: str,
    equipment: str,
    rows: NDArray[np.int64],
    of: int,
    total: NDArray[np.float64],
    added: NDArray[np.float64],
) -> Finding:
    refs = [exam_ref(int(i)) for i in context.exams["exam_id"][rows]]
    worst = int(rows[np.argmax(np.abs(total[rows] - added[rows]))])
    habit = rows.size >= CHECK_FROM and rows.size >= CHECK_SHARE * of
    return Finding(
        kind="totals_disagree",
        severity="check" if habit else "note",
        subject=f"{quantity} total and events differ",
        message=(
            f"In {rows.size} of {of} exams the reported {quantity} differs by more than "
            f"{RELATIVE_TOLERANCE:.0%} from what the events add up to; the largest difference is "
            f"{figure(float(total[worst]), 4)} beside {figure(float(added[worst]), 4)} {unit}."
        ),
        site=site,
        equipment=equipment,
        identity=(quantity,),
        evidence={"quantity": quantity, "n": int(rows.size), "of": of, "exam_refs": refs[:100]},
    )
