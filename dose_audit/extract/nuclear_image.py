"""NM and PET image headers: what was administered, and how a PET series was acquired and reconstructed."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from dose_audit.extract.common import warn
from dose_audit.extract.exam import AdministrationEvent, Exam, PetSeries
from dose_audit.extract.image_fields import (
    Element,
    Field,
    FieldTable,
    acquired_at,
    acquisition_protocol,
    exam_of_image,
    read_fields,
)
from dose_audit.extract.options import NotDose, ReadOptions
from dose_audit.extract.times import iso_date_time, iso_datetime, iso_offset

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject, Header

__all__ = ["ACTIVITY_RANGES", "read_nuclear_image"]

PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"


class ActivityRange(NamedTuple):
    """Which unit a Radionuclide Total Dose was meant in; ``None`` where several are possible."""

    below: float
    unit: str | None
    divisor: float


ACTIVITY_RANGES: dict[str, tuple[ActivityRange, ...]] = {
    # The standard's unit is MBq. 20 GBq is more than any therapy; below 5e6 a value could be kBq or Bq.
    "NM": (
        ActivityRange(2e4, "MBq", 1),
        ActivityRange(5e6, None, 0),
        ActivityRange(2e10, "Bq", 1e6),
        ActivityRange(inf, None, 0),
    ),
    # The standard's unit is Bq. Less than 20 could be mCi; from 2e4 to 1e6 it could be kBq.
    "PT": (
        ActivityRange(20, None, 0),
        ActivityRange(2e4, "MBq", 1),
        ActivityRange(1e6, None, 0),
        ActivityRange(2e10, "Bq", 1e6),
        ActivityRange(inf, None, 0),
    ),
}
"""Radionuclide Total Dose, NM (also Enhanced PET) and PET: value range → unit that was meant."""

STANDARD_UNIT = {"NM": "MBq", "PT": "Bq"}

ADMINISTRATION_FIELDS = FieldTable(
    Field("half_life_s", "time_s", (Element("RadionuclideHalfLife", "s"),)),
    Field("volume_ml", "volume_ml", (Element("RadiopharmaceuticalVolume", "cm3"),)),
    Field(
        "specific_activity_bq_per_mol",
        "specific_activity_bq_per_mol",
        (Element("RadiopharmaceuticalSpecificActivity", "Bq/umol"),),
    ),
)

PET_COUNTS = (
    ("slice_count", "NumberOfSlices"),  # (0054,0081)
    ("time_slice_count", "NumberOfTimeSlices"),  # (0054,0101)
    ("time_slot_count", "NumberOfTimeSlots"),  # (0054,0071)
    ("rr_interval_count", "NumberOfRRIntervals"),  # (0054,0061)
    ("coincidence_window_ns", "CoincidenceWindowWidth"),  # (0054,1210)
)


def read_nuclear_image(obj: DicomObject, options: ReadOptions) -> Exam | NotDose:
    """Read one NM or PET image header.

    Parameters
    ----------
    obj : DicomObject
    options : ReadOptions

    Returns
    -------
    Exam or NotDose
        One event per item of the Radiopharmaceutical Information Sequence, and for PET the series.
    """
    exam = exam_of_image(obj, options)
    pet = (exam.modality or "").upper() == "PT"
    exam.modality = "PT" if pet else "NM"
    for item in obj.items("RadiopharmaceuticalInformationSequence"):
        event = _administration(obj, item, exam)
        if event is not None:
            exam.events.append(event)
    if pet:
        exam.pet_series = [_pet_series(obj, exam)]
    if not exam.events:
        return NotDose(f"{'a PET' if pet else 'an NM'} image that names no administered radiopharmaceutical")
    return exam


def _administration(obj: DicomObject, item: Header, exam: Exam) -> AdministrationEvent | None:
    event = AdministrationEvent(
        irradiation_event_uid=item.text("RadiopharmaceuticalAdministrationEventUID"),
        acquisition_protocol=acquisition_protocol(obj),
        radionuclide=item.code("RadionuclideCodeSequence"),
        radiopharmaceutical=item.code("RadiopharmaceuticalCodeSequence"),
        route=item.code("AdministrationRouteCodeSequence"),
    )
    text = item.text("Radiopharmaceutical")
    if text:
        event.extra["radiopharmaceutical_text"] = text
    read_fields(item, ADMINISTRATION_FIELDS, event, exam.warnings)
    event.administered_activity_mbq = _activity(obj, item, exam)
    event.started_at = _moment(obj, item, "Start", exam)
    event.stopped_at = _moment(obj, item, "Stop", exam)
    known = (event.administered_activity_mbq, event.radiopharmaceutical, text, event.irradiation_event_uid)
    # A quality-control image names the nuclide of its source and an activity of 0: nobody received anything.
    return event if any(known) else None


def _activity(obj: DicomObject, item: Header, exam: Exam) -> float | None:
    sent = item.number("RadionuclideTotalDose")
    if not sent:
        return None
    where = "RadionuclideTotalDose"
    if sent < 0:
        warn(exam.warnings, "implausible_value", "an administered activity below zero", where, sent)
        return None
    family = "PT" if obj.sop_class_uid == PET_IMAGE else "NM"
    meant = next(entry for entry in ACTIVITY_RANGES[family] if sent < entry.below or entry.below == inf)
    if meant.unit is None:
        warn(
            exam.warnings,
            "unknown_unit",
            "an activity that could be in several units; none is assumed",
            where,
            sent,
        )
        return None
    if meant.unit != STANDARD_UNIT[family]:
        message = f"an activity that can only be in {meant.unit}, where {STANDARD_UNIT[family]} belongs"
        warn(exam.warnings, "activity_unit", message, where, sent)
    return sent / meant.divisor


def _moment(obj: DicomObject, item: Header, end: str, exam: Exam) -> str | None:
    """Start or stop: the date-time, else the time on the acquisition's day or the day before."""
    offset = iso_offset(obj.text("TimezoneOffsetFromUTC"))
    sent = item.text(f"Radiopharmaceutical{end}DateTime")
    moment = iso_datetime(sent, offset)
    if sent and moment is None:
        where = f"Radiopharmaceutical{end}DateTime"
        warn(exam.warnings, "unreadable_time", f"{where} is no date and time", where, sent)
    if moment is not None and end == "Stop":
        return moment
    acquired = acquired_at(obj)
    if moment is not None:
        if acquired and "T" in moment and _naive(moment) > _naive(acquired):
            message = "administration starts after the acquisition"
            warn(
                exam.warnings,
                "administration_after_acquisition",
                message,
                "RadiopharmaceuticalStartDateTime",
                moment,
            )
        return moment
    clock = item.text(f"Radiopharmaceutical{end}Time")
    if not clock or acquired is None:
        return None
    day = acquired[:10].replace("-", "")
    moment = iso_date_time(day, clock, offset)
    if moment is None or "T" not in moment:
        where = f"Radiopharmaceutical{end}Time"
        warn(exam.warnings, "unreadable_time", f"{where} is no time of day", where, clock)
        return None
    if _naive(moment) > _naive(acquired):
        # Only a time of day is sent: later than the acquisition means that midnight lies between.
        moment = iso_date_time((_naive(acquired) - timedelta(days=1)).strftime("%Y%m%d"), clock, offset)
        where = f"Radiopharmaceutical{end}Time"
        warn(exam.warnings, "shifted_over_midnight", "administration time is of the day before", where, clock)
    return moment


def _naive(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=None)


def _pet_series(obj: DicomObject, exam: Exam) -> PetSeries:
    series = PetSeries(
        started_at=iso_date_time(
            obj.text("SeriesDate"), obj.text("SeriesTime"), iso_offset(obj.text("TimezoneOffsetFromUTC"))
        ),
        reconstruction_method=obj.text("ReconstructionMethod"),
        scan_progression=obj.text("ScanProgressionDirection"),
        series_type=[text for text in obj.texts("SeriesType") if text],
        corrections=[text for text in obj.texts("CorrectedImage") if text],
        series_instance_uid=obj.text("SeriesInstanceUID"),
    )
    for name, keyword in PET_COUNTS:
        setattr(series, name, obj.number(keyword))
    for item in obj.items("EnergyWindowRangeSequence")[:1]:
        low, high = item.number("EnergyWindowLowerLimit"), item.number("EnergyWindowUpperLimit")
        if low is not None and high is not None:
            series.energy_window_kev = [low, high]
    return series
