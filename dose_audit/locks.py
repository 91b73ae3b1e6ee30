"""Locks on files that end with the process that holds them, however it ends."""

import os
import time

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

__all__ = ["lock_file"]

_PAUSE_S = 0.1


def lock_file(descriptor: int, *, wait: bool = True) -> bool:
    """Lock an open file for this descriptor alone; closing it lets go.

    Parameters
    ----------
    descriptor : int
        Of a file opened for writing. Nothing should be stored in the file: on Windows its first byte cannot be read
        by others while the lock is held.
    wait : bool
        Until whoever holds it lets go.

    Returns
    -------
    bool
        False where somebody else holds it and `wait` is False.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as one, open(one.name, "wb") as other:
    ...     lock_file(one.fileno()), lock_file(other.fileno(), wait=False)
    (True, False)
    """
    while not _try(descriptor, wait):
        if not wait:
            return False
        time.sleep(_PAUSE_S)  # where the system itself cannot wait
    return True


def _try(descriptor: int, wait: bool) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except PermissionError:
        return False
    return True
