"""Mammography headers: MG, Breast Tomosynthesis, breast projections, Hologic's projections in SC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dose_audit.extract.common import warn
from dose_audit.extract.concepts import material_of
from dose_audit.extract.exam import Exam, ProjectionEvent
from dose_audit.extract.image_fields import Element, Field, FieldTable, exam_of_image, read_fields
from dose_audit.extract.image_quirks import apply_image_quirks
from dose_audit.extract.options import NotDose, ReadOptions
from dose_audit.extract.projection_image import (
    EXPOSED,
    LATERALITY,
    event_from_header,
    read_filters,
    read_grid,
)

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject, Header

__all__ = ["read_mammography_image"]

MAMMOGRAPHY_FIELDS = FieldTable(
    # Organ Dose is in dGy (0.0026 is 0.26 mGy).
    Field("agd_mgy", "dose_mgy", (Element("OrganDose", "dGy"),)),
    Field("compression_thickness_mm", "length_mm", (Element("BodyPartThickness", "mm"),)),
    Field("compression_force_n", "force_n", (Element("CompressionForce", "N"),), zero=True),
    Field("compression_pressure_kpa", "pressure_kpa", (Element("CompressionPressure", "kPa"),), zero=True),
)

ACQUISITION_FIELDS = FieldTable(
    *MAMMOGRAPHY_FIELDS,
    Field("kvp_kv", "voltage_kv", (Element("KVP", "kV"),)),
    Field("exposure_mas", "charge_mas", (Element("ExposureInmAs", "mA.s"), Element("ExposureInuAs", "uA.s"))),
    Field("exposure_time_ms", "time_ms", (Element("ExposureTimeInms", "ms"), Element("ExposureTimeInuS", "us"))),
    Field(
        "tube_current_ma",
        "current_ma",
        (Element("XRayTubeCurrentInmA", "mA"), Element("XRayTubeCurrentInuA", "uA")),
    ),
    Field("entrance_exposure_mgy", "dose_mgy", (Element("EntranceDoseInmGy", "mGy"),)),
    Field("half_value_layer_mm", "length_mm", (Element("HalfValueLayer", "mm"),)),
    Field("focal_spot_mm", "length_mm", (Element("FocalSpots", "mm"),)),
    Field("source_detector_mm", "length_mm", (Element("DistanceSourceToDetector", "mm"),)),
    Field("source_patient_mm", "length_mm", (Element("DistanceSourceToPatient", "mm"),)),
    Field("primary_angle_deg", "angle_deg", (Element("PrimaryPositionerScanStartAngle", "deg"),), zero=True),
)
"""What stands in the items of the X-Ray 3D Acquisition Sequence."""

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

SUSPECT_FORCE_N = 30.0
"""A compression below this may have been sent in daN or kgf; it is kept as sent and said to be suspect."""

AGD_LIMIT_MGY = 50.0
"""Glandular dose of one exposure above which Organ Dose cannot have been in dGy: thick breasts get some 20 mGy."""

_GENERATED = ("GENERATED_2D", "TOMO_GENERATED_2D", "TOMO_2D", "SYNTHETIC")
"""Image Type values of two-dimensional images computed from a tomosynthesis: no exposure of their own."""


def read_mammography_image(obj: DicomObject, options: ReadOptions) -> Exam | NotDose:
    """Read one mammography image header.

    Parameters
    ----------
    obj : DicomObject
    options : ReadOptions

    Returns
    -------
    Exam or NotDose
        One event per exposure: a tomosynthesis sweep is one, whatever the number of its projections in the
        object.
    """
    exam = exam_of_image(obj, options)
    exam.modality = "MG"
    event = event_from_header(obj, exam.warnings)
    kinds = {text.upper() for text in obj.texts("ImageType")}
    if kinds.intersection(_GENERATED) and not event.irradiation_event_uid:
        return NotDose("an image computed from a tomosynthesis, without an Irradiation Event UID")
    read_fields(obj, MAMMOGRAPHY_FIELDS, event, exam.warnings)
    _breast(obj, event)
    exam.events = _tomosynthesis(obj, event, exam) or [event]
    apply_image_quirks(obj, exam)
    for each in exam.events:
        if each.compression_force_n and each.compression_force_n < SUSPECT_FORCE_N:
            warn(
                exam.warnings,
                "compression_force_suspect",
                f"compression force below {SUSPECT_FORCE_N:g} N: perhaps daN or kgf",
                "compression_force_n",
                each.compression_force_n,
            )
        if each.agd_mgy is not None and each.agd_mgy > AGD_LIMIT_MGY:
            sent, each.agd_mgy = each.agd_mgy, None
            warn(
                exam.warnings,
                "agd_unit_unknown",
                f"glandular dose above {AGD_LIMIT_MGY:g} mGy if it is in dGy: unit unknown",
                "OrganDose",
                f"{sent:g} mGy",
            )
    if all(getattr(each, name) is None for each in exam.events for name in EXPOSED):
        return NotDose("a mammography image without any exposure attribute")
    return exam


def _breast(obj: DicomObject, event: ProjectionEvent) -> None:
    """Laterality, glandular share from free text (GE: ``80 %``), and whether it is a sweep's projection."""
    match = re.fullmatch(r"\s*(\d{1,3}(?:\.\d+)?)\s*%\s*", event.comment or "")
    if match and float(match[1]) <= 100:
        event.fibroglandular_percent = float(match[1])
    for group in obj.items("SharedFunctionalGroupsSequence")[:1]:
        for item in group.items("FrameAnatomySequence")[:1]:
            event.laterality = event.laterality or LATERALITY.get((item.text("FrameLaterality") or "").upper())
    if obj.sop_class_uid == SECONDARY_CAPTURE:
        # Hologic keeps each projection of a sweep as a secondary capture with its own share of the dose.
        event.tomosynthesis = True
        event.extra["projection_of_sweep"] = True
        number = obj.number("InstanceNumber")
        if number is not None:
            event.extra["instance_number"] = number


def _tomosynthesis(obj: DicomObject, event: ProjectionEvent, exam: Exam) -> list[ProjectionEvent]:
    """Events of a tomosynthesis object: one per acquisition item, or the sum of its frames' shares."""
    items = obj.items("XRay3DAcquisitionSequence")
    uids = obj.texts("IrradiationEventUID")
    events = []
    for index, item in enumerate(items):
        each = ProjectionEvent(
            irradiation_event_uid=_uid_of(item, uids, index, len(items)),
            started_at=event.started_at,
            acquisition_protocol=event.acquisition_protocol,
            laterality=event.laterality,
            target_region=event.target_region,
            view=event.view,
            view_modifier=event.view_modifier,
            comment=event.comment,
            fibroglandular_percent=event.fibroglandular_percent,
            anode_material=material_of(item.text("AnodeTargetMaterial")) or event.anode_material,
            exposure_control_mode=item.text("ExposureControlMode") or event.exposure_control_mode,
            grid=read_grid(item, exam.warnings) or event.grid,
            filters=read_filters(item, exam.warnings) or event.filters,
            tomosynthesis=True,
        )
        read_fields(item, ACQUISITION_FIELDS, each, exam.warnings)
        arc = item.number("PrimaryPositionerScanArc")
        if arc is not None and each.primary_angle_deg is not None:
            each.primary_end_angle_deg = each.primary_angle_deg + arc
        if len(items) == 1:
            # What the top level says belongs to the only acquisition there is.
            for name in (
                "agd_mgy",
                "kvp_kv",
                "exposure_mas",
                "compression_thickness_mm",
                "compression_force_n",
            ):
                if getattr(each, name) is None:
                    setattr(each, name, getattr(event, name))
        events.append(each)
    if not events:
        _frames(obj, event, exam)
    return events


def _uid_of(item: Header, uids: list[str], index: int, count: int) -> str | None:
    own = item.text("IrradiationEventUID")
    if own:
        return own
    if len(uids) == count:
        return uids[index]
    return uids[0] if count == 1 and uids else None


def _frames(obj: DicomObject, event: ProjectionEvent, exam: Exam) -> None:
    """Each projection frame has its share of the dose; the sweep's is their sum, when all have one."""
    frames = obj.items("PerFrameFunctionalGroupsSequence")
    shares = []
    for frame in frames:
        part = ProjectionEvent()
        for item in frame.items("XRayAcquisitionDoseSequence")[:1]:
            read_fields(item, ACQUISITION_FIELDS, part, exam.warnings)
        shares.append(part)
        for item in frame.items("FrameAnatomySequence")[:1]:
            event.laterality = event.laterality or LATERALITY.get((item.text("FrameLaterality") or "").upper())
        for item in frame.items("IrradiationEventIdentificationSequence")[:1]:
            event.irradiation_event_uid = event.irradiation_event_uid or item.text("IrradiationEventUID")
    if shares:
        event.tomosynthesis = True
        for name in ("agd_mgy", "entrance_exposure_mgy", "exposure_mas"):
            values = [getattr(part, name) for part in shares]
            if getattr(event, name) is None and all(value is not None for value in values):
                setattr(event, name, sum(values))
