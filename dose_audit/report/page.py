"""The report page: one HTML file that needs nothing but itself, and the same page without its script for print."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from dose_audit.report import words
from dose_audit.report.charts import Figure
from dose_audit.report.charts.verdicts import LOOKS, look_of, verdict_rows
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.stamp import version_stamp
from dose_audit.report.static import offline_bundle, to_svg
from dose_audit.report.summary import few_told, no_validity_told, summary_lines, summary_tiles

if TYPE_CHECKING:
    from pathlib import Path

    import jinja2

__all__ = ["SECTIONS", "draw", "report_page", "templates", "text_of"]

SECTIONS = [
    ("summary", "In short", None),
    ("actions", "Actions", None),
    ("completeness", "Completeness", None),
    ("medians", "Medians", "no exam was compared"),
    ("verdicts", "Verdicts", "no period has closed on a group with a reference level"),
    ("local-levels", "Local levels", "no local reference level or typical value has been proposed"),
    ("distributions", "Distributions", "no group has five exams"),
    ("funnel", "Sites", "no examination is done at two sites with ten exams each"),
    ("components", "Spread", "no group has enough sites and scanners to part its spread"),
    ("trends", "Trends", "no group has twenty dated exams"),
    ("monitors", "Running charts", "no device has enough exams for one"),
    ("changes", "Changes", "no event, no new software and no step in dose"),
    ("size", "Patient size", "no group has fifty exams with a known size"),
    ("procedures", "Procedures", "no procedure under fluoroscopy was compared"),
    ("exposure-index", "Exposure index", "no radiography with an exposure index and its target"),
    ("agd", "Mammography", "no mammography with thickness and glandular dose"),
    ("dose-check", "Dose Check", "no scanner's report carries a Dose Check"),
    ("outliers", "Outliers", "no exam was flagged as far from its group"),
    ("worksheets", "Worksheets", "no single exam calls for a worksheet of significant exposures"),
    ("quality", "Image quality", "no phantom was measured and none is on a schedule"),
    ("left-out", "Left out", None),
    ("methods", "Methods", None),
]
"""Anchor and menu word of each section in order, and why it may be missing; its template bears the anchor's name.

First the answer, then what is to be done, then the evidence.
"""

_FIGURES = {
    "medians": ("medians",),
    "verdicts": ("verdicts",),
    "distributions": ("distributions",),
    "funnel": ("funnel",),
    "components": ("components",),
    "trends": ("trends",),
    "monitors": ("monitors",),
    "changes": ("changes",),
    "size": ("size", "size_specific"),
    "procedures": ("procedures",),
    "exposure-index": ("exposure_index",),
    "agd": ("agd", "agd_agreement"),
    "dose-check": ("dose_check",),
    "outliers": ("outliers",),
}
"""Figures that a section is drawn with."""

_ENTRIES = {
    "medians": "comparisons",
    "local-levels": "local_levels",
    "components": "cross_site",
    "outliers": "outliers",
    "worksheets": "significant_exposures",
    "quality": "image_quality",
}
"""Entries of ``report.json`` that a section shows even where nothing of them is drawn."""

_SEVERITIES = ("act", "check", "note")
_TOGETHER_FROM = 4
"""So many findings of one kind on one device are one card."""
_DEVICES_FROM = 6
"""So many devices of a site to check for one and the same reason are one card."""
_TELLING_P = 0.05


def draw(figures: dict[str, list[Figure]]) -> dict[str, str]:
    """Static drawings of all figures, by the figure's id."""
    return {figure.id: to_svg(figure.spec, figure.id) for section in figures.values() for figure in section}


def report_page(
    run: FrozenRun,
    figures: dict[str, list[Figure]],
    drawings: dict[str, str],
    *,
    interactive: bool = True,
    kept_in: Path | None = None,
) -> str:
    """The run's page.

    Parameters
    ----------
    run : FrozenRun
    figures : dict
        Figures by section, as `all_figures` gives them.
    drawings : dict
        From `draw`.
    interactive : bool
        With the script that brings the charts to life; print needs none.
    kept_in : Path, optional
        Where that script is kept between reports.

    Returns
    -------
    str
        HTML.
    """
    specs = {figure.id: figure.spec for section in figures.values() for figure in section}
    judged, cards = verdict_rows(run), _cards(run.data)
    shown = [section for section in SECTIONS if section[2] is None or _has(run.data, section[0], figures, judged)]
    page: str = (
        templates()
        .get_template("report.html.j2")
        .render(
            data=run.data,
            run=run.data["run"],
            complete=run.data["completeness"],
            stamp=version_stamp(run),
            sections=[(name, menu) for name, menu, _ in shown],
            absent=[(menu, why) for name, menu, why in SECTIONS if (name, menu, why) not in shown],
            answer=summary_lines(run.data),
            tiles=summary_tiles(run.data),
            few_above=few_told(run.data["comparisons"]),
            undated=no_validity_told(run.data["comparisons"]),
            findings=_findings(run.data),
            cards=[card for card in cards if not _of_many(card)],
            wide_cards=[card for card in cards if _of_many(card)],
            roles=_roles(run.data),
            judged=judged,
            look_of=look_of,
            looks=LOOKS,
            national=_national(run.data),
            comparisons=_comparisons(run.data),
            pairs=_pairs(run.data),
            figures=figures,
            drawings=drawings,
            interactive=interactive,
            specs=_script_safe(specs),
            verdicts=words.VERDICTS,
            severities=words.SEVERITY_WORDS,
            kinds=words.KIND_WORDS,
            quantity_label=words.quantity_label,
            css=text_of("report.css"),
            script=text_of("report.js"),
            bundle=offline_bundle(kept_in) if interactive else "",
        )
    )
    return page


def text_of(name: str) -> str:
    """A file of the templates' folder."""
    return (resources.files("dose_audit.report") / "templates" / name).read_text(encoding="utf-8")


@cache
def templates() -> jinja2.Environment:
    """The report's templates with their filters."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": words.number,
        "percent": words.percent,
        "plural": words.plural,
        "whole": words.whole,
        "unit": words.unit_label,
        "day": _day,
        "moment": _moment,
        "short": lambda text: (text or "")[:12],
        "banded": words.with_band,
        "days": words.with_days,
        "sentence": lambda text: text.replace("_", " ").capitalize(),
        "p_value": words.p_value,
    }
    return environment


def _source(name: str) -> str | None:
    """A template's text; none where a room that would bring one is not there."""
    return text_of(name) if (resources.files("dose_audit.report") / "templates" / name).is_file() else None


def _findings(data: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {severity: [] for severity in _SEVERITIES}
    for finding in data["findings"]:
        grouped[finding["severity"]].append(finding)
    return grouped


def _has(data: dict[str, Any], name: str, figures: dict[str, list[Figure]], judged: list[dict[str, Any]]) -> bool:
    """Whether a section has anything to show in this run."""
    if name == "verdicts":
        return bool(judged)
    drawn = any(figures[part] for part in _FIGURES.get(name, ()))
    return drawn or bool(data.get(_ENTRIES.get(name, "")))


def _cards(data: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Findings to act on or to check as cards: many of one kind on one device share one, and so do many devices of a site to
    check for the same reason."""
    told = [finding for finding in data["findings"] if finding["severity"] != "note"]
    by_device = _alike(
        told, lambda finding: (finding["severity"], finding["kind"], finding["site"], finding["equipment"])
    )
    cards, single = [], []
    for members in by_device:
        if len(members) >= _TOGETHER_FROM:
            cards.append(members)
        else:
            single += members
    for members in _alike(single, lambda finding: (finding["kind"], finding["site"], finding.get("likely_causes"))):
        many = members[0]["severity"] == "check" and len({finding["equipment"] for finding in members}) >= _DEVICES_FROM
        cards += [members] if many else [[finding] for finding in members]
    place = {finding["key"]: number for number, finding in enumerate(told)}
    return sorted(cards, key=lambda card: (_SEVERITIES.index(card[0]["severity"]), place[card[0]["key"]]))


def _of_many(card: list[dict[str, Any]]) -> bool:
    """Whether a card tells of several devices."""
    return len({finding["equipment"] for finding in card}) > 1


def _alike(findings: list[dict[str, Any]], key: Callable[[dict[str, Any]], Any]) -> list[list[dict[str, Any]]]:
    """Findings with the same key beside each other, in the order of the first of each."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for finding in findings:
        groups.setdefault(repr(key(finding)), []).append(finding)
    return list(groups.values())


def _roles(data: dict[str, Any]) -> list[tuple[str, int]]:
    """Who has how many open findings to act on or to check."""
    counts: dict[str, int] = {}
    for finding in data["findings"]:
        role = finding.get("for_role")
        if role and finding["severity"] != "note" and finding["state"] != "acknowledged":
            counts[role] = counts.get(role, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _national(data: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The reference level that each examination, band and quantity was compared with, for local levels to stand beside."""
    local = {entry["set"] for entry in data.get("local_levels") or []}
    return {
        (row["examination"], row["band"] or "", row["quantity"]): row["drl"]
        for row in data["comparisons"]
        if row["drl"] and row["drl"]["set"] not in local
    }


def _comparisons(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the main table, examination by examination."""
    return sorted(
        data["comparisons"],
        key=lambda row: (
            row["modality"],
            row["examination_name"],
            words.band_order(row["band"]),
            row["quantity"],
            row["site"],
            row["equipment"],
        ),
    )


def _pairs(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Pairs of sites that differ, the surest first."""
    found = [
        {"entry": entry, "pair": pair}
        for entry in data.get("cross_site") or []
        for pair in entry["dunn"]
        if pair["p_adjusted"] is not None and pair["p_adjusted"] < _TELLING_P
    ]
    return sorted(
        found, key=lambda row: (row["pair"]["p_adjusted"], row["entry"]["examination"], row["entry"]["quantity"])
    )


def _script_safe(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _day(text: str | None) -> str:
    if not text:
        return "–"
    moment = datetime.fromisoformat(text)
    return f"{moment.day} {moment:%B %Y}"


def _moment(text: str | None) -> str:
    if not text:
        return "–"
    moment = datetime.fromisoformat(text)
    zone = " UTC" if moment.tzinfo is not None and not moment.utcoffset() else ""
    return f"{moment.day} {moment:%b %Y, %H:%M}{zone}"
