"""Finds the one straight edge in a region: its orientation, and its line to a few hundredths of a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EdgeLine", "NoEdge", "find_edge"]

Floats = NDArray[np.float64]

SMALLEST = 16
"""Fewest pixels a side in which an edge is looked for."""

_LEAST_STEP = 3.0  # times the noise of a pixel
_BLOCK = 4  # rows that are averaged for the first look; at 8 degrees the edge moves half a pixel in them


class NoEdge(Exception):
    """There is no edge here that could be measured; the message says why. Never leaves this room."""


@dataclass(frozen=True)
class EdgeLine:
    """An edge ``column = offset + slope · row`` in `pixels`, which rise across it.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns)
        The image, turned so that the edge runs along the rows' axis and mirrored in value so that it rises.
    finite : ndarray of bool or None
        Which pixels count; None where all do.
    transposed : bool
        Whether rows and columns were exchanged.
    offset, slope : float
        In pixels of the turned image.
    first, last : int
        Rows that the edge crosses with room on both sides (last excluded).
    width_px : float
        From 10 to 90 % of the step, across the columns.
    low, high, noise : float
        The plateaus beside the edge and the pixel noise on the noisier of them.
    quiet_noise : float
        The noise on the other one.
    slow_noise : float
        The noise of a mean over neighbouring pixels, times the square root of their number: more than that of a pixel where
        noise is correlated.
    residual_px : float
        Root mean square distance of single rows' edge positions from the line.
    sagitta_px, sagitta_uncertainty_px : float
        How far the edge bends away from its line.
    """

    pixels: Floats
    finite: NDArray[np.bool_] | None
    transposed: bool
    offset: float
    slope: float
    first: int
    last: int
    width_px: float
    low: float
    high: float
    noise: float
    quiet_noise: float
    slow_noise: float
    residual_px: float
    sagitta_px: float
    sagitta_uncertainty_px: float


def find_edge(image: Floats) -> EdgeLine:
    """Find the edge.

    Raises
    ------
    NoEdge
        With the reason in words.
    """
    if min(image.shape) < SMALLEST:
        raise NoEdge(f"the region has {image.shape[0]} × {image.shape[1]} pixels, fewer than {SMALLEST} a side")
    known = np.isfinite(image)
    finite: NDArray[np.bool_] | None = None
    if not known.all():
        if known.mean() < 0.95:
            raise NoEdge("more than 5 % of the pixels hold no number")
        finite = known
        image = np.where(known, image, np.median(image[known]))
    low, high = image.min(), image.max()
    if not low < high:
        raise NoEdge("all pixels are equal")
    across = _half_difference(image)
    down = _half_difference(image.T)
    transposed = abs(down) > abs(across)
    step = down if transposed else across
    pixels = image.T if transposed else image
    if finite is not None and transposed:
        finite = finite.T
    pixels = np.ascontiguousarray(-pixels if step < 0 else pixels)
    slope, offset = _first_look(pixels)
    width = _width(pixels, slope, offset)
    for _ in range(2):
        line = _refine(pixels, slope, offset, width)
        slope, offset = line.slope, line.offset
    return EdgeLine(
        pixels, finite, transposed, offset, slope, line.first, line.last, width, line.low, line.high, line.noise,
        line.quiet_noise, line.slow_noise, line.residual, line.sagitta, line.sagitta_uncertainty,
    )  # fmt: skip


@dataclass(frozen=True)
class _Line:
    slope: float
    offset: float
    first: int
    last: int
    low: float
    high: float
    noise: float
    quiet_noise: float
    slow_noise: float
    residual: float
    sagitta: float
    sagitta_uncertainty: float


def _half_difference(image: Floats) -> float:
    third = image.shape[1] // 3
    return float(image[:, -third:].mean() - image[:, :third].mean())


def _first_look(pixels: Floats) -> tuple[float, float]:
    """Slope and offset from the steepest place of every block of rows, by Theil–Sen."""
    rows, columns = pixels.shape
    block = _BLOCK if rows >= 8 * _BLOCK else max(rows // 8, 1)
    count = rows // block
    means = pixels[: count * block].reshape(count, block, columns).mean(axis=1)
    lag = max(3, min(9, columns // 16))
    summed = np.cumsum(means, axis=1)
    boxes = summed[:, lag:] - summed[:, :-lag]
    rise = boxes[:, lag:] - boxes[:, :-lag]
    where = rise.argmax(axis=1) + lag + 0.5
    middle = (np.arange(count) + 0.5) * block - 0.5
    chosen = np.linspace(0, count - 1, min(count, 96)).astype(int)
    upper, lower = np.triu_indices(chosen.size, chosen.size // 4)
    y, x = middle[chosen], where[chosen]
    slope = float(np.median((x[lower] - x[upper]) / (y[lower] - y[upper])))
    offset = float(np.median(where - slope * middle))
    scatter = float(np.median(np.abs(where - slope * middle - offset)))
    if scatter > max(2.0, 0.06 * columns):
        raise NoEdge("no straight edge: the steepest places of the rows do not lie on a line")
    return slope, offset


def _rows_with_room(shape: tuple[int, ...], slope: float, offset: float, room: int) -> tuple[int, int]:
    """First and last (excluded) row where `room` columns lie on both sides of the line."""
    inside = offset + slope * np.arange(shape[0])
    good = np.flatnonzero((inside >= room) & (inside <= shape[1] - 1 - room))
    return (int(good[0]), int(good[-1]) + 1) if good.size else (0, 0)


def gather(pixels: Floats, slope: float, offset: float, first: int, last: int, room: int) -> tuple[Floats, Floats]:
    """The pixels within `room` columns of the line, one row each, and their distance from it along the columns."""
    lines = np.arange(first, last)
    edge = offset + slope * lines
    nearest = np.rint(edge).astype(np.intp)
    start = lines * pixels.shape[1] + nearest - room
    windows = np.lib.stride_tricks.sliding_window_view(pixels.reshape(-1), 2 * room + 1)
    distance = np.arange(-room, room + 1)[None, :] + (nearest - edge)[:, None]
    return windows[start], distance


def _width(pixels: Floats, slope: float, offset: float) -> float:
    """10–90 % width of the mean profile across the edge, in pixels."""
    ends = offset + slope * np.array([0.0, pixels.shape[0] - 1.0])
    room = int(min(64, max(ends.min(), 0), max(pixels.shape[1] - 1 - ends.max(), 0)))
    if room < 6:
        room = 6
    first, last = _rows_with_room(pixels.shape, slope, offset, room)
    if last - first < SMALLEST // 2:
        raise NoEdge("the edge lies too close to the border of the region")
    profile = gather(pixels, slope, offset, first, last, room)[0].mean(axis=0)
    tail = max(room // 6, 2)
    low, high = profile[:tail].mean(), profile[-tail:].mean()
    if not high > low:
        raise NoEdge("there is no step across the steepest places of the rows")
    risen = (profile - low) / (high - low)
    at_10, at_90 = (int(np.argmax(risen > level)) - room for level in (0.1, 0.9))
    width = float(max(at_90 - at_10, 1))
    if width > 0.8 * room:
        raise NoEdge("no plateau on both sides of the edge: the values keep rising through the region")
    return width


def _refine(pixels: Floats, slope: float, offset: float, width: float) -> _Line:
    """Fit the line to every row's edge position, which is where the area under the row's profile puts it."""
    ends = offset + slope * np.array([0.0, pixels.shape[0] - 1.0])
    margin = int(min(max(ends.min(), 0), max(pixels.shape[1] - 1 - ends.max(), 0)))
    room = int(max(min(max(2.5 * width + 3, 8), margin), 6))
    first, last = _rows_with_room(pixels.shape, slope, offset, room)
    if last - first < SMALLEST // 2:
        raise NoEdge("the edge lies too close to the border of the region")
    part, distance = gather(pixels, slope, offset, first, last, room)
    tail = max(room // 4, 2)
    lines = np.arange(first, last, dtype=float)
    centred = lines - lines.mean()
    sides = np.stack([part[:, :tail].mean(axis=1), part[:, -tail:].mean(axis=1)], axis=1)
    gain = centred @ (sides - sides.mean(axis=0)) / (centred @ centred)
    plateaus = sides.mean(axis=0) + centred[:, None] * gain
    low, high = plateaus[:, 0], plateaus[:, 1]
    noises = sorted(float(np.diff(side, axis=1).std() / np.sqrt(2)) for side in (part[:, :tail], part[:, -tail:]))
    slow_noise = float((sides - plateaus).std(axis=0).max()) * math.sqrt(tail)
    step = float((high - low).mean())
    if not (step > 0 and np.all(high > low)):
        raise NoEdge("there is no step across the steepest places of the rows")
    if step < _LEAST_STEP * noises[1]:
        raise NoEdge(f"no edge: its step is {step / noises[1]:.1f} times the noise of a pixel")
    area = (part - low[:, None]).sum(axis=1) / (high - low)
    position = distance[:, -1] + 0.5 - area  # relative to the line it was gathered about
    weights = np.ones_like(position)
    for _ in range(3):
        total = weights.sum()
        mean_y, mean_x = (weights @ centred) / total, (weights @ position) / total
        tilt = (weights * (centred - mean_y)) @ (position - mean_x) / ((weights * (centred - mean_y)) @ centred)
        residual = position - mean_x - tilt * (centred - mean_y)
        scale = 1.4826 * float(np.median(np.abs(residual))) + 1e-9
        weights = np.minimum(1.0, 2.5 * scale / np.maximum(np.abs(residual), 1e-12))
    half = 0.5 * (lines[-1] - lines[0])
    bend = (centred / half) ** 2
    bend = bend - (weights @ bend) / weights.sum()
    bend = bend - centred * ((weights * bend) @ centred) / ((weights * centred) @ centred)
    power = float((weights * bend) @ bend)
    sagitta = float((weights * bend) @ residual) / power
    new_slope = slope + tilt
    return _Line(
        slope=float(new_slope),
        offset=float(offset + mean_x - tilt * mean_y - tilt * lines.mean()),
        first=first,
        last=last,
        low=float(low.mean()),
        high=float(high.mean()),
        noise=noises[1],
        quiet_noise=noises[0],
        slow_noise=max(slow_noise, noises[1]),
        residual=float(np.sqrt(np.mean(residual**2))),
        sagitta=abs(sagitta),
        sagitta_uncertainty=float(scale / np.sqrt(power)),
    )
