"""Contrast-detail objects of gold discs in cells: found by the constellation of their best visible discs, in any quarter turn.

Each cell holds a disc in its middle and one in a corner; where the discs lie is fitted on those that are seen, so that
magnification, a sheared sheet and the corners' true distance need not be known.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.mg_specks import shift_by_votes, spots
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["CORNERS", "Cells", "Gold", "cells_of", "find_gold", "gold_of", "locate", "match"]

Floats = NDArray[np.float64]
# Codes of the scoring sheet, in the sheet's own upright sense: 1 top right, then clockwise; x grows with thickness.
CORNERS = {1: (1.0, -1.0), 2: (1.0, 1.0), 3: (-1.0, 1.0), 4: (-1.0, -1.0)}
_SCALES = (1.0, 1.03, 1.06, 1.09)
_SEEN_SIZES_MM = (0.4, 1.0)
_PIXEL_MM = 0.16
_SEEN_FROM_UM = 0.36
_SEEN = 0.75
_RESIDUAL_MM = 0.12
_REACHES_MM = (1.5, 0.8, 0.4)


@dataclass(frozen=True, slots=True)
class Cells:
    """The sheet as its definition has it: diameters (rows) by thicknesses (columns), corner codes, 0 for no cell."""

    diameters_mm: tuple[float, ...]
    thickness_um: tuple[float, ...]
    corners: NDArray[np.int_]
    cell_mm: float
    corner_mm: float

    def middle(self, row: int, column: int) -> Floats:
        """x and y of a cell's middle."""
        rows, columns = self.corners.shape
        return np.array([(column - 0.5 * (columns - 1)) * self.cell_mm, (row - 0.5 * (rows - 1)) * self.cell_mm])


@dataclass(frozen=True, slots=True)
class Gold:
    """Where the sheet lies in one image: pixel place (row, column) = ``matrix @ (x, y) + origin``.

    `corner_mm` is how far along x and y the second discs were found from their cells' middles, `share` how many of the
    discs that should be seen were, `sign` -1 where gold is lower in pixel value.
    """

    matrix: Floats
    origin: Floats
    corner_mm: float
    share: float
    residual_mm: float
    sign: int

    def place(self, at_mm: Floats) -> Floats:
        """Row and column of a point of the sheet."""
        return np.asarray(self.matrix @ at_mm + self.origin)


def cells_of(definition: Definition) -> Cells:
    """The sheet from the definition's ``[body]``."""
    body = definition.body
    return Cells(
        tuple(float(one) for one in body["diameters_mm"]),
        tuple(float(one) for one in body["thickness_um"]),
        np.array([[int(code) for code in row] for row in body["corners"]]),
        float(body["cell_mm"]),
        float(body["corner_mm"]),
    )


def gold_of(bench: Workbench, definition: Definition, frame: int = 0) -> Gold | None:
    """The sheet in a frame of a series."""
    return bench.once(
        f"mg_gold:{definition.id} {frame}",
        lambda: find_gold(bench.series.image(frame), bench.spacing_mm, cells_of(definition)),
    )


def find_gold(image: NDArray[np.float32], spacing: tuple[float, float], cells: Cells) -> Gold | None:
    """The sheet in one image; `None` where the discs that any system shows are not there.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing : (float, float)
        Row and column spacing in mm.
    cells : Cells
        The sheet.
    """
    middles, second = _visible(cells)
    work, factor = _coarse(image, spacing)
    fine, spacing = spacing, (spacing[0] * factor, spacing[1] * factor)
    sigma = [max(0.18 / step, 0.7) for step in spacing]
    bumps = ndimage.gaussian_filter(work, sigma) - ndimage.gaussian_filter(work, [3.0 * one for one in sigma])
    noise = 1.4826 * float(np.median(np.abs(bumps)))
    if noise <= 0:
        return None
    template = np.concatenate([middles, middles + cells.corner_mm * second])
    best: tuple[int, int, Floats, Floats, Floats] | None = None
    for sign in (-1, 1):
        points = spots(sign * bumps, noise, spacing)
        if points.shape[0] < 12:
            continue
        for hand in (1.0, -1.0):
            for scale in _SCALES:
                for turn_deg in (45.0, 135.0, 225.0, 315.0, 0.0, 90.0, 180.0, 270.0):
                    for lean in (-2.0, 0.0, 2.0):
                        turn = np.radians(turn_deg + lean)
                        matrix = scale * np.array(
                            [[hand * np.cos(turn), -np.sin(turn)], [hand * np.sin(turn), np.cos(turn)]]
                        )
                        count, shift = shift_by_votes(points, template @ matrix.T)
                        if best is None or count > best[0]:
                            best = (count, sign, matrix, np.asarray(shift), points)
    if best is None or best[0] < 0.4 * template.shape[0]:
        return None
    _, sign, matrix, found_at, points = best
    # The middle of a block of pixels lies half a block further than its first pixel.
    half = 0.5 * (factor - 1) * np.array([fine[1], fine[0]])
    return _fitted(points + half, matrix, found_at + half, middles, second, cells.corner_mm, sign, fine)


def _coarse(image: NDArray[np.float32], spacing: tuple[float, float]) -> tuple[NDArray[np.float32], int]:
    """Mean of square blocks of pixels as large as the discs that are looked for allow."""
    factor = max(1, int(_PIXEL_MM / max(spacing)))
    rows, columns = (size // factor for size in image.shape)
    if factor == 1 or min(rows, columns) < 2:
        return np.asarray(image, dtype=np.float32), 1
    blocks = np.asarray(image, dtype=np.float32)[: rows * factor, : columns * factor]
    return blocks.reshape(rows, factor, columns, factor).mean(axis=(1, 3)), factor


def _visible(cells: Cells) -> tuple[Floats, Floats]:
    """Middles and corner directions of the cells whose discs any system shows."""
    middles, second = [], []
    for (row, column), code in np.ndenumerate(cells.corners):
        large = _SEEN_SIZES_MM[0] <= cells.diameters_mm[row] <= _SEEN_SIZES_MM[1]
        if code and large and cells.thickness_um[column] >= _SEEN_FROM_UM:
            middles.append(cells.middle(row, column))
            second.append(CORNERS[int(code)])
    return np.array(middles), np.array(second)


def _fitted(
    points: Floats,
    matrix: Floats,
    shift: Floats,
    middles: Floats,
    second: Floats,
    corner_mm: float,
    sign: int,
    spacing: tuple[float, float],
) -> Gold | None:
    """Least squares of place, turn, shear, scale and corner distance on the spots next to where discs should be."""
    used: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
    residual = np.inf
    for reach in _REACHES_MM:
        wanted = np.concatenate([middles, middles + corner_mm * second])
        away = points[None, :, :] - (wanted @ matrix.T + shift)[:, None, :]
        distance = np.hypot(away[..., 0], away[..., 1])
        nearest = np.argmin(distance, axis=1)
        used = np.flatnonzero(distance[np.arange(wanted.shape[0]), nearest] < reach)
        if used.size < 8:
            return None
        seen = points[nearest[used]]
        linear = np.column_stack([wanted[used], np.ones(used.size)])
        solution = np.linalg.lstsq(linear, seen, rcond=None)[0]
        matrix, shift = solution[:2].T, solution[2]
        corners = used >= middles.shape[0]
        if corners.sum() >= 6:
            # The corners' distance by itself: along their own directions, freed of the common transform.
            own = seen[corners] - (middles[used[corners] - middles.shape[0]] @ matrix.T + shift)
            direction = second[used[corners] - middles.shape[0]] @ matrix.T
            corner_mm = float((own * direction).sum() / (direction**2).sum())
        rest = seen - (np.concatenate([middles, middles + corner_mm * second])[used] @ matrix.T + shift)
        residual = float(np.sqrt((rest**2).sum(axis=1).mean()))
    # Spots are (x, y) in image mm; places are (row, column) in pixels.
    to_pixel = np.array([matrix[1] / spacing[0], matrix[0] / spacing[1]])
    origin = np.array([shift[1] / spacing[0], shift[0] / spacing[1]])
    return Gold(to_pixel, origin, corner_mm, used.size / (2 * middles.shape[0]), residual, sign)


def match(bench: Workbench, definition: Definition) -> Match:
    """Most of the discs that any system shows lie in their places."""
    if len(bench.series.frames) > 64:
        return Match(0.0)
    found = gold_of(bench, definition)
    if found is None:
        return Match(0.0, ("no constellation of gold discs",))
    said = (f"{found.share:.0%} of the best visible discs in their places, within {found.residual_mm:.2f} mm",)
    if found.share < _SEEN or found.residual_mm > _RESIDUAL_MM:
        return Match(min(0.5, found.share), said)
    return Match(float(np.clip(0.7 + 0.3 * (found.share - _SEEN) / (1 - _SEEN), 0.0, 1.0)), said)


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Middle, turn, size and handedness of the sheet."""
    found = gold_of(bench, definition)
    spacing = bench.spacing_mm
    if found is None:
        reason = "no constellation of gold discs"
        return Pose(0.0, (0.0, 0.0), spacing, status="not_measurable", reason=reason, quality=0.0)
    matrix = np.array([found.matrix[1] * spacing[1], found.matrix[0] * spacing[0]])
    mirrored = bool(np.linalg.det(matrix) < 0)
    x = -matrix[:, 0] if mirrored else matrix[:, 0]
    notes = (
        f"{found.share:.0%} of the best visible discs in their places, within {found.residual_mm:.2f} mm",
        f"second discs {found.corner_mm:.2f} mm from the middle of their cells along each side",
        "gold is " + ("lower" if found.sign < 0 else "higher") + " in pixel value",
    )
    return Pose(
        0.0,
        (float(found.origin[0]), float(found.origin[1])),
        spacing,
        roll_deg=degrees(atan2(x[1], x[0])),
        mirrored=mirrored,
        scale=float(np.sqrt(abs(np.linalg.det(matrix)))),
        quality=found.share,
        notes=notes,
    )
