"""One inclined wire on one CT slice: a two-dimensional fit that tells the slice profile from the image's own blur."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from dose_audit.image_quality.correlation import correlation_areas
from dose_audit.image_quality.profile_shapes import (
    fwhm_slopes,
    peak_shape,
    plateau_shape,
    shape_fwhm,
    shape_widths,
    width_over_shapes,
)
from dose_audit.image_quality.rois import as_floats

__all__ = ["UNSURE", "Wire", "fit_wire", "noise_doubt"]

Floats = NDArray[np.float64]
_ROOT2 = math.sqrt(2.0)
UNSURE = 0.04  # relative uncertainty of a width from which the shape of the profile is left open
_OPEN, _OPEN_MM = 0.12, 0.35  # uncertainty of a width, relative and along the wire, up to which it is trusted


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire's fit on one slice; lengths along the wire in mm.

    Parameters
    ----------
    fwhm, spread : float
        Full width at half maximum of the slice profile along the wire, and its standard uncertainty.
    centre, centre_spread : float
        Where the wire crosses the slice, from the middle of its region, and the standard uncertainty of that.
    amplitude : float
        Height over the ground, in the unit of the image.
    residual : float
        What is left along the wire, as a share of the height.
    blur : float
        Standard deviation of the image's blur.
    across : float
        Place of the wire across its region.
    reason : str
        Why the fit is to be doubted; empty otherwise.
    noisy : bool
        Whether noise alone is the reason: several such fits together may be sure.
    """

    fwhm: float
    spread: float
    centre: float
    centre_spread: float
    amplitude: float
    residual: float
    blur: float
    across: float
    reason: str = ""
    noisy: bool = False


def noise_doubt(width: float, spread: float, along: float = 1.0) -> str:
    """Why noise leaves a width in doubt; empty where it does not.

    Parameters
    ----------
    width, spread : float
        Full width at half maximum and its standard uncertainty, mm.
    along : float
        Millimetres of this width for each millimetre along the wire: the tangent where the width is a thickness.

    Examples
    --------
    >>> noise_doubt(5.0, 0.1)
    ''
    """
    if spread > 0.2 * width:
        return "the noise is too high for this thickness"
    if spread > max(_OPEN_MM * along, _OPEN * width):
        return "the noise leaves open whether the slice profile is a plateau or a peak"
    return ""


def fit_wire(
    array: NDArray[np.generic],
    spacing: tuple[float, float],
    centre: tuple[float, float],
    angle_deg: float,
    length_mm: float,
    width_mm: float,
    box_mm: float = 0.0,
    unknown_mm: float = 0.0,
) -> Wire | str:
    """Fit one wire on one slice, or say why there is none.

    Parameters
    ----------
    array : ndarray, shape (rows, columns)
    spacing : (row, column)
        Pixel spacing in mm.
    centre : (row, column)
        Middle of the wire's region.
    angle_deg : float
        Direction of the wire's image.
    length_mm, width_mm : float
        The region along and across the wire.
    box_mm : float
        Length along the wire of the box by which its own height across the slice blurs the profile: not in the width found.
    unknown_mm : float
        Length of such a box that may be there besides; what it would take off the width is in the uncertainty.
    """
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    half_down = 0.5 * (abs(sine) * length_mm + abs(cosine) * width_mm)
    half_right = 0.5 * (abs(cosine) * length_mm + abs(sine) * width_mm)
    spans = []
    for at, half, step, size in zip(centre, (half_down, half_right), spacing, array.shape, strict=True):
        low = min(max(math.ceil(at - half / step), 0), size)
        spans.append(slice(low, min(max(math.floor(at + half / step) + 1, low), size)))
    part = as_floats(array[spans[0], spans[1]])
    if min(part.shape, default=0) < 5:
        return "the wire's region lies outside the image"
    down = (np.arange(spans[0].start, spans[0].stop) - centre[0])[:, None] * spacing[0]
    right = (np.arange(spans[1].start, spans[1].stop) - centre[1])[None, :] * spacing[1]
    s, t = cosine * right + sine * down, cosine * down - sine * right
    inside = np.isfinite(part) & (np.abs(s) <= 0.5 * length_mm) & (np.abs(t) <= 0.5 * width_mm)
    if inside.sum() < 60:
        return "the wire's region lies outside the image"
    pixel = math.sqrt(spacing[0] * spacing[1])
    start = _locate(part, inside, s, t, pixel)
    if start is None or abs(start[1]) < 1e-9 * float(np.abs(part[inside]).max()):
        return "no wire stands out of the noise in its region"
    base, amplitude, s0, t0, length = start
    # In units of the height, so that the least squares see numbers near 1 in any unit of the image.
    unit = abs(amplitude)
    part, base, amplitude = part / unit, base / unit, amplitude / unit
    reach = 0.5 * length + max(6.0, 8 * pixel)
    inside &= (np.abs(s - s0) < reach) & (np.abs(t - t0) < max(3.5, 5 * pixel))
    ss, tt, values = s[inside], t[inside], part[inside]
    scale = abs(amplitude)

    def model(p: Floats, peaked: bool) -> Floats:
        ground = p[0] + p[1] * (ss - s0) / reach + p[2] * (tt - t0) / reach
        line = np.exp(-0.5 * ((tt - t0 - p[4] - p[5] * (ss - s0)) / p[6]) ** 2)
        wide, own = shape_widths(float(p[8]), float(p[9]), peaked)
        blur, u = math.hypot(p[6], own), ss - s0 - p[7]
        # The height is that of the peak, so that a Gaussian profile (no width, all blur) leaves it determined.
        shape = peak_shape if peaked else plateau_shape
        return np.asarray(ground + p[3] * line * shape(u, wide, blur, box_mm) / float(shape(0.0, wide, blur, box_mm)))

    lower = [-np.inf, -np.inf, -np.inf, -30 * scale, -2.0, -0.15, 0.3 * pixel, -reach, 0.1 * pixel, 0.0]
    upper = [np.inf, np.inf, np.inf, 30 * scale, 2.0, 0.15, max(2.0, 3 * pixel), reach, reach, 1.0]
    guess = [base, 0.0, 0.0, amplitude, 0.0, 0.0, max(0.6, 0.7 * pixel), 0.0, 0.29 * length, 0.8]
    steps = [scale, scale, scale, scale, pixel, 0.02, 0.3 * pixel, pixel, 0.3 * length, 0.3]

    def solve(
        guess: Sequence[float] | Floats, share: float | None = None, peaked: bool = False
    ) -> optimize.OptimizeResult:
        """The fit, with a rectangle's (or a triangle's) share in the profile that is free or given."""
        own = slice(None, None if share is None else -1)
        rest = np.array([] if share is None else [share])
        return optimize.least_squares(
            lambda q: model(np.append(q, rest), peaked) - values,
            np.clip(guess, np.array(lower) + 1e-9, np.array(upper) - 1e-9)[own],
            bounds=(lower[own], upper[own]),
            x_scale=steps[own],
            max_nfev=100,
        )

    fitted = solve(guess)
    residual_image = np.zeros(part.shape)
    residual_image[inside] = fitted.fun
    area = max(correlation_areas(residual_image, inside)[0], 1.0)
    # A profile may be a plateau or a peak: their widths count by how well either explains the wire.
    peak_fit = solve([*fitted.x[:-1], 0.8], peaked=True)
    both = [_width_of(fitted, area, False), _width_of(peak_fit, area, True)]
    least = min(float(fitted.cost), float(peak_fit.cost))
    excess = np.array([float(fitted.cost), float(peak_fit.cost)]) - least
    variance = 2.0 * least / max(values.size - fitted.x.size * area, 0.2 * values.size) * area
    weights = np.exp(-np.minimum(excess / max(variance, 1e-300), 500.0))
    weights /= weights.sum()
    widths = np.array([width for width, _ in both])
    fwhm = float(weights @ widths)
    spread = math.sqrt(float(weights @ (np.array([error for _, error in both]) ** 2 + (widths - fwhm) ** 2)))
    if spread > UNSURE * fwhm:
        # Noise hides the shape. The plateau's width is kept, as a mean over shapes would draw all slices the same way.
        fwhm = float(widths[0])
        begin = np.asarray(fitted.x)

        def of_shape(share: float, peaked: bool) -> tuple[float, float, float]:
            found = solve(begin, share, peaked)
            covariance = _covariance(np.asarray(found.jac), np.asarray(found.fun), area)
            return 2.0 * float(found.cost), float(found.x[8]), max(float(covariance[8, 8]), 0.0)

        spread = width_over_shapes(of_shape, variance, fwhm)
    elif peak_fit.cost < fitted.cost:
        fitted = peak_fit
    p = np.asarray(fitted.x)
    peak = float(p[3])
    covariance = _covariance(np.asarray(fitted.jac), np.asarray(fitted.fun), area)
    noise = math.sqrt(float(np.mean(fitted.fun**2)))
    if peak == 0 or abs(peak) < 4 * math.sqrt(max(float(covariance[3, 3]), 0.0)) or abs(peak) < noise:
        return "no wire stands out of the noise in its region"
    # What is left along the wire, averaged over its width: the profile's misfit without the pixel noise.
    misfit = _misfit(ss - s0 - p[7], tt - t0 - p[4] - p[5] * (ss - s0), np.asarray(fitted.fun), float(p[6]), pixel)
    doubts = []
    if misfit / abs(peak) > 0.1 + 3 * noise / abs(peak) / math.sqrt(max(2 * p[6] / pixel, 1.0)):
        doubts.append(f"the wire's profile differs from a plateau by {100 * misfit / abs(peak):.0f} % of its height")
    if abs(s0 + p[7]) + 0.5 * fwhm > 0.5 * length_mm - pixel:
        doubts.append("the wire's image runs out of its region")
    if spread > fwhm:
        return "the noise is too high for this thickness"
    noisy = noise_doubt(fwhm, spread)
    shape = (float(p[8]), float(p[9]), fitted is peak_fit)
    thinner = shape_fwhm(*shape) - shape_fwhm(*shape, unknown_mm / math.sqrt(12.0))
    return Wire(
        fwhm,
        math.hypot(spread, thinner / math.sqrt(3.0)),
        s0 + float(p[7]),
        math.sqrt(max(float(covariance[7, 7]), 0.0)),
        peak * unit,
        misfit / abs(peak),
        float(p[6]),
        t0 + float(p[4]),
        "; ".join([*doubts, *([noisy] if noisy else [])]),
        bool(noisy) and not doubts,
    )


def _width_of(fitted: optimize.OptimizeResult, area: float, peaked: bool) -> tuple[float, float]:
    """Full width at half maximum of a fitted profile, and its standard uncertainty by the fit."""
    covariance = _covariance(np.asarray(fitted.jac), np.asarray(fitted.fun), area)
    spread, share = float(fitted.x[8]), float(fitted.x[9])
    slopes = np.zeros(fitted.x.size)
    slopes[8:] = fwhm_slopes(spread, share, peaked)
    return shape_fwhm(spread, share, peaked), math.sqrt(max(float(slopes @ covariance @ slopes), 0.0))


def _locate(
    part: Floats, inside: NDArray[np.bool_], s: Floats, t: Floats, pixel: float
) -> tuple[float, float, float, float, float] | None:
    """Ground, height, place along and across, and rough length of the wire's image."""
    base = float(np.median(part[inside]))
    noise = 1.4826 * float(np.median(np.abs(part[inside] - base)))
    lifted = np.where(inside, part - base, 0.0)
    smooth = ndimage.gaussian_filter(lifted, 1.0)
    peak_at = np.unravel_index(int(np.argmax(np.where(inside, np.abs(smooth), 0.0))), part.shape)
    height = float(smooth[peak_at])
    if abs(height) <= 0 or abs(height) < 1.5 * noise / 3.5:
        return None
    sign = math.copysign(1.0, height)
    t0 = float(t[peak_at])
    near = inside & (np.abs(t - t0) < max(1.5, 1.5 * pixel))
    bins = np.floor((s[near] - s[near].min()) / (0.7 * pixel)).astype(int)
    counts = np.bincount(bins)
    sums = np.bincount(bins, weights=lifted[near])
    profile = ndimage.uniform_filter1d(sign * sums / np.maximum(counts, 1), 3, mode="nearest")
    top = int(np.argmax(profile))
    above = profile > 0.5 * profile[top]
    labels, _ = ndimage.label(above)
    run = np.flatnonzero(labels == labels[top])
    s0 = float(s[near].min() + (run.mean() + 0.5) * 0.7 * pixel)
    length = max(run.size * 0.7 * pixel, 1.5 * pixel)
    return base, sign * float(np.max(np.abs(smooth))) * 1.3, s0, t0, length


def _misfit(u: Floats, v: Floats, residual: Floats, blur: float, pixel: float) -> float:
    """Root mean square of the residuals along the wire after a weighted mean across it."""
    weight = np.exp(-0.5 * (v / blur) ** 2)
    bins = np.floor((u - u.min()) / pixel).astype(int)
    total = np.bincount(bins, weights=weight)
    mean = np.bincount(bins, weights=weight * residual) / np.maximum(total, 1e-9)
    return float(np.sqrt(np.mean(mean[total > 0.5] ** 2))) if np.any(total > 0.5) else 0.0


def _covariance(jacobian: Floats, residual: Floats, area: float) -> Floats:
    norms = np.linalg.norm(jacobian, axis=0)
    norms[norms == 0] = 1.0
    inverse = np.linalg.pinv((jacobian / norms).T @ (jacobian / norms)) / np.outer(norms, norms)
    freedom = max(residual.size - jacobian.shape[1] * area, 0.2 * residual.size)
    return np.asarray(inverse * float(residual @ residual) / freedom * area)
