"""From the last image arriving at a real listener to the stored phantom result, in seconds.

Run ``python -m bench.bench_phantom_listen``: `dose-audit listen` in a process of its own with the settings as shipped,
a digital CatPhan 504 of 94 slices and a digital radiograph sent over one association each, three times.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from dose_audit.demo.run import send_folder

ROUNDS = 3
_GIVE_UP_S = 300.0
_SETTINGS = """
[[callers]]
aet = "*"
networks = ["127.0.0.0/8"]
site = "Bench"

[[routes]]
to = "phantom"
acquisition_protocol = "QA*"
"""


def main() -> None:
    """Print the seconds of each round and their median."""
    from dose_audit.phantom.digital import recipe, slice_positions, write_series

    with tempfile.TemporaryDirectory(prefix="dose-audit-bench-") as place:
        home = Path(place) / "home"
        home.mkdir()
        (home / "dose-audit.toml").write_text(_SETTINGS, encoding="utf-8")
        catphan, flat = recipe("catphan504"), recipe("flat-dx")
        positions = catphan.acquisition.z_mm
        slices = slice_positions(min(positions), max(positions), 2.0)
        sets: dict[str, list[Path]] = {"CatPhan 504": [], "radiograph": []}
        for number in range(ROUNDS):
            at = datetime(2026, 1, 5, 8) + timedelta(days=number)
            for name, digital in (("CatPhan 504", catphan), ("radiograph", flat)):
                acquisition = digital.acquisition
                if acquisition.z_mm:
                    acquisition = replace(acquisition, z_mm=slices)
                folder = Path(place) / f"{digital.kind}-{number}"
                write_series(folder, digital, acquisition=acquisition, seed=number, acquired=at)
                sets[name].append(folder)
        words = [sys.executable, "-m", "dose_audit.cli", "--home", str(home), "listen", "--port", "0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listener:
            try:
                assert listener.stdout is not None
                port = int(listener.stdout.readline().rsplit(":", 1)[1].split(";")[0])
                time.sleep(8.0)  # a listener that has run for a while
                print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
                for name, folders in sets.items():
                    taken = [_seconds(home, folder, port) for folder in folders]
                    count = len(list(folders[0].glob("*.dcm")))
                    told = ", ".join(f"{one:.1f}" for one in taken)
                    print(f"{name:<12} {count:>4} images: {told} s; median {statistics.median(taken):.1f} s")
            finally:
                listener.terminate()
                listener.wait(30)


def _seconds(home: Path, folder: Path, port: int) -> float:
    before = _results(home)
    send_folder(sorted(folder.glob("*.dcm")), port=port, calling_aet="BENCH", called_aet="DOSEAUDIT")
    arrived = time.monotonic()
    return _wait(lambda: _results(home) > before) - arrived


def _wait(done: Callable[[], bool]) -> float:
    until = time.monotonic() + _GIVE_UP_S
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"no result within {_GIVE_UP_S:g} s")
        time.sleep(0.05)
    return time.monotonic()


def _results(home: Path) -> int:
    with closing(sqlite3.connect(home / "dose-audit.sqlite3")) as store:
        return int(store.execute("SELECT COUNT(*) FROM store_phantomstudy").fetchone()[0])


if __name__ == "__main__":
    main()
