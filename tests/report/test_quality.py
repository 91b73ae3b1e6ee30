"""The image-quality section of the report: from the panel's data to charts and words, and absent without data."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dose_audit.report import render_run
from dose_audit.report.charts import quality, quality_dose
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.static import to_svg

HOSTILE = "CT <b>1</b>"


def _who(equipment: str, site: str, number: int) -> dict[str, Any]:
    return {
        "site": site, "equipment_id": number, "equipment": equipment, "definition": "water-uniform",
        "phantom": "Water", "conditions": "kvp_kv=120.0",
    }  # fmt: skip


def _days(count: int) -> list[str]:
    return [(datetime(2026, 1, 5, 8) + timedelta(days=14 * n)).isoformat(timespec="minutes") for n in range(count)]


def _dose(equipment: str, site: str, number: int, cut: float) -> dict[str, Any]:
    points = []
    for n, at in enumerate(_days(9)):
        dose = 10.0 * (cut if n > 5 else 1.0)
        points.append({"at": at, "dose": dose, "quality": 5.0 * (10.0 / dose) ** 0.5, "merit": 5.0})
    trade = {"verdict": "dose_down_images_worse", "text": "The lower dose was bought with worse images: dose −36 %."}
    return {
        **_who(equipment, site, number), "figure": "noise_at_reference_ctdi", "figure_title": "Noise at CTDIvol 10 mGy",
        "kind": "noise_at_dose", "unit": "HU", "better": "lower", "dose": "ctdi_vol_mgy", "source": "a paper",
        "measurement": "noise", "quality_unit": "HU", "first_dose": 10.0, "first_quality": 5.0, "points": points,
        "trade": trade if cut < 1 else None,
    }  # fmt: skip


def _mean(value: float, n: int) -> dict[str, Any]:
    return {"value": value, "low": value * 0.98 if n > 2 else None, "high": value * 1.02 if n > 2 else None, "n": n}


@pytest.fixture
def panel() -> dict[str, Any]:
    """Two devices: one with a dose cut, out of tolerance since; one overdue."""
    points = [
        {
            "at": at, "value": 5.0 if n < 6 else 6.25, "uncertainty": 0.05, "judgement": "pass",
            "state": "accepted" if n < 6 else "failed", "rule": "", "counted": n != 7, "phase_one": n < 6, "software": "V1",
        }
        for n, at in enumerate(_days(9))
    ]  # fmt: skip
    row = {
        **_who(HOSTILE, "North", 1), "measurement": "noise", "title": "Noise", "unit": "HU", "at": _days(9)[-1],
        "value": 6.25, "uncertainty": 0.05, "status": "ok", "reason": "", "baseline": 5.0, "judgement": "suspension",
        "tolerance": "out", "control": "out", "rule": "beyond_limits", "state": "failed", "words": "out of tolerance, changed",
        "tone": "act", "text": "Do not use the device.",
    }  # fmt: skip
    trend = {
        **_who(HOSTILE, "North", 1), "measurement": "noise", "title": "Noise", "unit": "HU", "state": "failed",
        "text": "Do not use the device.", "points": points,
        "baselines": [
            {"from": points[0]["at"], "value": 5.0, "lower": 4.8, "upper": 5.2, "set_by": "expert", "reason": "acceptance"}
        ],
        "tolerance": {"remedial": [4.5, 5.5], "suspension": [None, 6.25], "source": "", "edition": "", "status": "confirmed"},
        "marks": [{"at": points[6]["at"], "kind": "service", "text": "<i>tube</i>"}],
    }  # fmt: skip
    devices = [{**_who(HOSTILE, "North", 1), "mean": _mean(5.0, 9), "of_network": 1.0},
               {**_who("CT 2", "South", 2), "mean": _mean(5.1, 9), "of_network": 1.02}]  # fmt: skip
    merit = {
        **{key: value for key, value in _dose(HOSTILE, "North", 1, 1.0).items() if key in
           ("figure", "figure_title", "kind", "unit", "better", "dose", "source", "phantom", "definition", "measurement")},
        "devices": devices, "sites": [{"site": one["site"], "devices": 1, "mean": one["mean"]} for one in devices],
        "network": {**_mean(5.05, 2), "devices": 2},
    }  # fmt: skip
    due = {"site": None, "equipment_id": 2, "equipment": "CT 2", "definition": "water-uniform", "every_days": 7,
           "grace_days": 0, "last": None, "due": "2026-01-01", "state": "overdue", "days_late": 9}  # fmt: skip
    repeat = {"site": "North", "equipment": HOSTILE, "phantom": "Water", "day": "2026-04-13", "verdicts": ["remedial", "fit"],
              "until_pass": True, "text": "Repeated until it passed."}  # fmt: skip
    rows = [
        {**_who(one["equipment"], one["site"], n), "mean": one["mean"], "n": 9, "last": 5.0}
        for n, one in enumerate(devices)
    ]
    site = {
        "phantom": "Water",
        "definition": "water-uniform",
        "measurement": "noise",
        "title": "Noise",
        "unit": "HU",
        "rows": rows,
    }
    return {
        "as_of": "2026-06-30T23:30", "runs": {"analyses": 18, "devices": 2, "phantoms": 1}, "states": [row],
        "trends": [trend], "cross_site": [site], "merit": [merit],
        "dose_and_quality": [_dose(HOSTILE, "North", 1, 0.64), _dose("CT 2", "South", 2, 1.0)],
        "schedule": [due], "repeats": [repeat],
    }  # fmt: skip


@pytest.fixture
def run(run_dir: Path, panel: dict[str, Any]) -> FrozenRun:
    path = run_dir / "report.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, "image_quality": panel}), encoding="utf-8")
    return FrozenRun.load(run_dir)


def test_the_page_says_what_the_panel_says(run: FrozenRun) -> None:
    page = render_run(run.folder).html.read_text(encoding="utf-8")
    section = page[page.index('<section id="quality">') :]
    section = section[: section.index("</section>")]
    for words in (
        *("18 phantom runs on 2 devices", "1 scheduled measurement overdue", "Repeated until it passed."),
        *("The lower dose was bought with worse images", "out of tolerance, changed", "Do not use the device."),
    ):
        assert words in section
    assert HOSTILE not in section and "<i>tube</i>" not in section
    assert section.count("<svg") == section.count("<figure") == 6


def test_without_phantoms_there_is_no_section(run_dir: Path) -> None:
    page = render_run(run_dir).html.read_text(encoding="utf-8")
    assert '<section id="quality">' not in page


def test_dose_and_quality_stand_on_one_axis_in_percent(run: FrozenRun) -> None:
    figures = {figure.id: figure for figure in quality_dose.dose_and_quality_figures(run)}
    spec = figures["quality-dose-1"].spec
    points = [point for layer in spec["layer"] for point in layer.get("data", {}).get("values", []) if "line" in point]
    points = points or [point for point in spec["data"]["values"] if "line" in point]
    last = {point["line"]: point["percent"] for point in points if point["at"].removesuffix("Z") == _days(9)[-1]}
    assert last == pytest.approx({"CTDIvol": 64.0, "Noise": 125.0, "Noise at CTDIvol 10 mGy": 100.0})
    # One scale: nothing asks for an axis of its own.
    assert "resolve" not in spec


def test_along_the_dashed_line_dose_is_traded_for_noise(run: FrozenRun) -> None:
    [plane] = [
        figure for figure in quality_dose.dose_and_quality_figures(run) if figure.id.startswith("quality-balance")
    ]
    line = plane.spec["layer"][0]["data"]["values"]
    assert [one["quality"] ** 2 * one["dose"] for one in line] == pytest.approx([5.0**2 * 10.0] * 3)


def test_every_figure_can_be_drawn_and_has_its_table(run: FrozenRun) -> None:
    figures = [
        *quality_dose.dose_and_quality_figures(run),
        *quality.trend_figures(run),
        *quality.site_figures(run),
    ]
    assert len({figure.id for figure in figures}) == len(figures) == 6
    for figure in figures:
        assert to_svg(figure.spec, figure.id).lstrip().startswith("<svg")
        assert figure.rows and all(len(row) == len(figure.columns) for row in figure.rows)


def test_no_two_states_of_different_urgency_look_alike() -> None:
    looks = [
        look for state, look in quality.STATE_LOOKS.items() if state in ("failed", "steadily_out", "drifting", "steady")
    ]
    assert len({shape for shape, _ in looks}) == 4
    from dose_audit.quality.states import STATE_WORDS

    assert set(quality.STATE_LOOKS) == set(STATE_WORDS)


def test_no_two_entries_of_a_trends_legend_look_alike_and_each_state_has_one(run: FrozenRun) -> None:
    from dose_audit.quality.states import STATE_WORDS

    for figure in quality.trend_figures(run):
        [marks] = [layer for layer in figure.spec["layer"] if "shape" in layer["encoding"]]
        shapes, colours = (marks["encoding"][name]["scale"] for name in ("shape", "color"))
        looks = list(zip(shapes["range"], colours["range"], strict=True))
        assert len(set(looks)) == len(looks) == len(shapes["domain"])
        for point in marks["data"]["values"]:
            assert point["state"] in STATE_WORDS.values() and point["state"] in point["look"].split(" / ")
            assert point["look"] in shapes["domain"]
