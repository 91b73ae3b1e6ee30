"""Where a scanner has reconstructed: a circle or the whole image, and its edge."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry._morphology import Mask, erode

__all__ = ["edge_of_view", "field_of_view", "share_on_edge"]


def field_of_view(image_hu: NDArray[np.floating]) -> Mask:
    """The circle in which there is an image, or all of it."""
    circle, corner = _circle(*image_hu.shape)
    corners = image_hu[corner]
    if corners.size and float(np.ptp(corners)) == 0:
        return circle
    return np.ones(image_hu.shape, bool)


@lru_cache(maxsize=8)
def _circle(rows: int, columns: int) -> tuple[Mask, Mask]:
    """The circle that touches the image's edges, and the corners clear of it."""
    y = (np.arange(rows) - (rows - 1) / 2) / (rows / 2)
    x = (np.arange(columns) - (columns - 1) / 2) / (columns / 2)
    squared = y[:, None] ** 2 + x[None, :] ** 2
    return squared <= 1, squared > (1 + 2 / min(rows, columns)) ** 2


@lru_cache(maxsize=8)
def _circle_edge(rows: int, columns: int) -> Mask:
    return ~_within(_circle(rows, columns)[0])


def _within(inside: Mask) -> Mask:
    """The field of view without its outermost two pixels."""
    return erode(np.pad(inside, 2), 2)[2:-2, 2:-2]


def edge_of_view(inside: Mask) -> Mask:
    """The outermost two pixels of the field of view and what lies beyond."""
    circle, _ = _circle(*inside.shape)
    return _circle_edge(*inside.shape) if inside is circle else ~_within(inside)


def share_on_edge(mask: Mask, edge: Mask) -> float:
    """Share of the contour's pixels that lie on the edge of the field of view."""
    framed = np.pad(mask, 1)
    contour = mask & ~(framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:])
    total = np.count_nonzero(contour)
    return np.count_nonzero(contour & edge) / total if total else 0.0
