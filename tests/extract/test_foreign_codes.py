"""Concepts under other names: schemes spelt otherwise or absent, private codes with a standard meaning, odd nesting."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from dose_audit.extract.codes import Code, concept_names, fold, key_by_meaning
from tests.extract.sr_objects import CT, MAMMOGRAPHY, PROJECTION, code, coded, codes_of, container, num, read, uid


def event(*children):
    return container("113706", *children)


def test_the_names_are_pydicoms_copy_of_the_standards():
    theirs = {
        (scheme, value): meaning
        for scheme in ("DCM", "SCT", "LN")
        for codes in concepts[scheme].values()
        for value, (meaning, _) in codes.items()
    }
    ours = concept_names()
    assert len(ours) > 300
    assert {name: meaning for name, meaning in ours.items() if theirs[name] != meaning} == {}


@pytest.mark.parametrize("scheme", ["dcm", "Dcm ", "DICOM", "DCMR", ""])
def test_a_scheme_in_another_spelling_or_none(scheme):
    item = num("122130", 2.5e-5, "Gy.m2")
    item.ConceptNameCodeSequence[0].CodingSchemeDesignator = scheme
    if not scheme:
        del item.ConceptNameCodeSequence[0].CodingSchemeDesignator
    assert read(PROJECTION, event(item)).events[0].kap_gy_cm2 == 0.25


@pytest.mark.parametrize(
    ("sent", "folded"),
    [
        (("snomed-ct", "113345001"), ("SCT", "113345001")),
        (("SRT", "44491008"), ("SCT", "44491008")),  # a SNOMED CT number under SNOMED-RT
        (("SCT", "P5-06000"), ("SCT", "44491008")),  # and the other way round
        (("", "P5-06000"), ("SCT", "44491008")),
        (("", "M"), ("", "M")),  # too short to tell
        (("99dcm", "122130"), ("99dcm", "122130")),
        (("99ABC", "P5-06000"), ("99ABC", "P5-06000")),
    ],
)
def test_folding(sent, folded):
    assert fold(*sent) == folded


def test_blanks_around_a_code_are_no_part_of_it():
    item = num(" 122130 @DCM ", 2.5e-5, "Gy.m2")
    assert read(PROJECTION, event(item)).events[0].kap_gy_cm2 == 0.25


def test_a_private_code_with_a_standard_meaning_is_read_and_said_so():
    exam = read(
        PROJECTION,
        event(
            num("K7@99ABC", 2.5e-5, "Gy.m2", meaning="Dose area product"),
            coded("P1@99ABC", "S@99ABC", meaning="SINGLE PLANE"),
        ),
    )
    assert exam.events[0].kap_gy_cm2 == 0.25
    assert codes_of(exam) == ["concept_by_meaning"]
    plane = coded("113764", "S@99ABC", meaning="Single Plane")
    exam = read(PROJECTION, event(plane))
    assert exam.events[0].plane == "single"
    assert codes_of(exam) == ["code_by_meaning"]


def test_a_code_of_the_standard_is_believed_against_its_meaning():
    # 113725 is Dose (RP) Total, which has no place in an event, whatever it calls itself.
    exam = read(PROJECTION, event(num("113725", 2.5e-5, "Gy.m2", meaning="Dose Area Product")))
    assert exam.events[0].kap_gy_cm2 is None
    assert key_by_meaning(Code("113725", "DCM", "Dose Area Product"), {("DCM", "122130")}) is None


def test_a_meaning_counts_only_where_its_concept_has_a_place():
    exam = read(CT, container("113819", num("K7@99ABC", 2.5e-5, "Gy.m2", meaning="Dose Area Product")))
    assert exam.events[0].extra["dose_area_product_gy_m2"] == 2.5e-5


def test_a_unit_is_asked_of_what_is_read_by_its_meaning():
    exam = read(PROJECTION, event(num("K7@99ABC", 2.5, "R", meaning="Dose Area Product")))
    assert exam.events[0].kap_gy_cm2 is None
    assert codes_of(exam) == ["concept_by_meaning", "unknown_unit"]
    assert exam.warnings[1].raw == "2.5 R"


def test_containers_that_stand_in_others():
    inner = (
        event(uid("113769", "1.2.3"), num("122130", 1e-5, "Gy.m2")),
        container("113702", coded("113764", "113622"), num("113722", 1e-5, "Gy.m2")),
    )
    exam = read(PROJECTION, container("121070", container("K1@99ABC", *inner)))
    assert [each.kap_gy_cm2 for each in exam.events] == [0.1]
    assert exam.totals.kap_gy_cm2 == 0.1
    assert codes_of(exam) == ["container_out_of_place"] * 2
    in_totals = container("113702", coded("113764", "113622"), num("113722", 1e-5, "Gy.m2"), inner[0])
    exam = read(MAMMOGRAPHY, in_totals)
    assert (len(exam.events), exam.totals.kap_gy_cm2) == (1, 0.1)


def test_rows_of_a_ct_acquisition_outside_their_container():
    rows = (num("113830", 7.5, "mGy"), num("113838", 200, "mGy.cm"), num("113828", 0.9, "{ratio}"))
    for acquisition in (
        container("113819", *rows),
        container("113819", container("113822", *rows)),
        container("113819", container("113829", *rows)),
    ):
        (found,) = read(CT, acquisition).events
        assert (found.ctdi_vol_mgy, found.dlp_mgy_cm, found.pitch_factor) == (7.5, 200, 0.9)


def test_technique_of_a_ct_without_a_container_of_its_source():
    loose = (num("113733", 120, "kV"), num("113734", 250, "mA"))
    (found,) = read(CT, container("113819", container("113822", *loose))).events
    assert [(source.kvp_kv, source.tube_current_ma) for source in found.sources] == [(120, 250)]
    assert found.extra == {}
    whole = container("113831", num("113733", 80, "kV"))
    (found,) = read(CT, container("113819", container("113822", *loose, whole))).events
    assert [source.kvp_kv for source in found.sources] == [80]


def test_what_is_refused_keeps_what_was_sent():
    number_as_text = coded("122130", None)
    number_as_text.ValueType = "TEXT"
    number_as_text.TextValue = "2.5 dGy.cm2"
    began = coded("111526", None)
    began.ValueType = "DATETIME"
    began.DateTime = "260102101500"
    comma = num("113733", "12.5", "kV")
    exam = read(PROJECTION, event(number_as_text, began, comma), patch=(b"12.5", b"12,5"))
    (found,) = exam.events
    assert (found.kap_gy_cm2, found.started_at, found.kvp_kv) == (None, None, None)
    said = {(warning.code, warning.raw) for warning in exam.warnings}
    assert {("unreadable_number", "2.5 dGy.cm2"), ("unreadable_time", "260102101500")} <= said
    assert any(raw == "12,5" for _, raw in said)


def test_codes_of_a_header_fold_alike():
    item = code("113690@dcm")
    assert fold(item.CodingSchemeDesignator, item.CodeValue) == ("DCM", "113690")
