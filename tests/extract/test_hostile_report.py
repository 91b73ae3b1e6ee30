"""Reports whose items are of the wrong kind: no exception, nothing invented, and still plain data."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from dose_audit.extract import NotDose, as_record, from_record
from dose_audit.extract.ct import CT_EVENT, CT_EVENT_PARTS, CT_TOTALS
from dose_audit.extract.document import DOCUMENT
from dose_audit.extract.enhanced import ENHANCED_CONTAINERS
from dose_audit.extract.nuclear_medicine import ADMINISTRATION
from dose_audit.extract.projection import PLANE_TOTALS, PROJECTION_EVENT
from tests.extract.sr_objects import CT, PROJECTION, coded, container, moment, name, num, read_any, text, uid

PLACES = {
    "113811": CT_TOTALS,
    "113819": {**CT_EVENT, **CT_EVENT_PARTS},
    "113702": PLANE_TOTALS,
    "113706": PROJECTION_EVENT,
    "113502": ADMINISTRATION,
    "130500": PLANE_TOTALS,
    "130501": PROJECTION_EVENT,
    "130505": ENHANCED_CONTAINERS,
}

WRONG = {
    "a text": lambda concept: text(concept, "99999"),
    "an empty text": lambda concept: text(concept, ""),
    "a code": lambda concept: coded(concept, "0@99NOBODY"),
    "no code": lambda concept: coded(concept, None),
    "a number of no unit": lambda concept: num(concept, "99999"),
    "a number of a strange unit": lambda concept: num(concept, "99999", "furlong"),
    "no number": lambda concept: num(concept, None),
    "a UID": lambda concept: uid(concept, "1.2.3"),
    "a moment": lambda concept: moment(concept, "20260102"),
    "a name": lambda concept: name(concept, "Somebody^Real"),
    "a container in a container": lambda concept: container(concept, container(concept, num(concept, "1", "mm"))),
}


@pytest.mark.parametrize("wrong", sorted(WRONG))
@pytest.mark.parametrize("place", sorted(PLACES))
def test_items_of_the_wrong_kind(place, wrong):
    items = [WRONG[wrong](f"{value}@{scheme}") for scheme, value in PLACES[place]]
    exam = read_any(PROJECTION, container(place, *items), container(place, *items))
    record = as_record(exam)
    written = json.dumps(record)
    assert "Somebody" not in written
    assert from_record(json.loads(written)) == exam
    if wrong.startswith("a number of a strange") or wrong in ("no number", "no code", "an empty text"):
        named = [getattr(event, part.name) for event in exam.events for part in fields(event)]
        assert 99999 not in named


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_a_root_of_the_wrong_kind(wrong):
    items = [WRONG[wrong](f"{value}@{scheme}") for scheme, value in DOCUMENT]
    exam = read_any(CT, *items, container("113819"))
    assert "Somebody" not in json.dumps(as_record(exam))
    assert len(exam.events) == 1


def test_an_item_without_a_concept_is_skipped():
    nameless = text("121106", "x")
    del nameless.ConceptNameCodeSequence
    exam = read_any(CT, nameless, container("113819", nameless))
    assert len(exam.events) == 1


def test_a_report_with_nothing_in_it():
    assert isinstance(read_any(root="113701"), NotDose)
    empty = read_any(CT, root="113701")
    assert empty.events == [] and [warning.code for warning in empty.warnings] == ["empty_report"]
