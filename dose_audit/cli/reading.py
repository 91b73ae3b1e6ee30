"""For commands that only read: a home that cannot be written, on a read-only or a full disk, is read as it stands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dose_audit.cli.common import settings_for
from dose_audit.sqlite_files import why_not_writable

if TYPE_CHECKING:
    from dose_audit.config import Settings
    from dose_audit.receive.spool import Spool

__all__ = ["open_to_read", "settings_to_read", "spool_to_read"]


def settings_to_read(home: Path | None, config: Path | None) -> Settings:
    """The settings, with the store open: for writing where that is possible, else to be read."""
    settings = settings_for(home, config)
    open_to_read(settings)
    return settings


def open_to_read(settings: Settings) -> None:
    """Open the store of these settings: for writing where that is possible, else to be read."""
    from dose_audit.store.settings import prepare_to_read

    if prepare_to_read(settings):
        _tell(settings)


@contextmanager
def spool_to_read(home: Path | None, config: Path | None) -> Iterator[Spool]:
    """The spool, open for writing where that is possible, else to be read."""
    from dose_audit.ingest import open_spool

    settings = settings_for(home, config)
    with open_spool(settings, or_read=True) as spool:
        if spool.ledger.only_read:
            _tell(settings)
        yield spool


def _tell(settings: Settings) -> None:
    why = why_not_writable(settings.home) or "cannot be written to"
    print(f"{settings.home} {why}: what follows is read from it as it stands.", file=sys.stderr)
