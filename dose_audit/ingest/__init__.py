"""The one place where the ways meet: takes objects off the spool, has them extracted, writes them to the store.

`scan_paths` registers what lies in folders and archives, the listener what arrives; `run_ingest` does the rest for both,
and `run_phantoms` for images of phantoms.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dose_audit.ingest.dosimetry import EstimateSummary, estimate_waiting
    from dose_audit.ingest.judge import judge_object
    from dose_audit.ingest.listening import listener_settings
    from dose_audit.ingest.phantoms import PhantomSummary, reanalyse, run_phantoms
    from dose_audit.ingest.run import (
        IngestError,
        IngestSummary,
        open_spool,
        reprocess,
        run_ingest,
        scan_paths,
    )

__all__ = [
    "EstimateSummary",
    "IngestError",
    "IngestSummary",
    "PhantomSummary",
    "estimate_waiting",
    "judge_object",
    "listener_settings",
    "open_spool",
    "reanalyse",
    "reprocess",
    "run_ingest",
    "run_phantoms",
    "scan_paths",
]

_HOMES = {
    "EstimateSummary": "dosimetry",
    "estimate_waiting": "dosimetry",
    "PhantomSummary": "phantoms",
    "judge_object": "judge",
    "listener_settings": "listening",
    "reanalyse": "phantoms",
    "run_phantoms": "phantoms",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'run')}"), name)
