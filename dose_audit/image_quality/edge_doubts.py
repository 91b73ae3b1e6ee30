"""What speaks against the MTF of a slanted edge: its shape, its noise, its grey levels."""

from __future__ import annotations

import math

import numpy as np

from dose_audit.image_quality.edge_spread import EdgeSpread
from dose_audit.image_quality.edges import EdgeLine, gather
from dose_audit.image_quality.grey_levels import ROUNDED, are_clipped, too_few_levels
from dose_audit.image_quality.mtf_curve import Floats

__all__ = ["ANGLES_DEG", "edge_doubts"]

ANGLES_DEG = (1.4, 15.5)
"""Edge angles for which the method was verified; outside, the result is ``suspect``."""

_APERTURE = 1.05  # of a pixel: the rise from 10 to 90 % of an edge that only the pixels blur is 0.8
_KINK = 0.025  # of the step, within a fifth of the rise: of a Gaussian that is clipped at 98 %
_MOST_SAGITTA_PX = 0.25
_LEAST_CNR = 10.0
_LOPSIDED = 0.005  # of the step: a square root of 20:1 leaves 0.007, a logarithm of 3:1 0.008, of 10:1 0.016
_SURE = 5.0  # standard uncertainties
_NOISIER = 2.0  # times the noise beside the edge
_BETWEEN_BINS = 0.08  # of what a bin rises: by so much the edge spread may be off between their centres


def edge_doubts(line: EdgeLine, angle: float, cnr: float, spread: EdgeSpread) -> list[str]:
    """Why the MTF of an edge is to be doubted; empty where it is sound.

    Parameters
    ----------
    line : EdgeLine
    angle : float
        In degrees, in the object's plane.
    cnr : float
        Step over the noise of a pixel, infinite without noise.
    spread : EdgeSpread
        After its transform.
    """
    rows = line.pixels.shape[0]
    step = line.high - line.low
    expected = math.sqrt(5.0 * line.width_px + 8.0) * line.slow_noise / step
    doubts = []
    if not ANGLES_DEG[0] <= abs(angle) <= ANGLES_DEG[1]:
        doubts.append(f"the edge is tilted by {abs(angle):.1f}°, verified for 1.5–15°")
    if line.sagitta_px > max(_MOST_SAGITTA_PX, 4 * line.sagitta_uncertainty_px):
        doubts.append(f"the edge is curved by {line.sagitta_px:.2f} pixels")
    elif line.residual_px > max(0.15, 3.0 * expected):
        doubts.append(f"single rows lie {line.residual_px:.2f} pixels (rms) off the straight edge")
    if cnr < _LEAST_CNR:
        doubts.append(f"the step is only {cnr:.1f} times the noise of a pixel")
    if line.quiet_noise == 0 and line.noise > 1e-6 * step and line.noise > ROUNDED * _grey_level(line.pixels):
        doubts.append("one side of the edge has no noise at all: its values are clipped")
    elif _ends_abruptly(line, spread) or (line.noise > 1e-6 * step and are_clipped(line.pixels, line.noise)):
        doubts.append("many pixels share the extreme value: the image is clipped on one side of the edge")
    elif _noisier_on_the_edge(line, spread, angle):
        doubts.append("the noise is larger on the edge than beside it: the image is clipped or was processed")
    if spread.lopsided > _LOPSIDED + _SURE * spread.lopsided_error:
        doubts.append("the edge's two halves differ in shape: the pixels are not linear in exposure")
    if line.noise <= 1e-6 * step and (levels := too_few_levels(line.pixels, step, line.noise)) is not None:
        doubts.append(f"the edge rises over only {levels} grey levels")
    if line.finite is not None:
        doubts.append("pixels that hold no number were replaced")
    if line.last - line.first < 0.6 * rows:
        doubts.append(f"only {line.last - line.first} of {rows} rows have room on both sides of the edge")
    if spread.slope_across > 0.1:
        doubts.append(f"the plateaus are not level: they change by {spread.slope_across:.0%} of the step")
    return doubts


def _ends_abruptly(line: EdgeLine, spread: EdgeSpread) -> bool:
    """Whether an edge without noise runs into one of its extreme values with a kink, and not by steps of its grey levels."""
    step = line.high - line.low
    if line.noise > 1e-6 * step:
        return False
    if spread.rise * spread.bin <= _APERTURE * spread.pixel:
        return False  # an edge as sharp as the pixels allow has corners of its own
    before = max(1, round(0.2 * spread.rise))
    for pixels, left in ((line.pixels, (line.pixels.max() - spread.values) / step),
                         (-line.pixels, (spread.values[::-1] - line.pixels.min()) / step)):  # fmt: skip
        top = pixels.max()
        at_top = pixels == top
        reached = int(np.argmax(left < 1e-3))
        if at_top.sum() > 0.02 * pixels.size and reached > before:
            grey_level = float(top - pixels[~at_top].max()) / step
            if left[reached - before] > grey_level + _KINK:
                return True
    return False


def _noisier_on_the_edge(line: EdgeLine, spread: EdgeSpread, angle: float) -> bool:
    """Whether pixels scatter more about the edge spread where it rises than on either plateau.

    Quantum noise lies between that of the plateaus there. A look-up table that is steep in its middle raises it, and
    clipping takes it from the plateaus alone. Rows that are shifted as a whole (a rough edge) do not count.
    """
    cosine = math.cos(math.radians(angle))
    rise = spread.rise * spread.bin / (spread.pixel * cosine)  # in columns
    room = math.ceil(0.5 * rise + 1.0)
    beside = math.ceil(2.0 * rise + 2.0)
    ends = line.offset + line.slope * np.array([line.first, line.last - 1.0])
    if min(ends.min(), line.pixels.shape[1] - 1 - ends.max()) < room + beside + 1:
        return False
    part, distance = gather(line.pixels, line.slope, line.offset, line.first, line.last, room + beside)
    plateaus = max(float(_level(side).std()) for side in (part[:, :beside], part[:, -beside:]))
    across = distance[:, beside:-beside] * spread.pixel * cosine
    rest = part[:, beside:-beside] - np.interp(across, spread.centres, spread.values)
    steepness = np.gradient(spread.values, spread.bin)
    slope = np.interp(across, spread.centres, steepness)
    rest = rest - slope * (np.sum(rest * slope, axis=1) / np.sum(slope * slope, axis=1))[:, None]
    scatter = math.sqrt(float(np.mean(rest[slope > 0.5 * slope.max()] ** 2)))
    return scatter > math.hypot(_NOISIER * plateaus, _BETWEEN_BINS * spread.bin * float(steepness.max()))


def _grey_level(pixels: Floats) -> float:
    """Smallest difference of two values: rounding by itself leaves a plateau some noise, or none."""
    return float(np.diff(np.unique(pixels)).min())


def _level(part: Floats) -> Floats:
    """Pixels less what their rows and their columns have in common."""
    return part - part.mean(axis=0) - part.mean(axis=1, keepdims=True) + part.mean()
