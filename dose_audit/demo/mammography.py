"""Mammography: one exam's four views as a Hologic-style dose report (TID 10001) or as image headers, with
truths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dose_audit.demo import sr
from dose_audit.demo.codes import as_dict, dcm, snomed
from dose_audit.demo.header import da, device_uid, dt, exam_header, tm
from dose_audit.demo.images import pixel_module
from dose_audit.demo.plan import PlannedExam
from dose_audit.demo.truth import number, total

__all__ = ["MgView", "image_attributes", "image_truth", "report_content", "report_truth", "views"]

MG_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
MG_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"

# Order of exposure: right and left cranio-caudal, then both obliques.
_ORDER = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))
_VIEW = {"CC": "cranio-caudal", "MLO": "medio-lateral oblique"}
_SIDE = {"R": "Right", "L": "Left"}


@dataclass(frozen=True, slots=True)
class MgView:
    """One exposure of a breast, with numbers as decimal strings.

    ``agd_mgy`` is what the report writes; ``organ_dose_dgy`` is what an image header writes, in dGy.
    """

    uid: str
    side: str
    view: str
    started: datetime
    agd_mgy: str
    organ_dose_dgy: str
    entrance_mgy: str
    thickness_mm: str
    force_n: str
    kvp: str
    tube_current_ma: str
    exposure_time_ms: str
    exposure_uas: str
    hvl_mm: str


def views(exam: PlannedExam) -> list[MgView]:
    """Return the four views of an exam; thicker breasts get more dose."""
    random = exam.random("views")
    thickness = 55.0 + 9.0 * exam.deviate + random.uniform(-4, 4)
    found = []
    for index, (side, view) in enumerate(_ORDER):
        agd = Decimal(f"{exam.leading * random.uniform(0.96, 1.04):.2f}")
        exposure_mas = float(agd) * 62
        found.append(
            MgView(
                uid=exam.uid("event", index),
                side=side,
                view=view,
                started=exam.started + timedelta(seconds=70 * index),
                agd_mgy=str(agd),
                organ_dose_dgy=str(agd / 100),
                entrance_mgy=f"{float(agd) * 3.1:.2f}",
                thickness_mm=f"{thickness + random.uniform(-2, 2):.0f}",
                force_n=f"{random.uniform(80, 130):.1f}",
                kvp=str(max(25, min(34, round(17 + thickness / 4.6)))),
                tube_current_ma="100",
                exposure_time_ms=f"{exposure_mas * 10:.0f}",
                exposure_uas=f"{exposure_mas * 1000:.0f}",
                hvl_mm="0.535",
            )
        )
    return found


def _accumulated(taken: Sequence[MgView], side: str) -> str:
    return str(sum((Decimal(view.agd_mgy) for view in taken if view.side == side), Decimal(0)))


def report_content(exam: PlannedExam, taken: Sequence[MgView]) -> bytes:
    """Encode the content tree of the dose report.

    Notes
    -----
    Two habits of the maker are kept: *X-Ray Detector Data Available* carries the code of *Patient Table
    Relationship*, and the filter type carries a code that is not the standard's.
    """
    yes = snomed("Yes")
    return sr.document(
        dcm("X-Ray Radiation Dose Report"),
        sr.code(
            dcm("Procedure reported"),
            snomed("Mammography"),
            sr.code(snomed("Has Intent"), snomed("Diagnostic Intent"), relationship=sr.MODIFIER),
            relationship=sr.MODIFIER,
        ),
        sr.code(dcm("Observer Type"), dcm("Device"), relationship=sr.OBSERVER),
        sr.uidref(dcm("Device Observer UID"), device_uid(exam), sr.OBSERVER),
        sr.code(
            dcm("Scope of Accumulation"),
            dcm("Study"),
            sr.uidref(dcm("Study Instance UID"), exam.uid("study"), sr.PROPERTY),
            relationship=sr.OBSERVER,
        ),
        sr.code(("113745", "DCM", "X-Ray Detector Data Available"), yes),
        sr.code(dcm("X-Ray Source Data Available"), yes),
        sr.code(dcm("X-Ray Mechanical Data Available"), yes),
        sr.container(
            dcm("Accumulated X-Ray Dose Data"),
            sr.code(dcm("Acquisition Plane"), dcm("Single Plane"), relationship=sr.MODIFIER),
            *(
                sr.num(
                    dcm("Accumulated Average Glandular Dose"),
                    _accumulated(taken, side),
                    "mGy",
                    sr.code(snomed("Laterality"), snomed(f"{_SIDE[side]} breast"), relationship=sr.MODIFIER),
                )
                for side in ("L", "R")
            ),
            template="10002",
        ),
        *(_event(exam, view) for view in taken),
        sr.code(dcm("Source of Dose Information"), dcm("Computed From Image Attributes")),
        template="10001",
    )


def _event(exam: PlannedExam, view: MgView) -> bytes:
    return sr.container(
        dcm("Irradiation Event X-Ray Data"),
        sr.code(dcm("Acquisition Plane"), dcm("Single Plane"), relationship=sr.MODIFIER),
        sr.uidref(dcm("Irradiation Event UID"), view.uid),
        sr.datetime(dcm("DateTime Started"), dt(view.started)),
        sr.code(dcm("Irradiation Event Type"), dcm("Stationary Acquisition")),
        sr.text(dcm("Acquisition Protocol"), exam.cohort.acquisition_protocol),
        sr.code(
            snomed("Anatomical structure"),
            snomed("Breast"),
            sr.code(snomed("Laterality"), snomed(_SIDE[view.side]), relationship=sr.MODIFIER),
        ),
        sr.code(dcm("Image View"), snomed(_VIEW[view.view], "SNM3")),
        sr.code(dcm("Target Region"), snomed("Breast")),
        sr.num(dcm("Half Value Layer"), view.hvl_mm, "mm"),
        sr.num(dcm("Entrance Exposure at RP"), view.entrance_mgy, "mGy"),
        sr.image(dcm("Acquired Image"), MG_FOR_PRESENTATION, exam.uid("image", view.side, view.view)),
        sr.num(dcm("Average Glandular Dose"), view.agd_mgy, "mGy"),
        sr.num(dcm("KVP"), view.kvp, "kV"),
        sr.num(dcm("X-Ray Tube Current"), view.tube_current_ma, "mA"),
        sr.num(dcm("Exposure Time"), view.exposure_time_ms, "ms"),
        sr.num(dcm("Exposure"), view.exposure_uas, "uAs"),
        sr.num(dcm("Focal Spot Size"), "0.3", "mm"),
        sr.code(dcm("Anode Target Material"), ("C-164F9", "SRT", "Tungsten or Tungsten compound")),
        sr.container(
            dcm("X-Ray Filters"),
            sr.code(dcm("X-Ray Filter Type"), ("111650", "DCM", "Strip filter")),
            sr.code(dcm("X-Ray Filter Material"), ("C-167F9", "SRT", "Rhodium or Rhodium compound")),
            sr.num(dcm("X-Ray Filter Thickness Minimum"), "0.05", "mm"),
            sr.num(dcm("X-Ray Filter Thickness Maximum"), "0.05", "mm"),
        ),
        sr.num(dcm("Compression Thickness"), view.thickness_mm, "mm"),
        sr.num(dcm("Distance Source to Detector"), "700", "mm"),
        template="10003",
    )


def report_truth(exam: PlannedExam, taken: Sequence[MgView]) -> dict[str, Any]:
    """Return the report, totals and events that an exam record of this one report must hold."""
    sides = (("left", "L"), ("right", "R"))
    return {
        "report": {"procedure_reported": as_dict(snomed("Mammography"))},
        "totals": {"agd_mgy": {name: number(_accumulated(taken, side)) for name, side in sides}},
        "events": [
            {
                **_common_truth(exam, view, index),
                "irradiation_event_uid": view.uid,
                "irradiation_event_type": "stationary_acquisition",
                "target_region": as_dict(snomed("Breast")),
                "agd_mgy": number(view.agd_mgy),
                "plane": "single",
            }
            for index, view in enumerate(taken, start=1)
        ],
    }


def _common_truth(exam: PlannedExam, view: MgView, index: int) -> dict[str, Any]:
    return {
        "index": index,
        "type": "projection",
        "started_at": view.started.isoformat(),
        "acquisition_protocol": exam.cohort.acquisition_protocol,
        "kvp_kv": number(view.kvp),
        "tube_current_ma": number(view.tube_current_ma),
        "exposure_time_ms": number(view.exposure_time_ms),
        "exposure_mas": number(view.exposure_uas, "0.001"),
        "half_value_layer_mm": number(view.hvl_mm),
        "entrance_exposure_mgy": number(view.entrance_mgy),
        "compression_thickness_mm": number(view.thickness_mm),
        "focal_spot_mm": 0.3,
        "source_detector_mm": 700.0,
    }


def image_attributes(exam: PlannedExam, view: MgView, *, for_processing: bool) -> dict[str | int, Any]:
    """Return the attributes of one view's image: for processing, or its for-presentation twin.

    The twins share the acquisition date and time and nothing else that identifies the exposure: these images
    carry no Irradiation Event UID.
    """
    name = "processing" if for_processing else "image"
    sop_class = MG_FOR_PROCESSING if for_processing else MG_FOR_PRESENTATION
    header = exam_header(
        exam,
        sop_class_uid=sop_class,
        sop_instance_uid=exam.uid(name, view.side, view.view),
        modality="MG",
        series=name,
    )
    ended = view.started + timedelta(seconds=20)
    header.update(
        ImageType=["ORIGINAL" if for_processing else "DERIVED", "PRIMARY"],
        PresentationIntentType="FOR PROCESSING" if for_processing else "FOR PRESENTATION",
        AcquisitionDate=da(view.started),
        AcquisitionTime=tm(view.started),
        ContentTime=tm(view.started if for_processing else ended),
        SeriesDescription=f"{view.side} {view.view}",
        ProtocolName=exam.cohort.acquisition_protocol,
        BodyPartExamined="BREAST",
        KVP=view.kvp,
        DistanceSourceToDetector="700",
        DistanceSourceToPatient="653",
        EstimatedRadiographicMagnificationFactor="1.073",
        ExposureTime=view.exposure_time_ms,
        XRayTubeCurrent=view.tube_current_ma,
        Exposure=f"{float(view.exposure_uas) / 1000:.0f}",
        ExposureInuAs=view.exposure_uas,
        Grid="RECIPROCATING",
        FocalSpots="0.3",
        AnodeTargetMaterial="TUNGSTEN",
        BodyPartThickness=view.thickness_mm,
        CompressionForce=view.force_n,
        PositionerType="MAMMOGRAPHIC",
        PositionerPrimaryAngle="0" if view.view == "CC" else "45",
        ViewPosition=view.view,
        DetectorType="DIRECT",
        DetectorID="DET7008",
        FilterMaterial="RHODIUM",
        FilterThicknessMinimum="0.05",
        FilterThicknessMaximum="0.05",
        ExposureControlMode="AUTOMATIC",
        FieldOfViewShape="RECTANGLE",
        FieldOfViewDimensions=["240", "290"],
        ImagerPixelSpacing=["0.07", "0.07"],
        PatientOrientation=["A", "F"],
        ImageLaterality=view.side,
        BreastImplantPresent="NO",
        EntranceDose=round(float(view.entrance_mgy) / 100),
        HalfValueLayer=view.hvl_mm,
        OrganDose=view.organ_dose_dgy,
        OrganExposed="BREAST",
        EntranceDoseInmGy=view.entrance_mgy,
        AnatomicRegionSequence=[_code(snomed("Breast", "SRT"))],
        ViewCodeSequence=[
            {**_code(snomed(_VIEW[view.view], "SRT")), "ViewModifierCodeSequence": []},
        ],
        AcquisitionContextSequence=[],
    )
    header.update(pixel_module(bits=14))
    return header


def _code(code: tuple[str, str, str]) -> dict[str, Any]:
    return {"CodeValue": code[0], "CodingSchemeDesignator": code[1], "CodeMeaning": code[2]}


def image_truth(exam: PlannedExam, view: MgView) -> dict[str, Any]:
    """Return the totals and the event that an exam record of this one image must hold."""
    agd = total([view.organ_dose_dgy], "100")
    return {
        "events": [
            {
                **_common_truth(exam, view, 1),
                "agd_mgy": agd,
                "compression_force_n": number(view.force_n),
                "magnification": 1.073,
                "view": as_dict(snomed(_VIEW[view.view], "SRT")),
            }
        ],
    }
