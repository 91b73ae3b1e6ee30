"""Magnitude images at low signal: the mean that Rician noise leaves of a signal, and the noise itself from a dark ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from dose_audit.image_quality.rois import as_floats

__all__ = ["DarkGround", "dark_ground", "rician_mean"]

Floats = NDArray[np.float64]
_LEAST_PIXELS = 24
_NO_MATTER = 12.0  # times the noise: a ground above it is lifted by less than 0.4 % of the noise
_AGAINST_NONE = 9.0  # of -2 log likelihood: three standard deviations


@dataclass(frozen=True, slots=True)
class DarkGround:
    """A ground that is dark enough for its noise to lift it.

    Parameters
    ----------
    signal : float
        What the ground would be without noise; 0 unless the pixels contradict it.
    noise_sd : float
        Standard deviation of the noise in each channel of the complex image.
    signal_uncertainty : float
        Of a signal that was taken to be 0.
    """

    signal: float
    noise_sd: float
    signal_uncertainty: float = 0.0


def rician_mean(signal: ArrayLike, noise_sd: float) -> Floats:
    """Mean magnitude of a complex signal with normal noise in both channels.

    Parameters
    ----------
    signal : array_like
        Without noise; its sign does not matter.
    noise_sd : float
        Standard deviation in each channel, positive.

    Returns
    -------
    ndarray

    Notes
    -----
    ``σ √(π/2) L½(-A²/2σ²)``, with ``L½(-2x) = e^-x [(1 + 2x) I0(x) + 2x I1(x)]``: 1.2533 σ without a signal, ``A + σ²/2A``
    above a strong one.

    References
    ----------
    Gudbjartsson H, Patz S. The Rician distribution of noisy MRI data. Magn Reson Med 1995; 34: 910-914.

    Examples
    --------
    >>> [round(float(v), 4) for v in rician_mean([0.0, 3.0, 50.0], 1.0)]
    [1.2533, 3.1726, 50.01]
    """
    if noise_sd <= 0:
        raise ValueError(f"the noise is positive, not {noise_sd}")
    x = np.square(np.asarray(signal, dtype=float) / noise_sd) / 4.0
    return np.asarray(
        noise_sd * math.sqrt(math.pi / 2.0) * ((1.0 + 2.0 * x) * special.i0e(x) + 2.0 * x * special.i1e(x))
    )


def dark_ground(ground: ArrayLike, noise_sd: float, freedom: float) -> DarkGround | None:
    """Signal and noise of a dark ground, from its pixels and from the noise seen where there is signal.

    Parameters
    ----------
    ground : array_like
        Pixels of the ground as they are, not interpolated.
    noise_sd : float
        Standard deviation of the noise where the signal is strong.
    freedom : float
        Degrees of freedom of that; 0 where it is not known.

    Returns
    -------
    DarkGround or None
        ``None`` where magnitude noise makes no difference, or where there are too few pixels or negative ones.

    Notes
    -----
    Greatest likelihood of the Rice distribution of the ground and the chi-squared one of the given variance, over signal and
    noise. The spread of a ground near zero hardly tells the two apart: a ground of no signal at all, as plastic in MRI has, is
    taken unless a signal raises twice the log likelihood by more than 9. Its uncertainty is that of any signal up to the one
    that lowers it by 1, all equally likely. Noise combined from several coils, or smoothed, spreads less than Rician noise
    does; it is then taken for more signal and less noise, and corrected by less than it needs.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> found = dark_ground(np.hypot(*random.normal(0.0, 5.0, (2, 400))), 5.2, 45)
    >>> found.signal, round(found.noise_sd, 1)
    (0.0, 5.0)
    """
    dark = as_floats(ground).ravel()
    dark = dark[np.isfinite(dark)]
    if dark.size < _LEAST_PIXELS or dark.min() < 0:
        return None
    power = float(np.mean(dark**2))
    if power <= 0 or dark.std() == 0 or float(dark.mean()) > _NO_MATTER * float(dark.std()):
        return None
    number, squares = freedom, freedom * noise_sd**2
    positive = np.maximum(dark, 1e-3 * math.sqrt(power))

    def misfit(signal: float, noise: float) -> float:
        """Twice the negative log likelihood, without what depends on neither."""
        product = positive * (abs(signal) / noise**2)
        rice = dark.size * (4.0 * math.log(noise) + signal**2 / noise**2) + float(dark @ dark) / noise**2
        rice -= 2.0 * float(np.sum(np.log(special.i0e(product)) + product))
        return rice + number * 2.0 * math.log(noise) + squares / noise**2

    # Without a signal the greatest likelihood is the mean of all squares, two channels to a pixel of the ground.
    alone = math.sqrt((float(dark @ dark) + squares) / (2.0 * dark.size + number))
    begin = [float(dark.mean()), math.log(float(dark.std()))]
    found = optimize.minimize(
        lambda p: misfit(p[0], math.exp(p[1])),
        begin,
        method="Nelder-Mead",
        options={"xatol": 1e-3 * math.sqrt(power), "fatol": 1e-2, "maxfev": 400},
    )
    if misfit(0.0, alone) - float(found.fun) < _AGAINST_NONE:
        signals = alone * np.arange(0.1, 1.35, 0.05)
        noises = np.sqrt(alone**2 - signals**2 * (dark.size / (2.0 * dark.size + number)))
        worse = np.array([misfit(a, sd) for a, sd in zip(signals, noises, strict=True)]) - misfit(0.0, alone)
        largest = float(signals[np.argmax(worse > 1.0)] if worse.max() > 1.0 else signals[-1])
        return DarkGround(0.0, alone, largest / math.sqrt(3.0))
    signal, noise = abs(float(found.x[0])), math.exp(float(found.x[1]))
    return None if signal > _NO_MATTER * noise else DarkGround(signal, noise)
