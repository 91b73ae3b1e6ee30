"""Exams per device and week (month or year in long runs): where data stop coming, the row goes pale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
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
    data = [
        _cell(site, equipment, week, weeks[(site, equipment, week)]) for site, equipment in devices for week in mondays
    ]
    chart = (
        alt.Chart(inline(data))
        .mark_rect(cornerRadius=2, stroke="white", strokeWidth=1.5, strokeOpacity=0.6)
        .encode(
            x=alt.X(
                "week:O",
                title=f"{unit} from",
                axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=10, domain=False, ticks=False),
            ),
            y=alt.Y("device:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False)),
            color=alt.Color(
                "exams:Q",
                title=f"exams a {unit}",
                scale=alt.Scale(scheme="blues", domainMin=0, type="sqrt"),
                legend=alt.Legend(
                    type="symbol",
                    symbolType="square",
                    symbolSize=140,
                    values=_steps(max(cell["exams"] for cell in data)),
                ),
            ),
            tooltip=[
                alt.Tooltip("device:N", title="Device"),
                alt.Tooltip("week:N", title="From"),
                alt.Tooltip("exams:Q", title="Exams"),
            ],
        )
        .properties(width=800, height=alt.Step(21))
    )
    begun = mondays[0] < first  # what lies in part before the first exam or behind the last may be empty for that alone
    unended = _start(last + timedelta(days=1), unit) == mondays[-1]
    whole = mondays[begun : len(mondays) - unended]
    empty = Counter({device: sum(weeks[(*device, week)] == 0 for week in whole) for device in devices})
    named = ", ".join(f"{equipment} {count}" for (_, equipment), count in empty.most_common(4) if count)
    total = empty.total()
    most = f": {'most ' if len(+empty) > 4 else ''}{named}" if named else ""
    alt_text = (
        f"Exams a {unit} of {plural(len(devices), 'device')} over {plural(len(mondays), unit)}; "
        f"{plural(total, f'whole device-{unit}')} without any exam{most}."
    )
    return [
        Figure(
            "activity",
            f"Exams per device and {unit}",
            alt_text,
            finished(chart),
            ["Device", *(f"{week:%d %b}" if unit == "week" else f"{week:%b %Y}" for week in mondays)],
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


def _start(day: date, unit: str) -> date:
    """First day of the week, month or year that a day belongs to."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)


def _starts(first: date, last: date, unit: str) -> Iterator[date]:
    """Every start from the first to the last."""
    step = {"week": 7, "month": 32, "year": 367}[unit]
    while first <= last:
        yield first
        first = _start(first + timedelta(days=step), unit)


def _cell(site: str, equipment: str, week: date, exams: int) -> dict[str, Any]:
    return {"device": f"{equipment} ({site})", "week": week.isoformat(), "exams": exams}


def _steps(most: int) -> list[int]:
    """Counts that the legend shows as squares: print draws no gradient.

    >>> _steps(31), _steps(2)
    ([0, 8, 16, 31], [0, 1, 2])
    """
    return sorted({0, round(most / 4), round(most / 2), most})
