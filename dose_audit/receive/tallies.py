"""Counters of what leaves no row (objects dropped, refusals): kept in memory, written with other commits."""

import sqlite3
import threading

from .rows import count

_MAX_NAMES = 1000
_MAX_NAME_LENGTH = 100


class Tallies:
    """Counts by kind and name, bounded in number, until somebody writes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, str], int] = {}

    def add(self, kind: str, name: str) -> None:
        """Count one; a name too many is not counted."""
        with self._lock:
            key = (kind, name[:_MAX_NAME_LENGTH])
            if key in self._values or len(self._values) < _MAX_NAMES:
                self._values[key] = self._values.get(key, 0) + 1

    def write(self, connection: sqlite3.Connection) -> None:
        """Move all counts into the ledger, inside a transaction."""
        if not self._values:
            return
        with self._lock:
            values, self._values = self._values, {}
        for (kind, name), value in values.items():
            count(connection, kind, name, value)

    def unwritten(self) -> dict[tuple[str, str], int]:
        """Counts that are not in the ledger yet."""
        with self._lock:
            return dict(self._values)
