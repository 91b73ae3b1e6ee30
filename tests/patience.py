"""Waiting and timing that tell a slow program from a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

LONG_S = 120.0
"""What only a program that hangs takes."""


def wait_until(condition: Callable[[], object], seconds: float = LONG_S) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def seconds(action: Callable[[], object]) -> float:
    """How long something takes, s."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def held_up() -> float:
    """How long this thread has been ready to run so far while the machine did something else, s; 0 if that is not told."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def quickest(measure: Callable[[], float], below: float, *, between: Callable[[], object] = int) -> float:
    """The least of up to three times, s: a busy machine holds one of them up, a slow program is slow in each.

    Parameters
    ----------
    measure : callable
        Does once more what is timed and gives its seconds.
    below : float
        What is asked for, s; when a time was shorter, no more are taken.
    between : callable
        Called before each further one.
    """
    took = [measure()]
    while min(took) >= below and len(took) < 3:
        between()
        took.append(measure())
    return min(took)
