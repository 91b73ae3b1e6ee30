"""Test phantoms of one material: what sticks out of their ellipse is no part of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry._morphology import Mask, dilate, erode

__all__ = ["is_homogeneous", "within_ellipse"]

_BELOW_HU, _ABOVE_HU = 125.0, 150.0  # fat and muscle differ by about as much; plastic walls stand less above water
_OTHER_SHARE = 0.005
_HOLDER_PIXELS = 15
_ELLIPSE_ROUNDS = 8
_ELLIPSE_PIXELS = 0.9
_ELLIPSE_SHARE = 0.4


def is_homogeneous(mask: Mask, image_hu: NDArray[np.floating]) -> bool:
    """Whether it holds one material, as a water phantom does and no patient's cross-section, which has bone, fat or gas."""
    numbers = image_hu[::2, ::2][erode(mask[::2, ::2], 2)]  # a quarter of the pixels tells as much
    if len(numbers) < 100:
        return False
    middle = np.median(numbers[:: len(numbers) // 100])
    return float(((numbers < middle - _BELOW_HU) | (numbers > middle + _ABOVE_HU)).mean()) < _OTHER_SHARE


def within_ellipse(mask: Mask, other: Mask, inside: Mask) -> Mask:
    """Without the holder that hugs a round phantom; the mask itself for all that is no ellipse, as patients are not."""
    contour = mask & ~erode(np.pad(mask, 1), 1)[1:-1, 1:-1] & erode(np.pad(inside, 1), 2)[1:-1, 1:-1]
    y, x = (axis.astype(float) for axis in np.nonzero(contour & ~dilate(other, 3)))
    if len(x) < 40:
        return mask
    middle_y, middle_x, scale = y.mean(), x.mean(), max(float(np.ptp(y)), float(np.ptp(x)), 1.0) / 2
    every = _conic_terms((x - middle_x) / scale, (y - middle_y) / scale)
    free = y < middle_y
    for _ in range(_ELLIPSE_ROUNDS):
        conic = np.linalg.lstsq(every[0][free], every[1][free], rcond=None)[0]
        distance = _distance(conic, every, (x - middle_x) / scale, (y - middle_y) / scale) * scale
        before, free = free, np.abs(distance) < _ELLIPSE_PIXELS
        if np.count_nonzero(free) < 40:
            return mask
        if (free == before).all():
            break
    if np.count_nonzero(free) < _ELLIPSE_SHARE * len(x) or float(np.std(distance[free])) > 0.5:
        return mask
    if free.all() and not (dilate(mask, 1) & other).any():
        return mask
    rows, columns = np.nonzero(mask)
    u, v = (columns - middle_x) / scale, (rows - middle_y) / scale
    trimmed = mask.copy()
    trimmed[rows, columns] = _distance(conic, _conic_terms(u, v), u, v) * scale <= 0.5
    return trimmed


def _conic_terms(x: NDArray[np.floating], y: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Terms of ``a (x² - y²) + b x y + c x + d y + e = x² + y²``, an ellipse that is not far from round."""
    return np.stack([x**2 - y**2, x * y, x, y, np.ones_like(x)], axis=-1), x**2 + y**2


def _distance(
    conic: NDArray[np.floating],
    terms: tuple[NDArray[np.floating], NDArray[np.floating]],
    x: NDArray[np.floating],
    y: NDArray[np.floating],
) -> NDArray[np.floating]:
    """Distance from the ellipse, positive outside, to first order."""
    a, b, c, d, _ = conic
    value = terms[1] - terms[0] @ conic
    slope_x, slope_y = 2 * x - 2 * a * x - b * y - c, 2 * y + 2 * a * y - b * x - d
    return value / np.maximum(np.hypot(slope_x, slope_y), 1e-6)
