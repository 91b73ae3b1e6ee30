"""Walks files, folders and zip archives and registers what may carry dose with the spool.

A file is read in place and is its own spool; a member of an archive is stored. Whatever cannot be read is one line in
the summary, and everything else goes on.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .archive import ArchiveLimits, BadMember, open_members
from .errors import InvalidUID, ObjectTooLarge
from .file_names import ledger_name, named_path
from .part10 import clean_uid

if TYPE_CHECKING:
    from .spool import Spool

__all__ = ["Judge", "ScanSummary", "Unreadable", "Verdict", "scan"]

_BLOCK = 1 << 20
_MAX_LISTED = 1000


class Unreadable(Exception):
    """A judge's word on bytes that are no object it can read; the text is one line without patient data."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge makes of one object after a glance at it.

    Attributes
    ----------
    reason : str
        Why the object is passed over; empty when it is wanted.
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
        As the object says; empty where it does not.
    study : str
        Study Instance UID.
    is_report : bool
        The object reports the dose of its whole study.
    only_without_report : bool
        The object is wanted only where no report of its study turns up in the same scan: the slices of a CT.
    route : str
        ``dose``, or ``phantom`` for what phantom analysis is to have.
    """

    reason: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    study: str = ""
    is_report: bool = False
    only_without_report: bool = False
    route: str = "dose"


Judge = Callable[[Path | bytes], Verdict]
"""Looks at a file, or at the first bytes of an archive's member; raises `Unreadable`."""


@dataclass(slots=True)
class ScanSummary:
    """What a scan met and did.

    Attributes
    ----------
    files : int
        Files, and members of archives, that were looked at; an archive is told by its members. Each is new, a duplicate, a
        conflict, not relevant or unreadable: these add up to it.
    members : int
        Of these, members of archives.
    dicom : int
        Those that are DICOM.
    registered, duplicates, conflicts : int
        New to the spool; there already; new, with the SOP Instance UID of another object.
    archives : int
        Zip archives that were opened.
    not_relevant : Counter
        Reason → number of readable objects that were passed over.
    unreadable : list of (str, str)
        Place and reason, the first 1,000.
    unreadable_count : int
        All of them.
    apart : int
        Of these, folders and archives that could not be read, or not to their end: no file of `files`.
    closed : int
        Of the unreadable, files and folders that the system would not open or read: what they hold is not known.
    """

    files: int = 0
    members: int = 0
    dicom: int = 0
    registered: int = 0
    duplicates: int = 0
    conflicts: int = 0
    archives: int = 0
    not_relevant: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    unreadable_count: int = 0
    apart: int = 0
    closed: int = 0

    @property
    def changed(self) -> bool:
        """Whether the spool has anything that it had not before."""
        return bool(self.registered or self.conflicts)

    def refuse(self, place: str, reason: str | OSError, *, apart: bool = False) -> None:
        """Note what could not be read; an error of the system's is put into its own words."""
        self.apart += apart
        if isinstance(reason, OSError):
            self.closed += 1
            reason = _words(reason)
        self.unreadable_count += 1
        if len(self.unreadable) < _MAX_LISTED:
            self.unreadable.append((place, reason))


def scan(
    paths: Iterable[Path | str],
    spool: Spool,
    judge: Judge,
    *,
    site: str | None = None,
    progress: Callable[[ScanSummary], None] | None = None,
    limits: ArchiveLimits | None = None,
) -> ScanSummary:
    """Register everything under `paths` that may carry dose.

    Parameters
    ----------
    paths : iterable of path
        Files, folders, zip archives. Symbolic links are followed, each folder once.
    spool : Spool
    judge : callable
        Decides after a glance what is wanted.
    site : str, optional
        Where the objects come from; becomes part of their source.
    progress : callable, optional
        Called with the running summary after every file.
    limits : ArchiveLimits, optional
        Bounds on archives.

    Returns
    -------
    ScanSummary
        A second scan of an unchanged tree registers nothing: ``changed`` is false.

    Raises
    ------
    SpoolError
        The spool cannot take anything now (full, read-only, locked).

    Notes
    -----
    Memory does not grow with the number of files: what waits for a report of its study lies in a temporary database.
    """
    with _Waiting() as waiting:
        walk = _Scan(spool, judge, f"scan:{site}" if site else "scan", waiting, limits or ArchiveLimits(), progress)
        for path in paths:
            walk.start(Path(path))
        walk.finish()
        return walk.summary


class _Scan:
    """One scan's state and its steps, outermost first."""

    def __init__(
        self,
        spool: Spool,
        judge: Judge,
        source: str,
        waiting: _Waiting,
        limits: ArchiveLimits,
        progress: Callable[[ScanSummary], None] | None,
    ) -> None:
        self.summary = ScanSummary()
        self._spool = spool
        self._own = spool.root.resolve()
        self._judge = judge
        self._source = source
        self._waiting = waiting
        self._limits = limits
        self._progress = progress
        self._folders: set[tuple[int, int]] = set()

    def start(self, path: Path) -> None:
        try:
            is_folder = path.is_dir()
        except OSError as error:
            self.summary.refuse(str(path), error, apart=True)
            return
        if is_folder:
            self._walk(path)
        else:
            self._file(path)

    def finish(self) -> None:
        """Decide about the objects that waited: their study has a report here, or they are all there is."""
        for place, verdict, has_report in self._waiting.decide():
            if has_report:
                self.summary.not_relevant["CT image of a study whose dose report is here"] += 1
            else:
                path = named_path(place)
                self._guarded(str(path), partial(self._register, path, verdict))

    def _walk(self, top: Path) -> None:
        """Go through a folder and all below it; entries are taken as they come, so that no listing fills memory."""
        stack = [top]
        while stack:
            folder = stack.pop()
            try:
                status = folder.stat()
                known = (status.st_dev, status.st_ino)
                if known in self._folders or folder.resolve() == self._own:
                    continue  # a loop of links, or our own spool
                self._folders.add(known)
                entries = os.scandir(folder)
            except OSError as error:
                self.summary.refuse(str(folder), error, apart=True)
                continue
            with entries:
                while (entry := self._next(entries, folder)) is not None:
                    try:
                        is_folder = entry.is_dir()
                    except OSError as error:  # a link to itself
                        self.summary.refuse(entry.path, error, apart=True)
                        continue
                    if is_folder:
                        stack.append(Path(entry.path))
                    else:
                        self._file(Path(entry.path))

    def _next(self, entries: Iterator[os.DirEntry[str]], folder: Path) -> os.DirEntry[str] | None:
        """The next entry of a folder; None at its end, or where the folder can be read no further."""
        try:
            return next(entries, None)
        except OSError as error:
            self.summary.refuse(str(folder), error, apart=True)
            return None

    def _file(self, path: Path) -> None:
        self.summary.files += 1
        self._guarded(str(path), partial(self._look, path))
        if self._progress is not None:
            self._progress(self.summary)

    def _guarded(self, place: str, step: Callable[[], None]) -> None:
        """Run one step; a file's own trouble is a line in the summary, the spool's trouble ends the scan."""
        try:
            step()
        except (Unreadable, BadMember, ObjectTooLarge) as error:
            self.summary.refuse(place, str(error))
        except OSError as error:
            self.summary.refuse(place, error)

    def _look(self, path: Path) -> None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("no regular file")  # opening a pipe would wait for ever
        if status.st_size == 0:
            raise Unreadable("empty")
        if self._spool.known_file(path, status.st_size, status.st_mtime_ns):
            self.summary.dicom += 1
            self.summary.duplicates += 1
            return
        try:
            verdict = self._judge(path)
        except Unreadable:
            if _is_zip(path):
                self.summary.files -= 1  # its members are counted in its place
                try:
                    self._archive(path)
                except OSError:
                    self.summary.apart += 1
                    raise
                return
            raise
        self.summary.dicom += 1
        if verdict.study and verdict.is_report:
            self._waiting.report(verdict.study)
        if verdict.reason:
            self.summary.not_relevant[verdict.reason] += 1
        elif status.st_size > self._spool.max_object_bytes:
            raise Unreadable(f"larger than the cap of {self._spool.max_object_bytes} bytes")
        elif verdict.only_without_report and verdict.study:
            self._waiting.add(ledger_name(path), verdict)
        else:
            self._register(path, verdict)

    def _register(self, path: Path, verdict: Verdict) -> None:
        digest, size = _hash(path)
        receipt = self._spool.register_file(
            path,
            digest,
            size,
            source=self._source,
            sop_instance_uid=verdict.sop_instance_uid,
            sop_class_uid=verdict.sop_class_uid,
            transfer_syntax_uid=verdict.transfer_syntax_uid,
            route=verdict.route,
        )
        self._count(receipt.state)

    def _count(self, state: str) -> None:
        if state == "duplicate":
            self.summary.duplicates += 1
        elif state == "conflict":
            self.summary.conflicts += 1
        else:
            self.summary.registered += 1

    def _archive(self, path: Path) -> None:
        """Look at each member; an archive may be hostile, so it is read by `open_members` within bounds."""
        self.summary.archives += 1
        for name, member in open_members(path, self._limits):
            if not name and isinstance(member, str):  # said of the archive, not of a member
                self.summary.refuse(str(path), member, apart=True)
                continue
            place = f"{path}!{name}"
            self.summary.files += 1
            self.summary.members += 1
            if isinstance(member, str):
                self.summary.refuse(place, member)
            else:
                self._guarded(place, partial(self._member, member))
            if self._progress is not None:
                self._progress(self.summary)

    def _member(self, member: Iterator[bytes]) -> None:
        front = next(member, b"")
        if not front:
            raise Unreadable("empty")
        if front.startswith(b"PK\x03\x04"):
            raise Unreadable("an archive within an archive is not opened")
        verdict = self._judge(front)
        self.summary.dicom += 1
        if verdict.study and verdict.is_report:
            self._waiting.report(verdict.study)
        if verdict.reason:
            self.summary.not_relevant[verdict.reason] += 1
            return
        incoming = self._spool.begin(
            source=self._source,
            sop_class_uid=_lawful(verdict.sop_class_uid),
            sop_instance_uid=_lawful(verdict.sop_instance_uid),
            transfer_syntax_uid=_lawful(verdict.transfer_syntax_uid),
            whole_file=True,
            route=verdict.route,
        )
        try:
            incoming.write(front)
            for block in member:
                incoming.write(block)
        except BaseException:
            incoming.abort()
            raise
        self._count(incoming.commit().state)


class _Waiting:
    """Objects that wait for the end of the scan, and the studies that have a report; spills to disk by itself."""

    def __enter__(self) -> _Waiting:
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE reports (study TEXT PRIMARY KEY)")
        self._database.execute("CREATE TABLE waiting (place TEXT, sop_class TEXT, sop TEXT, syntax TEXT, study TEXT)")
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def report(self, study: str) -> None:
        self._database.execute("INSERT OR IGNORE INTO reports VALUES (?)", (study,))

    def add(self, place: str, verdict: Verdict) -> None:
        self._database.execute(
            "INSERT INTO waiting VALUES (?, ?, ?, ?, ?)",
            (
                place,
                verdict.sop_class_uid,
                verdict.sop_instance_uid,
                verdict.transfer_syntax_uid,
                verdict.study,
            ),
        )

    def decide(self) -> Iterator[tuple[str, Verdict, bool]]:
        query = "SELECT w.*, r.study IS NOT NULL FROM waiting w LEFT JOIN reports r USING (study) ORDER BY w.rowid"
        for place, sop_class, sop, syntax, study, has_report in self._database.execute(query):
            yield place, Verdict("", sop_class, sop, syntax, study), bool(has_report)


def _lawful(uid: str) -> str:
    """A UID that the spool takes; what breaks the rules of UIDs is left for the reader to judge."""
    try:
        return clean_uid(uid)
    except InvalidUID:
        return ""


def _hash(path: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _words(error: OSError) -> str:
    """The system's words for a failure, without the path that it would repeat."""
    return (error.strerror or type(error).__name__).lower()
