"""Reader beside pydicom, on the same files in one run: ratios of median CPU times of interleaved rounds.

Run ``python -m bench.bench_reader [--real FOLDER] [--files 20000]``. Reports and images are real ones, by
default those in ``../shared/real``; where that folder is absent nothing is measured, and that is said.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom

from dose_audit.extract.reader import ReadError, peek, read_object

REPORTS = (
    *("CT-RDSR-Siemens_Flash-TAP-SS.dcm", "RF-RDSR-Siemens-Zee.dcm", "MG-RDSR-GEPristina-2D.dcm"),
    *("RF-RDSR-Canon-Ultimaxi-mGyDoseAtRP.dcm", "RF-RDSR-Philips_Azurion.dcm"),
)
IMAGES = (
    *("dose/DX-Im-Carestream_DR7500-1.dcm", "dose/MG-Im-GE_Seno_1_ForPresentation.dcm"),
    *("dose/NM-PetIm-Siemens.dcm", "ct-siemens-water", "ct-catphan504-cbct"),
)
TEXTS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "Manufacturer"),
    *("ManufacturerModelName", "StationName", "DeviceSerialNumber", "SoftwareVersions", "InstitutionName"),
    *("StudyDate", "StudyTime", "AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime"),
    *("SeriesDescription", "StudyDescription", "ProtocolName", "AccessionNumber", "PatientSex", "PatientAge"),
    *(
        "PatientBirthDate",
        "PatientID",
        "BodyPartExamined",
        "ViewPosition",
        "ImageType",
        "IrradiationEventUID",
    ),
    *("AnodeTargetMaterial", "FilterMaterial", "FilterType", "Grid", "ConvolutionKernel", "PatientPosition"),
)
NUMBERS = (
    *("KVP", "XRayTubeCurrent", "ExposureTime", "Exposure", "ExposureInuAs", "FocalSpots", "CTDIvol"),
    *("SliceThickness", "DistanceSourceToDetector", "DistanceSourceToPatient", "EntranceDose", "OrganDose"),
    *("EntranceDoseInmGy", "ImageAndFluoroscopyAreaDoseProduct", "HalfValueLayer", "ExposureIndex"),
    *("TargetExposureIndex", "DeviationIndex", "RelativeXRayExposure", "BodyPartThickness"),
    *("CompressionForce", "SpiralPitchFactor", "TotalCollimationWidth", "PatientWeight", "PatientSize"),
    *("FilterThicknessMinimum", "FilterThicknessMaximum", "PositionerPrimaryAngle", "TableHeight", "Rows"),
)


def pydicom_tree(data: bytes) -> int:
    """Decode a report and visit every content item with its concept, value and unit."""
    return _visit(pydicom.dcmread(BytesIO(data)))


def _visit(item: pydicom.Dataset) -> int:
    for keyword in ("ValueType", "RelationshipType", "TextValue", "DateTime", "UID", "PersonName"):
        item.get(keyword)
    for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
        _codes(item, keyword)
    for measured in item.get("MeasuredValueSequence") or ():
        measured.get("NumericValue")
        _codes(measured, "MeasurementUnitsCodeSequence")
    return 1 + sum(_visit(child) for child in item.get("ContentSequence") or ())


def _codes(item: pydicom.Dataset, keyword: str) -> None:
    for code in item.get(keyword) or ():
        code.get("CodeValue"), code.get("CodingSchemeDesignator"), code.get("CodeMeaning")


def our_tree(data: bytes) -> int:
    """As `pydicom_tree`."""
    root = read_object(data).content
    stack, count = [root] if root else [], 0
    while stack:
        count += 1
        stack += stack.pop().children
    return count


def pydicom_header(path: Path) -> int:
    """Read an image up to its pixels and take the attributes of a dose record."""
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    return sum(ds.get(keyword) not in (None, "") for keyword in TEXTS + NUMBERS)


def our_header(path: Path) -> int:
    """As `pydicom_header`."""
    found = read_object(path)
    there = sum(found.text(keyword) is not None for keyword in TEXTS)
    return there + sum(found.number(keyword) is not None for keyword in NUMBERS)


def first_4_kb(path: Path) -> int:
    """The least that reading a file can cost."""
    with path.open("rb") as file:
        return len(file.read(4096))


def judge(path: Path) -> int:
    """Whether the file is one that may carry dose."""
    try:
        return (peek(path).modality or "") in {
            "SR",
            "CT",
            "DX",
            "CR",
            "RF",
            "XA",
            "MG",
            "PX",
            "IO",
            "NM",
            "PT",
        }
    except ReadError:
        return 0


def compare(
    base: Callable[[], object], ours: Callable[[], object], seconds: float, repeat: int = 1
) -> tuple[float, float]:
    """Median CPU seconds of each, in turns, for at least three rounds (wall time counts the neighbours too)."""
    ours()
    until, times = time.perf_counter() + seconds, ([], [])
    while len(times[0]) < 3 or time.perf_counter() < until:
        for function, taken in zip((base, ours), times, strict=True):
            started = time.process_time()
            for _ in range(repeat):
                function()
            taken.append((time.process_time() - started) / repeat)
    return statistics.median(times[0]), statistics.median(times[1])


def line(what: str, base: float, ours: float, least: str) -> None:
    """Print one row: baseline, ours, ratio, what was asked for."""
    print(f"{what:46} {base * 1e3:10.3f} ms {ours * 1e3:10.3f} ms {base / ours:8.2f} x   (asked: {least})")


def mixed_files(folder: Path, real: Path, count: int) -> list[Path]:
    """A tree of `count` files with the headers of the real ones, cut behind 64 kB."""
    heads = [path.read_bytes()[: 64 << 10] for path in sorted(real.rglob("*.dcm")) if "hostile" not in path.parts]
    paths = []
    for index in range(count):
        path = folder / f"{index // 500:03d}" / f"{index:06d}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(heads[index % len(heads)])
        paths.append(path)
    return paths


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "real"
    parser.add_argument("--real", type=Path, default=default, help="folder of real DICOM objects")
    parser.add_argument("--files", type=int, default=20_000, help="files in the tree whose headers are judged")
    parser.add_argument("--seconds", type=float, default=3.0, help="least time for each comparison")
    options = parser.parse_args()
    if not options.real.is_dir():
        print("nothing measured: there is no folder of real DICOM (--real)")
        return 0
    warnings.simplefilter("ignore")
    print(f"{'':46} {'baseline':>13} {'this reader':>13} {'ratio':>10}")
    for name in REPORTS:
        data = (options.real / "dose" / name).read_bytes()
        assert pydicom_tree(data) == our_tree(data)
        base, ours = compare(lambda: pydicom_tree(data), lambda: our_tree(data), options.seconds)  # noqa: B023
        line(f"report → tree: {name[:-4][:30]}", base, ours, "20, beside pydicom")
    for name in IMAGES:
        path = options.real / name
        if path.is_dir():
            path = min(path.glob("*.dcm"))
        base, ours = compare(lambda: pydicom_header(path), lambda: our_header(path), options.seconds, 20)  # noqa: B023
        line(f"image header: {name[:30]}", base, ours, "8, beside pydicom")
    with tempfile.TemporaryDirectory() as folder:
        paths = mixed_files(Path(folder), options.real, options.files)
        base, ours = compare(lambda: sum(map(first_4_kb, paths)), lambda: sum(map(judge, paths)), options.seconds)
        line(f"{options.files} mixed headers judged", base, ours, "1/16, beside open and read 4 kB")
        files_per_second = options.files / ours
    print(f"{'':46} {files_per_second:.0f} files per CPU second; load average {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
