"""Silent devices: planted gaps are found, habits are not."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dose_audit.statistics import silent_gaps
from dose_audit.statistics.silence import _weekday_days

START = datetime(2026, 1, 5)  # a Monday
END = START + timedelta(days=182)


def exams(rng, per_weekday, days=182, skip=lambda day: False):
    """Poisson exams between 8 and 17 h, at per_weekday[weekday] a day."""
    times = []
    for day in range(days):
        date = START + timedelta(days=day)
        if not skip(day):
            for _ in range(rng.poisson(per_weekday[date.weekday()])):
                times.append(date + timedelta(hours=float(rng.uniform(8, 17))))
    return times


WORKDAYS = (4, 4, 4, 4, 4, 0, 0)


def test_a_fortnight_of_silence_is_found():
    times = exams(np.random.default_rng(1), WORKDAYS, skip=lambda day: 70 <= day < 84)
    scan = silent_gaps(times, END)
    assert len(scan.gaps) == 1
    gap = scan.gaps[0]
    assert 14 <= gap.days <= 18
    assert gap.start >= START + timedelta(days=66)
    assert gap.end >= START + timedelta(days=84)
    assert not gap.ongoing
    assert gap.expected_exams == pytest.approx(40, rel=0.25)  # ten working days of four


def test_a_silence_that_goes_on_is_found():
    times = exams(np.random.default_rng(2), WORKDAYS, skip=lambda day: day >= 168)
    scan = silent_gaps(times, END)
    assert [gap.ongoing for gap in scan.gaps] == [True]
    assert scan.gaps[0].end == END


@pytest.mark.parametrize("rates", [WORKDAYS, (2,) * 7, (0.5,) * 7, (0, 12, 0, 0, 0, 0, 0), (0.2,) * 7])
def test_a_device_with_its_own_rhythm_is_never_silent(rates):
    rng = np.random.default_rng(3)
    for _ in range(20):
        assert silent_gaps(exams(rng, rates), END).gaps == ()


def test_a_van_that_comes_one_week_in_four_is_not_silent():
    times = exams(np.random.default_rng(4), (10,) * 5 + (0, 0), skip=lambda day: (day // 7) % 4 != 0)
    assert silent_gaps(times, END - timedelta(days=7)).gaps == ()


def test_two_outages_do_not_hide_each_other():
    times = exams(np.random.default_rng(5), WORKDAYS, skip=lambda day: 42 <= day < 56 or 112 <= day < 126)
    assert len(silent_gaps(times, END).gaps) == 2


def test_few_exams_give_a_status_and_exams_after_the_moment_do_not_count():
    few = [START + timedelta(days=d) for d in range(19)]
    assert silent_gaps(few, END).status == "INSUFFICIENT_N"
    later = few + [END + timedelta(days=d) for d in range(1, 30)]
    assert silent_gaps(later, END).n == 19


def test_times_with_an_offset_work_like_naive_ones():
    naive = exams(np.random.default_rng(6), WORKDAYS, skip=lambda day: 70 <= day < 84)
    aware = [moment.replace(tzinfo=UTC) for moment in naive]
    assert silent_gaps(aware, END.replace(tzinfo=UTC)).gaps[0].days == silent_gaps(naive, END).gaps[0].days


@pytest.mark.parametrize("hour", [0, 9])
def test_an_array_of_moments_is_judged_like_a_list_of_them(hour):
    rng = np.random.default_rng(7)
    times = exams(rng, WORKDAYS, skip=lambda day: 70 <= day < 84)
    times = [moment.replace(hour=hour, microsecond=int(rng.integers(1_000_000))) for moment in times]
    shuffled = np.array(times, dtype="datetime64[us]")[rng.permutation(len(times))]
    scan = silent_gaps(shuffled, END)
    assert len(scan.gaps) == 1
    assert scan == silent_gaps(times, END)


def test_each_weekday_is_exposed_as_plain_counting_has_it():
    """Of every minute of a span the weekday is asked."""
    start, minutes = datetime(2026, 1, 7, 17, 20), 16_000
    counted = np.zeros(7)
    for minute in range(minutes):
        counted[(start + timedelta(minutes=minute)).weekday()] += 1.0 / 1440.0
    assert _weekday_days(0.0, minutes * 60.0, start) == pytest.approx(counted, abs=1e-9)
    assert _weekday_days(3600.0, minutes * 60.0 + 3600.0, start - timedelta(hours=1)) == pytest.approx(
        counted, abs=1e-9
    )
