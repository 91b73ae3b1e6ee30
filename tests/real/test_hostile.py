"""Malformed objects: each is read or refused with one line, in bounded time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MOST_SECONDS = 2.0
MOST_MEGABYTES = 200

# Runs in a process of its own, so that its peak of memory is that of the reader and a hang can be ended.
READ_ALL = """
import json, sys, time
from dose_audit.extract.reader import ReadError, peek, read_object

def touch(header):
    for keyword in list(header.keywords()):
        header.texts(keyword), header.numbers(keyword)
        for item in header.items(keyword):
            touch(item)

import pydicom.filereader  # the fallback's import is not the file's fault
for path in sys.stdin.read().splitlines():
    started = time.perf_counter()
    try:
        touch(read_object(path))
        outcome = "read"
    except ReadError as error:
        outcome = f"{type(error).__name__}: {error}"
    try:
        peek(path)
    except ReadError:
        pass
    # Not getrusage: its peak is inherited from the process that started this one.
    with open("/proc/self/status") as status:
        megabytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    print(json.dumps([path, outcome, time.perf_counter() - started, megabytes]), flush=True)
"""


def read_in_a_process(paths: list[Path]) -> list[tuple[str, str, float, float]]:
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        timeout=60 + MOST_SECONDS * len(paths) / 10,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")


@pytest.fixture(scope="module")
def outcomes(real_dir: Path) -> list[tuple[str, str, float, float]]:
    manifest = json.loads((real_dir / "hostile" / "manifest.json").read_text())
    files = [real_dir / "hostile" / case["filename"] for c in manifest["categories"] for case in c["cases"]]
    return read_in_a_process([path for path in files if path.is_file()])


def test_each_is_read_or_refused_with_one_line(outcomes: list[tuple[str, str, float, float]]) -> None:
    kinds = {"NotDicom", "Truncated", "TooLarge", "TooDeep", "Malformed"}
    assert len(outcomes) > 300
    for path, outcome, _seconds, _megabytes in outcomes:
        kind, _, message = outcome.partition(": ")
        assert outcome == "read" or (kind in kinds and message and "\n" not in message), path


def test_none_takes_long(outcomes: list[tuple[str, str, float, float]]) -> None:
    assert [(path, seconds) for path, _, seconds, _ in outcomes if seconds > MOST_SECONDS] == []


def test_none_takes_much_memory(outcomes: list[tuple[str, str, float, float]]) -> None:
    assert max(megabytes for *_rest, megabytes in outcomes) < MOST_MEGABYTES


def test_the_valid_baseline_is_read(real_dir: Path) -> None:
    (baseline,) = (real_dir / "hostile" / "baseline").iterdir()
    ((_path, outcome, _seconds, _megabytes),) = read_in_a_process([baseline])
    assert outcome == "read"
