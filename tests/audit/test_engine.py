"""The engine reads any layout of the copy; values kept by blocks are those made anew; group figures are exact."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dose_audit.audit.cohort import value_rows
from dose_audit.audit.engine import AuditInputError, open_engine
from dose_audit.audit.value_blocks import period_values
from dose_audit.store.columns_layout import LAYOUT, TABLES, arrow_schema
from dose_audit.store.columns_manifest import CopiedFile, Manifest, file_sha256, write_manifest

from .stored import StoredExams

BLOCK = 20
START = datetime(2026, 1, 1, 9)


def _exams(count: int) -> StoredExams:
    stored = StoredExams()
    random = np.random.default_rng(5)
    for number in range(count):
        when = START + timedelta(days=number)
        if number % 7 == 6:
            stored.add("DX", when, events=[{"kap_gy_cm2": float(random.lognormal()), "acquisition_protocol": "Hand"}])
        elif number % 11 == 10:
            stored.add("CT", None if number == 10 else when, is_phantom=number == 21)
        else:
            stored.add_ct(when, float(random.lognormal(5.0, 0.3)), equipment=f"CT{number % 3}")
    return stored


def _in_blocks(stored: StoredExams, folder: Path) -> Path:
    """Lay rows out as the store's own refresh does; a file keeps its name while its rows are the same."""
    manifest = Manifest(LAYOUT, BLOCK, {name: {} for name in TABLES})
    tables = {"exams": ("exam_id", stored.exams), "events": ("exam_id", stored.events)}
    for name, (key, rows) in (tables | {"objects": ("object_id", stored.objects)}).items():
        schema = arrow_schema(TABLES[name].columns)
        for block in sorted({(row[key] - 1) // BLOCK for row in rows}):
            part = [row for row in rows if (row[key] - 1) // BLOCK == block]
            path = folder / f"{name}.parquet" / f"{block:06d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(part, schema=schema), path)
            file = CopiedFile(f"{path.parent.name}/{path.name}", len(part), len(part), file_sha256(path))
            manifest.files[name][str(block)] = file
    write_manifest(folder, manifest)
    return folder


def _values(folder: Path, since: date | None, until: date | None, *, kept: bool) -> list[dict[str, Any]]:
    with open_engine(folder) as engine:
        rows = (period_values if kept else value_rows)(engine, since, until)
        table = engine.to_arrow(rows).sort_by([(name, "ascending") for name in ("exam_id", "quantity", "value")])
    found: list[dict[str, Any]] = table.to_pylist()
    return found


@pytest.mark.parametrize(("since", "until"), [(None, None), (date(2026, 1, 15), date(2026, 2, 20))])
def test_values_kept_by_blocks_are_those_made_anew(tmp_path: Path, since: date | None, until: date | None) -> None:
    stored = _exams(70)
    folder = _in_blocks(stored, tmp_path / "copy")
    first = _values(folder, since, until, kept=True)
    assert len(first) > 30
    assert first == _values(folder, since, until, kept=False)
    made = {path: path.stat().st_mtime_ns for path in (folder / "values").glob("*.parquet")}

    stored.add_ct(datetime(2026, 2, 1), 900.0)  # the last block grows
    stored.exams[2]["ct_dlp_mgy_cm"] = 1234.5  # an exam of the first is corrected
    stored.events = [row for row in stored.events if row["exam_id"] != 25]  # the second loses an exam's events
    _in_blocks(stored, folder)
    second = _values(folder, since, until, kept=True)
    assert second != first
    assert second == _values(folder, since, until, kept=False)
    now = {path: path.stat().st_mtime_ns for path in (folder / "values").glob("*.parquet")}
    assert all(now[path] == moment for path, moment in made.items())
    assert len(now) - len(made) == 3
    shutil.rmtree(folder / "values")
    assert _values(folder, since, until, kept=True) == second


def test_a_block_without_events_has_its_exams(tmp_path: Path) -> None:
    stored = _exams(45)
    stored.events = [row for row in stored.events if row["exam_id"] > 20]
    folder = _in_blocks(stored, tmp_path / "copy")
    assert _values(folder, None, None, kept=True) == _values(folder, None, None, kept=False)


def test_a_period_outside_every_block_is_empty(tmp_path: Path) -> None:
    stored = StoredExams()
    stored.add_ct(START, 100.0)
    folder = _in_blocks(stored, tmp_path / "copy")
    assert _values(folder, date(2030, 1, 1), None, kept=True) == []


def test_any_layout_of_the_copy_is_read(tmp_path: Path) -> None:
    stored = _exams(30)
    blocks = _in_blocks(stored, tmp_path / "blocks")
    plain = stored.write(tmp_path / "plain")
    assert _values(blocks, None, None, kept=True) == _values(plain, None, None, kept=True)
    assert not (plain / "values").exists()


def test_an_empty_copy_has_its_columns(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    write_manifest(folder, Manifest(LAYOUT, BLOCK, {name: {} for name in TABLES}))
    assert _values(folder, None, None, kept=True) == []


def test_a_missing_copy_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuditInputError, match=r"exams\.parquet is missing"), open_engine(tmp_path):
        pass
