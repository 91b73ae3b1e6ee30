"""A draft of the exam mapping for a person to approve: every unmapped name with its proposals, and the coverage so far."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dose_audit.audit.cohort import FACT_COLUMNS, fact_rows, value_rows
from dose_audit.audit.mapping import exam_facts
from dose_audit.drl import ExamFacts, MappingTable, coverage
from dose_audit.drl.mapping import AMBIGUOUS, MAPPED, UNMAPPED
from dose_audit.drl.mapping_rows import COLUMNS, MappingError, fold
from dose_audit.texts import named_role, no_formula

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dose_audit.audit.engine import Engine
    from dose_audit.drl import Coverage, Examination
    from dose_audit.drl.mapping import Resolution

__all__ = ["DRAFT_COLUMNS", "DraftRow", "draft_csv", "draft_mapping", "merge_draft"]

DRAFT_COLUMNS = (*COLUMNS, "exams", "proposal_1", "proposal_2", "proposal_3")
"""Columns of a draft: those of a mapping, how many exams a row would reach, and proposals in order."""
_PROPOSALS = 3
_STATUSES = (MAPPED, AMBIGUOUS, UNMAPPED)


@dataclass(frozen=True, slots=True)
class DraftRow:
    """One unmapped name.

    Attributes
    ----------
    site, modality : str
    column : str
        Column of the mapping that the name belongs in.
    name : str
    exams : int
    proposals : tuple of (str, float)
        Slugs with their scores, best first.
    """

    site: str
    modality: str
    column: str
    name: str
    exams: int
    proposals: tuple[tuple[str, float], ...]


def draft_mapping(
    engine: Engine, table: MappingTable, examinations: Mapping[str, Examination]
) -> tuple[list[DraftRow], list[Coverage]]:
    """List what no approved row reaches, most exams first, and how much of each site's exams is reached.

    Parameters
    ----------
    engine : Engine
    table : MappingTable
        Approved rows.
    examinations : mapping
        Slug → Examination.
    """
    from dose_audit.drl import suggest

    rows = value_rows(engine, None, None)
    rows = rows.filter(rows.left_out.isnull() | ~rows.left_out.isin(("NOT_A_PATIENT", "NO_VALUE")))
    facts = engine.to_arrow(fact_rows(rows).order_by("fact")).to_pylist()
    # Views of one exam have facts of their own: it counts once, and as mapped where one of them is.
    alike: dict[tuple[str, ...], list[tuple[dict[str, Any], Resolution]]] = {}
    for row in facts:
        but_views = tuple(row[name] for name in FACT_COLUMNS if name != "views")
        alike.setdefault(but_views, []).append((row, table.resolve(row["site"], exam_facts(row))))
    resolved = [min(members, key=lambda member: _STATUSES.index(member[1].status)) for members in alike.values()]
    covered = coverage((row["site"], answer) for row, answer in resolved for _ in range(row["alike_exams"]))
    counts: dict[tuple[str, str, str, str], int] = {}
    for row, answer in resolved:
        if answer.status != UNMAPPED:
            continue
        named = _name(exam_facts(row))
        if named is not None:
            key = (row["site"], row["modality"], *named)
            counts[key] = counts.get(key, 0) + row["alike_exams"]
    proposals: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for modality in sorted({key[1] for key in counts}):
        names = sorted({key[3] for key in counts if key[1] == modality})
        for found in suggest(names, examinations, modality=modality, mapping=table, limit=_PROPOSALS):
            proposals.setdefault((modality, found.name), []).append((found.examination, found.score))
    drafted = [
        DraftRow(site, modality, column, name, n, tuple(proposals.get((modality, name), ())))
        for (site, modality, column, name), n in counts.items()
    ]
    return sorted(drafted, key=lambda row: (-row.exams, row.site, row.modality, row.name)), covered


def draft_csv(rows: list[DraftRow]) -> str:
    """The draft as CSV: a person fills in ``examination`` where a proposal, or another one, is right."""
    out = io.StringIO()
    writer = csv.DictWriter(out, DRAFT_COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for row in rows:
        best = [f"{slug} ({score:.2f})" for slug, score in row.proposals]
        writer.writerow(
            {
                "site": no_formula(row.site),
                "level": "exact",
                "modality": row.modality,
                row.column: no_formula(row.name),
                "exams": row.exams,
                **{f"proposal_{number}": text for number, text in enumerate(best, start=1)},
            }
        )
    return out.getvalue()


def merge_draft(
    path: Path, current: MappingTable, examinations: Mapping[str, Examination], *, approved_by: str, on: date
) -> tuple[MappingTable, int]:
    """Add a draft's filled-in rows to the approved ones.

    Parameters
    ----------
    path : Path
        The draft; rows without an examination stay for another day.
    current : MappingTable
        The version in force. A row with the criteria of one of its rows takes that one's place.
    examinations : mapping
    approved_by : str
    on : date

    Returns
    -------
    MappingTable
        Not stored yet.
    int
        Rows that were filled in.

    Raises
    ------
    MappingError
        With every fault at once, each naming file and row.
    """
    approved_by = named_role(approved_by)
    chosen, numbers = _chosen(path)
    try:
        table = MappingTable.from_csv(chosen, examinations)
    except MappingError as error:
        raise MappingError(replace(p, file=str(path), row=_original(p.row, numbers)) for p in error.problems) from error
    approved = [replace(row, approved_by=approved_by, approved_on=on.isoformat(), line=0) for row in table.rows]
    taken = {_criteria(row) for row in approved}
    kept = [row for row in current.rows if _criteria(row) not in taken]
    merged = [replace(row, line=line) for line, row in enumerate([*kept, *approved], start=2)]
    return MappingTable(tuple(merged)), len(approved)


def _chosen(path: Path) -> tuple[str, list[int]]:
    """A draft's filled-in rows as a mapping, and the row of the file that each of them has."""
    from dose_audit.drl import Problem

    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text), strict=True)
        names = [name for name in reader.fieldnames or [] if name not in DRAFT_COLUMNS[len(COLUMNS) :]]
        out = io.StringIO()
        writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n", restval="")
        writer.writeheader()
        numbers = []
        for row in reader:
            if (row.get("examination") or "").strip():
                writer.writerow({name: row[name] or "" for name in names})
                numbers.append(reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MappingError([Problem("error", str(path), "", "READ", f"cannot be read: {error}")]) from error
    return out.getvalue(), numbers


def _original(row: str, numbers: list[int]) -> str:
    place = int(row or 0) - 2
    return str(numbers[place]) if 0 <= place < len(numbers) else row


def _criteria(row: object) -> tuple[str, ...]:
    return tuple(fold(getattr(row, column)) for column in COLUMNS[: COLUMNS.index("examination")])


def _name(facts: ExamFacts) -> tuple[str, str] | None:
    """Column and name by which an exam is best mapped: its acquisition protocol where it has but one, else the text."""
    if len(facts.acquisition_protocols) == 1:
        return "acquisition_protocol", facts.acquisition_protocols[0]
    for column in ("study_description", "requested_procedure"):
        if getattr(facts, column):
            return column, getattr(facts, column)
    return ("acquisition_protocol", facts.acquisition_protocols[0]) if facts.acquisition_protocols else None
