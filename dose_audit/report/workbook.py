"""The report as a workbook: typed cells, frozen headers, no macros, and no text that a spreadsheet would run."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from dose_audit.report.frozen import FrozenRun
from dose_audit.report.words import KIND_WORDS, SEVERITY_WORDS, VERDICTS

__all__ = ["write_workbook"]

MOST_VALUE_ROWS = 1_000_000
"""A worksheet holds 1,048,576 rows; past this many the values stay in the run's Parquet file, and a row says so."""

_DEFINITIONS = [
    ("Median", "order-statistic median of the group's exams"),
    ("CI low, CI high", "distribution-free interval of the median at the level given"),
    ("P25, P75", "sample quantiles, definition 8 of Hyndman and Fan (1996)"),
    ("Ratio", "median divided by the reference level"),
    ("Verdict", "; ".join(f"{name}: {verdict.meaning}" for name, verdict in VERDICTS.items())),
    ("Exam", "opaque reference of the exam within this run; no identifier of a patient"),
]


def write_workbook(run: FrozenRun, path: Path) -> None:
    """Write the run's workbook; the same run gives the same bytes.

    Parameters
    ----------
    run : FrozenRun
    path : Path
    """
    import xlsxwriter

    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "constant_memory": True,
    }
    with xlsxwriter.Workbook(path, options) as book:
        created = datetime.fromisoformat(run.data["run"]["created_at"]).replace(tzinfo=None)
        book.set_properties({"title": "Dose audit", "subject": run.data["run"]["id"], "created": created})
        sheets = _Sheets(book)
        sheets.write("Summary", ["Item", "Value"], _summary(run.data), [34, 70])
        sheets.write(
            "Findings",
            ["Id", "Severity", "Kind", "Site", "Equipment", "Subject", "Message", "Look first at", "State", "Evidence"],
            [
                [
                    finding["id"],
                    SEVERITY_WORDS[finding["severity"]][0],
                    KIND_WORDS.get(finding["kind"], finding["kind"]),
                    finding["site"],
                    finding["equipment"],
                    finding["subject"],
                    finding["message"],
                    "; ".join(finding["likely_causes"]),
                    finding["state"],
                    json.dumps(finding["evidence"], sort_keys=True, ensure_ascii=False),
                ]
                for finding in run.data["findings"]
            ],
            [14, 9, 24, 16, 18, 44, 70, 40, 12, 40],
        )
        sheets.write("DRL comparison", *_comparisons(run.data))
        sheets.write("Completeness", ["Group", "Name", "Count"], _completeness(run.data), [20, 60, 12])
        sheets.write(
            "Unmapped",
            ["Site", "Equipment", "Modality", "Name as sent", "Exams", "Suggestions"],
            [
                [row["site"], row["equipment"], row["modality"], row["label"], row["n"], ", ".join(row["suggestions"])]
                for row in run.data["unmapped"]
            ],
            [18, 20, 10, 44, 8, 40],
        )
        sheets.write(
            "Excluded",
            ["Reason", "Count", "Detail"],
            [[row["reason"], row["n"], row.get("detail")] for row in run.data["excluded"]],
            [34, 10, 80],
        )
        sheets.write("Values", *_values(run))
        methods = [[method["title"], method["text"]] for method in run.data["methods"]]
        sheets.write("Methods", ["Title", "Text"], methods, [30, 110])
        sheets.write("Dictionary", ["Column", "Meaning"], [list(row) for row in _DEFINITIONS], [24, 110])


class _Sheets:
    """Writes one table a sheet, header frozen and filterable."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.header = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self.date = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})

    def write(self, name: str, columns: list[str], rows: list[list[Any]], widths: list[int]) -> None:
        sheet = self.book.add_worksheet(name)
        for index, width in enumerate(widths):
            sheet.set_column(index, index, width)
        sheet.freeze_panes(1, 0)
        for index, column in enumerate(columns):
            sheet.write_string(0, index, column, self.header)
        for number, row in enumerate(rows, start=1):
            for index, value in enumerate(row):
                self._cell(sheet, number, index, value)
        if rows:
            sheet.autofilter(0, 0, len(rows), len(columns) - 1)

    def _cell(self, sheet: Any, row: int, column: int, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, int | float):
            sheet.write_number(row, column, value)
        elif isinstance(value, datetime):
            sheet.write_datetime(row, column, value.replace(tzinfo=None), self.date)
        else:
            sheet.write_string(row, column, str(value)[:32_767])


def _summary(data: dict[str, Any]) -> list[list[Any]]:
    run = data["run"]
    rows: list[list[Any]] = [
        ["Run", run["id"]],
        ["Made", run["created_at"]],
        ["From", run["since"]],
        ["To", run["until"]],
        ["Sites", ", ".join(run["sites"])],
        ["Engine", run["versions"]["engine"]],
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


def _comparisons(data: dict[str, Any]) -> tuple[list[str], list[list[Any]], list[int]]:
    columns = [
        "Site", "Equipment", "Modality", "Examination", "Band", "Quantity", "Unit", "n", "Median", "CI low", "CI high",
        "CI level", "P25", "P75", "Reference level", "Set", "Edition", "Row", "Level status", "Ratio", "Verdict", "Evidence",
        "Reason",
    ]  # fmt: skip
    rows = []
    for row in data["comparisons"]:
        drl = row["drl"] or {}
        rows.append(
            [
                row["site"], row["equipment"], row["modality"], row["examination_name"], row["band"], row["quantity"],
                row["unit"], row["n"], row["median"], row["ci_low"], row["ci_high"], row.get("ci_level"), row["p25"],
                row["p75"], drl.get("value"), drl.get("set"), drl.get("edition"), drl.get("row_id"), drl.get("status"),
                row.get("ratio"), row["verdict"], row.get("evidence"), row.get("reason"),
            ]
        )  # fmt: skip
    return columns, rows, [16, 18, 9, 34, 16, 12, 10, 7, *[10] * 6, 14, 18, 12, 14, 12, 8, 20, 14, 50]


def _completeness(data: dict[str, Any]) -> list[list[Any]]:
    complete = data["completeness"]
    rows: list[list[Any]] = [["Objects", "received", complete["received"]]]
    rows += [["Objects", state, n] for state, n in complete["by_state"].items()]
    rows += [["Quarantine", item["reason"], item["n"]] for item in complete["quarantined"]]
    rows += [["Exams", name, complete[name]] for name in ("exams", "in_period", "compared")]
    rows += [["Device", f"{item['equipment']}, {item['site']}", item["exams"]] for item in complete["devices"]]
    rows += [["Remark", item["code"], item["n"]] for item in complete["data_quality"]]
    return rows


def _values(run: FrozenRun) -> tuple[list[str], list[list[Any]], list[int]]:
    columns = [
        "Exam", "Site", "Equipment", "Examination", "Band", "Quantity", "Unit", "Value", "Study time", "Weight (kg)",
        "Age (years)", "Thickness (mm)", "Software", "Included", "Reason",
    ]  # fmt: skip
    names = [
        "exam_ref", "site", "equipment", "examination_name", "band", "quantity", "unit", "value", "study_datetime",
        "weight_kg", "age_years", "thickness_mm", "software_versions", "included", "reason",
    ]  # fmt: skip
    rows = [[row.get(name) for name in names] for row in run.values[:MOST_VALUE_ROWS]]
    if len(run.values) > MOST_VALUE_ROWS:
        rows.append([f"{len(run.values) - MOST_VALUE_ROWS} more rows are in values.parquet beside this file"])
    return columns, rows, [14, 16, 18, 34, 16, 12, 10, 10, 17, 11, 11, 13, 16, 9, 30]
