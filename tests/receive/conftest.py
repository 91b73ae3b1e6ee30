"""A listener on a port of its own for each test, and what tests need to watch it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dose_audit.receive import series_queue, work_queue
from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.receive.spool import Spool
from tests.children import ending_with_us
from tests.patience import LONG_S, wait_until
from tests.receive.leftovers import unfinished

REPOSITORY = Path(__file__).resolve().parents[2]


class Running:
    """A started listener and its spool."""

    def __init__(self, listener: Listener, spool: Spool) -> None:
        self.listener = listener
        self.spool = spool
        self.address = ("127.0.0.1", listener.port)

    def objects(self) -> list:
        """Everything in the spool, leased to the test."""
        return self.spool.claim(1_000_000, worker="test")

    def parts(self) -> list[Path]:
        """Part files that are there now."""
        return unfinished(self.spool.root)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool of the test's own, which takes objects however full the disk is."""
    with Spool(tmp_path / "spool", min_free_bytes=0) as made:
        yield made


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a listener with these settings; everything is stopped at the end."""
    started: list[Running] = []

    def start(*, spool: Spool | None = None, **settings: object) -> Running:
        spool = spool or Spool(tmp_path / f"spool{len(started)}", min_free_bytes=0, fsync=False)
        listener = Listener(ListenerSettings(port=0, **settings), spool)  # type: ignore[arg-type]
        listener.start()
        started.append(Running(listener, spool))
        return started[-1]

    yield start
    for running in started:
        running.listener.stop(0.5)
    for opened in {id(running.spool): running.spool for running in started}.values():
        opened.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until something holds."""
    return wait_until


class Clock:
    """The monotonic clock of the queues, put forward by hand: s."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        """What the queues take for the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that passes only when the test says so."""
    stopped = Clock()
    for queue in (work_queue, series_queue):
        monkeypatch.setattr(queue, "time", stopped)
    return stopped


class OwnProcess:
    """A listener in a process of its own."""

    def __init__(
        self, spool: Path, *, fsync: bool = True, grace_s: float = 10, limits: dict | None = None, **settings: object
    ) -> None:
        order = {"spool": str(spool), "fsync": fsync, "grace_s": grace_s, "settings": settings} | (limits or {})
        self.spool = spool
        self._process = subprocess.Popen(
            ending_with_us(sys.executable, Path(__file__).with_name("run_listener.py"), json.dumps(order)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
        )
        assert self._process.stdout is not None
        port, helper = self._process.stdout.readline().split()
        self.address = ("127.0.0.1", int(port))
        self._helper = psutil.Process(int(helper))
        self._watch = psutil.Process(self._process.pid)

    def rss_mb(self) -> float:
        """Resident memory of the receiving process, MB."""
        return self._watch.memory_info().rss / 1e6

    def cpu_s(self) -> float:
        """Processor time used so far by it and by the negotiating process, s."""
        return sum(sum(process.cpu_times()[:2]) for process in (self._watch, self._helper))

    def descriptors(self) -> int:
        """Open file descriptors."""
        return self._watch.num_fds()

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def wait(self, seconds: float = LONG_S) -> int:
        """Exit code, once it has ended."""
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL; the negotiating process ends by itself when its requests end."""
        self._process.kill()
        self.wait()
        self._helper.wait(LONG_S)


@pytest.fixture
def own_process(tmp_path: Path) -> Iterator[Callable[..., OwnProcess]]:
    """Start a listener in a process of its own; whatever still runs at the end is killed."""
    started: list[OwnProcess] = []

    def start(spool: Path | None = None, **options: object) -> OwnProcess:
        started.append(OwnProcess(spool or tmp_path / "spool", **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for process in started:
        if process._process.poll() is None:
            process.kill()
