"""Real disks for tests, where they may be mounted: gone when the test ends, however it ends."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.patience import LONG_S

UNMOUNT_AT_THE_END = """
cat > /dev/null
awk -v root="$1/" 'index($2, root) == 1 { print $2 }' /proc/mounts | tac | xargs -r -n 1 umount --lazy
"""
"""Waits until the test closes its end of the pipe, or is killed; later mounts first."""


def command(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount something with these words and give the place; skips where that is not permitted."""
    places: list[Path] = []
    unmounting = subprocess.Popen(
        ["sh", "-c", UNMOUNT_AT_THE_END, "sh", str(tmp_path)], stdin=subprocess.PIPE, start_new_session=True
    )

    def attach(*words: object, on: Path | None = None) -> Path:
        place = on or tmp_path / f"disk{len(places)}"
        place.mkdir(exist_ok=True)
        try:
            command("mount", *words, place)
        except (OSError, subprocess.CalledProcessError) as error:
            said = error.stderr.decode().strip() if isinstance(error, subprocess.CalledProcessError) else error
            pytest.skip(f"mounting is not permitted here: {said}")
        places.append(place)
        return place

    yield attach
    unmounting.communicate(timeout=LONG_S)
