"""Objects whose truth is computed: edges, discs, wires, bars and noise, averaged over every pixel's aperture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import erf, i0e

Floats = NDArray[np.float64]
FINE = 8  # samples a side in a pixel


def sub_pixels(rows: int, columns: int, spacing: tuple[float, float], fine: int = FINE) -> tuple[Floats, Floats]:
    """Positions in mm, (rows × fine, 1) and (1, columns × fine), the first pixel's centre at 0."""
    y = ((np.arange(rows * fine) + 0.5) / fine - 0.5) * spacing[0]
    x = ((np.arange(columns * fine) + 0.5) / fine - 0.5) * spacing[1]
    return y[:, None], x[None, :]


def apertures(fine_image: Floats, fine: int = FINE) -> Floats:
    """Mean over each pixel."""
    rows, columns = fine_image.shape
    return fine_image.reshape(rows // fine, fine, columns // fine, fine).mean(axis=(1, 3))


def edge(shape, spacing, angle_deg, sigma_mm, *, offset_px=0.0, low=0.0, high=1.0, bend_px=0.0, fine=FINE) -> Floats:
    """Edge with Gaussian blur; `angle_deg` from the columns' direction, 90 ± a for near-horizontal ones."""
    y, x = sub_pixels(*shape, spacing, fine)
    y = y - y.mean()
    x = x - x.mean() - offset_px * spacing[1]
    angle = np.radians(angle_deg)
    distance = x * np.cos(angle) - y * np.sin(angle)
    distance = distance + bend_px * spacing[1] * (y / np.abs(y).max()) ** 2
    risen = 0.5 * (1 + erf(distance / (np.sqrt(2) * sigma_mm))) if sigma_mm > 0 else (distance > 0).astype(float)
    return low + (high - low) * apertures(risen, fine)


def edge_truth(frequencies, spacing, angle_deg, sigma_mm) -> Floats:
    """exp(−2π²σ²f²) times the pixel aperture's transform along the edge's normal."""
    f, angle = np.asarray(frequencies), np.radians(angle_deg)
    gauss = np.exp(-2 * np.pi**2 * sigma_mm**2 * f**2)
    return gauss * np.abs(np.sinc(f * spacing[1] * np.cos(angle)) * np.sinc(f * spacing[0] * np.sin(angle)))


def radial_aperture(frequencies, spacing) -> Floats:
    """Pixel aperture's transform averaged over direction."""
    angle = (np.arange(90) + 0.5) / 180 * np.pi
    f = np.asarray(frequencies)[:, None]
    return np.mean(np.sinc(f * spacing[1] * np.cos(angle)) * np.sinc(f * spacing[0] * np.sin(angle)), axis=1)


def radial_truth(frequencies, spacing, sigma_mm) -> Floats:
    """Gaussian blur times the direction-averaged aperture."""
    f = np.asarray(frequencies)
    return np.exp(-2 * np.pi**2 * sigma_mm**2 * f**2) * radial_aperture(f, spacing)


def blurred_disc(radius: float, sigma: float, at: Floats) -> Floats:
    """A disc convolved with a Gaussian: the probability that a Rice variable stays below the radius, by quadrature."""
    grid = np.linspace(max(radius - 7 * sigma, 0.0), radius + 7 * sigma, 240)[:, None]
    width = radius / 2000
    middle = (np.arange(2000) + 0.5)[None, :] * width
    density = middle / sigma**2 * np.exp(-((grid - middle) ** 2) / (2 * sigma**2)) * i0e(grid * middle / sigma**2)
    return np.clip(CubicSpline(grid[:, 0], density.sum(axis=1) * width)(np.clip(at, grid[0, 0], grid[-1, 0])), 0.0, 1.0)


def disc(shape, spacing, radius_mm, sigma_mm, *, centre_px, background=0.0, contrast=1.0) -> Floats:
    """Disc of `contrast` over `background`, Gaussian blur, pixel aperture."""
    y, x = sub_pixels(*shape, spacing)
    r = np.hypot(y - centre_px[0] * spacing[0], x - centre_px[1] * spacing[1])
    return background + contrast * apertures(blurred_disc(radius_mm, sigma_mm, r))


def spot(shape, spacing, sigma_mm, *, centre_px, peak=1.0, background=0.0) -> Floats:
    """Gaussian spot, pixel aperture exactly."""

    def along(count: int, step: float, at: float) -> Floats:
        borders = (np.arange(count + 1) - 0.5 - at) * step / (np.sqrt(2) * sigma_mm)
        return np.diff(erf(borders)) / step * sigma_mm * np.sqrt(np.pi / 2)

    rows, columns = along(shape[0], spacing[0], centre_px[0]), along(shape[1], spacing[1], centre_px[1])
    return background + peak * rows[:, None] * columns[None, :]


def coloured_noise(random, shape, spacing, spectrum) -> Floats:
    """Gaussian noise with the NPS `spectrum(f)`, f in /mm, the result's unit squared times mm²."""
    fy, fx = np.fft.fftfreq(shape[0], spacing[0])[:, None], np.fft.rfftfreq(shape[1], spacing[1])[None, :]
    white = np.fft.rfft2(random.standard_normal(shape))
    density = np.sqrt(spectrum(np.hypot(fy, fx)) / (spacing[0] * spacing[1]))
    return np.fft.irfft2(white * density, shape)


def crossing(frequencies: Floats, curve: Floats, level: float) -> float:
    """Where a falling curve crosses a level, on a fine grid."""
    return float(np.interp(-level, -curve, frequencies))


def bars(shape, spacing, frequency, sigma_mm, *, bar, gap, phase=0.0, angle_deg=0.0) -> Floats:
    """A square wave filtered by Gaussian blur and pixel aperture, as the sum of its harmonics (Coltman)."""
    angle = np.radians(angle_deg)
    y = np.arange(shape[0])[:, None] * spacing
    x = np.arange(shape[1])[None, :] * spacing
    distance = x * np.cos(angle) - y * np.sin(angle)
    total = np.zeros(shape)
    for k in range(60):
        order = 2 * k + 1
        total += (-1) ** k / order * bars_truth(order * frequency, spacing, sigma_mm, angle_deg) * np.cos(
            order * (2 * np.pi * frequency * distance + phase)
        )  # fmt: skip
    return (bar + gap) / 2 + (bar - gap) * 2 / np.pi * total


def bars_truth(frequency, spacing, sigma_mm, angle_deg=0.0) -> float:
    """The signed transfer at one frequency along the bars' normal."""
    angle = np.radians(angle_deg)
    aperture = np.sinc(frequency * spacing * np.cos(angle)) * np.sinc(frequency * spacing * np.sin(angle))
    return float(np.exp(-2 * np.pi**2 * sigma_mm**2 * frequency**2) * aperture)


def covered(errors, uncertainties, k: float = 1.0) -> float:
    """Share of the errors that lie within k standard uncertainties."""
    return float(np.mean(np.abs(np.asarray(errors)) <= k * np.asarray(uncertainties)))
