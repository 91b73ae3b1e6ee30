"""Holders that hug a head or a phantom so closely that no gap parts them: told by the steps at their two ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._morphology import Mask

__all__ = ["LARGEST_HEAD_MM", "Parting", "part_from_holder"]

_ANGLES = 180
_WINDOW = 10  # samples of 2° on either side of a step
_LEAST_STEP_MM, _THICKEST_MM = 1.2, 40.0
_ARC = (30, 130)  # samples, 60° to 260°: more is a wall and belongs to a phantom, less is an ear or a nose
_LIKE = 0.5  # the two ends' heights differ by no more, relative to the larger
_ROUND_PX = 0.6
_PARALLEL = 0.02  # of the mean radius
_ROUNDER = 0.6
_MOSTLY, _THROUGHOUT = 0.5, 0.9  # of the arc
_CONTRAST_HU = 40.0
_FAT_HU = (-140.0, -60.0)
LARGEST_HEAD_MM = 260.0
"""Across, with a holder; what is larger is a trunk, which lies on a table and whose arms make steps too."""

_HALF = 97  # samples: of an outline of which less than half is free the rest cannot be drawn
_UNDER = 0.8  # sine of the least angle between the horizontal and an arc's middle


@dataclass(frozen=True, slots=True)
class Parting:
    """What was parted from the body.

    Attributes
    ----------
    mask : ndarray of bool, shape (H, W)
        The body.
    doubt : str
        Why the border is not certain; empty where there is no holder or its border is seen in the image.
    doubtful_mm2 : float
        Area by which it can be wrong (k = 1).
    """

    mask: Mask
    doubt: str = ""
    doubtful_mm2: float = 0.0


def part_from_holder(mask: Mask, image_hu: NDArray[np.floating], pixel_mm: float, *, one_material: bool) -> Parting:
    """Part a body from what hugs a part of it.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Body and what touches it, table downwards.
    image_hu : ndarray, shape (H, W)
    pixel_mm : float
    one_material : bool
        The body is a phantom of one material.

    Returns
    -------
    Parting

    Notes
    -----
    The outline is taken as radii over angles about its centre. Where a holder begins, the radius steps outwards by its
    thickness, where it ends it steps back; an arc of 60° to 260° between two such steps of like height, whose middle
    points to the table, may be a holder: what lies at a side is the other leg, and at the top are breasts. A shell of
    even thickness is taken off along the outline. Its border is certain when the image shows it: CT numbers of the layer
    and of what lies beneath differ by 40 HU.

    Of a head only such a shell is taken off; steps alone are ears, jaws and the folds of a neck. One of the number of fat
    stays, with doubt, for the backs of children look so.

    Of a phantom of one material the shape of the ends is enough, with doubt; of a block the ellipse through the free
    outline tells where the phantom ends, as long as that outline is elliptic and half of all. Else nothing is cut, and
    all that lies between is doubt.
    """
    count = np.count_nonzero(mask)
    if not count or (not one_material and 2 * math.sqrt(count / math.pi) * pixel_mm > LARGEST_HEAD_MM):
        return Parting(mask)
    rows, columns = np.nonzero(mask)
    centre = (float(rows.mean()), float(columns.mean()))
    radii = _outline(mask, image_hu, centre)
    arc = _arc(radii, pixel_mm)
    if arc is None:
        return Parting(mask)
    within, thickness = arc
    inner = _shell(radii, thickness)
    shell = inner is not None
    numbers = _numbers(image_hu, centre, radii, thickness, within, pixel_mm)
    seen = shell and abs(numbers[0] - numbers[1]) > _CONTRAST_HU
    if (inner is None and within.sum() > _HALF) or not (seen or one_material):
        return Parting(mask)
    if not one_material and _FAT_HU[0] < numbers[0] < _FAT_HU[1]:
        doubtful_mm2 = _layer(thickness, radii, pixel_mm)
        return Parting(mask, "something hugs the body that may be its fat", doubtful_mm2)
    if inner is None:
        free = _ellipse(radii, ~within)
        off = np.inf if free is None else float(np.std((radii - free)[~within]))
        free = radii - thickness if free is None else free
        raised = float(np.mean((radii - free)[within] > 0.5 * thickness[within]))
        if raised < _MOSTLY:
            return Parting(mask)  # between the two steps the outline comes back to the body
        if raised < _THROUGHOUT or off > _ROUND_PX:
            doubtful_mm2 = _layer(np.where(within, np.maximum(radii - free, 0), 0), radii, pixel_mm) / 2
            return Parting(mask, "something hugs the body and cannot be told from it", doubtful_mm2)
        inner = np.where(within, np.minimum(free, radii), radii)
    layer_mm2 = _layer(radii - inner, radii, pixel_mm)
    angle = np.arctan2(rows - centre[0], columns - centre[1]) * (_ANGLES / math.tau)
    border = np.interp(angle, np.arange(-_ANGLES, 2 * _ANGLES), np.tile(np.where(within, inner, np.inf), 3))
    cut = mask.copy()
    cut[rows, columns] = np.hypot(rows - centre[0], columns - centre[1]) <= border
    if seen:
        return Parting(cut, "", 0.1 * layer_mm2)
    doubt = (
        "a holder was parted from the body by the shape of its ends alone"
        if shell
        else "a holder was parted by an ellipse"
    )
    return Parting(cut, doubt, (0.25 if shell else 0.5) * layer_mm2)


def _shell(radii: NDArray[np.float64], thickness: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The outline beneath a shell of that thickness, if it is rounder by it."""
    inner = radii - thickness
    with_it, without = _ellipse(radii, np.ones(_ANGLES, bool)), _ellipse(inner, np.ones(_ANGLES, bool))
    if with_it is None or without is None:
        return None
    off, before = (float(np.percentile(np.abs(item), 80)) for item in (inner - without, radii - with_it))
    within = thickness > 0
    flat = float(np.std((inner - without)[within])) <= max(_ROUND_PX, _PARALLEL * float(radii.mean()))
    return inner if flat and off < _ROUNDER * before else None


def _layer(thickness: NDArray[np.float64], radii: NDArray[np.float64], pixel_mm: float) -> float:
    """Area between two outlines, mm²."""
    return float((thickness * (radii - thickness / 2)).sum()) * math.tau / _ANGLES * pixel_mm**2


def _outline(mask: Mask, image_hu: NDArray[np.floating], centre: tuple[float, float]) -> NDArray[np.float64]:
    """Radius at which the outermost crossing between body and air lies, in pixels, from 0° along the rows on."""
    angle = np.arange(_ANGLES) * math.tau / _ANGLES
    down, right = np.sin(angle)[:, None], np.cos(angle)[:, None]
    steps = np.arange(math.ceil(math.hypot(*mask.shape)))[None, :]
    row, column = np.rint(centre[0] + down * steps).astype(int), np.rint(centre[1] + right * steps).astype(int)
    there = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
    hit = there & mask[np.clip(row, 0, mask.shape[0] - 1), np.clip(column, 0, mask.shape[1] - 1)]
    last = hit.shape[1] - 1 - hit[:, ::-1].argmax(axis=1)
    near = last[:, None] + np.linspace(-1.5, 2.5, 9)[None, :]
    values = ndimage.map_coordinates(
        image_hu, [centre[0] + down * near, centre[1] + right * near], order=1, mode="nearest"
    )
    # The crossing of half-way from what is just inside to air, at the first sample below it.
    half = (np.maximum(values[:, :3].mean(axis=1), -400.0) - 1000.0) / 2
    below = values[:, 2:] < half[:, None]
    first = np.where(below.any(axis=1), below.argmax(axis=1), 5) + 2
    one, other = (np.take_along_axis(values, (first - shift)[:, None], 1)[:, 0] for shift in (1, 0))
    share = np.clip((one - half) / np.maximum(one - other, 1.0), 0.0, 1.0)
    return np.maximum(last - 1.5 + 0.5 * (first - 1 + share), 1.0)


def _intercepts() -> NDArray[np.float64]:
    """Weights that give a line's value at 0 from its values at 1 … `_WINDOW`."""
    design = np.stack([np.ones(_WINDOW), np.arange(1, _WINDOW + 1)], axis=1)
    return np.linalg.pinv(design)[0]


def _arc(radii: NDArray[np.float64], pixel_mm: float) -> tuple[Mask, NDArray[np.float64]] | None:
    """Which angles a holder covers and how thick it is there, in pixels."""
    weights = _intercepts()
    place = np.arange(_ANGLES)[:, None]
    after, before = ((place + sign * np.arange(1, _WINDOW + 1)) % _ANGLES for sign in (1, -1))
    jump = (radii[after] - radii[before]) @ weights
    height = np.abs(jump)
    least, most = _LEAST_STEP_MM / pixel_mm, _THICKEST_MM / pixel_mm
    around = height[(place + np.arange(-4, 5)) % _ANGLES].max(axis=1)
    peaks = np.nonzero((height == around) & (height >= least) & (height <= 1.3 * most))[0]
    # A step happens within a sample or two; a bend of the outline, which bends these lines too, does not.
    sharp = [
        at
        for at in peaks
        if abs(float(radii[(at + 2) % _ANGLES] - radii[(at - 2) % _ANGLES])) >= 0.6 * height[at]
        and _straight(radii[after[at]]) + _straight(radii[before[at]]) < 0.25 * height[at] + 0.5
    ]
    best: tuple[float, int, int] | None = None
    for one in sharp:
        for other in sharp:
            reach = (other - one) % _ANGLES
            under = math.sin((one + reach / 2) * math.tau / _ANGLES) > _UNDER
            if jump[one] > 0 > jump[other] and under and _ARC[0] <= reach <= _ARC[1]:
                lower, higher = sorted((float(height[one]), float(height[other])))
                if lower >= (1 - _LIKE) * higher and (best is None or lower > best[0]):
                    best = (lower, int(one), int(other))
    if best is None:
        return None
    _, begin, end = best
    width = (end - begin) % _ANGLES
    covered = (begin + np.arange(width + 1)) % _ANGLES
    thickness = np.zeros(_ANGLES)
    thickness[covered] = np.linspace(height[begin], height[end], width + 1)
    within = thickness > 0
    # The samples at the steps themselves lie on the ends' flanks.
    for at, neighbour in ((begin, -1), (end, 1)):
        level = radii[(at + 2 * neighbour) % _ANGLES]
        for near in (at - 1, at, at + 1):
            excess = radii[near % _ANGLES] - level
            thickness[near % _ANGLES] = max(0.0, min(height[at], excess))
    return within, thickness


def _straight(values: NDArray[np.float64]) -> float:
    """Scatter about a parabola."""
    place = np.arange(len(values))
    return float(np.std(values - np.polyval(np.polyfit(place, values, 2), place)))


def _ellipse(radii: NDArray[np.float64], used: Mask) -> NDArray[np.float64] | None:
    """Radii, at all angles, of the ellipse through those that are used."""
    angle = np.arange(_ANGLES) * math.tau / _ANGLES
    across, down = np.cos(angle), np.sin(angle)
    scale = float(np.median(radii[used]))
    x, y = radii[used] * across[used] / scale, radii[used] * down[used] / scale
    terms = np.stack([x**2 - y**2, x * y, x, y, np.ones_like(x)], axis=1)
    a, b, c, d, e = np.linalg.lstsq(terms, x**2 + y**2, rcond=None)[0]
    square, linear = 1 - a * (across**2 - down**2) - b * across * down, c * across + d * down
    root = linear**2 + 4 * square * e
    if np.any(square <= 0.05) or np.any(root <= 0):
        return None
    return scale * (linear + np.sqrt(root)) / (2 * square)


def _numbers(
    image_hu: NDArray[np.floating],
    centre: tuple[float, float],
    radii: NDArray[np.float64],
    thickness: NDArray[np.float64],
    within: Mask,
    pixel_mm: float,
) -> tuple[float, float]:
    """CT numbers of the layer and of what lies just beneath it, medians."""
    angle = np.arange(_ANGLES)[within] * math.tau / _ANGLES
    reach = max(1.0, 3.0 / pixel_mm)

    def at(depth: NDArray[np.float64]) -> float:
        far = radii[within] - depth
        places = [centre[0] + np.sin(angle) * far, centre[1] + np.cos(angle) * far]
        return float(np.median(ndimage.map_coordinates(image_hu, places, order=1, mode="nearest")))

    return at(0.5 * thickness[within]), at(thickness[within] + reach)
