"""Limits belong to what passes; about a baseline nothing is judged without one; a doubtful value is not judged at all."""

import pytest

from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Tolerance
from dose_audit.phantom.judge import judge, judge_value
from dose_audit.phantom.results import PhantomMeasurement


@pytest.mark.parametrize(
    ("value", "expected"),
    [(95.0, "pass"), (90.0, "pass"), (89.9, "remedial"), (80.0, "remedial"), (79.9, "suspension"), (500.0, "pass")],
)
def test_per_cent_of_a_baseline_with_an_open_side(value, expected):
    limits = Tolerance("mtf50", "/mm", "baseline_percent", remedial=(-10.0, None), suspension=(-20.0, None), source="s")
    assert judge_value(value, limits, 100.0) == expected
    assert judge_value(value, limits, None) == "no_baseline"


def test_about_a_nominal_value():
    limits = Tolerance("diameter", "mm", "nominal", 190.0, (-2.0, 2.0), (-3.0, 3.0), "s")
    assert [judge_value(v, limits) for v in (192.0, 192.5, 186.5)] == ["pass", "remedial", "suspension"]


def _definition(*tolerances: Tolerance) -> Definition:
    return Definition("d", "D", ("MR",), "x", tolerances=tolerances)


def test_the_first_tolerance_whose_conditions_hold_is_taken():
    definition = _definition(
        Tolerance("piu", "%", remedial=(87.5, None), source="s", applies={"field_strength_t": {"below": 3.0}}),
        Tolerance("piu", "%", remedial=(82.0, None), source="s", applies={"field_strength_t": {"from": 3.0}}),
    )
    one = PhantomMeasurement(Measured("piu", 85.0, "%"))
    assert judge(one, definition, facts={"field_strength_t": 1.5}).judgement == "remedial"
    assert judge(one, definition, facts={"field_strength_t": 3.0}).judgement == "pass"
    assert judge(one, definition, facts={}).judgement == "no_tolerance"


def test_neither_a_doubtful_value_nor_another_unit_passes():
    definition = _definition(Tolerance("x", "mm", remedial=(-1.0, 1.0), source="s"))
    doubtful = PhantomMeasurement(Measured("x", 0.0, "mm", status="suspect", reason="poor fit"))
    assert judge(doubtful, definition).judgement == "not_measured"
    other = judge(PhantomMeasurement(Measured("x", 0.0, "cm")), definition)
    assert other.judgement == "not_measured"
    assert "cm" in other.measured.reason
