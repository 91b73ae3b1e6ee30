"""Header modules that every object of an exam shares, with the exam-record values that they stand for."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from dose_audit.demo.network import site_of
from dose_audit.demo.plan import PlannedExam, uid

__all__ = ["da", "device_uid", "dt", "exam_header", "exam_truth", "iso", "stamp", "tm", "utc_offset"]

_WRITES_OFFSET = frozenset({("ct", "canon")})
"""Kinds and styles of devices that write Timezone Offset From UTC."""


def da(moment: datetime | date) -> str:
    """Return a DICOM date."""
    return moment.strftime("%Y%m%d")


def tm(moment: datetime) -> str:
    """Return a DICOM time of whole seconds."""
    return moment.strftime("%H%M%S")


def dt(moment: datetime) -> str:
    """Return a DICOM date and time without offset."""
    return moment.strftime("%Y%m%d%H%M%S")


def utc_offset(exam: PlannedExam) -> str | None:
    """Return the device's offset from UTC as DICOM writes it (UK clock), or ``None`` where it writes none."""
    if (exam.device.kind, exam.device.style) not in _WRITES_OFFSET:
        return None
    return "+0100" if date(2026, 3, 29) <= exam.started.date() < date(2026, 10, 25) else "+0000"


def stamp(exam: PlannedExam, moment: datetime) -> str:
    """Return a DICOM date and time, with the offset from UTC where the device states it."""
    return dt(moment) + (utc_offset(exam) or "")


def iso(exam: PlannedExam, moment: datetime) -> str:
    """Return a moment of an exam as ISO 8601, with the offset where the device states one."""
    offset = utc_offset(exam)
    return moment.isoformat() + ("" if offset is None else f"{offset[:3]}:{offset[3:]}")


def exam_header(
    exam: PlannedExam, *, sop_class_uid: str, sop_instance_uid: str, modality: str, series: Any
) -> dict[str | int, Any]:
    """Return the patient, study, series and equipment attributes of one object.

    Parameters
    ----------
    exam : PlannedExam
        The exam.
    sop_class_uid, sop_instance_uid, modality : str
        Of the object.
    series : object
        Names the series within the exam; its UID follows from it.

    Returns
    -------
    dict
        Attributes for :func:`dose_audit.demo.encode.attributes`.
    """
    patient, cohort, where = exam.patient, exam.cohort, exam.device
    age_years = _whole_years(patient.birth_date, exam.started.date())
    header: dict[str | int, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": sop_class_uid,
        "SOPInstanceUID": sop_instance_uid,
        "StudyDate": da(exam.started),
        "SeriesDate": da(exam.started),
        "ContentDate": da(exam.started),
        "StudyTime": tm(exam.started),
        "SeriesTime": tm(exam.started),
        "ContentTime": tm(exam.started + timedelta(minutes=6)),
        "AccessionNumber": f"ACC{exam.number:07d}",
        "Modality": modality,
        "Manufacturer": where.manufacturer,
        "InstitutionName": site_of(where).name,
        "ReferringPhysicianName": "",
        "StationName": where.station_name,
        "StudyDescription": cohort.study_description,
        "ProcedureCodeSequence": [
            {
                "CodeValue": cohort.code,
                "CodingSchemeDesignator": "99DEMO",
                "CodeMeaning": cohort.study_description,
            }
        ],
        "InstitutionalDepartmentName": where.department,
        "ManufacturerModelName": where.model_name,
        "PatientName": patient.name,
        "PatientID": patient.patient_id,
        "PatientBirthDate": da(patient.birth_date),
        "PatientSex": patient.sex,
        "PatientAge": f"{age_years:03d}Y",
        "PatientSize": patient.height_m,
        "DeviceSerialNumber": where.serial_number,
        "SoftwareVersions": where.software_versions,
        "StudyInstanceUID": exam.uid("study"),
        "SeriesInstanceUID": exam.uid("series", series),
        "StudyID": f"{exam.number}",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
    }
    if patient.weight_kg is not None:
        header["PatientWeight"] = patient.weight_kg
    offset = utc_offset(exam)
    if offset is not None:
        header["TimezoneOffsetFromUTC"] = offset
    return header


def exam_truth(
    exam: PlannedExam, *, sop_class_uid: str, sop_instance_uid: str, kind: str, series: Any
) -> dict[str, Any]:
    """Return what an exam record must say of one object's header; the arguments are those of
    :func:`exam_header`.
    """
    patient, cohort, where = exam.patient, exam.cohort, exam.device
    day, birth = exam.started.date(), patient.birth_date
    birthdays = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    return {
        "study_instance_uid": exam.uid("study"),
        "accession_number": f"ACC{exam.number:07d}",
        "study_id": f"{exam.number}",
        "study_datetime": iso(exam, exam.started),
        "modality": where.modality,
        "study_description": cohort.study_description,
        "procedure_codes": [
            {"value": cohort.code, "scheme": "99DEMO", "meaning": cohort.study_description},
        ],
        "patient": {
            "sex": patient.sex,
            "age_years": min(round((day - birth).days / 365.25, 1), birthdays + 0.9),
            "weight_kg": None if patient.weight_kg is None else float(patient.weight_kg),
            "height_m": float(patient.height_m),
        },
        "equipment": {
            "manufacturer": where.manufacturer,
            "model_name": where.model_name,
            "station_name": where.station_name,
            "serial_number": where.serial_number,
            "software_versions": where.software_versions,
            "institution_name": site_of(where).name,
            "department": where.department,
        },
        "sources": [
            {
                "sop_instance_uid": sop_instance_uid,
                "sop_class_uid": sop_class_uid,
                "kind": kind,
                "series_instance_uid": exam.uid("series", series),
            }
        ],
    }


def device_uid(exam: PlannedExam) -> str:
    """Return the Device Observer UID of the exam's device, the same in every exam."""
    return uid("device", exam.device.key)


def _whole_years(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
