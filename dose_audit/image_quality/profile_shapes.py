"""Shapes of a slice profile along a ramp, plateau and peak, each blurred: their curves and their widths at half maximum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

__all__ = [
    "fwhm_by_ground",
    "fwhm_slopes",
    "integrated_gauss",
    "peak_fwhm",
    "peak_shape",
    "plateau_fwhm",
    "plateau_shape",
    "shape_fwhm",
    "shape_widths",
    "width_and_blur",
    "width_over_shapes",
]

Floats = NDArray[np.float64]
_ROOT2 = math.sqrt(2.0)
_THIN = 1e-3  # of a shape's width: a box that short blurs nothing
# Share of a rectangle (of a triangle, where the profile is peaked) in the square of a profile's spread.
_SHAPES = ((0.0, False), (0.5, False), (0.8, False), (1.0, False), (1.0, True))


def plateau_shape(distance: ArrayLike, width: ArrayLike, blur: ArrayLike, box: float = 0.0) -> Floats:
    """Rectangle of unit height and `width`, blurred by a Gaussian of standard deviation `blur` and a box of the length `box`.

    Several shapes at once are asked for by columns: distances of the shape (shapes, places), the others of (shapes, 1).

    Examples
    --------
    >>> [float(v) for v in np.round(plateau_shape([0.0, 2.5, 9.0], 5.0, 0.1), 3)]
    [1.0, 0.5, 0.0]
    >>> [float(v) for v in np.round(plateau_shape([0.0, 2.0, 2.5, 3.0], 5.0, 0.01, box=2.0), 3)]
    [1.0, 0.75, 0.5, 0.25]
    """
    u, width, blur = (np.asarray(one, dtype=float) for one in (distance, width, blur))
    if box > _THIN * float(np.max(width + blur)):
        ends = [0.5 * side * width + 0.5 * end * box for side in (1, -1) for end in (1, -1)]
        return _summed(integrated_gauss, u, ends, (1.0, -1.0, -1.0, 1.0), blur) / box
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


def peak_shape(distance: ArrayLike, half_base: ArrayLike, blur: ArrayLike, box: float = 0.0) -> Floats:
    """Triangle of unit height and full width `half_base` at half maximum, blurred by a Gaussian of standard deviation `blur`
    and a box of the length `box`; several at once as by `plateau_shape`.

    Examples
    --------
    >>> [float(v) for v in np.round(peak_shape([0.0, 2.5, 5.0], 5.0, 0.01), 2)]
    [1.0, 0.5, 0.0]
    >>> [float(v) for v in np.round(peak_shape([0.0, 2.5, 5.0], 5.0, 0.01, box=2.0), 2)]
    [0.9, 0.5, 0.05]
    """
    u, half_base, blur = (np.asarray(one, dtype=float) for one in (distance, half_base, blur))
    if box > _THIN * float(np.max(half_base + blur)):
        # The same difference as below, of the integral's integral: once more from the one end of the box to the other.
        ends = [step * half_base + end * box for end in (0.5, -0.5) for step in (1.0, 0.0, -1.0)]
        return _summed(_twice_integrated, u, ends, (1.0, -2.0, 1.0, -1.0, 2.0, -1.0), blur) / (half_base * box)
    ends = [step * half_base for step in (1.0, 0.0, -1.0)]
    return _summed(integrated_gauss, u, ends, (1.0, -2.0, 1.0), blur) / half_base


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


def integrated_gauss(u: Floats, blur: float | Floats) -> Floats:
    """∫ ½(1 + erf(u/√2σ)) du = u Φ(u/σ) + σ φ(u/σ)."""
    t = u / blur
    return np.asarray(u * special.ndtr(t) + blur * np.exp(-0.5 * t**2) / math.sqrt(2 * math.pi))


def _twice_integrated(u: Floats, blur: float | Floats) -> Floats:
    """∫ of `integrated_gauss`: ½ [(u² + σ²) Φ(u/σ) + u σ φ(u/σ)]."""
    t = u / blur
    return np.asarray(
        0.5 * ((u**2 + blur**2) * special.ndtr(t) + u * blur * np.exp(-0.5 * t**2) / math.sqrt(2 * math.pi))
    )


def _summed(
    integral: Callable[[Floats, Floats], Floats],
    u: Floats,
    shifts: Sequence[Floats],
    weights: tuple[float, ...],
    blur: Floats,
) -> Floats:
    """Weighted sum of an integral at shifted places, in one pass: a fit asks for it thousands of times."""
    return np.asarray(np.tensordot(weights, integral(np.array([u + shift for shift in shifts]), blur), axes=1))


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


def width_over_shapes(
    solve: Callable[[float, bool], tuple[float, float, float]], variance: float, fwhm: float, blur_mm: float = 0.0
) -> float:
    """Uncertainty of a width over the shapes that a profile may have, where noise does not tell which it is.

    Near the ends of its range, a pure rectangle or a pure Gaussian, the share has no linear uncertainty. A fit for each of some
    shapes, weighted by its likelihood, has: each fit's own variance and the square of its difference from the given width.

    Parameters
    ----------
    solve : callable
        Of a share and of whether the profile is peaked: sum of squares, spread and variance of the spread of the best fit.
    variance : float
        Of one independent residual.
    fwhm : float
        The width whose uncertainty is asked for.
    blur_mm : float
        Taken off as by `shape_fwhm`.
    """
    widths, variances, squares = [], [], []
    for share, peaked in _SHAPES:
        rest, spread, own = solve(share, peaked)
        widths.append(shape_fwhm(spread, share, peaked, blur_mm))
        variances.append((widths[-1] / max(spread, 1e-9)) ** 2 * own)
        squares.append(rest)
    weights = np.exp(-0.5 * np.minimum((np.array(squares) - min(squares)) / max(variance, 1e-300), 500.0))
    weights /= weights.sum()
    return math.sqrt(float(weights @ (np.array(variances) + (np.array(widths) - fwhm) ** 2)))
