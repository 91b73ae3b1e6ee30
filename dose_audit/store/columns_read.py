"""Reads the store in one snapshot, column by column: from SQLite's file, or out of PostgreSQL by ``COPY``.

SQLite's file has two readers. Python's own is for the process that also writes to the store. The other reads into Arrow's
columns at twice the speed, but brings an SQLite of its own, and two of these in one process take away each other's locks on
a file (https://www.sqlite.org/howtocorrupt.html, section 2.2.1): it is for processes that do nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dose_audit.store.columns_arrays import arrow_table
from dose_audit.store.columns_layout import TABLES, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.config import Settings

__all__ = ["Reader", "open_reader", "open_sqlite", "sqlite_columns"]

_FETCH_ROWS = 4_000
_BATCH_ROWS = 65_536
_MAPPED_BYTES = 2_147_418_112
"""SQLite's most: rows of a mapped file are read half as fast again."""


class Reader(Protocol):
    """One snapshot of the store: all that it returns is of one moment, and nobody waits for it."""

    micros: str
    """SQL for the fraction of ``updated_at`` in microseconds, a whole number."""
    file: Path | None
    """SQLite's file, which further processes may read too."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""

    def table(self, name: str, first: int, last: int) -> pa.Table:
        """Rows of a table of the copy whose key lies from `first` to `last`, both included."""


@contextmanager
def open_reader(settings: Settings) -> Iterator[Reader]:
    """Open a snapshot of the store of these settings, for which Django must be set up."""
    from django.db import connection, transaction

    if connection.vendor == "sqlite":
        with open_sqlite(settings.database_path) as reader:
            yield reader
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # COPY prints times as the session shows them.
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        cursor.execute("SET LOCAL datestyle TO ISO")
        yield _Postgres(connection.connection)


@contextmanager
def open_sqlite(path: Path) -> Iterator[Reader]:
    """Open a snapshot of a store in SQLite."""
    import sqlite3

    # A connection of our own: Django's takes the write lock when a transaction begins, and reading needs none.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA mmap_size={_MAPPED_BYTES}")
        connection.execute("BEGIN")
        yield _Sqlite(connection, path)


def sqlite_columns(
    path: Path, blocks: Mapping[str, tuple[int, int]], *, batch_rows: int = _BATCH_ROWS
) -> list[pa.Table]:
    """Read parts of tables of the copy out of a store in SQLite, from one snapshot, straight into Arrow's columns.

    Parameters
    ----------
    path : Path
        Must not be open in this process by Python's ``sqlite3``, nor by Django.
    blocks : mapping
        Name of a table → the first and the last key to read.
    batch_rows : int
        Rows that the driver hands over at a time.

    Raises
    ------
    ValueError, OSError
        A text in a column of numbers.

    Notes
    -----
    The driver takes a column's type from what stands in its first rows. So the first row is one of ours, which has every
    type, and is dropped again; a value of another type than the layout's is then an error and never another value.
    """
    import pyarrow as pa
    from adbc_driver_sqlite import dbapi

    uri = f"{path.absolute().as_uri()}?mode=ro"
    # Without ``autocommit`` the driver begins a transaction, which is the snapshot.
    with closing(dbapi.connect(uri)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"PRAGMA mmap_size={_MAPPED_BYTES}")
        cursor.fetchall()
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(batch_rows)})
        tables = []
        for name, (first, last) in blocks.items():
            source = TABLES[name]
            typed = ", ".join(_TYPED.get(column.type, "''") for column in source.columns)
            cursor.execute(source.select(first, last, ahead=typed))
            found = cursor.fetch_arrow_table()
            for column, kind in zip(source.columns, found.schema.types, strict=True):
                if column.type in _TYPED and pa.types.is_string(kind):
                    raise ValueError(f"the store has a text where {name}.{column.name} is a number")
            tables.append(arrow_table(source.columns, found.slice(1).columns))
        return tables


_TYPED = {"key": "-1", "count": "-1", "flag": "-1", "number": "0.5"}
"""A value of each type as SQLite keeps it; all others are text. Below any key, so that it sorts first."""


class _Sqlite:
    micros = "CAST(substr(updated_at, 21) AS INTEGER)"

    def __init__(self, connection: Any, file: Path) -> None:
        self.connection = connection
        self.file: Path | None = file

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.connection.execute(query).fetchall()
        return found

    def table(self, name: str, first: int, last: int) -> pa.Table:
        import pyarrow as pa

        source = TABLES[name]
        parts = [arrow_schema(source.columns).empty_table()]
        cursor = self.connection.execute(source.select(first, last))
        while rows := cursor.fetchmany(_FETCH_ROWS):
            parts.append(arrow_table(source.columns, list(zip(*rows, strict=True))))
        return pa.concat_tables(parts)


class _Postgres:
    micros = "CAST(EXTRACT(MICROSECONDS FROM updated_at) AS BIGINT)"
    file: Path | None = None

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            found: list[tuple[Any, ...]] = cursor.execute(query).fetchall()
        return found

    def table(self, name: str, first: int, last: int) -> pa.Table:
        import pyarrow as pa
        from pyarrow import csv

        source = TABLES[name]
        sink = pa.BufferOutputStream()
        query = f"COPY ({source.select(first, last)}) TO STDOUT (FORMAT csv)"
        with self.connection.cursor() as cursor, cursor.copy(query) as copied:
            for part in copied:
                sink.write(part)
        data = sink.getvalue()
        if data.size == 0:
            return arrow_schema(source.columns).empty_table()
        types = {
            "key": pa.int64(), "count": pa.int32(), "number": pa.float64(), "flag": pa.bool_(), "date": pa.date32(),
            "time": pa.timestamp("us"), "instant": pa.timestamp("us", tz="UTC"),
        }  # fmt: skip
        read = csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(
                column_names=[column.name for column in source.columns], use_threads=False, block_size=1 << 24
            ),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types={column.name: types.get(column.type, pa.string()) for column in source.columns},
                null_values=[""], true_values=["t"], false_values=["f"],
                # COPY writes an absent text as nothing and an empty one in quotes.
                strings_can_be_null=True, quoted_strings_can_be_null=False,
            ),
        )  # fmt: skip
        columns = [
            column.cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us")) if layout.type == "instant" else column
            for layout, column in zip(source.columns, read.columns, strict=True)
        ]
        return arrow_table(source.columns, columns)
