"""A listener of our own for the length of one C-MOVE retrieval, open to the archive and to whom the settings name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dose_audit.receive.access import CallerRule
from dose_audit.retrieve.entries import ArchiveError

if TYPE_CHECKING:
    from dose_audit.receive.listener import Listener
    from dose_audit.receive.settings import ListenerSettings
    from dose_audit.receive.spool import Spool
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["own_listener", "someone_listens"]


@contextmanager
def own_listener(listening: ListenerSettings, archive: ArchiveSettings, spool: Spool) -> Iterator[Listener]:
    """Listen while the block runs.

    Parameters
    ----------
    listening : ListenerSettings
        The installation's; its port must be the one that the archive knows.
    archive : ArchiveSettings
        May call, from its address, beside those whom the settings name.
    spool : Spool

    Raises
    ------
    ArchiveError
        The archive's name cannot be resolved.
    OSError
        The port is taken.
    """
    from dose_audit.receive.listener import Listener

    callers = (*listening.callers, CallerRule("*", _addresses(archive.host)))
    listener = Listener(replace(listening, callers=callers), spool)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop(5.0)


def someone_listens(host: str, port: int) -> bool:
    """Whether a connection to this port is taken; a wildcard address is tried on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    try:
        with socket.create_connection((host, port), timeout=2.0):
            return True
    except OSError:
        return False


def _addresses(host: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ArchiveError(f"the archive's name {host} cannot be resolved") from error
    return tuple(sorted({str(entry[4][0]).partition("%")[0] for entry in found}))
