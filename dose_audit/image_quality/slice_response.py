"""The response across a wedge's edge: the integral of the slice profile, fitted as such."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from dose_audit.image_quality.profile_shapes import fwhm_slopes, integrated_gauss, plateau_fwhm, width_and_blur
from dose_audit.image_quality.rois import as_floats
from dose_audit.image_quality.slice_profile import ProfileFit, parameter_covariance

__all__ = ["fit_edge_response"]

Floats = NDArray[np.float64]


def fit_edge_response(position_mm: ArrayLike, signal: ArrayLike, *, blur_mm: float = 0.0) -> ProfileFit:
    """Fit the integral of a double-erf plateau to a monotone step.

    Parameters
    ----------
    position_mm, signal : array_like, shape (n,)
        Mean profile across the wedge, ascending positions.
    blur_mm : float
        Standard deviation of the image's own blur along the profile, which is taken off.

    Returns
    -------
    ProfileFit
        `fwhm` is that of the derivative; `amplitude` is the height of the step.

    Examples
    --------
    >>> s = np.linspace(-20, 20, 81)
    >>> round(fit_edge_response(s, np.clip(s / 10.0 + 0.5, 0, 1)).fwhm, 2)
    10.0
    """
    s, values = np.asarray(position_mm, dtype=float), as_floats(signal)
    if s.ndim != 1 or s.shape != values.shape:
        raise ValueError(f"a profile is two vectors of one length, not {s.shape} and {values.shape}")
    sound = np.isfinite(s) & np.isfinite(values)
    s, values = s[sound], values[sound]
    if s.size < 12:
        return ProfileFit(None, None, None, reason=f"a profile of {s.size} samples is too short")
    ends = max(3, s.size // 10)
    low, high = float(np.median(values[:ends])), float(np.median(values[-ends:]))
    height = high - low
    if abs(height) <= 1e-9 * float(np.abs(values).max()):
        return ProfileFit(None, None, None, reason="the profile has no step")
    # In units of the step, so that the least squares see numbers near 1 in any unit of the image.
    whole_step = abs(height)
    low, height, values = low / whole_step, height / whole_step, values / whole_step
    span, step = float(s[-1] - s[0]), float(np.median(np.diff(s)))
    part = np.clip((values - low) / height, 0, 1)
    middle = float(s[-1] - np.trapezoid(part, s))
    inside = (part > 0.16) & (part < 0.84)
    width = max(float(inside.sum()) * step / 0.68, 2 * step)

    # p: low level, step, middle, standard deviation, share of the rectangle in its square.
    def model(p: Floats) -> Floats:
        u = s - p[2]
        wide, blur = width_and_blur(float(p[3]), float(p[4]))
        ramp = (integrated_gauss(u + 0.5 * wide, blur) - integrated_gauss(u - 0.5 * wide, blur)) / wide
        return np.asarray(p[0] + p[1] * ramp)

    lower = np.array([-np.inf, -np.inf, s[0], 0.2 * step, 0.0])
    upper = np.array([np.inf, np.inf, s[-1], 0.35 * span, 1.0])
    fitted = optimize.least_squares(
        lambda p: model(p) - values,
        np.clip([low, height, middle, max(0.29 * width, step), 0.7], lower + 1e-9, upper - 1e-9),
        bounds=(lower, upper),
        x_scale=[abs(height), abs(height), width, 0.3 * width, 0.3],
        max_nfev=200,
    )
    p = np.asarray(fitted.x)
    wide, blur = width_and_blur(float(p[3]), float(p[4]))
    inner = math.sqrt(max(blur**2 - blur_mm**2, (0.02 * blur) ** 2))
    fwhm = plateau_fwhm(wide, inner)
    covariance = parameter_covariance(np.asarray(fitted.jac), np.asarray(fitted.fun))
    slopes = np.zeros(5)
    slopes[3:] = fwhm_slopes(float(p[3]), float(p[4]))
    residual = math.sqrt(float(np.mean(fitted.fun**2))) / max(abs(float(p[1])), 1e-300)
    doubts = []
    if residual > 0.1:
        doubts.append(f"the profile differs from a wedge's response by {100 * residual:.0f} % of its step")
    if p[2] - 0.5 * fwhm < s[0] or p[2] + 0.5 * fwhm > s[-1]:
        doubts.append("the step runs out of the profile")
    return ProfileFit(
        fwhm,
        float(p[2]),
        float(p[1]) * whole_step,
        math.sqrt(max(float(slopes @ covariance @ slopes), 0.0)),
        math.sqrt(max(float(covariance[2, 2]), 0.0)),
        wide,
        inner,
        residual,
        model(p) * whole_step,
        "; ".join(doubts),
    )
