"""Quadrant bar phantoms: four fields of parallel bars, each of its own width and direction, about the middle of the field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.nm_field import fullest_frame, lit_field, others_not_measured
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["Quadrant", "locate", "match", "quadrants", "strongest_pattern"]

Floats = NDArray[np.float64]
_SIDE_MM = 110.0
_AWAY = 0.27  # of the shorter side of the field: where the middles of the quadrants lie
_BARS_MM = (1.5, 8.0)
_BEYOND = 0.75  # of the least frequency: what is stronger there is no bar's
_CLEAR = 12.0  # peak of the spectrum over its median
_SURE = 30.0
_LEAST_FIELD_MM = 100.0  # a quadrant of less holds too few bars to tell them from the edge of something small


@dataclass(frozen=True, slots=True)
class Quadrant:
    """Bars in one quadrant: region, measured frequency (in image mm), direction of the bars' normal, strength.

    `strength` is the spectrum's peak over its median, `modulation` the amplitude at the peak over the mean.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    frequency_per_mm: float
    normal_deg: float
    strength: float
    modulation: float


def quadrants(bench: Workbench, frame: int = 0) -> list[Quadrant]:
    """The four quadrants of a frame: upper left, upper right, lower left, lower right."""
    return bench.once(f"nm_quadrants {frame}", lambda: _search(bench, frame))


def strongest_pattern(bench: Workbench, frame: int = 0) -> float:
    """Largest modulation of bars that stand out of the noise in any quadrant."""
    return max((one.modulation for one in quadrants(bench, frame) if one.strength > _SURE), default=0.0)


def _search(bench: Workbench, frame: int) -> list[Quadrant]:
    lit = lit_field(bench, frame)
    if lit is None or min(lit.size_mm) < _LEAST_FIELD_MM:
        return []
    spacing = bench.spacing_mm
    image = np.asarray(bench.series.image(frame), dtype=np.float64)
    away = _AWAY * min(lit.size_mm)
    side = min(_SIDE_MM, 1.5 * away)
    found = []
    for down in (-1, 1):
        for right in (-1, 1):
            centre = (lit.centre_px[0] + down * away / spacing[0], lit.centre_px[1] + right * away / spacing[1])
            bounds = []
            for at, step, size in zip(centre, spacing, image.shape, strict=True):
                begin = max(0, round(at - side / 2 / step))
                bounds.append((begin, min(size, round(at + side / 2 / step))))
            part = image[bounds[0][0] : bounds[0][1], bounds[1][0] : bounds[1][1]]
            if min(part.shape) < 16:
                return []
            found.append(Quadrant(bounds[0], bounds[1], *_peak(part, spacing)))
    return found


def _peak(part: Floats, spacing: tuple[float, float]) -> tuple[float, float, float, float]:
    """Frequency, direction, strength and modulation of the strongest periodic pattern."""
    window = np.outer(np.hanning(part.shape[0]), np.hanning(part.shape[1]))
    mean = float((window * part).sum() / window.sum())
    padded = [4 * size for size in part.shape]
    spectrum = np.abs(np.fft.rfft2(window * (part - mean), s=padded))
    down, across = np.fft.fftfreq(padded[0], spacing[0]), np.fft.rfftfreq(padded[1], spacing[1])
    radius = np.hypot(down[:, None], across[None, :])
    allowed = (radius > 0.5 / _BARS_MM[1]) & (radius < min(0.5 / _BARS_MM[0], 0.48 / max(spacing)))
    if not allowed.any() or mean <= 0:
        return 0.1, 0.0, 0.0, 0.0
    masked = np.where(allowed, spectrum, 0.0)
    # A slope that only begins to fall at the coarsest bars' frequency is that of something larger.
    coarser = (radius > _BEYOND * 0.5 / _BARS_MM[1]) & ~allowed & (radius < 1.0 / _BARS_MM[1])
    if coarser.any() and float(spectrum[coarser].max()) > float(masked.max()):
        return 0.1, 0.0, 0.0, 0.0
    row, column = (int(k) for k in np.unravel_index(int(masked.argmax()), masked.shape))
    power = masked[row, column] ** 2
    strength = float(power / max(float(np.median(spectrum[allowed] ** 2)), 1e-300))
    angle = float(np.degrees(np.arctan2(down[row], across[column])))
    amplitude = 2.0 * float(masked[row, column]) / float(window.sum())
    return float(radius[row, column]), angle, strength, amplitude / mean


def match(bench: Workbench, definition: Definition) -> Match:
    """Bars stand out in at least two quadrants, and differ in width or direction."""
    found = quadrants(bench, fullest_frame(bench))
    sure = [one for one in found if one.strength > _SURE]
    if not sure or len(bench.series.frames) > 32:
        return Match(0.0)
    said = ", ".join(f"{0.5 / one.frequency_per_mm:.2f} mm" for one in sure)
    kinds = {(round(0.5 / one.frequency_per_mm * 5), round(abs(one.normal_deg) / 45)) for one in sure}
    if len(sure) >= 2 and len(kinds) >= 2:
        return Match(0.65 + 0.07 * (len(sure) - 1), (f"bars in {len(sure)} quadrants: {said}",))
    return Match(0.4, (f"bars in {len(sure)} quadrant(s): {said}",))


def locate(bench: Workbench, definition: Definition) -> Pose:
    """The middle of the field."""
    frame = fullest_frame(bench)
    lit, found = lit_field(bench, frame), quadrants(bench, frame)
    if lit is None or not found:
        return Pose(0.0, (0.0, 0.0), bench.spacing_mm, status="not_measurable", reason="no quadrants", quality=0.0)
    share = sum(one.strength > _CLEAR for one in found) / 4
    return Pose(0.0, lit.centre_px, bench.spacing_mm, quality=share, notes=others_not_measured(bench))
