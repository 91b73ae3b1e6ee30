"""Image headers to exam records beside pydicom, and folders of slices to exams: ratios and memory in one run.

``python -m bench.bench_headers [--real FOLDER] [--slices 5000]``. pydicom reads each header with
``stop_before_pixels`` and takes the same attributes, those inside sequences too; both sides read from memory
and take turns, and each counts by the CPU time of its best round. The folder of slices is made here: its memory is that of
reading it, less that of reading a tenth of it.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from bench.bench_extract import taken
from dose_audit.extract import read_exams, read_part

__all__ = ["best_of", "header_ratios", "main", "slices_of_one_study"]

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "real"
HEADERS = {
    "radiograph (DX)": "dose/DX-Im-GE_XR220-1.dcm",
    "computed radiograph (CR)": "dose/DX-Im-Carestream_DR7500-2.dcm",
    "mammogram (MG)": "dose/MG-Im-GE_Seno_1_ForProcessing.dcm",
    "PET slice": "dose/NM-PetIm-Siemens.dcm",
    "gamma camera (NM)": "dose/NM-NmIm-Siemens.dcm",
    "CT slice": "ct-siemens-water/004_004_Kropp_vann__5.0__Br38_001.dcm",
}
ROUNDS = 15
BATCH = 20


def best_of(actions: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Best CPU seconds of each action, taking turns in batches, so that a busy machine is busy for all."""
    best = dict.fromkeys(actions, float("inf"))
    for _ in range(rounds):
        for name, action in actions.items():
            started = time.process_time()
            for _ in range(BATCH):
                action()
            best[name] = min(best[name], (time.process_time() - started) / BATCH)
    return best


def _same_attributes(data: bytes) -> int:
    """What pydicom does for the same record: the header, every attribute, down into sequences."""
    return taken(pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True))


def header_ratios(real: Path) -> list[tuple[str, float, float, float]]:
    """Name, microseconds of ours and of pydicom, and their ratio, for each header that is there."""
    rows = []
    for name, path in HEADERS.items():
        if not (real / path).is_file():
            continue
        data = (real / path).read_bytes()
        best = best_of({"ours": lambda data=data: read_part(data), "pydicom": lambda data=data: _same_attributes(data)})
        rows.append((name, best["ours"] * 1e6, best["pydicom"] * 1e6, best["pydicom"] / best["ours"]))
    return rows


def slices_of_one_study(folder: Path, count: int) -> list[Path]:
    """Write `count` CT slices of one acquisition, each with pixels of 64 kB that nobody has to read."""
    study, series, event = generate_uid(), generate_uid(), generate_uid()
    paths = []
    for number in range(count):
        slice_ = Dataset()
        slice_.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        slice_.SOPInstanceUID = generate_uid()
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID, slice_.IrradiationEventUID = study, series, event
        slice_.Modality, slice_.KVP, slice_.XRayTubeCurrent = "CT", "120", 150 + number % 90
        slice_.CTDIvol = 5 + number % 7 / 10
        slice_.AcquisitionDate, slice_.AcquisitionTime = "20240311", "101500"
        slice_.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        slice_.Rows = slice_.Columns = 181
        slice_.BitsAllocated = slice_.BitsStored = 16
        slice_.HighBit, slice_.PixelRepresentation, slice_.SamplesPerPixel = 15, 0, 1
        slice_.PixelData = bytes(2 * 181 * 181)
        slice_["PixelData"].VR = "OW"
        slice_.file_meta = FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_.file_meta.MediaStorageSOPClassUID = slice_.SOPClassUID
        slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID
        path = folder / f"{number:06}.dcm"
        slice_.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _peak_kib(paths: list[Path]) -> tuple[float, float, int]:
    tracemalloc.start()
    started = time.perf_counter()
    exams = sum(1 for _ in read_exams(paths))
    took = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1024, took, exams


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=REAL)
    parser.add_argument("--slices", type=int, default=5000)
    arguments = parser.parse_args()
    rows = header_ratios(arguments.real)
    if not rows:
        print(f"no real headers in {arguments.real}: nothing measured")
    for name, ours, peer, ratio in rows:
        print(f"{name:28} ours {ours:8.0f} us   pydicom {peer:8.0f} us   {ratio:5.1f} x")
    with tempfile.TemporaryDirectory() as folder:
        paths = slices_of_one_study(Path(folder), arguments.slices)
        _peak_kib(paths[:10])
        few, _, _ = _peak_kib(paths[: arguments.slices // 10])
        all_, took, exams = _peak_kib(paths)
        started = time.perf_counter()
        for path in paths:
            pydicom.dcmread(path, stop_before_pixels=True)
        peer = time.perf_counter() - started
        print(f"{len(paths)} slices to {exams} exam: peak {all_:.0f} KiB, of a tenth of them {few:.0f} KiB")
        print(f"traced, twice opened: {took:.2f} s; pydicom's headers alone: {peer:.2f} s")


if __name__ == "__main__":
    main()
