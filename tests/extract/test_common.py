"""What every object tells alike: pseudonym, age, size, times with their offset, identifiers only on request."""

from __future__ import annotations

import hashlib
import hmac
from datetime import date

import pytest

from dose_audit.extract import ReadOptions, as_record
from dose_audit.extract.common import age_in_years, pseudonym_of
from dose_audit.extract.times import iso_date_time, iso_datetime, iso_offset
from tests.extract.sr_objects import CT, codes_of, container, read

ACQUISITION = container("113819")


def test_pseudonym_is_the_keyed_hash_of_the_normal_form():
    expected = hmac.new(b"key", b"AB1234", hashlib.sha256).hexdigest()
    for spelling in ("AB1234", "ab1234", " AB 12-34 ", "ＡＢ１２３４", "AB1234 "):
        assert pseudonym_of(spelling, b"key") == expected
    assert pseudonym_of("AB1234", b"other") != expected
    assert pseudonym_of("AB1234", b"") is None and pseudonym_of(" - ", b"key") is None


@pytest.mark.parametrize(
    ("birth", "at", "sent", "age"),
    [
        (date(1957, 3, 12), date(2006, 8, 23), None, 49.4),
        (date(2026, 1, 2), date(2026, 1, 2), "099Y", 0.0),
        (None, None, "067Y", 67.0),
        (None, None, "006W", 0.1),
        (None, None, "010D", 0.0),
        (None, None, "18M", 1.5),
        (None, None, "67", None),
        (None, None, "", None),
        (date(2030, 1, 1), date(2026, 1, 1), "042Y", 42.0),
        # The day before a birthday, and the day.
        (date(2008, 3, 10), date(2026, 3, 9), None, 17.9),
        (date(2008, 3, 10), date(2026, 3, 10), None, 18.0),
        (date(2021, 2, 1), date(2026, 1, 31), None, 4.9),
        (date(2021, 2, 1), date(2026, 2, 1), None, 5.0),
        (date(2024, 2, 29), date(2025, 2, 28), None, 0.9),
        (date(2024, 2, 29), date(2025, 3, 1), None, 1.0),
        (date(2023, 7, 1), date(2024, 6, 30), None, 0.9),
        (None, None, "052W", 0.9),
        (None, None, "059M", 4.9),
        (None, None, "216M", 18.0),
    ],
)
def test_age(birth, at, sent, age):
    assert age_in_years(birth, at, sent) == age


@pytest.mark.parametrize(
    ("sent", "metres", "code"),
    [
        ("1.78", 1.78, []),
        ("178", 1.78, ["height_in_centimetres"]),
        ("17.8", None, ["implausible_patient_value"]),
        ("0", None, []),
        ("-1", None, ["implausible_patient_value"]),
    ],
)
def test_height(sent, metres, code):
    exam = read(CT, ACQUISITION, PatientSize=sent)
    assert exam.patient.height_m == metres
    assert codes_of(exam) == code


@pytest.mark.parametrize(("sent", "kilograms"), [("70.5", 70.5), ("0", None), ("70500", None), ("0.35", None)])
def test_weight(sent, kilograms):
    assert read(CT, ACQUISITION, PatientWeight=sent).patient.weight_kg == kilograms


IDENTIFYING = {
    "PatientName": "Doe^Jane",
    "PatientID": "ID-77",
    "PatientBirthDate": "19700101",
    "ReferringPhysicianName": "Ref^Erring",
    "PerformingPhysicianName": "Per^Forming",
    "OperatorsName": ["Op^Erator", "Sec^Ond"],
}


def test_identifiers_only_on_request():
    quiet = read(CT, ACQUISITION, options=ReadOptions(pseudonym_key=b"key"), **IDENTIFYING)
    written = repr(as_record(quiet))
    for value in ("Doe", "ID-77", "1970", "Ref", "Forming", "Erator"):
        assert value not in written
    assert quiet.patient.age_years == 56.0 and len(quiet.patient.pseudonym) == 64
    kept = read(CT, ACQUISITION, options=ReadOptions(with_identifiers=True), **IDENTIFYING)
    assert (kept.patient.name, kept.patient.patient_id, kept.patient.birth_date) == ("Doe^Jane", "ID-77", "1970-01-01")
    assert kept.operators_name == "Op^Erator | Sec^Ond" and kept.referring_physician_name == "Ref^Erring"
    assert kept.patient.pseudonym is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            {"StudyDate": "20260102", "StudyTime": "101500.250", "TimezoneOffsetFromUTC": "+0530"},
            "2026-01-02T10:15:00.25+05:30",
        ),
        ({"StudyDate": "20260102", "StudyTime": ""}, "2026-01-02"),
        ({"StudyDate": "", "ContentDate": "20260103", "ContentTime": "0915"}, "2026-01-03T09:15:00"),
        ({"StudyDate": "", "StudyTime": "", "SeriesDate": "20260104"}, "2026-01-04"),
        ({"StudyDate": "", "StudyTime": "101500"}, None),
    ],
)
def test_study_time(header, expected):
    assert read(CT, ACQUISITION, **header).study_datetime == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("20260102101530.123456-0500", "2026-01-02T10:15:30.123456-05:00"),
        ("202601021015", "2026-01-02T10:15:00+01:00"),
        ("2026.01.02", "2026-01-02"),
        ("202601", None),
        ("20260230", None),
        ("20260102251500", None),
        ("20260102101560", "2026-01-02T10:15:59+01:00"),
        ("20260102101530.1234567", "2026-01-02T10:15:30.123456+01:00"),
        ("20260102101530.", "2026-01-02T10:15:30+01:00"),
        ("2026-01-02T10:15:30.5Z", "2026-01-02T10:15:30.5+00:00"),
        ("2026-01-02 10:15:30-05:00", "2026-01-02T10:15:30-05:00"),
        ("260102101530", None),
        ("soon", None),
        ("", None),
    ],
)
def test_moments(sent, expected):
    assert iso_datetime(sent, "+01:00") == expected


@pytest.mark.parametrize(
    ("header", "where"),
    [
        ({"StudyDate": "260102"}, ["StudyDate"]),
        ({"StudyTime": "10.15"}, ["StudyTime"]),
        ({"StudyDate": "20261302", "ContentDate": "soon"}, ["StudyDate", "ContentDate"]),
        ({"StudyDate": ""}, []),
    ],
)
def test_a_date_or_time_of_the_study_that_cannot_be_read_is_told(header, where):
    exam = read(CT, ACQUISITION, **header)
    assert [warning.where for warning in exam.warnings if warning.code == "unreadable_time"] == where
    assert exam.study_datetime in (None, "2026-01-02")


@pytest.mark.parametrize(("birth", "age"), [("18991230", None), ("19200102", 106.0)])
def test_a_birth_date_that_stands_for_none_gives_no_age(birth, age):
    assert read(CT, ACQUISITION, PatientBirthDate=birth).patient.age_years == age


def test_old_spellings_of_dates_and_times():
    assert iso_date_time("1997.01.31", "09:30:05") == "1997-01-31T09:30:05"
    assert iso_date_time("19970131", "noon") == "1997-01-31"
    assert iso_offset("+1500") == "" and iso_offset("-0330") == "-03:30" and iso_offset(None) == ""


def test_several_software_versions_are_kept():
    exam = read(CT, ACQUISITION, SoftwareVersions=["VB30A", "SP2"], Manufacturer="Maker", DeviceSerialNumber="7")
    assert exam.equipment.software_versions == "VB30A, SP2"
    assert (exam.equipment.manufacturer, exam.equipment.serial_number) == ("Maker", "7")
