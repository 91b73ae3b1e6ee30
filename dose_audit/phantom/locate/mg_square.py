"""A small sheet of aluminium on homogeneous PMMA in a mammogram: an upright square that stands out of an even field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.field_exposed import exposed_field
from dose_audit.phantom.locate.plate_circles import reduced
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["Square", "locate", "match", "square_of"]

_PIXEL_MM = 0.8  # of the image in which the sheet is looked for
_SIDE_MM = (7.0, 24.0)
_CONTRAST = (0.02, 0.4)  # of the level around; 0.2 mm of aluminium makes 0.08 to 0.2
_CLEAR = 5.0  # noise of the reduced image
_FILLED = 0.85
_EVEN = 0.03


@dataclass(frozen=True, slots=True)
class Square:
    """The sheet: middle (row, column), height and width, contrast against its surroundings, evenness of the rest."""

    centre_px: tuple[float, float]
    size_mm: tuple[float, float]
    contrast: float
    roughness: float
    others: int
    from_edges_mm: tuple[float, float]


def square_of(bench: Workbench) -> Square | None:
    """The sheet in the first frame; `None` where none stands out."""
    return bench.once("mg_square", lambda: _search(bench))


def _search(bench: Workbench) -> Square | None:
    image = bench.series.image(0)
    spacing = bench.spacing_mm
    # A sheet may stand out as far as a mark does.
    field = exposed_field(image, spacing, leave_out=False)
    if field is None or field.share < 0.15:
        return None
    part = image[field.rows[0] : field.rows[1], field.columns[0] : field.columns[1]]
    small, factor = reduced(part, max(64, int(max(np.asarray(part.shape) * np.asarray(spacing)) / _PIXEL_MM)))
    step = (spacing[0] * factor, spacing[1] * factor)
    # The surroundings: a median over more than twice the sheet, which it cannot fill.
    coarse = max(1, round(3.0 / max(step)))
    size = [max(3, round(50.0 / one / coarse) | 1) for one in step]
    ground = ndimage.median_filter(small[::coarse, ::coarse], size, mode="nearest")
    zoom = [a / b for a, b in zip(small.shape, ground.shape, strict=True)]
    ground = ndimage.zoom(ground, zoom, order=1, mode="nearest", grid_mode=True)
    rest = small / np.where(ground == 0, 1.0, ground) - 1.0
    noise = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    found, others = _sheets(rest, max(_CONTRAST[0], _CLEAR * noise), step)
    if not found:
        # An offset of the pixel values takes from every contrast, and leaves what it is to the noise.
        found, others = _sheets(rest, _CLEAR * noise, step)
        found = [one for one in found if one[0] > 2.0 * _CLEAR * noise]
    if not found:
        return None
    contrast, sign, box, mask = max(found, key=lambda one: one[0])
    rows, columns = np.nonzero(mask)
    away = ~ndimage.binary_dilation(mask, iterations=3)
    roughness = float(np.quantile(np.abs(ndimage.gaussian_filter(rest, 1.0))[away], 0.999))
    shift = (factor - 1) / 2
    centre = (
        float(rows.mean() * factor + shift + field.rows[0]),
        float(columns.mean() * factor + shift + field.columns[0]),
    )
    size_mm = ((box[0].stop - box[0].start) * step[0], (box[1].stop - box[1].start) * step[1])
    edges = (centre[1] * spacing[1], (image.shape[1] - 1 - centre[1]) * spacing[1])
    return Square(centre, size_mm, sign * contrast, roughness, others + len(found) - 1, edges)


def _sheets(
    rest: NDArray[np.float64], threshold: float, step: tuple[float, float]
) -> tuple[list[tuple[float, float, tuple[slice, ...], NDArray[np.bool_]]], int]:
    """Squares that stand out of what is around them by a threshold (contrast, sign, box, pixels), and how much else does."""
    found, others = [], 0
    for sign in (-1.0, 1.0):
        labels, count = ndimage.label(sign * rest > threshold)
        if not 0 < count < 2000:
            continue
        for index, box in enumerate(ndimage.find_objects(labels), 1):
            height, width = ((box[k].stop - box[k].start) * step[k] for k in (0, 1))
            if height * width < 20.0:
                continue
            filled = float((labels[box] == index).mean())
            inside = np.abs(rest[box][labels[box] == index])
            contrast = float(np.median(inside))
            square = all(_SIDE_MM[0] <= one <= _SIDE_MM[1] for one in (height, width))
            if (
                square
                and filled > _FILLED
                and max(height, width) < 1.25 * min(height, width)
                and contrast < _CONTRAST[1]
            ):
                found.append((contrast, sign, box, labels == index))
            else:
                others += 1
    return found, others


def match(bench: Workbench, definition: Definition) -> Match:
    """One square of the right size and contrast, and nothing else in an even field."""
    square = square_of(bench)
    if square is None:
        return Match(0.0, ("no square sheet in an even field",))
    said = (
        f"square of {square.size_mm[1]:.0f} × {square.size_mm[0]:.0f} mm with a contrast of {square.contrast:.1%}",
        f"{min(square.from_edges_mm):.0f} mm from the nearer side, the rest even within {square.roughness:.1%}",
    )
    if square.roughness > _EVEN + 0.02 or square.others > 2:
        return Match(0.4, (*said, f"{square.others} other things in the field"))
    return Match(0.85, said)


def locate(bench: Workbench, definition: Definition) -> Pose:
    """The middle of the sheet."""
    square = square_of(bench)
    if square is None:
        return Pose(0.0, (0.0, 0.0), bench.spacing_mm, status="not_measurable", reason="no square sheet", quality=0.0)
    return Pose(0.0, square.centre_px, bench.spacing_mm, quality=max(0.0, 1.0 - 10 * square.roughness))
