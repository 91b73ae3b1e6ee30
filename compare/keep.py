"""A run's answers on disk, so that the page can be written again without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from compare.case import Case, Quantity
from compare.run import Answered
from compare.table import Outcome

__all__ = ["load", "save"]


def save(path: Path, head: str, outcomes: Sequence[Outcome]) -> None:
    """Head of the page and all answers as JSON."""
    cases = [
        {
            "id": one.case.id,
            "asked": [asdict(quantity) for quantity in one.asked],
            "took_s": one.took_s,
            "answers": {name: asdict(answer) for name, answer in one.answers.items()},
        }
        for one in outcomes
    ]
    path.write_text(json.dumps({"head": head, "cases": cases}, indent=1, allow_nan=False), encoding="utf-8")


def load(path: Path, known: Sequence[Case]) -> tuple[str, list[Outcome]]:
    """Head and outcomes of a kept run; cases that are no longer known are left out."""
    record = json.loads(path.read_text(encoding="utf-8"))
    cases: Mapping[str, Case] = {case.id: case for case in known}
    return record["head"], [
        Outcome(
            cases[one["id"]],
            [Quantity(**asked) for asked in one["asked"]],
            {name: Answered(**answer) for name, answer in one["answers"].items()},
            float(one.get("took_s", 0.0)),
        )
        for one in record["cases"]
        if one["id"] in cases
    ]
