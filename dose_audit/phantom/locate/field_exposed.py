"""The exposed field of a projection image: a rectangle grown from the middle until the level breaks off, and how even it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.phantom.locate.field_marks import free_part
from dose_audit.phantom.locate.plate_circles import reduced

__all__ = ["Field", "exposed_field", "surface_rest"]

Floats = NDArray[np.float64]
# Rows that the noise is taken from; more tell it no better.
_NOISE_ROWS = 500
# A line whose median departs from the level inside by more than this no longer belongs: heel effects stay below.
_BREAK = 0.35
_JUMP = 0.10  # from one line to another 3 lines further: no heel is so steep
_INSET_MM = 3.0


@dataclass(frozen=True, slots=True)
class Field:
    """A rectangle of even exposure, half-open rows and columns, and what it looks like.

    Parameters
    ----------
    rows, columns : (int, int)
        Inset by 3 mm where the field ends inside the image.
    level : float
        Median inside.
    roughness : float
        Largest departure (99.9th percentile) of the smoothed field from a second-order surface, over the level.
    slope : float
        Largest less smallest value of that surface, over the level.
    share : float
        Of the image's area.
    noise : float
        Standard deviation of single pixels over the level.
    details : int
        Separate places of about a millimetre that stand out of the noise: discs, wires, lettering, anatomy, dust.
    marks : int
        Texts and lead markers at the side that were left out: the field ends before them.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    level: float
    roughness: float
    slope: float
    share: float
    noise: float
    details: int
    marks: int = 0


def surface_rest(image: Floats) -> tuple[Floats, Floats]:
    """The image less its least-squares second-order surface, and the surface.

    Examples
    --------
    >>> row, column = np.mgrid[:20, :30]
    >>> float(np.abs(surface_rest(3.0 + row * column / 100.0)[0]).max()) < 1e-9
    True
    """
    y, x = (np.linspace(-1.0, 1.0, size) for size in image.shape)
    across, down = np.meshgrid(x, y)
    basis = np.stack([np.ones_like(across), across, down, across**2, across * down, down**2], axis=-1).reshape(-1, 6)
    solution = np.linalg.lstsq(basis, image.ravel(), rcond=None)[0]
    surface = (basis @ solution).reshape(image.shape)
    return image - surface, surface


def _extent(profile: Floats, start: int) -> tuple[int, int]:
    """From `start` to both sides as long as the profile neither leaves the level nor jumps."""
    level = abs(float(np.median(profile[max(0, start - 10) : start + 11])))
    limit, jump = _BREAK * level, _JUMP * level
    ends = []
    for step in (-1, 1):
        at = start
        while 0 <= at + step < profile.size:
            far = at + 3 * step
            if abs(profile[at + step] - profile[start]) > limit:
                break
            if 0 <= far < profile.size and abs(profile[far] - profile[at]) > jump:
                break
            at += step
        ends.append(at)
    return ends[0], ends[1] + 1


def exposed_field(
    image: NDArray[np.float32], spacing_mm: tuple[float, float], *, leave_out: bool = True
) -> Field | None:
    """The even field around the middle of an image; `None` where there is none to speak of.

    With `leave_out` it ends before texts and markers at its side (`free_part`).
    """
    small, factor = reduced(image, 400)
    small = ndimage.median_filter(small, 3)
    middle = [size // 2 for size in small.shape]
    rows, columns = (0, small.shape[0]), (0, small.shape[1])
    for _ in range(3):
        band_rows, band_columns = _central(rows), _central(columns)
        rows = _extent(np.median(small[:, band_columns[0] : band_columns[1]], axis=1), middle[0])
        columns = _extent(np.median(small[band_rows[0] : band_rows[1]], axis=0), middle[1])
        if min(rows[1] - rows[0], columns[1] - columns[0]) < 12:
            return None
        middle = [(rows[0] + rows[1]) // 2, (columns[0] + columns[1]) // 2]
    whole = []
    for (first, last), size, full, step in zip((rows, columns), small.shape, image.shape, spacing_mm, strict=True):
        inset = _INSET_MM / step
        begin = 0 if first == 0 else round(first * factor + inset)
        end = full if last == size else round(last * factor - inset)
        if end - begin < 32:
            return None
        whole.append((begin, end))
    part = np.asarray(image[whole[0][0] : whole[0][1], whole[1][0] : whole[1][1]])
    some = part[:: max(1, part.shape[0] // _NOISE_ROWS)].astype(np.float64)
    between = some[:, 1:] - some[:, :-1]
    noise = 1.4826 * float(np.median(np.abs(between))) / np.sqrt(2.0)
    free = free_part(part, spacing_mm, float(np.median(some)), noise) if leave_out else None
    if free is not None:
        whole = [
            (first + low, first + high)
            for (first, _), (low, high) in zip(whole, (free.rows, free.columns), strict=True)
        ]
        part = part[free.rows[0] : free.rows[1], free.columns[0] : free.columns[1]]
    inside = small[
        -(-whole[0][0] // factor) : max(whole[0][1] // factor, 1),
        -(-whole[1][0] // factor) : max(whole[1][1] // factor, 1),
    ]
    if min(inside.shape) < 8:
        return None
    level = float(np.median(inside))
    if level == 0:
        return None
    rest, surface = surface_rest(inside)
    smooth = np.abs(ndimage.gaussian_filter(rest, 1.0))
    share = (whole[0][1] - whole[0][0]) * (whole[1][1] - whole[1][0]) / image.size
    return Field(
        whole[0],
        whole[1],
        level,
        float(np.quantile(smooth, 0.999)) / abs(level),
        float(surface.max() - surface.min()) / abs(level),
        float(share),
        noise / abs(level),
        _details(part, spacing_mm),
        0 if free is None else free.marks,
    )


def _details(part: NDArray[np.float32], spacing_mm: tuple[float, float]) -> int:
    """How many places stand out by more than six times the noise of an image smoothed over some tenths of a millimetre."""
    small, factor = reduced(part, 1200)
    sigma = [max(0.4 / (step * factor), 0.7) for step in spacing_mm]
    band = ndimage.gaussian_filter(small, sigma) - ndimage.gaussian_filter(small, [5.0 * one for one in sigma])
    noise = 1.4826 * float(np.median(np.abs(band - np.median(band))))
    if noise <= 0:
        return 0
    return int(ndimage.label(np.abs(band) > 6.0 * noise)[1])


def _central(extent: tuple[int, int]) -> tuple[int, int]:
    length = extent[1] - extent[0]
    return extent[0] + length // 4, extent[1] - length // 4
