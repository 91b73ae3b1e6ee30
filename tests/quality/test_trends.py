"""Four states: tolerance by stored limits, control by frozen ones, each rule where theory says it fires."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest

from dose_audit.quality.history import Accepted, History, Mark, Point, Run
from dose_audit.quality.states import ACT, SENTENCES, STATE_NAMES, STATE_WORDS
from dose_audit.quality.trends import Judged, judge_history, sentence

START = dt.datetime(2026, 1, 1, 8)
LIMITS = {
    "about": "absolute", "nominal": None, "remedial": [-5.0, 5.0], "suspension": [-10.0, 10.0], "unit": "HU",
    "source": "a report", "edition": "", "status": "confirmed", "measurement": "water",
}  # fmt: skip


def _run(number: int, *, counted: bool = True, day: int | None = None) -> Run:
    at = START + dt.timedelta(days=number if day is None else day)
    return Run(number, "North", 1, "CT1", "water", "Water", "CT", "", at, "fit", "V1", {}, counted, 1 if counted else 2)


def _level(value: float) -> str:
    return "pass" if abs(value) <= 5 else "remedial" if abs(value) <= 10 else "suspension"


def _history(values: Sequence[float], accepted: list[Accepted], **more: Any) -> History:
    points = [
        Point(_run(n), value, more.get("uncertainty"), "ok", "", _level(value), LIMITS)
        for n, value in enumerate(values)
    ]
    return History("water", "Water", "HU", points, accepted)


def _accepted(*, centre: float = 0.0, sigma: float = 1.0, runs: int = 8, day: int = 0, first: int = 0) -> Accepted:
    return Accepted(
        centre, sigma, centre - 3 * sigma, centre + 3 * sigma, START + dt.timedelta(days=day),
        tuple(range(first, first + runs)), "expert", "acceptance",
    )  # fmt: skip


def _judged(values: Sequence[float], **more: Any) -> list[Judged]:
    return judge_history(_history([*[0.5, -0.5] * 4, *values], [_accepted()], **more))


@pytest.mark.parametrize(
    ("value", "state", "rule"),
    [(1.0, "steady", ""), (3.1, "drifting", "beyond_limits"), (7.0, "failed", "beyond_limits"), (2.9, "steady", "")],
)
def test_one_value_after_phase_one(value: float, state: str, rule: str) -> None:
    last = _judged([value])[-1]
    assert (last.state, last.rule) == (state, rule)


def test_out_of_tolerance_as_ever_is_another_state_than_a_failure() -> None:
    found = judge_history(_history([7.5, 6.5] * 4 + [7.0], [_accepted(centre=7.0)]))
    assert [one.state for one in found[:8]] == ["beyond"] * 8  # of phase I nothing is known of control
    assert found[-1].state == "steadily_out"


def test_the_ninth_on_one_side_is_a_run() -> None:
    # 0.3 sigma stays within rule 1, and the average within its own limits: 0.3 < 2.962·√(0.2/1.8) = 0.987.
    rules = [one.rule for one in _judged([0.3] * 10)[8:]]
    assert rules == [""] * 8 + ["run_of_nine"] * 2


def test_a_lasting_shift_shows_in_the_running_average_before_the_run() -> None:
    # At a shift of 2 sigma the average passes its limit when 2·(1−0.8^n) > 2.962·√(0.2/1.8·(1−0.8^(2n))): n = 3.
    crossing = next(n for n in range(1, 9) if 2 * (1 - 0.8**n) > 2.962 * (0.2 / 1.8 * (1 - 0.8 ** (2 * n))) ** 0.5)
    rules = [one.rule for one in _judged([2.0] * 8)[8:]]
    assert rules.index("ewma") == crossing - 1


def test_one_spoilt_scan_does_not_occupy_the_running_average() -> None:
    assert [one.rule for one in _judged([30.0, 0.0, 0.1, -0.1])[8:]] == ["beyond_limits", "", "", ""]


@pytest.mark.parametrize(("kind", "over"), [("service", True), ("part", True), ("software", False)])
def test_what_was_wrong_before_a_repair_is_over_after_it(kind: str, over: bool) -> None:
    """Six runs at 2.5 sigma, the device is mended, and the next ones are as ever: nothing stays to be checked."""
    history = _history([*[0.5, -0.5] * 4, *[2.5] * 6, 0.2, -0.2, 0.1], [_accepted()])
    history.marks.append(Mark(START + dt.timedelta(days=13, hours=12), kind, "new tube"))
    found = judge_history(history)
    assert found[13].rule == "ewma"
    # Without a repair the average forgets a fifth a run: 2.4·0.8 is still beyond 0.987.
    assert ([one.rule for one in found[14:]] == [""] * 3) == over


def test_what_a_repair_did_not_mend_shows_again() -> None:
    history = _history([*[0.5, -0.5] * 4, *[2.5] * 9], [_accepted()])
    history.marks.append(Mark(START + dt.timedelta(days=12, hours=12), "service", ""))
    assert [one.rule for one in judge_history(history)[13:]][-1] == "ewma"


def test_what_the_value_cannot_tell_is_no_change() -> None:
    assert _judged([3.5], uncertainty=4.0)[-1].control == "in"
    assert _judged([3.5], uncertainty=0.5)[-1].control == "out"


def test_repeats_of_a_day_and_doubtful_values_do_not_enter() -> None:
    history = _history([*[0.5, -0.5] * 4, 0.0], [_accepted()])
    for nth, (counted, status) in enumerate(((False, "ok"), (True, "suspect"))):
        run = _run(20 + nth, counted=counted)
        history.points.append(Point(run, 9.0, None, status, "" if status == "ok" else "doubt", "remedial", LIMITS))
    assert [one.control for one in judge_history(history)[-3:]] == ["in", "not_known", "not_known"]


def test_a_new_baseline_begins_a_new_phase() -> None:
    shifted = [4.0 + (0.5 if n % 2 else -0.5) for n in range(8)]
    history = _history([*[0.5, -0.5] * 4, 4.0, *shifted, 4.2], [_accepted(), _accepted(centre=4.0, day=9, first=9)])
    found = judge_history(history)
    assert found[8].state == "drifting"  # before the new baseline
    assert all(one.phase_one for one in found[9:17])
    assert found[17].state == "steady"


def test_without_a_baseline_nothing_is_said_of_control_and_a_late_one_judges_what_waited() -> None:
    assert judge_history(_history([1.0], []))[-1].state == "within"
    about = {**LIMITS, "about": "baseline_percent", "remedial": [-10.0, 10.0], "suspension": [-25.0, 25.0]}
    points = [Point(_run(n), value, None, "ok", "", "no_baseline", about) for n, value in enumerate((5.0, 5.6, 6.4))]
    history = History("noise", "Noise", "HU", points, [])
    assert [one.state for one in judge_history(history)] == ["recorded"] * 3
    history.accepted.append(Accepted(5.0, None, None, None, START, (0,), "expert", "acceptance"))
    assert [one.judgement for one in judge_history(history)] == ["pass", "remedial", "suspension"]


def test_every_state_has_words_and_a_sentence_without_a_gap() -> None:
    assert set(STATE_NAMES.values()) == set(SENTENCES) == set(STATE_WORDS) - {"accepted", "not_measured"}
    point = Point(_run(1), 1.0, None, "ok", "", "pass", LIMITS)
    for (tolerance, control), name in STATE_NAMES.items():
        for level in ("remedial", "suspension"):
            judgement = level if tolerance == "out" else "pass" if tolerance == "in" else "no_tolerance"
            rule = "run_of_nine" if control == "out" else ""
            told = sentence(Judged(point, None, judgement, tolerance, control, rule))
            assert "{" not in told and ".." not in told and ": ;" not in told and told.endswith(".")
            if name == "failed":
                assert ACT[level] in told
