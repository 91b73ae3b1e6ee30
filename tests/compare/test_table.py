"""The page of the comparison: what is counted as near, beyond, doubted, missing and aborted, and what a reader sees of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compare.case import Case, Quantity
from compare.keep import load, save
from compare.run import Answered
from compare.table import Outcome, document, error_of, nearer_than_ours, tally

WIDTH = Quantity("width", "mm", 50.0, 0.1)
SHARE = Quantity("MTF50", "/mm", 2.0, 0.01, relative=True)
UNKNOWN = Quantity("angle", "°")


def nowhere(folder: Path) -> tuple[Path, list[Quantity]]:
    return folder, [WIDTH]


def outcome(title: str = "a case", **answers: Answered) -> Outcome:
    case = Case(title, "a group", title, "a task", tuple(answers), nowhere)
    return Outcome(case, [WIDTH, SHARE, UNKNOWN], answers)


def row(text: str, quantity: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith("|") and f"| {quantity}" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_an_error_is_in_the_unit_or_a_share_of_the_truth() -> None:
    assert error_of(WIDTH, 50.2) == pytest.approx(0.2)
    assert error_of(SHARE, 1.9) == pytest.approx(-0.05)
    assert error_of(UNKNOWN, 3.0) is None


def test_every_quantity_is_counted_once() -> None:
    ours = Answered("dose-audit 1", 1.0, {"width": 50.05, "MTF50": 2.1}, {"MTF50": "few pixels"})
    peer = Answered("pylinac 1", 3.0, {"width": 51.0}, {}, {"MTF50": "nan"})
    found = tally([outcome(ours=ours, pylinac=peer)])
    assert (found["ours"].asked, found["ours"].within, found["ours"].doubted, found["ours"].beyond) == (2, 1, 1, 0)
    assert (found["pylinac"].within, found["pylinac"].beyond, found["pylinac"].missing) == (0, 1, 1)
    assert (found["pylinac"].timed, found["pylinac"].faster) == (1, 0)


def test_a_nominal_value_is_shown_and_counts_for_nothing() -> None:
    nominal = Quantity("width", "mm", 50.0, 0.1, computed=False)
    ours, peer = Answered(values={"width": 51.0}), Answered(values={"width": 50.0})
    one = Outcome(outcome(ours=ours, hazen=peer).case, [nominal], {"ours": ours, "hazen": peer})
    assert tally([one])["ours"].asked == 0 and nearer_than_ours([one]) == []
    assert row(document([one], head="", remarks=""), "width")[4] == "**51 (+1)**"


def test_what_a_program_never_offers_is_not_held_against_it() -> None:
    found = tally([outcome(hazen=Answered(values={"width": 50.0}))])
    assert (found["hazen"].asked, found["hazen"].missing) == (1, 0)


def test_an_abort_costs_all_that_the_program_gives_elsewhere() -> None:
    good = outcome("good", pylinac=Answered(values={"width": 50.0, "MTF50": 2.0}))
    bad = outcome("bad", pylinac=Answered(failures={"a task": "ValueError: no phantom"}))
    late = outcome("late", pylinac=Answered(aborted="no answer within 5 s"))
    found = tally([good, bad, late])["pylinac"]
    assert (found.cases, found.aborted, found.asked, found.missing) == (3, 2, 6, 4)


def test_a_cell_shows_value_error_doubt_and_target() -> None:
    ours = Answered(values={"width": 50.05, "MTF50": 2.1, "angle": 3.0}, doubts={"MTF50": "few pixels"})
    text = document([outcome(ours=ours)], head="# Head", remarks="")
    assert row(text, "width")[2:] == ["50 mm", "± 0.1 mm", "50.05 (+0.05)"]
    assert row(text, "MTF50")[4] == "**2.1 (+5 %)** ?"
    assert row(text, "angle, °")[2:] == ["", "", "3"]
    assert "MTF50 in doubt: few pixels" in text


def test_failures_are_told_in_the_programs_words_without_breaking_the_page() -> None:
    peer = Answered(failures={"a task": "ValueError: <a | b>\nsecond line"})
    text = document([outcome(hazen=peer, ours=Answered(values={"width": 50.0}))], head="", remarks="")
    assert row(text, "width")[-1] == "aborted"
    assert "ValueError: ‹a / b› second line" in text


def test_a_peer_that_is_nearer_is_named_unless_it_is_beyond_the_target_itself() -> None:
    ours = Answered(values={"width": 50.08, "MTF50": 2.5})
    near = outcome(ours=ours, hazen=Answered(values={"width": 50.0, "MTF50": 2.4}))
    (line,) = nearer_than_ours([near])
    assert "hazen 50, ours 50.08, truth 50 mm" in line
    assert nearer_than_ours([outcome(ours=ours, hazen=Answered(values={"width": 50.079}))]) == []


def test_a_kept_run_gives_the_same_page(tmp_path: Path) -> None:
    one = outcome(ours=Answered("dose-audit 1", 1.0, {"width": 50.0}), pylinac=Answered(aborted="ended with code 1"))
    save(tmp_path / "kept.json", "# Head", [one])
    head, again = load(tmp_path / "kept.json", [one.case])
    assert document(again, head=head, remarks="") == document([one], head="# Head", remarks="")
