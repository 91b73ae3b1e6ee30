"""Metrics of detectors, bars, wires, lines and low contrast beside the bare numpy arithmetic they rest on, in one run.

Run ``python -m bench.bench_image_quality_detector``. Both sides take turns and count by their median seconds of processor. A
floor holds what the metric's definition asks for, the noise's autocorrelation of an uncertainty and the bootstrap's resamplings
included, and no search, no check, no doubt.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from bench.bench_image_quality import medians_of
from dose_audit.image_quality import (
    bar_mtf,
    hu_linearity,
    hu_uniformity,
    lag,
    low_contrast_visible,
    percent_signal_ghosting,
    structured_noise,
    wire_mtf,
)
from dose_audit.image_quality.geometry import body_outline
from dose_audit.phantom.digital import low_contrast_image, mr_uniform_image

Floats = NDArray[np.float64]
ROUNDS = 15
SIZE = 512
DIAMETERS = (15.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0)
NOMINAL = np.array([-1000.0, -200.0, -100.0, 0.0, 120.0, 340.0, 990.0])


def correlation_floor(part: Floats) -> float:
    """Less a plane; the sum of the autocorrelation near its middle."""
    row, column = np.indices(part.shape)
    plane = np.column_stack([row.ravel(), column.ravel(), np.ones(part.size)])
    rest = (part.ravel() - plane @ np.linalg.lstsq(plane, part.ravel(), rcond=None)[0]).reshape(part.shape)
    shape = tuple(fft.next_fast_len(size + 12, real=True) for size in part.shape)
    products = fft.irfft2(np.abs(fft.rfft2(rest, shape)) ** 2, shape)
    return float(np.abs(products[:6, :6]).sum() / products[0, 0])


def regions_floor(image: Floats, boxes: list[tuple[int, int, int, int]], inside: float) -> list[float]:
    """Of each box the ellipse within it: mean, standard deviation, median, and the noise's autocorrelation."""
    found = []
    for top, left, height, width in boxes:
        part = image[top : top + height, left : left + width]
        row, column = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        values = part[row**2 + column**2 <= inside]
        found += [float(values.mean()), float(values.std(ddof=1)), float(np.median(values)), correlation_floor(part)]
    return found


def bar_floor(pattern: Floats, bar: Floats, gap: Floats) -> tuple[float, float]:
    """Variance in a Hann window less that of the two solids, and how far the noise of these is alike."""
    weights = np.outer(np.hanning(pattern.shape[0] + 2)[1:-1], np.hanning(pattern.shape[1] + 2)[1:-1])
    weights /= weights.sum()
    mean = float((weights * pattern).sum())
    power = float((weights * (pattern - mean) ** 2).sum())
    return power - 0.5 * float(bar.var() + gap.var()), correlation_floor(bar) + correlation_floor(gap)


def wire_floor(image: Floats, spacing: float) -> Floats:
    """Centre, width and plane by five Gauss-Newton steps, six Laguerre terms, 200 resamplings of 16 sectors and their curves."""
    rows, columns = (grid.ravel() * spacing for grid in np.indices(image.shape).astype(float))
    values = image.ravel()
    p = np.array([rows.mean(), columns.mean(), 2 * spacing, np.ptp(values), values.min(), 0.0, 0.0])
    for _ in range(5):
        down, right = rows - p[0], columns - p[1]
        t = (down**2 + right**2) / p[2] ** 2
        bell = np.exp(-0.5 * t)
        own = p[3] * bell / p[2] ** 2
        slopes = np.stack([own * down, own * right, own * p[2] * t, bell, np.ones_like(t), down, right], axis=1)
        rest = values - p[3] * bell - p[4] - p[5] * down - p[6] * right
        p = p + np.linalg.lstsq(slopes, rest, rcond=None)[0]
    terms = [bell * np.polynomial.laguerre.lagval(t, np.eye(6)[order]) for order in range(6)]
    design = np.stack([*terms, np.ones_like(t), down, right], axis=1)
    sector = ((np.arctan2(down, right) + np.pi) / (2 * np.pi) * 15.99).astype(int)
    parts = [design[sector == k] for k in range(16)]
    squares = np.stack([part.T @ part for part in parts])
    products = np.stack([part.T @ values[sector == k] for k, part in enumerate(parts)])
    drawn = np.random.default_rng(0).multinomial(16, np.full(16, 1 / 16), size=200).astype(float)
    copies = np.linalg.solve(np.tensordot(drawn, squares, axes=1), (drawn @ products)[:, :, None])[:, :6, 0]
    omega = (2 * np.pi * p[2] * np.linspace(0, 2.5, 161)) ** 2
    curves = np.stack([(-1) ** order * np.polynomial.laguerre.lagval(omega, np.eye(6)[order]) for order in range(6)])
    return np.asarray((copies @ curves * np.exp(-0.5 * omega)).std(axis=0))


def lag_floor(dark: Floats, exposed: Floats, after: Floats) -> tuple[float, float]:
    """Means of two differences and their standard deviations."""
    rise, left = exposed - dark, after - dark
    return float(left.mean() / rise.mean()), float(math.hypot(left.std(), rise.std()))


def structure_floor(images: Floats) -> tuple[float, float]:
    """A second-order surface taken from each image; variance of their mean and about it."""
    axis = np.linspace(-1, 1, images.shape[1])
    y, x = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    surface = np.stack([np.ones_like(x), y, x, y * y, y * x, x * x])
    flat = images.reshape(images.shape[0], -1)
    rest = flat - np.linalg.solve(surface @ surface.T, surface @ flat.T).T @ surface
    mean = rest.mean(axis=0)
    return float(mean.var()), float(((rest - mean) ** 2).mean())


def line_floor(x: Floats, y: Floats) -> Floats:
    """Median of the slopes of all pairs, thirty fits with Huber weights (these points need as many), a covariance."""
    upper, lower = np.triu_indices(x.size, 1)
    slope = np.median((y[upper] - y[lower]) / (x[upper] - x[lower]))
    design = np.stack([np.ones_like(x), x], axis=1)
    found = np.array([np.median(y - slope * x), slope])
    for _ in range(30):
        rest = np.abs(y - design @ found)
        weights = np.minimum(1.0, 1.5 * 1.4826 * np.median(rest) / np.maximum(rest, 1e-9))
        normal = design.T @ (weights[:, None] * design)
        found = np.linalg.solve(normal, design.T @ (weights * y))
    return np.asarray(found[1] / np.sqrt(np.linalg.inv(normal).diagonal()))


def contrast_floor(image: Floats, spacing: float, columns: list[float]) -> list[float]:
    """Of each size: the disc less a plane in its surroundings, image and noise alone filtered, spread and p of the disc."""
    found = []
    for diameter, column in zip(DIAMETERS, columns, strict=True):
        half = math.ceil(1.25 * diameter / spacing + 8)
        down, right = np.mgrid[-half : half + 1, -half : half + 1]
        used = np.hypot(down, right) <= half
        disc = (np.hypot(down, right) <= 0.5 * diameter / spacing).astype(float)
        plane = np.stack([np.ones(int(used.sum())), down[used], right[used]], axis=1)
        weights = np.zeros(used.shape)
        weights[used] = disc[used] - plane @ np.linalg.lstsq(plane, disc[used], rcond=None)[0]
        shape = tuple(fft.next_fast_len(a + b - 1, real=True) for a, b in zip(image.shape, weights.shape, strict=True))
        filters = fft.rfft2(weights, shape)
        reaches = fft.irfft2(fft.rfft2(np.ones(image.shape), shape) * fft.rfft2(used.astype(float), shape), shape)
        output, null = (fft.irfft2(fft.rfft2(one, shape) * filters, shape) for one in (image, image - image.mean()))
        whole = null[reaches > used.sum() - 0.5]
        spread = 1.4826 * np.median(np.abs(whole - np.median(whole)))
        found.append(float(output[image.shape[0] // 2, round(column)] / spread) + np.count_nonzero(whole > spread))
    return found


def main() -> int:
    """Print milliseconds and the ratio to the floor."""
    random = np.random.default_rng(0)
    flat, _ = mr_uniform_image(sd=5.0, bias=(0.05, 0.0, -0.1))
    outline = body_outline(flat, 1.0)
    along = np.indices((60, 60))[1] * 0.7
    pattern = 100 * np.sin(2 * np.pi * 0.3 * along) + random.normal(0, 5, (60, 60))
    bar, gap = 200 + random.normal(0, 5, (40, 40)), random.normal(0, 5, (40, 40))
    y, x = np.indices((41, 41)) * 0.2
    wire = 800 * np.exp(-((y - 4.03) ** 2 + (x - 3.9) ** 2) / (2 * 0.4**2)) + random.normal(0, 15, y.shape)
    frames = 1000 + random.normal(0, 20, (3, SIZE, SIZE))
    measured = 1.002 * NOMINAL + random.normal(0, 0.3, NOMINAL.size)
    low, truth = low_contrast_image(DIAMETERS, (5.0,), nps=5.0, pitch_mm=32.0, spacing_mm=0.7)
    places = [disc["row_column"] for disc in truth["discs"]]
    five = [(row, column, 20, 20) for row, column in ((118, 118), (40, 118), (196, 118), (118, 40), (118, 196))]
    ghosts = [(2, 100, 16, 64), (238, 100, 16, 64), (100, 2, 64, 16), (100, 238, 64, 16), (50, 50, 156, 156)]
    cases: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "five-ROI uniformity": (
            lambda: hu_uniformity(flat, 1.0, (127.5, 127.5)),
            lambda: regions_floor(flat, five, 1.0),
        ),
        "ghosting": (
            lambda: percent_signal_ghosting(flat, 1.0, outline=outline),
            lambda: regions_floor(flat, ghosts, 1.0),
        ),
        "bar-pattern MTF, 60²": (lambda: bar_mtf(pattern, bar, gap, 0.7, 0.3), lambda: bar_floor(pattern, bar, gap)),
        "wire MTF, 41²": (lambda: wire_mtf(wire, 0.2), lambda: wire_floor(wire, 0.2)),
        "nine low-contrast discs, 92 × 458": (
            lambda: low_contrast_visible(
                low, 0.7, places, DIAMETERS, region=np.ones(low.shape, dtype=bool), polarity=1
            ),
            lambda: contrast_floor(low, 0.7, [column for _, column in places]),
        ),
        "lag, 512²": (
            lambda: lag(frames[0], frames[1] + 4000, [frames[2]]),
            lambda: lag_floor(frames[0], frames[1] + 4000, frames[2]),
        ),
        "structured noise, 3 of 512²": (lambda: structured_noise(frames), lambda: structure_floor(frames)),
        "HU linearity, 7 inserts": (
            lambda: hu_linearity(list(measured), NOMINAL),
            lambda: line_floor(NOMINAL, measured),
        ),
    }
    print(f"{'metric':<40}{'ms':>9}{'floor ms':>10}{'ratio':>8}")
    for name, (ours, floor) in cases.items():
        spent = medians_of({"ours": ours, "floor": floor}, ROUNDS)
        print(f"{name:<40}{1e3 * spent['ours']:9.2f}{1e3 * spent['floor']:10.2f}{spent['ours'] / spent['floor']:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
