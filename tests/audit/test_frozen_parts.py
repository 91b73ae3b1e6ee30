"""Frozen values by weeks: what other readers find in the file, and that how texts are numbered changes no byte."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dose_audit.audit.frozen_parts import FrozenParts, frozen_parts

START = datetime(2026, 1, 1, 8)


def _table(n: int, seed: int, *, days: float = 60.0, sites: int = 3) -> pa.Table:
    random = np.random.default_rng(seed)
    times = [START + timedelta(days=float(day)) for day in random.uniform(0.0, days, n)]
    return pa.table(
        {
            "exam_ref": pa.array([f"E{i:06d}" for i in range(n)]).dictionary_encode(),
            "site": pa.array([f"Site {i}" for i in random.integers(0, sites, n)]).dictionary_encode(),
            "value": pa.array(random.lognormal(5.0, 0.3, n)),
            "thickness_mm": pa.array([None if i % 3 else float(i) for i in range(n)], pa.float64()),
            "study_datetime": pa.array([None if i % 50 == 0 else at for i, at in enumerate(times)], pa.timestamp("us")),
            "included": pa.array((random.random(n) < 0.9).tolist()),
            "reason": pa.array([None if i % 4 else "" for i in range(n)], pa.string()).dictionary_encode(),
        }
    )


def _parts(table: pa.Table) -> FrozenParts:
    moments = table["study_datetime"].combine_chunks().to_numpy(zero_copy_only=False)
    return frozen_parts(moments, table.take)


def _plain(table: pa.Table) -> list[dict[str, object]]:
    return sorted(table.to_pylist(), key=lambda row: str(row["exam_ref"]))


def test_other_readers_find_every_row_of_the_file(tmp_path: Path) -> None:
    table = _table(500, 1)
    path = tmp_path / "values.parquet"
    _parts(table).write(path)
    assert len(list(path.iterdir())) > 5
    assert _plain(pq.read_table(path)) == _plain(table)
    relation = duckdb.sql(
        f"SELECT count(*), sum(value), count(DISTINCT exam_ref) FROM read_parquet('{path}/*.parquet')"
    )
    [(rows, total, refs)] = relation.fetchall()
    assert (rows, refs) == (500, 500)
    assert total == pytest.approx(sum(table["value"].to_pylist()), rel=1e-12)
    late = pq.read_table(path, filters=[("study_datetime", ">", START + timedelta(days=50))])
    wanted = [
        row for row in table.to_pylist() if row["study_datetime"] and row["study_datetime"] > START + timedelta(50)
    ]
    assert _plain(late) == sorted(wanted, key=lambda row: row["exam_ref"])


def test_weeks_that_are_the_same_have_the_same_bytes_however_texts_are_numbered(tmp_path: Path) -> None:
    """New exams, a late one, a correction and one taken out, night after night: the others' bytes stay."""
    random = np.random.default_rng(5)
    table = _table(800, 2)
    _parts(table).write(tmp_path / "before")
    for night in range(8):
        rows = table.to_pylist()
        kind = night % 4
        if kind in (0, 1):
            at = START + timedelta(days=61 + night if kind == 0 else float(random.uniform(0, 60)))
            rows.append(
                rows[5] | {"exam_ref": f"E{len(rows) + 1000:06d}", "study_datetime": at, "site": f"New {night}"}
            )
        elif kind == 2:
            rows[int(random.integers(1, 40))]["value"] *= 2.0
        else:
            rows.pop(int(random.integers(1, 40)))
        plain = pa.Table.from_pylist(rows, schema=pa.schema([(f.name, _decoded(f.type)) for f in table.schema]))
        table = plain.cast(table.schema)  # with other numbers for the same texts
        _parts(table).write(tmp_path / "now")
        _parts(plain.cast(table.schema)).write(tmp_path / "again")
        assert _weeks(tmp_path / "now") == _weeks(tmp_path / "again")
        changed = len(_weeks(tmp_path / "now") - _weeks(tmp_path / "before"))
        assert changed <= 1
        _parts(table).write(tmp_path / "before")  # what was there and is not any more goes
        assert _weeks(tmp_path / "before") == _weeks(tmp_path / "now")


def _weeks(folder: Path) -> set[tuple[str, bytes]]:
    """The files of a folder, as their bytes."""
    return {(path.name, path.read_bytes()) for path in folder.iterdir()}


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def test_the_hash_knows_every_value_and_no_encoding() -> None:
    table = _table(200, 3)
    whole = _parts(table).sha256
    plain = table.cast(pa.schema([(field.name, _decoded(field.type)) for field in table.schema]))
    assert _parts(plain).sha256 == whole
    words = table["site"].combine_chunks()
    other = pa.DictionaryArray.from_arrays(
        pa.array((words.indices.to_numpy() + 1).tolist(), pa.int32()),
        pa.concat_arrays([pa.array(["unused"]), words.dictionary]),
    )
    assert _parts(table.set_column(1, "site", other)).sha256 == whole
    for name in table.column_names:
        rows = table.to_pylist()
        value = rows[7][name]
        if isinstance(value, bool):
            rows[7][name] = not value
        elif isinstance(value, str):
            rows[7][name] = value + "x"
        elif isinstance(value, datetime):
            rows[7][name] = value + timedelta(microseconds=1)
        else:
            rows[7][name] = None if value is not None else "" if name == "reason" else 0.0
        assert _parts(pa.Table.from_pylist(rows, schema=plain.schema)).sha256 != whole, name


def test_no_rows_are_a_file_too(tmp_path: Path) -> None:
    table = _table(10, 6).slice(0, 0)
    _parts(table).write(tmp_path / "values.parquet")
    found = pq.read_table(tmp_path / "values.parquet")
    assert (found.num_rows, found.column_names) == (0, table.column_names)
