"""Compact records say the same as full ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.extract.codes import Code
from dose_audit.extract.exam import (
    AdministrationEvent,
    DoseCheck,
    Exam,
    OrganDose,
    ProjectionEvent,
    Report,
    as_record,
)
from dose_audit.store.compact import clean_text, cleaned, dump, load, record_text, record_texts, sparse
from dose_audit.texts import clean, clean_values, is_clean_json


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None and v != [] and v != {}}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def test_round_trip_of_every_kind_of_event(ct_exam: Any) -> None:
    exam = ct_exam("1.2", "1.2.1", {"1.8.1": 1.5})
    exam.events[0].dose_check = DoseCheck(dlp_alert_configured=False, dlp_alert_value_mgy_cm=900.0)
    exam.events += [
        ProjectionEvent(index=2, kap_gy_cm2=0.1, view=Code("399348003", "SCT", "AP"), kvp_kv_pulses=[70.0, 71.0]),
        AdministrationEvent(index=3, organ_doses=[OrganDose(dose_mgy=2.0)], identifiers={"syringe": "7"}),
    ]
    exam.report = Report(started_at="2024-03-05", extra={"free": {"text": ["a"]}})
    exam.extra["vendor_word"] = Code("1", "99X", "one")
    assert load(dump(sparse(exam))) == exam
    assert _without_nulls(sparse(exam)) == _without_nulls(as_record(exam))


def test_numbers_keep_their_last_digit() -> None:
    exam = Exam(events=[ProjectionEvent(kap_gy_cm2=0.1 + 0.2, dose_rp_mgy=5e-324)])
    assert load(dump(sparse(exam))) == exam


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump(sparse(Exam(events=[ProjectionEvent(kap_gy_cm2=value)])))


@given(st.text(max_size=50))
def test_text_is_clean_and_otherwise_as_sent(text: str) -> None:
    assert clean_text(text) == (clean(text) or None)


@given(st.text(alphabet=st.characters(), max_size=20))
def test_json_holds_nothing_that_a_database_refuses(text: str) -> None:
    text += "\0\ud83d"
    written = dump({text: [text]})
    assert written.isascii()
    json.dumps(json.loads(written)).encode("utf-8")
    assert "\\u0000" not in written
    assert json.loads(written) == {clean(text): [clean(text)]}


WORDS = st.one_of(st.none(), st.text(max_size=20))
NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
EXTRA = st.dictionaries(
    st.one_of(st.text(max_size=8), st.sampled_from(["comment", "kap_gy_cm2"])),
    st.one_of(WORDS, NUMBERS, st.booleans(), st.integers(), st.lists(NUMBERS), st.just(Code("1", "99X", "one\0"))),
    max_size=3,
)


@given(
    st.lists(
        st.builds(
            ProjectionEvent,
            comment=WORDS,
            kap_gy_cm2=NUMBERS,
            view=st.one_of(st.none(), st.builds(Code, st.text(), st.text(), st.text())),
            kvp_kv_pulses=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
            extra=EXTRA,
        ),
        max_size=3,
    ),
    EXTRA,
)
def test_the_fast_way_writes_what_the_plain_way_writes(events: list[ProjectionEvent], extra: dict[str, Any]) -> None:
    exam = Exam(events=events, extra=extra, report=Report(extra=extra))
    assert json.loads(record_text(exam)) == sparse(exam)
    assert is_clean_json(record_text(exam)) <= (sparse(exam) == clean_values(sparse(exam)))
    exam = cleaned(exam)
    assert is_clean_json(record_text(exam)) or "\\ud" in record_text(exam)
    assert record_text(exam) == dump(sparse(exam))
    omit = frozenset({"index", "type", "kap_gy_cm2"})
    for event in exam.events:
        assert record_texts(event, omit) == (dump(sparse(event)), dump(sparse(event, omit)))


def test_the_fast_way_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="JSON"):
        record_text(Exam(events=[ProjectionEvent(kap_gy_cm2=float("-inf"))]))
