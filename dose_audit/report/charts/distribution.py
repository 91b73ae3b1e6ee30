"""Distributions on a log axis: a box a site with its devices pooled, then a box a device, and the reference level."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun, Group, group_key
from dose_audit.report.theme import INK, RULE, SITES
from dose_audit.report.words import band_order, number, plural, quantity_label, unit_label, with_band
from dose_audit.statistics import quantile

__all__ = ["distribution_figures"]

FEWEST = 5
"""A box over fewer values says less than the values themselves."""

MOST_POINTS = 40
"""Values beyond the whiskers that are drawn one by one, a group; the table counts them all."""


def distribution_figures(run: FrozenRun) -> list[Figure]:
    """One figure an examination, band and quantity: a box for every site, then for every device that has enough exams."""
    panels: dict[tuple[str, str, str], list[tuple[dict[str, Any], Group]]] = defaultdict(list)
    for row in run.data["comparisons"]:
        group = run.groups.get(group_key(row))
        if group is not None and len(group) >= FEWEST and float(group.values.min()) > 0:
            panels[(row["examination"], row["band"] or "", row["quantity"])].append((row, group))
    order = sorted(panels, key=lambda key: _order(panels[key][0][0]))
    return [_figure(panels[key], number_in_page) for number_in_page, key in enumerate(order, start=1)]


def _figure(members: list[tuple[dict[str, Any], Group]], number_in_page: int) -> Figure:
    import altair as alt

    members = sorted(members, key=lambda member: (member[0]["site"], member[0]["equipment"]))
    first = members[0][0]
    boxes = [_box(row["site"], row["equipment"], group.values) for row, group in members]
    pooled = _pooled(members)
    points = [point for box in boxes for point in box.pop("beyond")]
    pooled_points = [point for box in pooled for point in box.pop("beyond")]
    level = first["drl"]["value"] if first["drl"] else None
    scale, ticks = log_scale(
        [level, *(box[name] for box in boxes + pooled for name in ("p5", "p95")), *(p["value"] for p in points)]
    )
    sites = sorted({box["site"] for box in boxes})
    colour = alt.Color(
        "site:N",
        title=None,
        scale=alt.Scale(domain=sites, range=[SITES[i % len(SITES)] for i in range(len(sites))]),
        # Past eight sites colours repeat; the names at the axis tell sites apart.
        legend=alt.Legend(columns=3, labelLimit=150) if 1 < len(sites) <= len(SITES) and not pooled else None,
    )
    axis = alt.Axis(format="~r", values=ticks, title=quantity_label(first["quantity"], first["unit"]))
    bare = alt.Axis(values=ticks, title=None, labels=False)
    panels = [(pooled, pooled_points, bare)] if pooled else []
    panels.append((boxes, points, axis))
    drawn = [
        alt.layer(*_layers(alt, rows, beyond, level, scale, x_axis, colour)).properties(width=345, height=alt.Step(22))
        for rows, beyond, x_axis in panels
    ]
    chart = alt.vconcat(*drawn, spacing=10) if pooled else drawn[0]
    title = with_band(first["examination_name"], first["band"])
    highest = max(boxes, key=lambda item: item["median"])
    lowest = min(boxes, key=lambda item: item["median"])
    spread = f"median {number(lowest['median'])} ({lowest['device']})"
    if len(boxes) > 1:
        spread = (
            f"medians of {plural(len(boxes), 'device')} from {number(lowest['median'])} ({lowest['device']}) "
            f"to {number(highest['median'])} ({highest['device']})"
        )
    alt_text = f"{title}, {quantity_label(first['quantity'])} in {unit_label(first['unit'])}: {spread}" + (
        f"; the reference level is {number(level)}." if level is not None else "; no reference level."
    )
    return Figure(
        f"distribution-{number_in_page}",
        f"{title} · {quantity_label(first['quantity'])}",
        alt_text,
        finished(chart),
        ["Site", "Equipment", "n", "5th", "25th", f"Median ({unit_label(first['unit'])})", "75th", "95th"],
        [
            [b["site"], b["device"], str(b["n"]), *(number(b[name]) for name in ("p5", "p25", "median", "p75", "p95"))]
            for b in pooled + boxes
        ],
    )


def _layers(
    alt: Any,
    boxes: list[dict[str, Any]],
    points: list[dict[str, Any]],
    level: float | None,
    scale: Any,
    axis: Any,
    colour: Any,
) -> list[Any]:
    """Whiskers, boxes, medians, values beyond the whiskers, and the level, a row a box."""
    y = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=170))
    tooltip = [
        alt.Tooltip("site:N", title="Site"),
        alt.Tooltip("device:N", title="Equipment"),
        alt.Tooltip("n:Q", title="Exams"),
        alt.Tooltip("median:Q", title="Median", format=".3~r"),
        alt.Tooltip("p25:Q", title="25th percentile", format=".3~r"),
        alt.Tooltip("p75:Q", title="75th percentile", format=".3~r"),
        alt.Tooltip("p5:Q", title="5th percentile", format=".3~r"),
        alt.Tooltip("p95:Q", title="95th percentile", format=".3~r"),
    ]
    base = alt.Chart(inline(boxes)).encode(y=y)
    layers = [
        base.mark_rule(opacity=0.9).encode(x=alt.X("p5:Q", scale=scale, axis=axis), x2=alt.X2("p95:Q"), color=colour),
        base.mark_bar(height=13, opacity=0.55).encode(
            x=alt.X("p25:Q", scale=scale), x2=alt.X2("p75:Q"), color=colour, tooltip=tooltip
        ),
        base.mark_tick(size=16, thickness=2, color=INK).encode(x=alt.X("median:Q", scale=scale), tooltip=tooltip),
    ]
    if points:
        layers.append(
            alt.Chart(inline(points))
            .mark_point(size=10, filled=True, opacity=0.5)
            .encode(y=y, x=alt.X("value:Q", scale=scale), color=colour, tooltip=[alt.Tooltip("value:Q", format=".3~r")])
        )
    if level is not None:
        layers.append(
            alt.Chart(inline([{"level": level, "name": f"reference level {number(level)}"}]))
            .mark_rule(color=RULE, strokeDash=[5, 3], size=1.5)
            .encode(x=alt.X("level:Q", scale=scale), tooltip=[alt.Tooltip("name:N", title="Level")])
        )
    return layers


def _pooled(members: list[tuple[dict[str, Any], Group]]) -> list[dict[str, Any]]:
    """A box a site over all its devices; none where every site has one device, or there is one site."""
    by_site: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for row, group in members:
        by_site[row["site"]].append(group.values)
    if len(by_site) in (1, len(members)):
        return []
    return [_box(site, None, np.concatenate(values)) for site, values in sorted(by_site.items())]


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["modality"], row["examination_name"], band_order(row["band"]), row["quantity"]


def _box(site: str, device: str | None, values: NDArray[np.float64]) -> dict[str, Any]:
    p5, p25, median, p75, p95 = (_quantile(values, q) for q in (0.05, 0.25, 0.5, 0.75, 0.95))
    beyond = np.sort(values[(values < p5) | (values > p95)]).tolist()
    if len(beyond) > MOST_POINTS:
        half = MOST_POINTS // 2
        beyond = beyond[:half] + beyond[-half:]
    label = f"{device or site} ({len(values)})"
    named = {"site": site, "device": device or "all devices", "label": label}
    return {
        **named,
        "n": len(values),
        "p5": p5,
        "p25": p25,
        "median": median,
        "p75": p75,
        "p95": p95,
        "beyond": [{**named, "value": value} for value in beyond],
    }


def _quantile(values: NDArray[np.float64], q: float) -> float:
    found = quantile(values, q)
    assert found is not None, "a box is drawn of five values or more"
    return found
