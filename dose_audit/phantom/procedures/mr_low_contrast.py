"""Low-contrast spokes of an MR phantom: how many are complete, by what their discs do that places without a disc do not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from dose_audit.image_quality import circle_diameter, disc_mask, low_contrast_fitted
from dose_audit.image_quality.disc_fit import DiscFit, fit_discs, plane_shapes, ring_shapes
from dose_audit.image_quality.kernels import correlate, disc_kernel
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, plane_at, result
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["spokes"]

Floats = NDArray[np.float64]
# How far the disc may be turned and shifted in its ring.
_TURN_DEG = 4.0
_SHIFT_MM = 1.5
# Makers' rings differ by some per cent from each other, and the discs' circles with them.
_SIZES = (0.99, 1.0, 1.01, 1.02, 1.03)
# Less than the ring's wall, so that its inner edge is not taken for the outer one.
_RING_SEARCH_MM = 3.0
# Fewer spokes than in a slice of less contrast, in spokes and in standard deviations, that noise does not explain.
_FEWER, _FEWER_SIGMAS = 2.0, 3.0
# Kept free inside the ring: its wall rings and has partial volume.
_MARGIN_MM = 1.5
# The filter of the outermost discs reaches over the ring's inner edge.
_AROUND_MM = 10.0
# A ring's centre this far from where the other slices have it was fitted to something else.
_STRAY_MM = 0.75
# Of one disc: a spoke needs its three, which chance gives to one in 8,000.
_SIGNIFICANCE = 0.05
# Orders of the smooth background among which the image itself chooses.
_ORDERS = (2, 4, 6, 8)


@dataclass(frozen=True, slots=True)
class _Turn:
    """How the discs lie in their ring: turned, shifted (down, right), and larger than nominal."""

    turn_deg: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class _Slice:
    module: str
    number: str
    plane: Plane
    centre_px: tuple[float, float]
    first_deg: float


def spokes(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Complete spokes of each slice, from the largest on, and their total.

    The disc's place is fitted to its ring, and how the discs are turned in it to the larger discs of all slices, so that
    no single disc is looked for where it appears by chance. ``slices`` lists the modules by rising contrast.
    """
    (disc,) = definition.features_of(measure)
    names = [str(one) for one in measure.settings["slices"]]
    turns = [float(one) for one in measure.settings["first_deg"]]
    found: list[_Slice] = []
    lost: dict[str, str] = {}
    for module, first in zip(names, turns, strict=True):
        plane = plane_at(bench, pose, definition.module(module).z_mm)
        ready = plane if isinstance(plane, str) else _ring(bench, pose, disc, plane)
        if isinstance(ready, str):
            lost[module] = ready
        else:
            assert not isinstance(plane, str)
            found.append(_Slice(module, module.rpartition("-")[2], plane, ready, first))
    found = _agreed(pose, disc, found)
    turned = _turned(bench, pose, disc, measure, found) if found else _Turn()
    total, spread, reasons, rois_all = 0.0, 0.0, [], []
    best: Measured | None = None
    for module in names:
        name = f"{measure.name}_{module.replace('-', '')}"
        title = f"Spokes seen in {definition.module(module).name.split(':')[0].lower()}"
        one = next((item for item in found if item.module == module), None)
        if one is None:
            yield PhantomMeasurement(not_measurable(name, "1", lost[module]), title=title, module=module)
            reasons.append(f"{module}: {lost[module]}")
            continue
        counted, rois = _count(bench, pose, disc, measure, one, turned, name)
        counted = _against_weaker(counted, best)
        if counted.value is not None and (best is None or counted.value > (best.value or 0.0)):
            best = counted
        rois_all += rois
        yield PhantomMeasurement(counted, title=title, module=module, rois=tuple(rois))
        if counted.value is None:
            reasons.append(f"{module}: {counted.reason}")
        else:
            total += counted.value
            spread = math.hypot(spread, counted.uncertainty or 0.0)
            if counted.status != "ok":
                reasons.append(f"{module}: {counted.reason}")
    title = "Spokes seen in all slices"
    if not found:
        yield absent(f"{measure.name}_total", "1", "; ".join(reasons), measure, title=title)
        return
    missing = [module for module in names if module in lost]
    sum_of = Measured(f"{measure.name}_total", total, "1", spread, method="sum over the slices")
    if missing:
        yield absent(f"{measure.name}_total", "1", "; ".join(reasons), measure, title=title)
    else:
        yield result(sum_of.doubt("; ".join(reasons)) if reasons else sum_of, measure, title=title)


def _against_weaker(counted: Measured, best: Measured | None) -> Measured:
    """The count, doubted where far fewer spokes are seen than in a slice of less contrast: it is not contrast that lacks."""
    if best is None or best.value is None or counted.value is None:
        return counted
    spread = math.hypot(counted.uncertainty or 0.0, best.uncertainty or 0.0)
    if best.value - counted.value <= max(_FEWER, _FEWER_SIGMAS * spread):
        return counted
    slice_ = best.name.rpartition("slice")[-1]
    return counted.doubt(
        f"slice {slice_} with less contrast shows {best.value:.0f} spokes: an artefact, or shading at the ring"
    )


def _ring(bench: Workbench, pose: Pose, disc: Feature, plane: Plane) -> tuple[float, float] | str:
    """Centre of the disc from the outer edge of its ring."""
    radius = 0.5 * disc.size_mm[1] * pose.scale
    at = pose.to_pixel(disc.x_mm, disc.y_mm, plane.z_mm)
    ring = circle_diameter(plane.image, bench.spacing_mm, at, radius, search_mm=_RING_SEARCH_MM)
    if ring.centre_px is None or ring.diameter.value is None:
        return f"the ring about the disc was not found: {ring.diameter.reason}"
    if abs(0.5 * ring.diameter.value / radius - 1) > 0.06:
        return f"the ring about the disc measures {ring.diameter.value:.1f} mm instead of {2 * radius:.1f} mm"
    away = math.hypot(*((a - b) * s for a, b, s in zip(ring.centre_px, at, bench.spacing_mm, strict=True)))
    if away > 6.0:
        return f"the ring about the disc lies {away:.1f} mm from its place"
    return ring.centre_px


def _agreed(pose: Pose, disc: Feature, found: list[_Slice]) -> list[_Slice]:
    """The slices with their centres, those that stray put where the others have the ring."""
    if len(found) < 3:
        return found
    nominal = np.array([pose.to_pixel(disc.x_mm, disc.y_mm, one.plane.z_mm) for one in found])
    away = np.array([one.centre_px for one in found]) - nominal
    usual = np.median(away, axis=0)
    agreed = []
    for one, own, at in zip(found, away, nominal, strict=True):
        stray = float(np.hypot(*((own - usual) * pose.spacing_mm))) > _STRAY_MM
        agreed.append(replace(one, centre_px=(float((at + usual)[0]), float((at + usual)[1]))) if stray else one)
    return agreed


def _places(pose: Pose, measure: Measure, one: _Slice, turned: _Turn) -> Floats:
    """Pixels of all discs, spoke by spoke, from the inside outwards: shape (discs, 2)."""
    radii = np.array([float(r) for r in measure.settings["radii_mm"]]) * pose.scale * turned.size
    count = len(measure.settings["diameters_mm"])
    angles = np.array([pose.angle_on_screen(one.first_deg + 360.0 / count * spoke) for spoke in range(count)])
    direction = np.radians(angles + turned.turn_deg)[:, None]
    rows = one.centre_px[0] + (turned.shift_mm[0] + radii * np.sin(direction)) / pose.spacing_mm[0]
    columns = one.centre_px[1] + (turned.shift_mm[1] + radii * np.cos(direction)) / pose.spacing_mm[1]
    return np.column_stack([rows.ravel(), columns.ravel()])


def _turned(bench: Workbench, pose: Pose, disc: Feature, measure: Measure, found: Sequence[_Slice]) -> _Turn:
    """How the discs lie in their ring, from the larger discs of all slices together."""
    spacing = bench.spacing_mm
    turns = np.arange(-_TURN_DEG, _TURN_DEG + 0.1, 0.5)
    shifts = np.arange(-_SHIFT_MM, _SHIFT_MM + 0.1, 0.25)
    diameters = [float(one) for one in measure.settings["diameters_mm"]]
    largest = 7 * len(measure.settings["radii_mm"])
    kernel = disc_kernel(0.5 * float(np.mean(diameters[:7])), spacing)
    down, right = np.meshgrid(shifts / spacing[0], shifts / spacing[1], indexing="ij")
    table = np.zeros((turns.size, len(_SIZES), *down.shape))
    for one in found:
        window, corner, inside = _inside(one, disc, pose, spacing)
        flat = _without_rings(_flattened(window, inside), inside, one, corner, pose)
        near = _smoothed(flat - float(np.median(flat[inside])), kernel, inside)
        for i, turn in enumerate(turns):
            for j, size in enumerate(_SIZES):
                base = _places(pose, measure, one, _Turn(float(turn), (0.0, 0.0), size))[:largest] - corner
                at = [base[:, 0, None, None] + down, base[:, 1, None, None] + right]
                table[i, j] += ndimage.map_coordinates(near, at, order=1, mode="nearest").mean(axis=0)
    best = np.unravel_index(int(np.argmax(table)), table.shape)
    i, j, k, m = (int(one) for one in best)
    start = np.array([turns[i], shifts[k], shifts[m], _SIZES[j]])
    return _refined(disc, pose, measure, found, start, kernel, largest)


def _refined(
    disc: Feature,
    pose: Pose,
    measure: Measure,
    found: Sequence[_Slice],
    start: Floats,
    kernel: Floats,
    largest: int,
) -> _Turn:
    """Between the points of the grid: where the larger discs answer most, over the background fitted together with them."""
    maps: list[tuple[_Slice, Floats, Floats]] = []
    for one in found:
        window, corner, inside = _inside(one, disc, pose, pose.spacing_mm)
        flat = _flattened(window, inside)
        places = _places(pose, measure, one, _unpacked(start)) - corner
        fitted = fit_discs(
            flat,
            pose.spacing_mm,
            [(float(row), float(column)) for row, column in places],
            _sizes(pose, measure),
            region=inside,
            shapes=_background(inside, one, corner, pose, _ORDERS[1]),
            white=True,
        )
        if not isinstance(fitted, str):
            near = correlate(np.where(inside, flat - fitted.background, 0.0), kernel / kernel.sum())
            height = float(np.median(ndimage.map_coordinates(near, places[:largest].T, order=1, mode="nearest")))
            # The fainter the membrane the less it says; a bright blemish weighs as much as two discs, not more.
            near = max(height, 0.0) * np.clip(near, -abs(height), 2.0 * abs(height))
            maps.append((one, np.asarray(ndimage.spline_filter(near, 3, mode="nearest")), corner))
    if not maps:
        return _unpacked(start)
    steps = np.array([0.5, 0.25, 0.25, 0.01])

    def loss(moved: Floats) -> float:
        lies = _unpacked(start + steps * moved)
        total = 0.0
        for one, near, corner in maps:
            at = (_places(pose, measure, one, lies)[:largest] - corner).T
            total -= float(ndimage.map_coordinates(near, at, order=3, mode="nearest", prefilter=False).mean())
        return total

    simplex = np.vstack([np.zeros(4), np.eye(4)])
    finer = optimize.minimize(
        loss, np.zeros(4), method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-9}
    )
    return _unpacked(start + steps * np.clip(finer.x, -2.0, 2.0))


def _smoothed(flat: Floats, kernel: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Means over a disc in units of their usual size; a bright blemish weighs as much as a few discs, not more."""
    near = correlate(flat, kernel / kernel.sum())
    return np.asarray(np.clip(near / (float(np.median(np.abs(near[inside]))) + 1e-9), -4.0, 8.0))


def _sizes(pose: Pose, measure: Measure) -> list[float]:
    """Diameters of all discs in the order of their places."""
    rings = len(measure.settings["radii_mm"])
    return [float(one) * pose.scale for one in measure.settings["diameters_mm"] for _ in range(rings)]


def _background(inside: NDArray[np.bool_], one: _Slice, corner: Floats, pose: Pose, order: int) -> list[Floats]:
    """What may lie under the discs: what the surface left, and circles by which the ring's wall rings through them."""
    shape = (inside.shape[0], inside.shape[1])
    centre = (one.centre_px[0] - float(corner[0]), one.centre_px[1] - float(corner[1]))
    reach = 0.5 * max(size * step for size, step in zip(shape, pose.spacing_mm, strict=True))
    return [*plane_shapes(shape, order), *ring_shapes(shape, centre, reach, pose.spacing_mm)]


def _unpacked(four: Floats) -> _Turn:
    turn, down, right, size = (float(one) for one in four)
    return _Turn(turn, (down, right), size)


def _inside(
    one: _Slice, disc: Feature, pose: Pose, spacing: tuple[float, float]
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Part of the image about the disc, its first pixel, and which of its pixels lie well inside the ring."""
    image = one.plane.image
    reach = 0.5 * disc.size_mm[0] * pose.scale
    low = [
        max(0, math.floor(at - (reach + _AROUND_MM) / step)) for at, step in zip(one.centre_px, spacing, strict=True)
    ]
    high = [
        min(size, math.ceil(at + (reach + _AROUND_MM) / step) + 1)
        for at, step, size in zip(one.centre_px, spacing, image.shape, strict=True)
    ]
    window = np.asarray(image[low[0] : high[0], low[1] : high[1]], dtype=float)
    corner = np.asarray(low, dtype=float)
    centre = (one.centre_px[0] - corner[0], one.centre_px[1] - corner[1])
    mask = disc_mask((window.shape[0], window.shape[1]), centre, reach - _MARGIN_MM, spacing)
    return window, corner, mask


def _count(
    bench: Workbench,
    pose: Pose,
    disc: Feature,
    measure: Measure,
    one: _Slice,
    turned: _Turn,
    name: str,
) -> tuple[Measured, list[Roi]]:
    """Complete spokes of one slice."""
    spacing = bench.spacing_mm
    settings = measure.settings
    rings, diameters = len(settings["radii_mm"]), [float(d) for d in settings["diameters_mm"]]
    window, corner, inside = _inside(one, disc, pose, spacing)
    places = [(float(row), float(column)) for row, column in _places(pose, measure, one, turned) - corner]
    flat = _flattened(window, inside)
    region, shapes = _chosen(flat, inside, places, measure, pose, one, corner)
    seen = low_contrast_fitted(
        flat,
        spacing,
        places,
        _sizes(pose, measure),
        region=region,
        shapes=shapes,
        groups=[range(rings * spoke, rings * spoke + rings) for spoke in range(len(diameters))],
        consecutive=True,
        significance=float(settings.get("significance", _SIGNIFICANCE)),
        blur_mm=0.4 * max(spacing),
        unit="1",
    )
    rois = []
    for index, (place, detection) in enumerate(zip(places, seen.detections, strict=True)):
        half = 0.5 * diameters[index // rings] * pose.scale
        label = str(index // rings + 1) if index % rings == rings - 1 else ""
        kind = "circle" if detection.visible else "point"
        at = (place[0] + corner[0], place[1] + corner[1])
        rois.append(Roi(kind, (at,), (half / spacing[0], half / spacing[1]), one.plane.frame, label))
    count = seen.count
    if count.value is not None and seen.groups:
        missed = int(count.value)
        if sum(seen.groups[missed:]) >= 3:
            count = count.doubt(
                f"spoke {missed + 1} is incomplete though {sum(seen.groups[missed:])} smaller ones are complete: "
                "an artefact, or shading at the ring"
            )
    return Measured(
        name, count.value, "1", count.uncertainty, count.status, count.reason, count.method, count.quality,
        {**count.details, "turn_deg": turned.turn_deg, "shift_mm": list(turned.shift_mm),
         "size": turned.size, "d_prime": [d.d_prime for d in seen.detections]},
    ), rois  # fmt: skip


def _chosen(
    flat: Floats,
    inside: NDArray[np.bool_],
    places: Sequence[tuple[float, float]],
    measure: Measure,
    pose: Pose,
    one: _Slice,
    corner: Floats,
) -> tuple[NDArray[np.bool_], list[Floats]]:
    """Pixels and background for the discs: the order that the image asks for, and no pixels that belong to neither.

    A rim of the wall that the mask let in stands out of the fit far from any disc; it would bend all of the background.
    """
    sizes, spacing = _sizes(pose, measure), pose.spacing_mm
    shapes = {order: _background(inside, one, corner, pose, order) for order in _ORDERS}
    clear = inside.copy()
    for place, size in zip(places, sizes, strict=True):
        clear &= ~disc_mask((flat.shape[0], flat.shape[1]), place, 0.5 * size + 2.0 * max(spacing), spacing)

    def fitted(region: NDArray[np.bool_], order: int) -> DiscFit | str:
        return fit_discs(
            flat, spacing, places, sizes, region=region, shapes=shapes[order], blur_mm=0.4 * max(spacing), white=True
        )

    first = fitted(inside, _ORDERS[1])
    if isinstance(first, str):
        return inside, shapes[_ORDERS[1]]
    rest = np.where(clear, flat - first.background, 0.0)
    usual = 1.4826 * float(np.median(np.abs(rest[clear]))) if clear.any() else 0.0
    region = inside & ~(np.abs(rest) > 5.0 * usual)
    fits = {order: fitted(region, order) for order in _ORDERS}
    sound = {order: found.criterion for order, found in fits.items() if not isinstance(found, str)}
    return region, shapes[min(sound, key=lambda order: sound[order], default=_ORDERS[1])]


def _flattened(window: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Image over a smooth surface through the disc's area, times its mean: the coil's shading is no contrast."""
    rows, columns = np.nonzero(inside)
    y = (np.arange(window.shape[0]) - rows.mean()) / window.shape[0]
    x = (np.arange(window.shape[1]) - columns.mean()) / window.shape[1]
    terms = [(i, j) for i in range(5) for j in range(5 - i)]
    design = np.column_stack([y[rows] ** i * x[columns] ** j for i, j in terms])
    values = window[inside]
    weights = np.ones(values.size)
    solution: NDArray[np.floating] = np.zeros(len(terms))
    for _ in range(3):
        solution = np.linalg.lstsq(design * weights[:, None], values * weights, rcond=None)[0]
        rest = values - design @ solution
        spread = 1.4826 * float(np.median(np.abs(rest))) + 1e-9
        weights = np.sqrt(1.0 / (1.0 + (rest / (2.0 * spread)) ** 2))
    surface = sum(float(weight) * np.outer(y**i, x**j) for weight, (i, j) in zip(solution, terms, strict=True))
    level = float(values.mean())
    return np.asarray(window / np.maximum(surface, 0.2 * level) * level)


def _without_rings(flat: Floats, inside: NDArray[np.bool_], one: _Slice, corner: Floats, pose: Pose) -> Floats:
    """The image less its median about each radius, and beyond the mask the local mean of what is inside.

    For finding the discs: the ring's wall rings through them in circles about it. The median takes part of the discs with
    it where they cover half of a circle, so that it is not for judging them. Without the filling a filter near the wall
    would see the wall and no contrast.
    """
    down = (np.arange(flat.shape[0]) + corner[0] - one.centre_px[0])[:, None] * pose.spacing_mm[0]
    right = (np.arange(flat.shape[1]) + corner[1] - one.centre_px[1])[None, :] * pose.spacing_mm[1]
    radius = np.hypot(down, right)
    step = max(pose.spacing_mm)
    edges = np.arange(0.0, float(radius[inside].max()) + step, step)
    middles, medians = [], []
    for low, high in pairwise(edges):
        values = flat[inside & (radius >= low) & (radius < high)]
        if values.size >= 12:
            middles.append(0.5 * (low + high))
            medians.append(float(np.median(values)))
    level = float(np.median(flat[inside]))
    rings = np.interp(radius, middles, medians) if middles else np.full(flat.shape, level)
    rest = np.where(inside, flat - rings, 0.0)
    share = ndimage.gaussian_filter(inside.astype(float), 1.5)
    filled = ndimage.gaussian_filter(rest, 1.5) / np.maximum(share, 0.02)
    return np.where(inside, rest, filled) + level
