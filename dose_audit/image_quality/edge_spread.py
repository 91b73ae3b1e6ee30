"""The oversampled edge spread of a slanted edge, and its transform with bootstrap replicates over blocks of rows."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import ndimage

from dose_audit.image_quality.edges import EdgeLine, NoEdge, gather
from dose_audit.image_quality.mtf_curve import Floats

__all__ = ["EdgeSpread"]

_TAIL = 0.003  # of the step: nearer than this to its plateau, the edge spread has ended
_BLOCKS = 32


class EdgeSpread:
    """The oversampled edge spread function, kept in blocks of rows so that it can be resampled.

    Parameters
    ----------
    line : EdgeLine
    across_mm : float
        Pixel spacing across the edge.
    cosine : float
        Of the edge's angle.

    Attributes
    ----------
    centres, values : ndarray, shape (bins,)
        Distance from the edge in mm, and the edge spread there, level beside the edge.
    bin, pixel, reach : float
        Width of a bin, of a pixel, and how far from the edge its spread goes on, in mm.
    slope_across : float
        What the plateaus change by, as a share of the step.
    rise : int
        Bins from 10 to 90 % of the step.
    lopsided, lopsided_error : float
        How far the two halves of the edge spread differ (once `transform` has been called), as a share of the step, and its
        standard uncertainty.
    """

    def __init__(self, line: EdgeLine, across_mm: float, cosine: float) -> None:
        columns = line.pixels.shape[1]
        ends = line.offset + line.slope * np.array([line.first, line.last - 1.0])
        margin = int(min(ends.min(), columns - 1 - ends.max()))
        room = int(min(margin, max(40, 6 * line.width_px)))
        if room < 5:
            raise NoEdge("the edge lies too close to the border of the region")
        part, distance = gather(line.pixels, line.slope, line.offset, line.first, line.last, room)
        rows = part.shape[0]
        fine = 8 if rows >= 160 else 4
        self.bin, self.pixel = across_mm / fine, across_mm
        half = int((room - 1) * cosine * fine)
        self.count = 2 * half
        self.centres = (np.arange(self.count) - half + 0.5) * self.bin
        projected = distance * (across_mm * cosine / self.bin) + half
        bins = projected.astype(np.int32)
        chosen = (bins >= 0) & (bins < self.count) & (projected >= 0)
        blocks = min(_BLOCKS, max(rows // 4, 4))
        block = (np.arange(rows) * blocks // rows).astype(np.int32)
        where = np.where(chosen, bins + (block * self.count)[:, None], blocks * self.count).ravel()
        within = (projected - bins - 0.5).ravel()
        shape = (blocks, self.count)
        number, values, offsets = (
            np.bincount(where, weights, minlength=blocks * self.count + 1)[:-1].reshape(shape).astype(float)
            for weights in (None, part.ravel(), within)
        )
        self._blocks = np.stack([number, values, offsets])
        self._filled = number.sum(axis=0) > 0
        if np.count_nonzero(~self._filled) > 0.02 * self.count:
            raise NoEdge("too few rows to fill the bins of the oversampled edge")
        inside = within[chosen.ravel()]
        mean_offset = offsets.sum(axis=0) / np.maximum(number.sum(axis=0), 1)
        self.variance = max(float(inside @ inside) / inside.size - float(np.mean(mean_offset**2)), 0.0) * self.bin**2
        self.values = self._edge(np.ones((1, blocks)))[0]
        self._find_reach(line, across_mm)

    def _edge(self, weights: Floats, bins: slice = slice(None)) -> Floats:
        """The ESF in some bins with each block of rows counted so often; bins left empty borrow from the whole."""
        number, sums, offsets = (weights + 1e-3) @ self._blocks[:, :, bins]
        number += 1e-9
        values = sums / number
        filled = self._filled[bins]
        if not filled.all():
            places = np.arange(filled.size)
            for row in values:
                row[~filled] = np.interp(places[~filled], places[filled], row[filled])
        offsets /= number
        # Each bin's mean position is not its middle.
        slope = np.empty_like(values)
        np.subtract(values[:, 2:], values[:, :-2], out=slope[:, 1:-1])
        slope[:, 1:-1] *= 0.5
        slope[:, 0], slope[:, -1] = values[:, 1] - values[:, 0], values[:, -1] - values[:, -2]
        slope *= offsets
        values -= slope
        return values

    def _find_reach(self, line: EdgeLine, across_mm: float) -> None:
        """How far from the edge its spread goes on, and what the plateaus are beyond."""
        per_pixel = max(round(across_mm / self.bin), 1)
        far = np.abs(self.centres) > 0.5 * self.centres[-1]
        left, right = far & (self.centres < 0), far & (self.centres > 0)
        tilted = np.zeros(self.count)
        self.slope_across = 0.0
        for side, half in ((left, self.centres < 0), (right, self.centres > 0)):
            tilt, error = _slope(self.centres[side], self.values[side])
            if abs(tilt) > 5 * error:
                tilted[half] = tilt * self.centres[half]
                self.slope_across += abs(tilt) * self.centres[-1] / (line.high - line.low)
        self.values = self.values - tilted
        self._blocks[1] -= tilted * self._blocks[0]
        low, high = float(self.values[left].mean()), float(self.values[right].mean())
        step = high - low
        smooth = np.convolve(self.values, np.ones(per_pixel) / per_pixel, mode="same")
        rest = np.where(self.centres < 0, smooth - low, smooth - high)
        noise = max(float(rest[side][per_pixel:-per_pixel].std()) for side in (left, right))
        edge = np.abs(self.centres) < self.centres[-1] - across_mm
        beyond = edge & (np.abs(rest) > max(_TAIL * step, 4.0 * noise))
        reach = float(np.abs(self.centres[beyond]).max()) if beyond.any() else 0.0
        self.reach = min(max(1.3 * reach, 4.0 * across_mm), 0.7 * float(self.centres[-1]))
        taper = np.clip((np.abs(self.centres) - self.reach) / (0.3 * self.reach), 0.0, 1.0)
        self._window = 0.5 + 0.5 * np.cos(np.pi * taper)
        beside = int(np.count_nonzero(self.centres < -1.3 * self.reach))
        self._sides = (slice(0, beside), slice(self.count - beside, None))
        risen = (self.values - low) / step
        self.rise = max(int(np.argmax(risen > 0.9)) - int(np.argmax(risen > 0.1)), 1)

    def transform(self, frequencies: Floats, replicates: int, seed: int) -> tuple[Floats, Floats]:
        """The MTF, and the MTFs of bootstrap replicates."""
        blocks, half = self._blocks.shape[1], self.count // 2
        weights = _draws(blocks, max(replicates, 2), seed)
        low, high = (self._plateau(weights, side) for side in self._sides)
        # Beyond its reach the edge spread is level, and need not be known bin by bin.
        reached = int(np.count_nonzero(np.abs(self.centres[1:] - 0.5 * self.bin) <= 1.35 * self.reach)) // 2
        room = min(max(self.rise, 4), half - 1)
        known = min(max(reached, room) + 2, half)
        edges = self._edge(weights, slice(half - known, half + known))
        self._compare_halves(edges[:, known - min(room + 1, known) : known + room + 1], low, high)
        near = slice(known - reached - 1, known + reached + 1)
        used = slice(half - reached - 1, half + reached + 1)
        plateau = np.where(self.centres[used] < 0, low, high)
        tapered = plateau + self._window[used] * (edges[:, near] - plateau)
        lines = np.diff(tapered, axis=1) / (high - low)
        # They lie on both sides of the middle alike: the even part has the cosines, the odd part the sines.
        right, left = np.ascontiguousarray(lines[:, reached:]), np.ascontiguousarray(lines[:, reached::-1])
        phase = 2.0 * np.pi * np.outer(self.bin * np.arange(reached + 1), frequencies)
        cosine, sine = np.cos(phase), np.sin(phase)
        cosine[0] *= 0.5  # the middle itself is in both
        real, imaginary = (right + left) @ cosine, (right - left) @ sine
        power = (real[1:] - real[1:].mean(axis=0)) ** 2 + (imaginary[1:] - imaginary[1:].mean(axis=0)) ** 2
        noise = power.mean(axis=0)
        correction = np.sinc(frequencies * self.bin) * np.exp(-2.0 * np.pi**2 * frequencies**2 * self.variance)
        squared = real**2 + imaginary**2
        # A replicate holds the image's noise and its own.
        mtf = np.sqrt(np.maximum(squared[0] - noise, 0.0)) / correction
        copies = np.sqrt(np.maximum(squared[1:] - 2.0 * noise, 0.0)) / correction
        return mtf, copies

    def _plateau(self, weights: Floats, side: slice) -> Floats:
        """Mean beside the edge, with each block of rows counted so often."""
        number, sums = weights @ self._blocks[:2, :, side].sum(axis=2)[:, :, None]
        return np.asarray(sums / number)

    def _compare_halves(self, edges: Floats, low: Floats, high: Floats) -> None:
        """Even part of the edge spreads (the image's and its replicates') that no shift of the edge explains."""
        risen = (edges - low) / (high - low)
        slope = 0.5 * (risen[:, 2:] - risen[:, :-2])
        risen = risen[:, 1:-1]
        even, slope = 0.5 * (risen + risen[:, ::-1] - 1.0), slope + slope[:, ::-1]
        shift = np.sum(even * slope, axis=1) / np.maximum(np.sum(slope * slope, axis=1), 1e-300)
        even = ndimage.uniform_filter1d(even - shift[:, None] * slope, max(round(0.5 * self.pixel / self.bin), 1))
        worst = int(np.abs(even[0]).argmax())
        self.lopsided, self.lopsided_error = float(abs(even[0, worst])), float(even[1:, worst].std())


@lru_cache(maxsize=8)
def _draws(blocks: int, replicates: int, seed: int) -> Floats:
    """How often each block counts: once in the image, as drawn in each replicate. Not to be written to."""
    random = np.random.default_rng(seed)
    drawn = random.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=replicates)
    weights = np.vstack([np.ones((1, blocks)), drawn])
    weights.setflags(write=False)
    return weights


def _slope(x: Floats, y: Floats) -> tuple[float, float]:
    """Least-squares slope and its standard error."""
    centred = x - x.mean()
    power = float(centred @ centred)
    tilt = float(centred @ y) / power
    rest = y - y.mean() - tilt * centred
    return tilt, math.sqrt(float(rest @ rest) / max(x.size - 2, 1) / power) + 1e-12 * abs(tilt)
