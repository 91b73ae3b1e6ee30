"""Structured reports to exams: the kind of dose report by its content, and the tables that read it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dose_audit.extract.codes import key
from dose_audit.extract.common import (
    equipment_from_header,
    patient_from_header,
    source_of,
    study_from_header,
)
from dose_audit.extract.concepts import PROCEDURES, dcm
from dose_audit.extract.content import LateItem
from dose_audit.extract.ct import CT_CONTAINERS
from dose_audit.extract.document import DOCUMENT, equipment_from_observers
from dose_audit.extract.doses_together import warn_of_doses_apart
from dose_audit.extract.enhanced import ENHANCED_CONTAINERS, ESTIMATE_CONTAINERS, apply_details
from dose_audit.extract.exam import CtEvent, Event, Exam, PlaneTotals, Report
from dose_audit.extract.fields import Context, Table, moment, number, on, walk
from dose_audit.extract.nuclear_medicine import NUCLEAR_CONTAINERS, modality_of_nuclear
from dose_audit.extract.options import NotDose, ReadOptions
from dose_audit.extract.projection import (
    PROJECTION_CONTAINERS,
    add_up_planes,
    modality_of_projection,
    position_from_comment,
)
from dose_audit.extract.quirks import ActiveQuirks, quirks_for
from dose_audit.extract.times import iso_offset

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject, Item

__all__ = ["read_sr"]

# SOP classes of general reports; a dose report in one of them is a vendor's own way.
_GENERAL_REPORTS = frozenset(f"1.2.840.10008.5.1.4.1.1.88.{part}" for part in (11, 22, 33, 34))

_X_RAY: Table = {**DOCUMENT, **CT_CONTAINERS, **PROJECTION_CONTAINERS, **ENHANCED_CONTAINERS}
_NUCLEAR: Table = {**DOCUMENT, **NUCLEAR_CONTAINERS}
_ESTIMATES: Table = {**DOCUMENT, **ESTIMATE_CONTAINERS}

# Siemens Arcadis: the totals of the examination and nothing else.
_RADSUM = "99SMS_RADSUM"
_SUMMARY: Table = {
    **DOCUMENT,
    (_RADSUM, "C-200"): on("totals", number("radiographic_frames", "count")),
    (_RADSUM, "C-202"): on("totals", number("fluoro_time_s", "time_s")),
    (_RADSUM, "C-204"): on("totals", number("kap_gy_cm2", "kap_gy_cm2")),
    (_RADSUM, "C-206"): on("report", moment("started_at")),
    (_RADSUM, "C-208"): on("report", moment("ended_at")),
    (_RADSUM, "C-210"): on("totals", number("dose_rp_mgy", "dose_mgy")),
}

_DOSE_REPORTS = frozenset({dcm("113701"), dcm("113500"), dcm("128401")})


# What a dose report holds directly below its root.
_CONTAINERS = frozenset(
    {*CT_CONTAINERS, *PROJECTION_CONTAINERS, *ENHANCED_CONTAINERS, *NUCLEAR_CONTAINERS, *ESTIMATE_CONTAINERS}
)
_NESTED = 3  # levels below the root at which they are looked for too


def _lift(above: Item, depth: int = 1) -> list[Item]:
    """Take the containers that belong directly below the root out of others in which they stand."""
    lifted: list[Item] = []
    for item in above.children:
        # Of a very large report the containers themselves are not looked through: each would be read twice.
        if item.value_type != "CONTAINER" or (isinstance(item, LateItem) and item.key in _CONTAINERS):
            continue
        found = [child for child in item.children if child.key in _CONTAINERS]
        if found:
            item.children = [child for child in item.children if child.key not in _CONTAINERS]
            lifted += found
        if depth < _NESTED:
            lifted += _lift(item, depth + 1)
    return lifted


def _kind(root: Item, obj: DicomObject, quirks: ActiveQuirks) -> tuple[str, Table] | None:
    """The source kind and the root table of a report, by what stands in it; `None` when that is no dose."""
    summary = quirks.repairs.get("varic_summary")
    if summary and root.concept and (root.concept.scheme, root.concept.value) == summary["root"]:
        return "enhanced_sr", _SUMMARY
    inside = {child.key for child in root.children}
    if root.key == dcm("113500") or dcm("113502") in inside:
        return "radiopharmaceutical_rdsr", _NUCLEAR
    if root.key == dcm("128401") or dcm("128402") in inside:
        return "patient_rdsr", _ESTIMATES
    kind = None
    if not inside.isdisjoint(ENHANCED_CONTAINERS):
        kind = "enhanced_rdsr"
    elif not inside.isdisjoint(CT_CONTAINERS):
        kind = "ct_rdsr"
    elif not inside.isdisjoint(PROJECTION_CONTAINERS):
        kind = "projection_rdsr"
    elif root.key == dcm("113701"):
        procedure = root.find(dcm("121058"))
        says = PROCEDURES.get(key(procedure.code)) if procedure is not None and procedure.code else None
        kind = {"CT": "ct_rdsr", "MG": "projection_rdsr", "projection": "projection_rdsr"}.get(says or "")
    if kind is None:
        return None
    return ("enhanced_sr" if obj.sop_class_uid in _GENERAL_REPORTS else kind), _X_RAY


def _device(obj: DicomObject, root: Item) -> tuple[str, str]:
    """Manufacturer and model, from the header, else from the observing device."""
    names = []
    for keyword, concept in (("Manufacturer", "121014"), ("ManufacturerModelName", "121015")):
        name = obj.text(keyword)
        if not name:
            item = root.find(dcm(concept))
            name = item.text if item is not None else None
        names.append(name or "")
    return names[0], names[1]


def read_sr(obj: DicomObject, options: ReadOptions | None = None) -> Exam | NotDose:
    """Read one structured report as the exam that it alone tells.

    Parameters
    ----------
    obj : DicomObject
    options : ReadOptions, optional
        By default no identifiers and no pseudonym.

    Returns
    -------
    Exam or NotDose
        `NotDose` for a structured report without dose. Sums over events are left to merging.

    Notes
    -----
    The kind follows from the root concept and the containers below it, never from the SOP class or the
    template identifier: CT dose comes in Enhanced SR, and some reports name no template.
    """
    options = options or ReadOptions()
    root = obj.content
    if root is None:
        return NotDose("no structured report")
    quirks = quirks_for(*_device(obj, root))
    lifted = _lift(root)
    if lifted:
        root.children = [*root.children, *lifted]
    found = _kind(root, obj, quirks)
    if found is None:
        if root.key in _DOSE_REPORTS:
            return NotDose("a dose report without dose in it")
        return NotDose("a structured report about something else than dose")
    kind, table = found
    exam = Exam(report=Report())
    assert exam.report is not None
    exam.patient = patient_from_header(obj, options, exam.warnings)
    exam.equipment = equipment_from_header(obj)
    study_from_header(obj, exam, options)
    exam.sources.append(source_of(obj, kind))
    ctx = Context(exam, options, iso_offset(obj.text("TimezoneOffsetFromUTC")), quirks)
    for item in lifted:
        ctx.warn("container_out_of_place", "a container that belongs below the root stands in another", item)
    walk(root.children, table, exam, exam.report.extra, ctx)
    _finish(exam, table, ctx)
    completion = obj.text("CompletionFlag")
    if completion:
        exam.report.extra["completion_flag"] = completion
    for event in exam.events:
        event.source_sop_instance_uid = obj.sop_instance_uid
        event.source_kind = kind
    ctx.finish()
    return exam


def _list_once(exam: Exam, ctx: Context) -> None:
    """An event that the report lists twice, with nothing in it that differs, is one exposure.

    Events that share a UID and differ are several: the planes of a biplane run, or a device that uses a UID again.
    """
    first: dict[tuple[str, str | None], Event] = {}
    kept: list[Event] = []
    for event in exam.events:
        event.index = len(kept) + 1
        uid = event.irradiation_event_uid
        if uid:
            known = first.setdefault((uid, getattr(event, "plane", None)), event)
            if known is not event:
                if replace(event, index=known.index) == known:
                    ctx.warn("event_listed_twice", "an event is listed twice; it counts once", raw=uid)
                    continue
                ctx.warn("event_uid_shared", "different events have one Irradiation Event UID; all count", raw=uid)
        kept.append(event)
    exam.events = kept


def _finish(exam: Exam, table: Table, ctx: Context) -> None:
    """What needs the whole report: spans, planes, positions, the modality."""
    equipment_from_observers(exam)
    _list_once(exam, ctx)
    if table is _X_RAY:
        apply_details(exam, ctx)
        add_up_planes(exam)
        warn_of_doses_apart(exam, ctx)
        position_from_comment(exam, ctx)
        exam.modality = _modality_of_x_ray(exam, ctx)
    elif table is _NUCLEAR:
        exam.modality = modality_of_nuclear(exam)
        _administered(exam)
    elif table is _SUMMARY:
        _plane_of_summary(exam)
        exam.modality = "RF"
    if not exam.events and not exam.totals.planes and exam.totals.ct_dlp_mgy_cm is None and table is _X_RAY:
        ctx.warn("empty_report", "a dose report without totals and without events")


def _modality_of_x_ray(exam: Exam, ctx: Context) -> str:
    report = exam.report
    procedure = report.procedure_reported if report else None
    says = PROCEDURES.get(key(procedure)) if procedure else None
    # A rotational run of an angiography unit can stand as CT acquisition among projection events.
    all_ct = bool(exam.events) and all(isinstance(event, CtEvent) for event in exam.events)
    has_ct_totals = exam.totals.ct_dlp_mgy_cm is not None and not exam.totals.planes
    if all_ct or says == "CT" or (not exam.events and has_ct_totals):
        return "CT"
    return modality_of_projection(exam, ctx)


def _administered(exam: Exam) -> None:
    """The exam's administered activity, where every administration has one."""
    activities = [event.administered_activity_mbq for event in exam.events]
    if activities and None not in activities:
        exam.totals.administered_activity_mbq = float(f"{sum(activities):.12g}")


def _plane_of_summary(exam: Exam) -> None:
    """A mobile C-arm has one plane, whose totals are the exam's."""
    totals = exam.totals
    exam.totals.planes.append(
        PlaneTotals(
            plane="single",
            kap_gy_cm2=totals.kap_gy_cm2,
            dose_rp_mgy=totals.dose_rp_mgy,
            fluoro_time_s=totals.fluoro_time_s,
            radiographic_frames=totals.radiographic_frames,
        )
    )
