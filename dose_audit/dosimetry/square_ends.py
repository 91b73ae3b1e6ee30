"""A layer of one material beneath a body that ends squarely on both sides at one height, as cushions do and no skin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._morphology import Mask, erode

__all__ = ["layer_between_ends"]

_ANGLES = 180
_TURN = np.arange(_ANGLES)[:, None] * (math.tau / _ANGLES)
_DOWN, _RIGHT = np.sin(_TURN), np.cos(_TURN)
_WINDOW = 8  # samples of 2° on either side of a step through which a parabola is drawn
_NEXT = np.arange(1, _WINDOW + 1)
_PARABOLA = np.stack([np.ones(_WINDOW), _NEXT, _NEXT**2], axis=1)
_AFTER, _BEFORE = ((np.arange(_ANGLES)[:, None] + sign * _NEXT) % _ANGLES for sign in (1, -1))
_AT_STEP = np.linalg.pinv(_PARABOLA)[0]  # weights that give the parabola's value at the step
_STEP = np.concatenate([-_AT_STEP[::-1], [0.0], _AT_STEP])
_OFF_PARABOLA = np.eye(_WINDOW) - _PARABOLA @ np.linalg.pinv(_PARABOLA)
_LINE_AT_STEP = np.array([4.0, 1.0, -2.0]) / 3  # the same for a line through three samples
_RAY_PX = np.arange(-2.5, 4.0)  # about the last pixel of the mask
_AIR_HU, _DENSEST_HU = -1000.0, 200.0

_END_MM, _LEAST_END_PX = (2.7, 45.0), 1.1
_SMOOTH_PX, _SMOOTH_SHARE = 0.3, 0.06  # beside an end, of the outline about its parabola; of the step
_SHARP, _LIKE_ENDS, _LEVEL_MM, _LEVEL_SHARE = 0.6, 0.6, 4.0, 0.03  # of the step; of the larger; of the radius
_ARC = (30, 95)  # samples, 60° to 190°: higher up there are breasts
_BENEATH = 0.8  # sine of the least angle between the horizontal and the arc's middle
_BETWEEN, _BETWEEN_MM = 0.5, 5.0  # of the step: below an arm the outline comes back
_OPEN_HU, _HALF_HU = -700.0, -500.0
_FINE, _CUT_MM, _CUT, _CUT_PX = 33, 5.0, 0.63, 0.15  # rays over 8°; along the outline; of the step
_ONE_MATERIAL_HU, _MOST_OF_IT = (60.0, 40.0), (0.7, 0.6)
_DEPTHS = (0.3, 0.45, 0.6)  # of its thickness


@dataclass(frozen=True, slots=True)
class _Outline:
    """Where rays from the middle leave the body.

    Attributes
    ----------
    centre : (float, float)
        The middle's row and column.
    radii : ndarray of float, shape (180,)
        In pixels, from 0° to the right on downwards.
    beyond_hu : ndarray, shape (180,)
        The highest number 2.5 to 3.5 pixels beyond the mask's last pixel.
    """

    centre: tuple[float, float]
    radii: NDArray[np.float64]
    beyond_hu: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class _Ends:
    """Two ends of a layer: the samples at which it begins and ends, the row below the middle, its thickness in pixels."""

    begin: int
    end: int
    row: float
    thickness: float


def layer_between_ends(mask: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> float:
    """How large such a layer is.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Body and what touches it, table downwards.
    image_hu : ndarray, shape (H, W)
    pixel_mm : float

    Returns
    -------
    float
        Pixels; 0 without one.

    Notes
    -----
    The outline is taken as radii over angles about the middle, each where the image falls half-way to air. The end of a
    cushion or a holder is cut: from one ray to the next the radius steps outwards by 3 to 45 mm, with the outline smooth on
    both sides of the step and air beside it. Skin goes over folds, arms and breasts in curves and kinks, and seldom
    at one height on both sides. What does so and is no holder, ears or jaws, has skin, muscle and bone in it, or is short.
    """
    framed = np.pad(mask, 1)
    within = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    rows, columns = np.divmod(np.flatnonzero(mask & ~within), mask.shape[1])
    if len(rows) < _ANGLES // 2:
        return 0.0
    centre = (float(rows.mean()), float(columns.mean()))
    down, right = rows - centre[0], columns - centre[1]
    angle = np.rint(np.arctan2(down, right) * (_ANGLES / math.tau)).astype(int) % _ANGLES
    far = np.hypot(down, right)
    outermost, nearest = np.full(_ANGLES, -np.inf), np.full(_ANGLES, np.inf)
    np.maximum.at(outermost, angle, far)
    np.minimum.at(nearest, angle, far)
    last = [outermost]
    if float((outermost - nearest).max()) > 2 + _LEAST_END_PX:
        last.append(nearest)  # where arms lie beside the body it ends where the ray first leaves it
    for radii in last:
        outline = _outline(image_hu, centre, radii)
        for ends in _ends(outline, pixel_mm):
            rises = [_rises(image_hu, outline, at, _CUT_MM / pixel_mm) for at in (ends.begin, ends.end)]
            if min(rises) + _CUT_PX >= _CUT * ends.thickness and _is_one_material(image_hu, outline, ends):
                deep = max(2, round(ends.thickness))
                layer = mask & ~erode(np.pad(mask, deep), deep)[deep:-deep, deep:-deep]
                return float(np.count_nonzero(layer[max(0, round(centre[0] + ends.row)) :]))
    return 0.0


def _outline(image_hu: NDArray[np.floating], centre: tuple[float, float], last: NDArray[np.float64]) -> _Outline:
    """The outline near the last pixels of a mask along the rays."""
    known = np.nonzero(np.isfinite(last))[0]
    last = np.interp(np.arange(_ANGLES), known, last[known], period=_ANGLES)
    ray = last[:, None] + _RAY_PX
    places = [centre[0] + _DOWN * ray, centre[1] + _RIGHT * ray]
    numbers = ndimage.map_coordinates(image_hu, places, order=1, mode="nearest")
    within = np.clip(numbers[:, :2].mean(axis=1), -400.0, _DENSEST_HU)
    half = ((within + _AIR_HU) / 2)[:, None]
    below = numbers[:, 1:] < half
    first = np.where(below.any(axis=1), below.argmax(axis=1), 3) + 1
    one, other = (np.take_along_axis(numbers, (first - shift)[:, None], 1)[:, 0] for shift in (1, 0))
    share = np.clip((one - half[:, 0]) / np.maximum(one - other, 1.0), 0.0, 1.0)
    radii = np.maximum(last + _RAY_PX[0] + first - 1 + share, 1.0)
    return _Outline(centre, radii, numbers[:, -2:].max(axis=1))


def _ends(outline: _Outline, pixel_mm: float) -> list[_Ends]:
    """Pairs of square ends at one height; the thickest first."""
    radii = outline.radii
    step = ndimage.correlate1d(radii, _STEP, mode="wrap")
    height = np.abs(step)
    least, most = max(_END_MM[0] / pixel_mm, _LEAST_END_PX), _END_MM[1] / pixel_mm
    peaks = (height >= least) & (height <= most)
    if not (peaks & (step > 0)).any() or not (peaks & (step < 0)).any():
        return []
    peaks &= height == ndimage.maximum_filter1d(height, 9, mode="wrap")
    places = np.flatnonzero(peaks)
    after, before = radii[_AFTER[places]], radii[_BEFORE[places]]
    sharp = (after[:, :3] - before[:, :3]) @ _LINE_AT_STEP * np.sign(step[places])
    rough = np.sqrt(np.maximum(*(np.square(side @ _OFF_PARABOLA).mean(axis=1) for side in (after, before))))
    most_rough = np.maximum(_SMOOTH_PX, _SMOOTH_SHARE * height[places])
    places = places[(sharp >= _SHARP * height[places]) & (rough <= most_rough)]
    ends = [int(at) for at in places if _opens(outline, int(at), 1 if step[at] > 0 else -1)]
    found = []
    for one in ends:
        for other in ends:
            reach = (other - one) % _ANGLES
            beneath = math.sin((one + reach / 2) * math.tau / _ANGLES) > _BENEATH
            if not (step[one] > 0 > step[other] and beneath and _ARC[0] <= reach <= _ARC[1]):
                continue
            lower, higher = sorted((float(height[one]), float(height[other])))
            levels = [radii[at % _ANGLES] * math.sin(at * math.tau / _ANGLES) for at in (one + 1, other - 1)]
            # From one ray to the next a steep outline falls by 3.5 % of the radius.
            level = _LEVEL_MM / pixel_mm + _LEVEL_SHARE * float(radii[one] + radii[other]) / 2
            within = height[(one + np.arange(_WINDOW + 1, reach - _WINDOW)) % _ANGLES]
            goes_on = not within.size or float(within.max()) < max(_BETWEEN * lower, _BETWEEN_MM / pixel_mm)
            if lower >= _LIKE_ENDS * higher and abs(levels[0] - levels[1]) <= level and goes_on:
                found.append(_Ends(one, other, min(levels), lower))
    return sorted(found, key=lambda pair: -pair.thickness)


def _opens(outline: _Outline, at: int, into: int) -> bool:
    """Whether there is air beside the end, where the body is free, and beside what ends there."""
    free, layer = ((at + into * np.arange(*samples)) % _ANGLES for samples in ((-4, 0), (2, 7)))
    return bool(outline.beyond_hu[free].max() < _OPEN_HU and np.median(outline.beyond_hu[layer]) < _OPEN_HU)


def _rises(image_hu: NDArray[np.floating], outline: _Outline, at: int, along: float) -> float:
    """Pixels by which the radius steps out or in within so many pixels along the outline."""
    near = outline.radii[(at + np.arange(-3, 4)) % _ANGLES]
    aslant = (
        float(near[2] - near[0] + near[6] - near[4]) / 4
    )  # by which the outline itself comes nearer from ray to ray
    turn = (at + np.linspace(-2, 2, _FINE))[:, None] * (math.tau / _ANGLES)
    ray = np.arange(near.min() - 4, near.max() + 4, 0.25)
    places = [outline.centre[0] + np.sin(turn) * ray, outline.centre[1] + np.cos(turn) * ray]
    dense = ndimage.map_coordinates(image_hu, places, order=1, mode="nearest") > _HALF_HU
    radii = ray[ray.size - 1 - dense[:, ::-1].argmax(axis=1)]
    finer = 4 / (_FINE - 1)
    reach = max(1, round(along / (float(near.mean()) * finer * math.tau / _ANGLES)))
    return float(np.abs(radii[reach:] - radii[:-reach] - reach * finer * aslant).max())


def _is_one_material(image_hu: NDArray[np.floating], outline: _Outline, ends: _Ends) -> bool:
    """Whether half-way through the layer there is one number."""
    covered = (ends.begin + np.arange(3, (ends.end - ends.begin) % _ANGLES - 2)) % _ANGLES
    turn = covered * (math.tau / _ANGLES)
    smooth = ndimage.gaussian_filter1d(outline.radii, 2, mode="wrap")
    lean = np.arctan2(np.gradient(smooth, math.tau / _ANGLES)[covered], smooth[covered])
    depth = np.array(_DEPTHS)[:, None] * ends.thickness
    down = outline.radii[covered] * np.sin(turn) - depth * np.sin(turn - lean)
    right = outline.radii[covered] * np.cos(turn) - depth * np.cos(turn - lean)
    places = [outline.centre[0] + down, outline.centre[1] + right]
    numbers = ndimage.uniform_filter1d(ndimage.map_coordinates(image_hu, places, order=1, mode="nearest"), 3, axis=1)
    off = np.abs(
        numbers - np.median(numbers, axis=1, keepdims=True)
    )  # at each depth for itself: two pixels are all border
    return all(float(np.mean(off < limit)) >= most for limit, most in zip(_ONE_MATERIAL_HU, _MOST_OF_IT, strict=True))
