"""A few worker processes under watch: one that dies or sticks costs the object that it was reading, nothing else."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from dose_audit.config import Settings
from dose_audit.ingest.worker import WRITING, BatchResult, Failure, Task, work

__all__ = ["Pool", "PoolError"]

_TICK_S = 0.25
_WRITING_CAP_S = 600.0
_START_CAP_S = 120.0


class PoolError(RuntimeError):
    """Workers cannot do their work at all (no store, no start); the text says why."""


@dataclass
class _Member:
    """One worker process and what it has in hand."""

    process: Any
    pipe: Connection
    position: Any
    tasks: list[Task] = field(default_factory=list)
    seen: int = WRITING
    since: float = 0.0
    answered: bool = False


class Pool:
    """Hands batches to worker processes and gives back what became of them.

    Parameters
    ----------
    settings : Settings
    workers : int
        Processes.
    reader : str
        ``module:name`` of the function that reads an object.
    object_cap_s : float
        Longest time for one object; then its worker is killed and the object is quarantined.

    Notes
    -----
    Processes are spawned, not forked: the same on every system, and no lock or connection of the parent is inherited.
    A batch whose worker died is done again without the object that it died of. Nothing of it was in the store: a batch
    is one transaction, or was already there and is recognised.
    """

    def __init__(self, settings: Settings, workers: int, reader: str, *, object_cap_s: float) -> None:
        self._settings = settings
        self._reader = reader
        self._cap_s = object_cap_s
        self._context = multiprocessing.get_context("spawn")
        self._members: list[_Member | None] = [None] * max(1, workers)
        self._again: deque[list[Task]] = deque()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._members:
            if member is not None:
                self._end(member, kindly=not member.tasks)

    @property
    def in_hand(self) -> list[int]:
        """Spool ids of the objects that have been handed out and not come back."""
        busy = [member.tasks for member in self._members if member is not None]
        return [task.spooled.id for tasks in (*busy, *self._again) for task in tasks]

    @property
    def free(self) -> int:
        """How many more batches can be handed out now."""
        idle = sum(1 for member in self._members if member is None or not member.tasks)
        return max(0, idle - len(self._again))

    @property
    def busy(self) -> bool:
        """Whether any batch is outstanding."""
        return bool(self._again) or any(member is not None and member.tasks for member in self._members)

    def give(self, tasks: list[Task]) -> None:
        """Hand out a batch; only while `free` is above zero."""
        self._again.append(tasks)
        self._hand_out()

    def results(self) -> Iterator[BatchResult]:
        """Wait up to a quarter of a second; give what has come back; replace workers that died or stick."""
        busy = [member for member in self._members if member is not None and member.tasks]
        ready = wait([member.pipe for member in busy], _TICK_S) if busy else []
        for member in busy:
            if member.pipe in ready:
                result = self._receive(member)
                if result is not None:
                    yield result
            else:
                self._watch(member)
        self._hand_out()

    def _hand_out(self) -> None:
        for number, member in enumerate(self._members):
            if not self._again:
                return
            if member is None:
                member = self._members[number] = self._start()
            if not member.tasks:
                member.tasks = self._again.popleft()
                member.position[0] = member.seen = WRITING
                member.since = time.monotonic()
                try:
                    member.pipe.send(member.tasks)
                except (BrokenPipeError, OSError):
                    self._bury(member, "its worker ended")

    def _start(self) -> _Member:
        ours, theirs = self._context.Pipe()
        position = self._context.RawArray("q", [WRITING])
        process = self._context.Process(
            target=work,
            args=(self._settings, self._reader, theirs, position),
            name="dose-audit ingest",
            daemon=True,
        )
        process.start()
        theirs.close()
        return _Member(process, ours, position)

    def _receive(self, member: _Member) -> BatchResult | None:
        try:
            answer = member.pipe.recv()
        except (EOFError, OSError):
            self._bury(member, "its worker ended")
            return None
        if isinstance(answer, Failure):
            raise PoolError(answer.message)
        member.tasks, member.answered = [], True
        return answer

    def _watch(self, member: _Member) -> None:
        now, position = time.monotonic(), member.position[0]
        if position != member.seen:
            member.seen, member.since = position, now
            return
        cap = self._cap_s if position != WRITING else _WRITING_CAP_S if member.answered else _START_CAP_S + self._cap_s
        if now - member.since > cap:
            self._bury(member, f"reading it took more than {self._cap_s:g} s")

    def _bury(self, member: _Member, reason: str) -> None:
        """Replace a worker; do its batch again without the object that it died of, or object by object."""
        position, tasks = member.position[0], member.tasks
        self._end(member, kindly=False)
        code = member.process.exitcode
        self._members[self._members.index(member)] = None
        if not 0 <= position < len(tasks):
            never_began = not member.answered and code is not None and code > 0
            if never_began or (len(tasks) == 1 and tasks[0].refusal):
                raise PoolError(f"workers end before they have read anything (exit code {code})")
            # It died while writing: which object it died of shows when they go one by one.
            if len(tasks) == 1:
                self._again.append([Task(tasks[0].spooled, "its worker ended while writing it")])
            else:
                self._again.extend([task] for task in tasks)
            return
        if code is not None and code < 0 and reason == "its worker ended":
            reason = f"its worker was ended by signal {-code} while reading it"
        again = list(tasks)
        again[position] = Task(tasks[position].spooled, reason)
        self._again.append(again)

    def _end(self, member: _Member, *, kindly: bool) -> None:
        try:
            if kindly:
                member.pipe.send(None)
                member.process.join(5.0)
        except (BrokenPipeError, OSError):
            pass  # it has ended already
        if member.process.is_alive():
            member.process.kill()
        member.process.join(10.0)
        member.pipe.close()
