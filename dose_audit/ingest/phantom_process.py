"""A process of its own for measuring phantoms: images that crash or hold it up cost themselves, nothing else."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from dose_audit.config import Settings
from dose_audit.ingest.phantom_task import Page, StudyResult, StudyTask
from dose_audit.ingest.worker import Failure, bound_memory
from dose_audit.store.places import where
from dose_audit.store.settings import setup

__all__ = ["Measuring", "Stopped", "StoreFailure"]

_ADDRESS_SPACE = 8 << 30  # bytes; a volume of a thousand slices and what is computed from it
_TICK_S = 0.25
_START_CAP_S = 120.0


class StoreFailure(RuntimeError):
    """Nothing can be measured at all (no store, no start); the text says why."""


class Stopped(Exception):
    """The caller was told to stop while a study was in hand; nothing of it was settled."""


class Measuring:
    """Runs `StudyMeasurer` in a child that is replaced when it dies or takes too long.

    Parameters
    ----------
    settings : Settings
        ``phantom_cap_s`` bounds the time of one study.
    page : callable, optional
        A function of a module, so that the child finds it.
    """

    def __init__(self, settings: Settings, page: Page | None = None) -> None:
        self._settings = settings
        self._page = page
        self._context = multiprocessing.get_context("spawn")
        self._child: Any = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Measuring:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self) -> None:
        """Start the child now: its libraries take a second or two to load, and an image should not wait for that."""
        if self._child is not None:
            return
        self._pipe, theirs = self._context.Pipe()
        self._child = self._context.Process(
            target=_work, args=(self._settings, self._page, theirs), name="dose-audit phantoms", daemon=True
        )
        self._child.start()
        theirs.close()

    def run(self, task: StudyTask, stop: Callable[[], bool] = lambda: False) -> StudyResult:
        """Measure a study within its time; one that kills its process is refused with that reason.

        Raises
        ------
        StoreFailure
            The store cannot be written, or children end before they have done anything.
        Stopped
            `stop` said so in the middle.
        """
        reason = self._try(task, stop)
        if isinstance(reason, StudyResult):
            return reason
        again = self._try(StudyTask(task.objects, refusal=reason), stop)
        if isinstance(again, StudyResult):
            return again
        raise StoreFailure(f"the measuring process cannot even record a refusal: {again}")

    def _try(self, task: StudyTask, stop: Callable[[], bool]) -> StudyResult | str:
        fresh = self._child is None
        self.start()
        assert self._pipe is not None
        cap_s = self._settings.phantom_cap_s + (_START_CAP_S if fresh else 0.0)
        until = time.monotonic() + cap_s
        try:
            self._pipe.send(task)
            while not self._pipe.poll(_TICK_S):
                if stop():
                    self._end()
                    raise Stopped
                if time.monotonic() > until:
                    self._end()
                    return f"measuring it took more than {self._settings.phantom_cap_s:g} s"
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._child.join(5.0)
            code = self._child.exitcode
            self._end()
            return f"its worker was ended by signal {-code}" if code is not None and code < 0 else "its worker ended"
        if isinstance(answer, Failure):
            self._end()
            raise StoreFailure(answer.message)
        return answer

    def _end(self) -> None:
        if self._child is None:
            return
        if self._pipe is not None:
            self._pipe.close()  # the child ends when nobody talks to it
        self._child.join(0.5)
        if self._child.is_alive():
            self._child.kill()
            self._child.join(10.0)
        self._child = self._pipe = None


def _work(settings: Settings, page: Page | None, pipe: Connection) -> None:
    """Main function of the child: studies in by the pipe, results out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    bound_memory(_ADDRESS_SPACE)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="phantom worker: %(message)s")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it quotes values, which may identify somebody
    from django.db import Error

    try:
        setup(settings)
        from dose_audit.ingest.phantom_study import StudyMeasurer

        measurer = StudyMeasurer(settings, page)
        _warm_up()
        while True:
            task = pipe.recv()
            try:
                pipe.send(measurer.run(task))
            except Error as error:
                pipe.send(Failure(f"the store cannot be written: {where(error)}"))
    except (EOFError, OSError):
        return  # the parent is gone or has enough
    except Exception as error:  # noqa: BLE001  said by the parent; a traceback could repeat what an object says
        pipe.send(Failure(f"phantoms cannot be measured: {where(error)}"))


def _warm_up() -> None:
    """Load what measuring needs before the first image comes."""
    import pydicom.pixels  # noqa: F401
    import scipy.ndimage
    import scipy.optimize  # noqa: F401

    from dose_audit.phantom.definition import definitions

    definitions()
