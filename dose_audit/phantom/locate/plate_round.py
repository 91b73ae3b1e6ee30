"""Round plates with a ring and a circle of low-contrast discs, in any turn, either polarity, seen from either side.

The ring gives centre and size, the falling contrast of the discs gives the turn and whether the plate is mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import degrees

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.image_quality.circles import fit_circle
from dose_audit.image_quality.inserts import fit_insert
from dose_audit.image_quality.sampling import sample_points
from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.locate.inserts import rigid_fit
from dose_audit.phantom.locate.plate_circles import concentric_circles, reduced
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["Found", "contrast_sign", "locate", "match"]

Floats = NDArray[np.float64]
_STEP_DEG = 0.5
_SCALES = (0.3, 3.0)  # ring on the image over ring of the definition; magnification and false tags included
_AGREES = 0.8  # correlation of the discs' contrasts with the expected ones, from which a plate counts as seen
_CHANCE = 0.5  # what the best of all turns, sizes and places reaches in pictures without a plate
_ROUND_MM = 0.6  # robust spread of the ring about its circle
_LEAD = 0.08  # over the best other turn or handedness


@dataclass(frozen=True, slots=True)
class Found:
    """A plate: pose, correlation of its discs with the expected contrasts, that of the next best turn, and the sign.

    `sign` is -1 where an absorbing disc is lower than its surroundings (pixels rise with dose) and +1 where it is higher.
    """

    pose: Pose
    agreement: float
    next_best: float
    sign: int
    ring_residual_mm: float
    ring_part: float


def _discs(definition: Definition) -> list[Feature]:
    return [one for one in definition.features if one.shape == "low_contrast"]


def match(bench: Workbench, definition: Definition) -> Match:
    """How sure it is that the plate is there."""
    if len(bench.series.frames) > 64:
        return Match(0.0)
    found = _found(bench, definition)
    if found is None:
        return Match(0.0, ("no ring with the circle of discs",))
    agreement = f"discs agree with the expected contrasts by {found.agreement:.2f}, next best {found.next_best:.2f}"
    ring = f"ring seen over {found.ring_part:.0%}, within {found.ring_residual_mm:.2f} mm of a circle"
    score = 0.6 + (found.agreement - _AGREES) * 0.4 / (1.0 - _AGREES)
    if found.agreement < _AGREES:
        score = 0.59 * max(0.0, found.agreement - _CHANCE) / (_AGREES - _CHANCE)
    if found.agreement - found.next_best < _LEAD or found.ring_part < 0.5 or found.ring_residual_mm > _ROUND_MM:
        score = min(score, 0.5)
    return Match(float(np.clip(score, 0.0, 1.0)), (agreement, ring))


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Centre, turn, handedness and size."""
    found = _found(bench, definition)
    spacing = bench.spacing_mm
    if found is None:
        middle = ((bench.series.shape[0] - 1) / 2, (bench.series.shape[1] - 1) / 2)
        reason = "no ring with the circle of discs was found"
        return Pose(0.0, middle, spacing, quality=0.0, status="not_measurable", reason=reason)
    pose = found.pose
    if found.agreement - found.next_best < _LEAD:
        pose = pose.doubt(f"another turn agrees nearly as well ({found.agreement:.2f} and {found.next_best:.2f})")
    if found.ring_part < 0.5:
        pose = pose.doubt(f"only {found.ring_part:.0%} of the ring is seen")
    return pose


def contrast_sign(bench: Workbench, definition: Definition) -> int:
    """+1 where absorbing details are higher in pixel value, -1 where they are lower, 0 where no plate was found."""
    found = _found(bench, definition)
    return 0 if found is None else found.sign


def _found(bench: Workbench, definition: Definition) -> Found | None:
    return bench.once(f"plate_round:{definition.id}", lambda: _search(bench, definition))


def _search(bench: Workbench, definition: Definition) -> Found | None:
    image = bench.series.image(0)
    small = reduced(image, 640)
    spacing = bench.spacing_mm
    ring_mm = float(definition.body["ring_diameter_mm"]) / 2
    circles = bench.once("plate_circles", lambda: concentric_circles(image, spacing[0] / spacing[1]))
    outer = float(definition.body["outer_diameter_mm"]) / 2 / ring_mm
    best: tuple[float, Pose, int] | None = None
    tried: list[tuple[tuple[float, float], float]] = []
    for one in circles:
        for radius_px in one.radii_px:
            for candidate in (radius_px, radius_px / outer):
                scale = candidate * spacing[1] / ring_mm
                near = any(
                    abs(candidate - r) < 0.012 * r and np.hypot(one.centre_px[0] - c[0], one.centre_px[1] - c[1]) < 2
                    for c, r in tried
                )
                if not _SCALES[0] <= scale <= _SCALES[1] or near:
                    continue
                tried.append((one.centre_px, candidate))
                start = Pose(0.0, one.centre_px, spacing, scale=scale)
                agreement, roll, mirrored, sign, _ = _turn(small, start, definition)
                if best is None or agreement > best[0]:
                    best = (
                        agreement,
                        Pose(0.0, one.centre_px, spacing, roll_deg=roll, mirrored=mirrored, scale=scale),
                        sign,
                    )
    if best is None or best[0] < 0.3:
        return None
    return _refined(image, small, best[1], definition)


def _turn(image: tuple[Floats, int], pose: Pose, definition: Definition) -> tuple[float, float, bool, int, float]:
    """Best correlation of the disc circle with the expected contrasts: agreement, roll, mirrored, sign, next best."""
    discs = _discs(definition)
    radius = float(np.median([one.r_mm for one in discs]))
    size = float(np.median([one.size_mm[0] for one in discs]))
    small, factor = image
    around = np.arange(0.0, 360.0, _STEP_DEG)
    radial = radius + np.linspace(-0.3, 0.3, 7) * size
    angle = np.radians(around)
    rows = (pose.centre_px[0] + pose.scale * np.outer(radial, np.sin(angle)) / pose.spacing_mm[0] + 0.5) / factor - 0.5
    columns = (
        pose.centre_px[1] + pose.scale * np.outer(radial, np.cos(angle)) / pose.spacing_mm[1] + 0.5
    ) / factor - 0.5
    inside = (rows >= 0) & (rows <= small.shape[0] - 1) & (columns >= 0) & (columns <= small.shape[1] - 1)
    if inside.mean() < 0.7:
        return 0.0, 0.0, False, 0, 0.0
    polar = np.where(inside, ndimage.map_coordinates(small, (rows, columns), order=1, mode="nearest"), 0.0)
    number = inside.sum(axis=0)
    mean = polar.sum(axis=0) / np.maximum(number, 1)
    pitch = 0.5 * _pitch(discs)
    width = max(1, round(degrees(0.5 * size / radius) / _STEP_DEG))
    signal = _against_neighbours(ndimage.uniform_filter1d(mean, width, mode="wrap"), pitch)
    signal[number == 0] = 0.0
    # A cable across the circle must not outweigh the discs.
    limit = 1.5 * float(np.quantile(np.abs(signal), 0.97)) + 1e-12
    signal = np.clip(signal, -limit, limit)
    results: list[tuple[float, float, bool]] = []
    for mirrored in (False, True):
        template, weight = np.zeros(around.size), np.ones(around.size)
        for one in discs:
            off = _off(around, one, mirrored)
            template += float(one.extra["contrast_percent"]) * (off <= degrees(0.5 * size / radius))
        for one in definition.features:
            if one.shape == "square" and abs(one.r_mm - radius) < one.size_mm[0]:
                # Squares that reach into the circle, and the places that are compared with them, say nothing.
                weight[_off(around, one, mirrored) < degrees(0.5 * one.size_mm[0] / radius) + pitch + 2.0] = 0.0
        template = _against_neighbours(ndimage.uniform_filter1d(template, width, mode="wrap"), pitch)
        # The values show the order in which contrast falls, their roots that all discs are there.
        both = 0.5 * (_correlation(signal, template, weight) + _correlation(_root(signal), _root(template), weight))
        results.extend((float(both[k]), float(around[k]), mirrored) for k in range(around.size))
    if not results:
        return 0.0, 0.0, False, 0, 0.0
    value, roll, mirrored = max(results, key=lambda one: abs(one[0]))
    sign = 1 if value > 0 else -1
    others = [
        sign * v
        for v, angle_deg, hand in results
        if hand != mirrored or abs((angle_deg - roll + 180.0) % 360.0 - 180.0) > pitch
    ]
    return abs(value), roll, mirrored, sign, max(others, default=0.0)


def _off(around: Floats, feature: Feature, mirrored: bool) -> Floats:
    """Angles from a feature's direction, 0 to 180 degrees."""
    theta = degrees(np.arctan2(feature.y_mm, -feature.x_mm if mirrored else feature.x_mm))
    return np.asarray(np.abs((around - theta + 180.0) % 360.0 - 180.0))


def _correlation(signal: Floats, template: Floats, weight: Floats) -> Floats:
    """Weighted Pearson correlation of two circular profiles for every turn of the second and its weights."""
    total = float(weight.sum())
    wanted = weight * (template - float((weight * template).sum()) / total)
    power = float((wanted * template).sum()) / total
    turned = np.conj(np.fft.fft(np.stack([wanted, weight, weight]), axis=1))
    with_signal = np.fft.fft(np.stack([signal, signal, signal**2]), axis=1)
    product, mean, square = np.fft.ifft(turned * with_signal, axis=1).real / total
    spread = np.maximum(square - mean**2, 1e-12 * max(float(square.max()), 1e-300))
    return np.asarray(product / np.sqrt(max(power, 1e-300) * spread))


def _root(values: Floats) -> Floats:
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def _pitch(discs: list[Feature]) -> float:
    """Usual angle between neighbouring discs, degrees."""
    angles = np.sort([degrees(np.arctan2(one.y_mm, one.x_mm)) % 360.0 for one in discs])
    return float(np.median(np.diff(angles)))


def _against_neighbours(values: Floats, offset_deg: float) -> Floats:
    """Each value less the mean of those half a pitch to either side: shading along the circle drops out."""
    shift = round(offset_deg / _STEP_DEG)
    return np.asarray(values - 0.5 * (np.roll(values, shift) + np.roll(values, -shift)))


def _refined(image: NDArray[np.float32], small: tuple[Floats, int], pose: Pose, definition: Definition) -> Found:
    """Ring fitted as a circle, discs as discs; the turn from the discs' centres."""
    pose, residual, part = _ring(image, pose, definition)
    agreement, roll, mirrored, sign, next_best = _turn(small, pose, definition)
    notes = [f"ring of {definition.body['ring_diameter_mm']} mm seen over {part:.0%}"]
    pose = Pose(0.0, pose.centre_px, pose.spacing_mm, roll_deg=roll, mirrored=mirrored, scale=pose.scale)
    found = []
    in_plane = (pose.spacing_mm[0] / pose.scale, pose.spacing_mm[1] / pose.scale)
    for one in _discs(definition):
        place = pose.to_pixel(one.x_mm, one.y_mm)
        fit = fit_insert(image, in_plane, place, one.size_mm[0] / 2, search_mm=0.25 * one.size_mm[0], fix_radius=True)
        error = fit.position_uncertainty_mm
        right_way = fit.contrast.value is not None and fit.contrast.value * sign > 0
        if fit.position_px is not None and error is not None and error < 0.5 and right_way:
            found.append((one, *fit.position_px))
    rigid = rigid_fit(found, pose) if len(found) >= 4 else None
    if rigid is not None and abs((rigid.roll_deg - roll + 180.0) % 360.0 - 180.0) < 3.0:
        pose = Pose(
            0.0,
            pose.centre_px,
            pose.spacing_mm,
            roll_deg=rigid.roll_deg,
            mirrored=mirrored,
            scale=pose.scale,
        )
        notes.append(f"turn from {rigid.count} discs, which lie within {rigid.residual_mm:.2f} mm of their circle")
    else:
        notes.append("the turn rests on the pattern of the discs alone; it is known to about 1 degree")
    notes.append("mirrored: contrast falls against the clock" if mirrored else "contrast falls clockwise")
    notes.append("absorbing details are " + ("higher" if sign > 0 else "lower") + " in pixel value")
    quality = float(np.clip(agreement, 0.0, 1.0))
    pose = replace(pose, mirrored=mirrored, quality=quality, notes=tuple(notes))
    return Found(pose, agreement, next_best, sign, residual, part)


def _ring(image: NDArray[np.float32], pose: Pose, definition: Definition) -> tuple[Pose, float, float]:
    """Centre and scale from the ring: the strongest thin line along each ray near the expected radius."""
    nominal = float(definition.body["ring_diameter_mm"]) / 2
    angles = np.radians(np.arange(0.0, 360.0, 1.0))
    part, residual = 0.0, 0.0
    for search in (0.05, 0.02):
        step = 0.5 * min(pose.spacing_mm) / pose.scale
        radial = np.arange(nominal * (1 - search) - 6 * step, nominal * (1 + search) + 6 * step, step)
        rows = pose.centre_px[0] + pose.scale * np.outer(np.sin(angles), radial) / pose.spacing_mm[0]
        columns = pose.centre_px[1] + pose.scale * np.outer(np.cos(angles), radial) / pose.spacing_mm[1]
        polar = sample_points(image, np.clip(rows, 0, image.shape[0] - 1), np.clip(columns, 0, image.shape[1] - 1))
        inside = ((rows >= 1) & (rows <= image.shape[0] - 2) & (columns >= 1) & (columns <= image.shape[1] - 2)).all(
            axis=1
        )
        # Rays beside each other see the same ring: three of them are averaged against the noise.
        polar = ndimage.uniform_filter1d(polar, 3, axis=0, mode="wrap")
        width = max(1.0, 0.8 / step / 2)  # the ring is about 1 mm wide
        line = ndimage.gaussian_filter1d(polar, width, axis=1) - ndimage.gaussian_filter1d(polar, 3 * width, axis=1)
        line = line[:, 3:-3]
        kept = radial[3:-3]
        sign = 1.0 if _peakiness(line) >= _peakiness(-line) else -1.0
        at = np.argmax(sign * line, axis=1)
        good = inside & (at > 0) & (at < kept.size - 1)
        index = np.clip(at, 1, kept.size - 2)
        before, middle, after = (sign * line[np.arange(at.size), index + k] for k in (-1, 0, 1))
        bend = before - 2 * middle + after
        offset = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
        radius = kept[index] + np.clip(offset, -1, 1) * step
        x, y = radius * np.cos(angles), radius * np.sin(angles)
        x, y = np.where(good, x, np.nan), np.where(good, y, np.nan)
        fit = fit_circle(x, y, redundancy=3.0)
        if fit.radius is None or fit.x is None or fit.y is None or abs(fit.radius / nominal - 1) > search:
            return pose, residual, part
        part = float(fit.used.sum()) / angles.size
        residual = float(fit.residual or 0.0)
        pose = Pose(
            0.0,
            (
                pose.centre_px[0] + pose.scale * fit.y / pose.spacing_mm[0],
                pose.centre_px[1] + pose.scale * fit.x / pose.spacing_mm[1],
            ),
            pose.spacing_mm,
            roll_deg=pose.roll_deg,
            mirrored=pose.mirrored,
            scale=pose.scale * fit.radius / nominal,
        )
    return pose, residual, part


def _peakiness(line: Floats) -> float:
    """How far the mean line rises above the rest, so that a bright and a dark ring can be told apart."""
    mean = line.mean(axis=0)
    return float(mean.max())
