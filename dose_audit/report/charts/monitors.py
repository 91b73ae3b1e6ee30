"""Running charts of a device: dose against what was expected, its EWMA within limits, and what happened to the device."""

from __future__ import annotations

from typing import Any

from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline, on_ground
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import QUIET, RULE, SERVICE, TONES
from dose_audit.report.words import number, plural, quantity_label, with_band

__all__ = ["monitor_figures"]

MOST_FIGURES = 12
MOST_POINTS = 160
_WIDTH = 385


def monitor_figures(run: FrozenRun) -> list[Figure]:
    """Charts that signalled first, then devices as a whole by their number of exams, a dozen in all."""
    entries = run.data.get("monitors") or []
    order = sorted(
        range(len(entries)),
        key=lambda i: (not entries[i]["signals"], entries[i]["examination"] is not None, -entries[i]["n"], i),
    )
    return [_figure(entries[i], number_in_page) for number_in_page, i in enumerate(order[:MOST_FIGURES], start=1)]


def _figure(entry: dict[str, Any], number_in_page: int) -> Figure:
    import altair as alt

    points = _points(entry)
    events = _events(entry)
    days = alt.Axis(format="%b %Y", tickCount="month", labelOverlap=True, labelSeparation=8, title=None, grid=False)
    x = alt.X("time:T", axis=days, scale=alt.Scale(domain=[points[0]["time"], points[-1]["time"]]))
    scale, ticks = log_scale([1.0, *(point["ratio"] for point in points)])
    dose = alt.Chart(inline([p for p in points if p["ratio"] is not None]))
    top: list[Any] = [
        dose.mark_point(size=9, filled=True, color=QUIET, opacity=0.5).encode(
            x=x,
            y=alt.Y("ratio:Q", title="× expected", scale=scale, axis=alt.Axis(values=ticks, format="~r")),
            tooltip=[alt.Tooltip("time:T", title="Exam"), alt.Tooltip("ratio:Q", title="× expected", format=".2f")],
        ),
        alt.Chart(inline([{"one": 1}])).mark_rule(color=QUIET, size=1).encode(y=alt.Y("one:Q")),
    ]
    smooth = _in_parts(points)
    line = alt.Chart(inline(smooth)).encode(detail=alt.Detail("part:N"))
    bottom: list[Any] = [
        line.mark_area(color=TONES["ok"], opacity=0.13).encode(
            x=x, y=alt.Y("below:Q", title="EWMA (SD)", axis=alt.Axis(tickCount=4)), y2=alt.Y2("limit:Q")
        ),
        line.mark_line(color=TONES["ok"], size=1.8, clip=True).encode(
            x=x,
            y=alt.Y("ewma:Q"),
            tooltip=[
                alt.Tooltip("ewma:Q", title="EWMA", format=".2f"),
                alt.Tooltip("limit:Q", title="±", format=".2f"),
            ],
        ),
    ]
    for panel, labelled in ((top, True), (bottom, False)):
        panel += _marks(events, x, labelled)
    panels = [alt.layer(*top).properties(width=_WIDTH, height=80)]
    if smooth:
        panels.append(alt.layer(*bottom).properties(width=_WIDTH, height=66))
    chart = alt.vconcat(*panels, spacing=14)
    what = quantity_label(entry["quantity"])
    subject = with_band(entry["examination_name"], entry["band"]) if entry["examination"] else "all examinations"
    title = f"{entry['equipment']} · {subject} · {what}"
    told = "; ".join(f"{event['text']} on {event['day']}" for event in events)
    return Figure(
        f"monitor-{number_in_page}",
        title,
        f"{title}, {entry['site']}: {plural(entry['n'], 'exam')}"
        f"{f' ({len(points)} drawn)' if len(points) < entry['n'] else ''}; "
        f"{told or 'no signal, no step and no recorded event'}.",
        finished(chart),
        ["Day", "What", "Factor", "95 % interval"],
        [[event["day"], event["text"], event["factor"], event["interval"]] for event in events],
    )


def _points(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """One record a drawn exam, those that signalled among them; what lies between two is in the average all the same."""
    from math import exp

    drawn = entry["points"]
    step = max(1, -(-len(drawn["time"]) // MOST_POINTS))
    points = [
        {
            "time": time,
            "ratio": None if residual is None else round(exp(residual), 4),
            "ewma": ewma,
            "limit": limit,
            "below": None if limit is None else -limit,
        }
        for time, residual, ewma, limit in zip(
            drawn["time"], drawn["log_residual"], drawn["ewma"], drawn["ewma_limit"], strict=True
        )
    ]
    signalled = {signal["time"] for signal in entry["signals"]}
    last = len(points) - 1
    return [p for place, p in enumerate(points) if place % step == 0 or place == last or p["time"] in signalled]


def _in_parts(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Points that have an average, numbered by the stretches between warm-ups: no line is drawn across one."""
    found, part = [], 0
    for point in points:
        if point["ewma"] is None or point["limit"] is None:
            part += 1
        else:
            found.append(point | {"part": part})
    return found


def _events(entry: dict[str, Any]) -> list[dict[str, str]]:
    """Signals, steps, software and service in time order, each with its words."""
    found = [
        _event(change["day"], "software", f"new software {change['after']}", "software") for change in entry["software"]
    ]
    found += [
        _event(item["day"], "service", ": ".join(filter(None, (item["kind"], item["note"]))), item["kind"])
        for item in entry.get("service") or []
    ]
    for signal in entry["signals"]:
        up = signal["direction"] in (1, "up", "high")
        found.append(_event(signal["change"][:10], "signal", f"signal {'up' if up else 'down'}", "signal"))
    for step in entry["steps"]:
        interval = "–" if step["low"] is None else f"{number(step['low'])} to {number(step['high'])}"
        found.append(_event(step["day"], "step", "step in dose", "step", number(step["ratio"]), interval))
    return sorted(found, key=lambda event: (event["day"], event["kind"], event["text"]))


def _event(day: str, kind: str, text: str, label: str, factor: str = "–", interval: str = "–") -> dict[str, str]:
    return {"day": day, "kind": kind, "text": text, "label": label, "factor": factor, "interval": interval}


_LOOKS = {
    "software": (TONES["check"], [4, 3]),
    "service": (SERVICE, [1, 2]),
    "signal": (RULE, [1, 0]),
    "step": (TONES["act"], [6, 2]),
}


def _marks(events: list[dict[str, str]], x: Any, labelled: bool) -> list[Any]:
    """A rule for each event; in the upper panel its name, one under the other where days are close."""
    import altair as alt

    layers = []
    for row, (kind, (colour, dash)) in enumerate(_LOOKS.items()):
        data = [event | {"time": f"{event['day']}T00:00:00"} for event in events if event["kind"] == kind]
        if not data:
            continue
        base = alt.Chart(inline(data))
        tooltip = [alt.Tooltip("text:N", title="What"), alt.Tooltip("day:N", title="Day")]
        layers.append(base.mark_rule(color=colour, strokeDash=dash, size=1.4).encode(x=x, tooltip=tooltip))
        if labelled:
            text = base.encode(x=x, y=alt.value(row * 12), text=alt.Text("label:N"))
            layers += on_ground(text, colour, align="left", baseline="top", dx=4, fontSize=10, fontWeight=600)
    return layers
