"""Keeps the values of each block of exams, so that a night reads anew only the blocks that changed.

An exam's values depend on the exam and its events alone: what is kept for a block bears the hashes of the files that it
was made from, and holds until one of them is another. Mapping, reference levels and period come after.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dose_audit.audit.cohort import value_rows, within

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from dose_audit.audit.engine import Engine
    from dose_audit.store.columns_manifest import CopiedFile

__all__ = ["VALUES_VERSION", "period_values"]

VALUES_VERSION = 1
"""Raise it when `cohort.value_rows` gives other rows for the same exams."""
_KEPT_S = 6 * 3600.0


@dataclass(frozen=True)
class _Block:
    exams: Path
    events: Path | None
    values: Path


def period_values(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    """Return `cohort.value_rows` of a period, once made, for several questions about them.

    Parameters
    ----------
    engine : Engine
    since, until : date, optional
        First and last study date, both included.

    Notes
    -----
    With a copy of the store in blocks, the values of the period's blocks are kept beside it in ``values``; where a
    block's files are those of last time, they are read back. The rows are the same in any case.
    """
    manifest = engine.manifest
    if engine.folder is None or manifest is None or not manifest.files.get("exams"):
        return engine.keep(value_rows(engine, since, until), "value_rows")
    folder = engine.folder / "values"
    folder.mkdir(exist_ok=True)
    none = replace(next(iter(manifest.files["exams"].values())), sha256="")
    blocks, kept = [], set()
    for number, exams in manifest.files["exams"].items():
        events = manifest.files["events"].get(number, none)
        values = folder / f"{_key(exams, events)}.parquet"
        kept.add(values)
        if _touches(engine.folder / exams.file, since, until):
            blocks.append(
                _Block(engine.folder / exams.file, engine.folder / events.file if events.sha256 else None, values)
            )
    if not blocks:
        return engine.keep(value_rows(engine, since, until), "value_rows")
    _make(engine, [block for block in blocks if not block.values.is_file()])
    for path in folder.glob("*.parquet"):
        if path not in kept and time.time() - path.stat().st_mtime > _KEPT_S:
            path.unlink(missing_ok=True)
    rows = engine.connection.read_parquet([str(block.values) for block in blocks], table_name="value_rows")
    return rows.filter(within(rows.study_date, since, until))


def _key(exams: CopiedFile, events: CopiedFile) -> str:
    import duckdb

    # The engine's own hash of the facts is in the rows, and is promised for one version only.
    text = f"{VALUES_VERSION}\n{duckdb.__version__}\n{exams.sha256}\n{events.sha256}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _touches(exams: Path, since: date | None, until: date | None) -> bool:
    """Whether a block may have exams of the period, or without a date, by what its file says of itself."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(exams)
    place = metadata.schema.names.index("study_date")
    for group in range(metadata.num_row_groups):
        known = metadata.row_group(group).column(place).statistics
        if known is None or not known.has_min_max or known.null_count:
            return True
        if (until is None or known.min <= until) and (since is None or known.max >= since):
            return True
    return False


def _make(engine: Engine, blocks: list[_Block]) -> None:
    """Make the values of blocks. The expression is written as SQL once; the views that it reads from change."""
    if not blocks:
        return
    connection: Any = engine.connection
    sql = ""
    for block in blocks:
        _view(connection, "block_exams", block.exams, "")
        # A block without events has the columns all the same.
        any_events = block.events or _any_events(engine)
        _view(connection, "block_events", any_events, "" if block.events else " WHERE FALSE")
        if not sql:
            part = replace(engine, table=lambda name: connection.table(f"block_{name}"))
            sql = str(connection.compile(value_rows(part, None, None)))
        aside = block.values.with_name(f".{block.values.stem}.part")
        connection.raw_sql(f"COPY ({sql}) TO '{_quoted(aside)}' (FORMAT parquet, COMPRESSION zstd)")
        aside.replace(block.values)


def _view(connection: Any, name: str, path: Path, condition: str) -> None:
    connection.raw_sql(
        f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM read_parquet('{_quoted(path)}'){condition}"
    )


def _any_events(engine: Engine) -> Path:
    """A file with the events' columns, for a block that has none."""
    import pyarrow.parquet as pq

    from dose_audit.store.columns_layout import TABLES, arrow_schema

    assert engine.folder is not None
    path = engine.folder / "values" / ".no-events"
    if not path.is_file():
        pq.write_table(arrow_schema(TABLES["events"].columns).empty_table(), path)
    return path


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("'", "''")
