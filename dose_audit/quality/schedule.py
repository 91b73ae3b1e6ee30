"""What is due: scheduled phantom measurements that are done, due or overdue, and days on which one was repeated."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dose_audit.quality.history import Run
from dose_audit.store.models import Exam, PhantomStudy, QaTask

__all__ = ["Due", "RepeatedDay", "due_state", "repeated_days", "schedule"]

_FIT = ("fit", "not_judged")
VERDICT_WORDS = {
    "fit": "within limits",
    "remedial": "beyond a remedial level",
    "suspension": "beyond a suspension level",
    "incomplete": "not wholly measured",
    "not_judged": "without limits to judge it by",
}


@dataclass(frozen=True, slots=True)
class Due:
    """One scheduled measurement and how it stands."""

    site: str | None
    equipment_id: int
    equipment: str
    definition: str
    every_days: int
    grace_days: int
    last: dt.date | None
    due: dt.date
    state: str
    days_late: int


@dataclass(frozen=True, slots=True)
class RepeatedDay:
    """A day on which one phantom was scanned more than once under the same conditions.

    ``until_pass`` is true when the first run was not within its limits and the last was.
    """

    site: str
    equipment: str
    phantom: str
    day: dt.date
    verdicts: tuple[str, ...]
    until_pass: bool

    @property
    def text(self) -> str:
        """In a sentence."""
        first, last = (VERDICT_WORDS.get(one, one) for one in (self.verdicts[0], self.verdicts[-1]))
        told = f"{len(self.verdicts)} runs on {self.day.isoformat()}: the first {first}, the last {last}."
        return f"Repeated until it passed. {told} The first one counts." if self.until_pass else told


def due_state(
    last: dt.date | None, every_days: int, *, since: dt.date, today: dt.date, grace_days: int = 0
) -> tuple[dt.date, str, int]:
    """When a measurement is due next, its state, and how many days late it is.

    Parameters
    ----------
    last : date or None
        Day of the latest run.
    every_days, grace_days : int
    since : date
        From when the schedule holds; the first run is due on that day.
    today : date

    Returns
    -------
    due : date
    state : str
        ``done`` (nothing to do yet), ``due`` (the day has come; within the grace) or ``overdue``.
    days_late : int
        Days past due and grace; 0 unless overdue.

    Examples
    --------
    >>> day = dt.date
    >>> due_state(day(2026, 3, 1), 7, since=day(2026, 1, 1), today=day(2026, 3, 7))
    (datetime.date(2026, 3, 8), 'done', 0)
    >>> due_state(day(2026, 3, 1), 7, since=day(2026, 1, 1), today=day(2026, 3, 12), grace_days=2)
    (datetime.date(2026, 3, 8), 'overdue', 2)
    """
    due = since if last is None else max(last + dt.timedelta(days=every_days), since)
    late = (today - due).days - grace_days
    state = "done" if today < due else "overdue" if late > 0 else "due"
    return due, state, max(0, late) if state == "overdue" else 0


def schedule(today: dt.date) -> list[Due]:
    """Every task that holds on a day, overdue ones first.

    Parameters
    ----------
    today : date

    Returns
    -------
    list of Due
    """
    tasks = QaTask.objects.filter(since__lte=today).select_related("equipment")
    tasks = [task for task in tasks if task.until is None or task.until >= today]
    last = _last_runs({task.equipment_id for task in tasks}, today)
    rows = []
    for task in tasks:
        ran = last.get((task.equipment_id, task.definition))
        day = ran[0] if ran else None
        due, state, late = due_state(day, task.every_days, since=task.since, today=today, grace_days=task.grace_days)
        rows.append(
            Due(
                ran[1] if ran else _site_of(task.equipment_id),
                task.equipment_id,
                task.equipment.display_name,
                task.definition,
                task.every_days,
                task.grace_days,
                day,
                due,
                state,
                late,
            )
        )
    order = {"overdue": 0, "due": 1, "done": 2}
    return sorted(rows, key=lambda row: (order[row.state], -row.days_late, row.equipment, row.definition))


def _site_of(equipment: int) -> str | None:
    """Where a device that never ran a phantom does its exams."""
    found: str | None = (
        Exam.objects.filter(equipment_id=equipment).order_by("-pk").values_list("site__name", flat=True).first()
    )
    return found


def _last_runs(equipment: Iterable[int], today: dt.date) -> dict[tuple[int, str], tuple[dt.date, str]]:
    end = dt.datetime.combine(today, dt.time.max)
    rows: dict[tuple[int, str], tuple[dt.date, str]] = {}
    found: Any = PhantomStudy.objects.filter(equipment_id__in=list(equipment), current=True, acquired_at__lte=end)
    for device, definition, at, site in found.order_by("acquired_at").values_list(
        "equipment_id", "definition", "acquired_at", "site__name"
    ):
        rows[(device, definition)] = (at.date(), site)
    return rows


def repeated_days(runs: Sequence[Run]) -> list[RepeatedDay]:
    """Days with more than one run of a phantom on a device under the same conditions, latest first."""
    days: dict[tuple[int, str, str, dt.date], list[Run]] = {}
    for run in runs:
        days.setdefault((run.equipment_id, run.definition, run.condition_key, run.at.date()), []).append(run)
    found = [
        RepeatedDay(
            members[0].site,
            members[0].equipment,
            members[0].phantom,
            day,
            tuple(run.verdict for run in members),
            members[0].verdict not in _FIT and members[-1].verdict in _FIT,
        )
        for (_, _, _, day), members in days.items()
        if len(members) > 1
    ]
    return sorted(found, key=lambda one: (-one.day.toordinal(), one.equipment, one.phantom))
