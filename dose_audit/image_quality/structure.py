"""Structure in flat-field images: noise that is the same in every exposure, and a map of what stands out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from dose_audit.image_quality.mtf_curve import Floats
from dose_audit.image_quality.rois import Spacing, as_floats, as_image, spacing_pair
from dose_audit.image_quality.ttf import image_stack
from dose_audit.measured import Measured, Status, not_measurable

__all__ = ["ArtefactMap", "StructuredNoise", "artefact_map", "structured_noise"]

STRUCTURE_METHOD = "covariance of exposures of the same field: what they share is structure, the rest random"
MAP_METHOD = "second-order surface removed, smoothed at the scale, in robust standard deviations of the smoothed image"

_SMALLEST = 32
_SIGNIFICANT = 5.5


@dataclass(frozen=True)
class StructuredNoise:
    """Fixed-pattern noise beside random noise.

    Parameters
    ----------
    fixed, random : Measured
        Standard deviations in per cent of the mean.
    share : Measured
        Structure's share of the total variance, 0 to 1.
    pattern : ndarray, shape (rows, columns)
        Mean of the exposures minus a second-order surface, over their mean; empty where nothing was measured.
    """

    fixed: Measured
    random: Measured
    share: Measured
    pattern: Floats
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True)
class ArtefactMap:
    """Where a flat-field image stands out, at one scale.

    Parameters
    ----------
    score : ndarray, shape (rows, columns)
        In standard deviations of the smoothed image's noise.
    mask : ndarray of bool, shape (rows, columns)
        Where it is significant.
    largest : Measured
        Score of the strongest place; `details` hold its ``position_px`` and contrast in per cent of the mean.
    area : Measured
        Share of the image that stands out, in per cent.
    banding_rows, banding_columns : Measured
        Variance of the lines' means over what the image's white noise gives; 1 without banding.
    """

    score: Floats
    mask: NDArray[np.bool_]
    largest: Measured
    area: Measured
    banding_rows: Measured
    banding_columns: Measured
    status: Status = "ok"
    reason: str = ""


def structured_noise(images: ArrayLike) -> StructuredNoise:
    """Separate fixed-pattern (structured) from random noise.

    Parameters
    ----------
    images : array_like, shape (exposures, rows, columns)
        At least two exposures of the same even field, linearised.

    Returns
    -------
    StructuredNoise

    Raises
    ------
    ValueError, TypeError
        For a wrong shape.

    Notes
    -----
    With a second-order surface removed from each, ``V_fixed`` is the mean covariance of different exposures and
    ``V_random = V_total − V_fixed``. The standard uncertainty of the covariance of n pixels in m exposures is
    ``sqrt[(2·V_random²/(m(m−1)) + 4·V_fixed·V_random/m)/n]``.

    References
    ----------
    IEC 62220-1-1:2015 (random and structured noise); Granfors & Aufrichtig, Med. Phys. 27 (2000) 1324.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> pattern = random.normal(0.0, 10.0, (200, 200))
    >>> noise = structured_noise(1000.0 + pattern + random.normal(0.0, 20.0, (4, 200, 200)))
    >>> round(noise.fixed.value, 1), round(noise.random.value, 1), round(noise.share.value, 1)
    (1.0, 2.0, 0.2)
    """
    stack = image_stack(images)
    exposures, rows, columns = stack.shape
    reason = ""
    level = 0.0
    if exposures < 2:
        reason = "at least two exposures of the same field are needed"
    elif min(rows, columns) < _SMALLEST:
        reason = f"the images are smaller than {_SMALLEST} pixels a side"
    elif not np.isfinite(stack).all():
        reason = "the images hold pixels without a number"
    else:
        level = float(stack.mean())
        if level <= 0:
            reason = f"the mean is not positive ({level:.4g})"
    if not reason:
        flat = np.stack([_flattened(image)[0] for image in stack]).reshape(exposures, -1)
        count = flat.shape[1]
        covariances = flat @ flat.T / (count - 6)
        total = float(np.trace(covariances)) / exposures
        if level**2 <= total:
            reason = "the mean is not above the noise: no exposure"
        fixed = float(covariances.sum() - np.trace(covariances)) / (exposures * (exposures - 1))
        random = total - fixed
        if total <= 1e-24 * level**2:
            reason = "the images hold no noise at all"
        elif random <= 1e-9 * total:
            reason = "the images are all the same: they are not separate exposures"
    if reason:
        none = [not_measurable(name, unit, reason, method=STRUCTURE_METHOD) for name, unit in _STRUCTURE_NAMES]
        return StructuredNoise(none[0], none[1], none[2], np.empty((0, 0)), "not_measurable", reason)
    error = math.sqrt(
        (2 * random**2 / (exposures * (exposures - 1)) + 4 * max(fixed, 0.0) * random / exposures) / count
    )
    sd = math.sqrt(max(fixed, 0.0))
    sd_error = error / (2 * sd) if sd**2 > error else math.sqrt(error)
    sd_random = math.sqrt(random)
    uneven = sd > 0.1 * level
    reason = "the structure is more than 10 % of the mean: this is no even field" if uneven else ""
    status: Status = "suspect" if uneven else "ok"
    numbers = (
        Measured("structured_noise", 100 * sd / level, "%", 100 * sd_error / level, method=STRUCTURE_METHOD),
        Measured(
            "random_noise", 100 * sd_random / level, "%", 100 * sd_random / math.sqrt(2 * count * (exposures - 1)) / level,
            method=STRUCTURE_METHOD,
        ),
        Measured("structured_share", max(fixed, 0.0) / total, "1", error / total, method=STRUCTURE_METHOD),
    )  # fmt: skip
    fixed_noise, random_noise, share = (one.doubt(reason) if uneven else one for one in numbers)
    return StructuredNoise(
        fixed_noise,
        random_noise,
        share,
        flat.mean(axis=0).reshape(rows, columns) / level,
        status,
        reason,
    )


_STRUCTURE_NAMES = (("structured_noise", "%"), ("random_noise", "%"), ("structured_share", "1"))


def artefact_map(image: ArrayLike, spacing_mm: Spacing, *, scale_mm: float = 2.0, order: int = 2) -> ArtefactMap:
    """Find what stands out of an even field: dust, stains, stitching, banding, ghosts.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Image of an even field.
    spacing_mm : float or (row, column)
        Pixel spacing.
    scale_mm : float
        Standard deviation of the smoothing: about half the size of what is looked for.
    order : {1, 2}
        Of the surface that is removed first.

    Returns
    -------
    ArtefactMap
        ``ok`` also where something was found: the map is then true, and `largest` says how strong it is.

    Raises
    ------
    ValueError, TypeError
        For a wrong shape, spacing or scale.

    Notes
    -----
    The smoothed residual is divided by its own robust standard deviation, so that coloured noise of the image does not
    look like structure. A place is significant above 5.5: one in 10⁷ independent places of an even field.

    Banding: ``F = Var(line means) · n / V``, V the variance of the residual, with the line means' own slow trend
    removed; for white noise 1 ± sqrt(2/lines).

    Examples
    --------
    >>> import numpy as np
    >>> flat = np.random.default_rng(0).normal(1000.0, 20.0, (200, 200))
    >>> flat[100:110, 50:60] -= 30.0
    >>> found = artefact_map(flat, 0.2, scale_mm=0.8)
    >>> found.largest.value < -5.5, bool(found.mask[105, 55]), bool(found.mask[20, 20])
    (True, True, False)
    """
    array, spacing = as_floats(as_image(image)), spacing_pair(spacing_mm)
    if not (math.isfinite(scale_mm) and scale_mm > 0) or order not in (1, 2):
        raise ValueError("the scale is a positive length in mm, the order 1 or 2")
    sigma = tuple(scale_mm / step for step in spacing)
    reason = ""
    if min(array.shape) < max(_SMALLEST, 10 * max(sigma)):
        reason = "the image is smaller than ten times the scale"
    elif not np.isfinite(array).all():
        reason = "the image holds pixels without a number"
    if not reason:
        rest, surface = _flattened(array, order)
        smooth = ndimage.gaussian_filter(rest, sigma, mode="reflect")
        noise = 1.4826 * float(np.median(np.abs(smooth - np.median(smooth))))
        if noise <= 0:
            reason = "the image holds no noise at all"
    if reason:
        none = [not_measurable(name, unit, reason, method=MAP_METHOD) for name, unit in _MAP_NAMES]
        score, mask = np.zeros(array.shape), np.zeros(array.shape, dtype=bool)
        return ArtefactMap(score, mask, none[0], none[1], none[2], none[3], "not_measurable", reason)
    score = (smooth - float(np.median(smooth))) / noise
    mask = np.abs(score) > _SIGNIFICANT
    row, column = (int(at) for at in np.unravel_index(int(np.abs(score).argmax()), score.shape))
    mean = float(surface[row, column])
    details = {
        "position_px": (row, column),
        "contrast_percent": 100 * float(smooth[row, column]) / mean if mean else None,
        "significant_above": _SIGNIFICANT,
    }
    return ArtefactMap(
        score,
        mask,
        Measured("artefact", float(score[row, column]), "1", 1.0, method=MAP_METHOD, details=details),
        Measured("artefact_area", 100 * float(mask.mean()), "%", method=MAP_METHOD),
        _banding("banding_rows", rest),
        _banding("banding_columns", rest.T),
    )


_MAP_NAMES = (("artefact", "1"), ("artefact_area", "%"), ("banding_rows", "1"), ("banding_columns", "1"))


def _banding(name: str, rest: Floats) -> Measured:
    limit = 4.0 * 1.4826 * float(np.median(np.abs(rest)))
    clipped = np.clip(rest, -limit, limit) if limit > 0 else rest
    means = clipped.mean(axis=1)
    means = means - ndimage.gaussian_filter1d(means, 8.0, mode="reflect")
    # What the Gaussian of 8 lines leaves of white noise: 1 − 2·w0 + Σw².
    kept = 1.0 - 2.0 / (8.0 * math.sqrt(2 * math.pi)) + 1.0 / (16.0 * math.sqrt(math.pi))
    value = float(means.var()) * rest.shape[1] / (float(clipped.var()) * kept)
    return Measured(name, value, "1", value * math.sqrt(2.0 / means.size), method=MAP_METHOD)


def _flattened(image: Floats, order: int = 2) -> tuple[Floats, Floats]:
    """The image minus its least-squares surface, and the surface."""
    y, x = np.linspace(-1, 1, image.shape[0]), np.linspace(-1, 1, image.shape[1])
    powers = [(i, k) for i in range(order + 1) for k in range(order + 1 - i)]
    # Legendre polynomials are nearly orthogonal on the grid; sums over rows and columns replace a large design matrix.
    by_row = np.stack([np.polynomial.legendre.legval(y, [0.0] * i + [1.0]) for i in range(order + 1)])
    by_column = np.stack([np.polynomial.legendre.legval(x, [0.0] * k + [1.0]) for k in range(order + 1)])
    rows, columns = by_row @ by_row.T, by_column @ by_column.T
    moments = by_row @ image @ by_column.T
    normal = np.array([[rows[i, m] * columns[k, n] for m, n in powers] for i, k in powers])
    solution = np.linalg.solve(normal, np.array([moments[i, k] for i, k in powers]))
    coefficients = np.zeros((order + 1, order + 1))
    for (i, k), value in zip(powers, solution, strict=True):
        coefficients[i, k] = value
    surface = by_row.T @ coefficients @ by_column
    return np.asarray(image - surface), np.asarray(surface)
