"""The few statements of the ingest path, built from the column lists; both databases take the same text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from django.db import connection

__all__ = ["chunks", "delete_in", "insert", "lock_studies", "select_in", "utc_text"]

T = TypeVar("T")
_CHUNK = 500  # parameters of one IN list; SQLite's own limit is far higher, PostgreSQL plans short lists faster


def chunks(items: Sequence[T], size: int = _CHUNK) -> Iterator[Sequence[T]]:
    """Slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def insert(table: str, columns: Sequence[str], *, key: Sequence[str] = (), keep: Sequence[str] = ()) -> str:
    """Insert statement; with `key` columns an upsert that leaves the `keep` columns of an existing row alone.

    Examples
    --------
    >>> insert("t", ("a", "b"), key=("a",))
    'INSERT INTO t (a, b) VALUES (%s, %s) ON CONFLICT (a) DO UPDATE SET b = excluded.b'
    """
    text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
    if not key:
        return text
    changed = [name for name in columns if name not in key and name not in keep]
    return f"{text} ON CONFLICT ({', '.join(key)}) DO UPDATE SET " + ", ".join(f"{n} = excluded.{n}" for n in changed)


def select_in(
    columns: str, table: str, where: Sequence[tuple[str, Sequence[Any]]], only: str = ""
) -> list[tuple[Any, ...]]:
    """Rows where any of the columns is in its list: ``where`` is ``[(column, values), …]``, joined by OR.

    `only` is a further condition, beginning with AND, without parameters.
    """
    rows: list[tuple[Any, ...]] = []
    slices = [list(chunks(values)) for _, values in where]
    with connection.cursor() as cursor:
        for number in range(max((len(part) for part in slices), default=0)):
            terms: list[str] = []
            parameters: list[Any] = []
            for (column, _), part in zip(where, slices, strict=True):
                if number < len(part):
                    terms.append(f"{column} IN ({', '.join(['%s'] * len(part[number]))})")
                    parameters.extend(part[number])
            cursor.execute(f"SELECT {columns} FROM {table} WHERE ({' OR '.join(terms)}) {only}", parameters)
            rows.extend(cursor.fetchall())
    return rows


def delete_in(table: str, column: str, values: Sequence[Any]) -> None:
    """Delete the rows whose column is in the list."""
    with connection.cursor() as cursor:
        for part in chunks(values):
            cursor.execute(f"DELETE FROM {table} WHERE {column} IN ({', '.join(['%s'] * len(part))})", list(part))


def lock_studies(keys: Sequence[str]) -> None:
    """Hold these studies until the transaction ends, so that two workers never write one study at a time.

    SQLite holds the whole file from ``BEGIN IMMEDIATE`` on; PostgreSQL takes one advisory lock a study, in one order.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(k, 0)) "
                "FROM unnest(%s::text[]) WITH ORDINALITY AS u(k, n) ORDER BY n",
                [sorted(set(keys))],
            )


def utc_text(moment: dt.datetime) -> str:
    """An instant as Django writes it on this database: UTC, with its offset on PostgreSQL only."""
    text = moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ")
    return f"{text}+00" if connection.vendor == "postgresql" else text
