"""Every table of a frozen run, by name: what the workbook holds as sheets and the CSV folder as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from dose_audit.report.charts.changes import change_events
from dose_audit.report.columns import SectionTable
from dose_audit.report.columns_registers import SECTION_TABLES
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.stamp import version_stamp
from dose_audit.report.words import KIND_WORDS, SEVERITY_WORDS, VERDICTS

__all__ = ["Table", "all_tables"]

_DEFINITIONS = [
    ["Median", "order-statistic median of the group's exams"],
    ["CI low, CI high", "distribution-free interval of the median at the level given"],
    ["P25, P75", "sample quantiles, definition 8 of Hyndman and Fan (1996)"],
    ["Ratio", "median divided by the reference level"],
    ["Verdict", "; ".join(f"{name}: {verdict.meaning}" for name, verdict in VERDICTS.items())],
    ["ICRP flag", "whether the group's median is above its reference level (ICRP 135)"],
    [
        "Evidence",
        "what the exact sign test shows of the true median: exceeds or below the level, consistent where neither is shown, "
        "insufficient where exams are too few",
    ],
    [
        "p above, p below",
        "probability of so many exams or more above, or below, the level, were the true median at it (exact one-sided sign "
        "test)",
    ],
    [
        "Level status, Status of a set",
        "verified: two people checked it here; transcribed: from primary text; unverified: second-hand or recalled; local: "
        "computed from the site's own exams",
    ],
    ["Unit", "as UCUM writes it: mGy.cm is mGy·cm, Gy.cm2 is Gy·cm²; 1 is a plain number"],
    ["Uncertainty (k = 1)", "standard uncertainty; twice as much covers about 95 %"],
    [
        "Included, Counted",
        "whether the value is among those that medians, or trends, are made of; the reason stands beside it",
    ],
    ["Exam", "opaque reference of the exam within this run; no identifier of a patient"],
]


class Rows(Protocol):
    """Rows that are counted, and gone through one by one."""

    def __len__(self) -> int:
        """How many there are."""

    def __iter__(self) -> Iterator[list[Any]]:
        """From the first to the last."""


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Parameters
    ----------
    name : str
        At most 31 characters, as a worksheet's name may have.
    columns : list of str
    rows : collection of list
        Text, numbers, truth values, moments of time or None, as many as there are columns. Some are read from a file as
        they are gone through.
    widths : list of int
        Characters that a column shows.
    fewer : callable, optional
        Gives the rows that a worksheet shows in place of all where these are too many, and `which` says what they are;
        by default it is the first ones.
    which : str
    """

    name: str
    columns: list[str]
    rows: Rows
    widths: list[int]
    fewer: Callable[[], list[list[Any]]] | None = None
    which: str = "the first ones"

    @property
    def file_name(self) -> str:
        """Name of the table as a file.

        Examples
        --------
        >>> Table("DRL comparison", [], [], []).file_name
        'drl_comparison.csv'
        """
        return f"{self.name.lower().replace(' ', '_').replace('-', '_')}.csv"


def all_tables(run: FrozenRun) -> list[Table]:
    """The run's tables in the order of the report; a part that the run does not have gives no table."""
    data = run.data
    return [
        Table("Summary", ["Item", "Value"], _summary(data, version_stamp(run)), [34, 70]),
        _findings(data),
        _comparisons(data),
        Table("Completeness", ["Group", "Name", "Count"], _completeness(data), [20, 60, 12]),
        *(section for table in SECTION_TABLES if (section := _section(table, _at(data, table.source) or [])).rows),
        *_changes(run),
        _unmapped(data),
        _excluded(data),
        _values(run),
        Table("Methods", ["Title", "Text"], [[m["title"], m["text"]] for m in data["methods"]], [30, 110]),
        Table("Dictionary", ["Column", "Meaning"], _DEFINITIONS, [32, 110]),
    ]


def _section(table: SectionTable, entries: list[dict[str, Any]]) -> Table:
    """Entries of ``report.json`` as rows: one an entry, or one an item of a list within it."""
    rows = []
    for entry in entries:
        items = [entry] if table.each is None else _at(entry, table.each) or []
        for item in items:
            rows.append(
                [_cell(_at(item, path[1:]) if path[0] == "." else _at(entry, path)) for path in table.columns.values()]
            )
    return Table(table.name, list(table.columns), rows, _widths(list(table.columns), rows))


def _widths(columns: list[str], rows: list[list[Any]]) -> list[int]:
    """Characters of each column: as its texts need, within bounds, and room for a name's longest word and the filter's sign.

    >>> _widths(["Site", "What it means", "Value"], [["North Site", "x" * 80, 5.2592256], ["S", "", None]])
    [12, 60, 9]
    """
    texts = [
        max((len(row[place]) for row in rows if isinstance(row[place], str)), default=0)
        for place in range(len(columns))
    ]
    names = [max(len(word) for word in name.split()) + 3 for name in columns]
    return [max(9, name, min(60, text + 2)) for name, text in zip(names, texts, strict=True)]


def _at(record: Any, path: str) -> Any:
    """Value at a dotted path; None where a step of it is None."""
    for step in path.split("."):
        record = None if record is None else record.get(step)
    return record


def _cell(value: Any) -> Any:
    """What fits a cell: lists and records as text that a person reads; `report.json` has them for machines.

    >>> _cell([{"target": 250.0, "n": 365}, {"target": 400.0, "n": None}])
    'target 250.0, n 365; target 400.0'
    """
    if isinstance(value, list):
        return "; ".join(str(_cell(item)) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_cell(item)}" for name, item in value.items() if item is not None)
    return value


def _summary(data: dict[str, Any], stamp: str) -> list[list[Any]]:
    run = data["run"]
    rows: list[list[Any]] = [
        ["Run", run["id"]],
        ["Made", run["created_at"]],
        ["From", run["since"]],
        ["To", run["until"]],
        ["Sites", ", ".join(run["sites"])],
        ["Engine", run["versions"]["engine"]],
        *([["Drawn by another version", stamp]] if stamp else []),
        ["Frozen inputs, SHA-256", run["frozen_input_sha256"]],
        ["Mapping version", run["mapping"]["version"]],
    ]
    rows += [
        [
            f"Reference levels: {item.get('title') or item['set']}",
            f"{item['edition']}, {item['status']}, {item['sha256']}",
        ]
        for item in run["drl_sets"]
    ]
    return rows


def _findings(data: dict[str, Any]) -> Table:
    columns = [
        "Id",
        "Severity",
        "Kind",
        "Site",
        "Equipment",
        "Subject",
        "Message",
        "Look first at",
        "For",
        "State",
        "Key",
        "Evidence",
    ]
    rows = [
        [
            finding["id"],
            SEVERITY_WORDS[finding["severity"]][0],
            KIND_WORDS.get(finding["kind"], finding["kind"]),
            finding["site"],
            finding["equipment"],
            finding["subject"],
            finding["message"],
            "; ".join(finding["likely_causes"]),
            finding.get("for_role"),
            finding["state"],
            finding["key"],
            json.dumps(finding["evidence"], sort_keys=True, ensure_ascii=False),
        ]
        for finding in data["findings"]
    ]
    return Table("Findings", columns, rows, _widths(columns, rows))


def _comparisons(data: dict[str, Any]) -> Table:
    columns = [
        "Site", "Equipment", "Modality", "Examination", "Band", "Quantity", "Unit", "n", "Median", "CI low", "CI high",
        "CI level", "P25", "P75", "Reference level", "Set", "Edition", "Row", "Level status", "Ratio", "Verdict",
        "ICRP flag", "Evidence", "Reason",
    ]  # fmt: skip
    rows = []
    for row in data["comparisons"]:
        drl = row["drl"] or {}
        rows.append(
            [
                row["site"], row["equipment"], row["modality"], row["examination_name"], row["band"], row["quantity"],
                row["unit"], row["n"], row["median"], row["ci_low"], row["ci_high"], row.get("ci_level"), row["p25"],
                row["p75"], drl.get("value"), drl.get("set"), drl.get("edition"), drl.get("row_id"), drl.get("status"),
                row.get("ratio"), row["verdict"], row.get("icrp_flag"), row.get("evidence"), row.get("reason"),
            ]
        )  # fmt: skip
    return Table("DRL comparison", columns, rows, _widths(columns, rows))


def _completeness(data: dict[str, Any]) -> list[list[Any]]:
    complete = data["completeness"]
    rows: list[list[Any]] = [["Objects", "received", complete["received"]]]
    rows += [["Objects", state, n] for state, n in complete["by_state"].items()]
    rows += [["Quarantine", item["reason"], item["n"]] for item in complete["quarantined"]]
    named = (("exams", "exams"), ("in_period", "in_period"), ("compared", "grouped"))
    rows += [["Exams", word, complete[name]] for name, word in named]
    rows += [["Device", f"{item['equipment']}, {item['site']}", item["exams"]] for item in complete["devices"]]
    rows += [["Remark", item["code"], item["n"]] for item in complete["data_quality"]]
    return rows


def _changes(run: FrozenRun) -> list[Table]:
    columns = ["Day", "Site", "Equipment", "What", "Detail", "Quantity", "Factor", "CI low", "CI high", "Found by"]
    names = ["day", "site", "equipment", "kind", "text", "quantity", "ratio", "low", "high", "found_by"]
    rows = [[event[name] for name in names] for event in change_events(run)]
    return [Table("Changes", columns, rows, _widths(columns, rows))] if rows else []


def _unmapped(data: dict[str, Any]) -> Table:
    rows = [
        [row["site"], row["equipment"], row["modality"], row["label"], row["n"], ", ".join(row["suggestions"])]
        for row in data["unmapped"]
    ]
    columns = ["Site", "Equipment", "Modality", "Name as sent", "Exams", "Suggestions"]
    return Table("Unmapped", columns, rows, _widths(columns, rows))


def _excluded(data: dict[str, Any]) -> Table:
    rows = [[row["reason"], row["n"], row.get("single_values", 0), row.get("detail")] for row in data["excluded"]]
    columns = ["Reason", "Exams", "Single values of other exams", "Detail"]
    return Table("Excluded", columns, rows, _widths(columns, rows))


def _values(run: FrozenRun) -> Table:
    columns = [
        "Exam", "Site", "Equipment", "Examination", "Band", "Quantity", "Unit", "Value", "Study time", "Weight (kg)",
        "Age (years)", "Thickness (mm)", "Water-equivalent diameter (mm)", "Software", "Included", "Reason",
    ]  # fmt: skip
    names = [
        "exam_ref", "site", "equipment", "examination_name", "band", "quantity", "unit", "value", "study_datetime",
        "weight_kg", "age_years", "thickness_mm", "wed_mm", "software_versions", "included", "reason",
    ]  # fmt: skip
    widths = [14, 16, 18, 34, 16, 12, 10, 10, 17, 11, 11, 13, 15, 16, 9, 30]
    named = "those of exams that a finding names"
    return Table("Values", columns, run.rows(names), widths, partial(run.rows_of_findings, names), named)
