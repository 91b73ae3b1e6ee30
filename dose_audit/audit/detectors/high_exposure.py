"""Single exams at or above a trigger or alert level: the levels are rows of ``data/high_exposure.csv``."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.figures import figure
from dose_audit.audit.findings import SEVERITIES, Finding
from dose_audit.audit.labels import quantity_label, unit_label
from dose_audit.audit.values import exam_ref

if TYPE_CHECKING:
    from dose_audit.audit.values import Values

__all__ = ["Exposure", "Trigger", "countable", "detect", "exposures_above", "triggers"]


_NO_PATIENT_DOSE = ("NOT_A_PATIENT", "NO_VALUE", "IMPLAUSIBLE_VALUE", "UNIT_SLIP")
"""Reasons for which a value says nothing of a patient's dose; all others only keep it out of a group."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One level: exams of `modality` with at least so much of `quantity`.

    `examination` is a slug, or the beginning of one with ``*``; empty holds for every exam, mapped or not.
    `population` is ``adult`` or empty.
    """

    modality: str
    examination: str
    population: str
    quantity: str
    unit: str
    at_least: float
    severity: str
    source: str
    confidence: str

    def fits(self, examination: str, band: str) -> bool:
        """Whether the level is meant for exams of this examination and band."""
        if self.population and band != self.population:
            return False
        return not self.examination or fnmatchcase(examination, self.examination)


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
        Trigger(**(r | {"at_least": float(r["at_least"])}))  # type: ignore[arg-type]
        for r in csv.DictReader(text.splitlines())
    )


def countable(values: Values) -> NDArray[np.bool_]:
    """Rows whose value is a patient's dose, compared or not."""
    return ~values.reason.isin(_NO_PATIENT_DOSE)


def exposures_above(context: AuditContext) -> list[Exposure]:
    """Return all values of patients' exams at or above a level, in the order of the exams.

    Of several levels for examinations that fit one value, the first in the table counts.
    """
    values, columns = context.values, context.values.columns
    usable = countable(values)
    found: dict[tuple[int, bool], Exposure] = {}
    of_kind: dict[tuple[str, str], NDArray[np.int64]] = {}
    for trigger in triggers():
        kind = (trigger.modality, trigger.quantity)
        if kind not in of_kind:
            of_kind[kind] = np.flatnonzero(
                usable & (columns["modality"] == trigger.modality) & (columns["quantity"] == trigger.quantity)
            )
        rows = of_kind[kind]
        for row in rows[columns["value"][rows] >= trigger.at_least].tolist():
            if trigger.fits(columns["examination"][row] or "", values.band[row]):
                exposure = Exposure(int(columns["exam_id"][row]), row, trigger)
                found.setdefault((row, bool(trigger.examination)), exposure)
    return sorted(found.values(), key=lambda e: (e.exam_id, e.trigger.quantity, -e.trigger.at_least))


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``high_exposure``, once an exam, with the gravest of its triggers."""
    by_exam: dict[int, list[Exposure]] = {}
    for exposure in context.once(exposures_above):
        by_exam.setdefault(exposure.exam_id, []).append(exposure)
    return [_finding(context, exam, exposures) for exam, exposures in by_exam.items()]


def _finding(context: AuditContext, exam: int, exposures: list[Exposure]) -> Finding:
    columns = context.values.columns
    exposures = sorted(exposures, key=lambda e: SEVERITIES.index(e.trigger.severity))
    row = exposures[0].row
    what = "; ".join(
        f"{quantity_label(e.trigger.quantity)} {figure(float(columns['value'][e.row]), 4)} {unit_label(e.trigger.unit)} "
        f"(level {e.trigger.at_least:g} {unit_label(e.trigger.unit)})"
        for e in exposures
    )
    name = columns["examination_name"][row] or columns["label"][row]
    return Finding(
        kind="high_exposure",
        severity=exposures[0].trigger.severity,
        subject=f"Exam {exam_ref(exam)}, {name}",
        message=f"At or above a level that is told for every exam: {what}.",
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
                    "confidence": e.trigger.confidence,
                }
                for e in exposures
            ],
        },
    )
