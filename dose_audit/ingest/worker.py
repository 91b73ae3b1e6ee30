"""What one worker process does: reads a batch of objects, writes it to the store, says what became of each."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from dose_audit.config import Settings
from dose_audit.ingest.reading import READER, ObjectReader
from dose_audit.receive.spool import SpooledObject
from dose_audit.store.places import where
from dose_audit.store.settings import setup

__all__ = ["BatchResult", "Failure", "Task", "Worker", "bound_memory", "work"]

WRITING = -1
"""Position in a batch while no object is being read."""

_ADDRESS_SPACE = 4 << 30  # bytes; one object that needs more ends as an error of its own, not of the machine


@dataclass(frozen=True, slots=True)
class Task:
    """One object, and why it must not be read any more, if so."""

    spooled: SpooledObject
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: ``(spool id, state, reason)`` of its objects and of moved ones; the devices."""

    fates: list[tuple[int, str, str]]
    equipment: set[int]


@dataclass(frozen=True, slots=True)
class Failure:
    """The store could not be written; nothing of the batch was."""

    message: str


class Worker:
    """Reads and writes batches in this process. Django must be set up."""

    def __init__(self, settings: Settings, reader: str = READER) -> None:
        from dose_audit.store.identity import protection
        from dose_audit.store.writing import Writer

        protect = protection(settings)
        self._read = ObjectReader(settings, protect.key, reader)
        self._writer = Writer(protect)

    def run(self, tasks: Sequence[Task], position: Any = None) -> BatchResult:
        """Read and write one batch.

        Parameters
        ----------
        tasks : sequence of Task
        position : sequence of int, optional
            Shared with the parent: its first number is kept at the index of the object in hand, so that the parent
            knows which one a dead or stuck worker was reading.
        """
        parts = []
        for index, task in enumerate(tasks):
            if position is not None:
                position[0] = index
            parts.append(self._read(task.spooled, task.refusal))
        if position is not None:
            position[0] = WRITING
        result = self._writer.ingest_parts(parts)
        fates = [
            (fate.spool_id, fate.state, fate.reason)
            for fate in (*result.fates, *result.moved)
            if fate.spool_id is not None
        ]
        return BatchResult(fates, result.equipment)


def work(settings: Settings, reader: str, pipe: Connection, position: Any) -> None:
    """Main function of a worker process: batches in by the pipe, results out, until None comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    bound_memory()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="ingest worker: %(message)s")
    from django.db import Error

    try:
        setup(settings)
        worker = Worker(settings, reader)
        while (tasks := pipe.recv()) is not None:
            try:
                pipe.send(worker.run(tasks, position))
            except Error as error:
                pipe.send(Failure(f"the store cannot be written: {_database_words(error)}"))
    except (EOFError, BrokenPipeError):
        return  # the parent is gone; its leases lapse
    except Exception as error:  # noqa: BLE001  said by the parent; a traceback could repeat what an object says
        pipe.send(Failure(f"a worker cannot start or go on: {where(error)}"))


def _database_words(error: Exception) -> str:
    """The database's first line: about files, locks and connections, not about rows."""
    from django.db import InterfaceError, OperationalError

    if isinstance(error, OperationalError | InterfaceError):
        return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return where(error)


def bound_memory(most_bytes: int = _ADDRESS_SPACE) -> None:
    """Let this process end as an error of its own when it wants more address space."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    if soft == resource.RLIM_INFINITY or soft > wanted:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
