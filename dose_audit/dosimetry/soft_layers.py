"""Foam, cloth and rubber next to the skin without a gap: told by being softer than any skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._connected import Pieces
from dose_audit.dosimetry._morphology import Mask, dilate

__all__ = ["peel_soft"]

SOFTEST_SKIN_HU = -170.0
"""Fat has -80 to -130 HU; what is softer and reaches the surface is foam, cloth or rubber."""

_FILLED = 0.6  # of the outermost pixels: a border of partial volume alone fills a fifth
_LEAST_SOFT = 12  # pixels


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
    pieces = Pieces(soft | ~dense)
    air = pieces.hits(~dense)
    reached = soft & pieces.plane(air == air.max())
    if np.count_nonzero(reached) < _LEAST_SOFT:
        return np.zeros_like(dense)
    near = (dense & dilate(~dense | reached, 1)).astype(np.float32)
    share = ndimage.uniform_filter(reached.astype(np.float32), 5) / np.maximum(ndimage.uniform_filter(near, 5), 1e-3)
    core = reached & (share > _FILLED)
    # A layer has neighbours that are soft too; crumbs of partial volume have not.
    thick = ndimage.uniform_filter(core.astype(np.float32), 3) > 0.5
    return reached & dilate(core & thick, 2)
