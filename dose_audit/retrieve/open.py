"""Opens an archive by the method that its row of the settings names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dose_audit.retrieve.pace import Pace

if TYPE_CHECKING:
    from dose_audit.retrieve.entries import Archive
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["open_archive"]


@contextmanager
def open_archive(
    settings: ArchiveSettings, *, our_aet: str = "DOSEAUDIT", pace: Pace | None = None
) -> Iterator[Archive]:
    """Open an archive and say good-bye to it at the end.

    Parameters
    ----------
    settings : ArchiveSettings
    our_aet : str
        AE title of our listener.
    pace : Pace, optional
        By default the limits of the settings.
    """
    pace = pace or Pace(settings)
    archive: Archive
    if settings.method == "web":
        from dose_audit.retrieve.web import WebArchive

        archive = WebArchive(settings, pace)
    else:
        from dose_audit.retrieve.dimse import DicomArchive

        archive = DicomArchive(settings, our_aet, pace)
    try:
        yield archive
    finally:
        archive.close()
