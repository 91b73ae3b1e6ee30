"""Writes the frozen values by weeks, a row group each, and hashes them so.

What a week is written from is its content alone, whatever else the table holds and however its texts are numbered: a run
on what earlier ones kept has the same bytes as one without.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.columns import renumbered
from dose_audit.audit.contents import content_digests, text_codes, used_codes, words_in_order

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FrozenParts", "frozen_parts"]

_MONDAY = 4
"""Days from 1 January 1970, a Thursday, to the first Monday."""


@dataclass(frozen=True)
class _Part:
    """Rows of one week, in the table's order, and the hash of what they hold."""

    rows: NDArray[np.int64]
    sha256: str


@dataclass(frozen=True)
class FrozenParts:
    """A table of values by the weeks of its exams, those without a date first.

    Attributes
    ----------
    table : pyarrow.Table
    parts : list
    """

    table: pa.Table
    parts: list[_Part]

    @property
    def sha256(self) -> str:
        """Hash of all that the table holds, the same however its texts are encoded and whatever read it."""
        return hashlib.sha256("\n".join(part.sha256 for part in self.parts).encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Write the table as one Parquet file, whole or not at all, with texts as plain texts."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Texts of which few are distinct are written as they are held; an exam's number is a text of its own.
        place = self.table.schema.get_field_index("exam_ref")
        narrow = _narrowed(self.table.slice(0, 0), np.zeros(0, dtype=np.int64)).schema
        schema = narrow if place < 0 else narrow.set(place, pa.field("exam_ref", pa.string()))
        few = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        aside = path.with_suffix(".part")
        with pq.ParquetWriter(aside, schema, compression="zstd", use_dictionary=few, store_schema=False) as writer:
            for part in self.parts:
                week = _narrowed(self.table, part.rows).cast(schema)
                writer.write_table(week, row_group_size=max(1, week.num_rows))
        aside.replace(path)


def frozen_parts(table: pa.Table) -> FrozenParts:
    """Part a table of values by weeks.

    Parameters
    ----------
    table : pyarrow.Table
        With ``study_datetime``; texts are dictionaries or plain.

    Examples
    --------
    >>> import pyarrow as pa
    >>> days = pa.array(["2026-03-02T08:00", "2026-03-09T08:00", None, "2026-03-08T23:00"]).cast(pa.timestamp("us"))
    >>> found = frozen_parts(pa.table({"study_datetime": days, "value": [1.0, 2.0, 3.0, 4.0]}))
    >>> [part.rows.tolist() for part in found.parts]
    [[2], [0, 3], [1]]
    """
    moments = table["study_datetime"].combine_chunks().to_numpy(zero_copy_only=False).astype("datetime64[us]")
    if not moments.size:
        return FrozenParts(table, [_Part(np.zeros(0, dtype=np.int64), content_digests(table, [0, 0])[0])])
    days = moments.astype("datetime64[D]")
    dated = ~np.isnat(days)
    weeks = (days.astype(np.int64) - _MONDAY) // 7
    # Those without a date are put before the first week.
    weeks = np.where(dated, weeks, weeks[dated].min() - 1 if dated.any() else 0)
    low = int(weeks.min())
    place, found = renumbered(weeks - low, int(weeks.max()) - low + 1)
    counts = np.bincount(place, minlength=found)
    # Sixteen bits sort by radix; a thousand years are fewer weeks.
    order = np.argsort(place.astype(np.uint16) if counts.size < 1 << 16 else place, kind="stable")
    edges = np.concatenate([[0], np.cumsum(counts)]).tolist()
    digests = content_digests(table, edges, order)
    return FrozenParts(
        table, [_Part(order[a:b], sha256) for a, b, sha256 in zip(edges[:-1], edges[1:], digests, strict=True)]
    )


def _narrowed(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """Some rows, their texts as numbers into the sorted ones that occur among them."""
    import pyarrow as pa

    found = table.take(pa.array(rows)).combine_chunks()
    for at, field in enumerate(found.schema):
        if not pa.types.is_dictionary(field.type):
            continue
        column = found.column(at).chunk(0) if found.num_rows else pa.array([], field.type)
        places, used = used_codes(text_codes(column))
        words, rank = words_in_order(column.dictionary, used)
        indices = rank[places] if used.size else places
        numbers = pa.array(indices, pa.int32(), mask=indices < 0)
        found = found.set_column(at, field.name, pa.DictionaryArray.from_arrays(numbers, words))
    return found
