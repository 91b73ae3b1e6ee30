"""Verdict and evidence for groups whose truth is known."""

from datetime import date

import numpy as np
import pytest

from dose_audit.drl import Verdict, compare, least_n, load_sets
from dose_audit.drl.registry import Match

TODAY = date(2026, 3, 1)


@pytest.fixture
def match(tables):
    tables.edition([{"value": "100"}, {"value": "60", "role": "p25"}])
    return load_sets(tables.root).find("ct-head", "DLP", patient_group="adult", on=TODAY)


def group(above, below, high=120.0, low=90.0):
    return [high] * above + [low] * below


@pytest.mark.parametrize(
    ("values", "verdict", "flag", "evidence"),
    [
        (group(20, 0), "ABOVE", True, "exceeds"),
        (group(15, 5), "ABOVE", True, "exceeds"),
        (group(14, 6), "ABOVE", True, "consistent"),
        (group(6, 14), "WITHIN", False, "consistent"),
        (group(5, 15), "WITHIN", False, "below"),
        (group(0, 20), "WITHIN", False, "below"),
        ([100.0] * 20, "WITHIN", False, "consistent"),
        ([50.0] * 20, "BELOW_P25_CHECK_IQ", False, "below"),
        ([60.0] * 20, "WITHIN", False, "below"),
        (group(19, 0), "INSUFFICIENT_N", None, "insufficient"),
        ([], "INSUFFICIENT_N", None, "insufficient"),
    ],
)
def test_two_axes(match, values, verdict, flag, evidence):
    result = compare(values, match, modality="CT")
    assert (result.verdict, result.icrp_flag, result.evidence) == (verdict, flag, evidence)


def test_numbers_of_a_group(match):
    result = compare([80, 85, 90, 95, 105, 110, 115, 120, 125, 130], match, modality="CT", minimum_n=10)
    assert (result.n, result.median, result.ci_low, result.ci_high) == (10, 107.5, 85, 125)
    assert result.coverage == pytest.approx(0.978516, abs=1e-6)
    assert result.ratio == pytest.approx(1.075)
    # Type 8: positions 1/3 + (n + 1/3)·q = 2.9167 and 8.0833.
    assert result.p25 == pytest.approx(85 + 0.91666667 * 5)
    assert result.p75 == pytest.approx(120 + 0.08333333 * 5)
    assert (result.drl, result.unit, result.set_id, result.edition, result.row_id) == (
        100, "mGy.cm", "xx-test", "2020", "row-1",
    )  # fmt: skip
    assert result.p_exceeds == pytest.approx(0.376953, abs=1e-6)  # P(B(10, 1/2) >= 6)


def test_absurd_doses_are_left_out_and_counted(match):
    values = [90.0] * 20 + [0.0, -5.0, float("nan"), float("inf"), 1e9]
    result = compare(values, match, modality="CT")
    assert (result.n, result.n_excluded, result.median) == (20, 5, 90.0)
    assert result.excluded == {"not_finite": 2, "not_positive": 2, "implausible": 1}


def test_a_tenfold_slip_is_no_absurdity(match):
    assert compare([900.0] * 20, match, modality="CT").n == 20


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("NO_DRL", Verdict.NO_DRL),
        ("AMBIGUOUS", Verdict.AMBIGUOUS),
        ("PHANTOM_MISMATCH", Verdict.PHANTOM_MISMATCH),
        ("MISSING_WEIGHT", Verdict.NO_DRL),
        ("OUT_OF_BAND", Verdict.NO_DRL),
    ],
)
def test_without_a_level_the_group_is_still_described(status, verdict):
    result = compare([1.0, 2.0, 3.0] * 10, Match(None, status, "why"), modality="CT", quantity="KAP")
    assert (result.verdict, result.reason, result.n, result.median) == (verdict, "why", 30, 2.0)
    assert (result.drl, result.icrp_flag, result.evidence, result.unit) == (
        None,
        None,
        "insufficient",
        "Gy.cm2",
    )


@pytest.mark.parametrize(
    ("level", "doses", "reason"),
    [
        ("790", [3000.0] * 20, "median 3000 is above 790 mGy.cm"),
        ("8.5", [8.504] * 20, "median 8.504 is above 8.5 mGy.cm"),
        ("1250", [1250.0] * 10 + [1251.0] * 10, "median 1250.5 is above 1250 mGy.cm"),
        ("790", [9000.0], "1 exam, 20 needed"),
    ],
)
def test_a_reason_shows_that_two_figures_differ_and_has_no_exponent(tables, level, doses, reason):
    tables.edition([{"value": level}])
    match = load_sets(tables.root).find("ct-head", "DLP", patient_group="adult", on=TODAY)
    assert compare(doses, match, modality="CT").reason == reason


def test_the_25th_percentile_is_told_apart_too(match):
    assert compare([59.99] * 20, match, modality="CT").reason == "median 59.99 is below the 25th percentile 60 mGy.cm"


def test_least_n_by_modality():
    assert [least_n(m) for m in ("CT", "DX", "RF", "XA", "MG", "US")] == [20, 20, 30, 30, 50, 30]
    assert least_n("CT", "child") == 10


def test_false_exceedance_of_a_group_in_control(match):
    """True median 5 % under the level, GSD 1.6, n = 20: the sign test errs in 0.8 %, the median in 35 %."""
    rng = np.random.default_rng(95)
    samples = 95.0 * np.exp(np.log(1.6) * rng.standard_normal((2000, 20)))
    results = [compare(sample, match, modality="CT") for sample in samples]
    exceeds = sum(r.evidence == "exceeds" for r in results) / 2000
    above = sum(bool(r.icrp_flag) for r in results) / 2000
    assert exceeds < 0.017
    assert above == pytest.approx(0.347, abs=0.045)
