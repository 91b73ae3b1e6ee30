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
    hu_uniformity,
    nema_uniformity,
    percent_integral_uniformity,
    percent_signal_ghosting,
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
    outline = body_outline(mr, 1.0)
    cases: list[tuple[str, Callable[[], object], Callable[[], object] | None]] = [
        ("tiles of a 2048² flat field", lambda: tile_uniformity(flat, 0.15), lambda: _tiles(flat)),
        ("integral uniformity, 256²", lambda: percent_integral_uniformity(mr, 1.0, centre), lambda: _piu(mr)),
        ("  without the noise's share", lambda: _bare_piu(mr, centre), lambda: _piu(mr)),
        ("diameter, 256²", lambda: circle_diameter(mr, 1.0, centre, 95.0), lambda: _polar(mr)),
        ("disc of 60 mm, mean and uncertainty", lambda: disc_statistics(mr, centre, 60.0, 1.0), lambda: _disc(mr)),
        ("five-ROI uniformity", lambda: hu_uniformity(mr, 1.0, centre), None),
        ("body outline, 256²", lambda: body_outline(mr, 1.0), None),
        ("ghosting", lambda: percent_signal_ghosting(mr, 1.0, outline=outline), None),
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
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


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


def _polar(image: np.ndarray) -> np.ndarray:
    """One polar resampling of the edge's surroundings, which the metric needs twice."""
    angle, radius = np.radians(np.arange(360.0))[:, None], np.arange(77.0, 113.0, 0.5)[None, :]
    at = [127.5 + radius * np.sin(angle), 127.5 + radius * np.cos(angle)]
    return np.asarray(ndimage.map_coordinates(image, at, order=3, mode="nearest"))


def _disc(image: np.ndarray) -> tuple[float, float, float]:
    row, column = np.ogrid[:256, :256]
    values = image[(row - 127.5) ** 2 + (column - 127.5) ** 2 <= 3600.0]
    return float(values.mean()), float(values.std(ddof=1)), float(np.median(values))


if __name__ == "__main__":
    sys.exit(main())
