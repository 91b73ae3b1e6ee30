"""The analytical engine behind the audit: DuckDB through Ibis over the store's Parquet files.

Everything above this file speaks Ibis expressions, so that another engine that Ibis knows can take DuckDB's
place.
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
    """

    connection: Any
    exams: ir.Table
    events: ir.Table
    objects: ir.Table

    def to_arrow(self, expression: ir.Table) -> pa.Table:
        """Run an expression and return its rows."""
        table: pa.Table = self.connection.to_pyarrow(expression)
        return table

    def keep(self, expression: ir.Table, name: str) -> ir.Table:
        """Run an expression once and keep its rows with the engine, for several questions about them."""
        return self.connection.create_table(name, obj=expression, temp=True)


@contextmanager
def open_engine(parquet_dir: Path, *, threads: int = 2, memory_limit: str = "2GB") -> Iterator[Engine]:
    """Open the Parquet folder that the store keeps.

    Parameters
    ----------
    parquet_dir : Path
        Folder with ``exams.parquet``, ``events.parquet`` and ``objects.parquet``, each a file or a folder of
        parts.
    threads : int
        Cores that the engine may use.
    memory_limit : str
        Beyond this DuckDB spills to disk.

    Yields
    ------
    Engine

    Raises
    ------
    AuditInputError
        A table is missing.
    """
    import ibis

    connection = ibis.duckdb.connect(threads=threads, memory_limit=memory_limit)
    try:
        # Row order decides nothing: every result that is kept is sorted by its own key.
        connection.raw_sql("SET preserve_insertion_order = false")
        yield Engine(connection, *(_open_table(connection, parquet_dir, name) for name in TABLES))
    finally:
        connection.disconnect()


def _open_table(connection: Any, folder: Path, name: str) -> ir.Table:
    path = folder / f"{name}.parquet"
    if path.is_dir():
        return connection.read_parquet(str(path / "**" / "*.parquet"), table_name=name)
    if not path.is_file():
        raise AuditInputError(f"{path} is missing: the store has not been copied to Parquet yet.")
    return connection.read_parquet(str(path), table_name=name)
