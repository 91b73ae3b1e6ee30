"""The analytical engine behind the audit: DuckDB through Ibis over the store's Parquet files, or PostgreSQL itself.

Everything above this file speaks Ibis expressions, and gets the same rows from both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

__all__ = ["AuditInputError", "Engine", "open_engine"]

TABLES = ("exams", "events", "objects")


class AuditInputError(ValueError):
    """The stored exams cannot be read as the audit expects them: which file, what is missing."""


@dataclass(frozen=True)
class Engine:
    """The three stored tables as Ibis expressions, and the connection that runs them.

    Attributes
    ----------
    exams, events, objects : ibis table
        One row per exam, irradiation event and received object.
    folder : Path, optional
        Of the columnar copy; none where a database answers itself.
    """

    connection: Any
    exams: ir.Table
    events: ir.Table
    objects: ir.Table
    folder: Path | None = None

    def to_arrow(self, expression: ir.Table) -> pa.Table:
        """Run an expression and return its rows."""
        table: pa.Table = self.connection.to_pyarrow(expression)
        return table

    def keep(self, expression: ir.Table, name: str) -> ir.Table:
        """Run an expression once and keep its rows with the engine, for several questions about them."""
        return self.connection.create_table(name, obj=expression, temp=True)


@contextmanager
def open_engine(
    parquet_dir: Path, *, threads: int = 2, memory_limit: str = "2GB", database_url: str | None = None
) -> Iterator[Engine]:
    """Open the stored tables for reading.

    Parameters
    ----------
    parquet_dir : Path
        The store's columnar copy: a folder with a manifest, or with ``exams.parquet``, ``events.parquet`` and
        ``objects.parquet``, each a file or a folder of parts.
    threads : int
        Cores that the engine may use.
    memory_limit : str
        Beyond this DuckDB spills to disk.
    database_url : str, optional
        A store in PostgreSQL, which then answers itself, without the copy.

    Yields
    ------
    Engine

    Raises
    ------
    AuditInputError
        A table is missing.
    """
    import ibis

    if database_url is not None:
        from dose_audit.audit.engine_postgres import connect

        connection, tables = connect(database_url)
        try:
            yield Engine(connection, *(tables[name] for name in TABLES))
        finally:
            connection.disconnect()
        return
    connection = ibis.duckdb.connect(threads=threads, memory_limit=memory_limit)
    try:
        # Row order decides nothing: every result that is kept is sorted by its own key.
        connection.raw_sql("SET preserve_insertion_order = false")
        exams, events, objects = (_open_table(connection, parquet_dir, name) for name in TABLES)
        yield Engine(connection, exams, events, objects, parquet_dir)
    finally:
        connection.disconnect()


def _open_table(connection: Any, folder: Path, name: str) -> ir.Table:
    import ibis

    from dose_audit.store.columns_layout import TABLES as STORED
    from dose_audit.store.columns_layout import arrow_schema
    from dose_audit.store.columns_manifest import parquet_files, read_manifest

    files = parquet_files(folder, name)
    if files:
        return connection.read_parquet([str(file) for file in files], table_name=name)
    if read_manifest(folder) is None:
        raise AuditInputError(f"{folder / name}.parquet is missing: the store has not been copied to Parquet yet.")
    return connection.create_table(name, schema=ibis.schema(arrow_schema(STORED[name].columns)), temp=True)
