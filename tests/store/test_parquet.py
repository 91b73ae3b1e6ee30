"""The columnar copy agrees with the store, and only what changed is written anew."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dose_audit.store.columns_manifest import read_manifest
from dose_audit.store.parquet import parquet_files, read_table, refresh_parquet


def test_the_copy_says_what_the_store_says(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Exam
    from dose_audit.store.tallies import set_tallies

    first = received(ct_exam("1.2", "1.2.1", {"1.8.1": 100.0, "1.8.2": 30.0}), 1)
    twin = received(ct_exam("1.2", "1.2.1", {"1.8.1": 100.0, "1.8.2": 30.0}), 5, sha256=first.sha256)
    undated = ct_exam("1.3", "1.3.1", {"1.8.3": 7.0}, study_datetime=None)
    undated.events[0].started_at = None
    broken = received(None, 3, state="quarantined", reason="broken", sop_instance_uid="")
    writer.ingest_parts([first, twin, received(undated, 2), broken])
    Exam.objects.filter(study_instance_uid="1.3").update(unit_slips=[{"quantity": "ct_dlp_mgy_cm", "decades": 1}])
    set_tallies({"duplicate": 2, "pending": 1})

    folder = refresh_parquet(store)
    exams = read_table(folder, "exams").to_pylist()
    assert [(row["ct_dlp_mgy_cm"], row["event_count"], row["site"], row["equipment"]) for row in exams] == [
        (130.0, 2, "North", "CT1"),
        (7.0, 1, "North", "CT1"),
    ]
    assert exams[0]["study_datetime"].isoformat() == "2024-03-05T10:20:30"
    assert exams[0]["study_date"].isoformat() == "2024-03-05"
    assert (exams[1]["study_datetime"], exams[1]["study_date"]) == (None, None)
    assert exams[0]["received_at"].isoformat() == "2024-03-05T12:00:01"
    assert exams[0]["acquisition_protocols"] == ["Chest 1", "Chest 2"]
    assert [row["warning_codes"] for row in exams] == [[], ["unit_slip"]]
    events = read_table(folder, "events").to_pylist()
    assert [(row["event_index"], row["dlp_mgy_cm"], row["kvp_kv"]) for row in events] == [
        (1, 100.0, 120.0),
        (2, 30.0, 120.0),
        (1, 7.0, 120.0),
    ]
    assert events[0]["started_at"].isoformat() == "2024-03-05T10:21:00"
    objects = read_table(folder, "objects").to_pylist()
    states = sorted(row["state"] for row in objects)
    assert states == [
        "duplicate",
        "duplicate",
        "duplicate",
        "extracted",
        "extracted",
        "pending",
        "quarantined",
    ]
    assert len({row["object_id"] for row in objects}) == len(objects)


def test_column_types_do_not_depend_on_the_rows(store: Any) -> None:
    folder = refresh_parquet(store)
    exams = read_table(folder, "exams").schema
    assert exams.field("study_datetime").type == pa.timestamp("us")
    assert exams.field("warning_codes").type == pa.list_(pa.string())
    assert exams.field("is_phantom").type == pa.bool_()
    assert read_table(folder, "events").num_rows == 0
    assert {"unit_slips", "copies"}.isdisjoint(exams.names + read_table(folder, "objects").column_names)


def _rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: read_table(folder, name).to_pylist() for name in ("exams", "events", "objects")}


def _files(folder: Path) -> dict[str, set[str]]:
    return {name: {path.name for path in parquet_files(folder, name)} for name in ("exams", "events", "objects")}


def _many(writer: Any, ct_exam: Any, received: Any, numbers: range) -> None:
    writer.ingest_parts(
        [
            received(ct_exam(f"1.2.1{n:02d}", f"1.2.1{n:02d}.1", {f"1.8.{n}.1": 10.0 * n, f"1.8.{n}.2": 3.0}), n)
            for n in numbers
        ]
    )


def _anew(store: Any, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What a copy made from nothing says."""
    import shutil

    shutil.rmtree(folder)
    return _rows(refresh_parquet(store, block_rows=4))


def test_only_blocks_that_changed_are_written(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    _many(writer, ct_exam, received, range(1, 11))
    folder = refresh_parquet(store, block_rows=4)
    first = _files(folder)
    assert {name: len(files) for name, files in first.items()} == {"exams": 3, "events": 3, "objects": 4}
    manifest = (folder / "manifest.json").read_bytes()
    refresh_parquet(store, block_rows=4)
    assert (folder / "manifest.json").read_bytes() == manifest

    _many(writer, ct_exam, received, range(11, 15))  # the last block grows, one more begins
    refresh_parquet(store, block_rows=4)
    second = _files(folder)
    assert {name: len(first[name] & second[name]) for name in first} == {"exams": 2, "events": 2, "objects": 3}
    assert read_table(folder, "exams")["exam_id"].to_pylist() == list(range(1, 15))

    more = ct_exam("1.2.101", "1.2.101.9", {"1.8.1.1": 10.0, "1.8.1.2": 3.0, "1.8.1.3": 500.0})
    writer.ingest_parts([received(more, 99)])  # a late report of the first exam
    refresh_parquet(store, block_rows=4)
    third = _files(folder)
    assert len(second["exams"] & third["exams"]) == 3
    assert len(second["events"] & third["events"]) == 3
    found = _rows(folder)
    assert [row["dlp_mgy_cm"] for row in found["events"] if row["exam_id"] == 1] == [10.0, 3.0, 500.0]
    assert found == _anew(store, folder)


def test_exams_that_are_gone_go(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Event, Exam

    _many(writer, ct_exam, received, range(1, 11))
    Exam.objects.update(updated_at=dt.datetime(2024, 3, 5, tzinfo=dt.UTC))
    Exam.objects.filter(pk=10).update(updated_at=dt.datetime(2024, 6, 5, tzinfo=dt.UTC))
    folder = refresh_parquet(store, block_rows=4)
    gone = [5, 6, 7, 8, 2]  # a whole block, and one of another: none of them changed of late
    Event.objects.filter(exam_id__in=gone).delete()
    Exam.objects.filter(pk__in=gone).delete()
    refresh_parquet(store, block_rows=4)
    assert read_table(folder, "exams")["exam_id"].to_pylist() == [1, 3, 4, 9, 10]
    found = _rows(folder)
    assert {row["exam_id"] for row in found["events"]} == {1, 3, 4, 9, 10}
    assert found == _anew(store, folder)


def test_a_change_that_was_committed_late_is_seen(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    """Its moment is before the newest that the last refresh saw."""
    from dose_audit.store.models import Exam

    _many(writer, ct_exam, received, range(1, 11))
    newest = dt.datetime(2024, 6, 5, 12, tzinfo=dt.UTC)
    Exam.objects.update(updated_at=newest)
    folder = refresh_parquet(store, block_rows=4)
    Exam.objects.filter(pk=3).update(weight_kg=81.0, updated_at=newest - dt.timedelta(minutes=5, microseconds=7))
    refresh_parquet(store, block_rows=4)
    assert read_table(folder, "exams")["weight_kg"][2].as_py() == 81.0


def test_a_new_name_reaches_every_exam_that_bears_it(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.register import import_register

    _many(writer, ct_exam, received, range(1, 7))
    other = {"station_name": "CT2", "serial_number": "78"}
    parts = [ct_exam(f"1.3.{n}", f"1.3.{n}.1", {f"1.9.{n}": 7.0}, equipment=other) for n in range(4)]
    writer.ingest_parts([received(part, 50 + n) for n, part in enumerate(parts)])
    folder = refresh_parquet(store, block_rows=2)
    before = _files(folder)
    import_register("station_name,site,display_name\nCT1,North,Renamed\n")
    refresh_parquet(store, block_rows=2)
    assert read_table(folder, "exams")["equipment"].to_pylist() == ["Renamed"] * 6 + ["CT2"] * 4
    assert len(before["exams"] & _files(folder)["exams"]) == 2


def test_a_stop_leaves_the_former_state(
    store: Any, writer: Any, ct_exam: Any, received: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dose_audit.store import parquet

    _many(writer, ct_exam, received, range(1, 5))
    folder = refresh_parquet(store, block_rows=4)
    before = _rows(folder)
    _many(writer, ct_exam, received, range(5, 7))
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "write_manifest", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            refresh_parquet(store, block_rows=4)
    assert _rows(folder) == before
    refresh_parquet(store, block_rows=4)
    assert read_table(folder, "exams").num_rows == 6
    _old(folder)
    _many(writer, ct_exam, received, range(7, 8))
    refresh_parquet(store, block_rows=4)  # what the stop left behind is cleared away
    named = {path for name in before for path in parquet_files(folder, name)}
    recent = {path for path in folder.rglob("*.parquet") if path.is_file()} - named
    assert {path.parent.name for path in recent} <= {"exams.parquet", "events.parquet", "objects.parquet"}
    assert len(recent) == 3  # of one block each, for an audit that still reads them


def _power_cut(*_: Any) -> None:
    raise KeyboardInterrupt


def _old(folder: Path) -> None:
    for path in folder.rglob("*.parquet"):
        if path.is_file():
            os.utime(path, (0, 0))


def test_the_manifest_tells_rows_and_hashes(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    import hashlib

    _many(writer, ct_exam, received, range(1, 7))
    folder = refresh_parquet(store, block_rows=4)
    manifest = read_manifest(folder)
    assert manifest is not None
    for blocks in manifest.files.values():
        for file in blocks.values():
            assert file.rows == pq.read_metadata(folder / file.file).num_rows
            assert file.sha256 == hashlib.sha256((folder / file.file).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text("{")
    assert read_table(refresh_parquet(store, block_rows=4), "exams").num_rows == 6  # a damaged one is made anew


def test_odd_texts_and_numbers_survive(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Event, Exam

    _many(writer, ct_exam, received, range(1, 4))
    odd = 'a "quoted", text\nof two lines\t\\N \u00e9\u4e2d'
    Exam.objects.filter(pk=1).update(study_description=odd, requested_procedure_description="", weight_kg=0.1 + 0.2)
    Exam.objects.filter(pk=2).update(study_description=None, acquisition_protocols=[odd, "b,c"], is_phantom=True)
    Event.objects.filter(exam_id=3).update(ctdi_vol_mgy=5e-324, kap_gy_cm2=1.7976931348623157e308)
    folder = refresh_parquet(store)
    one, two, three = read_table(folder, "exams").to_pylist()
    assert (one["study_description"], one["requested_procedure_description"]) == (odd, "")
    assert one["weight_kg"] == 0.1 + 0.2
    assert (two["study_description"], two["acquisition_protocols"]) == (None, [odd, "b,c"])
    assert [row["is_phantom"] for row in (one, two, three)] == [False, True, False]
    last = read_table(folder, "events").to_pylist()[-1]
    assert (last["ctdi_vol_mgy"], last["kap_gy_cm2"]) == (5e-324, 1.7976931348623157e308)


def test_processes_apart_write_the_same(
    sqlite_store: Any, ct_exam: Any, received: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dose_audit.store import parquet
    from dose_audit.store.identity import protection
    from dose_audit.store.writing import Writer

    _many(Writer(protection(sqlite_store)), ct_exam, received, range(1, 13))
    alone = _rows(refresh_parquet(sqlite_store, block_rows=4))
    monkeypatch.setattr(parquet, "_APART_FROM", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert _rows(refresh_parquet(sqlite_store, block_rows=5)) == alone


def test_both_readers_of_sqlite_agree(sqlite_store: Any, ct_exam: Any, received: Any, tmp_path: Path) -> None:
    """On a file that this process has not open; columns begin with nothing in them, and types change on the way."""
    import sqlite3
    from contextlib import closing

    from dose_audit.store.columns_layout import TABLES
    from dose_audit.store.columns_read import open_sqlite, sqlite_columns
    from dose_audit.store.identity import protection
    from dose_audit.store.models import Event, Exam
    from dose_audit.store.writing import Writer

    _many(Writer(protection(sqlite_store)), ct_exam, received, range(1, 9))
    Exam.objects.filter(pk__lt=6).update(weight_kg=None, study_description=None, software_versions=None)
    odd = 'a "quoted", text\nof two lines\t\\N \u00e9\u4e2d \U0001f9ea'
    Exam.objects.filter(pk=7).update(study_description=odd, weight_kg=0.1 + 0.2, age_years=-0.0, fluoro_time_s=3.0)
    Exam.objects.filter(pk=8).update(is_phantom=True, acquisition_protocols=[odd, "b"], software_versions="123")
    Event.objects.filter(exam_id=6).update(ctdi_vol_mgy=5e-324, kap_gy_cm2=1.7976931348623157e308, reason="007")
    Event.objects.filter(exam_id=7).update(dlp_mgy_cm=float("inf"), rest={"dose_check": {"person_name": "A^B"}})
    copied = tmp_path / "a copy.sqlite3"
    with (
        closing(sqlite3.connect(sqlite_store.database_path)) as source,
        closing(sqlite3.connect(copied)) as target,
    ):
        source.backup(target)
    blocks = dict.fromkeys(TABLES, (2, 8))
    with open_sqlite(copied) as reader:
        expected = [reader.table(name, *keys) for name, keys in blocks.items()]
    assert [table.num_rows for table in expected] == [7, 14, 7]
    for batch_rows in (1, 3, 1000):
        assert [table.combine_chunks() for table in sqlite_columns(copied, blocks, batch_rows=batch_rows)] == expected
    with closing(sqlite3.connect(copied)) as target:
        target.execute("UPDATE store_exam SET weight_kg = 'heavy' WHERE id = 8")
        target.commit()
    for batch_rows in (3, 1000):  # a text is never read as a number, nor as nothing
        with pytest.raises((ValueError, OSError), match=r"weight_kg|Type mismatch"):
            sqlite_columns(copied, blocks, batch_rows=batch_rows)
