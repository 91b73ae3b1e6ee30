"""The rows that an arriving object leaves in the ledger; to be called inside a transaction."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from .objects import Receipt, waiting_state


def count(connection: sqlite3.Connection, kind: str, name: str, by: int = 1) -> None:
    """Raise a counter inside a transaction."""
    connection.execute(
        "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET value = value + excluded.value",
        (kind, name, by),
    )


def insert(
    connection: sqlite3.Connection,
    name: str,
    sha256: str,
    *,
    in_place: bool,
    uids: tuple[str, str, str],
    size: int,
    mtime_ns: int | None,
    source: str,
    route: str,
) -> int:
    """Add an object that waits for a worker, and count it for its source; returns its id."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    cursor = connection.execute(
        "INSERT INTO objects (name, in_place, sop_class_uid, sop_instance_uid, transfer_syntax_uid, sha256, size,"
        " mtime_ns, source, route, received_at, state) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (name, in_place, *uids, sha256, size, mtime_ns, source, route, now, waiting_state(route)),
    )
    connection.execute(
        "INSERT INTO sources VALUES (?, 1, ?, ?) ON CONFLICT (source) DO UPDATE SET objects = objects + 1,"
        " bytes = bytes + excluded.bytes, last_at = excluded.last_at",
        (source, size, now),
    )
    return int(cursor.lastrowid or 0)


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
            return Receipt(identifier, "duplicate")
    conflict = bool(uids[1]) and any(row[2] != sha256 for row in known)
    identifier = insert(
        connection, name, sha256, in_place=False, uids=uids, size=size, mtime_ns=None, source=source, route=route
    )
    return Receipt(identifier, "conflict" if conflict else "stored")


def _is_there(root: Path, name: str) -> bool:
    """Whether a file of ours still exists, in its place or in quarantine."""
    return (root / name).exists() or (root / "quarantine" / Path(name).name).exists()
