"""Detector uniformity in tiles (AAPM TG-150): local and global non-uniformity of signal, noise and their ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.image_quality.rois import Spacing, as_floats, as_image, spacing_pair
from dose_audit.measured import Measured, not_measurable

__all__ = ["TileUniformity", "tile_uniformity"]

Floats = NDArray[np.float64]
_QUANTITIES = ("signal", "noise", "snr")
_METHOD = "TG-150 tiles"


@dataclass(frozen=True, slots=True)
class TileUniformity:
    """Tiles of a flat field and their non-uniformity.

    Parameters
    ----------
    signal, noise, snr : ndarray, shape (tile rows, tile columns), or None
        Mean, standard deviation and their ratio in each tile.
    local : mapping of str to Measured
        ``signal``, ``noise``, ``snr``: largest difference of a tile from the mean of its 4-neighbours, in per cent of the
        characteristic value.
    global_ : mapping of str to Measured
        The same names: ``(max - min)`` over the tiles, % of the characteristic value.
    characteristic : mapping of str to Measured
        Median over the tiles, in the image's unit (``snr``: a ratio).
    """

    signal: Floats | None
    noise: Floats | None
    snr: Floats | None
    local: dict[str, Measured]
    global_: dict[str, Measured]
    characteristic: dict[str, Measured]


def tile_uniformity(
    image: ArrayLike,
    spacing_mm: Spacing,
    *,
    tile_mm: float = 10.0,
    border_mm: float = 10.0,
    offset: float = 0.0,
    detrend: bool = False,
) -> TileUniformity:
    """Signal, noise and SNR of a flat field in tiles.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Flat field, linear in dose.
    spacing_mm : float or (row, column)
    tile_mm : float
        Side of a tile; the nearest whole number of pixels is taken.
    border_mm : float
        Left out on every side before tiling.
    offset : float
        Pixel value without dose, taken off first.
    detrend : bool
        Remove a plane from each tile before its standard deviation, so that a heel effect is not counted as noise.

    Returns
    -------
    TileUniformity
        ``not_measurable`` where fewer than 3 × 3 tiles fit. Tiles with pixels that are not numbers are left out of the extremes.

    Notes
    -----
    Local non-uniformity compares each tile with the mean of those neighbours above, below, left and right of it that exist; what
    does not fill a whole tile at the lower and right end is left over. The characteristic value is the median.

    References
    ----------
    AAPM Task Group 150: acceptance testing and quality control of digital radiographic imaging systems. Med Phys 2012; 39:
    3648 (abstract).

    Examples
    --------
    >>> field = 1000 + 10.0 * np.repeat(np.arange(5), 10)[None, :] * np.ones((50, 1))
    >>> result = tile_uniformity(field, 1.0, border_mm=0.0)
    >>> round(result.global_["signal"].value, 3), round(result.local["signal"].value, 3)
    (3.922, 0.49)
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    if tile_mm <= 0 or border_mm < 0:
        raise ValueError("the tile is positive and the border not negative")
    border = [round(border_mm / step) for step in spacing]
    side = [max(1, round(tile_mm / step)) for step in spacing]
    count = [(size - 2 * edge) // length for size, edge, length in zip(array.shape, border, side, strict=True)]
    if min(count) < 3:
        return _nothing(f"only {max(count[0], 0)} × {max(count[1], 0)} tiles fit into the image")
    if side[0] * side[1] < 2:
        return _nothing("a tile of one pixel has no noise")
    part = array[border[0] : border[0] + count[0] * side[0], border[1] : border[1] + count[1] * side[1]]
    blocks = as_floats(part).reshape(count[0], side[0], count[1], side[1]).swapaxes(1, 2)
    signal = blocks.mean(axis=(2, 3)) - offset
    if not np.isfinite(signal).any():
        return _nothing("the image holds no numbers")
    spread = _flattened(blocks) if detrend else blocks - blocks.mean(axis=(2, 3), keepdims=True)
    freedom = side[0] * side[1] - (3 if detrend else 1)
    noise = np.sqrt(np.einsum("abij,abij->ab", spread, spread) / max(freedom, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(noise > 0, signal / noise, np.nan)
    maps = {"signal": signal, "noise": noise, "snr": ratio}
    pixels = side[0] * side[1]
    relative = {
        "signal": _median(noise) / max(abs(_median(signal)), 1e-300) / np.sqrt(pixels),
        "noise": 1 / np.sqrt(2.0 * max(freedom, 1)),
        "snr": 1 / np.sqrt(2.0 * max(freedom, 1)),
    }
    local, overall, characteristic = {}, {}, {}
    for name in _QUANTITIES:
        local[name], overall[name], characteristic[name] = _extremes(name, maps[name], 100 * float(relative[name]))
    return TileUniformity(signal, noise, ratio, local, overall, characteristic)


def _flattened(blocks: Floats) -> Floats:
    """Blocks less their least-squares planes."""
    rows, columns = (np.arange(size) - 0.5 * (size - 1) for size in blocks.shape[2:])
    centred = blocks - blocks.mean(axis=(2, 3), keepdims=True)
    down = np.einsum("abij,i->ab", centred, rows) / max(float((rows**2).sum()) * columns.size, 1e-300)
    right = np.einsum("abij,j->ab", centred, columns) / max(float((columns**2).sum()) * rows.size, 1e-300)
    return np.asarray(centred - down[..., None, None] * rows[:, None] - right[..., None, None] * columns[None, :])


def _extremes(name: str, tiles: Floats, one_tile: float) -> tuple[Measured, Measured, Measured]:
    known = np.isfinite(tiles)
    level = _median(tiles)
    unit = "1"
    if known.sum() < 9 or level == 0:
        reason = "fewer than nine tiles have a value" if known.sum() < 9 else "the characteristic value is zero"
        lost = [not_measurable(f"{kind}_{name}", u, reason, method=_METHOD) for kind, u in _KINDS]
        return lost[0], lost[1], lost[2]
    padded = np.pad(tiles, 1, constant_values=np.nan)
    around = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    there = np.isfinite(around)
    neighbours = np.where(there, around, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    difference = np.where(known & there.any(axis=0), np.abs(tiles - neighbours), -1.0)
    at = np.unravel_index(int(np.argmax(difference)), tiles.shape)
    values = tiles[known]
    scale = 100.0 / abs(level)
    return (
        Measured(
            f"local_nonuniformity_{name}",
            float(difference[at]) * scale,
            "%",
            one_tile * float(np.sqrt(1 + 1 / max(int(there[:, at[0], at[1]].sum()), 1))),
            method="TG-150: largest |tile - mean of its 4-neighbours| over the median tile",
            details={"tile": [int(at[0]), int(at[1])]},
        ),
        Measured(
            f"global_nonuniformity_{name}",
            float(values.max() - values.min()) * scale,
            "%",
            one_tile * float(np.sqrt(2)),
            method="TG-150: (max - min) over the median tile",
        ),
        Measured(
            f"characteristic_{name}",
            level,
            unit,
            1.25 * abs(level) * one_tile / 100 / float(np.sqrt(values.size)),
            method="median of the tiles",
        ),
    )


_KINDS = (("local_nonuniformity", "%"), ("global_nonuniformity", "%"), ("characteristic", "1"))


def _median(tiles: Floats) -> float:
    return float(np.nanmedian(tiles)) if np.isfinite(tiles).any() else 0.0


def _nothing(reason: str) -> TileUniformity:
    local, overall, characteristic = (
        {name: not_measurable(f"{kind}_{name}", unit, reason, method=_METHOD) for name in _QUANTITIES}
        for kind, unit in _KINDS
    )
    return TileUniformity(None, None, None, local, overall, characteristic)
