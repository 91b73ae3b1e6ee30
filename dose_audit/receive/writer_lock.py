"""A writer's own folder of part files, locked while it lives, so that recovery never touches a living one's."""

import os
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


def is_alive(parts: Path, token: str) -> bool:
    """Whether the writer of this token still runs."""
    try:
        descriptor = os.open(parts / f"{token}.lock", _FLAGS)
    except OSError:
        return False
    try:
        return not lock_file(descriptor, wait=False)
    finally:
        os.close(descriptor)
