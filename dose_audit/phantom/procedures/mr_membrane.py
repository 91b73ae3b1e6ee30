"""Membranes with low-contrast discs in a ring: the ring's centre, the image freed of shading, and how the discs lie in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from dose_audit.image_quality import circle_diameter, disc_mask
from dose_audit.image_quality.disc_fit import fit_discs, plane_shapes, ring_shapes
from dose_audit.image_quality.kernels import correlate, disc_kernel
from dose_audit.phantom.definition import Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane
from dose_audit.phantom.workbench import Workbench

__all__ = [
    "Laid",
    "Membrane",
    "Turn",
    "Window",
    "agreed",
    "background",
    "laid",
    "places",
    "ring_centre",
    "sizes",
    "window",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
# How far the disc may be turned and shifted in its ring.
_TURN_DEG = 4.0
_SHIFT_MM = 1.5
# Makers' rings differ by some per cent from each other, and the discs' circles with them.
_SIZES = (0.99, 1.0, 1.01, 1.02, 1.03)
# Less than the ring's wall, so that its inner edge is not taken for the outer one.
_RING_SEARCH_MM = 3.0
# Kept free inside the ring: its wall rings and has partial volume.
_MARGIN_MM = 1.5
# The filter of the outermost discs reaches over the ring's inner edge.
_AROUND_MM = 10.0
# A ring's centre this far from where the other slices have it was fitted to something else.
_STRAY_MM = 0.75
# Spokes of larger discs, by which the others' places are found.
_LARGER = 7
# Order of the smooth background under the discs while they are looked for.
_ORDER = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """How the discs lie in their ring: turned, shifted (down, right), and larger than nominal."""

    turn_deg: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Membrane:
    """One membrane: its module, its plane, the centre of its ring, and where its first spoke points."""

    module: str
    plane: Plane
    centre_px: tuple[float, float]
    first_deg: float


@dataclass(frozen=True, slots=True)
class Window:
    """The image about a membrane without its shading, in blocks of ``pixels`` × ``pixels`` of its own.

    ``inside`` is what lies well inside the ring; ``spacing_mm`` is that of the blocks.
    """

    flat: Floats
    inside: Mask
    corner_px: tuple[int, int]
    pixels: int
    spacing_mm: tuple[float, float]

    def at(self, places_px: Floats) -> Floats:
        """Places of the whole image as rows and columns of the window."""
        return (places_px - np.asarray(self.corner_px) + 0.5) / self.pixels - 0.5


@dataclass(frozen=True, slots=True)
class Laid:
    """How the discs lie, the windows in which they were looked for, and the backgrounds found under them."""

    turn: Turn
    windows: tuple[Window, ...]
    backgrounds: tuple[Floats | None, ...]


def ring_centre(bench: Workbench, pose: Pose, disc: Feature, plane: Plane) -> tuple[float, float] | str:
    """Centre of the disc from the outer edge of its ring, or why there is none."""
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


def agreed(pose: Pose, disc: Feature, found: list[Membrane]) -> list[Membrane]:
    """The membranes with their centres, those that stray put where the others have the ring."""
    if len(found) < 3:
        return found
    nominal = np.array([pose.to_pixel(disc.x_mm, disc.y_mm, one.plane.z_mm) for one in found])
    away = np.array([one.centre_px for one in found]) - nominal
    usual = np.median(away, axis=0)
    kept = []
    for one, own, at in zip(found, away, nominal, strict=True):
        stray = float(np.hypot(*((own - usual) * pose.spacing_mm))) > _STRAY_MM
        kept.append(replace(one, centre_px=(float((at + usual)[0]), float((at + usual)[1]))) if stray else one)
    return kept


def places(pose: Pose, measure: Measure, one: Membrane, turned: Turn) -> Floats:
    """Pixels of all discs, spoke by spoke, from the inside outwards: shape (discs, 2)."""
    return _places(pose, measure, one, np.array([turned.turn_deg]), np.array([turned.size]))[0, 0] + np.array(
        [shift / step for shift, step in zip(turned.shift_mm, pose.spacing_mm, strict=True)]
    )


def _places(pose: Pose, measure: Measure, one: Membrane, turns_deg: Floats, larger: Floats) -> Floats:
    """Pixels of all discs at several turns and sizes, not shifted: shape (turns, sizes, discs, 2)."""
    radii = np.array([float(r) for r in measure.settings["radii_mm"]]) * pose.scale
    count = len(measure.settings["diameters_mm"])
    angles = np.array([pose.angle_on_screen(one.first_deg + 360.0 / count * spoke) for spoke in range(count)])
    direction = np.radians(angles + turns_deg[:, None])[:, None, :, None]
    reach = larger[:, None, None] * radii
    rows = one.centre_px[0] + reach * np.sin(direction) / pose.spacing_mm[0]
    columns = one.centre_px[1] + reach * np.cos(direction) / pose.spacing_mm[1]
    return np.stack([rows, columns], axis=-1).reshape(turns_deg.size, larger.size, -1, 2)


def sizes(pose: Pose, measure: Measure) -> list[float]:
    """Diameters of all discs in the order of their places."""
    rings = len(measure.settings["radii_mm"])
    return [float(one) * pose.scale for one in measure.settings["diameters_mm"] for _ in range(rings)]


def window(one: Membrane, disc: Feature, pose: Pose, pixels: int = 1) -> Window:
    """Part of the image about the disc, its mean over blocks of so many pixels, over a smooth surface times its mean."""
    image, spacing = one.plane.image, pose.spacing_mm
    reach = 0.5 * disc.size_mm[0] * pose.scale
    low = [
        max(0, math.floor(at - (reach + _AROUND_MM) / step)) for at, step in zip(one.centre_px, spacing, strict=True)
    ]
    high = [
        min(size, math.ceil(at + (reach + _AROUND_MM) / step) + 1)
        for at, step, size in zip(one.centre_px, spacing, image.shape, strict=True)
    ]
    part = np.asarray(image[low[0] : high[0], low[1] : high[1]], dtype=float)
    if pixels > 1:
        rows, columns = (size // pixels for size in part.shape)
        part = part[: rows * pixels, : columns * pixels].reshape(rows, pixels, columns, pixels).mean(axis=(1, 3))
    empty = Window(part, part > part, (low[0], low[1]), pixels, (pixels * spacing[0], pixels * spacing[1]))
    centre = empty.at(np.array(one.centre_px))
    shape = (part.shape[0], part.shape[1])
    inside = disc_mask(shape, (float(centre[0]), float(centre[1])), reach - _MARGIN_MM, empty.spacing_mm)
    return replace(empty, flat=_flattened(part, inside), inside=inside)


def background(view: Window, one: Membrane, order: int) -> list[Floats]:
    """What may lie under the discs: what the surface left, and circles by which the ring's wall rings through them.

    The planes come first, sorted by their order.
    """
    shape = (view.inside.shape[0], view.inside.shape[1])
    centre = view.at(np.array(one.centre_px))
    reach = 0.5 * max(size * step for size, step in zip(shape, view.spacing_mm, strict=True))
    rings = ring_shapes(shape, (float(centre[0]), float(centre[1])), reach, view.spacing_mm)
    return [*_planes(shape, order), *(ring for ring in rings if ring[view.inside].any())]


@lru_cache(maxsize=8)
def _planes(shape: tuple[int, int], order: int) -> tuple[Floats, ...]:
    """`plane_shapes`, those of lower order first."""
    of = [i + j for i in range(order + 1) for j in range(order + 1 - i)]
    return tuple(one for _, one in sorted(zip(of, plane_shapes(shape, order), strict=True), key=lambda pair: pair[0]))


def laid(pose: Pose, disc: Feature, measure: Measure, found: Sequence[Membrane], *, pixels: int) -> Laid:
    """How the discs lie in their ring, from the larger discs of all slices together, seen in blocks of so many pixels."""
    turns = np.arange(-_TURN_DEG, _TURN_DEG + 0.1, 0.5)
    shifts = np.arange(-_SHIFT_MM, _SHIFT_MM + 0.1, 0.25)
    larger = np.array(_SIZES)
    number = _LARGER * len(measure.settings["radii_mm"])
    views = tuple(window(one, disc, pose, pixels) for one in found)
    spacing = views[0].spacing_mm
    diameters = [float(one) for one in measure.settings["diameters_mm"]]
    kernel = disc_kernel(0.5 * float(np.mean(diameters[:_LARGER])), spacing)
    down, right = np.meshgrid(shifts / spacing[0], shifts / spacing[1], indexing="ij")
    table = np.zeros((turns.size, larger.size, *down.shape))
    for one, view in zip(found, views, strict=True):
        flat = _without_rings(view, one)
        near = _smoothed(flat - float(np.median(flat[view.inside])), kernel, view.inside)
        base = view.at(_places(pose, measure, one, turns, larger)[:, :, :number])[..., None, None]
        table += ndimage.map_coordinates(
            near, [base[..., 0, :, :] + down, base[..., 1, :, :] + right], order=1, mode="nearest"
        ).mean(axis=2)
    i, j, k, m = (int(one) for one in np.unravel_index(int(np.argmax(table)), table.shape))
    start = Turn(float(turns[i]), (float(shifts[k]), float(shifts[m])), float(larger[j]))
    return _refined(pose, measure, found, views, start, kernel, number)


def _refined(
    pose: Pose,
    measure: Measure,
    found: Sequence[Membrane],
    views: tuple[Window, ...],
    start: Turn,
    kernel: Floats,
    number: int,
) -> Laid:
    """Between the points of the grid: where the larger discs answer most, over the background fitted together with them."""
    maps: list[tuple[Membrane, Window]] = []
    stack = np.zeros((sum(view.flat.shape[0] for view in views), max(view.flat.shape[1] for view in views)))
    tops: list[int] = []
    below = 0
    backgrounds: list[Floats | None] = []
    for one, view in zip(found, views, strict=True):
        at = view.at(places(pose, measure, one, start))
        fitted = fit_discs(
            view.flat,
            view.spacing_mm,
            [(float(row), float(column)) for row, column in at],
            sizes(pose, measure),
            region=view.inside,
            shapes=background(view, one, _ORDER),
            blur_mm=0.4 * max(view.spacing_mm),
            white=True,
        )
        if isinstance(fitted, str):
            backgrounds.append(None)
            continue
        backgrounds.append(fitted.background)
        near = correlate(np.where(view.inside, view.flat - fitted.background, 0.0), kernel / kernel.sum())
        height = float(np.median(ndimage.map_coordinates(near, at[:number].T, order=1, mode="nearest")))
        # The fainter the membrane the less it says; a bright blemish weighs as much as two discs, not more.
        near = max(height, 0.0) * np.clip(near, -abs(height), 2.0 * abs(height))
        maps.append((one, view))
        tops.append(below)
        # One image of all maps: discs lie far inside of each, and one call instead of four reads all of them.
        stack[below : below + near.shape[0], : near.shape[1]] = ndimage.spline_filter(near, 3, mode="nearest")
        below += near.shape[0]
    if not maps:
        return Laid(start, views, tuple(backgrounds))
    begin, steps = np.array([start.turn_deg, *start.shift_mm, start.size]), np.array([0.5, 0.25, 0.25, 0.01])

    def turned(moved: Floats) -> Turn:
        turn, down, right, size = (float(one) for one in begin + steps * moved)
        return Turn(turn, (down, right), size)

    # Where a disc lies without turn and at nominal size, seen from its ring's centre: angle and distance, and that centre.
    radii = np.array([float(one) for one in measure.settings["radii_mm"]]) * pose.scale
    count = len(measure.settings["diameters_mm"])
    angles = np.radians(
        [[pose.angle_on_screen(one.first_deg + 360.0 / count * k) for k in range(count)] for one, _ in maps]
    )
    angle = np.repeat(angles, radii.size, axis=1)[:, :number]
    reach = np.tile(radii, count)[:number]
    centres = np.array(
        [view.at(np.array(one.centre_px)) + np.array([top, 0.0]) for (one, view), top in zip(maps, tops, strict=True)]
    )
    finer_px = np.array(maps[0][1].spacing_mm)

    def loss(moved: Floats) -> float:
        lies = turned(moved)
        direction, distance = angle + math.radians(lies.turn_deg), lies.size * reach
        rows = centres[:, :1] + (distance * np.sin(direction) + lies.shift_mm[0]) / finer_px[0]
        columns = centres[:, 1:] + (distance * np.cos(direction) + lies.shift_mm[1]) / finer_px[1]
        values = ndimage.map_coordinates(stack, [rows, columns], order=3, mode="nearest", prefilter=False)
        return -float(values.sum()) / number

    simplex = np.vstack([np.zeros(4), np.eye(4)])
    # A fiftieth of a step of the search is near enough, whatever is left to gain there.
    enough = {"initial_simplex": simplex, "xatol": 0.02, "fatol": np.inf}
    finer = optimize.minimize(loss, np.zeros(4), method="Nelder-Mead", options=enough)
    return Laid(turned(np.clip(finer.x, -2.0, 2.0)), views, tuple(backgrounds))


def _smoothed(flat: Floats, kernel: Floats, inside: Mask) -> Floats:
    """Means over a disc in units of their usual size; a bright blemish weighs as much as a few discs, not more."""
    near = correlate(flat, kernel / kernel.sum())
    return np.asarray(np.clip(near / (float(np.median(np.abs(near[inside]))) + 1e-9), -4.0, 8.0))


def _flattened(part: Floats, inside: Mask) -> Floats:
    """Image over a smooth surface through the disc's area, times its mean: the coil's shading is no contrast."""
    rows, columns = np.nonzero(inside)
    y = (np.arange(part.shape[0]) - rows.mean()) / part.shape[0]
    x = (np.arange(part.shape[1]) - columns.mean()) / part.shape[1]
    terms = [(i, j) for i in range(5) for j in range(5 - i)]
    design = np.column_stack([y[rows] ** i * x[columns] ** j for i, j in terms])
    values = part[inside]
    weights = np.ones(values.size)
    solution: NDArray[np.floating] = np.zeros(len(terms))
    for _ in range(3):
        solution = np.linalg.lstsq(design * weights[:, None], values * weights, rcond=None)[0]
        rest = values - design @ solution
        spread = 1.4826 * float(np.median(np.abs(rest))) + 1e-9
        weights = np.sqrt(1.0 / (1.0 + (rest / (2.0 * spread)) ** 2))
    surface = sum(float(weight) * np.outer(y**i, x**j) for weight, (i, j) in zip(solution, terms, strict=True))
    level = float(values.mean())
    return np.asarray(part / np.maximum(surface, 0.2 * level) * level)


def _without_rings(view: Window, one: Membrane) -> Floats:
    """The image less its median about each radius, and beyond the mask the local mean of what is inside.

    For finding the discs: the ring's wall rings through them in circles about it. The median takes part of the discs with
    it where they cover half of a circle, so that it is not for judging them. Without the filling a filter near the wall
    would see the wall and no contrast.
    """
    flat, inside = view.flat, view.inside
    centre = view.at(np.array(one.centre_px))
    down = (np.arange(flat.shape[0]) - centre[0])[:, None] * view.spacing_mm[0]
    right = (np.arange(flat.shape[1]) - centre[1])[None, :] * view.spacing_mm[1]
    radius = np.hypot(down, right)
    step = max(view.spacing_mm)
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
