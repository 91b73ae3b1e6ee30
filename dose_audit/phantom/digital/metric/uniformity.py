"""One-call images for uniformity, ghosting and detector metrics, each with its truth: CT water, MR cylinder, flat field."""

from __future__ import annotations

import math

import numpy as np

from dose_audit.phantom.digital.metric.common import Array, Truth, add_noise, pair
from dose_audit.phantom.digital.noise import NoisePowerSpectrum, rician
from dose_audit.phantom.digital.objects import Disc
from dose_audit.phantom.digital.pose import pixel_of, pixel_positions
from dose_audit.phantom.digital.render import Scene, Spacing, render_image

__all__ = ["ct_water_image", "flat_field", "mr_uniform_image"]


def ct_water_image(
    diameter_mm: float = 200.0,
    *,
    water_hu: float = 0.0,
    cupping_hu: float = 0.0,
    tilt_hu_per_mm: tuple[float, float] = (0.0, 0.0),
    nps: NoisePowerSpectrum | float = 0.0,
    sigma_mm: float = 0.5,
    spacing_mm: Spacing = 0.5,
    shape: tuple[int, int] = (512, 512),
    centre_mm: tuple[float, float] = (0.0, 0.0),
    wall_mm: float = 0.0,
    wall_hu: float = 120.0,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Water cylinder in air, with cupping ``c (r/R)²`` and a tilt of the water's HU, and a plastic wall if wanted.

    Parameters
    ----------
    diameter_mm, centre_mm, wall_mm, wall_hu
        Water's diameter and place; thickness and HU of the wall around it.
    water_hu, cupping_hu, tilt_hu_per_mm
        HU in the middle, what is added at the rim, slope along x and y.
    nps : NoisePowerSpectrum or float
        Coloured noise, or the SD of white noise.
    sigma_mm, spacing_mm, shape, seed
        Blur, pixel pitch, matrix, seed of the noise.

    Returns
    -------
    (ndarray, dict)
        Truth: those numbers. The mean of a disc of radius a at (x, y) from the centre follows from them:
        ``water_hu + tilt·(x, y) + cupping (x² + y² + a²/2)/R²``.
    """
    spacing = pair(spacing_mm)
    scene, radius = Scene(-1000.0), diameter_mm / 2
    if wall_mm > 0:
        scene.add(Disc(*centre_mm, diameter_mm + 2 * wall_mm), value=wall_hu)
        scene.add(Disc(*centre_mm, diameter_mm), value=water_hu, inside=wall_hu)
    else:
        scene.add(Disc(*centre_mm, diameter_mm), value=water_hu)
    image = render_image(scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=sigma_mm)
    x, y = pixel_positions(shape, spacing)
    x, y = x - centre_mm[0], y - centre_mm[1]
    bend = tilt_hu_per_mm[0] * x + tilt_hu_per_mm[1] * y + cupping_hu * (x * x + y * y) / radius**2
    image = image + np.where(x * x + y * y <= radius**2, bend, 0.0)
    spectrum = nps if isinstance(nps, NoisePowerSpectrum) else NoisePowerSpectrum(float(nps))
    truth: Truth = {
        "kind": "ct water",
        "diameter_mm": diameter_mm,
        "water_hu": water_hu,
        "cupping_hu": cupping_hu,
        "tilt_hu_per_mm": list(tilt_hu_per_mm),
        "wall_mm": wall_mm,
        "wall_hu": wall_hu,
        "centre_mm": list(centre_mm),
        "centre_row_column": list(pixel_of(*centre_mm, shape, spacing)),
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "noise_sd": spectrum.sd,
        "nps": spectrum.as_record(spacing) if spectrum.sd > 0 else None,
        "seed": seed,
    }
    return add_noise(image, spacing, 0.0, spectrum if spectrum.sd > 0 else None, seed), truth


def mr_uniform_image(
    diameter_mm: float = 190.0,
    *,
    signal: float = 1000.0,
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ghost_fraction: float = 0.0,
    ghost_shift: float = 0.5,
    phase: str = "row",
    sd: float = 0.0,
    sigma_mm: float = 0.5,
    spacing_mm: Spacing = 1.0,
    shape: tuple[int, int] = (256, 256),
    centre_mm: tuple[float, float] = (0.0, 0.0),
    roi_diameter_mm: float = 160.0,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Uniform MR cylinder with a receive field, a ghost and Rician noise.

    Parameters
    ----------
    bias : (float, float, float)
        Receive field ``1 + b0 x/R + b1 y/R + b2 (r/R)²`` about the centre.
    ghost_fraction, ghost_shift, phase
        A copy of that share of the signal, shifted by so much of the field of view along ``row`` (up and down, DICOM's COL
        phase encoding is across) or ``column``, wrapped round.
    sd : float
        Noise of one channel.
    roi_diameter_mm : float
        Region for the integral uniformity in the truth; 160 mm has 201 cm².

    Returns
    -------
    (ndarray, dict)
        Truth: ``piu_percent`` from the extreme means of 1 cm² discs that lie in the region, by formula from the field;
        ``psg_percent`` for regions that the ghost fills; ``snr`` of the centre.
    """
    spacing = pair(spacing_mm)
    scene, radius = Scene(0.0), diameter_mm / 2
    scene.add(Disc(*centre_mm, diameter_mm), value=signal)
    image = render_image(scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=sigma_mm)
    x, y = pixel_positions(shape, spacing)
    image = image * _field((x - centre_mm[0]) / radius, (y - centre_mm[1]) / radius, bias)
    if ghost_fraction > 0:
        axis = 0 if phase == "row" else 1
        image = image + ghost_fraction * np.roll(image, round(shape[axis] * ghost_shift), axis=axis)
    small = math.sqrt(100 / math.pi)
    reach = roi_diameter_mm / 2 - small
    at = np.arange(-reach, reach + 0.125, 0.25)
    gx, gy = np.meshgrid(at, at)
    inside = gx * gx + gy * gy <= reach * reach
    # The mean of a quadratic over a disc of radius a is its value at the middle plus b2 a²/(2 R²).
    means = signal * (_field(gx / radius, gy / radius, bias)[inside] + bias[2] * small**2 / (2 * radius**2))
    low, high = float(means.min()), float(means.max())
    truth: Truth = {
        "kind": "mr uniform",
        "diameter_mm": diameter_mm,
        "signal": signal,
        "bias": list(bias),
        "piu_percent": 100 * (1 - (high - low) / (high + low)),
        "piu_high": high,
        "piu_low": low,
        "roi_diameter_mm": roi_diameter_mm,
        "ghost_fraction": ghost_fraction,
        "phase": phase,
        "psg_percent": 100 * ghost_fraction,
        "channel_sd": sd,
        "snr": signal / sd if sd > 0 else None,
        "centre_mm": list(centre_mm),
        "centre_row_column": list(pixel_of(*centre_mm, shape, spacing)),
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "seed": seed,
    }
    return (rician(image, sd, np.random.default_rng(seed)) if sd > 0 else image), truth


def _field(x: Array, y: Array, bias: tuple[float, float, float]) -> Array:
    return 1 + bias[0] * x + bias[1] * y + bias[2] * (x * x + y * y)


def flat_field(
    mean: float = 2000.0,
    *,
    shape: tuple[int, int] = (1024, 1024),
    spacing_mm: Spacing = 0.15,
    heel_percent: float = 0.0,
    bow_percent: float = 0.0,
    noise_sd: float = 20.0,
    nps: NoisePowerSpectrum | None = None,
    dead_pixels: int = 0,
    hot_pixels: int = 0,
    defect_sd: float = 10.0,
    columns: tuple[int, ...] = (),
    rows: tuple[int, ...] = (),
    line_sd: float = 5.0,
    residual_fraction: float = 0.0,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Flat field of a detector: heel along y, bow, noise, defective pixels and lines, the rest of an earlier exposure.

    Parameters
    ----------
    heel_percent, bow_percent : float
        Change of the signal from top to bottom (linear), and from the middle to the middle of a side (quadratic).
    dead_pixels, hot_pixels, defect_sd
        How many pixels lie ``defect_sd`` noise SDs (of white noise) below or above.
    columns, rows, line_sd
        Indices of lines that are raised by so many SDs along their whole length.
    residual_fraction : float
        Lag: a square of half the field's size in the middle is raised by this share.

    Returns
    -------
    (ndarray, dict)
        Truth: planted defects by (row, column). The expected signal at (x, y) from the middle is
        ``mean (1 + heel y/H + bow ((x/(W/2))² + (y/(H/2))²))`` with the field W x H in mm and percents as fractions.
    """
    spacing = pair(spacing_mm)
    x, y = pixel_positions(shape, spacing)
    height, width = shape[0] * spacing[0], shape[1] * spacing[1]
    bow = (2 * x / width) ** 2 + (2 * y / height) ** 2
    expected = mean * (1 + heel_percent / 100 * y / height + bow_percent / 100 * bow)
    square = (np.abs(x) < width / 4) & (np.abs(y) < height / 4)
    expected = expected * (1 + residual_fraction * square)
    image = add_noise(expected, spacing, noise_sd, nps, seed)
    sd = nps.sd if nps is not None else noise_sd
    rng = np.random.default_rng((seed, 1))
    where = rng.choice(shape[0] * shape[1], dead_pixels + hot_pixels, replace=False)
    at = np.stack(np.unravel_index(where, shape), axis=1)
    for k, (row, column) in enumerate(at):
        image[row, column] = expected[row, column] + (-1 if k < dead_pixels else 1) * defect_sd * sd
    for column in columns:
        image[:, column] += line_sd * sd
    for row in rows:
        image[row, :] += line_sd * sd
    truth: Truth = {
        "kind": "flat field",
        "mean": mean,
        "heel_percent": heel_percent,
        "bow_percent": bow_percent,
        "field_mm": [width, height],
        "noise_sd": sd,
        "snr": mean / sd if sd > 0 else None,
        "nps": nps.as_record(spacing) if nps is not None else None,
        "dead_pixels": at[:dead_pixels].tolist(),
        "hot_pixels": at[dead_pixels:].tolist(),
        "columns": list(columns),
        "rows": list(rows),
        "residual_fraction": residual_fraction,
        "spacing_mm": list(spacing),
        "seed": seed,
    }
    return image, truth
