"""Verdicts move at closes and at no other night; small groups are judged on their year; both axes are there."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from dose_audit.audit.schedule import nightly_schedule, one_look
from dose_audit.audit.verdicts import judge_at_closes

SINCE = date(2025, 7, 1)


def _days(n, first="2025-07-01", last="2026-06-30"):
    return np.datetime64(first) + np.linspace(0, (np.datetime64(last) - np.datetime64(first)).astype(int), n).astype(
        int
    )


def test_nights_between_two_closes_give_the_same_verdict():
    random = np.random.default_rng(1)
    days, doses = _days(400, last="2026-09-30"), 10.0 * np.exp(0.4 * random.standard_normal(400))
    seen = set()
    for night in (date(2026, 7, 1), date(2026, 7, 20), date(2026, 9, 30)):
        verdict = judge_at_closes(doses, days, 10.0, nightly_schedule(SINCE, night), minimum_n=20)
        seen.add(str(verdict.record()))
    assert len(seen) == 1


def test_a_group_too_small_for_a_quarter_is_judged_on_its_year():
    schedule = nightly_schedule(SINCE, date(2026, 7, 10))
    verdict = judge_at_closes(np.full(40, 12.0), _days(40), 10.0, schedule, minimum_n=20)
    assert verdict.basis == "year"
    assert (verdict.latest.n, verdict.latest.flag, verdict.latest.evidence) == (40, True, "exceeds")
    few = judge_at_closes(np.full(12, 12.0), _days(12), 10.0, schedule, minimum_n=20)
    assert (few.basis, few.latest, few.exceeded) == ("period", None, False)


def test_the_year_keeps_an_exceedance_until_its_median_is_down():
    schedule = nightly_schedule(SINCE, date(2026, 7, 10))
    weak = np.array([9.5] * 18 + [11.0] * 22)  # above, and no evidence
    down = np.array([9.5] * 22 + [11.0] * 18)
    for doses, before, after in ((weak, True, True), (weak, False, False), (down, True, False)):
        verdict = judge_at_closes(doses, _days(40), 10.0, schedule, minimum_n=20, stood_before=before)
        assert verdict.exceeded is after


def test_one_look_is_one_test_at_five_per_cent():
    doses = np.array([11.0] * 15 + [9.0] * 5)  # p = 0.0207: evidence once, and none of four
    assert judge_at_closes(doses, _days(20), 10.0, one_look(None, None), minimum_n=20).exceeded
    quarter = nightly_schedule(SINCE, date(2025, 10, 1))
    assert not judge_at_closes(doses, _days(20, last="2025-09-30"), 10.0, quarter, minimum_n=20).exceeded


@pytest.mark.parametrize(("period", "names"), [("month", 12), ("quarter", 4), ("half-year", 2), ("year", 1)])
def test_periods_close_on_the_calendar(period, names):
    schedule = nightly_schedule(date(2025, 1, 1), date(2026, 1, 1), period)
    assert (len(schedule.periods), schedule.periods_per_year) == (names, names)
    assert schedule.last_day == date(2025, 12, 31)
    assert schedule.year.first == date(2025, 1, 1)
    running = nightly_schedule(date(2025, 1, 1), date(2025, 12, 31), period)
    assert len(running.periods) == names - 1


def test_nothing_has_closed_in_the_first_weeks():
    verdict = judge_at_closes(np.full(30, 12.0), _days(30), 10.0, nightly_schedule(SINCE, SINCE), minimum_n=20)
    assert (verdict.basis, verdict.exceeded, verdict.record()["periods"]) == ("none", False, [])
