"""The report page: one HTML file that needs nothing but itself."""

from __future__ import annotations

import json
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from dose_audit.report import words
from dose_audit.report.charts import Figure
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.static import offline_bundle, to_svg

__all__ = ["write_page"]

_SEVERITIES = ("act", "check", "note")


def write_page(run: FrozenRun, figures: dict[str, list[Figure]], path: Path) -> None:
    """Write the run's page.

    Parameters
    ----------
    run : FrozenRun
    figures : dict
        Figures by section, as ``ALL_CHARTS`` gives them.
    path : Path
        File to write, UTF-8.
    """
    import jinja2

    templates = resources.files("dose_audit.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (templates / name).read_text(encoding="utf-8")),
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
    }
    specs = {figure.id: figure.spec for section in figures.values() for figure in section}
    page = environment.get_template("report.html.j2").render(
        data=run.data,
        run=run.data["run"],
        complete=run.data["completeness"],
        findings=_findings(run.data),
        comparisons=_comparisons(run.data),
        figures=figures,
        drawings={name: to_svg(spec, name) for name, spec in specs.items()},
        specs=_script_safe(specs),
        verdicts=words.VERDICTS,
        severities=words.SEVERITY_WORDS,
        kinds=words.KIND_WORDS,
        quantity_label=words.quantity_label,
        css=(templates / "report.css").read_text(encoding="utf-8"),
        script=(templates / "report.js").read_text(encoding="utf-8"),
        bundle=offline_bundle(),
    )
    path.write_text(page, encoding="utf-8", newline="\n")


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
