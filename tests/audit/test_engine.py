"""The engine reads any layout of the copy; values kept by blocks are those made anew; group figures are exact."""

from __future__ import annotations

import shutil
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dose_audit.audit.block_tables import period_rows
from dose_audit.audit.cohort import value_rows
from dose_audit.audit.columns import Columns
from dose_audit.audit.engine import AuditInputError, open_engine
from dose_audit.audit.exams import read_exams, read_objects
from dose_audit.audit.exposures import read_exposures
from dose_audit.audit.kept import FOLDER, KeptResults
from dose_audit.store.columns_layout import LAYOUT, TABLES
from dose_audit.store.columns_manifest import Manifest, write_manifest

from .stored import StoredExams

BLOCK = 20
START = datetime(2026, 1, 1, 9)


def _exams(count: int) -> StoredExams:
    stored = StoredExams()
    random = np.random.default_rng(5)
    for number in range(count):
        when = START + timedelta(days=number)
        if number % 7 == 6:
            hand = {"kap_gy_cm2": float(random.lognormal()), "acquisition_protocol": "Hand", "exposure_index": 250.0}
            stored.add("DX", when, events=[hand] * (1 + number % 2))
        elif number % 9 == 8:
            stored.add("MG", when, events=[{"agd_mgy": 1.5, "compression_thickness_mm": 55.0, "view": "MLO"}])
            stored.add_object("conflict", when=when)
        elif number % 11 == 10:
            stored.add("CT", None if number == 10 else when, is_phantom=number == 21)
        else:
            stored.add_ct(when, float(random.lognormal(5.0, 0.3)), equipment=f"CT{number % 3}")
            stored.events[-1] |= {"water_equivalent_diameter_mm": 280.0 + number, "dose_check": '{"dlp_alert": 1}'}
    return stored


def _values(folder: Path, since: date | None, until: date | None, *, kept: bool) -> list[dict[str, Any]]:
    with open_engine(folder, kept=KeptResults(folder / FOLDER) if kept else None) as engine:
        table = period_rows(engine, "values", value_rows, since, until)
    keys = ("exam_id", "quantity", "value")
    found: list[dict[str, Any]] = Columns(table).sorted(keys).table.to_pylist()
    return found


def _exam_tables(folder: Path, *, kept: bool) -> list[Any]:
    """Every other table of exams, events and objects."""
    since, until = date(2026, 1, 15), date(2026, 2, 20)
    with open_engine(folder, kept=KeptResults(folder / FOLDER) if kept else None) as engine:
        exams = read_exams(engine, since, until)
        exposures = read_exposures(engine, exams, since, until)
        objects = read_objects(engine)
    tables = [exams, objects.counts, objects.set_aside, *vars(exposures).values()]
    assert sum(len(table) > 0 for table in tables) >= 9
    return [table.table.to_pylist() for table in tables]


def test_a_night_whose_queries_are_known_does_without_ibis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing it takes as long as all that a night reads of a small store."""
    stored = _exams(70)
    folder = stored.write_blocks(tmp_path / "copy", BLOCK)

    def rows() -> int:
        kept = KeptResults(folder / FOLDER)
        with open_engine(folder, kept=kept) as engine:
            found: int = period_rows(engine, "values", value_rows, None, None).num_rows
        kept.write()
        return found

    before = rows()
    monkeypatch.setitem(sys.modules, "ibis", None)
    stored.add_ct(START, 200.0)  # its block is read anew
    stored.write_blocks(folder, BLOCK)
    assert rows() == before + 2  # CTDIvol and DLP


@pytest.mark.parametrize(("since", "until"), [(None, None), (date(2026, 1, 15), date(2026, 2, 20))])
def test_values_kept_by_blocks_are_those_made_anew(tmp_path: Path, since: date | None, until: date | None) -> None:
    stored = _exams(70)
    folder = stored.write_blocks(tmp_path / "copy", BLOCK)
    first = _values(folder, since, until, kept=True)
    assert len(first) > 30
    assert first == _values(folder, since, until, kept=False)
    made = {path: path.stat().st_mtime_ns for path in (folder / "blocks").glob("*-values.arrow")}

    stored.add_ct(datetime(2026, 2, 1), 900.0)  # the last block grows
    stored.exams[2]["ct_dlp_mgy_cm"] = 1234.5  # an exam of the first is corrected
    stored.events = [row for row in stored.events if row["exam_id"] != 25]  # the second loses an exam's events
    stored.write_blocks(folder, BLOCK)
    second = _values(folder, since, until, kept=True)
    assert second != first
    assert second == _values(folder, since, until, kept=False)
    now = {path: path.stat().st_mtime_ns for path in (folder / "blocks").glob("*-values.arrow")}
    assert all(now[path] == moment for path, moment in made.items())
    assert len(now) - len(made) == 3
    shutil.rmtree(folder / "blocks")
    assert _values(folder, since, until, kept=True) == second


def test_tables_kept_by_blocks_are_those_made_anew(tmp_path: Path) -> None:
    stored = _exams(70)
    folder = stored.write_blocks(tmp_path / "copy", BLOCK)
    assert _exam_tables(folder, kept=True) == _exam_tables(folder, kept=False)
    stored.add_ct(datetime(2026, 2, 1), 900.0, equipment="CT9")
    stored.add_object("quarantined", reason="cut off")
    stored.exams[2]["equipment"] = "CT8"
    stored.objects[5]["state"] = "duplicate"
    stored.events = [row for row in stored.events if row["exam_id"] != 25]
    stored.write_blocks(folder, BLOCK)
    second = _exam_tables(folder, kept=True)
    assert second == _exam_tables(folder, kept=False)
    assert second == _exam_tables(folder, kept=True)


def test_a_block_without_events_has_its_exams(tmp_path: Path) -> None:
    stored = _exams(45)
    stored.events = [row for row in stored.events if row["exam_id"] > 20]
    folder = stored.write_blocks(tmp_path / "copy", BLOCK)
    assert _values(folder, None, None, kept=True) == _values(folder, None, None, kept=False)


def test_a_period_outside_every_block_is_empty(tmp_path: Path) -> None:
    stored = StoredExams()
    stored.add_ct(START, 100.0)
    folder = stored.write_blocks(tmp_path / "copy", BLOCK)
    assert _values(folder, date(2030, 1, 1), None, kept=True) == []


def test_any_layout_of_the_copy_is_read(tmp_path: Path) -> None:
    stored = _exams(30)
    blocks = stored.write_blocks(tmp_path / "blocks", BLOCK)
    plain = stored.write(tmp_path / "plain")
    assert _values(blocks, None, None, kept=True) == _values(plain, None, None, kept=True)
    assert not (plain / "blocks").exists()


def test_an_empty_copy_has_its_columns(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    write_manifest(folder, Manifest(LAYOUT, BLOCK, {name: {} for name in TABLES}))
    assert _values(folder, None, None, kept=True) == []


def test_a_missing_copy_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuditInputError, match=r"exams\.parquet is missing"), open_engine(tmp_path):
        pass
