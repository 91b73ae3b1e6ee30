"""Small numbers: none is shown, and none comes back by subtraction along a row or a column."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from dose_audit.report import share_run
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.share import HIDDEN, shared_json, shared_page, shared_tables
from dose_audit.report.suppression import SuppressedCounts, suppress_counts

count = st.one_of(st.integers(0, 8), st.integers(0, 300))
shape = st.tuples(st.integers(1, 6), st.integers(1, 6))
tables = shape.flatmap(
    lambda size: st.lists(st.lists(count, min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0])
)


def lines(shown: SuppressedCounts) -> list[list[int | None]]:
    """Each row and column with its total last, the totals' own row and column among them."""
    whole = [[*cells, total] for cells, total in zip(shown.cells, shown.row_totals, strict=True)]
    whole.append([*shown.column_totals, shown.total])
    return whole + [list(column) for column in zip(*whole, strict=True)]


@settings(deadline=None)
@given(tables, st.integers(2, 10))
def test_no_small_number_is_shown_or_had_by_subtraction(table: list[list[int]], smallest: int) -> None:
    shown = suppress_counts(table, smallest=smallest)
    for line in lines(shown):
        assert not [value for value in line if value is not None and 0 < value < smallest]
        hidden = [value for value in line if value is None]
        # One equation with one unknown is solved; with its total hidden a line has two unknowns or none.
        assert len(hidden) != 1
        if hidden and line[-1] is not None:
            together = line[-1] - sum(value for value in line[:-1] if value is not None)
            # The hidden parts' sum is known. It is no small number, and more than one for each of them.
            assert together >= smallest
            assert together > len(hidden)


def largest_possible(table: list[list[int]], shown: SuppressedCounts, row: int, column: int) -> float:
    """The largest value that a hidden cell can have, by linear programming over all that is shown.

    A reader knows the shape, the sums, and that no hidden number is zero where none is.
    """
    whole = np.zeros((len(table) + 1, len(table[0]) + 1))
    whole[:-1, :-1] = table
    whole[-1, :-1], whole[:-1, -1], whole[-1, -1] = whole[:-1, :-1].sum(0), whole[:-1, :-1].sum(1), whole.sum()
    height, width = whole.shape
    printed = [[*cells, total] for cells, total in zip(shown.cells, shown.row_totals, strict=True)]
    printed.append([*shown.column_totals, shown.total])
    bounds = [
        (value, value) if value is not None else (min(1, whole[r, c]), None)
        for r, line in enumerate(printed)
        for c, value in enumerate(line)
    ]
    place = np.arange(height * width).reshape(height, width)
    sums = np.zeros((height + width, height * width))
    for number, line in enumerate([*place, *place.T]):
        sums[number, line[:-1]], sums[number, line[-1]] = 1, -1
    wanted = np.zeros(height * width)
    wanted[place[row, column]] = -1
    found = linprog(wanted, A_eq=sums, b_eq=np.zeros(height + width), bounds=bounds)
    return float("inf") if found.status == 3 else -found.fun


@settings(max_examples=40, deadline=None)
@given(tables, st.integers(2, 10))
def test_all_that_is_shown_together_leaves_every_small_number_open(table: list[list[int]], smallest: int) -> None:
    shown = suppress_counts(table, smallest=smallest)
    for row, cells in enumerate(table):
        for column, value in enumerate(cells):
            if 0 < value < smallest:
                assert largest_possible(table, shown, row, column) >= smallest - 1e-6


def test_a_number_that_only_several_lines_together_tell_is_protected() -> None:
    """Two closed squares of hidden numbers and one cell between them: no line tells it, their sums do.

    Rows 1 and 2 hide 3 + 2 + 3 + 2 of columns 1 and 2, and the cell in column 3: what both rows lack less what both
    columns lack is that cell.
    """
    table = [[3, 2, 4, 50], [2, 3, 60, 70], [80, 90, 3, 2], [99, 70, 2, 3]]
    by_lines = [[None, None, None, 50], [None, None, 60, 70], [80, 90, None, None], [99, 70, None, None]]
    rows, columns = [sum(line) for line in table], [sum(line) for line in zip(*table, strict=True)]
    naive = SuppressedCounts(by_lines, rows, columns, sum(rows))
    assert largest_possible(table, naive, 0, 2) == pytest.approx(4)
    assert largest_possible(table, suppress_counts(table), 0, 2) >= 5


@settings(deadline=None)
@given(tables)
def test_what_is_shown_is_true(table: list[list[int]]) -> None:
    shown = suppress_counts(table)
    for cells, row, total in zip(shown.cells, table, shown.row_totals, strict=True):
        assert all(cell in (None, value) for cell, value in zip(cells, row, strict=True))
        assert total in (None, sum(row))
    assert shown.total in (None, sum(map(sum, table)))


@settings(deadline=None)
@given(tables)
def test_nothing_is_hidden_without_need(table: list[list[int]]) -> None:
    large = [[value + 5 if value else 0 for value in row] for row in table]
    shown = suppress_counts(large)
    assert shown.cells == large
    assert shown.total == sum(map(sum, large))


@pytest.mark.parametrize("table", [[], [[]], [[1, -1]]])
def test_what_is_no_table_of_counts_is_refused(table: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"a table of rows|negative"):
        suppress_counts(table)


def _share(run_dir: Path, out: Path, counts: dict[tuple[str, str], int]) -> Path:
    rows = [
        {
            "exam_ref": f"E{site}{examination}{index}",
            "site": site,
            "equipment": f"scanner of {site}",
            "examination": examination,
            "examination_name": examination.capitalize(),
            "band": "adult",
            "quantity": "DLP",
            "unit": "mGy.cm",
            "value": 100.0 + index,
            "study_datetime": datetime(2026, 1, 1),
            "weight_kg": None,
            "age_years": None,
            "thickness_mm": None,
            "software_versions": None,
            "included": True,
            "reason": None,
        }
        for (site, examination), n in counts.items()
        for index in range(n)
    ]
    pq.write_table(pa.Table.from_pylist(rows), run_dir / "values.parquet")
    return share_run(run_dir, out, formats=("html", "pdf", "json", "csv", "xlsx"))[0]


def test_a_shared_report_hides_small_groups_and_names_no_site(run_dir: Path, tmp_path: Path) -> None:
    counts = {("North", "head"): 30, ("=South", "head"): 3, ("North", "chest"): 25, ("=South", "chest"): 40}
    counts |= {("North", "pelvis"): 50, ("=South", "pelvis"): 60}
    folder = _share(run_dir, tmp_path / "out", counts)
    told = json.loads((folder / "shared.json").read_text(encoding="utf-8"))
    heads = next(row for row in told["exams"] if row["Examination"] == "Head")
    assert heads["All sites"] == 33
    assert [value for name, value in heads.items() if name.startswith("Site")] == ["hidden", "hidden"]
    # Three of the South's heads are hidden; the North's 30, and one more number a column, keep them so.
    assert {row["Examination"] for row in told["medians"]} == {"Pelvis"}
    # Values from 100 up by one: medians 124.5 of 50 and 129.5 of 60, to three figures.
    assert sorted(row["Median"] for row in told["medians"]) == [124.0, 130.0]
    with zipfile.ZipFile(folder / "shared.csv.zip") as archive:
        assert archive.namelist() == ["about.csv", "exams.csv", "medians.csv"]
        rows = list(csv.reader(io.StringIO(archive.read("exams.csv").decode(), newline="")))
    assert [row[-1] for row in rows] == ["All sites", "65", "33", "110", "208"]
    for path in folder.iterdir():
        data = path.read_bytes()
        assert b"North" not in data and b"scanner" not in data and b"20260701T" not in data, path.name
    page = (folder / "shared.html").read_text(encoding="utf-8")
    assert not re.search(r">\s*[1-4]\s*<", page)
    key = (folder.parent / "share_key.csv").read_text(encoding="utf-8")
    assert '"North"' in key and "Site A" in key


def test_an_empty_run_is_shared_as_empty(run_dir: Path, tmp_path: Path) -> None:
    path = run_dir / "values.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    folder, told = share_run(run_dir, tmp_path, formats=["html"])
    assert told == ""
    assert "None." in (folder / "shared.html").read_text(encoding="utf-8")


amounts = st.dictionaries(
    st.tuples(st.sampled_from(["North", "South", "East"]), st.sampled_from(["head", "chest", "hand"])),
    st.tuples(st.integers(1, 30), st.integers(1, 3)),
    min_size=1,
    max_size=9,
)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(amounts, st.integers(2, 10))
def test_nothing_of_few_exams_and_no_extreme_is_shared(
    run_dir: Path, amounts: dict[tuple[str, str], tuple[int, int]], smallest: int
) -> None:
    """Whatever a run holds, the shared tables have two sheets, no count below the limit and no lowest or highest dose.

    Some exams give several values (the projections of a radiograph), and each value is one that no other exam has.
    """
    rows, by_group = [], {}
    for place, ((site, examination), (n, each)) in enumerate(sorted(amounts.items())):
        doses = [round(100.0 * (place + 1) + 3.137 * index, 3) for index in range(n * each)]
        by_group[site, examination] = (n, doses)
        rows += [
            {"exam_ref": f"E{place:02d}{index // each:04d}", "site": site, "equipment": f"unit of {site}",
             "examination": examination, "examination_name": examination.capitalize(), "band": "adult",
             "quantity": "KAP", "unit": "Gy.cm2", "value": dose, "included": True}
            for index, dose in enumerate(doses)
        ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), run_dir / "values.parquet")
    run = FrozenRun.load(run_dir)
    names = {site: site for site in ("North", "South", "East")}
    tables = shared_tables(run, names, smallest=smallest)
    assert [table.name for table in tables] == ["Exams", "Medians"]
    counts = [cell for row in tables[0].rows for cell in row[1:]]
    assert not [cell for cell in counts if cell != HIDDEN and 0 < cell < smallest]
    for name, _, _, site, *figures in tables[1].rows:
        n, doses = by_group[site, name.split(",")[0].lower()]
        assert n >= smallest
        # Three figures at most, none of them the lowest or highest dose.
        shown = [figure for figure in figures if figure is not None]
        assert all(float(f"{figure:.3g}") == figure and doses[0] < figure < doses[-1] for figure in shown)
    told = shared_json(run, tables, smallest=smallest) + shared_page(run, tables, smallest=smallest)
    assert not re.search(r"E\d{6}|unit of|20260701T", told)
    # The further sections of a run are about devices and single exams: none of their entries is in what is shared.
    assert set(json.loads(shared_json(run, tables, smallest=smallest))) == {
        "since", "until", "smallest_shown", "exams", "medians"
    }  # fmt: skip
