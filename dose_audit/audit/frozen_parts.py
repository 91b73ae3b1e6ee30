"""Writes the frozen values by weeks: a week's rows are encoded once, and a later run in which they are the same takes them
over as they are.

What a week is written from is its content alone, whatever else the table holds: a run on what earlier ones kept has the
same bytes as one without.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.columns import renumbered
from dose_audit.audit.contents import content_digests, text_codes, used_codes, words_in_order
from dose_audit.audit.row_groups import join_row_groups
from dose_audit.kept_files import read_kept, write_kept

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FOLDER", "FrozenParts", "frozen_parts"]

FOLDER = "frozen"
"""Beside the columnar copy, from which it can be made again: encoded weeks by the hash of their contents."""
_KEPT_S = 72 * 3600.0
"""A week that no run asked for so long is dropped: a look at another period drops none of the nightly's."""
_LAYOUT = 1
"""To be raised when the same contents are written in another way."""
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

    def write(self, path: Path, kept: Path | None = None) -> int:
        """Write the table as one Parquet file.

        Parameters
        ----------
        path : Path
        kept : Path, optional
            Folder of the copy; weeks that an earlier run encoded are taken from there, and new ones kept.

        Returns
        -------
        int
            Rows that were encoded anew.
        """
        folder = None if kept is None else kept / FOLDER
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        named: set[str] = set()
        anew = 0

        def bodies() -> Iterator[bytes | memoryview]:
            nonlocal anew
            for part in self.parts:
                known = None if folder is None else folder / f"{_key(self.table, part)}.parquet"
                body = None if known is None else read_kept(known)
                if body is None:
                    body = memoryview(_encoded(_narrowed(self.table, part.rows)))
                    anew += part.rows.size
                    if known is not None:
                        write_kept(known, [body])
                if known is not None:
                    named.add(known.name)
                yield body

        aside = path.with_suffix(".part")
        with aside.open("wb") as file:
            file.writelines(join_row_groups(bodies()))
        aside.replace(path)
        if folder is not None:
            _forget(folder, named)
        return anew


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


def _encoded(table: pa.Table) -> bytes:
    """A Parquet file of one row group, with texts as plain texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Texts of which few are distinct are written as they are held; an exam's number is a text of its own.
    place = table.column_names.index("exam_ref") if "exam_ref" in table.column_names else None
    schema = table.schema if place is None else table.schema.set(place, pa.field("exam_ref", pa.string()))
    few = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=few, store_schema=False) as writer:
        writer.write_table(table.cast(schema), row_group_size=max(1, table.num_rows))
    return sink.getvalue()


def _key(table: pa.Table, part: _Part) -> str:
    """Name of an encoded week: what it holds, and what decides how that is encoded."""
    import pyarrow as pa

    types = [str(field.type) for field in table.schema]
    return hashlib.sha256(f"{part.sha256} {types} {_LAYOUT} {pa.__version__}".encode()).hexdigest()[:32]


def _forget(folder: Path, named: set[str]) -> None:
    """Drop what no run asks for any more; what this one has is marked as asked for."""
    now = time.time()
    for path in folder.iterdir():
        if path.name in named:
            path.touch()
        elif now - path.stat().st_mtime > _KEPT_S:
            path.unlink(missing_ok=True)
