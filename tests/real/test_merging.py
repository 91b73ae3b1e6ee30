"""Real studies of several objects: cumulative reports, twins of one exposure, a report beside its image."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest

from dose_audit.extract import Exam, NotDose, ReadError, as_record, merge_parts, read_exam, read_exams, read_part


@pytest.fixture(scope="session")
def dose_dir(real_dir: Path) -> Path:
    return real_dir / "dose"


def in_every_order(paths: Sequence[Path]) -> Exam:
    parts = [read_part(path) for path in paths]
    assert all(isinstance(part, Exam) for part in parts)
    results = {json.dumps(as_record(merge_parts(list(order)))) for order in permutations(parts)}
    assert len(results) == 1
    return merge_parts(parts)


@pytest.mark.parametrize(
    ("numbers", "events", "dlp"),
    [
        ("1", 1, 7.46),
        ("12", 2, 77.27),
        ("123", 3, 236.09),
        ("1231", 3, 236.09),
        ("13", 3, 236.09),
        ("32", 3, 236.09),
    ],
)
def test_cumulative_siemens_reports(dose_dir: Path, numbers: str, events: int, dlp: float) -> None:
    exam = in_every_order([dose_dir / f"CT-RDSR-Siemens-Multi-{number}.dcm" for number in numbers])
    assert len(exam.events) == events
    assert exam.totals.ct_dlp_mgy_cm == pytest.approx(dlp, rel=1e-9)
    assert exam.totals.events_ct_dlp_mgy_cm == pytest.approx(dlp, rel=1e-9)
    assert len(exam.sources) == len(set(numbers))
    assert not [warning for warning in exam.warnings if warning.code == "totals_disagree"]


def test_for_processing_and_for_presentation_of_one_view(dose_dir: Path) -> None:
    names = ("1_ForPresentation", "1_ForProcessing", "2_ForPresentation")
    first, processing, second = (dose_dir / f"MG-Im-GE_Seno_{name}.dcm" for name in names)
    pair = in_every_order([first, processing])
    assert len(pair.events) == 1
    assert pair.totals.events_agd_mgy == {"left": pytest.approx(0.547, rel=1e-9)}
    study = in_every_order([first, processing, second, processing])
    assert len(study.events) == 2
    assert study.totals.events_agd_mgy == {"left": pytest.approx(1.956, rel=1e-9)}


def test_every_study_is_the_same_exam_in_any_order(real_dir: Path) -> None:
    studies: dict[str | None, list[Exam]] = {}
    for path in sorted(path for path in real_dir.rglob("*") if path.is_file() and "hostile" not in path.parts):
        try:
            part = read_part(path)
        except ReadError:
            continue
        if isinstance(part, Exam):
            studies.setdefault(part.study_instance_uid, []).append(part)
    assert sum(len(parts) > 1 for parts in studies.values()) >= 8
    shuffled = random.Random(20260102)
    for parts in studies.values():
        # Up to five objects in every order, one of them twice; many in some orders.
        if len(parts) <= 4:
            orders = list(permutations([*parts, parts[0]]))
        else:
            orders = [tuple(shuffled.sample(parts, len(parts))) for _ in range(10)]
        assert len({json.dumps(as_record(merge_parts(list(order)))) for order in orders}) == 1


def test_three_films_are_three_events(dose_dir: Path) -> None:
    exam = in_every_order(sorted(dose_dir.glob("DX-Im-GE_XR220-*.dcm")))
    assert len(exam.events) == 3
    assert exam.totals.events_kap_gy_cm2 == pytest.approx(0.328, rel=1e-9)
    assert [event.started_at for event in exam.events] == [
        "2014-09-30T14:11:33",
        "2014-09-30T14:12:15",
        "2014-09-30T14:12:43",
    ]


def test_a_pet_image_beside_its_administration_report(dose_dir: Path) -> None:
    exam = in_every_order([dose_dir / "NM-PetIm-Siemens.dcm", dose_dir / "NM-RRDSR-Siemens.dcm"])
    (event,) = exam.events
    # Scanner and injector disagree on the start by 8 minutes; the report's word counts.
    assert (event.started_at, event.administered_activity_mbq) == ("2022-02-24T10:40:30", 394)
    assert event.source_kind == "radiopharmaceutical_rdsr"
    assert [series.slice_count for series in exam.pet_series] == [476]
    assert exam.modality == "PT"


def test_ct_slices_of_one_acquisition_are_one_event(real_dir: Path) -> None:
    paths = sorted((real_dir / "ct-siemens-water").iterdir())
    refused: list[tuple[str, str, str]] = []
    exams = list(read_exams(paths, on_refused=lambda *why: refused.append(why)))
    assert refused == []
    (exam,) = exams
    assert [round(event.ctdi_vol_mgy, 4) for event in exam.events] == [0.3267, 56.8358, 63.3313, 14.1439]
    assert [event.ctdi_phantom for event in exam.events] == ["head_16cm"] * 3 + ["body_32cm"]
    assert [event.ct_acquisition_type for event in exam.events] == ["constant_angle"] + ["sequenced"] * 3
    assert [event.extra["images"]["count"] for event in exam.events] == [1, 3, 3, 6]
    assert exam.patient.is_phantom_reason == "acquisition protocol of a constancy test"
    whole = read_exam(paths)
    assert isinstance(whole, Exam)
    assert as_record(whole) == as_record(exam)


def test_grouping_by_study_in_any_order_of_files(dose_dir: Path) -> None:
    paths = [path for path in sorted(dose_dir.glob("*.dcm")) if path.stat().st_size < 200_000]
    refused: list[tuple[str, str]] = []
    exams = list(read_exams(paths, on_refused=lambda path, _, kind: refused.append((Path(path).name, kind))))
    assert refused == [("ESR_non-dose.dcm", "not_relevant")]
    studies = {exam.study_instance_uid for exam in exams}
    assert len(studies) == len(exams)
    again = {exam.study_instance_uid: json.dumps(as_record(exam)) for exam in read_exams(reversed(paths))}
    assert again == {exam.study_instance_uid: json.dumps(as_record(exam)) for exam in exams}


@pytest.mark.parametrize("folder", ["mr-acr", "mr-magnet", "mr-acr-dro", "dx-leeds-tor18"])
def test_images_without_dose_are_judged_so(real_dir: Path, folder: str) -> None:
    paths = sorted(path for path in (real_dir / folder).rglob("*") if path.is_file())[:12]
    assert paths
    for path in paths:
        part = read_part(path)
        assert isinstance(part, NotDose), path.name


@pytest.mark.parametrize(("folder", "kvp"), [("ct-catphan504-cbct", 100), ("ct-ge-qa", 120)])
def test_slices_without_ctdi_keep_their_technique_and_no_dose(real_dir: Path, folder: str, kvp: float) -> None:
    paths = sorted(path for path in (real_dir / folder).rglob("*.dcm") if not path.name.startswith("RS"))[:12]
    for exam in read_exams(paths):
        assert exam.totals.events_ct_dlp_mgy_cm is None
        for event in exam.events:
            assert event.ctdi_vol_mgy is None
            assert event.sources[0].kvp_kv == kvp


def test_gamma_camera_tests_administer_nothing(real_dir: Path) -> None:
    for path in sorted((real_dir / "nm-mediso").glob("*.dcm")):
        assert isinstance(read_part(path), NotDose)
