"""The dose that a mammography unit displays over the one computed after Dance, by thickness: agreement and where it ends."""

from __future__ import annotations

from typing import Any

from dose_audit.audit.glandular import AGREEMENT
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import QUIET, RULE, SITES, TONES
from dose_audit.report.words import number, percent, plural

__all__ = ["agreement_figures"]

_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]


def agreement_figures(run: FrozenRun) -> list[Figure]:
    """One figure over all units whose dose could be computed beside the displayed one, or nothing."""
    import altair as alt

    entries = [
        entry
        for entry in run.data.get("agd_by_thickness") or []
        if (entry.get("mgd") or {}).get("median_ratio") is not None
    ]
    if not entries:
        return []
    data = [
        {
            "device": f"{entry['equipment']} ({entry['site']})",
            "middle": (entry["low_mm"] + entry["high_mm"]) / 2,
            "ratio": entry["mgd"]["median_ratio"],
            "n": entry["mgd"]["n_both"],
            "disagree": entry["mgd"]["disagree"],
            "flag": _flag(entry),
        }
        for entry in entries
    ]
    devices = sorted({item["device"] for item in data})
    ratios = [item["ratio"] for item in data]
    domain = [min(0.65, min(ratios) - 0.05), max(1.35, max(ratios) + 0.05)]
    scale = alt.Scale(domain=domain, zero=False, nice=False)
    label = "displayed AGD ÷ computed MGD"
    y = alt.Y("ratio:Q", title=label, scale=scale, axis=alt.Axis(format="~r", tickCount=7))
    x = alt.X(
        "middle:Q",
        title="compressed thickness (mm)",
        scale=alt.Scale(zero=False, nice=False, padding=18),
        axis=alt.Axis(tickMinStep=5),
    )
    colour = alt.Color(
        "device:N",
        title=None,
        scale=alt.Scale(domain=devices, range=[SITES[i % len(SITES)] for i in range(len(devices))]),
    )
    shape = alt.Shape(
        "device:N",
        title=None,
        scale=alt.Scale(domain=devices, range=[_SHAPES[i % len(_SHAPES)] for i in range(len(devices))]),
    )
    base = alt.Chart(inline(data))
    within = inline([{"low": max(domain[0], 1 - AGREEMENT), "high": min(domain[1], 1 + AGREEMENT)}])
    flagged = [item for item in data if item["flag"]]
    layers: list[Any] = [
        alt.Chart(within)
        .mark_rect(color=TONES["ok"], opacity=0.1)
        .encode(y=alt.Y("low:Q", scale=scale, title=label), y2=alt.Y2("high:Q")),
        alt.Chart(inline([{"one": 1}])).mark_rule(color=QUIET).encode(y=alt.Y("one:Q", scale=scale, title=label)),
        base.mark_line(size=1.6).encode(x=x, y=y, color=colour),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=x,
            y=y,
            color=colour,
            shape=shape,
            tooltip=[
                alt.Tooltip("device:N", title="Device"),
                alt.Tooltip("middle:Q", title="Thickness (mm)"),
                alt.Tooltip("ratio:Q", title="Median ratio", format=".2f"),
                alt.Tooltip("n:Q", title="Views"),
                alt.Tooltip("disagree:Q", title="Views that disagree"),
            ],
        ),
    ]
    if flagged:
        layers.append(
            alt.Chart(inline(flagged))
            .mark_point(filled=False, size=260, strokeWidth=2, color=RULE, opacity=1)
            .encode(x=x, y=y, tooltip=[alt.Tooltip("flag:N", title="Disagrees")])
        )
    views = sum(item["n"] for item in data)
    apart = sum(item["disagree"] for item in data)
    words = (
        f"{plural(views, 'view')} with both doses; {apart} ({percent(100 * apart / views, 0)}) differ by more than "
        f"{100 * AGREEMENT:.0f} %"
    )
    words += "".join(
        f"; {item['device']} at {item['middle']:g} mm: {item['disagree']} of {item['n']}, median ratio {number(item['ratio'])}"
        for item in flagged[:4]
    )
    return [
        Figure(
            "agd-agreement",
            "Displayed dose against the dose computed after Dance",
            f"{words}.",
            finished(alt.layer(*layers).properties(width=720, height=220)),
            [
                "Site",
                "Equipment",
                "Thickness (mm)",
                "Views with both",
                "Computed MGD (mGy)",
                "Median ratio",
                "Disagree",
            ],
            [
                [
                    entry["site"],
                    entry["equipment"],
                    f"{entry['low_mm']:g} to {entry['high_mm']:g}",
                    str(entry["mgd"]["n_both"]),
                    number(entry["mgd"]["median"]),
                    number(entry["mgd"]["median_ratio"]),
                    f"{entry['mgd']['disagree']}{f' · {_flag(entry)}' if _flag(entry) else ''}",
                ]
                for entry in entries
            ],
            wide=True,
        )
    ]


def _flag(entry: dict[str, Any]) -> str:
    """Words where the middle view, or every fourth one, disagrees; else nothing."""
    mgd = entry["mgd"]
    if abs(mgd["median_ratio"] - 1.0) > AGREEMENT:
        return "median disagrees"
    return "a quarter of the views or more" if mgd["n_both"] and mgd["disagree"] >= 0.25 * mgd["n_both"] else ""
