"""Charts of more exams than can be drawn: what is left out is told, and what matters is not left out."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dose_audit.report.charts.funnel import funnel_figures
from dose_audit.report.charts.monitors import monitor_figures
from dose_audit.report.charts.size_dose import size_dose_figures
from dose_audit.report.charts.trend import trend_figures
from dose_audit.report.frozen import FrozenRun
from tests.report.sections import cross_site, monitor

N = 1003
START = datetime(2026, 1, 1, 9)


def _data(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Rows of every layer, wherever the specification keeps them; times without the mark of their zone."""
    found = []
    if isinstance(spec.get("data"), dict):
        rows = spec["data"].get("values") or spec["datasets"][spec["data"]["name"]]
        found.append([row | {"time": row["time"].removesuffix("Z")} if "time" in row else row for row in rows])
    for part in [*spec.get("layer", ()), *spec.get("vconcat", ())]:
        found += _data(part | {"datasets": spec.get("datasets", {})})
    return found


def _edit(folder: Path, change: Any) -> FrozenRun:
    path = folder / "report.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    return FrozenRun.load(folder)


def test_a_trend_of_many_exams_says_how_many_it_draws_and_shades_where_all_lie(run_dir: Path) -> None:
    first = pq.read_table(run_dir / "values.parquet").to_pylist()[0]
    doses = 100.0 * np.exp(0.3 * np.random.default_rng(4).standard_normal(N))
    rows = [
        first | {"exam_ref": f"E{i:06d}", "value": float(doses[i]), "study_datetime": START + timedelta(hours=3 * i)}
        for i in range(N)
    ]
    # Left out: a slip of the whole period.
    aside = [row | {"exam_ref": f"X{row['exam_ref']}", "included": False, "reason": "UNIT_SLIP"} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows + aside), run_dir / "values.parquet")
    (figure,) = trend_figures(FrozenRun.load(run_dir))
    layers = _data(figure.spec)
    points = next(part for part in layers if set(part[0]) == {"time", "value"})
    assert len(points) <= 200 and f"{len(points)} of them are drawn" in figure.alt
    (january,) = {
        (row["p5"], row["p95"]) for part in layers if "p5" in part[0] for row in part if row["month"] == "2026-01"
    }
    inside = doses[[row["study_datetime"].month == 1 for row in rows]]
    assert january == pytest.approx(np.quantile(inside, [0.05, 0.95], method="median_unbiased"))
    rings = next(part for part in layers if "reason" in part[0])
    assert len(rings) <= 200 and rings[-1]["time"] > rows[-12]["study_datetime"].isoformat()


def test_a_running_chart_keeps_the_exam_that_signalled_and_draws_no_line_through_a_warm_up(run_dir: Path) -> None:
    n, signal = 401, 202
    times = [(START + timedelta(hours=3 * i)).isoformat() for i in range(n)]
    smooth = [None if i < 20 or signal < i < 232 else (2.5 if i == signal else 0.01 * (i % 7)) for i in range(n)]
    points = {
        "time": times,
        "log_residual": [0.1 * (-1) ** i for i in range(n)],
        "ewma": smooth,
        "ewma_limit": [None if value is None else 0.8 for value in smooth],
    }
    entry = monitor() | {"n": n, "points": monitor()["points"] | points}
    entry["signals"] = [{"time": times[signal], "change": times[180], "direction": 1}]
    (figure,) = monitor_figures(_edit(run_dir, lambda data: data.update(monitors=[entry])))
    line = next(part for part in _data(figure.spec) if "part" in part[0])
    assert {row["time"] for row in line if row["ewma"] == 2.5} == {times[signal]}
    before, after = (
        {row["part"] for row in line if row["time"] <= times[signal]},
        {row["part"] for row in line if row["time"] > times[signal]},
    )
    assert len(before) == len(after) == 1 and before != after
    assert f"{n} exams (" in figure.alt and "drawn)" in figure.alt


def test_dose_and_size_tells_how_many_of_the_exams_are_dots(whole_run_dir: Path) -> None:
    (figure, *_) = size_dose_figures(FrozenRun.load(whole_run_dir))
    assert "349 exams with a known size (3 drawn), 4 without" in figure.alt


def test_a_funnel_of_too_few_sites_for_a_verdict_gives_none(run_dir: Path) -> None:
    reason = "3 sites, 5 needed to know how much sites usually differ"

    def too_few(data: dict[str, Any]) -> None:
        entry = cross_site()
        for point in entry["funnel"]["points"]:
            point["beyond"] = None
        entry["funnel"]["reason"] = reason
        data["cross_site"] = [entry]

    (figure,) = funnel_figures(_edit(run_dir, too_few))
    assert f"no site is judged ({reason})" in figure.alt
    assert "beyond the limits" not in figure.alt
