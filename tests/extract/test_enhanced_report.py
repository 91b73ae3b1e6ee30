"""Enhanced X-ray dose reports (TID 10040) and patient dose estimates (TID 10030)."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from dose_audit.extract import as_record, from_record
from tests.extract.sr_objects import PROJECTION, code, coded, codes_of, container, moment, num, read, text, uid

ENHANCED = "1.2.840.10008.5.1.4.1.1.88.76"


def span(start: str, end: str, source: str = "A"):
    return (
        moment("111526", f"202601021016{start}"),
        moment("111527", f"202601021016{end}"),
        text("113832", source),
    )


def summary(number: int, start: str, end: str, *items, source: str = "A"):
    return container("130501", uid("113769", f"1.2.3.{number}"), *span(start, end, source), *items)


def details(*parts):
    return container("130505", moment("111526", "20260102101500"), moment("111527", "20260102102000"), *parts)


def test_accumulated_dose_and_summaries():
    exam = read(
        PROJECTION,
        container(
            "130500",
            text("113832", "Plane A"),
            num("113722", "0.5", "Gy.cm2"),
            num("113730", "12", "s"),
            container(
                "130502",
                num("113725", "0.02", "Gy"),
                coded("113780", "113860", meaning="15cm from Isocenter"),
            ),
        ),
        container("130500", text("113832", "Plane B"), num("113722", "0.25", "Gy.cm2")),
        summary(
            1,
            "00",
            "10",
            coded("113721", "44491008@SCT"),
            num("113738", "20", "mGy"),
            num("122130", "0.5", "Gy.cm2"),
        ),
        summary(2, "20", "30", coded("113721", "113611"), num("113845", "300", "1"), source="B"),
        sop_class=ENHANCED,
    )
    assert exam.sources[0].kind == "enhanced_rdsr" and exam.modality == "RF"
    assert [(plane.plane, plane.kap_gy_cm2) for plane in exam.totals.planes] == [("A", 0.5), ("B", 0.25)]
    assert exam.totals.planes[0].dose_rp_mgy == 20
    assert (exam.totals.kap_gy_cm2, exam.totals.fluoro_time_s) == (0.75, 12)
    first, second = exam.events
    assert (first.irradiation_event_uid, first.irradiation_event_type) == ("1.2.3.1", "fluoroscopy")
    assert (first.dose_rp_mgy, first.kap_gy_cm2, first.started_at) == (20, 0.5, "2026-01-02T10:16:00")
    assert first.extra["ended_at"] == "2026-01-02T10:16:10" and first.extra["x_ray_source"] == "A"
    assert (second.irradiation_event_type, second.exposure_index) == ("stationary_acquisition", 300)
    assert from_record(as_record(exam)) == exam


def test_a_detail_belongs_to_the_events_of_its_span_and_source():
    exam = read(
        PROJECTION,
        summary(1, "00", "10"),
        summary(2, "20", "30"),
        summary(3, "20", "30", source="B"),
        details(
            container("130511", *span("00", "10"), num("113733", 80, "kV"), num("113734", 100, "mA")),
            container("130511", *span("20", "30"), num("113733", 90, "kV")),
            container("130511", *span("20", "30", "B"), num("113733", 70, "kV")),
            container("130530", *span("00", "59"), text("125203", "Cardiac"), coded("123014", "80891009@SCT")),
            container(
                "130512",
                *span("00", "30"),
                container(
                    "130531",
                    coded("113757", "66925006@SCT"),
                    coded("113772", "113653"),
                    num("130509", "0.3", "mm"),
                ),
            ),
            container("130514", *span("20", "30"), num("130515", "12", "mGy")),
            container("130514", *span("00", "59"), num("130515", "99", "mGy")),
        ),
        sop_class=ENHANCED,
    )
    first, second, third = exam.events
    assert [event.kvp_kv for event in exam.events] == [80, 90, 70]
    assert first.tube_current_ma == 100 and second.tube_current_ma is None
    assert {event.acquisition_protocol for event in (first, second)} == {"Cardiac"}
    assert [(one.material, one.type, one.min_mm, one.max_mm) for one in second.filters] == [("Cu", "flat", 0.3, 0.3)]
    # An amount of a longer span is nobody's.
    assert second.extra["air_kerma_at_output_measurement_point_mgy"] == 12
    assert "air_kerma_at_output_measurement_point_mgy" not in first.extra
    assert "irradiation_details" not in exam.extra and third.filters == []


def test_an_extreme_of_a_span_is_not_its_value():
    highest = num("113733", 125, "kV", coded("130510", "56851009@SCT"))
    mean = num("113733", 75, "kV", coded("130510", "373098007@SCT"))
    exam = read(PROJECTION, summary(1, "00", "10"), details(container("130511", *span("00", "10"), highest, mean)))
    assert exam.events[0].kvp_kv == 75


def table(concept: str, unit: str, moments: list[str], values: list[float], *children, single: bool = False):
    """A TABLE of (DateTime, value) lines: cell by cell, or each column by one entry."""
    made = container(concept, *children)
    made.ValueType = "TABLE"
    held = Dataset()
    held.NumberOfTableRows, held.NumberOfTableColumns = len(values), 2
    held.TableColumnDefinitionSequence = []
    for number, (name, of) in enumerate((("121125", None), (concept, unit)), 1):
        column = Dataset()
        column.TableColumnNumber = number
        column.ConceptNameCodeSequence = [code(name)]
        if of:
            column.MeasurementUnitsCodeSequence = [code(f"{of}@UCUM")]
        held.TableColumnDefinitionSequence.append(column)
    held.CellValuesSequence = []
    for number, vr, sent in ((1, "DT", [f"202601021016{one}" for one in moments]), (2, "FD", values)):
        for line, part in enumerate([[one] for one in sent] if single else [sent], 1):
            cell = Dataset()
            cell.TableColumnNumber, cell.SelectorAttributeVR = number, vr
            if single:
                cell.TableRowNumber = line
            setattr(cell, f"Selector{vr}Value", part)
            held.CellValuesSequence.append(cell)
    made.TabulatedValuesSequence = [held]
    return made


@pytest.mark.parametrize("single", [True, False])
def test_of_values_over_time_an_event_gets_the_mean_of_its_own(single):
    moments = ["00", "05", "10", "20", "30"]
    exam = read(
        PROJECTION,
        summary(1, "00", "10"),
        summary(2, "20", "30"),
        summary(3, "31", "32"),
        details(
            container("130511", *span("00", "32"), table("113733", "kV", moments, [80, 82, 84, 90, 91], single=single)),
            container("130513", *span("00", "32"), table("113980", "cm", moments, [20, 21, 22, 30, 32], single=single)),
            container("130514", *span("00", "32"), table("130515", "mGy", moments, [1, 2, 3, 4, 5], single=single)),
        ),
        sop_class=ENHANCED,
    )
    assert [event.kvp_kv for event in exam.events] == [82, 90.5, None]
    assert exam.events[0].kvp_kv_pulses == [80, 82, 84]
    assert [event.extra.get("water_equivalent_diameter_mm") for event in exam.events] == [210, 310, None]
    # Whether amounts add up or grow is not told: no number is made of them, and neither where no value falls.
    assert not any("air_kerma_at_output_measurement_point_mgy" in event.extra for event in exam.events)
    assert set(codes_of(exam)) == {"table_not_read"}


def test_a_table_without_one_column_of_values_gives_no_number():
    empty = table("113733", "kV", [], [])
    bare = table("113733", "kV", ["00"], [80])
    del bare.TabulatedValuesSequence
    exam = read(PROJECTION, summary(1, "00", "10"), details(container("130511", *span("00", "10"), empty, bare)))
    assert exam.events[0].kvp_kv is None and set(codes_of(exam)) == {"table_not_read"}


def test_details_of_no_event_change_nothing():
    exam = read(
        PROJECTION,
        summary(1, "00", "10"),
        details(container("130511", *span("40", "50"), num("113733", 80, "kV"))),
    )
    assert exam.events[0].kvp_kv is None
    assert codes_of(exam) == ["details_without_event"]


def test_a_summary_with_ct_dose_is_a_ct_event():
    exam = read(
        coded("121058", "77477000@SCT"),
        container("130500", num("113813", "120", "mGy.cm"), num("113812", 1, "{events}")),
        summary(
            1,
            "00",
            "10",
            num("113830", "8", "mGy"),
            num("113838", "120", "mGy.cm"),
            coded("113835", "113690"),
        ),
        sop_class=ENHANCED,
    )
    assert exam.modality == "CT"
    (event,) = exam.events
    assert (event.type, event.ctdi_vol_mgy, event.dlp_mgy_cm, event.ctdi_phantom) == (
        "ct",
        8,
        120,
        "head_16cm",
    )
    assert (exam.totals.ct_dlp_mgy_cm, exam.totals.ct_event_count) == (120, 1)


def test_details_of_a_ct_acquisition_fill_its_sources_and_itself():
    exam = read(
        coded("121058", "77477000@SCT"),
        summary(1, "00", "10", num("113830", "8", "mGy"), num("113838", "120", "mGy.cm")),
        details(
            container("130511", *span("00", "10", "A"), num("113733", 120, "kV"), num("113734", 210, "mA")),
            container("130511", *span("00", "10", "B"), num("113733", 140, "kV")),
            container("130530", *span("00", "10", "A"), text("125203", "Thorax"), num("113828", "0.9", "1")),
        ),
        sop_class=ENHANCED,
    )
    (event,) = exam.events
    # The summary is of source A, so that what is said of B is of no event here.
    assert [(one.id, one.kvp_kv, one.tube_current_ma) for one in event.sources] == [("A", 120, 210)]
    assert (event.acquisition_protocol, event.pitch_factor) == ("Thorax", 0.9)
    assert codes_of(exam) == ["details_without_event"]


def test_a_dose_estimate_is_kept_and_makes_no_event():
    exam = read(
        container(
            "128402",
            text("128403", "Skin"),
            coded("363698007@SCT", "39937001@SCT"),
            num("128531", "1.2", "Gy"),
            num("128537", "4", "mSv"),
        ),
        root="128401",
        sop_class="1.2.840.10008.5.1.4.1.1.88.73",
    )
    assert exam.sources[0].kind == "patient_rdsr" and exam.events == []
    (estimate,) = exam.extra["radiation_dose_estimates"]
    assert estimate["organ"].value == "39937001" and estimate["name"] == "Skin"
    assert estimate["maximum_absorbed_dose_mgy"] == 1200 and estimate["mean_equivalent_dose_msv"] == 4
    assert from_record(as_record(exam)) == exam


def test_times_that_cannot_be_compared_change_nothing():
    technique = container("130511", *span("00", "10"), num("113733", 80, "kV"))
    no_time = container("130501", moment("111526", "20260102101600"), text("111527", "later"))
    exam = read(PROJECTION, no_time, details(technique))
    assert exam.events[0].kvp_kv == 80
    other_clock = container("130501", moment("111526", "20260102101600+0100"))
    exam = read(PROJECTION, other_clock, details(technique))
    assert exam.events[0].kvp_kv is None and "details_without_event" in codes_of(exam)
