"""Our reader gives every object's truth back: a number to the last digit, a word as it was written."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest

from dose_audit.demo.generate import objects_of
from dose_audit.demo.summary import exam_doses, truths_of
from dose_audit.extract import ReadError, as_record, merge_parts, read_exam, read_part


def _differences(expected: Any, found: Any, where: str = ""):
    """Yield each place where a record does not hold what a truth says; a truth names only what matters."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            yield f"{where}: {expected!r} expected, {found!r} found"
            return
        for key, value in expected.items():
            yield from _differences(value, found.get(key), f"{where}.{key}")
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(expected) != len(found):
            yield f"{where}: {len(expected)} entries expected, {found!r:.80} found"
            return
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _differences(one, other, f"{where}[{index}]")
    elif isinstance(expected, float):
        # One unit in the last place: the reader may multiply doubles where the truth multiplied decimals.
        if not isinstance(found, int | float) or not math.isclose(expected, found, rel_tol=4e-16, abs_tol=0.0):
            yield f"{where}: {expected!r} expected, {found!r} found"
    elif expected != found:
        yield f"{where}: {expected!r} expected, {found!r} found"


def test_reader_gives_every_truth_back(some_objects):
    wrong, read = {}, 0
    for exam, written in some_objects:
        if not written.truth:
            continue
        record = as_record(read_exam(written.data))
        for difference in _differences(written.truth, record):
            where, _, what = difference.partition(":")
            wrong.setdefault(f"{exam.device.key}{where}", what)
        read += 1
    assert read > 100
    assert not wrong, "\n".join(f"{where}: {what}" for where, what in wrong.items())


def _merged(exam, *, backwards: bool = False):
    parts = [read_part(written.data) for written in objects_of(exam)]
    return merge_parts(parts[::-1] if backwards else parts)


@pytest.mark.parametrize("kind", ["cumulative", "continued", "resent, same bytes", "resent, other bytes"])
@pytest.mark.parametrize("backwards", [False, True])
def test_several_reports_of_a_study_are_one_exam(exams, kind, backwards):
    (truth,) = [truth for truth in truths_of(exams) if truth["kind"] == kind]
    studies = {study["study_instance_uid"]: study for study in truth["details"]["studies"]}
    for exam in (exam for exam in exams if kind in exam.planted):
        study, merged = studies[exam.uid("study")], _merged(exam, backwards=backwards)
        assert merged.study_instance_uid == exam.uid("study")
        if exam.device.kind == "ct":
            assert len(merged.events) == study["events"]
            assert merged.totals.events_ct_dlp_mgy_cm == pytest.approx(study["ct_dlp_mgy_cm"], rel=1e-12)
        else:
            assert merged.totals.kap_gy_cm2 == pytest.approx(study["kap_gy_cm2"], rel=1e-12)


def test_four_views_and_their_twins_are_four_events(exams):
    exam = next(exam for exam in exams if exam.device.kind == "mg_image")
    merged = _merged(exam)
    assert len(merged.sources) == 8
    assert len(merged.events) == 4
    middle = statistics.median(event.agd_mgy for event in merged.events)
    assert middle == pytest.approx(exam_doses(exam)["agd_mgy"], rel=1e-12)


def test_the_quality_assurance_exposure_is_not_a_patient_and_others_are(exams):
    (quality,) = [exam for exam in exams if "quality_assurance_exposure" in exam.planted]
    assert _merged(quality).patient.is_phantom
    others = {exam.device.key: exam for exam in exams if not exam.planted}
    assert len(others) > 9
    assert not [key for key, exam in others.items() if _merged(exam).patient.is_phantom]


def test_the_corrupt_object_is_refused(exams):
    (corrupt,) = [exam for exam in exams if "corrupt_object" in exam.planted]
    with pytest.raises(ReadError):
        read_part(objects_of(corrupt)[0].data)


def test_a_report_is_refused_wherever_it_is_cut(exams):
    exam = next(exam for exam in exams if exam.device.key == "south-ct-1")
    whole = objects_of(exam)[0].data
    content = whole.index(b"CT Accumulated Dose Data")
    for end in range(content, len(whole) - 1, 97):
        with pytest.raises(ReadError):
            read_part(whole[:end])


def test_the_reader_warns_of_the_makers_known_habits_only(some_objects):
    found = {}
    for exam, written in some_objects:
        if written.truth:
            for warning in read_exam(written.data).warnings:
                found.setdefault((exam.device.kind, exam.device.style), set()).add(warning.code)
    assert set(found) <= {("fluoroscopy", "philips"), ("mg_report", "hologic")}, found
