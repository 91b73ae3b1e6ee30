"""How far noise is correlated from pixel to pixel, so that the uncertainty of a mean or of a standard deviation is honest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["correlation_areas", "remove_plane"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_NEAR = 6  # pixels
_LARGEST = 64  # pixels a side: enough to know the correlation, and fast
_FEW = 1000  # pixels
_SEEN = 2.0  # standard deviations of a correlation of white noise
_MOST_ALIKE = 0.999


def correlation_areas(part: Floats, chosen: Mask) -> tuple[float, float]:
    """Sums of the noise's autocorrelation and of its square, in pixels, after a plane is removed.

    A mean over ``n`` pixels of correlated noise has the variance ``sd² · Σρ / n``, a sample variance the relative
    variance ``2 Σρ² / n``. Only lags up to 6 pixels that rise above the estimate's own noise are counted; where the correlation
    goes on there, lags up to 12, then 24 and so on, and whole rows or columns that have something in common (the lines of a
    read-out) to their ends.

    A few hundred pixels, less their own plane, do not show how far their noise reaches: what all of them share is gone with
    the plane, and the sum comes out at a tenth. Neighbours still show how alike they are. There the correlation is that of
    white noise behind a Gaussian filter, ``ρ(h) = exp(-h²/4σ²)``, whose sums are ``4πσ² = -π/ln ρ(1)`` and half of it.
    """
    whole = part.shape
    part, chosen = _middle(part, chosen)
    residual = np.where(chosen, remove_plane(part, chosen), 0.0)
    count = int(np.count_nonzero(chosen))
    near = _Correlation(residual, chosen, _NEAR)
    if near.variance <= 0:
        return 1.0, 1.0
    rho, number = near.up_to(_NEAR)
    if count < _FEW:
        return _by_neighbours(rho, count)
    rho, along = _risen(rho, number, count)
    reaches = [_NEAR << doubled for doubled in range(1, 9) if 4 * (_NEAR << doubled - 1) <= min(part.shape)]
    if reaches and any(_goes_on(along)):
        far = _Correlation(residual, chosen, reaches[-1])
        for reach in reaches:
            rho, along = _risen(*far.up_to(reach), count)
            if not any(_goes_on(along)):
                break
    area, squares = float(rho.sum()), float((rho**2).sum())
    # What whole rows or columns have in common, they have in common to their ends.
    for one, further, extent in zip(along, _goes_on(along), whole[::-1], strict=True):
        if further and extent > 2 * one.size:
            alike = float(one[one.size // 2 :].mean())
            area += alike * (extent - 2 * one.size)
            squares += alike**2 * (extent - 2 * one.size)
    return max(area, 0.1), max(squares, 1.0)


class _Correlation:
    """Products of a residual with itself, shifted; of one transform, so that looking further costs little."""

    def __init__(self, residual: Floats, chosen: Mask, furthest: int) -> None:
        shape = tuple(fft.next_fast_len(size + furthest, real=True) for size in residual.shape)
        self._products = _own_products(residual, shape)
        self._size = residual.shape
        whole = bool(chosen.all())
        self._pairs = None if whole else _own_products(chosen.astype(float), shape)
        self.variance = float(self._products[0, 0]) / int(np.count_nonzero(chosen))

    def up_to(self, reach: int) -> tuple[Floats, Floats]:
        """Correlation at each lag of so many pixels, the middle one 0, and of how many pairs."""
        rows, columns = (np.arange(-min(reach, size - 1), min(reach, size - 1) + 1) for size in self._size)
        at = np.ix_(rows, columns)
        if self._pairs is None:
            pairs = np.outer(self._size[0] - np.abs(rows), self._size[1] - np.abs(columns)).astype(float)
        else:
            pairs = self._pairs[at]
        return self._products[at] / np.maximum(pairs, 1.0) / self.variance, pairs


def _risen(rho: Floats, pairs: Floats, count: int) -> tuple[Floats, tuple[Floats, Floats]]:
    """What rises above the estimate's own noise, all of it and along a row and a column from the middle."""
    counted = (np.abs(rho) > 3.0 / np.sqrt(np.maximum(pairs, 1.0))) & (pairs > 0.25 * count)
    middle = rho.shape[0] // 2, rho.shape[1] // 2
    counted[middle] = True
    rho = np.where(counted, rho, 0.0)
    return rho, (rho[middle[0], middle[1] + 1 :], rho[middle[0] + 1 :, middle[1]])


def _goes_on(along: tuple[Floats, Floats]) -> list[bool]:
    return [bool(one.size and one[-1] > 0) for one in along]


def _by_neighbours(rho: Floats, count: int) -> tuple[float, float]:
    """The sums by the correlation of neighbours along rows and along columns, each its own filter."""
    squares = 1.0
    row, column = rho.shape[0] // 2, rho.shape[1] // 2
    for across in (rho[row : row + 1, column + 1 : column + 2], rho[row + 1 : row + 2, column : column + 1]):
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
    slopes = np.linalg.lstsq(normal, np.array([row @ by_row, values.sum(axis=0) @ column]), rcond=None)[0]
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
