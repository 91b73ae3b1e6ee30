"""Commands that only read, on a home that cannot be written: a file system mounted read-only, and a disk that is full."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_commands import SAMPLES, run
from tests.disks import command

if TYPE_CHECKING:
    from tests.conftest import MadeOnce

READING = tuple(
    tuple(words.split())
    for words in (
        "status", "finding list", "run list", "run verify --redraw", "quarantine list", "mail list", "phantom trend",
        "phantom schedule list", "phantom baseline list", "phantom event list",
        "dosimetry calibration list", "drl list", "mapping export",
    )
)  # fmt: skip
ON_A_FULL_DISK = (("status",), ("finding", "list"), ("phantom", "trend"))
"""Of all that read, enough to show that a full disk is told and read in the same way."""
SIZE = 80_000_000


@pytest.fixture(scope="session")
def audited_home(tmp_path_factory: pytest.TempPathFactory, made_once: MadeOnce) -> Path:
    """A home in which a few objects have been read and audited; nothing writes in it."""

    def audited() -> Path:
        home = tmp_path_factory.mktemp("audited") / "home"
        reports = [path for path in SAMPLES.glob("*.dcm") if "dx" not in path.name][:4]
        run(home, "scan", *map(str, reports))
        run(home, "audit", "--since", "2015-01-01", expect=3)
        return home

    home: Path = made_once("home-that-is-only-read", audited)
    return home


@pytest.fixture
def disk(mount: Callable[..., Path], audited_home: Path) -> Path:
    """A disk with that home on it; nothing uses it."""
    place = mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs")
    shutil.copytree(audited_home, place / "home")
    return place


def outputs(home: Path, commands: tuple[tuple[str, ...], ...] = READING) -> dict[tuple[str, ...], str]:
    """What commands print while nothing stands in their way."""
    return {words: run(home, *words).stdout for words in commands}


def without_space(text: str) -> str:
    """What changes by itself: free space, and how long ago."""
    changing = ("free", "last", '"minute"', '"hour"', '"day"')
    return "\n".join(line for line in text.splitlines() if not any(word in line.lower() for word in changing))


def contents(home: Path) -> dict[Path, bytes]:
    """All that holds anything: SQLite may leave an empty log, and the index of one, behind where it could not begin one."""
    found = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    return {path: data for path, data in found.items() if data and not path.name.endswith("-shm")}


def check_reading(home: Path, before: dict[tuple[str, ...], str], why: str) -> None:
    files = contents(home)
    for words, told in before.items():
        now = run(home, *words)
        assert without_space(now.stdout) == without_space(told), words
        assert f"{home} {why}: what follows is read from it as it stands." in now.stderr, words
    assert contents(home) == files


def test_a_read_only_home_is_read(disk: Path) -> None:
    home = disk / "home"
    before = outputs(home)
    command("mount", "-o", "remount,ro", disk)
    check_reading(home, before, "is on a file system that is mounted read-only")
    refused = run(home, "finding", "acknowledge", "KEY", "--by", "MPE", "--reason", "seen", expect=1).stderr
    assert f"{home} is on a file system that is mounted read-only." in refused and "Traceback" not in refused
    refused = run(home, "scan", str(SAMPLES), expect=1).stderr
    assert "mounted read-only" in refused and "Traceback" not in refused


def test_a_home_on_a_full_disk_is_read(disk: Path) -> None:
    home = disk / "home"
    before = outputs(home, ON_A_FULL_DISK)
    fill(disk / "fill")
    check_reading(home, before, "is on a disk that is full")
    refused = run(home, "finding", "acknowledge", "KEY", "--by", "MPE", "--reason", "seen", expect=1).stderr
    assert f"{home} is on a disk that is full." in refused and "Traceback" not in refused


def test_changes_that_only_the_log_holds_are_never_left_out(disk: Path) -> None:
    """A database whose last writer was killed: read without its log it would show an older state as the present one."""
    home = disk / "home"
    program = (
        "import os, sqlite3, sys\n"
        "store = sqlite3.connect(sys.argv[1])\n"
        "store.execute('UPDATE store_finding SET subject = ?', ('changed at last',)); store.commit()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(home / "dose-audit.sqlite3")], check=False)
    assert (home / "dose-audit.sqlite3-wal").stat().st_size
    (home / "dose-audit.sqlite3-shm").unlink()
    command("mount", "-o", "remount,ro", disk)
    refused = run(home, "finding", "list", expect=1).stderr
    assert "the last changes are in dose-audit.sqlite3-wal" in refused and "Traceback" not in refused


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1_000_000, 1_000):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
