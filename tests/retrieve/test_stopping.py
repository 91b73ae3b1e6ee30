"""A long `reconcile` away from a terminal: it says how far it is, can be stopped, and asks again what it had not written down."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import LONG_S
from tests.retrieve.held import holdings
from tests.retrieve.web_server import Reply, WebServer, serving

_PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts programs in the background has it ignored
from dose_audit.cli import common, main
common.LINE_EVERY_S = 0.1
main()
"""
_DEVICES = re.compile(r"^asking for devices: (\d+) of 6 after \d+ s$", re.MULTILINE)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with serving(holdings()) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, server: WebServer) -> Path:
    (tmp_path / "dose-audit.toml").write_text(
        f"[[archives]]\nname = 'web'\nmethod = 'web'\nurl = '{server.url}'\npause_s = 0\n"
    )
    return tmp_path


def begun(home: Path, *words: str) -> subprocess.Popen[str]:
    period = ("--since", "2026-03-02", "--until", "2026-03-04")
    command = [sys.executable, "-c", _PROGRAM, "--home", str(home), "reconcile", *period, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends its Ctrl-C to a whole console")
def test_a_reconciliation_tells_how_far_it_is_and_goes_on_after_being_stopped(home: Path, server: WebServer) -> None:
    held = threading.Event()
    asked: dict[str, None] = {}

    def third_study_waits(path: str, query: dict[str, str]) -> Reply | None:
        if path.endswith("/series"):
            asked[path] = None
            if len(asked) == 3:
                held.wait(LONG_S)
        return None

    server.intercept = third_study_waits
    program = begun(home)
    assert program.stderr is not None
    for line in program.stderr:
        if line.startswith("asking for devices: 2 of 6"):
            break
    program.send_signal(signal.SIGINT)
    rest = program.communicate(timeout=LONG_S)[1]
    held.set()
    assert program.returncode == 130 and "run it again for the rest" in rest and "Traceback" not in rest, rest
    assert not (home / "reconcile").exists()  # half a look is no look

    answered = set(list(asked)[:2])
    asked.clear()
    again = begun(home, "--json")
    told, lines = again.communicate(timeout=LONG_S)
    assert again.returncode == 3 and json.loads(told)["missing_count"] == 6, lines
    assert len(asked) == 4 and not answered & set(asked)  # the journal kept what the first had been told of devices


def test_lines_of_progress_are_plain_and_leave_standard_output_alone(home: Path, server: WebServer) -> None:
    release = threading.Event()
    asked: set[str] = set()

    def last_study_waits(path: str, query: dict[str, str]) -> Reply | None:
        if path.endswith("/series"):
            asked.add(path)
            if len(asked) == 6:
                release.wait(LONG_S)
        return None

    server.intercept = last_study_waits
    program = begun(home, "--json")
    assert program.stderr is not None
    seen: list[str] = []
    for line in program.stderr:
        seen.append(line)
        if line.startswith("asking for devices: 5 of 6"):
            break
    release.set()
    told, rest = program.communicate(timeout=LONG_S)
    assert json.loads(told)["archived"] == 6
    text = "".join(seen) + rest
    assert _DEVICES.search(text) and "\x1b" not in text and "\r" not in text, text
    counts = [int(number) for number in _DEVICES.findall(text)]
    assert counts == sorted(counts)
    steps = [line.split(":")[0] for line in seen]
    assert steps == sorted(steps, key=["asking, day by day", "asking for devices"].index)  # one step after the other


def test_a_command_that_is_done_soon_says_nothing_of_its_progress(home: Path) -> None:
    period = ("--since", "2026-03-02", "--until", "2026-03-04")
    command = [sys.executable, "-m", "dose_audit.cli", "--home", str(home), "reconcile", *period]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_S, check=False)
    assert done.returncode == 3 and "asking" not in done.stderr
