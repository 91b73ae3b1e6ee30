"""Single exams at or above a trigger level, mapped or not: the levels are rows of
``data/high_exposure.csv``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.figures import figure
from dose_audit.audit.findings import SEVERITIES, Finding
from dose_audit.audit.labels import quantity_label, unit_label
from dose_audit.audit.values import exam_ref

if TYPE_CHECKING:
    from dose_audit.audit.values import Values

__all__ = ["Exposure", "Trigger", "detect", "exposures_above", "triggers"]


_NO_PATIENT_DOSE = ("NOT_A_PATIENT", "NO_VALUE", "IMPLAUSIBLE_VALUE", "UNIT_SLIP")
"""Reasons for which a value says nothing of a patient's dose; all others only keep it out of a group."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger level: exams of `modality` with at least so much of `quantity`."""

    modality: str
    quantity: str
    unit: str
    at_least: float
    severity: str
    source: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """One value at or above a trigger level."""

    exam_id: int
    row: int
    trigger: Trigger


@lru_cache(maxsize=1)
def triggers() -> tuple[Trigger, ...]:
    """Return the trigger levels of the table."""
    text = resources.files("dose_audit.audit").joinpath("data/high_exposure.csv").read_text(encoding="utf-8")
    return tuple(
        Trigger(r["modality"], r["quantity"], r["unit"], float(r["at_least"]), r["severity"], r["source"])
        for r in csv.DictReader(text.splitlines())
    )


def exposures_above(values: Values) -> list[Exposure]:
    """Return all values of patients' exams at or above a trigger level, in the order of the exams."""
    columns = values.columns
    countable = ~np.isin(values.reason.astype(str), _NO_PATIENT_DOSE)
    found: list[Exposure] = []
    for trigger in triggers():
        hit = (
            countable
            & (columns["modality"] == trigger.modality)
            & (columns["quantity"] == trigger.quantity)
            & (columns["value"] >= trigger.at_least)
        )
        found.extend(Exposure(int(columns["exam_id"][row]), int(row), trigger) for row in np.flatnonzero(hit))
    return sorted(found, key=lambda exposure: (exposure.exam_id, exposure.trigger.quantity))


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``high_exposure``, once an exam, with the gravest of its triggers."""
    by_exam: dict[int, list[Exposure]] = {}
    for exposure in exposures_above(context.values):
        by_exam.setdefault(exposure.exam_id, []).append(exposure)
    return [_finding(context, exam, exposures) for exam, exposures in by_exam.items()]


def _finding(context: AuditContext, exam: int, exposures: list[Exposure]) -> Finding:
    columns = context.values.columns
    exposures = sorted(exposures, key=lambda e: SEVERITIES.index(e.trigger.severity))
    row = exposures[0].row
    what = "; ".join(
        f"{quantity_label(e.trigger.quantity)} {figure(float(columns['value'][e.row]), 4)} {unit_label(e.trigger.unit)} "
        f"(level {e.trigger.at_least:g})"
        for e in exposures
    )
    name = columns["examination_name"][row] or columns["label"][row]
    return Finding(
        kind="high_exposure",
        severity=exposures[0].trigger.severity,
        subject=f"Exam {exam_ref(exam)}, {name}",
        message=f"At or above a trigger level for follow-up: {what}.",
        site=columns["site"][row],
        equipment=columns["equipment"][row],
        identity=(exam_ref(exam),),
        evidence={
            "exam_ref": exam_ref(exam),
            "values": [
                {
                    "quantity": e.trigger.quantity,
                    "value": float(columns["value"][e.row]),
                    "unit": e.trigger.unit,
                    "at_least": e.trigger.at_least,
                    "source": e.trigger.source,
                }
                for e in exposures
            ],
        },
    )
