"""Files of what can be made anew at any time, read back only as they were written."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from pathlib import Path

__all__ = ["read_kept", "write_kept"]

_MOST_BYTES = 1 << 30
_SEAL = 64
"""Bytes of the hash that a file begins with."""


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
    digest = hashlib.sha256()
    # Two processes may keep the same at once: each has a part file of its own, and the later one's stands.
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            file.write(b" " * _SEAL)
            for piece in body:
                digest.update(piece)
                file.write(piece)
            file.seek(0)
            file.write(digest.hexdigest().encode())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_kept(path: Path) -> memoryview | None:
    """What was kept; None where the file is missing, too large or not as it was written."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        data = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    return data[_SEAL:] if hashlib.sha256(data[_SEAL:]).hexdigest().encode() == data[:_SEAL] else None
