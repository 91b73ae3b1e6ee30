"""Reads this room's data tables: CSV under ``data/`` that a physicist can read and extend, each row with its source."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

__all__ = ["UNVERIFIED", "is_verified", "load_table"]

UNVERIFIED = "unverified constants"
"""The label in `Measured.method` of every result that rests on a constant nobody has seen in its source."""


@cache
def load_table(name: str) -> tuple[dict[str, str], ...]:
    """Rows of a data table.

    Parameters
    ----------
    name : str
        File name without its ending: ``ssde``, ``effective_dose_k``.

    Returns
    -------
    tuple of dict
        One a row, values as text; lines that begin with ``#`` are comments.

    Raises
    ------
    FileNotFoundError
        There is no such table.

    Examples
    --------
    >>> load_table("ssde")[0]["phantom_cm"]
    '32'
    """
    text = resources.files("dose_audit.dosimetry").joinpath("data", f"{name}.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(csv.DictReader(lines))


def is_verified(row: dict[str, str]) -> bool:
    """Whether a row's numbers were seen in a source; those recalled from memory are off unless asked for."""
    return row["confidence"] != "recalled"
