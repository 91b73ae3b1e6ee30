"""Funnels: each site's median against its number of exams, within the limits that chance and usual differences allow."""

from __future__ import annotations

from typing import Any

from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import INK, QUIET, TONES
from dose_audit.report.words import number, plural, quantity_label, unit_label, with_band

__all__ = ["cross_site_order", "funnel_figures"]

MOST_FIGURES = 12


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
        scale=alt.Scale(nice=True, zero=False),
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
    for names, align, dx in _sides(named):
        layers.append(
            alt.Chart(inline(names))
            .mark_text(align=align, dx=dx, dy=-6, fontSize=10, limit=110, color=INK)
            .encode(x=x, y=y, text=alt.Text("name:N"))
        )
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
        finished(alt.layer(*layers).properties(width=370, height=210)),
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


def _sides(points: list[dict[str, Any]]) -> list[tuple[list[dict[str, Any]], Any, int]]:
    """Names of points at the right stand at their left, so that none leaves the drawing."""
    if not points:
        return []
    middle = (min(point["n"] for point in points) + max(point["n"] for point in points)) / 2
    left = [point for point in points if point["n"] > middle]
    right = [point for point in points if point["n"] <= middle]
    return [side for side in ((right, "left", 9), (left, "right", -9)) if side[0]]
