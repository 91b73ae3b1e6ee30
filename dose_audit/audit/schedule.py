"""When verdicts are given: on fixed periods that have closed, so that looking every night changes nothing.

Between two closes only the monitors watch. A run over a period that a person asked for is one look at that period.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

__all__ = ["PERIODS", "Period", "Schedule", "first_of_period", "nightly_schedule", "one_look"]

PERIODS = {"month": 1, "quarter": 3, "half-year": 6, "year": 12}
"""Length of the fixed periods that may be chosen, in calendar months."""


@dataclass(frozen=True, slots=True)
class Period:
    """A span of study dates, both ends included."""

    name: str
    first: date
    last: date

    def record(self) -> dict[str, str | None]:
        """Entry of ``report.json``; an open end is null."""
        return {
            "name": self.name,
            "first": None if self.first == date.min else self.first.isoformat(),
            "last": None if self.last == date.max else self.last.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Schedule:
    """The looks of one run.

    Attributes
    ----------
    periods : tuple of Period
        Closed periods inside the run's own, oldest first; each is judged once and never again otherwise.
    year : Period or None
        The twelve months that ended with the last of them: what groups too small for one period are judged on.
    periods_per_year : int
        Shares out the year's chance of error.
    single_look : bool
        Whether a person asked for this very period: then it is the only one.
    """

    periods: tuple[Period, ...]
    year: Period | None
    periods_per_year: int
    single_look: bool = False

    @property
    def last_day(self) -> date | None:
        """Last day that verdicts look at; None before any period has closed."""
        return self.periods[-1].last if self.periods else None


def one_look(since: date | None, until: date | None) -> Schedule:
    """Schedule of a run over a period that was asked for."""
    first, last = since or date.min, until or date.max
    ends = ["" if since is None else f"from {since}", "" if until is None else f"up to {until}"]
    name = f"{since} to {until}" if all(ends) else "".join(ends) or "all days"
    return Schedule((Period(name, first, last),), None, 1, single_look=True)


def nightly_schedule(since: date, until: date, period: str = "quarter") -> Schedule:
    """Schedule of a nightly run.

    Parameters
    ----------
    since, until : date
        First and last study date that the run reads. `until` is the day of the run: its period is still running.
    period : str
        A key of `PERIODS`.

    Examples
    --------
    >>> schedule = nightly_schedule(date(2025, 7, 1), date(2026, 8, 15))
    >>> [p.name for p in schedule.periods]
    ['2025-Q3', '2025-Q4', '2026-Q1', '2026-Q2']
    >>> schedule.year.first.isoformat(), schedule.year.last.isoformat()
    ('2025-07-01', '2026-06-30')
    """
    months = PERIODS[period]
    found = []
    start = first_of_period(since, months)
    while True:
        following = _months_on(start, months)
        if following > until:
            break
        if start >= since:
            found.append(Period(_name(start, period), start, following - timedelta(days=1)))
        start = following
    year = None
    if found:
        begin = _months_on(found[-1].first, months - 12)
        if begin >= since:
            year = Period(f"year to {found[-1].last}", begin, found[-1].last)
    return Schedule(tuple(found), year, 12 // months)


def first_of_period(day: date, months: int) -> date:
    """First day of the calendar period of so many months that the day lies in.

    >>> first_of_period(date(2026, 8, 15), 3)
    datetime.date(2026, 7, 1)
    """
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def _months_on(day: date, months: int) -> date:
    whole = day.year * 12 + day.month - 1 + months
    return date(whole // 12, whole % 12 + 1, 1)


def _name(first: date, period: str) -> str:
    number = (first.month - 1) // PERIODS[period] + 1
    return {
        "month": f"{first:%Y-%m}",
        "quarter": f"{first.year}-Q{number}",
        "half-year": f"{first.year}-H{number}",
        "year": str(first.year),
    }[period]
