"""Signal-to-noise ratio of a uniform MR section by every method that the images allow, and what they say of each other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.image_quality import disc_mask, noise_sd, rectangle_mask, snr_single_image, snr_smoothed, snr_two_images
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, result
from dose_audit.phantom.procedures.mr_matrix import acquired_sides_mm
from dose_audit.phantom.procedures.mr_section import Section, disc, quiet_corners, section
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.series import ImageSeries
from dose_audit.phantom.workbench import Workbench

__all__ = ["snr"]

Floats = NDArray[np.float64]
# Two scans of an unmoved phantom agree in their local means; uncombined channels or another weighting do not.
_SAME_WITHIN = 0.03
# Tiles of the section in which noise is taken each by itself: at least so many pixels apart, about so many across. What
# the boxcar's kernel loses at a tile's border is added on each side.
_LEAST_TILE, _TILES_ACROSS, _BORDER = 20, 8, 4
_FEWEST_TILES = 5
# A tile with so many times the usual noise holds a mark, a bubble or an insert.
_STRUCTURE = 1.5
_MOST_STRUCTURE = 1.0 / 3.0
# Share of the noise's variance kept by the boxcar up to which it is allowed for.
_CORRELATED = 0.12
# Noise of air that is so much lower than that in the phantom was changed after the magnitude was taken.
_APART, _APART_OF_BOUND = 0.10, 0.03
# A folded normal variable: SD over mean, and the share below half of the median (0.159 for Rayleigh).
_FOLDED_RATIO, _FOLDED_WITHIN, _FOLDED_LOW = 0.7555, 0.035, 0.21
_FOLDED_SD, _RAYLEIGH_SD = 0.60281, 0.65514
# Noise of a real-part image: about zero, and as often above as below. Rayleigh's, its mean taken off, is skewed by 0.63.
_ABOUT_ZERO, _MOST_SKEW = 0.25, 0.3
_SAME_HEADER = (
    "RepetitionTime",
    "EchoTime",
    "FlipAngle",
    "SliceThickness",
    "Manufacturer",
    "ReceiveCoilName",
    "ImageType",
)


def snr(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Signal-to-noise ratio by every method the images allow, the best of them first.

    Two scans give it by their difference; one scan by what a smoothing takes away, and by the noise of air. ``snr`` is
    the first of these against which nothing speaks. With ``normalise`` it is also given for a voxel of 1 ml, a bandwidth
    of 30 kHz and one second of acquisition.
    """
    title = "Signal-to-noise ratio"
    ready = section(bench, pose, definition, measure)
    if isinstance(ready, str):
        yield absent(measure.name, "1", ready, measure, title=title)
        return
    plane, spacing = ready.plane, bench.spacing_mm
    radius = math.sqrt(float(measure.settings.get("area_share", 0.75))) * ready.half_mm
    mask = disc_mask(plane.image.shape, ready.centre_px, radius, spacing)
    circle = disc(ready.centre_px, radius, bench, plane, "signal")
    smoothed = _smoothed(plane.image, ready.centre_px, radius, spacing)
    given = measure.settings.get("squares_mm")
    squares_mm = (float(given[0]), float(given[1])) if given else None
    two = _two(bench, plane, mask, ready.centre_px, squares_mm)
    air, folded, squares = _air(bench, ready, mask, two if two is not None and two.usable else smoothed)
    candidates = [one for one in (two, smoothed, air) if one is not None]
    best = next((one for one in candidates if one.usable), candidates[0])
    words, shown = _words(best, two, air), (circle, *squares) if best is air else (circle,)
    for doubt in (folded if best is smoothed else "", ready.doubt):
        best = best.doubt(doubt) if doubt else best
    yield result(replace(best, name=measure.name), measure, title=f"{title} ({words})", rois=shown)
    yield result(
        replace(smoothed, name=f"{measure.name}_smoothed"),
        measure,
        title=f"{title}, one image, smoothing",
        rois=(circle,),
    )
    yield result(
        replace(air, name=f"{measure.name}_air"), measure, title=f"{title}, noise of air", rois=(circle, *squares)
    )
    if measure.settings.get("normalise"):
        yield _normalised(bench, best, measure)


def _words(best: Measured, two: Measured | None, air: Measured) -> str:
    if best is two:
        return "two images"
    return "noise of air" if best is air else "one image, smoothing"


def _smoothed(
    image: NDArray[np.float32], centre: tuple[float, float], radius_mm: float, spacing: tuple[float, float]
) -> Measured:
    """Over tiles of the disc without those that hold more than noise: a mark, a bubble, an insert, writing."""
    steps = [max(_LEAST_TILE, math.ceil(2 * radius_mm / one / _TILES_ACROSS)) for one in spacing]
    half = [radius_mm / one for one in spacing]
    tiles = []
    for row in _starts(centre[0], half[0], steps[0]):
        for column in _starts(centre[1], half[1], steps[1]):
            ends = (
                (row, column),
                (row + steps[0], column),
                (row, column + steps[1]),
                (row + steps[0], column + steps[1]),
            )
            if all(math.hypot((r - centre[0]) / half[0], (c - centre[1]) / half[1]) <= 1.0 for r, c in ends):
                rows, columns = (
                    slice(max(0, at - _BORDER), at + step + _BORDER)
                    for at, step in zip((row, column), steps, strict=True)
                )
                tiles.append(np.asarray(image[rows, columns], dtype=float))
    if len(tiles) < _FEWEST_TILES:
        side = [math.floor(one * math.sqrt(0.5)) for one in half]
        rows, columns = (
            slice(max(0, round(at) - one), round(at) + one + 1) for at, one in zip(centre, side, strict=True)
        )
        return snr_smoothed(np.asarray(image[rows, columns], dtype=float))
    single = [(tile, one) for tile in tiles if (one := snr_smoothed(tile)).value is not None]
    if len(single) < 0.5 * len(tiles):
        return next(one for tile in tiles if (one := snr_smoothed(tile)).value is None)
    most = _STRUCTURE * float(np.median([float(one.details["noise"]) for _, one in single]))
    kept = [(tile, one) for tile, one in single if float(one.details["noise"]) <= most]
    level = float(np.mean([float(one.details["signal"]) for _, one in kept]))
    area = _correlation_area([tile for tile, _ in kept])
    # `snr_smoothed` allows for the share 1/n of white noise that the boxcar keeps; of correlated noise it keeps area/n.
    count = float((2 * _BORDER + 1) ** 2)
    passed = math.sqrt((1.0 - area / count) / (1.0 - 1.0 / count)) if area < 0.5 * count else 1.0
    own = math.sqrt(float(np.mean([float(one.details["noise"]) ** 2 for _, one in kept]))) / passed
    value = level / own
    error = value * math.sqrt(area / (2.0 * len(kept) * steps[0] * steps[1]))
    method = f"{kept[0][1].method}, {len(kept)} tiles, for noise correlated over {max(area, 1.0):.1f} pixels"
    details = {"signal": level, "noise": own, "tiles": len(tiles), "tiles_left_out": len(tiles) - len(kept)}
    found = Measured("snr", value, "1", error, method=method, details=details)
    if area > _CORRELATED * count:
        return found.doubt("the noise is correlated: the boxcar keeps part of it, and the ratio comes out too high")
    if len(kept) < (1.0 - _MOST_STRUCTURE) * len(tiles):
        return found.doubt(f"{len(tiles) - len(kept)} of {len(tiles)} tiles of the section hold more than noise")
    return found


def _correlation_area(tiles: list[Floats]) -> float:
    """Sum of the noise's correlation over neighbours up to two pixels away, 1 for white noise.

    Notes
    -----
    The residual ``r = I - boxcar(I)`` of noise with correlation ρ and sum A has, within the kernel of n pixels,
    ``cov(l) = ρ(l) - (A/n)(2 - tri(l))``; summed over 25 lags that is one linear equation for A.
    """
    side = 2 * _BORDER + 1
    inner = slice(_BORDER, -_BORDER)
    lags = range(-2, 3)
    products = np.zeros((5, 5))
    for tile in tiles:
        rest = (tile - ndimage.uniform_filter(tile, side))[inner, inner]
        rest = rest - rest.mean()
        for i, down in enumerate(lags):
            for j, right in enumerate(lags):
                here = rest[max(0, down) : rest.shape[0] + min(0, down), max(0, right) : rest.shape[1] + min(0, right)]
                there = rest[
                    max(0, -down) : rest.shape[0] - max(0, down), max(0, -right) : rest.shape[1] - max(0, right)
                ]
                products[i, j] += float((here * there).mean())
    total = float(products.sum() / products[2, 2])
    fall = 1.0 - np.abs(np.arange(-2, 3)) / side
    expected = 2.0 * products.size - float(np.outer(fall, fall).sum())
    return max(total / (1.0 + (total - expected) / side**2), 1.0)


def _starts(centre: float, half: float, step: int) -> range:
    """First pixels of tiles side by side, laid out about the centre."""
    count = int(2 * half / step)
    first = round(centre - 0.5 * count * step)
    return range(first, first + count * step, step)


def _air(
    bench: Workbench, ready: Section, mask: NDArray[np.bool_], other: Measured
) -> tuple[Measured, str, tuple[Roi, ...]]:
    """From the noise of air, with what another method says against it; and, where its law is none of air, what that means."""
    image = ready.plane.image
    corners, squares = quiet_corners(bench, ready.plane, ready.half_mm, ready.centre_px)
    if corners is None:
        return not_measurable("snr", "1", "no corner of the image is free of the phantom"), "", ()
    signal, dark = np.where(mask, image, np.nan), np.where(corners, image, np.nan)
    air = _real_part(signal, dark) if _is_real_part(image[corners]) else snr_single_image(signal, dark)
    if air.value is None:
        return air, "", squares
    # A ratio in doubt for correlated noise is an upper bound.
    more = _APART if other.status == "ok" else _APART_OF_BOUND
    limit = math.inf if other.value is None else other.value * (1.0 + more)
    fitting = air.value * _FOLDED_SD / _RAYLEIGH_SD
    if _is_folded(image[corners], air) and other.value is not None and abs(fitting / other.value - 1.0) < _APART:
        reason = (
            "the noise of air is a folded normal one, as no magnitude image has: "
            f"NEMA's factor of 0.655 gives {air.value:.1f}, the one that fits (0.603) {fitting:.1f}"
        )
        return air.doubt(reason), reason, squares
    if air.status == "ok" and air.value - (air.uncertainty or 0.0) > limit:
        air = air.doubt(
            f"in the phantom the noise is higher (ratio {other.value:.0f}): the image was normalised, combined from several "
            "channels, or filtered, and noise of air does not tell that of the signal"
        )
    return air, "", squares


def _is_real_part(values: NDArray[np.float32]) -> bool:
    """Whether noise is that of one real channel with its sign."""
    spread, middle = float(values.std()), float(values.mean())
    if not (spread > 0 and abs(middle) < _ABOUT_ZERO * spread):
        return False
    from scipy import stats  # takes a fifth of a second to load, and few images come so far

    return abs(float(stats.skew(values))) < _MOST_SKEW


def _real_part(signal: Floats, dark: Floats) -> Measured:
    """Mean over the SD of air, which in a real-part image is the noise itself: nothing of it is folded or bent."""
    noise = noise_sd(dark, unit="1")
    method = "one image: signal over the SD of air (real-part image)"
    if not noise.value:
        return not_measurable("snr", "1", noise.reason or "the air has no noise at all: it was masked", method=method)
    value = float(np.nanmean(signal)) / noise.value
    error = abs(value) * (noise.uncertainty or 0.0) / noise.value
    found = Measured("snr", value, "1", error, method=method, details={"noise": noise.value})
    return found if noise.status == "ok" else found.doubt(noise.reason)


def _is_folded(values: NDArray[np.float32], air: Measured) -> bool:
    """Whether noise is that of one real channel without its sign, as synthetic and real-part images have it."""
    ratio = air.details.get("background_ratio")
    if ratio is None or abs(float(ratio) / _FOLDED_RATIO - 1.0) > _FOLDED_WITHIN + 1.0 / math.sqrt(2.0 * values.size):
        return False
    return float((values < 0.5 * float(np.median(values))).mean()) > _FOLDED_LOW


def _two(
    bench: Workbench,
    plane: Plane,
    mask: NDArray[np.bool_],
    centre: tuple[float, float],
    squares_mm: tuple[float, float] | None,
) -> Measured | None:
    """From the first companion that is the same scan again; `None` where there is no second one."""
    own = bench.series
    for other in bench.companions:
        if not _repeated(own, other):
            continue
        second = other.image(other.nearest(plane.z_mm))
        one, two = (np.where(mask, image, np.nan).astype(float) for image in (plane.image, second))
        if not _agree(one, two):
            continue
        if squares_mm is None:
            return snr_two_images(one, two)
        return _five(plane.image, second, bench.spacing_mm, centre, squares_mm)
    return None


def _five(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    spacing: tuple[float, float],
    centre: tuple[float, float],
    squares_mm: tuple[float, float],
) -> Measured:
    """Mean of the ratios of five squares, in the middle and on the diagonals, as IPEM 112 has it."""
    side, away = squares_mm
    single = []
    for down, right in ((0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)):
        at = (centre[0] + down * away / spacing[0], centre[1] + right * away / spacing[1])
        square = rectangle_mask(first.shape, at, (side, side), spacing)
        single.append(snr_two_images(*(np.where(square, image, np.nan).astype(float) for image in (first, second))))
    lost = [one.reason for one in single if one.value is None]
    if lost:
        return not_measurable("snr", "1", lost[0], method=single[0].method)
    value = float(np.mean([one.value for one in single]))
    spread = math.sqrt(sum((one.uncertainty or 0.0) ** 2 for one in single)) / len(single)
    method = f"{single[0].method}, mean of five squares of {side:g} mm"
    mean = Measured("snr", value, "1", spread, method=method, details={"squares": [one.value for one in single]})
    doubts = sorted({one.reason for one in single if one.status != "ok"})
    return mean.doubt("; ".join(doubts)) if doubts else mean


def _repeated(own: ImageSeries, other: ImageSeries) -> bool:
    """Same plane, matrix and timing by the header."""
    if own.shape != other.shape or len(own.frames) != len(other.frames):
        return False
    if float(np.max(np.abs(own.z_mm - other.z_mm))) > 0.5:
        return False
    return all(str(own.header.get(key)) == str(other.header.get(key)) for key in _SAME_HEADER)


def _agree(one: Floats, two: Floats) -> bool:
    """Whether blocks of 8 × 8 pixels have the same means in both images, a common gain aside."""
    rows, columns = (size // 8 * 8 for size in one.shape)
    blocks = [image[:rows, :columns].reshape(rows // 8, 8, columns // 8, 8).mean(axis=(1, 3)) for image in (one, two)]
    whole = np.isfinite(blocks[0]) & np.isfinite(blocks[1])
    if whole.sum() < 9:
        return False
    a, b = blocks[0][whole], blocks[1][whole]
    if a.mean() <= 0 or b.mean() <= 0 or np.array_equal(one[np.isfinite(one)], two[np.isfinite(two)]):
        return False
    ratio = (a / a.mean()) - (b / b.mean())
    noise = float(np.nanstd(one - two)) / 8.0 / float(a.mean())
    return float(np.sqrt(np.mean(ratio**2))) < max(_SAME_WITHIN, 3.0 * noise)


def _normalised(bench: Workbench, measured: Measured, measure: Measure) -> PhantomMeasurement:
    """SNR per millilitre of voxel, for 30 kHz and one second: comparable between sequences."""
    name, title = f"{measure.name}_normalised", "Signal-to-noise ratio, normalised"
    if measured.value is None:
        return absent(name, "1", measured.reason, measure, title=title)
    found: dict[str, float] = {}
    for key in ("PixelBandwidth", "RepetitionTime", "NumberOfAverages"):
        try:
            found[key] = float(bench.header(key))
        except (TypeError, ValueError):
            return absent(name, "1", f"the header has no {key}", measure, title=title)
    thickness = bench.series.thickness_mm
    if thickness is None or min(found.values()) <= 0:
        return absent(name, "1", "thickness, bandwidth, repetition time or averages are not told", measure, title=title)
    # An image that was interpolated to a finer matrix has neither smaller voxels nor more lines.
    sides = acquired_sides_mm(bench)
    rows, columns = (
        count * own / side for count, own, side in zip(bench.series.shape, bench.spacing_mm, sides, strict=True)
    )
    voxel_ml = 0.001 * sides[0] * sides[1] * thickness
    bandwidth = math.sqrt(found["PixelBandwidth"] * columns / 2000.0 / 30.0)
    seconds = found["NumberOfAverages"] * rows * found["RepetitionTime"] / 1000.0
    factor = bandwidth / (voxel_ml * math.sqrt(seconds))
    normalised = replace(
        measured,
        name=name,
        value=measured.value * factor,
        uncertainty=None if measured.uncertainty is None else measured.uncertainty * factor,
        details={**measured.details, "factor": factor},
    )
    return result(normalised, measure, title=title)
