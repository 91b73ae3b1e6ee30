"""What a body rests on without a gap between them: parted by its material, and doubted where only the outline hints at it.

A patient's surface is skin, and round about beneath it there is fat; what reaches the surface in one place only, is of one
material, and meets the body in a concave corner on either side, is a support.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._morphology import Mask, dilate, erode, fill, open_by

__all__ = ["concave_corners", "one_material_beneath", "part_by_material", "peel_soft"]

SOFTEST_SKIN_HU = -170.0
"""Fat has -80 to -130 HU; what is softer and reaches the surface is foam, cloth or rubber."""

_FILLED = 0.6  # of the outermost pixels: a border of partial volume alone fills a fifth
_LEAST_SOFT = 12  # pixels
_CORNER_MM = 24.0  # side of the square by which the outline's bend is told
_CORNER = 0.09  # of that square more than along a straight edge; in a right-angled inner corner it is 0.25
_AT_EDGE = 0.3
_BOTTOM_MM = 12.0
_LEAST_TOLERANCE_HU, _SPREAD_HU = 22.0, 45.0
_WIDEST_DEG = 230.0  # seen from the body; fat goes all round
_LARGEST_SHARE = 0.75
_LEAST_SHARE = 0.01
_NEAR = 3  # pixels
_HOLLOW = 0.02  # of its area
_FAT_HU, _MUSCLE_HU = (-140.0, -60.0), 75.0


def peel_soft(dense: Mask, image_hu: NDArray[np.floating]) -> Mask:
    """Where there is something too soft for skin between the air and the body.

    Parameters
    ----------
    dense : ndarray of bool, shape (H, W)
        What exceeds the threshold between patient and air.
    image_hu : ndarray, shape (H, W)

    Returns
    -------
    ndarray of bool, shape (H, W)

    Notes
    -----
    Lungs are as soft, but the chest wall lies in between. Some pixels at every border are only partly tissue; they make up a
    fifth of it, a soft layer all of it.
    """
    soft = dense & (image_hu < SOFTEST_SKIN_HU)
    squares = soft[:-1, :-1] & soft[1:, :-1] & soft[:-1, 1:] & soft[1:, 1:]
    if np.count_nonzero(squares) < _LEAST_SOFT:  # borders of partial volume are one pixel wide
        return np.zeros_like(dense)
    labels, count = ndimage.label(soft | ~dense)
    outside = np.zeros(count + 1, bool)
    sizes = np.bincount(labels[~dense], minlength=count + 1)
    outside[1:][sizes[1:] == sizes[1:].max()] = True
    reached = soft & outside[labels]
    if np.count_nonzero(reached) < _LEAST_SOFT:
        return np.zeros_like(dense)
    near = (dense & dilate(~dense | reached, 1)).astype(np.float32)
    share = ndimage.uniform_filter(reached.astype(np.float32), 5) / np.maximum(ndimage.uniform_filter(near, 5), 1e-3)
    core = reached & (share > _FILLED)
    # A layer has neighbours that are soft too; crumbs of partial volume have not.
    thick = ndimage.uniform_filter(core.astype(np.float32), 3) > 0.5
    return reached & dilate(core & thick, 2)


def concave_corners(mask: Mask, pixel_mm: float) -> Mask:
    """Pixels of the outline at which it bends inwards.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    pixel_mm : float

    Returns
    -------
    ndarray of bool, shape (H, W)
    """
    rows, columns = (side // 2 * 2 for side in mask.shape)
    quarters = [mask[row:rows:2, column:columns:2].view(np.uint8) for row in (0, 1) for column in (0, 1)]
    half = (quarters[0] + quarters[1] + quarters[2] + quarters[3]).astype(np.float32) * np.float32(0.25)
    side = 2 * max(1, round(_CORNER_MM / pixel_mm / 4)) + 1
    around, close = (ndimage.uniform_filter(half, size, mode="constant") for size in (side, 3))
    # Along a straight edge both are a half, and both grow in proportion a little way inside it.
    bend = (around - 0.5) - (close - 0.5) * 3 / side
    corner = (np.abs(close - 0.5) < _AT_EDGE) & (bend > _CORNER)
    found = np.zeros_like(mask)
    if not corner.any():
        return found
    found[:rows, :columns] = np.repeat(np.repeat(corner, 2, axis=0), 2, axis=1)
    return found


def part_by_material(
    mask: Mask, image_hu: NDArray[np.floating], pixel_mm: float, corners: Mask
) -> tuple[Mask, float] | None:
    """The body without a support of one material at the bottom of the mask, and how sure that is.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Body and what touches it.
    image_hu : ndarray, shape (H, W)
    pixel_mm : float
    corners : ndarray of bool, shape (H, W)
        As `concave_corners` of the mask.

    Returns
    -------
    (ndarray of bool, float) or None
        The body, and the water-equivalent area in mm² that may have been taken from it or left on it by mistake; None where
        there is no such support.

    Notes
    -----
    From the lowest part of the mask a region of its CT number (± 22 HU, or the noise) is grown. It is a support when it does
    not go round the body, as fat does, and the outline has a concave corner on both sides where the two and the air meet.
    What has the number of fat is left on, for between two arms the fat of a back looks so; what has that of muscle is taken
    off. Either is in doubt.
    """
    solid = erode(mask, 1)
    seeds = _bottom(solid, pixel_mm)
    numbers = image_hu[seeds]
    if len(numbers) < 10:
        return None
    level = float(np.median(numbers))
    spread = 1.4826 * float(np.median(np.abs(numbers - level)))
    if spread > _SPREAD_HU:
        return None
    weights = ndimage.uniform_filter(mask.astype(np.float32), 3)
    smooth = ndimage.uniform_filter(np.where(mask, image_hu, 0).astype(np.float32), 3) / np.maximum(weights, 1e-3)
    alike = mask & (np.abs(smooth - level) < max(_LEAST_TOLERANCE_HU, 1.5 * spread))
    labels = ndimage.label(alike)[0]
    chosen = np.bincount(labels[seeds & alike], minlength=2)
    if not chosen[1:].any():
        return None
    region = labels == int(np.argmax(chosen[1:])) + 1
    total = np.count_nonzero(mask)
    if not _LEAST_SHARE * total < np.count_nonzero(region) < _LARGEST_SHARE * total:
        return None
    rest = open_by(mask & ~dilate(region, 1), 2)
    if np.count_nonzero(rest) < (1 - _LARGEST_SHARE) * total:
        return None
    body = _border_between(mask, region, rest, smooth, level)
    support = mask & ~body
    if not _lies_under(body, support) or np.count_nonzero(fill(region)) > (1 + _HOLLOW) * np.count_nonzero(region):
        return None  # an arm or a leg lies beside the other, and has bone
    if _seen_from(body, support) > _WIDEST_DEG or not _meets_in_corners(mask, body, corners):
        return None
    doubtful_mm2 = float((image_hu[support] / 1000 + 1).sum()) * pixel_mm**2
    if _FAT_HU[0] < level < _FAT_HU[1]:
        return mask, doubtful_mm2
    return body, doubtful_mm2 if _FAT_HU[1] <= level < _MUSCLE_HU else 0.0


def _lies_under(body: Mask, support: Mask) -> bool:
    """Whether the support bears the body: it reaches to both sides of the line through the body's centre."""
    columns, middle = np.nonzero(support.any(axis=0))[0], float(np.nonzero(body)[1].mean())
    return len(columns) > 0 and bool(columns[0] < middle < columns[-1])


def _bottom(solid: Mask, pixel_mm: float) -> Mask:
    """The lowest pixels, some mm deep."""
    rows = np.nonzero(solid.any(axis=1))[0]
    seeds = np.zeros_like(solid)
    if len(rows):
        deep = max(2, round(_BOTTOM_MM / pixel_mm / 3))
        seeds[max(rows[0], rows[-1] - deep + 1) : rows[-1] + 1] = True
    return seeds & solid


def _border_between(mask: Mask, region: Mask, rest: Mask, smooth: NDArray[np.floating], level: float) -> Mask:
    """The body: what is left, and of the pixels between the two those whose number is nearer to the body's."""
    near = rest.astype(np.float32)
    count = ndimage.uniform_filter(near, 7)
    own = ndimage.uniform_filter(near * smooth, 7) / np.maximum(count, 1e-3)
    nearer = (count > 1e-3) & (np.abs(smooth - own) <= np.abs(smooth - level))
    body = rest | (mask & ~region & nearer)
    return open_by(body, 1) | rest


def _seen_from(body: Mask, support: Mask) -> float:
    """Angle in degrees over which the support goes about the body's centre."""
    rows, columns = np.nonzero(body)
    if not len(rows) or not support.any():
        return 0.0
    y, x = np.nonzero(open_by(support, 1))
    angle = np.arctan2(y - rows.mean(), x - columns.mean())
    taken = np.unique((np.degrees(angle) // 5).astype(int))
    return 5.0 * len(taken)


def _meets_in_corners(mask: Mask, body: Mask, corners: Mask) -> bool:
    """Whether the outline bends inwards at both ends of the border between the body and the support."""
    meeting = dilate(body, _NEAR) & dilate(mask & ~body, _NEAR) & dilate(~mask, 2)
    labels, count = ndimage.label(dilate(meeting, _NEAR))
    concave = sum(bool((corners & (labels == index)).any()) for index in range(1, count + 1))
    return concave >= 2


def one_material_beneath(mask: Mask, image_hu: NDArray[np.floating], pixel_mm: float, corners: Mask) -> float:
    """Water-equivalent area, in mm², of what may be a support and cannot be told from the body.

    Parameters
    ----------
    mask, image_hu, pixel_mm, corners
        As `part_by_material`.

    Returns
    -------
    float
        0 where nothing speaks for a support.

    Notes
    -----
    Straight cuts between two concave corners: what lies below is suspected when it is of one material, for the lower part of a
    patient holds bone, muscle and fat.
    """
    labels, count = ndimage.label(dilate(corners, 1))
    if not 2 <= count <= 24:
        return 0.0
    total = np.count_nonzero(mask)
    points = np.array(ndimage.center_of_mass(corners, labels, range(1, count + 1)))
    doubtful = 0.0
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    for one in range(count):
        for other in range(count):
            (y1, x1), (y2, x2) = points[one], points[other]
            if x2 - x1 < 20 / pixel_mm or abs(y2 - y1) > (x2 - x1):
                continue
            below = (y - y1) * (x2 - x1) > (x - x1) * (y2 - y1)
            part = mask & below
            share = np.count_nonzero(part) / total
            if not _LEAST_SHARE < share < 0.7:
                continue
            if _is_one_material(part, image_hu):
                doubtful = max(doubtful, float((image_hu[part] / 1000 + 1).sum()) * pixel_mm**2)
    return doubtful


def _is_one_material(part: Mask, image_hu: NDArray[np.floating]) -> bool:
    inner = erode(part, 2)
    numbers = image_hu[inner] if np.count_nonzero(inner) >= 20 else image_hu[erode(part, 1)]
    if len(numbers) < 20:
        return False
    low, middle, high = np.percentile(numbers, [5, 50, 95])
    quarter = float(np.percentile(numbers, 75) - np.percentile(numbers, 25))
    return float(high - low) < max(90.0, 3.2 * quarter) and abs(high + low - 2 * middle) < 60 and math.isfinite(middle)
