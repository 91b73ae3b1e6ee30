"""Which low-contrast discs stand out of the noise: a matched filter, judged by its own output where there is no disc."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize, special

from dose_audit.image_quality.detections import Detection, LowContrast, counted, passed_levels, unjudged
from dose_audit.image_quality.kernels import correlate, disc_kernel
from dose_audit.image_quality.rois import (
    Position,
    Spacing,
    annulus_window,
    as_floats,
    as_image,
    position_pair,
    spacing_pair,
)
from dose_audit.measured import Measured

__all__ = ["low_contrast_visible"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_METHOD = "matched filter against places without an object; permutation p with a normal tail, Benjamini-Hochberg"
_LEAST_FILTER = 1.8  # diameter of the filter in that of its disc, at least
_MARGINS_PX = (8.0, 4.0, 1.5)  # of background beyond 1.25 diameters; the least where there is no room for more
_FEWEST_NULLS = 12  # independent places; fewer do not tell the noise's spread


def low_contrast_visible(
    image: ArrayLike,
    spacing_mm: Spacing,
    centres_px: Sequence[Position],
    diameters_mm: Sequence[float],
    *,
    region: ArrayLike | None = None,
    background: ArrayLike | None = None,
    polarity: int = 0,
    groups: Sequence[Sequence[int]] | None = None,
    consecutive: bool = False,
    significance: float = 0.001,
    correct: bool = True,
    search_mm: float = 0.0,
    blur_mm: float = 0.0,
    unit: str = "HU",
) -> LowContrast:
    """Test every disc of a low-contrast set.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    centres_px : sequence of (row, column)
        Where the discs are.
    diameters_mm : sequence of float
        Their diameters.
    region : ndarray of bool, optional
        Where background may be taken from, discs included (they are left out here); the box around the discs by default.
    background : ndarray, shape (rows, columns), optional
        An image without discs but with the same noise in `region` (a uniform section, as many slices averaged): where it
        is given, outputs under noise alone are taken from it.
    polarity : {-1, 0, 1}
        Darker, unknown, brighter than the background. With 0 the sign of the median contrast is taken.
    groups : sequence of sequence of int, optional
        Indices of discs that count together: a spoke is visible when all of its discs are. Each disc by itself by default.
    consecutive : bool
        Stop counting at the first group that is not visible, as for ACR spokes.
    significance : float
        Chance with which noise alone shows a whole group; with `correct` the false discovery rate among the groups. The level
        of each disc of a group of n is its n-th root.
    correct : bool
        Whether the number of groups is corrected for (Benjamini-Hochberg). A `consecutive` count needs no correction: a fixed
        sequence of tests that stops at the first failure keeps the level of one for all (Westfall and Krishen, 2001).
    search_mm : float
        How far each disc may lie from its place. The background is given the same freedom, so that a search buys no evidence.
    blur_mm : float
        Standard deviation of the image's blur, for a filter that matches small discs as they appear.
    unit : str
        Unit of the pixels.

    Returns
    -------
    LowContrast
        ``count`` is ``not_measurable`` when fewer than 12 independent background places are left for a disc.

    Notes
    -----
    The filter is the disc less its surroundings (a disc of up to 2.5 times the diameter and eight pixels, as far as that leaves
    12 independent places and the neighbours leave room),
    made blind to a plane; its output is the least-squares contrast. The same filter at all places of `region` that touch
    no disc gives its distribution under noise alone, whatever the noise's colour; where the discs leave too little room
    they are subtracted first, as fitted, and where a `background` is given it is taken instead. Then
    ``p = (1 + #{null ≥ output})/(1 + #null)``, and the normal tail of that distribution where the output lies beyond it.

    Of eight discs of 2-9 mm, in whole numbers, it sees as many as the ideal observer of the same pixels, which knows the disc
    and the noise's spectrum, but of the background only that it is a plane: on average 0.2 fewer in white noise, up to 0.6 fewer
    in that of filtered back-projection (its peak at 0.14 to 0.35/mm) or low-pass noise, within one in 9 of 10 images.
    Prewhitening within the filter's reach would get back 5 to 7 % of d', a tenth to a third of a disc.

    An observer to whom the background is known sees another half to one and a half more: it has an unlimited surround, in which
    the low frequencies of such noise vanish. Where noise vanishes at high frequencies, one without rounding sees up to two more,
    by what lies far below the variance of rounding to whole numbers.

    References
    ----------
    Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 1995; 57: 289-300.
    Knijnenburg T A, et al. Fewer permutations, more accurate P-values. Bioinformatics 2009; 25: i161-i168.

    Examples
    --------
    >>> row, column = np.mgrid[:120, :120]
    >>> image = np.random.default_rng(1).normal(0.0, 1.0, (120, 120))
    >>> image += 2.0 * (np.hypot(row - 60, column - 60) < 5)
    >>> low_contrast_visible(image, 1.0, [(60, 60), (30, 90)], [10.0, 10.0], polarity=1).count.value
    1.0
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    places = [position_pair(place) for place in centres_px]
    sizes = [float(size) for size in diameters_mm]
    if len(places) != len(sizes) or not places or min(sizes) <= 0:
        raise ValueError("one positive diameter for each of at least one place")
    if polarity not in (-1, 0, 1):
        raise ValueError("polarity is -1, 0 or 1")
    if any(_LEAST_FILTER * max(sizes) > extent * step for extent, step in zip(array.shape, spacing, strict=True)):
        return unjudged(len(places), "a disc and its surroundings are larger than the image", unit=unit, method=_METHOD)
    allowed = _region(array.shape, region, places, sizes, spacing)
    window = _bounds(allowed, places, sizes, spacing, array.shape)
    data = as_floats(array[window])
    inside = allowed[window] & np.isfinite(data)
    origin = (float(window[0].start), float(window[1].start))
    local = [(row - origin[0], column - origin[1]) for row, column in places]
    data = np.where(np.isfinite(data), data, float(np.median(data[inside])) if inside.any() else 0.0)
    data = data - (float(np.median(data[inside])) if inside.any() else 0.0)
    empty = None
    if background is not None:
        beside = as_image(background)
        if beside.shape != array.shape:
            raise ValueError(f"background {beside.shape} and image {array.shape} differ in shape")
        empty = as_floats(beside[window])
        inside &= np.isfinite(empty)
        level = float(np.median(empty[inside])) if inside.any() else 0.0
        empty = np.where(np.isfinite(empty), empty, level) - level
    cleaned = _without_discs(data, local, sizes, spacing, blur_mm) if empty is None else empty
    outputs: list[tuple[float, Floats, float] | None] = [None] * len(places)
    for size in sorted(set(sizes)):
        members = [index for index, own in enumerate(sizes) if own == size]
        for reach in dict.fromkeys(_reach(local, sizes, size, spacing, margin) for margin in _MARGINS_PX):
            found = _filter(
                data, cleaned, inside, local, sizes, size, members, spacing, search_mm, polarity, blur_mm, reach,
                "elsewhere" if empty is not None else "here",
            )  # fmt: skip
            if not any(one is None for one in found):
                break
        else:
            # Too crowded: the places between and on the discs are taken, too, once these are subtracted.
            if empty is None:
                found = _filter(
                    data, cleaned, inside, local, sizes, size, members, spacing, search_mm, polarity, blur_mm, reach,
                    "between",
                )  # fmt: skip
        for index, output in zip(members, found, strict=True):
            outputs[index] = output
    known = [output for output in outputs if output is not None]
    if len(known) < len(places):
        lost = len(places) - len(known)
        reason = f"too little background is left to judge {lost} of {len(places)} discs by"
        return unjudged(len(places), reason, unit=unit, method=_METHOD)
    sign = float(polarity) if polarity else math.copysign(1.0, float(np.median([output[0] for output in known])))
    scores, chances = [], []
    gumbels: dict[int, tuple[float, float]] = {}  # discs of one size share their background
    for value, null, spread in known:
        score = sign * value / spread
        beyond = int(np.count_nonzero(sign * null >= sign * value))
        chance = (1 + beyond) / (1 + null.size)
        # Null places overlap; where few of them reach as far, their rank says less than their spread.
        scores.append(score)
        if beyond < 20 and search_mm > 0 and id(null) not in gumbels:
            gumbels[id(null)] = _gumbel(sign * null / spread)
        chances.append(chance if beyond >= 20 and search_mm > 0 else _tail(gumbels.get(id(null)), score))
    levels = passed_levels(np.array(chances), groups, significance, correct=correct and not consecutive)
    detections = [
        Detection(
            Measured(
                "disc_contrast",
                value,
                unit,
                spread,
                method=_METHOD,
                details={"diameter_mm": size, "null_places": null.size},
            ),
            score,
            chance,
            bool(chance <= level),
        )
        for (value, null, spread), size, score, chance, level in zip(known, sizes, scores, chances, levels, strict=True)
    ]
    thresholds = -special.ndtri(np.maximum(levels, 1e-12))
    return counted(detections, thresholds, groups=groups, consecutive=consecutive, method=_METHOD)


def _as_mask(region: ArrayLike, shape: tuple[int, ...]) -> Mask:
    mask = np.asarray(region, dtype=bool)
    if mask.shape != shape:
        raise ValueError(f"region {mask.shape} and image {shape} differ in shape")
    return mask


def _region(
    shape: tuple[int, ...],
    region: ArrayLike | None,
    places: Sequence[tuple[float, float]],
    sizes: Sequence[float],
    spacing: tuple[float, float],
) -> Mask:
    if region is not None:
        return _as_mask(region, shape)
    mask = np.zeros(shape, dtype=bool)
    reach = 2.0 * max(sizes) + 20.0 * max(spacing)
    spans = []
    for axis in (0, 1):
        low = min(place[axis] for place in places) - reach / spacing[axis]
        high = max(place[axis] for place in places) + reach / spacing[axis]
        spans.append(slice(max(math.floor(low), 0), max(math.ceil(high) + 1, 0)))
    mask[spans[0], spans[1]] = True
    return mask


def _bounds(
    allowed: Mask,
    places: Sequence[tuple[float, float]],
    sizes: Sequence[float],
    spacing: tuple[float, float],
    shape: tuple[int, ...],
) -> tuple[slice, slice]:
    spans = []
    for axis in (0, 1):
        used = np.flatnonzero(allowed.any(axis=1 - axis))
        lows = [place[axis] - 2 * size / spacing[axis] for place, size in zip(places, sizes, strict=True)]
        highs = [place[axis] + 2 * size / spacing[axis] for place, size in zip(places, sizes, strict=True)]
        low = min([*lows, float(used[0]) if used.size else shape[axis]])
        high = max([*highs, float(used[-1]) if used.size else 0.0])
        start = min(max(math.floor(low), 0), shape[axis] - 1)
        spans.append(slice(start, min(max(math.ceil(high) + 1, start + 1), shape[axis])))
    return spans[0], spans[1]


def _without_discs(
    data: Floats,
    places: Sequence[tuple[float, float]],
    sizes: Sequence[float],
    spacing: tuple[float, float],
    blur_mm: float,
) -> Floats:
    """The image less each disc as it was fitted, blurred by a pixel: background where there is little other."""
    cleaned = data.copy()
    reach = {size: _reach(places, sizes, size, spacing, _MARGINS_PX[-1]) for size in set(sizes)}
    for (row, column), size in zip(places, sizes, strict=True):
        centre = (round(row), round(column))
        shift = (row - centre[0], column - centre[1])
        value = _apply(data, _template(size, reach[size], blur_mm, spacing, shift), centre)
        if value is None:
            continue
        disc = ndimage.gaussian_filter(np.pad(disc_kernel(0.5 * size, spacing, shift_px=shift), 3), 1.0)
        top, left = centre[0] - disc.shape[0] // 2, centre[1] - disc.shape[1] // 2
        rows = slice(max(top, 0), min(top + disc.shape[0], data.shape[0]))
        columns = slice(max(left, 0), min(left + disc.shape[1], data.shape[1]))
        cleaned[rows, columns] -= (
            value * disc[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        )
    return cleaned


def _filter(
    data: Floats,
    cleaned: Floats,
    inside: Mask,
    places: Sequence[tuple[float, float]],
    sizes: Sequence[float],
    size: float,
    members: Sequence[int],
    spacing: tuple[float, float],
    search_mm: float,
    polarity: int,
    blur_mm: float,
    outer: float,
    nulls: Literal["elsewhere", "here", "between"],
) -> list[tuple[float, Floats, float] | None]:
    """Output at each member's place, outputs without an object, and their spread; ``None`` without enough background.

    Outputs without an object are those of another image, of this one where the filter touches no disc, or of all of it but
    the discs themselves once these are subtracted.
    """
    free = np.ones(data.shape, dtype=bool)
    for (row, column), own in zip(places, sizes, strict=True):
        window, near = annulus_window(
            data.shape, (row, column), 0.0, outer + 0.5 * own + max(spacing) + search_mm, spacing
        )
        free[window] &= ~near
    template = _template(size, outer, blur_mm, spacing, (0.0, 0.0))
    covered = correlate(inside.astype(float), (template != 0).astype(float)) > np.count_nonzero(template) - 0.5
    response = correlate(data, template)
    if nulls == "between":
        for index in members:
            window, near = annulus_window(data.shape, places[index], 0.0, 0.6 * size, spacing)
            covered[window] &= ~near
    null_at, background = (free & covered, response) if nulls == "here" else (covered, correlate(cleaned, template))
    null = background[null_at]
    # Places a filter's width apart are independent.
    if null.size * spacing[0] * spacing[1] < _FEWEST_NULLS * math.pi * (0.5 * outer) ** 2 * 1.5:
        return [None] * len(members)
    if search_mm > 0:
        steps = [max(0, round(search_mm / step)) for step in spacing]
        box = (2 * steps[0] + 1, 2 * steps[1] + 1)
        high = ndimage.maximum_filter(background, box)[null_at]
        low = ndimage.minimum_filter(background, box)[null_at]
    found: list[tuple[float, Floats, float] | None] = []
    spread = float(1.4826 * np.median(np.abs(null - np.median(null))))
    spread = max(spread, float(np.std(null)) * 0.7) or 1e-12
    for index in members:
        row, column = places[index]
        centre = (round(row), round(column))
        exact = _template(size, outer, blur_mm, spacing, (row - centre[0], column - centre[1]))
        value = _apply(data, exact, centre)
        if value is None:
            found.append(None)
        elif search_mm <= 0:
            found.append((value, null, spread))
        else:
            part = response[
                max(centre[0] - steps[0], 0) : centre[0] + steps[0] + 1,
                max(centre[1] - steps[1], 0) : centre[1] + steps[1] + 1,
            ]
            sign = polarity or (1 if abs(float(part.max())) >= abs(float(part.min())) else -1)
            best = max(float(part.max()), value) if sign > 0 else min(float(part.min()), value)
            found.append((best, high if sign > 0 else low, spread))
    return found


def _reach(
    places: Sequence[tuple[float, float]],
    sizes: Sequence[float],
    size: float,
    spacing: tuple[float, float],
    margin_px: float,
) -> float:
    """Radius of the filter: as much background as the neighbours of the discs of one size leave, within bounds."""
    at, extent = np.asarray(places, dtype=float) * spacing, np.asarray(sizes, dtype=float)
    away = np.hypot(*(at[extent == size][:, None, :] - at[None, :, :]).transpose(2, 0, 1))
    others = (away - 0.5 * extent[None, :])[away > 0]
    room = float(others.min()) - max(spacing) if others.size else math.inf
    return max(0.5 * _LEAST_FILTER * size + 1.5 * max(spacing), min(1.25 * size + margin_px * max(spacing), room))


@lru_cache(maxsize=512)
def _template(
    size: float, outer_mm: float, blur_mm: float, spacing: tuple[float, float], shift_px: tuple[float, float]
) -> Floats:
    """Weights whose product with an image is the least-squares contrast of a disc over a plane about it."""
    outer = disc_kernel(outer_mm, spacing, shift_px=shift_px)
    inner = disc_kernel(0.5 * size, spacing, shift_px=shift_px)
    pad = [(a - b) // 2 for a, b in zip(outer.shape, inner.shape, strict=True)]
    disc = np.zeros(outer.shape)
    disc[pad[0] : pad[0] + inner.shape[0], pad[1] : pad[1] + inner.shape[1]] = inner
    if blur_mm > 0:
        disc = ndimage.gaussian_filter(disc, [blur_mm / step for step in spacing])
    used = outer > 0.5
    rows, columns = np.nonzero(used)
    plane = np.column_stack([np.ones(rows.size), rows - rows.mean(), columns - columns.mean()])
    shape = disc[used]
    across = shape - plane @ np.linalg.lstsq(plane, shape, rcond=None)[0]
    weights = np.zeros(outer.shape)
    weights[used] = across / max(float(across @ across), 1e-30)
    weights.setflags(write=False)
    return weights


def _apply(data: Floats, template: Floats, centre: tuple[int, int]) -> float | None:
    top, left = centre[0] - template.shape[0] // 2, centre[1] - template.shape[1] // 2
    if top < 0 or left < 0 or top + template.shape[0] > data.shape[0] or left + template.shape[1] > data.shape[1]:
        return None
    return float((data[top : top + template.shape[0], left : left + template.shape[1]] * template).sum())


def _gumbel(null: Floats) -> tuple[float, float]:
    """Location and scale of the largest of as many independent normals as the searched background's mean tells of."""
    part = null if null.size < 20000 else null[:: null.size // 10000]
    spread = float(part.std())
    if spread <= 0:
        return float(part.mean()), 1e-12
    lowest = float(part.min())

    def slope(scale: float) -> float:
        """Derivative of the likelihood: the mean less that weighted by exp(-x/scale), less the scale."""
        weights = np.exp(-(part - lowest) / scale)
        return float(part.mean() - (part * weights).sum() / weights.sum() - scale)

    first = spread * math.sqrt(6.0) / math.pi
    scale = float(optimize.brentq(slope, 0.02 * first, 50.0 * first))
    return lowest - scale * math.log(float(np.exp(-(part - lowest) / scale).mean())), scale


def _tail(gumbel: tuple[float, float] | None, score: float) -> float:
    """Chance of a score as high: normal, or after a search the larger of that and the extreme value's."""
    normal = float(special.ndtr(-score))
    if gumbel is None:
        return normal
    location, scale = gumbel
    return max(-math.expm1(-math.exp(min(-(score - location) / scale, 700.0))), normal)
