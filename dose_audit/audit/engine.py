"""The analytical engine behind the audit: DuckDB through Ibis over the store's Parquet files, or PostgreSQL itself.

Everything above this file speaks Ibis expressions, and gets the same rows from both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from dose_audit.audit.kept import KeptResults
    from dose_audit.config import Settings
    from dose_audit.store.columns_manifest import Manifest

__all__ = ["AuditInputError", "Engine", "copy_or_database", "open_engine", "open_store"]

TABLES = ("exams", "events", "objects")
LONG_TEXTS = ("pseudonym",)
"""Columns with about as many texts as rows: all others are held as numbers into their words."""
_BATCH_ROWS = 100_000


class AuditInputError(ValueError):
    """The stored exams cannot be read as the audit expects them: which file, what is missing."""


@dataclass(frozen=True)
class Engine:
    """The stored tables as Ibis expressions, each opened when first asked for, and the connection that runs them.

    Attributes
    ----------
    name, version : str
        Of the engine: ``duckdb`` or ``postgres``.
    connect : callable
        Gives the Ibis backend. Where the texts of all queries are known nobody asks for it, and Ibis is not imported, which
        takes as long as a night's whole reading of a small store.
    table : callable
        Gives ``exams``, ``events`` or ``objects`` by name.
    duckdb : DuckDB connection, optional
        None where a database answers itself.
    folder : Path, optional
        Of the columnar copy; none where a database answers itself.
    manifest : Manifest, optional
        The copy's state when it was opened: the files that are read, whatever is written meanwhile.
    kept : KeptResults, optional
        Where given, what blocks of the copy gave is kept beside it.
    """

    name: str
    version: str
    connect: Callable[[], Any]
    table: Callable[[str], ir.Table]
    duckdb: Any = None
    folder: Path | None = None
    manifest: Manifest | None = None
    kept: KeptResults | None = None

    @property
    def connection(self) -> Any:
        """The Ibis backend."""
        return self.connect()

    @cached_property
    def exams(self) -> ir.Table:
        """One row per exam."""
        return self.table("exams")

    @cached_property
    def events(self) -> ir.Table:
        """One row per irradiation event."""
        return self.table("events")

    @cached_property
    def objects(self) -> ir.Table:
        """One row per received object."""
        return self.table("objects")

    def exams_stored(self) -> int:
        """How many exams there are, whatever their date."""
        if self.manifest is not None:
            return sum(file.rows for file in self.manifest.files.get("exams", {}).values())
        return int(self.exams.count().execute())

    def to_arrow(self, query: ir.Table | str) -> pa.Table:
        """Run an expression, or DuckDB's SQL, and return its rows."""
        if isinstance(query, str):
            return self.duckdb.sql(query).to_arrow_table()
        table: pa.Table = self.connection.to_pyarrow(query)
        return table

    def to_encoded(self, query: ir.Table | str, without: Sequence[str] = ()) -> pa.Table:
        """Run an expression, or DuckDB's SQL, and return its rows, but for some columns, with texts as numbers into their
        distinct values.

        A period's rows are millions with few distinct texts: encoded batch by batch as they come, they take a fraction
        of the memory.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        with self._batches(query, without) as reader:
            schema = reader.schema
            for place, field in enumerate(schema):
                if pa.types.is_string(field.type) and field.name not in LONG_TEXTS:
                    schema = schema.set(place, field.with_type(pa.dictionary(pa.int32(), pa.string())))
            parts = [
                pa.RecordBatch.from_arrays(
                    [
                        pc.dictionary_encode(column) if pa.types.is_dictionary(field.type) else column
                        for field, column in zip(schema, batch.columns, strict=True)
                    ],
                    schema=schema,
                )
                for batch in reader
            ]
        return pa.Table.from_batches(parts, schema=schema).unify_dictionaries().combine_chunks()

    def _batches(self, query: ir.Table | str, without: Sequence[str]) -> pa.RecordBatchReader:
        if not isinstance(query, str) and self.duckdb is None:
            return self.connection.to_pyarrow_batches(query.drop(*without), chunk_size=_BATCH_ROWS)
        relation = self.duckdb.sql(query if isinstance(query, str) else self.connection.compile(query))
        if without:
            relation = relation.project(f"* EXCLUDE ({', '.join(without)})")
        # DuckDB 2 has it under a new name, and warns of the old one.
        read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        reader: pa.RecordBatchReader = read(_BATCH_ROWS)
        return reader

    def keep(self, query: ir.Table | str, name: str) -> ir.Table:
        """Run an expression, or DuckDB's SQL, once and keep its rows with the engine, for several questions about them."""
        if isinstance(query, str):
            self.duckdb.execute(f"CREATE TEMP TABLE {name} AS {query}")
            return self.connection.table(name)
        return self.connection.create_table(name, obj=query, temp=True)


@contextmanager
def open_engine(
    parquet_dir: Path,
    database_url: str | None = None,
    *,
    threads: int = 2,
    memory_limit: str = "1GB",
    kept: KeptResults | None = None,
) -> Iterator[Engine]:
    """Open the stored tables for reading.

    Parameters
    ----------
    parquet_dir : Path
        The store's columnar copy: a folder with a manifest, or with ``exams.parquet``, ``events.parquet`` and
        ``objects.parquet``, each a file or a folder of parts.
    database_url : str, optional
        A store in PostgreSQL, which then answers itself, without the copy.
    threads : int
        Cores that the engine may use.
    memory_limit : str
        Beyond this DuckDB spills to disk, below `parquet_dir`.
    kept : KeptResults, optional
        Where given, what blocks of the copy give is kept beside it for the next run, see `block_tables`.

    Yields
    ------
    Engine

    Raises
    ------
    AuditInputError
        A table is missing.
    """
    from dose_audit.store.columns_manifest import parquet_files, read_manifest

    if database_url is not None:
        from dose_audit.audit.engine_postgres import connect

        with connect(database_url) as (connection, tables):
            yield Engine(connection.name, connection.version, lambda: connection, tables.__getitem__)
        return
    manifest = read_manifest(parquet_dir)
    files = {name: parquet_files(parquet_dir, name, manifest) for name in TABLES}
    for name in TABLES:
        if not files[name] and manifest is None:
            raise AuditInputError(
                f"{parquet_dir / name}.parquet is missing: the store has not been copied to Parquet yet."
            )
    import duckdb

    with duckdb.connect(config={"threads": threads, "memory_limit": memory_limit}) as database:
        # Row order decides nothing: every result that is kept is sorted by its own key.
        database.execute("SET preserve_insertion_order = false")
        spill = str((parquet_dir / ".spill").absolute()).replace("'", "''")
        database.execute(f"SET temp_directory = '{spill}'")
        database.execute("SET enable_progress_bar = false")  # it would print over whatever the caller prints
        # As Ibis sets them; a query means the same whether it came by Ibis or as a text that is known.
        database.execute("SET TimeZone = 'UTC'")
        database.execute("SET python_enable_replacements = false")

        @cache
        def connect() -> Any:
            import ibis

            return ibis.duckdb.from_connection(database)

        def table(name: str) -> ir.Table:
            return _open_table(connect(), name, files[name])

        yield Engine("duckdb", duckdb.__version__, connect, table, database, parquet_dir, manifest, kept)


@contextmanager
def open_store(settings: Settings) -> Iterator[Engine]:
    """Open the store of an installation: its columnar copy, brought up to date, or PostgreSQL itself.

    Parameters
    ----------
    settings : Settings
        Their ``audit_engine`` chooses. Django must be set up for them.
    """
    with open_engine(*copy_or_database(settings)) as engine:
        yield engine


def copy_or_database(settings: Settings) -> tuple[Path, str | None]:
    """Where the audit reads: the folder of the copy, brought up to date, and the database's address if it answers."""
    if settings.audit_engine == "postgresql":
        return settings.parquet_dir, settings.database_url
    from dose_audit.store.parquet import refresh_parquet

    return refresh_parquet(settings), None


def _open_table(connection: Any, name: str, files: list[Path]) -> ir.Table:
    import ibis

    from dose_audit.store.columns_layout import TABLES as STORED
    from dose_audit.store.columns_layout import arrow_schema

    if files:
        return connection.read_parquet([str(file) for file in files], table_name=name)
    return connection.create_table(name, schema=ibis.schema(arrow_schema(STORED[name].columns)), temp=True)
