"""Mammography phantoms with groups of specks: found by the constellation that the specks of the largest groups make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.locate.inserts import rigid_fit
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["Constellation", "locate", "match", "shift_by_votes", "spot_sign", "spots"]

Floats = NDArray[np.float64]
_SPOTS = 250
_TURNS_DEG = tuple(quarter + lean for quarter in (0.0, 90.0, 180.0, 270.0) for lean in np.arange(-4.0, 4.01, 1.0))
_NEAR_MM = 1.2
_SEEN = 0.7  # share of the specks of the largest groups that must be found


@dataclass(frozen=True, slots=True)
class Constellation:
    """Pose, share of the specks that were found in their places, and whether they are higher (+1) or lower (-1)."""

    pose: Pose
    share: float
    sign: int
    residual_mm: float


def spot_sign(bench: Workbench, definition: Definition) -> int:
    """+1 where specks are higher in pixel value than their surroundings, -1 where lower, 0 where none were found."""
    found = _found(bench, definition)
    return 0 if found is None else found.sign


def _found(bench: Workbench, definition: Definition) -> Constellation | None:
    return bench.once(f"mg_specks:{definition.id}", lambda: _search(bench, definition))


def _largest_specks(definition: Definition) -> list[Feature]:
    specks = [one for one in definition.features if one.shape == "speck"]
    sizes = sorted({one.size_mm[0] for one in specks}, reverse=True)[:3]
    return [one for one in specks if one.size_mm[0] in sizes]


def _search(bench: Workbench, definition: Definition) -> Constellation | None:
    image = bench.series.image(0)
    spacing = bench.spacing_mm
    specks = _largest_specks(definition)
    sigma = tuple(max(0.10 / step, 0.6) for step in spacing)
    wide = tuple(3.0 * one for one in sigma)
    work = np.asarray(image, dtype=np.float32)
    bumps = ndimage.gaussian_filter(work, sigma) - ndimage.gaussian_filter(work, wide)
    noise = 1.4826 * float(np.median(np.abs(bumps)))
    if noise <= 0:
        return None
    template = np.array([(one.x_mm, one.y_mm) for one in specks])
    best: tuple[int, int, float, bool, tuple[float, float], Floats] | None = None
    for sign in (-1, 1):
        points = spots(sign * bumps, noise, spacing)
        if points.shape[0] < 6:
            continue
        for mirrored in (False, True):
            own = template * np.array([-1.0 if mirrored else 1.0, 1.0])
            for turn_deg in _TURNS_DEG:
                turn = np.radians(turn_deg)
                placed = own @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
                count, shift = shift_by_votes(points, placed)
                if best is None or count > best[0]:
                    best = (count, sign, float(turn_deg), mirrored, shift, points)
    if best is None or best[0] < 0.3 * len(specks):
        return None
    count, sign, turn_deg, mirrored, shift, points = best
    pose = Pose(0.0, (shift[1] / spacing[0], shift[0] / spacing[1]), spacing, roll_deg=turn_deg, mirrored=mirrored)
    residual = _NEAR_MM
    matched: list[tuple[Feature, float, float]] = []
    for reach in (2.0 * _NEAR_MM, _NEAR_MM, 0.6):
        matched = []
        for one in specks:
            row, column = pose.to_pixel(one.x_mm, one.y_mm)
            distance = np.hypot(points[:, 1] - row * spacing[0], points[:, 0] - column * spacing[1])
            nearest = int(np.argmin(distance))
            if distance[nearest] < reach:
                matched.append((one, points[nearest, 1] / spacing[0], points[nearest, 0] / spacing[1]))
        fit = rigid_fit(matched, pose) if len(matched) >= 4 else None
        if fit is None:
            break
        pose = Pose(0.0, fit.centre_px, spacing, roll_deg=fit.roll_deg, mirrored=mirrored, scale=fit.radius_ratio)
        residual = fit.residual_mm
    return Constellation(pose, len(matched) / len(specks), sign, residual)


def spots(bumps: NDArray[np.float32], noise: float, spacing: tuple[float, float], most: int = _SPOTS) -> Floats:
    """The strongest small spots of a band-passed image as (x, y) in mm."""
    reach = [max(3, round(1.0 / step) | 1) // 2 for step in spacing]
    border = [max(2, round(3.0 / step)) for step in spacing]
    inner = bumps[border[0] : -border[0], border[1] : -border[1]]
    top = inner > 5.0 * noise
    # Next to its neighbours first: a filter of a millimetre over all pixels would take most of the time.
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        top &= inner >= np.roll(bumps, (down, right), (0, 1))[border[0] : -border[0], border[1] : -border[1]]
    rows, columns = (at + edge for at, edge in zip(np.nonzero(top), border, strict=True))
    chosen: list[tuple[float, float]] = []
    for k in np.argsort(-bumps[rows, columns]):
        row, column = int(rows[k]), int(columns[k])
        near = bumps[max(0, row - reach[0]) : row + reach[0] + 1, max(0, column - reach[1]) : column + reach[1] + 1]
        if bumps[row, column] == near.max():
            chosen.append((column * spacing[1], row * spacing[0]))
            if len(chosen) == most:
                break
    return np.array(chosen, dtype=float).reshape(-1, 2)


def shift_by_votes(points: Floats, placed: Floats) -> tuple[int, tuple[float, float]]:
    """The shift under which most template points meet a spot."""
    shifts = (points[:, None, :] - placed[None, :, :]).reshape(-1, 2)
    low = shifts.min(axis=0)
    cells = ((shifts - low) / _NEAR_MM).astype(np.intp)
    width = cells.max(axis=0) + 2
    grid = np.bincount(cells[:, 0] * width[1] + cells[:, 1], minlength=int(width[0] * width[1])).reshape(width)
    near = ndimage.uniform_filter(grid.astype(float), 2, mode="constant", origin=-1) * 4
    at = np.unravel_index(int(np.argmax(near)), near.shape)
    chosen = (np.abs(cells - np.asarray(at) - 0.5) < 1.0).all(axis=1)
    middle = np.median(shifts[chosen], axis=0) if chosen.any() else low
    return int(chosen.sum()), (float(middle[0]), float(middle[1]))


def match(bench: Workbench, definition: Definition) -> Match:
    """Most specks of the three largest groups lie in their places."""
    if len(bench.series.frames) > 4:
        return Match(0.0)
    found = _found(bench, definition)
    if found is None:
        return Match(0.0, ("no constellation of specks",))
    said = (f"{found.share:.0%} of the largest specks in their places, within {found.residual_mm:.2f} mm",)
    if found.share < _SEEN or found.residual_mm > 0.5 or abs(found.pose.scale - 1) > 0.12:
        return Match(min(0.5, found.share), said)
    return Match(float(np.clip(0.6 + 0.4 * (found.share - _SEEN) / (1 - _SEEN), 0.0, 1.0)), said)


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Middle, turn and handedness of the insert."""
    found = _found(bench, definition)
    if found is None:
        reason = "no constellation of specks"
        return Pose(0.0, (0.0, 0.0), bench.spacing_mm, status="not_measurable", reason=reason, quality=0.0)
    pose = found.pose
    note = f"{found.share:.0%} of the largest specks in their places, within {found.residual_mm:.2f} mm"
    return Pose(
        0.0,
        pose.centre_px,
        pose.spacing_mm,
        roll_deg=pose.roll_deg,
        mirrored=pose.mirrored,
        scale=pose.scale,
        quality=found.share,
        notes=(note,),
    )
