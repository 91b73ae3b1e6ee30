"""Height and weight from CSV: units of the headings, bounds, joining, dry run, hostile files."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from pathlib import Path

import pytest

from dose_audit.extract.common import pseudonym_of
from dose_audit.extract.errors import ReadError
from dose_audit.extract.patient_size import Change, ExamSize, SizeRow, plan_sizes, read_sizes

KEY = b"a key of this installation"


def test_units_stand_in_the_headings() -> None:
    rows, refused = read_sizes(b"Accession Number,Height (cm),Weight [kg]\nA1,175,80.5\nA2,160,\n")
    assert not refused
    assert [(row.key, row.height_m, row.weight_kg) for row in rows] == [("A1", 1.75, 80.5), ("A2", 1.6, None)]
    # The international inch and avoirdupois pound are exact: 0.0254 m and 0.45359237 kg.
    (row,), _ = read_sizes(b"study_uid;height_in;weight_lb\n1.2.3;70;180\n")
    assert (row.height_m, row.weight_kg) == (pytest.approx(1.778), pytest.approx(81.646627, abs=1e-6))


@pytest.mark.parametrize("heading", [b"Height,Accession", b"height (furlong),accession", b"height_cm", b"accession"])
def test_headings_that_do_not_say_enough_are_refused(heading: bytes) -> None:
    with pytest.raises(ReadError):
        read_sizes(heading + b"\n1,2\n")


def test_rows_outside_the_bounds_are_refused_by_number_only() -> None:
    text = b"patient id,height_cm,weight_kg\nSECRET1,17,80\nSECRET2,175,800\nSECRET3,abc,80\nSECRET4,,\n,170,70\n"
    rows, refused = read_sizes(text, pseudonym_key=KEY)
    assert rows == []
    assert [refusal.row for refusal in refused] == [2, 3, 4, 5, 6]
    assert "SECRET" not in repr(refused) and "abc" not in repr(refused)


def test_a_patient_id_is_hashed_with_the_installations_key() -> None:
    (row,), _ = read_sizes(b"patient id,weight_kg\nab-12,70\n", pseudonym_key=KEY)
    assert (row.by, row.key) == ("pseudonym", pseudonym_of("AB12", KEY))
    rows, refused = read_sizes(b"patient id,weight_kg\nab-12,70\n")
    assert (rows, [refusal.row for refusal in refused]) == ([], [2])


def test_the_surest_key_of_a_row_is_used() -> None:
    rows, _ = read_sizes(
        b"patient id,accession,study uid,weight_kg\nP,A,1.2.3,70\nP,A,,70\nP,,,70\n", pseudonym_key=KEY
    )
    assert [row.by for row in rows] == ["study_instance_uid", "accession_number", "pseudonym"]


def test_contradicting_rows_are_both_refused_and_equal_ones_count_once() -> None:
    rows, refused = read_sizes(b"accession,weight_kg\nA,70\nB,60\nA,75\nB,60\n")
    assert [row.row for row in rows] == [3]
    assert [refusal.row for refusal in refused] == [2, 4, 5]


def test_decimal_comma_and_byte_order_mark() -> None:
    (row,), _ = read_sizes("\ufeffaccession;height (m);weight (kg)\nÄ1;1,75;80,5\n".encode())
    assert (row.key, row.height_m, row.weight_kg) == ("Ä1", 1.75, 80.5)


def test_the_plan_fills_what_is_unknown_and_changes_nothing() -> None:
    exams = {
        "A1": [ExamSize(1), ExamSize(2, weight_kg=81.0)],
        "A2": [ExamSize(3, height_m=1.6, weight_kg=60.0)],
    }
    rows = [
        SizeRow(2, "accession_number", "A1", 1.75, 80.0),
        SizeRow(3, "accession_number", "A2", 1.62, 61.0),
        SizeRow(4, "accession_number", "A3", 1.8, 90.0),
    ]
    plan = plan_sizes(rows, lambda row: exams.get(row.key, []))
    assert plan.changes == [Change(2, 1, 1.75, 80.0), Change(2, 2, 1.75, None)]
    assert (plan.matched, plan.already_known, plan.unmatched) == ([2], [3], [4])
    replaced = plan_sizes(rows, lambda row: exams.get(row.key, []), overwrite=True)
    assert Change(2, 2, 1.75, 80.0) in replaced.changes
    assert Change(3, 3, 1.62, 61.0) in replaced.changes


def test_a_dated_weight_concerns_exams_near_that_date() -> None:
    rows, _ = read_sizes(b"patient id,weight_kg,date\nP,70,2024-03-11\n", pseudonym_key=KEY)
    near, far, undated = ExamSize(1, date(2024, 3, 20)), ExamSize(2, date(2022, 3, 11)), ExamSize(3)
    plan = plan_sizes(rows, lambda row: [near, far, undated])
    assert [change.exam_id for change in plan.changes] == [1]


def test_an_exam_gets_each_size_from_the_surest_key_then_the_nearest_date() -> None:
    exam = ExamSize(1, date(2018, 1, 5))
    rows = [
        SizeRow(2, "pseudonym", "P", 1.7, 60.0, date(2018, 1, 4)),
        SizeRow(3, "pseudonym", "P", 1.8, 90.0, date(2018, 2, 1)),
        SizeRow(4, "accession_number", "A", None, 70.0),
    ]
    for order in permutations(rows):
        plan = plan_sizes(order, lambda row: [exam])
        assert plan.changes == [Change(2, 1, 1.7, None), Change(4, 1, None, 70.0)]
        assert (plan.exams, plan.matched, plan.outdone) == (1, [2, 4], [3])


def test_a_measurement_before_the_exam_comes_before_one_as_long_after_it() -> None:
    exam = ExamSize(1, date(2024, 3, 10))
    rows = [
        SizeRow(2, "pseudonym", "P", None, 61.0, date(2024, 3, 11)),
        SizeRow(3, "pseudonym", "P", None, 60.0, date(2024, 3, 9)),
    ]
    assert plan_sizes(rows, lambda row: [exam]).changes == [Change(3, 1, None, 60.0)]


def test_rows_that_are_equally_sure_and_differ_are_refused() -> None:
    rows = [
        SizeRow(2, "accession_number", "A", None, 60.0, date(2024, 3, 11)),
        SizeRow(3, "accession_number", "A", None, 61.0, date(2024, 3, 9)),
    ]
    plan = plan_sizes(rows, lambda row: [ExamSize(1)])  # without the day of the exam neither date is nearer
    assert (plan.changes, [refusal.row for refusal in plan.refused]) == ([], [2, 3])


def test_a_patients_size_without_a_date_is_not_for_exams_years_apart() -> None:
    row = SizeRow(2, "pseudonym", "P", None, 20.0)
    apart = [ExamSize(1, date(2016, 3, 9)), ExamSize(2, date(2018, 1, 5))]
    plan = plan_sizes([row], lambda row: apart)
    assert (plan.changes, [refusal.row for refusal in plan.refused]) == ([], [2])
    assert plan_sizes([row], lambda row: apart[:1]).changes == [Change(2, 1, None, 20.0)]
    near = [ExamSize(1, date(2016, 3, 9)), ExamSize(2, date(2016, 3, 30))]
    assert plan_sizes([row], lambda row: near).exams == 2


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b'accession,height_cm\n"unclosed,' + b"x" * 200_000])
def test_hostile_files_are_refused(data: bytes) -> None:
    try:
        rows, _ = read_sizes(data)
    except ReadError:
        return
    assert rows == []


def test_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "sizes.csv"
    path.write_bytes(b"accession\tweight (kg)\nA1\t70\n")
    (row,), _ = read_sizes(path)
    assert row.weight_kg == 70
