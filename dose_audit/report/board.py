"""The plain-English page for patients and boards: what was checked and how doses compare, with nobody and nothing named."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.emptiness import JUDGED
from dose_audit.report.charts.axes import PERCENT, log_scale
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun, group_key
from dose_audit.report.page import templates, text_of
from dose_audit.report.stamp import version_stamp
from dose_audit.report.static import to_svg
from dose_audit.report.theme import RULE, TONES
from dose_audit.report.words import plural, with_band

__all__ = ["board_page", "board_rows"]

_AT_LEVEL = 0.05
"""A typical dose this near to the level is called *about at* it: no reader acts on less."""

_FIRST_QUANTITY = ("DLP", "KAP", "AGD", "CTDIvol", "dose_rp")
"""The one quantity of an examination that stands for its whole dose, the first that has a level."""

PLAIN_KINDS = {
    "drl_exceeded": "typical dose above the level on a machine",
    "step_change": "lasting change in dose on a machine",
    "low_dose_check_iq": "unusually low dose, so that picture quality is checked",
    "unit_slip": "dose recorded in the wrong unit",
    "outlier": "single examination with a dose unlike others of its kind",
    "high_exposure": "single examination above a level at which experts look at it",
    "silent_device": "machine that stopped sending its records",
    "phantom_out_of_tolerance": "machine whose test pictures are not as they should be",
    "phantom_out_of_control": "machine whose test pictures have changed",
    "phantom_not_measured": "test picture that has to be taken again",
    "phantom_overdue": "test of a machine that is late",
    "dose_cut_images_worse": "machine on which a lower dose made the pictures worse",
}
"""What findings mean to a reader outside; all other kinds are matters of record keeping."""


def board_rows(run: FrozenRun, *, smallest: int) -> list[dict[str, Any]]:
    """Kinds of examination with their typical dose against their reference level, over all sites together.

    Returns
    -------
    list of dict
        ``name, n, ratio, words, machines, machines_above, few, few_above, told, sets``; only kinds with at least twice
        `smallest` exams, so that no few people are spoken of. ``n`` is rounded to tens. ``machines`` have enough exams for a
        verdict of their own, ``few`` have not; ``told`` says of both how many lie above. ``sets`` are those of the levels.
    """
    pooled: dict[tuple[str, str], dict[str, Any]] = {}
    values: dict[tuple[str, str, str], list[NDArray[np.float64]]] = defaultdict(list)
    machines: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in run.data["comparisons"]:
        group = run.groups.get(group_key(row))
        if row["drl"] is None or group is None or row["quantity"] not in _FIRST_QUANTITY:
            continue
        key = (row["examination"], row["band"] or "")
        values[(*key, row["quantity"])].append(group.values / row["drl"]["value"])
        machines[(*key, row["quantity"])].append(row)
        best = pooled.setdefault(key, row)
        if _FIRST_QUANTITY.index(row["quantity"]) < _FIRST_QUANTITY.index(best["quantity"]):
            pooled[key] = row
    rows = []
    for key, row in pooled.items():
        ratios = np.concatenate(values[(*key, row["quantity"])])
        if len(ratios) < 2 * smallest:
            continue
        ratio = float(np.median(ratios))
        groups = machines[(*key, row["quantity"])]
        judged, few = _machines(groups)
        word = "about at" if abs(ratio - 1) <= _AT_LEVEL else "above" if ratio > 1 else "below"
        rows.append(
            {
                "name": _plain(row),
                "n": round(len(ratios), -1),
                "ratio": ratio,
                "words": word,
                "machines": len(judged),
                "machines_above": sum(judged.values()),
                "few": len(few),
                "few_above": sum(few.values()),
                "told": _told(judged, few),
                "sets": sorted({group["drl"]["set"] for group in groups}),
            }
        )
    return sorted(rows, key=lambda row: (-row["ratio"], row["name"]))


def _machines(groups: list[dict[str, Any]]) -> tuple[dict[tuple[str, str], bool], dict[tuple[str, str], bool]]:
    """Machines with a verdict, and those with too few exams for one: whether each lies above."""
    judged: dict[tuple[str, str], bool] = {}
    few: dict[tuple[str, str], bool] = {}
    for group in groups:
        machine, has_verdict = (group["site"], group["equipment"]), group["verdict"] in JUDGED
        above = group["verdict"] == "ABOVE" if has_verdict else (group["ratio"] or 0.0) > 1.0
        found = judged if has_verdict else few
        found[machine] = found.get(machine, False) or above
    return judged, {machine: above for machine, above in few.items() if machine not in judged}


def _told(judged: dict[tuple[str, str], bool], few: dict[tuple[str, str], bool]) -> str:
    told = f"{sum(judged.values()) or 'none'} of {len(judged)}" if judged else "none judged"
    if not few:
        return told
    return f"{told}; {len(few)} with too few examinations" + (
        f", {sum(few.values())} of them above" if any(few.values()) else ""
    )


_NOT_OF_A_NATION = ("EU", "INTL", "local")


def _level_words(run: FrozenRun, rows: list[dict[str, Any]]) -> str:
    """What the levels are called: of a nation only where all that answer are."""
    used = {name for row in rows for name in row["sets"]}
    regions = {one.get("region") for one in run.data["run"]["drl_sets"] if one["set"] in used or not used}
    if regions == {"local"}:
        return "local level"
    of_nations = regions and all(region and region not in _NOT_OF_A_NATION for region in regions)
    return "national level" if of_nations else "reference level"


_KINDS = {
    "CT": "CT: ",
    "MG": "",
    "XA": "Under X-ray guidance: ",
    "RF": "Under X-ray guidance: ",
    "DX": "X-ray: ",
    "CR": "X-ray: ",
}


def _plain(row: dict[str, Any]) -> str:
    """A kind of examination as a reader outside says it."""
    name = with_band(row["examination_name"], row["band"]).replace("–<", " to under ")
    return f"{_KINDS.get(row['modality'], '')}{name}"


def board_page(run: FrozenRun, *, smallest: int) -> str:
    """The page as HTML that stands alone, without script.

    Parameters
    ----------
    run : FrozenRun
    smallest : int
        Smallest number of exams or findings that is named.

    Returns
    -------
    str
    """
    rows = board_rows(run, smallest=smallest)
    level = _level_words(run, rows)
    figure = _figure(rows, level) if rows else None
    page: str = (
        templates()
        .get_template("board.html.j2")
        .render(
            run=run.data["run"],
            stamp=version_stamp(run),
            network=run.data["run"]["network"],
            compared=_rounded(run.data["completeness"]["compared"], smallest),
            rows=rows,
            level=level,
            single=sum(row["machines_above"] > 0 for row in rows),
            judged=any(row["machines"] for row in rows),
            few=any(row["few"] for row in rows),
            few_above=sum(row["few_above"] > 0 for row in rows),
            counts={word: sum(row["words"] == word for row in rows) for word in ("below", "about at", "above")},
            kinds=_kinds(run, smallest),
            figure=figure,
            drawing=to_svg(figure.spec, figure.id) if figure else "",
            smallest=smallest,
            css=text_of("report.css"),
        )
    )
    return page


def _rounded(count: int, smallest: int) -> str:
    return f"fewer than {smallest}" if 0 < count < smallest else f"{round(count, -2 if count >= 1000 else -1):,}"


def _kinds(run: FrozenRun, smallest: int) -> list[tuple[str, str]]:
    """How often each kind of finding was looked into, small numbers hidden."""
    counts: dict[str, int] = defaultdict(int)
    for finding in run.data["findings"]:
        if finding["severity"] in ("act", "check"):
            counts[PLAIN_KINDS.get(finding["kind"], "question of record keeping")] += 1
    return [
        (words, f"fewer than {smallest}" if count < smallest else str(count)) for words, count in sorted(counts.items())
    ]


def _figure(rows: list[dict[str, Any]], level: str) -> Figure:
    import altair as alt

    tones = {"below": "ok", "about at": "check", "above": "act"}
    shapes = {"below": "circle", "about at": "diamond", "above": "triangle-up"}
    present = [word for word in tones if any(row["words"] == word for row in rows)]
    scale, ticks = log_scale([1.0, *(row["ratio"] for row in rows)])
    axis = alt.Axis(values=ticks, labelExpr=PERCENT, title=f"typical dose as a share of the {level}")
    domain = alt.Scale(domain=present, range=[TONES[tones[word]] for word in present])
    chart = alt.layer(
        alt.Chart(inline([{"one": 1}])).mark_rule(color=RULE, size=1.6).encode(x=alt.X("one:Q", scale=scale)),
        alt.Chart(inline(rows))
        .mark_point(filled=True, size=95, opacity=1)
        .encode(
            x=alt.X("ratio:Q", scale=scale, axis=axis),
            y=alt.Y(
                "name:N", title=None, sort=None, axis=alt.Axis(labelLimit=330, domain=False, ticks=False, grid=True)
            ),
            color=alt.Color("words:N", title=None, scale=domain, legend=alt.Legend(title="compared with the level")),
            shape=alt.Shape("words:N", scale=alt.Scale(domain=present, range=[shapes[word] for word in present])),
        ),
        *_single_machines(rows, scale),
    ).properties(width=420, height=alt.Step(22))
    above = [row["name"] for row in rows if row["words"] == "above"]
    words = f"Typical doses of {plural(len(rows), 'kind')} of examination against the {level}"
    words += f"; above it: {', '.join(above)}." if above else "; none is above it."
    single = [f"{row['name']} ({row['told']})" for row in rows if row["machines_above"] or row["few_above"]]
    nowhere = " No machine is above it." if any(row["machines"] for row in rows) else ""
    words += f" Above it on single machines: {', '.join(single)}." if single else nowhere
    return Figure("board", "How our typical doses compare", words, finished(chart), [], [], wide=True)


def _single_machines(rows: list[dict[str, Any]], scale: Any) -> list[Any]:
    """Beside a kind's mark how many machines lie above the level: the mark of all together may hide one."""
    import altair as alt

    told = [
        {
            "name": row["name"],
            "ratio": max(row["ratio"], 1.0),
            "note": f"▲ above on {row['machines_above']} of {row['machines']} machines",
        }
        for row in rows
        if row["machines_above"] and row["machines"] > 1
    ]
    if not told:
        return []
    look: dict[str, Any] = {"align": "left", "dx": 9, "fontSize": 10.5, "color": TONES["act"]}
    text = alt.Chart(inline(told)).mark_text(**look)
    return [text.encode(x=alt.X("ratio:Q", scale=scale), y=alt.Y("name:N", sort=None), text="note:N")]
