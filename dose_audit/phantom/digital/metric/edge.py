"""One-call slanted edge with its truth: the MTF along the normal."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.digital.metric.common import Array, Truth, add_noise, mtf_record, pair
from dose_audit.phantom.digital.noise import NoisePowerSpectrum
from dose_audit.phantom.digital.objects import HalfPlane
from dose_audit.phantom.digital.pose import pixel_of
from dose_audit.phantom.digital.psf import edge_through_pixel, gaussian_mtf, system_mtf
from dose_audit.phantom.digital.render import Scene, Spacing, render_image

__all__ = ["edge_image", "edge_profile"]


def edge_image(
    angle_deg: float = 3.0,
    sigma_mm: float = 0.15,
    spacing_mm: Spacing = 0.15,
    *,
    shape: tuple[int, int] = (256, 256),
    axis: str = "vertical",
    low: float = 1000.0,
    high: float = 3000.0,
    polarity: int = 1,
    offset_mm: float = 0.0,
    noise_sd: float = 0.0,
    nps: NoisePowerSpectrum | None = None,
    veil_fraction: float = 0.0,
    veil_sigma_mm: float = 5.0,
    aperture: bool = True,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Slanted edge through the middle of the image.

    Parameters
    ----------
    angle_deg : float
        Tilt from the image axis; a negative angle leans the other way.
    sigma_mm : float
        Gaussian blur before the pixel.
    spacing_mm : float or (float, float)
        Pixel pitch (between rows, between columns).
    axis : {'vertical', 'horizontal'}
        The axis from which the edge is tilted.
    low, high : float
        The two levels.
    polarity : {1, -1}
        1: bright at the right of (or below) the edge.
    offset_mm : float
        Shift of the edge along its normal, for the sub-pixel phase.
    noise_sd, nps
        White noise, or coloured noise instead.
    veil_fraction, veil_sigma_mm : float
        Share of the signal that a wide Gaussian veil (scatter) takes, and its width.
    aperture : bool
        Whether pixels average over their area.

    Returns
    -------
    (ndarray, dict)
        Truth: ``mtf`` at ``frequency_per_mm`` along the normal, ``mtf50_per_mm``, ``mtf10_per_mm``, ``normal_deg``,
        ``edge_cnr`` (step over noise SD), a point of the edge in pixels.

    Notes
    -----
    ``MTF(f) = exp(-2 pi² sigma² f²) sinc(f px cos) sinc(f py sin)``; with a veil, a mixture of two Gaussians.

    Examples
    --------
    >>> image, truth = edge_image(sigma_mm=0.15, aperture=False)
    >>> round(truth["mtf50_per_mm"], 3)  # sqrt(ln 2 / 2)/(pi sigma)
    1.249
    """
    if axis not in ("vertical", "horizontal") or polarity not in (1, -1):
        raise ValueError(f"axis {axis!r}, polarity {polarity!r}")
    spacing = pair(spacing_mm)
    normal = (0.0 if axis == "vertical" else 90.0) + angle_deg
    cos, sin = math.cos(math.radians(normal)), math.sin(math.radians(normal))
    edge = HalfPlane(offset_mm * cos, offset_mm * sin, normal + (180.0 if polarity < 0 else 0.0))
    scene = Scene(low)
    scene.add(edge, contrast=(high - low) * (1 - veil_fraction))
    image = render_image(scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=sigma_mm, aperture=aperture)
    if veil_fraction > 0:
        wide = Scene(0.0)
        wide.add(edge, contrast=(high - low) * veil_fraction)
        image = image + render_image(
            wide, shape=shape, spacing_mm=spacing, psf_sigma_mm=math.hypot(sigma_mm, veil_sigma_mm), aperture=aperture
        )

    def mtf(f: float) -> float:
        narrow = float(system_mtf(f, sigma_mm, spacing if aperture else None, normal))
        return narrow * (1 - veil_fraction + veil_fraction * float(gaussian_mtf(f, veil_sigma_mm)))

    sd = nps.sd if nps is not None else noise_sd
    nyquist = 0.5 / (spacing[1] if axis == "vertical" else spacing[0])
    truth: Truth = {
        "kind": "edge",
        "angle_deg": angle_deg,
        "axis": axis,
        "normal_deg": normal,
        "polarity": polarity,
        "low": low,
        "high": high,
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "aperture": aperture,
        "offset_mm": offset_mm,
        "edge_point_row_column": list(pixel_of(offset_mm * cos, offset_mm * sin, shape, spacing)),
        "noise_sd": sd,
        "edge_cnr": abs(high - low) / sd if sd > 0 else None,
        "seed": seed,
        **mtf_record(mtf, nyquist),
    }
    return add_noise(image, spacing, noise_sd, nps, seed), truth


def edge_profile(truth: Truth, distance_mm: NDArray[np.float64]) -> Array:
    """Noise-free edge spread function of an `edge_image` without a veil, at distances along the bright normal."""
    angle = math.radians(truth["normal_deg"])
    sides = (truth["spacing_mm"][1] * math.cos(angle), truth["spacing_mm"][0] * math.sin(angle))
    step = edge_through_pixel(distance_mm, truth["sigma_mm"], *(sides if truth["aperture"] else (0.0, 0.0)))
    return truth["low"] + (truth["high"] - truth["low"]) * step
