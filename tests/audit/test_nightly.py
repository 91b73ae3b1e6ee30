"""A night with a store: the frozen folder, findings told once, acknowledged ones silent, the same again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dose_audit.audit import AuditOutcome, run_audit
from dose_audit.audit.mapping import approve_mapping
from dose_audit.audit.nightly import default_since
from dose_audit.audit.runs import find_run, json_ready, mark_unfinished, unfinished_runs
from dose_audit.audit.seal import SEAL
from dose_audit.audit.sections import SECTIONS
from dose_audit.cli import app
from dose_audit.config import Settings
from dose_audit.drl import ExamMapping, MappingTable

from .stored import StoredExams

START = datetime(2026, 1, 1, 9, 0)
NIGHT = datetime(2026, 7, 1, 2, 0)  # the second quarter has closed

Nightly = Callable[..., tuple[AuditOutcome, dict[str, Any]]]


@pytest.fixture
def nightly(stored: StoredExams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any) -> Nightly:
    """Audits `stored` with a store of its own for mapping, runs and findings."""
    settings = Settings(home=tmp_path / "home")
    rows = (ExamMapping(acquisition_protocol="Chest", examination="ct-chest-lung-cancer", line=2),)
    monkeypatch.setattr("dose_audit.store.parquet.refresh_parquet", lambda _: stored.write(tmp_path / "pq"))

    def run(now: datetime = NIGHT, **more: Any) -> tuple[AuditOutcome, dict[str, Any]]:
        from dose_audit.store.settings import prepare

        prepare(settings)
        approve_mapping(MappingTable(rows), approved_by="Tests")
        outcome = run_audit(settings, now=now, **more)
        return outcome, json.loads((outcome.run_dir / "report.json").read_text(encoding="utf-8"))

    with django_db_blocker.unblock():
        yield run


def _too_high(stored: StoredExams, n: int = 30) -> None:
    for i in range(n):
        stored.add_ct(START + timedelta(days=i * 5), 400.0 + i, ctdi=7.0, weight_kg=70.0)


def test_the_report_keeps_its_contract(stored, nightly):
    _too_high(stored)
    outcome, report = nightly()
    assert set(report) == {
        "run", "completeness", "comparisons", "findings", "unmapped", "excluded", "methods", *SECTIONS,
        "local_levels", "significant_exposures",
    }  # fmt: skip
    assert {
        "id", "created_at", "since", "until", "versions", "drl_sets", "mapping", "frozen_input_sha256", "sites",
    } <= set(report["run"])  # fmt: skip
    assert report["run"]["id"] == outcome.run_id == outcome.run_dir.name
    assert report["run"]["mapping"] == {"version": 1, "sha256": report["run"]["mapping"]["sha256"], "rows": 1}
    # Only the edition that was in force answers, and it was transcribed from the primary text.
    assert [(s["set"], s["edition"], s["status"]) for s in report["run"]["drl_sets"]] == [
        ("uk-adult-ct", "2024-11-20", "transcribed")
    ]
    (group,) = [c for c in report["comparisons"] if c["quantity"] == "DLP"]
    assert (group["n"], group["median"], group["verdict"], group["icrp_flag"]) == (30, 414.5, "ABOVE", True)
    assert group["drl"]["value"] == 290.0
    finding = report["findings"][0]
    assert {
        "id", "key", "kind", "severity", "subject", "site", "equipment", "message", "likely_causes", "for_role",
        "evidence", "first_raised_run", "state",
    } == set(finding)  # fmt: skip
    assert finding["likely_causes"]


def test_a_finding_is_new_once_then_open_then_silent_once_acknowledged(stored, nightly):
    from dose_audit.store.findings import acknowledge_finding

    _too_high(stored)
    first, report = nightly()
    assert (first.findings_new, first.exit_code) == (1, 3)
    assert report["findings"][0]["state"] == "new"
    second, report = nightly(NIGHT + timedelta(days=1))
    assert (second.findings_new, second.exit_code) == (0, 3)
    assert report["findings"][0]["state"] == "open"
    assert report["findings"][0]["first_raised_run"] == first.run_id
    acknowledge_finding(report["findings"][0]["key"], by="MPE", reason="protocol under revision")
    third, report = nightly(NIGHT + timedelta(days=2))
    assert (third.findings_new, third.exit_code) == (0, 0)
    assert report["findings"][0]["state"] == "acknowledged"


def test_what_is_no_longer_so_is_cleared_but_not_by_a_look_at_another_period(stored, nightly):
    from dose_audit.store.models import Finding

    _too_high(stored)
    nightly()
    nightly(since=date(2020, 1, 1), until=date(2020, 12, 31))
    assert Finding.objects.get().state == "open"
    for row in stored.exams:
        row["ct_dlp_mgy_cm"] /= 2
    outcome, report = nightly(NIGHT + timedelta(days=1))
    assert (report["findings"], outcome.exit_code) == ([], 0)
    assert Finding.objects.get().state == "cleared"


def _files(run_dir):
    """What a run wrote, by name."""
    found = {path.relative_to(run_dir).as_posix(): path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    assert {"report.json", "inputs.json"} < found.keys() and any(name.startswith("values.parquet/") for name in found)
    return found


def test_the_same_inputs_give_the_same_run(stored, nightly, tmp_path):
    _too_high(stored)
    first, report = nightly()
    files = _files(first.run_dir)
    again, other = nightly(out=tmp_path / "elsewhere")
    assert again.run_id == first.run_id
    assert again.run_dir == tmp_path / "elsewhere" / first.run_id
    assert _files(again.run_dir) == files
    stored.exams[3]["ct_dlp_mgy_cm"] += 0.001
    _, changed = nightly()
    assert changed["run"]["frozen_input_sha256"] != report["run"]["frozen_input_sha256"]
    assert other["run"]["frozen_input_sha256"] == report["run"]["frozen_input_sha256"]


def test_what_an_earlier_night_kept_changes_no_byte(stored, nightly, tmp_path, monkeypatch):
    """The same night on what the one before kept, and on nothing."""
    copy = tmp_path / "pq"
    monkeypatch.setattr("dose_audit.store.parquet.refresh_parquet", lambda _: stored.write_blocks(copy, 40))
    random = np.random.default_rng(3)
    for number in range(150):
        dose = float(300.0 * random.lognormal(0.0, 0.2) * (1.5 if number > 110 else 1.0))
        place = {"site": f"Site {number % 2}", "equipment": f"CT {number % 2}", "weight_kg": 60.0 + number % 30}
        stored.add_ct(START + timedelta(days=number), dose, **place)
    nightly(START + timedelta(days=149))
    for number in range(4):
        stored.add_ct(START + timedelta(days=149, hours=1 + number), 310.0, site="Site 1", equipment="CT 1")
    night = START + timedelta(days=150)
    shutil.copytree(copy, tmp_path / "before")
    nightly(night)
    shutil.rmtree(copy)
    anew, _ = nightly(night, out=tmp_path / "anew")
    shutil.rmtree(copy)
    shutil.copytree(tmp_path / "before", copy)
    kept, report = nightly(night, out=tmp_path / "kept")
    assert report["monitors"] and report["findings"]
    assert _files(kept.run_dir) == _files(anew.run_dir)


def test_the_hash_knows_the_period_even_when_the_values_are_the_same(stored, nightly):
    _too_high(stored)
    _, whole = nightly(since=date(2025, 12, 31), until=date(2026, 6, 30))
    _, longer = nightly(since=date(2025, 12, 30), until=date(2026, 6, 30))
    assert [c["median"] for c in whole["comparisons"]] == [c["median"] for c in longer["comparisons"]]
    assert whole["run"]["frozen_input_sha256"] != longer["run"]["frozen_input_sha256"]


def test_a_quiet_night_is_exit_code_zero(stored, nightly):
    for i in range(30):
        stored.add_ct(START + timedelta(days=i * 6), 200.0 + i, ctdi=5.0, weight_kg=70.0)
    outcome, report = nightly()
    assert (outcome.exit_code, outcome.findings_new, report["findings"]) == (0, 0, [])


def test_an_empty_store_is_a_report_too(nightly):
    outcome, report = nightly()
    assert outcome.exit_code == 0
    assert report["completeness"]["received"] == report["completeness"]["exams"] == 0


def test_single_unmapped_exams_under_many_names_are_no_all_clear(stored, nightly):
    """Each name alone is a note; together a quarter of the site's exams is compared with nothing."""
    for i in range(30):
        stored.add_ct(START + timedelta(days=i * 6), 200.0 + i, ctdi=5.0, weight_kg=70.0)
    for i in range(10):
        stored.add_ct(START + timedelta(days=i * 6), 200.0, ctdi=5.0, weight_kg=70.0, acquisition_protocol=f"Rare {i}")
    outcome, report = nightly()
    waiting = [finding for finding in report["findings"] if finding["severity"] != "note"]
    assert [(f["kind"], f["site"], f["evidence"]["under_rare_names"]) for f in waiting] == [
        ("low_coverage", "North", 10)
    ]
    assert outcome.exit_code == 3
    assert outcome.coverage == "30 of 40 exams grouped for comparison, 10 unmapped"


def test_when_nothing_is_mapped_the_outcome_says_so_and_is_no_success(stored, nightly):
    for i in range(4):
        stored.add_ct(START + timedelta(days=i), 200.0, acquisition_protocol=f"Rare {i}")
    outcome, report = nightly()
    assert outcome.exit_code == 3
    assert outcome.nothing_compared.startswith("nothing was compared: none of the 4 exams has a known examination")
    assert outcome.coverage == "0 of 4 exams grouped for comparison, 4 unmapped"
    assert {f["kind"]: f["severity"] for f in report["findings"]} == {
        "low_coverage": "check",
        "unmapped_acquisition_protocol": "note",
    }


def test_events_of_the_store_stand_on_the_charts_of_their_device(stored, nightly, tmp_path):
    """A recorded service, software first seen in the period, and a new mapping version; another year's stay away."""
    import datetime as dt

    from dose_audit.store.models import Equipment, EquipmentEvent, EquipmentSoftware
    from dose_audit.store.settings import prepare

    prepare(Settings(home=tmp_path / "home"))
    device = Equipment.objects.create(display_name="Scanner 1")
    said = {"equipment": device, "recorded_by": "engineer", "recorded_at": dt.datetime(2026, 3, 2, tzinfo=dt.UTC)}
    EquipmentEvent.objects.create(kind="service", at=dt.datetime(2026, 3, 1, 8), text="new tube", **said)
    EquipmentEvent.objects.create(kind="service", at=dt.datetime(2020, 3, 1, 8), text="long ago", **said)
    EquipmentSoftware.objects.create(equipment=device, software_versions="1", first_study_date=date(2026, 1, 1))
    EquipmentSoftware.objects.create(equipment=device, software_versions="2", first_study_date=date(2026, 3, 4))
    for i in range(90):
        day = START + timedelta(days=2 * i)
        high = 1.5 if day >= datetime(2026, 3, 4) else 1.0
        stored.add_ct(
            day, (200.0 + i % 7) * high, ctdi=(5.0 + 0.01 * (i % 7)) * high, weight_kg=70.0, equipment_id=device.pk
        )
    _, report = nightly()
    assert [(e["equipment"], e["day"], e["kind"], e["text"], e["before"]) for e in report["device_events"]] == [
        ("Scanner 1", "2026-03-01", "service", "new tube", None),
        ("Scanner 1", "2026-03-04", "new software", "2", "1"),
    ]
    assert [step["day"] for step in report["device_events"][0]["steps"]][:1] == ["2026-03-04"]
    chart = next(one for one in report["monitors"] if one["quantity"] == "DLP")
    assert chart["service"] == [{"day": "2026-03-01", "kind": "service", "note": "new tube"}]
    assert chart["software"] == [{"day": "2026-03-04", "before": "1", "after": "2"}]
    (step,) = [f for f in report["findings"] if f["kind"] == "step_change"]
    assert step["likely_causes"][0] == "service: new tube, on 2026-03-01: near in time, not proven the cause"


def test_a_period_that_ends_before_it_begins_is_refused(nightly):
    with pytest.raises(ValueError, match="before it begins"):
        nightly(since=date(2026, 2, 1), until=date(2026, 1, 1))


def test_progress_runs_from_nought_to_one(stored, nightly):
    _too_high(stored)
    told: list[tuple[str, float]] = []
    nightly(progress=lambda text, fraction: told.append((text, fraction)))
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


def test_default_period_begins_a_year_before_the_running_quarter():
    assert default_since(date(2026, 1, 31)) == date(2025, 1, 1)
    assert default_since(date(2026, 12, 1)) == date(2025, 10, 1)
    assert default_since(date(2026, 12, 1), "month") == date(2025, 12, 1)


def test_runs_are_found_by_name_and_the_latest_by_default(tmp_path):
    for name in ("20260101T020000-aaaaaaaa", "20260102T020000-bbbbbbbb"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text("{}")
        (tmp_path / name / SEAL).write_text("{}")
    (tmp_path / "20260103T020000-cccccccc").mkdir()  # of an audit that is at work, or was ended
    (tmp_path / "20260103T020000-cccccccc" / "report.json").write_text("{}")
    assert find_run(tmp_path).name == "20260102T020000-bbbbbbbb"
    assert find_run(tmp_path, "20260101T020000-aaaaaaaa").name == "20260101T020000-aaaaaaaa"
    with pytest.raises(FileNotFoundError, match="ended before it had frozen this run"):
        find_run(tmp_path, "20260103T020000-cccccccc")
    with pytest.raises(FileNotFoundError):
        find_run(tmp_path, "../elsewhere")
    elsewhere = tmp_path / "20260101T020000-aaaaaaaa"
    assert find_run(tmp_path / "reports", str(elsewhere)) == elsewhere  # as `audit --out` writes it


def test_no_number_in_json_is_not_a_number():
    assert json_ready({"a": [float("inf"), float("-inf"), 1.5]}) == {"a": [None, None, 1.5]}


def test_a_high_exposure_waits_for_a_person_even_when_it_is_older_than_the_period(stored, nightly):
    from dose_audit.store.models import Finding

    stored.add("XA", START, acquisition_protocol="New name", dose_rp_mgy=6000.0)
    nightly()
    stored.exams.clear()
    nightly(NIGHT + timedelta(days=1))
    assert {f.kind: f.state for f in Finding.objects.all()} == {
        "high_exposure": "open",
        "unmapped_acquisition_protocol": "cleared",
        "low_coverage": "cleared",
    }


def test_a_run_that_ends_before_it_is_kept_leaves_no_finding(
    nightly: Nightly, stored: StoredExams, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dose_audit.store.models import AuditRun, Finding

    stored.add_ct(START, 400.0, acquisition_protocol="Nothing known")
    for index in range(30):
        stored.add_ct(datetime(2026, 3, 1 + index % 28, 9, index), 400.0, acquisition_protocol="Nothing known")

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as early, pytest.raises(Killed):
        early.setattr("dose_audit.audit.nightly.seal_run", killed)
        nightly()
    assert (AuditRun.objects.count(), Finding.objects.count()) == (0, 0)
    outcome, report = nightly()
    assert outcome.findings_new == len(report["findings"]) > 0


def test_a_run_that_was_ended_is_told_from_frozen_ones(stored, nightly, tmp_path):
    outcome, _ = nightly()
    reports = outcome.run_dir.parent
    ended = reports / "20260701T030000-0123abcd"
    ended.mkdir()
    (ended / "values.parquet").write_bytes(b"half")
    unsealed = reports / "20260701T040000-0123abcd"
    shutil.copytree(outcome.run_dir, unsealed)
    (unsealed / "seal.json").unlink()
    (reports / "notes of the physicist").mkdir()
    assert unfinished_runs(reports) == [ended, unsealed]
    with pytest.raises(FileNotFoundError, match="ended before it had frozen this run"):
        find_run(reports, ended.name)
    assert mark_unfinished(reports, before=ended.stat().st_mtime - 1) == []  # it may be at work
    for path in (unsealed, *unsealed.iterdir()):
        os.utime(path, (0, 0))
    now = datetime.now().timestamp() + 5
    assert mark_unfinished(reports, before=now) == [ended, unsealed]
    assert "can be deleted" in (ended / "NOT-FINISHED.txt").read_text()
    assert mark_unfinished(reports, before=now + 5) == []  # once
    shown = CliRunner().invoke(app, ["run", "list", "--home", str(tmp_path / "home")])
    assert [line.split()[0] for line in shown.stdout.splitlines() if "not finished" in line] == [
        unsealed.name,
        ended.name,
    ]
    assert outcome.run_dir.name in shown.stdout and "still at work" in shown.stderr
