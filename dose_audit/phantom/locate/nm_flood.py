"""Uniformity floods of a gamma camera: a large, even, filled field with next to nothing around it."""

from __future__ import annotations

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.nm_bars import strongest_pattern
from dose_audit.phantom.locate.nm_field import fullest_frame, lit_field
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["locate", "match"]

_LEAST_MM = 150.0
_EVEN = 0.06
_FILLED = 0.7
_PATTERN = 0.1


def match(bench: Workbench, definition: Definition) -> Match:
    """Even and filled, larger than any organ, without bars."""
    if len(bench.series.frames) > 32:
        return Match(0.0)
    frame = fullest_frame(bench)
    lit = lit_field(bench, frame)
    if lit is None:
        return Match(0.0)
    size = f"lit field of {lit.size_mm[1]:.0f} × {lit.size_mm[0]:.0f} mm, even within {lit.unevenness:.1%}"
    if min(lit.size_mm) < _LEAST_MM or lit.solidity < _FILLED or lit.background > 0.1:
        return Match(0.1, (size, "not the filled field of a camera"))
    if lit.unevenness > _EVEN:
        # Of a camera with a fault, where a description calls it a flood.
        return Match(0.5 if lit.unevenness < 2 * _EVEN else 0.1, (size, "too uneven for a flood"))
    pattern = strongest_pattern(bench, frame)
    if pattern > _PATTERN:
        return Match(0.2, (size, f"bars with a modulation of {pattern:.0%} are in it"))
    return Match(0.85, (size,))


def locate(bench: Workbench, definition: Definition) -> Pose:
    """The middle of the field."""
    lit = lit_field(bench, fullest_frame(bench))
    if lit is None:
        return Pose(0.0, (0.0, 0.0), bench.spacing_mm, status="not_measurable", reason="no lit field", quality=0.0)
    return Pose(0.0, lit.centre_px, bench.spacing_mm, quality=max(0.0, 1.0 - lit.unevenness))
