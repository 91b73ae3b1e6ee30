"""One object to what it alone tells: structured report, image header or dose screen, chosen by content."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from dose_audit.extract.archives import Member
from dose_audit.extract.common import warn
from dose_audit.extract.errors import ReadError
from dose_audit.extract.exam import Exam
from dose_audit.extract.image_fields import content_datetime
from dose_audit.extract.not_a_patient import mark_not_a_patient
from dose_audit.extract.options import NotDose, ReadOptions
from dose_audit.extract.reader import DicomObject, read_object

if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[DicomObject, ReadOptions], Exam | NotDose]

__all__ = ["read_part", "relevant_sop_class"]

_STORAGE = "1.2.840.10008.5.1.4.1.1"

STRUCTURED_REPORTS = frozenset(
    f"{_STORAGE}.88.{last}" for last in (11, 22, 33, 34, 35, 40, 50, 59, 65, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76)
)
PROJECTION = frozenset(
    f"{_STORAGE}.{last}" for last in ("1", "1.1", "1.1.1", "1.3", "1.3.1", "12.1", "12.1.1", "12.2", "12.2.1", "12.3")
)
"""CR; DX and IO for presentation and processing; XA, XRF, their enhanced forms, XA biplane (retired)."""
MAMMOGRAPHY = frozenset(f"{_STORAGE}.{last}" for last in ("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5"))
"""MG, Breast Tomosynthesis, Breast Projection X-Ray, each for presentation and for processing."""
CT = frozenset(f"{_STORAGE}.{last}" for last in ("2", "2.1", "2.2"))
NUCLEAR = frozenset(f"{_STORAGE}.{last}" for last in ("20", "128", "128.1", "130"))
"""NM, PET, Legacy Converted Enhanced PET, Enhanced PET."""
SECONDARY_CAPTURE = frozenset(f"{_STORAGE}.{last}" for last in ("7", "7.1", "7.2", "7.3", "7.4"))

_PLAIN = ReadOptions()
"""No identifiers and no pseudonym."""

_RELEVANT = STRUCTURED_REPORTS | PROJECTION | MAMMOGRAPHY | CT | NUCLEAR | SECONDARY_CAPTURE


def relevant_sop_class(sop_class_uid: str | None) -> bool:
    """Whether objects of a SOP Class can carry dose; an object that names none has to be read to know."""
    return sop_class_uid is None or sop_class_uid in _RELEVANT


def read_part(
    source: bytes | str | os.PathLike[str] | Member | DicomObject, *, options: ReadOptions | None = None
) -> Exam | NotDose:
    """Read one object as it alone tells the exam.

    Parameters
    ----------
    source : bytes, path, Member or DicomObject
    options : ReadOptions, optional
        By default no identifiers and no pseudonym.

    Returns
    -------
    Exam or NotDose
        An exam with one entry in `sources`; or, false in a condition, why the object carries no dose.

    Raises
    ------
    ReadError
        When the object cannot be read.
    OSError
        When the file cannot be opened.
    """
    options = options or _PLAIN
    obj = source if isinstance(source, DicomObject) else read_object(source)
    reader = _reader_for(obj)
    if isinstance(reader, NotDose):
        return reader
    exam = reader(obj, options)
    if isinstance(exam, NotDose):
        return exam
    mark_not_a_patient(obj, exam, options.phantom_patterns)
    if not exam.sources:
        raise ReadError("an exam without a source")
    first = exam.sources[0]
    first.content_datetime = content_datetime(obj)
    for event in exam.events:
        event.source_sop_instance_uid = event.source_sop_instance_uid or first.sop_instance_uid
        event.source_kind = event.source_kind or first.kind
    _report_problems(obj, exam)
    return exam


def _reader_for(obj: DicomObject) -> Reader | NotDose:
    """The reader for an object: by its SOP Class, and by its modality for secondary captures."""
    sop_class = obj.sop_class_uid
    if sop_class in SECONDARY_CAPTURE:
        mammographic = (obj.text("Modality") or "").upper() == "MG" and _original(obj)
        return _reader("mammography_image" if mammographic else "dose_screen")
    if sop_class is None and obj.content is not None:
        return _reader("sr")
    for sop_classes, module in _MODULES:
        if sop_class in sop_classes:
            return _reader(module)
    return NotDose(f"SOP Class {sop_class or 'unknown'} carries no dose")


_MODULES = (
    (STRUCTURED_REPORTS, "sr"),
    (CT, "ct_image"),
    (NUCLEAR, "nuclear_image"),
    (MAMMOGRAPHY, "mammography_image"),
    (PROJECTION, "projection_image"),
)


@cache
def _reader(module: str) -> Reader:
    """The function that a module of this package reads an object with; imported when the first object needs it."""
    return getattr(import_module(f"{__package__}.{module}"), f"read_{module}")


def _original(obj: DicomObject) -> bool:
    return "ORIGINAL" in (text.upper() for text in obj.texts("ImageType"))


def _report_problems(obj: DicomObject, exam: Exam) -> None:
    """Elements that the reader could not decode become warnings; those of the patient's group unquoted."""
    for keyword, raw in obj.problems:
        shown = None if str(keyword).startswith("Patient") else raw
        warn(exam.warnings, "unreadable_element", f"{keyword} cannot be read as its type", str(keyword), shown)
