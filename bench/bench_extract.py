"""Dose objects to exam records, beside pydicom on the same bytes: ratios in one run.

``python -m bench.bench_extract`` prints the table. The objects are real ones where ``../shared/real`` is,
else the demonstration's own; both sides read from memory, take turns, and count by their best turn. pydicom
decodes a report and walks its content tree, or reads an image's header and looks up the same attributes. CPU time
counts: on a machine with others at work the clock tells how busy they are.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from dose_audit.extract import read_part

__all__ = ["Comparison", "compare", "keywords_for", "main", "run", "taken"]

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "real" / "dose"

REPORTS = {
    "CT report": "CT-RDSR-Siemens_Flash-TAP-SS.dcm",
    "C-arm report": "RF-RDSR-GE.dcm",
    "fluoroscopy report": "RF-RDSR-Siemens-Zee.dcm",
    "mammography report": "MG-RDSR-GEPristina-2D.dcm",
    "angiography report": "RF-RDSR-Philips_Azurion.dcm",
}
IMAGES = {
    "radiograph": "DX-Im-GE_XR220-1.dcm",
    "computed radiograph": "DX-Im-Carestream_DR7500-1.dcm",
    "mammogram": "MG-Im-GE_Seno_1_ForProcessing.dcm",
    "PET slice": "NM-PetIm-Siemens.dcm",
}
IMAGES_PER_TURN = 10
"""Headers that a side reads in its turn, as a folder is read: the first finds the processor's caches full of the other's."""
REPORT_RATIO = 12.0
IMAGE_RATIO = 8.0

# What an image's exam record is made of, so what pydicom has to look up too: for every image, and by kind.
_EVERY_IMAGE = """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID StudyDate StudyTime ContentDate
    ContentTime AcquisitionDateTime AcquisitionDate AcquisitionTime TimezoneOffsetFromUTC
    AccessionNumber StudyID Modality Manufacturer ManufacturerModelName StationName DeviceSerialNumber
    SoftwareVersions InstitutionName InstitutionAddress InstitutionalDepartmentName DeviceUID GantryID
    DetectorType StudyDescription ProtocolName ProcedureCodeSequence RequestedProcedureCodeSequence
    PerformedProtocolCodeSequence RequestAttributesSequence RequestedProcedureDescription PatientID
    PatientName PatientBirthDate PatientSex PatientAge PatientWeight PatientSize QualityControlImage
    ImageType
"""
_PROJECTION = """
    IrradiationEventUID BodyPartExamined AnatomicRegionSequence ViewPosition ViewCodeSequence
    ImageLaterality Laterality KVP XRayTubeCurrentInmA XRayTubeCurrentInuA XRayTubeCurrent
    ExposureTimeInms ExposureTimeInuS ExposureTime ExposureInmAs ExposureInuAs Exposure
    AveragePulseWidth AcquisitionDuration CineRate NumberOfFrames FocalSpots Grid GridFocalDistance
    FilterType FilterMaterial FilterThicknessMinimum FilterThicknessMaximum AnodeTargetMaterial
    RadiationMode ExposureControlMode CommentsOnRadiationDose DistanceSourceToDetector
    DistanceSourceToPatient DistanceSourceToIsocenter DistanceSourceToEntrance
    EstimatedRadiographicMagnificationFactor ImageAndFluoroscopyAreaDoseProduct EntranceDoseInmGy
    EntranceDose EntranceDoseDerivation HalfValueLayer ExposureIndex TargetExposureIndex
    DeviationIndex RelativeXRayExposure Sensitivity PositionerPrimaryAngle PositionerSecondaryAngle
    ColumnAngulation TableAngle TableHeight CompressionForce CompressionPressure PlanesInAcquisition
    RadiationSetting SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
    FieldOfViewDimensions
"""
_MAMMOGRAPHY = _PROJECTION + "OrganDose BodyPartThickness XRay3DAcquisitionSequence"
_CT = """
    IrradiationEventUID AcquisitionNumber AcquisitionType BodyPartExamined AnatomicRegionSequence
    CTDIvol CTDIPhantomTypeCodeSequence SpiralPitchFactor SingleCollimationWidth TotalCollimationWidth
    SliceThickness WaterEquivalentDiameter KVP XRayTubeCurrentInmA XRayTubeCurrentInuA XRayTubeCurrent
    RevolutionTime ExposureModulationType ConvolutionKernel ScanOptions
"""
_NUCLEAR = "RadiopharmaceuticalInformationSequence"
_PET = """
    RadiopharmaceuticalInformationSequence SeriesDate SeriesTime ReconstructionMethod
    ScanProgressionDirection SeriesType CorrectedImage NumberOfSlices NumberOfTimeSlices
    NumberOfTimeSlots NumberOfRRIntervals CoincidenceWindowWidth EnergyWindowRangeSequence
"""
_OF_KIND = {"MG": _MAMMOGRAPHY, "CT": _CT, "NM": _NUCLEAR, "PT": _PET}


def keywords_for(modality: str) -> tuple[str, ...]:
    """The attributes of which the exam record of an image is made."""
    return tuple((_EVERY_IMAGE + _OF_KIND.get(modality, _PROJECTION)).split())


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table.

    Attributes
    ----------
    what : str
    size : int
        Bytes of the object.
    ours_ms, beside_ms : float
        Each side's CPU time per object in its best turn.
    at_least : float
        The ratio that is asked for.
    """

    what: str
    size: int
    ours_ms: float
    beside_ms: float
    at_least: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.beside_ms / self.ours_ms


def _first(item: Dataset, keyword: str) -> Dataset | None:
    sequence = item.get(keyword)
    return sequence[0] if sequence else None


def walk_content(item: Dataset) -> int:
    """Touch what every content item says: concept, value, unit. Returns the number of items."""
    count = 0
    for child in item.get("ContentSequence", ()):
        concept = _first(child, "ConceptNameCodeSequence")
        if concept is not None:
            concept.get("CodeValue"), concept.get("CodingSchemeDesignator")
        match child.get("ValueType"):
            case "NUM":
                measured = _first(child, "MeasuredValueSequence")
                if measured is not None:
                    measured.get("NumericValue")
                    unit = _first(measured, "MeasurementUnitsCodeSequence")
                    if unit is not None:
                        unit.get("CodeValue")
            case "CODE":
                value = _first(child, "ConceptCodeSequence")
                if value is not None:
                    value.get("CodeValue"), value.get("CodeMeaning")
            case "TEXT":
                child.get("TextValue")
            case "DATETIME":
                child.get("DateTime")
            case "UIDREF":
                child.get("UID")
        count += 1 + walk_content(child)
    return count


def _pydicom_report(data: bytes) -> int:
    return walk_content(pydicom.dcmread(io.BytesIO(data)))


def _pydicom_header(data: bytes) -> int:
    return taken(pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True))


def taken(header: Dataset) -> int:
    """Take the attributes of an image's exam record, down into sequences. Returns the number of values."""
    return _taken(header, keywords_for(header.get("Modality", "")))


def _taken(item: Dataset, keywords: Iterable[str]) -> int:
    count = 0
    for keyword in keywords:
        value = item.get(keyword)
        if isinstance(value, pydicom.Sequence):
            count += sum(_taken(inside, inside.dir()) for inside in value)
        elif value is not None:
            count += 1
    return count


def compare(
    what: str,
    data: bytes,
    beside: Callable[[bytes], object],
    at_least: float,
    *,
    seconds: float = 2.0,
    per_turn: int = 1,
) -> Comparison:
    """CPU time of our reading of an object and of another, turn by turn, for about `seconds`."""
    rounds: dict[str, list[float]] = {"ours": [], "beside": []}
    sides = {"ours": lambda: read_part(data), "beside": lambda: beside(data)}
    end = time.perf_counter() + seconds
    while len(rounds["ours"]) < 3 or time.perf_counter() < end:
        for name, side in sides.items():
            start = time.process_time()
            for _ in range(per_turn):
                side()
            rounds[name].append(1000 * (time.process_time() - start) / per_turn)
    return Comparison(what, len(data), min(rounds["ours"]), min(rounds["beside"]), at_least)


def _objects() -> Iterator[tuple[str, bytes, bool]]:
    """Name, bytes, and whether it is a report."""
    if REAL.is_dir():
        for names, report in ((REPORTS, True), (IMAGES, False)):
            for what, name in names.items():
                path = REAL / name
                if path.is_file():
                    yield what, path.read_bytes(), report
        return
    from dose_audit.demo.generate import generate

    seen: set[str] = set()
    for written in generate(scale=0.02):
        kind = (written.truth.get("sources") or [{}])[0].get("kind") or ""
        what = f"{written.truth.get('modality')} {kind}"
        if written.truth and what not in seen:
            seen.add(what)
            yield what, written.data, kind != "image"


def run(seconds: float = 2.0) -> list[Comparison]:
    """Compare every object; `seconds` is the time spent on each."""
    return [
        compare(
            what,
            data,
            _pydicom_report if report else _pydicom_header,
            REPORT_RATIO if report else IMAGE_RATIO,
            seconds=seconds,
            per_turn=1 if report else IMAGES_PER_TURN,
        )
        for what, data, report in _objects()
    ]


def main() -> None:
    """Print the table in Markdown."""
    found = run()
    print("| object | kB | ours, ms | pydicom, ms | ratio | at least |")
    print("|---|---|---|---|---|---|")
    for row in found:
        numbers = f"{row.ours_ms:.2f} | {row.beside_ms:.1f} | {row.ratio:.0f} | {row.at_least:.0f}"
        print(f"| {row.what} | {row.size / 1000:.0f} | {numbers} |")
    print(f"\nmedian ratio {statistics.median(row.ratio for row in found):.0f}")


if __name__ == "__main__":
    main()
