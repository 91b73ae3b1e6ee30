"""Decides after a glance whether an object may carry dose: what the scanner asks before it reads a file whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dose_audit.extract.errors import ReadError
from dose_audit.extract.parts import CT, relevant_sop_class
from dose_audit.extract.reader import peek
from dose_audit.ingest.dosimetry_images import SIZE
from dose_audit.receive.objects import PHANTOM
from dose_audit.receive.part10 import read_file_meta
from dose_audit.receive.routing import DROP, Route, Router
from dose_audit.receive.scanner import Judge, Unreadable, Verdict

__all__ = ["DOSE_REPORTS", "judge_for", "judge_object"]

_STORAGE = "1.2.840.10008.5.1.4.1.1"
DOSE_REPORTS = frozenset({f"{_STORAGE}.88.67", f"{_STORAGE}.88.76"})
"""X-Ray and Enhanced X-Ray Radiation Dose SR: where a study has one, the slices of its CT add nothing."""

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_HEAD_BYTES = 256 * 1024  # scanners write large private groups ahead of what rules look at


def judge_for(routes: Sequence[Route] = (), *, phantom: bool = False) -> Judge:
    """The judge of a scan: as `judge_object`, but what routing rules send elsewhere goes there.

    Parameters
    ----------
    routes : sequence of Route
        An installation's rules, as the listener applies them; a file has no calling AE title, so a rule that names
        one meets none.
    phantom : bool
        Everything is for phantom analysis, whatever the rules say.
    """
    if not phantom and not routes:
        return judge_object
    router = Router(routes)

    def judge(source: Path | bytes) -> Verdict:
        verdict = judge_object(source)
        if not verdict.sop_class_uid or verdict.sop_class_uid == MEDIA_DIRECTORY:
            return verdict
        to = PHANTOM if phantom else _routed(router, source, verdict)
        if to == DROP:
            return Verdict(reason="dropped by a routing rule", sop_class_uid=verdict.sop_class_uid)
        if to == SIZE:  # wanted beside the report, not in its place
            return replace(verdict, only_without_report=False, route=SIZE)
        if to != PHANTOM:
            return verdict
        return Verdict(
            sop_class_uid=verdict.sop_class_uid,
            sop_instance_uid=verdict.sop_instance_uid,
            transfer_syntax_uid=verdict.transfer_syntax_uid,
            study=verdict.study,
            route=PHANTOM,
        )

    return judge


def _routed(router: Router, source: Path | bytes, verdict: Verdict) -> str:
    """Where the rules send an object."""
    header: dict[int, str] = {}
    if router.needs_header:
        if isinstance(source, Path):
            with source.open("rb") as stream:
                source = stream.read(_HEAD_BYTES)
        meta = read_file_meta(source)
        if meta is not None:
            header = router.look(memoryview(source)[meta.data_offset :], meta.transfer_syntax_uid)
    return router.decide("", verdict.sop_class_uid, header).to


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
