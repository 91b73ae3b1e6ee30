"""Single exams far from their own group: every exam of the group as a grey mark, the flagged ones in colour."""

from __future__ import annotations

from typing import Any

import numpy as np

from dose_audit.report.charts.axes import log_scale
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun, GroupKey, group_key
from dose_audit.report.theme import QUIET, TONES
from dose_audit.report.words import KIND_WORDS, number, plural, quantity_label, unit_label

__all__ = ["outlier_figures"]

MOST_POINTS = 300
_KINDS = ("outlier", "high_exposure")


def outlier_figures(run: FrozenRun) -> list[Figure]:
    """One figure over the groups that hold a flagged exam, or nothing where none was flagged."""
    import altair as alt

    flagged = _flagged(run)
    if not flagged:
        return []
    background: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    rows: list[list[str]] = []
    for key, (first, findings) in sorted(flagged.items(), key=lambda item: item[0]):
        group = run.groups[key]
        median = float(np.median(group.values))
        if median <= 0:
            continue
        label = f"{key[1]}: {first['examination_name']}, {quantity_label(key[4])}"
        step = max(1, -(-len(group) // MOST_POINTS))
        background += [{"group": label, "ratio": v / median} for v in np.sort(group.values)[::step].tolist() if v > 0]
        for finding, value in findings:
            text = f"{number(value)} {unit_label(first['unit'])}"
            marks.append({"group": label, "ratio": value / median, "value": text, "kind": KIND_WORDS[finding["kind"]]})
            rows.append(
                [
                    label,
                    finding["evidence"]["exam_ref"],
                    text,
                    f"{number(value / median)} ×",
                    KIND_WORDS[finding["kind"]],
                ]
            )
    scale, ticks = log_scale(point["ratio"] for point in background + marks)
    x = alt.X(
        "ratio:Q",
        scale=scale,
        axis=alt.Axis(format="~r", values=ticks),
        title="dose as a multiple of the group's median",
    )
    y = alt.Y("group:N", title=None, axis=alt.Axis(labelLimit=420, domain=False, ticks=False))
    chart = alt.layer(
        alt.Chart(inline(background)).mark_tick(color=QUIET, opacity=0.35, size=12).encode(x=x, y=y),
        alt.Chart(inline(marks))
        .mark_point(shape="triangle-up", filled=True, size=90, color=TONES["act"], opacity=1)
        .encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("group:N", title="Group"),
                alt.Tooltip("value:N", title="Value"),
                alt.Tooltip("ratio:Q", title="× median", format=".3~r"),
                alt.Tooltip("kind:N", title="Why"),
            ],
        ),
    ).properties(width=580, height=alt.Step(26))
    largest = max(marks, key=lambda mark: mark["ratio"])
    return [
        Figure(
            "outlier-groups",
            "Flagged exams within their groups",
            f"{plural(len(marks), 'flagged exam')} in {plural(len(flagged), 'group')}; the largest, {largest['value']}, "
            f"is {number(largest['ratio'])} times the median of {largest['group']}.",
            finished(chart),
            ["Group", "Exam", "Value", "Times the median", "Why"],
            rows,
            wide=True,
        )
    ]


_Flagged = dict[GroupKey, tuple[dict[str, Any], list[tuple[dict[str, Any], float]]]]


def _flagged(run: FrozenRun) -> _Flagged:
    """Findings on single exams, by the group that the exam belongs to, with a row of it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    by_exam: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for finding in run.data["findings"]:
        evidence = finding["evidence"]
        if finding["kind"] in _KINDS and evidence.get("exam_ref"):
            # One quantity, or several of the same exam.
            for item in evidence.get("values") or [evidence]:
                if item.get("quantity"):
                    by_exam.setdefault((evidence["exam_ref"], item["quantity"]), []).append(finding)
    flagged: _Flagged = {}
    if not by_exam:
        return flagged
    table = run.columns(
        ["exam_ref", "site", "equipment", "examination", "examination_name", "band", "quantity", "unit", "value"]
    )
    exams = pa.array(sorted({exam for exam, _ in by_exam}), pa.string())
    for row in table.filter(pc.is_in(table["exam_ref"].cast(pa.string()), value_set=exams)).to_pylist():
        key = group_key(row)
        for finding in by_exam.get((row["exam_ref"], row["quantity"]), []):
            if row["value"] and key in run.groups:
                flagged.setdefault(key, (row, []))[1].append((finding, row["value"]))
    return flagged
