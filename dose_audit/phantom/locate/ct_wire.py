"""A wire that stands perpendicular to the slices in a small field of view: one sharp spot, at the same place in every slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.outline import axis_line
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["locate", "match"]

_LARGEST_FIELD_MM = 120.0
# The spot over its surroundings, in their noise, and over the next highest place outside it.
_STANDS_OUT = 12.0
_OVER_NEXT = 3.0
_SPOT_MM = 3.0
_MARGIN_MM = 7.0
_AGREE_MM = 1.0
_COARSE = 4
_BODY_HU = -500.0


@dataclass(frozen=True, slots=True)
class _Spot:
    index: int
    row: float
    column: float


def _spots(bench: Workbench) -> list[_Spot]:
    """The spot of each slice that shows exactly one."""

    def make() -> list[_Spot]:
        spacing = bench.spacing_mm
        found = []
        for index in range(len(bench.series.frames)):
            image = bench.series.image(index)
            detail = _detail(image, spacing)
            margin = [round(_MARGIN_MM / step) for step in spacing]
            inner = detail[margin[0] : -margin[0], margin[1] : -margin[1]]
            if min(inner.shape) < 16 or not inner.any():
                continue
            noise = 1.4826 * float(np.median(np.abs(inner[inner != 0.0]))) or 1.0
            at = np.unravel_index(int(np.argmax(inner)), inner.shape)
            height = float(inner[at])
            row, column = int(at[0]) + margin[0], int(at[1]) + margin[1]
            rest = inner.copy()
            near = [round(_SPOT_MM / step) for step in spacing]
            rest[max(0, at[0] - near[0]) : at[0] + near[0] + 1, max(0, at[1] - near[1]) : at[1] + near[1] + 1] = 0.0
            if height < _STANDS_OUT * noise or height < _OVER_NEXT * float(np.abs(rest).max()):
                continue
            part = detail[row - near[0] : row + near[0] + 1, column - near[1] : column + near[1] + 1]
            weight = np.where(part > 0.3 * height, part, 0.0)
            down, right = np.indices(part.shape)
            total = float(weight.sum())
            found.append(
                _Spot(
                    index,
                    row - near[0] + float((down * weight).sum()) / total,
                    column - near[1] + float((right * weight).sum()) / total,
                )
            )
        return found

    return bench.once("wire spots", make)


def _detail(image: NDArray[np.float32], spacing_mm: tuple[float, float]) -> NDArray[np.float32]:
    """What rises over the median of its surroundings, well inside the body; 0 elsewhere."""
    coarse = image[::_COARSE, ::_COARSE]
    size = [max(3, round(2 * _SPOT_MM / step / _COARSE)) for step in spacing_mm]
    usual = ndimage.median_filter(coarse, size)
    reach = max(1, round(_SPOT_MM / min(spacing_mm) / _COARSE))
    body = ndimage.binary_erosion(usual > _BODY_HU, iterations=reach, border_value=1)
    rows, columns = image.shape
    full = usual.repeat(_COARSE, axis=0).repeat(_COARSE, axis=1)[:rows, :columns]
    inside = body.repeat(_COARSE, axis=0).repeat(_COARSE, axis=1)[:rows, :columns]
    return np.asarray(np.where(inside, image - full, 0.0))


def match(bench: Workbench, definition: Definition) -> Match:
    """One spot in most slices, where the slices' axis line has it, in a small field."""
    if bench.series.first.is_localiser:
        return Match(0.0)
    field = max(size * step for size, step in zip(bench.series.shape, bench.spacing_mm, strict=True))
    if field > float(definition.recognise.get("largest_field_mm", _LARGEST_FIELD_MM)):
        return Match(0.0, (f"a field of {field:.0f} mm is too wide for a wire",))
    spots = _spots(bench)
    count = len(bench.series.frames)
    if len(spots) < max(1, count // 2):
        return Match(0.0, ("no single sharp spot",))
    away = _residuals_mm(bench, spots)
    if away > _AGREE_MM:
        return Match(0.0, (f"the spots of the slices lie {away:.1f} mm apart",))
    score = 0.85 if len(spots) > 1 else 0.7
    return Match(score, (f"one sharp spot in {len(spots)} of {count} slices", f"field of {field:.0f} mm"))


def _residuals_mm(bench: Workbench, spots: list[_Spot]) -> float:
    z = np.array([float(bench.series.z_mm[one.index]) for one in spots])
    worst = 0.0
    for values, step in (
        (np.array([one.row for one in spots]), bench.spacing_mm[0]),
        (np.array([one.column for one in spots]), bench.spacing_mm[1]),
    ):
        intercept, slope, _ = axis_line(z - z.mean(), values)
        worst = max(worst, float(np.median(np.abs(values - intercept - slope * (z - z.mean())))) * step)
    return worst


def locate(bench: Workbench, definition: Definition) -> Pose:
    """The wire's own line through the slices is the axis."""
    spots = _spots(bench)
    if not spots:
        return Pose(0.0, (0.0, 0.0), bench.spacing_mm, quality=0.0, status="not_measurable", reason="no wire was found")
    z = np.array([float(bench.series.z_mm[one.index]) for one in spots])
    origin = float(z[len(z) // 2])
    rows = axis_line(z - origin, np.array([one.row for one in spots]))
    columns = axis_line(z - origin, np.array([one.column for one in spots]))
    return Pose(
        origin,
        (rows[0], columns[0]),
        bench.spacing_mm,
        (rows[1], columns[1]),
        quality=len(spots) / len(bench.series.frames),
        notes=(f"wire in {len(spots)} slices", "roll is not to be seen on a single wire"),
    )
