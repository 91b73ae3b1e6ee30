"""Structured reports built item by item with pydicom, for tests that need one exact defect."""

from __future__ import annotations

import io
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from dose_audit.extract import Exam, NotDose, ReadOptions
from dose_audit.extract.reader import read_object
from dose_audit.extract.sr import read_sr

__all__ = [
    "CT",
    "DIAGNOSTIC",
    "MAMMOGRAPHY",
    "NO",
    "PROJECTION",
    "YES",
    "code",
    "coded",
    "codes_of",
    "container",
    "moment",
    "name",
    "num",
    "read",
    "read_any",
    "report",
    "text",
    "uid",
]

RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
YES, NO = "373066001@SCT", "373067005@SCT"


def code(spelt: str, meaning: str = "") -> Dataset:
    """A code from ``value@scheme``; the scheme is DCM when it is left out."""
    value, _, scheme = spelt.partition("@")
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme or "DCM"
    item.CodeMeaning = meaning or spelt
    return item


def _item(value_type: str, concept: str | None, children: tuple[Dataset, ...], meaning: str = "") -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = value_type
    if concept is not None:
        item.ConceptNameCodeSequence = [code(concept, meaning)]
    if children:
        item.ContentSequence = list(children)
    return item


def container(concept: str, *children: Dataset) -> Dataset:
    return _item("CONTAINER", concept, children)


def num(concept: str, value: Any, unit: str | None = None, *children: Dataset, meaning: str = "") -> Dataset:
    """A NUM; without a value its Measured Value Sequence is empty, as vendors send what was not measured."""
    item = _item("NUM", concept, children, meaning)
    item.MeasuredValueSequence = []
    for one in value if isinstance(value, list) else [] if value is None else [value]:
        measured = Dataset()
        measured.NumericValue = str(one)
        if unit is not None:
            measured.MeasurementUnitsCodeSequence = [code(f"{unit}@UCUM")]
        item.MeasuredValueSequence.append(measured)
    return item


def coded(concept: str, value: str | None, *children: Dataset, meaning: str = "") -> Dataset:
    item = _item("CODE", concept, children)
    item.ConceptCodeSequence = [] if value is None else [code(value, meaning)]
    return item


def text(concept: str, value: str, *children: Dataset, meaning: str = "") -> Dataset:
    item = _item("TEXT", concept, children, meaning)
    item.TextValue = value
    return item


def name(concept: str, value: str, *children: Dataset) -> Dataset:
    item = _item("PNAME", concept, children)
    item.PersonName = value
    return item


def uid(concept: str, value: str) -> Dataset:
    item = _item("UIDREF", concept, ())
    item.UID = value
    return item


def moment(concept: str, value: str) -> Dataset:
    item = _item("DATETIME", concept, ())
    item.DateTime = value
    return item


CT = coded("121058", "77477000@SCT")
PROJECTION = coded("121058", "113704")
MAMMOGRAPHY = coded("121058", "71651007@SCT")
DIAGNOSTIC = coded("363703001@SCT", "261004008@SCT")


def report(
    *children: Dataset,
    root: str = "113701",
    sop_class: str = RDSR,
    patch: tuple[bytes, bytes] = (b"", b""),
    **header: Any,
) -> bytes:
    """A Part 10 object of a structured report; `patch` puts in bytes that pydicom would not write."""
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = "1.2.3.4"
    dataset.SeriesInstanceUID = "1.2.3.4.5"
    dataset.StudyDate, dataset.StudyTime = "20260102", "101500"
    dataset.Modality = "SR"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in header.items():
        setattr(dataset, keyword, value)
    dataset.ValueType = "CONTAINER"
    dataset.ConceptNameCodeSequence = [code(root)]
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ContentSequence = list(children)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    assert len(patch[0]) == len(patch[1])
    return buffer.getvalue().replace(*patch) if patch[0] else buffer.getvalue()


def read(*children: Dataset, options: ReadOptions | None = None, **header: Any) -> Exam:
    """Build a report and read it; it must hold dose."""
    exam = read_any(*children, options=options, **header)
    assert isinstance(exam, Exam), exam
    return exam


def read_any(*children: Dataset, options: ReadOptions | None = None, **header: Any) -> Exam | NotDose:
    return read_sr(read_object(report(*children, **header)), options)


def codes_of(exam: Exam) -> list[str]:
    """Codes of an exam's warnings."""
    return [warning.code for warning in exam.warnings]
