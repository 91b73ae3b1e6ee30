"""The entry of a process that makes estimates: its memory is bounded and the store set up before its tables are imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dose_audit.config import Settings

if TYPE_CHECKING:
    from dose_audit.ingest.dosimetry import EstimateSummary

__all__ = ["estimate_range", "start"]


def start(settings: Settings) -> None:
    """Prepare this process; Django's models cannot be imported before."""
    from dose_audit.ingest.worker import bound_memory
    from dose_audit.store.settings import setup

    bound_memory()
    setup(settings)


def estimate_range(settings: Settings, ends: tuple[int, int]) -> EstimateSummary:
    """Work off the waiting exams whose ids lie after the first and up to the second number."""
    from dose_audit.ingest.dosimetry import estimate_between

    return estimate_between(settings, *ends)
