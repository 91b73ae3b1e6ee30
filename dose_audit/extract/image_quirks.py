"""Vendor defects of image headers as a table: who, what is wrong, what is done, what shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from dose_audit.extract.common import warn
from dose_audit.extract.exam import Exam, Filter, ProjectionEvent

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject

__all__ = ["IMAGE_QUIRKS", "ImageQuirk", "apply_image_quirks"]

Repair = Callable[["DicomObject", Exam, ProjectionEvent], None]


class ImageQuirk(NamedTuple):
    """One defect of one sender.

    Attributes
    ----------
    code : str
        Warning code under which a repair is reported.
    manufacturer, model : str
        Regular expressions searched in Manufacturer and Manufacturer's Model Name, letter case ignored; empty
        is any.
    defect, handling, evidence : str
        What is wrong, what is done about it, and what shows it.
    repair : callable or None
        Changes the event or the exam; `None` where the general reading already copes, for every vendor.
    """

    code: str
    manufacturer: str
    model: str
    defect: str
    handling: str
    evidence: str
    repair: Repair | None


def apply_image_quirks(obj: DicomObject, exam: Exam) -> None:
    """Run the repairs of every quirk whose manufacturer and model fit, in the order of the table."""
    repairs = _repairs_for(exam.equipment.manufacturer or "", exam.equipment.model_name or "")
    for event in exam.events if repairs else ():
        for repair in repairs:
            repair(obj, exam, event)


@lru_cache(maxsize=1024)
def _repairs_for(manufacturer: str, model: str) -> tuple[Repair, ...]:
    return tuple(
        quirk.repair
        for quirk in IMAGE_QUIRKS
        if quirk.repair is not None
        and re.search(quirk.manufacturer, manufacturer, re.IGNORECASE)
        and re.search(quirk.model, model, re.IGNORECASE)
    )


def _decimetres(obj: DicomObject, exam: Exam, event: ProjectionEvent) -> None:
    sent = event.source_detector_mm
    if sent is not None and 5 <= sent <= 35:  # 0.5 m to 3.5 m
        event.source_detector_mm = round(sent * 100, 6)
        warn(
            exam.warnings,
            "distance_in_decimetres",
            "source to detector distance sent in dm",
            "source_detector_mm",
            sent,
        )


def _copper_in_filter_type(obj: DicomObject, exam: Exam, event: ProjectionEvent) -> None:
    match = re.fullmatch(r"CU_(\d(?:\.\d+)?)_MM", (obj.text("FilterType") or "").upper())
    if match:
        thickness = float(match[1])
        event.filters = [Filter(type=None, material="Cu", min_mm=thickness, max_mm=thickness)]
        warn(exam.warnings, "filter_in_type", "copper thickness taken from Filter Type", "FilterType", match[0])


def _protocol_in_comments(obj: DicomObject, exam: Exam, event: ProjectionEvent) -> None:
    comment = obj.text("ImageComments")
    if comment and not obj.has("ProtocolName"):
        event.acquisition_protocol = comment
        warn(
            exam.warnings,
            "protocol_in_comments",
            "acquisition protocol taken from Image Comments",
            "ImageComments",
        )


def _request_in_study_description(obj: DicomObject, exam: Exam, event: ProjectionEvent) -> None:
    if not exam.requested_procedure_description and exam.study_description:
        exam.requested_procedure_description = exam.study_description
        warn(
            exam.warnings,
            "request_in_study",
            "requested procedure taken from Study Description",
            "StudyDescription",
        )


DECINEWTON_FROM = 300.0
"""Compression force above which the value cannot be newtons: paddles stop at 200 to 300 N."""


def _decinewtons(obj: DicomObject, exam: Exam, event: ProjectionEvent) -> None:
    sent = event.compression_force_n
    if sent is not None and sent > DECINEWTON_FROM:
        event.compression_force_n = sent / 10
        warn(exam.warnings, "force_in_decinewton", "compression force sent in dN", "compression_force_n", sent)


FILM_KAP_LIMIT_GY_CM2 = 5.0
"""KAP of one film above which the unit of a sender known for wrong units is not believed."""


def _kap_unit_unknown(obj: DicomObject, exam: Exam, event: ProjectionEvent) -> None:
    if event.kap_gy_cm2 is not None and event.kap_gy_cm2 > FILM_KAP_LIMIT_GY_CM2:
        raw = obj.text("ImageAndFluoroscopyAreaDoseProduct")
        event.kap_gy_cm2 = None
        warn(exam.warnings, "kap_unit_unknown", "KAP too high for one film: unit unknown", "kap_gy_cm2", raw)


def _radiological_thickness(obj: DicomObject, exam: Exam, event: ProjectionEvent) -> None:
    value = obj.private_number(0x0045, "GEMS_SENO_02", 0x49)
    if value:
        event.extra["radiological_thickness_mm"] = value


def _named_index(element: str, name: str) -> Repair:
    """The vendor's own exposure indicator: never comparable between vendors, so it carries its name."""

    def repair(obj: DicomObject, exam: Exam, event: ProjectionEvent) -> None:
        value = event.extra.get("sensitivity") if element == "Sensitivity" else event.relative_xray_exposure
        if value is not None:
            event.extra["vendor_exposure_index_name"] = name
            event.extra["vendor_exposure_index_from"] = element

    return repair


_VENDOR_INDICES = (
    ("fuji", "Sensitivity", "S"),
    ("konica", "Sensitivity", "S"),
    ("carestream|kodak", "RelativeXRayExposure", "EI (mbel)"),
    ("agfa", "RelativeXRayExposure", "lgM (bel)"),
    ("canon", "RelativeXRayExposure", "REX"),
    ("swissray", "RelativeXRayExposure", "DI"),
    ("philips", "RelativeXRayExposure", "EI"),
    ("siemens", "RelativeXRayExposure", "EXI (uGy)"),
)
"""Manufacturer, element, and the vendor's name for its indicator."""

IMAGE_QUIRKS: tuple[ImageQuirk, ...] = (
    ImageQuirk(
        "distance_in_decimetres", "kodak", r"dr\s*7500",
        "Distance Source to Detector in dm (11.5)", "multiplied by 100",
        "real file DX-Im-Carestream_DR7500-1", _decimetres,
    ),
    ImageQuirk(
        "comma_for_backslash", "kodak", r"dr\s*7500",
        "filter materials and thicknesses joined by a comma", "split, for every vendor",
        "real file DX-Im-Carestream_DR7500-2; OpenREM issues 338, 645", None,
    ),
    ImageQuirk(
        "filter_swapped", "carestream|kodak", "",
        "filter minimum above its maximum", "exchanged, for every vendor",
        "real files DX-Im-Carestream_DR7500; OpenREM issue 453", None,
    ),
    ImageQuirk(
        "filter_in_type", "siemens", "",
        "Multix: copper thickness only in Filter Type (CU_0.1_MM)", "read as material and thickness",
        "OpenREM issue 905", _copper_in_filter_type,
    ),
    ImageQuirk(
        "decimals_in_integer", "drgem", "",
        "decimals in Exposure, Exposure Time, X-Ray Tube Current", "read as sent, for every vendor",
        "OpenREM issue 1033; 161.3 ms and 40.196 mAs seen", None,
    ),
    ImageQuirk(
        "kap_unit_unknown", "drgem", "",
        "KAP of one film in another unit (135.18)", "no value above 5 Gy.cm2 for one film",
        "135.18 seen for one film", _kap_unit_unknown,
    ),
    ImageQuirk(
        "force_in_decinewton", "^ge ", "seno",
        "old Senographe DS software writes the compression force in dN", "divided by 10 where it cannot be N",
        "OpenREM issue 135", _decinewtons,
    ),
    ImageQuirk(
        "radiological_thickness", "^ge ", "",
        "radiological breast thickness only in a private element", "kept as radiological_thickness_mm",
        "real files MG-Im-GE_Seno", _radiological_thickness,
    ),
    ImageQuirk(
        "laterality_at_top", "hologic", "",
        "projections name the breast in Laterality, not Image Laterality", "either is read, for every vendor",
        "real file MG-Im-Hologic-PropProj; OpenREM issue 411", None,
    ),
    ImageQuirk(
        "protocol_in_comments", "toshiba", r"tm_tfd|radrex|tfd",
        "acquisition protocol in Image Comments", "taken from there where Protocol Name is absent",
        "OpenREM issue 482", _protocol_in_comments,
    ),
    ImageQuirk(
        "request_in_study", "canon", "cxdi",
        "requested procedure only in Study Description", "taken from there",
        "OpenREM's Canon CXDI case", _request_in_study_description,
    ),
    ImageQuirk(
        "request_in_study", "carestream", "drx-revolution",
        "requested procedure only in Study Description", "taken from there",
        "real file DX-Im-Carestream_DRX", _request_in_study_description,
    ),
    ImageQuirk(
        "dose_in_private_elements", "toshiba|canon", "",
        "CTDIvol, DLP, pitch and collimation of a CT slice in private elements only", "read from (7005,xx08/23/40/63)",
        "Toshiba conformance statements; OpenREM's Toshiba import", None,
    ),
    ImageQuirk(
        "screen_without_times", "philips", "brilliance",
        "Dose Info captures whose exposures have no time", "read without; their order is the screen's",
        "real file CT-SC-Philips_Brilliance16P; OpenREM issue 500", None,
    ),
    ImageQuirk(
        "sequence_of_unknown_vr", "philips", "brilliance",
        "the sequence of exposures is sent with VR UN", "read as a sequence, whatever is inside, for every vendor",
        "OpenREM issue 302", None,
    ),
    ImageQuirk(
        "screen_without_total", "philips", "brilliance",
        "Dose Info captures without a total DLP", "no total; the sum of the exposures stands beside it",
        "OpenREM issue 967", None,
    ),
    *(
        ImageQuirk(
            "vendor_exposure_index", manufacturer, "",
            "the vendor's own exposure indicator in a standard element", f"kept with its name, {name}",
            "vendors' conformance statements, as OpenREM lists them", _named_index(element, name),
        )
        for manufacturer, element, name in _VENDOR_INDICES
    ),
)  # fmt: skip
