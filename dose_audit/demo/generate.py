"""The planned exams as DICOM objects, in time order, each with the exam-record values that it carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dose_audit.demo import ct, images, mammography, projection
from dose_audit.demo.encode import attributes, part10
from dose_audit.demo.header import exam_header, exam_truth
from dose_audit.demo.network import site_of
from dose_audit.demo.plan import PlannedExam, plan

__all__ = ["SEED", "GeneratedObject", "generate", "objects_of"]

SEED = 20260630
"""The demonstration's own seed."""


@dataclass(frozen=True, slots=True)
class GeneratedObject:
    """One DICOM object of the demonstration.

    Attributes
    ----------
    data : bytes
        The file: preamble, meta information, data set.
    filename : str
        Relative path; holds no identifier.
    site : str
        Name of the site.
    device : str
        Device key.
    channel : str
        ``listener``, ``folder`` or ``zip``.
    truth : dict
        What the exam record of this one object must hold: fields of the exam record, only those that matter.
        A number is the nearest float to the decimal string in the object. Empty for an object that cannot be
        read.
    """

    data: bytes
    filename: str
    site: str
    device: str
    channel: str
    truth: dict[str, Any]


def generate(seed: int = SEED, scale: float = 1.0) -> Iterator[GeneratedObject]:
    """Yield the objects of the demonstration network in time order.

    Parameters
    ----------
    seed : int
        The same seed and scale give the same bytes.
    scale : float
        Factor on the number of exams, for quick tests; groups below ten exams make planted truths unprovable.

    Yields
    ------
    GeneratedObject

    Examples
    --------
    >>> first = next(generate(scale=0.02))
    >>> first.data[128:132]
    b'DICM'
    """
    for exam in plan(seed, scale):
        yield from objects_of(exam)


def objects_of(exam: PlannedExam) -> list[GeneratedObject]:
    """Write one planned exam: its reports or images, resent and spoilt as planned."""
    written = _BUILDERS[exam.device.kind](exam)
    if exam.variant == "resent, same bytes":
        written.append(written[-1])
    elif exam.variant == "resent, other bytes":
        written.append(_report(exam, "ct", "resent", _ct_content, ct.scans(exam)))
    elif exam.variant == "corrupt_object":
        data, _ = written[0]
        # Cut inside the content tree: the header can still be read, the dose cannot be trusted.
        written = [(data[: len(data) * 3 // 5], {})]
    site = site_of(exam.device)
    month = exam.started.strftime("%Y-%m")
    return [
        GeneratedObject(
            data,
            f"{exam.device.station_name}/{month}/{exam.number:05d}-{position}.dcm",
            site.name,
            exam.device.key,
            site.channel,
            truth,
        )
        for position, (data, truth) in enumerate(written, start=1)
    ]


_Written = tuple[bytes, dict[str, Any]]


def _report(
    exam: PlannedExam, name: Any, note: str, content: Callable[..., tuple[str, str, bytes, Any]], events: Any
) -> _Written:
    """Write one report; ``name`` sets its SOP Instance UID, ``note`` its series description."""
    sop_class, kind, tree, truth = content(exam, events)
    instance = exam.uid("report", name)
    header = exam_header(exam, sop_class_uid=sop_class, sop_instance_uid=instance, modality="SR", series="report")
    header["SeriesDescription"] = f"Dose Report {note}".strip()
    header["ReferencedPerformedProcedureStepSequence"] = []
    base = exam_truth(exam, sop_class_uid=sop_class, sop_instance_uid=instance, kind=kind, series="report")
    return part10(sop_class, instance, attributes(header) + tree), {**base, **truth}


def _ct_content(exam: PlannedExam, reported: list[ct.CtScan]) -> tuple[str, str, bytes, Any]:
    style = ct.STYLES[exam.device.style]
    return style.sop_class_uid, style.kind, ct.report_content(exam, reported), ct.report_truth(exam, reported)


def _projection_content(exam: PlannedExam, runs: list[projection.Run]) -> tuple[str, str, bytes, Any]:
    tree, truth = projection.report_content(exam, runs), projection.report_truth(exam, runs)
    return ct.XRAY_RDSR, "projection_rdsr", tree, truth


def _mg_content(exam: PlannedExam, taken: list[mammography.MgView]) -> tuple[str, str, bytes, Any]:
    tree, truth = mammography.report_content(exam, taken), mammography.report_truth(exam, taken)
    return ct.XRAY_RDSR, "projection_rdsr", tree, truth


def _ct(exam: PlannedExam) -> list[_Written]:
    found = ct.scans(exam)
    if exam.variant == "cumulative":
        parts = [(f"cumulative {count}", found[:count]) for count in range(1, len(found) + 1)]
    elif exam.variant == "continued":
        parts = [("continued 1", found[:2]), ("continued 2", found[2:])]
    else:
        parts = [("ct", found)]
    return [_report(exam, name, "", _ct_content, part) for name, part in parts]


def _fluoroscopy(exam: PlannedExam) -> list[_Written]:
    return [_report(exam, "projection", "", _projection_content, projection.runs(exam))]


def _mg_report(exam: PlannedExam) -> list[_Written]:
    return [_report(exam, "mammography", "", _mg_content, mammography.views(exam))]


def _radiography(exam: PlannedExam) -> list[_Written]:
    shot = images.radiograph(exam)
    return [_image(exam, images.image_attributes(exam, shot), images.image_truth(exam, shot), "image")]


def _mg_images(exam: PlannedExam) -> list[_Written]:
    return [
        _image(
            exam,
            mammography.image_attributes(exam, view, for_processing=for_processing),
            mammography.image_truth(exam, view),
            "processing" if for_processing else "image",
        )
        for view in mammography.views(exam)
        for for_processing in (True, False)
    ]


def _image(exam: PlannedExam, header: dict[str | int, Any], truth: dict[str, Any], series: str) -> _Written:
    sop_class, instance = header["SOPClassUID"], header["SOPInstanceUID"]
    base = exam_truth(exam, sop_class_uid=sop_class, sop_instance_uid=instance, kind="image", series=series)
    return part10(sop_class, instance, attributes(header)), {**base, **truth}


_BUILDERS: dict[str, Callable[[PlannedExam], list[_Written]]] = {
    "ct": _ct,
    "fluoroscopy": _fluoroscopy,
    "dx_report": _fluoroscopy,
    "mg_report": _mg_report,
    "dx_image": _radiography,
    "cr_image": _radiography,
    "mg_image": _mg_images,
}
