"""The demonstration's objects give the same rows on SQLite and on PostgreSQL, and the same Parquet copy."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from dose_audit.config import Settings
from dose_audit.demo.generate import generate
from dose_audit.ingest import open_spool, run_ingest


def _ingested(settings: Settings, objects: list[bytes]) -> list[Any]:
    from dose_audit.store.models import Event, Exam, ReceivedObject
    from dose_audit.store.parquet import read_table, refresh_parquet

    with open_spool(settings) as spool:
        for data in objects:
            spool.add_bytes(data, source="scan:North")
    summary = run_ingest(settings, workers=0)
    not_content = {"id", "received_at", "updated_at", "equipment_id", "exam_id", "site_id"}
    orders = (
        (Exam, ["study_instance_uid"]),
        (Event, ["exam__study_instance_uid", "event_index"]),
        (ReceivedObject, ["sop_instance_uid", "sha256"]),
    )
    rows = [
        {name: value for name, value in row.items() if name not in not_content}
        for model, order in orders
        for row in model.objects.order_by(*order).values()
    ]
    folder = refresh_parquet(settings)
    columns = [name for name in read_table(folder, "exams").column_names if name != "received_at"]
    return [summary.by_state, rows, read_table(folder, "exams", columns=columns).to_pylist()]


@pytest.mark.peer
def test_both_databases_hold_the_same(sqlite_store: Settings, postgres_store: Settings) -> None:
    objects = [item.data for item in itertools.islice(generate(scale=0.02), 60)]
    from dose_audit.store.settings import setup

    found = []
    for settings in (sqlite_store, replace(postgres_store, pseudonym_key_file=sqlite_store.key_path)):
        setup(settings)
        found.append(_ingested(settings, objects))
    assert len(found[0][1]) > 60
    assert found[0] == found[1]
