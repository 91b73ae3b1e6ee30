"""What the root of a dose report says: procedure, scope, observers, participants (TID 1002, 1020, 1021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dose_audit.extract.codes import key
from dose_audit.extract.concepts import LATERALITIES, OBSERVER_TYPES, dcm, sct
from dose_audit.extract.exam import Exam, Observer
from dose_audit.extract.fields import Context, Extra, Rule, Table, aside, code, moment, on, term, text

if TYPE_CHECKING:
    from dose_audit.extract.reader import Item

__all__ = ["DOCUMENT", "EVENT", "LATERALITY", "equipment_from_observers", "participant", "person"]


def _type_of_observer(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    """Observer Type begins one more observer."""
    assert exam.report is not None
    sent = ctx.coded(item)
    found = OBSERVER_TYPES.get(key(sent)) if sent else None
    if found is None:
        ctx.warn("unknown_code", "Observer Type is neither person nor device", item)
        return
    exam.report.observers.append(Observer(type=found))


def _of_observer(kind: str, field: str, *, names_a_person: bool = False) -> Rule:
    """An attribute of the first observer of its kind that has none yet.

    The types of all observers can stand before the attributes of the first, so that order alone does not tell
    whose an attribute is; its concept does.
    """

    def rule(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
        assert exam.report is not None
        value = ctx.text_of(item) or (item.code.meaning or item.code.value if item.code else None)
        if not value or (names_a_person and not ctx.options.with_identifiers):
            return
        for observer in exam.report.observers:
            if observer.type == kind and getattr(observer, field) is None:
                setattr(observer, field, value.strip())
                return
        exam.report.observers.append(Observer(type=kind, **{field: value.strip()}))

    return rule


def _device_observer_uid(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    exam.equipment.device_observer_uid = ctx.text_of(item) or exam.equipment.device_observer_uid


_PARTICIPANT = {
    dcm("113877"): "name",
    dcm("113878"): "manufacturer",
    dcm("113879"): "model_name",
    dcm("113880"): "serial_number",
    dcm("121012"): "device_observer_uid",
}


def participant(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
    """Device Role in Procedure with its properties (TID 1021) joins ``extra["devices"]``."""
    device: dict[str, Any] = {"role": ctx.coded(item)}
    for child in item.children:
        name = _PARTICIPANT.get(child.key) if child.key else None
        value = ctx.text_of(child) if name else None
        if name and value:
            device[name] = value
    extra.setdefault("devices", []).append(device)


def _role_of_observer(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    """At the root the role is the observing device's own, unless a device (TID 1021) comes with it."""
    if item.children:
        participant(exam, item, extra, ctx)
    else:
        _of_observer("device", "role")(exam, item, extra, ctx)


def person(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
    """Person Name with its role (TID 1020) joins ``extra["persons"]``; the name only with identifiers."""
    entry: dict[str, Any] = {}
    for child in item.children:
        if child.key == ("DCM", "113875") and child.code:
            entry["role"] = child.code
        elif child.key == ("DCM", "113874") and child.code:
            entry["role_in_organization"] = child.code
    if ctx.options.with_identifiers and item.text:
        entry["name"] = item.text
    if entry:
        extra.setdefault("persons", []).append(entry)


def _source_of_dose(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    assert exam.report is not None
    if item.code:
        exam.report.source_of_dose_information.append(item.code)


_INTENT: Table = {sct("363703001"): code("has_intent")}

LATERALITY: Table = {sct("272741003"): term("laterality", LATERALITIES)}
"""Below an anatomical structure or a target region."""

EVENT: Table = {
    dcm("113605"): aside("irradiation_event_label", below={dcm("113606"): aside("label_type")}),
    dcm("128551"): aside("is_repeated_acquisition", below={dcm("128552"): aside("reason_for_repeating_acquisition")}),
    dcm("130503"): aside("is_rejected_acquisition", below={dcm("130504"): aside("reason_for_rejecting_acquisition")}),
    dcm("111526"): moment("started_at"),
    dcm("111527"): aside("ended_at"),
}
"""Rows that CT and projection events share."""

DOCUMENT: Table = {
    dcm("121058"): on("report", code("procedure_reported", _INTENT)),
    sct("363589002"): on("report", code("procedure_reported", _INTENT)),  # Associated Procedure (TID 10021)
    sct("363703001"): on("report", code("has_intent")),
    dcm("113705"): on("report", code("scope_of_accumulation")),
    dcm("113809"): on("report", moment("started_at")),
    dcm("113810"): on("report", moment("ended_at")),
    dcm("121106"): on("report", text("comment")),
    dcm("113854"): _source_of_dose,
    dcm("122142"): on("report", aside("acquisition_device_type")),
    dcm("113945"): on("report", aside("x_ray_detector_data_available")),
    dcm("113943"): on("report", aside("x_ray_source_data_available")),
    dcm("113944"): on("report", aside("x_ray_mechanical_data_available")),
    dcm("121005"): _type_of_observer,
    dcm("121008"): _of_observer("person", "name", names_a_person=True),
    dcm("121009"): _of_observer("person", "location"),
    dcm("121011"): _of_observer("person", "role"),
    dcm("121012"): _device_observer_uid,
    dcm("121013"): _of_observer("device", "name"),
    dcm("121014"): _of_observer("device", "manufacturer"),
    dcm("121015"): _of_observer("device", "model_name"),
    dcm("121016"): _of_observer("device", "serial_number"),
    dcm("121017"): _of_observer("device", "location"),
    dcm("113876"): _role_of_observer,
    dcm("113870"): person,
}
"""Concepts of the root that are no containers; the target is the exam."""


def equipment_from_observers(exam: Exam) -> None:
    """Fill what the general equipment module leaves empty from the observing device."""
    device = next((seen for seen in exam.report.observers if seen.type == "device"), None) if exam.report else None
    if device is None:
        return
    equipment = exam.equipment
    equipment.manufacturer = equipment.manufacturer or device.manufacturer
    equipment.model_name = equipment.model_name or device.model_name
    equipment.serial_number = equipment.serial_number or device.serial_number
    equipment.station_name = equipment.station_name or device.name
