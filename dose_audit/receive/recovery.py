"""What a crash leaves in the spool, put in order at the next start: nothing acknowledged is lost, none kept twice."""

import hashlib
import logging
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dose_audit.locks import lock_file

from .file_names import named_path
from .part10 import read_file_meta
from .part_files import unrenamed
from .rows import RECOVERED, admit_row
from .writer_lock import is_alive

if TYPE_CHECKING:
    from .spool import Spool

_log = logging.getLogger(__name__)
_META_BYTES = 4096


@dataclass(frozen=True)
class Recovery:
    """What was found.

    Attributes
    ----------
    parts_removed : int
        Unfinished part files; their senders were never told that they are safe.
    adopted : int
        Complete files without a ledger row, recorded now.
    duplicates_removed : int
        Complete files without a row whose bytes are already here.
    missing : int
        Rows still to be worked on whose file is gone; set to quarantined, with that reason.
    """

    parts_removed: int = 0
    adopted: int = 0
    duplicates_removed: int = 0
    missing: int = 0


def recover(spool: "Spool") -> Recovery:
    """Sort out the leavings of writers that did not close. See `Spool.recover`."""
    # One process at a time: what one is adopting, another would take for a copy of it and remove.
    descriptor = os.open(spool.root / "recovery.lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o640)
    try:
        lock_file(descriptor)
        return _recover(spool)
    finally:
        os.close(descriptor)


def _recover(spool: "Spool") -> Recovery:
    parts = spool.root / "part"
    unclosed = [token for (token,) in spool.ledger.read("SELECT token FROM writers WHERE closed = 0")]
    folders = {entry.name for entry in os.scandir(parts) if entry.is_dir()}
    dead = {token for token in folders | set(unclosed) if not is_alive(parts, token)}
    removed = adopted = duplicates = 0
    recorded = _names(spool, dead)
    _make_up_for_renames(spool, recorded)
    for path in _orphans(spool, dead, recorded):
        if _adopt(spool, path):
            adopted += 1
        else:
            path.unlink(missing_ok=True)
            duplicates += 1
    for token in sorted(dead & folders):
        removed += sum(1 for path in (parts / token).iterdir() if path.stat().st_size)  # the others were spare
        shutil.rmtree(parts / token, ignore_errors=True)
        (parts / f"{token}.lock").unlink(missing_ok=True)
    dead_rows = [(token,) for token in dead]

    def forget(connection: sqlite3.Connection) -> None:
        connection.executemany("UPDATE writers SET closed = 1 WHERE token = ?", dead_rows)
        connection.executemany("DELETE FROM bringing WHERE token = ?", dead_rows)

    spool.ledger.transact(forget)
    result = Recovery(removed, adopted, duplicates, _settle_missing(spool))
    if result != Recovery():
        _log.warning("spool recovered after an unclean end: %s", result)
    return result


def _names(spool: "Spool", tokens: set[str]) -> set[str]:
    """Names in the ledger of what these writers brought, in one reading however many they are."""
    length = len("objects/00/")
    found: set[str] = set()
    for token in tokens:
        query = "SELECT name FROM objects WHERE in_place = 0 AND substr(name, ?, ?) = ?"
        found.update(name for (name,) in spool.ledger.read(query, (length + 1, len(token) + 1, f"{token}-")))
    return found


def _make_up_for_renames(spool: "Spool", recorded: set[str]) -> None:
    """Files that are recorded, therefore complete, and whose rename a power cut undid."""
    for name in recorded:
        part, home = unrenamed(spool.root, name), spool.root / name
        if part.exists() and not home.exists():
            home.parent.mkdir(exist_ok=True)
            part.rename(home)


def _orphans(spool: "Spool", dead: set[str], recorded: set[str]) -> list[Path]:
    """Complete files of dead writers that have no row."""
    if not dead:
        return []
    return [
        Path(entry.path)
        for folder in os.scandir(spool.root / "objects")
        if folder.is_dir()
        for entry in os.scandir(folder.path)
        if entry.name.split("-", 1)[0] in dead and f"objects/{folder.name}/{entry.name}" not in recorded
    ]


def _adopt(spool: "Spool", path: Path) -> bool:
    """Record a complete file without a row; False when its bytes are already here."""
    with path.open("rb") as stream:
        meta = read_file_meta(stream.read(_META_BYTES))
        stream.seek(0)
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        size = stream.seek(0, os.SEEK_END)
    uids = meta[:3] if meta else ("", "", "")
    name = path.relative_to(spool.root).as_posix()

    if uids[1]:
        spool.instances(uids[1])  # hashes them: nobody may have asked for a large one's before the crash

    def operation(connection: sqlite3.Connection) -> bool:
        receipt = admit_row(
            connection, spool.root, name, sha256, size=size, source=RECOVERED, route="dose", uids=uids, insist=True
        )
        return receipt.state != "duplicate"

    return spool.ledger.transact(operation)


def _settle_missing(spool: "Spool") -> int:
    rows = spool.ledger.read(
        "SELECT id, name, in_place, state FROM objects WHERE state IN ('pending', 'phantom', 'in_work')"
    )
    gone = [
        (identifier, "quarantined", "its file is missing")
        for identifier, name, in_place, state in rows
        if not (named_path(name) if in_place else spool.path_of(name, state)).exists()
    ]
    if gone:
        spool.settle_many(gone)
    return len(gone)
