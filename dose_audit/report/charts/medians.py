"""Medians against reference levels: each group's median and its interval as a multiple of the level."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import Any

from dose_audit.audit.emptiness import JUDGED
from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import GRID, INK, QUIET, RULE, TONES
from dose_audit.report.words import VERDICTS, band_order, number, plural, quantity_label, unit_label, with_band

__all__ = ["median_figures"]

MOST_ROWS = 24
"""Rows of one figure, each examination's heading among them: so high that two fit a printed page."""

_WIDTH = 700


def median_figures(run: FrozenRun) -> list[Figure]:
    """One figure a modality and quantity, over the groups that have a reference level."""
    panels: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in run.data["comparisons"]:
        if row["drl"] is not None and row["ratio"] is not None:
            panels[(row["modality"], row["quantity"])].append(row)
    figures = []
    for _, rows in sorted(panels.items()):
        parts, scale = _parts(rows), _scale(rows)
        figures += [_figure(part, scale, (index, len(parts))) for index, part in enumerate(parts, start=1)]
    return figures


def _parts(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows in order, parted between examinations so that each part fits a printed page."""
    rows = sorted(
        rows,
        key=lambda row: (
            row["examination_name"],
            band_order(row["band"]),
            row["site"],
            -row["ratio"],
            row["equipment"],
        ),
    )
    groups = [list(members) for _, members in groupby(rows, key=lambda row: (row["examination_name"], row["band"]))]
    whole = sum(len(members) + 1 for members in groups)
    # Parts of about equal length: a last one of two rows would stand alone.
    most = min(MOST_ROWS, -(-whole // -(-whole // MOST_ROWS)) + 3)
    parts: list[list[dict[str, Any]]] = [[]]
    filled = 0
    for together in groups:
        if parts[-1] and filled + len(together) + 1 > most:
            parts.append([])
            filled = 0
        parts[-1] += together
        filled += len(together) + 1
    return parts


def _said(rows: list[dict[str, Any]]) -> str:
    """What the chart shows, in words: verdicts first, then medians that lie above without being one."""
    judged = [row for row in rows if row["verdict"] in JUDGED]
    few = [row for row in rows if row["verdict"] == "INSUFFICIENT_N"]
    said = []
    if judged or not few:
        above = [row for row in judged if row["verdict"] == "ABOVE"]
        have = "has" if len(above) == 1 or len(judged) == 1 else "have"
        said.append(
            f"{len(above)} of {plural(len(judged), 'group')} {have} a median above the reference level{_named(above)}."
        )
    if few:
        high = [row for row in few if row["ratio"] > 1.0]
        lie = "lies" if len(high) == 1 else "lie"
        said.append(
            f"Of {plural(len(few), 'group')} with too few exams for a verdict, {len(high)} {lie} above it{_named(high)}."
        )
    return " ".join(said)


def _named(rows: list[dict[str, Any]]) -> str:
    named = "; ".join(
        f"{row['equipment']}, {with_band(row['examination_name'], row['band'])}: {number(row['ratio'], 3)} times the level"
        for row in rows[:6]
    )
    return f": {named}{' and others' if len(rows) > 6 else ''}" if named else ""


def _scale(rows: list[dict[str, Any]]) -> tuple[Any, list[float]]:
    """One axis for all parts of a panel: what is compared with one level looks alike on each."""
    return log_scale([1.0, *(_datum(row)[name] for row in rows for name in ("low", "ratio", "high"))])


def _figure(rows: list[dict[str, Any]], scale: tuple[Any, list[float]], part: tuple[int, int]) -> Figure:
    import altair as alt

    modality, quantity = rows[0]["modality"], rows[0]["quantity"]
    verdicts = {key: VERDICTS[key] for key in VERDICTS if any(row["verdict"] == key for row in rows)}
    words = [verdict.word for verdict in verdicts.values()]
    headings, data = _lines(rows)
    y = alt.Y("line:O", axis=None, scale=alt.Scale(domain=list(range(len(headings) + len(data)))))
    x_axis = alt.Axis(title="median as a multiple of the reference level", format="~r", values=scale[1], grid=True)
    colour = alt.Color(
        "verdict:N", title=None, scale=alt.Scale(domain=words, range=[TONES[v.tone] for v in verdicts.values()])
    )
    heads = alt.Chart(inline(headings)).encode(y=y, text="name:N")
    base = alt.Chart(inline(data)).encode(y=y)
    point = base.mark_point(size=75, filled=True, opacity=1).encode(
        x=alt.X("ratio:Q", scale=scale[0]),
        color=colour,
        shape=alt.Shape(
            "verdict:N", title=None, scale=alt.Scale(domain=words, range=[v.shape for v in verdicts.values()])
        ),
        tooltip=[
            alt.Tooltip("site:N", title="Site"),
            alt.Tooltip("equipment:N", title="Equipment"),
            alt.Tooltip("examination:N", title="Examination"),
            alt.Tooltip("n:Q", title="Exams"),
            alt.Tooltip("median:N", title="Median"),
            alt.Tooltip("interval:N", title="95 % interval"),
            alt.Tooltip("level:N", title="Reference level"),
            alt.Tooltip("verdict:N", title="Verdict"),
        ],
    )
    chart = alt.layer(
        base.mark_rule(color=GRID, strokeDash=[1, 3]).encode(x=alt.value(0), x2=alt.value(_WIDTH)),
        base.mark_rule(size=2, opacity=0.75).encode(
            x=alt.X("low:Q", scale=scale[0], axis=x_axis), x2=alt.X2("high:Q"), color=colour
        ),
        point,
        alt.Chart(inline([{}])).mark_rule(color=RULE, size=1.5).encode(x=alt.datum(1, type="quantitative")),
        heads.mark_text(align="left", x=4, dy=1, fontSize=12, fontWeight=600, color=INK),
        base.mark_text(align="right", x=-8, fontSize=11, limit=230, color=QUIET).encode(text="device:N"),
    ).properties(width=_WIDTH, height=alt.Step(18))
    alt_text = f"{modality} {quantity_label(quantity)}: {_said(rows)}"
    return Figure(
        f"medians-{modality}-{quantity}".lower() + (f"-{part[0]}" if part[0] > 1 else ""),
        f"{modality}: {quantity_label(quantity)} against reference levels"
        + (f" ({part[0]} of {part[1]})" if part[1] > 1 else ""),
        alt_text,
        finished(chart),
        ["Site", "Equipment", "Examination", "n", "Median", "95 % interval", "Reference level", "Ratio", "Verdict"],
        [
            [
                row["site"],
                row["equipment"],
                with_band(row["examination_name"], row["band"]),
                str(row["n"]),
                _with_unit(row["median"], row),
                _interval(row),
                _with_unit(row["drl"]["value"], row),
                number(row["ratio"], 3),
                f"{VERDICTS[row['verdict']].mark} {VERDICTS[row['verdict']].word}",
            ]
            for row in rows
        ],
        wide=True,
    )


def _lines(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Headings and rows, each with its line from the top: an examination's name, and its devices below."""
    headings: list[dict[str, Any]] = []
    data = []
    for row in map(_datum, rows):
        if not headings or headings[-1]["name"] != row["examination"]:
            headings.append({"name": row["examination"], "line": len(headings) + len(data)})
        data.append(row | {"line": len(headings) + len(data)})
    return headings, data


def _datum(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "device": f"{row['site']} · {row['equipment']} ({row['n']})",
        "site": row["site"],
        "equipment": row["equipment"],
        "examination": with_band(row["examination_name"], row["band"]),
        "n": row["n"],
        "ratio": row["ratio"],
        "low": (row["ci_low"] or row["median"]) / row["drl"]["value"],
        "high": (row["ci_high"] or row["median"]) / row["drl"]["value"],
        "median": _with_unit(row["median"], row),
        "interval": _interval(row),
        "level": f"{_with_unit(row['drl']['value'], row)} ({row['drl']['set']}, {row['drl']['edition']})",
        "verdict": VERDICTS[row["verdict"]].word,
    }


def _with_unit(value: float | None, row: dict[str, Any]) -> str:
    return f"{number(value)} {unit_label(row['unit'])}" if value is not None else "–"


def _interval(row: dict[str, Any]) -> str:
    if row["ci_low"] is None or row["ci_high"] is None:
        return "–"
    return f"{number(row['ci_low'])} to {number(row['ci_high'])}"
