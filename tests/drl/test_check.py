"""`drl check`: each fault is named with its file and row, and only that edition is refused."""

import csv

import pytest

from dose_audit.drl import check_root, load_sets, release_edition
from dose_audit.drl.tables import ROW_COLUMNS


def codes(tables):
    return [(problem.severity, problem.code) for problem in check_root(tables.root) if problem.code != "UNRELEASED"]


def band(low, high, value, **more):
    return {
        "patient_group": "child",
        "band_type": "weight",
        "band_low": low,
        "band_high": high,
        "band_unit": "kg",
        "value": value,
        **more,
    }


def test_a_clean_edition_has_no_problem(tables):
    tables.edition([band("0", "5", "35"), band("5", "15", "50"), band("15", "", "70")])
    assert codes(tables) == []


@pytest.mark.parametrize(
    ("rows", "code", "told"),
    [
        ("[[0, 5, 0, 1], [5, 15, 2, 48]]", "GAP", "up to 1 and from 2 months leave a gap"),
        ("[[0, 5, 0, 3], [5, 15, 2, 48]]", "OVERLAP", "up to 3 and from 2 months overlap"),
        ("[[5, 15, 1, 48], [0, 4, 0, 1]]", "GAP", "up to 4 and from 5 kg leave a gap"),
    ],
)
def test_ages_in_the_place_of_weights_have_no_gap_and_no_overlap(tables, rows, code, told):
    tables.edition([{}], extra=f"age_equivalents = {rows}")
    [problem] = [problem for problem in check_root(tables.root) if problem.severity == "error"]
    assert (problem.code, told in problem.message, problem.file.endswith("set.toml")) == (code, True, True)


def test_an_edition_without_rows_is_no_edition(tables):
    tables.edition([])
    assert codes(tables) == [("error", "EMPTY")]


def test_a_row_that_cannot_be_read_leaves_no_gap_between_the_others(tables):
    tables.edition([band("0", "5", "35"), band("5", "15", "50", unit="lb"), band("15", "", "70")])
    assert codes(tables) == [("error", "UNIT")]


def test_a_folder_without_a_list_of_examinations_uses_the_packaged_one(tables):
    tables.edition([{}])
    (tables.root / "examinations.csv").unlink()
    assert codes(tables) == []


@pytest.mark.parametrize(
    ("rows", "severity", "code", "row"),
    [
        ([band("0", "5", "35"), band("6", "15", "50")], "error", "GAP", "3 (row-2)"),
        ([band("0", "5", "35"), band("4", "15", "50")], "error", "OVERLAP", "3 (row-2)"),
        ([band("0", "5", "35"), band("5", "15", "30")], "warning", "MONOTONE", "3 (row-2)"),
        ([{}, {"value": "900"}], "error", "DUPLICATE", "3 (row-2)"),
        ([{}, {"row_id": "row-1", "examination": "ct-chest"}], "error", "DUPLICATE", "3 (row-1)"),
        ([{"unit": "mSv"}], "error", "UNIT", "2 (row-1)"),
        ([{"unit": "mGy"}], "error", "UNIT", "2 (row-1)"),
        ([{"value": "8oo"}], "error", "VALUE", "2 (row-1)"),
        ([{"value": "-800"}], "error", "VALUE", "2 (row-1)"),
        ([{"value": "Infinity"}], "error", "VALUE", "2 (row-1)"),
        ([{"value": "NaN"}], "error", "VALUE", "2 (row-1)"),
        ([{"value": "8e9"}], "error", "VALUE", "2 (row-1)"),
        ([{"examination": "ct-knee"}], "error", "EXAMINATION", "2 (row-1)"),
        ([{"modality": "DX"}], "error", "MODALITY", "2 (row-1)"),
        ([{"basis": "per_room"}], "error", "BASIS", "2 (row-1)"),
        ([{"phantom": "20cm"}], "error", "PHANTOM", "2 (row-1)"),
        ([{"phantom": "head_16cm"}], "error", "PHANTOM", "2 (row-1)"),
        ([{"confidence": "secondary"}], "error", "CONFIDENCE", "2 (row-1)"),
        ([band("5", "5", "35")], "error", "BAND", "2 (row-1)"),
        ([band("", "", "35")], "error", "BAND", "2 (row-1)"),
        ([band("0", "5", "35", band_unit="lb")], "error", "BAND", "2 (row-1)"),
        (
            [{"value": "800"}, {"quantity": "CTDIvol", "unit": "mGy", "value": "4"}],
            "warning",
            "SCAN_LENGTH",
            "2 (row-1)",
        ),
    ],
)
def test_each_fault_names_file_and_row(tables, rows, severity, code, row):
    folder = tables.edition(rows)
    found = [p for p in check_root(tables.root) if p.code != "UNRELEASED"]
    assert [(p.severity, p.code, p.row) for p in found] == [(severity, code, row)]
    assert found[0].file == str(folder / "rows.csv")
    assert row in str(found[0])


def test_age_bands_in_months_and_years_meet(tables):
    months = {"patient_group": "child", "band_type": "age", "band_unit": "month"}
    years = {**months, "band_unit": "year"}
    tables.edition(
        [
            {**months, "band_low": "0", "band_high": "12", "value": "300"},
            {**years, "band_low": "1", "band_high": "6", "value": "400"},
        ]
    )
    assert codes(tables) == []


def test_a_bad_edition_is_refused_and_the_others_load(tables):
    tables.edition([band("0", "5", "35"), band("6", "15", "50")], set_id="xx-bad")
    tables.edition([{}], set_id="xx-good")
    registry = load_sets(tables.root)
    assert [s.set_id for s in registry.sets] == ["xx-good"]
    (skipped,) = registry.skipped
    assert (skipped.set_id, [fault.code for fault in skipped.faults]) == ("xx-bad", ["GAP"])
    assert skipped.reason.startswith(
        "refused for 1 error: rows.csv, row 3 (row-2): bands 0-<5 kg and 6-<15 kg leave a gap"
    )
    assert any(p.code == "GAP" for p in registry.problems)


def rewrite(folder, change):
    path = folder / "rows.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ROW_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("change", "message", "row"),
    [
        (lambda rows: rows[0].update(value="801"), "released row was changed", "2 (row-1)"),
        (lambda rows: rows[1].update(note="another"), "released row was changed", "3 (row-2)"),
        (lambda rows: rows.pop(0), "released row is missing", "row-1"),
        (
            lambda rows: rows.append({**rows[0], "row_id": "row-9", "examination": "ct-pelvis"}),
            "row was added after release",
            "4 (row-9)",
        ),
    ],
)
def test_a_released_row_never_changes(tables, change, message, row):
    folder = tables.edition([{}, {"examination": "ct-chest"}])
    assert release_edition(folder) == 2
    assert check_root(tables.root) == []
    rewrite(folder, change)
    problems = check_root(tables.root)
    assert [(p.code, p.row) for p in problems] == [("RELEASED", row)]
    assert message in problems[0].message
    assert load_sets(tables.root).sets == ()


def test_rows_may_move_without_being_changed(tables):
    folder = tables.edition([{}, {"examination": "ct-chest"}])
    release_edition(folder)
    rewrite(folder, lambda rows: rows.reverse())
    assert check_root(tables.root) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("valid_from = 2020-01-01", "valid_from = 2020-01-02", "valid_from was changed after release"),
        ("adult_from_years = 18", "adult_from_years = 16", "adult_from_years was changed after release"),
        ('publisher = "nobody"', 'publisher = "nobody"\nvalid_to = 2024-01-01', "valid_to was added after release"),
        ('rounding = "as printed"', "", "rounding was removed after release"),
    ],
)
def test_what_a_released_edition_says_of_itself_never_changes(tables, old, new, told):
    folder = tables.edition([{}], extra='rounding = "as printed"\n')
    release_edition(folder)
    assert check_root(tables.root) == []
    path = folder / "set.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    (problem,) = check_root(tables.root)
    assert (problem.severity, problem.code, problem.file) == ("error", "RELEASED", str(path))
    assert told in problem.message
    assert load_sets(tables.root).sets == ()


def test_checking_and_layout_may_follow_the_release(tables):
    folder = tables.edition([{}], extra='notes = "first"\n')
    release_edition(folder)
    path = folder / "set.toml"
    lines = path.read_text().replace("first", "second").replace("transcribed", "unverified").splitlines()
    checks = '[[checked]]\nby = "A"\non = 2026-01-01\n'
    path.write_text("# a comment\n" + "\n\n".join(reversed(lines)) + "\n" + checks)
    assert check_root(tables.root) == []


def test_fingerprints_of_rows_alone_are_still_read(tables):
    folder = tables.edition([{}])
    release_edition(folder)
    locks = folder / "rows.sha256"
    locks.write_text("".join(line + "\n" for line in locks.read_text().splitlines() if "set.toml" not in line))
    (problem,) = check_root(tables.root)
    assert (problem.severity, problem.code) == ("warning", "UNRELEASED")
    assert [s.set_id for s in load_sets(tables.root).sets] == ["xx-test"]
    rewrite(folder, lambda rows: rows[0].update(value="801"))
    assert [p.code for p in check_root(tables.root) if p.severity == "error"] == ["RELEASED"]


def test_every_packaged_edition_has_fingerprints_of_its_rows_and_of_its_fields():
    assert [problem for problem in check_root() if problem.code in ("RELEASED", "UNRELEASED")] == []


def test_columns_that_are_wrong_are_named_in_words(tables):
    folder = tables.edition([{}])
    path = folder / "rows.csv"
    path.write_text(path.read_text().replace("row_id,", "id,", 1).replace("value,", "dose,", 1))
    (problem,) = [p for p in check_root(tables.root) if p.code == "COLUMNS"]
    assert problem.message.endswith("missing: row_id, value, unknown: id, dose")


def test_an_edition_is_released_once(tables):
    folder = tables.edition([{}])
    release_edition(folder)
    with pytest.raises(ValueError, match="never edited"):
        release_edition(folder)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("adult_weight_kg = [90, 50]", "adult_weight_kg"),
        ("valid_to = 2019-01-01", "valid_to"),
        ("colour = 'red'", "colour"),
        ("age_equivalents = [[1, 2]]", "age_equivalents"),
        ("this is not toml", "cannot be read"),
        ("scope = 'planet'", "planet"),
    ],
)
def test_faults_of_set_toml_are_named(tables, extra, message):
    folder = tables.edition([{}], extra=extra)
    problems = [p for p in check_root(tables.root) if p.severity == "error"]
    assert [p.file for p in problems] == [str(folder / "set.toml")]
    assert message in problems[0].message


def test_verified_needs_two_people(tables):
    one = '[[checked]]\nby = "A"\non = 2026-01-01\n'
    tables.edition([{}], set_id="xx-one", status="verified", extra=one + one)
    tables.edition([{}], set_id="xx-two", status="verified", extra=one + one.replace("A", "B"))
    registry = load_sets(tables.root)
    assert [s.set_id for s in registry.sets] == ["xx-two"]


@pytest.mark.parametrize(
    "text",
    [b"", b"row_id\n", b"\xff\xfe\x00", b'a,"b\n', b"row_id,examination\n" + b"x," * 100],
    ids=["empty", "one column", "not utf-8", "open quote", "wrong columns"],
)
def test_files_that_are_no_table_are_errors_not_crashes(tables, text):
    folder = tables.edition([{}])
    (folder / "rows.csv").write_bytes(text)
    problems = check_root(tables.root)
    assert any(p.severity == "error" and p.file == str(folder / "rows.csv") for p in problems)
    assert load_sets(tables.root).sets == ()


def test_a_missing_rows_file_is_an_error(tables):
    folder = tables.edition([{}])
    (folder / "rows.csv").unlink()
    assert ("error", "READ") in [(p.severity, p.code) for p in check_root(tables.root)]


def test_examinations_with_a_circle_are_refused(tables):
    path = tables.root / "examinations.csv"
    path.write_text(path.read_text().replace("ct-head,Head,CT,,,", "ct-head,Head,CT,,ct-head-stroke,"))
    problems = check_root(tables.root)
    assert [p.code for p in problems] == ["EXAMINATIONS"]
    assert "circle" in problems[0].message
