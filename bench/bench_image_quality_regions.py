"""Region, geometry and slice metrics beside the bare numpy arithmetic they rest on, in one run; medians of interleaved rounds.

Run ``python -m bench.bench_image_quality_regions``.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import fft, ndimage

from dose_audit.image_quality import (
    body_outline,
    circle_diameter,
    disc_statistics,
    fit_insert,
    nema_uniformity,
    percent_integral_uniformity,
    slice_thickness_ramps,
    slice_thickness_wire,
    tile_uniformity,
)
from dose_audit.phantom.digital import disc_image, flat_field, mr_uniform_image, nm_flood, ramp_image

ROUNDS = 15


def main() -> int:
    """Print milliseconds and, where there is a bare arithmetic floor, the ratio to it."""
    mr, truth = mr_uniform_image(sd=5.0, bias=(0.05, 0.0, -0.1))
    centre = truth["centre_row_column"]
    flat, _ = flat_field(shape=(2048, 2048))
    ramps, _ = ramp_image(5.0, noise_sd=5.0)
    wire, _ = ramp_image(2.5, kind="ct", noise_sd=10.0, spacing_mm=0.5)
    rod, _ = disc_image(12.0, 100.0, noise_sd=10.0)
    flood, _ = nm_flood()
    cases: list[tuple[str, Callable[[], object], Callable[[], object] | None]] = [
        ("tiles of a 2048² flat field", lambda: tile_uniformity(flat, 0.15), lambda: _tiles(flat)),
        ("integral uniformity, 256²", lambda: _bare_piu(mr, centre), lambda: _piu(mr)),
        (
            "  without the noise's share, uncertainty",
            lambda: percent_integral_uniformity(mr, 1.0, centre),
            lambda: _piu_and_noise(mr),
        ),
        ("diameter, 256²", lambda: circle_diameter(mr, 1.0, centre, 95.0), lambda: _diameter(mr)),
        (
            "disc of 60 mm, with its uncertainty",
            lambda: disc_statistics(mr, centre, 60.0, 1.0),
            lambda: _disc_and_noise(mr),
        ),
        ("  beside no uncertainty", lambda: disc_statistics(mr, centre, 60.0, 1.0), lambda: _disc(mr)),
        ("body outline, 256²", lambda: body_outline(mr, 1.0), None),
        ("insert fit", lambda: fit_insert(rod, 0.5, (64.0, 64.0), 6.0), None),
        ("crossed ramps", lambda: slice_thickness_ramps(ramps, 1.0, (127.5, 127.5), search_mm=0), None),
        ("wire ramp, one slice", lambda: slice_thickness_wire(wire, 0.5, (51.5, 127.5), 0.0), None),
        ("NEMA NU 1", lambda: nema_uniformity(flood, 6.4), None),
    ]
    print(f"{'metric':<40}{'ms':>9}{'floor ms':>10}{'ratio':>8}")
    for name, ours, floor in cases:
        times: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            times[0].append(_seconds(ours))
            if floor is not None:
                times[1].append(_seconds(floor))
        mine = 1000 * statistics.median(times[0])
        if floor is None:
            print(f"{name:<40}{mine:9.2f}")
        else:
            bare = 1000 * statistics.median(times[1])
            print(f"{name:<40}{mine:9.2f}{bare:10.2f}{mine / bare:8.2f}")
    return 0


def _seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _bare_piu(image: np.ndarray, centre: tuple[float, float]) -> object:
    return percent_integral_uniformity(image, 1.0, centre, correct_noise=False)


def _tiles(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    blocks = image[67:-67, 67:-67][: 28 * 67, : 28 * 67].reshape(28, 67, 28, 67)
    return blocks.mean(axis=(1, 3)), blocks.std(axis=(1, 3), ddof=1)


def _piu(image: np.ndarray) -> float:
    """One convolution of the region with the small disc, and its extremes."""
    part = image[46:209, 46:209]
    kernel = np.zeros(part.shape)
    row, column = np.mgrid[:13, :13] - 6
    kernel[:13, :13] = np.hypot(row, column) <= math.sqrt(100 / math.pi)
    shape = (176, 176)
    means = fft.irfft2(fft.rfft2(part, shape) * fft.rfft2(kernel, shape), shape)
    return float(means.max() - means.min())


def _piu_and_noise(image: np.ndarray) -> float:
    """The same, and what twelve draws of noise do to the extremes: taking that off is part of the metric's definition here."""
    bare = _piu(image)
    generator = np.random.default_rng(0)
    kernel = np.zeros((96, 96))
    kernel[:7, :7] = 1.0
    drawn = fft.rfft2(generator.standard_normal((6, 96, 96)))
    fields = fft.irfft2(drawn * fft.rfft2(kernel), (96, 96))[:, :82, :82]
    shift = np.ptp(fields, axis=(1, 2)).mean() + np.ptp(-fields, axis=(1, 2)).mean()
    noise = np.median(np.abs(np.diff(image[46:209:2, 46:209], 2, axis=1)))
    return bare - float(noise * shift)


def _diameter(image: np.ndarray) -> float:
    """Two polar resamplings, as the first centre is a guess, half-maximum crossings, a circle and an ellipse by least squares."""
    row, column, diameter = 127.5, 127.5, 0.0
    for directions in (120, 360):
        angle, radius = np.radians(np.arange(directions) * (360 / directions))[:, None], np.arange(77.0, 113.0, 0.5)
        at = [row + radius * np.sin(angle), column + radius * np.cos(angle)]
        polar = ndimage.map_coordinates(image, at, order=3, mode="nearest")
        first = np.argmax(polar < 0.5 * np.median(polar[:, :20]), axis=1)
        edge = radius[first]
        x, y = column + edge * np.cos(angle[:, 0]), row + edge * np.sin(angle[:, 0])
        design = np.column_stack([2 * x, 2 * y, np.ones_like(x)])
        column, row, _ = np.linalg.lstsq(design, x * x + y * y, rcond=None)[0]
        turned = 2 * np.arctan2(y - row, x - column)
        round_ = np.column_stack([np.ones_like(x), np.cos(turned), np.sin(turned)])
        diameter = float(np.linalg.lstsq(round_, ((x - column) ** 2 + (y - row) ** 2) ** -0.5, rcond=None)[0][0])
    return diameter


def _disc(image: np.ndarray) -> tuple[float, float, float]:
    row, column = np.ogrid[:256, :256]
    values = image[(row - 127.5) ** 2 + (column - 127.5) ** 2 <= 3600.0]
    return float(values.mean()), float(values.std(ddof=1)), float(np.median(values))


def _disc_and_noise(image: np.ndarray) -> tuple[float, float, float, float]:
    """The same, and the noise's autocorrelation about the middle, less a plane: without it the uncertainty is white noise's."""
    mean, sd, median = _disc(image)
    part = image[96:160, 96:160]
    row, column = np.indices(part.shape)
    plane = np.column_stack([row.ravel(), column.ravel(), np.ones(part.size)])
    residual = part - (plane @ np.linalg.lstsq(plane, part.ravel(), rcond=None)[0]).reshape(part.shape)
    products = fft.irfft2(np.abs(fft.rfft2(residual, (112, 112))) ** 2, (112, 112))
    alike = float(np.abs(products[:24, :24]).sum() / products[0, 0])
    return mean, sd, median, sd * math.sqrt(alike / 11309)


if __name__ == "__main__":
    sys.exit(main())
