"""What every object tells alike: patient, equipment, study and the warnings on the way."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import fields
from datetime import date
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from dose_audit.extract._dictionary import KEYWORDS
from dose_audit.extract.codes import Code
from dose_audit.extract.exam import Equipment, Exam, Patient, Source, Warning
from dose_audit.extract.options import ReadOptions
from dose_audit.extract.times import date_of, iso_date_time, iso_datetime, iso_offset

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject, Header

__all__ = [
    "MAX_WARNINGS",
    "TextTable",
    "age_in_years",
    "date_time_of",
    "equipment_from_header",
    "moment_of",
    "patient_from_header",
    "pseudonym_of",
    "read_texts",
    "source_of",
    "study_from_header",
    "warn",
]

MAX_WARNINGS = 500
"""Warnings kept per object; one more says that there were more."""

PLAUSIBLE = {"weight_kg": (0.4, 350.0), "height_m": (0.3, 2.3), "age_years": (0.0, 120.0)}
"""Bounds outside which a patient's size or age is a typing error, or a stand-in (1899-12-30), and not used."""

# The objects of a study share dates and times, and so do the attributes of one object.
date_time_of = lru_cache(maxsize=4096)(iso_date_time)
moment_of = lru_cache(maxsize=4096)(iso_datetime)
_day_of = lru_cache(maxsize=1024)(date_of)


class TextTable(dict[str, str]):
    """Field → keyword of the element whose first value fills it as text."""

    @cached_property
    def rows(self) -> list[tuple[int, str, str]]:
        """Tag, keyword and field."""
        return [(KEYWORDS[keyword][0], keyword, name) for name, keyword in self.items()]


EQUIPMENT = TextTable(
    manufacturer="Manufacturer",
    model_name="ManufacturerModelName",
    station_name="StationName",
    serial_number="DeviceSerialNumber",
    institution_name="InstitutionName",
    department="InstitutionalDepartmentName",
    device_observer_uid="DeviceUID",
    gantry_id="GantryID",
    detector_type="DetectorType",
    institution_address="InstitutionAddress",
)
STUDY = TextTable(
    study_instance_uid="StudyInstanceUID",
    accession_number="AccessionNumber",
    study_id="StudyID",
    study_description="StudyDescription",
    requested_procedure_description="RequestedProcedureDescription",
)
STUDY_MOMENTS = tuple((f"{part}Date", f"{part}Time") for part in ("Study", "Content", "Series", "Acquisition"))
"""Where the moment of a study is looked for, in this order."""

_AGE = re.compile(r"(\d{1,3})([DWMY])", re.ASCII)
_YEARS_PER = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def warn(warnings: list[Warning], code: str, message: str, where: str | None = None, raw: object = None) -> None:
    """Add a warning; the raw text is cut at 80 characters and the list at `MAX_WARNINGS`."""
    if len(warnings) < MAX_WARNINGS:
        warnings.append(Warning(code, message, where, None if raw is None else str(raw)[:80]))
    elif len(warnings) == MAX_WARNINGS:
        warnings.append(Warning("more_warnings", f"more than {MAX_WARNINGS} warnings; the rest is not listed"))


def pseudonym_of(patient_id: str | None, key: bytes | None) -> str | None:
    """Keyed pseudonym of a Patient ID, the same for every spelling of it.

    Parameters
    ----------
    patient_id : str or None
        As sent; compatibility forms, letter case, white space and hyphens do not matter.
    key : bytes or None
        Secret of the installation.

    Returns
    -------
    str or None
        64 hexadecimal digits of HMAC-SHA-256, or `None` without a key or an ID.

    Examples
    --------
    >>> pseudonym_of("ab-12 34", b"key") == pseudonym_of("AB1234", b"key")
    True
    >>> pseudonym_of("AB1234", None) is None
    True
    """
    if not key or not patient_id:
        return None
    normal = re.sub(r"[\s\-]+", "", unicodedata.normalize("NFKC", patient_id)).upper()
    return hmac.new(key, normal.encode("utf-8"), hashlib.sha256).hexdigest() if normal else None


def age_in_years(birth: date | None, at: date | None, patient_age: str | None) -> float | None:
    """Age to 0.1 year: from birth date to study date, else from Patient Age (``010D``, ``006W``, ``067Y``).

    It is not rounded up to a birthday that has not come: bands, and being an adult, begin on that day.

    Examples
    --------
    >>> age_in_years(date(1929, 5, 21), date(1997, 1, 1), "067Y")
    67.6
    >>> age_in_years(date(2008, 3, 10), date(2026, 3, 9), None), age_in_years(date(2008, 3, 10), date(2026, 3, 10), None)
    (17.9, 18.0)
    >>> age_in_years(None, None, "018M")
    1.5
    """
    if birth and at and at >= birth:
        before = (at.month, at.day) < (birth.month, birth.day)
        return _to_a_tenth((at - birth).days / 365.25, at.year - birth.year - before)
    match = _AGE.fullmatch(patient_age.strip().upper()) if patient_age else None
    if match is None:
        return None
    years = int(match[1]) * _YEARS_PER[match[2]]
    return _to_a_tenth(years, int(years))


def _to_a_tenth(years: float, completed: int) -> float:
    return min(round(years, 1), completed + 0.9)


def plausible(name: str, value: float | None, warnings: list[Warning]) -> float | None:
    """The value, or `None` with a warning when it is out of bounds; 0 means *not entered* and is silent."""
    if not value:
        return value if name == "age_years" else None
    low, high = PLAUSIBLE[name]
    if low <= value <= high:
        return value
    warn(warnings, "implausible_patient_value", f"{name} outside {low:g} to {high:g}", name, f"{value:g}")
    return None


def height_in_metres(value: float | None, warnings: list[Warning]) -> float | None:
    """Patient height in metres; a value that can only be centimetres is converted, with a warning."""
    if value is not None and 30 <= value <= 230:
        warn(warnings, "height_in_centimetres", "patient height sent in centimetres", "height_m", f"{value:g}")
        value = round(value / 100, 4)
    return plausible("height_m", value, warnings)


def study_date_of(header: Header) -> date | None:
    """Study Date, else Content Date, else Series Date, else Acquisition Date."""
    for keyword in ("StudyDate", "ContentDate", "SeriesDate", "AcquisitionDate"):
        found = _day_of(header.text(keyword))
        if found:
            return found
    return None


def patient_from_header(header: Header, options: ReadOptions, warnings: list[Warning]) -> Patient:
    """Read who was exposed from the patient and patient study modules.

    Parameters
    ----------
    header : Header
        The object's top level.
    options : ReadOptions
        Identifiers are kept only with ``with_identifiers``; the pseudonym needs ``pseudonym_key``.
    warnings : list of Warning
        Grows by what had to be repaired or left out.

    Returns
    -------
    Patient
        `is_phantom` is left to the not-a-patient rules.
    """
    sent = header.text("PatientBirthDate")
    birth = date_of(sent)
    if sent and birth is None and len(sent) != 8:  # 99990101 and its like stand in for nothing
        warn(warnings, "unreadable_time", "PatientBirthDate is no date", "PatientBirthDate")
    at = study_date_of(header)
    if birth and at and birth > at:
        warn(warnings, "birth_after_study", "the birth date is after the study date", "PatientBirthDate")
    sex = (header.text("PatientSex") or "").strip().upper()
    patient_id = header.text("PatientID")
    patient = Patient(
        sex=sex if sex in ("M", "F", "O") else None,
        age_years=plausible("age_years", age_in_years(birth, at, header.text("PatientAge")), warnings),
        weight_kg=plausible("weight_kg", header.number("PatientWeight"), warnings),
        height_m=height_in_metres(header.number("PatientSize"), warnings),
        pseudonym=pseudonym_of(patient_id, options.pseudonym_key),
    )
    if options.with_identifiers:
        patient.patient_id = patient_id
        patient.name = header.text("PatientName")
        patient.birth_date = birth.isoformat() if birth else None
    return patient


def read_texts(header: Header, table: TextTable, into: Any) -> None:
    """Fill the fields of a table from a header; one whose element is absent stays as it is."""
    for _, keyword, name in header.present(table.rows):
        setattr(into, name, header.text(keyword))


def equipment_from_header(header: Header) -> Equipment:
    """Read the device from the general equipment module; several software versions are joined by ``", "``."""
    return Equipment(*header.kept("equipment", _equipment_tags(), _read_equipment))


def _read_equipment(header: Header) -> tuple[str | None, ...]:
    """The values of `Equipment` in its order."""
    equipment = Equipment()
    read_texts(header, EQUIPMENT, equipment)
    if header.has("SoftwareVersions"):
        equipment.software_versions = ", ".join(filter(None, header.texts("SoftwareVersions"))) or None
    return tuple(getattr(equipment, field.name) for field in fields(equipment))


@cache
def _equipment_tags() -> tuple[int, ...]:
    return tuple(KEYWORDS[keyword][0] for keyword in (*EQUIPMENT.values(), "SoftwareVersions"))


def source_of(obj: DicomObject, kind: str) -> Source:
    """Name the object itself, with the kind under which it was read."""
    return Source(obj.sop_instance_uid, obj.sop_class_uid, kind, obj.text("SeriesInstanceUID"))


def study_from_header(header: Header, exam: Exam, options: ReadOptions) -> None:
    """Fill what the general study module and the request tell into an exam.

    Parameters
    ----------
    header : Header
        The object's top level.
    exam : Exam
        Changed in place: study UID, accession number, study ID, date and time (Study, then Content, then
        Series), descriptions, procedure codes, and with ``with_identifiers`` the names of staff. `modality`
        is not touched.
    options : ReadOptions
    """
    offset = iso_offset(header.text("TimezoneOffsetFromUTC"))
    read_texts(header, STUDY, exam)
    for day, clock in STUDY_MOMENTS:
        date_sent, time_sent = header.text(day), header.text(clock)
        exam.study_datetime = found = date_time_of(date_sent, time_sent, offset)
        if found:
            if time_sent and "T" not in found:
                warn(exam.warnings, "unreadable_time", f"{clock} is no time of day", clock, time_sent)
            break
        if date_sent:
            warn(exam.warnings, "unreadable_time", f"{day} is no date", day, date_sent)
    exam.procedure_codes = header.codes("ProcedureCodeSequence")
    requests = header.items("RequestAttributesSequence")
    request = requests[0] if requests else None
    exam.requested_procedure_codes = header.codes("RequestedProcedureCodeSequence")
    if request is not None:
        exam.requested_procedure_codes = exam.requested_procedure_codes or request.codes(
            "RequestedProcedureCodeSequence"
        )
        exam.requested_procedure_description = (
            request.text("RequestedProcedureDescription") or exam.requested_procedure_description
        )
        exam.accession_number = exam.accession_number or request.text("AccessionNumber")
    if not exam.requested_procedure_description:
        exam.requested_procedure_description = _first_meaning(exam.requested_procedure_codes)
    if options.with_identifiers:
        exam.performing_physician_name = _names(header, "PerformingPhysicianName")
        exam.operators_name = _names(header, "OperatorsName")
        exam.referring_physician_name = _names(header, "ReferringPhysicianName")
        readers = _names(header, "NameOfPhysiciansReadingStudy")
        if readers:
            exam.extra["name_of_physicians_reading_study"] = readers


def _names(header: Header, keyword: str) -> str | None:
    return " | ".join(filter(None, header.texts(keyword))) or None


def _first_meaning(codes: list[Code]) -> str | None:
    return next((code.meaning for code in codes if code.meaning), None)
