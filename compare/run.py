"""One program on one case: a process of its own, niced, bounded in time, its answer the last line that it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["HERE", "PROGRAMS", "Answered", "ask", "installed"]

HERE = Path(__file__).resolve().parent
# Program: interpreter of its environment.
PROGRAMS: dict[str, Path] = {
    "ours": Path(sys.executable),
    "pylinac": HERE / ".venv-pylinac" / "bin" / "python",
    "hazen": HERE / ".venv-hazen" / "bin" / "python",
}
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: the adapter's record, or why there is none."""

    program: str = ""
    seconds: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    aborted: str = ""


def installed(name: str) -> bool:
    """Whether a program's environment is there."""
    return PROGRAMS[name].exists()


def ask(interpreter: Path, script: Path, task: str, images: Path, scratch: Path, *, timeout_s: float) -> Answered:
    """Run an adapter.

    Parameters
    ----------
    interpreter, script : Path
        Python of the program's environment, and the adapter.
    task : str
        What to do with the images.
    images, scratch : Path
        Folder of the case, and an own one to work in.
    timeout_s : float
        After it the process and all its children are ended.

    Returns
    -------
    Answered
        With `aborted` set when time ran out, the process died or said nothing that can be read.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    command = ["nice", "-n", str(_NICENESS), str(interpreter), str(script), task, str(images)]
    process = subprocess.Popen(
        command,
        cwd=scratch,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, complaint = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Answered(aborted=f"no answer within {timeout_s:.0f} s")
    lines = said.strip().splitlines()
    if process.returncode != 0 or not lines:
        last = complaint.strip().splitlines()[-1:] or ["nothing"]
        return Answered(aborted=f"ended with code {process.returncode}: {last[0][:200]}")
    try:
        record: dict[str, Any] = json.loads(lines[-1])
    except ValueError:
        return Answered(aborted=f"its last line is no answer: {lines[-1][:100]}")
    return Answered(**record)
