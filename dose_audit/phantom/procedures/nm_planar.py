"""Planar gamma camera images: NEMA uniformity of floods, pixel size and width of lines, modulation of quadrant bars."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import cos, log, pi, radians, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.image_quality.bars import BarGroup, bar_mtf_curve
from dose_audit.image_quality.nema import NemaUniformity, nema_uniformity
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.nm_bars import Quadrant, quadrants
from dose_audit.phantom.locate.nm_field import Lit, fullest_frame, lit_field
from dose_audit.phantom.locate.nm_lines import Pair, line_pairs
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, result
from dose_audit.phantom.procedures.xray_values import frame_roi, named
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["lines", "quadrant_bars", "uniformity"]

Floats = NDArray[np.float64]
_ROUND = 0.83  # area over bounding box, below which a field is a circle
# Share of a field's pixels with the very largest value from which they are clipped; of counts it is some pixels.
_CLIPPED = 0.02
# Variance of neighbours over that of counts, below which pixels are no plain counts, and from which a common factor tells.
_LEAST_CHANCE, _MOST_CHANCE = 0.5, 1.5
# Of the lit field without its two outermost blocks: what the edge rules may leave out, and what may be lit beside it.
_LOST, _BESIDE = 0.01, 0.05
_LINE_METHOD = "NEMA NU 1: peaks of the profile across the lines; half maximum by straight lines between pixels"


def uniformity(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Integral and differential uniformity in the useful and the central field, and the counts of the flood.

    Of an object with a frame for each head or energy window each is measured: ``<name>_head2_integral_ufov``.
    """
    labels = _labels(bench)
    for frame, label in enumerate(labels):
        yield from _frame_uniformity(bench, measure, frame, label)


def _labels(bench: Workbench) -> list[str]:
    """What tells the frames apart: head, energy window, both, or only their number; nothing for a single one."""
    count = len(bench.series.frames)
    if count == 1:
        return [""]
    numbers = bench.series.frames
    vectors: dict[str, list[int]] = {}
    for text, keyword in (("head", "DetectorVector"), ("window", "EnergyWindowVector")):
        sent = bench.header(keyword)
        own = list(sent) if isinstance(sent, list | tuple) or type(sent).__name__ == "MultiValue" else []
        if all(one.frame_number <= len(own) for one in numbers):
            vectors[text] = [int(own[one.frame_number - 1]) for one in numbers]
    for chosen in (("head",), ("window",), ("head", "window")):
        if all(text in vectors for text in chosen):
            labels = ["_".join(f"{text}{vectors[text][k]}" for text in chosen) for k in range(count)]
            if len(set(labels)) == count:
                return labels
    return [f"frame{k + 1}" for k in range(count)]


def _frame_uniformity(bench: Workbench, measure: Measure, frame: int, label: str) -> Iterable[PhantomMeasurement]:
    image = bench.series.image(frame)
    lit = lit_field(bench, frame)
    field = measure.settings.get("ufov_mm")
    found = nema_uniformity(
        image,
        bench.spacing_mm,
        ufov_mm=(float(field[0]), float(field[1])) if field else None,
        shape="circle" if lit is not None and lit.solidity < _ROUND else "rectangle",
    )
    rois = []
    for mask, text in ((found.ufov, "UFOV"), (found.cfov, "CFOV")):
        if mask.any():
            factors = _factors(bench, found)
            rois.append(Roi("polygon", _border(mask, _first_pixels(bench, factors), factors), frame=frame, label=text))
    before, after = (f"{label}_", f", {label.replace('_', ', ')}") if label else ("", "")
    values = [
        (found.integral_ufov, f"{before}integral_ufov", f"Integral uniformity, useful field{after}"),
        (found.differential_ufov, f"{before}differential_ufov", f"Differential uniformity, useful field{after}"),
        (found.integral_cfov, f"{before}integral_cfov", f"Integral uniformity, central field{after}"),
        (found.differential_cfov, f"{before}differential_cfov", f"Differential uniformity, central field{after}"),
        (found.mean_counts, f"{before}counts", f"Counts of a central pixel{after}"),
    ]
    reasons = [] if lit is None else [*_no_plain_counts(image, lit, bool(field)), *_left_out(bench, lit, found)]
    yield from named(values, measure, tuple(rois), *reasons)


def _border(mask: NDArray[np.bool_], first: list[int], factors: list[int]) -> tuple[tuple[float, float], ...]:
    """Corners of a field without gaps in a row, in pixels of the image: down on its left, up on its right."""
    lines = np.flatnonzero(mask.any(axis=1))
    corners: list[tuple[float, float]] = []
    for ends, order in ((mask.argmax(axis=1), lines), (mask.shape[1] - mask[:, ::-1].argmax(axis=1), lines[::-1])):
        down = order[0] <= order[-1] and order is lines
        for line in order:
            column = first[1] + int(ends[line]) * factors[1] - 0.5
            for row in (line, line + 1) if down else (line + 1, line):
                corners.append((first[0] + int(row) * factors[0] - 0.5, column))
    return tuple(
        one
        for before, one, after in zip([corners[-1], *corners], corners, [*corners[1:], corners[0]], strict=False)
        if not (before[0] == one[0] == after[0] or before[1] == one[1] == after[1])
    )


def _left_out(bench: Workbench, lit: Lit, found: NemaUniformity) -> list[str]:
    """Why the useful field is not all of the lit one: a cold place that reaches the border is taken for the edge."""
    if lit.apart > _BESIDE:
        return ["the lit field is in parts: only the largest was measured"]
    factors = _factors(bench, found)
    inner = ndimage.binary_erosion(lit.mask, np.ones([2 * round(2.5 * one) + 1 for one in factors]))
    places = [
        start + np.arange(blocks) * factor + factor // 2
        for start, blocks, factor in zip(_first_pixels(bench, factors), found.ufov.shape, factors, strict=True)
    ]
    wanted = inner[np.ix_(*places)]
    lost = float((wanted & ~found.ufov).sum()) / max(int(wanted.sum()), 1)
    if found.ufov.any() and lost > _LOST:
        return [f"the edge rules left out {100 * lost:.0f} % of the field: a cold place reaches its border"]
    return []


def _factors(bench: Workbench, found: NemaUniformity) -> list[int]:
    """Rows and columns of pixels that were summed to one of the useful field's."""
    return [round(pixel / step) for pixel, step in zip(found.pixel_mm, bench.spacing_mm, strict=True)]


def _first_pixels(bench: Workbench, factors: list[int]) -> list[int]:
    """Where the sums begin: pixels that do not fill a block are left out on both sides."""
    return [(size % factor) // 2 for size, factor in zip(bench.series.shape, factors, strict=True)]


def _no_plain_counts(image: NDArray[np.float32], lit: Lit, field_given: bool) -> list[str]:
    """Why the pixels do not tell the camera's uniformity, as far as they themselves show it."""
    reasons = []
    inside = image[lit.mask]
    top = float(inside.max())
    if float((inside == top).mean()) > _CLIPPED and top > inside.min():
        reasons.append(
            f"{100 * float((inside == top).mean()):.0f} % of the pixels have the largest value: counts are clipped"
        )
    if not lit.bounded and not field_given:
        reasons.append("the field reaches the border of the image: its edge is not seen")
    chance = _chance(image, ndimage.binary_erosion(lit.mask, iterations=3))
    if chance is not None:
        if chance < _LEAST_CHANCE:
            reasons.append(f"neighbouring pixels differ by {chance:.2f} of the variance of counts: scaled or filtered")
        factor = _common_factor(inside)
        if chance > _MOST_CHANCE and factor > 1.0:
            reasons.append(f"all pixels are multiples of {factor:g}: counts were multiplied before they were stored")
    return reasons


def _chance(image: NDArray[Any], even: NDArray[np.bool_]) -> float | None:
    """Variance of neighbouring pixels in an even part over that of counts; 1 for counts as they were counted."""
    apart = [
        np.diff(image, axis=axis)[np.minimum(*pair)]
        for axis, pair in ((0, (even[1:], even[:-1])), (1, (even[:, 1:], even[:, :-1])))
    ]
    mean = float(image[even].mean()) if even.any() else 0.0
    if not mean > 0 or min(one.size for one in apart) <= 100:
        return None
    return min(float(np.mean(np.square(one, dtype=np.float64))) for one in apart) / (2.0 * mean)


def _common_factor(values: NDArray[np.float32]) -> float:
    """The largest whole number that divides every pixel; 1 where one does not, or where they are no whole numbers."""
    whole = np.round(values).astype(np.int64)
    return float(np.gcd.reduce(whole)) if np.array_equal(whole, values) else 1.0


def lines(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Pixel size along rows and columns from the lines' known distance, and their full width at half maximum."""
    nominal = float(definition.body["separation_mm"])
    pairs = {pair.axis: pair for pair in line_pairs(bench)}
    for axis, text in ((1, "x"), (0, "y")):
        pair = pairs.get(axis)
        if pair is None:
            if int(definition.body.get("pairs", 2)) == 2:
                reason = "no pair of lines across this direction"
                yield absent(f"{measure.name}_pixel_{text}", "mm", reason, measure, title=f"Pixel size along {text}")
            continue
        yield from _pair_values(bench, pair, text, nominal, measure)


def _pair_values(
    bench: Workbench, pair: Pair, text: str, nominal: float, measure: Measure
) -> Iterable[PhantomMeasurement]:
    lean = cos(radians(pair.tilt_deg))
    apart = (pair.places_px[1] - pair.places_px[0]) * lean
    pixel = nominal / apart
    sent = bench.spacing_mm[pair.axis]
    # A phantom's lines are true to about 0.2 mm, a peak to about a twentieth of a pixel.
    spread = pixel * sqrt((0.2 / nominal) ** 2 + (0.07 / apart) ** 2)
    frame = fullest_frame(bench)
    outline = tuple(replace(_line_roi(pair, place), frame=frame) for place in pair.places_px)
    size = Measured("pixel", pixel, "mm", spread, method=_LINE_METHOD)
    error = Measured("error", 100 * (pixel / sent - 1), "%", 100 * spread / sent, method=_LINE_METHOD)
    values = [
        (size, f"pixel_{text}", f"Pixel size along {text}"),
        (error, f"pixel_error_{text}", f"Measured pixel size along {text} against the header"),
    ]
    widths = [_fwhm(pair.profile, place) for place in pair.places_px]
    name = f"fwhm_{text}"
    if None in widths:
        values.append(
            (not_measurable(name, "mm", "a line has no half maximum on both sides"), name, "Width of the lines")
        )
    else:
        found = [w * lean * pixel for w in widths if w is not None]
        mean = sum(found) / 2
        width = Measured(name, mean, "mm", max(abs(found[0] - found[1]) / 2, 0.02 * mean), method=_LINE_METHOD)
        if mean < 2.5 * pixel:
            width = width.doubt("the lines are narrower than 2.5 pixels")
        values.append((width, name, f"Full width at half maximum across the lines, along {text}"))
    yield from named(values, measure, outline)


def _fwhm(profile: Floats, place: float) -> float | None:
    """Full width at half maximum in pixels, the peak by a parabola as NEMA has it."""
    at = int(np.clip(round(place), 1, profile.size - 2))
    at += int(np.argmax(profile[at - 1 : at + 2])) - 1
    if not 1 <= at <= profile.size - 2:
        return None
    ground = float(np.median(profile))
    before, middle, after = (float(profile[at + k]) - ground for k in (-1, 0, 1))
    bend = before - 2 * middle + after
    top = middle - (before - after) ** 2 / (8 * bend) if bend < 0 else middle
    ends = []
    for step in (-1, 1):
        k = at
        while 0 < k < profile.size - 1 and profile[k] - ground > top / 2:
            k += step
        inner, outer = float(profile[k - step]) - ground, float(profile[k]) - ground
        if outer > top / 2 or inner == outer:
            return None
        ends.append(k - step + step * (inner - top / 2) / (inner - outer))
    return float(ends[1] - ends[0])


def _line_roi(pair: Pair, place: float) -> Roi:
    ends = (float(pair.band[0]), float(pair.band[1] - 1))
    points = tuple((end, place) if pair.axis == 1 else (place, end) for end in ends)
    return Roi("line", points, label="line")


def quadrant_bars(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Modulation of each quadrant by the variance method, ``<name>_mtf.<quadrant>``, bar width, and resolution.

    The bars' own pitch is measured; open level is that of the field beside the bars, and the lead's follows from the
    mean of the pattern, in which bars and gaps are of equal width.
    """
    frame = fullest_frame(bench)
    found = quadrants(bench, frame)
    names = ("upper_left", "upper_right", "lower_left", "lower_right")
    image = np.asarray(bench.series.image(frame), dtype=np.float64)
    seen = [(name, one) for name, one in zip(names, found, strict=True) if one.strength > 12.0]
    for name, one in zip(names, found, strict=True):
        if one.strength <= 12.0:
            text = name.replace("_", " ")
            reason = "no bars stand out of the noise"
            yield absent(f"{measure.name}_mtf.{name}", "1", reason, measure, title=f"Modulation, {text}")
    if not seen:
        return
    parts = {name: image[one.rows[0] : one.rows[1], one.columns[0] : one.columns[1]] for name, one in seen}
    level = _open_level(bench, image, max(float(part.mean()) for part in parts.values()))
    if level is None:
        for name, _ in seen:
            reason = "no field without bars is seen beside them: their full contrast is not known"
            yield absent(f"{measure.name}_mtf.{name}", "1", reason, measure, title="Modulation")
        return
    gap, open_field = level
    lead = 2 * float(np.mean([part.mean() for part in parts.values()])) - gap
    random = np.random.default_rng(0)
    solids = [random.poisson(max(level, 0.0), (60, 60)).astype(float) for level in (lead, gap)]
    solids = [solid - solid.mean() + level for solid, level in zip(solids, (lead, gap), strict=True)]
    doubt = (
        "the lead's level comes out below zero: the open field beside the bars is not that in the gaps"
        if lead < -0.05 * gap
        else ""
    )
    chance = _chance(image, open_field)
    if chance is not None and not _LEAST_CHANCE <= chance <= _MOST_CHANCE:
        # A factor shifts what noise adds to the variance; a curve bends the modulation itself.
        said = f"pixels beside the bars differ by {chance:.2g} of the variance of counts: they are no plain counts"
        doubt = f"{doubt}; {said}" if doubt else said
    order = sorted(seen, key=lambda entry: entry[1].frequency_per_mm)
    values = bar_mtf_curve(
        [BarGroup(one.frequency_per_mm, parts[name]) for name, one in order],
        solids[0],
        solids[1],
        min(bench.spacing_mm),
    )
    for (name, one), value in zip(order, values, strict=True):
        outline = replace(frame_roi(one.rows, one.columns, f"{0.5 / one.frequency_per_mm:.2f} mm"), frame=frame)
        text = name.replace("_", " ")
        width = 0.5 / one.frequency_per_mm
        bars = Measured("bar", width, "mm", 0.01 * width, method="peak of the spectrum of the quadrant")
        rows = [
            (replace(value, details={**value.details, "bar_mm": width}), f"mtf.{name}", f"Modulation, {text}"),
            (bars, f"bar.{name}", f"Width of the bars, {text}"),
        ]
        yield from named(rows[:1], measure, (outline,), doubt)
        # A pitch is the same on any scale of values.
        yield from named(rows[1:], measure, (outline,))
    yield result(
        _resolution(order, list(values), f"{measure.name}_fwhm", doubt),
        measure,
        title="Resolution from the bars (FWHM)",
    )


def _open_level(bench: Workbench, image: Floats, pattern: float) -> tuple[float, NDArray[np.bool_]] | None:
    """Counts of the field where there are no bars, and where that is."""
    lit = lit_field(bench, fullest_frame(bench))
    if lit is None:
        return None
    smooth = ndimage.gaussian_filter(image, [4.0 / step for step in bench.spacing_mm])
    inner = ndimage.binary_erosion(lit.mask, iterations=max(1, round(12.0 / min(bench.spacing_mm))))
    bright = inner & (smooth > 1.25 * pattern)
    if bright.sum() * bench.spacing_mm[0] * bench.spacing_mm[1] < 500.0:
        return None
    top = float(np.median(smooth[bright]))
    even = bright & (smooth > 0.93 * top)
    return float(np.median(smooth[even])), even


def _resolution(order: list[tuple[str, Quadrant]], values: list[Measured], name: str, doubt: str) -> Measured:
    """FWHM of the Gaussian with the modulation of the quadrant that tells it best."""
    method = "FWHM = 2.3548 sqrt(-ln(MTF)/2)/(pi f) at the quadrant whose modulation is nearest to 0.4"
    usable = [
        (abs(value.value - 0.4), one.frequency_per_mm, value)
        for (_, one), value in zip(order, values, strict=True)
        if value.status == "ok" and value.value is not None and 0.05 < value.value < 0.95
    ]
    if not usable:
        return not_measurable(name, "mm", "no quadrant has a modulation between 5 and 95 %", method=method)
    _, frequency, best = min(usable, key=lambda entry: entry[0])
    assert best.value is not None
    sigma = sqrt(-log(best.value) / 2) / (pi * frequency)
    spread = 2.3548 * sigma * (best.uncertainty or 0.0) / (2 * best.value * -log(best.value))
    found = Measured(name, 2.3548 * sigma, "mm", spread, method=method)
    return found.doubt(doubt) if doubt else found
