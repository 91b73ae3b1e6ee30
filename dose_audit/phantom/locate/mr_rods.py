"""A plate of rods in MR (MagNET / Eurospin TO2): a square lattice of dark dots in a round section."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.image_quality import sample_points
from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.locate.mr_looks import agreement, looks, template
from dose_audit.phantom.locate.mr_uniform import is_magnitude
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["locate", "match", "rod_centres"]

# Less than the outer rods' distance from the wall, more than a rod's radius.
_SEARCH_MM = 6.5
_SEEN = 0.4
_WITHIN_MM = 2.5


def _rods(definition: Definition) -> list[Feature]:
    return [one for one in definition.features if "rods" in one.extra.get("looks", ())]


def rod_centres(bench: Workbench, definition: Definition, index: int) -> list[tuple[float, float]] | None:
    """Row and column of each rod in the definition's order; `None` where they do not form its lattice."""

    def make() -> list[tuple[float, float]] | None:
        look = looks(bench)[index]
        if look.dark is None or look.outline.centre_px is None or look.radius_mm is None:
            return None
        low, high = (float(one) for one in definition.body["diameter_range_mm"])
        if not low <= 2 * look.radius_mm <= high:
            return None
        rods = _rods(definition)
        radius = float(round(look.radius_mm))
        wanted = bench.once(f"mr rods drawn {definition.id} {radius}", lambda: template(rods, radius))
        agreed, roll = agreement(look.dark, wanted)
        if agreed < _SEEN:
            return None
        # A square lattice repeats at a quarter turn: the one nearest to upright.
        roll = (roll + 45.0) % 90.0 - 45.0
        image, spacing = bench.series.image(index), bench.spacing_mm
        guess = Pose(0.0, look.outline.centre_px, spacing, roll_deg=roll)
        found: list[tuple[float, float]] = []
        for _ in range(2):
            found = [_dot(image, spacing, guess.to_pixel(one.x_mm, one.y_mm), max(one.size_mm)) for one in rods]
            guess = _fitted(found, rods, spacing)
        away = [
            math.hypot(*((a - b) * s for a, b, s in zip(at, guess.to_pixel(one.x_mm, one.y_mm), spacing, strict=True)))
            for at, one in zip(found, rods, strict=True)
        ]
        return found if max(away) <= _WITHIN_MM and _dark_dots(image, spacing, found, rods) else None

    return bench.once(f"mr rods {definition.id} {index}", make)


def _dot(
    image: NDArray[np.float32], spacing: tuple[float, float], at: tuple[float, float], diameter_mm: float
) -> tuple[float, float]:
    """Centre of gravity of what is dark within reach, about itself."""
    reach, row, column = _SEARCH_MM, *at
    offsets = np.arange(-reach, reach + 0.1, 0.25)
    down, right = np.meshgrid(offsets, offsets, indexing="ij")
    away = np.hypot(down, right)
    for turn in range(4):
        values = sample_points(image, row + down / spacing[0], column + right / spacing[1])
        if turn == 0:
            smooth = ndimage.gaussian_filter(values, 0.25 * diameter_mm / 0.25)
            i, j = np.unravel_index(int(np.argmin(smooth)), smooth.shape)
            row, column = row + down[i, j] / spacing[0], column + right[i, j] / spacing[1]
            continue
        level = float(np.median(values[(away > 0.85 * reach) & (away <= reach)]))
        weight = np.where(away <= reach, np.clip(0.85 * level - values, 0.0, None), 0.0)
        total = float(weight.sum())
        if total <= 0:
            return at
        row += float((weight * down).sum()) / total / spacing[0]
        column += float((weight * right).sum()) / total / spacing[1]
    return float(row), float(column)


def _dark_dots(
    image: NDArray[np.float32], spacing: tuple[float, float], found: list[tuple[float, float]], rods: list[Feature]
) -> bool:
    """Whether each place is dark against the mean of the points half way to its neighbours."""
    centre = np.asarray(found[len(found) // 2])
    level = float(np.median(sample_points(image, *(np.asarray(found) + 0.2 * (centre - found) + 0.04).T)))
    values = sample_points(image, *np.asarray(found).T)
    return bool((values < 0.75 * level).sum() >= len(rods) - 1)


def _fitted(found: list[tuple[float, float]], rods: list[Feature], spacing: tuple[float, float]) -> Pose:
    """Rotation and shift that lay the lattice on the dots, by least squares."""
    seen = np.array([[column * spacing[1], row * spacing[0]] for row, column in found])
    own = np.array([[one.x_mm, one.y_mm] for one in rods])
    a, b = own - own.mean(axis=0), seen - np.median(seen, axis=0)
    turn = float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.median(seen - own @ rotate.T, axis=0)
    return Pose(0.0, (float(middle[1] / spacing[0]), float(middle[0] / spacing[1])), spacing, roll_deg=np.degrees(turn))


def match(bench: Workbench, definition: Definition) -> Match:
    """The lattice in at least one frame."""
    if not is_magnitude(bench) or len(bench.series.frames) > 40:
        return Match(0.0)
    seen = [i for i in range(len(bench.series.frames)) if rod_centres(bench, definition, i) is not None]
    if not seen:
        return Match(0.0, ("no lattice of rods",))
    return Match(0.88, (f"{len(_rods(definition))} rods in their lattice in {len(seen)} slices",))


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Centre and roll from the rods; which quarter turn is told by where the plates lie, darker than between the rods."""
    seen = [i for i in range(len(bench.series.frames)) if rod_centres(bench, definition, i) is not None]
    if not seen:
        reason = "no lattice of rods was found"
        return Pose(0.0, (0.0, 0.0), bench.spacing_mm, quality=0.0, status="not_measurable", reason=reason)
    index = seen[len(seen) // 2]
    rods = _rods(definition)
    found = rod_centres(bench, definition, index)
    assert found is not None
    fitted = _fitted(found, rods, bench.spacing_mm)
    plates = [one for one in definition.features if "plates" in one.extra.get("looks", ())]
    image, best = bench.series.image(index), (float("inf"), 0.0)
    for quarter in (0.0, 90.0):
        turned = Pose(0.0, fitted.centre_px, bench.spacing_mm, roll_deg=fitted.roll_deg + quarter)
        values = [_mean(image, turned, one.x_mm, one.y_mm) for one in plates]
        if values and float(np.mean(values)) < best[0]:
            best = (float(np.mean(values)), quarter)
    z = float(bench.series.z_mm[index])
    return Pose(
        z, fitted.centre_px, bench.spacing_mm, roll_deg=fitted.roll_deg + best[1], quality=len(seen) / len(looks(bench)),
        notes=(f"{len(rods)} rods in slice {index + 1}",),
    )  # fmt: skip


def _mean(image: NDArray[np.float32], pose: Pose, x_mm: float, y_mm: float) -> float:
    places = [pose.to_pixel(x_mm + dx, y_mm + dy) for dx in (-4, 0, 4) for dy in (-4, 0, 4)]
    return float(sample_points(image, [r for r, _ in places], [c for _, c in places]).mean())
