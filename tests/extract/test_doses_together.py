"""Values under the wrong one of two known units, free text for a code, offsets behind a blank."""

from __future__ import annotations

import pytest

from dose_audit.extract.times import iso_datetime
from tests.extract.sr_objects import (
    CT,
    MAMMOGRAPHY,
    PROJECTION,
    coded,
    codes_of,
    container,
    num,
    read,
    text,
    uid,
)


def _exposure(kap: str, unit: str, dose: str, dose_unit: str):
    event = container("113706", uid("113769", "1.2.3"), num("122130", kap, unit), num("113738", dose, dose_unit))
    return read(PROJECTION, event)


# A field of 10 cm by 10 cm at the reference point: 0.5 mGy is 0.05 Gy.cm2 (KAP is kerma times area).
@pytest.mark.parametrize(
    ("kap", "unit", "dose", "dose_unit", "apart"),
    [
        ("0.05", "Gy.cm2", "0.5", "mGy", False),
        ("0.000005", "Gy.m2", "0.0005", "Gy", False),
        ("0.05", "Gy.cm2", "0.5", "Gy", True),
        ("0.05", "Gy.m2", "0.5", "mGy", True),
        ("0.05", "Gy.cm2", "0.0005", "mGy", True),
        ("0.006", "Gy.cm2", "1", "mGy", False),  # a dentist's tube, 2 cm by 3 cm
        ("1.8", "Gy.cm2", "1", "mGy", False),  # 43 cm by 42 cm
    ],
)
def test_kap_and_dose_are_of_a_field_that_can_be(kap: str, unit: str, dose: str, dose_unit: str, apart: bool) -> None:
    exam = _exposure(kap, unit, dose, dose_unit)
    assert ("doses_disagree" in codes_of(exam)) is apart
    assert exam.events[0].kap_gy_cm2 is not None and exam.events[0].dose_rp_mgy is not None  # nobody knows which


def test_one_rounded_event_does_not_judge_the_others() -> None:
    events = [
        container("113706", uid("113769", f"1.2.{n}"), num("122130", kap, "Gy.cm2"), num("113738", dose, "mGy"))
        for n, (kap, dose) in enumerate((("0.5", "5"), ("0.0004", "0.00001")))
    ]
    assert "doses_disagree" not in codes_of(read(PROJECTION, *events))


def test_totals_are_held_to_the_same() -> None:
    plane = (coded("113764", "113622"), num("113722", "0.002", "Gy.m2"))
    right = read(PROJECTION, container("113702", *plane, num("113725", "0.2", "Gy")))
    wrong = read(PROJECTION, container("113702", *plane, num("113725", "200", "Gy")))
    assert "doses_disagree" not in codes_of(right)
    assert "doses_disagree" in codes_of(wrong)


# DLP is CTDIvol times the exposed length: 10 mGy over 400 mm is 400 mGy.cm.
@pytest.mark.parametrize(
    ("kind", "dlp", "unit", "apart"),
    [
        ("116152004@SCT", "400", "mGy.cm", False),
        ("116152004@SCT", "520", "mGy.cm", False),  # the spiral's ends are exposed too
        ("116152004@SCT", "420", "mGy.mm", False),  # a tenth is what nothing of this can tell
        ("116152004@SCT", "400", "Gy.cm", True),
        ("116152004@SCT", "4", "mGy.cm", True),
        ("113806", "8000", "mGy.cm", False),  # the table stands: many rotations at one place
    ],
)
def test_dlp_is_of_about_the_scanning_length(kind: str, dlp: str, unit: str, apart: bool) -> None:
    acquisition = container(
        "113819",
        coded("113820", kind),
        uid("113769", "1.2.3"),
        container("113822", num("113825", "400", "mm")),
        container("113829", num("113830", "10", "mGy"), num("113838", dlp, unit)),
    )
    exam = read(CT, acquisition)
    assert ("doses_disagree" in codes_of(exam)) is apart
    assert exam.events[0].dlp_mgy_cm is not None


@pytest.mark.parametrize(
    ("sent", "side", "warned"),
    [("Left", "left", "code_by_meaning"), ("RIGHT", "right", "code_by_meaning"), ("the other", None, "unknown_code")],
)
def test_a_side_in_words(sent: str, side: str | None, warned: str) -> None:
    exam = read(MAMMOGRAPHY, container("113706", uid("113769", "1.2.3"), text("272741003@SCT", sent)))
    assert exam.events[0].laterality == side
    assert codes_of(exam) == [warned]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("20240101101010 +0100", "2024-01-01T10:10:10+01:00"),
        ("20240101101010.5 -0330", "2024-01-01T10:10:10.5-03:30"),
        ("20240101101010  +0100", None),
    ],
)
def test_a_blank_in_front_of_the_offset(sent: str, meant: str | None) -> None:
    assert iso_datetime(sent) == meant
