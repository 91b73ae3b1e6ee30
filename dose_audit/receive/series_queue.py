"""Phantom images wait by series: nobody measures one before its sender has finished with it."""

import sqlite3
import time
from pathlib import Path

from .header import peek
from .objects import PHANTOM, SpooledObject, SpooledSeries
from .part10 import read_file_meta
from .work_queue import COLUMNS, WorkQueue
from .writer_lock import is_alive

_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_HEAD_BYTES = 256 * 1024  # scanners write large private groups ahead of group 0020
_MOST_IMAGES = 20_000

SeriesUids = tuple[str, str]


def series_of(path: Path) -> SeriesUids:
    """Study and Series Instance UID that a Part 10 file names near its beginning; empty where it does not."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return "", ""
    meta = read_file_meta(head)
    if meta is None:
        return "", ""
    wanted = frozenset((_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID))
    found = peek(memoryview(head)[meta.data_offset :], meta.transfer_syntax_uid, wanted)
    return found.get(_STUDY_INSTANCE_UID, "")[:64], found.get(_SERIES_INSTANCE_UID, "")[:64]


class SeriesQueue(WorkQueue):
    """Hands out series of phantom images once they are quiet.

    An object whose route is ``phantom`` waits in the state ``phantom`` and is never handed out by `claim`.
    """

    def take_series(self, *, worker: str, quiet_s: float = 30.0, limit: int = 1) -> list[SpooledSeries]:
        """Lease whole series of phantom images to a worker, the one that began first first.

        Parameters
        ----------
        worker : str
            Who asks, for the ledger.
        quiet_s : float
            A series is handed out when its last image arrived at least so long ago, s, and every association that
            brought some of it has ended: a scanner may pause between images for longer. The listener's idle time-out
            bounds how long an association can hold a series back.
        limit : int
            Series at most.

        Returns
        -------
        list of SpooledSeries
            Settle each of their ``objects`` by `settle_many`: ``measured``, ``not_relevant`` (no phantom that is
            known) or ``quarantined`` with a reason. Leases lapse as those of `claim` do.

        Notes
        -----
        Arrival is measured on the monotonic clock, so a wall clock that jumps changes nothing. Of an earlier boot it
        is only known that it is longer ago than the system runs.

        An image that comes after its series was handed out makes another `SpooledSeries`, with the images before as
        ``earlier``.
        """
        self._enlist_strays()
        now = time.monotonic()

        def operation(connection: sqlite3.Connection) -> list[SpooledSeries]:
            self._return_lapsed(connection)
            busy = self._still_brought(connection)
            quiet = connection.execute(
                "SELECT m.series, m.study_instance_uid, m.series_instance_uid FROM objects o JOIN series_members m"
                f" ON m.id = o.id WHERE o.state = '{PHANTOM}' GROUP BY m.series"
                " HAVING MAX(CASE WHEN m.boot = ? THEN m.arrived_s ELSE 0 END) <= ? ORDER BY MIN(o.id)",
                (self._boot, now - quiet_s),
            ).fetchall()
            ready = [row for row in quiet if row[0] not in busy][:limit]
            return [self._lease_series(connection, series, uids, worker) for series, *uids in ready]

        return [
            SpooledSeries(
                series.study_instance_uid,
                series.series_instance_uid,
                tuple(self.with_hashes(list(series.objects))),
                series.earlier,
            )
            for series in self.ledger.transact(operation)
        ]

    def measured_of(self, study_instance_uid: str, limit: int = _MOST_IMAGES) -> list[SpooledObject]:
        """Phantom images of a study that were measured before, in order of arrival; only to be read."""
        rows = self.ledger.read(
            f"SELECT {COLUMNS} FROM objects WHERE id IN (SELECT id FROM series_members WHERE study_instance_uid = ?)"
            " AND state = 'measured' ORDER BY id LIMIT ?",
            (study_instance_uid, limit),
        )
        return [self._object(row) for row in rows]

    def _lease_series(self, connection: sqlite3.Connection, series: str, uids: list[str], worker: str) -> SpooledSeries:
        members = (
            f"SELECT {COLUMNS} FROM objects WHERE id IN (SELECT id FROM series_members WHERE series = ?) AND state"
        )
        waiting, earlier = (
            connection.execute(f"{members} {which} '{PHANTOM}' ORDER BY id LIMIT ?", (series, _MOST_IMAGES)).fetchall()
            for which in ("=", "<>")
        )
        leased = self._lease(connection, waiting, worker)
        return SpooledSeries(uids[0], uids[1], tuple(leased), tuple(self._object(row) for row in earlier))

    def _still_brought(self, connection: sqlite3.Connection) -> set[str]:
        """Series that an association of a living listener has brought images of."""
        rows = connection.execute("SELECT token, series FROM bringing").fetchall()
        alive = {token: is_alive(self.root / "part", token) for token in {token for token, _ in rows}}
        return {series for token, series in rows if alive[token]}

    def _enlist(
        self,
        connection: sqlite3.Connection,
        identifier: int,
        uids: SeriesUids,
        *,
        token: str = "",
        association: str = "",
    ) -> None:
        """Record which series a phantom image belongs to and who is bringing it."""
        study_uid, series_uid = uids
        series = series_uid or f"object {identifier}"
        connection.execute(
            "INSERT OR REPLACE INTO series_members VALUES (?, ?, ?, ?, ?, ?)",
            (identifier, study_uid, series_uid, series, self._boot, time.monotonic()),
        )
        if association:
            connection.execute("INSERT OR IGNORE INTO bringing VALUES (?, ?, ?)", (token, association, series))

    def _enlist_strays(self) -> None:
        """Enlist phantom images that were settled before there was this queue and wait again."""
        query = f"SELECT id FROM objects WHERE state = '{PHANTOM}' AND id NOT IN (SELECT id FROM series_members)"
        strays = [item for (identifier,) in self.ledger.read(query) if (item := self.get(identifier)) is not None]
        found = [(item.id, series_of(item.path)) for item in strays]

        def operation(connection: sqlite3.Connection) -> None:
            for identifier, uids in found:
                self._enlist(connection, identifier, uids)

        if found:
            self.ledger.transact(operation)
