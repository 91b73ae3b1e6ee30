"""`dose-audit phantom baseline | event | schedule`: what is accepted, what was done to a device, what is due."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from dose_audit.cli.common import ConfigOption, HomeOption, JsonOption, counted, fail, print_json, show_table
from dose_audit.cli.dates import a_day, a_moment
from dose_audit.cli.help_texts import App
from dose_audit.cli.quality_options import (
    DayOption,
    EquipmentOption,
    NeededEquipment,
    NeededPhantom,
    RoleOption,
    device_id,
    phantom_id,
    prepared,
    short_number,
)
from dose_audit.cli.reading import settings_to_read

if TYPE_CHECKING:
    from dose_audit.quality.history import Run

__all__ = ["baseline", "event", "schedule"]

baseline = App(name="baseline", help="Accepted values, and the control limits frozen with them.", no_args_is_help=True)
event = App(name="event", help="What was done to a device: service, software, recalibration.", no_args_is_help=True)
schedule = App(name="schedule", help="Which phantom is due on which device how often.", no_args_is_help=True)


@baseline.command("set")
def set_baselines(
    equipment: NeededEquipment,
    phantom: NeededPhantom,
    role: RoleOption,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why these runs are accepted.")],
    since: DayOption = None,
    until: DayOption = None,
    run: Annotated[list[int] | None, typer.Option(metavar="ID", help="These runs, by number; may be repeated.")] = None,
    measurement: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this quantity; may be repeated.")
    ] = None,
    after_event: Annotated[
        int | None,
        typer.Option("--event", metavar="ID", help="The recorded event that makes a new baseline necessary."),
    ] = None,
    conditions: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Which scan conditions, where there are several.")
    ] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Accept runs as a device's baseline: their median, and control limits frozen from eight or more of them.

    A second baseline needs a recorded event, `phantom event add`, and rests on runs since then. It needs none where a changed
    phantom definition, or another version of the program, has measured these runs otherwise than the former baseline's.

    Example: dose-audit phantom baseline set --equipment CT1 --phantom catphan504 --role "medical physics expert" --reason
    acceptance --since 2026-01-01 --until 2026-03-01
    """
    settings = prepared(home, config)
    from dose_audit.quality.history import stored_runs
    from dose_audit.store.models import EquipmentEvent
    from dose_audit.store.phantoms import BaselineError, set_baseline

    device, phantom = device_id(equipment), phantom_id(phantom, settings.phantom_definitions_dir)
    why = None
    if after_event is not None:
        why = EquipmentEvent.objects.filter(pk=after_event, equipment_id=device).first()
        if why is None:
            fail(f"device {equipment!r} has no recorded event {after_event}; `phantom event list` shows them")
        if since is None and run is None:
            since = why.at
    chosen = _chosen(stored_runs(), device, phantom, since, until, run, conditions)
    try:
        made = set_baseline(
            device,
            phantom,
            chosen[0].condition_key,
            studies=[one.id for one in chosen],
            role=role,
            reason=reason,
            measurements=measurement or None,
            event=why,
        )
    except BaselineError as error:
        fail(str(error))
    limited = sum(one.sigma is not None for one in made)
    made_from = f"{counted(len(made), 'baseline')} from {counted(len(chosen), 'run')}"
    print(f"{made_from}, {limited} with control limits (they need eight runs).")


def _chosen(
    runs: list[Run],
    device: int,
    phantom: str,
    since: dt.datetime | None,
    until: dt.datetime | None,
    numbers: list[int] | None,
    conditions: str | None,
) -> list[Run]:
    end = until + dt.timedelta(days=1) if until else None
    chosen = [
        one
        for one in runs
        if one.equipment_id == device
        and one.definition == phantom
        and (numbers is None or one.id in numbers)
        and (since is None or one.at >= since)
        and (end is None or one.at < end)
        and (conditions is None or one.condition_key == conditions)
        # Repeats of a day are not independent of the first run; only a run named by number may be one.
        and (one.counted or numbers is not None)
    ]
    if not chosen:
        fail("no stored run fits; `phantom trend` shows what there is")
    several = sorted({one.condition_key for one in chosen})
    if len(several) > 1:
        fail("runs of several conditions fit; choose by --conditions: " + "; ".join(repr(one) for one in several))
    return chosen


@baseline.command("list")
def list_baselines(
    equipment: EquipmentOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """List accepted baselines, the latest first.

    Example: dose-audit phantom baseline list --equipment CT1
    """
    settings_to_read(home, config)
    from dose_audit.store.models import Baseline

    rows = Baseline.objects.select_related("equipment").order_by("-valid_from", "definition", "measurement")
    if equipment:
        rows = rows.filter(equipment_id=device_id(equipment))
    records = [
        {
            "equipment": row.equipment.display_name,
            "phantom": row.definition,
            "conditions": row.condition_key,
            "measurement": row.measurement,
            "value": row.value,
            "unit": row.unit,
            "lower": row.lower,
            "upper": row.upper,
            "runs": len(row.runs),
            "valid_from": row.valid_from.isoformat(timespec="minutes"),
            "set_by": row.set_by,
            "reason": row.reason,
            "event": row.event_id,
        }
        for row in rows
    ]
    if as_json:
        print_json(records)
        return
    columns = [
        "equipment",
        "phantom",
        "measurement",
        "value",
        "lower",
        "upper",
        "unit",
        "runs",
        "valid_from",
        "set_by",
        "reason",
    ]
    cells = [
        [short_number(one[name]) if name in ("value", "lower", "upper") else one[name] for name in columns]
        for one in records
    ]
    show_table(columns, cells, right=("value", "lower", "upper", "runs"))


@event.command("add")
def add_event(
    equipment: NeededEquipment,
    kind: Annotated[str, typer.Option(metavar="KIND", help="service, software, recalibration, part or move.")],
    at: Annotated[dt.datetime, typer.Option(parser=a_moment, metavar="DATE", help="When it was done.")],
    role: RoleOption,
    text: Annotated[str, typer.Option(metavar="TEXT", help="What was done; no names.")] = "",
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Record what was done to a device; it is marked in its trends, and a new baseline may follow it.

    Example: dose-audit phantom event add --equipment CT1 --kind service --at 2026-03-02 --role engineer --text "new tube"
    """
    prepared(home, config)
    from dose_audit.store.phantoms import BaselineError, record_event

    try:
        made = record_event(device_id(equipment), kind, at, role=role, text=text)
    except BaselineError as error:
        fail(str(error))
    print(f"Event {made.pk}: {made.kind} on {made.at:%Y-%m-%d} at {equipment}.")


@event.command("list")
def list_events(
    equipment: EquipmentOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """List recorded events, the latest first.

    Example: dose-audit phantom event list
    """
    settings_to_read(home, config)
    from dose_audit.store.models import EquipmentEvent

    rows = EquipmentEvent.objects.select_related("equipment").order_by("-at")
    if equipment:
        rows = rows.filter(equipment_id=device_id(equipment))
    records = [
        {
            "id": row.pk,
            "equipment": row.equipment.display_name,
            "kind": row.kind,
            "at": row.at.isoformat(timespec="minutes"),
            "text": row.text,
            "recorded_by": row.recorded_by,
        }
        for row in rows
    ]
    if as_json:
        print_json(records)
    else:
        show_table(["Id", "Device", "Kind", "When", "Text", "Recorded by"], [list(one.values()) for one in records])


@schedule.command("set")
def set_schedule(
    equipment: NeededEquipment,
    phantom: NeededPhantom,
    every: Annotated[int, typer.Option(metavar="DAYS", min=1, help="Days between runs.")],
    role: RoleOption,
    grace: Annotated[int, typer.Option(metavar="DAYS", min=0, help="Days that a run may be late.")] = 0,
    since: DayOption = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Put a phantom on a device's schedule; an earlier schedule for it ends the day before.

    Example: dose-audit phantom schedule set --equipment CT1 --phantom catphan504 --every 7 --role "lead radiographer"
    """
    settings = prepared(home, config)
    from dose_audit.store.phantoms import BaselineError, set_task

    phantom = phantom_id(phantom, settings.phantom_definitions_dir)
    day = since.date() if since else dt.date.today()
    try:
        set_task(device_id(equipment), phantom, every, since=day, role=role, grace_days=grace)
    except BaselineError as error:
        fail(str(error))
    print(f"{phantom} on {equipment}: every {every} days from {day.isoformat()}.")


@schedule.command("list")
def list_schedule(
    day: Annotated[dt.datetime | None, typer.Option("--on", parser=a_day, metavar="DATE", help="As of a day.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """List what is done, due and overdue.

    Exit code 0: nothing is overdue; 3: something is.

    Example: dose-audit phantom schedule list
    """
    settings_to_read(home, config)
    from dose_audit.quality.schedule import schedule as due

    rows = due(day.date() if day else dt.date.today())
    records = [
        {
            "equipment": row.equipment,
            "phantom": row.definition,
            "every_days": row.every_days,
            "last": row.last.isoformat() if row.last else None,
            "due": row.due.isoformat(),
            "state": row.state,
            "days_late": row.days_late,
        }
        for row in rows
    ]
    if as_json:
        print_json(records)
    else:
        columns = ["Device", "Phantom", "Every (days)", "Last", "Due", "State", "Days late"]
        show_table(columns, [list(one.values()) for one in records], right=("Every (days)", "Days late"))
    if any(row.state == "overdue" for row in rows):
        raise typer.Exit(3)
