"""Part files whose names are on disk before a byte is written to them, so that no object has to wait for its directory."""

import os
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

__all__ = ["SUFFIX", "PartFiles", "sync_directory", "unrenamed"]

SUFFIX = ".part"
_SPARES = 16
_OPEN_AHEAD = 16


def sync_directory(directory: Path) -> None:
    """Make names that were created, renamed or removed in a directory survive a power cut.

    Windows opens no directories; NTFS keeps names in its own journal.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class PartFiles:
    """The part files of one writer.

    Parameters
    ----------
    folder : Path
        The writer's own, made already.
    token : str
        Of the writer; every name begins with it.
    durable : bool
        Make several empty files at a time and flush the directory once for all of them.

    Threads may share it.

    Notes
    -----
    A file that is flushed is safe only under a name that is. Flushing the directory behind every rename costs one more
    commit of the file system's journal for each object. Here the part file's name is durable from the start: whatever
    becomes of the rename in a power cut, a flushed object lies under its old name or under its new one, and its ledger
    row leads to both (`WorkQueue.path_of`; `recover` then makes up for the rename).
    """

    def __init__(self, folder: Path, token: str, *, durable: bool) -> None:
        self._folder = folder
        self._prefix = f"{folder}{os.sep}{token}-"
        self._durable = durable
        create = 0 if durable else os.O_CREAT | os.O_EXCL  # spares exist already
        self._flags = os.O_RDWR | create | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._lock = threading.Lock()
        self._serial = 0
        self._spares: list[str] = []
        self._open: deque[tuple[str, int]] = deque()
        if durable:
            sync_directory(folder.parent)

    def take(self) -> tuple[str, int]:
        """The name and the descriptor of another part file, open for writing and reading; both are the caller's."""
        try:
            return self._open.popleft()
        except IndexError:
            return self._opened()

    def open_ahead(self) -> None:
        """Open a part file for an object to come, while nobody waits for it.

        A new file costs ext4 a sixth of the time that receiving a CT slice takes.
        """
        if len(self._open) >= _OPEN_AHEAD:
            return
        try:
            self._open.append(self._opened())
        except OSError:
            pass  # the next object meets the same obstacle, and its sender is told

    def close(self) -> None:
        """Remove what was not used."""
        while self._open:
            name, descriptor = self._open.popleft()
            os.close(descriptor)
            Path(name).unlink(missing_ok=True)
        for name in self._spares:
            Path(name).unlink(missing_ok=True)
        self._spares = []

    def _opened(self) -> tuple[str, int]:
        with self._lock:
            name = self._next()
        return name, os.open(name, self._flags, 0o640)

    def _next(self) -> str:
        if not self._durable:
            return self._name()
        if not self._spares:
            self._spares = self._made_durable()
        return self._spares.pop()

    def _made_durable(self) -> list[str]:
        """Several new empty files whose names are on disk; the last one is to be used first."""
        made: list[str] = []
        try:
            for _ in range(_SPARES):
                name = self._name()
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
                made.append(name)
            sync_directory(self._folder)
        except OSError:
            # Each sender that tries again would leave some more of them.
            for name in made:
                with suppress(OSError):
                    Path(name).unlink()
            raise
        return made[::-1]

    def _name(self) -> str:
        self._serial += 1
        return f"{self._prefix}{self._serial:08x}{SUFFIX}"


def unrenamed(root: Path, name: str) -> Path:
    """Where an object lies whose rename into place a power cut undid.

    Examples
    --------
    >>> unrenamed(Path("spool"), "objects/1f/00ab-00000001.dcm").as_posix()
    'spool/part/00ab/00ab-00000001.part'
    """
    stem = Path(name).stem
    return root / "part" / stem.split("-", 1)[0] / f"{stem}{SUFFIX}"
