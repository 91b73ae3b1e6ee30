"""Turns columns as a database gives them into the Arrow columns of the copy."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dose_audit.store.columns_layout import Column, arrow_schema, hidden

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_table"]

_NO_LIST = "[]"


def arrow_table(columns: Sequence[Column], raw: Sequence[Any]) -> pa.Table:
    """Convert the columns of some rows.

    Parameters
    ----------
    columns : sequence of Column
    raw : sequence
        For each of `columns` its values: a sequence of Python objects, or an Arrow array.

    Returns
    -------
    pyarrow.Table
        Without the columns that are not kept. An object with further, identical copies has a row of its own for each.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = arrow_schema(columns)
    known = {column.name: values for column, values in zip(columns, raw, strict=True)}
    if "unit_slips" in known:
        known["warning_codes"] = _with_slips(known["warning_codes"], known["unit_slips"])
    arrays = [
        _MADE.get(column.type, _plain)(known[column.name], schema.field(column.name).type)
        for column in columns
        if not hidden(column)
    ]
    table = pa.Table.from_arrays(arrays, schema=schema)
    if "copies" not in known:
        return table
    copies = _texts(known["copies"])
    several = pc.fill_null(pc.not_equal(copies, _NO_LIST), False)
    return pa.concat_tables([table, _copies(table.filter(several), copies.filter(several).to_pylist())])


def _copies(objects: pa.Table, copies: list[str]) -> pa.Table:
    import pyarrow as pa

    rows = []
    for row, numbers in zip(objects.to_pylist(), copies, strict=True):
        for number, _ in enumerate(json.loads(numbers), start=1):
            twin = {"object_id": -(row["object_id"] * 1000 + number), "state": "duplicate"}
            rows.append(row | twin | {"reason": "the same object came before"})
    return pa.Table.from_pylist(rows, schema=objects.schema)


def _array(values: Any, kind: pa.DataType | None = None) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _plain(values: Any, kind: pa.DataType) -> pa.Array:
    found = _array(values, kind)
    return found if found.type == kind else found.cast(kind)


def _texts(values: Any) -> pa.Array:
    import pyarrow as pa

    return _array(values, pa.string())


def _flags(values: Any, kind: pa.DataType) -> pa.Array:
    return _array(values).cast(kind)  # SQLite has 0 and 1


def _moments(values: Any, kind: pa.DataType) -> pa.Array:
    """Times and dates, which SQLite keeps as ISO text."""
    import pyarrow as pa

    found = _array(values)
    return pa.nulls(len(found), kind) if pa.types.is_null(found.type) else found.cast(kind)


def _each_once(values: Any, convert: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    """Convert texts of which a network has few distinct ones and many rows: each is converted once."""
    import pyarrow as pa

    encoded = _texts(values).dictionary_encode()
    made = pa.array([convert(text) for text in encoded.dictionary.to_pylist()], kind)
    return made.take(encoded.indices)


def _lists(values: Any, kind: pa.DataType) -> pa.Array:
    import pyarrow.compute as pc

    return _each_once(pc.fill_null(_texts(values), _NO_LIST), json.loads, kind)


def _dose_checks(values: Any, kind: pa.DataType) -> pa.Array:
    return _each_once(values, _dose_check, kind)


def _dose_check(rest: str) -> str | None:
    """CT Dose Check as JSON text; of who went on and what they wrote only that there was a reason."""
    check = json.loads(rest).get("dose_check")
    if not check:
        return None
    check = {name: entry for name, entry in check.items() if name != "person_name"}
    check["reason_for_proceeding"] = bool(check.get("reason_for_proceeding"))
    return json.dumps(check, sort_keys=True)


def _with_slips(codes: Any, slips: Any) -> pa.Array:
    """Warning codes, with ``unit_slip`` where the device's history shows one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    codes, slips = _texts(codes), _texts(slips)
    slipped = pc.fill_null(pc.not_equal(slips, _NO_LIST), False)
    if not pc.any(slipped).as_py():
        return codes
    rows = zip(codes.to_pylist(), slipped.to_pylist(), strict=True)
    return pa.array(
        [json.dumps(sorted({*json.loads(text or _NO_LIST), "unit_slip"})) if slip else text for text, slip in rows],
        pa.string(),
    )


_MADE: dict[str, Callable[[Any, Any], Any]] = {
    "flag": _flags,
    "dose_check": _dose_checks,
    "texts": _lists,
    "time": _moments,
    "instant": _moments,
    "date": _moments,
}
