"""Signal of a uniform MR section: signal-to-noise ratio, integral and fractional uniformity, ghosting."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality import (
    BodyOutline,
    disc_mask,
    fractional_uniformity,
    percent_integral_uniformity,
    percent_signal_ghosting,
    rectangle_mask,
    snr_single_image,
    snr_smoothed,
    snr_two_images,
)
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.mr_looks import looks, outline_at
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, module_plane, result
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.series import ImageSeries
from dose_audit.phantom.workbench import Workbench

__all__ = ["fractional", "ghosting", "integral_uniformity", "snr"]

Floats = NDArray[np.float64]
# Two scans of an unmoved phantom agree in their local means; uncombined channels or another weighting do not.
_SAME_WITHIN = 0.03
_LEAST_TILE = 20
_GHOST_APART = 0.65  # per cent; leakage and Rician noise of sound images stay below
_SAME_HEADER = (
    "RepetitionTime",
    "EchoTime",
    "FlipAngle",
    "SliceThickness",
    "Manufacturer",
    "ReceiveCoilName",
    "ImageType",
)


def _outline(bench: Workbench, pose: Pose, definition: Definition, plane: Plane) -> BodyOutline:
    """Outline of the frame; sought near the given size where the definition has one."""
    nominal = definition.body.get("diameter_mm")
    if nominal is None:
        return looks(bench)[plane.frame].outline
    return bench.once(
        f"mr outline {plane.frame}",
        lambda: outline_at(bench, plane.frame, pose.centre_at(plane.z_mm), 0.5 * float(nominal) * pose.scale),
    )


def _prepared(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> tuple[Plane, BodyOutline, tuple[float, float], float] | str:
    """Plane, outline, its centre and least half axis, or why there is none."""
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    if isinstance(plane, str):
        return plane
    outline = _outline(bench, pose, definition, plane)
    if outline.centre_px is None or outline.semi_axes_mm is None:
        return f"the outline of the phantom was not found: {outline.diameter.reason}"
    return plane, outline, outline.centre_px, min(outline.semi_axes_mm)


def _disc(centre: tuple[float, float], radius_mm: float, bench: Workbench, plane: Plane, label: str) -> Roi:
    spacing = bench.spacing_mm
    return Roi("circle", (centre,), (radius_mm / spacing[0], radius_mm / spacing[1]), plane.frame, label)


def snr(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Signal-to-noise ratio by every method the images allow, the best of them first.

    Two scans give it by their difference; one scan by what a smoothing takes away, and by the noise of air. ``snr`` is
    the first of these against which nothing speaks. With ``normalise`` it is also given for a voxel of 1 ml, a bandwidth
    of 30 kHz and one second of acquisition.
    """
    title = "Signal-to-noise ratio"
    ready = _prepared(bench, pose, definition, measure)
    if isinstance(ready, str):
        yield absent(measure.name, "1", ready, measure, title=title)
        return
    plane, _, centre, half = ready
    image, spacing = plane.image, bench.spacing_mm
    radius = math.sqrt(float(measure.settings.get("area_share", 0.75))) * half
    mask = disc_mask(image.shape, centre, radius, spacing)
    circle = _disc(centre, radius, bench, plane, "signal")
    side = radius * math.sqrt(2.0) * 0.9
    rows, columns = (
        slice(max(0, math.ceil(at - 0.5 * side / step)), math.floor(at + 0.5 * side / step) + 1)
        for at, step in zip(centre, spacing, strict=True)
    )
    smoothed = _smoothed(np.asarray(image[rows, columns], dtype=float))
    corners, squares = _corners(bench, plane, half, centre)
    if corners is None:
        air = not_measurable("snr", "1", "no corner of the image is free of the phantom")
    else:
        air = snr_single_image(np.where(mask, image, np.nan), np.where(corners, image, np.nan))
    given = measure.settings.get("squares_mm")
    squares_mm = (float(given[0]), float(given[1])) if given else None
    two = _two(bench, plane, mask, centre, squares_mm)
    candidates = [one for one in (two, smoothed, air) if one is not None]
    best = next((one for one in candidates if one.usable), candidates[0])
    if best is air and two is None and smoothed.value is not None and smoothed.status == "suspect":
        best = replace(best, details={**best.details, "smoothed": smoothed.value})
    shown = (circle, *squares) if best is air else (circle,)
    yield result(replace(best, name=measure.name), measure, title=f"{title} ({_words(best, two, air)})", rois=shown)
    yield result(
        replace(smoothed, name=f"{measure.name}_smoothed"),
        measure,
        title=f"{title}, one image, smoothing",
        rois=(Roi("polygon", _corners_of(rows, columns), frame=plane.frame),),
    )
    yield result(
        replace(air, name=f"{measure.name}_air"), measure, title=f"{title}, noise of air", rois=(circle, *squares)
    )
    if measure.settings.get("normalise"):
        yield _normalised(bench, best, measure)


def _smoothed(region: Floats) -> Measured:
    """Median of nine tiles, so that a bubble, a mark or an insert in one of them is no noise."""
    tiles = [part for band in np.array_split(region, 3, axis=0) for part in np.array_split(band, 3, axis=1)]
    if min(min(tile.shape) for tile in tiles) < _LEAST_TILE:
        return snr_smoothed(region)
    single = [snr_smoothed(tile) for tile in tiles]
    known = sorted((one for one in single if one.value is not None), key=lambda one: one.value or 0.0)
    if len(known) < len(tiles) // 2 + 1:
        return next(one for one in single if one.value is None)
    median = known[len(known) // 2]
    spread = 1.25 * (median.uncertainty or 0.0) / math.sqrt(len(known))
    doubtful = [one for one in known if one.status != "ok"]
    plain = replace(median, status="ok", reason="", uncertainty=spread, method=f"{median.method}, median of nine tiles")
    if 2 * len(doubtful) > len(known):
        return plain.doubt(doubtful[0].reason)
    return plain


def _words(best: Measured, two: Measured | None, air: Measured) -> str:
    if best is two:
        return "two images"
    return "noise of air" if best is air else "one image, smoothing"


def _corners_of(rows: slice, columns: slice) -> tuple[tuple[float, float], ...]:
    return (
        (rows.start, columns.start),
        (rows.start, columns.stop - 1),
        (rows.stop - 1, columns.stop - 1),
        (rows.stop - 1, columns.start),
    )


def _corners(
    bench: Workbench, plane: Plane, half_mm: float, centre: tuple[float, float]
) -> tuple[NDArray[np.bool_] | None, tuple[Roi, ...]]:
    """Squares in the image's corners, off the axes along which ghosts lie; the quietest and those like it."""
    image, spacing = plane.image, bench.spacing_mm
    rows, columns = image.shape
    side, edge = 14.0, 4.0
    found = []
    for row in (0, rows - 1):
        for column in (0, columns - 1):
            at = (
                abs(row - (edge + 0.5 * side) / spacing[0]),
                abs(column - (edge + 0.5 * side) / spacing[1]),
            )
            away = math.hypot((at[0] - centre[0]) * spacing[0], (at[1] - centre[1]) * spacing[1])
            if away < half_mm + side:
                continue
            square = rectangle_mask(image.shape, at, (side, side), spacing)
            values = image[square]
            if values.size >= 30:
                found.append((float(values.std()), square, at))
    noisy = [one for one in found if one[0] > 0]
    if not noisy:
        return (found[0][1], ()) if found else (None, ())
    quietest = min(one[0] for one in noisy)
    chosen = [one for one in noisy if one[0] <= 1.3 * quietest]
    mask = np.any([one[1] for one in chosen], axis=0)
    boxes = tuple(
        Roi(
            "polygon",
            _corners_of(
                *(
                    slice(round(a - 0.5 * side / s), round(a + 0.5 * side / s) + 1)
                    for a, s in zip(at, spacing, strict=True)
                )
            ),
            frame=plane.frame,
            label="air",
        )
        for _, _, at in chosen
    )
    return mask, boxes


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
    rows, columns = bench.series.shape
    spacing = bench.spacing_mm
    voxel_ml = 0.001 * spacing[0] * spacing[1] * thickness
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


def integral_uniformity(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """Percent integral uniformity over ``area_cm2`` (or ``area_share`` of the section), ``offset_mm`` away from the notch."""
    title = "Percent integral uniformity"
    ready = _prepared(bench, pose, definition, measure)
    if isinstance(ready, str):
        yield absent(measure.name, "%", ready, measure, title=title)
        return
    plane, _, centre, half = ready
    settings = measure.settings
    area = float(settings["area_cm2"]) if "area_cm2" in settings else 0.0
    if not area:
        area = float(settings.get("area_share", 0.75)) * math.pi * half**2 / 100.0
    down = float(settings.get("lower_mm", 0.0))
    radius = math.sqrt(100.0 * area / math.pi)
    if radius + down > half:
        yield absent(
            measure.name, "%", f"a region of {area:.0f} cm² does not fit into the section", measure, title=title
        )
        return
    turn = math.radians(pose.angle_on_screen(90.0))
    place = (
        centre[0] + down * math.sin(turn) / bench.spacing_mm[0],
        centre[1] + down * math.cos(turn) / bench.spacing_mm[1],
    )
    kernel = min(1.0, area / 20.0)
    found = percent_integral_uniformity(plane.image, bench.spacing_mm, place, area_cm2=area, kernel_cm2=kernel)
    rois = [_disc(place, radius, bench, plane, f"{area:.0f} cm²")]
    for label, key in (("highest", "highest_at_px"), ("lowest", "lowest_at_px")):
        at = found.details.get(key)
        if at is not None:
            small = math.sqrt(100.0 * kernel / math.pi)
            rois.append(_disc((float(at[0]), float(at[1])), small, bench, plane, label))
    yield result(replace(found, name=measure.name), measure, title=title, rois=rois)


def fractional(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Fraction of the central profile within ``tolerance`` of the middle, along rows and columns of the image."""
    ready = _prepared(bench, pose, definition, measure)
    length = float(measure.settings.get("length_mm", 160.0))
    for name, angle in (("horizontal", 0.0), ("vertical", 90.0)):
        title = f"Fractional uniformity, {name}"
        if isinstance(ready, str):
            yield absent(f"{measure.name}_{name}", "1", ready, measure, title=title)
            continue
        plane, outline, centre, _ = ready
        assert outline.semi_axes_mm is not None
        if 0.5 * length > 0.98 * min(outline.semi_axes_mm):
            reason = f"a profile of {length:g} mm does not fit into the section"
            yield absent(f"{measure.name}_{name}", "1", reason, measure, title=title)
            continue
        found = fractional_uniformity(plane.image, bench.spacing_mm, centre, length_mm=length, angle_deg=angle)
        row, column = centre
        reach = (0.0, 0.5 * length / bench.spacing_mm[1]) if angle == 0 else (0.5 * length / bench.spacing_mm[0], 0.0)
        ends = ((row - reach[0], column - reach[1]), (row + reach[0], column + reach[1]))
        line = Roi("line", ends, frame=plane.frame)
        yield result(replace(found, name=f"{measure.name}_{name}"), measure, title=title, rois=(line,))


def ghosting(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Percent signal ghosting from four ellipses between the phantom and the borders of the image."""
    title = "Percent signal ghosting"
    ready = _prepared(bench, pose, definition, measure)
    if isinstance(ready, str):
        yield absent(measure.name, "%", ready, measure, title=title)
        return
    plane, outline, _, _ = ready
    found = percent_signal_ghosting(plane.image, bench.spacing_mm, outline=outline)
    rois = []
    for side, (row, column, height, width) in found.regions.items():
        angle = np.arange(0, 2 * np.pi, np.pi / 12)
        points = tuple(
            (
                float(row + 0.5 * height / bench.spacing_mm[0] * np.sin(one)),
                float(column + 0.5 * width / bench.spacing_mm[1] * np.cos(one)),
            )
            for one in angle
        )
        rois.append(Roi("polygon", points, frame=plane.frame, label=side))
    psg = found.psg
    level = _ghost_level(
        bench, plane, outline, {side: roi.mean for side, roi in found.background.items()}, found.signal
    )
    if psg.value is not None and level.value is not None and level.value - psg.value > _GHOST_APART:
        psg = psg.doubt(
            f"all four regions stand above the corners of the image by {level.value:.2f} %: ghosts in both directions cancel"
        )
    yield result(replace(psg, name=measure.name), measure, title=title, rois=rois)
    yield result(
        replace(level, name=f"{measure.name}_level"), measure, title="Ghosts above the image's corners", rois=rois
    )


def _ghost_level(
    bench: Workbench, plane: Plane, outline: BodyOutline, means: dict[str, float | None], signal: Measured
) -> Measured:
    """Sum of the brighter pair of opposite regions over that of two corners, in per cent of twice the signal.

    The ratio of the ACR compares the two directions and is blind to what both have in common.
    """
    method = "100 (brighter pair of opposite regions - two corners)/(2 S)"
    if outline.centre_px is None or outline.semi_axes_mm is None or signal.value is None:
        return not_measurable("ghost_level", "%", "no phantom was found", method=method)
    corners, _ = _corners(bench, plane, max(outline.semi_axes_mm), outline.centre_px)
    known = {side: mean for side, mean in means.items() if mean is not None}
    if corners is None or len(known) < 4:
        return not_measurable("ghost_level", "%", "no corner of the image is free of the phantom", method=method)
    dark = float(plane.image[corners].mean())
    pairs = (known["top"] + known["bottom"] - 2 * dark, known["left"] + known["right"] - 2 * dark)
    return Measured("ghost_level", 100.0 * max(*pairs, 0.0) / (2.0 * signal.value), "%", method=method)
