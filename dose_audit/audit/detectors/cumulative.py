"""Patients whose interventional doses over some weeks add up to a trigger level that no single exam reached."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.columns import Columns
from dose_audit.audit.context import AuditContext
from dose_audit.audit.detectors.high_exposure import Trigger, countable, triggers
from dose_audit.audit.findings import Finding
from dose_audit.audit.labels import quantity_label, unit_label
from dose_audit.audit.limits import limit
from dose_audit.audit.persons import Visit, persons
from dose_audit.audit.values import exam_ref
from dose_audit.figures import figure

__all__ = ["detect"]

_ADDED = ("dose_rp", "KAP")


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``cumulative_exposure``: each time that a patient's sum reaches the level, named by the exam that reached it.

    Notes
    -----
    Exams of one person (`persons.persons`) within the weeks of ``data/limits.csv`` are added, whatever the site. Further
    exams while the sum stays at the level are no new finding; once it has been below, a second course is. The pseudonym
    itself appears nowhere.
    """
    columns = context.values.columns
    usable = countable(context.values)
    reach = np.timedelta64(int(limit("cumulative_weeks") * 7), "D")
    findings: list[Finding] = []
    for quantity in _ADDED:
        levels = [t for t in triggers() if t.quantity == quantity and not t.examination]
        if not levels:
            continue
        modalities = [t.modality for t in levels]
        mask = usable & (columns["quantity"] == quantity)
        mask &= np.logical_or.reduce([columns["modality"] == modality for modality in modalities])
        rows = np.flatnonzero(mask & ~np.isnat(columns["study_datetime"]))
        for pseudonym, members in _patients(context, rows):
            members = members[np.argsort(columns["study_datetime"][members], kind="stable")]
            findings.extend(_findings(context, members, levels[0], reach, pseudonym))
    return findings


def _patients(context: AuditContext, rows: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Patients with several of some rows, in the order of their pseudonyms, each with those rows."""
    import pyarrow as pa

    known, wanted = context.exposures.patients, context.values.columns["exam_id"][rows]
    if rows.size == 0 or len(known) == 0:
        return
    ids = known["exam_id"]  # ascending
    place = np.minimum(np.searchsorted(ids, wanted), ids.size - 1)
    here = ids[place] == wanted
    patients = Columns(known.table.take(pa.array(place[here])))
    for (pseudonym,), members in patients.groups(("pseudonym",)):
        if pseudonym is None or members.size < 2:
            continue
        own = rows[here][members]
        for person in persons(_visits(context, own, patients, members)):
            if len(person) > 1:
                yield str(pseudonym), own[person]


def _visits(
    context: AuditContext, rows: NDArray[np.int64], patients: Columns, members: NDArray[np.int64]
) -> list[Visit]:
    columns = context.values.columns
    days = (columns["study_datetime"][rows] - np.datetime64(0, "D")) / np.timedelta64(1, "D")
    ages = [None if np.isnan(age) else float(age) for age in patients["age_years"][members]]
    told = zip(columns["site"][rows], days, patients["sex"][members], ages, strict=True)
    return [Visit(str(site), float(day), sex, age) for site, day, sex, age in told]


def _findings(
    context: AuditContext, rows: NDArray[np.int64], trigger: Trigger, reach: np.timedelta64, pseudonym: str
) -> Iterator[Finding]:
    columns = context.values.columns
    times, doses = columns["study_datetime"][rows], columns["value"][rows]
    reached = False
    for last in range(rows.size):
        within = (times <= times[last]) & (times > times[last] - reach)
        within[last + 1 :] = False
        total = float(doses[within].sum())
        # An exam that reaches the level alone is told as such, and what comes on top of it with it.
        told = total >= trigger.at_least and float(doses[within].max()) < trigger.at_least
        if told and not reached:
            yield _finding(context, rows[within], total, trigger, pseudonym)
        reached = told or (reached and total >= trigger.at_least)


def _finding(context: AuditContext, rows: NDArray[np.int64], total: float, trigger: Trigger, pseudonym: str) -> Finding:
    columns = context.values.columns
    refs = [exam_ref(int(i)) for i in columns["exam_id"][rows]]
    row = rows[-1]
    sites = sorted({str(site) for site in columns["site"][rows]})
    where = (
        f" They were done at {' and '.join(sites)}: Patient ID, sex and age agree, which makes one person likely and does "
        "not prove it."
        if len(sites) > 1
        else ""
    )
    what, unit = quantity_label(trigger.quantity), unit_label(trigger.unit)
    return Finding(
        kind="cumulative_exposure",
        severity=trigger.severity,
        subject=f"{len(refs)} exams of one patient: {what} {figure(total, 4)} {unit}",
        message=(
            f"{what} of exams {', '.join(refs)} within {limit('cumulative_weeks'):g} weeks adds up to {figure(total, 4)} "
            f"{unit}, at or above {trigger.at_least:g}, which none of them reached alone. Doses of different beam "
            f"directions do not fall on one patch of skin: judge the sum with the projections.{where}"
        ),
        site=columns["site"][row],
        equipment=columns["equipment"][row],
        # Hashed with the rest into the key; the exam that reached the level names this sum.
        identity=(trigger.quantity, pseudonym, exam_ref(int(columns["exam_id"][row]))),
        evidence={
            "quantity": trigger.quantity,
            "unit": trigger.unit,
            "total": total,
            "at_least": trigger.at_least,
            "weeks": limit("cumulative_weeks"),
            "exam_refs": refs,
            "sites": sites,
            "source": trigger.source,
        },
    )
