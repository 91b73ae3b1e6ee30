"""Going to fetch: asks an archive what it holds, brings the dose objects into the spool, and proves completeness.

An archive is a row of the settings' ``[[archives]]``: DICOM with C-MOVE or C-GET, or DICOMweb. This room knows the
spool and the glance at an object; it knows no store and no settings file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dose_audit.retrieve.entries import ArchiveError, Instance, Series, Study
    from dose_audit.retrieve.journal import Journal
    from dose_audit.retrieve.listening import own_listener
    from dose_audit.retrieve.open import open_archive
    from dose_audit.retrieve.reconciliation import Reconciliation, reconcile
    from dose_audit.retrieve.results import keep_reconciliation, latest_reconciliation
    from dose_audit.retrieve.ris import read_ris
    from dose_audit.retrieve.run import RetrieveSummary, retrieve
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = [
    "ArchiveError",
    "ArchiveSettings",
    "Instance",
    "Journal",
    "Reconciliation",
    "RetrieveSummary",
    "Series",
    "Study",
    "keep_reconciliation",
    "latest_reconciliation",
    "open_archive",
    "own_listener",
    "read_ris",
    "reconcile",
    "retrieve",
]

_HOMES = {
    "ArchiveError": "entries",
    "ArchiveSettings": "settings",
    "Instance": "entries",
    "Journal": "journal",
    "Reconciliation": "reconciliation",
    "RetrieveSummary": "run",
    "Series": "entries",
    "Study": "entries",
    "keep_reconciliation": "results",
    "latest_reconciliation": "results",
    "open_archive": "open",
    "own_listener": "listening",
    "read_ris": "ris",
    "reconcile": "reconciliation",
    "retrieve": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
