"""The oversampled edge spread of a slanted edge, and its transform with bootstrap replicates over blocks of rows."""

from __future__ import annotations

import math

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
        self._number, self._sums, self._offsets = number, values, offsets
        if np.count_nonzero(number.sum(axis=0) == 0) > 0.02 * self.count:
            raise NoEdge("too few rows to fill the bins of the oversampled edge")
        inside = within[chosen.ravel()]
        mean_offset = offsets.sum(axis=0) / np.maximum(number.sum(axis=0), 1)
        self.variance = max(float(np.mean(inside**2) - np.mean(mean_offset**2)), 0.0) * self.bin**2
        self.values = self._edge(np.ones((1, blocks)))[0]
        self._find_reach(line, across_mm)

    def _edge(self, weights: Floats) -> Floats:
        """The ESF with each block of rows counted so often; bins left empty borrow from the whole."""
        number = weights @ self._number + 1e-3 * self._number.sum(axis=0) + 1e-9
        sums = weights @ self._sums + 1e-3 * self._sums.sum(axis=0)
        offsets = weights @ self._offsets + 1e-3 * self._offsets.sum(axis=0)
        values = sums / number
        empty = self._number.sum(axis=0) == 0
        if empty.any():
            places = np.arange(self.count)
            for row in values:
                row[empty] = np.interp(places[empty], places[~empty], row[~empty])
        slope = np.gradient(values, axis=1)
        return np.asarray(values - slope * offsets / number)

    def _find_reach(self, line: EdgeLine, across_mm: float) -> None:
        """How far from the edge its spread goes on, and what the plateaus are beyond."""
        per_pixel = max(round(across_mm / self.bin), 1)
        far = np.abs(self.centres) > 0.5 * self.centres[-1]
        left, right = far & (self.centres < 0), far & (self.centres > 0)
        self._tilt = np.zeros(self.count)
        self.slope_across = 0.0
        for side, half in ((left, self.centres < 0), (right, self.centres > 0)):
            tilt, error = _slope(self.centres[side], self.values[side])
            if abs(tilt) > 5 * error:
                self._tilt[half] = tilt * self.centres[half]
                self.slope_across += abs(tilt) * self.centres[-1] / (line.high - line.low)
        self.values = self.values - self._tilt
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
        outside = np.abs(self.centres) > 1.3 * self.reach
        self._sides = (outside & (self.centres < 0), outside & (self.centres > 0))
        risen = (self.values - low) / step
        self.rise = max(int(np.argmax(risen > 0.9)) - int(np.argmax(risen > 0.1)), 1)

    def transform(self, frequencies: Floats, replicates: int, random: np.random.Generator) -> tuple[Floats, Floats]:
        """The MTF, and the MTFs of bootstrap replicates."""
        blocks = self._number.shape[0]
        weights = random.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=max(replicates, 2)).astype(float)
        edges = self._edge(np.vstack([np.ones((1, blocks)), weights])) - self._tilt
        low, high = (edges[:, side].mean(axis=1, keepdims=True) for side in self._sides)
        self._compare_halves(edges, low, high)
        plateau = np.where(self.centres < 0, low, high)
        tapered = plateau + self._window * (edges - plateau)
        lines = np.diff(tapered, axis=1) / (high - low)
        places = 0.5 * (self.centres[1:] + self.centres[:-1])
        kept = np.abs(places) <= 1.35 * self.reach
        phase = 2.0 * np.pi * np.outer(places[kept], frequencies)
        inside = np.ascontiguousarray(lines[:, kept])
        real, imaginary = inside @ np.cos(phase), inside @ np.sin(phase)
        power = (real[1:] - real[1:].mean(axis=0)) ** 2 + (imaginary[1:] - imaginary[1:].mean(axis=0)) ** 2
        noise = power.mean(axis=0)
        correction = np.sinc(frequencies * self.bin) * np.exp(-2.0 * np.pi**2 * frequencies**2 * self.variance)
        squared = real**2 + imaginary**2
        # A replicate holds the image's noise and its own.
        mtf = np.sqrt(np.maximum(squared[0] - noise, 0.0)) / correction
        copies = np.sqrt(np.maximum(squared[1:] - 2.0 * noise, 0.0)) / correction
        return mtf, copies

    def _compare_halves(self, edges: Floats, low: Floats, high: Floats) -> None:
        """Even part of the edge spreads (the image's and its replicates') that no shift of the edge explains."""
        half = self.count // 2
        room = min(max(self.rise, 4), half - 1)
        risen = (edges[:, half - room - 1 : half + room + 1] - low) / (high - low)
        slope = 0.5 * (risen[:, 2:] - risen[:, :-2])
        risen = risen[:, 1:-1]
        even, slope = 0.5 * (risen + risen[:, ::-1] - 1.0), slope + slope[:, ::-1]
        shift = np.sum(even * slope, axis=1) / np.maximum(np.sum(slope * slope, axis=1), 1e-300)
        even = ndimage.uniform_filter1d(even - shift[:, None] * slope, max(round(0.5 * self.pixel / self.bin), 1))
        worst = int(np.abs(even[0]).argmax())
        self.lopsided, self.lopsided_error = float(abs(even[0, worst])), float(even[1:, worst].std())


def _slope(x: Floats, y: Floats) -> tuple[float, float]:
    """Least-squares slope and its standard error."""
    centred = x - x.mean()
    power = float(centred @ centred)
    tilt = float(centred @ y) / power
    rest = y - y.mean() - tilt * centred
    return tilt, math.sqrt(float(rest @ rest) / max(x.size - 2, 1) / power) + 1e-12 * abs(tilt)
