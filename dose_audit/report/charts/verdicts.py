"""Verdicts of the fixed periods: a row a group, a column a period, both axes of each verdict in one mark."""

from __future__ import annotations

from typing import Any

from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import TONES
from dose_audit.report.words import band_order, number, plural, quantity_label, with_band

__all__ = ["LOOKS", "look_of", "verdict_figures", "verdict_rows"]

MOST_ROWS = 36

LOOKS = {
    "above": ("above, shown", "triangle-up", "act", "▲"),
    "flagged": ("above, not shown", "diamond", "check", "◆"),
    "not_above": ("not above", "circle", "ok", "●"),
    "too_few": ("too few exams", "cross", "quiet", "○"),
}
"""Words, shape, tone and mark of each way in which the ICRP flag and the evidence can go together."""


def look_of(verdict: dict[str, Any]) -> str:
    """Key of `LOOKS` for one period's verdict."""
    if verdict["icrp_flag"] is None:
        return "too_few"
    if not verdict["icrp_flag"]:
        return "not_above"
    return "above" if verdict["evidence"] == "exceeds" else "flagged"


def verdict_rows(run: FrozenRun) -> list[dict[str, Any]]:
    """Groups with a reference level and their verdicts; those that are or were above first."""
    rows = [row for row in run.data["comparisons"] if row["drl"] and (row.get("verdicts") or {}).get("periods")]
    return sorted(
        rows,
        key=lambda row: (
            row["verdicts"]["finding"] != "standing",
            -sum(look_of(one) == "above" for one in row["verdicts"]["periods"]),
            -sum(look_of(one) == "flagged" for one in row["verdicts"]["periods"]),
            row["examination_name"],
            band_order(row["band"]),
            row["quantity"],
            row["site"],
            row["equipment"],
        ),
    )


def verdict_figures(run: FrozenRun) -> list[Figure]:
    """One figure, where verdicts were given at two closes or more; a single look stands in the medians already."""
    import altair as alt

    rows = verdict_rows(run)
    order = sorted({(one["first"] or "", one["name"]) for row in rows for one in row["verdicts"]["periods"]})
    names = [name for _, name in order]
    if len(names) < 2:
        return []
    shown = rows[:MOST_ROWS]
    data = [
        {
            "group": _group(row),
            "period": one["name"],
            "look": LOOKS[look_of(one)][0],
            "n": one["n"],
            "median": number(one["median"]),
            "level": number(row["drl"]["value"]),
            "finding": one["finding"],
        }
        for row in shown
        for one in row["verdicts"]["periods"]
    ]
    looks = [look for look in LOOKS.values() if any(item["look"] == look[0] for item in data)]
    words = [look[0] for look in looks]
    chart = (
        alt.Chart(inline(data))
        .mark_point(filled=True, size=90, opacity=1)
        .encode(
            x=alt.X(
                "period:N",
                title="period whose close gave the verdict",
                sort=names,
                axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False),
            ),
            y=alt.Y(
                "group:N",
                title=None,
                sort=[_group(row) for row in shown],
                axis=alt.Axis(grid=True, gridDash=[1, 3], domain=False, ticks=False, labelLimit=430),
            ),
            color=alt.Color(
                "look:N", title=None, scale=alt.Scale(domain=words, range=[TONES[one[2]] for one in looks])
            ),
            shape=alt.Shape("look:N", title=None, scale=alt.Scale(domain=words, range=[one[1] for one in looks])),
            tooltip=[
                alt.Tooltip("group:N", title="Group"),
                alt.Tooltip("period:N", title="Period"),
                alt.Tooltip("n:Q", title="Exams"),
                alt.Tooltip("median:N", title="Median"),
                alt.Tooltip("level:N", title="Reference level"),
                alt.Tooltip("look:N", title="Verdict"),
            ],
        )
        .properties(width=max(260, 110 * len(names)), height=alt.Step(20))
    )
    standing = [row for row in rows if row["verdicts"]["finding"] == "standing"]
    told = f"{plural(len(rows), 'group')} judged over {plural(len(names), 'period')}; "
    told += (
        "an exceedance stands for " + "; ".join(_group(row) for row in standing[:4])
        if standing
        else "no exceedance stands"
    )
    return [
        Figure(
            "verdicts-periods",
            "Verdicts at the close of each period",
            f"{told}{f'; the first {MOST_ROWS} are drawn' if len(rows) > MOST_ROWS else ''}.",
            finished(chart),
            ["Group", "Period", "n", "Median", "Level", "Verdict"],
            [
                [item["group"], item["period"], str(item["n"]), item["median"], item["level"], item["look"]]
                for item in data
            ],
            wide=True,
        )
    ]


def _group(row: dict[str, Any]) -> str:
    name = with_band(row["examination_name"], row["band"])
    return f"{row['equipment']}, {row['site']}: {name} · {quantity_label(row['quantity'])}"
