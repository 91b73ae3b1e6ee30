"""Funnels: each site's median against its number of exams, within the limits that chance and usual differences allow."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import log
from typing import Any

from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline, on_ground
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import INK, QUIET, TONES
from dose_audit.report.words import number, plural, quantity_label, unit_label, with_band

__all__ = ["cross_site_order", "funnel_figures"]

MOST_FIGURES = 12
_WIDTH, _HEIGHT = 370, 180


def cross_site_order(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Sites beyond the limits first, then the largest spread between the sites' medians."""
    points = entry["funnel"]["points"]
    medians = [point["median"] for point in points if point["median"]]
    spread = max(medians) / min(medians) if medians else 1.0
    return (-sum(point["beyond"] is not None for point in points), -spread, entry["examination"], entry["quantity"])


def funnel_figures(run: FrozenRun) -> list[Figure]:
    """One figure an examination, band and quantity of two sites or more, a dozen at most."""
    entries = [entry for entry in run.data.get("cross_site") or [] if entry["funnel"]["points"]]
    entries.sort(key=cross_site_order)
    return [_figure(entry, index) for index, entry in enumerate(entries[:MOST_FIGURES], start=1)]


def _figure(entry: dict[str, Any], index: int) -> Figure:
    import altair as alt

    funnel, unit = entry["funnel"], unit_label(entry["unit"])
    known = [point for point in funnel["points"] if point["median"] is not None]
    points = [
        point | {"place": "beyond the limits" if point["beyond"] is not None else "within", "name": point["site"]}
        for point in known
    ]
    limits = [
        {"n": n, "value": value, "level": f"{100 * limit['level']:g} %", "side": side}
        for limit in funnel["limits"]
        for side in ("low", "high")
        for n, value in zip(limit["n"], limit[side], strict=True)
    ]
    spread = _spread([*(item["n"] for item in limits), *(point["n"] for point in points)])
    scale, ticks = log_scale([*(item["value"] for item in limits), *(point["median"] for point in points)])
    y = alt.Y(
        "median:Q",
        title=quantity_label(entry["quantity"], entry["unit"]),
        scale=scale,
        axis=alt.Axis(format="~r", values=ticks),
    )
    x = alt.X(
        "n:Q",
        title="exams of the site",
        scale=alt.Scale(domain=spread, nice=False, zero=False),
        axis=alt.Axis(tickMinStep=1, tickCount=6),
    )
    layers: list[Any] = []
    if limits:
        layers.append(
            alt.Chart(inline(limits))
            .mark_line(color=QUIET, size=1.2)
            .encode(
                x=x,
                y=alt.Y("value:Q", scale=scale),
                strokeDash=alt.StrokeDash("level:N", title="limits", legend=alt.Legend(symbolStrokeColor=QUIET)),
                detail=alt.Detail("side:N"),
            )
        )
    if funnel["target"] is not None:
        layers.append(
            alt.Chart(inline([{"value": funnel["target"]}]))
            .mark_rule(color=QUIET, size=1)
            .encode(y=alt.Y("value:Q", scale=scale))
        )
    places = alt.Scale(domain=["within", "beyond the limits"], range=[TONES["ok"], TONES["act"]])
    base = alt.Chart(inline(points))
    layers.append(
        base.mark_point(filled=True, size=75, opacity=1).encode(
            x=x,
            y=y,
            color=alt.Color("place:N", title=None, scale=places, legend=None),
            shape=alt.Shape("place:N", scale=alt.Scale(domain=places.domain, range=["circle", "diamond"]), legend=None),
            tooltip=[
                alt.Tooltip("name:N", title="Site"),
                alt.Tooltip("n:Q", title="Exams"),
                alt.Tooltip("median:Q", title=f"Median ({unit})", format=".3~r"),
                alt.Tooltip("z:Q", title="z", format=".2f"),
                alt.Tooltip("place:N", title="Place"),
            ],
        )
    )
    # All names where there is room for them; else only those of the sites that stand out.
    named = points if len(points) <= 5 else [point for point in points if point["beyond"] is not None]
    lines = [[(item["n"], item["value"]) for item in line] for line in _lines(limits)]
    if funnel["target"] is not None:
        lines.append([(spread[0], funnel["target"]), (spread[1], funnel["target"])])
    for point, (side, dy) in zip(named, _places(named, points, lines, spread, scale.domain), strict=True):
        name = alt.Chart(inline([point])).encode(x=x, y=y, text=alt.Text("name:N"))
        look: dict[str, Any] = {"align": side, "baseline": "middle", "dx": _GAP if side == "left" else -_GAP, "dy": dy}
        look |= {"fontSize": 10, "limit": _WIDEST}
        layers += on_ground(name, INK, **look)
    title = f"{with_band(entry['examination_name'], entry['band'])} · {quantity_label(entry['quantity'])}"
    beyond = [point["site"] for point in known if point["beyond"] is not None]
    words = f"{title}: medians of {plural(len(known), 'site')} around {number(funnel['target'])} {unit}; "
    if funnel["reason"]:  # a site may well lie outside of the lines that are drawn
        words += f"the limits are those of chance alone, and no site is judged ({funnel['reason']})."
    else:
        words += f"beyond the limits: {', '.join(beyond)}." if beyond else "no site is beyond the limits."
    return Figure(
        f"funnel-{index}",
        title,
        words,
        finished(alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT)),
        ["Site", "n", f"Median ({unit})", "95 % interval", "z", "Beyond"],
        [
            [
                point["site"],
                str(point["n"]),
                number(point["median"]),
                f"{number(point['low'])} to {number(point['high'])}",
                "–" if point["z"] is None else f"{point['z']:.2f}",
                "–" if point["beyond"] is None else f"{100 * point['beyond']:g} % limit",
            ]
            for point in funnel["points"]
        ],
    )


_GAP, _WIDEST, _LETTER, _LINE = 8, 110, 5.6, 11
"""Pixels between a point and its name, that a name has at most, and of a letter's width and a line's height."""

Line = list[tuple[float, float]]
Box = tuple[float, float, float, float]


def _spread(counts: Iterable[int]) -> list[float]:
    """Ends of the axis of exams, a little beyond the first and the last."""
    counts = list(counts)
    margin = max(1.0, 0.04 * (max(counts) - min(counts)))
    return [min(counts) - margin, max(counts) + margin]


def _lines(limits: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The limits' points line by line."""
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in limits:
        lines.setdefault((item["level"], item["side"]), []).append(item)
    return list(lines.values())


def _places(
    named: list[dict[str, Any]], points: list[dict[str, Any]], lines: list[Line], across: list[float], up: list[float]
) -> list[tuple[Any, int]]:
    """Side and height of each name beside its point, where it covers the fewest lines, points and other names."""

    def at(n: float, value: float) -> tuple[float, float]:
        x = _WIDTH * (n - across[0]) / (across[1] - across[0])
        return x, _HEIGHT * (log(up[1]) - log(value)) / (log(up[1]) - log(up[0]))

    strokes = [[at(*point) for point in line] for line in lines]
    dots = [at(point["n"], point["median"]) for point in points]
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in dots]
    places = []
    for point in named:
        x, y = at(point["n"], point["median"])
        width = min(_WIDEST, _LETTER * len(point["name"]))
        choices: list[tuple[float, str, int, Box]] = []
        for cost, dy in enumerate((-8, 8, 0, -16, 16)):
            for side, left in (("left", x + _GAP), ("right", x - _GAP - width)):
                box = (left, y + dy - _LINE / 2, left + width, y + dy + _LINE / 2)
                covered = sum(_crossed(box, stroke) for stroke in strokes) + 2 * sum(_meet(box, one) for one in taken)
                outside = 4 * (left < 0 or left + width > _WIDTH or box[1] < 0 or box[3] > _HEIGHT)
                choices.append((covered + outside + 0.1 * cost, side, dy, box))
        _, side, dy, box = min(choices)
        taken.append(box)
        places.append((side, dy))
    return places


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _crossed(box: Box, stroke: list[tuple[float, float]]) -> bool:
    """Whether a line of short straight parts, or one long level one, runs through a box."""
    parts = ((min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])) for a, b in pairwise(stroke))
    return any(_meet(box, part) for part in parts)
