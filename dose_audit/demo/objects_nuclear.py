"""Single nuclear medicine objects: an NM image with activity in MBq, a PET image with activity in Bq."""

from __future__ import annotations

from typing import Any

from pydicom import Dataset

from dose_audit.demo.codes import snomed
from dose_audit.demo.objects import STARTED, code_item, image, object_uid

__all__ = ["nm_image", "pet_image"]

NM_IMAGE = "1.2.840.10008.5.1.4.1.1.20"
PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"

_TECHNETIUM = ("C-163A8", "SRT", "^99m^Technetium")


def nm_image(*, activity_mbq: str = "612.5") -> Dataset:
    """Return a whole body NM image; Radionuclide Total Dose in MBq, as the NM module has it."""
    special: dict[str | int, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"],
        "StudyDescription": "NM Bone Scan",
        "CountsAccumulated": "1500000",
        "AcquisitionTerminationCondition": "TIME",
        "ActualFrameDuration": "265000",
        "NumberOfFrames": "1",
        "FrameIncrementPointer": [0x00540010, 0x00540020],
        "EnergyWindowVector": [1],
        "NumberOfEnergyWindows": 1,
        "EnergyWindowInformationSequence": [
            {
                "EnergyWindowRangeSequence": [{"EnergyWindowLowerLimit": "129.5", "EnergyWindowUpperLimit": "151.5"}],
                "EnergyWindowName": "Tc99m",
            }
        ],
        "RadiopharmaceuticalInformationSequence": [
            {
                "Radiopharmaceutical": "DPD",
                "RadiopharmaceuticalStartTime": "071500",
                "RadiopharmaceuticalVolume": "1.2",
                "RadionuclideTotalDose": activity_mbq,
                "RadionuclideHalfLife": "21624.12",
                "RadionuclideCodeSequence": [code_item(_TECHNETIUM)],
                "AdministrationRouteCodeSequence": [code_item(snomed("Intravenous route"))],
            }
        ],
        "DetectorVector": [1],
        "NumberOfDetectors": 1,
        "DetectorInformationSequence": [{"CollimatorGridName": "LEHR", "CollimatorType": "PARA"}],
    }
    return image("nm image", NM_IMAGE, "NM", special, bits=16)


def pet_image(*, activity_bq: str = "283400000", half_life_s: str = "6586.2", slices: int = 476) -> Dataset:
    """Return a PET image; Radionuclide Total Dose in Bq, as the PET module has it.

    Parameters
    ----------
    activity_bq, half_life_s : str
        As written.
    slices : int
        Number of Slices of the series.
    """
    special: dict[str | int, Any] = {
        "StudyDescription": "PET CT Whole Body FDG",
        "ProtocolName": "FDG Whole Body",
        "SeriesDescription": "PET AC",
        "ImagePositionPatient": ["-364.5", "-543.3", "-482.5"],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "FrameOfReferenceUID": object_uid("pet image", "frame"),
        "PixelSpacing": ["1.65", "1.65"],
        "SliceThickness": "3",
        "ActualFrameDuration": "119449",
        "CorrectedImage": ["NORM", "ATTN", "SCAT", "DECY"],
        "CollimatorType": "NONE",
        "EnergyWindowRangeSequence": [{"EnergyWindowLowerLimit": "435", "EnergyWindowUpperLimit": "585"}],
        "RadiopharmaceuticalInformationSequence": [
            {
                "RadiopharmaceuticalAdministrationEventUID": object_uid(
                    "radiopharmaceutical report SCT", "administration"
                ),
                "Radiopharmaceutical": "Fluorodeoxyglucose",
                "RadiopharmaceuticalStartTime": STARTED[8:],
                "RadiopharmaceuticalStartDateTime": STARTED,
                "RadionuclideTotalDose": activity_bq,
                "RadionuclideHalfLife": half_life_s,
                "RadionuclidePositronFraction": "0.9673",
                "RadionuclideCodeSequence": [code_item(snomed("^18^Fluorine"))],
                "RadiopharmaceuticalCodeSequence": [code_item(snomed("Fluorodeoxyglucose F^18^"))],
            }
        ],
        "NumberOfSlices": slices,
        "SeriesType": ["WHOLE BODY", "IMAGE"],
        "Units": "BQML",
        "CountsSource": "EMISSION",
        "RandomsCorrectionMethod": "DLYD",
        "AttenuationCorrectionMethod": "measured",
        "DecayCorrection": "START",
        "ReconstructionMethod": "PSF+TOF 4i5s",
        "ScanProgressionDirection": "HEAD_TO_FEET",
        "CoincidenceWindowWidth": "4.1",
        "FrameReferenceTime": "58437.9",
        "DecayFactor": "1.00619",
        "DoseCalibrationFactor": "76864200",
        "ImageIndex": 1,
        "RescaleIntercept": "0",
        "RescaleSlope": "0.126478",
        "RescaleType": "BQML",
    }
    return image("pet image", PET_IMAGE, "PT", special, bits=16)
