"""Effective dose factors: every verified one, the misprint that must not be there, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.dosimetry import effective_dose
from dose_audit.dosimetry.tables import load_table

AGES = ("0y", "1y", "5y", "10y", "adult")
# AAPM Report 96 table 3, mSv/(mGy cm).
AAPM_96 = {
    "head": (0.011, 0.0067, 0.0040, 0.0032, 0.0021),
    "chest": (0.039, 0.026, 0.018, 0.013, 0.014),
    "abdomen_pelvis": (0.049, 0.030, 0.020, 0.015, 0.015),
    "trunk": (0.044, 0.028, 0.019, 0.014, 0.015),
}
ICRP_103 = {"head": 1.9, "neck": 5.1, "chest": 14.5, "abdomen": 15.3, "pelvis": 12.9, "trunk": 15.2}
HEADS = ("head", "neck", "head_neck")


@pytest.mark.parametrize("region", AAPM_96)
@pytest.mark.parametrize("age", AGES)
def test_aapm_96(region: str, age: str) -> None:
    phantom_cm = 32 if age == "adult" and region not in HEADS else 16
    result = effective_dose(1000.0, region, age, phantom_cm)
    assert result.value == pytest.approx(1000 * AAPM_96[region][AGES.index(age)])
    assert result.usable
    assert "populations" in result.method


@pytest.mark.parametrize(("region", "expected"), ICRP_103.items())
def test_icrp_103_adult(region: str, expected: float) -> None:
    result = effective_dose(1000.0, region, 40.0, 16 if region in HEADS else 32, factors="ICRP 103")
    assert result.value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dlp", "age", "phantom_cm", "factors", "expected"),
    [(500, "adult", 32, "AAPM 96", 7.0), (500, "adult", 32, "ICRP 103", 7.25), (200, "5y", 16, "AAPM 96", 3.6)],
)
def test_worked_cases(dlp: float, age: str, phantom_cm: int, factors: str, expected: float) -> None:
    assert effective_dose(dlp, "chest", age, phantom_cm, factors=factors).value == pytest.approx(expected)


def test_the_table_holds_no_shifted_column() -> None:
    """A public calculator ships 0.054, 0.039, 0.023, 0.018 for the child's chest."""
    chest = [
        float(row["k_msv_per_mgy_cm"])
        for row in load_table("effective_dose_k")
        if (row["set"], row["region"]) == ("AAPM 96", "chest")
    ]
    assert tuple(chest) == AAPM_96["chest"]
    assert 0.054 not in chest


@pytest.mark.parametrize(
    ("dlp", "region", "age", "phantom_cm", "word"),
    [
        (500.0, "chest", None, 32, "age"),
        (500.0, "chest", 40.0, None, "phantom"),
        (500.0, "chest", 40.0, 16, "phantom"),
        (500.0, "chest", 5.0, 32, "phantom"),
        (500.0, "head", 40.0, 32, "phantom"),
        (500.0, "knee", 40.0, 32, "no factor"),
        (500.0, "chest", -1.0, 32, "age"),
        (500.0, "chest", 200.0, 32, "age"),
        (500.0, "chest", "teenager", 32, "no row"),
        (None, "chest", 40.0, 32, "DLP"),
        (-1.0, "chest", 40.0, 32, "DLP"),
        (math.nan, "chest", 40.0, 32, "DLP"),
        (500.0, "neck", 5.0, 16, "unverified"),
    ],
)
def test_what_is_refused(dlp: float, region: str, age: float | None, phantom_cm: int | None, word: str) -> None:
    result = effective_dose(dlp, region, age, phantom_cm)
    assert result.value is None
    assert word in result.reason


def test_unverified_factors_carry_their_label() -> None:
    result = effective_dose(100.0, "chest", 5.0, 32, factors="NCI ICRP 103", allow_unverified=True)
    assert result.value == pytest.approx(2.40)
    assert "unverified constants" in result.method
    assert effective_dose(100.0, "chest", 5.0, 32, factors="NCI ICRP 103").value is None


def test_programming_errors() -> None:
    with pytest.raises(ValueError, match="factors are one of"):
        effective_dose(1.0, "chest", 40.0, 32, factors="mine")
    with pytest.raises(ValueError, match="16 or 32"):
        effective_dose(1.0, "chest", 40.0, 24)


def test_abdomen_alone_borrows_the_wider_factor_and_says_so() -> None:
    result = effective_dose(100.0, "abdomen", 40.0, 32)
    assert (result.value, result.status) == (pytest.approx(1.5), "suspect")


@given(st.floats(0, 5000), st.floats(15, 120))
def test_linear_in_dlp_and_nothing_for_nothing(dlp: float, age: float) -> None:
    assert effective_dose(dlp, "trunk", age, 32).value == pytest.approx(0.015 * dlp)


def test_each_age_has_exactly_one_row() -> None:
    for age in (0, 0.4, 0.5, 2.9, 3, 7.4, 7.5, 14.9):
        assert effective_dose(1.0, "chest", age, 16).usable
    assert effective_dose(1.0, "chest", 15.0, 32).usable
