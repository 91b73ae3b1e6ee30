"""Devices that nobody has seen before: a new unit, a loan, or a known one under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns

__all__ = ["detect"]

SETTLING_DAYS = 60
"""Devices first seen within so many days of the store's beginning belong to the start of the register itself."""
STRAY_SHARE = 0.01
"""No more of the exams than this, with a pause after them, are no beginning: a clock that was wrong, or an old study that
somebody sent again."""
_PAUSE_DAYS, _DEVICE_PAUSE_DAYS = 60, 366


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``new_device`` for devices whose first exam lies in the period, the store's own beginning apart."""
    months = context.exposures.device_months
    dated = context.exams["study_datetime"]
    if not len(months) or not len(context.exams) or np.isnat(dated).all():
        return []
    settled = _beginning(months, np.arange(len(months)), _PAUSE_DAYS) + np.timedelta64(SETTLING_DAYS, "D")
    here = {place for place, _ in context.exams.groups(("site", "equipment"))}
    begin = dated[~np.isnat(dated)].min().astype("datetime64[D]")
    findings = []
    for (site, equipment), rows in months.groups(("site", "equipment")):
        first = _beginning(months, rows, _DEVICE_PAUSE_DAYS)
        if (site, equipment) not in here or first <= settled or first < begin:
            continue
        findings.append(
            Finding(
                kind="new_device",
                severity="check",
                subject=f"First seen on {first}",
                message="Enter it in the equipment register, and have its acceptance and commissioning tests on file.",
                site=site,
                equipment=equipment,
                identity=(str(first),),
                evidence={"first_exam": str(first), "exams": int(months["exams"][rows].sum())},
            )
        )
    return findings


def _beginning(months: Columns, rows: NDArray[np.int64], pause_days: int) -> np.datetime64:
    """Day from which exams came regularly: stray ones before, few and with a pause after them, are left out."""
    first = months["first_exam"][rows].astype("datetime64[D]")
    last = months["last_exam"][rows].astype("datetime64[D]")
    order = np.argsort(first, kind="stable")
    first, last, exams = first[order], np.maximum.accumulate(last[order]), months["exams"][rows][order]
    paused = (first[1:] - last[:-1]).astype(int) > pause_days
    stray = np.cumsum(exams)[:-1] <= STRAY_SHARE * exams.sum()
    after = np.flatnonzero(paused & stray)
    beginning: np.datetime64 = first[after[-1] + 1 if after.size else 0]
    return beginning
