"""Sizes from a list reach the exams of their patients, and stay when the exam is written again."""

from __future__ import annotations

import copy
from typing import Any


def test_a_list_fills_in_what_is_unknown(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.identity import protection
    from dose_audit.store.parquet import read_table, refresh_parquet
    from dose_audit.store.sizes import import_sizes

    exam = ct_exam("1.2", "1.2.1", {"1.8.1": 1.0}, accession_number="A-77")
    exam.patient.weight_kg = None
    part = received(exam)
    writer.ingest_parts([copy.deepcopy(part)])
    table = b"Accession Number,Weight (kg),Height (cm)\nA-77,81.5,172\nB-1,70,160\n"
    dry = import_sizes(table, protection(store), dry_run=True)
    assert (len(dry.changes), len(dry.unmatched)) == (1, 1)
    assert read_table(refresh_parquet(store), "exams")["weight_kg"].to_pylist() == [None]
    import_sizes(table, protection(store))
    writer.ingest_parts([part])
    [row] = read_table(refresh_parquet(store), "exams", columns=["weight_kg", "height_m"]).to_pylist()
    assert row == {"weight_kg": 81.5, "height_m": 1.72}
    assert import_sizes(table, protection(store)).changes == []
