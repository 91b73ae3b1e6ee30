"""The durable inbox: an object is on disk and in the ledger before anyone is told so, and its fate stays on record."""

import hashlib
import itertools
import os
import secrets
import shutil
import sqlite3
import threading
import time
from pathlib import Path

from .accounts import Accounts
from .errors import LedgerUnavailable, SpoolFull
from .file_names import ledger_name
from .incoming import Incoming, as_spool_error
from .ledger import Ledger
from .objects import END_STATES, OPEN_STATES, PHANTOM, Receipt, SpooledObject, SpooledSeries
from .part10 import clean_uid, read_file_meta
from .part_files import SUFFIX, PartFiles
from .recovery import Recovery, recover
from .rows import HashesNeeded, admit_row, count_sources, insertion, other_bytes
from .series_queue import SeriesQueue, series_of
from .tallies import Tallies
from .writer_lock import WriterLock

__all__ = ["END_STATES", "OPEN_STATES", "PHANTOM", "Receipt", "Spool", "SpooledObject", "SpooledSeries"]

_COUNT_EVERY = 1000  # objects after which the totals of their senders are brought up to date
_AMPLE_BYTES, _AMPLE_S = 5_000_000_000, 0.1  # free beyond the floor; more than can be written in that time


class Spool(SeriesQueue, Accounts):
    """The inbox of one installation.

    Any number of processes may use one spool; each makes its own `Spool`. Threads share one.

    Parameters
    ----------
    root : Path
        Its folder; made when absent.
    fsync : bool
        Flush every object, its name and its ledger row. False is for benchmarks and throw-away spools only.
    min_free_bytes : int
        Refuse objects when the file system has less than this free.
    max_object_bytes : int
        Size cap of one object, bytes.
    lease_s : float
        How long a worker may hold an object before another gets it, s.
    busy_s : float
        How long to wait for a locked ledger, s.
    or_read : bool
        Where nothing can be written, open what is there to be read as it stands.

    Examples
    --------
    >>> import tempfile
    >>> spool = Spool(Path(tempfile.mkdtemp()), min_free_bytes=0)
    >>> incoming = spool.begin(
    ...     source="example", sop_class_uid="1.2", sop_instance_uid="1.3", transfer_syntax_uid="1.2.840.10008.1.2"
    ... )
    >>> incoming.write(b"data set")
    >>> incoming.commit().state
    'stored'
    >>> [item] = spool.claim(10, worker="example")
    >>> spool.settle(item.id, "not_relevant", "an example")
    >>> spool.counts()["not_relevant"]
    1
    """

    def __init__(
        self,
        root: Path,
        *,
        fsync: bool = True,
        min_free_bytes: int = 500_000_000,
        max_object_bytes: int = 2_000_000_000,
        lease_s: float = 600.0,
        busy_s: float = 5.0,
        or_read: bool = False,
    ) -> None:
        self.root = Path(root)
        self.fsync = fsync
        self.min_free_bytes = min_free_bytes
        self.max_object_bytes = max_object_bytes
        try:
            for folder in ("part", "objects", "quarantine"):
                (self.root / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if not (or_read and (self.root / "ledger.sqlite").is_file()):
                raise as_spool_error(error) from error
        ledger = Ledger(self.root / "ledger.sqlite", durable=fsync, busy_s=busy_s, or_read=or_read)
        super().__init__(self.root, ledger, lease_s)
        self._ample_until, self._ample_bytes = 0.0, 0
        self._writer: WriterLock | None = None
        self._lock = threading.Lock()
        self._parts: PartFiles | None = None
        self._folders: set[str] = set()
        self._tallies = Tallies()
        self._arrivals = itertools.count(1)
        self._bringing: set[str] = set()
        self._ended: set[str] = set()

    def close(self) -> None:
        """Write outstanding counters and let go of the ledger."""
        self.end_leases()
        try:
            self.flush_tallies()
            if self._writer is not None:
                token = self._writer.token
                self.ledger.transact(lambda c: c.execute("UPDATE writers SET closed = 1 WHERE token = ?", (token,)))
        finally:
            if self._writer is not None:
                if self._parts is not None:
                    self._parts.close()
                self._writer.release()
                self._writer = None
            self.ledger.close()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- arriving ------------------------------------------------------------------------------------------------

    def begin(
        self,
        *,
        source: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        route: str = "dose",
        whole_file: bool = False,
        association: str = "",
    ) -> Incoming:
        """Open a part file for one object.

        Parameters
        ----------
        whole_file : bool
            The bytes to come are a complete Part 10 file; otherwise a data set, and preamble and file meta are written
            here.
        association : str
            Whatever brings it together with others, unique in this process: series wait until `association_ended`.

        Raises
        ------
        InvalidUID
            When a UID is malformed (an unknown one of a whole file may be empty).
        SpoolFull, SpoolError
            When nothing can be written now.
        """
        if sop_class_uid or not whole_file:
            sop_class_uid = clean_uid(sop_class_uid, what="SOP Class UID")
        if sop_instance_uid or not whole_file:
            sop_instance_uid = clean_uid(sop_instance_uid, what="SOP Instance UID")
        if transfer_syntax_uid or not whole_file:
            transfer_syntax_uid = clean_uid(transfer_syntax_uid, what="Transfer Syntax UID")
        self._check_space()
        part, descriptor = self._new_part()
        return Incoming(
            self,
            part,
            descriptor,
            source=source,
            route=route,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=transfer_syntax_uid,
            whole_file=whole_file,
            association=association,
        )

    def open_ahead(self) -> None:
        """Open a part file for an object to come; call it once a sender has its answer and prepares its next."""
        if self._parts is not None:
            self._parts.open_ahead()

    def association_ended(self, association: str) -> None:
        """Say that nothing more comes from it; costs nothing when it brought no phantom images."""
        with self._lock:
            if association not in self._bringing or self._writer is None:
                return
            self._bringing.discard(association)
            self._ended.add(association)
            # With those of which a locked ledger could not be told.
            ended = [(self._writer.token, name) for name in self._ended]
        self.ledger.transact(lambda c: c.executemany("DELETE FROM bringing WHERE token = ? AND association = ?", ended))
        with self._lock:
            self._ended.difference_update(name for _, name in ended)

    def add_bytes(self, data: bytes, *, source: str, route: str = "dose") -> Receipt:
        """Store a complete file that came by another way than C-STORE (an upload, a member of an archive), as it is.

        UIDs are taken from its file meta where it has them.
        """
        meta = read_file_meta(data)
        incoming = self.begin(
            source=source,
            route=route,
            sop_class_uid=meta.sop_class_uid if meta else "",
            sop_instance_uid=meta.sop_instance_uid if meta else "",
            transfer_syntax_uid=meta.transfer_syntax_uid if meta else "",
            whole_file=True,
        )
        incoming.write(data)
        return incoming.commit()

    def register_file(
        self,
        path: Path,
        sha256: str,
        size: int,
        *,
        source: str,
        sop_instance_uid: str,
        sop_class_uid: str,
        transfer_syntax_uid: str = "",
        route: str = "dose",
    ) -> Receipt:
        """Record a file that stays where it is: a file is its own spool, nothing is copied.

        Idempotent: the same path with the same size, modification time and SHA-256 is a duplicate.

        Parameters
        ----------
        path : Path
            Made absolute here.
        sha256, size
            Of the file as the caller read it.
        """
        name = ledger_name(path)
        mtime_ns = Path(path).stat().st_mtime_ns
        if sop_instance_uid:
            self.instances(sop_instance_uid)  # hashed now, so that a conflict is one
        uids = series_of(Path(path)) if route == PHANTOM else None

        def operation(connection: sqlite3.Connection) -> Receipt:
            row = connection.execute(
                "SELECT id FROM objects WHERE in_place = 1 AND name = ? AND size = ? AND mtime_ns = ? AND sha256 = ?",
                (name, size, mtime_ns, sha256),
            ).fetchone()
            if row:
                return Receipt(row[0], "duplicate")
            other = other_bytes(connection, sop_instance_uid, sha256)
            insert = insertion(
                name,
                sha256,
                in_place=True,
                uids=(sop_class_uid, sop_instance_uid, transfer_syntax_uid),
                size=size,
                mtime_ns=mtime_ns,
                source=source,
                route=route,
            )
            identifier = insert(connection)
            if uids is not None:
                self._enlist(connection, identifier, uids)
            count_sources(connection)
            return Receipt(identifier, "conflict" if other else "stored")

        return self.ledger.transact(operation)

    def known_file(self, path: Path, size: int, mtime_ns: int) -> bool:
        """Whether this file was registered before with this size and modification time, without reading it."""
        return bool(
            self.ledger.read(
                "SELECT 1 FROM objects WHERE in_place = 1 AND name = ? AND size = ? AND mtime_ns = ? LIMIT 1",
                (ledger_name(path), size, mtime_ns),
            )
        )

    def verify(self, sop_class_uid: str, sop_instance_uid: str) -> str:
        """Re-hash what is stored of an instance: ``ok``, ``absent``, ``class_differs`` or ``damaged``.

        What the kernel still keeps in memory is let go first where it is on disk, so that the disk is asked.
        """
        outcome = "absent"
        for item in self.instances(sop_instance_uid):
            if item.sop_class_uid != sop_class_uid:
                outcome = "class_differs" if outcome == "absent" else outcome
                continue
            try:
                with item.path.open("rb") as stream:
                    if hasattr(os, "posix_fadvise"):
                        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                    if digest == item.sha256 and stream.tell() == item.size:
                        return "ok"
            except OSError:
                pass  # unreadable is damaged, said below
            outcome = "damaged"
        return outcome

    def free_bytes(self) -> int:
        """Free space of the spool's file system for this user, bytes."""
        if not hasattr(os, "statvfs"):
            return shutil.disk_usage(self.root).free
        status = os.statvfs(self.root)  # a quarter of the time of `disk_usage`, and asked for every object
        return status.f_bavail * status.f_frsize

    def recover(self) -> Recovery:
        """Put in order what a crash left behind; run once at start, while other processes may be receiving."""
        return recover(self)

    # -- inside --------------------------------------------------------------------------------------------------

    def _check_space(self) -> None:
        """Refuse when the disk is nearly full; asked seldom while it is so far from it that nothing could fill it."""
        now = time.monotonic()
        if now < self._ample_until and self._ample_bytes >= self.min_free_bytes + _AMPLE_BYTES:
            return
        try:
            free = self.free_bytes()
        except OSError as error:
            raise as_spool_error(error) from error
        self._ample_bytes, self._ample_until = free, now + _AMPLE_S
        if free < self.min_free_bytes:
            raise SpoolFull(
                f"{free / 1e9:.2f} GB are free on the disk of {self.root}, {self.min_free_bytes / 1e9:g} GB must stay free "
                "(min_free_bytes)"
            )

    def _new_part(self) -> tuple[str, int]:
        """The next part file, open."""
        try:
            return self._part_files().take()
        except OSError as error:
            raise as_spool_error(error) from error

    def _part_files(self) -> PartFiles:
        with self._lock:
            if self._parts is None:
                if self._writer is None:
                    self._writer = WriterLock(self.root / "part", f"{time.time_ns():016x}{secrets.token_hex(4)}")
                token = self._writer.token
                self.ledger.transact(lambda c: c.execute("INSERT OR IGNORE INTO writers VALUES (?, 0)", (token,)))
                if self.fsync:
                    self.ledger.lengthen_log()
                self._parts = PartFiles(self._writer.folder, token, durable=self.fsync)
            return self._parts

    def _admit(self, incoming: Incoming, part: str, sha256: str) -> Receipt:
        """Rename a flushed part file into place and record it; called by `Incoming.commit`."""
        minute = f"{int(time.time()) // 60 % 256:02x}"
        # As strings, for this runs for every object.
        name = f"objects/{minute}/{part.rpartition(os.sep)[2].removesuffix(SUFFIX)}.dcm"
        try:
            if minute not in self._folders:
                (self.root / "objects" / minute).mkdir(exist_ok=True)
                self._folders.add(minute)
            final = f"{self.root}{os.sep}{name}"
            os.rename(part, final)  # noqa: PTH104
        except OSError as error:
            self._folders.discard(minute)  # it may have been removed; whoever tries again makes it anew
            incoming.abort()
            raise as_spool_error(error) from error
        uids = series_of(Path(final)) if incoming.route == PHANTOM else None
        try:
            try:
                receipt = self._record_new(incoming, name, sha256) if uids is None else None
                if receipt is None:
                    receipt = self.ledger.transact(lambda c: self._record(c, incoming, name, sha256, uids))
            except HashesNeeded:
                self.instances(incoming.sop_instance_uid)
                with Path(final).open("rb") as stream:
                    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                receipt = self.ledger.transact(lambda c: self._record(c, incoming, name, sha256, uids, insist=True))
        except LedgerUnavailable as error:
            if error.certain:
                Path(final).unlink(missing_ok=True)
            # Otherwise the row may turn up after a restart, and its file must be there then; `recover` sorts it out.
            raise
        except OSError as error:
            Path(final).unlink(missing_ok=True)
            raise as_spool_error(error) from error
        if receipt.state == "duplicate":
            Path(final).unlink(missing_ok=True)
        return receipt

    def _record_new(self, incoming: Incoming, name: str, sha256: str) -> Receipt | None:
        """Record what is the first of its SOP instance, as nearly every object is, in one statement; None otherwise."""
        if not incoming.sop_instance_uid or self._tallies.waiting or next(self._arrivals) % _COUNT_EVERY == 0:
            return None  # `_record` also writes what has to be counted
        identifier = self.ledger.transact(
            insertion(
                name,
                sha256,
                uids=(incoming.sop_class_uid, incoming.sop_instance_uid, incoming.transfer_syntax_uid),
                size=incoming.size,
                source=incoming.source,
                route=incoming.route,
                if_new=True,
            )
        )
        return Receipt(identifier, "stored") if identifier else None

    def _record(
        self,
        connection: sqlite3.Connection,
        incoming: Incoming,
        name: str,
        sha256: str,
        series: tuple[str, str] | None,
        *,
        insist: bool = False,
    ) -> Receipt:
        receipt = admit_row(
            connection,
            self.root,
            name,
            sha256,
            size=incoming.size,
            source=incoming.source,
            route=incoming.route,
            uids=(incoming.sop_class_uid, incoming.sop_instance_uid, incoming.transfer_syntax_uid),
            insist=insist,
        )
        if series is not None and receipt.state != "duplicate":
            assert self._writer is not None
            self._enlist(connection, receipt.id, series, token=self._writer.token, association=incoming.association)
            if incoming.association:
                self._bringing.add(incoming.association)
        self._tallies.write(connection, self.ledger)
        count_sources(connection)
        return receipt
