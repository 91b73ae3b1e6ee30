"""Dose against patient size: the exams, the curve through their middle, and the reference level at each size."""

from __future__ import annotations

import math
from typing import Any

from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import INK, RULE, SITES
from dose_audit.report.words import number, plural, quantity_label, unit_label
from dose_audit.statistics.size import SIZE_AXES

__all__ = ["size_dose_figures"]

MOST_FIGURES = 12
MOST_POINTS = 200

AXES = {
    "water_equivalent_diameter": "water-equivalent diameter",
    "compressed_thickness": "compressed thickness",
    "paediatric_weight": "weight",
    "weight": "weight",
}


def size_dose_figures(run: FrozenRun) -> list[Figure]:
    """Children first, then groups with a reference level, then by the number of exams; a dozen at most."""
    entries = sorted(
        run.data.get("size_curves") or [],
        key=lambda entry: (
            entry["population"] != "child",
            not entry["drl"],
            -entry["n"],
            entry["examination"],
            entry["quantity"],
        ),
    )
    return [_figure(entry, index) for index, entry in enumerate(entries[:MOST_FIGURES], start=1)]


def _figure(entry: dict[str, Any], index: int) -> Figure:
    import altair as alt

    drawn = entry["points"]
    step = max(1, -(-len(drawn["size"]) // MOST_POINTS))
    points = [
        {"size": size, "dose": dose, "site": site}
        for size, dose, site in zip(drawn["size"], drawn["dose"], drawn["site"], strict=True)
    ][::step]
    curve = [
        {"size": point["size"], "value": point["value"], "low": point["low"], "high": point["high"], "line": _line(one)}
        for one in entry["fit"]["curves"]
        for point in one["points"]
        if point["value"] is not None
    ]
    smallest, largest = min(p["size"] for p in points), max(p["size"] for p in points)
    levels = _levels(entry, smallest, largest)
    # Curves and their intervals are in the scale: a band cut at the frame looks narrower than it is.
    drawn_doses = [*(p["dose"] for p in points), *(step["value"] for step in levels)]
    scale, ticks = log_scale([*drawn_doses, *(item[name] for item in curve for name in ("low", "value", "high"))])
    x = alt.X(
        "size:Q",
        title=f"{AXES.get(entry['axis'], entry['axis'].replace('_', ' '))} ({entry['axis_unit']})",
        scale=alt.Scale(zero=False, nice=True),
        axis=alt.Axis(tickCount=6),
    )
    y = alt.Y(
        "dose:Q",
        title=quantity_label(entry["quantity"], entry["unit"]),
        scale=scale,
        axis=alt.Axis(format="~r", values=ticks),
    )
    sites = sorted({point["site"] for point in points})
    colour = alt.Color(
        "site:N",
        title=None,
        scale=alt.Scale(domain=sites, range=[SITES[i % len(SITES)] for i in range(len(sites))]),
        # Past eight sites colours repeat: the pointer tells them, a legend would not.
        legend=alt.Legend(columns=3, symbolOpacity=0.9) if 1 < len(sites) <= len(SITES) else None,
    )
    layers: list[Any] = [
        alt.Chart(inline(points))
        .mark_point(size=16, filled=True, opacity=0.55)
        .encode(
            x=x,
            y=y,
            color=colour,
            tooltip=[
                alt.Tooltip("site:N", title="Site"),
                alt.Tooltip("size:Q", title="Size", format=".3~r"),
                alt.Tooltip("dose:Q", title="Dose", format=".3~r"),
            ],
        )
    ]
    if curve:
        base = alt.Chart(inline(curve))
        dashes = alt.StrokeDash(
            "line:N",
            title=None,
            sort=[],
            legend=alt.Legend(symbolStrokeColor=INK, orient="bottom") if len(entry["fit"]["curves"]) > 1 else None,
        )
        band = [item for item in curve if item["low"] is not None and item["high"] is not None]
        if band:
            layers.append(
                alt.Chart(inline(band))
                .mark_area(opacity=0.15, color=INK, clip=True)
                .encode(x=x, y=alt.Y("low:Q", scale=scale), y2=alt.Y2("high:Q"), detail=alt.Detail("line:N"))
            )
        layers.append(
            base.mark_line(color=INK, size=2, clip=True).encode(x=x, y=alt.Y("value:Q", scale=scale), strokeDash=dashes)
        )
    if levels:
        layers.append(
            alt.Chart(inline(levels))
            .mark_rule(color=RULE, size=2, strokeDash=[6, 3])
            .encode(
                x=alt.X("low:Q"),
                x2=alt.X2("high:Q"),
                y=alt.Y("value:Q", scale=scale),
                tooltip=[alt.Tooltip("text:N", title="Reference level")],
            )
        )
    who = "children" if entry["population"] == "child" else "adults"
    title = f"{entry['examination_name']}, {who} · {quantity_label(entry['quantity'])}"
    return Figure(
        f"size-dose-{index}",
        title,
        f"{title}: {plural(entry['n'] - entry['n_missing'], 'exam')} with a known size"
        f"{_drawn_words(len(points), entry)}, {entry['n_missing']} without; "
        f"{_fit_words(entry)}; {_level_words(levels, entry)}.",
        finished(alt.layer(*layers).properties(width=400, height=185)),
        [f"Size ({entry['axis_unit']})", "Curve", f"Dose ({unit_label(entry['unit'])})", "95 % interval"],
        [
            [
                number(item["size"]),
                item["line"],
                number(item["value"]),
                "–" if item["low"] is None else f"{number(item['low'])} to {number(item['high'])}",
            ]
            for item in curve
        ],
    )


def _line(curve: dict[str, Any]) -> str:
    return "median" if curve["q"] == 0.5 else f"{100 * curve['q']:g}th percentile"


def _levels(entry: dict[str, Any], smallest: float, largest: float) -> list[dict[str, Any]]:
    """Each level over its own range of sizes; a level that is for all sizes over the whole chart."""
    found = []
    for level in entry["drl"]:
        if level["low"] is None and level["high"] is None and len(entry["drl"]) > 1:
            continue
        low = smallest if level["low"] is None else max(level["low"], smallest)
        high = largest if level["high"] is None else min(level["high"], largest)
        if low < high:
            text = f"{number(level['value'])} {unit_label(entry['unit'])} ({level['set']}, {level['edition']})"
            found.append({"low": low, "high": high, "value": level["value"], "text": text})
    return found


def _drawn_words(points: int, entry: dict[str, Any]) -> str:
    return f" ({points} drawn)" if points < entry["n"] - entry["n_missing"] else ""


def _fit_words(entry: dict[str, Any]) -> str:
    slope = entry["fit"]["slope"]
    if not slope or slope["value"] is None:
        return f"no curve: {entry['fit']['reason']}" if entry["fit"]["reason"] else "no curve"
    power = SIZE_AXES[entry["axis"]].logarithmic

    def told(value: float) -> str:
        return number(value if power else 100 * math.expm1(value))

    known = slope["low"] is not None and slope["high"] is not None
    between = f" ({told(slope['low'])} to {told(slope['high'])})" if known else ""
    goes = "dose goes with size to the power of " if power else "dose changes by "
    unit = "" if power else f" % for each {entry['axis_unit']}"
    return f"{entry['fit']['method']}: {goes}{told(slope['value'])}{between}{unit}"


def _level_words(levels: list[dict[str, Any]], entry: dict[str, Any]) -> str:
    if not levels:
        return "reference levels are not by size here" if entry["drl"] else "no reference level"
    values = sorted({level["value"] for level in levels})
    if len(values) == 1:
        return f"reference level {number(values[0])} {unit_label(entry['unit'])}"
    return f"reference levels from {number(values[0])} to {number(values[-1])} {unit_label(entry['unit'])} by size"
