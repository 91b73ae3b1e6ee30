"""A small frozen run with known numbers, written as the audit writes one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dose_audit.report import FORMATS, ReportFiles, render_run, share_run
from tests.report.sections import all_sections, verdicts

if TYPE_CHECKING:
    from tests.conftest import MadeOnce

DRL = {"set": "a-set", "edition": "2024-01-01", "row_id": "r1", "value": 100.0, "status": "unverified"}


def _comparison(equipment: str, site: str, median: float, verdict: str, drl: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "site": site,
        "equipment": equipment,
        "examination": "ct-head",
        "examination_name": "Head",
        "modality": "CT",
        "band": "adult",
        "quantity": "DLP",
        "unit": "mGy.cm",
        "n": 41,
        "median": median,
        "ci_low": median * 0.9,
        "ci_high": median * 1.1,
        "ci_level": 0.95,
        "p25": median * 0.8,
        "p75": median * 1.2,
        "drl": drl,
        "ratio": median / drl["value"] if drl else None,
        "verdict": verdict,
        "icrp_flag": bool(drl and median > drl["value"]),
        "evidence": "exceeds" if verdict == "ABOVE" else "below",
        "reason": None,
    }


def _finding(number: int, kind: str, severity: str, **more: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "key": f"{kind}:{number}",
        "kind": kind,
        "severity": severity,
        "subject": "Head, adult: DLP",
        "site": "North",
        "equipment": "CT <b>1</b>",
        "message": "Median 130 mGy·cm is above the level of 100.",
        "likely_causes": ["tube current"],
        "evidence": {},
        "first_raised_run": "run",
        "state": "new",
    } | more


def write_run(folder: Path) -> Path:
    """Two devices, 41 exams each: medians 130 (above the level of 100) and 60 (within), one far exam, one hostile name."""
    folder.mkdir(parents=True)
    values = []
    for device, site, median in (("CT <b>1</b>", "North", 130.0), ("CT 2", "=South", 60.0)):
        for index in range(41):
            values.append(
                {
                    "exam_ref": f"{device[-1]}{index:03d}",
                    "site": site,
                    "equipment": device,
                    "examination": "ct-head",
                    "examination_name": "Head",
                    "band": "adult",
                    "quantity": "DLP",
                    "unit": "mGy.cm",
                    # 41 values whose middle one is the median: a factor of 1.01 a step.
                    "value": median * 1.01 ** (index - 20) if index != 40 else median * 9,
                    "study_datetime": datetime(2026, 1, 1, 9) + timedelta(days=4 * index),
                    "weight_kg": 70.0,
                    "age_years": 50.0,
                    "thickness_mm": None,
                    "software_versions": "2" if index > 20 else "1",
                    "included": True,
                    "reason": None,
                }
            )
    pq.write_table(pa.Table.from_pylist(values), folder / "values.parquet")
    data = {
        "run": {
            "id": "20260701T020000-abcdef01",
            "created_at": "2026-07-01T02:00:00",
            "network": "Test network",
            "since": "2026-01-01",
            "until": "2026-06-30",
            "versions": {"engine": "0.1.0", "python": "3.11", "algorithms": {"median_interval": "1"}},
            "drl_sets": [
                {
                    "set": "a-set",
                    "edition": "2024-01-01",
                    "status": "unverified",
                    "title": "A set",
                    "sha256": "0" * 64,
                    "region": "UK",
                }
            ],
            "mapping": {"version": 1, "sha256": "1" * 64, "rows": 2},
            "frozen_input_sha256": "2" * 64,
            "sites": ["North", "=South"],
        },
        "completeness": {
            "received": 83,
            "by_state": {"extracted": 82, "quarantined": 1},
            "balanced": True,
            "quarantined": [{"reason": "the object ends in the middle of an element", "n": 1}],
            "exams": 82,
            "in_period": 82,
            "compared": 82,
            "unmapped": 0,
            "excluded": 0,
            "mapped_percent": 100.0,
            "by_site": [
                {"site": "North", "received": 42, "exams": 41, "mapped": 41, "unmapped": 0, "quarantined": 1},
                {"site": "=South", "received": 41, "exams": 41, "mapped": 41, "unmapped": 0, "quarantined": 0},
            ],
            "devices": [
                {
                    "site": "North",
                    "equipment": "CT <b>1</b>",
                    "exams": 41,
                    "last_exam": "2026-06-10T09:00:00",
                    "expected_gap_h": 96.0,
                    "silent": False,
                }
            ],
            "data_quality": [{"code": "unit_slip", "n": 3}],
        },
        "comparisons": [
            _comparison("CT <b>1</b>", "North", 130.0, "ABOVE", DRL),
            _comparison("CT 2", "=South", 60.0, "WITHIN", DRL),
        ],
        "findings": [
            _finding(1, "drl_exceeded", "act"),
            _finding(2, "outlier", "check", evidence={"exam_ref": "2040", "quantity": "DLP", "value": 540.0}),
        ],
        "unmapped": [
            {
                "site": "North",
                "equipment": "CT 2",
                "modality": "CT",
                "label": "=cmd|x",
                "n": 4,
                "suggestions": ["ct-head"],
            }
        ],
        "excluded": [{"reason": "NOT_A_PATIENT", "n": 1, "detail": "quality assurance"}],
        "methods": [{"title": "Medians", "text": "Order statistics."}],
    }
    (folder / "report.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def write_whole_run(folder: Path) -> Path:
    """The small run with every further part."""
    path = write_run(folder) / "report.json"
    data = json.loads(path.read_text(encoding="utf-8")) | all_sections()
    data["comparisons"][0]["verdicts"] = verdicts()
    path.write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


@pytest.fixture
def whole_run_dir(tmp_path: Path) -> Path:
    return write_whole_run(tmp_path / "run")


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory, made_once: MadeOnce) -> ReportFiles:
    """Every output of the whole run, drawn once for the tests that only read; beside them the shared ones."""

    def draw() -> ReportFiles:
        folder = write_whole_run(tmp_path_factory.mktemp("whole") / "run")
        share_run(folder, formats=("html", "pdf", "xlsx", "json", "csv"))
        return render_run(folder, formats=FORMATS)

    drawn: ReportFiles = made_once("rendered", draw)
    return drawn
