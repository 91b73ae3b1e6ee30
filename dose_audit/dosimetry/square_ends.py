"""A layer of one material beneath a body that ends squarely on both sides at one height, as cushions do and no skin."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._morphology import Mask, erode

__all__ = ["layer_between_ends"]

_END_MM, _LEAST_END_PX = (3.0, 40.0), 1.5
_LIKE_ENDS, _LEVEL_MM, _GRADUAL = 0.4, 3.0, 0.5
_OUTLINE_MM, _NOTCH_MM = 8.0, 6.0
_GOES_ON_MM, _STILL, _BENT = 30.0, 0.3, 1.0
_AT = (0.2, 0.95)  # of the body's height
_ONE_MATERIAL_HU, _MOST_OF_IT, _MOST_OF_THAT = (60.0, 40.0), 0.7, 0.85
_LEAST_ARC = 0.25  # of the body's width and height together: a sixth of the way around it


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
    Skin goes over folds, arms and breasts in curves and leaves a notch above them, and seldom at one height on both sides.
    The end of a cushion or a holder is cut: within a pixel or two the outline steps outwards by 3 to 40 mm, with air above
    and none in between. What does so and is no holder, an ear or a jaw, has skin, muscle and bone in it, or is short.
    """
    rows = np.nonzero(mask.any(axis=1))[0]
    body = mask[rows[0] : rows[-1] + 1]
    if len(body) < 4 * _OUTLINE_MM / pixel_mm:
        return 0.0
    columns = np.nonzero(body.any(axis=0))[0]
    middle = int(columns[0] + columns[-1]) // 2
    sides = body[:, middle::-1], body[:, middle:]
    for width_of in (_outermost, _first_empty):  # where arms lie beside the body it ends at the first empty pixel
        one = _ends(sides[0], width_of(sides[0]), pixel_mm)
        other = _ends(sides[1], width_of(sides[1]), pixel_mm) if one.any() else one
        if not other.any():
            continue
        at_level = [ndimage.maximum_filter1d(end, 1 + 2 * max(1, round(_LEVEL_MM / pixel_mm))) for end in (one, other)]
        least, most = np.minimum(*at_level), np.maximum(*at_level)
        at = int(np.where(least >= _LIKE_ENDS * most, least, 0).argmax())
        if not 0 < least[at] >= _LIKE_ENDS * most[at]:
            continue
        deep = max(2, round(float(least[at])))
        layer = body & ~erode(np.pad(body, deep), deep)[deep:-deep, deep:-deep]
        layer[:at] = False
        if np.count_nonzero(layer) < _LEAST_ARC * deep * (len(body) + len(columns)):
            continue
        numbers = image_hu[rows[0] : rows[-1] + 1][layer & erode(np.pad(body, 1), 1)[1:-1, 1:-1]]
        if not numbers.size:
            continue
        off = np.abs(numbers - float(np.median(numbers)))
        near, nearer = (float(np.mean(off < limit)) for limit in _ONE_MATERIAL_HU)
        if near >= _MOST_OF_IT and nearer >= _MOST_OF_THAT * near:
            return float(np.count_nonzero(layer))
    return 0.0


def _outermost(side: Mask) -> NDArray[np.intp]:
    return np.where(side.any(axis=1), side.shape[1] - side[:, ::-1].argmax(axis=1), 0)


def _first_empty(side: Mask) -> NDArray[np.intp]:
    return np.where(side.all(axis=1), side.shape[1], side.argmin(axis=1))


def _ends(side: Mask, width: NDArray[np.intp], pixel_mm: float) -> NDArray[np.float64]:
    """Thickness in pixels, at each row, of what ends there squarely; 0 in most."""
    reach, notch = max(2, round(_OUTLINE_MM / pixel_mm)), max(2, round(_NOTCH_MM / pixel_mm))
    first, last = max(reach + 1, round(_AT[0] * len(width))), min(len(width) - reach - 1, round(_AT[1] * len(width)))
    row = np.arange(first, last)
    above = (width[row - 1] - width[row - 1 - reach]) / reach
    below = (width[row + 1 + reach] - width[row + 1]) / reach
    gradual = reach * (np.maximum(above, 0) + np.maximum(below, 0))
    step = width[row + 1] - width[row - 1] - 2 * np.maximum(np.maximum(above, below), 0)
    high = (step >= max(_LEAST_END_PX, _END_MM[0] / pixel_mm)) & (step <= _END_MM[1] / pixel_mm)
    high &= gradual <= _GRADUAL * step
    thickness = np.zeros(len(width))
    radius = (len(width) + 2 * int(width.max())) / 4
    for at in row[high]:
        # Below an arm the outline comes back to where the body's own would be, beside a cushion not.
        on = min(round(_GOES_ON_MM / pixel_mm), round(_AT[1] * len(width)) - int(at) - 1)
        excess = width[at + 1 + on] - width[at - 1] - above[at - first] * (on + 2)
        if excess < _STILL * step[at - first] - _BENT * on**2 / (2 * radius):
            continue
        outer = int(width[at + 1])
        solid = side[at + 1 : at + 3, width[at - 1] : outer - 1].all()
        if solid and not any(side[up, width[up] + 1 : outer].any() for up in range(at - 1 - notch, at - 1)):
            thickness[at] = step[at - first] / math.hypot(1, above[at - first])
    return thickness
