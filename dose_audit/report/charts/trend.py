"""Dose over time on one device: each exam, the month's median, the reference level, new software and service."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np

from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline, on_ground
from dose_audit.report.frozen import FrozenRun, Group, group_key
from dose_audit.report.theme import QUIET, RULE, SERVICE, TONES
from dose_audit.report.words import number, plural, quantity_label, unit_label, with_band
from dose_audit.statistics import median_interval, quantile

__all__ = ["trend_figures"]

FEWEST = 20
"""Exams of a group that is drawn, and of a month whose percentiles are."""
MOST_FIGURES = 12
MOST_POINTS = 200
_SHOWN_KINDS = ("step_change", "unit_slip", "drl_exceeded", "low_dose_check_iq")


def trend_figures(run: FrozenRun) -> list[Figure]:
    """Trends of the groups with findings first, then of the largest groups, a dozen in all."""
    flagged = {
        (finding["site"], finding["equipment"]) for finding in run.data["findings"] if finding["kind"] in _SHOWN_KINDS
    }
    candidates = []
    for row in run.data["comparisons"]:
        key = group_key(row)
        if run.groups.count(key) >= FEWEST:
            marked = (row["site"], row["equipment"]) in flagged
            candidates.append((not marked, -run.groups.count(key), key, row))
    candidates.sort(key=lambda candidate: candidate[:3])
    drawable = ((row, run.groups[key]) for *_, key, row in candidates)
    drawn = islice(((row, group) for row, group in drawable if _can_be_drawn(group)), MOST_FIGURES)
    return [_figure(run, row, group, _left_out(run, row), index) for index, (row, group) in enumerate(drawn, start=1)]


def _can_be_drawn(group: Group) -> bool:
    return not np.isnat(group.moments).any() and float(group.values.min()) > 0


def _left_out(run: FrozenRun, row: dict[str, Any]) -> list[dict[str, Any]]:
    group = run.left_out.get(group_key(row))
    if group is None:
        return []
    rows = zip(group.times, group.values.tolist(), group.reason.to_pylist(), strict=True)
    return [{"study_datetime": time, "value": value, "reason": reason} for time, value, reason in rows]


def _figure(run: FrozenRun, row: dict[str, Any], group: Group, left_out: list[dict[str, Any]], index: int) -> Figure:
    import altair as alt

    label = quantity_label(row["quantity"], row["unit"])
    months = _months(group)
    changes = _events(run, row, group)
    unit = unit_label(row["unit"])
    level = row["drl"]["value"] if row["drl"] else None
    scale, ticks = log_scale([level, *group.values.tolist(), *(item["value"] for item in left_out)])
    y = alt.Y(
        "value:Q",
        title=label,
        scale=scale,
        axis=alt.Axis(format="~r", values=ticks),
    )
    time_axis = alt.Axis(
        format="%b %Y", tickCount="month", labelOverlap=True, labelSeparation=8, title=None, grid=False
    )
    times = [time.isoformat() for time in group.times if time is not None]
    step = max(1, -(-len(times) // MOST_POINTS))
    exams = [
        {"time": time, "value": value} for time, value in zip(times[::step], group.values[::step].tolist(), strict=True)
    ]
    layers: list[Any] = [
        alt.Chart(inline(exams))
        .mark_point(size=9, filled=True, color=QUIET, opacity=0.45)
        .encode(x=alt.X("time:T", axis=time_axis), y=y),
        alt.Chart(inline(months))
        .mark_errorbar(color=TONES["ok"], thickness=2)
        .encode(x=alt.X("time:T"), y=alt.Y("low:Q", title=label, scale=scale), y2=alt.Y2("high:Q")),
        alt.Chart(inline(months))
        .mark_line(color=TONES["ok"], size=2, point={"filled": True, "size": 45, "color": TONES["ok"]})
        .encode(
            x=alt.X("time:T"),
            y=alt.Y("value:Q"),
            tooltip=[
                alt.Tooltip("month:N", title="Month"),
                alt.Tooltip("n:Q", title="Exams"),
                alt.Tooltip("value:Q", title=f"Median ({unit})", format=".3~r"),
                alt.Tooltip("interval:N", title="95 % interval"),
            ],
        ),
    ]
    crowded = [month for month in months if month["p5"] is not None]
    if step > 1 and crowded:  # where not every exam is drawn, how they all lie is
        shade = alt.Chart(inline(crowded)).mark_area(color=QUIET, opacity=0.16)
        layers.insert(
            0, shade.encode(x=alt.X("time:T", axis=time_axis), y=alt.Y("p5:Q", title=label, scale=scale), y2="p95:Q")
        )
    if left_out:
        aside = max(1, -(-len(left_out) // MOST_POINTS))
        hollow = [
            {"time": item["study_datetime"].isoformat(), "value": item["value"], "reason": _words(item["reason"])}
            for item in left_out[::aside]
        ]
        layers.append(
            alt.Chart(inline(hollow))
            .mark_point(size=14, filled=False, color=TONES["act"], opacity=0.6, strokeWidth=1)
            .encode(x=alt.X("time:T"), y=alt.Y("value:Q"), tooltip=[alt.Tooltip("reason:N", title="Left out")])
        )
    if level is not None:
        layers.append(
            alt.Chart(inline([{"value": level}]))
            .mark_rule(color=RULE, strokeDash=[5, 3], size=1.5)
            .encode(y=alt.Y("value:Q"), tooltip=[alt.Tooltip("value:Q", title="Reference level")])
        )
    for kind, (colour, dash) in _MARKS.items():
        marks = [change for change in changes if change["kind"] == kind]
        if not marks:
            continue
        base = alt.Chart(inline(marks))
        layers.append(
            base.mark_rule(color=colour, strokeDash=dash, size=1.5).encode(
                x=alt.X("time:T"),
                tooltip=[alt.Tooltip("text:N", title=kind.capitalize()), alt.Tooltip("day:N", title="Day")],
            )
        )
        for line, mark in enumerate(changes):
            if mark["kind"] == kind:
                layers += on_ground(
                    alt.Chart(inline([mark])).encode(
                        x=alt.X("time:T"), y=alt.value(1 + 11 * (line % 3)), text=alt.Text("text:N")
                    ),
                    colour,
                    align="right" if mark["late"] else "left",
                    dx=-4 if mark["late"] else 4,
                    baseline="top",
                    fontSize=10,
                    limit=200,
                )
    chart = alt.layer(*layers).properties(width=400, height=165)
    title = (
        f"{row['equipment']} · {with_band(row['examination_name'], row['band'])} · {quantity_label(row['quantity'])}"
    )
    spread = f"monthly medians from {number(min(m['value'] for m in months))} to {number(max(m['value'] for m in months))} {unit}"
    alt_text = f"{title}, {row['site']}: {plural(len(group), 'exam')}, {spread} over {len(months)} months"
    alt_text += "".join(
        f"; {'new software ' if change['kind'] == 'new software' else ''}{change['text']} on {change['day']}"
        for change in changes
    )
    if step > 1:
        shaded = ", shaded from the 5th to the 95th percentile of each month" if crowded else ""
        alt_text += f"; {len(exams)} of them are drawn{shaded}"
    alt_text += f"; {plural(len(left_out), 'exam')} left out ({_words(left_out[0]['reason'])})." if left_out else "."
    return Figure(
        f"trend-{index}",
        title,
        alt_text,
        finished(chart),
        ["Month", "n", f"Median ({unit})", "95 % interval"],
        [[m["month"], str(m["n"]), number(m["value"]), m["interval"]] for m in months],
    )


def _words(reason: str | None) -> str:
    return (reason or "left out").replace("_", " ").lower()


def _months(group: Group) -> list[dict[str, Any]]:
    by_month: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    for time, value in zip(group.times, group.values.tolist(), strict=True):
        if time is not None:
            by_month[f"{time:%Y-%m}"].append((time, value))
    months = []
    for month, members in sorted(by_month.items()):
        values = np.asarray([value for _, value in members])
        interval = median_interval(values)
        middle = members[len(members) // 2][0]
        median = float(np.median(values))
        known = interval.low is not None and interval.high is not None
        months.append(
            {
                "month": month,
                "time": middle.isoformat(),
                "n": len(members),
                "value": median,
                "low": interval.low if known else median,
                "high": interval.high if known else median,
                "p5": quantile(values, 0.05) if len(members) >= FEWEST else None,
                "p95": quantile(values, 0.95) if len(members) >= FEWEST else None,
                "interval": f"{number(interval.low)} to {number(interval.high)}" if known else "too few",
            }
        )
    return months


_MARKS = {"new software": (TONES["check"], [4, 3]), "service": (SERVICE, [1, 2])}


def _events(run: FrozenRun, row: dict[str, Any], group: Group) -> list[dict[str, Any]]:
    """New software and recorded events of the group's device, in order of time, each with its words."""
    found = [
        {"day": change["time"][:10], "kind": "new software", "text": change["text"]} for change in _software(group)
    ]
    known = {change["text"] for change in found}
    for event in run.data.get("device_events") or []:
        if (event["site"], event["equipment"]) != (row["site"], row["equipment"]):
            continue
        if event["kind"] == "new software":
            if event["text"] not in known:
                found.append({"day": event["day"], "kind": "new software", "text": event["text"]})
        else:
            text = f"{event['kind']}: {event['text']}" if event["text"] else event["kind"]
            found.append({"day": event["day"], "kind": "service", "text": text})
    days = [time.date() for time in group.times if time is not None]
    middle = min(days) + (max(days) - min(days)) / 2
    # Words beside a mark in the chart's right half stand at its left, so that none is cut off.
    return [
        event | {"time": f"{event['day']}T00:00:00", "late": event["day"] > middle.isoformat()}
        for event in sorted(found, key=lambda event: (event["day"], event["text"]))
    ]


def _software(group: Group) -> list[dict[str, str]]:
    """First exam of each version after the first: its time and name."""
    changes = []
    known: set[str] = set()
    for time, version in zip(group.times, group.software_versions, strict=True):
        if version and version not in known:
            if known and time is not None:
                changes.append({"time": time.isoformat(), "text": version})
            known.add(version)
    return changes
