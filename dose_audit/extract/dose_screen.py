"""Dose screens: read where the numbers stand in elements, named where they exist only as pixels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dose_audit.extract.common import warn
from dose_audit.extract.ct_image import ACQUISITION_TYPES
from dose_audit.extract.exam import CtEvent, CtSource, Exam
from dose_audit.extract.image_fields import Element, Field, FieldTable, Private, exam_of_image, read_fields
from dose_audit.extract.options import NotDose, ReadOptions
from dose_audit.extract.times import iso_datetime, iso_offset

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject, Header

__all__ = ["DOSE_SCREENS", "DoseScreen", "dose_screen_of", "read_dose_screen"]


class DoseScreen(NamedTuple):
    """How one vendor's picture of a dose report names itself.

    Attributes
    ----------
    vendor : str
        For the reason in the ledger.
    manufacturer, series_description, image_type : str
        Regular expressions, letter case ignored, empty is any; all three must be found.
    """

    vendor: str
    manufacturer: str = ""
    series_description: str = ""
    image_type: str = ""


DOSE_SCREENS: tuple[DoseScreen, ...] = (
    DoseScreen("Philips CT dose info", "philips", r"dose\s*(info|report)"),
    DoseScreen("Philips CT dose info", "philips", "", "DOSE_INFO"),
    DoseScreen("Siemens CT patient protocol", "siemens", r"patient\s*protocol|patientenprotokoll"),
    DoseScreen("GE dose report", "^ge ", r"dose\s*(report|record)|exam\s*summary"),
    DoseScreen("Toshiba or Canon dose summary", "toshiba|canon", r"dose|summary"),
    DoseScreen("dose report", "", r"dose\s*(info|report|record|summary|sheet|data|screen)|radiation\s*dose"),
    DoseScreen("dose report", "", r"dosis(bericht|protokoll)|rapport\s*(de)?\s*dose|informe\s*(de)?\s*dosis"),
    DoseScreen("dose report", "", "", r"DOSE_?(INFO|REPORT|SCREEN|SUMMARY)"),
)
"""Series Description and Image Type of dose screens, most specific first."""

ELSCINT = "ELSCINT1"

SCREEN_EVENT_FIELDS = FieldTable(
    Field("ctdi_vol_mgy", "dose_mgy", (Element("CTDIvol", "mGy"),)),
    Field("dlp_mgy_cm", "dlp_mgy_cm", (Private(0x00E1, ELSCINT, 0x21, "mGy.cm"),)),
    Field("scanning_length_mm", "length_mm", (Element("ScanLength", "mm"),)),
    Field("exposure_time_s", "time_s", (Element("ExposureTimeInms", "ms"), Element("ExposureTime", "ms"))),
    Field("nominal_single_collimation_mm", "length_mm", (Element("SingleCollimationWidth", "mm"),)),
    Field("nominal_total_collimation_mm", "length_mm", (Element("TotalCollimationWidth", "mm"),)),
    Field("pitch_factor", "ratio", (Element("SpiralPitchFactor", "1"),)),
)

SCREEN_SOURCE_FIELDS = FieldTable(
    Field("kvp_kv", "voltage_kv", (Element("KVP", "kV"),)),
    Field(
        "tube_current_ma",
        "current_ma",
        (Element("XRayTubeCurrentInuA", "uA"), Element("XRayTubeCurrent", "mA")),
    ),
)

TOTAL_FIELDS = FieldTable(
    Field("ct_dlp_mgy_cm", "dlp_mgy_cm", (Private(0x00E1, ELSCINT, 0x21, "mGy.cm"),)),
    Field("ct_event_count", "count", (Element("TotalNumberOfExposures", "1"),)),
)

PROJECTION_TOTAL_FIELDS = FieldTable(
    Field("kap_gy_cm2", "kap_gy_cm2", (Element("ImageAndFluoroscopyAreaDoseProduct", "dGy.cm2"),)),
    Field("fluoro_time_s", "time_s", (Element("TotalTimeOfFluoroscopy", "s"),)),
)
"""Totals of a procedure step that some angiography and fluoroscopy screens carry in elements."""

PHANTOMS = {"16CM": "head_16cm", "32CM": "body_32cm"}

MAX_EVENTS = 500
"""Exposures read from one screen."""

_COMMENT = re.compile(
    r"Series\s*#?(?P<number>\d+)\s+(?P<name>.*?)\s*Average\s+CTDIvol\s*=\s*(?P<ctdi>\d+(?:\.\d+)?)"
    r"\s+DLP\s*=\s*(?P<dlp>\d+(?:\.\d+)?)",
    re.IGNORECASE,
)


def dose_screen_of(obj: DicomObject) -> DoseScreen | None:
    """The row of `DOSE_SCREENS` that an object answers to, or `None`."""
    manufacturer = obj.text("Manufacturer") or ""
    description = obj.text("SeriesDescription") or ""
    kinds = " ".join(obj.texts("ImageType"))
    for screen in DOSE_SCREENS:
        if (
            re.search(screen.manufacturer, manufacturer, re.IGNORECASE)
            and re.search(screen.series_description, description, re.IGNORECASE)
            and re.search(screen.image_type, kinds, re.IGNORECASE)
        ):
            return screen
    return None


def read_dose_screen(obj: DicomObject, options: ReadOptions) -> Exam | NotDose:
    """Read one secondary capture that may be a picture of a dose report.

    Parameters
    ----------
    obj : DicomObject
    options : ReadOptions

    Returns
    -------
    Exam or NotDose
        An exam where the numbers are in elements; ``pixels_only`` for a dose screen without them; otherwise
        ``not_relevant``. Pixels are never read.

    Notes
    -----
    A CTDIvol or DLP of 0 (localisers) is *not computed* and stays ``None``.
    """
    exam = exam_of_image(obj, options, "dose_screen")
    modality = (exam.modality or "").upper()
    items = [item for item in obj.items("ExposureDoseSequence")[:MAX_EVENTS] if item.text("AcquisitionType")]
    comment = obj.text("CommentsOnRadiationDose") or ""
    if items:
        exam.events = [_event(obj, item, exam) for item in items]
    elif modality in ("CT", "PT", "NM", "OT"):
        exam.events = _events_of_comment(comment)
        if exam.events:
            warn(exam.warnings, "read_from_comment", "events read from free text", "CommentsOnRadiationDose")
    if modality in ("XA", "RF", "DX", "CR"):
        read_fields(obj, PROJECTION_TOTAL_FIELDS, exam.totals, exam.warnings)
        if exam.totals.kap_gy_cm2 is not None or exam.totals.fluoro_time_s is not None:
            return exam
    elif exam.events:
        exam.modality = "CT"
        read_fields(obj, TOTAL_FIELDS, exam.totals, exam.warnings)
        _check_count(exam)
        protocol_file = obj.private_text(0x00E1, ELSCINT, 0x61)
        if protocol_file:
            exam.extra["protocol_file_name"] = protocol_file
        if not exam.study_description:
            exam.study_description = obj.text("ProtocolName")
        return exam
    screen = dose_screen_of(obj)
    if screen is not None:
        return NotDose(f"a dose screen that exists only as pixels ({screen.vendor})", "pixels_only")
    return NotDose("a secondary capture without dose elements")


def _event(obj: DicomObject, item: Header, exam: Exam) -> CtEvent:
    event = CtEvent(
        acquisition_protocol=item.text("SeriesDescription"),
        ct_acquisition_type=ACQUISITION_TYPES.get((item.text("AcquisitionType") or "").upper()),
        started_at=iso_datetime(item.text("AcquisitionDateTime"), iso_offset(obj.text("TimezoneOffsetFromUTC"))),
        comment=item.text("CommentsOnRadiationDose"),
        ctdi_phantom=PHANTOMS.get((item.private_text(0x01E1, ELSCINT, 0x26) or "").upper().replace(" ", "")),
    )
    read_fields(item, SCREEN_EVENT_FIELDS, event, exam.warnings)
    source = CtSource()
    read_fields(item, SCREEN_SOURCE_FIELDS, source, exam.warnings)
    if source.kvp_kv is not None or source.tube_current_ma is not None:
        event.sources = [source]
    number = item.number("SeriesNumber")
    if number is not None:
        event.extra["series_number"] = number
    return event


def _events_of_comment(comment: str) -> list[CtEvent]:
    """Events from Philips's free text: ``Series #3 NAME Average CTDIvol=7.2 DLP=196.0``, one a line."""
    return [
        CtEvent(
            acquisition_protocol=match["name"] or None,
            ctdi_vol_mgy=float(match["ctdi"]) or None,
            dlp_mgy_cm=float(match["dlp"]) or None,
            extra={"series_number": float(match["number"])},
        )
        for match in list(_COMMENT.finditer(comment[:10_000]))[:MAX_EVENTS]
    ]


def _check_count(exam: Exam) -> None:
    counted = exam.totals.ct_event_count
    if counted is not None and counted != len(exam.events):
        message = f"the screen counts {counted:g} exposures and lists {len(exam.events)}"
        warn(exam.warnings, "event_count_disagrees", message, "TotalNumberOfExposures")
