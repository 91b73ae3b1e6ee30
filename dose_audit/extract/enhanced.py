"""Enhanced X-ray dose reports (TID 10040-10055) and patient dose estimates (TID 10030-10034).

An enhanced report splits what TID 10003 says of one event: a summary per event, and *details* that hold for a
span of time and an X-ray source. A detail belongs to every event that lies within its span; of a table of values
over time an event gets the mean of those that fell into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from dose_audit.extract.codes import key
from dose_audit.extract.concepts import FILTER_TYPES, MATERIALS, Key, dcm, sct
from dose_audit.extract.ct import CT_EVENT, CT_SOURCE, CT_TOTALS
from dose_audit.extract.exam import CtEvent, CtSource, Event, Exam, Filter, PlaneTotals, ProjectionEvent
from dose_audit.extract.fields import (
    Context,
    Extra,
    Rule,
    Table,
    aside,
    each,
    group,
    mean_of_pulses,
    number,
    term,
    walk,
)
from dose_audit.extract.projection import PLANE_TOTALS, PROJECTION_EVENT, finish_event
from dose_audit.extract.tabulated import mean_over
from dose_audit.extract.times import iso_datetime

if TYPE_CHECKING:
    from dose_audit.extract.reader import Item

__all__ = ["ENHANCED_CONTAINERS", "ESTIMATE_CONTAINERS", "apply_details"]

_SOURCE: Key = dcm("113832")
_STARTED: Key = dcm("111526")
_ENDED: Key = dcm("111527")


def _to_totals(inner: Rule) -> Rule:
    """A row of the exam's totals that stands in a container per source."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        inner(ctx.exam.totals, item, ctx.exam.totals.extra, ctx)

    return rule


_PLANE: dict[Key, Rule] = {**PLANE_TOTALS, **{name: _to_totals(rule) for name, rule in CT_TOTALS.items()}}
_PLANE[dcm("113876")] = PLANE_TOTALS[dcm("113876")]
_PLANE[dcm("130502")] = group(PLANE_TOTALS)  # Reference Point Dosimetry
_PLANE[_SOURCE] = aside("x_ray_source")

_NAMED_PLANE = re.compile(r"(?:plane|source|tube)?[\s_-]*([AB])", re.IGNORECASE)


def _accumulated(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    """Accumulated Dose Data of one X-ray source."""
    plane = PlaneTotals()
    walk(item.children, _PLANE, plane, plane.extra, ctx)
    named = _NAMED_PLANE.fullmatch(str(plane.extra.get("x_ray_source", "")))
    if plane.plane is None and named:
        plane.plane = named[1].upper()
    exam.totals.planes.append(plane)


_SUMMARY: dict[Key, Rule] = {
    **PROJECTION_EVENT,
    _SOURCE: aside("x_ray_source"),
    dcm("130502"): group(PROJECTION_EVENT),
}
_CT_SUMMARY: dict[Key, Rule] = {
    **CT_EVENT,
    dcm("113721"): aside("irradiation_event_type"),
    _SOURCE: aside("x_ray_source"),
    _ENDED: aside("ended_at"),
}
_CT_ONLY = (dcm("113830"), dcm("113838"), dcm("113829"), dcm("113820"))


def _summary(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    """Irradiation Event Summary Data: a CT acquisition where it has a CT dose, else a projection event."""
    event: Event
    if item.find(*_CT_ONLY) is not None:
        event = CtEvent(index=len(exam.events) + 1)
        walk(item.children, _CT_SUMMARY, event, event.extra, ctx)
    else:
        event = ProjectionEvent(index=len(exam.events) + 1)
        walk(item.children, _SUMMARY, event, event.extra, ctx)
        finish_event(event, item, ctx)
    exam.events.append(event)


class _Detail(NamedTuple):
    """One container of Irradiation Details with the span and source that it holds for."""

    start: datetime | None
    end: datetime | None
    source: str | None
    items: list[Item]


def _thickness(entry: Filter, item: Item, extra: Extra, ctx: Context) -> None:
    """X-Ray Filter Thickness is both the smallest and the largest."""
    value = ctx.measured(item, "length_mm")
    if value is not None:
        entry.min_mm = entry.max_mm = value


_ATTENUATOR: Table = {
    dcm("113772"): term("type", FILTER_TYPES),
    dcm("113757"): term("material", MATERIALS),
    dcm("128465"): term("material", MATERIALS),
    dcm("113758"): number("min_mm", "length_mm"),
    dcm("113773"): number("max_mm", "length_mm"),
    dcm("130509"): _thickness,
    dcm("130531"): group({}),
}
_ATTENUATOR = {**_ATTENUATOR, dcm("130531"): group(_ATTENUATOR)}

_DETAIL: dict[Key, Rule] = {
    **PROJECTION_EVENT,
    dcm("113771"): each("filters", Filter, _ATTENUATOR),
    dcm("130531"): each("filters", Filter, _ATTENUATOR),
    dcm("130515"): aside("air_kerma_at_output_measurement_point_mgy", "dose_mgy"),
    dcm("113980"): aside("water_equivalent_diameter_mm", "length_mm"),
    dcm("113931"): aside("measured_lateral_dimension_mm", "length_mm"),
    dcm("113932"): aside("measured_ap_dimension_mm", "length_mm"),
}
_CT_DETAIL: dict[Key, Rule] = dict(CT_EVENT)
for _table in (_DETAIL, _CT_DETAIL):
    for _name in (_STARTED, _ENDED, dcm("113769")):
        del _table[_name]
# Details that name an amount belong to an event only when their whole span does.
_AMOUNTS = frozenset({dcm("130515"), dcm("122130"), dcm("113738"), dcm("111631")})
# Of these an event keeps the single values beside their mean.
_PULSES = frozenset({dcm("113733"), dcm("113734"), dcm("113736"), dcm("113793")})
# CID 10072: a mean, nominal, mode or median stands for the span; an extreme does not.
_EXTREMES = frozenset({sct("56851009"), sct("255605001")})


def _time(text: object, ctx: Context) -> datetime | None:
    iso = iso_datetime(str(text), ctx.offset) if text else None
    return datetime.fromisoformat(iso) if iso else None


def _details_below(item: Item, ctx: Context) -> Iterator[_Detail]:
    """Every container below Irradiation Details that has a span of its own."""
    for child in item.children:
        if child.value_type != "CONTAINER":
            continue
        start, end, source = child.find(_STARTED), child.find(_ENDED), child.find(_SOURCE)
        named = (
            (ctx.text_of(source) or (f"{source.number:g}" if source.number is not None else None)) if source else None
        )
        kept = []
        for entry in child.children:
            if entry.key in (_STARTED, _ENDED, _SOURCE):
                continue
            if not _is_extreme(entry):
                kept.append(entry)
        yield _Detail(_time(start.text if start else None, ctx), _time(end.text if end else None, ctx), named, kept)


def _is_extreme(item: Item) -> bool:
    reported = item.find(dcm("130510")) if item.children else None
    return bool(reported and reported.code and key(reported.code) in _EXTREMES)


def _details(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    exam.extra.setdefault(_PENDING, []).extend(_details_below(item, ctx))


_PENDING = "irradiation_details"


def apply_details(exam: Exam, ctx: Context) -> None:
    """Let every detail fill the events that lie in its span and are of its source.

    Details whose span fits no event, or times that cannot be compared, change nothing; a warning says how
    many.
    """
    unplaced = 0
    for detail in exam.extra.pop(_PENDING, []):
        placed = False
        for event in exam.events:
            if not _concerns(detail, event):
                continue
            placed = True
            items = list(_items_for(detail, event, ctx))
            if isinstance(event, CtEvent):
                _detail_of_ct(detail, items, event, ctx)
            else:
                whole = _within(detail, event)
                kept = [item for item in items if whole or item.key not in _AMOUNTS]
                walk(kept, _DETAIL, event, event.extra, ctx)
        unplaced += not placed
    for event in exam.events:
        if isinstance(event, ProjectionEvent):
            mean_of_pulses(event, "kvp_kv", "tube_current_ma", "exposure_mas", "pulse_width_ms")
    if unplaced:
        ctx.warn("details_without_event", f"{unplaced} irradiation details belong to no event")


def _items_for(detail: _Detail, event: Event, ctx: Context) -> Iterator[Item]:
    """What a detail says of an event: of values over time, their mean while the event lasted."""
    span = _span(event)

    def within(sent: str | None) -> bool:
        moment = _time(sent, ctx)
        if sent is None or span is None:
            return True
        return moment is not None and _comparable(moment, *span) and span[0] <= moment <= span[1]

    for item in detail.items:
        if item.value_type != "TABLE":
            yield item
            continue
        found = None if item.key in _AMOUNTS else mean_over(item, within)
        if found is None:
            reason = "amounts over time are not added" if item.key in _AMOUNTS else "no values while the event lasted"
            ctx.warn("table_not_read", reason, item)
            continue
        if item.key in _PULSES and isinstance(event, ProjectionEvent):
            found.set_rare("numbers", found.rare["single"] if found.rare else [])
        yield found


def _comparable(*moments: datetime) -> bool:
    """Whether all tell their offset from UTC, or none does."""
    return len({moment.tzinfo is None for moment in moments}) == 1


def _detail_of_ct(detail: _Detail, items: list[Item], event: CtEvent, ctx: Context) -> None:
    """A detail of an acquisition: of its X-ray source what a source has, the rest of the acquisition itself."""
    source = next((one for one in event.sources if one.id == detail.source), None)
    of_source = CtSource(id=detail.source) if source is None else source
    for item in items:
        if item.key in CT_SOURCE:
            walk([item], CT_SOURCE, of_source, event.extra, ctx)
        else:
            walk([item], _CT_DETAIL, event, event.extra, ctx)
    if source is None and of_source != CtSource(id=detail.source):
        event.sources.append(of_source)


def _span(event: Event) -> tuple[datetime, datetime] | None:
    """Start and end of an event; an end that is no time counts as absent."""
    start = _time_of(event.started_at)
    if start is None:
        return None
    return start, _time_of(event.extra.get("ended_at")) or start


def _time_of(iso: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(iso)) if iso else None
    except ValueError:
        return None


def _concerns(detail: _Detail, event: Event) -> bool:
    source = event.extra.get("x_ray_source")
    if detail.source and source and detail.source != source:
        return False
    span = _span(event)
    if span is None or detail.start is None:
        return False
    end = detail.end or detail.start
    if not _comparable(*span, detail.start, end):
        return False
    return detail.start <= span[0] <= end or span[0] <= detail.start <= span[1]


def _within(detail: _Detail, event: Event) -> bool:
    span = _span(event)
    if span is None or detail.start is None:
        return False
    return span[0] <= detail.start and (detail.end or detail.start) <= span[1]


ENHANCED_CONTAINERS: Table = {
    dcm("130500"): _accumulated,
    dcm("130501"): _summary,
    dcm("130505"): _details,
}
"""What TID 10040 adds to the root of a report; the target is the exam."""


_ORGAN: Table = {
    sct("363698007"): aside("organ"),
    sct("272741003"): aside("laterality"),
    dcm("128403"): aside("name"),
    dcm("121106"): aside("comment"),
    # CID 10061
    dcm("128531"): aside("maximum_absorbed_dose_mgy", "dose_mgy"),
    dcm("128532"): aside("minimum_absorbed_dose_mgy", "dose_mgy"),
    dcm("128533"): aside("mean_absorbed_dose_mgy", "dose_mgy"),
    dcm("128534"): aside("mode_absorbed_dose_mgy", "dose_mgy"),
    dcm("128539"): aside("median_absorbed_dose_mgy", "dose_mgy"),
    # CID 10062
    dcm("128535"): aside("maximum_equivalent_dose_msv", "effective_dose_msv"),
    dcm("128536"): aside("minimum_equivalent_dose_msv", "effective_dose_msv"),
    dcm("128537"): aside("mean_equivalent_dose_msv", "effective_dose_msv"),
    dcm("128538"): aside("mode_equivalent_dose_msv", "effective_dose_msv"),
    dcm("128540"): aside("median_equivalent_dose_msv", "effective_dose_msv"),
    dcm("113839"): aside("effective_dose_msv", "effective_dose_msv"),
    dcm("128429"): aside("event_uid_used"),
}


def _estimate(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    """One Radiation Dose Estimate joins ``extra["radiation_dose_estimates"]``."""
    found: Extra = {}
    walk(item.children, _ORGAN, exam, found, ctx)
    exam.extra.setdefault("radiation_dose_estimates", []).append(found)


ESTIMATE_CONTAINERS: Table = {dcm("128402"): _estimate}
"""What TID 10030 adds to the root of a report; the target is the exam."""
