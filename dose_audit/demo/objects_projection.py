"""Single projection images: XA, XRF, their enhanced kinds, panoramic, intra-oral, tomosynthesis."""

from __future__ import annotations

from typing import Any

from pydicom import Dataset

from dose_audit.demo.codes import snomed
from dose_audit.demo.objects import STARTED, code_item, image, object_uid

__all__ = [
    "breast_tomosynthesis",
    "enhanced_xa",
    "hologic_projection",
    "intra_oral_image",
    "panoramic_image",
    "xa_image",
    "xrf_image",
]

XA_IMAGE = "1.2.840.10008.5.1.4.1.1.12.1"
XRF_IMAGE = "1.2.840.10008.5.1.4.1.1.12.2"
ENHANCED_XA = "1.2.840.10008.5.1.4.1.1.12.1.1"
ENHANCED_XRF = "1.2.840.10008.5.1.4.1.1.12.2.1"
DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
INTRA_ORAL = "1.2.840.10008.5.1.4.1.1.1.3"
BREAST_TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def _cine(name: str, kap_dgy_cm2: str, setting: str) -> dict[str | int, Any]:
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
        "IrradiationEventUID": object_uid(name, "event"),
        "ProtocolName": "Coronary 15fps",
        "KVP": "82",
        "XRayTubeCurrent": "512",
        "ExposureTime": "336",
        "Exposure": "172",
        "ExposureInuAs": "172032",
        "RadiationSetting": setting,
        "RadiationMode": "PULSED",
        "AveragePulseWidth": "5.6",
        "ImageAndFluoroscopyAreaDoseProduct": kap_dgy_cm2,
        "CineRate": "15",
        "FrameTime": "66.7",
        "NumberOfFrames": "2",
        "FrameIncrementPointer": [0x00181063],
        "PositionerMotion": "STATIC",
        "PositionerPrimaryAngle": "-30.2",
        "PositionerSecondaryAngle": "24.8",
        "DistanceSourceToDetector": "1050",
        "DistanceSourceToPatient": "780",
        "FocalSpots": "0.8",
        "FilterType": "STRIP",
        "FilterMaterial": "COPPER",
        "FilterThicknessMinimum": "0.2",
        "FilterThicknessMaximum": "0.2",
        "PatientOrientation": "",
        "PixelData": bytes(2 * 8 * 8 * 2),
    }


def xa_image(*, kap_dgy_cm2: str = "12.75") -> Dataset:
    """Return an X-Ray Angiographic image of two frames; KAP of the run in dGy.cm2."""
    return image("xa image", XA_IMAGE, "XA", _cine("xa image", kap_dgy_cm2, "GR"))


def xrf_image(*, kap_dgy_cm2: str = "3.08") -> Dataset:
    """Return an X-Ray Radiofluoroscopic image of two frames; KAP of the run in dGy.cm2."""
    special = _cine("xrf image", kap_dgy_cm2, "SC")
    special.update(ProtocolName="Ba Swallow", ImageType=["ORIGINAL", "PRIMARY"], ColumnAngulation="0")
    return image("xrf image", XRF_IMAGE, "RF", special)


def enhanced_xa(
    *, fluoroscopy: bool = False, kvp: str = "82", tube_current_ma: float = 512.5, exposure_mas: float = 172.2
) -> Dataset:
    """Return an Enhanced XA image, or an Enhanced XRF one.

    Parameters
    ----------
    fluoroscopy : bool
        Enhanced XRF with modality RF, instead of Enhanced XA.
    kvp : str
        Average tube voltage.
    tube_current_ma, exposure_mas : float
        Averages over the frames (FD).

    Notes
    -----
    The enhanced objects define no dose quantity: this one carries technique and geometry only.
    """
    name = "enhanced xrf" if fluoroscopy else "enhanced xa"
    angles = {"PositionerPrimaryAngle": "-30.2", "PositionerSecondaryAngle": "24.8"}
    special: dict[str | int, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE", "NONE"],
        "AcquisitionDateTime": STARTED,
        "ContentQualification": "PRODUCT",
        "AcquisitionProtocolName": "Coronary 15fps",
        "IrradiationEventUID": object_uid(name, "event"),
        "PlaneIdentification": "MONOPLANE",
        "RadiationSetting": "SC" if fluoroscopy else "GR",
        "KVP": kvp,
        "XRayTubeCurrentInmA": tube_current_ma,
        "ExposureTimeInms": 336.0,
        "ExposureInmAs": exposure_mas,
        "AveragePulseWidth": "5.6",
        "AcquisitionDuration": 1.9,
        "RadiationMode": "PULSED",
        "FocalSpots": "0.8",
        "DistanceSourceToDetector": "1050",
        "NumberOfFrames": "2",
        "SharedFunctionalGroupsSequence": [{"PositionerPositionSequence": [angles]}],
        "PerFrameFunctionalGroupsSequence": [
            {"FrameContentSequence": [{"FrameAcquisitionDateTime": STARTED, "FrameReferenceDateTime": STARTED}]}
            for _ in range(2)
        ],
        "PixelData": bytes(2 * 8 * 8 * 2),
    }
    return image(name, ENHANCED_XRF if fluoroscopy else ENHANCED_XA, "RF" if fluoroscopy else "XA", special)


def panoramic_image(*, kap_dgy_cm2: str = "0.92") -> Dataset:
    """Return a panoramic radiograph: a DX object with modality PX."""
    special: dict[str | int, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "PresentationIntentType": "FOR PRESENTATION",
        "ProtocolName": "Panoramic standard",
        "BodyPartExamined": "JAW",
        "KVP": "73",
        "XRayTubeCurrent": "10",
        "ExposureTime": "14100",
        "Exposure": "141",
        "ExposureInuAs": "141000",
        "ImageAndFluoroscopyAreaDoseProduct": kap_dgy_cm2,
        "PatientOrientation": ["L", "F"],
        "ImageLaterality": "B",
        "DetectorType": "DIRECT",
        "ImagerPixelSpacing": ["0.1", "0.1"],
        "AcquisitionContextSequence": [],
    }
    return image("panoramic image", DX_FOR_PRESENTATION, "PX", special)


def intra_oral_image(*, kap_dgy_cm2: str = "0.21", entrance_mgy: str = "1.14") -> Dataset:
    """Return a digital intra-oral image with KAP in dGy.cm2 and entrance dose in mGy."""
    special: dict[str | int, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "PresentationIntentType": "FOR PRESENTATION",
        "ProtocolName": "Bitewing",
        "BodyPartExamined": "JAW",
        "KVP": "65",
        "XRayTubeCurrent": "7",
        "ExposureTime": "160",
        "Exposure": "1",
        "ExposureInuAs": "1120",
        "ImageAndFluoroscopyAreaDoseProduct": kap_dgy_cm2,
        "EntranceDoseInmGy": entrance_mgy,
        "DistanceSourceToDetector": "300",
        "PositionerType": "NONE",
        "PatientOrientation": ["A", "F"],
        "ImageLaterality": "R",
        "DetectorType": "DIRECT",
        "ImagerPixelSpacing": ["0.02", "0.02"],
        "AcquisitionContextSequence": [],
    }
    return image("intra-oral image", INTRA_ORAL, "IO", special)


def _breast(organ_dose_dgy: str, entrance_mgy: str) -> dict[str | int, Any]:
    return {
        "KVP": "31",
        "AnodeTargetMaterial": "TUNGSTEN",
        "FilterMaterial": "ALUMINUM",
        "FilterThicknessMinimum": "0.7",
        "FilterThicknessMaximum": "0.7",
        "FocalSpots": "0.3",
        "Grid": "NONE",
        "BodyPartThickness": "56",
        "CompressionForce": "98.2",
        "HalfValueLayer": "0.571",
        "OrganDose": organ_dose_dgy,
        "EntranceDoseInmGy": entrance_mgy,
    }


def breast_tomosynthesis(*, organ_dose_dgy: str = "0.0187", entrance_mgy: str = "5.61") -> Dataset:
    """Return a Breast Tomosynthesis image: technique and dose stand inside the X-Ray 3D Acquisition Sequence.

    Parameters
    ----------
    organ_dose_dgy : str
        Organ Dose, in dGy: a hundred times less than the AGD in mGy.
    entrance_mgy : str
        Entrance dose in mGy.
    """
    acquisition: dict[str | int, Any] = {
        **_breast(organ_dose_dgy, entrance_mgy),
        "ProtocolName": "Tomo",
        "StartAcquisitionDateTime": STARTED,
        "DistanceSourceToDetector": "700",
        "ExposureTimeInms": 620.0,
        "XRayTubeCurrentInmA": 95.0,
        "ExposureInmAs": 58.9,
        "PositionerPrimaryAngle": "0",
    }
    special: dict[str | int, Any] = {
        "ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"],
        "PresentationIntentType": "FOR PRESENTATION",
        "AcquisitionDateTime": STARTED,
        "ContentQualification": "PRODUCT",
        "IrradiationEventUID": object_uid("breast tomosynthesis", "event"),
        "XRay3DAcquisitionSequence": [acquisition],
        "NumberOfFrames": "2",
        "BreastImplantPresent": "NO",
        "SharedFunctionalGroupsSequence": [
            {
                "FrameAnatomySequence": [
                    {"FrameLaterality": "L", "AnatomicRegionSequence": [code_item(snomed("Breast", "SCT"))]}
                ],
                "PixelMeasuresSequence": [{"SliceThickness": "1", "PixelSpacing": ["0.1", "0.1"]}],
            }
        ],
        "PerFrameFunctionalGroupsSequence": [
            {"FrameContentSequence": [{"InStackPositionNumber": number}]} for number in (1, 2)
        ],
        "ViewCodeSequence": [code_item(snomed("cranio-caudal", "SCT"))],
        "PixelData": bytes(2 * 8 * 8 * 2),
    }
    return image("breast tomosynthesis", BREAST_TOMOSYNTHESIS, "MG", special)


def hologic_projection(*, organ_dose_dgy: str = "0.0174", entrance_mgy: str = "5.32") -> Dataset:
    """Return one Hologic tomosynthesis projection: a Secondary Capture of modality MG with dose in its
    header.
    """
    special: dict[str | int, Any] = {
        **_breast(organ_dose_dgy, entrance_mgy),
        "Manufacturer": "HOLOGIC, Inc.",
        "ManufacturerModelName": "Selenia Dimensions",
        "ConversionType": "WSD",
        "ProtocolName": "Conventional Tomo",
        "DistanceSourceToDetector": "700",
        "ExposureTime": "620",
        "XRayTubeCurrent": "95",
        "Exposure": "59",
        "ExposureInuAs": "58900",
        "PositionerPrimaryAngle": "-7.5",
        "Laterality": "R",
        "ViewPosition": "MLO",
        "ImagesInAcquisition": "15",
        "ViewCodeSequence": [code_item(snomed("medio-lateral oblique", "SRT"))],
    }
    return image("hologic projection", SECONDARY_CAPTURE, "MG", special, bits=14)
