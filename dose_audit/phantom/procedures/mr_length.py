"""Length and width of a cylinder seen from the side: straight lines through its four edges."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.image_quality import sample_points
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, module_plane, result
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["sides"]

Floats = NDArray[np.float64]
_SEARCH_MM = 9.0
# Share of a side that is used: corners are rounded, and screws and chimneys sit at the ends.
_SHARE = 0.7
_STEP_MM = 0.25
_AGREE_MM = 2.5
_METHOD = "half-maximum edges along both sides, robust straight lines, distance of their middles"


def sides(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Length along the cylinder's axis and width across it."""
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    extents = {"length": float(definition.body["length_mm"]), "width": float(definition.body["diameter_mm"])}
    for name, title, angle in (("length", "Length", 0.0), ("width", "Width", 90.0)):
        if isinstance(plane, str):
            yield absent(f"{measure.name}_{name}", "mm", plane, measure, title=title)
            continue
        across = extents["width" if name == "length" else "length"]
        value, ends = _distance(plane, pose, angle, extents[name], across, f"{measure.name}_{name}")
        rois = [Roi("line", ends, frame=plane.frame, label=title)] if ends else []
        yield result(value, measure, title=title, rois=rois)


def _distance(
    plane: Plane, pose: Pose, angle: float, extent: float, across: float, name: str
) -> tuple[Measured, tuple[tuple[float, float], ...]]:
    """Distance of the two opposite edges at ±extent/2 along `angle`."""
    lines = np.arange(-0.5 * _SHARE * across, 0.5 * _SHARE * across + 0.1, max(0.5 * max(pose.spacing_mm), 0.4))
    found, ends, residuals, used = [], [], [], []
    for side in (-1.0, 1.0):
        at = np.arange(0.5 * extent - _SEARCH_MM, 0.5 * extent + _SEARCH_MM, _STEP_MM)
        along = side * at[None, :]
        profile = _sample(plane, pose, angle, along, lines[:, None])
        # Neighbouring lines share noise; smoothing along the edge costs no sharpness across it.
        smooth = ndimage.gaussian_filter1d(profile, 4.0 / (lines[1] - lines[0]), axis=0, mode="nearest")
        third = max(4, at.size // 4)
        inner, outer = np.median(smooth[:, :third], axis=1), np.median(smooth[:, -third:], axis=1)
        level = 0.5 * (inner + outer)
        blurred = ndimage.gaussian_filter1d(smooth, 1.0 / _STEP_MM, axis=1, mode="nearest")
        places = np.full(lines.size, np.nan)
        contrast = float(np.median(inner - outer))
        for index in range(lines.size):
            if inner[index] - outer[index] < 0.4 * contrast or contrast <= 0:
                continue
            # The area under the edge says where it is, noise or not; the crossing nearest to that is the sharper estimate.
            share = (smooth[index] - outer[index]) / (inner[index] - outer[index])
            near = at[0] + _STEP_MM * (float(share.sum()) - 0.5)
            over = blurred[index] >= level[index]
            falls = np.flatnonzero(over[:-1] & ~over[1:])
            if falls.size:
                last = int(falls[np.argmin(np.abs(at[falls] + 0.5 * _STEP_MM - near))])
                high, low = blurred[index, last], blurred[index, last + 1]
                place = at[last] + _STEP_MM * (high - level[index]) / max(high - low, 1e-9)
                if abs(place - near) < _AGREE_MM:
                    places[index] = place
        known = np.isfinite(places)
        used.append(float(known.mean()))
        if known.mean() < 0.5:
            return not_measurable(
                name, "mm", "an edge of the phantom is not seen along half of its side", method=_METHOD
            ), ()
        slope, middle, residual = _line(lines[known], places[known])
        found.append((side * middle, side * slope))
        residuals.append(residual)
        ends.append(_pixel(pose, angle, side * middle, 0.0))
    # Perpendicular distance: the sides' own lean against the guessed direction.
    lean = 0.5 * (found[0][1] + found[1][1])
    value = (found[1][0] - found[0][0]) * math.cos(math.atan(lean))
    spread = math.hypot(*residuals) / math.sqrt(max(lines.size / 20.0, 1.0))
    measured = Measured(
        name, value, "mm", math.hypot(spread, 0.03), method=_METHOD, quality=min(used),
        details={"lean_deg": math.degrees(math.atan(lean)), "residuals_mm": residuals},
    )  # fmt: skip
    doubts = []
    if max(residuals) > 1.0:
        doubts.append(f"the edge points scatter by {max(residuals):.1f} mm about the line")
    if abs(found[0][1] - found[1][1]) > 0.03:
        doubts.append("the two sides are not parallel: distortion, or a missing corner")
    return (measured.doubt("; ".join(doubts)) if doubts else measured), tuple(ends)


def _line(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Slope, height at 0 and robust residual of a line with Tukey weights."""
    weights = np.ones(x.size)
    slope, middle, spread = 0.0, float(np.median(y)), 1.0
    for _ in range(12):
        root = np.sqrt(weights)
        slope, middle = np.linalg.lstsq(np.column_stack([x, np.ones(x.size)]) * root[:, None], y * root, rcond=None)[0]
        rest = y - slope * x - middle
        spread = 1.4826 * float(np.median(np.abs(rest - np.median(rest)))) + 1e-6
        weights = (1.0 - np.minimum(np.abs(rest) / (4.7 * max(spread, 0.1)), 1.0) ** 2) ** 2
    return float(slope), float(middle), spread


def _pixel(pose: Pose, angle: float, along: float, across: float) -> tuple[float, float]:
    turn = math.radians(angle)
    return pose.to_pixel(
        along * math.cos(turn) - across * math.sin(turn), along * math.sin(turn) + across * math.cos(turn)
    )


def _sample(plane: Plane, pose: Pose, angle: float, along: Floats, across: Floats) -> Floats:
    origin = np.array(_pixel(pose, angle, 0.0, 0.0))
    forward = np.array(_pixel(pose, angle, 1.0, 0.0)) - origin
    sideways = np.array(_pixel(pose, angle, 0.0, 1.0)) - origin
    return sample_points(
        plane.image,
        origin[0] + forward[0] * along + sideways[0] * across,
        origin[1] + forward[1] * along + sideways[1] * across,
    )
