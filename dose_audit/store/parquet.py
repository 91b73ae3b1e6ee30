"""The columnar copy of the store that the audit reads: three Parquet files, made anew when the store has changed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dose_audit.config import Settings

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TABLES", "Column", "refresh_parquet"]

_CHUNK_ROWS = 20_000
_LAYOUT = 2  # raise it when a column changes: the files are then made anew


@dataclass(frozen=True, slots=True)
class Column:
    """One Parquet column: its name, where the store has it, and its type (``text``, ``number``, ``texts`` …)."""

    name: str
    sql: str
    type: str


def _same(kind: str, prefix: str, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, f"{prefix}.{name}", kind) for name in names)


_EXAMS = (
    Column("exam_id", "x.id", "key"),
    *_same("time", "x", "study_datetime"),
    *_same("date", "x", "study_date"),
    Column("site", "s.name", "text"),
    *_same("key", "x", "equipment_id"),
    Column("equipment", "q.display_name", "text"),
    *_same("text", "q", "manufacturer", "model_name", "station_name", "serial_number"),
    *_same("text", "x", "software_versions"),
    Column("modality", "COALESCE(q.modality_override, x.modality)", "text"),
    *_same("text", "x", "study_description", "requested_procedure_description"),
    *_same("texts", "x", "procedure_codes", "requested_procedure_codes", "acquisition_protocols", "target_regions"),
    *_same("text", "x", "sex"),
    *_same("number", "x", "age_years"),
    Column("weight_kg", "COALESCE(x.given_weight_kg, x.weight_kg)", "number"),
    Column("height_m", "COALESCE(x.given_height_m, x.height_m)", "number"),
    *_same("text", "x", "pseudonym"),
    *_same("flag", "x", "is_phantom"),
    *_same("text", "x", "is_phantom_reason"),
    *_same("texts", "x", "source_kinds"),
    *_same(
        "number", "x", "ct_dlp_mgy_cm", "events_ct_dlp_mgy_cm", "ct_dlp_head_16cm_mgy_cm", "ct_dlp_body_32cm_mgy_cm",
        "kap_gy_cm2", "events_kap_gy_cm2", "dose_rp_mgy", "fluoro_time_s", "agd_left_mgy", "agd_right_mgy",
        "administered_activity_mbq",
    ),
    *_same("count", "x", "event_count"),
    *_same("texts", "x", "warning_codes"),
    *_same("instant", "x", "received_at"),
    Column("mapping_examination", "NULL", "text"),  # reserved: the audit maps, the store does not
    Column("unit_slips", "x.unit_slips", "slips"),
)  # fmt: skip

_DOSE_CHECK = "CASE WHEN CAST(e.rest AS TEXT) LIKE '%\"dose_check\"%' THEN CAST(e.rest AS TEXT) END"

_EVENTS = (
    *_same("key", "e", "exam_id"),
    *_same("count", "e", "event_index"),
    *_same("text", "e", "irradiation_event_uid", "type"),
    *_same("time", "e", "started_at"),
    *_same("text", "e", "acquisition_protocol", "target_region", "laterality", "reason", "ct_acquisition_type"),
    *_same("number", "e", "ctdi_vol_mgy"),
    *_same("text", "e", "ctdi_phantom"),
    *_same("number", "e", "dlp_mgy_cm", "scanning_length_mm", "kvp_kv", "kap_gy_cm2", "dose_rp_mgy"),
    *_same("text", "e", "plane", "irradiation_event_type"),
    *_same(
        "number", "e", "agd_mgy", "compression_thickness_mm", "exposure_index", "target_exposure_index",
        "deviation_index",
    ),
    *_same("text", "e", "view"),
    *_same("number", "e", "exposure_mas", "water_equivalent_diameter_mm", "ssde_mgy", "administered_activity_mbq"),
    Column("dose_check", _DOSE_CHECK, "dose_check"),
)  # fmt: skip

# ``study_key`` is opaque: the exam's number, not the Study Instance UID.
_OBJECTS = (
    Column("object_id", "r.id", "key"),
    *_same("instant", "r", "received_at"),
    Column("site", "COALESCE(s.name, r.site)", "text"),
    *_same("text", "r", "source", "sop_class_uid", "kind", "state", "reason", "station_name"),
    Column("study_key", "CAST(x.id AS TEXT)", "text"),
    *_same("key", "r", "size_bytes"),
    Column("copies", "r.copies", "texts"),
)

TABLES: dict[str, tuple[tuple[Column, ...], str]] = {
    "exams": (
        _EXAMS,
        "store_exam x JOIN store_site s ON s.id = x.site_id "
        "JOIN store_equipment q ON q.id = x.equipment_id ORDER BY x.id",
    ),
    "events": (_EVENTS, "store_event e ORDER BY e.exam_id, e.event_index"),
    "objects": (
        _OBJECTS,
        "store_receivedobject r LEFT JOIN store_exam x ON x.study_instance_uid = r.study_instance_uid "
        "LEFT JOIN store_site s ON s.id = x.site_id ORDER BY r.id",
    ),
}
"""Parquet file → its columns, and the rest of the query that fills them."""


def refresh_parquet(settings: Settings) -> Path:
    """Bring the Parquet copy up to date.

    Parameters
    ----------
    settings : Settings
        Django must be set up for them.

    Returns
    -------
    Path
        Folder with ``exams.parquet``, ``events.parquet`` and ``objects.parquet``.

    Notes
    -----
    Nothing is written while the store is as it was. The three tables are read in one transaction, so that they agree;
    each file appears whole or stays as it was. Memory holds one chunk of 20,000 rows, whatever the size of the store.
    """
    folder = settings.parquet_dir
    stamp_path = folder / "stamp.json"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = _stamp()
    if (
        stamp_path.is_file()
        and stamp_path.read_text("utf-8") == stamp
        and all((folder / f"{name}.parquet").is_file() for name in TABLES)
    ):
        return folder
    parts = {name: folder / f".{name}.{secrets.token_hex(6)}" for name in TABLES}
    try:
        stamp = _write_tables(parts)
        stamp_path.unlink(missing_ok=True)  # a stop from here on makes the files anew next time
        for name, part in parts.items():
            part.replace(folder / f"{name}.parquet")
        stamp_path.write_text(stamp, "utf-8")
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return folder


def _stamp() -> str:
    """What changes whenever a row of the copy would: counts, latest changes, and the registers themselves."""
    from django.db import connection

    queries = (
        "SELECT COUNT(*), MAX(id), MAX(updated_at) FROM store_exam",
        "SELECT COUNT(*), MAX(id), MAX(updated_at) FROM store_receivedobject",
        "SELECT id, display_name, manufacturer, model_name, station_name, serial_number, modality_override "
        "FROM store_equipment ORDER BY id",
        "SELECT id, name FROM store_site ORDER BY id",
        "SELECT name, value FROM store_tally ORDER BY name",
    )
    found: list[Any] = [_LAYOUT]
    with connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
            found.append(cursor.fetchall())
    return json.dumps(found, default=str)


def _write_tables(parts: dict[str, Path]) -> str:
    import pyarrow.parquet as pq
    from django.db import connection, transaction

    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        stamp = _stamp()
        for name, part in parts.items():
            columns, source = TABLES[name]
            kept = [column for column in columns if column.name != "copies"]
            schema = _schema([column for column in kept if column.type != "slips"])
            with pq.ParquetWriter(part, schema, compression="zstd") as writer:
                for rows in _chunks(columns, source):
                    writer.write_table(_table(columns, rows, schema))
                if name == "objects":
                    writer.write_table(_table(columns, list(_without_row()), schema))
    return stamp


def _chunks(columns: tuple[Column, ...], source: str) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of a query, a chunk at a time; identical copies of an object follow it as rows of their own."""
    from django.db import connection

    query = f"SELECT {', '.join(column.sql for column in columns)} FROM {source}"
    # A named cursor on PostgreSQL: a plain one would fetch the whole table into memory.
    make = connection.chunked_cursor
    with make() as cursor:
        cursor.itersize = _CHUNK_ROWS
        cursor.execute(query)
        while rows := cursor.fetchmany(_CHUNK_ROWS):
            if columns is _OBJECTS:
                rows = [*rows, *_copies(rows)]
            yield rows


_PLACE = {column.name: number for number, column in enumerate(_OBJECTS)}


def _copies(rows: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        copies = row[_PLACE["copies"]]
        if copies in ("[]", []):
            continue
        for number, _ in enumerate(json.loads(copies) if isinstance(copies, str) else copies, start=1):
            copy = list(row)
            copy[0] = -(row[0] * 1000 + number)
            copy[_PLACE["state"]], copy[_PLACE["reason"]] = "duplicate", "the same object came before"
            yield tuple(copy)


def _without_row() -> Iterator[tuple[Any, ...]]:
    """Objects without a row in the store: duplicates turned away at the door, and what still waits."""
    from dose_audit.store.models import Tally

    number = -(1 << 62)
    reasons = {"duplicate": "the same object came before (at the door)", "pending": "waiting in the spool"}
    for name, value in Tally.objects.filter(name__in=reasons).order_by("name").values_list("name", "value"):
        for _ in range(value):
            number += 1
            row: list[Any] = [None] * len(_OBJECTS)
            row[0] = number
            row[_PLACE["state"]], row[_PLACE["reason"]], row[_PLACE["size_bytes"]] = name, reasons[name], 0
            yield tuple(row)


def _schema(columns: list[Column]) -> pa.Schema:
    import pyarrow as pa

    types = {
        "key": pa.int64(),
        "count": pa.int32(),
        "number": pa.float64(),
        "flag": pa.bool_(),
        "text": pa.string(),
        "dose_check": pa.string(),
        "texts": pa.list_(pa.string()),
        "time": pa.timestamp("us"),
        "instant": pa.timestamp("us"),
        "date": pa.date32(),
    }
    return pa.schema([(column.name, types[column.type]) for column in columns])


def _table(columns: tuple[Column, ...], rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    values = (
        dict(zip((column.name for column in columns), map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
    )
    if rows and "unit_slips" in values:
        slips = values["unit_slips"]
        values["warning_codes"] = [
            codes if slip in ("[]", []) else json.dumps(sorted({*_list(codes), "unit_slip"}))
            for codes, slip in zip(values["warning_codes"], slips, strict=True)
        ]
    kinds = {column.name: column.type for column in columns}
    arrays = [_ARRAYS.get(kinds[part.name], _array)(values.get(part.name, []), part.type) for part in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, kind)


def _flags(values: list[Any], kind: pa.DataType) -> pa.Array:
    return _array([None if value is None else bool(value) for value in values], kind)


def _moments(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Times: SQLite keeps ISO text, PostgreSQL gives datetimes (an aware one is UTC)."""
    import pyarrow as pa

    if any(isinstance(value, str) for value in values):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(
        [value and (value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value) for value in values],
        kind,
    )


def _dose_checks(values: list[Any], kind: pa.DataType) -> pa.Array:
    """CT Dose Check as JSON text; of who went on and what they wrote only that there was a reason."""
    found = []
    for value in values:
        check = None if value is None else json.loads(value).get("dose_check")
        if check:
            check = {name: entry for name, entry in check.items() if name != "person_name"}
            check["reason_for_proceeding"] = bool(check.get("reason_for_proceeding"))
        found.append(json.dumps(check, sort_keys=True) if check else None)
    return _array(found, kind)


_KNOWN_LISTS: dict[str, list[str]] = {}


def _lists(values: list[Any], kind: pa.DataType) -> pa.Array:
    return _array([_list(value) for value in values], kind)


def _list(value: Any) -> list[str]:
    """A JSON list. A network has few distinct ones and many rows: each is parsed once."""
    if value is None:
        return []
    if not isinstance(value, str):
        return list(value)
    found = _KNOWN_LISTS.get(value)
    if found is None:
        if len(_KNOWN_LISTS) > 50_000:
            _KNOWN_LISTS.clear()
        found = _KNOWN_LISTS[value] = json.loads(value)
    return found


_ARRAYS: dict[str, Callable[[list[Any], Any], Any]] = {
    "flag": _flags,
    "dose_check": _dose_checks,
    "texts": _lists,
    "time": _moments,
    "instant": _moments,
    "date": _moments,
}
