"""CT image headers, single-frame and enhanced: one slice is a part of one irradiation event, and says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dose_audit.extract.codes import key
from dose_audit.extract.common import warn
from dose_audit.extract.concepts import CT_PHANTOMS
from dose_audit.extract.exam import CtEvent, CtSource, Exam
from dose_audit.extract.image_fields import (
    Element,
    Field,
    FieldTable,
    Private,
    acquired_at,
    acquisition_protocol,
    exam_of_image,
    read_fields,
    target_region,
)
from dose_audit.extract.options import NotDose, ReadOptions
from dose_audit.extract.slices import IMAGES, finish, fold_event, measure, measure_current
from dose_audit.extract.times import iso_datetime, iso_offset
from dose_audit.extract.units import convert

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject, Header

__all__ = ["CT_FIELDS", "read_ct_image"]

TOSHIBA = "TOSHIBA_MEC_CT3"

CT_FIELDS = FieldTable(
    Field(
        "ctdi_vol_mgy",
        "dose_mgy",
        (Element("CTDIvol", "mGy"), Private(0x7005, TOSHIBA, 0x63, "mGy")),
    ),
    Field("dlp_mgy_cm", "dlp_mgy_cm", (Private(0x7005, TOSHIBA, 0x40, "mGy.cm"),)),
    Field("pitch_factor", "ratio", (Element("SpiralPitchFactor", "1"), Private(0x7005, TOSHIBA, 0x23, "1"))),
    Field(
        "nominal_single_collimation_mm",
        "length_mm",
        (Element("SingleCollimationWidth", "mm"), Private(0x7005, TOSHIBA, 0x08, "mm")),
    ),
    Field("nominal_total_collimation_mm", "length_mm", (Element("TotalCollimationWidth", "mm"),)),
    Field("slice_thickness_mm", "length_mm", (Element("SliceThickness", "mm"),)),
    Field("water_equivalent_diameter_mm", "length_mm", (Element("WaterEquivalentDiameter", "mm"),)),
)
"""Which element fills which field. The standard has no element for DLP, so none is made up."""

SOURCE_FIELDS = FieldTable(
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
    # Exposure Time is per rotation on most scanners and the whole scan's on some, so it fills nothing.
    Field("exposure_time_per_rotation_s", "time_s", (Element("RevolutionTime", "s"),)),
)

ACQUISITION_TYPES = {
    "SPIRAL": "spiral",
    "SEQUENCED": "sequenced",
    "STATIONARY": "stationary",
    "CONSTANT_ANGLE": "constant_angle",
    "FREE": "free",
    "HELICAL MODE": "spiral",
    "HELIX": "spiral",
    "HELICAL_CT": "spiral",
    "AXIAL MODE": "sequenced",
    "SCOUT MODE": "constant_angle",
    "SURVIEW": "constant_angle",
    "CINE MODE": "stationary",
    "DVOLUME_CT": "stationary",
    "SCANOSCOPE": "constant_angle",
    "NORMAL_CT": "sequenced",
    "CT_SOM SPI": "spiral",
    "CT_SOM SEQ": "sequenced",
    "CT_SOM TOP": "constant_angle",
}
"""Acquisition Type, and the Scan Options or Image Type in which vendors name it, → the record's words."""

_CT_SOM = re.compile(r"CT_SOM\d+ \S")

KAP = "kap_gy_cm2"
"""Name, in ``extra``, of what cone-beam units of dentists and operating theatres tell instead of a CTDIvol."""

ENHANCED_CT = frozenset({"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"})

MAX_FRAMES = 50_000
"""Frames looked at in one enhanced object."""


def read_ct_image(obj: DicomObject, options: ReadOptions) -> Exam | NotDose:
    """Read one CT image header.

    Parameters
    ----------
    obj : DicomObject
        A CT Image, Enhanced CT or Legacy Converted Enhanced CT.
    options : ReadOptions

    Returns
    -------
    Exam or NotDose
        An exam with one event (an enhanced object: one per irradiation event of its frames). What varies from
        slice to slice is counted under ``images`` in the event's ``extra``, so that slices can be folded in
        any order.

    Notes
    -----
    Reformats (Image Type ``DERIVED\\SECONDARY``) without an Irradiation Event UID are refused: the slices
    that they were made from carry the exposure.
    """
    kinds = [text.upper() for text in obj.texts("ImageType")]
    if "SCREEN SAVE" in kinds:
        return NotDose("a saved screen in a CT image object")
    if kinds[:1] == ["DERIVED"] and not obj.has("IrradiationEventUID") and obj.sop_class_uid not in ENHANCED_CT:
        return NotDose("a derived CT image without an Irradiation Event UID")
    exam = exam_of_image(obj, options)
    exam.modality = "CT"
    if obj.sop_class_uid in ENHANCED_CT:
        _read_frames(obj, exam)
    else:
        event = _event(obj, obj, exam)
        event.irradiation_event_uid = obj.text("IrradiationEventUID")
        _read_single(obj, event, kinds, exam)
        exam.events = [event]
    exam.events = [event for event in exam.events if _exposed(event)]
    for event in exam.events:
        finish(event)
    return exam if exam.events else NotDose("a CT image without any exposure attribute")


def _exposed(event: CtEvent) -> bool:
    return event.ctdi_vol_mgy is not None or KAP in event.extra or any(source.kvp_kv for source in event.sources)


def _event(obj: DicomObject, header: Header, exam: Exam) -> CtEvent:
    event = CtEvent(
        started_at=acquired_at(header, obj, exam.warnings),
        acquisition_protocol=acquisition_protocol(obj),
    )
    event.extra[IMAGES] = {"count": 1, "series_instance_uid": obj.text("SeriesInstanceUID")}
    number = obj.number("AcquisitionNumber")
    if number is not None:
        event.extra[IMAGES]["acquisition_number"] = number
    if event.started_at:
        event.extra[IMAGES]["last_at"] = event.started_at
    kap = obj.number("ImageAndFluoroscopyAreaDoseProduct")
    if kap is not None and kap > 0:
        event.extra[KAP], _ = convert(kap, "dGy.cm2", KAP)
    target_region(obj, event)
    return event


def _read_single(obj: DicomObject, event: CtEvent, kinds: list[str], exam: Exam) -> None:
    read_fields(obj, CT_FIELDS, event, exam.warnings)
    source = CtSource()
    read_fields(obj, SOURCE_FIELDS, source, exam.warnings)
    if any(value is not None for value in (source.kvp_kv, source.tube_current_ma)):
        event.sources = [source]
    event.modulation_type = obj.text("ExposureModulationType")
    event.convolution_kernel = obj.texts("ConvolutionKernel")
    _phantom(obj, event, exam)
    _toshiba_collimation(obj, event)
    # Siemens: CT_SOM5 SPI, CT_SOM7 SEQ, CT_SOM8 TOP, with more words behind.
    siemens = [f"CT_SOM {kind.split()[1]}" for kind in kinds if _CT_SOM.match(kind)]
    named = [obj.text("AcquisitionType"), *obj.texts("ScanOptions"), *siemens]
    if "LOCALIZER" in kinds:
        event.ct_acquisition_type = "constant_angle"
    else:
        event.ct_acquisition_type = next(
            (ACQUISITION_TYPES[name.upper()] for name in named if name and name.upper() in ACQUISITION_TYPES),
            None,
        )
    if event.ct_acquisition_type is None and event.pitch_factor:
        event.ct_acquisition_type = "spiral"
    _count(event, source)


def _count(event: CtEvent, source: CtSource) -> None:
    """Put what varies from slice to slice under ``images``."""
    for name in ("ctdi_vol_mgy", "dlp_mgy_cm", "water_equivalent_diameter_mm"):
        measure(event, name, getattr(event, name))
    measure_current(event, source)


def _phantom(header: Header, event: CtEvent, exam: Exam) -> None:
    code = header.code("CTDIPhantomTypeCodeSequence")
    if code is not None:
        event.ctdi_phantom = CT_PHANTOMS.get(key(code))
        if event.ctdi_phantom is None:
            where = "CTDIPhantomTypeCodeSequence"
            warn(
                exam.warnings,
                "unknown_code",
                "a CTDI phantom that is neither head nor body",
                where,
                code.value,
            )


def _toshiba_collimation(obj: DicomObject, event: CtEvent) -> None:
    """Total collimation from Toshiba's text of one 0 or 1 per detector row."""
    rows = obj.private_text(0x7005, TOSHIBA, 0x09)
    single = event.nominal_single_collimation_mm
    if event.nominal_total_collimation_mm is None and rows and single and set(rows) <= {"0", "1"}:
        event.nominal_total_collimation_mm = round(rows.count("1") * single, 6) or None


# Enhanced CT: in which functional group an element stands.
_FRAME_GROUPS: tuple[str, ...] = (
    "CTAcquisitionTypeSequence",
    "CTAcquisitionDetailsSequence",
    "CTTableDynamicsSequence",
    "CTExposureSequence",
    "CTXRayDetailsSequence",
    "PixelMeasuresSequence",
)


def _read_frames(obj: DicomObject, exam: Exam) -> None:
    """One event per Irradiation Event UID of the frames; what is shared is read once."""
    shared = next(iter(obj.items("SharedFunctionalGroupsSequence")), None)
    frames = obj.items("PerFrameFunctionalGroupsSequence")
    if len(frames) > MAX_FRAMES:
        warn(
            exam.warnings,
            "more_frames",
            f"more than {MAX_FRAMES} frames; the rest is not read",
            None,
            len(frames),
        )
    offset = iso_offset(obj.text("TimezoneOffsetFromUTC"))
    found: dict[str | None, CtEvent] = {}
    by_frame: list[list[Header]] = [[frame] for frame in frames[:MAX_FRAMES]] or [[]]
    for own in by_frame:
        groups = own if shared is None else [*own, shared]
        content = next((item for group in groups for item in group.items("FrameContentSequence")), None)
        uid = obj.text("IrradiationEventUID") or next(
            (
                item.text("IrradiationEventUID")
                for group in groups
                for item in group.items("IrradiationEventIdentificationSequence")
            ),
            None,
        )
        event = _event(obj, obj, exam)
        started = iso_datetime(content.text("FrameAcquisitionDateTime"), offset) if content is not None else None
        if started:
            event.started_at = event.extra[IMAGES]["last_at"] = started
        event.irradiation_event_uid = uid
        _read_frame(groups, event, exam)
        if uid in found:
            fold_event(found[uid], event)
        else:
            found[uid] = event
    exam.events = list(found.values())


def _read_frame(groups: list[Header], event: CtEvent, exam: Exam) -> None:
    source = CtSource()
    for name in _FRAME_GROUPS:
        for group in groups:
            # A multi-source scanner writes one item per source; CTDIvol is the same in each.
            for item in group.items(name)[:1]:
                read_fields(item, CT_FIELDS, event, exam.warnings)
                read_fields(item, SOURCE_FIELDS, source, exam.warnings)
                event.modulation_type = event.modulation_type or item.text("ExposureModulationType")
                kind = ACQUISITION_TYPES.get((item.text("AcquisitionType") or "").upper())
                event.ct_acquisition_type = event.ct_acquisition_type or kind
                if event.ctdi_phantom is None:
                    _phantom(item, event, exam)
    if source.kvp_kv is not None or source.tube_current_ma is not None:
        event.sources = [source]
    _count(event, source)
