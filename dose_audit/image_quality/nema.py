"""Uniformity of a gamma camera's flood image (NEMA NU 1): integral and differential, in the useful and the central field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from dose_audit.image_quality.rois import Spacing, as_floats, as_image, spacing_pair
from dose_audit.measured import Measured, not_measurable

__all__ = ["NemaUniformity", "nema_uniformity"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_NINE = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
_WANTED_MM, _LEAST_MM, _MOST_MM = 6.4, 4.48, 8.32
_FEWEST_COUNTS = 10_000.0
_TANGENTS = 72  # to a field's outline, to each side: every 2.5 degrees


@dataclass(frozen=True, slots=True)
class NemaUniformity:
    """Integral and differential uniformity.

    Parameters
    ----------
    integral_ufov, integral_cfov : Measured
        ``100 (max - min)/(max + min)`` of the smoothed pixels, %.
    differential_ufov, differential_cfov : Measured
        The largest such value within five adjacent pixels of a row or a column, %.
    mean_counts : Measured
        Mean of the central field's binned pixels, before smoothing.
    pixel_mm : (row, column)
        Size of the pixels after binning.
    ufov, cfov : ndarray of bool
        The two fields, on the binned pixels.
    smoothed : ndarray
        Smoothed image, on the binned pixels; zero outside the useful field.
    """

    integral_ufov: Measured
    integral_cfov: Measured
    differential_ufov: Measured
    differential_cfov: Measured
    mean_counts: Measured
    pixel_mm: tuple[float, float]
    ufov: Mask
    cfov: Mask
    smoothed: Floats


def nema_uniformity(
    image: ArrayLike,
    spacing_mm: Spacing,
    *,
    ufov_mm: tuple[float, float] | None = None,
    smooth: Literal["after", "before"] = "after",
    shape: Literal["rectangle", "circle"] = "rectangle",
) -> NemaUniformity:
    """NEMA NU 1 intrinsic or system flood uniformity.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Counts of a flood image.
    spacing_mm : float or (row, column)
        Pixel spacing; pixels are summed to as near 6.4 mm as whole numbers allow, and 6.4 mm ± 30 % is asked for.
    ufov_mm : (height, width), optional
        The manufacturer's useful field of view; the extent of the pixels that survive the edge rules by default.
    smooth : {'after', 'before'}
        Whether the nine-point filter follows the edge rules (NEMA) or precedes them, as some programs have it.
    shape : {'rectangle', 'circle'}
        Form of the field that `ufov_mm` gives; a field that is found in the image has its own.

    Returns
    -------
    NemaUniformity
        ``suspect`` when the pixel size is out of range or the central pixels hold fewer than 10,000 counts.

    Notes
    -----
    1. Pixels are summed to about 6.4 mm. 2. Pixels at the edge below 75 % of the mean of the central field are set to zero,
    then those with a zero among their four neighbours. 3. The 1-2-1 filter, its weights normalised over non-zero pixels. 4.
    The central field is the useful one, be it round or with its corners cut off, scaled by 75 % about its centre; a pixel
    belongs when half of it lies inside. The
    uncertainty is that of the extreme pixels' counts; NEMA's quantities rise with noise by definition, and no correction is made.

    References
    ----------
    NEMA NU 1: Performance measurements of gamma cameras.

    Examples
    --------
    >>> flood = np.full((64, 80), 12000.0)
    >>> flood[30, 40] = 13200.0
    >>> round(nema_uniformity(flood, 6.4).integral_cfov.value, 3)
    1.235
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    if smooth not in ("after", "before") or shape not in ("rectangle", "circle"):
        raise ValueError("smooth is 'after' or 'before', shape is 'rectangle' or 'circle'")
    factors = [max(1, round(_WANTED_MM / step)) for step in spacing]
    pixel = (spacing[0] * factors[0], spacing[1] * factors[1])
    size = [length // factor for length, factor in zip(array.shape, factors, strict=True)]
    if min(size) < 8:
        return _nothing("the image is smaller than eight pixels of 6.4 mm", pixel, (max(size[0], 1), max(size[1], 1)))
    start = [(length - n * factor) // 2 for length, n, factor in zip(array.shape, size, factors, strict=True)]
    part = array[start[0] : start[0] + size[0] * factors[0], start[1] : start[1] + size[1] * factors[1]]
    counts = as_floats(part).reshape(size[0], factors[0], size[1], factors[1]).sum(axis=(1, 3))
    if not np.all(np.isfinite(counts)) or counts.min() < 0 or counts.max() <= 0:
        return _nothing("the image does not hold counts", pixel, (size[0], size[1]))
    if smooth == "before":
        counts_used = _nine_point(counts, np.ones(counts.shape, dtype=bool))
    else:
        counts_used = counts
    ufov = _useful(counts_used, pixel, ufov_mm, shape)
    if ufov.sum() < 25:
        return _nothing("no useful field of view is left after the edge rules", pixel, (size[0], size[1]))
    cfov = _central(ufov, pixel, ufov_mm, shape) & ufov
    if cfov.sum() < 9:
        return _nothing("no central field of view is left", pixel, (size[0], size[1]))
    smoothed = np.where(ufov, _nine_point(counts, ufov) if smooth == "after" else counts_used, 0.0)
    mean = float(counts[cfov].mean())
    doubts = []
    if not all(_LEAST_MM <= step <= _MOST_MM for step in pixel):
        doubts.append(f"pixels of {pixel[0]:.2f} mm × {pixel[1]:.2f} mm are not 6.4 mm ± 30 %")
    # A flood that was stopped at 10,000 counts has a few less; a cold tube takes none from the others.
    if float(np.median(counts[cfov])) < 0.99 * _FEWEST_COUNTS:
        doubts.append(f"{mean:.0f} counts a pixel are fewer than 10,000")
    # Relative noise of one smoothed pixel: sqrt(36)/16 of a single one's.
    one = 100.0 * math.sqrt(float((_NINE**2).sum())) / float(_NINE.sum()) / math.sqrt(mean)
    values = {
        "integral_ufov": _integral("integral_uniformity_ufov", smoothed, ufov, one),
        "integral_cfov": _integral("integral_uniformity_cfov", smoothed, cfov, one),
        "differential_ufov": _differential("differential_uniformity_ufov", smoothed, ufov, one),
        "differential_cfov": _differential("differential_uniformity_cfov", smoothed, cfov, one),
    }
    if doubts:
        values = {name: value.doubt("; ".join(doubts)) for name, value in values.items()}
    counted = Measured(
        "mean_counts", mean, "1", math.sqrt(mean / float(cfov.sum())), method="mean of the central field"
    )
    return NemaUniformity(**values, mean_counts=counted, pixel_mm=pixel, ufov=ufov, cfov=cfov, smoothed=smoothed)


def _nine_point(counts: Floats, field: Mask) -> Floats:
    """1-2-1 filter with its weights normalised over the field's pixels."""
    weight = ndimage.convolve(field.astype(float), _NINE, mode="constant")
    total = ndimage.convolve(np.where(field, counts, 0.0), _NINE, mode="constant")
    return np.where(weight > 0, total / np.maximum(weight, 1e-12), 0.0)


def _useful(counts: Floats, pixel: tuple[float, float], ufov_mm: tuple[float, float] | None, shape: str) -> Mask:
    lit = counts > 0.5 * float(np.percentile(counts[counts > 0], 75))
    lit = _largest(lit)
    if ufov_mm is not None:
        lit &= _field(counts.shape, _middle(lit), ufov_mm, pixel, shape)
    level = float(counts[_central(lit, pixel, ufov_mm, shape) & lit].mean())
    # Only the edge is trimmed: a cold spot within stays, and is found.
    kept = ndimage.binary_fill_holes(lit & (counts >= 0.75 * level))
    padded = np.pad(kept, 1)
    whole = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(_largest(kept & whole & (counts > 0)))


def _central(useful: Mask, pixel: tuple[float, float], ufov_mm: tuple[float, float] | None, shape: str) -> Mask:
    if ufov_mm is not None:
        return _field(useful.shape, _middle(useful), (0.75 * ufov_mm[0], 0.75 * ufov_mm[1]), pixel, shape)
    return _scaled(useful, 0.75)


def _scaled(field: Mask, factor: float) -> Mask:
    """A field of any convex form made smaller about its middle: of those pixels whose centres lie within all its tangents.

    A detector is the same seen from the other side; a place that is lost at one border does not dent the field within.
    """
    down, right = (np.arange(size) - one for size, one in zip(field.shape, _middle(field), strict=True))
    inside = np.ones(field.shape, dtype=bool)
    for angle in np.arange(_TANGENTS) * np.pi / _TANGENTS:
        along = np.cos(angle) * down[:, None] + np.sin(angle) * right[None, :]
        # Pixels reach half their width beyond their centres.
        reach = float(np.abs(along[field]).max()) + 0.5 * (abs(np.cos(angle)) + abs(np.sin(angle)))
        inside &= np.abs(along) <= factor * reach + 1e-9
    return inside


def _middle(field: Mask) -> tuple[float, float]:
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    return 0.5 * (rows[0] + rows[-1]), 0.5 * (columns[0] + columns[-1])


def _field(
    size: tuple[int, ...],
    centre: tuple[float, float],
    extent_mm: tuple[float, float],
    pixel: tuple[float, float],
    shape: str,
) -> Mask:
    """Pixels of which at least half lies in a field: those whose centres do."""
    down = np.abs(np.arange(size[0]) - centre[0])[:, None] * pixel[0] / (0.5 * extent_mm[0])
    right = np.abs(np.arange(size[1]) - centre[1])[None, :] * pixel[1] / (0.5 * extent_mm[1])
    tiny = 1e-9
    if shape == "circle":
        return np.asarray(down**2 + right**2 <= 1 + tiny)
    return np.asarray((down <= 1 + tiny) & (right <= 1 + tiny))


def _largest(mask: Mask) -> Mask:
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(np.argmax(sizes)))


def _integral(name: str, smoothed: Floats, field: Mask, one: float) -> Measured:
    high, low = float(smoothed[field].max()), float(smoothed[field].min())
    method = "NEMA NU 1: 100 (max - min)/(max + min)"
    if high + low <= 0:
        return not_measurable(name, "%", "there are no counts in the field", method=method)
    return Measured(name, 100 * (high - low) / (high + low), "%", one / math.sqrt(2.0), method=method)


def _differential(name: str, smoothed: Floats, field: Mask, one: float) -> Measured:
    method = "NEMA NU 1: largest 100 (max - min)/(max + min) over five adjacent pixels of a row or column"
    best, found = 0.0, False
    for image, mask in ((smoothed, field), (smoothed.T, field.T)):
        if image.shape[1] < 5:
            continue
        runs = np.lib.stride_tricks.sliding_window_view(image, 5, axis=1)
        whole = np.lib.stride_tricks.sliding_window_view(mask, 5, axis=1).all(axis=-1)
        if whole.any():
            high, low = runs.max(axis=-1)[whole], runs.min(axis=-1)[whole]
            best = max(best, float((100 * (high - low) / np.maximum(high + low, 1e-12)).max()))
            found = True
    if not found:
        return not_measurable(name, "%", "no five adjacent pixels lie in the field", method=method)
    return Measured(name, best, "%", one / math.sqrt(2.0), method=method)


def _nothing(reason: str, pixel: tuple[float, float], size: tuple[int, int]) -> NemaUniformity:
    names = (
        "integral_uniformity_ufov",
        "integral_uniformity_cfov",
        "differential_uniformity_ufov",
        "differential_uniformity_cfov",
    )
    lost = [not_measurable(name, "%", reason, method="NEMA NU 1") for name in names]
    none = np.zeros(size, dtype=bool)
    counted = not_measurable("mean_counts", "1", reason)
    return NemaUniformity(lost[0], lost[1], lost[2], lost[3], counted, pixel, none, none, np.zeros(size))
