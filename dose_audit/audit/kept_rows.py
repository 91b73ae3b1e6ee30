"""Rows of a period's exams in their order, kept from night to night: a night reads the rows of changed blocks alone and puts
them in their places among the others.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.block_tables import Block, Rows, blocks_folder, inside, rows_of_blocks, together
from dose_audit.audit.columns import Columns
from dose_audit.audit.device_names import Device, device_of, devices_of, twins_among
from dose_audit.audit.frozen_parts import weeks_of
from dose_audit.audit.sorted_rows import merged, read_rows, write_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.engine import Engine

__all__ = ["KeptRows", "Make", "RowKind"]

_WRITTEN_FROM = 0.05
"""Rows put in, as a share of all, from which on they are written anew: until then a night puts in those of some nights."""

_KEPT_PERIODS = 2
"""Of a kind: a look at another period, or with another mapping, does not cost the nightly audit what it kept."""

Make = Callable[[list["pa.Table"], set[int]], Columns]
"""Makes of rows of the copy, a list of one table that it takes out, columns of arrays in their order, with the devices named
that share their name with another."""


@dataclass(frozen=True)
class RowKind:
    """A table of rows, each of one exam.

    Attributes
    ----------
    name : str
    rows : callable
        See `block_tables.Rows`.
    order : sequence of str
        Columns that the made rows are sorted by, see `sorted_rows.merged`.
    without : sequence of str
        Columns that are not read.
    """

    name: str
    rows: Rows
    order: Sequence[str]
    without: Sequence[str] = ()


@dataclass(frozen=True)
class _Held:
    """Rows of an earlier night.

    Attributes
    ----------
    columns : Columns
    keys : dict
        Block → the key that it had.
    later : list of str
        Blocks with exams after the end of that night's period.
    twins : set of int
        Devices that bore their number behind their name.
    until : str or None
    weeks : dict
        Names of what each week holds.
    """

    columns: Columns
    keys: dict[str, str]
    later: list[str]
    twins: set[int]
    until: str | None
    weeks: dict[int, str]


@dataclass(frozen=True)
class KeptRows:
    """Rows of a period of a copy in blocks.

    Attributes
    ----------
    engine : Engine
    kind : RowKind
    blocks : list of Block
        From `block_tables.period_blocks`.
    since, until : date or None
    settings : str
        All that decides what is said of a row and whether it is there, beside its block and the end of the period.
    """

    engine: Engine
    kind: RowKind
    blocks: list[Block]
    since: date | None
    until: date | None
    settings: str

    def read(self, make: Callable[[], Make]) -> tuple[Columns, dict[int, str]]:
        """Return all rows in their order, and the weeks of exams whose rows are what they were.

        Parameters
        ----------
        make : callable
            Asked when the rows of the copy are there.

        Returns
        -------
        columns : Columns
        weeks : dict
            See `values.Values`.
        """
        held = self._held()
        parts = self._parts(held)
        return self._columns(held, parts, make())

    @property
    def _settings_sha256(self) -> str:
        assert self.engine.manifest is not None
        return hashlib.sha256(f"{self.engine.manifest.block_rows} {self.settings}".encode()).hexdigest()

    @property
    def _path(self) -> Path:
        return blocks_folder(self.engine) / f"period-{self.kind.name}-{self._settings_sha256[:16]}.arrow"

    def _write(self, columns: Columns, facts: dict[str, Any]) -> None:
        write_rows(self._path, columns, facts)
        kept = sorted(self._path.parent.glob(f"period-{self.kind.name}-*.arrow"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_KEPT_PERIODS]:
            path.unlink(missing_ok=True)

    @property
    def _end(self) -> str | None:
        return None if self.until is None else self.until.isoformat()

    def _held(self) -> _Held | None:
        """The rows of an earlier night that this one goes on from."""
        try:
            os.utime(self._path)
        except FileNotFoundError:  # never written, or dropped by another audit at this moment
            return None
        found = read_rows(self._path)
        if found is None or found[1]["settings"] != self._settings_sha256:
            return None
        columns, facts = found
        weeks = dict(facts["weeks"])
        held = _Held(columns, facts["blocks"], facts["later"], set(facts["twins"]), facts["until"], weeks)
        if held.until == self._end:
            return held
        # Of a period that ended later, or never, there are rows to which this one does not reach.
        return held if held.until is not None and (self._end is None or held.until < self._end) else None

    def _holds(self, held: _Held, block: Block) -> bool:
        return held.keys.get(block.number) == block.key and (held.until == self._end or block.number not in held.later)

    def _parts(self, held: _Held | None) -> dict[str, pa.Table]:
        """Rows of the blocks that are not among those held, whatever their dates."""
        blocks = [block for block in self.blocks if held is None or not self._holds(held, block)]
        found = rows_of_blocks(self.engine, self.kind.name, self.kind.rows, blocks, self.kind.without)
        return dict(zip([block.number for block in blocks], found, strict=True))

    def _columns(self, held: _Held | None, parts: dict[str, pa.Table], make: Make) -> tuple[Columns, dict[int, str]]:
        """All rows of the period in their order, kept for the next night, and the weeks that are what they were."""
        later = {number for number, part in parts.items() if _ends_after(part, self.until)}
        numbers = set(parts)
        tables = [inside(part, self.since, self.until) for part in parts.values()]
        parts.clear()  # of millions of rows, what is put together need not be there apart
        more = [together(tables)] if tables else []
        devices = set(devices_of(more[0])) if more else set()
        if held is None:
            twins = twins_among(devices)
            columns, weeks = make(more, twins), {}
        else:
            stay = self._staying(held, numbers)
            there = _devices(held.columns, stay)
            twins = twins_among(there | devices)
            if any((number in twins) != (number in held.twins) for _, _, number in there):
                # A device has another name in the report now, and with it rows that did not change another place.
                return self._columns(None, self._parts(None), make)
            if not more and stay.all():
                return held.columns, held.weeks
            nothing = np.zeros(0, dtype=np.int64)
            added = make(more, twins) if more else held.columns.some(nothing)
            columns = merged(held.columns, stay, added, self.kind.order)
            moments = [held.columns["study_datetime"][~stay], added["study_datetime"]]
            touched = set(np.concatenate([weeks_of(part) for part in moments]).tolist())
            weeks = {week: name for week, name in held.weeks.items() if week not in touched}
            if len(added) < _WRITTEN_FROM * len(columns):
                return columns, weeks
            later |= {number for number in held.later if number in self._numbers - numbers}
        facts = {
            "settings": self._settings_sha256,
            "until": self._end,
            "blocks": {block.number: block.key for block in self.blocks},
            "later": sorted(later),
            "twins": sorted(twins),
        }
        name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        weeks = dict.fromkeys(np.unique(weeks_of(columns["study_datetime"])).tolist(), name) | weeks
        self._write(columns, facts | {"weeks": list(weeks.items())})
        return columns, weeks

    @property
    def _numbers(self) -> set[str]:
        return {block.number for block in self.blocks}

    def _staying(self, held: _Held, changed: set[str]) -> NDArray[np.bool_]:
        """Which rows are of blocks that are what they were."""
        exams = held.columns["exam_id"]
        if not exams.size:
            return np.zeros(0, dtype=np.bool_)
        assert self.engine.manifest is not None
        block = (exams - 1) // self.engine.manifest.block_rows
        first, last = int(block.min()), int(block.max())
        kept = self._numbers - changed
        stays = np.array([str(number) in kept for number in range(first, last + 1)], dtype=np.bool_)
        return stays[block - first]


def _ends_after(table: pa.Table, until: date | None) -> bool:
    import pyarrow.compute as pc

    last = pc.max(table["study_date"]).as_py()
    return until is not None and last is not None and last > until


def _devices(columns: Columns, rows: NDArray[np.bool_]) -> set[Device]:
    """Every device of some rows."""
    codes, words = columns.texts["device"]
    there = np.bincount(codes[rows], minlength=len(words)) > 0
    return {device_of(word) for word, used in zip(words, there, strict=True) if used}
