"""A writer's own folder of part files, locked while it lives, so that recovery never touches a living one's."""

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # no advisory locks on this platform: recover only while nothing else is receiving
    fcntl = None  # type: ignore[assignment]


class WriterLock:
    """Holds the folder ``part/<token>/`` until released or until the process ends, however it ends."""

    def __init__(self, parts: Path, token: str) -> None:
        self.token = token
        self.folder = parts / token
        self._path = parts / f"{token}.lock"
        # Locked under another name first: nobody may ever see this token without its lock.
        unlocked = parts / f"{token}.new"
        self._descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT, 0o640)
        if fcntl is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        unlocked.rename(self._path)
        self.folder.mkdir()

    def release(self) -> None:
        """Let go, and remove the folder if no part file is left in it."""
        try:
            self.folder.rmdir()
        except OSError:
            pass  # an unfinished part file is left to `recover`
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def is_alive(parts: Path, token: str) -> bool:
    """Whether the writer of this token still runs."""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(parts / f"{token}.lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
