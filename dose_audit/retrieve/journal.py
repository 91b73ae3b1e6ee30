"""What became of every study that was asked for, in a small SQLite file: a retrieval that was cut short goes on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from dose_audit.locks import lock_file
from dose_audit.receive.errors import ReceiveError
from dose_audit.retrieve.entries import Study

__all__ = ["BEGUN", "STATES", "Journal", "JournalError", "Kept"]

STATES = ("fetched", "nothing", "failed")
"""Everything that was planned is in the spool; the study holds nothing that tells dose; something is still to come."""
BEGUN = "begun"
"""Asked for and not settled: the run ended in the middle, and what is here of the study may be a part of it."""

_VERSION = 2  # 2: `BEGUN`, which an earlier program would take for done
_SCHEMA = """
CREATE TABLE studies (
    archive TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 1,
    reports INTEGER NOT NULL DEFAULT 0,
    images INTEGER NOT NULL DEFAULT 0,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (archive, study_instance_uid)
) WITHOUT ROWID;
CREATE TABLE devices (                  -- what the series of a study said, so that they are asked once
    archive TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    modalities TEXT NOT NULL,
    station_name TEXT,
    PRIMARY KEY (archive, study_instance_uid)
) WITHOUT ROWID;
"""


class JournalError(ReceiveError):
    """The journal cannot be used: of a later version, locked by another run, damaged."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the journal knows of one study."""

    state: str
    reason: str
    attempts: int
    updated_at: datetime


class Journal:
    """The journal of one installation.

    Parameters
    ----------
    path : Path
        Made when absent.

    Examples
    --------
    >>> import tempfile
    >>> with Journal(Path(tempfile.mkdtemp()) / "retrieve.sqlite3") as journal:
    ...     journal.settle("pacs", "1.2.3", "fetched", reports=1)
    ...     journal.kept("pacs", ["1.2.3", "1.2.4"])["1.2.3"].state
    'fetched'
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")
            elif version < _VERSION:
                self._connection.execute(f"PRAGMA user_version={_VERSION}")  # the same tables
        except sqlite3.Error as error:
            raise JournalError(f"the journal of retrievals cannot be opened: {error}") from error
        if version > _VERSION:
            self._connection.close()
            raise JournalError("the journal of retrievals was written by a later version of this program")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the archive for one run: a second run at the same time is refused.

        Raises
        ------
        JournalError
        """
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not lock_file(descriptor, wait=False):
                raise JournalError("another retrieval is running; an archive is asked by one at a time")
            yield
        finally:
            os.close(descriptor)

    def begin(self, archive: str, study_instance_uid: str) -> None:
        """Record that a study is about to be asked for; durable on return.

        The attempt is counted by `settle`: a run that is stopped in the middle says nothing against the study.
        """
        self._connection.execute(
            "INSERT INTO studies (archive, study_instance_uid, state, attempts, updated_at) VALUES (?, ?, ?, 0, ?)"
            " ON CONFLICT (archive, study_instance_uid) DO UPDATE SET state = excluded.state, reason = '',"
            " updated_at = excluded.updated_at,"
            f" attempts = CASE WHEN state IN ('failed', '{BEGUN}') THEN attempts ELSE 0 END",
            (archive, study_instance_uid, BEGUN, datetime.now(UTC).isoformat()),
        )

    def settle(
        self, archive: str, study_instance_uid: str, state: str, *, reason: str = "", reports: int = 0, images: int = 0
    ) -> None:
        """Record what became of a study; durable on return."""
        if state not in STATES:
            raise ValueError(f"{state!r} is none of {', '.join(STATES)}")
        self._connection.execute(
            "INSERT INTO studies VALUES (?, ?, ?, ?, 1, ?, ?, ?)"
            " ON CONFLICT (archive, study_instance_uid) DO UPDATE SET state = excluded.state, reason = excluded.reason,"
            " reports = excluded.reports, images = excluded.images, updated_at = excluded.updated_at,"
            f" attempts = CASE WHEN state IN ('failed', '{BEGUN}') AND excluded.state = 'failed' THEN attempts + 1"
            " ELSE 1 END",
            (archive, study_instance_uid, state, reason[:500], reports, images, datetime.now(UTC).isoformat()),
        )

    def kept(self, archive: str, studies: Sequence[str]) -> dict[str, Kept]:
        """What is known of these studies."""
        found: dict[str, Kept] = {}
        for some in _some(studies):
            rows = self._connection.execute(
                "SELECT study_instance_uid, state, reason, attempts, updated_at FROM studies"
                f" WHERE archive = ? AND study_instance_uid IN ({','.join('?' * len(some))})",
                (archive, *some),
            )
            for uid, state, reason, attempts, updated_at in rows:
                found[uid] = Kept(state, reason, attempts, datetime.fromisoformat(updated_at))
        return found

    def exhausted(self, studies: Sequence[str]) -> set[str]:
        """Studies of which any archive has given all that it has."""
        return self._in_states(studies, ("fetched", "nothing"))

    def unfinished(self, studies: Sequence[str]) -> set[str]:
        """Studies that a run began to fetch and did not finish, and that no other archive has given since."""
        return self._in_states(studies, (BEGUN,)) - self.exhausted(studies)

    def _in_states(self, studies: Sequence[str], states: tuple[str, ...]) -> set[str]:
        found: set[str] = set()
        for some in _some(studies):
            rows = self._connection.execute(
                f"SELECT study_instance_uid FROM studies WHERE state IN ({','.join('?' * len(states))})"
                f" AND study_instance_uid IN ({','.join('?' * len(some))})",
                (*states, *some),
            )
            found.update(uid for (uid,) in rows)
        return found

    def remember_device(self, archive: str, study: Study) -> None:
        """Keep what a study's series said."""
        self._connection.execute(
            "INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?)",
            (archive, study.study_instance_uid, "\\".join(study.modalities), study.station_name),
        )

    def devices(self, archive: str, studies: Sequence[str]) -> dict[str, tuple[tuple[str, ...], str | None]]:
        """Modalities and station name of the studies whose series were asked before."""
        found: dict[str, tuple[tuple[str, ...], str | None]] = {}
        for some in _some(studies):
            rows = self._connection.execute(
                "SELECT study_instance_uid, modalities, station_name FROM devices"
                f" WHERE archive = ? AND study_instance_uid IN ({','.join('?' * len(some))})",
                (archive, *some),
            )
            for uid, modalities, station in rows:
                found[uid] = (tuple(part for part in modalities.split("\\") if part), station)
        return found


def _some(values: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """Pieces that fit into one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
