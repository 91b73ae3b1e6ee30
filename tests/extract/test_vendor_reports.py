"""What the rows of `quirks_covered` say: reports as these makers send them, and the exam that comes of each."""

from __future__ import annotations

import json

import pytest

from dose_audit.extract import Exam, as_record, merge_parts
from dose_audit.extract.reader import read_object
from dose_audit.extract.sr import read_sr
from tests.extract.sr_objects import (
    CT,
    MAMMOGRAPHY,
    PROJECTION,
    coded,
    codes_of,
    container,
    moment,
    num,
    read,
    report,
    text,
    uid,
)

SINGLE = coded("113764", "113622")
KAP = num("122130", "1e-5", "Gy.m2")
LEFT = coded("272741003@SCT", "7771000@SCT")
BREAST = coded("123014", "76752008@SCT", LEFT)


def event(*items):
    return container("113706", SINGLE, uid("113769", "1.2.9"), *items)


def test_ge_surgery_words_under_standard_codes():
    exam = read(
        PROJECTION,
        text("121012", "1.2.840.77", meaning="Device Observer UID"),
        coded("121005", "121007"),
        coded("113705", "113014", meaning="Study"),
        container(
            "113702",
            SINGLE,
            num("113726", "0.02", "Gy.m2"),
            num("113728", "0.5", "Gy", meaning="Fluoro Dose(RP) Total"),
            num("113731", 12, "1", meaning="Total Number Of Radiographic Frames"),
        ),
        event(
            moment("111526", "20260102101600"),
            num("113734", "3.5", "mA", meaning="mA"),
            num("112011", None),
        ),
        Manufacturer="GE Healthcare Surgery",
        ManufacturerModelName="OEC Elite MiniView",
    )
    assert exam.equipment.device_observer_uid == "1.2.840.77"
    assert exam.report.scope_of_accumulation.value == "113014"
    totals, (found,) = exam.totals, exam.events
    assert (totals.fluoro_kap_gy_cm2, totals.fluoro_dose_rp_mgy, totals.radiographic_frames) == (200, 500, 12)
    assert (found.started_at, found.tube_current_ma) == ("2026-01-02T10:16:00", 3.5)
    assert (found.primary_angle_deg, exam.modality, codes_of(exam)) == (None, "RF", [])


def test_ziehm_without_summary_data():
    exam = read(PROJECTION, event(KAP), Manufacturer="Ziehm Imaging GmbH")
    assert (exam.events[0].kap_gy_cm2, exam.totals.kap_gy_cm2, codes_of(exam)) == (0.1, None, [])
    assert merge_parts([exam]).totals.events_kap_gy_cm2 == 0.1


def test_spectrum_dynamics_participant_of_an_unknown_kind():
    person = text("113870", "Somebody^Else")
    person.ValueType = "PERSON NAME"
    flags = container(
        "113900",
        coded("113901", "373067005@SCT", meaning="DLP Alert Value Configured"),
        coded("113902", "373066001@SCT", meaning="CTDIVol Alert Value Configured"),
    )
    exam = read(
        CT,
        container("113811", num("113813", "100", "mGy.cm")),
        container("113819", uid("113769", "1.2"), person, container("113829", flags)),
        Manufacturer="Spectrum Dynamics",
        ManufacturerModelName="VERITON-CT",
    )
    assert "Somebody" not in json.dumps(as_record(exam), default=str)
    assert exam.totals.ct_dlp_mgy_cm == 100


def test_varian_without_study_time():
    exam = read(PROJECTION, event(KAP), Manufacturer="Varian", StudyTime="")
    assert (exam.study_datetime, codes_of(exam)) == ("2026-01-02", [])


def test_ge_request_of_length_zero():
    exam = read(CT, container("113811", num("113813", "100", "mGy.cm")), RequestAttributesSequence=[])
    assert (exam.requested_procedure_description, codes_of(exam)) == (None, [])


def test_mammomat_total_of_one_projection_only():
    exposures = [
        container("113706", SINGLE, uid("113769", f"1.2.{number}"), BREAST, num("111631", "1.5", "mGy"))
        for number in (1, 2)
    ]
    exam = merge_parts([read(MAMMOGRAPHY, container("113702", num("111637", "1.5", "mGy", LEFT)), *exposures)])
    assert (exam.totals.agd_mgy, exam.totals.events_agd_mgy) == ({"left": 1.5}, {"left": 3.0})
    assert "totals_disagree" in " ".join(codes_of(exam))


@pytest.mark.parametrize("sent", ["", None])
def test_azurion_without_a_calibration_date(sent):
    calibration = container("122505", *([] if sent is None else [moment("113723", sent)]), num("113763", "5", "%"))
    exam = read(
        PROJECTION,
        container("113702", SINGLE, calibration),
        event(KAP),
        Manufacturer="Philips",
        ManufacturerModelName="Azurion",
    )
    assert (exam.events[0].kap_gy_cm2, exam.modality) == (0.1, "RF")


def test_a_reference_point_in_words():
    exam = read(PROJECTION, event(text("113780", "15cm below BeamIsocenter")), Manufacturer="Philips")
    assert exam.events[0].reference_point == "15cm below BeamIsocenter"


@pytest.mark.parametrize(("total", "modality"), [("113726", "RF"), ("113727", "DX")])
@pytest.mark.parametrize("model", ["Fluorospot Compact FD", "MultiDiagnost Eleva"])
def test_a_unit_for_two_modalities_is_decided_by_the_report(model, total, modality):
    totals = container("113702", SINGLE, num(total, "0.01", "Gy.m2"))
    assert read(PROJECTION, totals, ManufacturerModelName=model).modality == modality


def test_intevo_tube_current_in_other_words():
    source = container("113831", num("113734", "150", "mA", meaning="Tube current mean"), num("113733", 130, "kV"))
    exam = read(
        CT,
        container("113819", uid("113769", "1.2"), container("113822", source)),
        Manufacturer="SIEMENS",
        ManufacturerModelName="Symbia Intevo",
    )
    (found,) = exam.events[0].sources
    assert (found.tube_current_ma, found.kvp_kv) == (150, 130)


def test_two_numbers_with_a_slash_are_no_number():
    dose = container("113829", num("113830", "12.5", "mGy"))
    data = report(
        CT,
        container("113819", uid("113769", "1.2"), container("113822", num("113828", "1.38800008", "1")), dose),
        patch=(b"1.38800008", b"1.388/ 0.8"),
        Manufacturer="TOSHIBA",
        ManufacturerModelName="Aquilion ONE",
    )
    exam = read_sr(read_object(data))
    assert isinstance(exam, Exam)
    (found,) = exam.events
    assert (found.pitch_factor, found.ctdi_vol_mgy) == (None, 12.5)
    assert any("1.388/ 0.8" in str(warning) for warning in exam.warnings)
