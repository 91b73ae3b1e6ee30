"""Deviation index of radiography: where each acquisition protocol is centred, how far it scatters, and how it drifts."""

from __future__ import annotations

from typing import Any

from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import QUIET, RULE, TONES
from dose_audit.report.words import number, percent, plural, signed

__all__ = ["exposure_index_figures"]

MOST_ROWS = 45
MOST_LINES = 9


def exposure_index_figures(run: FrozenRun) -> list[Figure]:
    """Centre and scatter of every device and acquisition protocol, then the months of those that drift or stray most."""
    entries = [entry for entry in run.data.get("exposure_index") or [] if entry["median_di"] is not None]
    if not entries:
        return []
    entries.sort(key=lambda entry: (entry["site"], entry["equipment"], entry["acquisition_protocol"]))
    parts = [entries[start : start + MOST_ROWS] for start in range(0, len(entries), MOST_ROWS)]
    straying = sorted(entries, key=lambda entry: (-(entry["share_beyond_3"] or 0), -abs(entry["median_di"])))
    lines = [entry for entry in straying if len(entry["months"]) > 1][:MOST_LINES]
    return [
        *(_centres(part, index) for index, part in enumerate(parts, start=1)),
        *([_months(lines)] if lines else []),
    ]


def _name(entry: dict[str, Any]) -> str:
    return f"{entry['equipment']} · {entry['acquisition_protocol']}"


def _centres(entries: list[dict[str, Any]], index: int) -> Figure:
    import altair as alt

    data = [
        {
            "name": f"{_name(entry)} ({entry['n']})",
            "site": entry["site"],
            "median": entry["median_di"],
            "low": entry["median_di"] - (entry["sd_di"] or 0),
            "high": entry["median_di"] + (entry["sd_di"] or 0),
            "beyond": percent(100 * (entry["share_beyond_3"] or 0)),
            "tone": "act" if abs(entry["median_di"]) > 3 else "check" if abs(entry["median_di"]) > 1 else "ok",
        }
        for entry in entries
    ]
    reach = max(3.6, *(abs(item[side]) * 1.05 for item in data for side in ("low", "high")))
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    base = alt.Chart(inline(data)).encode(
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=260))
    )
    tones = alt.Color(
        "tone:N",
        legend=None,
        scale=alt.Scale(domain=["act", "check", "ok"], range=[TONES[name] for name in ("act", "check", "ok")]),
    )
    tooltip = [
        alt.Tooltip("name:N", title="Group"),
        alt.Tooltip("site:N", title="Site"),
        alt.Tooltip("median:Q", title="Median DI", format=".2f"),
        alt.Tooltip("beyond:N", title="Beyond ±3"),
    ]
    chart = alt.layer(
        _limits(alt, "x", scale, [-3, 3], RULE),
        _limits(alt, "x", scale, [-1, 0, 1], QUIET),
        base.mark_rule(size=2, opacity=0.7).encode(
            x=alt.X("low:Q", scale=scale, title="deviation index: median ± one standard deviation"),
            x2=alt.X2("high:Q"),
            color=tones,
        ),
        base.mark_point(filled=True, size=65, opacity=1).encode(
            x=alt.X("median:Q", scale=scale), color=tones, tooltip=tooltip
        ),
    ).properties(width=680, height=alt.Step(20))
    off = [entry for entry in entries if abs(entry["median_di"]) > 1]
    return Figure(
        f"deviation-index-{index}",
        "Deviation index by device and acquisition protocol",
        f"{len(off)} of {plural(len(entries), 'group')} "
        f"{'has its' if len(off) == 1 else 'have their'} median deviation index beyond ±1"
        + (": " + "; ".join(f"{_name(entry)}, {signed(entry['median_di'], 1)}" for entry in off[:6]) if off else "")
        + "; the outer lines stand at ±3.",
        finished(chart),
        [
            "Site", "Equipment", "Acquisition protocol", "n", "No target", "Median EI", "Targets", "Median DI", "SD",
            "Beyond ±3", "Drift of DI a year",
        ],
        [_row(entry) for entry in entries],
        wide=True,
    )  # fmt: skip


def _row(entry: dict[str, Any]) -> list[str]:
    drift = entry["drift_di_a_year"]
    known = entry["drift_low"] is not None and entry["drift_high"] is not None
    return [
        entry["site"],
        entry["equipment"],
        entry["acquisition_protocol"],
        str(entry["n"]),
        str(entry["n_without_target"]),
        number(entry["median_ei"]),
        ", ".join(f"{number(item['target'])} ({item['n']})" for item in entry["targets"]) or "–",
        signed(entry["median_di"], 2),
        "–" if entry["sd_di"] is None else f"{entry['sd_di']:.2f}",
        f"{entry['beyond_3']} ({percent(100 * (entry['share_beyond_3'] or 0))})",
        "–"
        if drift is None
        else signed(drift, 2)
        + (f" ({signed(entry['drift_low'], 2)} to {signed(entry['drift_high'], 2)})" if known else ""),
    ]


def _months(entries: list[dict[str, Any]]) -> Figure:
    import altair as alt

    data = [
        {"name": _name(entry), "time": f"{month['month']}-15", "n": month["n"], "median": month["median_di"]}
        for entry in entries
        for month in entry["months"]
    ]
    reach = max(3.6, *(abs(item["median"]) * 1.05 for item in data))
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    x = alt.X("time:T", axis=alt.Axis(format="%b %Y", tickCount=3, title=None, grid=False, labelOverlap=True))
    line = (
        alt.Chart()
        .mark_line(color=TONES["ok"], size=1.8, point={"filled": True, "size": 28, "color": TONES["ok"]})
        .encode(
            x=x,
            y=alt.Y("median:Q", scale=scale, title="median DI"),
            tooltip=[
                alt.Tooltip("name:N", title="Group"),
                alt.Tooltip("n:Q", title="Exams"),
                alt.Tooltip("median:Q", title="Median DI", format=".2f"),
            ],
        )
    )
    outer = [alt.Chart().mark_rule(color=RULE, strokeDash=[5, 3]).encode(y=alt.datum(at)) for at in (-3, 3)]
    inner = [alt.Chart().mark_rule(color=QUIET, strokeDash=[1, 2]).encode(y=alt.datum(at)) for at in (-1, 1)]
    chart = (
        alt.layer(*outer, *inner, line, data=inline(data))
        .properties(width=175, height=110)
        .facet(
            facet=alt.Facet("name:N", sort=None, title=None, header=alt.Header(labelLimit=190, labelAnchor="start")),
            columns=4,
            spacing={"row": 14, "column": 22},
        )
        .resolve_axis(x="independent")
    )
    return Figure(
        "deviation-index-months",
        "Deviation index month by month",
        "Monthly median deviation index of "
        + "; ".join(
            f"{_name(entry)} from {signed(min(m['median_di'] for m in entry['months']), 1)} to "
            f"{signed(max(m['median_di'] for m in entry['months']), 1)}"
            for entry in entries
        )
        + ".",
        finished(chart),
        ["Group", "Month", "n", "Median DI"],
        [
            [_name(entry), month["month"], str(month["n"]), signed(month["median_di"], 2)]
            for entry in entries
            for month in entry["months"]
        ],
        wide=True,
    )


def _limits(alt: Any, axis: str, scale: Any, places: list[float], colour: str) -> Any:
    """Thin rules at given values of one axis."""
    shown = alt.Chart(inline([{"at": place} for place in places]))
    return shown.mark_rule(color=colour, strokeDash=[4, 3], opacity=0.8).encode(**{axis: alt.X("at:Q", scale=scale)})
