"""What happens to an image besides blur and noise: bubbles, receive fields, cupping, rings, ghosts, padding, a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.digital.pose import pixel_positions
from dose_audit.phantom.digital.psf import blurred_disc, gaussian_integral

__all__ = ["air_bubble", "bias_field", "circular_padding", "cupping", "ghost", "rings"]

Array = NDArray[np.float64]


def air_bubble(
    image: Array,
    spacing_mm: tuple[float, float],
    background: float,
    *,
    centre_mm: tuple[float, float],
    diameter_mm: float,
    depth_mm: float,
    sigma_mm: float,
) -> Array:
    """Air at the top of a vessel: inside its circle, what lies higher than ``depth_mm`` under its top is background."""
    x, y = pixel_positions((image.shape[0], image.shape[1]), spacing_mm)
    level = centre_mm[1] - diameter_mm / 2 + depth_mm
    vessel = blurred_disc(np.hypot(x - centre_mm[0], y - centre_mm[1]), diameter_mm / 2, sigma_mm)
    # The vessel's own rim is blurred already; only what is inside is replaced.
    return image + (background - image) * gaussian_integral(level - y, sigma_mm, 1) * vessel


def bias_field(
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
    coefficients: tuple[float, float, float],
    radius_mm: float,
    centre_mm: tuple[float, float] = (0.0, 0.0),
) -> Array:
    """Smooth factor ``1 + b0 x + b1 y + b2 (x² + y²)`` with x, y in units of ``radius_mm`` from the centre."""
    x, y = pixel_positions(shape, spacing_mm)
    x, y = (x - centre_mm[0]) / radius_mm, (y - centre_mm[1]) / radius_mm
    b0, b1, b2 = coefficients
    return 1 + b0 * x + b1 * y + b2 * (x * x + y * y)


def cupping(
    shape: tuple[int, int], spacing_mm: tuple[float, float], centre_mm: tuple[float, float], hu: float, radius_mm: float
) -> Array:
    """HU to add inside a body: ``hu (r/R)²``, nothing outside."""
    x, y = pixel_positions(shape, spacing_mm)
    r2 = ((x - centre_mm[0]) ** 2 + (y - centre_mm[1]) ** 2) / radius_mm**2
    return np.where(r2 <= 1, hu * r2, 0.0)


def ghost(image: Array, fraction: float, axis: int = 0, shift: float = 0.5) -> Array:
    """The image and a fainter copy of it, shifted by a share of the field of view and wrapped round."""
    return image + fraction * np.roll(image, round(image.shape[axis] * shift), axis=axis)


def circular_padding(image: Array, padding: float) -> Array:
    """What lies outside the circle inscribed in the image becomes the padding value, as CT scanners leave it."""
    rows, columns = image.shape
    y, x = np.ogrid[:rows, :columns]
    outside = ((y - (rows - 1) / 2) / (rows / 2)) ** 2 + ((x - (columns - 1) / 2) / (columns / 2)) ** 2 > 1
    return np.where(outside, padding, image)


def rings(shape: tuple[int, int], spacing_mm: tuple[float, float], sd: float) -> Array:
    """Rings about the image's centre, as miscalibrated detector elements leave them; always the same ones."""
    x, y = pixel_positions(shape, spacing_mm)
    radius = np.hypot(x, y)
    at = np.arange(0.0, float(radius.max()) + 1.0, 0.5)
    heights = np.random.default_rng(0).normal(0.0, sd, at.size) * np.exp(-at / 60.0)
    return np.interp(radius, at, heights)
