"""Several objects, one exam: cumulative, continued, duplicate, twin, header beside report, biplane, in any
order.
"""

from __future__ import annotations

import copy
import json
import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dose_audit.extract import Code, DifferentStudies, Exam, as_record, merge_parts, read_part
from dose_audit.extract.exam import (
    AdministrationEvent,
    CtEvent,
    Equipment,
    PetSeries,
    PlaneTotals,
    ProjectionEvent,
    Report,
    Source,
    Totals,
)
from tests.extract.made import DX, DX_PROCESSING, MG, MG_PROCESSING, image, uid_of

DEVICE = Equipment(manufacturer="Maker", model_name="Model", station_name="ROOM1", serial_number="4711")


def part(
    kind: str,
    name: str,
    events: list,
    *,
    totals: Totals | None = None,
    made: str = "2024-03-11T10:20:00",
    **fields: object,
) -> Exam:
    exam = Exam(
        study_instance_uid="1.2.3",
        study_datetime="2024-03-11T10:00:00",
        equipment=copy.copy(DEVICE),
        sources=[Source(name, None, kind, None, made)],
        totals=totals or Totals(),
        events=events,
        **fields,
    )
    for event in events:
        event.source_sop_instance_uid, event.source_kind = name, kind
    return exam


def ct(uid: str | None, dlp: float | None, started: str | None = None, **fields: object) -> CtEvent:
    return CtEvent(irradiation_event_uid=uid, dlp_mgy_cm=dlp, started_at=started, **fields)


def film(uid: str | None, kap: float | None, started: str | None = None, **fields: object) -> ProjectionEvent:
    return ProjectionEvent(irradiation_event_uid=uid, kap_gy_cm2=kap, started_at=started, **fields)


def at(second: int) -> str:
    return f"2024-03-11T10:{second // 60:02}:{second % 60:02}"


def text(exam: Exam) -> str:
    return json.dumps(as_record(exam), sort_keys=True)


def one_result(parts: list[Exam]) -> Exam:
    """Merge in every order (of many parts in 60 random ones) and insist on one result."""
    orders = (
        list(permutations(parts))
        if len(parts) <= 4
        else [random.Random(seed).sample(parts, len(parts)) for seed in range(60)]
    )
    results = {text(merge_parts(list(order))) for order in orders}
    assert len(results) == 1
    return merge_parts(parts)


def codes(exam: Exam) -> list[str]:
    return [warning.code for warning in exam.warnings]


def cumulative(last: int, **fields: object) -> Exam:
    doses = (7.5, 69.75, 158.75)[:last]
    events = [ct(f"1.2.3.{n}", dose) for n, dose in enumerate(doses)]
    totals = Totals(ct_dlp_mgy_cm=sum(doses), ct_event_count=last)
    return part("ct_rdsr", f"R{last}", events, totals=totals, made=at(last), **fields)


def test_a_cumulative_report_replaces_its_smaller_self() -> None:
    exam = one_result([cumulative(1), cumulative(2), cumulative(3)])
    assert [event.dlp_mgy_cm for event in exam.events] == [7.5, 69.75, 158.75]
    assert [event.index for event in exam.events] == [1, 2, 3]
    assert (exam.totals.ct_dlp_mgy_cm, exam.totals.events_ct_dlp_mgy_cm, exam.totals.ct_event_count) == (
        236,
        236,
        3,
    )
    assert len(exam.sources) == 3
    assert exam.warnings == []


def test_the_same_object_twice_changes_nothing() -> None:
    once = merge_parts([cumulative(3)])
    twice = one_result([cumulative(3), cumulative(3)])
    assert text(twice) == text(once)


def test_continued_reports_add() -> None:
    first = part("ct_rdsr", "R1", [ct("1.1", 100.0)], totals=Totals(ct_dlp_mgy_cm=100.0, ct_event_count=1))
    second = part("ct_rdsr", "R2", [ct("1.2", 50.5)], totals=Totals(ct_dlp_mgy_cm=50.5, ct_event_count=1), made=at(99))
    exam = one_result([first, second])
    assert (exam.totals.ct_dlp_mgy_cm, exam.totals.ct_event_count, len(exam.events)) == (150.5, 2, 2)


def test_reports_that_overlap_have_no_common_total() -> None:
    first = part("ct_rdsr", "R1", [ct("1.1", 100.0), ct("1.2", 10.0)], totals=Totals(ct_dlp_mgy_cm=110.0))
    second = part("ct_rdsr", "R2", [ct("1.2", 10.0), ct("1.3", 20.0)], totals=Totals(ct_dlp_mgy_cm=30.0))
    exam = one_result([first, second])
    assert exam.totals.ct_dlp_mgy_cm is None
    assert exam.totals.events_ct_dlp_mgy_cm == 130
    assert "reports_overlap" in codes(exam)


def test_other_bytes_under_the_same_uid_the_newer_counts() -> None:
    old = part("ct_rdsr", "R1", [ct("1.1", 100.0)], totals=Totals(ct_dlp_mgy_cm=100.0), made=at(1))
    new = part("ct_rdsr", "R1", [ct("1.1", 120.0)], totals=Totals(ct_dlp_mgy_cm=120.0), made=at(2))
    exam = one_result([old, new])
    assert (exam.totals.ct_dlp_mgy_cm, exam.events[0].dlp_mgy_cm) == (120, 120)
    assert len(exam.sources) == 2
    assert "object_versions" in codes(exam)


def test_totals_beside_sums_and_the_stated_tolerance() -> None:
    within = merge_parts([part("ct_rdsr", "R", [ct("1", 99.2)], totals=Totals(ct_dlp_mgy_cm=100.0))])
    assert "totals_disagree" not in codes(within)
    beyond = merge_parts([part("ct_rdsr", "R", [ct("1", 98.0)], totals=Totals(ct_dlp_mgy_cm=100.0))])
    assert "totals_disagree" in codes(beyond)
    assert (beyond.totals.ct_dlp_mgy_cm, beyond.totals.events_ct_dlp_mgy_cm) == (100, 98)


def test_dlp_by_phantom_and_nothing_for_what_is_unknown() -> None:
    events = [
        ct("1", 500.0, ctdi_phantom="head_16cm"),
        ct("2", 300.0, ctdi_phantom="body_32cm"),
        ct("3", 40.0, ctdi_phantom="body_32cm"),
        ct("4", None, ctdi_phantom="head_16cm"),
        ct("5", 1.0),
    ]
    exam = merge_parts([part("ct_rdsr", "R", events)])
    assert exam.totals.ct_dlp_by_phantom_mgy_cm == {"head_16cm": 500, "body_32cm": 340}
    empty = merge_parts([part("ct_rdsr", "R", [ct("1", None)])])
    assert empty.totals.events_ct_dlp_mgy_cm is None
    assert empty.totals.ct_dlp_by_phantom_mgy_cm == {}


def test_a_header_beside_its_report_fills_and_does_not_double() -> None:
    report = part("projection_rdsr", "R", [film("1.1", 0.15, at(5)), film("1.2", 0.25, at(65))])
    by_uid = part("image", "I1", [film("1.1", 0.16, at(5), exposure_index=220.0, kvp_kv=81.0)], modality="DX")
    by_time = part("image", "I2", [film(None, 0.25, at(66), exposure_index=180.0)], modality="DX")
    exam = one_result([report, by_uid, by_time])
    assert [event.kap_gy_cm2 for event in exam.events] == [0.15, 0.25]
    assert [event.exposure_index for event in exam.events] == [220, 180]
    assert exam.events[0].extra["filled_from"] == {"exposure_index": "image", "kvp_kv": "image"}
    assert [event.source_kind for event in exam.events] == ["projection_rdsr"] * 2
    assert "sources_disagree" in codes(exam)


def test_an_image_that_the_report_does_not_have_is_a_further_event() -> None:
    report = part("projection_rdsr", "R", [film("1.1", 0.15, at(5))])
    later = part("image", "I1", [film(None, 0.3, at(300))], modality="DX")
    assert len(one_result([report, later]).events) == 2


def test_an_image_that_cannot_be_told_apart_is_left_out_and_said() -> None:
    report = part("projection_rdsr", "R", [film("1.1", 0.15)])
    image_part = part("image", "I1", [film(None, 0.15, at(5))], modality="DX")
    exam = one_result([report, image_part])
    assert len(exam.events) == 1
    assert "events_left_out" in codes(exam)


def test_an_image_of_another_device_is_its_own_event() -> None:
    report = part("projection_rdsr", "R", [film("1.1", 0.15, at(5))])
    other = part("image", "I1", [film(None, 0.3, at(5))], modality="DX")
    other.equipment = Equipment(serial_number="9999")
    assert len(one_result([report, other]).events) == 2


def test_precedence_rdsr_then_enhanced_sr_then_image_then_screen() -> None:
    sources = {
        kind: part(kind, kind, [ct(None if kind == "dose_screen" else "1.1", 100.0, at(5), comment=kind)])
        for kind in ("ct_rdsr", "enhanced_sr", "image", "dose_screen")
    }
    order = list(sources)
    for first in range(len(order)):
        exam = one_result([sources[kind] for kind in order[first:]])
        (event,) = exam.events
        assert (event.source_kind, event.comment) == (order[first], order[first])


def test_a_dose_screen_beside_a_report_adds_nothing() -> None:
    report = cumulative(3)
    events = [ct(None, dose) for dose in (None, 7.5, 69.75, 158.75)]
    screen = part("dose_screen", "S", events, totals=Totals(ct_dlp_mgy_cm=236.0, ct_event_count=4))
    exam = one_result([report, screen])
    assert len(exam.events) == 3
    assert exam.totals.ct_dlp_mgy_cm == 236


def twins(sop_class: str, **elements: object) -> Exam:
    exam = read_part(
        image(
            sop_class,
            Modality="MG",
            KVP="28",
            OrganDose="0.0156",
            ExposureInuAs=52000,
            ImageLaterality="L",
            AcquisitionDate="20240311",
            SOPInstanceUID=uid_of(sop_class, elements),
            **elements,
        )
    )
    assert isinstance(exam, Exam)
    return exam


def test_a_for_processing_image_and_its_twin_are_one_event() -> None:
    parts = [
        twins(MG, AcquisitionTime="101500"),
        twins(MG_PROCESSING, AcquisitionTime="101500"),
        twins(MG, AcquisitionTime="101600"),
        twins(MG_PROCESSING, AcquisitionTime="101600"),
    ]
    exam = one_result(parts)
    assert len(exam.events) == 2
    assert exam.totals.events_agd_mgy == {"left": pytest.approx(3.12, rel=1e-12)}


def test_two_exposures_of_one_second_are_two() -> None:
    parts = []
    for number, (sop_class, kap) in enumerate(((DX, "1.5"), (DX_PROCESSING, "3.5"))):
        exam = read_part(
            image(
                sop_class,
                Modality="DX",
                KVP="80",
                ImageAndFluoroscopyAreaDoseProduct=kap,
                AcquisitionDate="20240311",
                AcquisitionTime="101500",
                SOPInstanceUID=uid_of(number),
            )
        )
        assert isinstance(exam, Exam)
        parts.append(exam)
    assert len(one_result(parts).events) == 2


def test_biplane_runs_that_share_an_event_uid_stay_two() -> None:
    def report(made: str, extra: bool) -> Exam:
        events = [film("1.1", 1.0, at(5), plane="A"), film("1.1", 2.0, at(5), plane="B")]
        if extra:
            events.append(film("1.2", 4.0, at(50), plane="B"))
        planes = [
            PlaneTotals(plane="A", kap_gy_cm2=1.0),
            PlaneTotals(plane="B", kap_gy_cm2=2.0 + 4.0 * extra),
        ]
        return part(
            "projection_rdsr",
            made,
            events,
            made=made,
            totals=Totals(kap_gy_cm2=3.0 + 4.0 * extra, planes=planes),
        )

    frontal = part("image", "I", [film("1.1", None, at(5), plane="B", kvp_kv=77.0)], modality="XA")
    exam = one_result([report(at(100), False), report(at(200), True), frontal])
    assert [(e.plane, e.kap_gy_cm2, e.kvp_kv) for e in exam.events] == [
        ("A", 1, None),
        ("B", 2, 77),
        ("B", 4, None),
    ]
    assert exam.totals.kap_gy_cm2 == 7
    assert [(p.plane, p.events_kap_gy_cm2) for p in exam.totals.planes] == [("A", 1), ("B", 6)]


def test_continued_biplane_totals_add_by_plane() -> None:
    def report(name: str, a: float, b: float) -> Exam:
        events = [film(f"{name}.1", a, plane="A"), film(f"{name}.2", b, plane="B")]
        planes = [PlaneTotals(plane="A", kap_gy_cm2=a), PlaneTotals(plane="B", kap_gy_cm2=b)]
        return part("projection_rdsr", name, events, totals=Totals(kap_gy_cm2=a + b, planes=planes))

    exam = one_result([report("7", 1.0, 2.0), report("8", 10.0, 20.0)])
    assert exam.totals.kap_gy_cm2 == 33
    assert [(p.plane, p.kap_gy_cm2) for p in exam.totals.planes] == [("A", 11), ("B", 22)]


def test_an_administration_that_report_and_header_time_differently_is_one() -> None:
    nuclide = Code("C-111A1", "SRT", "^18^Fluorine")
    given = {"radionuclide": nuclide, "administered_activity_mbq": 394.0}
    report = part(
        "radiopharmaceutical_rdsr",
        "R",
        [AdministrationEvent(irradiation_event_uid="9.1", started_at="2024-03-11T10:40:30", **given)],
        modality="NM",
    )
    header = part(
        "image",
        "I",
        [AdministrationEvent(irradiation_event_uid="9.2", started_at="2024-03-11T10:48:30", **given)],
        modality="PT",
        pet_series=[PetSeries(slice_count=476, series_instance_uid="8.1")],
    )
    exam = one_result([report, header])
    assert [(e.started_at, e.administered_activity_mbq) for e in exam.events] == [("2024-03-11T10:40:30", 394)]
    assert (exam.modality, exam.totals.administered_activity_mbq, len(exam.pet_series)) == ("PT", 394, 1)
    other = part("image", "J", [AdministrationEvent(radionuclide=nuclide, administered_activity_mbq=120.0)])
    other.events[0].started_at = "2024-03-11T10:41:00"
    assert len(one_result([report, other]).events) == 2


def test_reports_without_event_uids_go_by_content() -> None:
    def report(name: str, count: int) -> Exam:
        events = [ct(None, 10.0 * n, ctdi_vol_mgy=1.0 * n, acquisition_protocol=f"P{n}") for n in range(1, count + 1)]
        dlp = sum(event.dlp_mgy_cm for event in events)
        return part("enhanced_sr", name, events, totals=Totals(ct_dlp_mgy_cm=dlp), made=at(count))

    exam = one_result([report("S1", 1), report("S2", 2), report("S3", 3)])
    assert len(exam.events) == 3
    assert exam.totals.ct_dlp_mgy_cm == 60


def test_time_zones_meet() -> None:
    report = part("projection_rdsr", "R", [film("1.1", 0.15, "2024-03-11T09:16:23+00:00")])
    header = part("image", "I", [film(None, 0.15, "2024-03-11T10:16:23+01:00")], modality="DX")
    assert len(one_result([report, header]).events) == 1


def test_events_stand_in_time_order_then_content_order() -> None:
    events = [film("3", 3.0, at(50)), film("1", 1.0, at(10)), film("2", 2.0), film("4", 4.0, at(60))]
    exam = merge_parts([part("projection_rdsr", "R", events)])
    assert [event.irradiation_event_uid for event in exam.events] == ["1", "2", "3", "4"]


def test_the_report_spans_what_all_reports_span() -> None:
    first, second = cumulative(1), cumulative(2)
    first.report = Report(started_at=at(1), ended_at=at(30))
    second.report = Report(started_at=at(2), ended_at=at(90), comment="second")
    exam = one_result([first, second])
    assert exam.report is not None
    assert (exam.report.started_at, exam.report.ended_at, exam.report.comment) == (at(1), at(90), "second")


def test_different_studies_are_refused() -> None:
    other = cumulative(2)
    other.study_instance_uid = "9.9"
    with pytest.raises(DifferentStudies):
        merge_parts([cumulative(1), other])
    other.study_instance_uid = None
    with pytest.raises(DifferentStudies):
        merge_parts([cumulative(1), other])
    with pytest.raises(ValueError, match="no parts"):
        merge_parts([])


def test_merging_leaves_the_parts_as_they_were() -> None:
    parts = [cumulative(1), cumulative(3), part("image", "I", [ct("1.2.3.1", 69.75, at(3), comment="x")])]
    before = [text(each) for each in parts]
    merge_parts(parts)
    after = [text(each) for each in parts]
    assert after == before


def given_to_patient(
    uid: str | None, activity: float | None, started: str | None, **fields: object
) -> AdministrationEvent:
    return AdministrationEvent(
        irradiation_event_uid=uid, administered_activity_mbq=activity, started_at=started, **fields
    )


EVENT = st.tuples(
    st.sampled_from([ct, ct, film, given_to_patient]),
    st.sampled_from([None, "1.1", "1.2", "1.3", "1.4"]),
    st.sampled_from([None, 10.0, 20.0, 30.5]),
    st.sampled_from([None, at(5), at(6), at(65), at(300)]),
)
PART = st.tuples(
    st.sampled_from(["ct_rdsr", "projection_rdsr", "enhanced_sr", "image", "dose_screen"]),
    st.sampled_from([at(1), at(2)]),
    st.lists(EVENT, max_size=3),
    st.sampled_from([None, 10.0, 60.0]),
    st.sampled_from(["A", "B", "C", "D", "E"]),
    st.sampled_from(["4711", None, "0815"]),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(PART, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_no_order_of_any_objects_changes_the_exam(described: list, shuffler: random.Random) -> None:
    parts = []
    for kind, made, events, total, name, serial in described:
        made_events = [make(uid, dose, started, comment=name) for make, uid, dose, started in events]
        exam = part(kind, name, made_events, made=made, totals=Totals(ct_dlp_mgy_cm=total), modality="CT")
        exam.equipment.serial_number = serial
        parts.append(exam)
    expected = text(merge_parts(parts))
    for _ in range(4):
        shuffler.shuffle(parts)
        assert text(merge_parts(parts)) == expected
