"""CT slice thickness from an inclined wire: a two-dimensional fit on one slice, or on many with their positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize, special

from dose_audit.image_quality.correlation import correlation_areas
from dose_audit.image_quality.rois import Position, Spacing, as_floats, as_image, position_pair, spacing_pair
from dose_audit.image_quality.slice_profile import fwhm_slopes, peak_shape, shape_fwhm, shape_widths
from dose_audit.measured import Measured, not_measurable

__all__ = ["CATPHAN_TANGENT", "mean_thickness", "slice_thickness_wire"]

Floats = NDArray[np.float64]
CATPHAN_TANGENT = math.tan(math.radians(23.0))
_SINGLE = "inclined wire on one slice: two-dimensional fit, in-plane blur removed, half-maximum width times tangent"
_STACK = "inclined wire on several slices: fits joined by their z positions, which also give the tangent"
_ROOT2 = math.sqrt(2.0)
_UNSURE = 0.04  # relative uncertainty of a width from which the shape of the profile is left open
_OPEN, _OPEN_MM = 0.095, 0.35  # uncertainty of a width, relative and along the wire, up to which it is trusted
# Share of a rectangle (of a triangle, where the profile is peaked) in the square of a profile's spread.
_SHAPES = ((0.0, False), (0.5, False), (0.8, False), (1.0, False), (1.0, True))

# Two or three values that happen to agree say little of their scatter: Student's t for 68 % of 1, 2 and 3 degrees of freedom.
_FEW = {2: 1.84, 3: 1.32, 4: 1.20}
_LEAN_SHARE = 0.04  # of a tangent of 23 degrees: what a lean of 0.8 degrees makes of it


@dataclass(frozen=True, slots=True)
class _Wire:
    """One wire's fit on one slice; lengths along the wire in mm."""

    fwhm: float
    spread: float
    centre: float
    centre_spread: float
    amplitude: float
    residual: float
    blur: float
    across: float
    reason: str = ""


def slice_thickness_wire(
    images: ArrayLike,
    spacing_mm: Spacing,
    centre_px: Position,
    angle_deg: float,
    *,
    z_mm: Sequence[float] | None = None,
    tangent: float = CATPHAN_TANGENT,
    length_mm: float = 40.0,
    width_mm: float = 10.0,
) -> Measured:
    """Slice thickness from a wire inclined to the slice.

    Parameters
    ----------
    images : ndarray, shape (rows, columns) or (slices, rows, columns)
        One slice, or several through the wire.
    spacing_mm : float or (row, column)
        Pixel spacing.
    centre_px : (row, column)
        Middle of the region in which the wire's image lies, within a few mm.
    angle_deg : float
        Direction of the wire's image, within about 5°: for a wire at the angle θ of a CatPhan, θ + 90.
    z_mm : sequence of float, optional
        Position of each slice along the axis (*Image Position (Patient)*); needed with several slices.
    tangent : float
        Nominal tangent of the wire's angle to the slice, 0.4245 (23°) for CatPhan. With three or more slices that see the wire
        move by 2 mm or more, the measured tangent is used.
    length_mm, width_mm : float
        The region along and across the wire.

    Returns
    -------
    Measured
        ``slice_thickness`` in mm: full width at half maximum of the slice sensitivity profile.

    Notes
    -----
    On the pixels of the region is fitted ``plane + A · exp(-(t - t0 - k s)²/2σ²) · D(s - s0; w, √(σ² + σz²))`` with the
    plateau D of `plateau_shape`: the wire's sharpness across its length, σ, is the in-plane blur along it, too. The width
    reported is that of D without it. Slice spacing plays no part, so that overlapping and gapped reconstructions read the
    same. Below about 0.6 mm the profile's shape (rectangular or Gaussian) can no longer be told from one slice and the
    uncertainty grows.

    References
    ----------
    Goodenough D J. Catphan 504 manual: scan slice geometry, wire ramps at 23°.

    Examples
    --------
    >>> from dose_audit.image_quality.slice_profile import plateau_shape
    >>> row, column = np.mgrid[:80, :120] * 0.5
    >>> profile = plateau_shape(column - 30, 5.0 / CATPHAN_TANGENT, 0.6) * np.exp(-0.5 * ((row - 20) / 0.6) ** 2)
    >>> round(slice_thickness_wire(500 * profile, 0.5, (40, 60), 0.0).value, 2)
    5.0
    """
    stack = np.asarray(images)
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3:
        raise ValueError(f"one slice or a stack of slices, not {stack.ndim} dimensions")
    if z_mm is None and stack.shape[0] > 1:
        raise ValueError("several slices need their positions")
    if z_mm is not None and len(z_mm) != stack.shape[0]:
        raise ValueError(f"{stack.shape[0]} slices and {len(z_mm)} positions")
    if tangent <= 0 or length_mm <= 0 or width_mm <= 0:
        raise ValueError("tangent, length and width are positive")
    spacing = spacing_pair(spacing_mm)
    centre = position_pair(centre_px)
    fits = [_fit_wire(as_image(image), spacing, centre, angle_deg, length_mm, width_mm) for image in stack]
    if stack.shape[0] == 1:
        return _single(fits[0], tangent)
    assert z_mm is not None
    return _joined(fits, np.asarray(z_mm, dtype=float), tangent)


def mean_thickness(values: Sequence[Measured], *, name: str = "slice_thickness") -> Measured:
    """Mean of several wires' (or ramps') thicknesses, which removes a tilt of the phantom to first order.

    Parameters
    ----------
    values : sequence of Measured
        One per wire; those not measurable are left out, suspect ones too where a good one exists.

    Returns
    -------
    Measured
        ``suspect`` when the wires differ by more than 30 % of their mean; its uncertainty is at least their scatter's.

    Examples
    --------
    >>> wires = [Measured("slice_thickness", v, "mm", 0.02) for v in (2.45, 2.55)]
    >>> mean_thickness(wires).value
    2.5
    """
    there = [value for value in values if value.value is not None]
    if not there:
        reasons = "; ".join(dict.fromkeys(value.reason for value in values)) or "no wires"
        return not_measurable(name, "mm", reasons, method="mean of several wires")
    good = [value for value in there if value.status == "ok"] or there
    numbers = np.array([float(value.value or 0.0) for value in good])
    known = [value.uncertainty for value in good if value.uncertainty is not None]
    own = math.sqrt(sum(u * u for u in known)) / len(good) if len(known) == len(good) else None
    scatter = float(numbers.std(ddof=1)) / math.sqrt(numbers.size) if numbers.size > 1 else 0.0
    scatter *= _FEW.get(numbers.size, 1.0)
    mean = float(numbers.mean())
    result = Measured(
        name,
        mean,
        "mm",
        max(own, scatter) if own is not None else (scatter or None),
        method=f"mean of {len(good)} of {len(values)}: {good[0].method}",
        quality=min((value.quality for value in good if value.quality is not None), default=None),
        details={"values_mm": [value.value for value in values]},
    )
    if good[0].status != "ok":
        return result.doubt("; ".join(dict.fromkeys(value.reason for value in good)))
    if float(np.ptp(numbers)) > 0.3 * mean:
        return result.doubt(f"the single values differ by {float(np.ptp(numbers)):.2f} mm")
    return result


def _single(fit: _Wire | str, tangent: float) -> Measured:
    if isinstance(fit, str):
        return not_measurable("slice_thickness", "mm", fit, method=_SINGLE)
    result = Measured(
        "slice_thickness",
        fit.fwhm * tangent,
        "mm",
        fit.spread * tangent,
        method=_SINGLE,
        quality=max(0.0, 1.0 - fit.residual),
        details={
            "length_mm": fit.fwhm,
            "centre_mm": fit.centre,
            "residual": fit.residual,
            "in_plane_blur_mm": fit.blur,
            "wire_contrast": fit.amplitude,
            "across_mm": fit.across,
        },
    )
    return result.doubt(fit.reason) if fit.reason else result


def _joined(fits: Sequence[_Wire | str], z: Floats, tangent: float) -> Measured:
    seen = [(fit, float(at)) for fit, at in zip(fits, z, strict=True) if not isinstance(fit, str) and not fit.reason]
    if not seen:
        whole = [fit for fit in fits if not isinstance(fit, str)]
        if whole:
            return _single(min(whole, key=lambda fit: fit.residual), tangent)
        reasons = "; ".join(dict.fromkeys(fit for fit in fits if isinstance(fit, str)))
        return not_measurable("slice_thickness", "mm", reasons, method=_STACK)
    lengths = np.array([fit.fwhm for fit, _ in seen])
    spreads = np.array([max(fit.spread, 1e-3 * fit.fwhm) for fit, _ in seen])
    # A weight per slice that no single, seemingly perfect fit can dominate.
    weights = 1.0 / (spreads**2 + float(np.median(spreads)) ** 2)
    near = np.abs(lengths - np.median(lengths)) <= 4 * np.hypot(
        spreads, 1.4826 * np.median(np.abs(lengths - np.median(lengths)))
    )
    weights = weights * near
    length = float((weights * lengths).sum() / weights.sum())
    spread = math.sqrt(float((weights**2 * spreads**2).sum())) / float(weights.sum())
    if near.sum() >= 2:
        # A fit that noise has led astray does not know it; its neighbours do.
        spread = max(spread, float(np.std(lengths[near], ddof=1)) / math.sqrt(int(near.sum())))
    # Until it is measured the tangent may be off by a lean of the phantom.
    used, measured_tangent, tangent_spread = tangent, None, tangent * _LEAN_SHARE
    at = np.array([place for _, place in seen])[near]
    centres = np.array([fit.centre for fit, _ in seen])[near]
    # On fewer slices, or over a shorter way, the nominal angle is better known than the measured one.
    if at.size >= 3 and np.ptp(at) >= 2.0:
        deviation_z, deviation_s = at - at.mean(), centres - centres.mean()
        slope = float((deviation_z * deviation_s).sum() / (deviation_z**2).sum())
        scatter = float(np.std(deviation_s - slope * deviation_z)) * math.sqrt(at.size / max(at.size - 2, 1))
        slope_spread = scatter / math.sqrt(float((deviation_z**2).sum()))
        if abs(slope) > 1e-3 and slope_spread < 0.03 * abs(slope):
            measured_tangent = 1.0 / abs(slope)
            tangent_spread = measured_tangent * slope_spread / abs(slope)
            used = measured_tangent
    value = length * used
    residual = float(np.median([fit.residual for fit, _ in seen]))
    result = Measured(
        "slice_thickness",
        value,
        "mm",
        math.hypot(spread * used, length * tangent_spread),
        method=_STACK,
        quality=max(0.0, 1.0 - residual),
        details={
            "slices_used": int(near.sum()),
            "tangent": used,
            "tangent_measured": measured_tangent,
            "lengths_mm": [float(v) for v in lengths],
            "z_mm": [place for _, place in seen],
            "residual": residual,
        },
    )
    if measured_tangent is not None and abs(measured_tangent / tangent - 1) > 0.15:
        return result.doubt(f"the wire's measured tangent {measured_tangent:.3f} is far from the nominal {tangent:.3f}")
    return result


def _fit_wire(
    array: NDArray[np.generic],
    spacing: tuple[float, float],
    centre: tuple[float, float],
    angle_deg: float,
    length_mm: float,
    width_mm: float,
) -> _Wire | str:
    """Fit one wire on one slice, or say why there is none."""
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
        if peaked:
            return np.asarray(ground + p[3] * line * peak_shape(u, wide, blur) / float(peak_shape(0.0, wide, blur)))
        along = 0.5 * (
            special.erf((u + 0.5 * wide) / (_ROOT2 * blur)) - special.erf((u - 0.5 * wide) / (_ROOT2 * blur))
        )
        return np.asarray(ground + p[3] * line * along / special.erf(0.5 * wide / (_ROOT2 * blur)))

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
    if spread > _UNSURE * fwhm:
        # Noise hides the shape. The plateau's width is kept, as a mean over shapes would draw all slices the same way.
        fwhm = float(widths[0])
        spread = _over_shapes(solve, np.asarray(fitted.x), fwhm, least, values.size, area)
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
    if spread > 0.2 * fwhm:
        doubts.append("the noise is too high for this thickness")
    elif spread > max(_OPEN_MM, _OPEN * fwhm):
        doubts.append("the noise leaves open whether the slice profile is a plateau or a peak")
    return _Wire(
        fwhm,
        spread,
        s0 + float(p[7]),
        math.sqrt(max(float(covariance[7, 7]), 0.0)),
        peak * unit,
        misfit / abs(peak),
        float(p[6]),
        t0 + float(p[4]),
        "; ".join(doubts),
    )


def _width_of(fitted: optimize.OptimizeResult, area: float, peaked: bool) -> tuple[float, float]:
    """Full width at half maximum of a fitted profile, and its standard uncertainty by the fit."""
    covariance = _covariance(np.asarray(fitted.jac), np.asarray(fitted.fun), area)
    spread, share = float(fitted.x[8]), float(fitted.x[9])
    slopes = np.zeros(fitted.x.size)
    slopes[8:] = fwhm_slopes(spread, share, peaked)
    return shape_fwhm(spread, share, peaked), math.sqrt(max(float(slopes @ covariance @ slopes), 0.0))


def _over_shapes(
    solve: Callable[[Floats, float, bool], optimize.OptimizeResult],
    p: Floats,
    fwhm: float,
    least: float,
    pixels: int,
    area: float,
) -> float:
    """Uncertainty of a width over the shapes that a profile may have, where noise does not tell which it is.

    Near the ends of its range, a pure rectangle or a pure Gaussian, the share has no linear uncertainty. A fit for each of some
    shapes, weighted by its likelihood, has: each fit's own variance and the square of its difference from the given width.
    """
    variance = 2.0 * least / max(pixels - p.size * area, 0.2 * pixels) * area
    widths, variances, excess = [], [], []
    for share, peaked in _SHAPES:
        found = solve(p, share, peaked)
        widths.append(shape_fwhm(float(found.x[8]), share, peaked))
        covariance = _covariance(np.asarray(found.jac), np.asarray(found.fun), area)
        variances.append((widths[-1] / max(float(found.x[8]), 1e-9)) ** 2 * max(float(covariance[8, 8]), 0.0))
        excess.append((2.0 * float(found.cost) - 2.0 * least) / max(variance, 1e-300))
    weights = np.exp(-0.5 * (np.array(excess) - min(excess)))
    weights /= weights.sum()
    return math.sqrt(float(weights @ (np.array(variances) + (np.array(widths) - fwhm) ** 2)))


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
