"""Who works on which object: leases that lapse, end states, quarantine and the way back."""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from .file_names import named_path
from .ledger import Ledger
from .objects import END_STATES, PHANTOM, SpooledObject
from .part_files import unrenamed
from .writer_lock import LeaseLock, is_alive

# What `WorkQueue._object` reads of a row, in its order.
COLUMNS = (
    "id, name, in_place, sop_class_uid, sop_instance_uid, transfer_syntax_uid, sha256, size, source, received_at,"
    " route, state"
)
_SUSPECT = 3
"""Leases lost, after which an object is handed out alone: a program that was stopped from outside, with much else in hand, says
nothing of it."""
_MAX_ATTEMPTS = 6
_LOST = (
    f"'what read it ended or hung ' || attempts || ' times before it was done, the last {_MAX_ATTEMPTS - _SUSPECT} times with"
    " nothing else in hand; if it was stopped from outside each time, dose-audit quarantine retry ' || id || ' reads it again'"
)
_LEASES = "leases"  # folder of the locks of those who hold objects
_MOST_DEAD = 500  # at a time: SQLite takes so many parameters in any build
_WAITS_AGAIN = f"CASE WHEN route = '{PHANTOM}' THEN '{PHANTOM}' ELSE 'pending' END"  # as `waiting_state` says


def _boot_id() -> str:
    """Identifies this boot, so that leases taken before a restart count as lapsed; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


class WorkQueue:
    """Hands spooled objects to workers and records what became of them.

    Parameters
    ----------
    root : Path
        The spool's folder.
    ledger : Ledger
    lease_s : float
        How long a worker may hold an object before another gets it, s.
    """

    def __init__(self, root: Path, ledger: Ledger, lease_s: float) -> None:
        self.root = root
        self.ledger = ledger
        self.lease_s = lease_s
        self._boot = _boot_id()
        self._lease_lock: LeaseLock | None = None
        self._lease_guard = threading.Lock()

    def claim(self, limit: int, *, worker: str) -> list[SpooledObject]:
        """Lease up to `limit` objects for dose extraction to a worker, oldest first.

        A lease that was not settled within `lease_s` lapses and the object is handed out again, and so is at once what a
        process had that has ended. Leases run on the monotonic clock, so a wall clock that jumps changes nothing.

        Why a process ended is not known: it may have been killed for reasons of its own, or by what it read. An object that was
        lost so three times is handed out alone, when nothing else waits and its worker has nothing else in hand; lost three
        times more, it is quarantined, and the reason says what happened and how it is read again.
        """

        def operation(connection: sqlite3.Connection) -> list[SpooledObject]:
            self._return_lapsed(connection)
            waiting = f"SELECT {COLUMNS} FROM objects WHERE state = 'pending' AND attempts"
            rows = connection.execute(f"{waiting} < ? ORDER BY id LIMIT ?", (_SUSPECT, limit)).fetchall()
            if not rows and not self._holds(connection, worker):
                rows = connection.execute(f"{waiting} >= ? ORDER BY id LIMIT 1", (_SUSPECT,)).fetchall()
            return self._lease(connection, rows, worker)

        return self.with_hashes(self.ledger.transact(operation))

    def _return_lapsed(self, connection: sqlite3.Connection) -> None:
        """Let objects wait again whose worker did not settle them in time."""
        now = time.monotonic()
        dead = self._dead_workers(connection)
        connection.execute(
            f"UPDATE objects SET state = CASE WHEN attempts >= ? THEN 'quarantined' ELSE {_WAITS_AGAIN} END,"
            f" reason = CASE WHEN attempts >= ? THEN {_LOST} ELSE '' END,"
            f" worker = '' WHERE state = 'in_work' AND (lease_boot <> ? OR lease_until <= ? OR lease_until > ?"
            f" OR worker IN ({', '.join('?' * len(dead))}))",
            (_MAX_ATTEMPTS, _MAX_ATTEMPTS, self._boot, now, now + 2 * self.lease_s, *dead),
        )

    def _dead_workers(self, connection: sqlite3.Connection) -> list[str]:
        """Who holds objects and runs no more, as the ledger names them."""
        holders = connection.execute("SELECT DISTINCT worker FROM objects WHERE state = 'in_work'").fetchall()
        own = "" if self._lease_lock is None else self._lease_lock.token
        dead = []
        for (worker,) in holders:
            _, _, token = worker.rpartition(" ")
            if token != own and not is_alive(self.root / _LEASES, token):
                dead.append(worker)
                (self.root / _LEASES / f"{token}.lock").unlink(missing_ok=True)
        return dead[:_MOST_DEAD]

    def _holds(self, connection: sqlite3.Connection, worker: str) -> bool:
        """Whether this worker of ours has anything in hand."""
        if self._lease_lock is None:
            return False
        holder = f"{worker} {self._lease_lock.token}"
        query = "SELECT 1 FROM objects WHERE state = 'in_work' AND worker = ? LIMIT 1"
        return connection.execute(query, (holder,)).fetchone() is not None

    def _lease(self, connection: sqlite3.Connection, rows: list[tuple], worker: str) -> list[SpooledObject]:
        if not rows:
            return []
        with self._lease_guard:
            if self._lease_lock is None:
                self._lease_lock = LeaseLock(self.root / _LEASES)
            holder = f"{worker} {self._lease_lock.token}"
        until = time.monotonic() + self.lease_s
        connection.executemany(
            "UPDATE objects SET state = 'in_work', worker = ?, lease_boot = ?, lease_until = ?,"
            " attempts = attempts + 1 WHERE id = ?",
            [(holder, self._boot, until, row[0]) for row in rows],
        )
        return [self._object(row) for row in rows]

    def end_leases(self) -> None:
        """Let go: what this process has leased and not settled waits again for the next who asks."""
        with self._lease_guard:
            if self._lease_lock is not None:
                self._lease_lock.release()
                self._lease_lock = None

    def with_hashes(self, items: list[SpooledObject]) -> list[SpooledObject]:
        """Compute and record the hashes of objects that are outstanding; one that cannot be read stays without."""
        computed: dict[int, str] = {}
        for item in items:
            if not item.sha256:
                try:
                    with item.path.open("rb") as stream:
                        computed[item.id] = hashlib.file_digest(stream, "sha256").hexdigest()
                except OSError:
                    continue  # whoever reads it says so
        if not computed:
            return items
        changes = [(sha256, identifier) for identifier, sha256 in computed.items()]
        self.ledger.transact(
            lambda c: c.executemany("UPDATE objects SET sha256 = ? WHERE id = ? AND sha256 = ''", changes)
        )
        return [replace(item, sha256=item.sha256 or computed.get(item.id, "")) for item in items]

    def instances(self, sop_instance_uid: str) -> list[SpooledObject]:
        """Everything of one SOP instance, hashed: one object, or several that differ."""
        query = f"SELECT {COLUMNS} FROM objects WHERE sop_instance_uid = ? ORDER BY id"
        return self.with_hashes([self._object(row) for row in self.ledger.read(query, (sop_instance_uid,))])

    def settle(self, id: int, state: str, reason: str = "", *, quarantine: bool = False) -> None:
        """Record the end state of an object; `quarantine` is short for ``state="quarantined"``."""
        self.settle_many([(id, "quarantined" if quarantine else state, reason)])

    def settle_many(self, items: Iterable[tuple[int, str, str]]) -> None:
        """Record the end states of many objects in one transaction: ``(id, state, reason)`` each.

        Raises
        ------
        ValueError
            When a state is none of `END_STATES`, or an id is unknown; then nothing is recorded.
        """
        items = list(items)
        for _, state, _ in items:
            if state not in END_STATES:
                raise ValueError(f"{state!r} is no end state; they are {', '.join(END_STATES)}")

        def operation(connection: sqlite3.Connection) -> None:
            for identifier, state, reason in items:
                cursor = connection.execute(
                    "UPDATE objects SET state = ?, reason = ?, worker = '' WHERE id = ?",
                    (state, reason[:500], identifier),
                )
                if cursor.rowcount != 1:
                    raise ValueError(f"no object {identifier} in the ledger")

        self.ledger.transact(operation)
        self._place([identifier for identifier, _, _ in items])

    def requeue(self, *, state: str = "quarantined", ids: Sequence[int] | None = None) -> int:
        """Let settled objects wait again (after an upgrade that reads more); returns how many."""

        def operation(connection: sqlite3.Connection) -> list[int]:
            chosen = [row[0] for row in connection.execute("SELECT id FROM objects WHERE state = ?", (state,))]
            if ids is not None:
                chosen = sorted(set(chosen) & set(ids))
            connection.executemany(
                f"UPDATE objects SET state = {_WAITS_AGAIN}, reason = '', attempts = 0 WHERE id = ?",
                [(i,) for i in chosen],
            )
            return chosen

        moved = self.ledger.transact(operation)
        self._place(moved)
        return len(moved)

    def quarantined(self, limit: int = 1000) -> list[tuple[SpooledObject, str]]:
        """Objects in quarantine with their reasons, newest first."""
        rows = self.ledger.read(
            f"SELECT {COLUMNS}, reason FROM objects WHERE state = 'quarantined' ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [(self._object(row), row[-1]) for row in rows]

    def get(self, id: int) -> SpooledObject | None:
        """One object by its ledger id."""
        rows = self.ledger.read(f"SELECT {COLUMNS} FROM objects WHERE id = ?", (id,))
        return self._object(rows[0]) if rows else None

    def _object(self, row: tuple) -> SpooledObject:
        name, in_place, state = row[1], row[2], row[11]
        path = named_path(name) if in_place else self.path_of(name, state)
        return SpooledObject(
            id=row[0],
            path=path,
            sop_class_uid=row[3],
            sop_instance_uid=row[4],
            transfer_syntax_uid=row[5],
            sha256=row[6],
            size=row[7],
            source=row[8],
            received_at=datetime.fromisoformat(row[9]),
            route=row[10],
        )

    def path_of(self, name: str, state: str) -> Path:
        """Where a file of ours lies in this state; a move that a crash cut short or undid still leads to it."""
        home, quarantine = self.root / name, self.root / "quarantine" / Path(name).name
        expected, other = (quarantine, home) if state == "quarantined" else (home, quarantine)
        places = (expected, other, unrenamed(self.root, name))
        return next((place for place in places if place.exists()), expected)

    def _place(self, ids: list[int]) -> None:
        """Move files of ours in or out of quarantine/ after their rows say so."""
        for identifier in ids:
            [(name, in_place, state)] = self.ledger.read(
                "SELECT name, in_place, state FROM objects WHERE id = ?", (identifier,)
            )
            if in_place:
                continue
            home, quarantine = self.root / name, self.root / "quarantine" / Path(name).name
            source, target = (home, quarantine) if state == "quarantined" else (quarantine, home)
            if source.exists():
                source.rename(target)
