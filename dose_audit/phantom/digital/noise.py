"""Noise with known statistics: white, coloured by a chosen noise power spectrum, Rician and Poisson."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.special import gamma, gammainc, ive

__all__ = ["NoisePowerSpectrum", "coloured_noise", "poisson_noise", "rician", "rician_mean", "white_noise"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NoisePowerSpectrum:
    """Radial spectrum S(f) = A f^power exp(-(f/f0)²), scaled to a standard deviation.

    Parameters
    ----------
    sd : float
        Standard deviation of a pixel.
    f0_per_mm : float or None
        Scale frequency; ``None`` makes white noise.
    power : float
        1 is the ramp of filtered back-projection; 0 is low-pass noise.

    Notes
    -----
    ``2 pi A int f^(power+1) exp(-(f/f0)²) df = sd²`` gives A. The peak lies at f0 sqrt(power/2).

    Examples
    --------
    >>> round(NoisePowerSpectrum(10.0, 0.35).peak_per_mm, 4)
    0.2475
    """

    sd: float
    f0_per_mm: float | None = None
    power: float = 1.0

    @property
    def white(self) -> bool:
        """Whether all frequencies are alike."""
        return self.f0_per_mm is None

    def __call__(self, frequency_per_mm: ArrayLike, spacing_mm: tuple[float, float] = (1.0, 1.0)) -> Array:
        """S(f) in value² mm²; ``spacing_mm`` matters for white noise only, which fills the Nyquist square."""
        f = np.asarray(frequency_per_mm, dtype=np.float64)
        if self.f0_per_mm is None:
            return np.full(f.shape, self.sd**2 * spacing_mm[0] * spacing_mm[1])
        p, f0 = self.power, self.f0_per_mm
        amplitude = self.sd**2 / (math.pi * gamma(p / 2 + 1) * f0 ** (p + 2))
        return amplitude * f**p * np.exp(-((f / f0) ** 2))

    @property
    def peak_per_mm(self) -> float | None:
        """Frequency of the maximum; None for white noise."""
        return None if self.f0_per_mm is None else self.f0_per_mm * math.sqrt(self.power / 2)

    def mean_frequency_per_mm(self, highest_per_mm: float, *, two_dimensional: bool = False) -> float:
        """Average frequency up to the highest: of the radial curve (TG-233), or weighted over the plane."""
        extra = 1 if two_dimensional else 0
        if self.f0_per_mm is None:
            return highest_per_mm * (1 + extra) / (2 + extra)
        t = (highest_per_mm / self.f0_per_mm) ** 2

        def moment(order: float) -> float:  # int f^order exp(-(f/f0)²) df over f0^(order+1)
            a = (order + 1) / 2
            return 0.5 * gamma(a) * gammainc(a, t)

        return float(self.f0_per_mm * moment(self.power + extra + 1) / moment(self.power + extra))

    def as_record(self, spacing_mm: tuple[float, float], points: int = 65) -> dict[str, object]:
        """Plain data for the truth beside an image: parameters and the curve to Nyquist."""
        nyquist = 0.5 / max(spacing_mm)
        f = np.linspace(0.0, nyquist, points)
        return {
            "sd": self.sd,
            "variance": self.sd**2,
            "f0_per_mm": self.f0_per_mm,
            "power": None if self.white else self.power,
            "nyquist_per_mm": nyquist,
            "f_peak_per_mm": self.peak_per_mm,
            "f_av_per_mm": self.mean_frequency_per_mm(nyquist),
            "f_av_plane_per_mm": self.mean_frequency_per_mm(nyquist, two_dimensional=True),
            "frequency_per_mm": f.tolist(),
            "nps": self(f, spacing_mm).tolist(),
        }


def white_noise(shape: tuple[int, ...], sd: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Independent normal noise."""
    noise: NDArray[np.float32] = rng.standard_normal(shape, dtype=np.float32)
    return noise * np.float32(sd)


def coloured_noise(
    shape: tuple[int, int], spacing_mm: tuple[float, float], nps: NoisePowerSpectrum, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A noise field of the given spectrum.

    Notes
    -----
    White noise of unit variance filtered by sqrt(S/(dx dy)). The sum of S over the image's own frequencies times their
    spacing is brought to ``nps.sd`` squared, so that what lies beyond Nyquist is not lost; for a spectrum that has died
    away there the factor is 1.
    """
    if nps.white:
        return white_noise(shape, nps.sd, rng)
    gain = _filter(shape, spacing_mm, nps)
    spectrum = fft.rfft2(white_noise(shape, 1.0, rng))
    field: NDArray[np.float32] = fft.irfft2(spectrum * gain, s=shape)
    return field


_last_filter: dict[tuple[object, ...], NDArray[np.float32]] = {}


def _filter(shape: tuple[int, int], spacing: tuple[float, float], nps: NoisePowerSpectrum) -> NDArray[np.float32]:
    key = (shape, spacing, nps)
    if key not in _last_filter:
        fy = np.fft.fftfreq(shape[0], spacing[0])[:, None]
        fx = np.fft.rfftfreq(shape[1], spacing[1])[None, :]
        full_x = np.fft.fftfreq(shape[1], spacing[1])[None, :]
        power = nps(np.hypot(fy, fx)) / (spacing[0] * spacing[1])
        mean = nps(np.hypot(fy, full_x)).mean() / (spacing[0] * spacing[1])
        _last_filter.clear()  # one geometry at a time: a series, not a library
        _last_filter[key] = np.sqrt(power * (nps.sd**2 / mean)).astype(np.float32)
    return _last_filter[key]


def rician(signal: ArrayLike, sd: float, rng: np.random.Generator) -> Array:
    """Magnitude of a complex signal with independent normal noise of ``sd`` in each channel."""
    real = np.asarray(signal, dtype=np.float64)
    first = real + sd * rng.standard_normal(real.shape)
    return np.hypot(first, sd * rng.standard_normal(real.shape))


def rician_mean(signal: ArrayLike, sd: float) -> Array:
    """Expected magnitude: sd sqrt(pi/2) L_1/2(-S²/(2 sd²)); sd sqrt(pi/2) = 1.2533 sd where there is no signal."""
    x = np.asarray(signal, dtype=np.float64) ** 2 / (4 * sd**2)
    return sd * math.sqrt(math.pi / 2) * ((1 + 2 * x) * ive(0, x) + 2 * x * ive(1, x))


def poisson_noise(counts: ArrayLike, rng: np.random.Generator) -> Array:
    """Poisson deviates of the expected counts."""
    return rng.poisson(np.asarray(counts, dtype=np.float64)).astype(np.float64)
