"""What one program makes of one case, as JSON on stdout. Standard library only: it runs in every program's environment."""

from __future__ import annotations

import json
import math
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["Answer", "Task", "serve"]

_LONGEST = 200


class Answer:
    """Values by quantity, doubts that the program itself expressed, and what failed in its own words.

    Parameters
    ----------
    program : str
        Name and version.
    """

    def __init__(self, program: str) -> None:
        self.program = program
        self.values: dict[str, float] = {}
        self.doubts: dict[str, str] = {}
        self.failures: dict[str, str] = {}
        self.remarks: list[str] = []

    def give(self, quantity: str, value: object, *, doubt: str = "") -> None:
        """One value as the program reports it; no number where one was promised is a failure."""
        if value is None:
            self.failures[quantity] = "None"
            return
        number = float(value)  # type: ignore[arg-type]  # numpy scalars, Decimals and strings of numbers
        if not math.isfinite(number):
            self.failures[quantity] = str(number)
            return
        self.values[quantity] = number
        if doubt:
            self.doubts[quantity] = doubt[:_LONGEST]

    def refuse(self, quantity: str, reason: str) -> None:
        """A quantity that the program says it cannot measure, in its words."""
        self.failures[quantity] = reason[:_LONGEST]

    def attempt(self, what: str, work: Callable[[], None]) -> None:
        """Run a part of the program; what it raises becomes the failure of that part."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - another program's crash is a result here
            place = traceback.extract_tb(error.__traceback__)[-1]
            said = " ".join(str(error).split())
            self.failures[what] = f"{type(error).__name__}: {said}"[:_LONGEST] + f" ({Path(place.filename).name})"


Task = Callable[[Path, Answer], None]


def serve(program: str, tasks: Mapping[str, Task]) -> int:
    """``PROGRAM TASK FOLDER``: run one task and print the answer.

    The seconds are the analysis alone: interpreter and imports are not counted, reading the files is.
    """
    task, folder = sys.argv[1:3]
    answer = Answer(program)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer.attempt(task, lambda: tasks[task](Path(folder), answer))
    record = {
        "program": answer.program,
        "seconds": time.perf_counter() - began,
        "values": answer.values,
        "doubts": answer.doubts,
        "failures": answer.failures,
        "remarks": answer.remarks,
    }
    # Some programs print while they work: the answer is the last line.
    print("\n" + json.dumps(record, allow_nan=False))
    return 0
