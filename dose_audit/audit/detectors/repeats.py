"""Localisers and views exposed again: as a device's habit, and exams with so many that each is told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from dose_audit.audit.columns import Columns
from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.limits import limit
from dose_audit.audit.values import exam_ref
from dose_audit.audit.verdicts import ALPHA_A_YEAR

__all__ = ["detect"]


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``repeated_localisers`` and ``repeated_exposures``, habits judged at the schedule's closes."""
    scans, shots = context.exposures.localisers, context.exposures.projections
    localisers = np.asarray(scans["localisers"], dtype=float)
    again = np.asarray(shots["exposures"], dtype=float) > np.asarray(shots["distinct"], dtype=float)
    return [
        *_single_exams(scans, localisers),
        *_habits(
            context,
            scans,
            localisers > limit("localisers_usual"),
            "repeated_localisers",
            f"more than {limit('localisers_usual'):g} localisers",
            limit("localisers_share"),
        ),
        *_habits(context, shots, again, "repeated_exposures", "a view exposed more than once", limit("repeats_share")),
    ]


def _single_exams(scans: Columns, localisers: NDArray[np.float64]) -> list[Finding]:
    found = []
    for row in np.flatnonzero(localisers >= limit("localisers_exam")).tolist():
        ref = exam_ref(int(scans["exam_id"][row]))
        found.append(
            Finding(
                kind="repeated_localisers",
                severity="note",
                subject=f"Exam {ref}: {localisers[row]:.0f} localisers",
                message=f"{localisers[row]:.0f} localisers in one examination.",
                site=scans["site"][row],
                equipment=scans["equipment"][row],
                identity=(ref,),
                evidence={"exam_ref": ref, "localisers": int(localisers[row])},
            )
        )
    return found


def _habits(
    context: AuditContext, exams: Columns, again: NDArray[np.bool_], kind: str, what: str, ordinary: float
) -> list[Finding]:
    last = context.schedule.last_day
    if last is None:
        return []
    alpha = ALPHA_A_YEAR / context.schedule.periods_per_year
    closed = exams["study_datetime"].astype("datetime64[D]") <= np.datetime64(last, "D")
    findings = []
    for (site, equipment), rows in exams.groups(("site", "equipment"), closed):
        n, k = int(rows.size), int(np.count_nonzero(again[rows]))
        if n < limit("habit_minimum_n") or k == 0 or float(bdtrc(k - 1, n, ordinary)) > alpha:
            continue
        findings.append(
            Finding(
                kind=kind,
                severity="check",
                subject=f"{what[0].upper()}{what[1:]} in {k / n:.0%} of exams",
                message=f"{k} of {n} exams have {what}, clearly more than {ordinary:.0%}.",
                site=site,
                equipment=equipment,
                evidence={"n": n, "repeated": k, "share": k / n, "ordinary": ordinary},
            )
        )
    return findings
