"""Writes the frozen values by weeks, a Parquet file each, and hashes them so.

What a week is written from is its content alone, whatever else the table holds and however its texts are numbered: a run
on what earlier ones kept has the same bytes as one without.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.contents import table_sha256, text_codes, used_codes, words_in_order
from dose_audit.audit.kept_weeks import KeptWeeks
from dose_audit.audit.row_order import rows_by_groups

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["UNDATED", "FrozenParts", "frozen_parts", "value_files", "weeks_of"]

UNDATED = -(1 << 20)
"""Stands for the week of exams without a date: before every other."""
_MONDAY = 4
"""Days from 1 January 1970, a Thursday, to the first Monday."""
_WITHOUT_DATE = "0-without-date"


@dataclass(frozen=True)
class _Part:
    """Rows of one week, in the table's order, the hash of what they hold, and the key under which their file is kept."""

    week: int
    rows: NDArray[np.int64]
    sha256: str
    key: str | None

    @property
    def file(self) -> str:
        """Name of its file: the Monday, so that files in the order of their names are in the order of time."""
        if self.week == UNDATED:
            return f"{_WITHOUT_DATE}.parquet"
        return f"{np.datetime64(7 * self.week + _MONDAY, 'D')}.parquet"


@dataclass(frozen=True)
class FrozenParts:
    """Values by the weeks of their exams, those without a date first.

    Attributes
    ----------
    take : callable
        Gives some rows as a table.
    parts : list
    kept : KeptWeeks
        Has files of earlier runs.
    """

    take: Callable[[NDArray[np.int64]], pa.Table]
    parts: list[_Part]
    kept: KeptWeeks = field(default_factory=lambda: KeptWeeks(None))

    @property
    def sha256(self) -> str:
        """Hash of all that the values hold, the same however their texts are encoded and whatever read them."""
        return hashlib.sha256("\n".join(part.sha256 for part in self.parts).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write a folder with a Parquet file a week, texts as plain texts, and nothing else in it."""
        folder.mkdir(exist_ok=True)
        for part in self.parts:
            path = folder / part.file
            if not self.kept.copy(part.key, path):
                _write(path, self.take(part.rows))
                self.kept.keep(part.key, part.sha256, path)
        for path in {*folder.iterdir()} - {folder / part.file for part in self.parts}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.kept.write()


def value_files(path: Path) -> list[Path]:
    """The files of a run's values, in the order of their rows: those of its folder, or of an older run the one file.

    Parameters
    ----------
    path : Path
        ``values.parquet`` of a run's folder.
    """
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def frozen_parts(
    moments: NDArray[Any],
    take: Callable[[NDArray[np.int64]], pa.Table],
    keys: Callable[[int, NDArray[np.int64]], str | None] = lambda _week, _rows: None,
    kept: KeptWeeks | None = None,
) -> FrozenParts:
    """Part values by weeks.

    Parameters
    ----------
    moments : array of datetime64
        When each exam was, NaT where that is not known.
    take : callable
        Gives some rows as a table.
    keys : callable, optional
        Of a week and its rows: the same text where they certainly are what they were; None where that is not known.
    kept : KeptWeeks, optional

    Examples
    --------
    >>> import pyarrow as pa
    >>> days = np.array(["2026-03-02T08:00", "2026-03-09T08:00", "NaT", "2026-03-08T23:00"], "M8[us]")
    >>> table = pa.table({"value": [1.0, 2.0, 3.0, 4.0]})
    >>> [(part.file, part.rows.tolist()) for part in frozen_parts(days, table.take).parts]
    [('0-without-date.parquet', [2]), ('2026-03-02.parquet', [0, 3]), ('2026-03-09.parquet', [1])]
    """
    kept = kept or KeptWeeks(None)
    if not moments.size:
        nothing = np.zeros(0, dtype=np.int64)
        return FrozenParts(take, [_Part(UNDATED, nothing, table_sha256(take(nothing)), None)], kept)
    weeks = weeks_of(moments)
    first = int(weeks.min())
    order, edges = rows_by_groups([(weeks - first, int(weeks.max()) - first + 1)])
    parts = []
    for a, b in pairwise(edges.tolist()):
        rows, week = order[a:b], int(weeks[order[a]])
        key = keys(week, rows)
        parts.append(_Part(week, rows, kept.sha256(key) or table_sha256(take(rows)), key))
    return FrozenParts(take, parts, kept)


def weeks_of(moments: NDArray[Any]) -> NDArray[np.int64]:
    """Week of each moment, from Monday to Sunday, as a number; `UNDATED` where there is none."""
    days = moments.astype("datetime64[D]")
    weeks: NDArray[np.int64] = (days.astype(np.int64) - _MONDAY) // 7
    weeks[np.isnat(days)] = UNDATED
    return weeks


def _write(path: Path, table: pa.Table) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Texts of which few are distinct are written as they are held; an exam's number is a text of its own.
    table = _narrowed(table)
    place = table.schema.get_field_index("exam_ref")
    schema = table.schema if place < 0 else table.schema.set(place, pa.field("exam_ref", pa.string()))
    few = [one.name for one in schema if pa.types.is_dictionary(one.type)]
    aside = path.with_suffix(".part")
    with pq.ParquetWriter(aside, schema, compression="zstd", use_dictionary=few, store_schema=False) as writer:
        writer.write_table(table.cast(schema), row_group_size=max(1, table.num_rows))
    aside.replace(path)


def _narrowed(table: pa.Table) -> pa.Table:
    """The same with texts as numbers into the sorted ones that occur."""
    import pyarrow as pa

    found = table.combine_chunks()
    for at, one in enumerate(found.schema):
        if not pa.types.is_dictionary(one.type):
            continue
        column = found.column(at).chunk(0) if found.num_rows else pa.array([], one.type)
        places, used = used_codes(text_codes(column))
        words, rank = words_in_order(column.dictionary, used)
        indices = rank[places] if used.size else places
        numbers = pa.array(indices, pa.int32(), mask=indices < 0)
        found = found.set_column(at, one.name, pa.DictionaryArray.from_arrays(numbers, words))
    return found
