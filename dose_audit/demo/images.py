"""CR and DX images with eight by eight pixels: headers with KAP in dGy.cm2 and exposure indices, with their
truths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dose_audit.demo.codes import snomed
from dose_audit.demo.header import da, exam_header, tm
from dose_audit.demo.plan import PlannedExam
from dose_audit.demo.truth import TO_GY_CM2, number

__all__ = ["Radiograph", "image_attributes", "image_truth", "pixel_module", "radiograph"]

CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"

_SIZE = 8
_VIEWS = {"dx-chest-pa": ("PA", "postero-anterior")}


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One radiograph, with numbers as decimal strings; KAP in dGy.cm2 as the header has it."""

    sop_class_uid: str
    uid: str
    started: datetime
    kap_dgy_cm2: str
    kvp: str
    tube_current_ma: str
    exposure_time_ms: str
    exposure_uas: str
    exposure_index: str
    target_exposure_index: str
    deviation_index: str


def radiograph(exam: PlannedExam) -> Radiograph:
    """Return the one exposure of a radiography exam.

    A meter that writes Gy.cm2 where dGy.cm2 belongs (a planted truth) changes the KAP only; tube output and
    exposure index tell what was really given.
    """
    random = exam.random("radiograph")
    slipped = "kap_unit_slip" in exam.planted
    given = exam.leading * (10 if slipped else 1)
    exposure_index = 250.0 * math.exp(0.25 * exam.deviate + random.uniform(-0.1, 0.1))
    exposure_uas = round(given / exam.cohort.median * (1600 if exam.cohort.region == "Chest" else 16000))
    milliamperes = 250
    return Radiograph(
        sop_class_uid=CR_IMAGE if exam.device.kind == "cr_image" else DX_FOR_PRESENTATION,
        uid=exam.uid("event", 0),
        started=exam.started,
        kap_dgy_cm2=f"{exam.leading * 10:.6f}" if exam.device.style == "ge" else f"{exam.leading * 10:.3f}",
        kvp="125" if exam.cohort.region == "Chest" else "75",
        tube_current_ma=str(milliamperes),
        exposure_time_ms=str(max(1, round(exposure_uas / milliamperes))),
        exposure_uas=str(exposure_uas),
        exposure_index=f"{exposure_index:.2f}",
        target_exposure_index="250",
        deviation_index=f"{10 * math.log10(exposure_index / 250):.2f}",
    )


def pixel_module(bits: int) -> dict[str | int, Any]:
    """Return a small valid Image Pixel module: a ramp of eight by eight pixels of ``bits`` stored bits."""
    ramp = b"".join((index % (1 << bits)).to_bytes(2, "little") for index in range(_SIZE * _SIZE))
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": _SIZE,
        "Columns": _SIZE,
        "BitsAllocated": 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
        "PixelData": ramp,
    }


def image_attributes(exam: PlannedExam, shot: Radiograph) -> dict[str | int, Any]:
    """Return the attributes of the exam's image."""
    modality = "CR" if exam.device.kind == "cr_image" else "DX"
    position, view = _VIEWS.get(exam.cohort.examination, ("AP", "antero-posterior"))
    region = snomed(exam.cohort.region)
    header = exam_header(
        exam,
        sop_class_uid=shot.sop_class_uid,
        sop_instance_uid=exam.uid("image"),
        modality=modality,
        series="image",
    )
    header.update(
        ImageType=["DERIVED", "PRIMARY"],
        AcquisitionDate=da(shot.started),
        AcquisitionTime=tm(shot.started),
        SeriesDescription=f"{exam.cohort.region} {position}",
        ProtocolName=exam.cohort.acquisition_protocol,
        BodyPartExamined=exam.cohort.region.upper(),
        ViewPosition=position,
        KVP=shot.kvp,
        DistanceSourceToDetector="1800" if exam.cohort.region == "Chest" else "1150",
        ExposureTime=shot.exposure_time_ms,
        XRayTubeCurrent=shot.tube_current_ma,
        # Whole mAs by its value representation; the uAs beside it is the number to use.
        Exposure=f"{int(shot.exposure_uas) / 1000:.0f}",
        ExposureInuAs=shot.exposure_uas,
        ImageAndFluoroscopyAreaDoseProduct=shot.kap_dgy_cm2,
        ImagerPixelSpacing=["0.14", "0.14"],
        FocalSpots="1.2",
        ExposureIndex=shot.exposure_index,
        TargetExposureIndex=shot.target_exposure_index,
        DeviationIndex=shot.deviation_index,
        PatientOrientation=["L", "F"],
        IrradiationEventUID=shot.uid,
        AcquisitionContextSequence=[],
        AnatomicRegionSequence=[
            {"CodeValue": region[0], "CodingSchemeDesignator": region[1], "CodeMeaning": region[2]}
        ],
    )
    if modality == "DX":
        code = snomed(view)
        header.update(
            PresentationIntentType="FOR PRESENTATION",
            ImageLaterality="U",
            DetectorType="SCINTILLATOR",
            DetectorID="DET7007",
            ViewCodeSequence=[{"CodeValue": code[0], "CodingSchemeDesignator": code[1], "CodeMeaning": code[2]}],
        )
    else:
        header.update(PlateID="P7012", Sensitivity="250")
    header.update(pixel_module(bits=12))
    return header


def image_truth(exam: PlannedExam, shot: Radiograph) -> dict[str, Any]:
    """Return the event that an exam record of this image must hold."""
    return {
        "events": [
            {
                "index": 1,
                "type": "projection",
                "irradiation_event_uid": shot.uid,
                "started_at": shot.started.isoformat(),
                "acquisition_protocol": exam.cohort.acquisition_protocol,
                "kap_gy_cm2": number(shot.kap_dgy_cm2, TO_GY_CM2["dGy.cm2"]),
                "kvp_kv": number(shot.kvp),
                "tube_current_ma": number(shot.tube_current_ma),
                "exposure_time_ms": number(shot.exposure_time_ms),
                "exposure_mas": number(shot.exposure_uas, "0.001"),
                "exposure_index": number(shot.exposure_index),
                "target_exposure_index": number(shot.target_exposure_index),
                "deviation_index": number(shot.deviation_index),
                "focal_spot_mm": 1.2,
                "source_detector_mm": 1800.0 if exam.cohort.region == "Chest" else 1150.0,
            }
        ],
    }
