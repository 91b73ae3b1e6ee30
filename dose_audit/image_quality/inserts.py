"""Centre, diameter and contrast of holes, rods and nodes: a blurred disc fitted to the pixels, not a thresholded blob."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize, special

from dose_audit.image_quality.correlation import correlation_areas
from dose_audit.image_quality.rois import Position, Spacing, as_floats, as_image, position_pair, spacing_pair
from dose_audit.measured import Measured, not_measurable

__all__ = ["InsertFit", "fit_insert"]

Floats = NDArray[np.float64]
_METHOD = "least-squares fit of a blurred disc on a sloping background"


@dataclass(frozen=True, slots=True)
class InsertFit:
    """A disc found near where it was expected.

    Parameters
    ----------
    position_px : (row, column) or None
        Sub-pixel centre; ``None`` when there is no such disc.
    position_uncertainty_mm : float or None
        Standard uncertainty of one coordinate.
    diameter : Measured
        Fitted diameter in mm.
    contrast : Measured
        Inside minus background, in the image's unit; negative for a dark hole.
    residual : float or None
        Root mean square residual over the contrast.
    """

    position_px: tuple[float, float] | None
    position_uncertainty_mm: float | None
    diameter: Measured
    contrast: Measured
    residual: float | None = None


def fit_insert(
    image: ArrayLike,
    spacing_mm: Spacing,
    centre_px: Position,
    radius_mm: float,
    *,
    search_mm: float | None = None,
    fix_radius: bool = False,
) -> InsertFit:
    """Fit a disc near an expected place.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    centre_px : (row, column)
        Expected centre.
    radius_mm : float
        Expected radius.
    search_mm : float, optional
        How far off the expected centre may be; the larger of the radius and two pixels by default.
    fix_radius : bool
        Hold the radius at `radius_mm`: for objects about as small as a pixel, whose diameter and contrast cannot be parted.

    Returns
    -------
    InsertFit
        ``not_measurable`` when no disc stands out of the noise; ``suspect`` when it lies at the border of the search or fits
        worse than 10 % of its contrast beyond the noise.

    Notes
    -----
    Model: ``b0 + bx·x + by·y + C/2 · erfc((ρ - R) / (√2 σ))``, with the position, R, C, σ and the background free;
    ``σ²/2R`` is added to the radius for the curvature of the edge. The
    start is the centre of gravity of the matched contrast, so that a misplaced expectation does not matter.

    Examples
    --------
    >>> row, column = np.mgrid[:40, :40]
    >>> hole = 100 - 80 * np.clip(6.5 - np.hypot(row - 19.3, column - 21.6), 0, 1)
    >>> fit = fit_insert(hole, 1.0, (20, 20), 6.0)
    >>> [round(v, 1) for v in fit.position_px], round(fit.contrast.value)
    ([19.3, 21.6], -80)
    """
    array = as_image(image)
    row_mm, column_mm = spacing_pair(spacing_mm)
    row, column = position_pair(centre_px)
    if radius_mm <= 0:
        raise ValueError("a radius is positive")
    pixel = math.sqrt(row_mm * column_mm)
    reach = search_mm if search_mm is not None else max(radius_mm, 2 * pixel)
    rim = max(0.8 * radius_mm, 3 * pixel)
    start = (row, column)
    for turn in range(3):
        part, down, right = _window(
            array, start, (row_mm, column_mm), radius_mm + rim + (reach if turn == 0 else 0.25 * reach)
        )
        if part.size < 25 or min(part.shape) < 5:
            return _nothing("the expected place lies at the border of the image")
        start = _gravity(part, down, right, start, (row_mm, column_mm), radius_mm)
    if math.hypot((start[0] - row) * row_mm, (start[1] - column) * column_mm) > reach + radius_mm:
        return _nothing("nothing of this size stands out near the expected place")
    part, down, right = _window(array, start, (row_mm, column_mm), radius_mm + rim)
    if part.size < 25 or min(part.shape) < 5:
        return _nothing("the insert lies at the border of the image")
    scale = float(np.ptp(part)) or 1.0

    def model(p: Floats) -> Floats:
        y, x, contrast, radius, blur, base, slope_y, slope_x = p
        rho = np.hypot(down - y, right - x)
        disc = 0.5 * special.erfc((rho - abs(radius)) / (math.sqrt(2) * blur))
        return np.asarray(base + slope_y * down + slope_x * right + contrast * disc)

    inside = np.hypot(down, right) < 0.8 * radius_mm + 0.3 * pixel
    around = np.hypot(down, right) > radius_mm + 1.5 * pixel
    base = float(np.median(part[around])) if around.any() else float(np.median(part))
    contrast = (
        float(np.median(part[inside])) if inside.any() else float(part[part.shape[0] // 2, part.shape[1] // 2])
    ) - base
    widest = 1e-9 if fix_radius else 0.5
    lower = [-reach, -reach, -5 * scale, radius_mm * (1 - widest), 0.25 * pixel, -np.inf, -np.inf, -np.inf]
    upper = [reach, reach, 5 * scale, radius_mm * (1 + widest), max(3 * pixel, 0.5 * radius_mm), np.inf, np.inf, np.inf]
    guess = [0.0, 0.0, contrast or 1e-3 * scale, radius_mm, 0.6 * pixel, base, 0.0, 0.0]
    fitted = optimize.least_squares(
        lambda p: (model(p) - part).ravel(),
        guess,
        bounds=(lower, upper),
        x_scale=[pixel, pixel, scale, pixel, pixel, scale, scale / (radius_mm + rim), scale / (radius_mm + rim)],
        max_nfev=60,
    )
    y, x, contrast, radius, blur = (float(v) for v in fitted.x[:5])
    radius += blur**2 / (2 * radius)  # a disc's blurred edge lies inside the straight edge's by so much
    residual = np.asarray(fitted.fun).reshape(part.shape)
    rms = float(np.sqrt(np.mean(residual**2)))
    area = correlation_areas(residual, np.ones(part.shape, dtype=bool))[0]
    errors = _standard_errors(np.asarray(fitted.jac), residual, max(area, 1.0))
    if not np.all(np.isfinite(errors[:3])) or abs(contrast) < 4 * errors[2] or contrast == 0:
        return _nothing("no disc stands out of the noise near the expected place")
    position = (start[0] + y / row_mm, start[1] + x / column_mm)
    away = math.hypot((position[0] - row) * row_mm, (position[1] - column) * column_mm)
    noise = float(np.std(residual[around], ddof=1)) if around.sum() > 5 else rms
    misfit = math.sqrt(max(rms**2 - noise**2, 0.0)) / abs(contrast)
    doubts = []
    if away > 1.2 * reach:
        doubts.append(f"found {away:.1f} mm from the expected place")
    if misfit > 0.1:
        doubts.append(f"the pixels differ from a disc by {100 * misfit:.0f} % of its contrast")
    details = {"residual_rms": rms, "blur_mm": blur}
    quality = max(0.0, 1.0 - rms / abs(contrast))
    if fix_radius:
        diameter = not_measurable("insert_diameter", "mm", "the radius was held at its nominal value", method=_METHOD)
    else:
        diameter = Measured("insert_diameter", 2 * radius, "mm", 2 * float(errors[3]), method=_METHOD, quality=quality)
    depth = Measured(
        "insert_contrast", contrast, "1", float(errors[2]), method=_METHOD, quality=quality, details=details
    )
    if doubts:
        diameter, depth = diameter.doubt("; ".join(doubts)), depth.doubt("; ".join(doubts))
    return InsertFit(
        position, float(math.hypot(errors[0], errors[1]) / math.sqrt(2)), diameter, depth, rms / abs(contrast)
    )


def _window(
    array: NDArray[np.generic], centre: tuple[float, float], spacing: tuple[float, float], half_mm: float
) -> tuple[Floats, Floats, Floats]:
    """Pixels about `centre`, with their offsets from it in mm (down, right); what is not finite becomes the median."""
    spans = []
    for at, step, size in zip(centre, spacing, array.shape, strict=True):
        low = min(max(math.ceil(at - half_mm / step), 0), size)
        spans.append(slice(low, min(max(math.floor(at + half_mm / step) + 1, low), size)))
    part = as_floats(array[spans[0], spans[1]])
    broken = ~np.isfinite(part)
    if broken.any():
        part[broken] = np.median(part[~broken]) if not broken.all() else 0.0
    down = (np.arange(spans[0].start, spans[0].stop) - centre[0]) * spacing[0]
    right = (np.arange(spans[1].start, spans[1].stop) - centre[1]) * spacing[1]
    return part, *np.meshgrid(down, right, indexing="ij")


def _gravity(
    part: Floats,
    down: Floats,
    right: Floats,
    centre: tuple[float, float],
    spacing: tuple[float, float],
    radius_mm: float,
) -> tuple[float, float]:
    """Centre of gravity of what differs from the rim by more than half of the greatest local mean difference."""
    size = [max(3, 2 * round(0.6 * radius_mm / step) + 1) for step in spacing]
    rim = np.ones(part.shape, dtype=bool)
    rim[2:-2, 2:-2] = False
    difference = part - np.median(part[rim])
    smooth = ndimage.uniform_filter(difference, size, mode="nearest")
    row, column = np.unravel_index(int(np.argmax(np.abs(smooth))), smooth.shape)
    near = np.hypot(down - down[row, column], right - right[row, column]) <= 1.3 * radius_mm + 0.5 * max(spacing)
    weight = np.clip(difference * np.sign(smooth[row, column]) - 0.5 * abs(float(smooth[row, column])), 0.0, None)
    weight = np.minimum(weight, abs(float(smooth[row, column]))) * near
    total = float(weight.sum())
    if total <= 0:
        return centre
    return (
        centre[0] + float((weight * down).sum()) / total / spacing[0],
        centre[1] + float((weight * right).sum()) / total / spacing[1],
    )


def _standard_errors(jacobian: Floats, residual: Floats, area: float) -> Floats:
    norms = np.linalg.norm(jacobian, axis=0)
    norms[norms == 0] = 1.0
    inverse = np.linalg.pinv((jacobian / norms).T @ (jacobian / norms))
    freedom = max(residual.size / area - jacobian.shape[1], 1.0) * area
    variance = float((residual**2).sum()) / freedom * area
    return np.asarray(np.sqrt(np.maximum(np.diag(inverse), 0.0) * variance) / norms)


def _nothing(reason: str) -> InsertFit:
    return InsertFit(
        None,
        None,
        not_measurable("insert_diameter", "mm", reason, method=_METHOD),
        not_measurable("insert_contrast", "1", reason, method=_METHOD),
    )
