"""What is lit in a planar gamma camera image: the field of a flood, of bars, or a few thin lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.phantom.workbench import Workbench

__all__ = ["Lit", "fullest_frame", "lit_field", "others_not_measured"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lit:
    """The lit field of an image.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        Filled.
    centre_px, size_mm : (row, column)
        Middle and extent of its bounding box.
    solidity : float
        Area over that of the bounding box; 0.785 for a circle, 1 for a rectangle.
    unevenness : float
        Robust spread of the smoothed counts inside over their median; what counting noise explains is taken off.
    share : float
        Of the image's area.
    background : float
        Mean counts outside over the median inside.
    bounded : bool
        Whether the field ends inside the image on one side at least.
    apart : float
        What is lit beside it, over its own area.
    """

    mask: Mask
    centre_px: tuple[float, float]
    size_mm: tuple[float, float]
    solidity: float
    unevenness: float
    share: float
    background: float
    bounded: bool
    apart: float = 0.0


def lit_field(bench: Workbench, frame: int = 0) -> Lit | None:
    """The lit field of a frame; `None` where there is none."""
    return bench.once(f"nm_lit {frame}", lambda: _search(bench, frame))


def fullest_frame(bench: Workbench) -> int:
    """The first frame with at least half of the counts of the fullest: heads that were off and scatter windows have few."""

    def make() -> int:
        counts = bench.series.volume.sum(axis=(1, 2), dtype=np.float64)
        return int(np.argmax(counts >= 0.5 * counts.max()))

    return bench.once("nm_fullest", make)


def others_not_measured(bench: Workbench) -> tuple[str, ...]:
    """A note where an object has more frames than the one that is measured."""
    more = len(bench.series.frames) - 1
    return (f"frame {fullest_frame(bench) + 1} is measured, {more} more are not",) if more else ()


def _search(bench: Workbench, frame: int) -> Lit | None:
    image = np.asarray(bench.series.image(frame), dtype=np.float64)
    spacing = bench.spacing_mm
    sigma = tuple(max(4.0 / step, 0.5) for step in spacing)
    smooth = ndimage.gaussian_filter(image, sigma)
    top = float(np.quantile(smooth, 0.995))
    if top <= 0:
        return None
    mask = smooth > 0.4 * float(np.median(smooth[smooth > 0.3 * top]))
    labels, count = ndimage.label(mask)
    if not count:
        return None
    sizes = ndimage.sum_labels(mask, labels, np.arange(1, count + 1))
    apart = float(sizes.sum() / sizes.max()) - 1.0
    mask = ndimage.binary_fill_holes(labels == int(np.argmax(sizes)) + 1)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    size = ((rows[-1] - rows[0] + 1) * spacing[0], (columns[-1] - columns[0] + 1) * spacing[1])
    inner = ndimage.binary_erosion(mask, iterations=max(1, round(15.0 / min(spacing))))
    if inner.sum() < 100:
        inner = mask
    level = float(np.median(smooth[inner]))
    spread = 1.4826 * float(np.median(np.abs(smooth[inner] - level)))
    # Counting noise that the smoothing leaves, so that floods of few counts are not taken for uneven ones.
    noise = np.sqrt(max(level, 0.0) / (4 * np.pi * sigma[0] * sigma[1]))
    uneven = np.sqrt(max(spread**2 - noise**2, 0.0)) / level if level > 0 else 1.0
    outside = ~ndimage.binary_dilation(mask, iterations=max(1, round(15.0 / min(spacing))))
    background = float(image[outside].mean()) / level if outside.any() and level > 0 else 0.0
    return Lit(
        mask,
        (float(rows[0] + rows[-1]) / 2, float(columns[0] + columns[-1]) / 2),
        size,
        float(mask.sum()) / ((rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)),
        float(uneven),
        float(mask.mean()),
        background,
        bool(rows[0] > 0 or columns[0] > 0 or rows[-1] < mask.shape[0] - 1 or columns[-1] < mask.shape[1] - 1),
        apart,
    )
