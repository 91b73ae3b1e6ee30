"""The glance that decides what is read further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dose_audit.ingest.judge import judge_object
from dose_audit.receive.scanner import Unreadable

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def test_a_radiograph_is_wanted(dx_file: Any) -> None:
    verdict = judge_object(dx_file(1))
    assert (verdict.reason, verdict.study) == ("", "1.2.826.0.1.1")
    assert not verdict.only_without_report


def test_slices_wait_for_a_report(dx_file: Any) -> None:
    assert judge_object(dx_file(1, SOPClassUID=CT)).only_without_report
    assert judge_object(dx_file(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67")).is_report


def test_magnetic_resonance_carries_no_dose(dx_file: Any) -> None:
    assert "carries no dose" in judge_object(dx_file(1, SOPClassUID=MR)).reason


@pytest.mark.parametrize("data", [b"", b"x" * 500, b"\0" * 128 + b"DICM"])
def test_what_is_no_dicom_is_said_so(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(Unreadable):
        judge_object(path)
