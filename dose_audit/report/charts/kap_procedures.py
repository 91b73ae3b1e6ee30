"""Kerma area product, reference dose and fluoroscopy time by procedure and site, with the reference level of each."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import INK, RULE
from dose_audit.report.words import number, plural, quantity_label, unit_label, with_band

__all__ = ["kap_figures"]

MOST_ROWS = 45
"""Rows of one figure; more procedures go into a further one."""


def kap_figures(run: FrozenRun) -> list[Figure]:
    """One figure a quantity, a row a procedure and site."""
    panels: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in run.data.get("kap_by_procedure") or []:
        panels[entry["quantity"]].append(entry)
    figures = []
    for quantity, entries in sorted(panels.items()):
        parts: list[list[dict[str, Any]]] = [[]]
        for entry in sorted(entries, key=lambda entry: (entry["examination_name"], entry["band"])):
            if parts[-1] and sum(len(one["by_site"]) for one in parts[-1]) + len(entry["by_site"]) > MOST_ROWS:
                parts.append([])
            parts[-1].append(entry)
        figures += [_figure(quantity, part, index) for index, part in enumerate(parts, start=1)]
    return figures


def _figure(quantity: str, entries: list[dict[str, Any]], index: int) -> Figure:
    import altair as alt

    data = [
        site | {"procedure": _name(entry), "label": f"{site['site']} ({site['n']})", "level": entry["drl"]}
        for entry in entries
        for site in entry["by_site"]
        if site["p25"] is not None and site["median"]
    ]
    scale, ticks = log_scale([item[name] for item in data for name in ("p25", "median", "p75", "level")])
    unit = entries[0]["unit"]
    y = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=170))
    axis = alt.Axis(format="~r", values=ticks, title=quantity_label(quantity, unit))
    tooltip = [
        alt.Tooltip("procedure:N", title="Procedure"),
        alt.Tooltip("site:N", title="Site"),
        alt.Tooltip("n:Q", title="Exams"),
        alt.Tooltip("median:Q", title="Median", format=".3~r"),
        alt.Tooltip("p25:Q", title="25th percentile", format=".3~r"),
        alt.Tooltip("p75:Q", title="75th percentile", format=".3~r"),
    ]
    colour = alt.Color("site:N", title=None, legend=None)
    base = alt.Chart().encode(y=y)
    layers = [
        base.mark_bar(height=12, opacity=0.55).encode(
            x=alt.X("p25:Q", scale=scale, axis=axis), x2=alt.X2("p75:Q"), color=colour, tooltip=tooltip
        ),
        base.mark_tick(size=15, thickness=2, color=INK).encode(x=alt.X("median:Q", scale=scale), tooltip=tooltip),
    ]
    if any(item["level"] for item in data):
        layers.append(base.mark_tick(size=19, thickness=2, color=RULE).encode(x=alt.X("level:Q", scale=scale)))
    header = alt.Header(labelAngle=0, labelAlign="left", labelAnchor="start", labelOrient="top", labelPadding=-6)
    chart = (
        alt.layer(*layers, data=inline(data))
        .properties(width=700, height=alt.Step(19))
        .facet(row=alt.Row("procedure:N", sort=None, title=None, header=header), spacing=14)
        .resolve_scale(y="independent")
    )
    highest = max(entries, key=lambda entry: entry["median"] or 0)
    words = (
        f"{quantity_label(quantity)} of {plural(len(entries), 'procedure')}; the highest median, "
        f"{number(highest['median'])} {unit_label(unit)}, is that of {_name(highest)}."
    )
    return Figure(
        f"procedures-{quantity}-{index}".lower().replace("_", "-"),
        f"{quantity_label(quantity)} by procedure",
        words,
        finished(chart),
        ["Procedure", "Site", "n", f"Median ({unit_label(unit)})", "95 % interval", "25th to 75th", "95th", "Level"],
        [row for entry in entries for row in _rows(entry)],
        wide=True,
    )


def _name(entry: dict[str, Any]) -> str:
    return with_band(entry["examination_name"], entry["band"])


def _rows(entry: dict[str, Any]) -> list[list[str]]:
    whole = entry | {"site": "all sites"}
    return [
        [
            _name(entry),
            part["site"],
            str(part["n"]),
            number(part["median"]),
            "–" if part["ci_low"] is None else f"{number(part['ci_low'])} to {number(part['ci_high'])}",
            "–" if part["p25"] is None else f"{number(part['p25'])} to {number(part['p75'])}",
            number(part.get("p95")),
            number(entry["drl"]),
        ]
        for part in (whole, *entry["by_site"])
    ]
