"""Position of a module along the slices from its oblique wires: all wires and slices together, by a matched filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin, tan

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.rois import strip_profile
from dose_audit.phantom.definition import Feature
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.series import ImageSeries

__all__ = ["WireOrigin", "lean_mm_per_mm", "wire_origin"]

Floats = NDArray[np.float64]
# How far a wire's image is followed along its strip, and how far from the expected position the wires' middle is sought.
_HALF_LENGTH_MM = 23.0
_SEARCH_MM = 12.0
_STEP_MM = 0.1
_WIDTH_MM = 3.0
# The best position must stand out this much from the others in their own spread, and over the next best.
_STANDS_OUT = 5.0
_OVER_NEXT = 1.25


@dataclass(frozen=True, slots=True)
class WireOrigin:
    """Position at which all wires cross their middles, and how far it stands out from the noise."""

    z_mm: float
    stands_out: float
    slices: int


def lean_mm_per_mm(pose: Pose) -> tuple[float, float]:
    """How far the phantom's axis moves along the image's x and y for each mm of slice position."""
    return pose.slope_px_per_mm[1] * pose.spacing_mm[1], pose.slope_px_per_mm[0] * pose.spacing_mm[0]


def wire_origin(series: ImageSeries, pose: Pose, wires: Sequence[Feature]) -> WireOrigin | None:
    """Position of the wires' middle from all wires and slices together, also where no single slice shows a wire.

    Parameters
    ----------
    series : ImageSeries
    pose : Pose
        Axis and roll; its origin is where the search begins, within 12 mm.
    wires : sequence of Feature
        ``size_mm`` along and across, ``angle_deg`` along; ``ramp_deg`` the angle to the slice.

    Returns
    -------
    WireOrigin or None
        `None` where no position stands out.

    Notes
    -----
    In the plane of slices against distance along the strip a wire is a line of known slope through its middle, moved and
    bent by the phantom's tilt, which the pose tells. The line's sum is taken for every position, for each wire in the
    better of its two senses, and the sums of all wires are added.
    """
    near = np.flatnonzero(np.abs(series.z_mm - pose.origin_z_mm) <= _SEARCH_MM + 8.0)
    if near.size < 2 or not wires:
        return None
    sigma = max(series.thickness_mm or series.step_mm or 1.0, 1.2) / 2.355
    candidates = np.arange(-_SEARCH_MM, _SEARCH_MM + 1e-9, _STEP_MM)
    total = np.zeros(candidates.size)
    for wire in wires:
        total += _line_sums(series, near, pose, wire, sigma, candidates)
    best = int(np.argmax(total))
    elsewhere = total[np.abs(candidates - candidates[best]) > 3.0 * sigma]
    if best in (0, total.size - 1) or elsewhere.size < 20:
        return None
    middle = float(np.median(elsewhere))
    spread = 1.4826 * float(np.median(np.abs(elsewhere - middle))) or 1e-9
    stands_out = (float(total[best]) - middle) / spread
    if stands_out < _STANDS_OUT or total[best] < _OVER_NEXT * elsewhere.max():
        return None
    # The peak is broad beside the step: a parabola over its top.
    top = np.abs(candidates - candidates[best]) <= 0.7 * sigma
    curve = np.polyfit(candidates[top] - candidates[best], total[top], 2)
    shift = -curve[1] / (2 * curve[0]) if curve[0] < 0 else 0.0
    place = float(candidates[best] + np.clip(shift, -sigma, sigma))
    return WireOrigin(pose.origin_z_mm + place, stands_out, int(near.size))


def _line_sums(
    series: ImageSeries, near: NDArray[np.intp], pose: Pose, wire: Feature, sigma_mm: float, candidates: Floats
) -> Floats:
    """Sum along the wire's line for each candidate of its middle, in units of the noise, in the better sense."""
    along_deg = pose.angle_on_screen(wire.angle_deg)
    rows, along = [], np.zeros(0)
    for index in near:
        centre = pose.to_pixel(wire.x_mm, wire.y_mm, float(series.z_mm[index]))
        along, values = strip_profile(
            series.image(int(index)), centre, 2 * _HALF_LENGTH_MM, _WIDTH_MM, pose.spacing_mm, angle_deg=along_deg
        )
        rows.append(values - np.median(values))
    profile = np.stack(rows)
    noise = 1.4826 * float(np.median(np.abs(profile))) or 1.0
    # What is far brighter than a wire (a node's rim, an insert) must not outweigh a whole line.
    profile = np.clip(profile / noise, -3.0, 10.0)
    row, column = pose.to_pixel(wire.x_mm, wire.y_mm)
    x = (column - pose.centre_px[1]) * pose.spacing_mm[1] + along * cos(radians(along_deg))
    y = (row - pose.centre_px[0]) * pose.spacing_mm[0] + along * sin(radians(along_deg))
    lean_x, lean_y = lean_mm_per_mm(pose)
    rise = tan(radians(float(wire.extra.get("ramp_deg", 23.0))))
    edges = np.arange(-_SEARCH_MM - 6.0, _SEARCH_MM + 6.0 + _STEP_MM, _STEP_MM)
    reach = round(4 * sigma_mm / _STEP_MM)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _STEP_MM / sigma_mm) ** 2)
    senses = []
    for sense in (1.0, -1.0):
        above = sense * rise * along - (lean_x * x + lean_y * y)
        away = (series.z_mm[near] - pose.origin_z_mm)[:, None] - above[None, :]
        # A Gaussian sum about every candidate at once: a histogram of the distances, smoothed.
        weighted, _ = np.histogram(away, edges, weights=profile)
        counted, _ = np.histogram(away, edges)
        size = np.sqrt(np.maximum(np.convolve(counted, kernel**2, mode="same"), 1e-9))
        sums = np.convolve(weighted, kernel, mode="same") / size
        senses.append(np.interp(candidates, 0.5 * (edges[1:] + edges[:-1]), sums))
    return np.asarray(np.maximum(*senses))
