"""Judges every group of values against its reference level: one entry of the report's ``comparisons``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.findings import finding_key
from dose_audit.audit.quantities import quantity_named
from dose_audit.audit.references import flags_of
from dose_audit.audit.row_order import run_of
from dose_audit.audit.verdicts import GroupVerdict, judge_at_closes

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns
    from dose_audit.audit.kept import KeptResults
    from dose_audit.audit.schedule import Schedule
    from dose_audit.audit.values import Values
    from dose_audit.drl import Comparison, DrlRegistry, Match

__all__ = ["CI_LEVEL", "GROUP", "JudgedGroup", "comparison_records", "judge_groups"]

CI_LEVEL = 0.95
GROUP = ("site", "equipment", "examination", "quantity")


@dataclass(frozen=True)
class JudgedGroup:
    """One group with its comparison.

    Attributes
    ----------
    site, equipment, examination, examination_name, modality, band, quantity, unit : str
    rows : array of int
        The group's rows in the table of values, in time order.
    match : Match
    comparison : Comparison
    flags : tuple of str
        All flags of the group's matches.
    verdict : GroupVerdict
        What the closes of the run's schedule say; `comparison` looks at the run's whole period.
    raised_at_close : str or None
        Day of the close that an exceedance of this group dates from.
    days : str
        First and last day of the exams that `verdict` speaks of, where these are not all of its window: another edition
        answers for the others.
    """

    site: str
    equipment: str
    examination: str
    examination_name: str
    modality: str
    band: str
    quantity: str
    unit: str
    rows: NDArray[np.int64]
    match: Match
    comparison: Comparison
    flags: tuple[str, ...]
    verdict: GroupVerdict
    raised_at_close: str | None = None
    days: str = ""


def judge_groups(
    values: Values,
    schedule: Schedule,
    standing: Mapping[str, str] | None = None,
    kept: KeptResults | None = None,
) -> list[JudgedGroup]:
    """Compare each site × device × examination × band × quantity with its reference level.

    Parameters
    ----------
    values : Values
    schedule : Schedule
        When verdicts are given.
    standing : mapping, optional
        Keys of the exceedances that stand from earlier runs, each with the day of the close that raised it.
    kept : KeptResults, optional
        Has the verdicts of earlier runs: a close is judged once.

    Notes
    -----
    Where the edition in force changed within the period, a group is judged once for each edition, with the
    exams of that edition's time.
    """
    from dose_audit.drl import compare_figures
    from dose_audit.statistics import SortedGroups

    judged = []
    columns = values.columns
    groups = _group_rows(values)
    doses, answers = columns["value"], values.references.index
    spans = [run_of(rows) for rows in groups]
    every = np.concatenate([doses[span] for span in spans]) if spans else np.zeros(0)
    ascending = SortedGroups(every, [rows.size for rows in groups])
    matches_of = [[values.references.matches[i] for i in np.flatnonzero(np.bincount(answers[span]))] for span in spans]
    several = _places_of_several_editions(columns, groups, matches_of)
    levels = [matches[0].row.value if matches[0].row else None for matches in matches_of]
    figures, tests = ascending.figures(CI_LEVEL), ascending.sign_tests(levels)
    for rows, span, matches, told, test in zip(groups, spans, matches_of, figures, tests, strict=True):
        first = int(rows[0])
        quantity = quantity_named(columns["quantity"][first], columns["modality"][first])
        if quantity is None:
            raise AssertionError("a value row has a quantity of its modality")
        comparison = compare_figures(
            told,
            test,
            matches[0],
            modality=columns["modality"][first],
            quantity=_symbol(quantity.drl_name),
            level=CI_LEVEL,
        )
        place = (columns["site"][first], columns["equipment"][first])
        identity = (columns["examination"][first], values.band[first], quantity.name, comparison.set_id)
        last = schedule.last_day
        raised = (standing or {}).get(finding_key("drl_exceeded", *place, identity))
        stood_before = raised is not None and last is not None and raised < last.isoformat()
        verdict = judge_at_closes(
            doses[span],
            columns["study_date"][span],
            comparison.drl,
            schedule,
            minimum_n=comparison.minimum_n,
            level=CI_LEVEL,
            stood_before=stood_before,
            kept=kept,
        )
        judged.append(
            JudgedGroup(
                site=place[0],
                equipment=place[1],
                examination=columns["examination"][first],
                examination_name=columns["examination_name"][first],
                modality=columns["modality"][first],
                band=values.band[first],
                quantity=quantity.name,
                unit=quantity.unit,
                rows=rows,
                match=matches[0],
                comparison=comparison,
                flags=flags_of(matches),
                verdict=verdict,
                raised_at_close=raised if stood_before else (None if last is None else last.isoformat()),
                days=_days(columns["study_date"][span], verdict)
                if _place(columns, first, matches[0]) in several
                else "",
            )
        )
    return judged


def comparison_records(groups: list[JudgedGroup], registry: DrlRegistry) -> list[dict[str, Any]]:
    """The groups as entries of ``report.json``."""
    status = {(s.set_id, s.edition): s.status for s in registry.sets}
    return [_record(group, status) for group in groups]


def _record(group: JudgedGroup, status: dict[tuple[str, str], str]) -> dict[str, Any]:
    result = group.comparison
    drl = None
    if result.drl is not None:
        drl = {
            "set": result.set_id,
            "edition": result.edition,
            "row_id": result.row_id,
            "value": result.drl,
            "status": status[result.set_id, result.edition],
        }
    return {
        "site": group.site,
        "equipment": group.equipment,
        "examination": group.examination,
        "examination_name": group.examination_name,
        "modality": group.modality,
        "band": group.band,
        "quantity": group.quantity,
        "unit": group.unit,
        "n": result.n,
        "minimum_n": result.minimum_n,
        "median": result.median,
        "ci_low": result.ci_low,
        "ci_high": result.ci_high,
        "ci_level": CI_LEVEL,
        "p25": result.p25,
        "p75": result.p75,
        "drl": drl,
        "ratio": result.ratio,
        "verdict": str(result.verdict),
        "icrp_flag": result.icrp_flag,
        "evidence": str(result.evidence),
        "reason": result.reason,
        "flags": list(group.flags),
        "verdicts": group.verdict.record(),
    }


def _places_of_several_editions(
    columns: Columns, groups: Sequence[NDArray[np.int64]], matches_of: Sequence[Sequence[Match]]
) -> set[tuple[str, ...]]:
    """Places whose exams are parted because the edition in force changed within the period."""
    editions = defaultdict(set)
    for rows, matches in zip(groups, matches_of, strict=True):
        if matches[0].row is not None:
            editions[_place(columns, int(rows[0]), matches[0])].add(matches[0].row.edition)
    return {place for place, named in editions.items() if len(named) > 1}


def _place(columns: Columns, row: int, match: Match) -> tuple[str, ...]:
    return (*(columns[name][row] for name in GROUP), match.row.set_id if match.row else "")


def _days(days: NDArray[np.datetime64], verdict: GroupVerdict) -> str:
    window = verdict.window
    inside = days.astype("datetime64[D]")
    if window is not None:
        inside = inside[(inside >= np.datetime64(window.first, "D")) & (inside <= np.datetime64(window.last, "D"))]
    return f"{inside.min()} to {inside.max()}" if inside.size else ""


def _group_rows(values: Values) -> list[NDArray[np.int64]]:
    """Rows of each group: by place and examination, then band, then the reference row that answers."""
    references = values.references
    if not references.matches:
        return []
    names = [
        (band, f"{match.row.set_id}/{match.row.edition}/{match.row.row_id}" if match.row else match.status)
        for band, match in zip(references.bands, references.matches, strict=True)
    ]
    rank = {name: place for place, name in enumerate(sorted(set(names)))}
    answer = np.array([rank[name] for name in names], dtype=np.int64)[references.index]
    return [rows for _, rows in values.columns.groups(GROUP, values.compared, within=answer)]


def _symbol(drl_name: str) -> str:
    from dose_audit.drl import find_quantity

    return find_quantity(drl_name).symbol
