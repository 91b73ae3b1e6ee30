"""`dose-audit dosimetry skin` on a report made for the purpose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dose_audit.cli import app
from tests.dosimetry.skin_events import event, exam


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is read as an exam with one placed event and one absurd one."""
    made = exam(event(1), event(2, primary_angle_deg=400.0))
    monkeypatch.setattr("dose_audit.extract.read_exams", lambda paths, **_: iter([made]))
    monkeypatch.setattr("dose_audit.report.skin_page.offline_bundle", lambda: "")
    path = tmp_path / "report.dcm"
    path.write_bytes(b"")
    return path


def run(*words: str) -> str:
    outcome = CliRunner().invoke(app, ["dosimetry", "skin", *words])
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_json_tells_what_became_of_every_event(report: Path) -> None:
    (record,) = json.loads(run(str(report), "--json"))
    assert record["method"] == "map"
    assert record["peak_skin_dose"]["status"] == "suspect"
    assert [share["included"] for share in record["events"]] == [True, False]


def test_the_table_shows_value_and_doubt(report: Path) -> None:
    shown = run(str(report), "--events")
    assert "suspect" in shown
    assert "primary angle of 400° cannot be" in shown


@pytest.mark.parametrize(
    ("name", "start"), [("map.html", b"<!doctype html>"), ("map.png", b"\x89PNG"), ("map.svg", b"<svg")]
)
def test_maps_are_drawn(report: Path, tmp_path: Path, name: str, start: bytes) -> None:
    run(str(report), "--map", str(tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(start)


def test_other_pictures_are_refused(report: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["dosimetry", "skin", str(report), "--map", str(tmp_path / "map.gif")])
    assert outcome.exit_code == 2
    assert ".html, .png, .svg" in " ".join(outcome.stderr.replace("│", " ").split())
    assert not (tmp_path / "map.gif").exists()
