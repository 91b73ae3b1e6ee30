"""Uniformity of MR signal: percent integral uniformity (ACR, NEMA MS 3) and the fraction of a profile near its mean (IPEM)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dose_audit.image_quality.kernels import correlate, disc_kernel
from dose_audit.image_quality.rois import (
    Position,
    Spacing,
    as_floats,
    as_image,
    disc_mask,
    position_pair,
    rectangle_statistics,
    spacing_pair,
)
from dose_audit.image_quality.sampling import strip_profile
from dose_audit.measured import Measured, not_measurable

__all__ = ["fractional_uniformity", "percent_integral_uniformity"]

Floats = NDArray[np.float64]
_PIU = "100 (1 - (max - min)/(max + min)) of 1 cm² means, the noise's share removed"
_FIELDS = 6
_ORDER = 6  # of the smoothest surface that follows a coil's shading


def percent_integral_uniformity(
    image: ArrayLike,
    spacing_mm: Spacing,
    centre_px: Position,
    *,
    area_cm2: float = 200.0,
    kernel_cm2: float = 1.0,
    correct_noise: bool = True,
) -> Measured:
    """Percent integral uniformity over a large disc, from means over small ones.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    centre_px : (row, column)
        Centre of the large disc: that of the phantom, for ACR 5 mm lower.
    area_cm2, kernel_cm2 : float
        Areas of the large disc (ACR: 195-205 cm²) and of the small ones.
    correct_noise : bool
        Remove what noise adds to the spread between the extremes; without it the value is the bare definition.

    Returns
    -------
    Measured
        ``piu`` in per cent; in the details the bare value, the noise's share, the extremes and where they lie. ``suspect``
        when noise moves it by more than 3 %.

    Notes
    -----
    ``PIU = 100 (1 - (H - L)/(H + L))`` with the highest and the lowest mean over all 1 cm² discs that lie wholly in the large
    one. Rim pixels count with their share, so that the disc has its area at any pixel size. The greatest of many noisy means
    lies too high, the least too low: noise of the image's own power, six fields and their negatives, is put onto the means of
    a smooth surface, at every sixth of the small disc's diameter, and the mean shift that it makes is taken off; its spread
    is the uncertainty. The surface is a polynomial of the order (to 6) that the pixels ask for by the Bayesian information
    criterion.

    References
    ----------
    ACR. Phantom test guidance for use of the large MRI phantom: image intensity uniformity.
    NEMA MS 3. Determination of image uniformity in diagnostic magnetic resonance images.

    Examples
    --------
    >>> column = np.arange(200.0)[None, :] * np.ones((200, 1))
    >>> result = percent_integral_uniformity(1000 + 2.0 * (column - 100), 1.0, (100, 100))
    >>> round(result.value, 1)
    85.2
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    row, column = position_pair(centre_px)
    if not 0 < kernel_cm2 < area_cm2:
        raise ValueError("the small area is positive and smaller than the large one")
    large, small = (math.sqrt(100 * area / math.pi) for area in (area_cm2, kernel_cm2))
    spans = []
    for at, step, size in zip((row, column), spacing, array.shape, strict=True):
        low, high = math.floor(at - large / step), math.ceil(at + large / step) + 1
        if low < 0 or high > size:
            return not_measurable("piu", "%", "the region leaves the image", method=_PIU)
        spans.append(slice(low, high))
    part = as_floats(array[spans[0], spans[1]])
    centre = (row - spans[0].start, column - spans[1].start)
    inside = disc_mask(part.shape, centre, large, spacing)
    if not np.all(np.isfinite(part[inside])):
        return not_measurable("piu", "%", "the region holds pixels that are not numbers", method=_PIU)
    part = np.where(np.isfinite(part), part, 0.0)
    kernel = disc_kernel(small, spacing)
    kernel /= kernel.sum()
    allowed = disc_mask(part.shape, centre, large - small, spacing)
    if not allowed.any():
        return not_measurable("piu", "%", "the pixels are too large for the small discs", method=_PIU)
    means = correlate(part, kernel)
    value, highest, lowest = _piu(means[allowed])
    if value is None:
        return not_measurable("piu", "%", "there is no signal in the region", method=_PIU)
    share, spread = 0.0, 0.0
    if correct_noise:
        share, spread = _noise_share(part, means, kernel, inside, allowed)
    where_high = np.argwhere(allowed & (means >= highest))[0] + [spans[0].start, spans[1].start]
    where_low = np.argwhere(allowed & (means <= lowest))[0] + [spans[0].start, spans[1].start]
    result = Measured(
        "piu",
        min(value - share, 100.0),
        "%",
        spread if correct_noise else None,
        method=_PIU if correct_noise else _PIU.split(",")[0],
        details={
            "uncorrected": value,
            "noise_share": share,
            "highest": highest,
            "lowest": lowest,
            "highest_at_px": [int(v) for v in where_high],
            "lowest_at_px": [int(v) for v in where_low],
        },
    )
    if lowest < 0:
        return result.doubt("the lowest mean is negative: this is not a magnitude image")
    if abs(share) > 3.0:
        return result.doubt(f"noise moves the uniformity by {abs(share):.1f} %")
    return result


def fractional_uniformity(
    image: ArrayLike,
    spacing_mm: Spacing,
    centre_px: Position,
    *,
    length_mm: float = 160.0,
    width_mm: float = 10.0,
    tolerance: float = 0.1,
    angle_deg: float = 0.0,
    reference_mm: float = 10.0,
) -> Measured:
    """Fraction of a central profile within ±10 % of the central signal.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    centre_px : (row, column)
    length_mm, width_mm : float
        Of the profile: the central 160 mm, the mean over 10 mm across.
    tolerance : float
        Relative width of the band.
    angle_deg : float
        0 for the horizontal, 90 for the vertical profile.
    reference_mm : float
        Side of the central square whose mean is the reference.

    Returns
    -------
    Measured
        ``fractional_uniformity``, 0 to 1.

    Notes
    -----
    A sample counts by how likely it lies in the band, given the noise of its mean: at the ends of the band the fraction then
    changes smoothly, and noise neither adds nor takes.

    References
    ----------
    McRobbie D, Semple S, eds. Quality control and artefacts in magnetic resonance imaging (IPEM report 112), 2017.

    Examples
    --------
    >>> column = np.arange(200.0)[None, :] * np.ones((200, 1))
    >>> bump = 1000 * (1 - ((column - 100) / 160.0) ** 2)
    >>> round(fractional_uniformity(bump, 1.0, (100, 100)).value, 2)
    0.63
    """
    method = f"fraction of the central {length_mm:g} mm within {100 * tolerance:g} % of the central mean"
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    row, column = position_pair(centre_px)
    if length_mm <= 0 or not 0 < tolerance < 1 or reference_mm <= 0:
        raise ValueError("length and reference are positive, the tolerance lies between 0 and 1")
    turn = math.radians(angle_deg)
    reach = (abs(math.sin(turn)) * 0.5 * length_mm / spacing[0], abs(math.cos(turn)) * 0.5 * length_mm / spacing[1])
    if any(
        at - far < 0 or at + far > size - 1 for at, far, size in zip((row, column), reach, array.shape, strict=True)
    ):
        return not_measurable("fractional_uniformity", "1", "the profile leaves the image", method=method)
    centre = rectangle_statistics(array, (row, column), (reference_mm, reference_mm), spacing)
    if centre.mean is None or centre.mean <= 0:
        return not_measurable("fractional_uniformity", "1", "there is no signal in the centre", method=method)
    step = min(spacing)
    _, profile = strip_profile(array, (row, column), length_mm, width_mm, spacing, angle_deg=angle_deg, step_mm=step)
    noise = float(np.std(np.diff(profile, 2), ddof=1)) / math.sqrt(6.0) if profile.size > 4 else 0.0
    low, high = (1 - tolerance) * centre.mean, (1 + tolerance) * centre.mean
    if noise > 0:
        share = special.ndtr((high - profile) / noise) - special.ndtr((low - profile) / noise)
    else:
        share = ((profile >= low) & (profile <= high)).astype(float)
    value = float(share.mean())
    # The band moves with the reference: that is the greater part of the uncertainty on a slow profile.
    moved = (centre.mean_uncertainty or 0.0) / centre.mean
    other = float(((profile >= low * (1 + moved)) & (profile <= high * (1 + moved))).mean())
    spread = math.hypot(math.sqrt(float((share * (1 - share)).sum())) / share.size, other - value, 0.5 / share.size)
    return Measured(
        "fractional_uniformity", value, "1", spread, method=method, details={"reference": centre.mean, "noise": noise}
    )


def _piu(means: Floats) -> tuple[float | None, float, float]:
    high, low = float(means.max()), float(means.min())
    if high + low <= 0 or high <= 0:
        return None, high, low
    return 100.0 * (1.0 - (high - low) / (high + low)), high, low


def _noise_share(
    part: Floats, means: Floats, kernel: Floats, inside: NDArray[np.bool_], allowed: NDArray[np.bool_]
) -> tuple[float, float]:
    """Mean and standard deviation of what noise does to the uniformity."""
    # A mean over a disc hardly changes within a sixth of its diameter: every so many pixels show the extremes.
    every = [max(1, side // 6) for side in kernel.shape]
    coarse = (slice(None, None, every[0]), slice(None, None, every[1]))
    chosen = allowed[coarse]
    surface = correlate(_smooth_surface(part, inside, [max(1, side // 3) for side in kernel.shape]), kernel)
    smooth = surface[coarse]
    # Second differences along rows see the noise and hardly the signal.
    lines = part[::2]
    second = lines[:, 2:] - 2 * lines[:, 1:-1] + lines[:, :-2]
    seen = inside[::2, 2:] & inside[::2, :-2]
    noise = 1.4826 * float(np.median(np.abs(second[seen]))) / math.sqrt(6.0) if seen.any() else 0.0
    residual = (means[coarse] - smooth)[chosen]
    # What the surface leaves of the 1 cm² means bounds the noise that is correlated and escapes the differences.
    white = noise * math.sqrt(float((kernel**2).sum()))
    if white <= 0 or float(residual.std()) < 0.3 * white:
        return 0.0, 0.0
    true, _, _ = _piu(smooth[chosen])
    if true is None:
        return 0.0, 0.0
    sampled, _, _ = _piu(means[coarse][chosen])
    whole, _, _ = _piu(surface[allowed])
    measured, _, _ = _piu(means[allowed])
    if sampled is None or whole is None or measured is None:
        return 0.0, 0.0
    fields = noise * _means_of_noise(kernel, every, chosen.shape)[:, chosen]
    shifts = [
        value - true
        for value, _, _ in (_piu(smooth[chosen] + field) for field in (*fields, *-fields))
        if value is not None
    ]
    if len(shifts) < 2:
        return 0.0, 0.0
    # Between the sampled places the noise reaches a little further yet: that is taken from the image itself.
    share = float(np.mean(shifts)) + (measured - sampled) - (whole - true)
    return share, math.hypot(float(np.std(shifts, ddof=1)), 0.05 * share)


def _means_of_noise(kernel: Floats, every: list[int], shape: tuple[int, ...]) -> Floats:
    """Means of white noise of unit variance over small discs that lie `every` so many pixels apart.

    Blocks of pixels between the places are drawn as one: their noise is white as well, and the disc on them has the same
    sum of squares as the disc on pixels.
    """
    rows, columns = (-(-side // step) | 1 for side, step in zip(kernel.shape, every, strict=True))
    padded = np.zeros((rows * every[0], columns * every[1]))
    top, left = ((whole - side) // 2 for whole, side in zip(padded.shape, kernel.shape, strict=True))
    padded[top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel
    blocks = padded.reshape(rows, every[0], columns, every[1]).sum(axis=(1, 3))
    blocks *= math.sqrt(float((kernel**2).sum()) / float((blocks**2).sum()))
    reach = (rows // 2, columns // 2)
    size = (shape[0] + 2 * reach[0], shape[1] + 2 * reach[1])
    drawn = np.random.default_rng(112).standard_normal((_FIELDS, *size))
    return correlate(drawn, blocks)[:, reach[0] : reach[0] + shape[0], reach[1] : reach[1] + shape[1]]


def _smooth_surface(part: Floats, inside: NDArray[np.bool_], every: list[int]) -> Floats:
    """Polynomial surface through the pixels, of the order that they ask for: the signal without the noise.

    A surface of too high an order follows the noise: its own extremes then lie further apart than the signal's, and noise on
    top of it seems to do less than it does.
    """
    rows, columns = ((side // step) * step for side, step in zip(part.shape, every, strict=True))
    shape = (rows // every[0], every[0], columns // every[1], every[1])
    whole = inside[:rows, :columns].reshape(shape).all(axis=(1, 3))
    blocks = part[:rows, :columns].reshape(shape).mean(axis=(1, 3))[whole]
    # Places of blocks and of pixels, both from -1 to 1 over the part.
    places = [2.0 * np.arange(side) / (side - 1) - 1.0 for side in part.shape]
    pairs = sorted(((i, j) for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i)), key=sum)
    first, second = (np.array(order) for order in zip(*pairs, strict=True))
    left, right = (np.polynomial.chebyshev.chebvander(place, _ORDER) for place in places)
    in_rows = left[:rows].reshape(-1, every[0], _ORDER + 1).mean(axis=1)
    in_columns = right[:columns].reshape(-1, every[1], _ORDER + 1).mean(axis=1)
    at = np.nonzero(whole)
    design = in_rows[at[0]][:, first] * in_columns[at[1]][:, second]
    if blocks.size <= len(pairs):
        return np.full(part.shape, float(blocks.mean()) if blocks.size else float(part[inside].mean()))
    basis, triangle = np.linalg.qr(design)
    middle = float(blocks.mean())
    along = basis.T @ (blocks - middle)
    # The columns stand by order: each order is the first so many of them.
    counts = [(order + 1) * (order + 2) // 2 for order in range(_ORDER + 1)]
    total = float(((blocks - middle) ** 2).sum())
    rests = np.maximum(
        total - np.array([float((along[:count] ** 2).sum()) for count in counts]), 1e-18 * max(total, 1e-300)
    )
    terms = counts[int(np.argmin(blocks.size * np.log(rests) + np.array(counts) * math.log(blocks.size)))]
    weights = np.zeros((_ORDER + 1, _ORDER + 1))
    weights[first[:terms], second[:terms]] = np.linalg.solve(triangle[:terms, :terms], along[:terms])
    weights[0, 0] += middle
    return np.asarray(left @ weights @ right.T)
