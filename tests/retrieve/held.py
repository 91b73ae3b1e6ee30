"""What the tests' archives hold: seven small studies on three days, and who made them."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

DAY_1, DAY_2, DAY_3 = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MG_IMAGE = "1.2.840.10008.5.1.4.1.1.1.2"
PT_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
BASIC_TEXT = "1.2.840.10008.5.1.4.1.1.88.11"
SAMPLE = Path(__file__).resolve().parents[2] / "testdata" / "ct-canon.dcm"

ROOT = "1.2.826.0.1.3680043.10.999"


def study_uid(number: int) -> str:
    return f"{ROOT}.{number}"


def _header(study: int, series: int, number: int, *, sop_class: str, modality: str, station: str, day: date) -> Dataset:
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = sop_class, f"{ROOT}.{study}.{series}.{number}"
    data.StudyInstanceUID, data.SeriesInstanceUID = study_uid(study), f"{ROOT}.{study}.{series}"
    data.StudyDate, data.StudyTime, data.Modality, data.StationName = (
        f"{day:%Y%m%d}",
        f"1{study % 10}0000",
        modality,
        station,
    )
    data.PatientID, data.PatientName, data.AccessionNumber = f"P{study}", "Nobody^Real", f"ACC{study}"
    data.StudyID, data.SeriesNumber, data.InstanceNumber = str(study), str(series), str(number)
    data.Manufacturer, data.ManufacturerModelName = "Demonstration", "Generator"
    return data


def image(study: int, series: int, number: int, *, acquisition: int | None = None, **header: Any) -> Dataset:
    data = _header(study, series, number, **header)
    data.Rows = data.Columns = 8
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = bytes(128)
    if acquisition is not None:
        data.AcquisitionNumber = acquisition
    return data


def dose_report(study: int, *, station: str, day: date) -> Dataset:
    """The sample of a scanner's dose report, moved into another study."""
    data = pydicom.dcmread(SAMPLE)
    header = _header(study, 99, 1, sop_class=data.SOPClassUID, modality="SR", station=station, day=day)
    data.update({element.tag: element for element in header})
    return data


def as_file(data: Dataset) -> bytes:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def holdings() -> list[Dataset]:
    """Study 1: CT with its report. 2: CT without, two acquisitions. 3: mammography. 4: CT whose SR is a plain text.
    5: PET/CT with a report of the CT. 6: MR. 7: CT on the third day with a report.
    """
    ct1 = {"sop_class": CT_IMAGE, "modality": "CT", "station": "CT1"}
    ct2 = {"sop_class": CT_IMAGE, "modality": "CT", "station": "CT2"}
    held = [dose_report(1, station="CT1", day=DAY_1)]
    held += [image(1, 1, n, acquisition=1, day=DAY_1, **ct1) for n in range(1, 4)]
    held += [image(2, 1, n, acquisition=1 + n // 4, day=DAY_2, **ct2) for n in range(1, 7)]
    mg = {"sop_class": MG_IMAGE, "modality": "MG", "station": "MG1", "day": DAY_2}
    held += [image(3, 1, n, **mg) for n in (1, 2)]
    text = image(4, 2, 1, sop_class=BASIC_TEXT, modality="SR", station="CT1", day=DAY_2)
    del text.PixelData
    held += [text, *(image(4, 1, n, acquisition=1, day=DAY_2, **ct1) for n in (1, 2, 3))]
    pet = {"sop_class": PT_IMAGE, "modality": "PT", "station": "PET1", "day": DAY_3}
    held += [dose_report(5, station="PET1", day=DAY_3)]
    held += [image(5, 1, n, acquisition=1, day=DAY_3, **(ct1 | {"station": "PET1"})) for n in (1, 2)]
    held += [image(5, 2, n, **pet) for n in (1, 2, 3)]
    held += [image(6, 1, 1, sop_class=MR_IMAGE, modality="MR", station="MR1", day=DAY_2)]
    held += [dose_report(7, station="CT1", day=DAY_3), image(7, 1, 1, acquisition=1, day=DAY_3, **ct1)]
    return held


WANTED = {
    1: {f"{ROOT}.1.99.1"},
    2: {f"{ROOT}.2.1.2", f"{ROOT}.2.1.5"},  # the middle of images 1 to 3 and of 4 to 6
    3: {f"{ROOT}.3.1.1", f"{ROOT}.3.1.2"},
    4: {f"{ROOT}.4.1.2"},
    5: {f"{ROOT}.5.99.1", f"{ROOT}.5.2.2"},
    7: {f"{ROOT}.7.99.1"},
}
"""Study → what is to be fetched of it, by the rules in docs/retrieve.md."""
EVERYTHING = frozenset().union(*WANTED.values())
