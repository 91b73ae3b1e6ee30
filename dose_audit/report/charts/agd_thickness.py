"""Average glandular dose by compressed thickness, each device a line, against the acceptable and achievable values."""

from __future__ import annotations

from typing import Any

from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import QUIET, RULE, SITES
from dose_audit.report.words import number, plural

__all__ = ["agd_figures"]

_SHAPES = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross"]


def agd_figures(run: FrozenRun) -> list[Figure]:
    """One figure of all mammography devices, or nothing where there is none."""
    import altair as alt

    entries = [entry for entry in run.data.get("agd_by_thickness") or [] if entry["median"] is not None]
    if not entries:
        return []
    data = [
        entry
        | {"device": f"{entry['equipment']} ({entry['site']})", "middle": (entry["low_mm"] + entry["high_mm"]) / 2}
        for entry in entries
    ]
    devices = sorted({item["device"] for item in data})
    known = alt.Scale(domain=devices, range=[SITES[i % len(SITES)] for i in range(len(devices))])
    shapes = alt.Scale(domain=devices, range=[_SHAPES[i % len(_SHAPES)] for i in range(len(devices))])
    x = alt.X(
        "middle:Q",
        title="compressed thickness (mm)",
        scale=alt.Scale(zero=False, nice=False, padding=18),
        axis=alt.Axis(tickMinStep=5),
    )
    y = alt.Y("median:Q", title="AGD per view (mGy)", scale=alt.Scale(zero=True))
    legend = alt.Legend(columns=3) if len(devices) <= 12 else None
    colour = alt.Color("device:N", title=None, scale=known, legend=legend)
    base = alt.Chart(inline(data))
    layers: list[Any] = [
        alt.Chart(inline(_limits(entries, name)))
        .mark_line(color=tone, strokeDash=dash, size=1.6)
        .encode(x=x, y=alt.Y("value:Q"))
        for name, tone, dash in (("acceptable_mgy", RULE, [6, 3]), ("achievable_mgy", QUIET, [2, 2]))
        if _limits(entries, name)
    ]
    layers += [
        base.mark_rule(opacity=0.6, size=1.6).encode(x=x, y=alt.Y("ci_low:Q"), y2=alt.Y2("ci_high:Q"), color=colour),
        base.mark_line(size=1.6).encode(x=x, y=y, color=colour),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("device:N", title=None, scale=shapes, legend=legend),
            tooltip=[
                alt.Tooltip("device:N", title="Device"),
                alt.Tooltip("low_mm:Q", title="From (mm)"),
                alt.Tooltip("high_mm:Q", title="To (mm)"),
                alt.Tooltip("n:Q", title="Exams"),
                alt.Tooltip("median:Q", title="Median (mGy)", format=".3~r"),
                alt.Tooltip("acceptable_mgy:Q", title="Acceptable (mGy)", format=".3~r"),
            ],
        ),
    ]
    above = [item for item in entries if item["acceptable_mgy"] is not None and item["median"] > item["acceptable_mgy"]]
    unsure = sorted({item["limit_confidence"] for item in entries if item["limit_confidence"]})
    words = (
        f"{plural(len(devices), 'device')}; {len(above)} of {plural(len(entries), 'group')} above the acceptable value"
    )
    words += "".join(
        f"; {e['equipment']}, {e['low_mm']:g} to {e['high_mm']:g} mm: {number(e['median'])} mGy" for e in above[:5]
    )
    words += f". Limits: {', '.join(unsure)}." if unsure else "."
    return [
        Figure(
            "agd-thickness",
            "AGD per view by compressed thickness",
            words,
            finished(alt.layer(*layers).properties(width=720, height=270)),
            [
                "Site",
                "Equipment",
                "Thickness (mm)",
                "n",
                "Median (mGy)",
                "95 % interval",
                "25th to 75th",
                "Acceptable",
                "Achievable",
            ],
            [
                [
                    e["site"],
                    e["equipment"],
                    f"{e['low_mm']:g} to {e['high_mm']:g}",
                    str(e["n"]),
                    number(e["median"]),
                    "–" if e["ci_low"] is None else f"{number(e['ci_low'])} to {number(e['ci_high'])}",
                    "–" if e["p25"] is None else f"{number(e['p25'])} to {number(e['p75'])}",
                    number(e["acceptable_mgy"]),
                    number(e["achievable_mgy"]),
                ]
                for e in entries
            ],
            wide=True,
        )
    ]


def _limits(entries: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The limit at the middle of each bin, once a bin."""
    places = {(e["low_mm"] + e["high_mm"]) / 2: e[name] for e in entries if e[name] is not None}
    return [{"middle": middle, "value": value} for middle, value in sorted(places.items())]
