"""Counters of what leaves no row (objects dropped, refusals): kept in memory, written with other commits."""

import sqlite3
import threading

from .ledger import Ledger
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

    @property
    def waiting(self) -> bool:
        """Whether any count is to be written."""
        return bool(self._values)

    def write(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """Move all counts into the ledger, inside a transaction; they come back if it does not commit."""
        if not self._values:
            return
        with self._lock:
            values, self._values = self._values, {}
        ledger.if_lost(lambda: self._restore(values))
        for (kind, name), value in values.items():
            count(connection, kind, name, value)

    def _restore(self, values: dict[tuple[str, str], int]) -> None:
        with self._lock:
            for key, value in values.items():
                self._values[key] = self._values.get(key, 0) + value

    def unwritten(self) -> dict[tuple[str, str], int]:
        """Counts that are not in the ledger yet."""
        with self._lock:
            return dict(self._values)
