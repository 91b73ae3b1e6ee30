"""Programs that tests start and that end with the tests, even with tests that are killed."""

from __future__ import annotations

import shutil
from pathlib import Path


def ending_with_us(*words: str | Path, by: str = "KILL") -> list[str | Path]:
    """The command, such that the kernel sends it this signal when the thread that started it ends; Linux only."""
    helper = shutil.which("setpriv")
    return [helper, "--pdeathsig", by, *words] if helper else [*words]
