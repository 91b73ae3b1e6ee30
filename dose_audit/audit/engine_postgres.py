"""The store's own tables in PostgreSQL, seen as the columnar copy shows them, for an audit without the copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from dose_audit.store.columns_layout import TABLES, Column, arrow_schema, hidden

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["connect"]

_NUMBERS = {"key": "bigint", "count": "integer", "number": "double precision"}


@contextmanager
def connect(database_url: str) -> Iterator[tuple[Any, dict[str, ir.Table]]]:
    """Connect to a store, and look at one moment of it until done.

    Parameters
    ----------
    database_url : str
        ``postgresql://user:password@host:port/database?option=value``, as in the settings.

    Yields
    ------
    connection : ibis backend
    tables : dict
        ``exams``, ``events`` and ``objects`` with the columns and types of the copy.

    Notes
    -----
    A CT Dose Check is the same JSON as in the copy, with its keys in PostgreSQL's own order. All queries are in one
    transaction, which keeps its snapshot: what comes in meanwhile is for the next run.
    """
    import ibis

    url = urlsplit(database_url)
    options = dict(parse_qsl(url.query))
    connection = ibis.postgres.connect(
        host=options.pop("host", None) or unquote(url.hostname or "") or None,
        user=unquote(url.username or "") or None,
        password=unquote(url.password or "") or None,
        port=url.port or int(options.pop("port", 5432)),
        database=unquote(url.path.lstrip("/")),
        **options,
    )
    schemas = {name: ibis.schema(arrow_schema(source.columns)) for name, source in TABLES.items()}
    queries = {"exams": _plain("exams"), "events": _plain("events"), "objects": _objects()}
    try:
        with connection.con.transaction():
            connection.con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield connection, {name: connection.sql(query, schema=schemas[name]) for name, query in queries.items()}
    finally:
        connection.disconnect()


def _plain(name: str) -> str:
    source = TABLES[name]
    columns = ", ".join(f"{_value(column)} AS {column.name}" for column in source.columns if not hidden(column))
    return f"SELECT {columns} FROM {source.rows}"


def _value(column: Column) -> str:
    """A column with the type that the copy gives it."""
    if column.name == "warning_codes":
        return (
            f"CASE WHEN CAST(x.unit_slips AS TEXT) = '[]' THEN {_texts(column.sql)} ELSE ARRAY("
            f"SELECT code FROM (SELECT jsonb_array_elements_text({column.sql}) AS code UNION SELECT 'unit_slip') AS codes "
            'ORDER BY code COLLATE "C") END'
        )
    if column.type == "texts":
        return _texts(column.sql)
    if column.type == "instant":
        return f"{column.sql} AT TIME ZONE 'UTC'"
    if column.type == "dose_check":
        # Of who went on and what they wrote only that there was a reason.
        return (
            "CASE WHEN COALESCE(e.rest -> 'dose_check', 'null') NOT IN ('null', '{}') THEN CAST(jsonb_set("
            "(e.rest -> 'dose_check') - 'person_name', '{reason_for_proceeding}', "
            "to_jsonb(COALESCE(e.rest -> 'dose_check' ->> 'reason_for_proceeding', '') <> '')) AS TEXT) END"
        )
    if column.type == "text":
        return f"CAST({column.sql} AS TEXT)"
    return f"CAST({column.sql} AS {_NUMBERS[column.type]})" if column.type in _NUMBERS else column.sql


def _texts(sql: str) -> str:
    return f"ARRAY(SELECT jsonb_array_elements_text(COALESCE({sql}, CAST('[]' AS jsonb))))"


def _objects() -> str:
    """Received objects; a row for each further, identical copy; and those that the store only counts."""
    source = TABLES["objects"]
    kept = [column for column in source.columns if not hidden(column)]
    base = ", ".join(f"{_value(column)} AS {column.name}" for column in kept)
    twins = {
        "object_id": "-(o.object_id * 1000 + n)",
        "state": "'duplicate'",
        "reason": "'the same object came before'",
    }
    counted = {
        "object_id": f"row_number() OVER (ORDER BY t.name) - {1 << 62}",
        "state": "t.name",
        "reason": "CASE t.name WHEN 'duplicate' THEN 'the same object came before (at the door)' "
        "ELSE 'waiting in the spool' END",
        "size_bytes": "CAST(0 AS bigint)",
    }
    nothing = {"key": "CAST(NULL AS bigint)", "instant": "CAST(NULL AS timestamp)"}
    return (
        f"WITH o AS (SELECT {base}, r.copies AS copies FROM {source.rows}) "
        f"SELECT {', '.join(column.name for column in kept)} FROM o "
        f"UNION ALL SELECT {', '.join(twins.get(column.name, f'o.{column.name}') for column in kept)} "
        "FROM o, generate_series(1, jsonb_array_length(o.copies)) AS n "
        "UNION ALL SELECT "
        + ", ".join(counted.get(column.name, nothing.get(column.type, "CAST(NULL AS text)")) for column in kept)
        + " FROM store_tally AS t, generate_series(1, t.value) AS n WHERE t.name IN ('duplicate', 'pending')"
    )
