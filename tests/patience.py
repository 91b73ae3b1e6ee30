"""Waiting and timing that tell a slow program from a busy machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

LONG_S = 120.0
"""What only a program that hangs takes."""

_NAP_S = 0.01
_LATE_S = 0.02  # other threads of this process keep a sleeper waiting for 5 ms each at most


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


def unhindered(action: Callable[[], object]) -> float:
    """How long something takes, s, less the time in which the machine held up a thread that only slept beside it.

    For what must be quick at the first attempt, as beside peers that would have given up by a second one. On a machine with
    nothing else to do nothing is taken off.
    """
    done = threading.Event()
    stalled = 0.0

    def sleep() -> None:
        nonlocal stalled
        while not done.is_set():
            began = time.monotonic()
            time.sleep(_NAP_S)
            late = time.monotonic() - began - _NAP_S
            stalled += late if late > _LATE_S else 0.0

    witness = threading.Thread(target=sleep)
    witness.start()
    try:
        return seconds(action) - stalled
    finally:
        done.set()
        witness.join()


def held_up() -> float:
    """How long this thread has been ready to run so far while the machine did something else, s; 0 if that is not told."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def quickest(measure: Callable[[], float], below: float) -> float:
    """The least of up to three times, s: a busy machine holds one of them up, a slow program is slow in each.

    Parameters
    ----------
    measure : callable
        Sets up anew all that may slow it down, does what is timed and gives its seconds.
    below : float
        What is asked for, s; when a time was shorter, no more are taken.
    """
    took = [measure()]
    while min(took) >= below and len(took) < 3:
        took.append(measure())
    return min(took)
