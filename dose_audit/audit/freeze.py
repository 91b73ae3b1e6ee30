"""Freezes what a run looked at: the table of values as a file, and one hash over everything that decided the
result.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dose_audit.audit.values import exam_ref

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.values import Values

__all__ = ["frozen_table", "input_sha256", "table_sha256", "write_values"]


def frozen_table(values: Values) -> pa.Table:
    """Return the values as ``values.parquet`` holds them: one row per exam and quantity, compared or left
    out.

    Nothing in it identifies a patient; exams bear this installation's own numbers.
    """
    import pyarrow as pa

    columns = values.columns
    table = columns.table
    refs = [exam_ref(int(number)) for number in columns["exam_id"]]
    compared = values.compared
    return pa.table(
        {
            "exam_ref": pa.array(refs, pa.string()),
            "site": table["site"],
            "equipment": table["equipment"],
            "modality": table["modality"],
            "examination": table["examination"],
            "examination_name": table["examination_name"],
            "band": pa.array(values.band.tolist(), pa.string()),
            "quantity": table["quantity"],
            "unit": table["unit"],
            "value": table["value"],
            "study_datetime": table["study_datetime"].cast(pa.timestamp("us")),
            "weight_kg": table["weight_kg"].cast(pa.float64()),
            "age_years": table["age_years"].cast(pa.float64()),
            "thickness_mm": table["thickness_mm"],
            "software_versions": table["software_versions"],
            "included": pa.array(compared),
            "reason": pa.array([reason or None for reason in values.reason.tolist()], pa.string()),
        }
    ).combine_chunks()


def table_sha256(table: pa.Table) -> str:
    """Hash of a table's contents, column by column; independent of file format, compression and library
    version.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table_sha256(pa.table({"a": [1.0, None]})) == table_sha256(pa.table({"a": pa.array([1.0, None])}))
    True
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    digest = hashlib.sha256()
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        digest.update(f"{name}\x1f{column.type}\x1f{len(column)}\x1e".encode())
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            encoded = pc.dictionary_encode(column)
            encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
            for word in encoded.dictionary.to_pylist():
                data = word.encode()
                digest.update(len(data).to_bytes(8, "little") + data)
            indices = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
            digest.update(indices.astype("<i8").tobytes())
            continue
        digest.update(column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8).tobytes())
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        kind = "<f8" if pa.types.is_floating(column.type) else "<i8"
        digest.update(
            pc.fill_null(column.cast(_plain(column.type)), 0).to_numpy(zero_copy_only=False).astype(kind).tobytes()
        )
    return digest.hexdigest()


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.float64() if pa.types.is_floating(kind) else pa.int64()


def input_sha256(table: pa.Table, facts: dict[str, Any]) -> str:
    """Hash over the values and everything else that decided the result (period, editions, mapping,
    completeness).

    The same hash means the same report, whenever and wherever it is made.
    """
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(f"{table_sha256(table)}\n{text}".encode()).hexdigest()


def write_values(table: pa.Table, path: Path) -> None:
    """Write the frozen table."""
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd")
