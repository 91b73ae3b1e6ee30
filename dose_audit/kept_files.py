"""Files of what can be made anew at any time, read back only as they were written."""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["KeptFile", "map_kept", "read_kept", "write_kept", "writing_kept"]

_MOST_BYTES = 1 << 30
_SEAL = 64
"""Bytes of the hash that a file begins with; what follows lies in memory as arrays want it."""


class KeptFile:
    """What is written of a file to be kept, piece by piece."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self.closed = False

    def write(self, piece: bytes | memoryview) -> int:
        """Write a piece."""
        self._digest.update(piece)
        return self._file.write(piece)

    def flush(self) -> None:
        """Leave it to the end."""

    def seal(self) -> bytes:
        """The hash of all pieces."""
        return self._digest.hexdigest().encode()


@contextmanager
def writing_kept(path: Path) -> Iterator[KeptFile]:
    """Write bytes to be kept as they come; with their hash they are put in the place of what was kept before.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "example"
    >>> with writing_kept(path) as kept:
    ...     _ = [kept.write(piece) for piece in (b"made with ", b"much work")]
    >>> bytes(map_kept(path))
    b'made with much work'
    """
    # Two processes may keep the same at once: each has a part file of its own, and the later one's stands.
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            file.write(b" " * _SEAL)
            kept = KeptFile(file)
            yield kept
            file.seek(0)
            file.write(kept.seal())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_kept(path: Path, body: Iterable[bytes | memoryview]) -> None:
    """Keep some bytes, given in pieces, with their hash, in the place of what was kept before.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "example"
    >>> write_kept(path, [b"made with ", b"much work"])
    >>> bytes(read_kept(path))
    b'made with much work'
    >>> _ = path.write_bytes(path.read_bytes()[:-1])
    >>> read_kept(path) is None
    True
    """
    with writing_kept(path) as file:
        for piece in body:
            file.write(piece)


def read_kept(path: Path) -> memoryview | None:
    """What was kept; None where the file is missing, too large or not as it was written."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        data = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    return data[_SEAL:] if hashlib.sha256(data[_SEAL:]).hexdigest().encode() == data[:_SEAL] else None


def map_kept(path: Path) -> memoryview | None:
    """What was kept, of any size, mapped into memory; None where the file is missing or not as it was written."""
    try:
        with path.open("rb") as file:
            sealed = file.read(_SEAL)
            # Read and not looked at through the map, whose pages would all count as this process's memory.
            if len(sealed) < _SEAL or hashlib.file_digest(file, "sha256").hexdigest().encode() != sealed:
                return None
            file.seek(0)
            # Windows replaces no file that is mapped.
            data = file.read() if os.name == "nt" else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return None
    return memoryview(data)[_SEAL:]
