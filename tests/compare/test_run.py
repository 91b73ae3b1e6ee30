"""Asking a program: what it prints, what it raises, what kills it and what never ends all come back as an answer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from compare.run import HERE, Answered, ask
from tests.patience import LONG_S, quickest, seconds

ADAPTER = """
import sys
sys.path.insert(0, {here!r})
from answer import Answer, serve

def good(folder, answer):
    print("chatter")
    answer.give("width", 50)
    answer.give("ratio", float("nan"))
    answer.give("angle", None)
    answer.attempt("part", lambda: 1 / 0)

def bad(folder, answer):
    raise ValueError("no phantom")

def dead(folder, answer):
    import os
    os._exit(3)

def endless(folder, answer):
    import time
    time.sleep(60)

sys.exit(serve("test 1", dict(good=good, bad=bad, dead=dead, endless=endless)))
"""


def answered(folder: Path, task: str, timeout_s: float = LONG_S) -> Answered:
    script = folder / "adapter.py"
    script.write_text(ADAPTER.format(here=str(HERE)))
    return ask(Path(sys.executable), script, task, folder, folder, timeout_s=timeout_s)


def test_values_failures_and_seconds_come_back(tmp_path: Path) -> None:
    found = answered(tmp_path, "good")
    assert found.values == {"width": 50.0}
    assert found.failures["ratio"] == "nan" and found.failures["angle"] == "None"
    assert found.failures["part"].startswith("ZeroDivisionError")
    assert found.seconds is not None and found.seconds < 10.0


@pytest.mark.parametrize(("task", "words"), [("bad", "ValueError: no phantom"), ("dead", "ended with code 3")])
def test_an_error_is_a_failure_and_a_death_an_abort(tmp_path: Path, task: str, words: str) -> None:
    found = answered(tmp_path, task)
    assert words in (found.aborted or found.failures[task])


def test_what_never_ends_is_ended(tmp_path: Path) -> None:
    def ended() -> None:
        assert answered(tmp_path, "endless", timeout_s=2.0).aborted == "no answer within 2 s"

    assert quickest(lambda: seconds(ended), 20.0) < 20.0
