"""Water-equivalent diameter of a whole CT series: time with reading, memory, and how far it is from the truth.

Run ``python -m bench.bench_dosimetry [--slices 300]``. The series is analytic: a water cylinder, or a thorax of soft
tissue with two lungs, on a table of two shells, 512 × 512 pixels, noise added. Targets: 300 slices under 1.5 s on one
core, under 300 MB, within 1 % in diameter.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FOV_MM = 500.0
SIZE = 512


def thorax(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """A thorax in HU and its true Dw in mm."""
    image = np.full(x.shape, -1000.0)
    image[(x / 170) ** 2 + (y / 120) ** 2 < 1] = 40
    for side in (-80, 80):
        image[((x - side) / 50) ** 2 + (y / 70) ** 2 < 1] = -800
    water = 1.04 * math.pi * 170 * 120 - 2 * 0.84 * math.pi * 50 * 70
    return image, 2 * math.sqrt(water / math.pi)


def cylinder(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """A water cylinder in HU and its diameter."""
    return np.where(x**2 + (y - 20) ** 2 < 100**2, 0.0, -1000.0), 200.0


def write_series(folder: Path, slices: int, kind: str) -> float:
    """Write a series of CT images; return the true Dw."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    pixel = FOV_MM / SIZE
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * pixel
    x, y = np.meshgrid(axis, axis)
    image, truth = {"thorax": thorax, "cylinder": cylinder}[kind](x, y)
    table = (abs(x) < 205) & (y > 121) & (y < 165)
    image[table] = np.where((abs(x) < 202) & (y > 124) & (y < 162), -930, 50)[table]
    random = np.random.default_rng(1)
    series, event, frame = generate_uid(), generate_uid(), generate_uid()
    for index in range(slices):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.SeriesInstanceUID, ds.IrradiationEventUID, ds.FrameOfReferenceUID = series, event, frame
        ds.ImagePositionPatient = [-FOV_MM / 2, -FOV_MM / 2, float(index)]
        ds.ImageOrientationPatient, ds.PixelSpacing = [1, 0, 0, 0, 1, 0], [pixel, pixel]
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.Rows = ds.Columns = SIZE
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        noisy = image + random.normal(0, 20, image.shape)
        ds.PixelData = np.clip(noisy + 1024, 0, 4095).round().astype("<u2").tobytes()
        ds.save_as(folder / f"{index:04d}.dcm")
    return truth


def measure(folder: str) -> None:
    """Measure one folder in this process and print what it took."""
    from dose_audit.dosimetry import series_water_equivalent_diameter

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, busy = time.perf_counter(), time.process_time()
    result = series_water_equivalent_diameter(folder)[0]
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{result.value} {wall} {busy} {after / 1024} {before / 1024}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return 0
    print(f"{'series':24} {'Dw mm':>8} {'off %':>7} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}")
    for kind in ("cylinder", "thorax"):
        with tempfile.TemporaryDirectory() as folder:
            truth = write_series(Path(folder), options.slices, kind)
            rounds = []
            for _ in range(options.rounds):
                command = [sys.executable, "-m", "bench.bench_dosimetry", "--measure", folder]
                environment = os.environ | {"OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                rounds.append([float(word) for word in done.stdout.split()])
            dw_mm, wall, busy, peak, _ = sorted(rounds, key=lambda row: row[2])[len(rounds) // 2]
            off = 100 * (dw_mm / truth - 1)
            name = f"{kind}, {options.slices} × {SIZE}²"
            print(f"{name:24} {dw_mm:8.2f} {off:7.2f} {wall:8.2f} {busy:8.2f} {peak:8.0f}", flush=True)
    print(
        f"load average {os.getloadavg()[0]:.1f}; one process, median of {options.rounds} rounds, files in the page cache"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
