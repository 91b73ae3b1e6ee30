"""A frozen run knows what it was made from, and is drawn from nothing but what it wrote."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dose_audit.audit import run_audit
from dose_audit.audit.engine import open_engine
from dose_audit.audit.mapping import approve_mapping
from dose_audit.audit.seal import INPUTS, SEAL, broken_seals, read_from, seal_run
from dose_audit.config import Settings
from dose_audit.drl import ExamMapping, MappingTable
from dose_audit.report import FrozenRunError, render_run

from .stored import StoredExams

NIGHT = datetime(2026, 7, 1, 2, 0)


def _stored() -> StoredExams:
    stored = StoredExams()
    for day in range(25):
        stored.add_ct(datetime(2026, 1, 1, 9) + timedelta(days=day), 300.0 + day, weight_kg=70.0)
    return stored


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Path:
    """Folder with a finished ``run`` and the ``copy`` of the store that it read."""
    from dose_audit.store.settings import prepare

    folder = tmp_path_factory.mktemp("sealed")
    settings = Settings(home=folder / "home")
    copy = _stored().write_blocks(folder / "copy", 20)
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr("dose_audit.store.parquet.refresh_parquet", lambda _: copy)
        prepare(settings)
        rows = (ExamMapping(acquisition_protocol="Chest", examination="ct-chest-lung-cancer", line=2),)
        approve_mapping(MappingTable(rows), approved_by="Tests")
        run_audit(settings, now=NIGHT).run_dir.rename(folder / "run")
    return folder


@pytest.fixture
def run_dir(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def test_a_run_names_what_it_was_made_from(run_dir: Path, made: Path) -> None:
    inputs = json.loads((run_dir / INPUTS).read_text("utf-8"))
    run = json.loads((run_dir / "report.json").read_text("utf-8"))["run"]
    assert run["inputs_sha256"] == hashlib.sha256((run_dir / INPUTS).read_bytes()).hexdigest()
    assert inputs["engine"].startswith("duckdb ")
    for table in ("exams", "events"):
        blocks = inputs["copy"]["files"][table]
        files = {path.stem: path for path in (made / "copy" / f"{table}.parquet").iterdir()}
        assert {f"{int(block):06d}": entry["sha256"] for block, entry in blocks.items()} == {
            stem: hashlib.sha256(path.read_bytes()).hexdigest() for stem, path in files.items()
        }
    assert sum(block["rows"] for block in inputs["copy"]["files"]["exams"].values()) == 25
    assert inputs["mapping"]["version"] == 1
    assert [entry["edition"] for entry in inputs["drl_sets"]] == ["2024-11-20"]
    assert inputs["algorithms"] == run["versions"]["algorithms"]
    assert broken_seals(run_dir) == []


def test_drawn_again_it_is_the_same_to_the_byte(run_dir: Path, tmp_path: Path) -> None:
    wanted = ("html", "xlsx", "json")
    first = [path.read_bytes() for path in render_run(run_dir, tmp_path / "first", formats=wanted).made(wanted)]
    second = [path.read_bytes() for path in render_run(run_dir, tmp_path / "second", formats=wanted).made(wanted)]
    assert len(first) == 3
    assert first == second


@pytest.mark.parametrize("name", ["report.json", "values.parquet/2025-12-29.parquet", INPUTS])
def test_a_changed_file_is_named_and_nothing_is_drawn(run_dir: Path, tmp_path: Path, name: str) -> None:
    path = run_dir / name
    path.write_bytes(path.read_bytes().rstrip() + b" \n")
    with pytest.raises(FrozenRunError, match=rf"no longer the run that was frozen: {name} was changed after the run"):
        render_run(run_dir, tmp_path / "again")
    path.unlink()
    with pytest.raises(FrozenRunError, match=name):
        render_run(run_dir, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_values_that_were_added_are_named(run_dir: Path) -> None:
    week = run_dir / "values.parquet" / "2026-01-05.parquet"
    shutil.copy(week, week.with_name("2026-06-01.parquet"))
    assert broken_seals(run_dir) == ["values.parquet/2026-06-01.parquet was put there after the run."]


def test_a_run_of_a_version_that_wrote_one_file_of_values_is_drawn_as_it_was(run_dir: Path, tmp_path: Path) -> None:
    weeks = render_run(run_dir, tmp_path / "weeks", formats=("html", "csv", "xlsx"))
    values = pq.read_table(run_dir / "values.parquet")
    shutil.rmtree(run_dir / "values.parquet")
    pq.write_table(values, run_dir / "values.parquet")
    seal_run(run_dir)
    assert set(json.loads((run_dir / SEAL).read_text("utf-8"))) == {"report.json", "values.parquet", INPUTS}
    whole = render_run(run_dir, tmp_path / "whole", formats=("html", "csv", "xlsx"))
    assert whole.html.read_bytes() == weeks.html.read_bytes()
    assert [path.read_bytes() for path in whole.made(("csv", "xlsx"))] == [
        path.read_bytes() for path in weeks.made(("csv", "xlsx"))
    ]


def test_a_seal_that_was_taken_away_or_damaged_is_no_seal(run_dir: Path) -> None:
    (run_dir / SEAL).write_text("{}")
    assert broken_seals(run_dir) == ["seal.json is damaged."]
    (run_dir / SEAL).unlink()
    assert broken_seals(run_dir) == ["seal.json is missing: the run was not finished, or its seal was taken away."]


def test_what_a_run_read_tells_which_block_is_another_now(run_dir: Path, tmp_path: Path) -> None:
    before = json.loads((run_dir / INPUTS).read_text("utf-8"))["copy"]["files"]
    stored = _stored()
    stored.exams[22]["ct_dlp_mgy_cm"] = 999.0  # in the second block of twenty
    with open_engine(stored.write_blocks(tmp_path / "copy", 20)) as engine:
        now = read_from(engine)["copy"]["files"]
    assert before.keys() == now.keys()
    changed = [
        (table, n)
        for table in now
        for n, block in enumerate(sorted(now[table]))
        if now[table][block] != before[table].get(block)
    ]
    assert changed == [("exams", 1)]
