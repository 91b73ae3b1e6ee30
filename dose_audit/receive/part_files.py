"""Part files whose names are on disk before a byte is written to them, so that no object has to wait for its directory."""

import os
from pathlib import Path

__all__ = ["SUFFIX", "PartFiles", "sync_directory", "unrenamed"]

SUFFIX = ".part"
_SPARES = 16


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
        self._serial = 0
        self._spares: list[str] = []
        if durable:
            sync_directory(folder.parent)

    @property
    def flags(self) -> int:
        """How to open what `next` gives: it exists already, or it must not."""
        create = 0 if self._durable else os.O_CREAT | os.O_EXCL
        return os.O_RDWR | create | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

    def next(self) -> str:
        """The name of another part file; call it from one thread at a time."""
        if not self._durable:
            return self._name()
        if not self._spares:
            spares = [self._name() for _ in range(_SPARES)]
            for name in spares:
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
            sync_directory(self._folder)
            self._spares = spares[::-1]
        return self._spares.pop()

    def close(self) -> None:
        """Remove what was not used."""
        for name in self._spares:
            Path(name).unlink(missing_ok=True)
        self._spares = []

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
