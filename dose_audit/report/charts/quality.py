"""Image quality: trends with limits and events, and the same phantom across sites."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from math import floor, log10
from typing import Any

from dose_audit.quality.states import STATE_WORDS
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import INK, QUIET, RULE, TONES
from dose_audit.report.words import number, plural, unit_label

__all__ = ["STATE_LOOKS", "site_figures", "trend_figures"]

MOST_TRENDS = 12
MOST_SITES = 12

STATE_LOOKS = {
    "failed": ("square", "act"),
    "beyond": ("square", "act"),
    "steadily_out": ("triangle-up", "act"),
    "drifting": ("diamond", "check"),
    "changed": ("diamond", "check"),
    "steady": ("circle", "ok"),
    "within": ("circle", "ok"),
    "steady_unjudged": ("circle", "quiet"),
    "recorded": ("circle", "quiet"),
    "accepted": ("triangle-right", "quiet"),
    "not_measured": ("cross", "quiet"),
}
"""Shape and tone of each state; no two that mean different things look alike in grey."""


def trend_figures(run: FrozenRun) -> list[Figure]:
    """Trends of single quantities, those that want attention first, a dozen in all."""
    rows = (run.data.get("image_quality") or {}).get("trends", [])
    return [_trend(row, index) for index, row in enumerate(rows[:MOST_TRENDS], start=1)]


def site_figures(run: FrozenRun) -> list[Figure]:
    """The same phantom and metric on several devices."""
    parts = (run.data.get("image_quality") or {}).get("cross_site", [])
    return [_sites(part, index) for index, part in enumerate(parts[:MOST_SITES], start=1)]


def _trend(row: dict[str, Any], index: int) -> Figure:
    import altair as alt

    words = _words({point["state"] for point in row["points"]})
    points = [
        {
            **point,
            "state": STATE_WORDS[point["state"]],
            "look": words[STATE_LOOKS[point["state"]]],
            "which": "" if point["counted"] else "repeat of the day, does not count",
            "low": point["value"] - 2 * (point["uncertainty"] or 0.0),
            "high": point["value"] + 2 * (point["uncertainty"] or 0.0),
        }
        for point in row["points"]
    ]
    unit = unit_label(row["unit"]) if row["unit"] != "1" else ""
    y = alt.Y("value:Q", title=unit or row["title"], scale=alt.Scale(zero=False, nice=True))
    x = alt.X("at:T", axis=alt.Axis(format="%-d %b %Y", labelOverlap=True, title=None, grid=False, tickCount=6))
    layers: list[Any] = []
    limits = row["tolerance"] or {"remedial": [None, None], "suspension": [None, None]}
    for name, colour, dash in (("remedial", TONES["check"], [6, 3]), ("suspension", RULE, [2, 2])):
        lines = [{"limit": level, "name": name} for level in limits[name] if level is not None]
        if lines:
            layers.append(
                alt.Chart(inline(lines))
                .mark_rule(color=colour, strokeDash=dash, size=1.5)
                .encode(y=alt.Y("limit:Q"), tooltip=[alt.Tooltip("name:N", title="Level"), alt.Tooltip("limit:Q")])
            )
    end = points[-1]["at"]
    spans = _spans(row["baselines"], end)
    if any(span["lower"] is not None for span in spans):
        band = [span for span in spans if span["lower"] is not None]
        layers.append(
            alt.Chart(inline(band))
            .mark_rect(color=TONES["ok"], opacity=0.12)
            .encode(x=alt.X("from:T"), x2=alt.X2("to:T"), y=alt.Y("lower:Q"), y2=alt.Y2("upper:Q"))
        )
    if spans:
        layers.append(
            alt.Chart(inline(spans))
            .mark_rule(color=TONES["ok"], size=1.2)
            .encode(x=alt.X("from:T"), x2=alt.X2("to:T"), y=alt.Y("value:Q"))
        )
    data = inline(points)
    layers.append(
        alt.Chart(data).mark_line(color=QUIET, size=1, opacity=0.7).encode(x=x, y=y).transform_filter("datum.counted")
    )
    if any(point["uncertainty"] for point in points):
        layers.append(
            alt.Chart(data)
            .mark_rule(color=QUIET, opacity=0.6)
            .encode(x=alt.X("at:T"), y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))
        )
    names = list(words.values())
    layers.append(
        alt.Chart(data)
        .mark_point(filled=True, size=60)
        .encode(
            x=x,
            y=y,
            opacity=alt.condition("datum.counted", alt.value(1.0), alt.value(0.35)),
            color=alt.Color(
                "look:N",
                title=None,
                scale=alt.Scale(domain=names, range=[TONES[tone] for _, tone in words]),
                legend=alt.Legend(columns=1 if any(len(name) > _SHORT for name in names) else 2),
            ),
            shape=alt.Shape("look:N", title=None, scale=alt.Scale(domain=names, range=[shape for shape, _ in words])),
            tooltip=[
                alt.Tooltip("at:T", title="When", format="%-d %b %Y %H:%M"),
                alt.Tooltip("value:Q", title=row["title"], format=".4~r"),
                alt.Tooltip("state:N", title="State"),
                alt.Tooltip("which:N", title="Run"),
                alt.Tooltip("software:N", title="Software"),
            ],
        )
    )
    marks = [
        {**mark, "label": mark["kind"] if not mark["text"] else f"{mark['kind']}: {mark['text']}"[:40]}
        for mark in row["marks"]
    ]
    if marks:
        rule = alt.Chart(inline(marks))
        layers.append(
            rule.mark_rule(color=INK, strokeDash=[2, 2], size=1.2).encode(
                x=alt.X("at:T"), tooltip=[alt.Tooltip("label:N", title="Event")]
            )
        )
        # Words beside a mark in the right half stand at its left, so that none is cut off.
        middle = _middle(points[0]["at"], points[-1]["at"])
        for late in (False, True):
            side = [mark for mark in marks if (mark["at"] > middle) == late]
            if side:
                text = alt.Chart(inline(side)).mark_text(
                    align="right" if late else "left",
                    dx=-4 if late else 4,
                    dy=2,
                    baseline="top",
                    color=INK,
                    fontSize=10,
                )
                layers.append(text.encode(x=alt.X("at:T"), y=alt.value(0), text=alt.Text("label:N")))
    title = f"{row['equipment']} · {row['phantom']} · {row['title']}"
    values = [point["value"] for point in points]
    told = partial(_resolved, uncertainty=min((p["uncertainty"] for p in points if p["uncertainty"]), default=None))
    alt_text = (
        f"{title}: {plural(len(points), 'run')} from {told(min(values))} to {told(max(values))} {unit}; "
        f"last {told(values[-1])}, {STATE_WORDS[row['state']]}."
    )
    alt_text += "".join(f" {mark['label']} on {mark['at'][:10]}." for mark in marks)
    return Figure(
        f"quality-trend-{index}",
        title,
        alt_text,
        finished(alt.layer(*layers).properties(width=370, height=190)),
        ["When", f"Value{f' ({unit})' if unit else ''}", "State", "Run"],
        [[p["at"].replace("T", " "), told(p["value"]), p["state"], p["which"] or "counts"] for p in points],
    )


_SHORT = 30
"""Letters of a legend's entry of which two stand side by side."""


def _words(states: set[str]) -> dict[tuple[str, str], str]:
    """What a mark says, by its look: states that look alike are one entry of the legend."""
    told: dict[tuple[str, str], list[str]] = {}
    for state, look in STATE_LOOKS.items():
        if state in states:
            told.setdefault(look, []).append(STATE_WORDS[state])
    return {look: " / ".join(words) for look, words in told.items()}


def _resolved(value: float, uncertainty: float | None) -> str:
    """A measured value to the place of its uncertainty's first figure, and to three figures at least.

    >>> _resolved(199.8782, 0.05), _resolved(4.1634, 0.05), _resolved(5.2, None)
    ('199.88', '4.16', '5.20')
    """
    if not uncertainty or not value:
        return number(value)
    return number(value, max(3, floor(log10(abs(value))) - floor(log10(uncertainty)) + 1))


def _middle(first: str, last: str) -> str:
    begin, end = (datetime.fromisoformat(moment) for moment in (first, last))
    return (begin + (end - begin) / 2).isoformat(timespec="minutes")


def _spans(baselines: list[dict[str, Any]], end: str) -> list[dict[str, Any]]:
    """Each baseline with the moment at which the next one replaces it."""
    ends = [one["from"] for one in baselines[1:]] + [max(end, baselines[-1]["from"])] if baselines else []
    return [{**one, "to": to} for one, to in zip(baselines, ends, strict=True) if one["from"] < to]


def _sites(part: dict[str, Any], index: int) -> Figure:
    import altair as alt

    unit = unit_label(part["unit"]) if part["unit"] != "1" else ""
    rows = sorted(part["rows"], key=lambda row: (row["site"], row["equipment"], row["conditions"]))
    data = [
        {
            "device": f"{row['equipment']}, {row['site']}",
            "conditions": row["conditions"],
            "label": f"{row['equipment']}, {row['site']} ({row['n']})",
            "value": row["mean"]["value"],
            "low": row["mean"]["low"] if row["mean"]["low"] is not None else row["mean"]["value"],
            "high": row["mean"]["high"] if row["mean"]["high"] is not None else row["mean"]["value"],
            "n": row["n"],
            "site": row["site"],
        }
        for row in rows
    ]
    # The same device under two sets of conditions is two rows.
    seen: dict[str, int] = {}
    for datum in data:
        seen[datum["label"]] = seen.get(datum["label"], 0) + 1
        if seen[datum["label"]] > 1:
            datum["label"] += f" #{seen[datum['label']]}"
    base = alt.Chart(inline(data)).encode(
        y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(grid=True, gridDash=[1, 3], domain=False, ticks=False))
    )
    x_axis = alt.Axis(title=f"{part['title']}{f' ({unit})' if unit else ''}", format="~r", tickCount=6)
    interval = base.mark_rule(size=2, opacity=0.75, color=TONES["ok"]).encode(
        x=alt.X("low:Q", axis=x_axis, scale=alt.Scale(zero=False)), x2=alt.X2("high:Q")
    )
    dots = base.mark_point(size=70, filled=True, color=TONES["ok"], opacity=1).encode(
        x=alt.X("value:Q", scale=alt.Scale(zero=False)),
        tooltip=[
            alt.Tooltip("device:N", title="Device"),
            alt.Tooltip("conditions:N", title="Conditions"),
            alt.Tooltip("n:Q", title="Runs"),
            alt.Tooltip("value:Q", title="Mean", format=".4~r"),
        ],
    )
    title = f"{part['phantom']}: {part['title']} across the network"
    told = "; ".join(f"{one['label']} {number(one['value'])}" for one in data[:8])
    return Figure(
        f"quality-sites-{index}",
        title,
        f"{title}, mean of each device with its 95 % interval: {told} {unit}.",
        finished(alt.layer(interval, dots).properties(width=300, height=alt.Step(22))),
        ["Device", "Conditions", "Runs", "Mean", "95 % interval"],
        [
            [
                one["device"],
                one["conditions"],
                str(one["n"]),
                number(one["value"], 4),
                f"{number(one['low'], 4)} to {number(one['high'], 4)}" if one["low"] != one["high"] else "–",
            ]
            for one in data
        ],
    )
