"""Totals as reported and as the events add up, side by side; a disagreement is a warning."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from math import fsum
from typing import Any, NamedTuple

from dose_audit.extract.common import warn
from dose_audit.extract.exam import CtEvent, Event, Exam, PlaneTotals, ProjectionEvent, Totals, Warning, twin
from dose_audit.extract.merge_events import Cluster

__all__ = ["TOLERANCES", "Tolerance", "merged_totals", "sum_events"]

FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ct": ("ct", ("ct_dlp_mgy_cm", "ct_event_count", "ct_effective_dose_msv")),
    "projection": (
        "projection",
        (
            "kap_gy_cm2", "dose_rp_mgy", "fluoro_time_s", "acquisition_time_s", "fluoro_kap_gy_cm2",
            "acquisition_kap_gy_cm2", "fluoro_dose_rp_mgy", "acquisition_dose_rp_mgy", "radiographic_frames",
            "planes", "agd_mgy",
        ),
    ),
    "administration": ("administration", ("administered_activity_mbq",)),
}  # fmt: skip
"""Family of totals → type of the events behind them, and the fields as reported."""

_PLANE_NUMBERS = tuple(
    name
    for name in PlaneTotals.__dataclass_fields__
    if name not in ("plane", "extra") and not name.startswith("events_")
)


class Tolerance(NamedTuple):
    """How far a reported total may be from its events' sum: the greater of a share and a number."""

    relative: float
    absolute: float


TOLERANCES: dict[str, Tolerance] = {
    # Shares allow for values rounded in each event; numbers for the last digit of a small total.
    "ct_dlp_mgy_cm": Tolerance(0.01, 0.5),
    "kap_gy_cm2": Tolerance(0.02, 0.001),
    "dose_rp_mgy": Tolerance(0.02, 0.1),
    "agd_mgy": Tolerance(0.02, 0.02),
    "administered_activity_mbq": Tolerance(0.01, 0.1),
}
"""Beyond these a total and its events disagree."""


def merged_totals(parts: Sequence[Exam], clusters: Sequence[Cluster], warnings: list[Warning]) -> Totals:
    """Reported totals of a study's reports.

    Parameters
    ----------
    parts : sequence of Exam
        In canonical order.
    clusters : sequence of Cluster
        Their events by exposure.
    warnings : list of Warning
        Grows where totals cannot be added.

    Returns
    -------
    Totals
        Of a cumulative series the report that holds all events; of continued reports, which share no event,
        the sum; ``None`` where two reports share some events, because their totals then overlap by an unknown
        amount.
    """
    if len(parts) == 1:
        return twin(parts[0].totals)
    totals = Totals()
    for family, (kind, names) in FAMILIES.items():
        held = [
            (
                number,
                frozenset(
                    i for i, cluster in enumerate(clusters) if number in cluster.parts and _is(cluster, parts, kind)
                ),
            )
            for number, part in enumerate(parts)
            if any(_known(getattr(part.totals, name)) for name in names)
        ]
        kept = _maximal(held)
        if not kept:
            continue
        if _overlap([events for _, events in kept]):
            message = f"{family} reports share some events and not others: their totals cannot be added"
            warn(warnings, "reports_overlap", message, "totals")
            continue
        if len(held) > 1 and not any(events for _, events in held):
            message = f"several {family} totals without events: the newest of the best source is used"
            warn(warnings, "totals_without_events", message, "totals")
        for name in names:
            setattr(totals, name, _added([getattr(parts[number].totals, name) for number, _ in kept]))
        for number, _ in kept:
            for name, value in parts[number].totals.extra.items():
                totals.extra.setdefault(name, value)
    return totals


def _is(cluster: Cluster, parts: Sequence[Exam], kind: str) -> bool:
    number, position = cluster.members[0]
    return parts[number].events[position].type == kind


def _known(value: Any) -> bool:
    return value is not None and value not in ([], {})


def _maximal(held: list[tuple[int, frozenset[int]]]) -> list[tuple[int, frozenset[int]]]:
    """Reports that no other report holds all events of; of equals the first in canonical order."""
    return [
        (number, events)
        for number, events in held
        if not any(
            events < others or (events == others and other < number) for other, others in held if other != number
        )
    ]


def _overlap(sets: Iterable[frozenset[int]]) -> bool:
    seen: set[int] = set()
    for events in sets:
        if seen & events:
            return True
        seen |= events
    return False


def _added(values: list[Any]) -> Any:
    """Sum of continued reports' values; unknown when one of them is."""
    if len(values) == 1:
        return copy.deepcopy(values[0])
    if all(isinstance(value, dict) for value in values):
        names = sorted({name for value in values for name in value})
        return {name: _sum(value[name] for value in values if name in value) for name in names}
    if all(isinstance(value, list) for value in values):
        return _added_planes([plane for value in values for plane in value])
    if any(value is None for value in values):
        return None
    return _sum(values)


def _added_planes(planes: list[PlaneTotals]) -> list[PlaneTotals]:
    added = []
    for label in sorted({plane.plane or "" for plane in planes}):
        mine = [plane for plane in planes if (plane.plane or "") == label]
        total = PlaneTotals(plane=label or None)
        for name in _PLANE_NUMBERS:
            setattr(total, name, _added([getattr(plane, name) for plane in mine]))
        added.append(total)
    return added


def _sum(values: Iterable[float]) -> float:
    """Sum that no order changes, without the binary noise behind the twelfth digit."""
    return float(f"{fsum(sorted(values)):.12g}")


def _sum_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _sum(known) if known else None


def sum_events(exam: Exam) -> None:
    """Set every ``events_…`` total, and warn where it disagrees with what was reported.

    Parameters
    ----------
    exam : Exam
        With its events and reported totals; changed in place.

    Notes
    -----
    A sum is over the events that carry the value, so that a report which leaves fluoroscopy out of its events
    disagrees; the warning counts the events without a value.
    """
    totals = exam.totals
    ct = [event for event in exam.events if isinstance(event, CtEvent)]
    films = [event for event in exam.events if isinstance(event, ProjectionEvent)]
    totals.events_ct_event_count = len(ct) or None
    totals.events_ct_dlp_mgy_cm = _sum_known(event.dlp_mgy_cm for event in ct)
    totals.ct_dlp_by_phantom_mgy_cm = {
        phantom: dlp
        for phantom in ("head_16cm", "body_32cm")
        if (dlp := _sum_known(event.dlp_mgy_cm for event in ct if event.ctdi_phantom == phantom)) is not None
    }
    totals.events_kap_gy_cm2 = _sum_known(event.kap_gy_cm2 for event in films)
    totals.events_dose_rp_mgy = _sum_known(event.dose_rp_mgy for event in films)
    totals.planes = [_plane_sums(plane, films, len(totals.planes)) for plane in totals.planes]
    totals.events_agd_mgy = {
        side: agd
        for side in ("left", "right", "both")
        if (agd := _sum_known(event.agd_mgy for event in films if event.laterality == side)) is not None
    }
    given = [event for event in exam.events if event.type == "administration"]
    activity = _sum_known(event.administered_activity_mbq for event in given)
    if totals.administered_activity_mbq is None:
        totals.administered_activity_mbq = activity
    else:
        _check(exam, "administered_activity_mbq", totals.administered_activity_mbq, activity, given)
    _check(exam, "ct_dlp_mgy_cm", totals.ct_dlp_mgy_cm, totals.events_ct_dlp_mgy_cm, ct, "dlp_mgy_cm")
    _check(exam, "kap_gy_cm2", totals.kap_gy_cm2, totals.events_kap_gy_cm2, films)
    _check(exam, "dose_rp_mgy", totals.dose_rp_mgy, totals.events_dose_rp_mgy, films)
    for side, reported in totals.agd_mgy.items():
        _check(exam, "agd_mgy", reported, totals.events_agd_mgy.get(side), films, side=side)
    count = totals.ct_event_count
    if count is not None and ct and count != len(ct):
        message = f"{count:g} CT events reported, {len(ct)} described"
        warn(exam.warnings, "event_count_disagrees", message, "totals.ct_event_count")


def _plane_sums(plane: PlaneTotals, films: list[ProjectionEvent], planes: int) -> PlaneTotals:
    mine = films if planes == 1 else [event for event in films if event.plane == plane.plane]
    plane = twin(plane)
    plane.events_kap_gy_cm2 = _sum_known(event.kap_gy_cm2 for event in mine)
    plane.events_dose_rp_mgy = _sum_known(event.dose_rp_mgy for event in mine)
    return plane


def _check(
    exam: Exam,
    name: str,
    reported: float | None,
    summed: float | None,
    events: Sequence[Event],
    attribute: str | None = None,
    side: str | None = None,
) -> None:
    if reported is None or summed is None:
        return
    tolerance = TOLERANCES[name]
    if abs(reported - summed) <= max(tolerance.relative * max(abs(reported), abs(summed)), tolerance.absolute):
        return
    without = sum(getattr(event, attribute or name) is None for event in events)
    message = f"{reported:.6g} reported, {summed:.6g} in the events"
    if without:
        message += f"; {without} of {len(events)} events carry no value"
    where = f"totals.{name}.{side}" if side else f"totals.{name}"
    warn(exam.warnings, "totals_disagree", message, where)
