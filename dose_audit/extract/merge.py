"""Several objects of one study to one exam, the same in whatever order they arrive."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from dose_audit.extract.common import warn
from dose_audit.extract.exam import Equipment, Exam, Patient, Report, Source, Warning, as_record, twin
from dose_audit.extract.merge_events import cluster_events, merged_events
from dose_audit.extract.merge_matching import RANK, same_device
from dose_audit.extract.merge_totals import merged_totals, sum_events
from dose_audit.extract.slices import IMAGES, fold_parts, slice_key

__all__ = ["DifferentStudies", "merge_parts"]

MODALITIES = ("PT", "NM")
"""With a radiopharmaceutical an exam is of that kind, whatever CT is beside it; else the best source says."""


class DifferentStudies(ValueError):
    """Objects of different studies were given to be merged."""


def merge_parts(parts: Sequence[Exam]) -> Exam:
    """Merge what each object of one study tells into one exam.

    Parameters
    ----------
    parts : sequence of Exam
        What `read_part` made of each object, in any order. Slices may have been folded before.

    Returns
    -------
    Exam
        The same for every order of `parts`: events once each and numbered, totals as reported and as summed,
        warnings.

    Raises
    ------
    DifferentStudies
        When the parts name more than one Study Instance UID, or only some of them name one.
    ValueError
        When there are no parts.

    Notes
    -----
    Of the parts nothing changes but the numbers of a single part's events. Rules, in this order:

    1. The same SOP Instance UID with other content: the newer counts, and a warning says so.
    2. Slices of one series and acquisition are one part (`slices`).
    3. Events are matched by Irradiation Event UID, else by device and time (`merge_matching`). The best source
       describes each, lesser ones fill gaps (`merge_events`): RDSR, enhanced SR, image, dose screen.
    4. A report whose events another holds as well is superseded; continued reports add (`merge_totals`).
    """
    if not parts:
        raise ValueError("no parts to merge")
    if len({part.study_instance_uid for part in parts}) > 1:
        raise DifferentStudies("objects of different studies cannot be one exam")
    warnings: list[Warning] = []
    kept, older = _versions(parts, warnings)
    ordered = _canonical(_folded(kept))
    clusters, left_out = cluster_events(ordered)
    exam = _header(ordered)
    exam.sources = _sources([*ordered, *older])
    exam.totals = merged_totals(ordered, clusters, warnings)
    exam.events = merged_events(ordered, clusters, warnings)
    exam.pet_series = _pet_series(ordered)
    for kind, count in sorted(left_out.items()):
        message = f"{count} events of a {kind} cannot be told apart from those listed and are not counted"
        warn(warnings, "events_left_out", message, kind)
    _judge_slices(exam, warnings)
    exam.warnings = _different([w for part in ordered for w in part.warnings])
    sum_events(exam)
    exam.warnings = _different(exam.warnings + warnings)
    return exam


def _versions(parts: Sequence[Exam], warnings: list[Warning]) -> tuple[list[Exam], list[Exam]]:
    """The newest part of each SOP Instance UID; and the older versions, which count as sources only."""
    groups: dict[Any, list[Exam]] = {}
    for index, part in enumerate(parts):
        uid = part.sources[0].sop_instance_uid if len(part.sources) == 1 else None
        groups.setdefault(uid or ("no UID", index), []).append(part)
    kept: list[Exam] = []
    older: list[Exam] = []
    for _, group in sorted(groups.items(), key=lambda entry: str(entry[0])):
        if len(group) == 1:
            kept.append(group[0])
            continue
        versions = {_text(part): part for part in group}
        newest = max(versions, key=lambda text: (_made(versions[text]), text))
        kept.append(versions[newest])
        older += [part for text, part in versions.items() if text != newest and slice_key(part) is None]
        if len(versions) > 1:
            message = f"{len(versions)} versions of one object: the newest counts"
            warn(warnings, "object_versions", message, kept[-1].sources[0].sop_instance_uid)
    return kept, older


def _sources(parts: Iterable[Exam]) -> list[Source]:
    """Every different source, best kind first, then oldest first; one stands for slices that were folded."""
    every = [source for part in parts for source in part.sources]
    if len(every) == 1:
        return every
    different = {_plain(source): source for source in every}
    return [
        different[text]
        for text in sorted(
            different,
            key=lambda text: (RANK.get(different[text].kind, 9), different[text].content_datetime or "", text),
        )
    ]


def _text(part: Exam) -> str:
    """A part as text: what decides where nothing else does. Event numbers are given here and tell nothing."""
    record = as_record(part)
    for event in record["events"]:
        event["index"] = 0
    return json.dumps(record, sort_keys=True)


def _made(part: Exam) -> str:
    return max((source.content_datetime or "" for source in part.sources), default="")


def _folded(parts: Iterable[Exam]) -> list[Exam]:
    """Slices of one acquisition as one part each."""
    alone: list[Exam] = []
    groups: dict[Any, list[Exam]] = {}
    for part in parts:
        key = slice_key(part)
        if key is None:
            alone.append(part)
        else:
            groups.setdefault(key, []).append(part)
    for group in groups.values():
        folded = group[0] if len(group) == 1 else copy.deepcopy(group[0])
        for part in group[1:]:
            folded = fold_parts(folded, part)
        alone.append(folded)
    return alone


def _canonical(parts: list[Exam]) -> list[Exam]:
    """Best source first, then the newest, then by SOP Instance UID: arrival cannot change it."""
    if len(parts) == 1:
        return parts
    named = len({_uid(part) for part in parts}) == len(parts)
    parts = sorted(parts, key=_uid if named else lambda part: (_uid(part), _text(part)))
    parts.sort(key=_made, reverse=True)
    parts.sort(key=_rank)
    return parts


def _uid(part: Exam) -> str:
    return (part.sources[0].sop_instance_uid or "") if part.sources else ""


def _rank(part: Exam) -> int:
    return min((RANK.get(source.kind, 9) for source in part.sources), default=9)


def _header(ordered: list[Exam]) -> Exam:
    """Everything around the events: of the best source, filled from the others."""
    if len(ordered) == 1:
        return twin(ordered[0])
    exam = Exam()
    own = ("patient", "equipment", "sources", "report", "totals", "events", "pet_series", "warnings", "extra")
    for part in fields(Exam):
        if part.name not in own:
            setattr(exam, part.name, _first(getattr(each, part.name) for each in ordered))
    exam.study_datetime = min(filter(None, (each.study_datetime for each in ordered)), default=None)
    exam.modality = _modality(ordered)
    exam.patient = _filled(Patient(), [each.patient for each in ordered])
    exam.patient.is_phantom = any(each.patient.is_phantom for each in ordered)
    exam.equipment = _filled(
        Equipment(), [each.equipment for each in ordered if same_device(ordered[0].equipment, each.equipment)]
    )
    reports = [each.report for each in ordered if each.report is not None]
    exam.report = _report(reports)
    for each in ordered:
        for name, value in each.extra.items():
            exam.extra.setdefault(name, value)
    return exam


def _first(values: Iterable[Any]) -> Any:
    empty: Any = None
    for value in values:
        if value not in (None, []):
            return value
        empty = [] if value == [] else None
    return empty


def _filled(target: Any, sources: Sequence[Any]) -> Any:
    for part in fields(target):
        setattr(target, part.name, _first(getattr(each, part.name) for each in sources))
    return target


def _modality(ordered: list[Exam]) -> str | None:
    named = [each.modality for each in ordered if each.modality]
    return next((modality for modality in MODALITIES if modality in named), named[0] if named else None)


def _report(reports: list[Report]) -> Report | None:
    """The best report's words, over the time that all of them span."""
    if not reports:
        return None
    report = twin(reports[0])
    report.started_at = min(filter(None, (each.started_at for each in reports)), default=None)
    report.ended_at = max(filter(None, (each.ended_at for each in reports)), default=None)
    return report


def _pet_series(ordered: list[Exam]) -> list[Any]:
    series: dict[Any, Any] = {}
    for part in ordered:
        for each in part.pet_series:
            series.setdefault(each.series_instance_uid or _plain(each), each)
    return sorted(
        series.values(),
        key=lambda each: (each.started_at or "", each.series_instance_uid or "", _plain(each)),
    )


def _plain(value: Any) -> str:
    return json.dumps(as_record(value), sort_keys=True)


def _judge_slices(exam: Exam, warnings: list[Warning]) -> None:
    """Say where an event's dose is a mean over its slices, or where its slices contradict each other."""
    for event in exam.events:
        images = event.extra.get(IMAGES)
        if not images or event.source_kind != "image":
            continue
        ctdi, dlp = images.get("ctdi_vol_mgy"), images.get("dlp_mgy_cm")
        where = f"events[{event.index}]"
        if ctdi and ctdi["min"] != ctdi["max"]:
            span = f"{ctdi['min']:.4g} to {ctdi['max']:.4g} mGy"
            message = f"CTDIvol is the mean over {ctdi['count']} slices ({span})"
            warn(warnings, "ctdi_vol_of_slices", message, where)
        if dlp and dlp["min"] != dlp["max"]:
            message = "slices of one acquisition carry different DLPs; none is used"
            warn(warnings, "dlp_of_slices", message, where, f"{dlp['min']:g} to {dlp['max']:g}")


def _different(warnings: Iterable[Warning]) -> list[Warning]:
    """Each warning once, in order."""
    return list({(w.code, w.message, w.where, w.raw): w for w in warnings}.values())
