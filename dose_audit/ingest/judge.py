"""Decides after a glance whether an object may carry dose: what the scanner asks before it reads a file whole."""

from __future__ import annotations

from pathlib import Path

from dose_audit.extract.errors import ReadError
from dose_audit.extract.parts import CT, relevant_sop_class
from dose_audit.extract.reader import peek
from dose_audit.receive.scanner import Unreadable, Verdict

__all__ = ["DOSE_REPORTS", "judge_object"]

_STORAGE = "1.2.840.10008.5.1.4.1.1"
DOSE_REPORTS = frozenset({f"{_STORAGE}.88.67", f"{_STORAGE}.88.76"})
"""X-Ray and Enhanced X-Ray Radiation Dose SR: where a study has one, the slices of its CT add nothing."""

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"


def judge_object(source: Path | bytes) -> Verdict:
    """Judge a file, or the first bytes of an object.

    Parameters
    ----------
    source : Path or bytes

    Returns
    -------
    Verdict

    Raises
    ------
    Unreadable
        It is no DICOM object, or one that breaks off before it says what it is.
    OSError
        The file cannot be opened.
    """
    try:
        seen = peek(source)
    except ReadError as error:
        raise Unreadable(str(error)) from error
    except (MemoryError, RecursionError) as error:
        raise Unreadable(f"cannot be read ({type(error).__name__})") from error
    sop_class = seen.sop_class_uid
    if sop_class == MEDIA_DIRECTORY or (isinstance(source, Path) and source.name.upper() == "DICOMDIR"):
        reason = "directory of a medium (DICOMDIR)"
    elif not relevant_sop_class(sop_class):
        reason = f"SOP Class {(sop_class or '')[:64]} carries no dose"
    else:
        reason = ""
    return Verdict(
        reason=reason,
        sop_class_uid=sop_class or "",
        sop_instance_uid=seen.sop_instance_uid or "",
        transfer_syntax_uid=seen.transfer_syntax_uid or "",
        study=seen.study_instance_uid or "",
        is_report=sop_class in DOSE_REPORTS,
        only_without_report=sop_class in CT,
    )
