"""Bad input: each fault is told with its file and row, and the rest of the audit goes on."""

from __future__ import annotations

import math
import shutil
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from dose_audit.audit.emptiness import why_nothing_compared
from dose_audit.audit.examine import examine
from dose_audit.drl import MappingError, MappingTable, check_root, load_sets, release_edition, tables_root

START = datetime(2026, 1, 1, 9, 0)
UNTIL = date(2026, 6, 30)
RP185 = ("eu", "eu-rp185-paediatric-ct", "2018-09-20")


@pytest.fixture
def tables(tmp_path):
    """A copy of two shipped editions to break."""
    root = tmp_path / "tables"
    for parts in (RP185, ("uk", "uk-adult-ct", "2024-11-20")):
        shutil.copytree(tables_root().joinpath(*parts), root.joinpath(*parts))
    for name in ("examinations.csv", "abbreviations.csv"):
        shutil.copy(tables_root() / name, root / name)
    for lock in root.rglob("rows.sha256"):
        lock.unlink()
    return root


def _edit(root, change):
    path = root.joinpath(*RP185) / "rows.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(change(lines)) + "\n", encoding="utf-8")
    return path


def _cell(lines, number, column, value):
    import csv
    import io

    names = next(csv.reader([lines[0]]))
    cells = next(csv.reader([lines[number]]))
    cells[names.index(column)] = value
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    lines[number] = out.getvalue()
    return lines


def _row_with(lines, column, value):
    import csv

    names = next(csv.reader([lines[0]]))
    return next(i for i, line in enumerate(lines[1:], 1) if next(csv.reader([line]))[names.index(column)] == value)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda lines: _cell(lines, _row_with(lines, "band_low", "15"), "band_low", "16"), "GAP"),
        (lambda lines: _cell(lines, _row_with(lines, "band_low", "15"), "band_low", "14"), "OVERLAP"),
        (lambda lines: _cell(lines, 3, "unit", "furlong"), "UNIT"),
    ],
    ids=["gap", "overlap", "unknown unit"],
)
def test_a_faulty_set_is_refused_by_file_and_row_and_the_other_still_answers(
    tables, stored, mapping, tmp_path, change, code
):
    path = _edit(tables, change)
    errors = [p for p in check_root(tables) if p.severity == "error"]
    assert code in {p.code for p in errors}
    assert all(p.file == str(path) and p.row for p in errors if p.code == code)
    registry = load_sets(tables, allow_unverified=True)
    assert [s.set_id for s in registry.skipped] == ["eu-rp185-paediatric-ct"]
    for i in range(30):
        stored.add_ct(START + timedelta(days=i), 200.0 + i, weight_kg=70.0)
        stored.add_ct(
            START + timedelta(days=i), 80.0 + i, weight_kg=12.0, age_years=3.0, acquisition_protocol="Thorax Child"
        )
    folder = stored.write(tmp_path / "pq")
    result = examine(
        folder, registry, mapping, registry.examinations, since=None, until=UNTIL, now=datetime(2026, 7, 1)
    )
    verdicts = {(c["examination"], c["verdict"]) for c in result.comparisons}
    assert ("ct-chest-lung-cancer", "WITHIN") in verdicts
    assert ("ct-chest", "NO_DRL") in verdicts


def test_a_changed_released_row_is_named(tables):
    path = tables.joinpath(*RP185)
    release_edition(path)
    _edit(tables, lambda lines: _cell(lines, 4, "value", "77"))
    errors = [p for p in check_root(tables) if p.severity == "error"]
    assert errors and all(p.file.startswith(str(path)) for p in errors)
    assert any("5" in p.row for p in errors)  # line 5 of the file: the header is line 1


def test_a_mapping_that_maps_two_ways_names_file_and_both_rows(tmp_path):
    path = tmp_path / "mapping.csv"
    path.write_text(
        "site,level,modality,acquisition_protocol,examination\n"
        ",exact,CT,Chest,ct-chest-lung-cancer\n"
        ",exact,CT,Head,ct-head\n"
        ",exact,CT,chest ,ct-chest-high-resolution\n"
    )
    with pytest.raises(MappingError) as told:
        MappingTable.from_csv(path)
    (problem,) = told.value.problems
    assert (problem.file, problem.row, problem.code) == (str(path), "4", "TWO_WAYS")
    assert "row 2" in problem.message and "ct-chest-lung-cancer" in problem.message


def test_a_period_with_no_data_says_so(stored, audited):
    stored.add_ct(START, 200.0)
    result = audited(since=date(2020, 1, 1), until=date(2020, 12, 31))
    told = why_nothing_compared(
        result.completeness, result.comparisons, result.excluded, mapping_version=1, drl_sets=[{}]
    )
    assert "none of the 1 stored exams lies in this period" in told
    assert result.findings == []


def test_a_site_with_one_exam_changes_nothing_for_the_others(stored, audited):
    random = np.random.default_rng(1)
    for site in ("North", "South"):
        for i in range(40):
            dose = 190.0 * math.exp(0.2 * random.standard_normal())
            stored.add_ct(START + timedelta(days=i), dose, site=site, weight_kg=70.0)
    before = audited(until=UNTIL).sections["cross_site"]
    stored.add_ct(START, 5000.0, site="Lonely", weight_kg=70.0)
    result = audited(until=UNTIL)
    lonely = [c for c in result.comparisons if c["site"] == "Lonely"]
    assert {(c["n"], c["verdict"]) for c in lonely} == {(1, "INSUFFICIENT_N")}
    for old, new in zip(before, result.sections["cross_site"], strict=True):
        assert new["sites_left_out"] == ["Lonely"]
        assert [p["site"] for p in new["funnel"]["points"]] == [p["site"] for p in old["funnel"]["points"]]


def test_a_site_of_few_exams_without_weights_does_not_end_the_comparison_at_one_size(stored, audited):
    """Of fewer exams than a site is shown with, it is named and has no say; of enough, the comparison says why not."""
    random = np.random.default_rng(1)
    for site in ("North", "South"):
        for i in range(40):
            weight = 70.0 * math.exp(0.15 * random.standard_normal())
            stored.add_ct(START + timedelta(days=i), 190.0 * weight / 70.0, site=site, weight_kg=weight)
    for i in range(9):
        stored.add_ct(START + timedelta(days=i), 200.0 + i, site="Small")
    for entry in audited(until=UNTIL).sections["cross_site"]:
        assert (entry["size"]["standardised"], entry["size"]["missing_share"]) == (True, 0.0)
        assert (entry["sites_left_out"], entry["n_used"]) == (["Small"], 80)
    stored.add_ct(START + timedelta(days=9), 200.0, site="Small")
    for entry in audited(until=UNTIL).sections["cross_site"]:
        assert entry["sites_left_out"] == [] and not entry["size"]["standardised"]
        assert entry["size"]["reason"] == "site 'Small' has no usable size for 10 of 10 exams"


def test_what_is_mapped_and_has_no_level_is_told_beside_what_is_not_mapped(registry):
    completeness = {"exams": 32, "in_period": 32, "unmapped": 28, "compared": 4}
    group = {"verdict": "NO_DRL", "minimum_n": 20}
    told = [
        why_nothing_compared(completeness, groups, [], mapping_version=1, drl_sets=[{}])
        for groups in ([], [group], [group, group | {"verdict": "INSUFFICIENT_N"}])
    ]
    assert ["Name a set that has them" in text for text in told] == [False, True, False]
    assert all("28 of 32 exams have no known examination" in text for text in told)


def test_all_equal_doses_have_a_median_and_no_spread(stored, audited):
    for site in ("North", "South"):
        for i in range(40):
            stored.add_ct(START + timedelta(days=i), 200.0, ctdi=5.0, site=site, weight_kg=70.0)
    result = audited(until=date(2026, 2, 9), now=datetime(2026, 2, 9, 20))
    dlp = [c for c in result.comparisons if c["quantity"] == "DLP"]
    assert {(c["median"], c["ci_low"], c["ci_high"], c["verdict"]) for c in dlp} == {(200.0, 200.0, 200.0, "WITHIN")}
    (entry,) = [e for e in result.sections["cross_site"] if e["quantity"] == "DLP"]
    assert (entry["funnel"]["status"], entry["spread"]["status"]) == ("NO_SPREAD", "NO_SPREAD")
    assert result.findings == []


@pytest.mark.parametrize("dose", [-5.0, 0.0, math.inf, -math.inf, 1e9])
def test_impossible_doses_are_counted_and_left_out(stored, audited, dose):
    for i in range(30):
        stored.add_ct(START + timedelta(days=i), 200.0 + i, ctdi=5.0, weight_kg=70.0)
    stored.add_ct(START, dose, ctdi=dose, weight_kg=70.0)
    result = audited(until=UNTIL)
    assert {c["n"] for c in result.comparisons} == {30}
    assert [(row["reason"], row["n"]) for row in result.excluded] == [("IMPLAUSIBLE_VALUE", 1)]


def test_an_impossible_quantity_is_refused_by_itself_counted_and_told(stored, audited):
    for i in range(30):
        stored.add_ct(START + timedelta(days=i), 1e9 if i == 4 else 0.0 if i in (7, 9) else 200.0 + i, ctdi=5.0)
    result = audited(until=UNTIL)
    assert {c["quantity"]: c["n"] for c in result.comparisons} == {"CTDIvol": 30, "DLP": 27}
    assert result.completeness["compared"] == 30
    assert [(row["reason"], row["n"], row["single_values"]) for row in result.excluded] == [("IMPLAUSIBLE_VALUE", 0, 3)]
    (told,) = [f for f in result.findings if f.kind == "implausible_value"]
    assert (told.severity, told.evidence["quantity"], told.evidence["n"], told.evidence["of"]) == (
        "check",
        "DLP",
        3,
        30,
    )
    assert told.evidence["exam_refs"] == ["E000005", "E000008", "E000010"]
    assert "1000000000 mGy.cm" in told.message and "0, " in told.message
