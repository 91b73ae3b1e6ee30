"""The profile of a slice along a ramp, fitted: a plateau or a peak on a sloping ground, and its full width at half maximum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize

from dose_audit.image_quality.profile_shapes import (
    fwhm_slopes,
    peak_shape,
    plateau_shape,
    shape_fwhm,
    shape_widths,
    width_over_shapes,
)
from dose_audit.image_quality.rician import DarkGround, rician_mean
from dose_audit.image_quality.rois import as_floats

__all__ = ["ProfileFit", "fit_slice_profile", "parameter_covariance"]

Floats = NDArray[np.float64]
_PEAKED = 0.02  # of the width of a peak: its blur may be of another shape than the one taken off
_UNSURE = 0.04  # relative uncertainty of a width from which the profile's shape is left open
_STEP = math.sqrt(float(np.finfo(float).eps))  # of a difference, in units of the parameter or of 1
_TOLERANCE = 1e-4  # of the least squares: a hundredth of what noise leaves of a width, or less
_NEARLY_A_RECTANGLE = 0.95  # share in the square of a profile's spread: no triangle is mistaken for it


@dataclass(frozen=True, slots=True)
class ProfileFit:
    """A fitted slice profile.

    Parameters
    ----------
    fwhm, centre, amplitude : float or None
        Full width at half maximum and centre in mm, height over the ground; ``None`` when nothing could be fitted.
    fwhm_uncertainty, centre_uncertainty : float or None
        Standard uncertainties from the residuals and their correlation.
    width, blur : float or None
        Distance of the two flanks and their standard deviation, in which a box is left.
    residual : float or None
        Root mean square residual over the amplitude; above 0.1 the value is not to be trusted.
    fitted : ndarray
        The fitted curve at the given positions.
    reason : str
        Why there is no fit, or why it is to be doubted; empty otherwise.
    """

    fwhm: float | None
    centre: float | None
    amplitude: float | None
    fwhm_uncertainty: float | None = None
    centre_uncertainty: float | None = None
    width: float | None = None
    blur: float | None = None
    residual: float | None = None
    fitted: Floats | None = None
    reason: str = ""


def fit_slice_profile(
    position_mm: ArrayLike,
    signal: ArrayLike,
    *,
    tilted_top: bool = False,
    dark_ground: DarkGround | None = None,
    box_mm: float = 0.0,
    blur_mm: float = 0.0,
) -> ProfileFit:
    """Fit a symmetric double-erf plateau, or a blurred triangle, on a linear ground.

    Parameters
    ----------
    position_mm : array_like, shape (n,)
        Positions along the profile, ascending.
    signal : array_like, shape (n,)
        Mean signal there; the plateau may be brighter or darker than the ground.
    tilted_top : bool
        Let the height change linearly along the profile (a surface coil over a long ramp).
    dark_ground : DarkGround or None
        Ground and noise of a magnitude image in which the noise lifts the ground: the curve's Rician mean is fitted then.
    box_mm : float
        Length along the profile of a box by which the slice profile is blurred, such as a ramp's own height over its tangent:
        the curve has it, the width reported is without it.
    blur_mm : float
        Standard deviation of the image's own blur along the profile, which is taken off the width: it rounds the top of a
        peak and lowers its half maximum.

    Returns
    -------
    ProfileFit

    Notes
    -----
    ``b0 + b1·s + A·(1 + g·u)·½[erf((u + w/2)/(√2 σ)) - erf((u - w/2)/(√2 σ))]``, ``u = s - s0``. The
    width reported is the half-maximum width of this curve, or of a triangle with a Gaussian blur where that explains the
    profile better (of both, by their likelihoods, where noise does not tell), so that it holds for rectangular, triangular and
    Gaussian slice profiles alike; it is never read off single samples, whose noise and ringing would widen it.

    Examples
    --------
    >>> s = np.linspace(-50, 50, 201)
    >>> fit = fit_slice_profile(s, 20 + 300 * plateau_shape(s - 4.0, 50.0, 3.0))
    >>> round(fit.fwhm, 3), round(fit.centre, 3)
    (50.0, 4.0)
    """
    s, values = np.asarray(position_mm, dtype=float), as_floats(signal)
    if s.ndim != 1 or s.shape != values.shape:
        raise ValueError(f"a profile is two vectors of one length, not {s.shape} and {values.shape}")
    sound = np.isfinite(s) & np.isfinite(values)
    s, values = s[sound], values[sound]
    if s.size < 12:
        return ProfileFit(None, None, None, reason=f"a profile of {s.size} samples is too short")
    start = _start(s, values)
    if start is None or abs(start[1]) < 1e-9 * float(np.abs(values).max()):
        return ProfileFit(None, None, None, reason="the profile is flat")
    base, height, middle, width = start
    span, step = float(s[-1] - s[0]), float(np.median(np.diff(s)))
    along = (s - s[0]) / span
    # In units of the height, so that the least squares see numbers near 1 in any unit of the image.
    scale, whole_height = 1.0, abs(height)
    base, height, values = base / whole_height, height / whole_height, values / whole_height
    if dark_ground is not None:
        noise_sd, ground_signal = dark_ground.noise_sd / whole_height, dark_ground.signal / whole_height
    # p: ground, its slope, peak height, tilt of the top, middle, standard deviation, share of the rectangle in its square.
    lower = np.array([-np.inf, -np.inf, -20 * scale, -0.6, s[0], 0.2 * step, 0.0])
    upper = np.array([np.inf, np.inf, 20 * scale, 0.6, s[-1], 0.32 * span, 1.0])

    def solve(begin: Floats, free: NDArray[np.bool_], peaked: bool = False) -> optimize.OptimizeResult:
        shape = peak_shape if peaked else plateau_shape

        def misfits(some: Floats) -> Floats:
            """One row for each row of free parameters."""
            p = np.repeat(begin[:, None], len(some), axis=1)
            p[free] = some.T
            sizes = np.array([shape_widths(spread, share, peaked) for spread, share in p[5:].T])
            u = s - p[4][:, None]
            found = shape(np.column_stack([u, np.zeros(len(some))]), sizes[:, :1], sizes[:, 1:], box_mm)
            top = p[2][:, None] * (1.0 + p[3][:, None] * u / span) / found[:, -1:]
            curve = p[0][:, None] + p[1][:, None] * along + top * found[:, :-1]
            return np.asarray((curve if dark_ground is None else rician_mean(curve, noise_sd)) - values)

        def slopes(q: Floats) -> Floats:
            """Forward differences, all parameters in one pass; backward at an upper bound."""
            step = _STEP * np.where(q < 0, -1.0, 1.0) * np.maximum(1.0, np.abs(q))
            step = np.where((q + step > upper[free]) | (q + step < lower[free]), -step, step)
            moved = q + np.diag(step)
            found = misfits(np.vstack([q, moved]))
            return np.asarray(((found[1:] - found[0]) / (np.diag(moved) - q)[:, None]).T)

        scales = np.array([scale, scale, scale, 0.3, width, 0.3 * width, 0.3])
        inner = np.clip(begin, lower + 1e-9, upper - 1e-9)[free]
        fitted = optimize.least_squares(
            lambda q: misfits(q[None, :])[0],
            inner,
            jac=slopes,
            bounds=(lower[free], upper[free]),
            x_scale=scales[free],
            max_nfev=200,
            ftol=_TOLERANCE,
            xtol=_TOLERANCE,
        )
        p = begin.copy()
        p[free] = fitted.x
        fitted.whole = p
        return fitted

    def widened(
        found: optimize.OptimizeResult, free: NDArray[np.bool_], peaked: bool
    ) -> tuple[optimize.OptimizeResult, NDArray[np.bool_]]:
        # A sloping ground and a tilted top are believed only where they explain something: under a bell-shaped profile that
        # fills the ramp they are all but a width and a shift.
        for more in (1, 3) if tilted_top else (1,):
            if math.sqrt(2 * found.cost / s.size) > 0.01 * abs(found.whole[2]):
                wider = free.copy()
                wider[more] = True
                tried = solve(found.whole.copy(), wider, peaked)
                if tried.cost < 0.8 * found.cost:
                    found, free = tried, wider
        return found, free

    free = np.array([True, False, True, False, True, True, True])
    begin = np.array([base, 0.0, height, 0.0, middle, max(0.29 * width, step), 0.9])
    if dark_ground is not None:
        # The mean magnitude hardly depends on a signal below the noise: such a ground is known better than fitted.
        begin[0], begin[2] = ground_signal, height + base - ground_signal
        free[0] = ground_signal > noise_sd
    best = solve(begin, free)
    begin[6] = 0.3
    other = solve(begin, free)
    best = other if other.cost < 0.98 * best.cost else best
    best, free_of_best = widened(best, free, False)
    peaked, wider_by, share = False, 0.0, 0.0
    if best.whole[6] < _NEARLY_A_RECTANGLE:
        begin = best.whole.copy()
        begin[1], begin[3], begin[6] = 0.0, 0.0, 0.8
        other, free_of_other = widened(solve(begin, free, True), free, True)
        peaked = other.cost < best.cost
        if peaked:
            best, free_of_best, other = other, free_of_other, best
        # What noise leaves of the other's likelihood: its width counts by that.
        variance = independent_variance(np.asarray(best.fun), int(np.count_nonzero(free_of_best)))
        share = 1.0 / (1.0 + math.exp(min((other.cost - best.cost) / max(variance, 1e-300), 500.0)))
        widths = [
            shape_fwhm(float(one.whole[5]), float(one.whole[6]), is_peak, blur_mm)
            for one, is_peak in ((best, peaked), (other, not peaked))
        ]
        wider_by = widths[1] - widths[0]
    free = free_of_best
    p = np.asarray(best.whole)
    amplitude = float(p[2])
    if amplitude == 0:
        return ProfileFit(None, None, None, reason="the profile is flat")
    width, blur = shape_widths(float(p[5]), float(p[6]), peaked)
    fwhm = shape_fwhm(float(p[5]), float(p[6]), peaked, blur_mm)
    rms = math.sqrt(float(np.mean(best.fun**2)))
    covariance = np.zeros((7, 7))
    covariance[np.ix_(free, free)] = parameter_covariance(np.asarray(best.jac), np.asarray(best.fun))
    slopes = np.zeros(7)
    slopes[5:] = fwhm_slopes(float(p[5]), float(p[6]), peaked, blur_mm)
    spread = math.sqrt(max(float(slopes @ covariance @ slopes), 0.0))
    if spread > _UNSURE * fwhm:
        fixed = free.copy()
        fixed[6] = False

        def of_shape(share: float, peaked: bool) -> tuple[float, float, float]:
            found = solve(np.append(p[:6], share), fixed, peaked)
            own = parameter_covariance(np.asarray(found.jac), np.asarray(found.fun))
            at = int(np.count_nonzero(fixed[:5]))
            return 2.0 * float(found.cost), float(found.whole[5]), max(float(own[at, at]), 0.0)

        variance = independent_variance(np.asarray(best.fun), int(np.count_nonzero(free)))
        spread = min(spread, width_over_shapes(of_shape, variance, fwhm, blur_mm))
    fwhm += share * wider_by
    spread = math.hypot(spread, math.sqrt(share * (1.0 - share)) * wider_by)
    residual = rms / abs(amplitude)
    doubts = []
    if residual > 0.1:
        doubts.append(f"the profile differs from a plateau by {100 * residual:.0f} % of its height")
    if abs(p[4] - 0.5 * (s[0] + s[-1])) + 0.5 * fwhm > 0.5 * span:
        doubts.append("the plateau runs out of the profile")
    return ProfileFit(
        fwhm,
        float(p[4]),
        amplitude * whole_height,
        math.hypot(spread, _PEAKED * fwhm if peaked else 0.0),
        math.sqrt(max(float(covariance[4, 4]), 0.0)),
        width,
        math.hypot(blur, box_mm / math.sqrt(12.0)),
        residual,
        np.asarray((values + best.fun) * whole_height),
        "; ".join(doubts),
    )


def _start(s: Floats, values: Floats) -> tuple[float, float, float, float] | None:
    """Ground, height, middle and width of the largest departure from the ends' level."""
    smooth = ndimage.uniform_filter1d(values, max(3, s.size // 40), mode="nearest")
    ends = max(3, s.size // 8)
    base = float(np.median(np.concatenate([smooth[:ends], smooth[-ends:]])))
    departure = smooth - base
    peak = int(np.argmax(np.abs(departure)))
    height = float(departure[peak])
    if height == 0 or not np.any(np.abs(values - values[0]) > 0):
        return None
    above = departure * np.sign(height) > 0.5 * abs(height)
    labels, _ = ndimage.label(ndimage.binary_closing(np.pad(above, 3), iterations=2)[3:-3] | above)
    run = np.flatnonzero(labels == labels[peak])
    step = float(np.median(np.diff(s)))
    top = float(np.median(departure[run]))
    return base, top or height, float(s[run].mean()), float(run.size * step)


def parameter_covariance(jacobian: Floats, residual: Floats) -> Floats:
    """Covariance of fitted parameters, widened by the correlation of neighbouring residuals."""
    norms = np.linalg.norm(jacobian, axis=0)
    norms[norms == 0] = 1.0
    inverse = np.linalg.pinv((jacobian / norms).T @ (jacobian / norms)) / np.outer(norms, norms)
    return np.asarray(inverse * independent_variance(residual, jacobian.shape[1]))


def independent_variance(residual: Floats, unknowns: int) -> float:
    """Variance of residuals times the number of neighbours that count for one."""
    n = residual.size
    rho = np.correlate(residual, residual, "full")[n - 1 :] / max(float(residual @ residual), 1e-300)
    reach = min(n // 4, 40)
    negative = np.flatnonzero(rho[1:reach] < 0.05)
    last = int(negative[0]) + 1 if negative.size else reach
    correlated = max(1.0 + 2.0 * float(rho[1:last].sum()), 1.0)
    freedom = max(n - unknowns * correlated, 0.1 * n)
    return float(residual @ residual) / freedom * correlated
