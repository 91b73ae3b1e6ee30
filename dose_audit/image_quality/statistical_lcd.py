"""How low a contrast could still be told from the noise of a uniform image: the statistical LCD curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from dose_audit.image_quality.kernels import correlate, disc_kernel
from dose_audit.image_quality.rois import Spacing, as_floats, as_image, spacing_pair
from dose_audit.measured import Measured, not_measurable

__all__ = ["StatisticalLcd", "statistical_lcd"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StatisticalLcd:
    """Contrast that a disc of each diameter needs to differ from the background with the given confidence.

    Parameters
    ----------
    diameters_mm : tuple of float
    thresholds : tuple of Measured
        In the unit of the image, one per diameter.
    """

    diameters_mm: tuple[float, ...]
    thresholds: tuple[Measured, ...]


def statistical_lcd(
    image: ArrayLike,
    spacing_mm: Spacing,
    diameters_mm: Sequence[float],
    *,
    region: ArrayLike | None = None,
    confidence: float = 0.95,
    unit: str = "HU",
) -> StatisticalLcd:
    """Statistical low-contrast detectability: the contrast a disc needs, from the noise of a uniform image alone.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        A uniform section.
    spacing_mm : float or (row, column)
    diameters_mm : sequence of float
    region : ndarray of bool, optional
        The uniform part; the whole image by default.
    confidence : float
        That background and disc are told apart, each way.
    unit : str
        Unit of the pixels.

    Returns
    -------
    StatisticalLcd

    Notes
    -----
    Means over discs placed everywhere in the region have the standard deviation ``σ_d``, noise of any colour included; the
    threshold is ``2 z σ_d`` with z the normal quantile of `confidence` (3.29 σ_d at 95 %). A second-order surface is
    removed first. The uncertainty is that of a standard deviation from ``A/(1.6 A_disc)`` independent places: discs larger than
    about a quarter of the region's diameter are ``not_measurable``.

    References
    ----------
    Chao E H, et al. A statistical method of defining low contrast detectability. Radiology 2000; 217(P): 162.

    Examples
    --------
    >>> noise = np.random.default_rng(2).normal(0.0, 10.0, (256, 256))
    >>> curve = statistical_lcd(noise, 0.5, [2.0, 4.0])
    >>> bool(1.8 < curve.thresholds[0].value / curve.thresholds[1].value < 2.2)
    True
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    if not 0.5 < confidence < 1:
        raise ValueError("confidence lies between 0.5 and 1")
    inside = np.isfinite(as_floats(array)) & (
        np.ones(array.shape, dtype=bool) if region is None else _as_mask(region, array.shape)
    )
    factor = 2.0 * float(ndtri(confidence))
    method = f"statistical LCD: {factor:.2f} standard deviations of the means over discs"
    if inside.sum() < 100:
        lost = not_measurable("lcd_threshold", unit, "fewer than 100 pixels of background", method=method)
        return StatisticalLcd(tuple(float(d) for d in diameters_mm), tuple(lost for _ in diameters_mm))
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    window = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    chosen = inside[window]
    flat = np.where(chosen, _remove_surface(as_floats(array[window]), chosen), 0.0)
    area = float(chosen.sum()) * spacing[0] * spacing[1]
    return StatisticalLcd(
        tuple(float(d) for d in diameters_mm),
        tuple(_threshold(flat, chosen, float(d), spacing, area, factor, unit, method) for d in diameters_mm),
    )


def _threshold(
    flat: Floats,
    chosen: Mask,
    diameter: float,
    spacing: tuple[float, float],
    area: float,
    factor: float,
    unit: str,
    method: str,
) -> Measured:
    if diameter <= 0:
        raise ValueError("a diameter is positive")
    if any(diameter > extent * step for extent, step in zip(flat.shape, spacing, strict=True)):
        reason = f"the region is too small for discs of {diameter:g} mm"
        return not_measurable("lcd_threshold", unit, reason, method=method)
    kernel = disc_kernel(0.5 * diameter, spacing)
    whole = correlate(chosen.astype(float), kernel) > float(kernel.sum()) * (1 - 1e-9)
    independent = area / (1.6 * math.pi * diameter**2 / 4)
    if not whole.any() or independent < 16:
        return not_measurable(
            "lcd_threshold", unit, f"the region is too small for discs of {diameter:g} mm", method=method
        )
    means = correlate(flat, kernel)[whole] / float(kernel.sum())
    # Six coefficients of the surface were fitted to the same noise.
    spread = math.sqrt(float(np.mean(means**2)) * independent / max(independent - 6 * 0.6, 1.0))
    return Measured(
        "lcd_threshold",
        factor * spread,
        unit,
        factor * spread / math.sqrt(2 * independent),
        method=method,
        details={"diameter_mm": diameter, "sd_of_means": spread, "independent_places": independent},
    )


def _as_mask(region: ArrayLike, shape: tuple[int, ...]) -> Mask:
    mask = np.asarray(region, dtype=bool)
    if mask.shape != shape:
        raise ValueError(f"region {mask.shape} and image {shape} differ in shape")
    return mask


def _remove_surface(part: Floats, chosen: Mask) -> Floats:
    """`part` less its second-order surface through the chosen pixels."""
    row, column = np.meshgrid(np.linspace(-1, 1, part.shape[0]), np.linspace(-1, 1, part.shape[1]), indexing="ij")
    terms = np.stack([np.ones_like(row), row, column, row * column, row**2, column**2], axis=-1)
    chosen_terms = terms[chosen]
    normal = chosen_terms.T @ chosen_terms
    solution = np.linalg.lstsq(normal, chosen_terms.T @ part[chosen], rcond=None)[0]
    return np.asarray(part - terms @ solution)
