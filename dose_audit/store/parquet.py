"""The columnar copy of the store that the audit reads: Parquet files of which only the changed ones are written anew."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dose_audit.config import Settings
from dose_audit.locks import lock_file
from dose_audit.store.columns_changes import Changes, find_changes, look
from dose_audit.store.columns_layout import LAYOUT, TABLES, Column, arrow_schema
from dose_audit.store.columns_manifest import (
    CopiedFile,
    Manifest,
    file_sha256,
    parquet_files,
    read_manifest,
    write_manifest,
)
from dose_audit.store.columns_read import Reader, open_reader, sqlite_columns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BLOCK_ROWS", "TABLES", "Column", "parquet_files", "read_table", "refresh_parquet"]

BLOCK_ROWS = 32_768
"""Exams in one file of the copy: few files at ten million exams, and little to write anew for one changed exam."""
_APART_FROM = 20_000  # exams and objects from which on processes of their own are worth their start
_KEPT_S = 6 * 3600.0  # an audit that reads the last state of the copy may finish

_Written = list[tuple[str, int, CopiedFile | None]]


def refresh_parquet(settings: Settings, *, block_rows: int = BLOCK_ROWS) -> Path:
    """Bring the Parquet copy up to date.

    Parameters
    ----------
    settings : Settings
        Django must be set up for them.
    block_rows : int
        Exams (or objects) in one file; another number than last time makes the whole copy anew.

    Returns
    -------
    Path
        Folder of the copy: ``manifest.json`` names the files of ``exams``, ``events`` and ``objects``; `parquet_files`
        and `read_table` read it.

    Notes
    -----
    A block holds the exams of a range of numbers with their events, or a range of objects. Only blocks with a row that
    was added, changed or deleted since are written, each file aside and under a name of its own; the manifest is
    replaced last, in one step, so that a stop at any moment leaves the former state whole. Writers to the store wait
    for nothing. Files that no longer count are kept for six hours, for an audit that reads them.
    """
    folder = settings.parquet_dir
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder), open_reader(settings) as reader:
        former = read_manifest(folder)
        if former is not None and (former.layout, former.block_rows) != (LAYOUT, block_rows):
            former = None
        if former is not None and not _all_there(folder, former):
            former = None
        now = look(reader, block_rows)
        if former is None:
            _clear_older_layout(folder)
            manifest = Manifest(LAYOUT, block_rows, {name: {} for name in TABLES})
            changes = _everything(reader, block_rows)
        else:
            manifest = Manifest(LAYOUT, block_rows, {name: dict(blocks) for name, blocks in former.files.items()})
            held = {name: {b: f.stored for b, f in former.files[name].items() if b != _TALLIES} for name in TABLES}
            changes = find_changes(reader, former.seen, now, block_rows, held)
            if former.seen == now and not (changes.exams or changes.objects or changes.tallies):
                return folder
        for name, block, file in _write_blocks(reader, folder, changes, block_rows, now, settings.workers):
            manifest.files[name].pop(str(block), None)
            if file is not None:
                manifest.files[name][str(block)] = file
        if changes.tallies:
            written = _write_file(folder, "objects", _TALLIES, _without_row(now["tallies"]), stored=0)
            assert written is not None
            manifest.files["objects"][_TALLIES] = written
        manifest.seen = now
        write_manifest(folder, manifest)
        _clear(folder, former, manifest)
    return folder


def read_table(folder: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table of the copy.

    Parameters
    ----------
    folder : Path
        From `refresh_parquet`.
    name : str
        ``exams``, ``events`` or ``objects``.
    columns : sequence of str, optional
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = parquet_files(folder, name)
    schema = arrow_schema(TABLES[name].columns)
    parts = [pq.read_table(file, columns=None if columns is None else list(columns)) for file in files]
    return pa.concat_tables(parts) if parts else schema.empty_table()


_TALLIES = "tallies"
"""The one file of objects that the store only counts."""


def _everything(reader: Reader, block_rows: int) -> Changes:
    changes = Changes(tallies=True)
    for stored, blocks in (("store_exam", changes.exams), ("store_receivedobject", changes.objects)):
        blocks.update(b for (b,) in reader.rows(f"SELECT DISTINCT (id - 1) / {block_rows} FROM {stored}"))
    return changes


def _write_blocks(
    reader: Reader, folder: Path, changes: Changes, block_rows: int, now: dict[str, Any], workers: int
) -> Iterator[tuple[str, int, CopiedFile | None]]:
    """Write the blocks; many of them in processes of their own, where the store is a file that they can read."""
    work = [("exams", block) for block in sorted(changes.exams)] + [("objects", b) for b in sorted(changes.objects)]
    blocks = {"exams": changes.exams, "objects": changes.objects}
    rows = sum(min(len(blocks[name]) * block_rows, now[name]["total"][0]) for name in blocks)
    if reader.file is None or rows < _APART_FROM:
        parts = [(block, _parts(name, block, block_rows)) for name, block in work]
        return chain.from_iterable(
            _write_block(folder, block, [(part, reader.table(part, *keys)) for part, keys in found.items()])
            for block, found in parts
        )
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    shares = max(1, min(workers, os.cpu_count() or 1, len(work)))
    with ProcessPoolExecutor(shares, mp_context=get_context("spawn")) as pool:
        written = [pool.submit(_write_apart, reader.file, folder, name, block, block_rows) for name, block in work]
        return iter([entry for part in written for entry in part.result()])


def _parts(name: str, block: int, block_rows: int) -> dict[str, tuple[int, int]]:
    """What a block is of each table: the first and the last key."""
    keys = block * block_rows + 1, (block + 1) * block_rows
    return dict.fromkeys(("exams", "events") if name == "exams" else (name,), keys)


def _write_apart(store: Path, folder: Path, name: str, block: int, block_rows: int) -> _Written:
    """Write a block in a process of its own, from a later snapshot: what is newer there is written again next time."""
    parts = _parts(name, block, block_rows)
    return _write_block(folder, block, zip(parts, sqlite_columns(store, parts), strict=True))


def _write_block(folder: Path, block: int, tables: Iterable[tuple[str, pa.Table]]) -> _Written:
    return [(name, block, _write_file(folder, name, block, table)) for name, table in tables]


def _write_file(
    folder: Path, name: str, block: int | str, table: pa.Table, *, stored: int | None = None
) -> CopiedFile | None:
    """Write one file under a name that was never used; None for an empty block."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if stored is None:
        stored = pc.sum(pc.greater(table["object_id"], 0)).as_py() if name == "objects" else table.num_rows
        if table.num_rows == 0:
            return None
    number = f"{block:06d}" if isinstance(block, int) else block
    file = f"{name}.parquet/{number}-{secrets.token_hex(6)}.parquet"
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as sink:
        pq.write_table(table, sink, compression="zstd", compression_level=1)
        sink.flush()
        os.fsync(sink.fileno())
    return CopiedFile(file, table.num_rows, stored or 0, file_sha256(path))


def _without_row(tallies: list[list[Any]]) -> pa.Table:
    """Objects without a row in the store: duplicates turned away at the door, and what still waits."""
    import pyarrow as pa

    reasons = {"duplicate": "the same object came before (at the door)", "pending": "waiting in the spool"}
    states = [name for name, count in tallies if name in reasons for _ in range(count)]
    schema = arrow_schema(TABLES["objects"].columns)
    known = {
        "object_id": pa.array([number - (1 << 62) for number in range(1, len(states) + 1)], pa.int64()),
        "state": pa.array(states, pa.string()),
        "reason": pa.array([reasons[state] for state in states], pa.string()),
        "size_bytes": pa.array([0] * len(states), pa.int64()),
    }
    arrays = [known.get(field.name, pa.nulls(len(states), field.type)) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _all_there(folder: Path, manifest: Manifest) -> bool:
    return all((folder / file.file).is_file() for blocks in manifest.files.values() for file in blocks.values())


def _clear(folder: Path, former: Manifest | None, manifest: Manifest) -> None:
    """Remove files that have not counted for six hours."""
    named = {name for table in TABLES for name in manifest.names(table)}
    if former is not None:
        for name in {name for table in TABLES for name in former.names(table)} - named:
            (folder / name).touch()  # from now on it does not count
    for table in TABLES:
        for path in (folder / f"{table}.parquet").glob("*.parquet"):
            if f"{table}.parquet/{path.name}" not in named and time.time() - path.stat().st_mtime > _KEPT_S:
                path.unlink(missing_ok=True)


def _clear_older_layout(folder: Path) -> None:
    """Make room where each table was one file."""
    for table in TABLES:
        if (folder / f"{table}.parquet").is_file():
            (folder / f"{table}.parquet").unlink()
    (folder / "stamp.json").unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder, so that two refreshes come one after the other."""
    with (folder / ".lock").open("w") as file:
        lock_file(file.fileno())
        yield
