"""Exams per device and week: where data stop coming, the row goes pale."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

from dose_audit.report.charts.figure import Figure, finished
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.words import plural

__all__ = ["activity_figures"]


def activity_figures(run: FrozenRun) -> list[Figure]:
    """One heat map of all devices, or nothing where no exam has a date."""
    import altair as alt

    weeks: Counter[tuple[str, str, date]] = Counter()
    seen: set[tuple[str, str]] = set()
    for row in run.values:
        time = row["study_datetime"]
        if time is None or (row["exam_ref"], row["equipment"]) in seen:
            continue
        seen.add((row["exam_ref"], row["equipment"]))
        monday = time.date() - timedelta(days=time.weekday())
        weeks[(row["site"], row["equipment"], monday)] += 1
    if not weeks:
        return []
    devices = sorted({(site, equipment) for site, equipment, _ in weeks})
    first, last = min(week for *_, week in weeks), max(week for *_, week in weeks)
    mondays = [first + timedelta(weeks=index) for index in range((last - first).days // 7 + 1)]
    data = [
        _cell(site, equipment, week, weeks[(site, equipment, week)]) for site, equipment in devices for week in mondays
    ]
    chart = (
        alt.Chart(alt.Data(values=data))
        .mark_rect(cornerRadius=2, stroke="white", strokeWidth=1.5, strokeOpacity=0.6)
        .encode(
            x=alt.X(
                "week:O",
                title="week from Monday",
                axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=10, domain=False, ticks=False),
            ),
            y=alt.Y("device:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False)),
            color=alt.Color(
                "exams:Q",
                title="exams a week",
                scale=alt.Scale(scheme="blues", domainMin=0, type="sqrt"),
                legend=alt.Legend(gradientLength=140),
            ),
            tooltip=[
                alt.Tooltip("device:N", title="Device"),
                alt.Tooltip("week:N", title="Week from"),
                alt.Tooltip("exams:Q", title="Exams"),
            ],
        )
        .properties(width=800, height=alt.Step(21))
    )
    empty = [(cell["device"], cell["week"]) for cell in data if cell["exams"] == 0]
    alt_text = (
        f"Exams a week of {plural(len(devices), 'device')} over {plural(len(mondays), 'week')}; "
        f"{plural(len(empty), 'device-week')} without any exam"
        + (": " + ", ".join(f"{device} from {week}" for device, week in empty[:4]) if empty else "")
        + "."
    )
    return [
        Figure(
            "activity",
            "Exams per device and week",
            alt_text,
            finished(chart),
            ["Device", *(f"{week:%d %b}" for week in mondays)],
            [
                [f"{equipment} ({site})", *(str(weeks[(site, equipment, week)]) for week in mondays)]
                for site, equipment in devices
            ],
            wide=True,
        )
    ]


def _cell(site: str, equipment: str, week: date, exams: int) -> dict[str, Any]:
    return {"device": f"{equipment} ({site})", "week": week.isoformat(), "exams": exams}
