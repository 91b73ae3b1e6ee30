"""The worksheet for significant exposures against the printed thresholds; it says consider, and never decides."""

from __future__ import annotations

import pytest

from dose_audit.audit.significant import NATIONS, fill_worksheet, thresholds


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
