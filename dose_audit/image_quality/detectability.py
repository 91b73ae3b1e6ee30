"""Detectability index of a disc from a measured noise power spectrum and resolution."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dose_audit.measured import Measured, not_measurable

__all__ = ["detectability_ideal", "detectability_npw", "disc_task"]

Floats = NDArray[np.float64]
Curve = tuple[ArrayLike, ArrayLike]
_NODES = 4000


def disc_task(frequency_mm: ArrayLike, contrast: float, diameter_mm: float) -> Floats:
    """Radial Fourier transform of a disc, ``C (πd²/4) · 2 J1(πdf)/(πdf)``, in contrast · mm².

    Examples
    --------
    >>> round(float(disc_task([0.0], 10.0, 2.0)[0]), 4)
    31.4159
    """
    argument = math.pi * diameter_mm * np.asarray(frequency_mm, dtype=float)
    small = np.abs(argument) < 1e-8
    jinc = np.where(small, 1.0, 2.0 * special.j1(argument) / np.where(small, 1.0, argument))
    return np.asarray(contrast * math.pi * diameter_mm**2 / 4 * jinc)


def detectability_npw(
    contrast: float,
    diameter_mm: float,
    nps: Curve,
    *,
    ttf: Curve | None = None,
    eye: Callable[[Floats], ArrayLike] | None = None,
    nps_uncertainty: float | None = None,
) -> Measured:
    """Detectability index of the non-prewhitening observer for a disc.

    Parameters
    ----------
    contrast : float
        Contrast of the disc in the unit of the image.
    diameter_mm : float
    nps : (frequency, value)
        Radial noise power spectrum: frequencies in /mm, ascending, to the Nyquist frequency; values in unit² mm².
    ttf : (frequency, value), optional
        Task transfer function; 1 by default.
    eye : callable, optional
        Eye filter of the frequency in /mm at the viewing distance (NPWE); none by default.
    nps_uncertainty : float, optional
        Relative standard uncertainty of the spectrum's level.

    Returns
    -------
    Measured
        ``d_prime``; ``not_measurable`` for an empty, negative or zero spectrum.

    Notes
    -----
    ``d'² = [∬ W² T² E² df]² / ∬ W² T² E⁴ S df``, radially ``2π f df``. Below the first measured frequency its value holds,
    beyond the last nothing is integrated.

    References
    ----------
    Samei E, et al. Performance evaluation of computed tomography systems: AAPM Task Group 233. Med Phys 2019; 46: e735-e756.

    Examples
    --------
    >>> f = np.linspace(0, 1, 101)
    >>> round(detectability_npw(5.0, 10.0, (f, np.full(101, 100.0))).value, 2)
    4.39
    """
    method = "non-prewhitening observer, TG-233"
    curves = _curves(nps, ttf)
    if isinstance(curves, str):
        return not_measurable("d_prime", "1", curves, method=method)
    f, spectrum, transfer = curves
    if diameter_mm <= 0:
        raise ValueError("a diameter is positive")
    seen = np.ones_like(f) if eye is None else np.asarray(eye(f), dtype=float)
    task = (disc_task(f, contrast, diameter_mm) * transfer) ** 2 * 2 * math.pi * f
    above = float(np.trapezoid(task * seen**2, f))
    below = float(np.trapezoid(task * seen**4 * spectrum, f))
    if not below > 0:
        return not_measurable("d_prime", "1", "there is no noise in the band of the task", method=method)
    return _index(above / math.sqrt(below), nps_uncertainty, method)


def detectability_ideal(
    contrast: float,
    diameter_mm: float,
    nps: Curve,
    *,
    ttf: Curve | None = None,
    nps_uncertainty: float | None = None,
) -> Measured:
    """Detectability index of the prewhitening (ideal) observer for a disc: an upper bound for any observer.

    Parameters and behaviour as `detectability_npw`; ``d'² = ∬ W² T² / S df``.

    Examples
    --------
    >>> f = np.linspace(0, 1, 101)
    >>> white = (f, np.full(101, 100.0))
    >>> round(detectability_ideal(5.0, 10.0, white).value, 2) == round(detectability_npw(5.0, 10.0, white).value, 2)
    True
    """
    method = "prewhitening observer"
    curves = _curves(nps, ttf)
    if isinstance(curves, str):
        return not_measurable("d_prime", "1", curves, method=method)
    f, spectrum, transfer = curves
    if diameter_mm <= 0:
        raise ValueError("a diameter is positive")
    if np.any(spectrum <= 0):
        return not_measurable("d_prime", "1", "the noise power is zero at some frequency", method=method)
    task = (disc_task(f, contrast, diameter_mm) * transfer) ** 2 * 2 * math.pi * f
    return _index(math.sqrt(float(np.trapezoid(task / spectrum, f))), nps_uncertainty, method)


def _curves(nps: Curve, ttf: Curve | None) -> tuple[Floats, Floats, Floats] | str:
    """Spectrum and transfer on one fine grid, or why there is none."""
    frequency, power = (np.asarray(v, dtype=float) for v in nps)
    if frequency.ndim != 1 or frequency.shape != power.shape:
        raise ValueError("a spectrum is two vectors of one length")
    sound = np.isfinite(frequency) & np.isfinite(power) & (frequency >= 0)
    frequency, power = frequency[sound], power[sound]
    if frequency.size < 3 or np.any(np.diff(frequency) <= 0):
        return "the noise power spectrum has fewer than three ascending frequencies"
    if np.any(power < 0) or not np.any(power > 0):
        return "the noise power spectrum is negative or zero"
    f = np.linspace(0.0, float(frequency[-1]), _NODES)
    if ttf is None:
        return f, np.interp(f, frequency, power), np.ones_like(f)
    at, value = (np.asarray(v, dtype=float) for v in ttf)
    if at.ndim != 1 or at.shape != value.shape:
        raise ValueError("a transfer function is two vectors of one length")
    sound = np.isfinite(at) & np.isfinite(value)
    if sound.sum() < 2 or np.any(np.diff(at[sound]) <= 0):
        return "the transfer function has fewer than two ascending frequencies"
    return f, np.interp(f, frequency, power), np.interp(f, at[sound], value[sound], right=0.0)


def _index(value: float, nps_uncertainty: float | None, method: str) -> Measured:
    spread = 0.5 * value * nps_uncertainty if nps_uncertainty is not None else None
    return Measured("d_prime", value, "1", spread, method=method)
