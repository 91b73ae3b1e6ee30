"""Multi-frame objects: Enhanced MR with its functional groups, and nuclear medicine frames."""

from __future__ import annotations

from collections.abc import Sequence as Items
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from dose_audit.phantom.digital.acquisition import Acquisition
from dose_audit.phantom.digital.dicom import decimal, set_attribute, set_pixels, set_plane

__all__ = ["enhanced_mr", "nm_frames"]

_CLASSIC_ONLY = (
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "RepetitionTime",
    "EchoTime",
    "EchoNumbers",
    "EchoTrainLength",
    "NumberOfAverages",
    "FlipAngle",
    "PixelBandwidth",
    "PercentSampling",
    "PercentPhaseFieldOfView",
    "ReceiveCoilName",
    "TransmitCoilName",
    "InPlanePhaseEncodingDirection",
    "SAR",
    "SequenceName",
    "ImagingFrequency",
)


def enhanced_mr(base: Dataset, acquisition: Acquisition, volume: NDArray[np.float64]) -> Dataset:
    """All slices as one Enhanced MR Image: spacing and timing shared, position per frame."""
    ds, spacing = base, acquisition.spacing_mm
    old = {keyword: ds.get(keyword) for keyword in _CLASSIC_ONLY}
    for keyword in _CLASSIC_ONLY:
        set_attribute(ds, keyword, None)
    set_pixels(ds, volume)
    rows, columns = acquisition.shape
    ds.NumberOfFrames = volume.shape[0]
    ds.AcquisitionDateTime = f"{ds.AcquisitionDate}{ds.AcquisitionTime}"
    ds.AcquisitionContrast, ds.ContentQualification, ds.ResonantNucleus = "T1", "SERVICE", "1H"
    ds.PixelPresentation, ds.VolumetricProperties, ds.VolumeBasedCalculationTechnique = "MONOCHROME", "VOLUME", "NONE"
    ds.ComplexImageComponent, ds.PresentationLUTShape = "MAGNITUDE", "IDENTITY"
    ds.PatientPosition = "HFS"
    shared: dict[str, Any] = {
        "PixelMeasuresSequence": {
            "PixelSpacing": [decimal(v) for v in spacing],
            "SliceThickness": decimal(acquisition.thickness_mm),
        },
        "PlaneOrientationSequence": {"ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]},
        "MRTimingAndRelatedParametersSequence": {
            "RepetitionTime": old["RepetitionTime"],
            "FlipAngle": old["FlipAngle"],
            "EchoTrainLength": old["EchoTrainLength"],
        },
        "MREchoSequence": {"EffectiveEchoTime": float(old["EchoTime"] or 0)},
        "MRAveragesSequence": {"NumberOfAverages": old["NumberOfAverages"]},
        "MRImagingModifierSequence": {
            "PixelBandwidth": old["PixelBandwidth"],
            "TransmitterFrequency": float(old["ImagingFrequency"] or 0),
        },
        "MRFOVGeometrySequence": {
            "InPlanePhaseEncodingDirection": "COLUMN" if old["InPlanePhaseEncodingDirection"] == "COL" else "ROW",
            "MRAcquisitionFrequencyEncodingSteps": columns,
            "MRAcquisitionPhaseEncodingStepsInPlane": rows,
            "PercentSampling": old["PercentSampling"],
            "PercentPhaseFieldOfView": old["PercentPhaseFieldOfView"],
        },
        "MRReceiveCoilSequence": {"ReceiveCoilName": old["ReceiveCoilName"], "ReceiveCoilType": "VOLUME"},
    }
    set_attribute(ds, "SharedFunctionalGroupsSequence", shared)
    ds.PerFrameFunctionalGroupsSequence = Sequence(
        [_frame(k + 1, z, acquisition) for k, z in enumerate(acquisition.z_mm)]
    )
    return ds


def _frame(number: int, z_mm: float, acquisition: Acquisition) -> Dataset:
    rows, columns = acquisition.shape
    spacing = acquisition.spacing_mm
    item = Dataset()
    set_attribute(
        item,
        "FrameContentSequence",
        {"InStackPositionNumber": number, "StackID": "1"},
    )
    position = (-(columns - 1) / 2 * spacing[1], -(rows - 1) / 2 * spacing[0], z_mm)
    set_attribute(item, "PlanePositionSequence", {"ImagePositionPatient": [decimal(v) for v in position]})
    return item


def nm_frames(base: Dataset, acquisition: Acquisition, frames: NDArray[np.float64]) -> Dataset:
    """Static nuclear medicine frames in one object."""
    ds = base
    set_plane(ds, acquisition, None)
    read = set_pixels(ds, frames)
    count = frames.shape[0]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]
    ds.NumberOfFrames = count
    ds.FrameIncrementPointer = [Tag(0x0054, 0x0010), Tag(0x0054, 0x0020)]
    ones: Items[int] = [1] * count
    ds.EnergyWindowVector, ds.DetectorVector = list(ones), list(ones)
    ds.CountsAccumulated = int(read.sum())
    return ds
