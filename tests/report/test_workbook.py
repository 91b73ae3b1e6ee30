"""The workbook, read back by another library: typed cells, and no text that a spreadsheet would run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dose_audit.report import ReportFiles, render_run


def test_sheets_and_typed_cells(run_dir: Path) -> None:
    book = openpyxl.load_workbook(render_run(run_dir).xlsx)
    assert book.sheetnames == [
        "Summary",
        "Findings",
        "DRL comparison",
        "Completeness",
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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.63424657, "0.634"),
        (819.4321, "819.4"),
        (-0.01262, "-0.0126"),
        (5.4, "5.40"),
        (40.0, "40"),
        (5.96e-8, "5.96E-08"),
    ],
)
def test_a_number_is_shown_with_three_figures_and_kept_with_all(run_dir: Path, value: float, shown: str) -> None:
    path = run_dir / "report.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["comparisons"][0]["ratio"] = value
    path.write_text(json.dumps(data), encoding="utf-8")
    sheet = openpyxl.load_workbook(render_run(run_dir, formats=("xlsx",)).xlsx)["DRL comparison"]
    cell = sheet.cell(2, [cell.value for cell in sheet[1]].index("Ratio") + 1)
    assert cell.value == value
    places = len(cell.number_format.partition("E")[0].partition(".")[2])
    assert f"{value:.{places}{'E' if 'E' in cell.number_format else 'f'}}" == shown


def test_no_sheet_is_empty_and_no_text_of_a_line_is_wider_than_its_column(rendered: ReportFiles) -> None:
    book = openpyxl.load_workbook(rendered.xlsx)
    for sheet in book:
        assert sheet.max_row > 1 and sheet.freeze_panes == "A2", sheet.title
        for number, column in enumerate(sheet.iter_cols(min_row=2), start=1):
            width = sheet.column_dimensions[openpyxl.utils.get_column_letter(number)].width
            texts = [cell.value for cell in column if isinstance(cell.value, str)]
            broken = all(cell.alignment.wrap_text for cell in column if isinstance(cell.value, str))
            assert broken or max(map(len, texts)) <= width + 1, (sheet.title, sheet.cell(1, number).value)


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


def test_a_sheet_shows_the_values_of_findings_where_all_are_too_many(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = json.loads((run_dir / "report.json").read_text())
    exams = pq.read_table(run_dir / "values.parquet")["exam_ref"].to_pylist()
    for finding in report["findings"]:
        finding["evidence"] = {}
    report["findings"][0]["evidence"] |= {"exam_ref": exams[5], "exam_refs": [exams[7], "E99999999"]}
    (run_dir / "report.json").write_text(json.dumps(report))
    monkeypatch.setattr("dose_audit.report.workbook.MOST_ROWS", 50)
    book = openpyxl.load_workbook(render_run(run_dir, formats=("xlsx",)).xlsx)
    rows = list(book["Values"].iter_rows(min_row=2, values_only=True))
    named = sum(exam in (exams[5], exams[7]) for exam in exams)
    assert {row[0] for row in rows[:named]} == {exams[5], exams[7]}
    assert [row[0] for row in rows[named:-1]] == [None]
    assert str(rows[-1][0]).startswith(f"{named} rows. Of 82 rows")
    told = dict(book["Summary"].iter_rows(min_row=2, max_col=2, values_only=True))
    assert "82 rows" in str(told["Sheet Values"])
    assert book["Methods"].max_row > 1
