"""The rows that an arriving object leaves in the ledger; to be called inside a transaction."""

import sqlite3
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from .ledger import Statement
from .objects import Receipt, waiting_state


def count(connection: sqlite3.Connection, kind: str, name: str, by: int = 1) -> None:
    """Raise a counter inside a transaction."""
    connection.execute(
        "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET value = value + excluded.value",
        (kind, name, by),
    )


_INSERT = (
    "INSERT INTO objects (name, in_place, sop_class_uid, sop_instance_uid, transfer_syntax_uid, sha256, size,"
    " mtime_ns, source, route, received_at, state) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12"
)
_INSERT_IF_NEW = f"{_INSERT} WHERE NOT EXISTS (SELECT 1 FROM objects WHERE sop_instance_uid = ?4)"


def insertion(
    name: str,
    sha256: str,
    *,
    in_place: bool = False,
    uids: tuple[str, str, str],
    size: int,
    mtime_ns: int | None = None,
    source: str,
    route: str,
    if_new: bool = False,
) -> Statement:
    """Adds an object that waits for a worker; gives its id.

    Parameters
    ----------
    if_new : bool
        Only where nothing of its SOP instance is here; otherwise nothing happens and the id is 0.
    """
    second, millisecond = divmod(time.time_ns() // 1_000_000, 1000)
    now = f"{_up_to_second(second)}.{millisecond:03d}+00:00"
    return Statement(
        _INSERT_IF_NEW if if_new else _INSERT,
        (name, in_place, *uids, sha256, size, mtime_ns, source, route, now, waiting_state(route)),
    )


@lru_cache(1)  # taking a date apart costs more than all the rest of a row
def _up_to_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_COUNT_SOURCES = """
INSERT INTO sources SELECT source, count(*), sum(size), max(received_at) FROM objects
    WHERE id > (SELECT up_to FROM sources_counted) GROUP BY source
    ON CONFLICT (source) DO UPDATE SET objects = objects + excluded.objects, bytes = bytes + excluded.bytes,
    last_at = excluded.last_at
"""
SOURCES = """
SELECT source, sum(objects), sum(bytes), max(last_at) FROM (
    SELECT * FROM sources UNION ALL
    SELECT source, 1, size, received_at FROM objects WHERE id > (SELECT up_to FROM sources_counted)
) GROUP BY source ORDER BY source
"""
"""What each sender brought: the totals, and the objects that are not in them yet."""


def count_sources(connection: sqlite3.Connection) -> None:
    """Add what came since the last time to the totals of its senders."""
    connection.execute(_COUNT_SOURCES)
    connection.execute("UPDATE sources_counted SET up_to = (SELECT coalesce(max(id), 0) FROM objects)")


DUPLICATE_FROM = "duplicate from"
"""Kind of the counters of duplicates at the door by their sender, whose sum is that of all since they are kept."""

RECOVERED = "recovered"
"""Source of what a crash left without a row: who brought it and where it goes shows when it is sent again."""


class HashesNeeded(Exception):
    """The same instance is here, and not all of the hashes that would tell a copy from a conflict are known yet."""


def other_bytes(connection: sqlite3.Connection, sop_instance_uid: str, sha256: str) -> bool:
    """Whether the same instance is here with other bytes."""
    if not sop_instance_uid:
        return False
    query = "SELECT 1 FROM objects WHERE sop_instance_uid = ? AND sha256 <> ? LIMIT 1"
    return connection.execute(query, (sop_instance_uid, sha256)).fetchone() is not None


def admit_row(
    connection: sqlite3.Connection,
    root: Path,
    name: str,
    sha256: str,
    *,
    size: int,
    source: str,
    route: str,
    uids: tuple[str, str, str],
    insist: bool = False,
) -> Receipt:
    """Record a file of ours, unless the same bytes are already here (then the caller removes its copy).

    Parameters
    ----------
    sha256 : str
        Of the file; empty when it has not been hashed.
    insist : bool
        Take a hash that is outstanding for another one: its file could not be read.

    Raises
    ------
    HashesNeeded
        Hash this file and the others of its instance, then call again, insisting.
    """
    known = connection.execute(
        "SELECT id, name, sha256, in_place FROM objects WHERE sop_instance_uid = ?1 AND (?1 <> '' OR sha256 = ?2)",
        (uids[1], sha256),
    ).fetchall()
    if known and not insist and not (sha256 and all(row[2] for row in known)):
        raise HashesNeeded
    for identifier, other, other_sha256, in_place in known:
        if other_sha256 == sha256 and not in_place and _is_there(root, other):
            connection.execute(
                "UPDATE objects SET source = ?, route = ?, state = ? WHERE id = ? AND source = ? AND state = 'pending'",
                (source, route, waiting_state(route), identifier, RECOVERED),
            )
            count(connection, "duplicate", "at the door")
            count(connection, DUPLICATE_FROM, source)
            return Receipt(identifier, "duplicate")
    conflict = bool(uids[1]) and any(row[2] != sha256 for row in known)
    identifier = insertion(name, sha256, uids=uids, size=size, source=source, route=route)(connection)
    return Receipt(identifier, "conflict" if conflict else "stored")


def _is_there(root: Path, name: str) -> bool:
    """Whether a file of ours still exists, in its place or in quarantine."""
    return (root / name).exists() or (root / "quarantine" / Path(name).name).exists()
