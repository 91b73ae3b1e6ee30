"""The ledger: one SQLite file that knows the fate of every object, with one commit for all who wait together."""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dose_audit.sqlite_files import as_it_stands, cannot_write

from .errors import LedgerUnavailable

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

_SCHEMA_VERSION = 3  # 2: outstanding hashes, the queue of phantom series; 3: senders are counted in arrears
_WAL_PAGES = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    id INTEGER PRIMARY KEY,          -- rises with time of arrival, for no row is ever deleted
    name TEXT NOT NULL,              -- path under the spool, or the absolute path of a file read in place
    in_place INTEGER NOT NULL,       -- 1: somebody else's file, never moved nor deleted
    sop_class_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    sha256 TEXT NOT NULL,            -- of the whole file, as `sha256sum` prints it; '' while it is outstanding
    size INTEGER NOT NULL,
    mtime_ns INTEGER,                -- of a file read in place
    source TEXT NOT NULL,
    route TEXT NOT NULL,
    received_at TEXT NOT NULL,       -- UTC, ISO 8601; for people, never for ordering or time-outs
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    worker TEXT NOT NULL DEFAULT '',
    lease_boot TEXT NOT NULL DEFAULT '',
    lease_until REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS objects_by_instance ON objects (sop_instance_uid);
CREATE INDEX IF NOT EXISTS objects_by_state ON objects (state, id);
CREATE INDEX IF NOT EXISTS objects_in_place ON objects (name) WHERE in_place = 1;
CREATE TABLE IF NOT EXISTS series_members (
    id INTEGER PRIMARY KEY,          -- of the object; only those routed to phantom analysis are here
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    series TEXT NOT NULL,            -- what belongs together: the UID, or the object alone where it names none
    boot TEXT NOT NULL,
    arrived_s REAL NOT NULL          -- on the monotonic clock of that boot
);
CREATE INDEX IF NOT EXISTS series_members_by_series ON series_members (series);
CREATE TABLE IF NOT EXISTS bringing ( -- series that an association still open has brought images of
    token TEXT NOT NULL, association TEXT NOT NULL, series TEXT NOT NULL, PRIMARY KEY (token, association, series)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (
    source TEXT PRIMARY KEY, objects INTEGER NOT NULL, bytes INTEGER NOT NULL, last_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources_counted (up_to INTEGER NOT NULL);  -- id of the last object that `sources` holds
INSERT INTO sources_counted SELECT (SELECT coalesce(max(id), 0) FROM objects)
    WHERE NOT EXISTS (SELECT 1 FROM sources_counted);
CREATE TABLE IF NOT EXISTS counters (
    kind TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS writers (token TEXT PRIMARY KEY, closed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commitments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, transaction_uid TEXT NOT NULL, request TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'due', UNIQUE (transaction_uid, request)
);
"""


class Statement:
    """An operation of one statement: a transaction of its own where nobody else has something to commit.

    Its result is the id of the row that it inserted, 0 where it inserted none.
    """

    __slots__ = ("_parameters", "_sql")

    def __init__(self, sql: str, parameters: tuple) -> None:
        self._sql = sql
        self._parameters = parameters

    def __call__(self, connection: sqlite3.Connection) -> int:
        cursor = connection.execute(self._sql, self._parameters)
        return cursor.lastrowid or 0 if cursor.rowcount else 0


class _Ticket:
    __slots__ = ("done", "error", "operation", "result")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False


class Ledger:
    """A SQLite file in WAL mode whose writers share commits.

    Every thread leaves its operation in a queue and takes the commit lock; whoever gets it runs all that is queued in
    one transaction. A lone association commits for itself without a hand-over, sixteen together pay for one flush.

    Parameters
    ----------
    path : Path
        The file; made when absent.
    durable : bool
        ``synchronous=FULL``: a returned `transact` survives a power cut. False trades that for speed.
    busy_s : float
        How long to wait for another process's lock before giving up, s.
    or_read : bool
        Where the file cannot be written, open it to be read as it stands.

    Attributes
    ----------
    only_read : bool
        It was opened so: `transact` fails.
    """

    def __init__(self, path: Path, *, durable: bool = True, busy_s: float = 5.0, or_read: bool = False) -> None:
        self.only_read = False
        self._queue: deque[_Ticket] = deque()
        self._commit_lock = threading.Lock()
        self._if_lost: list[Callable[[], None]] = []
        try:
            self._open(path, durable, busy_s)
        except sqlite3.Error as error:
            if not (or_read and cannot_write(error)):
                raise LedgerUnavailable(f"the ledger cannot be opened: {error}", certain=True) from error
            self._open_to_read(path)

    def _open(self, path: Path, durable: bool, busy_s: float) -> None:
        self._connection = sqlite3.connect(
            path, timeout=busy_s, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA_VERSION:
            raise LedgerUnavailable(f"the ledger is of a later version ({version}) of this software", certain=True)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        self._connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        self._connection.executescript(_SCHEMA)
        self._connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")

    def _open_to_read(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(as_it_stands(path), uri=True, check_same_thread=False)
            self._connection.execute("SELECT COUNT(*) FROM objects")
        except (sqlite3.Error, OSError) as error:
            raise LedgerUnavailable(f"the ledger cannot be opened: {error}", certain=True) from error
        self.only_read = True

    def transact(self, operation: Operation[T]) -> T:
        """Run `operation` inside a transaction and return its result once that is committed.

        Parameters
        ----------
        operation : callable
            Takes the connection. When it raises, only its own statements are undone.

        Raises
        ------
        LedgerUnavailable
            When the transaction did not commit.
        """
        ticket = _Ticket(operation)
        self._queue.append(ticket)
        with self._commit_lock:
            if not ticket.done:
                self._commit_queued()
        if ticket.error is not None:
            raise ticket.error
        return ticket.result

    def if_lost(self, undo: Callable[[], None]) -> None:
        """For operations: call this when what they write turns out not to have been committed."""
        self._if_lost.append(undo)

    def lengthen_log(self) -> None:
        """Write the WAL once to its full length, so that later commits overwrite it instead of extending it.

        A file that grows costs the file system's journal a flush at every commit, one that is overwritten does not: the
        difference is a third of the time that a sender waits for an object to be safe.
        """
        with self._commit_lock:
            try:
                (page,) = self._connection.execute("PRAGMA page_size").fetchone()
                self._connection.execute("CREATE TABLE IF NOT EXISTS padding (bytes BLOB)")
                self._connection.execute("INSERT INTO padding VALUES (zeroblob(?))", (page * _WAL_PAGES,))
                self._connection.execute("DELETE FROM padding")  # its pages stay in the file, free for rows to come
                self._connection.execute("PRAGMA wal_checkpoint(RESTART)")
            except sqlite3.Error as error:
                raise LedgerUnavailable(f"the ledger did not commit: {error}", certain=True) from error

    def read(self, sql: str, parameters: tuple = ()) -> list[tuple]:
        """Rows of a query, as of now."""
        with self._commit_lock:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise LedgerUnavailable(f"the ledger cannot be read: {error}", certain=True) from error

    def close(self) -> None:
        """Close the connection; the last one to close folds the WAL into the file."""
        with self._commit_lock:
            self._connection.close()

    def _commit_queued(self) -> None:
        batch: list[_Ticket] = []
        while self._queue:
            batch.append(self._queue.popleft())
        failure: BaseException | None = None
        committed = False
        try:
            if len(batch) == 1 and isinstance(batch[0].operation, Statement):
                self._commit_statement(batch[0])
            else:
                self._commit(batch)
            committed = True
        except LedgerUnavailable as error:
            failure = error
        finally:
            if not committed:
                self._roll_back()
                self._undo_from(0)
                failure = failure or LedgerUnavailable("the ledger's commit was interrupted")
            self._if_lost.clear()
            for ticket in batch:
                ticket.error = ticket.error or failure
                ticket.done = True

    def _commit_statement(self, ticket: _Ticket) -> None:
        try:
            ticket.result = ticket.operation(self._connection)
        except sqlite3.Error as error:
            certain = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY  # it did not begin
            raise LedgerUnavailable(f"the ledger did not commit: {error}", certain=certain) from error

    def _commit(self, batch: list[_Ticket]) -> None:
        begun = False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            begun = True
            for ticket in batch:
                self._run(ticket, alone=len(batch) == 1)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            # A commit that failed half-way may still be found complete after a restart; only before BEGIN is it sure.
            raise LedgerUnavailable(f"the ledger did not commit: {error}", certain=not begun) from error

    def _run(self, ticket: _Ticket, *, alone: bool) -> None:
        """Run one operation so that its failure undoes its own statements and nobody else's."""
        if not alone:
            self._connection.execute("SAVEPOINT one")
        before = len(self._if_lost)
        try:
            ticket.result = ticket.operation(self._connection)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
                raise  # disk full, I/O error, damaged file: the whole transaction is lost
            ticket.error = error  # for the thread whose operation it was
            self._undo_from(before)
            self._connection.execute("ROLLBACK" if alone else "ROLLBACK TO one")
            if alone:
                self._connection.execute("BEGIN")  # for the commit that follows, of nothing
        if not alone:
            self._connection.execute("RELEASE one")

    def _undo_from(self, first: int) -> None:
        for undo in self._if_lost[first:]:
            undo()
        del self._if_lost[first:]

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                # SQLite has rolled back by itself after an I/O error; a second attempt then says so.
                pass
