"""Thin line sources in a planar gamma camera image: pairs of parallel lines along the rows, the columns, or both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.nm_field import fullest_frame, others_not_measured
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["Pair", "line_pairs", "locate", "match"]

Floats = NDArray[np.float64]
_BAND_MM = 50.0  # along the lines, about the middle: between the crossing pair
_SEPARATION_MM = (40.0, 400.0)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two parallel lines in the band between the other pair.

    `axis` is 1 where the lines are crossed by going along a row (upright lines), 0 for lying ones. `places_px` are their
    peaks in pixels along that axis in the middle of the band; `band` are the half-open pixels of the band. `profile` is the
    sum over the band along the lines as they lean, so that a lean does not widen them.
    """

    axis: int
    places_px: tuple[float, float]
    tilt_deg: float
    band: tuple[int, int]
    profile: Floats


def line_pairs(bench: Workbench) -> list[Pair]:
    """Pairs of lines of the fullest frame, upright ones first."""
    return bench.once("nm_pairs", lambda: _search(bench))


def _search(bench: Workbench) -> list[Pair]:
    image = np.asarray(bench.series.image(fullest_frame(bench)), dtype=np.float64)
    spacing = bench.spacing_mm
    smooth = ndimage.gaussian_filter(image, [1.5 / step for step in spacing])
    bright = smooth > 0.3 * float(np.quantile(smooth, 0.9995))
    # Lines fill next to nothing of the image.
    if not 20 <= bright.sum() <= 0.06 * bright.size:
        return []
    rows, columns = np.nonzero(bright)
    centre = ((rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2)
    found = []
    for axis in (1, 0):
        pair = _pair(image, spacing, centre, axis)
        if pair is not None:
            found.append(pair)
    return found


def _pair(image: Floats, spacing: tuple[float, float], centre: tuple[float, float], axis: int) -> Pair | None:
    other = 1 - axis
    half = _BAND_MM / 2 / spacing[other]
    band = (max(0, round(centre[other] - half)), min(image.shape[other], round(centre[other] + half) + 1))
    lines = image if axis == 1 else image.T
    profile = lines[band[0] : band[1]].sum(axis=0)
    places = _two_peaks(profile, spacing[axis])
    if places is None:
        return None
    middle = (band[0] + band[1]) // 2
    halves = []
    for part in (lines[band[0] : middle], lines[middle : band[1]]):
        halves.append([_near_peak(part.sum(axis=0), at, spacing[axis]) for at in places])
    step = (band[1] - band[0]) / 2 * spacing[other]
    lean = [(low - high) * spacing[axis] / step for high, low in zip(*halves, strict=True)]
    if abs(lean[0] - lean[1]) > 0.1:
        return None  # no parallel lines
    drift = float(np.mean(lean)) * spacing[other] / spacing[axis]  # pixels along the profile for one pixel downwards
    straight = _along(lines, band, drift)
    places = _two_peaks(straight, spacing[axis]) or places
    return Pair(axis, places, float(np.degrees(np.arctan(np.mean(lean)))), band, straight)


def _along(lines: Floats, band: tuple[int, int], drift: float) -> Floats:
    """Sum over a band in which the pattern moves by so many pixels from one row to the next."""
    part = lines[band[0] : band[1]]
    if abs(drift) * part.shape[0] < 0.05:
        return np.asarray(part.sum(axis=0))
    row = np.arange(part.shape[0])[:, None]
    column = np.arange(part.shape[1])[None, :] + drift * (row - 0.5 * (part.shape[0] - 1))
    return np.asarray(ndimage.map_coordinates(part, [row + 0.0 * column, column], order=3, mode="nearest").sum(axis=0))


def _two_peaks(profile: Floats, step: float) -> tuple[float, float] | None:
    smooth = ndimage.gaussian_filter1d(profile, 1.5 / step)
    background = float(np.median(smooth))
    limit = background + 0.4 * (float(smooth.max()) - background)
    tops = [
        k
        for k in range(1, smooth.size - 1)
        if smooth[k] > limit and smooth[k] >= smooth[k - 1] and smooth[k] > smooth[k + 1]
    ]
    # Ripples of one line are not two lines.
    kept: list[int] = []
    for top in sorted(tops, key=lambda k: -smooth[k]):
        if all(abs(top - other) * step > 15.0 for other in kept):
            kept.append(top)
    if len(kept) != 2:
        return None
    first, last = sorted(kept)
    if not _SEPARATION_MM[0] <= (last - first) * step <= _SEPARATION_MM[1]:
        return None
    return _near_peak(profile, first, step), _near_peak(profile, last, step)


def _near_peak(profile: Floats, at: float, step: float) -> float:
    """Centre of gravity of what rises above half of the peak, within 12 mm."""
    reach = 12.0 / step
    low, high = max(0, round(at - reach)), min(profile.size, round(at + reach) + 1)
    part = ndimage.gaussian_filter1d(profile, 0.7)[low:high]
    ground = float(np.quantile(part, 0.1))
    weight = np.clip(part - ground - 0.3 * (part.max() - ground), 0.0, None)
    total = float(weight.sum())
    return float((weight * np.arange(low, high)).sum() / total) if total > 0 else float(at)


def match(bench: Workbench, definition: Definition) -> Match:
    """As many pairs as the definition has: two for four bars, one for two lines."""
    found = line_pairs(bench)
    wanted = int(definition.body.get("pairs", 2))
    nominal = float(definition.body["separation_mm"])
    said = []
    for pair in found:
        distance = (pair.places_px[1] - pair.places_px[0]) * bench.spacing_mm[pair.axis]
        said.append(f"two lines {distance:.1f} mm apart")
        if abs(distance / nominal - 1) > 0.15:
            return Match(0.3, (*said, f"expected {nominal:.0f} mm"))
    if len(found) != wanted:
        return Match(0.3 if found else 0.0, tuple(said))
    return Match(0.85, tuple(said))


def locate(bench: Workbench, definition: Definition) -> Pose:
    """The middle between the lines, and their lean."""
    found = line_pairs(bench)
    spacing = bench.spacing_mm
    middle = [(size - 1) / 2 for size in bench.series.shape]
    if not found:
        return Pose(0.0, (middle[0], middle[1]), spacing, status="not_measurable", reason="no lines", quality=0.0)
    for pair in found:
        middle[pair.axis] = sum(pair.places_px) / 2
    # Upright lines lean to the right going down where the image is turned against the clock.
    roll = float(np.mean([-pair.tilt_deg if pair.axis == 1 else pair.tilt_deg for pair in found]))
    return Pose(0.0, (middle[0], middle[1]), spacing, roll_deg=roll, notes=others_not_measured(bench))
