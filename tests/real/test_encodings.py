"""Real objects written again in every encoding that DICOM has: the exam record must not change."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dose_audit.extract import Exam, as_record, read_part

LARGEST = 9_000  # pydicom takes long to write a large report; the small ones are of every kind


def with_undefined_lengths(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                with_undefined_lengths(item)


@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
    ids=["implicit", "explicit", "big", "deflated"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_record_is_the_same_in_every_encoding(real_dir: Path, syntax: str, undefined: bool) -> None:
    paths = sorted(path for path in (real_dir / "dose").iterdir() if path.stat().st_size < LARGEST)
    assert len(paths) >= 8
    for path in paths:
        dataset = pydicom.dcmread(path)
        if "PixelData" in dataset:
            del dataset.PixelData
        if undefined:
            with_undefined_lengths(dataset)
        dataset.file_meta.TransferSyntaxUID = syntax
        file = io.BytesIO()
        pydicom.dcmwrite(
            file,
            dataset,
            implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != ExplicitVRBigEndian,
            enforce_file_format=False,
        )
        sent, again = read_part(path), read_part(file.getvalue())
        if isinstance(sent, Exam):
            assert as_record(again) == as_record(sent), path.name
        else:
            assert again == sent, path.name
