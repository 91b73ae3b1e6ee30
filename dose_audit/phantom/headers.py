"""What of an image's header counts for phantoms, by keyword: of classic objects, and of each frame of enhanced ones."""

from __future__ import annotations

import math
from typing import Any

from pydicom.dataset import Dataset

__all__ = ["KEYWORDS", "frame_header", "integer", "many", "numbers", "plain_header"]

# Read from each header: what groups, places, scales and describes an image. Nothing that identifies a patient.
_KEYWORDS = """
SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality ImageType Manufacturer ManufacturerModelName
StationName DeviceSerialNumber SoftwareVersions InstitutionName StudyDate StudyTime SeriesDate SeriesTime
AcquisitionDate AcquisitionTime AcquisitionDateTime ContentDate ContentTime StudyDescription SeriesDescription
ProtocolName BodyPartExamined SeriesNumber AcquisitionNumber InstanceNumber SliceThickness SpacingBetweenSlices
SliceLocation ImagePositionPatient ImageOrientationPatient PixelSpacing PixelSpacingCalibrationType ImagerPixelSpacing
NominalScannedPixelSpacing EstimatedRadiographicMagnificationFactor DistanceSourceToDetector DistanceSourceToPatient
RTImageSID RadiationMachineSAD ImagePlanePixelSpacing Rows Columns BitsAllocated BitsStored PixelRepresentation
PhotometricInterpretation SamplesPerPixel RescaleSlope RescaleIntercept RescaleType PixelPaddingValue
PixelIntensityRelationship PixelIntensityRelationshipSign PresentationLUTShape PresentationIntentType
LossyImageCompression KVP XRayTubeCurrent Exposure ExposureInuAs ExposureTime FilterType ConvolutionKernel
ReconstructionDiameter DataCollectionDiameter CTDIvol SpiralPitchFactor TotalCollimationWidth SingleCollimationWidth
IrradiationEventUID GantryDetectorTilt TableHeight AcquisitionType RevolutionTime ScanOptions ExposureIndex
TargetExposureIndex DeviationIndex DetectorID DetectorType Grid AnodeTargetMaterial FilterMaterial BodyPartThickness
EntranceDoseInmGy OrganDose
ImageAndFluoroscopyAreaDoseProduct RelativeXRayExposure FieldOfViewDimensions MagneticFieldStrength RepetitionTime
EchoTime EchoNumbers FlipAngle NumberOfAverages PixelBandwidth AcquisitionMatrix PercentPhaseFieldOfView
InPlanePhaseEncodingDirection ReceiveCoilName TransmitCoilName ScanningSequence SequenceVariant MRAcquisitionType
ImagingFrequency CountsAccumulated ActualFrameDuration NumberOfFrames EnergyWindowVector DetectorVector Units
DecayCorrection
"""
KEYWORDS = tuple(_KEYWORDS.split())
_CODES = ("CTDIPhantomTypeCodeSequence",)  # of which the first item's Code Value is read


def many(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """That many finite numbers, or `None`."""
    try:
        found = tuple(float(one) for one in many(value))
    except (TypeError, ValueError):
        return None
    if len(found) < count or not all(math.isfinite(one) for one in found[:count]):
        return None
    return found[:count]


def integer(value: Any) -> int:
    found = numbers(value, 1)
    return int(found[0]) if found else 0


def plain_header(dataset: Dataset) -> dict[str, Any]:
    """The attributes of `KEYWORDS` that can be read; a value that pydicom refuses counts as absent."""
    found: dict[str, Any] = {}
    for keyword in (*KEYWORDS, *_CODES):
        try:
            value = dataset.get(keyword)
            if keyword in _CODES:
                value = str(value[0].CodeValue) if value else None
        except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
            continue
        if value is not None and value != "":
            found[keyword] = value
    return found


# Macros of enhanced objects and what they carry for a frame (PS3.3 C.7.6.16).
_MACROS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "MRImageFrameTypeSequence",
    "MRTimingAndRelatedParametersSequence",
    "MREchoSequence",
    "MRAveragesSequence",
    "MRImagingModifierSequence",
    "MRFOVGeometrySequence",
    "MRReceiveCoilSequence",
    "MRTransmitCoilSequence",
    "CTExposureSequence",
    "CTXRayDetailsSequence",
    "CTReconstructionSequence",
)
_RENAMED = {
    "EffectiveEchoTime": "EchoTime",
    "ExposureInmAs": "Exposure",
    "XRayTubeCurrentInmA": "XRayTubeCurrent",
    "TransmitterFrequency": "ImagingFrequency",
    "FrameType": "ImageType",
}
# What classic MR images write as the third value of Image Type.
_COMPONENTS = {"PHASE": "P", "REAL": "R", "IMAGINARY": "I"}
# What classic PET images write as Units, by the code of an enhanced one's real world values (UCUM; PS3.16 CID 84).
_UNITS = {"Bq/ml": "BQML", "{counts}": "CNTS"}


def frame_header(dataset: Dataset, index: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for group in (shared[0] if shared else None, per_frame[index] if index < len(per_frame) else None):
        if group is None:
            continue
        for macro in _MACROS:
            items = group.get(macro)
            if not items:
                continue
            item = items[0]
            found |= plain_header(item)
            for theirs, ours in _RENAMED.items():
                if item.get(theirs) is not None:
                    found[ours] = item.get(theirs)
            if macro == "MRFOVGeometrySequence":
                found |= _encoding(item)
            component = _COMPONENTS.get(str(item.get("ComplexImageComponent") or ""))
            if component:
                found["ImageType"] = [*[*many(found.get("ImageType")), "", ""][:2], component]
        for mapping in group.get("RealWorldValueMappingSequence") or ():
            found |= _units(mapping, found)
    return found


def _units(mapping: Dataset, frame: dict[str, Any]) -> dict[str, Any]:
    """Units of the rescaled pixels, where a mapping to real world values is that same rescaling."""
    codes = mapping.get("MeasurementUnitsCodeSequence") or ()
    unit = _UNITS.get(str(codes[0].get("CodeValue"))) if codes else None
    line = numbers([mapping.get("RealWorldValueSlope"), mapping.get("RealWorldValueIntercept")], 2)
    own = numbers([frame.get("RescaleSlope"), frame.get("RescaleIntercept", 0)], 2)
    if unit is None or line is None or own is None:
        return {}
    same = all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(line, own, strict=True))
    return {"Units": unit} if same else {}


def _encoding(item: Dataset) -> dict[str, Any]:
    """Direction and steps of the encoding as classic MR images have them: Acquisition Matrix, ROW or COL."""
    phase = {"COLUMN": "COL", "ROW": "ROW"}.get(str(item.get("InPlanePhaseEncodingDirection") or ""))
    if phase is None:
        return {}
    found: dict[str, Any] = {"InPlanePhaseEncodingDirection": phase}
    frequency_steps = integer(item.get("MRAcquisitionFrequencyEncodingSteps"))
    phase_steps = integer(item.get("MRAcquisitionPhaseEncodingStepsInPlane"))
    if frequency_steps > 0 and phase_steps > 0:
        across = phase == "COL"
        found["AcquisitionMatrix"] = (
            [0, frequency_steps, phase_steps, 0] if across else [frequency_steps, 0, 0, phase_steps]
        )
    return found
