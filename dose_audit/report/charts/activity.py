"""Exams per device and week (month or year in long runs): where data stop coming, the row goes pale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import GROUND, HEAT
from dose_audit.report.words import plural

__all__ = ["activity_figures"]


def activity_figures(run: FrozenRun) -> list[Figure]:
    """One heat map of all devices, or nothing where no exam has a date."""
    import altair as alt

    weeks = _exams_by_day(run)
    if not weeks:
        return []
    devices = sorted({(site, equipment) for site, equipment, _ in weeks})
    first, last = min(day for *_, day in weeks), max(day for *_, day in weeks)
    unit = (
        "week"
        if (last - first).days <= 7 * MOST_COLUMNS
        else "month"
        if (last - first).days <= 30 * MOST_COLUMNS
        else "year"
    )
    days, weeks = weeks, Counter()
    for (site, equipment, day), count in days.items():
        weeks[(site, equipment, _start(day, unit))] += count
    mondays = list(_starts(_start(first, unit), _start(last, unit), unit))
    columns = [_Column.of(start, first, last, unit) for start in mondays]
    data = [
        column.cell(site, equipment, weeks[(site, equipment, column.start)])
        for site, equipment in devices
        for column in columns
    ]
    chart = (
        alt.Chart(inline(data))
        .mark_rect(cornerRadius=2, stroke=GROUND, strokeWidth=1.5, strokeOpacity=0.6)
        .encode(
            x=alt.X(
                "from:T",
                title=f"{unit} from",
                scale=alt.Scale(nice=False),
                axis=alt.Axis(
                    values=[column.tick for column in columns if column.whole or len(columns) < 3],
                    format="%-d %b %Y",
                    labelOverlap="greedy",
                    labelSeparation=10,
                    domain=False,
                    grid=False,
                ),
            ),
            x2=alt.X2("to:T"),
            y=alt.Y("device:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False)),
            color=alt.Color(
                "rate:Q",
                title=f"exams a {unit}",
                scale=alt.Scale(range=HEAT, interpolate="lab", domainMin=0, type="sqrt"),
                legend=alt.Legend(
                    type="symbol",
                    symbolType="square",
                    symbolSize=140,
                    values=_steps(max(cell["rate"] for cell in data)),
                ),
            ),
            tooltip=[
                alt.Tooltip("device:N", title="Device"),
                alt.Tooltip("days:N", title="Days"),
                alt.Tooltip("exams:Q", title="Exams"),
            ],
        )
        .properties(width=800, height=alt.Step(21))
    )
    # What lies in part before the first exam or behind the last may be empty for that alone.
    whole = [column.start for column in columns if column.whole]
    empty = Counter({device: sum(weeks[(*device, week)] == 0 for week in whole) for device in devices})
    named = ", ".join(f"{equipment} {count}" for (_, equipment), count in empty.most_common(4) if count)
    total = empty.total()
    most = f": {'most ' if len(+empty) > 4 else ''}{named}" if named else ""
    alt_text = (
        f"Exams a {unit} of {plural(len(devices), 'device')} over {plural(len(mondays), unit)}, from the first exam to the last; "
        f"{plural(total, f'whole device-{unit}')} without any exam{most}."
    )
    if len(whole) < len(columns):
        alt_text += (
            f" A {unit} of which only a part lies between them is as narrow as its days, and shaded by its rate."
        )
    return [
        Figure(
            "activity",
            f"Exams per device and {unit}",
            alt_text,
            finished(chart),
            ["Device", *(column.name for column in columns)],
            [
                [f"{equipment} ({site})", *(str(weeks[(site, equipment, week)]) for week in mondays)]
                for site, equipment in devices
            ],
            wide=True,
        )
    ]


def _exams_by_day(run: FrozenRun) -> Counter[tuple[str, str, date]]:
    """Exams of each device and day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = run.columns(["exam_ref", "site", "equipment", "study_datetime"])
    table = table.filter(pc.is_valid(table["study_datetime"])).unify_dictionaries()
    table = table.append_column("day", table["study_datetime"].cast(pa.date32()))
    counted = table.group_by(["site", "equipment", "day"]).aggregate([("exam_ref", "count_distinct")]).to_pylist()
    return Counter({(row["site"], row["equipment"], row["day"]): row["exam_ref_count_distinct"] for row in counted})


MOST_COLUMNS = 60
"""Weeks, else months, that one row can show and a person can tell apart."""


_STEP = {"week": 7, "month": 32, "year": 367}
"""Days that lead from a start into the next week, month or year."""


def _start(day: date, unit: str) -> date:
    """First day of the week, month or year that a day belongs to."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)


def _starts(first: date, last: date, unit: str) -> Iterator[date]:
    """Every start from the first to the last."""
    while first <= last:
        yield first
        first = _start(first + timedelta(days=_STEP[unit]), unit)


@dataclass(frozen=True)
class _Column:
    """A week, month or year, and the days of it between the first exam and the last."""

    start: date
    first: date
    end: date
    whole_days: int
    name: str

    @classmethod
    def of(cls, start: date, first: date, last: date, unit: str) -> _Column:
        after = _start(start + timedelta(days=_STEP[unit]), unit)
        name = (
            f"{start.day} {start:%b %Y}" if unit == "week" else f"{start:%b %Y}" if unit == "month" else f"{start:%Y}"
        )
        return cls(start, max(start, first), min(after, last + timedelta(days=1)), (after - start).days, name)

    @property
    def whole(self) -> bool:
        return (self.end - self.first).days == self.whole_days

    @property
    def tick(self) -> Any:
        """Its first day as an axis has it: a text or a number would be lost on a page that runs no code from texts."""
        import altair as alt

        return alt.DateTime(year=self.start.year, month=self.start.month, date=self.start.day, utc=True)

    def cell(self, site: str, equipment: str, exams: int) -> dict[str, Any]:
        """A device's exams in it; `rate` is what its days would make if it were whole."""
        last = self.end - timedelta(days=1)
        return {
            "device": f"{equipment} ({site})",
            "from": _midnight(self.first),
            "to": _midnight(self.end),
            "days": f"{self.first.day} {self.first:%b %Y} to {last.day} {last:%b %Y}",
            "exams": exams,
            "rate": round(exams * self.whole_days / (self.end - self.first).days, 2),
        }


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00"


def _steps(most: float) -> list[int]:
    """Counts that the legend shows as squares: print draws no gradient.

    >>> _steps(31), _steps(2)
    ([0, 8, 16, 31], [0, 1, 2])
    """
    return sorted({0, round(most / 4), round(most / 2), round(most)})
