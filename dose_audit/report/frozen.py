"""Reads the folder of a frozen audit run: the report's data and the values behind its groups.

A run may have millions of values. They stay columns, and whoever draws something reads the columns and the groups that it
draws.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.columns import Columns
from dose_audit.audit.frozen_parts import value_files
from dose_audit.audit.seal import VALUES, broken_seals
from dose_audit.texts import clean, clean_values

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FrozenRun", "FrozenRunError", "Group", "GroupKey", "Groups", "ValueRows", "group_key"]

_BATCH_ROWS = 65_536


class FrozenRunError(ValueError):
    """The folder is not a frozen run, or is damaged: which file, what was expected."""


GroupKey = tuple[str, str, str, str, str]
"""Site, equipment, examination, band, quantity."""
_KEY = ("site", "equipment", "examination", "band", "quantity")


@dataclass(frozen=True)
class Group:
    """The values of one group, in time order.

    Attributes
    ----------
    key : GroupKey
    values : array of float
    moments : array of datetime64
        NaT where it is not known.
    software, reason : pyarrow.Array
        The device's software at each value; why it was left out.
    """

    key: GroupKey
    values: NDArray[np.float64]
    moments: NDArray[np.datetime64]
    software: pa.Array
    reason: pa.Array

    def __len__(self) -> int:
        return int(self.values.size)

    @property
    def times(self) -> list[datetime | None]:
        """The moments as Python has them."""
        found: list[datetime | None] = self.moments.tolist()
        return found

    @property
    def software_versions(self) -> list[str | None]:
        """The software as texts."""
        found: list[str | None] = self.software.to_pylist()
        return found


class Groups(Mapping[GroupKey, Group]):
    """Groups by key, in the keys' order; each is cut out of the columns when it is asked for.

    Parameters
    ----------
    values : pyarrow.Table
        Rows with the columns of `GroupKey`, ``value``, ``study_datetime``, ``software_versions`` and ``reason``.
    """

    def __init__(self, values: pa.Table) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        for name in _KEY:
            if values[name].null_count:
                filled = pc.fill_null(values[name].cast(pa.string()), "")
                values = values.set_column(values.schema.get_field_index(name), name, filled)
        columns = Columns(values.unify_dictionaries().combine_chunks())
        self._rows: dict[GroupKey, NDArray[np.int64]] = {
            (site, equipment, examination, band, quantity): rows
            for (site, equipment, examination, band, quantity), rows in columns.groups(_KEY)
        }
        self._values, self._moments = columns["value"], columns["study_datetime"]
        self._texts = columns.table.select(["software_versions", "reason"])

    def __getitem__(self, key: GroupKey) -> Group:
        rows = self._rows[key]
        # Without a date is before all dates, as the smallest number.
        rows = rows[np.argsort(self._moments[rows].view(np.int64), kind="stable")]
        texts = self._texts.take(rows)
        software, reason = (texts[name].combine_chunks() for name in ("software_versions", "reason"))
        return Group(key, self._values[rows], self._moments[rows], software, reason)

    def __iter__(self) -> Iterator[GroupKey]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def count(self, key: GroupKey) -> int:
        """How many values a group has; 0 where there is none."""
        return self._rows[key].size if key in self._rows else 0


@dataclass(frozen=True)
class ValueRows:
    """Rows of Parquet files, read as they are gone through, as often as wanted.

    Parameters
    ----------
    files : sequence of Path
    names : sequence of str
        Columns, in this order; one that a file lacks is None throughout.
    """

    files: Sequence[Path]
    names: Sequence[str]

    def __len__(self) -> int:
        import pyarrow.parquet as pq

        return sum(int(pq.read_metadata(file).num_rows) for file in self.files)

    def __iter__(self) -> Iterator[list[Any]]:
        import pyarrow.parquet as pq

        for path in self.files:
            with pq.ParquetFile(path) as file:
                there = [name for name in self.names if name in file.schema_arrow.names]
                for batch in file.iter_batches(_BATCH_ROWS, columns=there, use_threads=False):
                    nothing = [None] * batch.num_rows
                    columns = [_clean(batch[name]).to_pylist() if name in there else nothing for name in self.names]
                    for row in zip(*columns, strict=True):
                        yield list(row)


_ENDLESS = re.compile(r"\S{300,}")


def _readable(text: str) -> str:
    """A text as a page can show it: clean, and without words that no line holds; different texts stay different."""
    text = clean(text)
    return text if len(text) < 300 else _ENDLESS.sub(_cut, text)


def _cut(found: re.Match[str]) -> str:
    return f"{found[0][:100]}…{hashlib.sha256(found[0].encode()).hexdigest()[:8]}"


def _is_readable(texts: pa.Array) -> bool:
    """Whether each of a column's texts certainly is as `_readable` would have it."""
    import pyarrow.compute as pc

    # Of no texts at all neither question has an answer.
    printable, longest = pc.all(pc.utf8_is_printable(texts)).as_py(), pc.max(pc.binary_length(texts)).as_py()
    return printable is not False and (longest or 0) < 300


def _clean(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The same column with readable texts; one that holds no texts as it is."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([_clean(chunk) for chunk in column.chunks], column.type)
    encoded = pa.types.is_dictionary(column.type)
    words = column.dictionary if encoded else column
    if not pa.types.is_string(words.type) or _is_readable(words):
        return column
    found = pa.array([None if text is None else _readable(text) for text in column.to_pylist()], words.type)
    return found.dictionary_encode() if encoded else found


@dataclass(frozen=True)
class FrozenRun:
    """One audit run as it was frozen.

    Parameters
    ----------
    folder : Path
    data : dict
        Contents of ``report.json``.
    """

    folder: Path
    data: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> FrozenRun:
        """Read ``report.json`` of a run's folder.

        Raises
        ------
        FrozenRunError
            When the folder or the file is missing or is not JSON; when a file of the run is not as the run wrote it.
        """
        path = Path(folder) / "report.json"
        try:
            data = clean_values(json.loads(path.read_text(encoding="utf-8")), _readable)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FrozenRunError(f"{folder} is not the folder of an audit run: it has no report.json.") from error
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without end
            raise FrozenRunError(f"{path} is damaged: {error}.") from error
        broken = broken_seals(Path(folder))
        if broken:
            raise FrozenRunError(f"{folder} is no longer the run that was frozen: {' '.join(broken)}")
        if not isinstance(data, dict):
            raise FrozenRunError(f"{path} is not the record of an audit run.")
        missing = {"run", "completeness", "comparisons", "findings", "unmapped", "excluded", "methods"} - set(data)
        if missing:
            raise FrozenRunError(f"{path} lacks {', '.join(sorted(missing))}.")
        return cls(Path(folder), data)

    def rows(self, names: Sequence[str]) -> ValueRows:
        """Rows of ``values.parquet``, one per exam and quantity, compared or left out, for going through once."""
        return ValueRows(self._values_files, names)

    def rows_of_findings(self, names: Sequence[str]) -> list[list[Any]]:
        """The same of the exams that a finding names."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        told = [finding["evidence"] for finding in self.data["findings"]]
        exams = {exam for one in told for exam in (one.get("exam_ref"), *(one.get("exam_refs") or ())) if exam}
        files, wanted = self._values_files, pa.array(sorted(exams), pa.string())
        there = [name for name in names if name in pq.read_schema(files[0]).names]
        table = pq.read_table(files, columns=there, filters=pc.field("exam_ref").isin(wanted), partitioning=None)
        nothing = [None] * table.num_rows
        columns = [_clean(table[name]).to_pylist() if name in there else nothing for name in names]
        return [list(row) for row in zip(*columns, strict=True)]

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Columns of ``values.parquet``, texts encoded.

        Raises
        ------
        FrozenRunError
            When the file lacks one, or is damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        files = self._values_files
        try:
            schema = pq.read_schema(files[0])
            missing = [name for name in names if name not in schema.names]
            if missing:
                raise FrozenRunError(f"{files[0]} lacks the columns {', '.join(missing)}.")
            texts = [name for name in names if pa.types.is_string(schema.field(name).type)]
            table = pq.read_table(files, columns=list(names), read_dictionary=texts, partitioning=None)
        except pa.ArrowInvalid as error:
            raise FrozenRunError(f"{self.folder / VALUES} is damaged: {error}.") from error
        for place, name in enumerate(table.column_names):
            if name in texts and name != "exam_ref":  # a reference is the run's own, and each exam has one
                table = table.set_column(place, name, _clean(table[name]))
        return table

    @cached_property
    def groups(self) -> Groups:
        """Included values by site, equipment, examination, band and quantity, each in time order."""
        import pyarrow.compute as pc

        table = self._grouped
        return Groups(table.filter(pc.and_(table["included"], pc.is_valid(table["value"]))))

    @cached_property
    def left_out(self) -> Groups:
        """Values that can be drawn and were not compared, by the group that they would belong to."""
        import pyarrow.compute as pc

        table = self._grouped
        drawable = pc.and_(pc.greater(table["value"], 0.0), pc.is_valid(table["study_datetime"]))
        return Groups(table.filter(pc.and_(pc.invert(table["included"]), drawable)))

    @property
    def _grouped(self) -> pa.Table:
        return self.columns([*_KEY, "value", "study_datetime", "software_versions", "reason", "included"])

    @property
    def _values_files(self) -> list[Path]:
        path = self.folder / VALUES
        files = value_files(path) if path.exists() else []
        if not files:
            raise FrozenRunError(f"{self.folder} has no {VALUES}: the run's inputs were not frozen with it.")
        return files


def group_key(row: Mapping[str, Any]) -> GroupKey:
    """Key of a value row or of a comparison."""
    return (
        row["site"] or "",
        row["equipment"] or "",
        row["examination"] or "",
        row["band"] or "",
        row["quantity"] or "",
    )
