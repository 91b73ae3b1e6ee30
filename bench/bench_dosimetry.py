"""Water-equivalent diameter of a whole CT series: time with reading, memory, and how far it is from the truth.

Run ``python -m bench.bench_dosimetry [--slices 300]``. The series are analytic: a water cylinder, or a thorax of soft
tissue with two lungs that grow and shrink with z, on a table of two shells, 512 × 512 pixels, noise added; slices of
1 and 3 mm, of which neighbours share a region as long as nothing leaves it, and of 12 mm, of which each is searched
for itself; and the thorax in a cushion of its own CT number, which has to be taken out of all slices. Targets:
300 slices under 1.5 s on one core, under 300 MB, within 1 % in diameter.
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


def thorax(x: np.ndarray, y: np.ndarray, z: float) -> tuple[np.ndarray, float]:
    """A thorax in HU at a height in mm, and its true Dw in mm."""
    a, b = 170 + 10 * math.sin(z / 60), 120 + 6 * math.sin(z / 45)
    lung_a, lung_b = 50 + 8 * math.sin(z / 50), 70 + 10 * math.cos(z / 40)
    image = np.full(x.shape, -1000.0)
    image[(x / a) ** 2 + ((y - 120 + b) / b) ** 2 < 1] = 40
    for side in (-80, 80):
        image[((x - side) / lung_a) ** 2 + (y / lung_b) ** 2 < 1] = -800
    water = 1.04 * math.pi * a * b - 2 * 0.84 * math.pi * lung_a * lung_b
    return image, 2 * math.sqrt(water / math.pi)


def cushioned(x: np.ndarray, y: np.ndarray, z: float) -> tuple[np.ndarray, float]:
    """The thorax in a rigid cushion of muscle's number, which some slices show free of it."""
    image, truth = thorax(x, y, z)
    outer = (x / 192) ** 2 + ((y + 6) / 138) ** 2 < 1
    inner = (x / 180.5) ** 2 + ((y + 6) / 126.5) ** 2 < 1
    image[outer & ~inner & (y > 20) & (image < -900)] = 40
    return image, truth


def cylinder(x: np.ndarray, y: np.ndarray, z: float) -> tuple[np.ndarray, float]:
    """A water cylinder in HU and its diameter."""
    return np.where(x**2 + (y - 20) ** 2 < 100**2, 0.0, -1000.0), 200.0


def write_series(folder: Path, slices: int, kind: str, step_mm: float = 1.0) -> float:
    """Write a series of CT images; return the true mean Dw."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    pixel = FOV_MM / SIZE
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * pixel
    x, y = np.meshgrid(axis, axis)
    table = (abs(x) < 205) & (y > 121) & (y < 165)
    shells = np.where((abs(x) < 202) & (y > 124) & (y < 162), -930, 50)[table]
    truths = []
    random = np.random.default_rng(1)
    series, event, frame = generate_uid(), generate_uid(), generate_uid()
    for index in range(slices):
        image, truth = {"thorax": thorax, "cylinder": cylinder, "cushioned thorax": cushioned}[kind](
            x, y, index * step_mm
        )
        image[table] = shells
        truths.append(truth)
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.SeriesInstanceUID, ds.IrradiationEventUID, ds.FrameOfReferenceUID = series, event, frame
        ds.ImagePositionPatient = [-FOV_MM / 2, -FOV_MM / 2, index * step_mm]
        ds.ImageOrientationPatient, ds.PixelSpacing = [1, 0, 0, 0, 1, 0], [pixel, pixel]
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.Rows = ds.Columns = SIZE
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        noisy = image + random.normal(0, 20, image.shape)
        ds.PixelData = np.clip(noisy + 1024, 0, 4095).round().astype("<u2").tobytes()
        ds.save_as(folder / f"{index:04d}.dcm")
    return float(np.mean(truths))


def measure(folder: str) -> None:
    """Measure one folder in this process and print what it took."""
    from dose_audit.dosimetry import series_water_equivalent_diameter

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, busy = time.perf_counter(), time.process_time()
    result = series_water_equivalent_diameter(folder)[0]
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{result.value} {wall} {busy} {after / 1024} {before / 1024} {result.details['segmented']}")


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
    print(f"{'series':38} {'Dw mm':>8} {'off %':>7} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'searched':>9}")
    cases = [("cylinder", 1.0), *(("thorax", step) for step in (1.0, 3.0, 12.0))]
    for kind, step_mm in (*cases, ("cushioned thorax", 3.0), ("cushioned thorax", 12.0)):
        with tempfile.TemporaryDirectory() as folder:
            truth = write_series(Path(folder), options.slices, kind, step_mm)
            rounds = []
            for _ in range(options.rounds):
                command = [sys.executable, "-m", "bench.bench_dosimetry", "--measure", folder]
                environment = os.environ | {"OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                rounds.append([float(word) for word in done.stdout.split()])
            dw_mm, wall, busy, peak, _, searched = sorted(rounds, key=lambda row: row[2])[len(rounds) // 2]
            off = 100 * (dw_mm / truth - 1)
            name = f"{kind}, {options.slices} × {SIZE}², {step_mm:g} mm"
            row = f"{name:38} {dw_mm:8.2f} {off:7.2f} {wall:8.2f} {busy:8.2f} {peak:8.0f} {searched:9.0f}"
            print(row, flush=True)
    print(
        f"load average {os.getloadavg()[0]:.1f}; one process, median of {options.rounds} rounds, files in the page cache"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
