"""SQLite files where nothing can be written: on what grounds, and how they are read all the same."""

import os
import shutil
import sqlite3
from pathlib import Path

__all__ = ["as_it_stands", "cannot_write", "why_not_writable"]

_CANNOT_WRITE = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}
_FULL_BYTES = 1_000_000


def cannot_write(error: BaseException | None) -> bool:
    """Whether SQLite failed because it may not or cannot write, and not because a file is locked or damaged.

    To read a database with a write-ahead log, too, it makes a small file beside it.
    """
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CANNOT_WRITE


def as_it_stands(path: Path) -> str:
    """Address (URI) by which a database is read without a file being made beside it.

    Parameters
    ----------
    path : Path
        Of a database into which nobody can write at the moment.

    Raises
    ------
    OSError
        There is no such file, or its last changes are in a write-ahead log that can only be read where files can be made.
    """
    path = path.absolute()
    if not path.is_file():
        raise FileNotFoundError(2, "there is no such file", str(path))
    log, index = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
    if not (log.is_file() and log.stat().st_size):
        return f"{path.as_uri()}?mode=ro&immutable=1"
    if index.is_file():
        return f"{path.as_uri()}?mode=ro"
    raise OSError(
        30, f"the last changes are in {log.name}, which cannot be read where nothing can be written", str(path)
    )


def why_not_writable(folder: Path) -> str:
    """Why a folder cannot be written to, to follow its name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     why_not_writable(Path(folder))
    ''
    """
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if hasattr(os, "statvfs") and os.statvfs(there).f_flag & os.ST_RDONLY:
        return "is on a file system that is mounted read-only"
    if shutil.disk_usage(there).free < _FULL_BYTES:
        return "is on a disk that is full"
    if not os.access(there, os.W_OK):
        return "may not be written to by whoever runs this"
    return ""
