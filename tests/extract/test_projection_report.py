"""Projection dose reports: every row of TID 10001 to 10007, planes, modality, lists per pulse."""

from __future__ import annotations

import pytest

from dose_audit.extract import as_record, from_record
from dose_audit.extract.exam import Filter
from tests.extract.sr_objects import PROJECTION, coded, codes_of, container, moment, num, read, text, uid

SINGLE, A, B, ALL = (coded("113764", value) for value in ("113622", "113620", "113621", "113890"))


def event(*items):
    return container("113706", SINGLE, uid("113769", "1.2.3.7"), *items)


def test_every_row_of_an_event():
    exam = read(
        PROJECTION,
        event(
            moment("111526", "20260102101600"),
            coded("113721", "44491008@SCT"),
            text("125203", "FL - Angio"),
            coded("91723000@SCT", "80891009@SCT", coded("272741003@SCT", "7771000@SCT")),
            coded("111031", "399348003@SCT", coded("111032", "399011000@SCT")),
            coded("113745", "102540008@SCT"),
            coded("113743", "102538003@SCT", coded("113744", "40199007@SCT")),
            coded("123014", "51185008@SCT"),
            num("122130", "1.6e-005", "Gy.m2"),
            num("113738", "0.00252", "Gy"),
            coded("113780", "113860", meaning="15cm from Isocenter toward Source"),
            num("113845", "662.18", "1"),
            num("113846", "226.22", "1"),
            num("113847", "-4.66", "1"),
            coded("113732", "113631"),
            num("113791", "7.5", "{pulse}/s"),
            num("113768", 24, "1"),
            num("113793", "4.2", "ms"),
            num("113742", "3.2", "s"),
            num("113733", 77, "kV"),
            num("113734", "95.1", "mA"),
            num("113767", "90", "mA"),
            num("113735", "100.8", "ms"),
            num("113736", "9586", "uA.s"),
            num("113766", "0.6", "mm"),
            num("113790", "0.0696", "m2"),
            num("113788", 240, "mm"),
            num("113789", "29", "cm"),
            coded("111635", "111643"),
            coded("111635", "111642"),
            container(
                "113771",
                coded("113772", "113650"),
                coded("113757", "105837005@SCT"),
                num("113758", "0.9", "mm"),
                num("113773", "0.6", "mm"),
            ),
            num("112011", "-25.4", "deg"),
            num("112012", "0.2", "deg"),
            num("113739", "30", "deg"),
            num("113740", "1", "deg"),
            num("113770", "2", "deg"),
            num("113754", "3", "deg"),
            num("113755", "4", "deg"),
            num("113756", "5", "deg"),
            num("113748", "785", "mm"),
            num("113750", "120", "cm"),
            num("113737", "635", "mm"),
            num("113751", "-25.9", "mm"),
            num("113752", "525.1", "mm"),
            num("113753", "151.8", "mm"),
            text("121106", "note"),
        ),
    )
    (found,) = exam.events
    assert (found.type, found.plane, found.irradiation_event_type) == ("projection", "single", "fluoroscopy")
    assert (found.acquisition_protocol, found.laterality, found.comment) == ("FL - Angio", "left", "note")
    assert found.view.value == "399348003" and found.view_modifier.value == "399011000"
    assert found.patient_table_relationship.value == "102540008"
    assert found.patient_orientation.value == "102538003"
    assert found.patient_orientation_modifier.value == "40199007"
    assert (found.kap_gy_cm2, found.dose_rp_mgy) == (0.16, 2.52)
    assert found.reference_point == "15cm from Isocenter toward Source"
    assert found.extra["reference_point_definition"].value == "113860"
    assert (found.exposure_index, found.target_exposure_index, found.deviation_index) == (
        662.18,
        226.22,
        -4.66,
    )
    assert (found.fluoro_mode, found.pulse_rate_per_s, found.pulse_count) == ("pulsed", 7.5, 24)
    assert (found.pulse_width_ms, found.irradiation_duration_s) == (4.2, 3.2)
    assert (found.kvp_kv, found.tube_current_ma, found.average_tube_current_ma) == (77, 95.1, 90)
    assert (found.exposure_time_ms, found.exposure_mas, found.focal_spot_mm) == (100.8, 9.586, 0.6)
    assert (found.collimated_field_area_cm2, found.field_height_mm, found.field_width_mm) == (696, 240, 290)
    assert found.grid == ["reciprocating", "focused"]
    assert found.filters == [Filter(type="strip", material="Cu", min_mm=0.6, max_mm=0.9)]
    assert codes_of(exam) == ["filter_thickness_swapped"]
    angles = (
        found.primary_angle_deg,
        found.secondary_angle_deg,
        found.primary_end_angle_deg,
        found.secondary_end_angle_deg,
    )
    assert angles == (-25.4, 0.2, 30, 1)
    assert (
        found.column_angle_deg,
        found.table_tilt_deg,
        found.table_rotation_deg,
        found.table_cradle_deg,
    ) == (2, 3, 4, 5)
    assert (found.source_isocentre_mm, found.source_detector_mm, found.source_reference_point_mm) == (
        785,
        1200,
        635,
    )
    assert (found.table_longitudinal_mm, found.table_lateral_mm, found.table_height_mm) == (
        -25.9,
        525.1,
        151.8,
    )
    assert from_record(as_record(exam)) == exam


def test_lists_per_pulse_are_kept_and_their_mean_is_the_value():
    exam = read(
        PROJECTION,
        event(
            num("113733", "34.1", "kV"),
            num("113733", "33.99", "kV"),
            num("113734", ["2", "30.48", "4"], "mA"),
            num("113736", "9.6", "mAs"),
            num("113793", "51.44", "ms"),
            num("113793", "558.06", "fortnight"),
        ),
    )
    (found,) = exam.events
    assert found.kvp_kv_pulses == [34.1, 33.99] and found.kvp_kv == 34.045
    assert found.tube_current_ma_pulses == [2, 30.48, 4] and found.tube_current_ma == 12.16
    assert found.exposure_mas == 9.6 and found.exposure_mas_pulses == []
    assert found.pulse_width_ms == 51.44 and codes_of(exam) == ["unknown_unit"]


def totals(plane, *items):
    return container("113702", plane, *items)


def test_planes_stand_apart_and_add_up_exactly():
    exam = read(
        PROJECTION,
        totals(
            A,
            num("113722", "0.1", "Gy.cm2"),
            num("113725", "0.5", "Gy"),
            num("113730", "10.1", "s"),
            num("113731", 9, "1"),
        ),
        totals(B, num("113722", "0.2", "Gy.cm2"), num("113725", "0.25", "Gy"), num("113730", "20.2", "s")),
    )
    assert [(plane.plane, plane.kap_gy_cm2, plane.dose_rp_mgy) for plane in exam.totals.planes] == [
        ("A", 0.1, 500),
        ("B", 0.2, 250),
    ]
    assert exam.totals.kap_gy_cm2 == 0.3 and exam.totals.fluoro_time_s == 30.3
    assert exam.totals.radiographic_frames == 9
    assert exam.totals.acquisition_kap_gy_cm2 is None


def test_all_planes_together_are_not_added_to_the_single_ones():
    exam = read(
        PROJECTION,
        totals(A, num("113722", "1", "Gy.cm2")),
        totals(B, num("113722", "2", "Gy.cm2")),
        totals(ALL, num("113722", "3", "Gy.cm2")),
    )
    assert exam.totals.kap_gy_cm2 == 3


FLUORO_TIME = num("113730", "12", "s")
NO_FLUORO = (num("113730", "0", "s"), num("113726", "0", "Gy.m2"))


@pytest.mark.parametrize(
    ("device", "items", "modality"),
    [
        ("113957", NO_FLUORO, "RF"),
        ("113958", (FLUORO_TIME,), "DX"),
        ("113959", (FLUORO_TIME,), "DX"),
        (None, (FLUORO_TIME,), "RF"),
        (None, (num("113726", "1e-6", "Gy.m2"),), "RF"),
        (None, NO_FLUORO, "DX"),
        (None, (), "DX"),
    ],
)
def test_modality(device, items, modality):
    kind = () if device is None else (coded("122142", device),)
    assert read(PROJECTION, *kind, totals(SINGLE, *items)).modality == modality


def test_fluoroscopy_events_decide_where_no_total_does():
    assert read(PROJECTION, event(coded("113721", "44491008@SCT"))).modality == "RF"
    assert read(PROJECTION, event(coded("113721", "113611"))).modality == "DX"


def test_a_report_without_template_or_manufacturer_is_read():
    exam = read(PROJECTION, totals(SINGLE, num("113722", "1", "dGy.cm2")))
    assert exam.sources[0].kind == "projection_rdsr"
    assert exam.totals.kap_gy_cm2 == 0.1


def test_a_modifier_beside_the_orientation_is_read():
    exam = read(PROJECTION, event(coded("113743", "102538003@SCT"), coded("113744", "1240000@SCT")))
    assert exam.events[0].patient_orientation_modifier.value == "1240000"


def test_legacy_snomed_codes_mean_the_same():
    legacy = read(
        PROJECTION,
        event(
            coded("113721", "P5-06000@SRT"),
            coded("T-D0005@SRT", "T-32000@SRT", coded("G-C171@SNM3", "G-A101@99SDM")),
        ),
    )
    (found,) = legacy.events
    assert (found.irradiation_event_type, found.laterality) == ("fluoroscopy", "left")
    assert found.anatomical_structure.value == "T-32000"


def test_a_zero_that_cannot_be_is_unknown():
    exam = read(PROJECTION, event(num("113733", 0, "kV"), num("113750", 0, "mm"), num("122130", 0, "Gy.m2")))
    (found,) = exam.events
    assert found.kvp_kv is None and found.source_detector_mm is None
    assert found.kap_gy_cm2 == 0
    assert codes_of(exam) == ["zero_unknown", "zero_unknown"]


def test_a_bad_time_is_null_and_a_warning():
    exam = read(PROJECTION, event(moment("111526", "20260102101600")), patch=(b"20260102101600", b"20261302101600"))
    assert exam.events[0].started_at is None
    assert codes_of(exam) == ["unreadable_time"]
