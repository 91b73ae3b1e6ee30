"""The report page: one HTML file that needs nothing but itself, and the same page without its script for print."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from dose_audit.report import words
from dose_audit.report.charts import Figure
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.static import offline_bundle, to_svg

if TYPE_CHECKING:
    import jinja2

__all__ = ["SECTIONS", "draw", "report_page", "templates", "text_of"]

SECTIONS = [
    ("completeness", "Completeness"),
    ("actions", "Actions"),
    ("medians", "Medians"),
    ("distributions", "Distributions"),
    ("funnel", "Sites"),
    ("components", "Spread"),
    ("trends", "Trends"),
    ("monitors", "Running charts"),
    ("size", "Patient size"),
    ("procedures", "Procedures"),
    ("exposure-index", "Exposure index"),
    ("agd", "Mammography"),
    ("dose-check", "Dose Check"),
    ("outliers", "Outliers"),
    ("changes", "Changes"),
    ("quality", "Image quality"),
    ("left-out", "Left out"),
    ("methods", "Methods"),
]
"""Anchor and menu word of each section in order; its template bears the anchor's name."""

_SEVERITIES = ("act", "check", "note")
_TELLING_P = 0.05


def draw(figures: dict[str, list[Figure]]) -> dict[str, str]:
    """Static drawings of all figures, by the figure's id."""
    return {figure.id: to_svg(figure.spec, figure.id) for section in figures.values() for figure in section}


def report_page(
    run: FrozenRun, figures: dict[str, list[Figure]], drawings: dict[str, str], *, interactive: bool = True
) -> str:
    """The run's page.

    Parameters
    ----------
    run : FrozenRun
    figures : dict
        Figures by section, as ``ALL_CHARTS`` gives them.
    drawings : dict
        From `draw`.
    interactive : bool
        With the script that brings the charts to life; print needs none.

    Returns
    -------
    str
        HTML.
    """
    specs = {figure.id: figure.spec for section in figures.values() for figure in section}
    with_quality = bool(run.data.get("image_quality"))
    page: str = (
        templates()
        .get_template("report.html.j2")
        .render(
            data=run.data,
            run=run.data["run"],
            complete=run.data["completeness"],
            sections=[section for section in SECTIONS if section[0] != "quality" or with_quality],
            findings=_findings(run.data),
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
            bundle=offline_bundle() if interactive else "",
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
        "unit": words.unit_label,
        "day": _day,
        "moment": _moment,
        "short": lambda text: (text or "")[:12],
        "banded": words.with_band,
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
