"""Discs as weights, with the pixels on their rim counted in part, and the map of an image's means over them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["correlate", "disc_kernel"]

Floats = NDArray[np.float64]
_MOST_SAMPLES = 3000  # a side of a disc
_FINE = 9  # sub-pixels a side; the area is right to 0.1 % for the discs used here


def disc_kernel(
    radius_mm: float, spacing_mm: tuple[float, float], *, shift_px: tuple[float, float] = (0.0, 0.0)
) -> Floats:
    """Share of each pixel's area that lies in a disc; odd number of rows and columns, centred but for `shift_px`.

    Examples
    --------
    >>> kernel = disc_kernel(5.642, (1.0, 1.0))
    >>> kernel.shape, round(float(kernel.sum()))
    ((13, 13), 100)
    """
    sides = [math.floor(radius_mm / step + 0.5 + abs(move)) for step, move in zip(spacing_mm, shift_px, strict=True)]
    # A large disc's area is right without so many samples in each pixel.
    count = min(_FINE, max(1, _MOST_SAMPLES // (2 * max(sides) + 1)))
    fine = (np.arange(count) + 0.5) / count - 0.5
    down, right = (
        ((np.arange(-side, side + 1)[:, None] + fine[None, :]).ravel() - move) * step
        for side, step, move in zip(sides, spacing_mm, shift_px, strict=True)
    )
    inside = down[:, None] ** 2 + right[None, :] ** 2 <= radius_mm**2
    shape = (2 * sides[0] + 1, count, 2 * sides[1] + 1, count)
    return np.asarray(inside.reshape(shape).mean(axis=(1, 3)), dtype=float)


def correlate(images: Floats, kernel: Floats) -> Floats:
    """Sum of ``image · kernel`` with the kernel centred on every pixel; zero beyond the border.

    Parameters
    ----------
    images : ndarray, shape (..., rows, columns)
    kernel : ndarray, shape (odd, odd)

    Returns
    -------
    ndarray, shape of `images`
    """
    rows, columns = images.shape[-2:]
    shape = tuple(fft.next_fast_len(a + b - 1, real=True) for a, b in zip((rows, columns), kernel.shape, strict=True))
    spectrum = fft.rfft2(images, shape) * fft.rfft2(kernel[::-1, ::-1], shape)
    full = fft.irfft2(spectrum, shape)
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    return np.asarray(full[..., top : top + rows, left : left + columns], dtype=float)
