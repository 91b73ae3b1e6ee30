"""Reads the room's data: comma-separated text with a heading of remarks."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

__all__ = ["read_rows"]


@cache
def read_rows(name: str) -> tuple[dict[str, str], ...]:
    """Rows of one table of this package, without the lines that start with ``#``.

    Parameters
    ----------
    name : str
        File name in the package's ``data`` folder.

    Returns
    -------
    tuple of dict
    """
    text = (files(__package__) / "data" / name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(line for line in text.splitlines() if line and not line.startswith("#")))
