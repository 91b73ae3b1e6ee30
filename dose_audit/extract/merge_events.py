"""Events of all objects of a study as one set: matched, best source first, gaps filled from lesser ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dose_audit.extract.common import warn
from dose_audit.extract.exam import CtEvent, Event, Exam, Warning, twin
from dose_audit.extract.merge_matching import RANK, is_report, moment_of, same_device, same_event
from dose_audit.extract.slices import IMAGES, finish, fold_event

__all__ = ["Cluster", "cluster_events", "merged_events"]

DISAGREEMENT = 0.05
"""Relative difference of a dose between two sources of one event above which a warning says so."""

DOSES = ("ctdi_vol_mgy", "dlp_mgy_cm", "kap_gy_cm2", "dose_rp_mgy", "agd_mgy", "administered_activity_mbq")

TOGETHER: tuple[tuple[str, ...], ...] = (
    ("ctdi_vol_mgy", "ctdi_phantom"),
    ("ssde_mgy", "water_equivalent_diameter_mm", "size_method"),
    ("dose_rp_mgy", "reference_point"),
    ("kvp_kv", "kvp_kv_pulses"),
    ("tube_current_ma", "tube_current_ma_pulses", "average_tube_current_ma"),
    ("exposure_mas", "exposure_mas_pulses"),
    ("pulse_width_ms", "pulse_width_ms_pulses", "pulse_rate_per_s", "pulse_count"),
    ("exposure_index", "target_exposure_index", "deviation_index"),
    ("primary_angle_deg", "secondary_angle_deg", "primary_end_angle_deg", "secondary_end_angle_deg"),
    ("view", "view_modifier"),
    ("patient_orientation", "patient_orientation_modifier"),
    ("field_height_mm", "field_width_mm", "collimated_field_area_cm2"),
    ("nominal_single_collimation_mm", "nominal_total_collimation_mm"),
    ("compression_thickness_mm", "compression_force_n", "compression_pressure_kpa"),
    ("administered_activity_mbq", "pre_administration_activity_mbq", "post_administration_activity_mbq"),
)
"""Fields that mean something only beside each other: they are filled from one source, or not at all."""

_NEVER_FILLED = frozenset({"index", "type", "source_sop_instance_uid", "source_kind", "extra", "reason"})


@dataclass(slots=True)
class Cluster:
    """One exposure and every object's description of it."""

    members: list[tuple[int, int]] = field(default_factory=list)
    """(part, event) numbers in the canonical order of the parts; the first is the best source."""
    parts: set[int] = field(default_factory=set)


def cluster_events(parts: Sequence[Exam]) -> tuple[list[Cluster], dict[str, int]]:
    """Group the events of all parts by exposure.

    Parameters
    ----------
    parts : sequence of Exam
        In canonical order, so that the result depends on nothing else.

    Returns
    -------
    clusters : list of Cluster
    left_out : dict
        Kind of source → number of its events that could not be told apart from the listed ones and are not
        counted.

    Notes
    -----
    Sources that list a whole exam (reports, then dose screens) are entered before images, which may only add
    what is certainly not listed: an event with a UID where the listed ones have UIDs, or with a time that
    differs from every listed one's. A dose screen beside a report adds nothing.
    """
    clusters: list[Cluster] = []
    by_uid: dict[str, list[Cluster]] = defaultdict(list)
    left_out: dict[str, int] = defaultdict(int)
    order = sorted(range(len(parts)), key=lambda number: _kind(parts[number]) == "image")
    waiting: list[tuple[int, int]] = []
    # All event UIDs first: a UID is stronger than any agreement in time.
    for number in order:
        for position, event in enumerate(parts[number].events):
            uid = event.irradiation_event_uid
            cluster = _by_uid(by_uid.get(uid, ()), parts, number, event) if uid else None
            if cluster is not None:
                _join(cluster, number, position)
                continue
            if uid and is_report(event.source_kind):
                cluster = Cluster([(number, position)], {number})
                clusters.append(cluster)
                by_uid[uid].append(cluster)
                continue
            waiting.append((number, position))
    for number, position in waiting:
        event = parts[number].events[position]
        uid = event.irradiation_event_uid
        cluster = _by_uid(by_uid.get(uid, ()), parts, number, event) if uid else None
        if cluster is None:
            cluster = _alike(clusters, parts, number, event)
        if cluster is not None:
            _join(cluster, number, position)
        elif _may_add(clusters, parts, number, event):
            cluster = Cluster([(number, position)], {number})
            clusters.append(cluster)
        else:
            left_out[event.source_kind or ""] += 1
            continue
        if uid and cluster not in by_uid[uid]:
            by_uid[uid].append(cluster)
    for cluster in clusters:
        cluster.members.sort()
    return clusters, dict(left_out)


def _kind(part: Exam) -> str | None:
    return part.sources[0].kind if part.sources else None


def _join(cluster: Cluster, number: int, position: int) -> None:
    cluster.members.append((number, position))
    cluster.parts.add(number)


def _by_uid(candidates: Sequence[Cluster], parts: Sequence[Exam], number: int, event: Event) -> Cluster | None:
    """The cluster of an event UID: never one that this object is in already (biplane runs share a UID)."""
    plane = getattr(event, "plane", None)
    fallback = None
    for cluster in candidates:
        first, position = cluster.members[0]
        best = parts[first].events[position]
        if number in cluster.parts or type(best) is not type(event):
            continue
        other = getattr(best, "plane", None)
        if other == plane:
            return cluster
        if fallback is None and (plane is None or other is None):
            fallback = cluster
    return fallback


def _alike(clusters: Sequence[Cluster], parts: Sequence[Exam], number: int, event: Event) -> Cluster | None:
    """The cluster of other objects that is the same event of one device; of several the nearest in time."""
    found: list[tuple[float, int]] = []
    for index, cluster in enumerate(clusters):
        if number in cluster.parts:
            continue
        first, position = cluster.members[0]
        other = parts[first].events[position]
        if same_device(parts[first].equipment, parts[number].equipment) and same_event(other, event):
            here, there = moment_of(event.started_at), moment_of(other.started_at)
            apart = abs((here - there).total_seconds()) if here and there else 0.0
            found.append((apart, index))
    return clusters[min(found)[1]] if found else None


def _may_add(clusters: Sequence[Cluster], parts: Sequence[Exam], number: int, event: Event) -> bool:
    """Whether an event that matches none is certainly a further one."""
    if _kind(parts[number]) in ("ct_rdsr", "projection_rdsr", "enhanced_rdsr", "radiopharmaceutical_rdsr"):
        return True
    listed = [
        parts[first].events[position]
        for cluster in clusters
        for first, position in cluster.members[:1]
        if first != number
        and _kind(parts[first]) != "image"
        and type(parts[first].events[position]) is type(event)
        and same_device(parts[first].equipment, parts[number].equipment)
    ]
    if not listed:
        return True
    if event.source_kind == "dose_screen":
        return False
    if event.irradiation_event_uid and all(other.irradiation_event_uid for other in listed):
        return True
    if event.source_kind != "image":
        return False
    return moment_of(event.started_at) is not None and all(moment_of(other.started_at) for other in listed)


def merged_events(parts: Sequence[Exam], clusters: Sequence[Cluster], warnings: list[Warning]) -> list[Event]:
    """One event per cluster, in time order, then content order, numbered from 1."""
    built: list[tuple[Any, Event]] = []
    times = _carried_times(parts)
    arrival = sorted(
        range(len(parts)),
        key=lambda n: (parts[n].sources[0].content_datetime or "" if parts[n].sources else "", n),
    )
    place = {number: position for position, number in enumerate(arrival)}
    for cluster in clusters:
        first, position = cluster.members[0]
        event = twin(parts[first].events[position]) if len(parts) > 1 else parts[first].events[position]
        if len(cluster.members) > 1:
            event.extra = dict(event.extra)
            for number, other in cluster.members[1:]:
                _add(event, parts[number].events[other], parts[number], warnings)
        moment = times[first, position]
        built.append(((moment is None, moment or datetime.min, place[first], position), event))
    built.sort(key=lambda entry: entry[0])
    for index, (_, event) in enumerate(built, 1):
        event.index = index
    return [event for _, event in built]


def _carried_times(parts: Sequence[Exam]) -> dict[tuple[int, int], datetime | None]:
    """Start of every event for sorting; one without a time stands where its own object puts it."""
    times: dict[tuple[int, int], datetime | None] = {}
    for number, part in enumerate(parts):
        last = next((moment for event in part.events if (moment := moment_of(event.started_at))), None)
        for position, event in enumerate(part.events):
            last = moment_of(event.started_at) or last
            times[number, position] = last
    return times


def _add(event: Event, other: Event, part: Exam, warnings: list[Warning]) -> None:
    """Fold or fill one more description of an event into the best one."""
    if isinstance(event, CtEvent) and isinstance(other, CtEvent) and IMAGES in event.extra and IMAGES in other.extra:
        fold_event(event, other)
        finish(event)
        return
    if event.source_kind != other.source_kind:
        _compare(event, other, warnings)
    elif is_report(event.source_kind):
        return  # an older version of the same report's event
    _fill(event, other, part)


def _varies(event: Event, name: str) -> bool:
    counted = event.extra.get(IMAGES, {}).get(name)
    return bool(counted) and counted["min"] != counted["max"]


def _compare(event: Event, other: Event, warnings: list[Warning]) -> None:
    for name in DOSES:
        one, two = getattr(event, name, None), getattr(other, name, None)
        if one is None or two is None or _varies(other, name):
            continue
        if abs(one - two) > DISAGREEMENT * max(abs(one), abs(two)):
            message = f"{event.source_kind} and {other.source_kind} differ by more than {DISAGREEMENT:.0%}"
            warn(warnings, "sources_disagree", message, name, f"{one:g}; {two:g}")


def _empty(value: Any) -> bool:
    return value is None or value == []


def _fill(event: Event, other: Event, part: Exam) -> None:
    """Fill what the better source does not say; `filled_from` in ``extra`` remembers what came from where."""
    names = set(event.__dataclass_fields__) - _NEVER_FILLED
    groups = [group for group in TOGETHER if group[0] in names]
    taken: dict[str, str] = dict(event.extra.get("filled_from", {}))
    single = names.difference(*groups) if groups else names
    for group in (*groups, *((name,) for name in sorted(single))):
        if not all(_empty(getattr(event, name)) for name in group):
            continue
        for name in group:
            value = getattr(other, name)
            if not _empty(value) and _may_fill(name, other, part):
                setattr(event, name, value)
                if RANK.get(other.source_kind, 9) != RANK.get(event.source_kind, 9):
                    taken[name] = other.source_kind or ""
    if isinstance(event, CtEvent) and isinstance(other, CtEvent) and event.ctdi_phantom is None and other.ctdi_phantom:
        one, two = event.ctdi_vol_mgy, other.ctdi_vol_mgy
        if one and two and abs(one - two) <= DISAGREEMENT * max(one, two):
            event.ctdi_phantom = other.ctdi_phantom
            taken["ctdi_phantom"] = other.source_kind or ""
    for name, value in other.extra.items():
        if name != "filled_from":
            event.extra.setdefault(name, value)
    if taken:
        event.extra["filled_from"] = dict(sorted(taken.items()))


def _may_fill(name: str, other: Event, part: Exam) -> bool:
    """Not what a lesser source defines otherwise: means of modulated slices, KAP of XA images."""
    if name in ("ctdi_vol_mgy", "ctdi_phantom") and _varies(other, "ctdi_vol_mgy"):
        return False
    return not (name == "kap_gy_cm2" and other.source_kind == "image" and part.modality in ("XA", "RF"))
