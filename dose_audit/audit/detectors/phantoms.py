"""Exposures of no patient, and doses on a dosimetry phantom that cannot be compared or added."""

from __future__ import annotations

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.values import exam_ref
from dose_audit.figures import figure
from dose_audit.texts import counted

__all__ = ["detect"]

_SHOWN = 10
_KEPT = 100


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``not_a_patient`` and ``phantom_mismatch``."""
    return [*_not_patients(context), *_mixed(context), *_other_phantom(context)]


def _not_patients(context: AuditContext) -> list[Finding]:
    exams = context.exams
    findings = []
    for (site, equipment), rows in exams.groups(("site", "equipment"), exams["left_out"] == "NOT_A_PATIENT"):
        refs = [exam_ref(int(number)) for number in exams["exam_id"][rows]]
        listed = ", ".join(refs[:_SHOWN]) + (" …" if len(refs) > _SHOWN else "")
        findings.append(
            Finding(
                kind="not_a_patient",
                severity="note",
                subject=f"Exposures of no patient: {len(refs)}",
                message=(
                    f"Recognised as quality assurance, service or test, and left out of patient statistics: {listed}."
                ),
                site=site,
                equipment=equipment,
                evidence={"n": len(refs), "exam_refs": refs[:_KEPT]},
            )
        )
    return findings


def _mixed(context: AuditContext) -> list[Finding]:
    """Head and body phantom in one study: note what each part was, since nothing else in the report does."""
    exams, columns = context.exams, context.values.columns
    refused = np.unique(columns["exam_id"][context.values.reason == "MIXED_PHANTOMS"])
    findings = []
    for row in np.flatnonzero(np.isin(exams["exam_id"], refused)).tolist():
        ref = exam_ref(int(exams["exam_id"][row]))
        head, body = (float(exams[f"ct_dlp_{part}_mgy_cm"][row]) for part in ("head_16cm", "body_32cm"))
        known = bool(np.isfinite([head, body]).all())
        doses = (
            f" DLP is {figure(head, 4)} mGy·cm on the 16 cm phantom and {figure(body, 4)} mGy·cm on the 32 cm one."
            if known
            else ""
        )
        findings.append(
            Finding(
                kind="phantom_mismatch",
                severity="note",
                subject=f"Exam {ref}: head and body phantom in one study",
                message=(
                    f"CTDIvol was reported on both dosimetry phantoms.{doses} The two are never added, and "
                    "the exam is compared with no reference level."
                ),
                site=exams["site"][row],
                equipment=exams["equipment"][row],
                identity=(ref,),
                evidence={
                    "exam_ref": ref,
                    "dlp_head_16cm_mgy_cm": head if known else None,
                    "dlp_body_32cm_mgy_cm": body if known else None,
                },
            )
        )
    return findings


def _other_phantom(context: AuditContext) -> list[Finding]:
    """Exams reported on another phantom than their level's: a setting or a mapping is wrong."""
    columns, references = context.values.columns, context.values.references
    findings = []
    mismatch = context.values.reason == "PHANTOM_MISMATCH"
    for (site, equipment, examination), rows in columns.groups(("site", "equipment", "examination"), mismatch):
        match = references.matches[references.index[rows[0]]]
        n = int(np.unique(columns["exam_id"][rows]).size)
        findings.append(
            Finding(
                kind="phantom_mismatch",
                severity="check",
                subject=f"{columns['examination_name'][rows[0]]}: other dosimetry phantom",
                message=f"{counted(n, 'exam')} left out: {match.reason}.",
                site=site,
                equipment=equipment,
                identity=(examination,),
                evidence={"examination": examination, "n": n, "reason": match.reason},
            )
        )
    return findings
