"""Even exposures without an object (flat fields of a detector, homogeneous PMMA): the field, and that nothing is in it."""

from __future__ import annotations

import numpy as np

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.headers import integer, numbers
from dose_audit.phantom.locate.field_edge import edge_of
from dose_audit.phantom.locate.field_exposed import Field, exposed_field
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["field_of", "locate", "match"]

_LEAST_MM = 40.0
_LEAST_SHARE = 0.2
_EVEN = 0.03  # of the level: no anatomy is so smooth
_DOUBTFUL = 0.08
_MOST_SLOPE = 0.5
_MOST_DETAILS = 10  # some dust and defects; a test object or a patient has many more


def field_of(bench: Workbench) -> Field | None:
    """The exposed field of the first frame."""
    return bench.once("exposed_field", lambda: exposed_field(bench.series.image(0), bench.spacing_mm))


def match(bench: Workbench, definition: Definition) -> Match:
    """An even field that fills a good part of the image, with noise and without an object."""
    field = field_of(bench)
    if field is None:
        return Match(0.0, ("no even field around the middle of the image",))
    sides = [
        (end - begin) * step for (begin, end), step in zip((field.rows, field.columns), bench.spacing_mm, strict=True)
    ]
    size = f"even field of {sides[1]:.0f} × {sides[0]:.0f} mm, {field.share:.0%} of the image"
    turned = _turned_round(bench, field.level)
    roughness = turned * field.roughness
    even = f"it departs from a smooth surface by {roughness:.1%}"
    if field.marks:
        size += f", {_said(field)}"
    # Coloured noise survives the smoothing; only what exceeds it is structure.
    allowed = float(definition.recognise.get("roughness", _EVEN)) + turned * field.noise
    if min(sides) < _LEAST_MM or field.share < _LEAST_SHARE or turned * field.slope > _MOST_SLOPE:
        return Match(0.2, (size, "too small or too uneven for a flat field"))
    if field.share < 0.97 and (edge := edge_of(bench)) is not None and edge.clear:
        return Match(0.3, (size, f"an edge of {edge.length_mm:.0f} mm lies in the image"))
    if field.noise <= 0:
        return Match(0.3, (size, "there is no noise in it: no exposure"))
    if field.details > _MOST_DETAILS:
        return Match(0.3, (size, even, f"{field.details} places stand out: this is no empty field"))
    if roughness <= allowed:
        return Match(float(np.clip(0.8 - 0.15 * roughness / allowed, 0.0, 1.0)), (size, even))
    return Match(0.4 if roughness < _DOUBTFUL else 0.1, (size, even, "there is something in the field"))


def _turned_round(bench: Workbench, level: float) -> float:
    """By how much shares of the level are too small where values fall as the dose rises from the largest that is stored."""
    header = bench.series.header
    sign = numbers(header.get("PixelIntensityRelationshipSign"), 1)
    bits = integer(header.get("BitsStored"))
    below = 2.0**bits - 1.0 - level
    if (
        sign is None
        or sign[0] >= 0
        or not 8 <= bits <= 16
        or header.get("RescaleIntercept")
        or below <= 0
        or level <= 0
    ):
        return 1.0
    return max(1.0, level / below)


def locate(bench: Workbench, definition: Definition) -> Pose:
    """The middle of the field; there is nothing to turn."""
    field = field_of(bench)
    spacing = bench.spacing_mm
    if field is None:
        middle = ((bench.series.shape[0] - 1) / 2, (bench.series.shape[1] - 1) / 2)
        reason = "no even field around the middle of the image"
        return Pose(0.0, middle, spacing, quality=0.0, status="not_measurable", reason=reason)
    centre = ((field.rows[0] + field.rows[1] - 1) / 2, (field.columns[0] + field.columns[1] - 1) / 2)
    note = f"field: rows {field.rows[0]} to {field.rows[1]}, columns {field.columns[0]} to {field.columns[1]}"
    notes = (note, _said(field)) if field.marks else (note,)
    return Pose(0.0, centre, spacing, quality=1.0 - min(1.0, field.roughness / _DOUBTFUL), notes=notes)


def _said(field: Field) -> str:
    return f"the field ends before what lies at its side: {field.marks} pieces of text, lead or shutter"
