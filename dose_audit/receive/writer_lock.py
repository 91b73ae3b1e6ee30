"""Locks that tell whether who writes part files, or who has leased objects, still lives."""

import os
import uuid
from pathlib import Path

from dose_audit.locks import lock_file

_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0)


class WriterLock:
    """Holds the folder ``part/<token>/`` until released or until the process ends, however it ends."""

    def __init__(self, parts: Path, token: str) -> None:
        self.token = token
        self.folder = parts / token
        self._path = parts / f"{token}.lock"
        self._descriptor = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o640)
        lock_file(self._descriptor)
        # A token is known by its folder and by its row in the ledger: nobody may see either without the lock.
        self.folder.mkdir()

    def release(self) -> None:
        """Let go, and remove the folder if no part file is left in it."""
        try:
            self.folder.rmdir()
        except OSError:
            pass  # an unfinished part file is left to `recover`
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)


class LeaseLock:
    """Held by whoever leases objects until released or until the process ends: what a dead one had waits again at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.token = uuid.uuid4().hex
        self._path = folder / f"{self.token}.lock"
        self._descriptor = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o640)
        lock_file(self._descriptor)

    def release(self) -> None:
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)


def is_alive(folder: Path, token: str) -> bool:
    """Whether the holder of this token's lock still runs."""
    try:
        descriptor = os.open(folder / f"{token}.lock", _FLAGS)
    except OSError:
        return False
    try:
        return not lock_file(descriptor, wait=False)
    finally:
        os.close(descriptor)
