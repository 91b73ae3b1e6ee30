"""Slice position from two opposed wedges or bars: how far one profile is shifted against the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from dose_audit.image_quality.rois import Position, Spacing, as_floats, as_image, spacing_pair
from dose_audit.image_quality.sampling import strip_profile
from dose_audit.measured import Measured, not_measurable

__all__ = ["SlicePosition", "profile_shift", "slice_position_bars"]

Floats = NDArray[np.float64]
_METHOD = "least-squares shift between the two profiles, parabolic peak of their correlation as the start"


@dataclass(frozen=True, slots=True)
class SlicePosition:
    """Slice position from a pair of bars.

    Parameters
    ----------
    length_difference : Measured
        Second bar minus first, in mm; with the first on the left it is negative when the left bar is longer (the ACR's sign).
    offset : Measured
        Distance of the slice from the crossing of the wedges, in mm: the difference over twice the wedges' cotangent.
    position_mm, first, second : ndarray or None
        The two profiles, for a chart.
    """

    length_difference: Measured
    offset: Measured
    position_mm: Floats | None = None
    first: Floats | None = None
    second: Floats | None = None


def slice_position_bars(
    image: ArrayLike,
    spacing_mm: Spacing,
    first_px: Position,
    second_px: Position,
    *,
    length_mm: float = 25.0,
    width_mm: float = 3.0,
    angle_deg: float = 90.0,
    tangent: float = 1.0,
    largest_mm: float = 15.0,
) -> SlicePosition:
    """Difference in length of two bars that are the images of opposed wedges.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    first_px, second_px : (row, column)
        Middles of the two profiles, one on each bar, at the same height; the bars should end within their middle part.
    length_mm, width_mm : float
        Extent along and across the bars.
    angle_deg : float
        Direction in which the bars lengthen: 90 for bars that hang from 12 o'clock.
    tangent : float
        Tangent of the wedges' angle to the slice: 1 for the ACR's 45°.
    largest_mm : float
        Largest difference looked for.

    Returns
    -------
    SlicePosition
        ``suspect`` when the two profiles differ by more than 10 % of their height after the shift.

    References
    ----------
    ACR. Phantom test guidance for use of the large MRI phantom: slice position accuracy.

    Examples
    --------
    >>> row, column = np.mgrid[:60, :40] * 1.0
    >>> image = 1 / (1 + np.exp(-(row - np.where(column < 20, 28.0, 31.0))))
    >>> result = slice_position_bars(image, 1.0, (30, 15), (30, 25))
    >>> round(result.length_difference.value, 2), round(result.offset.value, 2)
    (3.0, 1.5)
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    if tangent <= 0 or largest_mm <= 0:
        raise ValueError("the tangent and the largest difference are positive")
    position, first = strip_profile(array, first_px, length_mm, width_mm, spacing, angle_deg=angle_deg)
    _, second = strip_profile(array, second_px, length_mm, width_mm, spacing, angle_deg=angle_deg)
    difference = profile_shift(position, first, second, largest_mm=largest_mm, name="bar_length_difference")
    if difference.value is None:
        offset = not_measurable("slice_offset", "mm", difference.reason, method=_METHOD)
    else:
        spread = 0.5 * tangent * difference.uncertainty if difference.uncertainty is not None else None
        offset = Measured("slice_offset", 0.5 * tangent * difference.value, "mm", spread, method=_METHOD)
        offset = offset.doubt(difference.reason) if difference.status == "suspect" else offset
    return SlicePosition(difference, offset, position, first, second)


def profile_shift(
    position_mm: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    largest_mm: float = 15.0,
    name: str = "profile_shift",
) -> Measured:
    """How far `second` lies after `first` along a common axis.

    Parameters
    ----------
    position_mm : array_like, shape (n,)
        Equidistant positions, ascending.
    first, second : array_like, shape (n,)
        Two profiles of one shape (steps, ramps, peaks), each with its own noise.
    largest_mm : float
        Largest shift looked for; at most 60 % of the profile's length.
    name : str
        Name of the result.

    Returns
    -------
    Measured
        In mm.

    Notes
    -----
    The whole-sample shift with the greatest normalised correlation and its parabolic peak are the start; a Gauss-Newton step
    on the spline of the first profile, with a free gain and ground, repeated to convergence, is the result. Its
    uncertainty follows from the residuals and the slope of the profile.

    Examples
    --------
    >>> x = np.arange(0, 40, 0.5)
    >>> edge = lambda at: np.tanh(x - at)
    >>> round(profile_shift(x, edge(18.0), edge(21.3)).value, 3)
    3.3
    """
    x = np.asarray(position_mm, dtype=float)
    a, b = as_floats(first), as_floats(second)
    if x.ndim != 1 or a.shape != x.shape or b.shape != x.shape:
        raise ValueError("positions and profiles are vectors of one length")
    if x.size < 12 or not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        return not_measurable(name, "mm", "the profiles are too short or not numbers throughout", method=_METHOD)
    step = float(x[1] - x[0])
    height = float(np.percentile(a, 95) - np.percentile(a, 5)), float(np.percentile(b, 95) - np.percentile(b, 5))
    if min(height) <= 0:
        return not_measurable(name, "mm", "a profile is flat", method=_METHOD)
    reach = min(round(largest_mm / step), round(0.6 * x.size))
    start = _coarse(a, b, reach)
    if start is None:
        return not_measurable(name, "mm", "the two profiles have nothing in common", method=_METHOD)
    shift, residual, gain, error = _refine(a, b, start)
    scale = 0.5 * (height[0] * abs(gain) + height[1])
    misfit = residual / scale if scale > 0 else math.inf
    if not math.isfinite(shift) or not math.isfinite(misfit) or abs(shift) > 1.2 * reach + 1:
        return not_measurable(name, "mm", "the two profiles have nothing in common", method=_METHOD)
    result = Measured(
        name,
        shift * step,
        "mm",
        error * step if math.isfinite(error) else None,
        method=_METHOD,
        quality=max(0.0, 1.0 - misfit),
        details={"residual": misfit, "gain": gain},
    )
    doubts = []
    if misfit > 0.1:
        doubts.append(f"after the shift the profiles still differ by {100 * misfit:.0f} % of their height")
    if abs(shift) >= reach:
        doubts.append(f"the shift reaches the limit of {largest_mm:g} mm")
    return result.doubt("; ".join(doubts)) if doubts else result


def _coarse(a: Floats, b: Floats, reach: int) -> float | None:
    """Shift in samples with the greatest normalised correlation of the overlap, with its parabolic peak."""
    scores = np.full(2 * reach + 1, -np.inf)
    for index, shift in enumerate(range(-reach, reach + 1)):
        low, high = max(0, shift), min(a.size, a.size + shift)
        if high - low < max(6, 0.3 * a.size):
            continue
        p, q = a[low - shift : high - shift], b[low:high]
        p, q = p - p.mean(), q - q.mean()
        power = math.sqrt(float(p @ p) * float(q @ q))
        # Overlaps without the feature correlate by chance: they must keep a share of its variance.
        if power > 0.15 * math.sqrt(float(a.var() * b.var())) * a.size * 0.5:
            scores[index] = float(p @ q) / power
    best = int(np.argmax(scores))
    if not scores[best] > 0.3:
        return None
    shift_at = float(best - reach)
    if 0 < best < 2 * reach and np.isfinite(scores[best - 1]) and np.isfinite(scores[best + 1]):
        bend = scores[best - 1] - 2 * scores[best] + scores[best + 1]
        if bend < 0:
            shift_at += 0.5 * float(scores[best - 1] - scores[best + 1]) / float(bend)
    return shift_at


def _refine(a: Floats, b: Floats, start: float) -> tuple[float, float, float, float]:
    """Shift, root mean square residual, gain and standard error of the shift, in samples."""
    spline = ndimage.spline_filter(a, order=3)
    index = np.arange(b.size, dtype=float)
    shift, gain, error, residual = start, 1.0, math.inf, math.inf
    for _ in range(25):
        at = index - shift
        seen = (at >= 0) & (at <= a.size - 1)
        if seen.sum() < 6:
            return math.nan, math.inf, gain, math.inf
        values = ndimage.map_coordinates(spline, [at[seen]], order=3, prefilter=False)
        slope = 0.5 * (
            ndimage.map_coordinates(spline, [np.minimum(at[seen] + 1.0, a.size - 1)], order=3, prefilter=False)
            - ndimage.map_coordinates(spline, [np.maximum(at[seen] - 1.0, 0)], order=3, prefilter=False)
        )
        design = np.column_stack([values, np.ones(values.size), -gain * slope])
        solution = np.linalg.lstsq(design, b[seen], rcond=None)[0]
        gain, move = float(solution[0]), float(solution[2])
        left = b[seen] - design @ solution
        residual = float(np.sqrt(np.mean(left**2)))
        inverse = np.linalg.pinv(design.T @ design)
        rho = float(left[1:] @ left[:-1]) / max(float(left @ left), 1e-300)
        correlated = (1 + max(rho, 0.0)) / max(1 - max(rho, 0.0), 0.05)
        freedom = max(values.size / correlated - 3, 1.0)
        error = math.sqrt(max(float(inverse[2, 2]), 0.0) * float(left @ left) / freedom)
        shift += min(max(move, -2.0), 2.0)
        if abs(move) < 1e-5:
            break
    return shift, residual, gain, error
