"""The shipped editions: sound, released, and equal to the published values that were read independently."""

from datetime import date

import pytest

from dose_audit.drl import check_root, load_sets, read_abbreviations, read_examinations, suggest, tables_root

STUDY = date(2026, 3, 1)

# GOV.UK, National Diagnostic Reference Levels from 20 November 2024, Table 1: CTDIvol mGy, DLP mGy.cm.
UK_ADULT_CT = {
    "ct-head-acute-stroke": (47, 790),
    "ct-paranasal-sinuses": (12, 160),
    "ct-cervical-spine-fracture": (16, 400),
    "ct-neck-chest-abdomen-pelvis-cancer": (None, 850),
    "ct-chest-lung-cancer": (8.5, 290),
    "ct-chest-abdomen-lung-cancer": (None, 470),
    "ct-chest-high-resolution": (8, 300),
    "ct-chest-abdomen-pelvis-cancer": (None, 660),
    "ct-pulmonary-angiography": (9.1, 310),
    "ct-abdomen-pelvis-abscess": (10, 530),
    "ct-virtual-colonoscopy": (None, 690),
    "ct-kidneys-ureters-bladder": (6.3, 290),
    "ct-urogram": (None, 890),
}

# European Commission, Radiation Protection 185, CT: (age in years or weight in kg) -> CTDIvol, DLP.
RP185 = {
    ("ct-head", "age_years", 0.1): (24, 300),
    ("ct-head", "age_years", 0.5): (28, 385),
    ("ct-head", "age_years", 3.0): (40, 505),
    ("ct-head", "age_years", 12.0): (50, 650),
    ("ct-chest", "weight_kg", 4.0): (1.4, 35),
    ("ct-chest", "weight_kg", 10.0): (1.8, 50),
    ("ct-chest", "weight_kg", 20.0): (2.7, 70),
    ("ct-chest", "weight_kg", 40.0): (3.7, 115),
    ("ct-chest", "weight_kg", 60.0): (5.4, 200),
    ("ct-abdomen", "weight_kg", 4.0): (None, 45),
    ("ct-abdomen", "weight_kg", 10.0): (3.5, 120),
    ("ct-abdomen", "weight_kg", 20.0): (5.4, 150),
    ("ct-abdomen", "weight_kg", 40.0): (7.3, 210),
    ("ct-abdomen", "weight_kg", 60.0): (13, 480),
}


@pytest.fixture(scope="module")
def registry():
    return load_sets(allow_unverified=True, include=["uk-adult-ct", "eu-rp185-paediatric-ct"])


def test_every_shipped_edition_is_sound_and_released():
    problems = check_root()
    assert [str(p) for p in problems if p.severity == "error"] == []
    # Pulmonary and leg veins are a long range in several phases; one paper gives achievable doses for the
    # youngest and the oldest only.
    assert sorted(p.code for p in problems) == ["GAP", "SCAN_LENGTH", "SCAN_LENGTH"]


@pytest.mark.parametrize(("examination", "values"), UK_ADULT_CT.items())
def test_uk_adult_ct(registry, examination, values):
    for quantity, value in zip(("CTDIvol", "DLP"), values, strict=True):
        match = registry.find(examination, quantity, age_years=54.0, on=STUDY)
        assert (match.row and match.row.value) == value
        if value is not None:
            assert match.row.set_id == "uk-adult-ct"
            assert f" {match.row.printed_value} " in match.row.quote


def test_uk_adult_ct_has_nothing_else(registry):
    (uk,) = [s for s in registry.sets if s.name == "uk-adult-ct 2024-11-20"]
    assert len(uk.rows) == sum(v is not None for pair in UK_ADULT_CT.values() for v in pair)
    assert (uk.status, uk.valid_from, uk.published_on) == (
        "transcribed",
        date(2022, 10, 13),
        date(2024, 11, 20),
    )


def test_an_edition_named_by_its_year_or_month_applies_from_then_not_from_the_day_it_was_copied():
    named = [s for s in load_sets(allow_unverified=True).sets if len(s.edition) in (4, 7)]
    assert {"ug-mammography 2023", "uk-fdg-proposal 2025-05"} <= {s.name for s in named}
    late = [s.name for s in named if s.valid_from == s.retrieved_on]
    assert not late, "exams before the day of transcription would be compared with nothing"


def test_an_edition_that_applies_from_the_day_it_was_copied_says_that_this_is_not_known():
    copied = [s for s in load_sets(allow_unverified=True).sets if s.valid_from == s.retrieved_on]
    assert copied and not [s.name for s in copied if s.valid_from_known]


@pytest.mark.parametrize(("case", "values"), RP185.items())
def test_rp185_paediatric_ct(registry, case, values):
    examination, measure, size = case
    for quantity, value in zip(("CTDIvol", "DLP"), values, strict=True):
        match = registry.find(examination, quantity, patient_group="child", on=STUDY, **{measure: size})
        assert (match.row and match.row.value) == value
        if value is not None:
            assert "UNVERIFIED" in match.flags


def test_without_choice_no_second_hand_value_loads():
    registry = load_sets()
    assert "uk-adult-ct" in {s.set_id for s in registry.sets}
    assert "eu-rp185-paediatric-ct" not in {s.set_id for s in registry.sets}
    assert all(row.confidence == "primary" for s in registry.sets for row in s.rows)


def test_a_stroke_in_a_child_is_held_against_the_region(registry):
    match = registry.find("ct-head-acute-stroke", "DLP", age_years=8.0, phantom="head_16cm", on=STUDY)
    assert match.row.value == 650
    assert "BROADER_EXAMINATION" in match.flags


def test_the_2016_edition_answers_for_its_own_years(registry):
    then = registry.find("ct-chest-lung-cancer", "DLP", age_years=60.0, on=date(2019, 5, 1))
    now = registry.find("ct-chest-lung-cancer", "DLP", age_years=60.0, on=date(2019, 5, 1), view="now", now=STUDY)
    assert (then.row.edition, now.row.edition) == ("2016-01-22", "2024-11-20")


def test_units_of_other_countries_are_converted():
    german = load_sets(allow_unverified=True, include=["de-radiography"])
    row = german.find("dx-chest-pa", "KAP", patient_group="adult", on=STUDY).row
    assert (row.printed_value, row.printed_unit, row.value, row.unit) == ("12", "cGy.cm2", 0.12, "Gy.cm2")
    french = load_sets(include=["fr-radiography"])
    match = french.find("dx-chest-pa", "DAP", patient_group="adult", on=STUDY)
    assert (match.row.value, match.achievable.value) == (0.2, 0.15)


def test_two_values_printed_with_a_stroke_are_not_chosen_between():
    irish = load_sets(include=["ie-ct"])
    assert irish.find("ct-head", "CTDIvol", patient_group="adult", on=STUDY).status == "AMBIGUOUS"
    assert irish.find("ct-head", "DLP", patient_group="adult", on=STUDY).row.value == 940


def test_slugs_are_modality_examination_task():
    for examination in read_examinations().values():
        assert examination.slug.startswith(examination.modality.lower() + "-")
        assert examination.name


def test_names_of_examinations_are_told_apart():
    shown = [(e.modality, e.name, e.clinical_task) for e in read_examinations().values()]
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize(
    ("name", "modality", "expected"),
    [
        ("CTPA", "CT", "ct-pulmonary-angiography"),
        ("KUB Low Dose", "CT", "ct-kidneys-ureters-bladder"),
        ("Head Stroke", "CT", "ct-head-acute-stroke"),
        ("CHEST_PA", "DX", "dx-chest-pa"),
        ("Ba Swallow", "RF", "rf-barium-swallow"),
    ],
)
def test_usual_names_find_their_examination_among_the_first_three(name, modality, expected):
    proposals = suggest([name], read_examinations(), modality=modality, abbreviations=read_abbreviations())
    assert expected in [p.examination for p in proposals[:3]]


def test_tables_are_found():
    assert (tables_root() / "uk" / "uk-adult-ct" / "2024-11-20" / "set.toml").is_file()
