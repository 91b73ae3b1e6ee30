"""What the metric phantoms share: spacing as a pair, noise last, and the record of an MTF."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.digital.noise import NoisePowerSpectrum, coloured_noise, white_noise
from dose_audit.phantom.digital.psf import frequency_at
from dose_audit.phantom.digital.render import Spacing

__all__ = ["Array", "Truth", "add_noise", "mtf_record", "pair"]

Array = NDArray[np.float64]
Truth = dict[str, Any]


def pair(spacing_mm: Spacing) -> tuple[float, float]:
    """Spacing between rows and between columns."""
    if isinstance(spacing_mm, int | float):
        return float(spacing_mm), float(spacing_mm)
    return float(spacing_mm[0]), float(spacing_mm[1])


def add_noise(
    image: Array, spacing_mm: tuple[float, float], noise_sd: float, nps: NoisePowerSpectrum | None, seed: int
) -> Array:
    """White noise of ``noise_sd``, or coloured noise of ``nps``, or none."""
    rng = np.random.default_rng(seed)
    if nps is not None:
        return image + coloured_noise((image.shape[0], image.shape[1]), spacing_mm, nps, rng)
    return image + white_noise(image.shape, noise_sd, rng) if noise_sd > 0 else image


def mtf_record(mtf: Callable[[float], float], nyquist: float) -> Truth:
    """Curve to Nyquist and the usual numbers of a falling MTF."""
    f = np.linspace(0.0, nyquist, 129)
    return {
        "nyquist_per_mm": nyquist,
        "frequency_per_mm": f.tolist(),
        "mtf": [float(mtf(v)) for v in f],
        "mtf50_per_mm": frequency_at(0.5, mtf, 8 * nyquist),
        "mtf10_per_mm": frequency_at(0.1, mtf, 8 * nyquist),
    }
