"""All discs of a low-contrast set and the background between them in one least-squares fit: no disc is taken for background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, special

from dose_audit.image_quality.detections import Detection, LowContrast, counted, passed_levels, unjudged
from dose_audit.image_quality.kernels import disc_kernel
from dose_audit.image_quality.residual_noise import ResidualNoise
from dose_audit.image_quality.rois import Position, Spacing, as_floats, as_image, position_pair, spacing_pair
from dose_audit.measured import Measured

__all__ = ["DiscFit", "background_criteria", "fit_discs", "low_contrast_fitted", "plane_shapes", "ring_shapes"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_METHOD = (
    "prewhitened least-squares contrast of all discs with the background between them; normal p by the measured noise"
)
_FEWEST = 30.0  # pixels of background for each unknown of it
_DEPENDENT = 1e-9  # of the strongest direction of the shapes: weaker ones depend on the others


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
    observer who knows where the discs are and must learn the background from the same image. The noise power that its residual
    shows (`ResidualNoise`) then weights the frequencies of a second fit, ``(XᵀMX)⁻¹XᵀM`` with ``M`` the inverse of that power:
    prewhitening, without which coloured noise costs faint discs an object or two. Contrasts are unbiased whatever ``M``; their
    variance is that of their weights in noise of the same power.
    """
    array, spacing = as_image(image), spacing_pair(spacing_mm)
    inside = np.asarray(region, dtype=bool)
    if inside.shape != array.shape:
        raise ValueError(f"region {inside.shape} and image {array.shape} differ in shape")
    places, sizes = [position_pair(place) for place in centres_px], [float(size) for size in diameters_mm]
    if len(places) != len(sizes) or not places or min(sizes) <= 0:
        raise ValueError("one positive diameter for each of at least one place")
    if any(max(sizes) > extent * step for extent, step in zip(array.shape, spacing, strict=True)):
        return "a disc is larger than the image"
    pixels = as_floats(array)
    inside = inside & np.isfinite(pixels)
    values = pixels[inside]
    # Columns lie in memory one after the other (`.T` of rows): each is made, and transformed, by itself.
    ground = np.array([np.asarray(one, dtype=float)[inside] for one in shapes]).T
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
    discs = np.array(
        [
            _disc_image(array.shape, place, size, spacing, blur_mm)[inside]
            for place, size in zip(places, sizes, strict=True)
        ]
    ).T
    alone = (discs.T - (discs.T @ left) @ left.T).T
    # A disc that the background explains, or that lies outside the region, has no contrast of its own.
    if np.any((alone**2).sum(axis=0) < 0.2 * np.array([_energy(size, spacing, blur_mm) for size in sizes])):
        return "a disc does not lie within the region, or cannot be told from the background"
    products = alone.T @ alone
    if np.linalg.cond(products) > 1e8:
        return "discs lie on each other"
    weights: Floats = np.asarray(np.linalg.solve(products, np.eye(len(places))) @ alone.T, dtype=np.float64)
    contrasts = weights @ values
    ground_part = values - discs @ contrasts
    background = left @ (left.T @ ground_part)
    residual = ground_part - background
    freedom = values.size - left.shape[1] - len(places)
    noise_sd = math.sqrt(float(residual @ residual) / freedom)
    if not noise_sd > 0:
        return "the image is flat: there is no noise to judge by"
    uncertainties = noise_sd * np.sqrt((weights**2).sum(axis=1))
    if not white:
        noise = ResidualNoise(residual, np.vstack([left.T, _orthonormal(alone).T]).T, inside, spacing)
        both = np.vstack([discs.T, left.T]).T
        whitened = noise.whitened(both)
        # Only the discs' rows of the solution: those of the symmetric matrix's inverse, times the whitened columns.
        rows = np.linalg.solve(both.T @ whitened, np.eye(both.shape[1], len(places))).T
        weights = np.asarray(rows @ whitened.T, dtype=np.float64)
        contrasts, uncertainties = weights @ values, noise.spreads(weights)
    whole = np.zeros(array.shape)
    whole[inside] = background * scale + middle
    squares, unknowns = float(residual @ residual), values.size - freedom
    criterion = values.size * math.log(squares / values.size) + unknowns * math.log(values.size)
    return DiscFit(contrasts * scale, uncertainties * scale, whole, noise_sd * scale, criterion)


def background_criteria(
    image: ArrayLike,
    spacing_mm: Spacing,
    centres_px: Sequence[Position],
    diameters_mm: Sequence[float],
    *,
    region: ArrayLike,
    shapes: Sequence[ArrayLike],
    choices: Sequence[Sequence[int]],
    blur_mm: float = 0.0,
) -> list[float | None]:
    """`DiscFit.criterion` of several backgrounds made of the same shapes, by one matrix of products for all of them.

    Parameters
    ----------
    image, spacing_mm, centres_px, diameters_mm, region, shapes, blur_mm
        As for `fit_discs`.
    choices : sequence of sequence of int
        For each background the indices of its shapes.

    Returns
    -------
    list of float or None
        `None` for a background that cannot be told from the discs.

    Notes
    -----
    With the products of shapes, discs and image among each other, the rest of a fit is that of its normal equations: no
    pixel is touched again, however many backgrounds are compared.

    Examples
    --------
    >>> row, column = np.mgrid[:60, :60]
    >>> image = np.random.default_rng(1).normal(0.0, 1.0, (60, 60)) + 0.01 * (row - 30.0) ** 2
    >>> found = background_criteria(image, 1.0, [(30, 30)], [8.0], region=np.ones((60, 60), bool),
    ...                             shapes=plane_shapes((60, 60), 4), choices=[[0], range(6), range(15)])
    >>> found.index(min(found))
    2
    """
    array, spacing = as_image(image), spacing_pair(spacing_mm)
    pixels = as_floats(array)
    inside = np.asarray(region, dtype=bool) & np.isfinite(pixels)
    places, sizes = [position_pair(place) for place in centres_px], [float(size) for size in diameters_mm]
    values = pixels[inside]
    nothing: list[float | None] = [None] * len(choices)
    if (
        not values.size
        or not places
        or max(sizes) > min(n * step for n, step in zip(array.shape, spacing, strict=True))
    ):
        return nothing
    values = values - float(np.median(values))
    scale = float(np.max(np.abs(values)))
    if not (scale > 0 and math.isfinite(scale)):
        return nothing
    columns = np.array(
        [
            *(np.asarray(one, dtype=float)[inside] for one in shapes),
            *(
                _disc_image(array.shape, place, size, spacing, blur_mm)[inside]
                for place, size in zip(places, sizes, strict=True)
            ),
            values / scale,
        ]
    ).T
    products = columns.T @ columns
    energies = 0.2 * np.array([_energy(size, spacing, blur_mm) for size in sizes])
    return [_criterion(products, list(choice), len(places), values.size, energies) for choice in choices]


def _criterion(products: Floats, choice: list[int], discs: int, pixels: int, energies: Floats) -> float | None:
    """The criterion of one background from the products of all columns: shapes, then discs, then the image."""
    chosen = [one for one in choice if products[one, one] > 0]
    if not chosen or pixels < _FEWEST * discs + 2 * len(chosen):
        return None
    norms = np.sqrt(np.diag(products)[chosen])
    strength, mixed = np.linalg.eigh(products[np.ix_(chosen, chosen)] / np.outer(norms, norms))
    kept = strength > _DEPENDENT * strength[-1]
    rest = slice(products.shape[0] - discs - 1, None)
    projected = (mixed[:, kept] / np.sqrt(strength[kept])).T @ (products[chosen, rest] / norms[:, None])
    left = products[rest, rest] - projected.T @ projected
    own, shared = left[:-1, :-1], left[:-1, -1]
    if np.any(np.diag(own) < energies) or np.linalg.cond(own) > 1e8:
        return None
    squares, unknowns = float(left[-1, -1] - shared @ np.linalg.solve(own, shared)), int(kept.sum()) + discs
    return pixels * math.log(squares / pixels) + unknowns * math.log(pixels) if squares > 0 else None


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
        Chance with which noise alone shows a whole group: the level of each disc of a group of n is its n-th root, 0.1 of a
        spoke of three. In a sequence that stops at its first gap no further correction is due (a fixed sequence of tests
        keeps the level for all of them); otherwise it is the false discovery rate among the groups (Benjamini-Hochberg).
    unit : str
        Unit of the pixels.

    Returns
    -------
    LowContrast

    Notes
    -----
    Ten spokes of three discs in a ring against the ideal observer, who knows the background and the noise power: in white
    noise 0.0 to 0.6 spokes fewer, in noise as of filtered back-projection (its peak at 0.25/mm) up to 1.1 fewer where the discs
    are faint. What is lost is what the background takes from the discs; prewhitening has got back what the noise's colour cost:
    told the noise power exactly, the best unbiased estimate of the same discs and background (Gauss-Markov) sees 0.1 more.
    Of noise that vanishes at the higher frequencies of the discs (its peak at 0.14/mm) the ideal observer sees up to two more.

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
    levels = passed_levels(chances, groups, significance, correct=not consecutive)
    detections = [
        Detection(
            Measured("disc_contrast", float(value), unit, float(spread), method=_METHOD, details={"diameter_mm": size}),
            float(score),
            float(chance),
            bool(chance <= level),
        )
        for value, spread, size, score, chance, level in zip(
            fitted.contrasts, fitted.uncertainties, map(float, diameters_mm), scores, chances, levels, strict=True
        )
    ]
    thresholds = -special.ndtri(np.maximum(levels, 1e-12))
    return counted(detections, thresholds, groups=groups, consecutive=consecutive, method=_METHOD)


def _orthonormal(columns: Floats) -> Floats:
    """Orthonormal columns of the same span; what all but depends on the others is left out."""
    columns = columns / np.linalg.norm(columns, axis=0)
    strength, mixed = np.linalg.eigh(columns.T @ columns)
    kept = strength > _DEPENDENT * strength[-1]
    return np.asarray(((mixed[:, kept] / np.sqrt(strength[kept])).T @ columns.T).T)


@lru_cache(maxsize=64)
def _disc_image(
    shape: tuple[int, ...], place: tuple[float, float], size: float, spacing: tuple[float, float], blur_mm: float
) -> Floats:
    """A disc of height one as it appears, blurred; not to be written to."""
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
