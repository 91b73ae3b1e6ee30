"""The profile of a slice along a ramp: a plateau with two erf flanks on a sloping ground, and its full width at half maximum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize, special

from dose_audit.image_quality.rician import DarkGround, rician_mean
from dose_audit.image_quality.rois import as_floats

__all__ = [
    "ProfileFit",
    "fit_slice_profile",
    "integrated_gauss",
    "peak_fwhm",
    "peak_shape",
    "plateau_fwhm",
    "plateau_shape",
]

Floats = NDArray[np.float64]
_ROOT2 = math.sqrt(2.0)
_PEAKED = 0.02  # of the width of a peak: its blur may be of another shape than the one taken off
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


def peak_shape(distance: ArrayLike, half_base: float, blur: float) -> Floats:
    """Triangle of unit height and full width `half_base` at half maximum, blurred by a Gaussian of standard deviation `blur`.

    Examples
    --------
    >>> [float(v) for v in np.round(peak_shape([0.0, 2.5, 5.0], 5.0, 0.01), 2)]
    [1.0, 0.5, 0.0]
    """
    u = np.asarray(distance, dtype=float)
    sides = [integrated_gauss(u + step * half_base, blur) for step in (1.0, 0.0, -1.0)]
    return np.asarray((sides[0] - 2.0 * sides[1] + sides[2]) / half_base)


def peak_fwhm(half_base: float, blur: float) -> float:
    """Full width at half of the maximum of `peak_shape`.

    Examples
    --------
    >>> round(peak_fwhm(5.0, 0.01), 1), round(peak_fwhm(1e-3, 1.0), 3)
    (5.0, 2.355)
    """
    if blur < 1e-3 * half_base:
        return float(half_base)
    if half_base < 1e-2 * blur:  # differences of nearly equal integrals are no longer exact
        return 2.0 * math.sqrt(2.0 * math.log(2.0)) * blur
    half = 0.5 * float(peak_shape(0.0, half_base, blur))
    return 2.0 * float(
        optimize.brentq(lambda at: float(peak_shape(at, half_base, blur)) - half, 0.0, half_base + 4.0 * blur)
    )


def integrated_gauss(u: Floats, blur: float) -> Floats:
    """∫ ½(1 + erf(u/√2σ)) du = u Φ(u/σ) + σ φ(u/σ)."""
    t = u / blur
    return np.asarray(u * special.ndtr(t) + blur * np.exp(-0.5 * t**2) / math.sqrt(2 * math.pi))


def fit_slice_profile(
    position_mm: ArrayLike,
    signal: ArrayLike,
    *,
    tilted_top: bool = False,
    dark_ground: DarkGround | None = None,
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
    blur_mm : float
        Standard deviation along the profile of what the slice profile was blurred by, such as a ramp's own height: it is
        taken off the width.

    Returns
    -------
    ProfileFit

    Notes
    -----
    ``b0 + b1·s + A·(1 + g·u)·½[erf((u + w/2)/(√2 σ)) - erf((u - w/2)/(√2 σ))]``, ``u = s - s0``. The
    width reported is the half-maximum width of this curve, or of a triangle with a Gaussian blur where that explains the
    profile better, so that it holds for rectangular, triangular and Gaussian slice profiles alike; it is never read off single
    samples, whose noise and ringing would widen it.

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

        def misfit(q: Floats) -> Floats:
            p = begin.copy()
            p[free] = q
            width, blur = shape_widths(float(p[5]), float(p[6]), peaked)
            u = s - p[4]
            top = p[2] * (1.0 + p[3] * u / span) / float(shape(0.0, width, blur))
            curve = p[0] + p[1] * (s - s[0]) / span + top * shape(u, width, blur)
            return np.asarray((curve if dark_ground is None else rician_mean(curve, noise_sd)) - values)

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
        begin[0], begin[2] = ground_signal, height + base - ground_signal
        free[0] = ground_signal > noise_sd
    best = solve(begin, free)
    begin[6] = 0.3
    other = solve(begin, free)
    best = other if other.cost < 0.98 * best.cost else best
    peaked = False
    if best.whole[6] < _NEARLY_A_RECTANGLE:
        begin = best.whole.copy()
        begin[6] = 0.8
        other = solve(begin, free, True)
        best, peaked = (other, True) if other.cost < 0.98 * best.cost else (best, False)
    # A sloping ground and a tilted top are believed only where they explain something: under a bell-shaped profile that
    # fills the ramp they are all but a width and a shift.
    for more in (1, 3) if tilted_top else (1,):
        if math.sqrt(2 * best.cost / s.size) > 0.01 * abs(best.whole[2]):
            wider = free.copy()
            wider[more] = True
            tried = solve(best.whole.copy(), wider, peaked)
            if tried.cost < 0.8 * best.cost:
                best, free = tried, wider
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
        math.hypot(math.sqrt(max(float(slopes @ covariance @ slopes), 0.0)), _PEAKED * fwhm if peaked else 0.0),
        math.sqrt(max(float(covariance[4, 4]), 0.0)),
        width,
        blur,
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


def width_and_blur(spread: float, share: float) -> tuple[float, float]:
    """Width and blur of the plateau with the standard deviation `spread`, of whose square the rectangle has `share`.

    Unlike width and blur themselves, these two stay determined for a pure rectangle and for a pure Gaussian.
    """
    share = min(max(share, 1e-8), 1 - 1e-6)
    return spread * math.sqrt(12.0 * share), spread * math.sqrt(1.0 - share)


def shape_widths(spread: float, share: float, peaked: bool) -> tuple[float, float]:
    """Width of the rectangle, or half the base of the triangle, and blur of a profile with the standard deviation `spread`."""
    width, blur = width_and_blur(spread, share)
    return (width / _ROOT2 if peaked else width), blur


def shape_fwhm(spread: float, share: float, peaked: bool, blur_mm: float = 0.0) -> float:
    """Full width at half maximum of a plateau or a peak from whose blur `blur_mm` is taken off."""
    width, blur = shape_widths(spread, min(max(share, 0.0), 1.0), peaked)
    inner = math.sqrt(max(blur**2 - blur_mm**2, (0.02 * blur) ** 2))
    return (peak_fwhm if peaked else plateau_fwhm)(width, inner)


def fwhm_slopes(spread: float, share: float, peaked: bool = False, blur_mm: float = 0.0) -> tuple[float, float]:
    """Derivatives of the full width at half maximum by `spread` and by `share`."""
    share = min(max(share, 0.0), 1.0)
    step = -1e-3 if share > 0.5 else 1e-3
    here = shape_fwhm(spread, share, peaked, blur_mm)
    wider = shape_fwhm(spread * 1.001, share, peaked, blur_mm)
    return (wider - here) / (0.001 * spread), (shape_fwhm(spread, share + step, peaked, blur_mm) - here) / step


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
