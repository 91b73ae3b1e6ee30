"""A chart with what must stand beside it: title, the finding in words, and its table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dose_audit.report.theme import GROUND, chart_config

__all__ = ["Figure", "finished", "inline", "on_ground"]


@dataclass(frozen=True)
class Figure:
    """One figure of the report.

    Parameters
    ----------
    id : str
        Anchor within the page; letters, digits and hyphens.
    title : str
    alt : str
        What the chart shows, in a sentence with its numbers, for who cannot see it.
    spec : dict
        Vega-Lite specification with its data inline.
    columns : list of str
    rows : list of list
        The table behind the chart, already as text.
    wide : bool
        Takes the page's full width.
    """

    id: str
    title: str
    alt: str
    spec: dict[str, Any]
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    wide: bool = False


@dataclass(frozen=True)
class _Held:
    """Rows that the charting library passes on as they are; it would copy them for each layer and each change."""

    rows: list[dict[str, Any]]


def inline(rows: list[dict[str, Any]]) -> Any:
    """Data of a chart, written into its specification.

    Parameters
    ----------
    rows : list of dict
        Plain texts, numbers and truth values by name.

    Returns
    -------
    altair.Data
    """
    import altair as alt
    from altair.utils.schemapi import debug_mode

    with debug_mode(False):  # else the library would look into the rows, to find what they are
        return alt.Data(values=_Held(rows))


def on_ground(marks: Any, colour: str, **look: Any) -> list[Any]:
    """Layers of words that stay readable on lines and dots: the ground behind the letters first.

    Parameters
    ----------
    marks : altair.Chart
        With the encoding of the text and its place.
    colour : str
    **look
        As for Altair's `mark_text`.
    """
    return [marks.mark_text(stroke=GROUND, strokeWidth=4, **look), marks.mark_text(color=colour, **look)]


def finished(chart: Any) -> dict[str, Any]:
    """Specification of an Altair chart with the report's look, data inline and no outside address in it."""
    spec: dict[str, Any] = _renumbered(json.dumps(chart.to_dict(format="vega-lite", validate=False), default=_rows))
    spec.pop("$schema", None)
    _as_written(spec)
    config = chart_config()
    config["view"] = {"stroke": None}
    spec["config"] = config
    return spec


_COUNTED = re.compile(r"\b(view|param|layer|selector|concat)_(\d+)\b")


def _rows(held: _Held) -> list[dict[str, Any]]:
    return held.rows


def _renumbered(spec: str) -> dict[str, Any]:
    """Names that the library counts through a whole process, counted anew: the same chart is the same text."""
    seen: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        return seen.setdefault(found[0], f"{found[1]}_{len(seen) + 1}")

    renamed: dict[str, Any] = json.loads(_COUNTED.sub(name, spec))
    return renamed


def _as_written(spec: dict[str, Any]) -> None:
    """Draw days and hours as they are written, wherever it is drawn and looked at.

    The library would show them in the time zone of the machine: other ticks elsewhere, and the evening before in America.
    """
    times: set[str] = set()
    for key, node in _nodes(spec):
        if node.get("type") != "temporal" or "field" not in node:
            continue
        times.add(node["field"])
        if key in ("x", "y"):
            scale = node.get("scale") or {}
            ends = {"domain": [_zoned(end) for end in scale["domain"]]} if isinstance(scale.get("domain"), list) else {}
            node["scale"] = {**scale, **ends, "type": "utc"}
        elif "format" in node or key == "tooltip":
            node["timeUnit"] = "utcyearmonthdatehoursminutesseconds"
    for _, node in _nodes(spec):
        for channel in ("x", "y"):
            encoding = node.get("encoding", {})
            if encoding.get(channel, {}).get("type") == "temporal" and "field" in encoding.get(f"{channel}2", {}):
                times.add(encoding[f"{channel}2"]["field"])
    for _, node in _nodes(spec):
        rows = node.get("values")
        for row in rows if isinstance(rows, list) else ():
            for name in times & row.keys() if isinstance(row, dict) else ():
                row[name] = _zoned(row[name])


def _zoned(moment: Any) -> Any:
    return f"{moment}Z" if isinstance(moment, str) and _NO_ZONE.fullmatch(moment) else moment


_NO_ZONE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?")


def _nodes(node: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a specification with the name that it stands under; rows of data not entered."""
    if isinstance(node, dict):
        yield key, node
        for name, inner in node.items():
            if name != "values":
                yield from _nodes(inner, name)
    elif isinstance(node, list):
        for inner in node:
            yield from _nodes(inner, key)
