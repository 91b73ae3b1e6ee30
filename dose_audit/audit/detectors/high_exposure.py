"""Single exams at or above a trigger or alert level: the levels are rows of ``data/high_exposure.csv``."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import SEVERITIES, Finding, likely_causes
from dose_audit.audit.labels import quantity_label, unit_label
from dose_audit.audit.numbering import places_among
from dose_audit.audit.values import exam_ref
from dose_audit.figures import figure

if TYPE_CHECKING:
    from dose_audit.audit.values import Values

__all__ = ["Exposure", "Trigger", "countable", "detect", "exposures_above", "slipped_above", "triggers"]


_SLIP = "UNIT_SLIP"
_NO_PATIENT_DOSE = ("NOT_A_PATIENT", "NO_VALUE", "IMPLAUSIBLE_VALUE", _SLIP)
"""Reasons for which a value says nothing of a patient's dose; all others only keep it out of a group."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One level: exams of `modality` with at least so much of `quantity`.

    `examination` is a slug, or the beginning of one with ``*``; empty holds for every exam, mapped or not.
    `population` is that of which the source speaks, ``adult``, ``child`` or empty. That of adults keeps nobody out: levels
    of children are lower, so what is above an adult's is told of a child too, and of a patient of unknown age. A level with
    an age (from, and under so many years) or a `phantom` holds for exams of which this is known. `acquisition` says of which
    CT acquisitions it holds: ``moving``, ``standing`` (bolus tracking, perfusion) or empty, of all.
    """

    modality: str
    examination: str
    population: str
    age_from_years: float | None
    age_to_years: float | None
    phantom: str
    acquisition: str
    quantity: str
    unit: str
    at_least: float
    severity: str
    source: str
    confidence: str

    @property
    def kind(self) -> tuple[str, str, str, str, float | None, float | None]:
        """What of its own the exams and values are found by, whatever the examination."""
        return (self.modality, self.quantity, self.acquisition, self.phantom, self.age_from_years, self.age_to_years)

    @property
    def of_some(self) -> bool:
        """Whether it holds for patients of an age, or for a phantom alone."""
        return bool(self.phantom) or self.age_from_years is not None or self.age_to_years is not None

    def fits(self, examination: str) -> bool:
        """Whether the level holds for exams of this examination."""
        return not self.examination or fnmatchcase(examination, self.examination)


@dataclass(frozen=True, slots=True)
class Exposure:
    """One value at or above a trigger level; `row` is one of its exam's."""

    exam_id: int
    row: int
    value: float
    trigger: Trigger


@lru_cache(maxsize=1)
def triggers() -> tuple[Trigger, ...]:
    """Return the trigger levels of the table."""
    text = resources.files("dose_audit.audit").joinpath("data/high_exposure.csv").read_text(encoding="utf-8")
    return tuple(
        Trigger(
            **(
                row  # type: ignore[arg-type]
                | {name: float(row[name]) if row[name] else None for name in ("age_from_years", "age_to_years")}
                | {"at_least": float(row["at_least"])}
            )
        )
        for row in csv.DictReader(text.splitlines())
    )


def countable(values: Values) -> NDArray[np.bool_]:
    """Rows whose value is a patient's dose, compared or not."""
    return ~values.reason.isin(_NO_PATIENT_DOSE)


def exposures_above(context: AuditContext) -> list[Exposure]:
    """Return all values of patients' exams at or above a level, in the order of the exams, without those of a slipped unit."""
    return _above(context, slipped=False)


def slipped_above(context: AuditContext) -> list[Exposure]:
    """The same of values that are taken for those of a slipped unit: what they would be if the doses were real."""
    return _above(context, slipped=True)


def _above(context: AuditContext, *, slipped: bool) -> list[Exposure]:
    """Values at or above a level, in the order of the exams.

    Of several levels for examinations that fit one value, the first in the table counts.
    """
    found: dict[tuple[int, str, bool], Exposure] = {}
    of_kind: dict[tuple[Any, ...], tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
    columns = context.values.columns
    for trigger in triggers():
        if trigger.kind not in of_kind:
            of_kind[trigger.kind] = (
                _acquisitions(context, trigger, slipped)
                if trigger.quantity in _BY_ACQUISITION
                else _exams(context, trigger, slipped)
            )
        rows, values = of_kind[trigger.kind]
        for place in np.flatnonzero(values >= trigger.at_least).tolist():
            row = int(rows[place])
            if trigger.fits(columns["examination"][row] or ""):
                exposure = Exposure(int(columns["exam_id"][row]), row, float(values[place]), trigger)
                found.setdefault((row, trigger.quantity + trigger.acquisition, bool(trigger.examination)), exposure)
    return sorted(found.values(), key=lambda e: (e.exam_id, e.trigger.quantity, -e.trigger.at_least))


_BY_ACQUISITION = {
    "CTDIvol": {
        "moving": ("most_ctdi_vol_mgy",),
        "standing": ("most_standing_ctdi_vol_mgy",),
        "": ("most_ctdi_vol_mgy", "most_standing_ctdi_vol_mgy"),
    }
}
"""Quantities of which the highest of an exam's acquisitions is held against a level, and the columns of `read_exams` that
have it. What several add up to at one place is not known: the highest is the least that it can be."""


def _exams(context: AuditContext, trigger: Trigger, slipped: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows whose value may be held against a level, and the values."""
    columns = context.values.columns
    usable = context.values.reason == _SLIP if slipped else countable(context.values)
    rows = np.flatnonzero(
        usable & (columns["modality"] == trigger.modality) & (columns["quantity"] == trigger.quantity)
    )
    return rows, columns["value"][rows]


def _acquisitions(
    context: AuditContext, trigger: Trigger, slipped: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A row of each exam with an acquisition that may be held against a level, and its highest value."""
    exams, columns = context.exams, context.values.columns
    names = _BY_ACQUISITION[trigger.quantity][trigger.acquisition]
    least = min(other.at_least for other in triggers() if other.kind == trigger.kind)
    # Few exams are above: what else is asked of one is asked of these alone.
    above = np.flatnonzero(np.logical_or.reduce([np.asarray(exams[name], dtype=float) >= least for name in names]))
    above = above[(exams["modality"][above] == trigger.modality) & (exams["left_out"][above] != "NOT_A_PATIENT")]
    if trigger.of_some and above.size:
        above = above[_of_those(context, trigger)[above]]
    if not above.size:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    most = np.fmax.reduce([np.asarray(exams[name][above], dtype=float) for name in names])
    place = places_among(exams["exam_id"][above], columns["exam_id"])
    of_slip = np.zeros(above.size, dtype=np.bool_)  # of such an exam no dose is known
    of_slip[place[(context.values.reason == _SLIP) & (columns["quantity"] == trigger.quantity) & (place >= 0)]] = True
    most[of_slip != slipped] = np.nan
    rows = np.flatnonzero(place >= 0)
    # One row stands for its exam: the first that has an examination and a band, if any.
    rows = rows[np.lexsort((rows, context.values.band[rows] == "", place[rows]))]
    rows = rows[np.diff(place[rows], prepend=-1) != 0]
    return rows, most[place[rows]]


def _young(context: AuditContext) -> NDArray[np.int64]:
    """Rows of patients younger than some level's upper age: few of a hospital's."""
    oldest = max(trigger.age_to_years or 0.0 for trigger in triggers())
    return np.flatnonzero(np.asarray(context.values.columns["age_years"], dtype=float) < oldest)


def _of_those(context: AuditContext, trigger: Trigger) -> NDArray[np.bool_]:
    """Which exams are of a patient of the level's age, with the quantity on its phantom."""
    columns, exams = context.values.columns, context.exams
    rows = np.arange(len(columns)) if trigger.age_to_years is None else context.once(_young)
    rows = rows[columns["quantity"][rows] == trigger.quantity]
    age = np.asarray(columns["age_years"][rows], dtype=float)
    inside = np.ones(rows.size, dtype=np.bool_)
    if trigger.age_from_years is not None:
        inside &= age >= trigger.age_from_years
    if trigger.age_to_years is not None:
        inside &= age < trigger.age_to_years
    rows = rows[inside]
    if trigger.phantom:
        rows = rows[columns["phantom"][rows] == trigger.phantom]
    here = np.zeros(len(exams), dtype=np.bool_)
    place = places_among(exams["exam_id"], columns["exam_id"][rows])
    here[place[place >= 0]] = True
    return here


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``high_exposure``, once an exam, with the gravest of its triggers."""
    by_exam: dict[int, list[Exposure]] = {}
    for exposure in context.once(exposures_above):
        by_exam.setdefault(exposure.exam_id, []).append(exposure)
    return [_finding(context, exam, exposures) for exam, exposures in by_exam.items()]


def _whose(trigger: Trigger, band: str) -> str:
    """Of whom a level is, where that is not all, and where the patient is somebody else or nobody knows."""
    if trigger.age_to_years is not None:
        since = "" if trigger.age_from_years is None else f" from {trigger.age_from_years:g}"
        return f"{since} under {trigger.age_to_years:g} years"
    return f" of {trigger.population}s" if trigger.population and band != trigger.population else ""


_OF = {"": "", "moving": "", "standing": " without table movement"}


def _finding(context: AuditContext, exam: int, exposures: list[Exposure]) -> Finding:
    columns = context.values.columns
    exposures = sorted(exposures, key=lambda e: SEVERITIES.index(e.trigger.severity))
    row = exposures[0].row
    what = "; ".join(
        f"{quantity_label(e.trigger.quantity)} {figure(e.value, 4)} {unit_label(e.trigger.unit)}{_OF[e.trigger.acquisition]} "
        f"(level {e.trigger.at_least:g} {unit_label(e.trigger.unit)}{_whose(e.trigger, context.values.band[e.row])})"
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
        likely_causes=likely_causes("high_exposure_ct") if columns["modality"][row] == "CT" else (),
        evidence={
            "exam_ref": exam_ref(exam),
            "values": [
                {
                    "quantity": e.trigger.quantity,
                    "value": e.value,
                    "unit": e.trigger.unit,
                    "at_least": e.trigger.at_least,
                    "source": e.trigger.source,
                    "confidence": e.trigger.confidence,
                }
                for e in exposures
            ],
        },
    )
