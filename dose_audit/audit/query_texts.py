"""The audit's queries as SQL for DuckDB: each text is worked out once a process, over views that a part of the store is put
behind, a block of the copy or a period of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dose_audit.audit.engine import TABLES
from dose_audit.audit.kept import results_sha256
from dose_audit.audit.quantities import QUANTITIES
from dose_audit.store.columns_layout import LAYOUT

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from dose_audit.audit.engine import Engine

__all__ = ["Rows", "definitions_sha256", "period_query", "query_text", "view_name"]

Rows = Callable[["Engine", "date | None", "date | None"], "ir.Table"]
"""Says which rows the exams of a period give; an open end takes all."""

_TEXTS: dict[tuple[Any, ...], str] = {}
"""By all that decides them. They are few: one for each table that the audit reads, and each layout of the store's copy."""


def view_name(table: str) -> str:
    """Name of the view that a part of a table of the store is put behind."""
    return f"block_{table}"


def query_text(engine: Engine, name: str, rows: Rows) -> str:
    """Return the rows of a part of the store as SQL.

    Parameters
    ----------
    engine : Engine
        DuckDB, with views of the names of `view_name`.
    name : str
        Of the rows, the same for the same ones.
    rows : callable
        Asked for all rows of the part.

    Notes
    -----
    To express the rows and to compile them takes a second for all that an audit reads, whatever the size of the store.
    """
    columns = [
        [column[:2] for column in engine.duckdb.execute(f"SELECT * FROM {view_name(table)} LIMIT 0").description]
        for table in TABLES
    ]
    key = (name, definitions_sha256(), engine.version, str(columns))
    if key not in _TEXTS:
        connection = engine.connection
        part = replace(engine, table=lambda table: connection.table(view_name(table)))
        _TEXTS[key] = str(connection.compile(rows(part, None, None)))
    return _TEXTS[key]


def period_query(engine: Engine, name: str, rows: Rows, since: date | None, until: date | None) -> ir.Table | str:
    """Return a query for the rows of a period, and of exams without a date: of another engine than DuckDB an expression.

    Parameters
    ----------
    engine, name, rows
        See `query_text`; rows that depend on one exam each.
    since, until : date, optional
        First and last study date, both included.
    """
    if engine.duckdb is None:
        return rows(engine, since, until)
    ends = [f"study_date {sign} DATE '{day}'" for sign, day in ((">=", since), ("<=", until)) if day is not None]
    inside = f" WHERE study_date IS NULL OR ({' AND '.join(ends)})" if ends else ""
    for table, rows_of in zip(TABLES, (engine.exams, engine.events, engine.objects), strict=True):
        condition = inside if table == "exams" else ""
        engine.duckdb.execute(
            f"CREATE OR REPLACE TEMP VIEW {view_name(table)} AS SELECT * FROM {rows_of.get_name()}{condition}"
        )
    return query_text(engine, name, rows)


@lru_cache(maxsize=1)
def definitions_sha256() -> str:
    """Hash of all that decides which rows an exam gives, beside its own columns."""
    largest = [(quantity.name, quantity.modalities, quantity.largest) for quantity in QUANTITIES]
    return hashlib.sha256(f"{results_sha256()}{LAYOUT}{largest}".encode()).hexdigest()
