"""Editions in force and the row that answers: dates, bands, phantoms, preference, and never a guess."""

from datetime import date

import pytest

from dose_audit.drl import load_sets

TODAY = date(2026, 3, 1)


def child(low, high, value, **more):
    return {
        "patient_group": "child",
        "band_type": "weight",
        "band_low": low,
        "band_high": high,
        "band_unit": "kg",
        "value": value,
        **more,
    }


EQUIVALENTS = "age_equivalents = [[0, 5, 0, 1], [5, 15, 1, 48], [15, 30, 48, 120]]\n"
LADDER = [child("0", "5", "35"), child("5", "15", "50"), child("15", "30", "70")]


def test_edition_in_force_then_and_now(tables):
    tables.edition([{"value": "1000"}], edition="2016", valid_from="2016-01-22", extra="valid_to = 2022-10-13\n")
    tables.edition([{"value": "790"}], edition="2022", valid_from="2022-10-13")
    registry = load_sets(tables.root)

    def value(on, **view):
        row = registry.find("ct-head", "DLP", patient_group="adult", on=on, **view).row
        return row and row.value

    assert value(date(2022, 10, 12)) == 1000
    assert value(date(2022, 10, 13)) == 790
    assert value(date(2016, 1, 21)) is None
    assert value(date(2018, 1, 1), view="now", now=TODAY) == 790
    assert value(TODAY, view="now", now=date(2018, 1, 1)) == 1000
    with pytest.raises(ValueError, match="now"):
        registry.in_force(TODAY, "now")


def test_an_edition_of_unknown_validity_says_why_earlier_exams_have_no_level(tables):
    tables.edition([{}], valid_from="2026-01-01", extra="valid_from_known = false\n")
    tables.edition([{"examination": "ct-chest"}], set_id="xx-known", valid_from="2026-01-01")
    registry = load_sets(tables.root)

    def find(examination="ct-head", quantity="DLP", on=date(2025, 12, 31), group="adult", **more):
        return registry.find(examination, quantity, patient_group=group, on=on, **more)

    told = find()
    assert (told.status, told.flags) == ("NO_DRL", ("VALIDITY_NOT_KNOWN",))
    assert "xx-test 2020" in told.reason and "2026-01-01" in told.reason
    # What it has no row for, or where the date is known, wants no date.
    others = [
        find("ct-chest"),
        find("ct-pelvis"),
        find(quantity="CTDIvol"),
        find(group="child"),
        find(basis="per_view"),
    ]
    assert [(match.status, match.flags) for match in others] == [("NO_DRL", ())] * 5
    assert find(on=date(2026, 1, 1)).row.value == 800
    assert find(view="now", now=date(2026, 1, 2)).row.value == 800
    assert find(on=TODAY, view="now", now=date(2025, 1, 2)).flags == ("VALIDITY_NOT_KNOWN",)


@pytest.mark.parametrize("extra", ["valid_from_known = 0\n", "valid_from_known = false\n"])
def test_an_unknown_validity_is_said_in_full(tables, extra):
    tables.edition([{}], valid_from="2020-01-01", extra=extra)
    registry = load_sets(tables.root)
    assert registry.sets == () and [problem.code for problem in registry.problems] == ["DATE"]


def test_the_newest_of_two_open_editions_counts(tables):
    tables.edition([{"value": "1000"}], edition="2016", valid_from="2016-01-22")
    tables.edition([{"value": "790"}], edition="2022", valid_from="2022-10-13")
    registry = load_sets(tables.root)
    assert [s.edition for s in registry.in_force(TODAY)] == ["2022"]
    assert [s.edition for s in registry.in_force(date(2020, 1, 1))] == ["2016"]


def test_unverified_loads_only_by_choice_and_stamps(tables):
    tables.edition([{"confidence": "recalled"}], status="unverified")
    registry = load_sets(tables.root)
    assert registry.sets == ()
    assert "explicit choice" in registry.skipped[0].reason
    assert registry.find("ct-head", "DLP", patient_group="adult", on=TODAY).status == "NO_DRL"
    chosen = load_sets(tables.root, allow_unverified=True)
    assert "UNVERIFIED" in chosen.find("ct-head", "DLP", patient_group="adult", on=TODAY).flags
    assert [s.set_id for s in chosen.unverified] == ["xx-test"]


@pytest.mark.parametrize(
    ("weight", "value"),
    [(0.0, 35), (4.99, 35), (5.0, 50), (14.99, 50), (15.0, 70), (29.99, 70), (30.0, None)],
)
def test_bands_are_half_open_and_never_stretched(tables, weight, value):
    tables.edition(LADDER)
    match = load_sets(tables.root).find("ct-head", "DLP", patient_group="child", weight_kg=weight, on=TODAY)
    assert (match.row and match.row.value) == value
    assert match.status == ("MATCHED" if value else "OUT_OF_BAND")


def test_age_stands_in_for_missing_weight_only_by_the_sets_own_equivalence(tables):
    tables.edition(LADDER, set_id="xx-with", extra=EQUIVALENTS)
    tables.edition([{**row, "examination": "ct-chest"} for row in LADDER], set_id="xx-without")
    registry = load_sets(tables.root)
    by_age = registry.find("ct-head", "DLP", age_years=3.9, on=TODAY)
    assert (by_age.row.value, by_age.band_label) == (50, "5-<15 kg")
    assert "AGE_EQUIVALENT" in by_age.flags
    newborn = registry.find("ct-head", "DLP", age_years=0.1, on=TODAY)
    assert newborn.flags[:2] == ("AGE_EQUIVALENT", "AGE_NEAR_EDGE")
    assert "AGE_NEAR_EDGE" not in by_age.flags
    at_the_edge = registry.find("ct-head", "DLP", age_years=4.0, on=TODAY)
    assert at_the_edge.row.value == 70
    measured = registry.find("ct-head", "DLP", age_years=3.9, weight_kg=16.0, on=TODAY)
    assert measured.row.value == 70
    assert "AGE_EQUIVALENT" not in measured.flags
    assert registry.find("ct-head", "DLP", age_years=12.0, on=TODAY).status == "OUT_OF_BAND"
    assert registry.find("ct-chest", "DLP", age_years=3.9, on=TODAY).status == "MISSING_WEIGHT"


def test_age_bands_in_months_and_the_rounding_of_an_infants_age(tables):
    rows = [
        child("0", "3", "300", band_type="age", band_unit="month"),
        child("3", "12", "385", band_type="age", band_unit="month"),
        child("12", "72", "505", band_type="age", band_unit="month"),
    ]
    tables.edition(rows)
    registry = load_sets(tables.root)

    def find(age):
        return registry.find("ct-head", "DLP", age_years=age, on=TODAY)

    assert [find(age).row.value for age in (0.0, 0.2, 0.3, 0.9, 1.0, 5.9)] == [300, 300, 385, 385, 505, 505]
    assert find(6.0).status == "OUT_OF_BAND"
    assert "AGE_NEAR_EDGE" in find(0.2).flags
    assert "AGE_NEAR_EDGE" not in find(0.6).flags
    assert registry.find("ct-head", "DLP", patient_group="child", on=TODAY).status == "MISSING_AGE"


def test_group_follows_the_sets_own_adult_age(tables):
    tables.edition([{"value": "800"}, {"value": "300", "patient_group": "child"}])
    registry = load_sets(tables.root)
    assert registry.find("ct-head", "DLP", age_years=18.0, on=TODAY).row.value == 800
    assert registry.find("ct-head", "DLP", age_years=17.9, on=TODAY).row.value == 300
    assert registry.find("ct-head", "DLP", on=TODAY).status == "MISSING_AGE"


def test_phantom_mismatch_is_a_status_not_a_conversion(tables):
    tables.edition(
        [
            {
                "phantom": "head_16cm",
                "phantom_source": "recalled",
                "quantity": "CTDIvol",
                "unit": "mGy",
                "value": "47",
            },
            {"examination": "ct-chest"},
        ]
    )
    registry = load_sets(tables.root)

    def find(examination, quantity, phantom):
        return registry.find(examination, quantity, patient_group="adult", phantom=phantom, on=TODAY)

    assert find("ct-head", "CTDIvol", "head_16cm").row.value == 47
    assert "DRL_PHANTOM_RECALLED" in find("ct-head", "CTDIvol", "head_16cm").flags
    for other in ("body_32cm", "mixed"):
        match = find("ct-head", "CTDIvol", other)
        assert (match.row, match.status) == (None, "PHANTOM_MISMATCH")
        assert "16 cm" in match.reason
    assert "PHANTOM_NOT_REPORTED" in find("ct-head", "CTDIvol", None).flags
    assert "DRL_PHANTOM_NOT_STATED" in find("ct-chest", "DLP", "body_32cm").flags
    # Doses on both phantoms are no one dose, whether or not the level says on which it stands.
    assert find("ct-chest", "DLP", "mixed").status == "PHANTOM_MISMATCH"


def test_the_phantom_chooses_between_rows_that_differ_in_it(tables):
    both = [
        {"phantom": p, "phantom_source": "primary", "value": v} for p, v in (("head_16cm", "900"), ("body_32cm", "450"))
    ]
    tables.edition(both)
    registry = load_sets(tables.root)
    assert registry.find("ct-head", "DLP", patient_group="adult", phantom="body_32cm", on=TODAY).row.value == 450
    assert registry.find("ct-head", "DLP", patient_group="adult", on=TODAY).status == "AMBIGUOUS"


def test_two_sets_are_ambiguous_until_an_order_is_given(tables):
    tables.edition([{"value": "790"}], set_id="xx-one")
    tables.edition([{"value": "807"}], set_id="xx-two")
    match = load_sets(tables.root).find("ct-head", "DLP", patient_group="adult", on=TODAY)
    assert (match.row, match.status, len(match.candidates)) == (None, "AMBIGUOUS", 2)
    assert "xx-one" in match.reason
    for order, value in ((("xx-one", "xx-two"), 790), (("xx-two", "xx-one"), 807)):
        preferred = load_sets(tables.root, include=order)
        assert preferred.find("ct-head", "DLP", patient_group="adult", on=TODAY).row.value == value


def test_preference_passes_over_a_set_without_the_patient_group(tables):
    tables.edition([{"value": "790"}], set_id="xx-adult")
    tables.edition(LADDER, set_id="xx-child")
    registry = load_sets(tables.root, include=["xx-adult", "xx-child"])
    assert registry.find("ct-head", "DLP", age_years=3.0, weight_kg=14.0, on=TODAY).row.value == 50


def test_parts_and_techniques_are_chosen_or_ambiguous(tables):
    tables.edition([{"scan_part": "cerebrum", "value": "60"}, {"scan_part": "posterior fossa", "value": "80"}])
    registry = load_sets(tables.root)
    assert registry.find("ct-head", "DLP", patient_group="adult", on=TODAY).status == "AMBIGUOUS"
    assert registry.find("ct-head", "DLP", patient_group="adult", scan_part="cerebrum", on=TODAY).row.value == 60
    assert registry.find("ct-head", "DLP", patient_group="adult", scan_part="face", on=TODAY).status == "NO_DRL"


def test_only_a_set_of_regions_answers_for_a_narrower_examination(tables):
    tables.edition([{}], set_id="xx-region", extra="scope = 'region'\n")
    tables.edition([{"examination": "ct-chest"}], set_id="xx-indication")
    registry = load_sets(tables.root)
    match = registry.find("ct-head-stroke", "DLP", patient_group="adult", on=TODAY)
    assert match.status == "MATCHED"
    assert "BROADER_EXAMINATION" in match.flags
    indication = load_sets(tables.root, include=["xx-indication"])
    assert indication.find("ct-head-stroke", "DLP", patient_group="adult", on=TODAY).status == "NO_DRL"


def test_adults_outside_the_sets_weight_window_leave_the_sample(tables):
    tables.edition([{}], extra="adult_weight_kg = [50, 90]\n")
    registry = load_sets(tables.root)

    def status(weight):
        return registry.find("ct-head", "DLP", patient_group="adult", weight_kg=weight, on=TODAY).status

    assert [status(w) for w in (49.9, 50.0, 89.9, 90.0, None)] == [
        "OUTSIDE_WEIGHT_WINDOW", "MATCHED", "MATCHED", "OUTSIDE_WEIGHT_WINDOW", "MATCHED",
    ]  # fmt: skip


def test_companion_rows_travel_with_the_match(tables):
    tables.edition([{"value": "800"}, {"value": "500", "role": "p25"}, {"value": "620", "role": "achievable"}])
    match = load_sets(tables.root).find("ct-head", "DLP", patient_group="adult", on=TODAY)
    assert (match.row.value, match.p25.value, match.achievable.value) == (800, 500, 620)


def test_unknown_sets_are_refused_by_name(tables):
    tables.edition([{}])
    with pytest.raises(ValueError, match=r"xx-nothing.*xx-test"):
        load_sets(tables.root, include=["xx-nothing"])


def test_a_level_of_one_acquisition_is_not_held_against_a_whole_examination(tables):
    """France sets DLP for one acquisition (decision 2019-DC-0667, annex 3); an exam's DLP adds up its phases."""
    tables.edition([{"basis": "per_sequence"}, {"examination": "ct-chest"}])
    registry = load_sets(tables.root)

    def find(examination, basis):
        return registry.find(examination, "DLP", patient_group="adult", basis=basis, on=TODAY)

    refused = find("ct-head", "per_exam")
    assert (refused.row, refused.status) == (None, "NO_DRL")
    assert "per exam: xx-test 2020 has it per sequence" in refused.reason
    assert find("ct-head", "per_sequence").row.value == 800
    assert find("ct-chest", "per_exam").row.value == 800
    assert find("ct-head", None).row.value == 800


def test_levels_of_another_basis_leave_the_answer_to_the_next_set(tables):
    tables.edition([{"basis": "per_sequence", "value": "300"}], set_id="xx-acquisition")
    tables.edition([{}], set_id="xx-whole")
    registry = load_sets(tables.root, include=["xx-acquisition", "xx-whole"])
    assert registry.find("ct-head", "DLP", patient_group="adult", basis="per_exam", on=TODAY).row.value == 800
