"""Noise power from what a fit left of an image, the fit's own share put back: spreads of linear estimates, and prewhitening."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["ResidualNoise"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_AT_ONCE = 4  # transforms: fewer calls than one by one, and their fields still fit into a cache
_MARGIN = 24  # pixels of padding: farther apart, pixels have nothing in common
_WINDOW = 0.12  # of a frequency, to either side, over which the spectrum is smoothed
_LEAST_BINS = 1.5  # of one over the region's extent, likewise
_PARTS = 4  # narrow bins in one of these
_FLOOR = 0.03  # of the highest power: what is weaker is not whitened further
_TRUST = 0.5  # of the highest power at any lower frequency, likewise
_LEVEL = 0.3  # of the mean about a frequency: as low as its slope may lead


class ResidualNoise:
    """Stationary noise, the same in all directions, as the residual of a least-squares fit shows it.

    Parameters
    ----------
    residual : ndarray, shape (pixels,)
        What the fit left of each pixel.
    fitted : ndarray, shape (pixels, unknowns)
        Orthonormal columns that span what was fitted.
    inside : ndarray of bool, shape (rows, columns)
        Which pixels of the image those are.
    spacing_mm : (row, column)

    Notes
    -----
    ``S(f) = Σ |R(k)|² / Σ [n - Σ_j |Q_j(k)|²]`` over the frequencies near f, R being the transform of the residual of n pixels
    and Q_j that of the fitted columns. They have taken their share of the noise, most of it at low frequencies, where the
    residual's own products would miss it.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0.0, 2.0, (60, 60))
    >>> flat = np.full((3600, 1), 1.0 / 60.0)
    >>> found = ResidualNoise(noise.ravel() - noise.mean(), flat, np.ones((60, 60), bool), (1.0, 1.0))
    >>> spread = found.spreads(np.full((1, 3600), 1.0 / 3600.0))
    >>> 0.025 < float(spread[0]) < 0.045    # of the mean of 3600 pixels: 2/60
    True
    """

    def __init__(self, residual: Floats, fitted: Floats, inside: Mask, spacing_mm: tuple[float, float]) -> None:
        self._inside = inside
        self._padded = tuple(fft.next_fast_len(extent + _MARGIN, real=True) for extent in inside.shape)
        rows, columns = np.nonzero(inside)
        extent = max(float(np.ptp(rows) + 1) * spacing_mm[0], float(np.ptp(columns) + 1) * spacing_mm[1])
        down, right = fft.fftfreq(self._padded[0], spacing_mm[0]), fft.rfftfreq(self._padded[1], spacing_mm[1])
        radius = np.hypot(down[:, None], right[None, :])
        # Columns of the half plane stand for two, but for the first and (of an even size) the last.
        self._twice = np.full(right.size, 2.0)
        self._twice[0] = 1.0
        if self._padded[1] % 2 == 0:
            self._twice[-1] = 1.0
        left = np.full(radius.shape, float(residual.size))
        for spectra in self._spectra(fitted.T):
            left -= _power(spectra).sum(axis=0, dtype=np.float64)
        power = _power(next(self._spectra(residual[None, :])))[0].astype(np.float64)
        self._bins = np.rint(radius * (_PARTS * extent)).astype(np.intp)
        self._curve = _smooth(self._bins, self._twice * power, self._twice * np.maximum(left, 0.0))

    def spreads(self, weights: Floats) -> Floats:
        """Standard deviations of the sums of weights and pixels, ``Var(Σ w x) = Σ_k |W(k)|² S(k) / N``.

        Parameters
        ----------
        weights : ndarray, shape (estimates, pixels)

        Returns
        -------
        ndarray, shape (estimates,)
        """
        density = self._twice * self._curve[self._bins] / math.prod(self._padded)
        squares = [np.einsum("kij,ij->k", _power(spectra), density) for spectra in self._spectra(weights)]
        return np.sqrt(np.concatenate(squares))

    def whitened(self, columns: Floats) -> Floats:
        """Columns times the inverse of the noise power, on the pixels of the region.

        Above the frequency of its highest power the noise counts for at least half of that: by what an image has been smoothed
        is not known well enough to trust the little noise that is left there.

        Parameters
        ----------
        columns : ndarray, shape (pixels, columns)

        Returns
        -------
        ndarray, shape (pixels, columns)
        """
        highest = np.maximum.accumulate(self._curve)
        curve = np.maximum(self._curve, _TRUST * highest)
        inverse = (1.0 / np.maximum(curve / highest[-1], _FLOOR))[self._bins].astype(np.float32)
        # Column by column in memory, as each of them is transformed by itself.
        whitened, first = np.empty((columns.shape[1], columns.shape[0])), 0
        at = np.ravel_multi_index(np.nonzero(self._inside), self._padded)
        for spectra in self._spectra(columns.T):
            spectra *= inverse
            fields = fft.irfft2(spectra, self._padded, overwrite_x=True).reshape(len(spectra), -1)
            whitened[first : first + len(spectra)] = fields[:, at]
            first += len(spectra)
        return whitened.T

    def _spectra(self, rows: Floats) -> Iterator[NDArray[np.complex64]]:
        """Transforms of values of the region's pixels, a few rows at a time.

        Seven digits, in half the time: noise powers have two, and weights are normalised with the columns they came from.
        """
        at = np.flatnonzero(self._inside)
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            fields = np.zeros((len(some), self._inside.size), dtype=np.float32)
            fields[:, at] = some
            yield np.asarray(fft.rfft2(fields.reshape(-1, *self._inside.shape), self._padded))


def _power(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.asarray(spectra.real**2 + spectra.imag**2)


def _smooth(bins: NDArray[np.intp], powers: Floats, shares: Floats) -> Floats:
    """Ratio of two maps at each ring, from a straight line through the rings about it."""
    count = int(bins.max()) + 1
    at = np.arange(count, dtype=float)
    power, share = (np.bincount(bins.ravel(), one.ravel(), minlength=count).astype(float) for one in (powers, shares))
    half = np.maximum(math.ceil(_LEAST_BINS * _PARTS), np.rint(_WINDOW * at)).astype(int)
    low, high = np.clip(np.arange(count) - half, 0, count), np.clip(np.arange(count) + half + 1, 0, count)
    # The lowest frequencies are those of which the fit has left least: rings there reach at least one window up.
    high = np.maximum(high, min(2 * int(half[0]) + 1, count))

    def total(values: Floats) -> Floats:
        sums = np.concatenate([[0.0], np.cumsum(values)])
        return np.asarray(np.maximum(sums[high] - sums[low], 0.0))

    weight = np.maximum(total(share), 1e-300)
    mean, middle = total(power) / weight, total(share * at) / weight
    spread = np.maximum(total(share * at**2) - middle**2 * weight, 1e-9 * weight)
    slope = (total(power * at) - middle * mean * weight) / spread
    return np.asarray(np.maximum(mean + slope * (at - middle), _LEVEL * mean))
