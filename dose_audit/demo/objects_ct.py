"""Single CT objects without a dose report: images, enhanced ones, Toshiba's, Philips' dose screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom import Dataset

from dose_audit.demo.codes import dcm
from dose_audit.demo.encode import Private
from dose_audit.demo.objects import STARTED, code_item, image, object_uid

__all__ = ["ct_image", "enhanced_ct", "philips_dose_info", "toshiba_ct_image"]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

_PLANE: dict[str | int, Any] = {
    "ImagePositionPatient": ["-250", "-250", "100"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "FrameOfReferenceUID": object_uid("ct", "frame"),
    "PixelSpacing": ["0.97", "0.97"],
    "SliceThickness": "1.0",
    "PatientPosition": "HFS",
    "RescaleIntercept": "-1024",
    "RescaleType": "HU",
}


def ct_image(
    *, ctdi_vol_mgy: float = 7.31, body: bool = True, event: object = 0, instance: int = 1, **changes: Any
) -> Dataset:
    """Return a CT image with CTDIvol, phantom type and Irradiation Event UID in its header.

    Parameters
    ----------
    ctdi_vol_mgy : float
        CTDIvol (FD).
    body : bool
        32 cm phantom, else 16 cm.
    event : object
        Names the irradiation event, which several images share.
    instance : int
        Names the image.
    **changes
        Attributes to add or replace.
    """
    special: dict[str | int, Any] = {
        **_PLANE,
        "SOPInstanceUID": object_uid("ct image", "instance", event, instance),
        "InstanceNumber": str(instance),
        "IrradiationEventUID": object_uid("ct image", "event", event),
        "AcquisitionNumber": "2",
        "ProtocolName": "Chest Staging",
        "SeriesDescription": "Chest 1.0",
        "KVP": "120",
        "XRayTubeCurrent": "146",
        "ExposureTime": "500",
        "Exposure": "73",
        "RevolutionTime": 0.5,
        "SingleCollimationWidth": 0.6,
        "TotalCollimationWidth": 38.4,
        "SpiralPitchFactor": 0.8,
        "ExposureModulationType": "XYZ_EC",
        "CTDIvol": ctdi_vol_mgy,
        "CTDIPhantomTypeCodeSequence": [code_item(_phantom(body))],
        "ConvolutionKernel": "Br40",
        **changes,
    }
    return image("ct image", CT_IMAGE, "CT", special)


def _phantom(body: bool) -> tuple[str, str, str]:
    return dcm("IEC Body Dosimetry Phantom" if body else "IEC Head Dosimetry Phantom")


def enhanced_ct(*, ctdi_vol_mgy: Sequence[float] = (6.8, 7.2), shared: bool = False) -> Dataset:
    """Return an Enhanced CT image of two frames, with exposure in the functional groups.

    Parameters
    ----------
    ctdi_vol_mgy : sequence of float
        CTDIvol of each frame.
    shared : bool
        Put the exposure of all frames (the first value) into the shared functional groups instead.
    """

    def exposure(value: float) -> list[dict[str, Any]]:
        return [
            {
                "ReferencedPathIndex": 1,
                "ExposureTimeInms": 500.0,
                "XRayTubeCurrentInmA": 146.5,
                "ExposureInmAs": 73.25,
                "ExposureModulationType": "ANGULAR",
                "CTDIvol": value,
                "CTDIPhantomTypeCodeSequence": [code_item(dcm("IEC Body Dosimetry Phantom"))],
            }
        ]

    groups: dict[str, Any] = {
        "PixelMeasuresSequence": [{"SliceThickness": "1.0", "PixelSpacing": ["0.97", "0.97"]}],
        "IrradiationEventIdentificationSequence": [{"IrradiationEventUID": object_uid("enhanced ct", "event")}],
        "CTAcquisitionTypeSequence": [
            {"AcquisitionType": "SPIRAL", "ConstantVolumeFlag": "NO", "FluoroscopyFlag": "NO"}
        ],
        "CTAcquisitionDetailsSequence": [
            {
                "RotationDirection": "CW",
                "RevolutionTime": 0.5,
                "SingleCollimationWidth": 0.6,
                "TotalCollimationWidth": 38.4,
                "TableHeight": "150",
                "GantryDetectorTilt": "0",
                "DataCollectionDiameter": "500",
            }
        ],
        "CTTableDynamicsSequence": [{"TableSpeed": 61.4, "TableFeedPerRotation": 30.7, "SpiralPitchFactor": 0.8}],
        "CTXRayDetailsSequence": [{"KVP": "120", "FocalSpots": "1.2", "FilterType": "FLAT"}],
    }
    frames = [
        {
            "FrameContentSequence": [
                {
                    "FrameAcquisitionDateTime": STARTED,
                    "FrameAcquisitionNumber": 1,
                    "InStackPositionNumber": number,
                }
            ],
            **({} if shared else {"CTExposureSequence": exposure(value)}),
        }
        for number, value in enumerate(ctdi_vol_mgy, start=1)
    ]
    if shared:
        groups["CTExposureSequence"] = exposure(ctdi_vol_mgy[0])
    special: dict[str | int, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        "AcquisitionDateTime": STARTED,
        "AcquisitionProtocolName": "Chest Staging",
        "ContentQualification": "PRODUCT",
        "NumberOfFrames": str(len(frames)),
        "SharedFunctionalGroupsSequence": [groups],
        "PerFrameFunctionalGroupsSequence": frames,
        "PixelData": bytes(8 * 8 * 2 * len(frames)),
    }
    return image("enhanced ct", ENHANCED_CT, "CT", special)


def toshiba_ct_image(
    *, ctdi_vol_mgy: float = 11.4, dlp_mgy_cm: float = 402.6, pitch: str = "0.813", instance: int = 1
) -> Dataset:
    """Return a Toshiba CT image, whose CTDIvol, DLP, collimation and pitch are private elements.

    Parameters
    ----------
    ctdi_vol_mgy, dlp_mgy_cm : float
        In (7005,xx63) and (7005,xx40) of creator TOSHIBA_MEC_CT3.
    pitch : str
        In (7005,xx23).
    instance : int
        Names the image.
    """
    special: dict[str | int, Any] = {
        **_PLANE,
        "SOPInstanceUID": object_uid("toshiba ct image", "instance", instance),
        "InstanceNumber": str(instance),
        "Manufacturer": "TOSHIBA",
        "ManufacturerModelName": "Aquilion",
        "AcquisitionNumber": "3",
        "ProtocolName": "Chest",
        "KVP": "120",
        "XRayTubeCurrent": "200",
        "ExposureTime": "500",
        "Exposure": "100",
        0x70050010: Private("LO", "TOSHIBA_MEC_CT3"),
        0x70051008: Private("DS", "0.5"),
        # One mark for each detector row in use: 64 of 0.5 mm, so 32 mm in all.
        0x70051009: Private("LO", "1" * 64),
        0x70051023: Private("DS", pitch),
        0x70051040: Private("FD", dlp_mgy_cm),
        0x70051063: Private("FD", ctdi_vol_mgy),
    }
    return image("toshiba ct image", CT_IMAGE, "CT", special)


def philips_dose_info(
    *,
    scans: Sequence[tuple[str, float, str, str]] = (
        ("SURVIEW", 0.11, "5.5", "CONSTANT_ANGLE"),
        ("ABDOMEN", 8.42, "405.7", "SPIRAL"),
    ),
    dlp_mgy_cm: str = "411.2",
) -> Dataset:
    """Return a Philips "Dose Info" secondary capture: one Exposure Dose Sequence item for each scan.

    Parameters
    ----------
    scans : sequence of tuple
        Series description, CTDIvol in mGy (FD), DLP in mGy.cm (private), acquisition type.
    dlp_mgy_cm : str
        DLP of the study, in (00E1,xx21) of creator ELSCINT1.
    """
    exposures = [
        {
            "AcquisitionDateTime": STARTED,
            "SeriesDescription": description,
            "KVP": "120",
            "ExposureTime": "7000",
            "RadiationMode": "CONTINUOUS",
            "ScanLength": "482",
            "XRayTubeCurrentInuA": "150000",
            "AcquisitionType": acquisition_type,
            "SingleCollimationWidth": 0.75,
            "TotalCollimationWidth": 12.0,
            "SpiralPitchFactor": 0.9,
            "CTDIvol": ctdi_vol,
            0x00E10010: Private("LO", "ELSCINT1"),
            0x00E11021: Private("DS", dlp),
            0x01E10010: Private("LO", "ELSCINT1"),
            0x01E11026: Private("CS", "32 CM"),
        }
        for description, ctdi_vol, dlp, acquisition_type in scans
    ]
    special: dict[str | int, Any] = {
        "ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"],
        "ConversionType": "WSD",
        "Manufacturer": "Philips",
        "ManufacturerModelName": "Brilliance 16P",
        "SeriesDescription": "Dose Info",
        "ProtocolName": "Abdomen/Routine",
        "BurnedInAnnotation": "YES",
        "TotalNumberOfExposures": len(scans),
        "ExposureDoseSequence": exposures,
        "CommentsOnRadiationDose": "",
        0x00E10010: Private("LO", "ELSCINT1"),
        0x00E11021: Private("DS", dlp_mgy_cm),
    }
    return image("philips dose info", SECONDARY_CAPTURE, "CT", special)
