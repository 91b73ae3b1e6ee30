"""One-call images for noise, contrast and detectability metrics, each with its truth: noise fields, floods, low contrast."""

from __future__ import annotations

import math

import numpy as np

from dose_audit.phantom.digital.metric.common import Array, Truth, add_noise, pair
from dose_audit.phantom.digital.noise import NoisePowerSpectrum, poisson_noise, rician, rician_mean
from dose_audit.phantom.digital.objects import Disc
from dose_audit.phantom.digital.pose import pixel_of, pixel_positions
from dose_audit.phantom.digital.psf import disc_mtf, gaussian_mtf
from dose_audit.phantom.digital.render import Scene, Spacing, render_image

__all__ = ["low_contrast_image", "mr_repeat_pair", "nm_flood", "noise_image"]


def noise_image(
    nps: NoisePowerSpectrum | float = 10.0,
    *,
    shape: tuple[int, int] = (256, 256),
    spacing_mm: Spacing = 0.5,
    mean: float = 0.0,
    tilt_per_mm: tuple[float, float] = (0.0, 0.0),
    cupping_per_mm2: float = 0.0,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Uniform field with noise of a known spectrum, optionally with a tilt and cupping under it.

    Parameters
    ----------
    nps : NoisePowerSpectrum or float
        Coloured noise, or the SD of white noise.
    tilt_per_mm : (float, float)
        Gradient along x and y.
    cupping_per_mm2 : float
        Added as ``cupping (x² + y²)`` from the middle.

    Returns
    -------
    (ndarray, dict)
        Truth: `NoisePowerSpectrum.as_record` under ``nps``, the trend, ``noise_sd``.

    Examples
    --------
    >>> _, truth = noise_image(NoisePowerSpectrum(10.0, 0.35))
    >>> round(truth["nps"]["f_av_plane_per_mm"], 3)
    0.394
    """
    spacing = pair(spacing_mm)
    spectrum = nps if isinstance(nps, NoisePowerSpectrum) else NoisePowerSpectrum(float(nps))
    x, y = pixel_positions(shape, spacing)
    trend = mean + tilt_per_mm[0] * x + tilt_per_mm[1] * y + cupping_per_mm2 * (x * x + y * y)
    truth: Truth = {
        "kind": "noise",
        "mean": mean,
        "tilt_per_mm": list(tilt_per_mm),
        "cupping_per_mm2": cupping_per_mm2,
        "spacing_mm": list(spacing),
        "noise_sd": spectrum.sd,
        "nps": spectrum.as_record(spacing),
        "seed": seed,
    }
    return add_noise(trend, spacing, 0.0, spectrum, seed), truth


def low_contrast_image(
    diameters_mm: tuple[float, ...] = (15.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0),
    contrasts: tuple[float, ...] = (10.0,),
    *,
    nps: NoisePowerSpectrum | float = 5.0,
    background: float = 50.0,
    sigma_mm: float = 0.6,
    spacing_mm: Spacing = 0.5,
    pitch_mm: float = 25.0,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Discs of falling diameter, one row for each contrast, in noise of a known spectrum.

    Returns
    -------
    (ndarray, dict)
        Truth: ``discs``, each with ``row_column``, ``diameter_mm``, ``contrast``, ``d_npw`` (non-prewhitening matched
        filter) and ``d_ideal`` (prewhitening), both from the spectra and not from the image.

    Notes
    -----
    With the disc's spectrum W(f) = C A disc_mtf(f) exp(-2 pi² sigma² f²) and noise power S(f) over the Nyquist square,
    ``d_npw² = (sum |W|² df²)² / sum |W|² S df²`` and ``d_ideal² = sum |W|²/S df²``. White noise of ``sd`` has
    S = sd² dx dy.
    """
    spacing = pair(spacing_mm)
    spectrum = nps if isinstance(nps, NoisePowerSpectrum) else NoisePowerSpectrum(float(nps))
    width, height = pitch_mm * (len(diameters_mm) + 1), pitch_mm * (len(contrasts) + 1)
    shape = (math.ceil(height / spacing[0]), math.ceil(width / spacing[1]))
    scene, discs = Scene(background), []
    for i, contrast in enumerate(contrasts):
        for k, diameter in enumerate(diameters_mm):
            x = (k - (len(diameters_mm) - 1) / 2) * pitch_mm
            y = (i - (len(contrasts) - 1) / 2) * pitch_mm
            scene.add(Disc(x, y, diameter), contrast=contrast)
            d_npw, d_ideal = detectability(diameter, contrast, sigma_mm, spectrum, spacing)
            discs.append(
                {
                    "row_column": list(pixel_of(x, y, shape, spacing)),
                    "diameter_mm": diameter,
                    "contrast": contrast,
                    "cnr": abs(contrast) / spectrum.sd if spectrum.sd > 0 else None,
                    "d_npw": d_npw,
                    "d_ideal": d_ideal,
                }
            )
    image = render_image(scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=sigma_mm)
    truth: Truth = {
        "kind": "low contrast",
        "background": background,
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "noise_sd": spectrum.sd,
        "nps": spectrum.as_record(spacing),
        "discs": discs,
        "seed": seed,
    }
    return add_noise(image, spacing, 0.0, spectrum, seed), truth


def detectability(
    diameter_mm: float, contrast: float, sigma_mm: float, nps: NoisePowerSpectrum, spacing_mm: tuple[float, float]
) -> tuple[float | None, float | None]:
    """Non-prewhitening and ideal d' of a disc, None without noise; see `low_contrast_image`."""
    if nps.sd <= 0:
        return None, None
    n = 512
    fy = (np.arange(n) + 0.5 - n / 2) / (n * spacing_mm[0])
    fx = (np.arange(n) + 0.5 - n / 2) / (n * spacing_mm[1])
    f, cell = np.hypot(fy[:, None], fx[None, :]), (fy[1] - fy[0]) * (fx[1] - fx[0])
    area = math.pi / 4 * diameter_mm**2
    power = (contrast * area * disc_mtf(f, diameter_mm) * gaussian_mtf(f, sigma_mm)) ** 2
    noise = nps(f, spacing_mm)
    d_npw = float(power.sum() * cell / math.sqrt((power * noise).sum() * cell))
    return d_npw, math.sqrt(float((power / np.maximum(noise, 1e-9 * noise.max())).sum() * cell))


def mr_repeat_pair(
    signal: float = 1000.0,
    sd: float = 10.0,
    *,
    diameter_mm: float = 170.0,
    shape: tuple[int, int] = (256, 256),
    spacing_mm: Spacing = 1.0,
    drift: float = 0.0,
    seed: int = 0,
) -> tuple[Array, Array, Truth]:
    """Two magnitude images of a uniform cylinder with Rician noise, the second with its signal up by ``drift`` (fraction).

    Parameters
    ----------
    signal, sd : float
        Signal without noise, SD of one channel.
    diameter_mm, shape, spacing_mm
        Of the cylinder, which lies in the middle, and of the image.
    drift : float
        Relative change of the signal from the first image to the second.
    seed : int
        Of the noise.

    Returns
    -------
    (ndarray, ndarray, dict)
        Truth: ``snr`` = signal/sd; ``snr_nema`` from the mean signal of both; expected magnitude in the object and in air.
    """
    spacing = pair(spacing_mm)
    scene = Scene(0.0)
    scene.add(Disc(0, 0, diameter_mm), value=signal)
    clean = render_image(scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=0.5 * max(spacing))
    rng = np.random.default_rng(seed)
    truth: Truth = {
        "kind": "mr repeat pair",
        "signal": signal,
        "channel_sd": sd,
        "snr": signal / sd,
        "snr_nema": (1 + drift / 2) * signal / sd,
        "mean_in_object": float(rician_mean(signal, sd)),
        "mean_in_air": 1.2533141373155 * sd,
        "sd_in_air": sd * math.sqrt(2 - math.pi / 2),
        "drift": drift,
        "diameter_mm": diameter_mm,
        "spacing_mm": list(spacing),
        "seed": seed,
    }
    return rician(clean, sd, rng), rician(clean * (1 + drift), sd, rng), truth


def nm_flood(
    counts: float = 10_000.0,
    *,
    shape: tuple[int, int] = (64, 64),
    spacing_mm: Spacing = 6.4,
    field_mm: tuple[float, float] = (380.0, 300.0),
    bump_percent: float = 0.0,
    bump_width_mm: float = 60.0,
    bump_mm: tuple[float, float] = (0.0, 0.0),
    poisson: bool = True,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Gamma-camera flood: a rectangular field of ``field_mm`` (x, y) with a Gaussian bump or dip of sensitivity.

    Parameters
    ----------
    counts : float
        Expected counts of a pixel in the field.
    shape, spacing_mm, field_mm
        Matrix, pixel pitch, width and height of the field.
    bump_percent, bump_width_mm, bump_mm
        Height (negative for a dip), full width at half maximum and place (x, y) of the bump.
    poisson : bool
        Whether counts are drawn or are the expected ones.
    seed : int
        Of the draw.

    Returns
    -------
    (ndarray, dict)
        Truth: ``expected`` (the noise-free counts, as rows), from which any integral or differential uniformity follows.
    """
    spacing = pair(spacing_mm)
    x, y = pixel_positions(shape, spacing)
    inside = (np.abs(x) <= field_mm[0] / 2) & (np.abs(y) <= field_mm[1] / 2)
    away = (x - bump_mm[0]) ** 2 + (y - bump_mm[1]) ** 2
    expected = counts * inside * (1 + bump_percent / 100 * np.exp(-4 * math.log(2) * away / bump_width_mm**2))
    truth: Truth = {
        "kind": "nm flood",
        "counts": counts,
        "field_mm": list(field_mm),
        "bump_percent": bump_percent,
        "bump_width_mm": bump_width_mm,
        "bump_row_column": list(pixel_of(*bump_mm, shape, spacing)),
        "spacing_mm": list(spacing),
        "poisson": poisson,
        "expected": expected.tolist(),
        "seed": seed,
    }
    return (poisson_noise(expected, np.random.default_rng(seed)) if poisson else expected), truth
