"""Finds the one straight edge in a region: its orientation, and its line to a few hundredths of a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["EdgeLine", "NoEdge", "find_edge"]

Floats = NDArray[np.float64]

SMALLEST = 16
"""Fewest pixels a side in which an edge is looked for."""

_LEAST_STEP = 3.0  # times the noise of a pixel
_MOST_BLOCKS = 64  # are enough for a start: of more, those between are passed over
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
    finite: NDArray[np.bool_] | None = None
    profiles = image.mean(axis=1), image.mean(axis=0)
    if not np.isfinite(profiles[1]).all():
        finite = np.isfinite(image)
        if finite.mean() < 0.95:
            raise NoEdge("more than 5 % of the pixels hold no number")
        image = np.where(finite, image, np.median(image[finite]))
        profiles = image.mean(axis=1), image.mean(axis=0)
    down, across = map(_half_difference, profiles)
    if max(abs(down), abs(across)) <= 1e-9 * abs(image[0, 0]) and image.min() == image.max():
        raise NoEdge("all pixels are equal")
    transposed = abs(down) > abs(across)
    step = down if transposed else across
    pixels = image.T if transposed else image
    if finite is not None and transposed:
        finite = finite.T
    pixels = np.ascontiguousarray(-pixels if step < 0 else pixels)
    slope, offset = _first_look(pixels)
    width = _width(pixels, slope, offset)
    for _ in range(2):
        rows = _Rows(pixels, slope, offset, width)
        line = _StraightLine(rows.centred, rows.position)
        slope, offset = slope + line.tilt, offset + line.at(-rows.middle)
    quiet, noise, slow = rows.noises()
    step = rows.high - rows.low
    if step < _LEAST_STEP * noise:
        raise NoEdge(f"no edge: its step is {step / noise:.1f} times the noise of a pixel")
    sagitta, sagitta_uncertainty = line.bend()
    return EdgeLine(
        pixels, finite, transposed, offset, slope, rows.first, rows.last, width, rows.low, rows.high, noise, quiet,
        slow, float(np.sqrt(np.mean(line.residual**2))), sagitta, sagitta_uncertainty,
    )  # fmt: skip


def _half_difference(profile: Floats) -> float:
    third = profile.size // 3
    return float(profile[-third:].mean() - profile[:third].mean())


def _median(values: Floats) -> float:
    """Of a few hundred numbers, in a tenth of the time that numpy's takes."""
    middle = (values.size - 1) // 2, values.size // 2
    return float(np.partition(values, middle)[list(middle)].mean())


def _first_look(pixels: Floats) -> tuple[float, float]:
    """Slope and offset from the steepest place of every block of rows, by Theil–Sen."""
    rows, columns = pixels.shape
    block = _BLOCK if rows >= 8 * _BLOCK else max(rows // 8, 1)
    every = block * max(rows // (block * _MOST_BLOCKS), 1)
    count = rows // every
    means = pixels[: count * every].reshape(count, every, columns)[:, :block].sum(axis=1)
    lag = max(3, min(9, columns // 16))
    summed = np.cumsum(means, axis=1)
    rise = summed[:, 2 * lag :] - 2.0 * summed[:, lag:-lag] + summed[:, : -2 * lag]
    where = rise.argmax(axis=1) + lag + 0.5
    middle = np.arange(count) * every + 0.5 * (block - 1)
    upper, lower = _pairs(count)
    slope = _median((where[lower] - where[upper]) / (middle[lower] - middle[upper]))
    offset = _median(where - slope * middle)
    scatter = _median(np.abs(where - slope * middle - offset))
    if scatter > max(2.0, 0.06 * columns):
        raise NoEdge("no straight edge: the steepest places of the rows do not lie on a line")
    return slope, offset


@lru_cache(maxsize=128)
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the blocks that lie at least a quarter of all apart."""
    return np.triu_indices(count, count // 4)


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
    flat, wide = pixels.reshape(-1), 2 * room + 1
    windows = np.lib.stride_tricks.as_strided(flat, (flat.size - wide + 1, wide), 2 * flat.strides, writeable=False)
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


class _Rows:
    """Every row's edge position, which is where the area under its profile puts it, and the plateaus on both sides."""

    def __init__(self, pixels: Floats, slope: float, offset: float, width: float) -> None:
        ends = offset + slope * np.array([0.0, pixels.shape[0] - 1.0])
        margin = int(min(max(ends.min(), 0), max(pixels.shape[1] - 1 - ends.max(), 0)))
        room = int(max(min(max(2.5 * width + 3, 8), margin), 6))
        self.first, self.last = _rows_with_room(pixels.shape, slope, offset, room)
        if self.last - self.first < SMALLEST // 2:
            raise NoEdge("the edge lies too close to the border of the region")
        part, distance = gather(pixels, slope, offset, self.first, self.last, room)
        self._tail = tail = max(room // 4, 2)
        self.middle = 0.5 * (self.first + self.last - 1)
        self.centred = np.arange(self.first, self.last, dtype=np.float64) - self.middle
        self._beside = part[:, :tail], part[:, -tail:]
        self._sides = np.stack([side.mean(axis=1) for side in self._beside], axis=1)
        mean = self._sides.mean(axis=0)
        gain = self.centred @ (self._sides - mean) / (self.centred @ self.centred)
        self._plateaus = mean + self.centred[:, None] * gain
        low, high = self._plateaus.T
        self.low, self.high = float(low.mean()), float(high.mean())
        if not (self.high > self.low and np.all(high > low)):
            raise NoEdge("there is no step across the steepest places of the rows")
        area = (part.sum(axis=1) - part.shape[1] * low) / (high - low)
        self.position = distance[:, -1] + 0.5 - area  # relative to the line it was gathered about

    def noises(self) -> tuple[float, float, float]:
        """Of a pixel on the quieter and on the noisier side, and of a mean times the root of its pixels."""
        quiet, noise = sorted(float(np.diff(side, axis=1).std()) / math.sqrt(2.0) for side in self._beside)
        slow = float((self._sides - self._plateaus).std(axis=0).max()) * math.sqrt(self._tail)
        return quiet, noise, max(slow, noise)


class _StraightLine:
    """A robust line through positions (Huber weights)."""

    def __init__(self, rows: Floats, position: Floats) -> None:
        self._rows, self._weights = rows, np.ones_like(position)
        for _ in range(3):
            weights = self._weights
            total = weights.sum()
            self._mean_y, self._mean_x = float(weights @ rows) / total, float(weights @ position) / total
            away = rows - self._mean_y
            weighted = weights * away
            self.tilt = float(weighted @ (position - self._mean_x)) / float(weighted @ rows)
            self.residual = position - self._mean_x - self.tilt * away
            size = np.abs(self.residual)
            self._scale = 1.4826 * _median(size) + 1e-9
            self._weights = np.minimum(1.0, 2.5 * self._scale / np.maximum(size, 1e-12))

    def at(self, row: float) -> float:
        """Position of the line."""
        return float(self._mean_x + self.tilt * (row - self._mean_y))

    def bend(self) -> tuple[float, float]:
        """How far the positions bend away from the line, and its standard uncertainty."""
        rows, weights = self._rows, self._weights
        bend = (rows / (0.5 * (rows[-1] - rows[0]))) ** 2
        bend = bend - (weights @ bend) / weights.sum()
        bend = bend - rows * ((weights * bend) @ rows) / ((weights * rows) @ rows)
        power = float((weights * bend) @ bend)
        return abs(float((weights * bend) @ self.residual) / power), self._scale / math.sqrt(power)
