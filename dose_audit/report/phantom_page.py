"""One phantom measurement as a page that stands alone: fit or not and why, every value, and where it was measured."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2

from dose_audit.phantom.picture import COLOURS, Picture
from dose_audit.texts import clean_values

__all__ = ["phantom_page"]

ANSWERS = {
    "fit": ("✔", "Within all limits that were applied"),
    "remedial": ("▲", "Beyond a remedial level: inform medical physics"),
    "suspension": ("■", "Beyond a suspension level: do not use before medical physics has looked"),
    "incomplete": ("◌", "Not everything could be measured; what was measured is within its limits"),
    "not_judged": ("○", "Measured, but there are no limits to judge it by yet"),
}
MARKS = {
    "pass": "within",
    "remedial": "▲ remedial",
    "suspension": "■ suspension",
    "no_baseline": "no baseline yet",
    "no_tolerance": "",
    "not_measured": "◌ not judged",
}
_TONES = {"pass": "ok", "remedial": "check", "suspension": "act", "not_measured": "check"}
_SWATCHES = (
    ("within limits", "pass"),
    ("remedial", "remedial"),
    ("suspension", "suspension"),
    ("measured, no limits", "no_tolerance"),
    ("doubtful or not measured", "not_measured"),
)


def phantom_page(record: Mapping[str, Any], pictures: Sequence[Picture], modules: Mapping[str, str]) -> str:
    """The page of one analysis.

    Parameters
    ----------
    record : mapping
        `Analysis.as_record()`, or the same read back from JSON.
    pictures : sequence of Picture
        Annotated frames.
    modules : mapping
        Names of the phantom's modules by id.

    Returns
    -------
    str
        HTML without any outside reference.
    """
    record = clean_values(record)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dose_audit.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": shown_number, "limits": _limits, "moment": _moment}
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in record["measurements"]:
        groups.setdefault(modules.get(row["module"], row["module"]) or record["phantom"]["name"], []).append(row)
    used = [row["tolerance"] for row in record["measurements"] if row["tolerance"]]
    sources = sorted(
        {f"{one['source']}{', ' + one['edition'] if one['edition'] else ''} ({one['status']})" for one in used}
    )
    css = resources.files("dose_audit.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    return environment.get_template("phantom.html.j2").render(
        one=record,
        css=css,
        groups=list(groups.items()),
        pictures=[{"title": one.title, "data": base64.b64encode(one.png).decode("ascii")} for one in pictures],
        answers=ANSWERS,
        marks=MARKS,
        tones=_TONES,
        swatches=[(text, COLOURS[key]) for text, key in _SWATCHES],
        unconfirmed=sum(one["status"] != "confirmed" for one in used),
        sources=sources,
    )


def shown_number(value: float | None, uncertainty: float | None = None) -> str:
    """A value with the digits that its standard uncertainty leaves; four significant ones where there is none.

    >>> shown_number(0.57721, 0.21), shown_number(105.43)
    ('0.58', '105.4')
    """
    if value is None:
        return "–"
    if uncertainty:
        decimals = max(0, min(6, 1 - math.floor(math.log10(uncertainty))))
        return f"{value:.{decimals}f}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def _limits(tolerance: Mapping[str, Any] | None) -> str:
    """Limits in words: what they are about, remedial and suspension level."""
    if not tolerance:
        return ""
    about = {
        "absolute": "",
        "nominal": f"{tolerance['nominal']:g} " if tolerance["nominal"] is not None else "",
        "baseline": "baseline ",
        "baseline_percent": "baseline ",
    }[tolerance["about"]]
    unit = " %" if tolerance["about"] == "baseline_percent" else ""
    parts = []
    for name in ("remedial", "suspension"):
        low, high = tolerance[name]
        if low is None and high is None:
            continue
        if low is not None and high is not None and low == -high:
            text = f"{about}± {high:g}{unit}"
        elif low is None:
            text = f"{about}≤ {high:+g}{unit}" if about else f"≤ {high:g}{unit}"
        elif high is None:
            text = f"{about}≥ {low:+g}{unit}" if about else f"≥ {low:g}{unit}"
        else:
            text = f"{about}{low:g} to {high:g}{unit}"
        parts.append(f"{name} {text}")
    return "; ".join(parts)


def _moment(text: str | None) -> str:
    """A DICOM date and time as people write it."""
    if not text or len(text) < 8 or not text[:8].isdigit():
        return "date not stated"
    day = f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    return f"{day} {text[8:10]}:{text[10:12]}" if len(text) >= 12 and text[8:12].isdigit() else day
