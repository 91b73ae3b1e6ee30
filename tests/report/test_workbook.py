"""The workbook, read back by another library: typed cells, and no text that a spreadsheet would run."""

from __future__ import annotations

import math
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dose_audit.report import render_run


def test_sheets_and_typed_cells(run_dir: Path) -> None:
    book = openpyxl.load_workbook(render_run(run_dir).xlsx)
    assert book.sheetnames == [
        "Summary",
        "Findings",
        "DRL comparison",
        "Completeness",
        "Verdicts",
        "Unmapped",
        "Excluded",
        "Values",
        "Methods",
        "Dictionary",
    ]
    rows = list(book["DRL comparison"].iter_rows(values_only=True))
    head = rows[0]
    first = dict(zip(head, rows[1], strict=True))
    assert (first["Median"], first["Reference level"], first["n"], first["Verdict"]) == (130, 100, 41, "ABOVE")
    assert book["Values"].max_row == 1 + 82
    assert book["Values"].freeze_panes == "A2"


def test_text_never_becomes_a_formula(run_dir: Path) -> None:
    book = openpyxl.load_workbook(render_run(run_dir).xlsx)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n", "b", "d"}
    assert any(cell.value == "=cmd|x" and cell.data_type == "s" for cell in cells)


def test_a_dose_that_is_no_number_stands_as_text(run_dir: Path) -> None:
    path = run_dir / "values.parquet"
    table = pq.read_table(path)
    values = [math.inf, -math.inf, math.nan, *table["value"].to_pylist()[3:]]
    pq.write_table(table.set_column(table.schema.get_field_index("value"), "value", pa.array(values)), path)
    sheet = openpyxl.load_workbook(render_run(run_dir, formats=("xlsx",)).xlsx)["Values"]
    place = [cell.value for cell in sheet[1]].index("Value")
    assert [row[place].value for row in sheet.iter_rows(min_row=2, max_row=4)] == ["inf", "-inf", "nan"]


def test_a_workbook_that_cannot_be_written_is_the_systems_error(run_dir: Path, tmp_path: Path) -> None:
    """As for every other file, so that it is told in a line: on Windows it may be open in a spreadsheet."""
    (tmp_path / "out" / "report.xlsx").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        render_run(run_dir, tmp_path / "out", formats=("xlsx",))
