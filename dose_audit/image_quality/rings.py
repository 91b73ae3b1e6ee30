"""Rings in a uniform section: what pixels at one distance from the axis of rotation share, whatever their direction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from dose_audit.image_quality.rois import Position, Spacing, as_floats, as_image, position_pair, spacing_pair

__all__ = ["Rings", "ring_share"]

Floats = NDArray[np.float64]
_SECTORS = 16
_INNERMOST_PX = 4.0  # nearer to the axis the sectors share their noise
_FEWEST_PX = 12  # pixels in each half of a ring
_FEWEST_RINGS = 16
_SURE = 3.0
_REACH_PX = 8  # along the radius, beyond which noise has nothing in common
_SMOOTH_MM = 4.0  # what changes more slowly along the radius is cupping


@dataclass(frozen=True, slots=True)
class Rings:
    """What rings add to an image.

    Parameters
    ----------
    sd : float
        Standard deviation over the area that is the same in all directions, in the unit of the pixels;
        0 where chance explains it.
    sigmas : float
        How many standard deviations of chance the agreement of the two halves is.
    """

    sd: float
    sigmas: float


def ring_share(image: ArrayLike, spacing_mm: Spacing, centre_px: Position, inside: ArrayLike) -> Rings:
    """Rings about an axis, told from noise by their being the same in two halves of the directions.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    centre_px : (row, column)
        Where the axis of rotation lies.
    inside : ndarray of bool, shape of the image
        Pixels of the uniform section.

    Returns
    -------
    Rings
        Zeros where fewer than 16 rings can be seen.

    Notes
    -----
    Sixteen sectors go alternately to two halves. The mean at each distance, less what changes over more than 4 mm, is noise
    in each half by itself but the same in both where there is a ring: its variance is the mean product of the two. Their
    correlation over its spread by chance, ``√(Σ ρ² / n)`` over the lags of their difference, is its significance. Noise of
    any colour leaves the product at zero. Rings wider than some millimetres are cupping here.

    Examples
    --------
    >>> row, column = np.mgrid[:120, :120] - 60.0
    >>> noise = np.random.default_rng(1).normal(0.0, 10.0, (120, 120))
    >>> away = np.hypot(row, column)
    >>> ring_share(noise, 1.0, (60, 60), away < 50).sd
    0.0
    >>> found = ring_share(noise + 10.0 * np.sin(2.0 * away), 1.0, (60, 60), away < 50)
    >>> round(found.sd), found.sigmas > 3
    (6, True)
    """
    array, spacing, centre = as_image(image), spacing_pair(spacing_mm), position_pair(centre_px)
    used = np.asarray(inside, dtype=bool)
    if used.shape != array.shape:
        raise ValueError(f"region {used.shape} and image {array.shape} differ in shape")
    rows, columns = np.nonzero(used)
    values = as_floats(array[rows, columns])
    down, right = (rows - centre[0]) * spacing[0], (columns - centre[1]) * spacing[1]
    sound = np.isfinite(values)
    if sound.sum() < _FEWEST_RINGS * _FEWEST_PX:
        return Rings(0.0, 0.0)
    pixel = math.sqrt(spacing[0] * spacing[1])
    values = values - float(np.median(values[sound]))
    number = np.rint(np.hypot(down, right) / pixel).astype(int)
    half = np.floor((np.arctan2(down, right) / (2 * math.pi) + 0.5) * _SECTORS).astype(int) % 2
    sound &= number >= _INNERMOST_PX
    count = int(number.max()) + 1
    pixels, means = np.zeros((2, count)), np.zeros((2, count))
    for which in (0, 1):
        own = sound & (half == which)
        pixels[which] = np.bincount(number[own], minlength=count)
        means[which] = np.bincount(number[own], values[own], minlength=count) / np.maximum(pixels[which], 1.0)
    seen = pixels.min(axis=0) >= _FEWEST_PX
    if seen.sum() < _FEWEST_RINGS:
        return Rings(0.0, 0.0)
    weight = np.where(seen, pixels, 0.0)
    reach = _SMOOTH_MM / pixel
    level = ndimage.gaussian_filter1d(weight * means, reach, axis=1) / np.maximum(
        ndimage.gaussian_filter1d(weight, reach, axis=1), 1e-9
    )
    first, second = np.where(seen, means - level, 0.0)
    area = weight.sum(axis=0)
    variance = float((area * first * second).sum() / area.sum())
    # Noise of a mean falls with the root of its pixels: so weighted, all distances say as much.
    one, two = first * np.sqrt(weight[0]), second * np.sqrt(weight[1])
    # What the halves do not share is noise, and tells how far along the radius that reaches.
    apart = one - two
    middle = apart.size - 1
    own = np.correlate(apart, apart, "full")[middle - _REACH_PX : middle + _REACH_PX + 1] / max(
        float(apart @ apart), 1e-300
    )
    chance = math.sqrt(max(float(own @ own), 1.0) / int(seen.sum()))
    agreement = float(one @ two) / max(math.sqrt(float(one @ one) * float(two @ two)), 1e-300)
    sigmas = agreement / chance
    return Rings(math.sqrt(variance) if variance > 0 and sigmas > _SURE else 0.0, sigmas)
