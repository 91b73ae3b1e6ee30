"""Where charts put what they draw: rows of medians in parts that fit a page, names of sites beside the lines."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from math import exp, log
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dose_audit.report.charts.activity import activity_figures
from dose_audit.report.charts.funnel import funnel_figures
from dose_audit.report.charts.medians import MOST_ROWS, median_figures
from dose_audit.report.frozen import FrozenRun


def _with_examinations(run_dir: Path, count: int) -> FrozenRun:
    path = run_dir / "report.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["comparisons"] = [
        row | {"examination": f"ct-{number}", "examination_name": f"Examination {number:02d}"}
        for number in range(count)
        for row in data["comparisons"]
    ]
    path.write_text(json.dumps(data), encoding="utf-8")
    return FrozenRun.load(run_dir)


def test_medians_of_many_examinations_stand_in_parts_with_one_axis_each_group_once(run_dir: Path) -> None:
    figures = median_figures(_with_examinations(run_dir, 30))
    drawn, ends = [], set()
    for figure in figures:
        *_, heads, names = figure.spec["layer"]
        lines = [row["line"] for layer in (heads, names) for row in layer["data"]["values"]]
        assert sorted(lines) == names["encoding"]["y"]["scale"]["domain"] == list(range(len(lines)))
        assert len(lines) <= MOST_ROWS
        drawn += [(row["examination"], row["equipment"]) for row in names["data"]["values"]]
        ends |= {tuple(layer["encoding"]["x"]["scale"]["domain"]) for layer in figure.spec["layer"][1:3]}
        # Each device below its own examination.
        heading = {row["line"]: row["name"] for row in heads["data"]["values"]}
        for row in names["data"]["values"]:
            assert heading[max(line for line in heading if line < row["line"])] == row["examination"]
    assert len(figures) > 1 and len(ends) == 1
    assert sorted(drawn) == sorted(
        (f"Examination {n:02d}", device) for n in range(30) for device in ("CT 2", "CT <b>1</b>")
    )


@pytest.mark.parametrize(("days", "unit", "rate"), [(41, "week", 7.0), (900, "month", None), (4000, "year", None)])
def test_part_weeks_of_a_steady_device_look_like_the_others(run_dir: Path, days: int, unit: str, rate: float) -> None:
    row = pq.read_table(run_dir / "values.parquet").to_pylist()[0]
    begin = datetime(2026, 1, 15, 9)  # a Thursday
    rows = [row | {"exam_ref": f"E{n}", "study_datetime": begin + timedelta(days=n)} for n in range(days)]
    pq.write_table(pa.Table.from_pylist(rows), run_dir / "values.parquet")
    (figure,) = activity_figures(FrozenRun.load(run_dir))
    cells = figure.spec["data"]["values"]
    # One exam a day: as many exams as days, wherever a cell begins and ends, and together all of them.
    for cell in cells:
        first, end = (datetime.fromisoformat(cell[name].rstrip("Z")) for name in ("from", "to"))
        assert (end - first).days == cell["exams"]
        assert cell["rate"] == (rate or pytest.approx({"month": 30, "year": 365}[unit], abs=2))
    assert sum(cell["exams"] for cell in cells) == days
    assert f"A {unit} of which only a part" in figure.alt
    assert figure.columns[1] == {"week": "12 Jan 2026", "month": "Jan 2026", "year": "2026"}[unit]


@pytest.mark.parametrize("away", [-0.04, 0.0, 0.04])
def test_a_sites_name_lies_on_no_line_where_there_is_room_beside_it(away: float, whole_run_dir: Path) -> None:
    data = json.loads((whole_run_dir / "report.json").read_text(encoding="utf-8"))
    entry = data["cross_site"][0]
    counts = [20, 50, 100]
    limits = [{"level": 0.95, "n": counts, "low": [80.0] * 3, "high": [125.0] * 3}]
    # A point near the upper line, whose name would lie on it.
    point = entry["funnel"]["points"][0] | {"site": "North", "n": 50, "median": 125.0 * exp(away), "beyond": None}
    entry["funnel"] |= {"limits": limits, "points": [point], "target": 100.0}
    data["cross_site"] = [entry]
    (whole_run_dir / "report.json").write_text(json.dumps(data), encoding="utf-8")
    (figure,) = funnel_figures(FrozenRun.load(whole_run_dir))
    (name,) = _names(figure.spec)
    low, high = name["encoding"]["y"]["scale"]["domain"]
    pixels = {value: figure.spec["height"] * log(high / value) / log(high / low) for value in (80.0, 100.0, 125.0)}
    middle = figure.spec["height"] * log(high / point["median"]) / log(high / low) + name["mark"]["dy"]
    assert all(abs(middle - line) > 5 for line in pixels.values())


def _names(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Layers that write a site's name, without the ground behind it."""
    return [layer for layer in spec["layer"] if layer["mark"]["type"] == "text" and "stroke" not in layer["mark"]]
