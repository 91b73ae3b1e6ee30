"""Position of a module along the slices from its oblique wires: all wires and slices together, by a matched filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin, tan

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.sampling import strip_profile
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
# In units of what lines of other slopes sum to: least for all wires together (times the root of their number) and for each
# of most of them; and how far the best position must stand out over the next best.
_TOGETHER, _EACH = 5.0, 2.5
_OVER_NEXT = 1.25
_OTHER_SLOPES = (-2.2, -0.5, 0.0, 0.5, 2.2)


@dataclass(frozen=True, slots=True)
class WireOrigin:
    """Position at which all wires cross their middles, and how far it stands out from the noise."""

    z_mm: float
    stands_out: float
    slices: int


def lean_mm_per_mm(pose: Pose) -> tuple[float, float]:
    """How far the phantom's axis moves along the image's x and y for each mm of slice position."""
    return pose.slope_px_per_mm[1] * pose.spacing_mm[1], pose.slope_px_per_mm[0] * pose.spacing_mm[0]


def wire_origin(
    series: ImageSeries, pose: Pose, wires: Sequence[Feature], slab_mm: tuple[float | None, float | None] = (None, None)
) -> WireOrigin | None:
    """Position of the wires' middle from all wires and slices together, also where no single slice shows a wire.

    Parameters
    ----------
    series : ImageSeries
    pose : Pose
        Axis and roll; its origin is where the search begins, within 12 mm.
    wires : sequence of Feature
        ``size_mm`` along and across, ``angle_deg`` along; ``ramp_deg`` the angle to the slice.
    slab_mm : (float or None, float or None)
        Positions in the series between which the wires' module lies, where they are known: what follows it has edges that
        look like wires.

    Returns
    -------
    WireOrigin or None
        `None` where no position stands out, or too few wires agree on it.

    Notes
    -----
    In the plane of slices against distance along the strip a wire is a line of known slope through its middle, moved and
    bent by the phantom's tilt, which the pose tells. The line's sum is taken for every position, for each wire in the
    better of its two senses, and the sums of all wires are added. What such a sum is without a wire is told by lines of
    other slopes through the same data, which meet the same correlated noise.
    """
    low, high = slab_mm
    inside = np.abs(series.z_mm - pose.origin_z_mm) <= _SEARCH_MM + 8.0
    # A slice that a tilted end of the module reaches into is no slice of it.
    margin = 0.5 * (series.thickness_mm or series.step_mm or 1.0) + 40.0 * float(np.hypot(*lean_mm_per_mm(pose)))
    inside &= series.z_mm >= (-np.inf if low is None else low + margin)
    inside &= series.z_mm <= (np.inf if high is None else high - margin)
    near = np.flatnonzero(inside)
    if near.size < 2 or not wires:
        return None
    sigma = max(series.thickness_mm or series.step_mm or 1.0, 1.2) / 2.355
    candidates = np.arange(-_SEARCH_MM, _SEARCH_MM + 1e-9, _STEP_MM)
    single = np.stack([_line_sums(series, near, pose, wire, sigma, candidates) for wire in wires])
    total = single.sum(axis=0)
    best = int(np.argmax(total))
    elsewhere = total[np.abs(candidates - candidates[best]) > 3.0 * sigma]
    if best in (0, total.size - 1) or elsewhere.size < 20:
        return None
    stands_out = float(total[best]) / len(wires) ** 0.5
    near_best = np.abs(candidates - candidates[best]) <= sigma
    agreeing = int((single[:, near_best].max(axis=1) >= _EACH).sum())
    if stands_out < _TOGETHER or agreeing < min(3, len(wires)) or total[best] < _OVER_NEXT * elsewhere.max():
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
    """Sum along the wire's line for each candidate of its middle, in the better sense, in units of what other lines sum to."""
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
    tilted = lean_x * x + lean_y * y
    away = (series.z_mm[near] - pose.origin_z_mm)[:, None] + tilted[None, :]

    def sums(slope: float) -> Floats:
        # A Gaussian sum about every candidate at once: a histogram of the distances, smoothed.
        at = away - slope * along[None, :]
        weighted, _ = np.histogram(at, edges, weights=profile)
        counted, _ = np.histogram(at, edges)
        size = np.sqrt(np.maximum(np.convolve(counted, kernel**2, mode="same"), 1e-9))
        found = np.convolve(weighted, kernel, mode="same") / size
        return np.interp(candidates, 0.5 * (edges[1:] + edges[:-1]), found)

    others = np.concatenate([sums(share * rise) for share in _OTHER_SLOPES])
    usual = float(np.median(others))
    spread = max(1.0, 1.4826 * float(np.median(np.abs(others - usual))))
    return (np.maximum(sums(rise), sums(-rise)) - usual) / spread
