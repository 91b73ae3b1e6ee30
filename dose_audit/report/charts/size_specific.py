"""Size-specific dose of CT: each device's median SSDE by the patient's water-equivalent diameter, with CTDIvol beside it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import SITES
from dose_audit.report.words import number, plural

__all__ = ["size_specific_figures"]

MOST_FIGURES = 8
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]


def size_specific_figures(run: FrozenRun) -> list[Figure]:
    """One figure an examination, those with most exams first."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in run.data.get("size_specific") or []:
        groups[entry["examination"]].append(entry)
    order = sorted(groups.values(), key=lambda rows: (-sum(row["ssde"]["n"] for row in rows), rows[0]["examination"]))
    return [_figure(rows, index) for index, rows in enumerate(order[:MOST_FIGURES], start=1)]


def _figure(rows: list[dict[str, Any]], index: int) -> Figure:
    import altair as alt

    data = [
        {
            "device": f"{row['equipment']}, {row['site']}",
            "dw": row["median_wed_mm"] / 10.0,
            "line": name,
            "value": row[key]["median"],
            "low": row[key]["ci_low"] if row[key]["ci_low"] is not None else row[key]["median"],
            "high": row[key]["ci_high"] if row[key]["ci_high"] is not None else row[key]["median"],
            "n": row[key]["n"],
        }
        for row in rows
        for key, name in (("ssde", "SSDE"), ("ctdi_vol", "CTDIvol"))
        if row[key]["median"] is not None
    ]
    devices = sorted({item["device"] for item in data})
    scale, ticks = log_scale([value for item in data for value in (item["low"], item["high"])])
    x = alt.X(
        "dw:Q", title="water-equivalent diameter (cm), median of each 4 cm band", scale=alt.Scale(zero=False, nice=True)
    )
    y = alt.Y("value:Q", title="median dose (mGy)", scale=scale, axis=alt.Axis(format="~r", values=ticks))
    colour = alt.Color(
        "device:N",
        title=None,
        scale=alt.Scale(domain=devices, range=[SITES[i % len(SITES)] for i in range(len(devices))]),
        legend=alt.Legend(columns=2) if len(devices) <= len(SITES) else None,
    )
    base = alt.Chart(inline(data))
    layers = [
        base.mark_rule(opacity=0.5, size=1.5).encode(
            x=x, y=alt.Y("low:Q", scale=scale, title="median dose (mGy)"), y2=alt.Y2("high:Q"), color=colour
        ),
        base.mark_line(size=1.8).encode(
            x=x,
            y=y,
            color=colour,
            strokeDash=alt.StrokeDash(
                "line:N",
                title=None,
                scale=alt.Scale(domain=["SSDE", "CTDIvol"], range=[[1, 0], [4, 3]]),
                legend=alt.Legend(orient="bottom", symbolStrokeColor="#5b6b78"),
            ),
        ),
        base.mark_point(filled=True, size=50, opacity=1).encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape(
                "device:N",
                title=None,
                legend=None,
                scale=alt.Scale(domain=devices, range=[_SHAPES[i % len(_SHAPES)] for i in range(len(devices))]),
            ),
            tooltip=[
                alt.Tooltip("device:N", title="Device"),
                alt.Tooltip("line:N", title="Quantity"),
                alt.Tooltip("dw:Q", title="Diameter (cm)", format=".1f"),
                alt.Tooltip("value:Q", title="Median (mGy)", format=".3~r"),
                alt.Tooltip("n:Q", title="Exams"),
            ],
        ),
    ]
    exams = sum(row["ssde"]["n"] for row in rows)
    low, high = (end([row["ssde"]["median"] for row in rows]) for end in (min, max))
    title = f"{rows[0]['examination_name']} · SSDE by water-equivalent diameter"
    return Figure(
        f"size-specific-{index}",
        title,
        f"{title}: {plural(exams, 'exam')} on {plural(len(devices), 'device')}; median SSDE of the bands from {number(low)} to "
        f"{number(high)} mGy.",
        finished(alt.layer(*layers).properties(width=390, height=185)),
        ["Device", "Diameter (cm)", "n", "SSDE (mGy)", "95 % interval", "CTDIvol (mGy)"],
        [
            [
                f"{row['equipment']}, {row['site']}",
                f"{row['low_mm'] / 10:g} to {row['high_mm'] / 10:g}",
                str(row["ssde"]["n"]),
                number(row["ssde"]["median"]),
                "–"
                if row["ssde"]["ci_low"] is None
                else f"{number(row['ssde']['ci_low'])} to {number(row['ssde']['ci_high'])}",
                number(row["ctdi_vol"]["median"]),
            ]
            for row in rows
        ],
    )
