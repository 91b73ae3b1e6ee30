"""Binary erosion and dilation by octagons, as running ANDs and ORs of shifted arrays: ten times faster than distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Mask", "boxes_of", "dilate", "erode", "fill", "label", "open_by", "touches_edge"]

Mask = NDArray[np.bool_]
_FEW_BOXES = 6
_SIDES = ndimage.generate_binary_structure(2, 1)
_DIAGONAL_SHARE = 1 - 2**-0.5  # of a regular octagon's radius that the two diagonal segments take


def erode(mask: Mask, radius: int) -> Mask:
    """Erode by an octagon of `radius` pixels; what lies outside the image counts as set.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    radius : int
        In pixels; 0 gives the mask back.

    Returns
    -------
    ndarray of bool, shape (H, W)

    Notes
    -----
    An octagon is the Minkowski sum of four segments, and an erosion by a segment of n pixels takes log2(n) ANDs of the
    mask with its own shifted self. Counting the outside as set keeps a patient who is cut by the image's edge whole.

    Examples
    --------
    >>> square = np.zeros((9, 9), bool); square[2:7, 2:7] = True
    >>> int(erode(square, 1).sum()), int(dilate(erode(square, 1), 1).sum())
    (9, 25)
    """
    return _by_octagon(mask, radius, np.bitwise_and, beyond=True)


def dilate(mask: Mask, radius: int) -> Mask:
    """Dilate by an octagon of `radius` pixels; what lies outside the image counts as not set."""
    return _by_octagon(mask, radius, np.bitwise_or, beyond=False)


def open_by(mask: Mask, radius: int) -> Mask:
    """Erode and dilate: all that is thinner than ``2 * radius`` pixels goes, the rest keeps its size."""
    return dilate(erode(mask, radius), radius)


def fill(mask: Mask) -> Mask:
    """Fill what the mask encloses: every hole that does not reach the image's edge.

    Examples
    --------
    >>> ring = np.ones((5, 5), bool); ring[2, 2] = False; ring[0] = False
    >>> int(fill(ring).sum())
    20
    """
    outside, count = label(~mask)
    if count < 2:
        return mask if count == 0 or touches_edge(outside, count)[1] else np.ones_like(mask)
    open_air = touches_edge(outside, count)
    open_air[0] = False
    if np.count_nonzero(open_air) == 1:
        return outside != int(open_air.argmax())
    return ~open_air.take(outside)


def label(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Number the pieces, of which pixels touch with a side, from 1 on; and how many there are."""
    return ndimage.label(mask, _SIDES)


def touches_edge(labels: NDArray[np.int32], count: int) -> Mask:
    """Which of the labels 0 … `count` lie at the image's edge."""
    touching = np.zeros(count + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        touching[edge] = True
    return touching


def boxes_of(labels: NDArray[np.int32], wanted: NDArray[np.intp]) -> list[tuple[slice, slice]]:
    """Bounding boxes of some of the labels, in their order; of a few they are found faster one by one than all at once."""
    if len(wanted) > _FEW_BOXES:
        every = ndimage.find_objects(labels, max_label=int(wanted.max()))
        return [every[index - 1] for index in wanted]
    found = []
    for index in wanted:
        piece = labels == index
        rows, columns = np.flatnonzero(piece.any(axis=1)), np.flatnonzero(piece.any(axis=0))
        found.append((slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)))
    return found


def _by_octagon(mask: Mask, radius: int, combine: np.ufunc, *, beyond: bool) -> Mask:
    """AND or OR of a mask with itself shifted over an octagon; outside the image it counts as `beyond`."""
    if radius == 0:
        return mask
    diagonal = round(_DIAGONAL_SHARE * radius)
    straight = radius - 2 * diagonal
    rows, columns = mask.shape
    width = columns + 2 * radius
    framed = np.full((rows + 2 * radius, width), beyond)
    framed[radius : radius + rows, radius : radius + columns] = mask
    # In one dimension a shift by (row, column) is one number; the frame keeps it from running into the next row.
    flat = framed.ravel()
    for step, half in ((1, straight), (width, straight), (width + 1, diagonal), (width - 1, diagonal)):
        reach = 1
        while reach < 2 * half + 1:
            more = min(reach, 2 * half + 1 - reach)
            flat = combine(flat[: -more * step], flat[more * step :])
            reach += more
    # Windows begin at their first pixel: half of what they are long lies before the middle.
    return np.lib.stride_tricks.as_strided(flat[2 * diagonal :], (rows, columns), (width, 1)).copy()
