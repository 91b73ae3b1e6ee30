"""The audit's tables and values are the same from DuckDB over the copy and from PostgreSQL itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dose_audit.audit.cohort import fact_rows, value_rows
from dose_audit.audit.engine import Engine, open_engine
from dose_audit.store.parquet import refresh_parquet

ORDER = {"exams": ("exam_id",), "events": ("exam_id", "event_index"), "objects": ("object_id",)}


def _sorted(table: pa.Table, names: tuple[str, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.sort_by([(name, "ascending") for name in names]).to_pylist()
    for row in rows:
        if row.get("dose_check"):
            row["dose_check"] = json.loads(row["dose_check"])
    return rows


def _tables(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    found = {name: _sorted(engine.to_arrow(getattr(engine, name)), order) for name, order in ORDER.items()}
    rows = engine.keep(value_rows(engine, None, None), "value_rows")
    # The number of a combination of facts is the engine's own; what it stands for is not.
    values = engine.to_arrow(rows.drop("fact"))
    found["values"] = _sorted(values, ("exam_id", "quantity", "acquisition_protocols", "value"))
    facts = engine.to_arrow(fact_rows(rows)).drop_columns(["fact"])
    found["facts"] = _sorted(facts, tuple(facts.column_names))
    return found


@pytest.mark.peer
def test_both_engines_give_the_same_tables(postgres_store: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.identity import protection
    from dose_audit.store.models import Event, Exam
    from dose_audit.store.tallies import set_tallies
    from dose_audit.store.writing import Writer

    parts = [
        received(ct_exam(f"1.2.{n}", f"1.2.{n}.1", {f"1.8.{n}.{k}": 10.0 * n + k for k in range(1, 4)}), n)
        for n in range(1, 13)
    ]
    twin = received(ct_exam("1.2.3", "1.2.3.1", {"1.8.3.1": 31.0}), 50, sha256=parts[2].sha256)
    broken = received(None, 60, state="quarantined", reason="broken", sop_instance_uid="")
    Writer(protection(postgres_store)).ingest_parts([*parts, twin, broken])
    Exam.objects.filter(pk=2).update(study_datetime=None, study_date=None, is_phantom=True)
    Exam.objects.filter(pk=3).update(unit_slips=[{"quantity": "ct_dlp_mgy_cm", "decades": 1}], warning_codes=["b", "a"])
    Exam.objects.filter(pk=4).update(modality="RF", kap_gy_cm2=12.5, dose_rp_mgy=800.0, fluoro_time_s=640.0)
    Exam.objects.filter(pk=5).update(modality="DX")
    Exam.objects.filter(pk=10).update(ct_dlp_mgy_cm=-1.0)
    Event.objects.filter(exam_id=5).update(type="projection", kap_gy_cm2=0.3, ct_acquisition_type=None)
    Exam.objects.filter(pk=6).update(modality="MG")
    Event.objects.filter(exam_id=6).update(agd_mgy=1.4, compression_thickness_mm=52.0, view="R-10226")
    Event.objects.filter(exam_id=7, event_index=1).update(
        ct_acquisition_type="constant_angle", ctdi_phantom="head_16cm"
    )
    Event.objects.filter(exam_id=11, event_index=1).update(ct_acquisition_type="stationary", ctdi_vol_mgy=300.0)
    Event.objects.filter(exam_id=8, event_index=2).update(ctdi_phantom="head_16cm")
    Exam.objects.filter(pk=12).update(modality="PT", administered_activity_mbq=250.0)
    Event.objects.filter(exam_id=12).update(type="administration", radiopharmaceutical="SCT:35321007")
    Event.objects.filter(exam_id=5).update(anatomical_structure="SCT:39607008")
    check = {"dlp_alert_value_mgy_cm": 900.0, "person_name": "A^B", "reason_for_proceeding": "large patient"}
    Event.objects.filter(exam_id=9, event_index=1).update(rest={"dose_check": check})
    set_tallies({"duplicate": 2, "pending": 1})

    with open_engine(refresh_parquet(postgres_store, block_rows=4)) as duckdb:
        ours = _tables(duckdb)
    with open_engine(postgres_store.parquet_dir, database_url=postgres_store.database_url) as postgres:
        theirs = _tables(postgres)
    reasons = {row["left_out"] for row in ours["values"]}
    assert {"NOT_A_PATIENT", "MIXED_PHANTOMS", "IMPLAUSIBLE_VALUE", None} <= reasons
    assert {row["quantity"] for row in ours["values"]} >= {"CTDIvol", "DLP", "KAP", "AGD", "dose_rp", "fluoro_time"}
    assert [row["dose_check"] for row in ours["events"] if row["dose_check"]] == [
        {"dlp_alert_value_mgy_cm": 900.0, "reason_for_proceeding": True}
    ]
    for name in ours:
        assert theirs[name] == ours[name], name


@pytest.mark.peer
def test_a_whole_audit_is_the_same_from_the_copy_and_from_postgresql(
    postgres_store: Any, ct_exam: Any, received: Any, tmp_path: Path
) -> None:
    from dose_audit.audit import run_audit
    from dose_audit.audit.mapping import approve_mapping
    from dose_audit.drl import ExamMapping, MappingTable
    from dose_audit.store.identity import protection
    from dose_audit.store.writing import Writer

    exams = [
        ct_exam(f"1.2.{n}", f"1.2.{n}.1", {f"1.8.{n}.1": 300.0 + n}, study_datetime=f"2025-03-{n:02d}T10:20:30")
        for n in range(1, 26)
    ]
    Writer(protection(postgres_store)).ingest_parts([received(exam, n) for n, exam in enumerate(exams, start=1)])
    rows = (ExamMapping(acquisition_protocol="Chest 1", examination="ct-chest-lung-cancer", line=2),)
    approve_mapping(MappingTable(rows), approved_by="Tests")
    reports = {}
    for engine in ("duckdb", "postgresql"):
        settings = replace(postgres_store, audit_engine=engine)
        period = {"since": date(2025, 1, 1), "until": date(2025, 6, 30)}
        outcome = run_audit(settings, now=datetime(2025, 7, 1, 2), out=tmp_path / engine, **period)
        report = json.loads((outcome.run_dir / "report.json").read_text("utf-8"))
        inputs = json.loads((outcome.run_dir / "inputs.json").read_text("utf-8"))
        assert inputs["engine"].startswith(engine if engine == "duckdb" else "postgres")
        assert (inputs["copy"] is None) == (engine == "postgresql")
        report["run"].pop("inputs_sha256")
        for finding in report["findings"]:
            finding.pop("state")  # the second run finds what the first has raised
            finding.pop("first_raised_run")
        reports[engine] = (report, inputs["values_sha256"])
    [comparison] = [entry for entry in reports["duckdb"][0]["comparisons"] if entry["quantity"] == "DLP"]
    assert (comparison["n"], comparison["median"]) == (25, 313.0)
    assert reports["postgresql"] == reports["duckdb"]
