"""Limits for single exams and devices, as a table that a physicist can read: ``data/limits.csv``."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib import resources

__all__ = ["limit"]


@lru_cache(maxsize=1)
def _limits() -> dict[str, float]:
    text = resources.files("dose_audit.audit").joinpath("data/limits.csv").read_text(encoding="utf-8")
    return {row["name"]: float(row["value"]) for row in csv.DictReader(text.splitlines())}


def limit(name: str) -> float:
    """Return a limit by its name.

    >>> limit("deviation_index_beyond")
    3.0
    """
    return _limits()[name]
