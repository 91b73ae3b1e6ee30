"""A record read back is the exam that wrote it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dose_audit.extract import Code, Exam, ReadError, as_record, from_record
from dose_audit.extract.exam import (
    AdministrationEvent,
    CtEvent,
    CtSource,
    DoseCheck,
    Filter,
    Observer,
    OrganDose,
    PetSeries,
    PlaneTotals,
    ProjectionEvent,
    Report,
    Source,
    Warning,
)

NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.none() | st.text(max_size=8)
CODES = st.builds(Code, st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
EXTRA = st.dictionaries(st.sampled_from(["sensitivity", "my_item", "images"]), NUMBERS | CODES | st.lists(NUMBERS))

EVENTS = st.one_of(
    st.builds(
        CtEvent,
        ctdi_vol_mgy=NUMBERS,
        started_at=TEXTS,
        target_region=st.none() | CODES,
        extra=EXTRA,
        sources=st.lists(st.builds(CtSource, kvp_kv=NUMBERS), max_size=2),
        dose_check=st.none() | st.builds(DoseCheck, dlp_alert_configured=st.none() | st.booleans()),
    ),
    st.builds(
        ProjectionEvent,
        kap_gy_cm2=NUMBERS,
        kvp_kv_pulses=st.lists(st.floats(0, 150), max_size=3),
        extra=EXTRA,
        filters=st.lists(st.builds(Filter, material=TEXTS, min_mm=NUMBERS), max_size=2),
        tomosynthesis=st.none() | st.booleans(),
    ),
    st.builds(
        AdministrationEvent,
        radionuclide=st.none() | CODES,
        organ_doses=st.lists(st.builds(OrganDose, site=CODES, dose_mgy=NUMBERS), max_size=2),
    ),
)

EXAMS = st.builds(
    Exam,
    modality=TEXTS,
    procedure_codes=st.lists(CODES, max_size=2),
    sources=st.lists(st.builds(Source, kind=TEXTS), max_size=2),
    report=st.none() | st.builds(Report, has_intent=st.none() | CODES, observers=st.lists(st.builds(Observer))),
    events=st.lists(EVENTS, max_size=3),
    pet_series=st.lists(st.builds(PetSeries, energy_window_kev=st.just([435.0, 585.0])), max_size=1),
    warnings=st.lists(st.builds(Warning, st.text(max_size=4), st.text(max_size=4)), max_size=2),
    extra=EXTRA,
)


@settings(max_examples=60, deadline=None)
@given(EXAMS)
def test_there_and_back(exam: Exam) -> None:
    exam.totals.planes = [PlaneTotals(plane="A", kap_gy_cm2=1.5)]
    exam.totals.agd_mgy = {"left": 1.2}
    record = json.loads(json.dumps(as_record(exam)))
    back = from_record(record)
    assert back == exam
    assert as_record(back) == record


@pytest.mark.parametrize("record", [[], "text", {"events": [{"type": "unheard of"}]}, {"events": [1]}])
def test_what_is_no_record_is_refused(record: object) -> None:
    with pytest.raises(ReadError):
        from_record(record)  # type: ignore[arg-type]


def test_an_unnamed_item_with_the_name_of_a_field_is_kept_beside_it() -> None:
    record = as_record(CtEvent(pitch_factor=0.8, extra={"pitch_factor": "1.2 a"}))
    assert (record["pitch_factor"], record["pitch_factor_as_sent"]) == (0.8, "1.2 a")
    assert as_record(from_record({"events": [record]}))["events"] == [record]
