"""How gently an archive is asked: a pause before every request, studies an hour, hours in which it is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from dose_audit.receive.errors import ReceiveError

if TYPE_CHECKING:
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["BusyNow", "Pace"]


class BusyNow(ReceiveError):
    """The archive's busy hours have begun; what is left waits for the next run."""


class Pace:
    """Keeps one archive's limits.

    Parameters
    ----------
    settings : ArchiveSettings
    sleep, clock, now : callable
        Time, for tests.
    """

    def __init__(
        self,
        settings: ArchiveSettings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._pause = settings.pause_s
        self._between = 3600.0 / settings.studies_per_hour if settings.studies_per_hour else 0.0
        self._busy = settings.busy
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self._next_study = clock()

    def leave(self) -> None:
        """Wait for leave to make one request.

        Raises
        ------
        BusyNow
        """
        if self._now().time() in self._busy:
            raise BusyNow("these are the busy hours of the archive")
        if self._pause:
            self._sleep(self._pause)

    def study(self) -> None:
        """Wait until another study may be fetched."""
        wait = self._next_study - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._next_study = max(self._clock(), self._next_study) + self._between
