"""Doses that cannot be: zero, negative, not finite or physically absurd; each quantity by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.labels import quantity_label
from dose_audit.audit.values import exam_ref
from dose_audit.figures import figure

__all__ = ["detect"]

CHECK_SHARE, CHECK_FROM = 0.5, 10
_NAMED = 100


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``implausible_value`` for each device and quantity: to be known, and to be checked where it is the device's
    habit or more than a missing measurement written as zero.
    """
    values = context.values
    columns = values.columns
    refused = values.reason == "IMPLAUSIBLE_VALUE"
    if not refused.any():
        return []
    names = ("site", "equipment", "modality", "quantity")
    of = {key: rows.size for key, rows in columns.groups(names)}
    return [_finding(context, key[0], key[1], key[3], rows, of[key]) for key, rows in columns.groups(names, refused)]


def _finding(
    context: AuditContext, site: str, equipment: str, quantity: str, rows: NDArray[np.int64], of: int
) -> Finding:
    columns = context.values.columns
    dose, unit, exams = columns["value"][rows], columns["unit"][rows[0]], np.unique(columns["exam_id"][rows])
    zeros = int(np.count_nonzero(dose == 0.0))
    habit = rows.size >= CHECK_FROM and rows.size >= CHECK_SHARE * of
    others = [f"{figure(value)} {unit}" if np.isfinite(value) else str(value) for value in np.unique(dose[dose != 0.0])]
    told = ["0"] * bool(zeros) + others[:3] + ["…"] * (len(others) > 3)
    return Finding(
        kind="implausible_value",
        severity="check" if habit or others else "note",
        subject=f"{quantity_label(quantity)} that cannot be a dose",
        message=(
            f"{rows.size} of {of} values of {quantity_label(quantity)} cannot be a patient's dose ({', '.join(told)}) and "
            "are left out. Other quantities of the same exams are compared as they are."
        ),
        site=site,
        equipment=equipment,
        identity=(quantity,),
        evidence={
            "quantity": quantity,
            "n": int(rows.size),
            "of": of,
            "zeros": zeros,
            "exam_refs": [exam_ref(int(exam)) for exam in exams[:_NAMED]],
        },
    )
