"""CT dose reports: every row of TID 10011 to 10015, and what is done with items that are wrong."""

from __future__ import annotations

import pytest

from dose_audit.extract import NotDose, ReadOptions, as_record, from_record
from dose_audit.extract.codes import Code
from tests.extract.sr_objects import (
    CT,
    NO,
    YES,
    coded,
    codes_of,
    container,
    moment,
    name,
    num,
    read,
    read_any,
    text,
    uid,
)

HELICAL = "116152004@SCT"


def acquisition(*extra, parameters=(), dose=()):
    return container(
        "113819",
        text("125203", "Thorax"),
        coded("123014", "51185008@SCT"),
        coded("113820", HELICAL, coded("113961", "113963", meaning="Iterative Reconstruction")),
        uid("113769", "1.2.3.9"),
        container("113822", *parameters),
        container("113829", *dose),
        *extra,
    )


def test_every_row_of_an_acquisition():
    exam = read(
        CT,
        moment("113809", "20260102101500.5+0100"),
        moment("113810", "20260102101900"),
        container(
            "113811",
            num("113812", 1, "{events}"),
            num("113813", "236.09", "mGy.cm"),
            num("113814", "3.3", "mSv"),
        ),
        acquisition(
            text("113842", "Z_EC"),
            moment("111526", "20260102101600"),
            coded("408730004@SCT", "27483000@SCT"),
            parameters=(
                num("113824", "8.37", "s"),
                num("113825", "400", "mm"),
                num("113893", "381.5", "mm"),
                num("113899", "42.5", "cm"),
                num("113826", "0.6", "mm"),
                num("113827", "38.4", "mm"),
                num("113828", "0.9", "{ratio}"),
                num("113823", 2, "X-ray sources"),
                container(
                    "113831",
                    text("113832", "A"),
                    num("113733", 100, "kV"),
                    num("113833", 400, "mA"),
                    num("113734", 210, "mA"),
                    num("113834", "0.28", "s"),
                    num("113821", "7.1", "mm"),
                ),
                container("113831", text("113832", "B"), num("113733", 150, "kV"), num("113734", 110, "mA")),
            ),
            dose=(
                num("113830", "6.01", "mGy"),
                coded("113835", "113691"),
                num("113838", "24.5", "mGy.cm"),
                num("113837", "19.1", "mGy"),
                num(
                    "113930",
                    "8.8",
                    "mGy",
                    coded(
                        "370129005@SCT",
                        "113988",
                        num("113980", "283", "mm"),
                        meaning="Estimated from Water Equivalent Diameter",
                    ),
                ),
                num(
                    "113839",
                    "0.4",
                    "mSv",
                    coded("370129005@SCT", "113800", num("113840", "0.014", "mSv/mGy.cm")),
                ),
                container(
                    "113900",
                    coded("113901", YES),
                    coded("113902", NO),
                    num("113903", 1000, "mGy.cm"),
                    num("113904", 50, "mGy"),
                    num("113905", "812.5", "mGycm"),
                    num("113906", "33", "mGy"),
                    text("113907", "clinical need"),
                    name("113870", "Somebody^Real"),
                ),
                container(
                    "113908",
                    coded("113909", NO),
                    coded("113910", YES),
                    num("113912", 40, "mGy"),
                    num("113914", 41, "mGy"),
                ),
            ),
        ),
        TimezoneOffsetFromUTC="-0500",
    )
    assert exam.modality == "CT" and exam.sources[0].kind == "ct_rdsr"
    assert exam.report.started_at == "2026-01-02T10:15:00.5+01:00"
    assert exam.report.ended_at == "2026-01-02T10:19:00-05:00"
    assert exam.study_datetime == "2026-01-02T10:15:00-05:00"
    totals = exam.totals
    assert (totals.ct_event_count, totals.ct_dlp_mgy_cm, totals.ct_effective_dose_msv) == (1, 236.09, 3.3)
    (event,) = exam.events
    assert event.index == 1 and event.type == "ct"
    assert event.acquisition_protocol == "Thorax" and event.irradiation_event_uid == "1.2.3.9"
    assert event.target_region == Code("51185008", "SCT", "51185008@SCT")
    assert event.ct_acquisition_type == "spiral" and event.reconstruction_algorithm == "Iterative Reconstruction"
    assert event.started_at == "2026-01-02T10:16:00-05:00" and event.modulation_type == "Z_EC"
    assert event.exposure_time_s == 8.37 and event.scanning_length_mm == 400
    assert event.reconstructable_length_mm == 381.5 and event.exposed_range_mm == 425
    assert (event.nominal_single_collimation_mm, event.nominal_total_collimation_mm) == (0.6, 38.4)
    assert event.pitch_factor == 0.9 and event.source_count == 2
    first, second = event.sources
    assert (first.id, first.kvp_kv, first.max_tube_current_ma, first.tube_current_ma) == ("A", 100, 400, 210)
    assert (first.exposure_time_per_rotation_s, first.filter_aluminium_equivalent_mm) == (0.28, 7.1)
    assert (second.id, second.kvp_kv, second.tube_current_ma, second.max_tube_current_ma) == (
        "B",
        150,
        110,
        None,
    )
    assert (event.ctdi_vol_mgy, event.ctdi_phantom, event.dlp_mgy_cm) == (6.01, "body_32cm", 24.5)
    assert event.ctdi_free_air_mgy == 19.1 and event.effective_dose_msv == 0.4
    assert (event.ssde_mgy, event.water_equivalent_diameter_mm) == (8.8, 283)
    assert event.size_method == "Estimated from Water Equivalent Diameter"
    assert event.extra["effective_dose_method"].value == "113800"
    check = event.dose_check
    assert (check.dlp_alert_configured, check.ctdi_vol_alert_configured) == (True, False)
    assert (check.dlp_alert_value_mgy_cm, check.ctdi_vol_alert_value_mgy) == (1000, 50)
    assert check.accumulated_dlp_forward_estimate_mgy_cm == 812.5
    assert check.accumulated_ctdi_vol_forward_estimate_mgy == 33
    assert (check.dlp_notification_configured, check.ctdi_vol_notification_configured) == (False, True)
    assert (check.ctdi_vol_notification_value_mgy, check.ctdi_vol_forward_estimate_mgy) == (40, 41)
    assert check.reason_for_proceeding == "clinical need" and check.person_name is None
    assert not exam.warnings
    assert from_record(as_record(exam)) == exam


def test_an_unknown_unit_is_no_number_and_a_warning():
    exam = read(CT, acquisition(dose=(num("113830", "6.01", "Gray"), num("113838", "24.5"))))
    (event,) = exam.events
    assert event.ctdi_vol_mgy is None and event.dlp_mgy_cm is None
    first, second = exam.warnings
    assert first.code == second.code == "unknown_unit"
    assert first.raw == "6.01 Gray" and first.where.startswith("1.2.6.1")
    assert second.raw == "24.5"


def test_a_number_without_a_measured_value_is_null_and_never_zero():
    exam = read(CT, container("113811", num("113813", None)), acquisition(dose=(num("113838", None),)))
    assert exam.totals.ct_dlp_mgy_cm is None and exam.events[0].dlp_mgy_cm is None
    assert not exam.warnings


def test_the_first_of_two_different_values_counts_and_the_second_is_a_warning():
    exam = read(CT, acquisition(dose=(num("113838", "10", "mGy.cm"), num("113838", "20", "mGy.cm"))))
    assert exam.events[0].dlp_mgy_cm == 10
    assert codes_of(exam) == ["repeated_item"]


def test_an_empty_code_is_null_with_a_warning():
    exam = read(CT, container("113819", coded("123014", None), coded("113820", "113804")))
    assert exam.events[0].target_region is None
    assert exam.events[0].ct_acquisition_type == "sequenced"
    assert codes_of(exam) == ["empty_code"]


def test_an_unknown_acquisition_type_is_kept_aside():
    exam = read(CT, container("113819", coded("113820", "X9@99VENDOR")))
    event = exam.events[0]
    assert event.ct_acquisition_type is None
    assert event.extra["ct_acquisition_type_sent"].value == "X9"
    assert codes_of(exam) == ["unknown_code"]


def test_codes_not_meanings_choose_the_field():
    dlp = num("113838", "24.5", "mGy.cm", meaning="Mean CTDIvol")
    exam = read(CT, acquisition(dose=(dlp,)))
    assert exam.events[0].dlp_mgy_cm == 24.5 and exam.events[0].ctdi_vol_mgy is None


def test_private_and_unknown_items_are_kept_under_their_own_name():
    exam = read(
        CT,
        acquisition(
            container("99X1@99VENDOR", num("99X2@99VENDOR", "32", "%", meaning="Dose Reduce Ratio")),
            num("99X3@99VENDOR", "11111.111111", "mm", meaning="Thickness"),
        ),
        patch=(b"11111.111111", b"10.50/ 15.00"),
    )
    extra = exam.events[0].extra
    assert extra["99x1_99vendor"] == {"dose_reduce_ratio_percent": 32}
    assert extra["thickness"] == "10.50/ 15.00"
    assert as_record(exam)["events"][0]["thickness"] == "10.50/ 15.00"


def test_sub_totals_by_phantom():
    exam = read(
        CT,
        container(
            "113811",
            num("113813", "300", "mGy.cm"),
            num("130745", "100", "mGy.cm", coded("113835", "113690")),
            num("130745", "200", "mGy.cm", coded("113835", "113691")),
        ),
    )
    assert exam.totals.extra["ct_dose_length_product_sub_total_mgy_cm"] == {"head_16cm": 100, "body_32cm": 200}


ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"


def test_the_content_chooses_and_not_the_sop_class():
    exam = read(CT, acquisition(), sop_class=ENHANCED_SR)
    assert exam.sources[0].kind == "enhanced_sr" and exam.modality == "CT"


@pytest.mark.parametrize(
    "children", [(), (text("121106", "Findings: none."),), (container("121070", text("121071", "normal")),)]
)
def test_a_report_about_something_else_is_not_dose(children):
    answer = read_any(*children, root="18748-4@LN", sop_class=ENHANCED_SR)
    assert isinstance(answer, NotDose) and not answer
    assert answer.kind == "not_relevant"


def test_names_of_staff_only_with_identifiers():
    staffed = acquisition(name("113870", "Somebody^Real", coded("113875", "113851")), text("121114", "Somebody^Else"))
    quiet = read(CT, name("121008", "Somebody^Third"), coded("121005", "121006"), staffed)
    assert "Somebody" not in repr(as_record(quiet))
    assert quiet.events[0].extra["persons"][0]["role"].value == "113851"
    kept = read(CT, staffed, options=ReadOptions(with_identifiers=True))
    assert kept.events[0].extra["persons"][0]["name"] == "Somebody^Real"


def test_observers_are_told_apart_by_their_attributes():
    exam = read(
        CT,
        coded("121005", "121006"),
        coded("121005", "121007"),
        name("121008", "Somebody^Real"),
        uid("121012", "1.2.840.99"),
        text("121013", "CT1"),
        text("121014", "Maker"),
        text("121015", "Model"),
        text("121016", "42"),
        text("121017", "Room 1"),
        acquisition(),
    )
    person, device = exam.report.observers
    assert (person.type, person.name) == ("person", None)
    assert (device.type, device.name, device.manufacturer, device.model_name) == (
        "device",
        "CT1",
        "Maker",
        "Model",
    )
    assert (device.serial_number, device.location) == ("42", "Room 1")
    assert exam.equipment.device_observer_uid == "1.2.840.99"
    assert (exam.equipment.manufacturer, exam.equipment.station_name) == ("Maker", "CT1")


def test_warnings_of_one_kind_are_bounded_and_counted():
    many = [container("113819", num("113838", "1", "mGy.cm"), coded("123014", None)) for _ in range(80)]
    exam = read(CT, *many)
    assert len(exam.events) == 80
    assert len(exam.warnings) == 51
    assert "30 more" in exam.warnings[-1].message


def test_a_habit_of_the_device_is_listed_three_times():
    wrong = container("113819", coded("113820", "C0860888@UMLS"))
    exam = read(CT, *[wrong] * 20)
    assert codes_of(exam) == ["code_repaired"] * 4
    assert "17 more" in exam.warnings[-1].message


def test_unnamed_items_are_bounded():
    many = [text(f"9{index}@99VENDOR", "x", meaning=f"Item {index}") for index in range(500)]
    exam = read(CT, acquisition(*many))
    assert len(exam.events[0].extra) <= 202
    assert "more_items" in codes_of(exam)


def listed(uid_of, dlp):
    return container("113819", uid("113769", uid_of), container("113829", num("113838", dlp, "mGy.cm")))


def test_an_event_listed_twice_counts_once():
    exam = read(CT, listed("1.2.1", 70), listed("1.2.2", 70), listed("1.2.1", 70))
    assert [(event.index, event.irradiation_event_uid) for event in exam.events] == [(1, "1.2.1"), (2, "1.2.2")]
    assert codes_of(exam) == ["event_listed_twice"]


def test_different_events_that_share_a_uid_all_count():
    exam = read(CT, listed("1.2.1", 70), listed("1.2.1", 30))
    assert [(event.index, event.dlp_mgy_cm) for event in exam.events] == [(1, 70.0), (2, 30.0)]
    assert codes_of(exam) == ["event_uid_shared"]
