"""All discs of a low-contrast set and the background between them in one least-squares fit: no disc is taken for background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage, special

from dose_audit.image_quality.detections import Detection, LowContrast, counted, discoveries, unjudged
from dose_audit.image_quality.kernels import disc_kernel
from dose_audit.image_quality.rois import Position, Spacing, as_image, position_pair, spacing_pair
from dose_audit.measured import Measured

__all__ = ["DiscFit", "fit_discs", "low_contrast_fitted", "plane_shapes", "ring_shapes"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_METHOD = "least-squares contrast of all discs with the background between them; normal p by the measured noise"
_REACH = 24  # pixels over which noise is taken to be correlated
_FEWEST = 30.0  # pixels of background for each unknown of it


@dataclass(frozen=True, slots=True)
class DiscFit:
    """Contrasts of discs fitted together.

    Parameters
    ----------
    contrasts, uncertainties : ndarray, shape (discs,)
        In the unit of the image; standard uncertainties by the residual's own covariance.
    background : ndarray, shape of the image
        The fitted background; 0 outside the region.
    noise_sd : float
        Standard deviation of the residual.
    criterion : float
        ``n ln(RSS/n) + k ln n`` of ``n`` pixels and ``k`` unknowns: the lower of two backgrounds explains the image better.
    """

    contrasts: Floats
    uncertainties: Floats
    background: Floats
    noise_sd: float
    criterion: float


def plane_shapes(shape: tuple[int, int], order: int = 4) -> list[Floats]:
    """Products of Legendre polynomials of row and column up to `order`: the smooth background of a field.

    Examples
    --------
    >>> len(plane_shapes((20, 30), 2))
    6
    """
    row, column = (np.linspace(-1.0, 1.0, size) for size in shape)
    down, right = (np.polynomial.legendre.legvander(at, order) for at in (row, column))
    return [np.outer(down[:, i], right[:, j]) for i in range(order + 1) for j in range(order + 1 - i)]


def ring_shapes(shape: tuple[int, int], centre_px: Position, radius_mm: float, spacing_mm: Spacing) -> list[Floats]:
    """Rings of one pixel's width about a centre, up to a radius: what a round wall leaves by truncation.

    Examples
    --------
    >>> len(ring_shapes((20, 20), (9.5, 9.5), 8.0, 1.0))
    8
    """
    spacing, centre = spacing_pair(spacing_mm), position_pair(centre_px)
    down = (np.arange(shape[0]) - centre[0])[:, None] * spacing[0]
    right = (np.arange(shape[1]) - centre[1])[None, :] * spacing[1]
    number = np.floor(np.hypot(down, right) / max(spacing)).astype(int)
    return [(number == ring).astype(float) for ring in range(math.ceil(radius_mm / max(spacing)))]


def fit_discs(
    image: ArrayLike,
    spacing_mm: Spacing,
    centres_px: Sequence[Position],
    diameters_mm: Sequence[float],
    *,
    region: ArrayLike,
    shapes: Sequence[ArrayLike],
    blur_mm: float = 0.0,
    white: bool = False,
) -> DiscFit | str:
    """Contrast of every disc over a background made of given shapes.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    centres_px : sequence of (row, column)
    diameters_mm : sequence of float
    region : ndarray of bool, shape of the image
        Pixels that the fit takes, the discs' own among them.
    shapes : sequence of ndarray, shape of the image
        Fields whose sum is the background, as of `plane_shapes` and `ring_shapes`.
    blur_mm : float
        Standard deviation of the image's blur.
    white : bool
        Take the noise as white: quicker, and enough where only the background or the criterion is asked for.

    Returns
    -------
    DiscFit or str
        The reason where the region cannot tell the discs' contrasts from the background.

    Notes
    -----
    ``image = Σ a_i disc_i + Σ b_k shape_k + noise`` by least squares, which in white noise is the matched filter of an
    observer who knows where the discs are and must learn the background from the same image. With ``w_i`` the weights whose
    sum over the image is ``a_i``, its variance is ``Σ_lag C(lag) Σ_x w_i(x) w_i(x + lag)``; ``C`` is the residual's
    autocovariance at the lags that stand above its own noise, or at all lags up to 24 pixels where those together give
    something significantly different (structure that no single lag shows).
    """
    array, spacing = as_image(image), spacing_pair(spacing_mm)
    inside = np.asarray(region, dtype=bool)
    if inside.shape != array.shape:
        raise ValueError(f"region {inside.shape} and image {array.shape} differ in shape")
    places, sizes = [position_pair(place) for place in centres_px], [float(size) for size in diameters_mm]
    if len(places) != len(sizes) or not places or min(sizes) <= 0:
        raise ValueError("one positive diameter for each of at least one place")
    inside = inside & np.isfinite(array)
    values = np.asarray(array[inside], dtype=float)
    ground = np.column_stack([np.asarray(one, dtype=float)[inside] for one in shapes])
    ground = ground[:, np.any(ground != 0, axis=0)]
    if values.size < _FEWEST * len(places) + 2 * ground.shape[1] or ground.shape[1] == 0:
        return f"{values.size} pixels are too few for {len(places)} discs and their background"
    # Values of any unit and size: scaled, so that squares neither overflow nor vanish.
    middle = float(np.median(values))
    scale = float(np.max(np.abs(values - middle)))
    if not (scale > 1e-9 * abs(middle) and scale > 0 and math.isfinite(scale)):
        return "the image is flat: there is no noise to judge by"
    values = (values - middle) / scale
    left = _orthonormal(ground)
    discs = np.column_stack(
        [
            _disc_image(array.shape, place, size, spacing, blur_mm)[inside]
            for place, size in zip(places, sizes, strict=True)
        ]
    )
    alone = discs - left @ (left.T @ discs)
    # A disc that the background explains, or that lies outside the region, has no contrast of its own.
    if np.any((alone**2).sum(axis=0) < 0.2 * np.array([_energy(size, spacing, blur_mm) for size in sizes])):
        return "a disc does not lie within the region, or cannot be told from the background"
    products = alone.T @ alone
    if np.linalg.cond(products) > 1e8:
        return "discs lie on each other"
    weights = np.linalg.solve(products, alone.T)
    contrasts = weights @ values
    ground_part = values - discs @ contrasts
    background = left @ (left.T @ ground_part)
    residual = ground_part - background
    freedom = values.size - left.shape[1] - len(places)
    noise_sd = math.sqrt(float(residual @ residual) / freedom)
    uncertainties = noise_sd * np.sqrt((weights**2).sum(axis=1))
    if not white:
        uncertainties = _spreads(weights, residual, inside, freedom, sizes, spacing)
    if not noise_sd > 0:
        return "the image is flat: there is no noise to judge by"
    whole = np.zeros(array.shape)
    whole[inside] = background * scale + middle
    squares, unknowns = float(residual @ residual), values.size - freedom
    criterion = values.size * math.log(squares / values.size) + unknowns * math.log(values.size)
    return DiscFit(contrasts * scale, uncertainties * scale, whole, noise_sd * scale, criterion)


def low_contrast_fitted(
    image: ArrayLike,
    spacing_mm: Spacing,
    centres_px: Sequence[Position],
    diameters_mm: Sequence[float],
    *,
    region: ArrayLike,
    shapes: Sequence[ArrayLike],
    polarity: int = 1,
    groups: Sequence[Sequence[int]] | None = None,
    consecutive: bool = False,
    significance: float = 0.001,
    blur_mm: float = 0.0,
    unit: str = "HU",
) -> LowContrast:
    """Which discs of a crowded set stand out of the noise, all fitted together with the background.

    For sets whose discs leave little background between them; where there is room about each disc, or an image without
    discs beside it, `low_contrast_visible` asks less of the background.

    Parameters
    ----------
    image, spacing_mm, centres_px, diameters_mm, region, shapes, blur_mm
        As for `fit_discs`.
    polarity : {-1, 1}
        Darker or brighter than the background.
    groups : sequence of sequence of int, optional
        Indices of discs that count together; each disc by itself by default.
    consecutive : bool
        Stop counting at the first group that is not visible, as for ACR spokes.
    significance : float
        Level of each disc in a sequence that stops at its first gap, where no further correction is due (a fixed sequence
        of tests keeps the level for all of them); false discovery rate otherwise.
    unit : str
        Unit of the pixels.

    Returns
    -------
    LowContrast

    Notes
    -----
    Ten spokes of three discs in a ring, 30 draws of noise: 0.1 to 0.4 spokes fewer than an observer who knows the background,
    too. In noise that falls off at low frequencies faint large discs cost more, about 1.5 spokes: what tells them from the
    background is what the background takes.

    References
    ----------
    Westfall P H, Krishen A. Optimally weighted, fixed sequence and gatekeeper multiple testing procedures. J Stat Plan
    Inference 2001; 99: 25-40.

    Examples
    --------
    >>> row, column = np.mgrid[:100, :100]
    >>> image = np.random.default_rng(1).normal(0.0, 1.0, (100, 100)) + 0.01 * row
    >>> image += 2.0 * (np.hypot(row - 30, column - 30) < 5)
    >>> found = low_contrast_fitted(image, 1.0, [(30, 30), (70, 70)], [10.0, 10.0], region=np.ones((100, 100), bool),
    ...                             shapes=plane_shapes((100, 100), 2))
    >>> found.count.value
    1.0
    """
    if polarity not in (-1, 1):
        raise ValueError("polarity is -1 or 1")
    fitted = fit_discs(image, spacing_mm, centres_px, diameters_mm, region=region, shapes=shapes, blur_mm=blur_mm)
    if isinstance(fitted, str):
        return unjudged(len(list(centres_px)), fitted, unit=unit, method=_METHOD)
    scores = polarity * fitted.contrasts / fitted.uncertainties
    chances = special.ndtr(-scores)
    passed = chances <= significance if consecutive else discoveries(chances, significance)
    threshold = -float(special.ndtri(significance if consecutive or not passed.any() else chances[passed].max()))
    detections = [
        Detection(
            Measured("disc_contrast", float(value), unit, float(spread), method=_METHOD, details={"diameter_mm": size}),
            float(score),
            float(chance),
            bool(seen),
        )
        for value, spread, size, score, chance, seen in zip(
            fitted.contrasts, fitted.uncertainties, map(float, diameters_mm), scores, chances, passed, strict=True
        )
    ]
    return counted(detections, min(threshold, 7.0), groups=groups, consecutive=consecutive, method=_METHOD)


def _orthonormal(columns: Floats) -> Floats:
    """Orthonormal columns of the same span; what all but depends on the others is left out."""
    columns = columns / np.linalg.norm(columns, axis=0)
    strength, mixed = np.linalg.eigh(columns.T @ columns)
    kept = strength > 1e-9 * strength[-1]
    return np.asarray(columns @ (mixed[:, kept] / np.sqrt(strength[kept])))


def _disc_image(
    shape: tuple[int, ...], place: tuple[float, float], size: float, spacing: tuple[float, float], blur_mm: float
) -> Floats:
    """A disc of height one as it appears, blurred."""
    whole = np.zeros(shape)
    if not all(-2.0 * size / step <= at <= extent + 2.0 * size / step
               for at, step, extent in zip(place, spacing, shape, strict=True)):  # fmt: skip
        return whole
    centre = (round(place[0]), round(place[1]))
    disc = _blurred(size, spacing, blur_mm, (place[0] - centre[0], place[1] - centre[1]))
    top, left = centre[0] - disc.shape[0] // 2, centre[1] - disc.shape[1] // 2
    rows = slice(max(top, 0), max(min(top + disc.shape[0], shape[0]), 0))
    columns = slice(max(left, 0), max(min(left + disc.shape[1], shape[1]), 0))
    if rows.start < rows.stop and columns.start < columns.stop:
        whole[rows, columns] = disc[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return whole


def _blurred(size: float, spacing: tuple[float, float], blur_mm: float, shift_px: tuple[float, float]) -> Floats:
    disc = disc_kernel(0.5 * size, spacing, shift_px=shift_px)
    if blur_mm <= 0:
        return disc
    disc = np.pad(disc, [(math.ceil(4 * blur_mm / step) + 1,) * 2 for step in spacing])
    return np.asarray(ndimage.gaussian_filter(disc, [blur_mm / step for step in spacing]))


@lru_cache(maxsize=512)
def _energy(size: float, spacing: tuple[float, float], blur_mm: float) -> float:
    return float((_blurred(size, spacing, blur_mm, (0.0, 0.0)) ** 2).sum())


def _spreads(
    weights: Floats, residual: Floats, inside: Mask, freedom: int, sizes: Sequence[float], spacing: tuple[float, float]
) -> Floats:
    """Standard deviation of each contrast by the residual's covariance."""
    padded = tuple(fft.next_fast_len(extent + _REACH, real=True) for extent in inside.shape)
    lags = np.arange(-_REACH, _REACH + 1)
    at = np.ix_(lags, lags)

    def own_products(values: Floats) -> Floats:
        field = np.zeros(inside.shape)
        field[inside] = values
        return np.asarray(fft.irfft2(np.abs(fft.rfft2(field, padded)) ** 2, padded)[at])

    pairs = np.maximum(own_products(np.ones(residual.size)), 1.0)
    covariance = own_products(residual) / pairs * residual.size / freedom
    variance = float(covariance[_REACH, _REACH])
    if not variance > 0:
        return np.zeros(len(sizes))
    near = np.where(np.abs(covariance) > 4.0 * variance / np.sqrt(pairs), covariance, 0.0)
    short, full = np.empty(len(sizes)), np.empty(len(sizes))
    for index, weight in enumerate(weights):
        products = own_products(weight)
        short[index] = max(float((products * near).sum()), 0.05 * variance * float(products[_REACH, _REACH]))
        full[index] = float((products * covariance).sum())
    for size in set(sizes):
        same = np.array([own == size for own in sizes])
        ratio = float(np.mean(full[same] / short[same]))
        independent = residual.size * spacing[0] * spacing[1] / (1.5 * math.pi * (0.5 * size) ** 2)
        # Faint but long correlation, of structure or of a spectrum that falls to nothing at low frequencies.
        if abs(ratio - 1.0) > 3.0 * math.sqrt(2.0 / max(independent, 1.0)):
            short[same] *= max(ratio, 0.3)
    return np.sqrt(short)
