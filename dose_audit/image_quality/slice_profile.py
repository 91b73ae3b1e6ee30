"""The profile of a slice along a ramp: a plateau with two erf flanks on a sloping ground, and its full width at half maximum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize, special

from dose_audit.image_quality.rician import DarkGround, rician_mean

__all__ = ["ProfileFit", "fit_slice_profile", "plateau_fwhm", "plateau_shape"]

Floats = NDArray[np.float64]
_ROOT2 = math.sqrt(2.0)


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
        Distance of the two flanks and their standard deviation.
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


def plateau_shape(distance: ArrayLike, width: float, blur: float) -> Floats:
    """Rectangle of unit height and `width`, blurred by a Gaussian of standard deviation `blur`.

    Examples
    --------
    >>> [float(v) for v in np.round(plateau_shape([0.0, 2.5, 9.0], 5.0, 0.1), 3)]
    [1.0, 0.5, 0.0]
    """
    u = np.asarray(distance, dtype=float)
    scale = _ROOT2 * blur
    return np.asarray(0.5 * (special.erf((u + 0.5 * width) / scale) - special.erf((u - 0.5 * width) / scale)))


def plateau_fwhm(width: float, blur: float) -> float:
    """Full width at half of the maximum of `plateau_shape`.

    For a blur well below the width it is the width; for a width well below the blur it is 2.355 times the blur.

    Examples
    --------
    >>> round(plateau_fwhm(5.0, 0.1), 4), round(plateau_fwhm(1e-3, 1.0), 3)
    (5.0, 2.355)
    """
    if blur < 1e-3 * width:
        return float(width)
    peak = float(special.erf(0.5 * width / (_ROOT2 * blur)))

    def excess(half: float) -> float:
        return float(plateau_shape(half, width, blur)) - 0.5 * peak

    return 2.0 * float(optimize.brentq(excess, 0.0, 0.5 * width + 4.0 * blur))


def fit_slice_profile(
    position_mm: ArrayLike, signal: ArrayLike, *, tilted_top: bool = False, dark_ground: DarkGround | None = None
) -> ProfileFit:
    """Fit a symmetric double-erf plateau on a linear ground.

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

    Returns
    -------
    ProfileFit

    Notes
    -----
    ``b0 + b1·s + A·(1 + g·u)·½[erf((u + w/2)/(√2 σ)) - erf((u - w/2)/(√2 σ))]``, ``u = s - s0``. The
    width reported is the half-maximum width of this curve, so that it holds for rectangular, triangular and Gaussian slice
    profiles alike; it is never read off single samples, whose noise and ringing would widen it.

    Examples
    --------
    >>> s = np.linspace(-50, 50, 201)
    >>> fit = fit_slice_profile(s, 20 + 300 * plateau_shape(s - 4.0, 50.0, 3.0))
    >>> round(fit.fwhm, 3), round(fit.centre, 3)
    (50.0, 4.0)
    """
    s, values = np.asarray(position_mm, dtype=float), np.asarray(signal, dtype=float)
    if s.ndim != 1 or s.shape != values.shape:
        raise ValueError(f"a profile is two vectors of one length, not {s.shape} and {values.shape}")
    sound = np.isfinite(s) & np.isfinite(values)
    s, values = s[sound], values[sound]
    if s.size < 12:
        return ProfileFit(None, None, None, reason=f"a profile of {s.size} samples is too short")
    start = _start(s, values)
    if start is None or not 1e-100 < abs(start[1]) < 1e100:
        return ProfileFit(None, None, None, reason="the profile is flat, or its values are beyond all measure")
    base, height, middle, width = start
    span, step = float(s[-1] - s[0]), float(np.median(np.diff(s)))
    scale = abs(height)
    # p: ground, its slope, peak height, tilt of the top, middle, standard deviation, share of the rectangle in its square.
    lower = np.array([-np.inf, -np.inf, -20 * scale, -0.6, s[0], 0.2 * step, 0.0])
    upper = np.array([np.inf, np.inf, 20 * scale, 0.6, s[-1], 0.32 * span, 1.0])

    def solve(begin: Floats, free: NDArray[np.bool_]) -> optimize.OptimizeResult:
        def misfit(q: Floats) -> Floats:
            p = begin.copy()
            p[free] = q
            width, blur = width_and_blur(float(p[5]), float(p[6]))
            u = s - p[4]
            peak = float(special.erf(0.5 * width / (_ROOT2 * blur)))
            top = p[2] * (1.0 + p[3] * u / span)
            curve = p[0] + p[1] * (s - s[0]) / span + top * plateau_shape(u, width, blur) / peak
            return np.asarray((curve if dark_ground is None else rician_mean(curve, dark_ground.noise_sd)) - values)

        scales = np.array([scale, scale, scale, 0.3, width, 0.3 * width, 0.3])
        inner = np.clip(begin, lower + 1e-9, upper - 1e-9)[free]
        fitted = optimize.least_squares(
            misfit, inner, bounds=(lower[free], upper[free]), x_scale=scales[free], max_nfev=200
        )
        p = begin.copy()
        p[free] = fitted.x
        fitted.whole = p
        return fitted

    free = np.array([True, False, True, False, True, True, True])
    begin = np.array([base, 0.0, height, 0.0, middle, max(0.29 * width, step), 0.9])
    if dark_ground is not None:
        # The mean magnitude hardly depends on a signal below the noise: such a ground is known better than fitted.
        begin[0], begin[2] = dark_ground.signal, height + base - dark_ground.signal
        free[0] = dark_ground.signal > dark_ground.noise_sd
    best = solve(begin, free)
    begin[6] = 0.3
    other = solve(begin, free)
    best = other if other.cost < 0.98 * best.cost else best
    # A sloping ground and a tilted top are believed only where they explain something: under a bell-shaped profile that
    # fills the ramp they are all but a width and a shift.
    for more in (1, 3) if tilted_top else (1,):
        if math.sqrt(2 * best.cost / s.size) > 0.01 * abs(best.whole[2]):
            wider = free.copy()
            wider[more] = True
            tried = solve(best.whole.copy(), wider)
            if tried.cost < 0.8 * best.cost:
                best, free = tried, wider
    p = np.asarray(best.whole)
    amplitude = float(p[2])
    if amplitude == 0:
        return ProfileFit(None, None, None, reason="the profile is flat")
    width, blur = width_and_blur(float(p[5]), float(p[6]))
    fwhm = plateau_fwhm(width, blur)
    rms = math.sqrt(float(np.mean(best.fun**2)))
    covariance = np.zeros((7, 7))
    covariance[np.ix_(free, free)] = parameter_covariance(np.asarray(best.jac), np.asarray(best.fun))
    slopes = np.zeros(7)
    slopes[5:] = fwhm_slopes(float(p[5]), float(p[6]))
    residual = rms / abs(amplitude)
    doubts = []
    if residual > 0.1:
        doubts.append(f"the profile differs from a plateau by {100 * residual:.0f} % of its height")
    if abs(p[4] - 0.5 * (s[0] + s[-1])) + 0.5 * fwhm > 0.5 * span:
        doubts.append("the plateau runs out of the profile")
    return ProfileFit(
        fwhm,
        float(p[4]),
        amplitude,
        math.sqrt(max(float(slopes @ covariance @ slopes), 0.0)),
        math.sqrt(max(float(covariance[4, 4]), 0.0)),
        width,
        blur,
        residual,
        np.asarray(values + best.fun),
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


def width_and_blur(spread: float, share: float) -> tuple[float, float]:
    """Width and blur of the plateau with the standard deviation `spread`, of whose square the rectangle has `share`.

    Unlike width and blur themselves, these two stay determined for a pure rectangle and for a pure Gaussian.
    """
    share = min(max(share, 1e-8), 1 - 1e-6)
    return spread * math.sqrt(12.0 * share), spread * math.sqrt(1.0 - share)


def fwhm_slopes(spread: float, share: float) -> tuple[float, float]:
    """Derivatives of the full width at half maximum by `spread` and by `share`."""
    step = -1e-3 if share > 0.5 else 1e-3
    here = plateau_fwhm(*width_and_blur(spread, share))
    there = plateau_fwhm(*width_and_blur(spread, min(max(share, 0.0), 1.0) + step))
    return here / spread, (there - here) / step


def fwhm_by_ground(width: float, blur: float) -> float:
    """How much the full width at half maximum shrinks per share of the height by which the ground was taken too low.

    Twice the shift of the half maximum, a half, over the slope of the flanks there.
    """
    half = 0.5 * plateau_fwhm(width, blur)
    low, high = (math.exp(-0.5 * ((half + side * 0.5 * width) / blur) ** 2) for side in (1.0, -1.0))
    peak = float(special.erf(0.5 * width / (_ROOT2 * blur)))
    return peak * blur * math.sqrt(2.0 * math.pi) / (high - low)


def parameter_covariance(jacobian: Floats, residual: Floats) -> Floats:
    """Covariance of fitted parameters, widened by the correlation of neighbouring residuals."""
    norms = np.linalg.norm(jacobian, axis=0)
    norms[norms == 0] = 1.0
    inverse = np.linalg.pinv((jacobian / norms).T @ (jacobian / norms)) / np.outer(norms, norms)
    n = residual.size
    rho = np.correlate(residual, residual, "full")[n - 1 :] / max(float(residual @ residual), 1e-300)
    reach = min(n // 4, 40)
    negative = np.flatnonzero(rho[1:reach] < 0.05)
    last = int(negative[0]) + 1 if negative.size else reach
    correlated = max(1.0 + 2.0 * float(rho[1:last].sum()), 1.0)
    freedom = max(n - jacobian.shape[1] * correlated, 0.1 * n)
    return np.asarray(inverse * (float(residual @ residual) / freedom * correlated))
