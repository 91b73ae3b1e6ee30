"""Image-quality metrics beside the bare numpy arithmetic that they cannot do without, and slices to an array beside pydicom.

``python -m bench.bench_image_quality [--slices 300]``. Each floor does the sums of its metric and nothing else: no
search for the edge, no uncertainty, no check. Both sides take turns and count by their median seconds of processor.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy import ndimage, special

from dose_audit.image_quality import (
    defective_pixels,
    disc_ttf,
    edge_mtf,
    noise_power_spectrum,
    noise_sd,
    read_stack,
    snr_two_images,
)

__all__ = ["main", "metric_ratios", "reading_ratios"]

Floats = NDArray[np.float64]
ROUNDS = 12
SIZE = 512


def medians_of(actions: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median processor seconds of each action, taking turns, so that what else goes on happens to all."""
    spent: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()
    for _ in range(rounds):
        for name, action in actions.items():
            started = time.process_time()
            action()
            spent[name].append(time.process_time() - started)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def edge_floor(image: Floats, slope: float, offset: float, spacing: float) -> Floats:
    """Project every pixel, average in bins, difference, transform."""
    rows, columns = np.indices(image.shape)
    distance = (columns - offset - slope * rows) * (np.cos(np.arctan(slope)) * spacing)
    bins = ((distance - distance.min()) * (8 / spacing)).astype(int).ravel()
    number = np.bincount(bins)
    spread = np.bincount(bins, image.ravel()) / np.maximum(number, 1)
    return np.abs(np.fft.rfft(np.diff(spread)))


def nps_floor(rois: Floats) -> Floats:
    """Remove a second-order surface from each region, transform, average the squares."""
    size = rois.shape[1]
    axis = np.linspace(-1, 1, size)
    y, x = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    basis = np.linalg.qr(np.stack([np.ones_like(x), y, x, y * y, y * x, x * x], axis=1))[0]
    flat = rois.reshape(rois.shape[0], -1)
    rest = (flat - (flat @ basis) @ basis.T).reshape(rois.shape)
    return np.asarray((np.abs(np.fft.rfft2(rest)) ** 2).mean(axis=0))


def radial_floor(image: Floats, centre: tuple[float, float], spacing: float) -> Floats:
    """Of a disc whose centre is known: radial average in bins of a tenth of a pixel, difference, transform."""
    rows, columns = np.indices(image.shape)
    radius = np.hypot(rows - centre[0], columns - centre[1]) * spacing
    bins = (radius * (10 / spacing)).astype(int).ravel()
    spread = np.bincount(bins, image.ravel()) / np.maximum(np.bincount(bins), 1)
    return np.abs(np.fft.rfft(np.diff(spread)))


def ttf_floor(image: Floats, centre: tuple[float, float], radius: float, spacing: float) -> Floats:
    """Centre, radius and blur by five Gauss-Newton steps, Gauss-Hermite edge spread, 200 resamplings and their curves.

    A radial average alone is no floor of this metric: its centre has to be found to a fraction of a pixel first, and an
    uncertainty is part of the result.
    """
    rows, columns = (grid.astype(float) for grid in np.indices(image.shape))
    near = np.abs(np.hypot(rows - centre[0], columns - centre[1]) * spacing - radius) < 0.6 * radius
    down, right, values = rows[near] * spacing, columns[near] * spacing, image[near]
    p = np.array([centre[0] * spacing, centre[1] * spacing, radius, spacing, np.ptp(values), values.min(), 0.0, 0.0])
    for _ in range(5):
        dy, dx = down - p[0], right - p[1]
        r = np.hypot(dy, dx)
        t = (p[2] - r) / p[3]
        risen, density = special.ndtr(t), p[4] / p[3] * np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi)
        columns_ = [density * dy / r, density * dx / r, density, -density * t, risen, np.ones_like(t), down, right]
        slopes = np.stack(columns_, axis=1)
        rest = values - p[4] * risen - p[5] - p[6] * down - p[7] * right
        p = p + np.linalg.solve(slopes.T @ slopes, slopes.T @ rest)
    bell = np.exp(-0.5 * t * t)
    orders = [bell * np.polynomial.hermite_e.hermeval(t, np.eye(10)[order]) for order in (1, 3, 5, 7, 9)]
    design = np.stack([*columns_, bell * t, *orders], axis=1)
    design = design / np.abs(design).max(axis=0)
    sector = ((np.arctan2(dy, dx) + np.pi) / (2 * np.pi) * 15.99).astype(int)
    parts = [design[sector == k] for k in range(16)]
    squares = np.stack([part.T @ part for part in parts])
    products = np.stack([part.T @ values[sector == k] for k, part in enumerate(parts)])
    drawn = np.random.default_rng(0).multinomial(16, np.full(16, 1 / 16), size=200).astype(float)
    systems = np.tensordot(drawn, squares, axes=1) + 1e-9 * np.eye(design.shape[1])
    copies = np.linalg.solve(systems, (drawn @ products)[:, :, None])[:, :, 0]
    omega = 2 * np.pi * p[3] * np.linspace(0, 1.6, 161)
    curves = np.stack([omega**order for order in range(design.shape[1])])
    return np.asarray((copies @ curves * np.exp(-0.5 * omega**2)).std(axis=0))


def sd_floor(region: Floats) -> float:
    """Remove a plane, sum the squares."""
    y, x = (grid.ravel() for grid in np.indices(region.shape))
    design = np.stack([np.ones(x.size), y, x], axis=1)
    rest = region.ravel() - design @ np.linalg.lstsq(design, region.ravel(), rcond=None)[0]
    return float(rest @ rest)


def defect_floor(image: Floats) -> Floats:
    """Local median, departure from it, median absolute departure."""
    rest = image - ndimage.median_filter(ndimage.median_filter(image, (1, 7)), (7, 1))
    return np.asarray(np.abs(rest) > 6 * 1.4826 * np.median(np.abs(rest)))


def metric_ratios() -> list[tuple[str, float, float]]:
    """Name, milliseconds of ours and of the floor."""
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    edge = 500.0 * (1 + special.erf((columns - 240.0 - 0.05 * rows) / 1.5)) + random.normal(0, 10, (SIZE, SIZE))
    flat = random.normal(1000, 10, (SIZE, SIZE))
    # 128 regions of 128² pixels, side by side in eight images.
    stack = random.normal(1000, 10, (8, SIZE, SIZE))
    rois = stack.reshape(8, 4, 128, 4, 128).swapaxes(2, 3).reshape(128, 128, 128)
    disc = 100 * special.ndtr((24 - np.hypot(rows[:82, :82] - 40.3, columns[:82, :82] - 41.2)) / 1.1)
    disc = disc + random.normal(0, 5, disc.shape)
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "slanted edge, 512²": (lambda: edge_mtf(edge, 0.1), lambda: edge_floor(edge, 0.05, 240.0, 0.1)),
        "NPS, 128 regions of 128²": (
            lambda: noise_power_spectrum(rois, 0.5, roi_size=128),
            lambda: nps_floor(rois),
        ),
        "TTF of a disc, 82²": (lambda: disc_ttf(disc, 0.5), lambda: ttf_floor(disc, (40.3, 41.2), 12.0, 0.5)),
        "  beside a radial average": (lambda: disc_ttf(disc, 0.5), lambda: radial_floor(disc, (40.3, 41.2), 0.5)),
        "noise SD, 512²": (lambda: noise_sd(flat), lambda: sd_floor(flat)),
        "SNR of two images, 512²": (lambda: snr_two_images(flat, flat[::-1]), lambda: sd_floor(flat - flat[::-1])),
        "dead pixels and lines, 512²": (lambda: defective_pixels(flat), lambda: defect_floor(flat)),
    }
    found = []
    for name, (ours, floor) in pairs.items():
        spent = medians_of({"ours": ours, "floor": floor})
        found.append((name, 1e3 * spent["ours"], 1e3 * spent["floor"]))
    return found


def _slices(folder: Path, count: int) -> list[Path]:
    """Uncompressed CT slices of 512², made here."""
    random = np.random.default_rng(0)
    series, paths = generate_uid(), []
    for index in range(count):
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = CTImageStorage
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        made.SeriesInstanceUID, made.Modality = series, "CT"
        made.ImagePositionPatient, made.ImageOrientationPatient = [-125, -125, float(index)], [1, 0, 0, 0, 1, 0]
        made.PixelSpacing, made.SliceThickness = [0.488, 0.488], 1.0
        made.Rows = made.Columns = SIZE
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
        made.RescaleSlope, made.RescaleIntercept = 1, -1024
        made.PixelData = random.integers(0, 4096, (SIZE, SIZE), dtype=np.uint16).tobytes()
        paths.append(folder / f"{index:04d}.dcm")
        made.save_as(paths[-1], enforce_file_format=True)
    return paths


def in_hu(paths: list[Path]) -> Floats:
    """What `read_stack` gives, with pydicom: float32 HU, each slice written into its place."""
    whole = np.empty((len(paths), SIZE, SIZE), dtype=np.float32)
    for place, path in zip(whole, paths, strict=True):
        read = pydicom.dcmread(path)
        np.multiply(read.pixel_array, np.float32(read.RescaleSlope), out=place)
        place += np.float32(read.RescaleIntercept)
    return whole


def reading_ratios(count: int) -> list[tuple[str, float, float]]:
    """Name, milliseconds of ours (sorted, in HU) and of pydicom; and how long the result's own memory takes.

    The system hands out memory by the page, and fetching pages that lay idle can cost as much as all the reading. Four bytes a
    pixel need twice as many as the stored values do: beside those stands ``int16``, beside ``float32`` what is as large.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = _slices(Path(folder), count)
        spent = medians_of(
            {
                "whole": lambda: read_stack(paths, whole_numbers=True),
                "floats": lambda: read_stack(paths),
                "pixel_array": lambda: np.stack([pydicom.dcmread(path).pixel_array for path in paths]),
                "in_hu": lambda: in_hu(paths),
                "memory": lambda: np.full((count, SIZE, SIZE), 1.0, dtype=np.float32),
            },
            rounds=9,
        )
    own = {name: 1e3 * seconds for name, seconds in spent.items()}
    return [
        (f"{count} to int16, pixel_array", own["whole"], own["pixel_array"]),
        (f"{count} to float32, pixel_array", own["floats"], own["pixel_array"]),
        (f"{count} to float32, float32 HU", own["floats"], own["in_hu"]),
        ("  its memory alone", own["memory"], own["in_hu"]),
    ]


def main() -> int:
    """Print every ratio; return 0."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--slices", type=int, default=300)
    count = words.parse_args().slices
    print(f"{'metric':<30}{'ours, ms':>10}{'floor, ms':>11}{'ratio':>8}")
    for name, ours, floor in metric_ratios():
        print(f"{name:<30}{ours:10.1f}{floor:11.1f}{ours / floor:8.2f}")
    print(f"\n{'reading':<30}{'ours, ms':>10}{'pydicom':>11}{'ratio':>8}")
    for name, ours, theirs in reading_ratios(count):
        print(f"{name:<30}{ours:10.1f}{theirs:11.1f}{ours / theirs:8.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
