"""What happened to devices in a period, as the store knows it: recorded events, new software, new mapping versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING

from dose_audit.audit.device_names import device_of
from dose_audit.audit.findings import Finding
from dose_audit.audit.steps import ASSOCIATED_DAYS

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns

__all__ = ["DeviceEvent", "named_events", "near_events", "stored_events", "with_events"]

MAPPING = "exam mapping"
SOFTWARE = "new software"


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something that happened on a day; the exam mapping's versions concern every device and have no `equipment_id`.

    `kind` is a recorded event's (service, software, recalibration, part, move), ``new software`` (first study under
    another version) or ``exam mapping``.
    """

    equipment_id: int | None
    site: str | None
    equipment: str | None
    day: date
    kind: str
    text: str
    before: str = ""

    @property
    def words(self) -> str:
        """In a few words.

        >>> DeviceEvent(1, "N", "CT 1", date(2026, 4, 1), "service", "new tube").words
        'service: new tube'
        """
        return f"{self.kind}: {self.text}" if self.text else self.kind


def stored_events(since: date, until: date) -> list[DeviceEvent]:
    """Events of a period, both days included, in order of time. Django must be set up."""
    from dose_audit.store.models import Equipment, EquipmentEvent, EquipmentSoftware, ExamMapping

    names = dict(Equipment.objects.values_list("pk", "display_name"))
    span = (datetime.combine(since, time.min), datetime.combine(until, time.max))
    found = [
        DeviceEvent(row.equipment_id, None, names[row.equipment_id], row.at.date(), row.kind, row.text)
        for row in EquipmentEvent.objects.filter(at__range=span)
    ]
    former: dict[int, str] = {}
    for device, version, day in EquipmentSoftware.objects.order_by("first_study_date", "pk").values_list(
        "equipment_id", "software_versions", "first_study_date"
    ):
        before = former.get(device)
        former[device] = version
        # The first version that a device was seen with is no change.
        if before is not None and day is not None and since <= day <= until:
            found.append(DeviceEvent(device, None, names[device], day, SOFTWARE, version, before))
    for number, by, at in ExamMapping.objects.order_by("version").values_list("version", "approved_by", "approved_at"):
        day = at.astimezone().date()
        if number > 1 and since <= day <= until:
            found.append(DeviceEvent(None, None, None, day, MAPPING, f"version {number}, approved by {by}"))
    return sorted(found, key=lambda event: (event.day, event.equipment or "", event.kind, event.text))


def named_events(events: Sequence[DeviceEvent], exams: Columns) -> list[DeviceEvent]:
    """The events with the sites and names that the run gives its devices; a device without exams keeps its own name."""
    places = {}
    for (device, site, equipment), _ in exams.groups(("device", "site", "equipment")):
        places[device_of(device)[2]] = (site, equipment)
    named = []
    for event in events:
        site, equipment = places.get(event.equipment_id, (event.site, event.equipment))
        named.append(replace(event, site=site, equipment=equipment))
    return named


def near_events(events: Sequence[DeviceEvent], site: str | None, equipment: str | None, day: date) -> list[DeviceEvent]:
    """Events of a device, and of the whole network, within a week of a day."""
    return [
        event
        for event in events
        if (event.equipment_id is None or (event.site, event.equipment) == (site, equipment))
        and abs((event.day - day).days) <= ASSOCIATED_DAYS
    ]


def with_events(findings: Sequence[Finding], events: Sequence[DeviceEvent]) -> list[Finding]:
    """Steps in dose with what happened within a week of them as first likely causes; other findings as they are."""
    told = []
    for finding in findings:
        near = []
        if finding.kind == "step_change":
            day = date.fromisoformat(str(finding.evidence["day"]))
            near = [e for e in near_events(events, finding.site, finding.equipment, day) if e.kind != SOFTWARE]
        if near:
            causes = tuple(f"{event.words}, on {event.day}: near in time, not proven the cause" for event in near)
            evidence = {**finding.evidence, "events": [event.words for event in near]}
            finding = replace(finding, likely_causes=(*causes, *finding.causes), evidence=evidence)
        told.append(finding)
    return told
