"""Classic MR images as one Enhanced MR object, with what differs between them in its per-frame functional groups."""

from __future__ import annotations

from collections.abc import Sequence as Items
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

__all__ = ["as_enhanced"]

_KEYWORDS = """
StudyInstanceUID SeriesInstanceUID Modality Manufacturer ManufacturerModelName StudyDate StudyTime StudyDescription
SeriesDescription ProtocolName MagneticFieldStrength Rows Columns SamplesPerPixel PhotometricInterpretation BitsAllocated
BitsStored HighBit PixelRepresentation SoftwareVersions StationName
"""
_COMMON = tuple(_KEYWORDS.split())
_DIRECTIONS = {"COL": "COLUMN", "ROW": "ROW"}


def _item(**values: Any) -> Sequence:
    dataset = Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return Sequence([dataset])


def _shared(first: Dataset) -> Dataset:
    matrix = [int(one) for one in first.get("AcquisitionMatrix") or () if one]
    steps = dict(zip(("frequency", "phase"), matrix, strict=False))
    shared = Dataset()
    shared.MRTimingAndRelatedParametersSequence = _item(
        RepetitionTime=first.get("RepetitionTime"), FlipAngle=first.get("FlipAngle")
    )
    shared.MRImagingModifierSequence = _item(
        PixelBandwidth=first.get("PixelBandwidth"), TransmitterFrequency=first.get("ImagingFrequency")
    )
    shared.MRFOVGeometrySequence = _item(
        InPlanePhaseEncodingDirection=_DIRECTIONS.get(str(first.get("InPlanePhaseEncodingDirection"))),
        MRAcquisitionFrequencyEncodingSteps=steps.get("frequency"),
        MRAcquisitionPhaseEncodingStepsInPlane=steps.get("phase"),
        PercentPhaseFieldOfView=first.get("PercentPhaseFieldOfView"),
    )
    shared.MRReceiveCoilSequence = _item(ReceiveCoilName=first.get("ReceiveCoilName"))
    return shared


def _frame(number: int, one: Dataset) -> Dataset:
    phase = "P" in [str(value).upper() for value in one.get("ImageType") or ()][2:]
    echo = one.get("EchoTime")
    frame = Dataset()
    frame.FrameContentSequence = _item(InStackPositionNumber=number, StackID="1")
    frame.PlanePositionSequence = _item(ImagePositionPatient=one.get("ImagePositionPatient"))
    frame.PlaneOrientationSequence = _item(ImageOrientationPatient=one.get("ImageOrientationPatient"))
    frame.PixelMeasuresSequence = _item(
        PixelSpacing=one.get("PixelSpacing"),
        SliceThickness=one.get("SliceThickness"),
        SpacingBetweenSlices=one.get("SpacingBetweenSlices"),
    )
    frame.MREchoSequence = _item(EffectiveEchoTime=None if echo is None else float(echo))
    frame.MRAveragesSequence = _item(NumberOfAverages=one.get("NumberOfAverages"))
    frame.MRImageFrameTypeSequence = _item(
        FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], ComplexImageComponent="PHASE" if phase else "MAGNITUDE"
    )
    frame.PixelValueTransformationSequence = _item(
        RescaleSlope=one.get("RescaleSlope", 1), RescaleIntercept=one.get("RescaleIntercept", 0), RescaleType="US"
    )
    return frame


def as_enhanced(datasets: Items[Dataset]) -> Dataset:
    """One object; frames in the order given, pixels unchanged."""
    first = datasets[0]
    made = Dataset()
    made.ensure_file_meta()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in _COMMON:
        if keyword in first:
            made[keyword] = first[keyword]
    made.SOPClassUID, made.SOPInstanceUID = EnhancedMRImageStorage, generate_uid()
    made.NumberOfFrames = len(datasets)
    made.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    made.SharedFunctionalGroupsSequence = Sequence([_shared(first)])
    made.PerFrameFunctionalGroupsSequence = Sequence([_frame(k, one) for k, one in enumerate(datasets, 1)])
    kind = "<i2" if first.PixelRepresentation else "<u2"
    made.PixelData = b"".join(one.pixel_array.astype(kind).tobytes() for one in datasets)
    return made
