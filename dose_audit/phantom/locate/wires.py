"""Where an oblique wire passes through each slice, and at which position it crosses the middle of its strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dose_audit.image_quality.rois import strip_profile
from dose_audit.phantom.definition import Feature
from dose_audit.phantom.locate.outline import axis_line
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.series import ImageSeries

__all__ = ["WireTrack", "wire_track"]


@dataclass(frozen=True, slots=True)
class WireTrack:
    """Line of a wire: position on the slice axis where it crosses its middle, mm along the strip for each mm of slice."""

    z_mm: float
    slope: float
    slices: int


def wire_track(series: ImageSeries, frames: Sequence[int], pose: Pose, wire: Feature) -> WireTrack | None:
    """Follow a wire through the slices.

    Returns
    -------
    WireTrack or None
        `None` where fewer than three slices show the wire on a straight line.
    """
    length, width = wire.size_mm
    along_deg = pose.angle_on_screen(wire.angle_deg)
    z, t = [], []
    for index in frames:
        position = float(series.z_mm[index])
        centre = pose.to_pixel(wire.x_mm, wire.y_mm, position)
        along, values = strip_profile(series.image(index), centre, length, width, pose.spacing_mm, angle_deg=along_deg)
        base = float(np.median(values))
        noise = 1.4826 * float(np.median(np.abs(values - base)))
        excess = np.clip(values - base - 3.0 * noise, 0.0, None)
        if excess.max() < max(4.0 * noise, 10.0):
            continue
        peak = int(np.argmax(excess))
        # Only what hangs together with the peak belongs to the wire.
        low, high = peak, peak
        while low > 0 and excess[low - 1] > 0:
            low -= 1
        while high < excess.size - 1 and excess[high + 1] > 0:
            high += 1
        if low == 0 or high == excess.size - 1:
            continue
        weight = excess[low : high + 1]
        z.append(position)
        t.append(float((along[low : high + 1] * weight).sum() / weight.sum()))
    if len(z) < 3:
        return None
    position_mm, offset = np.asarray(z), np.asarray(t)
    middle = float(position_mm.mean())
    intercept, slope, used = axis_line(position_mm - middle, offset)
    if used.sum() < 3 or slope == 0.0:
        return None
    return WireTrack(middle - intercept / slope, slope, int(used.sum()))
