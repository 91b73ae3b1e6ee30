"""A plate on which a body lies flat or into which it sinks: told by what juts out on both sides at one height."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._morphology import Mask, erode

__all__ = ["above_ledge", "half_ledge", "within_plate"]

_LEDGE_STEP_MM, _LEDGE_REACH_MM, _THICKEST_PLATE_MM = 3.0, 12.0, 100.0
_PLATE_LIKE_HU = 80.0
_HOMOGENEOUS_HU = 150.0
_SLACK_PX, _MOSTLY = 2, 0.7  # of the rows


def above_ledge(mask: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> tuple[Mask, float]:
    """Without a plate at the bottom that juts out on both sides at once and is as wide from there on down.

    Beside it how many pixels are in doubt: where the body goes on between the ledges, so that nothing is taken off, those that
    jut out; else those of a round back that may go on below, as far as its sides tell.
    """
    rows = np.nonzero(mask.any(axis=1))[0]
    step = max(1, round(_LEDGE_STEP_MM / pixel_mm))
    last = rows[-1]
    if len(rows) < 4 * step:
        return mask, 0.0
    block = mask[rows[0] : last + 1]
    left = block.argmax(axis=1)
    right = block.shape[1] - block[:, ::-1].argmax(axis=1)
    reach = round(_LEDGE_REACH_MM / pixel_mm)
    juts = (left[:-step] - left[step:] >= reach) & (right[step:] - right[:-step] >= reach)
    deepest = round(_THICKEST_PLATE_MM / pixel_mm)
    juts[: max(0, len(juts) - deepest)] = False
    where = np.nonzero(juts)[0]
    if not len(where):
        return mask, 0.0
    where = where[where > where[-1] - 2 * step]  # the top of a low body juts out too
    below = slice(int(where[0]) + 2 * step, len(left) - 1)
    if below.stop - below.start < 1 or max(np.ptp(left[below]), np.ptp(right[below])) > 2 * step:
        return mask, 0.0
    edge = int(where[-1])
    plate = slice(rows[0] + edge + 1, last + 1)
    middle, sides = slice(left[edge], right[edge]), mask[plate].copy()
    sides[:, middle] = False
    between = image_hu[plate, middle]
    unlike = abs(_median(image_hu[plate][sides]) - _median(between[mask[plate, middle]])) > _PLATE_LIKE_HU
    inner = between[erode(mask[plate, middle], 1)]
    mixed = inner.size > 0 and float(np.ptp(np.percentile(inner, [5, 95]))) > _HOMOGENEOUS_HU
    if unlike or mixed:  # the body, with its bone, goes on between the ledges
        alike = np.abs(between - _median(image_hu[plate][sides])) < _PLATE_LIKE_HU
        hidden = np.count_nonzero(alike & mask[plate, middle])
        return mask, max(float(np.count_nonzero(sides)), np.count_nonzero(sides) / 2 + hidden / 2)
    cut = mask.copy()
    cut[plate] = False
    # A round back that has sunk into it goes on below as a parabola of its sides' slope; a flat one ends there.
    wide, above = right - left, max(0, edge - 2 * step)
    narrows = (int(wide[above]) - int(wide[edge])) / 2 / max(1, edge - above)
    deep = min(last - rows[0] - edge, wide[edge] / (4 * max(narrows, 0.1)))
    return cut, float(wide[edge] * deep) / 3


def within_plate(mask: Mask, other: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> float:
    """Pixels at the bottom of a body that lie between the two halves of a plate, cut off beside it, and have its number.

    Some of them are the plate's and some, that sink into it, may be the body's. What has another number, as the bone and the
    muscle of a back on a curved table top, is the body's.
    """
    rows = np.nonzero(mask.any(axis=1))[0]
    reach = round(_LEDGE_REACH_MM / pixel_mm)
    deepest = round(_THICKEST_PLATE_MM / pixel_mm)
    between, beside = np.zeros_like(mask), np.zeros_like(mask)
    missed = 0
    for row in rows[::-1][:deepest]:
        columns = np.nonzero(mask[row])[0]
        sides = (slice(max(0, columns[0] - reach), columns[0]), slice(columns[-1] + 1, columns[-1] + 1 + reach))
        # The pixels next to a body that was parted belong to nobody.
        if all(np.count_nonzero(other[row, side]) >= max(1, reach - _SLACK_PX) for side in sides):
            between[row] = mask[row]
            for side in sides:
                beside[row, side] = other[row, side]
        else:
            missed += 1
            if missed > _SLACK_PX:
                break
    if not between.any():
        return 0.0
    alike = between & (np.abs(ndimage.uniform_filter(image_hu, 3) - _median(image_hu[beside])) < _PLATE_LIKE_HU)
    return float(np.count_nonzero(alike))


def half_ledge(mask: Mask, other: Mask, pixel_mm: float) -> float:
    """Pixels that jut out at one side of a body's bottom where at the other side a plate was cut off beside it.

    A plate of which one end was taken for the body's: what juts out, and what lies between, which may be the plate's too.
    """
    rows = np.nonzero(mask.any(axis=1))[0]
    step, reach = max(1, round(_LEDGE_STEP_MM / pixel_mm)), round(_LEDGE_REACH_MM / pixel_mm)
    deepest = min(len(rows) - 2 * step, round(_THICKEST_PLATE_MM / pixel_mm))
    if deepest < step:
        return 0.0
    bottom = slice(rows[-1] + 1 - deepest - step, rows[-1] + 1)
    for body, beside in ((mask[bottom], other[bottom]), (mask[bottom, ::-1], other[bottom, ::-1])):
        left, right = body.argmax(axis=1), body.shape[1] - body[:, ::-1].argmax(axis=1)
        juts = np.nonzero(left[:-step] - left[step:] >= reach)[0]
        if not len(juts):
            continue
        edge = int(juts[-1])
        below = range(edge + step, len(body))
        cut_off = sum(
            np.count_nonzero(beside[row, right[row] : right[row] + reach]) >= reach - _SLACK_PX for row in below
        )
        if cut_off >= _MOSTLY * len(below):
            return float(np.count_nonzero(body[edge + 1 :, : left[edge]]) + np.count_nonzero(body[edge + 1 :])) / 2
    return 0.0


def _median(values: NDArray[np.floating]) -> float:
    return float(np.median(values)) if values.size else 0.0
