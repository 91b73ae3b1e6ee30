"""How far noise is correlated from pixel to pixel, so that the uncertainty of a mean or of a standard deviation is honest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["correlation_areas", "remove_plane"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_LARGEST = 64  # pixels a side: enough to know the correlation, and fast


def correlation_areas(part: Floats, chosen: Mask, *, reach: int = 6) -> tuple[float, float]:
    """Sums of the noise's autocorrelation and of its square, in pixels, after a plane is removed.

    A mean over ``n`` pixels of correlated noise has the variance ``sd² · Σρ / n``, a sample variance the relative
    variance ``2 Σρ² / n``. Only lags up to `reach` pixels that rise above the estimate's own noise are counted.
    """
    part, chosen = _middle(part, chosen)
    residual = np.where(chosen, remove_plane(part, chosen), 0.0)
    count = int(chosen.sum())
    shape = tuple(fft.next_fast_len(size + reach, real=True) for size in part.shape)
    spectrum = fft.rfft2(residual, shape)
    covered = fft.rfft2(chosen.astype(float), shape)
    products = fft.irfft2(np.abs(spectrum) ** 2, shape)
    pairs = fft.irfft2(np.abs(covered) ** 2, shape)
    rows = np.arange(-min(reach, part.shape[0] - 1), min(reach, part.shape[0] - 1) + 1)
    columns = np.arange(-min(reach, part.shape[1] - 1), min(reach, part.shape[1] - 1) + 1)
    at = np.ix_(rows, columns)
    number = np.maximum(pairs[at], 1.0)
    variance = float(products[0, 0]) / count
    if variance <= 0:
        return 1.0, 1.0
    rho = products[at] / number / variance
    counted = (np.abs(rho) > 3.0 / np.sqrt(number)) & (pairs[at] > 0.25 * count)
    counted[rows == 0, columns == 0] = True
    rho = np.where(counted, rho, 0.0)
    return max(float(rho.sum()), 0.1), max(float((rho**2).sum()), 1.0)


def remove_plane(part: Floats, chosen: Mask) -> Floats:
    """`part` minus the least-squares plane through its chosen pixels."""
    rows, columns = np.nonzero(chosen)
    values = part[chosen]
    design = np.column_stack([np.ones(rows.size), rows - rows.mean(), columns - columns.mean()])
    solution = np.linalg.lstsq(design, values, rcond=None)[0]
    plane = solution[0] + solution[1] * (np.arange(part.shape[0])[:, None] - rows.mean())
    return np.asarray(part - plane - solution[2] * (np.arange(part.shape[1])[None, :] - columns.mean()), dtype=float)


def _middle(part: Floats, chosen: Mask) -> tuple[Floats, Mask]:
    """The middle of a large region, unless that is where it has its hole."""
    at = tuple(slice(max((size - _LARGEST) // 2, 0), max((size - _LARGEST) // 2, 0) + _LARGEST) for size in part.shape)
    if chosen[at].sum() < 0.25 * min(chosen.sum(), _LARGEST**2):
        return part, chosen
    return part[at], chosen[at]
