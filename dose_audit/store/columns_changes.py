"""Finds which blocks of the copy are no longer what the store says, without reading the store from end to end.

A row that is written gets a new ``updated_at``. Rows changed since a little before the last refresh are compared block
by block with what that refresh saw of them; a count and a sum of all keys show whether any row has gone.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dose_audit.store.columns_read import Reader

__all__ = ["Changes", "find_changes", "look"]

OVERLAP = dt.timedelta(hours=1)
"""A transaction may be over so long after the moment that its rows bear, and is seen all the same."""
_STORED = {"exams": "store_exam", "objects": "store_receivedobject"}


@dataclass
class Changes:
    """Blocks to write anew, and those that no longer have a row."""

    exams: set[int] = field(default_factory=set)
    objects: set[int] = field(default_factory=set)
    tallies: bool = False


def look(reader: Reader, block_rows: int) -> dict[str, Any]:
    """What is kept for the next refresh to compare with.

    Returns
    -------
    dict
        Plain data: the registers, and for each table the window's start, its rows by block, the count and the sum of all
        keys, and those of each block.
    """
    found: dict[str, Any] = _registers(reader)
    for name, stored in _STORED.items():
        [(newest,)] = reader.rows(f"SELECT MAX(updated_at) FROM {stored}")
        since = _text(_moment(newest) - OVERLAP) if newest else ""
        found[name] = {
            "since": since,
            "recent": _recent(reader, stored, since, block_rows),
            "total": _total(reader, stored),
        }
    return found


def find_changes(reader: Reader, before: dict[str, Any], now: dict[str, Any], block_rows: int, held: Any) -> Changes:
    """Return the blocks that changed between two looks.

    Parameters
    ----------
    reader : Reader
        The snapshot of `now`.
    before, now : dict
        From `look`.
    block_rows : int
    held : mapping
        ``exams`` and ``objects`` → block → how many rows the copy has of it, from the store's own rows.
    """
    changes = Changes(tallies=before["tallies"] != now["tallies"])
    for name, blocks in (("exams", changes.exams), ("objects", changes.objects)):
        stored, then = _STORED[name], before[name]
        recent = _recent(reader, stored, then["since"], block_rows)
        blocks.update(int(b) for b in recent.keys() | then["recent"].keys() if recent.get(b) != then["recent"].get(b))
        if _gone(reader, stored, then, now[name]):
            blocks.update(_uneven(reader, stored, held[name], block_rows))
            changes.objects.update(_object_blocks(reader, block_rows))  # which of them named a gone exam is not known
    _renamed(reader, before, now, block_rows, changes)
    if changes.exams:
        # An object shows its exam's site and number.
        since = before["exams"]["since"]
        changed = f" AND x.updated_at >= '{since}'" if since else ""
        changed += f" AND (x.id - 1) / {block_rows} IN ({', '.join(map(str, sorted(changes.exams)))})"
        changes.objects.update(
            block
            for (block,) in reader.rows(
                f"SELECT DISTINCT (r.id - 1) / {block_rows} FROM store_exam x JOIN store_receivedobject r "
                f"ON r.study_instance_uid = x.study_instance_uid WHERE 1 = 1{changed}"
            )
        )
    return changes


def _registers(reader: Reader) -> dict[str, Any]:
    devices = reader.rows(
        "SELECT id, display_name, manufacturer, model_name, station_name, serial_number, modality_override "
        "FROM store_equipment ORDER BY id"
    )
    return {
        "devices": {str(row[0]): list(row[1:]) for row in devices},
        "sites": {str(key): name for key, name in reader.rows("SELECT id, name FROM store_site ORDER BY id")},
        "tallies": [list(row) for row in reader.rows("SELECT name, value FROM store_tally ORDER BY name")],
    }


def _recent(reader: Reader, stored: str, since: str, block_rows: int) -> dict[str, list[int]]:
    """Rows changed since a moment, by block: count, sum of keys, sum of the fractions of their moments."""
    where = f" WHERE updated_at >= '{since}'" if since else ""
    return {
        str(block): [int(part) for part in parts]
        for block, *parts in reader.rows(
            f"SELECT (id - 1) / {block_rows}, COUNT(*), SUM(id), SUM({reader.micros}) FROM {stored}{where} GROUP BY 1"
        )
    }


def _total(reader: Reader, stored: str) -> list[int]:
    [(count, keys, last)] = reader.rows(f"SELECT COUNT(*), SUM(id), MAX(id) FROM {stored}")
    return [int(count), int(keys or 0), int(last or 0)]


def _gone(reader: Reader, stored: str, then: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether anything but new rows at the end tells the two totals apart."""
    count, keys, last = then["total"]
    [(more, sums)] = reader.rows(f"SELECT COUNT(*), SUM(id) FROM {stored} WHERE id > {last}")
    return now["total"][:2] != [count + int(more), keys + int(sums or 0)]


def _uneven(reader: Reader, stored: str, held: dict[str, int], block_rows: int) -> set[int]:
    rows = reader.rows(f"SELECT (id - 1) / {block_rows}, COUNT(*) FROM {stored} GROUP BY 1")
    counted = {str(block): int(count) for block, count in rows}
    return {int(block) for block in counted.keys() | held.keys() if counted.get(block) != held.get(block)}


def _renamed(reader: Reader, before: dict[str, Any], now: dict[str, Any], block_rows: int, changes: Changes) -> None:
    """Blocks whose exams bear the name of a device or site that is written otherwise now."""
    blocks = f"SELECT DISTINCT (id - 1) / {block_rows} FROM store_exam"
    for kind, column in (("devices", "equipment_id"), ("sites", "site_id")):
        others = [key for key, entry in before[kind].items() if now[kind].get(key, entry) != entry]
        if others:
            changes.exams.update(block for (block,) in reader.rows(f"{blocks} WHERE {column} IN ({', '.join(others)})"))
            if kind == "sites":
                changes.objects.update(_object_blocks(reader, block_rows))


def _object_blocks(reader: Reader, block_rows: int) -> set[int]:
    return {block for (block,) in reader.rows(f"SELECT DISTINCT (id - 1) / {block_rows} FROM store_receivedobject")}


def _moment(value: Any) -> dt.datetime:
    return dt.datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(dt.UTC)


def _text(moment: dt.datetime) -> str:
    """As the store writes it: UTC, with its offset on PostgreSQL only."""
    text = moment.replace(tzinfo=None).isoformat(" ")
    return text if moment.tzinfo is None else f"{text}+00"
