"""Tables of a period's exams, kept by blocks of the store, so that a night makes anew only those of the blocks that
changed.

What is said of an exam here depends on the exam and its events alone: a block's rows bear the hashes of the files that
they were made from, and hold until one of them is another. Mapping, reference levels and period come after.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dose_audit.audit.engine import TABLES
from dose_audit.audit.numbering import with_sorted_words
from dose_audit.audit.query_texts import Rows, definitions_sha256, period_query, query_text, view_name
from dose_audit.store.columns_layout import LAYOUT

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.engine import Engine
    from dose_audit.audit.kept import KeptResults

__all__ = [
    "Block",
    "Rows",
    "blocks_folder",
    "forget_blocks",
    "inside",
    "period_blocks",
    "period_rows",
    "rows_of_blocks",
    "sums_by_block",
    "together",
]

_FOLDER = "blocks"
_KEY_LETTERS = 32
_KEPT_S = 6 * 3600.0  # another run may be reading
_READ = {"exams": ("exams", "events"), "objects": ("objects",)}
"""Tables of the store that a block of exams, or of objects, is made of."""


@dataclass(frozen=True)
class Block:
    """A block of the copy: its number, its files by table, and a hash of those and of what is made of them."""

    number: str
    key: str
    files: Mapping[str, Path | None]


def period_rows(
    engine: Engine, name: str, rows: Rows, since: date | None, until: date | None, *, without: Sequence[str] = ()
) -> pa.Table:
    """Return the rows of a period's exams, texts as numbers into their distinct values.

    Parameters
    ----------
    engine : Engine
    name : str
        Of the table, the same for the same rows.
    rows : callable
        With a column `study_date`, and rows that depend on one exam each.
    since, until : date, optional
        First and last study date, both included; rows without a date are part of every period.
    without : sequence of str
        Columns that are left out of what is returned.

    Notes
    -----
    With a copy of the store in blocks the rows of the period's blocks are kept beside it, a file a block; where the files
    that a block was made from are those of last time they are read back. The rows are the same in any case, their order
    is not.
    """
    blocks = period_blocks(engine, since, until)
    if not blocks:
        return engine.to_encoded(period_query(engine, name, rows, since, until), without)
    return together([inside(part, since, until) for part in rows_of_blocks(engine, name, rows, blocks, without)])


def period_blocks(engine: Engine, since: date | None, until: date | None) -> list[Block]:
    """Blocks that may have exams of a period, or without a date, in their order; none where nothing may be kept of them."""
    return _blocks_of(engine, "exams", since, until)


def rows_of_blocks(
    engine: Engine, name: str, rows: Rows, blocks: Sequence[Block], without: Sequence[str] = ()
) -> list[pa.Table]:
    """Rows of each block, whatever their dates: made where they are not kept, and read back."""
    folder = blocks_folder(engine)
    paths = [folder / f"{block.key}-{name}.arrow" for block in blocks]
    made = [(block, path) for block, path in zip(blocks, paths, strict=True) if not path.is_file()]
    sql = _sql_by_block(engine, name, rows) if made else ""
    for block, path in made:
        _look_at(engine, block)
        _write(path, engine.duckdb.sql(sql).to_arrow_table())
    return [_read(path, without) for path in paths]


def sums_by_block(
    engine: Engine,
    name: str,
    rows: Rows,
    since: date | None = None,
    until: date | None = None,
    *,
    of: str = "exams",
    from_rows: str = "",
) -> pa.Table:
    """Return a few rows for every block, such as counts, for the caller to add up.

    Parameters
    ----------
    engine : Engine
    name : str
        Of the table, the same for the same rows.
    rows : callable
        What a part of the store gives.
    since, until : date, optional
        Only blocks that have exams of this period, or without a date, but these whole.
    of : str
        ``exams``, with their events, or ``objects``.
    from_rows : str
        Name of a table of `period_rows`, read before, that a part of the store has too.

    Notes
    -----
    Of a copy in blocks what each gave is kept, all in one file; of any other store the rows are those of the whole.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    blocks = _blocks_of(engine, of, since, until)
    if not blocks:
        return engine.to_arrow(period_query(engine, name, rows, since, until))
    path = blocks_folder(engine) / f"{name}.parquet"
    parts, known = [], set()
    if path.is_file():
        former = pq.ParquetFile(path).read()
        known = set(json.loads(former.schema.metadata[b"blocks"])) & {block.key for block in blocks}
        if known:
            parts.append(former.filter(pc.is_in(former["block"], value_set=pa.array(sorted(known), pa.string()))))
    missing = [block for block in blocks if block.key not in known]
    if missing and from_rows:
        _look_at_rows(engine, missing[0], from_rows)
    sql = _sql_by_block(engine, name, rows) if missing else ""
    for block in missing:
        if from_rows:
            _look_at_rows(engine, block, from_rows)
        else:
            _look_at(engine, block)
        table = engine.duckdb.sql(sql).to_arrow_table()
        parts.append(table.append_column("block", pa.array([block.key] * table.num_rows, pa.string())))
    found = pa.concat_tables([_plain(part) for part in parts])
    if missing:
        aside = path.with_name(f".{name}.{secrets.token_hex(4)}.part")
        pq.write_table(found.replace_schema_metadata({"blocks": json.dumps([block.key for block in blocks])}), aside)
        aside.replace(path)
    return found.drop_columns(["block"])


def forget_blocks(engine: Engine) -> None:
    """Delete what was kept of blocks that are not the store's any more."""
    if engine.folder is None or not _keeps(engine) or not (engine.folder / _FOLDER).is_dir():
        return
    current = {block.key for block in _blocks(engine, "exams")}
    for path in (engine.folder / _FOLDER).iterdir():
        of_block = len(path.name.partition("-")[0]) == _KEY_LETTERS
        stale = path.suffix == ".part" or (of_block and path.name[:_KEY_LETTERS] not in current)
        if stale and time.time() - path.stat().st_mtime > _KEPT_S:
            path.unlink(missing_ok=True)


def _keeps(engine: Engine) -> bool:
    return engine.kept is not None and engine.kept.lasting


def blocks_folder(engine: Engine) -> Path:
    """Where what is kept of blocks lies."""
    assert engine.folder is not None
    folder = engine.folder / _FOLDER
    folder.mkdir(exist_ok=True)
    return folder


def _blocks(engine: Engine, of: str) -> list[Block]:
    """The store's blocks in their order; none where nothing may be kept of them."""
    manifest = engine.manifest
    if engine.folder is None or manifest is None or not _keeps(engine) or not manifest.files.get(of):
        return []
    import duckdb

    found = []
    for number in sorted(manifest.files[of], key=lambda number: (len(number), number)):
        parts = {name: manifest.files[name].get(number) for name in _READ[of]}
        hashes = [part.sha256 if part else "" for part in parts.values()]
        # The engine's own hash of the facts is in the rows, and is promised for one version only.
        text = "\n".join([definitions_sha256(), duckdb.__version__, of, *hashes])
        files = {name: engine.folder / part.file if part else None for name, part in parts.items()}
        found.append(Block(number, hashlib.sha256(text.encode()).hexdigest()[:_KEY_LETTERS], files))
    return found


def _blocks_of(engine: Engine, of: str, since: date | None, until: date | None) -> list[Block]:
    """Blocks that may have exams of the period, or without a date; of objects all."""
    blocks = _blocks(engine, of)
    if of != "exams" or (since is None and until is None):
        return blocks
    found = []
    for block in blocks:
        days = _kept(engine).result("days of a block", (block.key,), partial(_days, block))
        if days is None or not ((until and days[0] > until.isoformat()) or (since and days[1] < since.isoformat())):
            found.append(block)
    return found


def _days(block: Block) -> list[str] | None:
    """First and last study date of a block's exams, by what its file says of itself; None where one has no date."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(block.files["exams"])
    place = metadata.schema.names.index("study_date")
    known = [metadata.row_group(group).column(place).statistics for group in range(metadata.num_row_groups)]
    if not known or any(one is None or not one.has_min_max or one.null_count for one in known):
        return None
    return [min(one.min for one in known).isoformat(), max(one.max for one in known).isoformat()]


def _sql_by_block(engine: Engine, name: str, rows: Rows) -> str:
    """The rows of a block as SQL, which reads views that another block can be put behind."""
    for source in TABLES:
        _view(engine, source, _no_rows(engine, source))
    sql: str = _kept(engine).result(
        f"sql of {name}",
        (definitions_sha256(), version("ibis-framework"), engine.version),
        lambda: query_text(engine, name, rows),
    )
    return sql


def _kept(engine: Engine) -> KeptResults:
    assert engine.kept is not None
    return engine.kept


def _look_at(engine: Engine, block: Block) -> None:
    for name, path in block.files.items():
        # A block without events has the columns all the same.
        _view(engine, name, path or _no_rows(engine, name))


def _view(engine: Engine, name: str, path: Path) -> None:
    engine.duckdb.execute(
        f"CREATE OR REPLACE TEMP VIEW {view_name(name)} AS SELECT * FROM read_parquet('{_quoted(path)}')"
    )


def _no_rows(engine: Engine, name: str) -> Path:
    """A file with the columns of a table."""
    import pyarrow.parquet as pq

    from dose_audit.store.columns_layout import TABLES, arrow_schema

    path = blocks_folder(engine) / f".no-{name}-{LAYOUT}"
    if not path.is_file():
        aside = path.with_suffix(f".{secrets.token_hex(4)}.part")
        pq.write_table(arrow_schema(TABLES[name].columns).empty_table(), aside)
        aside.replace(path)
    return path


def _look_at_rows(engine: Engine, block: Block, name: str) -> None:
    engine.duckdb.register(view_name(name), _read(blocks_folder(engine) / f"{block.key}-{name}.arrow"))


def _write(path: Path, table: pa.Table) -> None:
    """Write the rows of a block as they are read back fastest, columns of few texts as numbers into them."""
    import pyarrow as pa
    import pyarrow.ipc as ipc

    from dose_audit.audit.engine import LONG_TEXTS as long_texts

    table = _plain(table.combine_chunks())
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) and field.name not in long_texts:
            table = table.set_column(place, field.name, table[field.name].dictionary_encode())
    aside = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part")
    options = ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(aside), "wb") as sink, ipc.new_file(sink, table.schema, options=options) as file:
        file.write_table(table)
    aside.replace(path)


def _read(path: Path, without: Sequence[str] = ()) -> pa.Table:
    import pyarrow as pa
    import pyarrow.ipc as ipc

    with pa.OSFile(str(path)) as source:
        names = ipc.open_file(source).schema.names
        wanted = [place for place, name in enumerate(names) if name not in without]
        return ipc.open_file(source, options=ipc.IpcReadOptions(included_fields=wanted)).read_all()


def inside(table: pa.Table, since: date | None, until: date | None) -> pa.Table:
    """The rows of the period, and those without a date."""
    import pyarrow as pa
    import pyarrow.compute as pc

    day = table["study_date"]
    first, last = pc.min_max(day).values()
    if not first.is_valid or ((since is None or first.as_py() >= since) and (until is None or last.as_py() <= until)):
        return table
    outside = pa.scalar(False)
    if since is not None:
        outside = pc.or_(outside, pc.less(day, pa.scalar(since)))
    if until is not None:
        outside = pc.or_(outside, pc.greater(day, pa.scalar(until)))
    return table.filter(pc.invert(pc.fill_null(outside, False)))


def together(parts: list[pa.Table]) -> pa.Table:
    """One table of many, column by column: none is there twice for longer than it takes to copy it."""
    import pyarrow as pa

    schema, columns = parts[0].schema, []
    for name in schema.names:
        column = pa.concat_tables([part.select([name]) for part in parts])
        array = column.unify_dictionaries().combine_chunks().column(0)
        columns.append(with_sorted_words(array.chunk(0)) if _is_encoded(array) else array)
        parts[:] = [part.drop_columns([name]) for part in parts]
    return pa.Table.from_arrays(columns, schema=schema)


def _is_encoded(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_dictionary(column.type)) and column.num_chunks == 1


def _plain(table: pa.Table) -> pa.Table:
    """The same with nothing said of the columns but their types: of some blocks the engine knows more than of others."""
    import pyarrow as pa

    return pa.Table.from_arrays(table.columns, schema=pa.schema([(field.name, field.type) for field in table.schema]))


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("'", "''")
