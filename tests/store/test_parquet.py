"""The columnar copy agrees with the store, and is left alone while nothing changes."""

from __future__ import annotations

import copy
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dose_audit.store.parquet import refresh_parquet


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
    exams = pq.read_table(folder / "exams.parquet").to_pylist()
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
    events = pq.read_table(folder / "events.parquet").to_pylist()
    assert [(row["event_index"], row["dlp_mgy_cm"], row["kvp_kv"]) for row in events] == [
        (1, 100.0, 120.0),
        (2, 30.0, 120.0),
        (1, 7.0, 120.0),
    ]
    assert events[0]["started_at"].isoformat() == "2024-03-05T10:21:00"
    objects = pq.read_table(folder / "objects.parquet").to_pylist()
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
    exams = pq.read_schema(folder / "exams.parquet")
    assert exams.field("study_datetime").type == pa.timestamp("us")
    assert exams.field("warning_codes").type == pa.list_(pa.string())
    assert exams.field("is_phantom").type == pa.bool_()
    assert pq.read_table(folder / "events.parquet").num_rows == 0
    assert {"unit_slips", "copies"}.isdisjoint(exams.names + pq.read_schema(folder / "objects.parquet").names)


def test_it_is_made_anew_only_when_something_changed(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.register import import_register

    part = received(ct_exam("1.2", "1.2.1", {"1.8.1": 100.0}), 1)
    writer.ingest_parts([copy.deepcopy(part)])
    path = refresh_parquet(store) / "exams.parquet"
    made = path.stat().st_mtime_ns
    refresh_parquet(store)
    assert path.stat().st_mtime_ns == made
    import_register("station_name,site,display_name\nCT1,North,Renamed\n")
    refresh_parquet(store)
    assert pq.read_table(path)["equipment"].to_pylist() == ["Renamed"]
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        "events.parquet", "exams.parquet", "objects.parquet", "stamp.json",
    ]  # fmt: skip
