"""A straight, slightly tilted edge of an absorber in a radiograph: the longest and strongest line off the pixel axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.plate_circles import reduced
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["Edge", "edge_of", "locate", "match"]

Floats = NDArray[np.float64]
_TILT_DEG = (0.7, 12.0)  # steeper is no edge device, straighter is the collimation
_LEAST_MM = 25.0
_LEAST_SIDE = 8  # pixels of the reduced image; in a narrower strip nothing is to be seen
_LEAST_CONTRAST = 0.4  # of the range of pixel values: the scale may have any zero
_FLAT = 0.06  # of the step: unevenness beside the edge
_ROOM_MM = 6.0


@dataclass(frozen=True, slots=True)
class Edge:
    """A line: its middle (row, column), direction of its normal on screen, length, and the region about it.

    `rows` and `columns` are half-open; within them nothing but this edge is seen. `tilt_deg` is that off the pixel axis.
    """

    middle_px: tuple[float, float]
    normal_deg: float
    tilt_deg: float
    length_mm: float
    contrast: float
    roughness: float
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def clear(self) -> bool:
        """Whether it is a step between two even grounds, and not just any line."""
        return self.contrast >= _LEAST_CONTRAST and self.roughness <= _FLAT


def edge_of(bench: Workbench) -> Edge | None:
    """The best edge of the first frame."""
    return bench.once("slanted_edge", lambda: _search(bench.series.image(0), bench.spacing_mm))


def _search(image: NDArray[np.float32], spacing: tuple[float, float]) -> Edge | None:
    found = []
    for transposed in (False, True):
        own = image.T if transposed else image
        steps = spacing[::-1] if transposed else spacing
        found += [(one, transposed) for one in _near_vertical(own, steps)]
    if not found:
        return None
    best, transposed = max(found, key=lambda one: one[0].length_mm * min(one[0].contrast, 1.0))
    if not transposed:
        return best
    return Edge(
        best.middle_px[::-1],
        90.0 - best.normal_deg,
        best.tilt_deg,
        best.length_mm,
        best.contrast,
        best.roughness,
        best.columns,
        best.rows,
    )


def _near_vertical(image: NDArray[np.float32], spacing: tuple[float, float]) -> list[Edge]:
    """Edges that run from top to bottom, tilted a little."""
    small, factor = reduced(image, 400)
    if min(small.shape) < _LEAST_SIDE:
        return []
    step = (spacing[0] * factor, spacing[1] * factor)
    smooth = ndimage.gaussian_filter(small, 1.0)
    across = np.gradient(smooth, axis=1)
    # The range without the extremes of single pixels; direct radiation and absorber make it in an edge image.
    low, high = np.quantile(small, [0.02, 0.98])
    if high <= low:
        return []
    edges = []
    for sign in (1.0, -1.0):
        slope = sign * across
        strong = slope > 0.06 * (high - low)
        peak = strong & (slope >= np.roll(slope, 1, axis=1)) & (slope >= np.roll(slope, -1, axis=1))
        rows, columns = np.nonzero(peak)
        if rows.size < _LEAST_MM / step[0]:
            continue
        edges += _lines(image, rows.astype(float), columns.astype(float), small, factor, spacing)
    return edges


def _lines(
    image: NDArray[np.float32], rows: Floats, columns: Floats, small: Floats, factor: int, spacing: tuple[float, float]
) -> list[Edge]:
    """Straight runs of edge points, by votes over tilt and place."""
    step = (spacing[0] * factor, spacing[1] * factor)
    tangents = np.tan(np.radians(np.arange(-_TILT_DEG[1], _TILT_DEG[1] + 0.01, 0.25)))
    found = []
    free = np.ones(rows.size, dtype=bool)
    for _ in range(3):
        best = (0, 0.0, 0.0)
        for tangent in tangents * step[0] / step[1]:
            place = columns[free] - tangent * rows[free]
            if not place.size:
                break
            counts, bounds = np.histogram(place, bins=np.arange(place.min() - 1, place.max() + 2.5, 1.5))
            top = int(np.argmax(counts))
            if counts[top] > best[0]:
                best = (int(counts[top]), float(tangent), float(0.5 * (bounds[top] + bounds[top + 1])))
        if best[0] * step[0] < _LEAST_MM:
            break
        near = free & (np.abs(columns - best[1] * rows - best[2]) < 2.0)
        free &= ~(np.abs(columns - best[1] * rows - best[2]) < 4.0)
        for _ in range(3):
            tangent, offset = np.polyfit(rows[near], columns[near], 1)
            near &= np.abs(columns - tangent * rows - offset) < 1.0
            if near.sum() < 10:
                break
        if near.sum() < 10:
            continue
        tilt = degrees(np.arctan(tangent * step[1] / step[0]))
        if not _TILT_DEG[0] <= abs(tilt) <= _TILT_DEG[1]:
            continue
        edge = _region(small, rows[near], float(tangent), float(offset), tilt, factor, step, image.shape)
        if edge is not None:
            found.append(edge)
    return found


def _region(
    small: Floats,
    rows: Floats,
    tangent: float,
    offset: float,
    tilt: float,
    factor: int,
    step: tuple[float, float],
    shape: tuple[int, ...],
) -> Edge | None:
    """The part of the line with even ground on both sides, and how far that reaches."""
    first, last = int(np.quantile(rows, 0.01)) + 2, int(np.quantile(rows, 0.99)) - 2
    if (last - first) * step[0] < _LEAST_MM:
        return None
    lines = np.arange(first, last + 1)
    widest = int(30.0 / step[1])
    at = tangent * lines + offset
    offsets = np.arange(-widest, widest + 1)
    places = at[:, None] + offsets[None, :]
    inside = (places >= 0) & (places <= small.shape[1] - 1)
    values = ndimage.map_coordinates(
        small, (np.broadcast_to(lines[:, None], places.shape), places), order=1, mode="nearest"
    )
    profile = np.where(inside.all(axis=0), np.median(values, axis=0), np.nan)
    # Ground beside the edge is read from 2 pixels on; it ends where the median profile breaks away.
    left, right = profile[: widest - 2][::-1], profile[widest + 3 :]
    room = []
    if not (np.isfinite(left[:4]).any() and np.isfinite(right[:4]).any()):
        return None  # the line runs along the border of the image
    levels = [float(np.nanmedian(side[:4])) for side in (left, right)]
    contrast = abs(levels[1] - levels[0])
    low, high = np.quantile(small, [0.02, 0.98])
    if not contrast > 0 or high <= low:
        return None
    for side in (left, right):
        level = float(np.nanmedian(side[:4]))
        good = np.isfinite(side) & (np.abs(side - level) < 0.1 * contrast)
        reach = int(np.argmin(good)) if not good.all() else side.size
        room.append(reach + 1)
    half = min(room) - 1
    if half * step[1] < _ROOM_MM:
        return None
    # Rows in which the ground is even on both sides: plate corners and labels are left out.
    span = values[:, widest - half : widest + half + 1]
    rest = np.abs(span - np.nanmedian(span, axis=0))
    rest[:, half - 2 : half + 3] = 0.0
    even = np.quantile(rest, 0.98, axis=1) < 0.1 * contrast
    begin, end = _longest_run(even)
    if (end - begin) * step[0] < _LEAST_MM:
        return None
    roughness = float(np.quantile(rest[begin:end], 0.99)) / contrast
    top, bottom = lines[begin], lines[end - 1]
    ends = (tangent * top + offset, tangent * bottom + offset)
    middle_row, middle_column = 0.5 * (top + bottom), 0.5 * sum(ends)
    rows_px = (int((top + 1) * factor), int(bottom * factor))
    columns_px = (
        max(0, int((max(ends) - half + 0.5) * factor)),
        min(shape[1], int((min(ends) + half + 0.5) * factor)),
    )
    if columns_px[1] - columns_px[0] < 24 or rows_px[1] - rows_px[0] < 24:
        return None
    shift = (factor - 1) / 2
    return Edge(
        (float(middle_row * factor + shift), float(middle_column * factor + shift)),
        -tilt,
        tilt,
        float((end - begin) * step[0]),
        float(min(contrast / (high - low), 1.0)),
        roughness,
        rows_px,
        columns_px,
    )


def _longest_run(good: NDArray[np.bool_]) -> tuple[int, int]:
    """First and past-last index of the longest run of true values."""
    padded = np.concatenate([[False], good, [False]])
    changes = np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)
    if not changes.size:
        return 0, 0
    longest = int(np.argmax(changes[:, 1] - changes[:, 0]))
    return int(changes[longest, 0]), int(changes[longest, 1])


def match(bench: Workbench, definition: Definition) -> Match:
    """A long straight edge of good contrast between two even grounds."""
    edge = edge_of(bench)
    if edge is None:
        return Match(0.0, ("no straight, tilted edge between two even grounds",))
    said = (
        f"edge of {edge.length_mm:.0f} mm, tilted by {abs(edge.tilt_deg):.1f} degrees",
        f"a step of {edge.contrast:.0%} of the image's range, ground even within {edge.roughness:.1%} of the step",
    )
    if not edge.clear:
        return Match(0.3, said)
    return Match(
        float(np.clip(0.62 + 0.15 * min(edge.length_mm / 60.0, 1.0) * min(edge.contrast, 1.0), 0.0, 0.9)), said
    )


def locate(bench: Workbench, definition: Definition) -> Pose:
    """The middle of the edge, turned so that the definition's x is the edge's normal."""
    edge = edge_of(bench)
    if edge is None:
        middle = ((bench.series.shape[0] - 1) / 2, (bench.series.shape[1] - 1) / 2)
        reason = "no straight, tilted edge between two even grounds"
        return Pose(0.0, middle, bench.spacing_mm, quality=0.0, status="not_measurable", reason=reason)
    note = f"edge of {edge.length_mm:.0f} mm, {edge.tilt_deg:.2f} degrees off the pixel axis"
    return Pose(
        0.0, edge.middle_px, bench.spacing_mm, roll_deg=edge.normal_deg, quality=1.0 - edge.roughness, notes=(note,)
    )
