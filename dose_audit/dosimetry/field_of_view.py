"""Where a scanner has reconstructed: a circle or the whole image, and its edge."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry._connected import Pieces
from dose_audit.dosimetry._morphology import Mask, erode

__all__ = ["edge_of_view", "field_of_view", "lungs_on_edge", "share_on_edge"]

_LUNG_HU = -900.0  # median; real ones have -750 to -850, the foam of tables -900 to -985, air -1000
_LEAST_LUNG_MM2 = 1000.0
_LEAST_TOUCH = 5  # pixels of the edge
_WITHIN = (0.0, 0.95)  # of the body's height: what lies beneath is foam


def field_of_view(image_hu: NDArray[np.floating]) -> Mask:
    """The circle in which there is an image, or all of it."""
    circle, corner = _circle(*image_hu.shape)
    corners = image_hu.take(corner)
    if corners.size and float(np.ptp(corners)) == 0:
        return circle
    return np.ones(image_hu.shape, bool)


@lru_cache(maxsize=8)
def _circle(rows: int, columns: int) -> tuple[Mask, NDArray[np.intp]]:
    """The circle that touches the image's edges, and the places of the corners clear of it."""
    y = (np.arange(rows) - (rows - 1) / 2) / (rows / 2)
    x = (np.arange(columns) - (columns - 1) / 2) / (columns / 2)
    squared = y[:, None] ** 2 + x[None, :] ** 2
    return squared <= 1, np.flatnonzero(squared > (1 + 2 / min(rows, columns)) ** 2)


@lru_cache(maxsize=8)
def _usual_edge(rows: int, columns: int, whole: bool) -> Mask:
    """Of all of an image, or of the circle in it."""
    return ~_within(np.ones((rows, columns), bool) if whole else _circle(rows, columns)[0])


def _within(inside: Mask) -> Mask:
    """The field of view without its outermost two pixels."""
    return erode(np.pad(inside, 2), 2)[2:-2, 2:-2]


def edge_of_view(inside: Mask) -> Mask:
    """The outermost two pixels of the field of view and what lies beyond."""
    circle, _ = _circle(*inside.shape)
    whole = bool(inside.all())
    return _usual_edge(*inside.shape, whole) if whole or inside is circle else ~_within(inside)


def share_on_edge(mask: Mask, edge: Mask) -> float:
    """Share of the contour's pixels that lie on the edge of the field of view."""
    framed = np.pad(mask, 1)
    contour = mask & ~(framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:])
    total = np.count_nonzero(contour)
    return np.count_nonzero(contour & edge) / total if total else 0.0


def lungs_on_edge(
    image_hu: NDArray[np.floating], dense: Mask, body: Mask, inside: Mask, pixel_mm: float
) -> Mask | None:
    """Lungs that the field of view cuts, as that of a heart does.

    Parameters
    ----------
    image_hu : ndarray, shape (H, W)
    dense : ndarray of bool, shape (H, W)
        What exceeds the threshold between patient and air.
    body, inside : ndarray of bool, shape (H, W)
        The body as found without them, and the field of view.
    pixel_mm : float

    Returns
    -------
    ndarray of bool, shape (H, W), or None
        None where nothing that reaches the edge is a lung.

    Notes
    -----
    They have no chest wall on that side, so that they look like air around the body; what tells them is their number.
    """
    edge = edge_of_view(inside)
    # Nearly every image has nothing but air there.
    above_air = edge & (image_hu > _LUNG_HU)
    if np.count_nonzero(above_air) < _LEAST_TOUCH:
        return None
    if np.count_nonzero(above_air & inside & ~dense & ~body) < _LEAST_TOUCH:
        return None
    light = inside & ~dense & ~body
    pieces = Pieces(light)
    large = pieces.sizes * pixel_mm**2 >= _LEAST_LUNG_MM2
    rows = np.nonzero(body.any(axis=1))[0]
    lungs = np.zeros_like(light)
    for index in np.flatnonzero(large & (pieces.hits(edge & light) > 0)):
        piece = pieces.plane(np.arange(pieces.count) == index)
        height = (float(np.nonzero(piece)[0].mean()) - rows[0]) / len(rows)
        if _WITHIN[0] < height < _WITHIN[1] and float(np.median(image_hu[piece])) > _LUNG_HU:
            lungs |= piece
    return lungs if lungs.any() else None
