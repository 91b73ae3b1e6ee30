"""Image headers of projection radiography: CR, DX, PX, IO, XA, XRF and the enhanced forms of XA and XRF."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from dose_audit.extract._dictionary import KEYWORDS
from dose_audit.extract.codes import Code
from dose_audit.extract.common import TextTable, read_texts, warn
from dose_audit.extract.concepts import FILTER_TYPES, FLUORO_MODES, GRIDS, material_of
from dose_audit.extract.exam import Exam, Filter, ProjectionEvent, Warning, twin
from dose_audit.extract.image_fields import (
    Element,
    Field,
    FieldTable,
    acquired_at,
    acquisition_protocol,
    exam_of_image,
    read_fields,
    target_region,
)
from dose_audit.extract.image_quirks import apply_image_quirks
from dose_audit.extract.options import NotDose, ReadOptions

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject, Header

__all__ = [
    "EXPOSED",
    "LATERALITY",
    "PROJECTION_FIELDS",
    "event_from_header",
    "read_filters",
    "read_grid",
    "read_projection_image",
]

_FLUORO_MODES = frozenset(FLUORO_MODES.values())
_FILTER_TYPES = frozenset(FILTER_TYPES.values())
_GRIDS = frozenset(GRIDS.values())

PROJECTION_FIELDS = FieldTable(
    Field("kvp_kv", "voltage_kv", (Element("KVP", "kV"),)),
    Field(
        "tube_current_ma",
        "current_ma",
        (
            Element("XRayTubeCurrentInmA", "mA"),
            Element("XRayTubeCurrentInuA", "uA"),
            Element("XRayTubeCurrent", "mA"),
        ),
    ),
    Field(
        "exposure_time_ms",
        "time_ms",
        (Element("ExposureTimeInms", "ms"), Element("ExposureTimeInuS", "us"), Element("ExposureTime", "ms")),
    ),
    Field(
        "exposure_mas",
        "charge_mas",
        (Element("ExposureInmAs", "mA.s"), Element("ExposureInuAs", "uA.s"), Element("Exposure", "mA.s")),
    ),
    Field("pulse_width_ms", "time_ms", (Element("AveragePulseWidth", "ms"),)),
    Field("irradiation_duration_s", "time_s", (Element("AcquisitionDuration", "s"),)),
    Field("pulse_rate_per_s", "rate_per_s", (Element("CineRate", "/s"),)),
    Field("frames_count", "count", (Element("NumberOfFrames", "1"),)),
    Field("focal_spot_mm", "length_mm", (Element("FocalSpots", "mm"),)),
    Field("kap_gy_cm2", "kap_gy_cm2", (Element("ImageAndFluoroscopyAreaDoseProduct", "dGy.cm2"),)),
    # Entrance Dose is a whole number of dGy, 0 for almost every film; it counts only where the mGy form is
    # absent.
    Field(
        "entrance_exposure_mgy",
        "dose_mgy",
        (Element("EntranceDoseInmGy", "mGy"), Element("EntranceDose", "dGy")),
    ),
    Field("half_value_layer_mm", "length_mm", (Element("HalfValueLayer", "mm"),)),
    Field("exposure_index", "index", (Element("ExposureIndex", "1"),)),
    Field("target_exposure_index", "index", (Element("TargetExposureIndex", "1"),)),
    Field("deviation_index", "index", (Element("DeviationIndex", "1"),), zero=True),
    Field("relative_xray_exposure", "index", (Element("RelativeXRayExposure", "1"),)),
    Field("primary_angle_deg", "angle_deg", (Element("PositionerPrimaryAngle", "deg"),), zero=True),
    Field("secondary_angle_deg", "angle_deg", (Element("PositionerSecondaryAngle", "deg"),), zero=True),
    Field("column_angle_deg", "angle_deg", (Element("ColumnAngulation", "deg"),), zero=True),
    Field("table_tilt_deg", "angle_deg", (Element("TableAngle", "deg"),), zero=True),
    Field("table_height_mm", "position_mm", (Element("TableHeight", "mm"),), zero=True),
    Field("source_isocentre_mm", "length_mm", (Element("DistanceSourceToIsocenter", "mm"),)),
    Field("source_detector_mm", "length_mm", (Element("DistanceSourceToDetector", "mm"),)),
    Field("source_patient_mm", "length_mm", (Element("DistanceSourceToPatient", "mm"),)),
    Field("compression_force_n", "force_n", (Element("CompressionForce", "N"),), zero=True),
    Field("compression_pressure_kpa", "pressure_kpa", (Element("CompressionPressure", "kPa"),), zero=True),
    Field("magnification", "ratio", (Element("EstimatedRadiographicMagnificationFactor", "1"),)),
)
"""Which element fills which field of a projection event; what has no field is in `EXTRA`."""

PROJECTION_TEXTS = TextTable(
    irradiation_event_uid="IrradiationEventUID",
    comment="CommentsOnRadiationDose",
    exposure_control_mode="ExposureControlMode",
)

EXTRA: tuple[tuple[str, str], ...] = (
    ("sensitivity", "Sensitivity"),
    ("grid_focal_distance_mm", "GridFocalDistance"),
    ("source_entrance_mm", "DistanceSourceToEntrance"),
)
"""Numbers kept in the standard's own unit under ``extra``."""

LATERALITY = {"L": "left", "R": "right", "B": "both", "U": None}
"""Image Laterality → the record's word; *unpaired* is no side."""

VIEW_POSITIONS = {
    "AP": Code("399348003", "SCT", "antero-posterior"),
    "PA": Code("272479007", "SCT", "postero-anterior"),
    "LL": Code("399173006", "SCT", "left lateral"),
    "RL": Code("399198007", "SCT", "right lateral"),
    "CC": Code("399162004", "SCT", "cranio-caudal"),
    "MLO": Code("399368009", "SCT", "medio-lateral oblique"),
    "ML": Code("399260004", "SCT", "medio-lateral"),
    "LM": Code("399352003", "SCT", "latero-medial"),
}
"""View Position where the View Code Sequence is absent (CID 4010, 4014)."""

RADIATION_SETTING = {"SC": "fluoroscopy", "GR": "stationary_acquisition"}
"""XA and XRF: SC is fluoroscopy level, GR is acquisition level."""

PLANES = {
    "SINGLE PLANE": "single",
    "SINGLEPLANE": "single",
    "SINGLE A": "single",
    "SINGLE B": "single",
    "BIPLANE A": "A",
    "BIPLANE B": "B",
}
"""XA Image Type value 3, and Planes in Acquisition with the positioner's plane."""

EXPOSED = (
    "kvp_kv", "tube_current_ma", "exposure_time_ms", "exposure_mas", "kap_gy_cm2", "dose_rp_mgy", "agd_mgy",
    "entrance_exposure_mgy", "exposure_index", "relative_xray_exposure",
)  # fmt: skip
"""An image without any of these, and without Sensitivity, is no exposure to audit (a scanned film, a photograph)."""


def read_projection_image(obj: DicomObject, options: ReadOptions) -> Exam | NotDose:
    """Read one CR, DX, PX, IO, XA or XRF image header.

    Parameters
    ----------
    obj : DicomObject
    options : ReadOptions

    Returns
    -------
    Exam or NotDose
        An exam with one event, or why there is none.
    """
    exam = exam_of_image(obj, options)
    event = event_from_header(obj, exam.warnings)
    _enhanced(obj, event, exam.warnings)
    exam.events = [event]
    apply_image_quirks(obj, exam)
    if all(getattr(event, name) is None for name in EXPOSED) and "sensitivity" not in event.extra:
        return NotDose(f"a {exam.modality or 'projection'} image without any exposure attribute")
    return exam


def event_from_header(obj: DicomObject, warnings: list[Warning]) -> ProjectionEvent:
    """The exposure that one projection image header describes, standard elements only."""
    event = ProjectionEvent(
        started_at=acquired_at(obj, warnings=warnings),
        acquisition_protocol=acquisition_protocol(obj),
        laterality=LATERALITY.get((obj.text("ImageLaterality") or obj.text("Laterality") or "").upper()),
        fluoro_mode=_word(obj.text("RadiationMode"), _FLUORO_MODES),
        anode_material=material_of(obj.text("AnodeTargetMaterial")),
        grid=read_grid(obj, warnings),
        filters=read_filters(obj, warnings),
    )
    read_texts(obj, PROJECTION_TEXTS, event)
    target_region(obj, event)
    read_fields(obj, PROJECTION_FIELDS, event, warnings)
    for name, keyword in EXTRA:
        value = obj.number(keyword)
        if value:
            event.extra[name] = value
    if obj.has("FieldOfViewDimensions"):
        # Of the detector, row dimension first: the beam may be narrower, so it is no collimated field.
        event.extra["field_of_view_mm"] = obj.numbers("FieldOfViewDimensions")
    derivation = obj.text("EntranceDoseDerivation")
    if derivation:
        event.extra["entrance_dose_derivation"] = derivation
    _view(obj, event)
    _plane_and_type(obj, event)
    return event


def _word(sent: str | None, known: frozenset[str]) -> str | None:
    """A defined term in the record's spelling, or `None` when it is not one."""
    word = sent.strip().lower() if sent else None
    return word if word in known else None


def read_grid(header: Header, warnings: list[Warning]) -> list[str]:
    """The grid's defined terms in the record's words; another text (``FO``) is left out with a warning."""
    words: list[str] = []
    if not header.has("Grid"):
        return words
    for sent in filter(None, header.texts("Grid")):
        word = _word(sent, _GRIDS)
        if word is None:
            warn(warnings, "unknown_term", "a grid that is no defined term", "Grid", sent)
        else:
            words.append(word)
    return words


def read_filters(header: Header, warnings: list[Warning]) -> list[Filter]:
    """Filter materials and thicknesses, value by value.

    Notes
    -----
    Repairs, each with a warning: values joined by a comma instead of a backslash (Kodak DR 7500), and a
    minimum above the maximum (Carestream), which are exchanged. Thicknesses whose number differs from that of
    the materials are not assigned to any.
    """
    filters, told = header.kept("filters", _filter_tags(), _read_filters)
    for each in told:
        warn(warnings, each.code, each.message, each.where, each.raw)
    return [twin(each) for each in filters]


@cache
def _filter_tags() -> tuple[int, ...]:
    names = ("FilterType", "FilterMaterial", "FilterThicknessMinimum", "FilterThicknessMaximum")
    return tuple(KEYWORDS[keyword][0] for keyword in names)


def _read_filters(header: Header) -> tuple[list[Filter], list[Warning]]:
    warnings: list[Warning] = []
    kind = _word(header.text("FilterType"), _FILTER_TYPES)
    if not (
        header.has("FilterMaterial") or header.has("FilterThicknessMinimum") or header.has("FilterThicknessMaximum")
    ):
        return ([Filter(type=kind)] if kind and kind != "none" else []), warnings
    sent = [text for text in header.texts("FilterMaterial") if text]
    materials = [part.strip() for text in sent for part in text.split(",") if part.strip()]
    thin, thick = header.numbers("FilterThicknessMinimum"), header.numbers("FilterThicknessMaximum")
    # Thicknesses joined by a comma are several numbers, or none where it may be a decimal comma.
    joined = len(thin) != 1 and any("," in text for text in header.texts("FilterThicknessMinimum"))
    if len(materials) > len(sent) or joined:
        warn(
            warnings,
            "comma_for_backslash",
            "filter values joined by a comma were read one by one",
            "FilterMaterial",
        )
    count = len(materials) or max(len(thin), len(thick))
    for name, values in (("FilterThicknessMinimum", thin), ("FilterThicknessMaximum", thick)):
        if values and len(values) != count:
            warn(warnings, "filter_count", f"{len(values)} thicknesses for {count} filters; none is used", name)
            values.clear()
    if not count:
        return ([Filter(type=kind)] if kind and kind != "none" else []), warnings
    filters = []
    for index in range(count):
        low = thin[index] if thin else None
        high = thick[index] if thick else None
        if low is not None and high is not None and low > high:
            warn(
                warnings,
                "filter_swapped",
                "filter minimum above its maximum; exchanged",
                "FilterThicknessMinimum",
                low,
            )
            low, high = high, low
        material = materials[index] if materials else None
        if material and material_of(material) is None:
            warn(
                warnings,
                "unknown_term",
                "a filter material that is no defined term",
                "FilterMaterial",
                material,
            )
        filters.append(Filter(type=kind, material=material_of(material), min_mm=low, max_mm=high))
    return filters, warnings


def _view(obj: Header, event: ProjectionEvent) -> None:
    event.view, event.view_modifier = obj.code_and("ViewCodeSequence", "ViewModifierCodeSequence")
    if event.view is None:
        event.view, event.view_modifier = VIEW_POSITIONS.get((obj.text("ViewPosition") or "").upper()), None


def _plane_and_type(obj: Header, event: ProjectionEvent) -> None:
    """XA and XRF: which plane, and whether fluoroscopy or acquisition, moving or not."""
    kinds = [text.upper() for text in obj.texts("ImageType")]
    event.plane = PLANES.get((obj.text("PlanesInAcquisition") or (kinds[2] if len(kinds) > 2 else "")).upper())
    setting = RADIATION_SETTING.get((obj.text("RadiationSetting") or "").upper())
    if setting == "stationary_acquisition":
        if (obj.text("PositionerMotion") or "").upper() == "DYNAMIC":
            setting = "rotational"
        elif (obj.text("TableMotion") or "").upper() == "DYNAMIC":
            setting = "stepping"
    event.irradiation_event_type = setting
    if event.pulse_rate_per_s is None and (event.frames_count or 0) > 1:
        frame_ms = obj.number("FrameTime")
        if frame_ms:
            event.pulse_rate_per_s = 1000 / frame_ms


_FRAME_FIELDS: tuple[tuple[str, FieldTable], ...] = (
    (
        "PositionerPositionSequence",
        FieldTable(
            Field("primary_angle_deg", "angle_deg", (Element("PositionerPrimaryAngle", "deg"),), zero=True),
            Field("secondary_angle_deg", "angle_deg", (Element("PositionerSecondaryAngle", "deg"),), zero=True),
        ),
    ),
    (
        "TablePositionSequence",
        FieldTable(
            Field("table_height_mm", "position_mm", (Element("TableTopVerticalPosition", "mm"),), zero=True),
            Field(
                "table_longitudinal_mm",
                "position_mm",
                (Element("TableTopLongitudinalPosition", "mm"),),
                zero=True,
            ),
            Field("table_lateral_mm", "position_mm", (Element("TableTopLateralPosition", "mm"),), zero=True),
            Field(
                "table_rotation_deg",
                "angle_deg",
                (Element("TableHorizontalRotationAngle", "deg"),),
                zero=True,
            ),
            Field("table_tilt_deg", "angle_deg", (Element("TableHeadTiltAngle", "deg"),), zero=True),
            Field("table_cradle_deg", "angle_deg", (Element("TableCradleTiltAngle", "deg"),), zero=True),
        ),
    ),
    (
        "XRayGeometrySequence",
        FieldTable(
            Field("source_isocentre_mm", "length_mm", (Element("DistanceSourceToIsocenter", "mm"),)),
            Field("source_detector_mm", "length_mm", (Element("DistanceSourceToDetector", "mm"),)),
        ),
    ),
)
"""Enhanced XA and XRF: what stands in functional groups, shared or of the first frame."""


def _enhanced(obj: DicomObject, event: ProjectionEvent, warnings: list[Warning]) -> None:
    """Functional groups: shared first, then the first frame; the last frame gives the end angles."""
    shared = obj.items("SharedFunctionalGroupsSequence")
    frames = obj.items("PerFrameFunctionalGroupsSequence")
    for group in (*shared[:1], *frames[:1]):
        for sequence, table in _FRAME_FIELDS:
            for item in group.items(sequence)[:1]:
                read_fields(item, table, event, warnings)
        for item in group.items("IrradiationEventIdentificationSequence")[:1]:
            event.irradiation_event_uid = event.irradiation_event_uid or item.text("IrradiationEventUID")
        for item in group.items("FrameAnatomySequence")[:1]:
            event.target_region = event.target_region or item.code("AnatomicRegionSequence")
    if len(frames) > 1:
        end = ProjectionEvent()
        for item in frames[-1].items("PositionerPositionSequence")[:1]:
            read_fields(item, _FRAME_FIELDS[0][1], end, warnings)
        if (end.primary_angle_deg, end.secondary_angle_deg) != (
            event.primary_angle_deg,
            event.secondary_angle_deg,
        ):
            event.primary_end_angle_deg = end.primary_angle_deg
            event.secondary_end_angle_deg = end.secondary_angle_deg
