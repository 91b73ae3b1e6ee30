"""A home of its own for every test, files to ingest, and readers that misbehave."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dose_audit.config import Settings

DX = "1.2.840.10008.5.1.4.1.1.1.1"


def dx_dataset(number: int, **more: Any) -> Dataset:
    """A digital radiograph's header with a dose in it, as pydicom writes it; no pixels are needed."""
    dataset = Dataset()
    dataset.SOPClassUID = DX
    dataset.SOPInstanceUID = f"1.2.826.0.1.{number}.1"
    dataset.StudyInstanceUID = f"1.2.826.0.1.{number}"
    dataset.SeriesInstanceUID = f"1.2.826.0.1.{number}.2"
    dataset.StudyDate, dataset.StudyTime = "20240305", "101500"
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20240305", f"10{number % 60:02d}00"
    dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = "DX", "ACME", "Ray 1"
    dataset.StationName, dataset.DeviceSerialNumber = "DX1", "42"
    dataset.PatientID, dataset.PatientName = f"P{number}", "Nobody^Real"
    dataset.BodyPartExamined, dataset.ProtocolName = "CHEST", "Chest PA"
    dataset.ImageAndFluoroscopyAreaDoseProduct = f"{1.25 + number:.2f}"
    dataset.KVP, dataset.ExposureTime, dataset.ImageType = "110", "12", ["ORIGINAL", "PRIMARY", ""]
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


def dicom_bytes(dataset: Dataset) -> bytes:
    """The dataset as a Part 10 file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def home(tmp_path: Path, django_db_blocker: Any) -> Iterator[Settings]:
    """Settings of a fresh home; the store in it is made when ingest first runs."""
    from django.db import connections

    with django_db_blocker.unblock():
        yield Settings(home=tmp_path / "home", min_free_bytes=0, batch_size=8)
        connections.close_all()


@pytest.fixture
def dx_file() -> Callable[..., bytes]:
    """Bytes of one radiograph: ``dx_file(number, Keyword=value)``."""
    return lambda number, **more: dicom_bytes(dx_dataset(number, **more))


@pytest.fixture
def radiographs(tmp_path: Path, dx_file: Callable[..., bytes]) -> Path:
    """A folder with twelve radiographs of twelve studies."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(1, 13):
        (folder / f"{number:02d}.dcm").write_bytes(dx_file(number))
    return folder


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a reader that reads as ours does, but for files whose Study ID asks for trouble."""
    code = """
        import os, signal, time
        import pydicom
        from dose_audit.extract import ReadError, read_part as ours

        def read_part(path, *, options):
            wish = str(pydicom.dcmread(path, stop_before_pixels=True).get("StudyID", ""))
            if wish == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if wish == "exit":
                os._exit(3)
            if wish == "hang":
                time.sleep(600)
            if wish == "bug":
                raise KeyError("Nobody^Real")
            if wish == "memory":
                raise MemoryError
            if wish == "refuse":
                raise ReadError("the sequence ends in the middle")
            return ours(path, options=options)
    """
    folder = tmp_path / "readers"
    folder.mkdir()
    (folder / "misbehaving_reader.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(folder)  # spawned workers inherit the path
    return "misbehaving_reader:read_part"
