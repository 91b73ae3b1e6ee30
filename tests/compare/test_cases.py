"""The cases themselves: told apart by name, prepared without a peer, and asked in the words that the adapters answer in."""

from __future__ import annotations

from pathlib import Path

import pytest

from compare.case import Case
from compare.cases import all_cases
from compare.cases_arrays import CASES
from compare.run import HERE, PROGRAMS, ask
from tests.patience import LONG_S


def test_no_two_cases_share_a_name_and_every_task_has_its_adapter() -> None:
    cases = all_cases()
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        for program in case.programs:
            assert f'"{case.task}":' in (HERE / f"program_{program}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "case", [one for one in CASES if one.effort == 0 and "ours" in one.programs], ids=lambda one: one.id
)
def test_our_adapter_answers_what_is_asked_and_is_near_the_truth(case: Case, tmp_path: Path) -> None:
    images, asked = case.prepare(tmp_path)
    found = ask(PROGRAMS["ours"], HERE / "program_ours.py", case.task, images, tmp_path, timeout_s=LONG_S)
    assert not found.failures and not found.aborted
    ours = [quantity for quantity in asked if quantity.name in found.values]
    assert len(ours) >= 3
    for quantity in ours:
        assert quantity.truth is not None and quantity.allowed is not None
        assert found.values[quantity.name] == pytest.approx(quantity.truth, abs=quantity.allowed), quantity.name
