"""DICOM bytes to the exam record: pure functions that need no database, no network and no settings.

>>> from dose_audit.extract import read_exam
>>> read_exam("testdata/ct-canon.dcm").totals.ct_dlp_mgy_cm
174.21
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dose_audit.extract.codes import Code
    from dose_audit.extract.errors import ReadError
    from dose_audit.extract.exam import Exam, as_record
    from dose_audit.extract.merge import DifferentStudies, merge_parts
    from dose_audit.extract.options import NotDose, ReadOptions
    from dose_audit.extract.parts import read_part
    from dose_audit.extract.reader import read_object
    from dose_audit.extract.records import from_record
    from dose_audit.extract.studies import read_exam, read_exams

__all__ = [
    "Code",
    "DifferentStudies",
    "Exam",
    "NotDose",
    "ReadError",
    "ReadOptions",
    "as_record",
    "from_record",
    "merge_parts",
    "read_exam",
    "read_exams",
    "read_object",
    "read_part",
]

# Each name is looked up in its module at first use, so that importing this package costs nothing.
_HOMES = {
    "Code": "codes",
    "DifferentStudies": "merge",
    "Exam": "exam",
    "NotDose": "options",
    "ReadError": "errors",
    "ReadOptions": "options",
    "as_record": "exam",
    "from_record": "records",
    "merge_parts": "merge",
    "read_exam": "studies",
    "read_exams": "studies",
    "read_object": "reader",
    "read_part": "parts",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
