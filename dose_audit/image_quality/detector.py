"""A detector's defects and memory: dead and hot pixels, bad lines and clusters, lag."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from dose_audit.image_quality.mtf_curve import Floats
from dose_audit.image_quality.rois import as_floats, as_image
from dose_audit.image_quality.ttf import image_stack
from dose_audit.measured import Measured, Status, not_measurable

__all__ = ["Defects", "Lag", "defective_pixels", "lag"]

DEFECT_METHOD = "departure from the local median in units of the local noise (median absolute deviation)"
LAG_METHOD = "signal left in frames after the exposure, over the exposed signal, both above the dark signal"

_SMALLEST = 32
_WINDOW = 7
_TILE = 32
_LINE_SHARE = 0.3  # of a line's pixels: with so many flagged, the line is what is defective
_LINE_SIGNIFICANT = 7.0
_LINE_SHADOW = 0.2  # of a line beside it: the median over seven pixels gives as much of a line to its neighbours
_CLIP = 4.0  # a single pixel may not make a line
_MOST_BAD = 0.05
_BAND_PIXELS = 32_768  # worked on at once: what the processor keeps at hand
# A sorting network for the middle of seven: after these exchanges the fourth value is the median.
_EXCHANGES = ((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4))

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Defects:
    """Defective pixels of a detector.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        Every defective pixel, those of lines included.
    dead, hot : ndarray, shape (n, 2)
        Row and column of pixels too low and too high, those of defective lines left out.
    rows, columns : tuple of int
        Defective lines.
    clusters : tuple of int
        Sizes of groups of two and more touching pixels (lines left out), largest first.
    count, fraction, line_count, largest_cluster : Measured
        Numbers of them; the fraction in per cent.
    """

    mask: NDArray[np.bool_]
    dead: NDArray[np.intp]
    hot: NDArray[np.intp]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    clusters: tuple[int, ...]
    count: Measured
    fraction: Measured
    line_count: Measured
    largest_cluster: Measured
    status: Status = "ok"
    reason: str = ""

    @property
    def measurements(self) -> tuple[Measured, ...]:
        """The numbers."""
        return self.count, self.fraction, self.line_count, self.largest_cluster


@dataclass(frozen=True)
class Lag:
    """What an exposure leaves in later frames.

    Parameters
    ----------
    first : Measured
        Lag of the first frame after the exposure, in per cent.
    frames_percent, uncertainty_percent : ndarray, shape (n,)
        Of every frame after the exposure.
    """

    first: Measured
    frames_percent: Floats
    uncertainty_percent: Floats


def defective_pixels(images: ArrayLike, *, threshold: float = 6.0) -> Defects:
    """Find dead and hot pixels and defective lines in flat-field or dark images.

    Parameters
    ----------
    images : array_like, shape (rows, columns) or (exposures, rows, columns)
        Images of an even field without objects, before any correction of defects; several are averaged.
    threshold : float
        In standard deviations of the local noise.

    Returns
    -------
    Defects
        ``suspect`` where more than 5 % of the pixels are flagged: this is no even field.

    Raises
    ------
    ValueError, TypeError
        For a wrong shape, or a threshold that is not positive.

    Notes
    -----
    The background is the median over seven pixels along the rows and then along the columns, which heel effect and
    clusters of up to 3 × 3 pixels do not move. The noise is 1.4826 times the median absolute residual in tiles of 32
    pixels. At ``threshold = 6`` one pixel in 5·10⁸ of a good detector is flagged, and a pixel 10 SD off found with
    99.99 %. A pixel without a number is defective.

    A line is defective when 30 % of its pixels are, or when the mean of its residuals (each clipped at 4 SD, so that
    single pixels do not make a line), in whole or in a quarter of it, departs from the other lines' by seven robust
    standard deviations.

    References
    ----------
    AAPM TG-150 (Med. Phys. 39 (2012) 3648); IEC 62220-1-1:2015, 5 (corrections of raw data).

    Examples
    --------
    >>> import numpy as np
    >>> flat = np.random.default_rng(0).normal(1000.0, 10.0, (128, 128))
    >>> flat[40, 50], flat[90, 17] = 900.0, 1200.0
    >>> found = defective_pixels(flat)
    >>> found.dead.tolist(), found.hot.tolist(), found.line_count.value
    ([[40, 50]], [[90, 17]], 0.0)
    """
    stack = image_stack(images)
    if not threshold > 0:
        raise ValueError(f"the threshold is a positive number, not {threshold!r}")
    image = (stack[0] if stack.shape[0] == 1 else stack.mean(axis=0)).astype(np.float32)
    finite = np.isfinite(image)
    if min(image.shape) < _SMALLEST:
        return _no_defects(image, f"the image is smaller than {_SMALLEST} pixels a side")
    if np.count_nonzero(finite) < 0.5 * finite.size:
        return _no_defects(image, "more than half of the pixels hold no number")
    if not finite.all():
        image = np.where(finite, image, np.float32(np.median(image[finite])))
    rest = image - _median_of_seven(_median_of_seven(image, 1), 0)
    noise = _local_noise(rest)
    if noise is None:
        return _no_defects(image, "the image holds no noise at all: it was processed, or is no exposure")
    score = rest / noise
    bad = (np.abs(score) > threshold) | ~finite
    rows, columns = _bad_lines(score, bad), _bad_lines(score.T, bad.T)
    in_line = np.zeros(image.shape, dtype=bool)
    in_line[list(rows), :] = True
    in_line[:, list(columns)] = True
    single = bad & ~in_line
    labels, groups = ndimage.label(single, structure=np.ones((3, 3)))
    sizes = np.sort(np.bincount(labels.ravel())[1:])[::-1] if groups else np.empty(0, dtype=int)
    mask = bad | in_line
    places = np.argwhere(single)
    low = (rest[single] < 0) | ~finite[single]
    share = float(single.mean())
    doubts = [f"{100 * share:.1f} % of the pixels stand out: this is no even field"] if share > _MOST_BAD else []
    status: Status = "suspect" if doubts else "ok"
    reason = "; ".join(doubts)

    def measured(name: str, value: float, unit: str = "1") -> Measured:
        return Measured(name, value, unit, None, status, reason, DEFECT_METHOD)

    clusters = tuple(int(size) for size in sizes if size > 1)
    return Defects(
        mask=mask,
        dead=places[low],
        hot=places[~low],
        rows=rows,
        columns=columns,
        clusters=clusters,
        count=measured("defective_pixels", float(single.sum())),
        fraction=measured("defective_fraction", 100.0 * float(mask.mean()), "%"),
        line_count=measured("defective_lines", float(len(rows) + len(columns))),
        largest_cluster=measured("largest_cluster", float(clusters[0] if clusters else min(int(single.sum()), 1))),
        status=status,
        reason=reason,
    )


def lag(dark: ArrayLike, exposed: ArrayLike, after: Sequence[ArrayLike], *, gain_drift_percent: float = 0.0) -> Lag:
    """Additive lag of a detector.

    Parameters
    ----------
    dark : array_like, shape (rows, columns)
        Region of a frame before the exposure.
    exposed : array_like, shape (rows, columns)
        The region in the exposed frame (the last of them), linearised.
    after : sequence of array_like
        The region in the frames that follow, unexposed.
    gain_drift_percent : float
        Standard uncertainty of the detector's gain between the frames.

    Returns
    -------
    Lag

    Raises
    ------
    ValueError
        If the regions differ in shape or there is no frame after the exposure.

    Notes
    -----
    ``lag_n = 100 · (<after_n> − <dark>)/(<exposed> − <dark>)``, from pixel by pixel differences, so that the dark
    image's structure cancels.

    References
    ----------
    IEC 62220-1-3:2008, annex A; Siewerdsen & Jaffray, Med. Phys. 26 (1999) 1624.

    Examples
    --------
    >>> import numpy as np
    >>> dark = np.full((50, 50), 100.0)
    >>> lag(dark, dark + 5000.0, [dark + 50.0, dark + 10.0]).frames_percent.tolist()
    [1.0, 0.2]
    """
    before, full = as_floats(as_image(dark)), as_floats(as_image(exposed))
    frames = [as_floats(as_image(frame)) for frame in after]
    if not frames or any(frame.shape != before.shape for frame in [full, *frames]):
        raise ValueError("the same region of a dark, an exposed and at least one following frame is wanted")
    empty = np.empty(0)
    chosen = np.isfinite(before) & np.isfinite(full)
    for frame in frames:
        chosen &= np.isfinite(frame)
    if chosen.sum() < 25:
        return Lag(
            not_measurable("lag", "%", "fewer than 25 pixels hold a number in every frame", method=LAG_METHOD),
            empty,
            empty,
        )
    count = int(chosen.sum())
    rise, rise_error = _mean_difference(full, before, chosen)
    if rise <= 5 * rise_error or rise <= 0:
        reason = "the exposed frame does not stand above the dark one"
        return Lag(not_measurable("lag", "%", reason, method=LAG_METHOD), empty, empty)
    left = [_mean_difference(frame, before, chosen) for frame in frames]
    values = np.array([100.0 * one / rise for one, _ in left])
    errors = np.array([100.0 * math.hypot(error / rise, one * rise_error / rise**2) for one, error in left])
    errors = np.hypot(errors, np.abs(values) * gain_drift_percent / 100.0)
    measured = Measured(
        "lag", float(values[0]), "%", float(errors[0]), method=LAG_METHOD,
        details={"frames_percent": values.tolist(), "pixels": count},
    )  # fmt: skip
    if values[0] < -4 * errors[0]:
        measured = measured.doubt(
            "the frame after the exposure is darker than the dark one: lag was corrected for, or the order is wrong"
        )
    elif values[0] > 50:
        measured = measured.doubt("more than half of the signal is left: is this frame exposed too?")
    elif values.size > 1 and values[1:].max() > values[0] + 4 * float(np.hypot(errors[0], errors.max())):
        measured = measured.doubt("the signal grows after the exposure: are the frames in order?")
    return Lag(measured, values, errors)


def _mean_difference(one: Floats, other: Floats, chosen: NDArray[np.bool_]) -> tuple[float, float]:
    difference = one[chosen] - other[chosen]
    return float(difference.mean()), float(difference.std()) / math.sqrt(difference.size)


def _median_of_seven(image: Singles, axis: int) -> Singles:
    """Median over seven neighbours along an axis, the image mirrored at its rim.

    Thirteen exchanges (a sorting network that keeps the middle only), each done for a band of rows at once: with seven
    values that is several times as fast as sorting them pixel by pixel.
    """
    reach = _WINDOW // 2
    rows, columns = image.shape
    padded = np.pad(image, [(reach, reach) if side == axis else (0, 0) for side in (0, 1)], mode="symmetric")
    found = np.empty((rows, columns), dtype=np.float32)
    band = max(1, _BAND_PIXELS // columns)
    for top in range(0, rows, band):
        below = min(top + band, rows)
        shifts = [(k, 0) if axis == 0 else (0, k) for k in range(_WINDOW)]
        values = [padded[top + down : below + down, right : right + columns] for down, right in shifts]
        for one, other in _EXCHANGES:
            low, high = values[one], values[other]
            values[one], values[other] = np.minimum(low, high), np.maximum(low, high)
        found[top:below] = values[reach]
    return found


def _local_noise(rest: Singles) -> Singles | None:
    """1.4826 × median absolute residual in tiles, interpolated to every pixel; None where there is none."""
    edges = [np.linspace(0, size, max(size // _TILE, 1) + 1).astype(int) for size in rest.shape]
    size_rows, size_columns = (int(np.diff(edge).min()) for edge in edges)
    # Tiles of one size, as the smallest is: a line or two of the larger ones stand aside.
    rows = (edges[0][:-1, None] + np.arange(size_rows)).ravel()
    tiles = np.empty((edges[0].size - 1, edges[1].size - 1))
    columns = (edges[1][:-1, None] + np.arange(size_columns)).ravel()
    for index, band in enumerate(rows.reshape(-1, size_rows)):
        part = np.abs(rest[band][:, columns]).reshape(size_rows, -1, size_columns)
        tiles[index] = np.median(part.transpose(1, 0, 2).reshape(part.shape[1], -1), axis=1)
    typical = float(np.median(tiles))
    if typical <= 0:
        return None
    tiles = ndimage.median_filter(np.clip(tiles, 0.2 * typical, None), 3, mode="nearest")
    down, across = (_interpolation(size, edge) for size, edge in zip(rest.shape, edges, strict=True))
    return np.asarray(down @ (1.4826 * tiles).astype(np.float32) @ across.T)


def _interpolation(size: int, edges: NDArray[np.int_]) -> Singles:
    """Weights (pixels × tiles) of straight lines between the middles of the tiles."""
    count = edges.size - 1
    at = np.interp(np.arange(size) + 0.5, 0.5 * (edges[1:] + edges[:-1]), np.arange(count))
    return np.asarray(np.clip(1.0 - np.abs(at[:, None] - np.arange(count)), 0.0, None), dtype=np.float32)


def _bad_lines(score: Singles, bad: NDArray[np.bool_]) -> tuple[int, ...]:
    """Rows that are defective in whole or in a good part."""
    # With many of a line's pixels gone, the column-wise clipped mean of what is left says little: count them.
    found = bad.mean(axis=1) > _LINE_SHARE
    clipped = np.clip(score, -_CLIP, _CLIP)
    length = score.shape[1]
    reach = 2 * (_WINDOW // 2) + 1
    for parts in (1, 4):
        for start, stop in zip(
            *(np.linspace(0, length, parts + 1).astype(int)[at] for at in (slice(None, -1), slice(1, None))),
            strict=True,
        ):
            means = clipped[:, start:stop].mean(axis=1)
            means = means - ndimage.median_filter(means, 9, mode="nearest")
            scale = max(1.4826 * float(np.median(np.abs(means))), 0.5 / math.sqrt(stop - start))
            strongest = ndimage.maximum_filter1d(np.abs(means), reach, mode="nearest")
            found |= (np.abs(means) > _LINE_SIGNIFICANT * scale) & (np.abs(means) > _LINE_SHADOW * strongest)
    return tuple(int(row) for row in np.flatnonzero(found))


def _no_defects(image: Singles, reason: str) -> Defects:
    none = np.empty((0, 2), dtype=np.intp)
    names = (("defective_pixels", "1"), ("defective_fraction", "%"), ("defective_lines", "1"), ("largest_cluster", "1"))
    count, fraction, lines, cluster = [not_measurable(name, unit, reason, method=DEFECT_METHOD) for name, unit in names]
    mask = np.zeros(image.shape, dtype=bool)
    return Defects(mask, none, none, (), (), (), count, fraction, lines, cluster, "not_measurable", reason)
