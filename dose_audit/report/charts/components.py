"""Variance components: how much of the spread lies between sites, scanners and acquisition protocols, and whose share it is."""

from __future__ import annotations

from typing import Any

from dose_audit.report.charts.axes import PERCENT, log_scale
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.charts.funnel import cross_site_order
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import QUIET, TONES
from dose_audit.report.words import number, percent, quantity_label, with_band

__all__ = ["component_figures"]

MOST_FIGURES = 8
_COLOURS = {"site": "#0072b2", "scanner": "#009e73", "acquisition protocol": "#b07d00", "exam": "#a9b4bd"}


def component_figures(run: FrozenRun) -> list[Figure]:
    """One figure with the shares of every group that could be parted, then the sites' own factors, a few groups."""
    entries = [
        entry
        for entry in run.data.get("cross_site") or []
        # Without the sites' own share the rest is no share of the whole.
        if entry["components"]["levels"] and entry["components"]["levels"][0]["share"] is not None
    ]
    entries.sort(key=cross_site_order)
    if not entries:
        return []
    with_effects = [entry for entry in entries if entry["components"]["effects"]]
    return [
        _shares(entries),
        *(_effects(entry, index) for index, entry in enumerate(with_effects[:MOST_FIGURES], start=1)),
    ]


def _name(entry: dict[str, Any]) -> str:
    return f"{with_band(entry['examination_name'], entry['band'])} · {quantity_label(entry['quantity'])}"


def _shares(entries: list[dict[str, Any]]) -> Figure:
    import altair as alt

    named = {level["name"] for entry in entries for level in entry["components"]["levels"]}
    names = [name for name in _COLOURS if name in named]
    data = [
        {"group": _name(entry), "level": level["name"], "share": level["share"], "order": names.index(level["name"])}
        for entry in entries
        for level in entry["components"]["levels"]
        if level["share"] is not None and level["name"] in _COLOURS
    ]
    chart = (
        alt.Chart(inline(data))
        .mark_bar(height=13)
        .encode(
            x=alt.X("share:Q", title="share of the variance of ln dose", axis=alt.Axis(labelExpr=PERCENT, tickCount=5)),
            y=alt.Y("group:N", title=None, sort=None, axis=alt.Axis(labelLimit=340, domain=False, ticks=False)),
            color=alt.Color(
                "level:N",
                title="lies between",
                sort=names,
                scale=alt.Scale(domain=names, range=[_COLOURS[name] for name in names]),
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("group:N", title="Group"),
                alt.Tooltip("level:N", title="Between"),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
            ],
        )
        .properties(width=470, height=alt.Step(21))
    )
    most = max((item for item in data if item["level"] == names[0]), key=lambda item: item["share"], default=None)
    words = f"Shares of the variance in {len(entries)} groups"
    words += f"; most between sites: {most['group']}, {percent(100 * most['share'], 0)}." if most else "."
    return Figure(
        "variance-shares",
        "Where the spread lies",
        words,
        finished(chart),
        ["Group", *(name.capitalize() for name in names), "Site-to-site factor", "95 % interval", "Two sites apart"],
        [
            [
                _name(entry),
                *(_share(entry, name) for name in names),
                *_factor(entry["components"]["site_factor"]),
                _factor(entry["components"]["pair_factor"])[0],
            ]
            for entry in entries
        ],
        wide=True,
    )


def _share(entry: dict[str, Any], name: str) -> str:
    """Share of one level as printed; a dash where it is not told."""
    for level in entry["components"]["levels"]:
        if level["name"] == name and level["share"] is not None:
            return percent(100 * level["share"], 0)
    return "–"


def _factor(estimate: dict[str, Any]) -> tuple[str, str]:
    if estimate["value"] is None:
        return "–", "–"
    known = estimate["low"] is not None and estimate["high"] is not None
    return number(estimate["value"]), f"{number(estimate['low'])} to {number(estimate['high'])}" if known else "–"


def _effects(entry: dict[str, Any], index: int) -> Figure:
    import altair as alt

    effects = sorted(entry["components"]["effects"], key=lambda effect: effect["factor"])
    data = [effect | {"label": f"{effect['site']} ({effect['n']})"} for effect in effects]
    scale, ticks = log_scale([1.0, *(effect[name] for effect in data for name in ("low", "factor", "high"))])
    base = alt.Chart(inline(data)).encode(
        y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=150))
    )
    axis = alt.Axis(format="~r", values=ticks, title="dose as a multiple of the network's")
    chart = alt.layer(
        alt.Chart(inline([{"one": 1}])).mark_rule(color=QUIET, size=1).encode(x=alt.X("one:Q", scale=scale)),
        base.mark_rule(size=2, color=TONES["ok"], opacity=0.75).encode(
            x=alt.X("low:Q", scale=scale, axis=axis), x2=alt.X2("high:Q")
        ),
        base.mark_point(filled=True, size=60, color=TONES["ok"], opacity=1).encode(
            x=alt.X("factor:Q", scale=scale),
            tooltip=[
                alt.Tooltip("site:N", title="Site"),
                alt.Tooltip("n:Q", title="Exams"),
                alt.Tooltip("factor:Q", title="Factor", format=".3~r"),
            ],
        ),
    ).properties(width=330, height=alt.Step(19))
    factor, interval = _factor(entry["components"]["site_factor"])
    lowest, highest = effects[0], effects[-1]
    return Figure(
        f"site-factors-{index}",
        _name(entry),
        f"Sites from {number(lowest['factor'])} ({lowest['site']}) to {number(highest['factor'])} ({highest['site']}) times "
        f"the network's dose; site-to-site factor {factor} ({interval}).",
        finished(chart),
        ["Site", "n", "Factor", "95 % interval"],
        [
            [
                effect["site"],
                str(effect["n"]),
                number(effect["factor"]),
                f"{number(effect['low'])} to {number(effect['high'])}",
            ]
            for effect in effects
        ],
    )
