"""How far noise is correlated from pixel to pixel, so that the uncertainty of a mean or of a standard deviation is honest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["correlation_areas", "remove_plane"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_LARGEST = 64  # pixels a side: enough to know the correlation, and fast
_FEW = 1000  # pixels
_SEEN = 2.0  # standard deviations of a correlation of white noise
_MOST_ALIKE = 0.999


def correlation_areas(part: Floats, chosen: Mask, *, reach: int = 6) -> tuple[float, float]:
    """Sums of the noise's autocorrelation and of its square, in pixels, after a plane is removed.

    A mean over ``n`` pixels of correlated noise has the variance ``sd² · Σρ / n``, a sample variance the relative
    variance ``2 Σρ² / n``. Only lags up to `reach` pixels that rise above the estimate's own noise are counted; where the
    correlation goes on there, the reach is doubled, and whole rows or columns that have something in common (the lines of a
    read-out) are counted to their ends.

    A few hundred pixels, less their own plane, do not show how far their noise reaches: what all of them share is gone with
    the plane, and the sum comes out at a tenth. Neighbours still show how alike they are. There the correlation is that of
    white noise behind a Gaussian filter, ``ρ(h) = exp(-h²/4σ²)``, whose sums are ``4πσ² = -π/ln ρ(1)`` and half of it.
    """
    full, its, whole = part, chosen, part.shape
    part, chosen = _middle(part, chosen)
    residual = np.where(chosen, remove_plane(part, chosen), 0.0)
    count = int(np.count_nonzero(chosen))
    shape = tuple(fft.next_fast_len(size + reach, real=True) for size in part.shape)
    products = _own_products(residual, shape)
    rows = np.arange(-min(reach, part.shape[0] - 1), min(reach, part.shape[0] - 1) + 1)
    columns = np.arange(-min(reach, part.shape[1] - 1), min(reach, part.shape[1] - 1) + 1)
    at = np.ix_(rows, columns)
    if count == chosen.size:
        pairs = np.outer(part.shape[0] - np.abs(rows), part.shape[1] - np.abs(columns)).astype(float)
    else:
        pairs = _own_products(chosen.astype(float), shape)[at]
    number = np.maximum(pairs, 1.0)
    variance = float(products[0, 0]) / count
    if variance <= 0:
        return 1.0, 1.0
    rho = products[at] / number / variance
    if count < _FEW:
        return _by_neighbours(rho, rows, columns, count)
    counted = (np.abs(rho) > 3.0 / np.sqrt(number)) & (pairs > 0.25 * count)
    counted[rows == 0, columns == 0] = True
    rho = np.where(counted, rho, 0.0)
    along = rho[rows == 0][0, columns > 0], rho[rows > 0, columns == 0]
    goes_on = [bool(one.size and one[-1] > 0) for one in along]
    if any(goes_on) and 4 * reach <= min(part.shape):
        return correlation_areas(full, its, reach=2 * reach)
    area, squares = float(rho.sum()), float((rho**2).sum())
    # What whole rows or columns have in common, they have in common to their ends.
    for one, further, extent in zip(along, goes_on, whole[::-1], strict=True):
        if further and extent > 2 * one.size:
            alike = float(one[one.size // 2 :].mean())
            area += alike * (extent - 2 * one.size)
            squares += alike**2 * (extent - 2 * one.size)
    return max(area, 0.1), max(squares, 1.0)


def _by_neighbours(rho: Floats, rows: NDArray[np.int_], columns: NDArray[np.int_], count: int) -> tuple[float, float]:
    """The sums by the correlation of neighbours along rows and along columns, each its own filter."""
    squares = 1.0
    for across in (rho[rows == 0][:, columns == 1], rho[rows == 1][:, columns == 0]):
        alike = float(across[0, 0]) if across.size else 0.0
        if alike > _SEEN / np.sqrt(count):
            squares *= -1.0 / np.log(min(alike, _MOST_ALIKE))
        else:
            squares /= np.pi  # a pixel is alone along this axis
    area = max(float(np.pi * np.sqrt(squares)), 1.0)
    return area, max(0.5 * area, 1.0)


def remove_plane(part: Floats, chosen: Mask) -> Floats:
    """`part` minus the least-squares plane through its chosen pixels."""
    weight = chosen.astype(float)
    values = np.where(chosen, part, 0.0)
    in_rows, in_columns, count = weight.sum(axis=1), weight.sum(axis=0), float(weight.sum())
    row, column = np.arange(part.shape[0], dtype=float), np.arange(part.shape[1], dtype=float)
    row -= float(row @ in_rows) / count
    column -= float(column @ in_columns) / count
    # Sums over rows and columns are all that the normal equations of a plane need.
    row_squares, column_squares = float(row**2 @ in_rows), float(column**2 @ in_columns)
    product = float(row @ weight @ column)
    by_row = values.sum(axis=1)
    normal = np.array([[row_squares, product], [product, column_squares]])
    # A region of one row or column has no slope across it.
    slopes = np.linalg.pinv(normal, hermitian=True) @ [float(row @ by_row), float(values.sum(axis=0) @ column)]
    level = float(by_row.sum()) / count
    return np.asarray(part - (level + slopes[0] * row)[:, None] - slopes[1] * column[None, :], dtype=float)


def _own_products(field: Floats, shape: tuple[int, ...]) -> Floats:
    """Sum of the products of a field with itself at every lag."""
    return np.asarray(fft.irfft2(np.abs(fft.rfft2(field, shape)) ** 2, shape))


def _middle(part: Floats, chosen: Mask) -> tuple[Floats, Mask]:
    """The middle of a large region, unless that is where it has its hole."""
    at = tuple(slice(max((size - _LARGEST) // 2, 0), max((size - _LARGEST) // 2, 0) + _LARGEST) for size in part.shape)
    if chosen[at].sum() < 0.25 * min(chosen.sum(), _LARGEST**2):
        return part, chosen
    return part[at], chosen[at]
