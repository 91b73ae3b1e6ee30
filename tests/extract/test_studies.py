"""Files and folders to exams: grouping, refusals that stop nothing, memory that does not grow."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from dose_audit.extract import Exam, NotDose, ReadError, as_record, read_exam, read_exams
from tests.extract.made import CT, DX, MR, SC, image, uid_of


def film(study: str, number: int) -> bytes:
    return image(
        DX,
        Modality="DX",
        KVP="80",
        ImageAndFluoroscopyAreaDoseProduct=str(number + 1),
        AcquisitionDate="20240311",
        AcquisitionTime=f"10{number:02}00",
        StudyInstanceUID=uid_of(study),
        SOPInstanceUID=uid_of(study, number),
    )


def slice_of(number: int) -> bytes:
    return image(
        CT,
        Modality="CT",
        KVP="120",
        XRayTubeCurrent=100 + number % 50,
        CTDIvol=5.0 + number % 4,
        IrradiationEventUID="1.2.3.4",
        AcquisitionDate="20240311",
        AcquisitionTime="101500",
        SOPInstanceUID=uid_of("slice", number),
    )


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def text(exams: list[Exam]) -> list[str]:
    return sorted(json.dumps(as_record(exam)) for exam in exams)


def test_studies_that_interleave_come_out_whole_in_any_order_of_files(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"{n}-{study}", film(study, n)) for n in range(4) for study in ("one", "two", "three")]
    exams = list(read_exams(paths))
    assert [len(exam.events) for exam in exams] == [4, 4, 4]
    assert [exam.study_instance_uid for exam in exams] == [uid_of("one"), uid_of("two"), uid_of("three")]
    for seed in range(3):
        assert text(list(read_exams(random.Random(seed).sample(paths, len(paths))))) == text(exams)


def test_folders_are_walked_and_what_gives_no_exam_is_said(tmp_path: Path) -> None:
    write(tmp_path, "deep/er/film", film("one", 0))
    write(tmp_path, "text.txt", b"not DICOM at all, and longer than its preamble" * 10)
    write(tmp_path, "empty", b"")
    write(tmp_path, "cut", film("two", 0)[:300])
    write(tmp_path, "mr", image(MR, Modality="MR"))
    write(tmp_path, "screen", image(SC, Modality="CT", SeriesDescription="Dose Report", Manufacturer="GE"))
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    refused: dict[str, str] = {}
    reasons: list[str] = []

    def on_refused(path: str, reason: str, kind: str) -> None:
        refused[Path(path).name] = kind
        reasons.append(reason)

    exams = list(read_exams([tmp_path, tmp_path / "absent"], on_refused=on_refused))
    assert [len(exam.events) for exam in exams] == [1]
    assert refused == {
        "text.txt": "unreadable",
        "empty": "unreadable",
        "cut": "unreadable",
        "mr": "not_relevant",
        "screen": "pixels_only",
        "gone": "unreadable",
        "pipe": "unreadable",
        "absent": "unreadable",
    }
    assert all(reason and "\n" not in reason for reason in reasons)


def test_two_versions_of_a_slice_the_newer_counts(tmp_path: Path) -> None:
    def version(made: str, ctdi: float) -> bytes:
        return image(
            CT, Modality="CT", KVP="120", CTDIvol=ctdi, IrradiationEventUID="1.2.3.4", SOPInstanceUID="1.2.3.5",
            ContentDate="20240311", ContentTime=made,
        )  # fmt: skip

    paths = [write(tmp_path, "b", version("101600", 7.0)), write(tmp_path, "a", version("101500", 6.0))]
    for order in (paths, paths[::-1]):
        (exam,) = read_exams(order)
        assert exam.events[0].ctdi_vol_mgy == 7
        assert exam.events[0].extra["images"]["count"] == 1
        assert "object_versions" in [warning.code for warning in exam.warnings]


def test_objects_without_a_study_are_studies_of_their_own(tmp_path: Path) -> None:
    paths = [
        write(tmp_path, str(n), image(DX, Modality="DX", KVP="80", StudyInstanceUID="", SOPInstanceUID=uid_of(n)))
        for n in range(2)
    ]
    assert [exam.study_instance_uid for exam in read_exams(paths)] == [None, None]


def test_memory_does_not_grow_with_the_number_of_slices(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"{n:04}", slice_of(n)) for n in range(160)]
    list(read_exams(paths[:20]))

    def peak(count: int) -> int:
        tracemalloc.start()
        (exam,) = read_exams(paths[:count])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert exam.events[0].extra["images"]["count"] == count
        return most

    # An exam record alone is several KiB: 120 more of them would be half a MiB.
    assert peak(160) - peak(40) < 120 * 1024


def test_one_object_or_several_of_one_study(tmp_path: Path) -> None:
    paths = [write(tmp_path, str(n), film("one", n)) for n in range(3)]
    single = read_exam(paths[0])
    assert isinstance(single, Exam)
    assert len(single.events) == 1
    several = read_exam(paths)
    assert isinstance(several, Exam)
    assert len(several.events) == 3
    assert isinstance(read_exam(image(MR, Modality="MR")), NotDose)
    with pytest.raises(ReadError):
        read_exam(b"no DICOM" * 100)
