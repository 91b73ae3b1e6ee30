"""Known answers of the demonstration: the planted truths, and every group's median, as plain data for
``truth.json``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from statistics import median
from typing import Any

from dose_audit.demo import ct, images, mammography, planted, projection
from dose_audit.demo.generate import SEED
from dose_audit.demo.network import site_of
from dose_audit.demo.plan import PlannedExam, plan
from dose_audit.demo.truth import TO_GY_CM2, TO_MGY, number, total

__all__ = ["exam_doses", "group_medians", "planted_truths"]

# Kind of planted truth: what the audit must say of it.
_EXPECTED = {
    "above_drl": "the group's median DLP is above its DRL",
    "step_at_software_change": "dose steps up by 30 % on the day the software version changes",
    "kap_unit_slip": "KAP is ten times too low from this day on",
    "cumulative": "the reports of each exam give one exam whose events are counted once",
    "continued": "the reports of each exam give one exam whose events add up",
    "resent, same bytes": "the second copy changes nothing",
    "resent, other bytes": "the newer object counts, and the exam says so",
    "quality_assurance_exposure": "not a patient: kept, marked, left out of patient statistics",
    "missing_weight": "patient weight is missing from this day on",
    "unmapped_acquisition_protocol": "exams of an acquisition protocol that no mapping row knows",
    "mixed_ctdi_phantoms": "DLP is given by phantom and never as one sum against a DRL",
    "dose_rp_above_5_gy": "dose at the reference point is above 5 Gy",
    "silent_device": "the device sent nothing for a fortnight",
    "corrupt_object": "the object is in quarantine with a reason",
}


def exam_doses(exam: PlannedExam) -> dict[str, float]:
    """Return the dose quantities of a whole exam, however many objects carry it.

    Parameters
    ----------
    exam : PlannedExam
        The exam.

    Returns
    -------
    dict
        ``ct_dlp_mgy_cm`` (sum of the events) and ``ctdi_vol_mgy`` (highest of the events); or ``kap_gy_cm2``,
        ``dose_rp_mgy`` and ``fluoro_time_s``; or ``agd_mgy`` (median of the views).
    """
    kind = exam.device.kind
    if kind == "ct":
        found = ct.scans(exam)
        volume = [Decimal(scan.ctdi_vol_mgy) for scan in found if scan.ctdi_vol_mgy is not None]
        return {
            "ct_dlp_mgy_cm": total(scan.dlp_mgy_cm for scan in found) or 0.0,
            "ctdi_vol_mgy": float(max(volume)),
        }
    if kind in ("fluoroscopy", "dx_report"):
        style, runs = projection.style_of(exam), projection.runs(exam)
        doses = {
            "kap_gy_cm2": total((run.kap for run in runs), TO_GY_CM2[style.kap_unit]),
            "dose_rp_mgy": total((run.dose_rp for run in runs), TO_MGY[style.dose_unit]),
        }
        if style.runs > 1:
            doses["fluoro_time_s"] = total(run.duration_s for run in runs if run.fluoroscopy)
        return {name: value for name, value in doses.items() if value is not None}
    if kind in ("dx_image", "cr_image"):
        kap = number(images.radiograph(exam).kap_dgy_cm2, TO_GY_CM2["dGy.cm2"])
        assert kap is not None
        return {"kap_gy_cm2": kap}
    views = mammography.views(exam)
    return {"agd_mgy": float(median(Decimal(view.agd_mgy) for view in views))}


def group_medians(exams: Iterable[PlannedExam]) -> list[dict[str, Any]]:
    """Return the exact number and median of every site x device x examination x band x quantity.

    Patients only: the quality assurance exposure and the corrupt object are left out, and so are exams that
    no mapping row names, the exam whose DLP belongs to two phantoms, and exams whose KAP slipped by a factor
    of ten.
    """
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for exam in exams:
        if not exam.cohort.examination or _NOT_COMPARED.intersection(exam.planted):
            continue
        where = exam.device
        for quantity, value in exam_doses(exam).items():
            key = (
                site_of(where).name, where.station_name, where.serial_number,
                exam.cohort.examination, exam.cohort.band, quantity,
            )  # fmt: skip
            groups[key].append(value)
    names = ("site", "station_name", "serial_number", "examination", "band", "quantity")
    return [
        {**dict(zip(names, key, strict=True)), "n": len(values), "median": median(values)}
        for key, values in sorted(groups.items())
    ]


def planted_truths(seed: int = SEED, scale: float = 1.0) -> list[dict[str, Any]]:
    """Return every planted truth of the demonstration that this seed and scale really hold.

    Parameters
    ----------
    seed, scale
        As for :func:`dose_audit.demo.generate.generate`.

    Returns
    -------
    list of dict
        ``kind``, ``site``, ``device``, ``station_name``, ``serial_number``, ``examination`` (``None`` where
        it concerns the device), ``first`` and ``last`` (dates), ``expected_finding`` and ``details``, which
        names the exams where they are few.

    Examples
    --------
    >>> [truth["kind"] for truth in planted_truths(scale=0.05)][:2]
    ['above_drl', 'step_at_software_change']
    """
    return truths_of(plan(seed, scale))


def truths_of(exams: list[PlannedExam]) -> list[dict[str, Any]]:
    """Return the planted truths of exams that are already planned (see :func:`planted_truths`)."""
    carrying: dict[str, list[PlannedExam]] = defaultdict(list)
    for exam in exams:
        for kind in exam.planted:
            carrying[kind].append(exam)
    carrying["silent_device"] = [exam for exam in exams if exam.device.key == planted.SILENT.device]
    return [_truth(kind, carrying[kind]) for kind in _EXPECTED if carrying[kind]]


def _truth(kind: str, exams: list[PlannedExam]) -> dict[str, Any]:
    where = exams[0].device
    examinations = {exam.cohort.examination for exam in exams}
    first, last = exams[0].started.date(), exams[-1].started.date()
    if kind == "silent_device":
        first, last, examinations = planted.SILENT.first, planted.SILENT.last, set()
    elif kind in _SINCE:
        first = _SINCE[kind]
    return {
        "kind": kind,
        "site": site_of(where).name,
        "device": where.key,
        "station_name": where.station_name,
        "serial_number": where.serial_number,
        "examination": (examinations.pop() or None) if len(examinations) == 1 else None,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "expected_finding": _EXPECTED[kind],
        "details": {"exams": len(exams), **_details(kind, exams)},
    }


_NOT_COMPARED = frozenset({"quality_assurance_exposure", "corrupt_object", "mixed_ctdi_phantoms", "kap_unit_slip"})

_SINCE = {
    "step_at_software_change": planted.STEP.since,
    "kap_unit_slip": planted.UNIT_SLIP.since,
    "missing_weight": planted.NO_WEIGHT.first,
}


def _details(kind: str, exams: list[PlannedExam]) -> dict[str, Any]:
    if kind == "step_at_software_change":
        return {"factor": planted.STEP.factor, "software_versions": planted.STEP.software_versions}
    if kind == "kap_unit_slip":
        return {"factor": planted.UNIT_SLIP.factor}
    if kind == "above_drl":
        return {
            "quantity": "ct_dlp_mgy_cm",
            "median": median(exam_doses(exam)["ct_dlp_mgy_cm"] for exam in exams),
        }
    if kind == "silent_device":
        return {"days": (planted.SILENT.last - planted.SILENT.first).days + 1}
    if kind == "missing_weight":
        return {}
    details: dict[str, Any] = {"studies": [_study(exam) for exam in exams]}
    if kind == "unmapped_acquisition_protocol":
        details["acquisition_protocol"] = exams[0].cohort.acquisition_protocol
        details["study_description"] = exams[0].cohort.study_description
    return details


def _study(exam: PlannedExam) -> dict[str, Any]:
    study: dict[str, Any] = {
        "study_instance_uid": exam.uid("study"),
        "accession_number": f"ACC{exam.number:07d}",
        **exam_doses(exam),
    }
    if exam.device.kind == "ct":
        found = ct.scans(exam)
        study["events"] = len(found)
        by_phantom: dict[str, list[str | None]] = defaultdict(list)
        for scan in found:
            if scan.dlp_mgy_cm is not None:
                by_phantom[scan.phantom].append(scan.dlp_mgy_cm)
        study["ct_dlp_by_phantom_mgy_cm"] = {name: total(texts) for name, texts in by_phantom.items()}
    return study
