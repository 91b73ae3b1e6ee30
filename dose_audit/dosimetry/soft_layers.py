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

_UNSURE_HU = 60.0  # about it noise decides for a pixel, and less so for the median of its neighbours and it
_RATHER_HU, _PERHAPS_HU, _NEXT = -150.0, -140.0, 2  # pixels
_LAYER, _SOFT_LAYER_HU, _SURE = 0.35, -158.0, 0.42
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
    unsure = dense & (np.abs(image_hu - np.float32(SOFTEST_SKIN_HU)) < _UNSURE_HU)
    medians = _with_neighbours(image_hu, unsure)
    soft[unsure] = medians < SOFTEST_SKIN_HU
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
    peeled = reached & dilate(core & thick, 2)
    if not peeled.any():
        return peeled
    rather, perhaps = soft.copy(), soft.copy()
    rather[unsure], perhaps[unsure] = medians < _RATHER_HU, medians < _PERHAPS_HU
    return _whole_layers(peeled, soft & ~unsure, rather, perhaps, dense, image_hu)


def _whole_layers(
    peeled: Mask, surely: Mask, rather: Mask, perhaps: Mask, dense: Mask, image_hu: NDArray[np.floating]
) -> Mask:
    """Of a layer of about the softest skin's number noise would take a part: it goes as a whole, or stays."""
    share = ndimage.uniform_filter(perhaps.astype(np.float32), 7)
    share /= np.maximum(ndimage.uniform_filter(dense.astype(np.float32), 7), np.float32(1e-3))
    layers = Pieces(peeled | (dense & (share > _LAYER)))
    hits = layers.hits(peeled)
    sure = layers.hits(surely) >= _SURE * layers.sizes
    goes = np.zeros_like(sure)
    for index in np.flatnonzero(~sure & (hits >= _LEAST_SOFT)):
        where = layers.box(index)
        goes[index] = float(np.median(image_hu[where][layers.only(index, where)])) < _SOFT_LAYER_HU
    whole = layers.plane(goes) & (peeled | (share > _FILLED))
    return (peeled & layers.plane(sure)) | whole | (rather & dilate(whole, _NEXT))


def _with_neighbours(image_hu: NDArray[np.floating], where: Mask) -> NDArray[np.floating]:
    """Median of each of some pixels and its eight neighbours: without most of the noise, and edges stay where they are."""
    rows, columns = np.nonzero(where)
    framed = np.pad(image_hu, 1, mode="edge")
    return np.median([framed[rows + down, columns + right] for down in range(3) for right in range(3)], axis=0)
