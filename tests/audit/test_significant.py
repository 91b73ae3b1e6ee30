"""The worksheet for significant exposures against the printed thresholds; it says consider, and never decides."""

from __future__ import annotations

import pytest

from dose_audit.audit.significant import NATIONS, fill_worksheet, reaches, thresholds


def _codes(**words):
    given = {"nation": "England", "population": "adult", "category": "unintended"} | words
    return [row.code for row in fill_worksheet(**given).reached]


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        # CQC, IR(ME)R incident notification codes, categories and criteria (2023 and later).
        ({"category": "accidental", "total_msv": 3.0}, ["1"]),
        ({"category": "accidental", "total_msv": 2.99}, []),
        ({"category": "accidental", "total_msv": 1.0, "population": "child"}, ["1"]),
        ({"category": "accidental", "total_msv": 0.01, "nation": "Scotland"}, ["1"]),
        ({"intended_msv": 0.1, "total_msv": 3.0}, ["2.1"]),
        ({"intended_msv": 0.1, "total_msv": 2.9}, []),
        ({"intended_msv": 0.1, "total_msv": 1.0, "population": "child"}, ["2.1"]),
        ({"intended_msv": 0.3, "total_msv": 3.0}, ["2.2"]),
        ({"intended_msv": 2.0, "total_msv": 19.9}, []),
        ({"intended_msv": 2.5, "total_msv": 25.0}, ["2.3"]),
        ({"intended_msv": 9.99, "total_msv": 24.9}, []),
        ({"intended_msv": 10.0, "total_msv": 25.0}, ["2.4"]),
        ({"intended_msv": 20.0, "total_msv": 49.0}, []),
    ],
)
def test_thresholds_of_the_table(words, codes):
    assert _codes(**words) == codes


def test_it_says_consider_and_leaves_the_decision():
    for total in (0.5, 100.0):
        sheet = fill_worksheet(
            nation="Wales", population="adult", category="unintended", total_msv=total, intended_msv=1.0
        )
        assert "consider" in sheet.conclusion.lower()
        assert not any(word in sheet.conclusion.lower() for word in ("must notify", "not notifiable", "no need"))
        assert {row.scope for row in sheet.other_criteria} >= {"interventional", "radiotherapy planning scan"}


def test_what_the_table_does_not_know_is_refused():
    good = {"nation": "England", "population": "adult", "category": "accidental", "total_msv": 1.0}
    wrongs = ({"nation": "France"}, {"population": "dog"}, {"total_msv": 0.0}, {"total_msv": float("nan")},
              {"category": "unintended"}, {"intended_msv": -1.0})  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(ValueError):
            fill_worksheet(**(good | wrong))


def test_every_row_has_version_source_and_confidence():
    assert all(row.version and row.source_url.startswith("https://") and row.confidence for row in thresholds())
    assert all(nation in NATIONS for row in thresholds() for nation in row.nations.split("|") if row.nations != "UK")


def test_what_would_have_to_have_been_intended():
    """England's table by hand: 12 mSv is ten times 1.2 mSv, over 3 mSv where under 0.3 was meant, never 25 mSv."""
    found = {(one.threshold.code, one.threshold.nations): one for one in reaches(12.0, "adult")}
    assert found["1", "England"].reached and found["1", "Northern Ireland|Scotland|Wales"].reached
    assert (found["2.1", "UK"].intended_low_msv, found["2.1", "UK"].intended_high_msv) == (0.0, 0.3)
    assert found["2.2", "UK"].intended_high_msv == pytest.approx(1.2)
    assert not found["2.3", "UK"].reached and not found["2.4", "UK"].reached
    assert not any(one.reached for one in reaches(2.9, "adult") if one.threshold.nations == "England")
    assert any(one.reached for one in reaches(2.9, "child") if one.threshold.nations == "England")
    # Whoever's age is not known is held against both.
    assert {one.threshold.population for one in reaches(2.9, None)} == {"adult", "child", "any"}


@pytest.mark.parametrize("total", [0.5, 3.0, 12.0, 26.0, 60.0])
@pytest.mark.parametrize("population", ["adult", "child"])
def test_the_ranges_agree_with_the_worksheet(total, population):
    """The worksheet, filled in with an intended dose, reaches just the rows in whose range that dose lies."""
    for intended in (0.1, 0.29, 0.5, 1.0, 2.6, 4.0, 11.0, 20.0):
        if intended >= total:
            continue
        sheet = fill_worksheet(
            nation="England", population=population, category="unintended", total_msv=total, intended_msv=intended
        )
        inside = [
            one.threshold
            for one in reaches(total, population)
            if one.reached
            and one.threshold.category == "unintended"
            and one.intended_low_msv <= intended < one.intended_high_msv * (1 + 1e-12)
        ]
        assert inside == list(sheet.reached), (total, intended)
