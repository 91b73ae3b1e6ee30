"""A uniform water phantom in CT: a round body of the right diameter and wall, with nothing inside.

A definition may say under ``[recognise]`` which names in a description speak for another phantom (``never_named``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.outline import axis_line, outlines, ring_profile
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.recognise import named_as
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["locate", "match"]

# Inside a water phantom smoothed rings differ from the middle by cupping alone.
_FLAT_HU = 40.0
_RINGS = (0.15, 0.3, 0.45, 0.6, 0.75)
_WALL_SHARE = 0.5
# A vessel holds one thing up to its wall: beyond what cupping makes of it, nothing steps between these shares of the radius.
_WITHIN, _NEAR_WALL, _STEP_HU = (0.3, 0.45, 0.6, 0.7), 0.86, 15.0


@dataclass(frozen=True, slots=True)
class _Slice:
    index: int
    diameter_mm: float
    water_hu: float
    structure_hu: float
    wall_hu: float


def _slices(bench: Workbench, definition: Definition) -> list[_Slice]:
    """Slices with a round body, what fills them and what their wall is."""
    wall_mm = float(definition.body.get("wall_mm", 5.0))

    def make() -> list[_Slice]:
        found = []
        for index, outline in enumerate(outlines(bench)):
            if outline.radius_mm is None:
                continue
            image, centre = bench.series.image(index), (outline.row, outline.column)
            rings = [
                ring_profile(image, centre, bench.spacing_mm, share * outline.radius_mm, samples=90) for share in _RINGS
            ]
            middle = float(np.median(rings[0]))
            smooth = [np.convolve(np.tile(ring, 3), np.ones(7) / 7, mode="same")[90:180] for ring in rings]
            structure = max(float(np.abs(ring - middle).max()) for ring in smooth)
            if abs(_step(image, centre, bench.spacing_mm, outline.radius_mm)) > _STEP_HU:
                structure = max(structure, 2.0 * _FLAT_HU)
            wall = ring_profile(
                image, centre, bench.spacing_mm, outline.radius_mm - wall_mm * _WALL_SHARE, half_width_mm=wall_mm / 6
            )
            found.append(_Slice(index, 2 * outline.radius_mm, middle, structure, float(np.median(wall))))
        return found

    return bench.once(f"uniform slices {wall_mm:.1f}", make)


def _step(
    image: NDArray[np.float32], centre: tuple[float, float], spacing_mm: tuple[float, float], radius_mm: float
) -> float:
    """How far a ring near the wall is from the parabola through those further in, HU: a module in its housing has a step."""

    def level(share: float) -> float:
        return float(np.median(ring_profile(image, centre, spacing_mm, share * radius_mm, samples=180)))

    shares = np.array(_WITHIN)
    bend, base = np.polyfit(shares**2, [level(one) for one in _WITHIN], 1)
    return level(_NEAR_WALL) - float(base + bend * _NEAR_WALL**2)


def _fitting(bench: Workbench, definition: Definition) -> list[_Slice]:
    nominal = float(definition.body["diameter_mm"])
    allowed = float(definition.body.get("tolerance_mm", 3.0))
    return [one for one in _slices(bench, definition) if abs(one.diameter_mm - nominal) <= allowed]


def match(bench: Workbench, definition: Definition) -> Match:
    """Agreement of diameter, wall and emptiness."""
    if bench.series.first.is_localiser:
        return Match(0.0)
    fitting = _fitting(bench, definition)
    if not fitting:
        return Match(0.0, ("no round body of that diameter",))
    named = named_as(bench, definition.recognise.get("never_named", ()))
    if named:
        return Match(0.05, (f"uniform slices, but the description names {named}",))
    flat = [
        one
        for one in fitting
        if one.structure_hu <= _FLAT_HU and abs(one.water_hu) <= float(definition.body.get("water_within_hu", 60.0))
    ]
    share = len(flat) / len(bench.series.frames)
    evidence = [
        f"diameter {np.median([one.diameter_mm for one in fitting]):.1f} mm",
        f"{len(flat)} of {len(bench.series.frames)} slices uniform",
    ]
    if share < 0.5:
        return Match(0.3 * share, tuple(evidence))
    score = 0.8
    wall = definition.body.get("wall_hu")
    if wall is not None:
        seen = float(np.median([one.wall_hu for one in flat]))
        evidence.append(f"wall {seen:.0f} HU")
        score = 0.9 if abs(seen - float(wall)) <= float(definition.body.get("wall_within_hu", 40.0)) else 0.5
    # Of two phantoms that both fit, the nearer diameter wins.
    away = abs(float(np.median([one.diameter_mm for one in flat])) - float(definition.body["diameter_mm"]))
    return Match(max(0.0, score - 0.02 * away), tuple(evidence))


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Axis through the slices' centres; the origin is the middle of the uniform stretch."""
    found = outlines(bench)
    flat = [one for one in _fitting(bench, definition) if one.structure_hu <= _FLAT_HU] or _fitting(bench, definition)
    if not flat:
        return Pose(
            0.0, (0.0, 0.0), bench.spacing_mm, quality=0.0, status="not_measurable", reason="no round body was found"
        )
    own = [one.index for one in flat]
    z = bench.series.z_mm[own]
    origin = float(z[len(own) // 2])
    rows = axis_line(z - origin, np.array([found[index].row for index in own]))
    columns = axis_line(z - origin, np.array([found[index].column for index in own]))
    notes = (f"body edges in {len(own)} slices", "roll is not to be seen in a uniform phantom")
    return Pose(
        origin,
        (rows[0], columns[0]),
        bench.spacing_mm,
        (rows[1], columns[1]),
        quality=len(own) / len(bench.series.frames),
        notes=notes,
    )
