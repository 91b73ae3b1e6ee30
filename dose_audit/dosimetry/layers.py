"""Cushions and shells that follow a body's lower outline: told by what lies at the same depth beneath the free outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._morphology import Mask, dilate, erode, open_by
from dose_audit.dosimetry.holders import step_ends
from dose_audit.dosimetry.supports import concave_corners

__all__ = ["Layer", "find_layer"]

_THICKEST_MM = 30.0
_LEAST_CHORD = 0.4  # of the mask's width
_STEEPEST = 0.35  # of the chord: its ends lie at about the same height
_CONTRAST_HU, _HINT_HU = 35.0, 20.0
_LEAST_TOLERANCE_HU, _NOISES = 25.0, 1.5
_MOST_PAIRS, _MOST_CORNERS = 6, 24
_LEAST_PIXELS = 30
_ALIKE, _UNLIKE = 0.7, 0.4  # share of a depth's pixels that have the layer's number, in it and beneath it
_RESOLVED = 2.5  # pixels
_AROUND_MM = 10.0
_BONE_HU = 200.0
_CRUMB = 2  # pixels


Ends = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer between the body and the air.

    Attributes
    ----------
    mask : ndarray of bool, shape (H, W)
        Its pixels.
    thickness_px : float
    seen : bool
        The image shows its inner border all along; otherwise only that something is there.
    """

    mask: Mask
    thickness_px: float
    seen: bool


def find_layer(mask: Mask, image_hu: NDArray[np.floating], pixel_mm: float, corners: Mask) -> Layer | None:
    """Find a layer of even thickness around the lower part of a body.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Body and what touches it, table downwards.
    image_hu : ndarray, shape (H, W)
    pixel_mm : float
    corners : ndarray of bool, shape (H, W)
        As `concave_corners` of the mask.

    Returns
    -------
    Layer or None

    Notes
    -----
    Below a chord between two concave corners, one on either side, CT numbers are sorted by their depth beneath the outline.
    Skin and fat go all round a body; a layer that is of one number down to a depth, at which the number changes all
    along, and that is not so above the chord, is none of it.
    """
    chords = _chords(corners, mask)
    steps = step_ends(mask, image_hu, pixel_mm) if _differs_below(mask, image_hu) else None
    if not chords and steps is None:
        return None
    deepest = int(_THICKEST_MM / pixel_mm) + 3
    depth = _depth(mask, deepest)
    smooth = ndimage.uniform_filter(np.where(mask, image_hu, 0).astype(np.float32), 3)
    smooth /= np.maximum(ndimage.uniform_filter(mask.astype(np.float32), 3), 1e-3)
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    doubted = None
    for ends in [*chords[:_MOST_PAIRS], *([steps] if steps else [])]:
        (y1, x1), (y2, x2) = ends
        below = (y - y1) * (x2 - x1) > (x - x1) * (y2 - y1)
        found = _layer(depth, smooth, below, deepest)
        if found is not None:
            thickness, seen = found
            rest = mask & ~((depth > 0) & (depth < thickness + 0.5) & below)
            rest &= open_by(rest, _CRUMB) | (y < min(y1, y2) - 2 * _CRUMB)  # what the chord leaves of its ends
            if ends is steps or _smooth_without(rest, ends, thickness, pixel_mm):
                return Layer(mask & ~rest, thickness, seen)
            doubted = doubted or Layer(mask & ~rest, thickness, False)
    return doubted


def _differs_below(mask: Mask, image_hu: NDArray[np.floating]) -> bool:
    """Whether what lies just beneath the outline differs between the lowest part of a body and its upper half."""
    beneath = erode(mask, 1)
    beneath &= ~erode(beneath, 1)
    rows = np.nonzero(mask.any(axis=1))[0]
    middle, low = int(rows[0] + 0.5 * len(rows)), int(rows[0] + 0.8 * len(rows))
    upper, lower = image_hu[:middle][beneath[:middle]], image_hu[low:][beneath[low:]]
    if min(len(upper), len(lower)) < _LEAST_PIXELS:
        return False
    return abs(float(np.median(lower)) - float(np.median(upper))) > _HINT_HU


def _smooth_without(rest: Mask, ends: Ends, thickness: float, pixel_mm: float) -> bool:
    """Whether the corners are gone at both ends: an arm's or an ear's stay when something is taken off below them."""
    rows, columns = np.nonzero(concave_corners(rest, pixel_mm))
    reach = thickness + _AROUND_MM / pixel_mm
    return all(bool((np.hypot(rows - y, columns - x) > reach).all()) for y, x in ends)


def _chords(corners: Mask, mask: Mask) -> list[Ends]:
    """Pairs of corners, left and right of the middle at about the same height, the widest first."""
    if not corners.any():
        return []
    labels, count = ndimage.label(dilate(corners, 1))
    if not 2 <= count <= _MOST_CORNERS:
        return []
    points = ndimage.center_of_mass(corners, labels, range(1, count + 1))
    columns = np.nonzero(mask.any(axis=0))[0]
    width, middle = float(np.ptp(columns)) + 1, float(columns.mean())
    pairs = [
        (left, right)
        for left in points
        for right in points
        if left[1] < middle < right[1]
        and right[1] - left[1] > _LEAST_CHORD * width
        and abs(right[0] - left[0]) < _STEEPEST * (right[1] - left[1])
    ]
    return sorted(pairs, key=lambda pair: pair[0][1] - pair[1][1])


def _depth(mask: Mask, deepest: int) -> NDArray[np.float32]:
    """Distance to the outside in pixels, counted no deeper than that; the outermost pixels have 1."""
    framed = np.pad(mask, 1)
    depth = ndimage.distance_transform_edt(framed)[1:-1, 1:-1].astype(np.float32)
    depth[depth > deepest] = 0
    return depth


def _layer(
    depth: NDArray[np.float32], smooth: NDArray[np.float32], below: Mask, deepest: int
) -> tuple[float, bool] | None:
    """Thickness in pixels, and whether its inner border is seen."""
    rings = np.rint(depth).astype(int)
    under = [smooth[(rings == ring) & below] for ring in range(deepest)]
    free = [smooth[(rings == ring) & ~below] for ring in range(deepest)]
    if min(len(under[2]), len(free[2])) < _LEAST_PIXELS:
        return None
    level = float(np.median(under[2]))
    spread = 1.4826 * float(np.median(np.abs(under[2] - level)))
    tolerance = max(_LEAST_TOLERANCE_HU, _NOISES * spread)
    if abs(level - float(np.median(free[2]))) < _CONTRAST_HU:
        return None
    alike = [float((np.abs(ring - level) < tolerance).mean()) if len(ring) else 0.0 for ring in under]
    if alike[2] < _ALIKE:
        return None
    end = next((ring for ring in range(3, deepest) if alike[ring] < (_ALIKE + _UNLIKE) / 2), None)
    if end is None:
        return None
    beside = range(2, max(3, end - 1))
    if any(
        abs(float(np.median(under[at])) - float(np.median(free[at]))) < _CONTRAST_HU for at in beside if len(free[at])
    ):
        return None  # skin and fat, as all around
    if end + 1 < deepest and len(under[end + 1]) and float(np.median(under[end + 1])) > _BONE_HU:
        return None  # a scalp
    # Half-way between the last ring that is the layer's and the first that is not.
    before, after = alike[end - 1], alike[end]
    thickness = end - 1 + (before - 0.5) / max(before - after, 1e-3)
    sharp = end + 1 < deepest and alike[end + 1] < _UNLIKE and thickness >= _RESOLVED
    return float(np.clip(thickness, end - 1, end)), sharp
