"""`dose-audit phantom trend | baseline | event | schedule | reanalyse`: image quality over time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    Progress,
    fail,
    print_json,
    settings_for,
    show_table,
)

if TYPE_CHECKING:
    from dose_audit.quality.history import Run

EquipmentOption = Annotated[
    str | None, typer.Option("--equipment", metavar="NAME", help="A device, by its name, station name or number.")
]
NeededEquipment = Annotated[
    str, typer.Option("--equipment", metavar="NAME", help="A device, by its name, station name or number.")
]
PhantomOption = Annotated[str | None, typer.Option("--phantom", metavar="ID", help="Only this phantom.")]
NeededPhantom = Annotated[
    str, typer.Option("--phantom", metavar="ID", help="Which phantom; `phantom list` names them.")
]
RoleOption = Annotated[
    str, typer.Option("--role", metavar="ROLE", help="Who decides, by role: medical physics expert.")
]
DayOption = Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE")]

baseline = typer.Typer(
    name="baseline", help="Accepted values, and the control limits frozen with them.", no_args_is_help=True
)
event = typer.Typer(
    name="event", help="What was done to a device: service, software, recalibration.", no_args_is_help=True
)
schedule = typer.Typer(name="schedule", help="Which phantom is due on which device how often.", no_args_is_help=True)


def add_to(part: typer.Typer) -> None:
    """Put these commands into the group of phantom commands."""
    part.command()(trend)
    part.command()(reanalyse)
    for group in (baseline, event, schedule):
        part.add_typer(group)


def trend(
    equipment: EquipmentOption = None,
    phantom: PhantomOption = None,
    measurement: Annotated[str | None, typer.Option(metavar="NAME", help="Every point of this one quantity.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Show where each measurement stands: in or out of tolerance, as usual or changed, and what that means.

    Exit code 0: nothing to do; 3: something is out of tolerance or has changed.

    Example: dose-audit phantom trend --equipment CT1 --phantom catphan504 --measurement noise
    """
    settings = _prepared(home, config)
    from dose_audit.quality.history import histories, stored_runs
    from dose_audit.quality.panel import state_rows, trend_record
    from dose_audit.quality.trends import judge_history

    device = _device(equipment) if equipment else None
    runs = [
        run
        for run in stored_runs(own=settings.phantom_definitions_dir)
        if (device is None or run.equipment_id == device) and (phantom is None or run.definition == phantom)
    ]
    judged = [(one, judge_history(one)) for one in histories(runs) if measurement in (None, one.measurement)]
    rows = state_rows(judged)
    if as_json:
        print_json(rows if measurement is None else [trend_record(*one) for one in judged])
    elif measurement is None:
        columns = ["Device", "Phantom", "Quantity", "Last", "Unit", "State", "What it means"]
        cells = [
            [
                row["equipment"],
                row["phantom"],
                row["title"],
                _number(row["value"]),
                row["unit"],
                row["words"],
                row["text"],
            ]
            for row in rows
        ]
        show_table(columns, cells, right=("Last",))
    else:
        for one in judged:
            _show_points(trend_record(*one))
    if any(row["tone"] != "ok" for row in rows):
        raise typer.Exit(3)


def _show_points(record: dict[str, Any]) -> None:
    from dose_audit.quality.states import STATE_WORDS

    marks = [[mark["at"].replace("T", " "), f"— {mark['kind']} {mark['text']}", "", "", ""] for mark in record["marks"]]
    points = [
        [
            point["at"].replace("T", " "),
            _number(point["value"]),
            STATE_WORDS[point["state"]],
            "accepted" if point["phase_one"] else "" if point["counted"] else "repeat of the day",
            point["software"] or "",
        ]
        for point in record["points"]
    ]
    title = f"{record['equipment']}, {record['site']}: {record['phantom']}, {record['title']} ({record['unit']})"
    show_table(["When", "Value", "State", "Run", "Software"], sorted(points + marks), title=title, right=("Value",))
    print(f"  under {record['conditions'] or 'unknown conditions'}")
    for one in record["baselines"]:
        limits = (
            "no control limits"
            if one["lower"] is None
            else f"limits {_number(one['lower'])} to {_number(one['upper'])}"
        )
        print(
            f"  baseline {_number(one['value'])} from {one['from'][:10]}, {limits}, by {one['set_by']}: {one['reason']}"
        )
    print(f"  {record['text']}\n")


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

    A second baseline needs a recorded event: `phantom event add`.

    Example: dose-audit phantom baseline set --equipment CT1 --phantom catphan504 --role "medical physics expert" --reason
    acceptance --since 2026-01-01 --until 2026-03-01
    """
    _prepared(home, config)
    from dose_audit.quality.history import stored_runs
    from dose_audit.store.models import EquipmentEvent
    from dose_audit.store.phantoms import BaselineError, set_baseline

    device = _device(equipment)
    chosen = _chosen(stored_runs(), device, phantom, since, until, run, conditions)
    why = None
    if after_event is not None:
        why = EquipmentEvent.objects.filter(pk=after_event, equipment_id=device).first()
        if why is None:
            fail(f"device {equipment!r} has no recorded event {after_event}; `phantom event list` shows them")
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
    print(f"{len(made)} baselines from {len(chosen)} runs, {limited} with control limits (they need eight runs).")


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
    _prepared(home, config)
    from dose_audit.store.models import Baseline

    rows = Baseline.objects.select_related("equipment").order_by("-valid_from", "definition", "measurement")
    if equipment:
        rows = rows.filter(equipment_id=_device(equipment))
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
        [_number(one[name]) if name in ("value", "lower", "upper") else one[name] for name in columns]
        for one in records
    ]
    show_table(columns, cells, right=("value", "lower", "upper", "runs"))


@event.command("add")
def add_event(
    equipment: NeededEquipment,
    kind: Annotated[str, typer.Option(metavar="KIND", help="service, software, recalibration, part or move.")],
    at: Annotated[
        dt.datetime, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], metavar="DATE", help="When it was done.")
    ],
    role: RoleOption,
    text: Annotated[str, typer.Option(metavar="TEXT", help="What was done; no names.")] = "",
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Record what was done to a device; it is marked in its trends, and a new baseline may follow it.

    Example: dose-audit phantom event add --equipment CT1 --kind service --at 2026-03-02 --role engineer --text "new tube"
    """
    _prepared(home, config)
    from dose_audit.store.phantoms import BaselineError, record_event

    try:
        made = record_event(_device(equipment), kind, at, role=role, text=text)
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
    _prepared(home, config)
    from dose_audit.store.models import EquipmentEvent

    rows = EquipmentEvent.objects.select_related("equipment").order_by("-at")
    if equipment:
        rows = rows.filter(equipment_id=_device(equipment))
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

    Example: dose-audit phantom schedule set --equipment CT1 --phantom water-uniform --every 7 --role "lead radiographer"
    """
    settings = _prepared(home, config)
    from dose_audit.phantom.definition import definitions
    from dose_audit.store.phantoms import BaselineError, set_task

    own = settings.phantom_definitions_dir
    if phantom not in {one.id for one in definitions(own if own.is_dir() else None)}:
        fail(f"no phantom definition {phantom!r}; `dose-audit phantom list` names them")
    day = since.date() if since else dt.date.today()
    try:
        set_task(_device(equipment), phantom, every, since=day, role=role, grace_days=grace)
    except BaselineError as error:
        fail(str(error))
    print(f"{phantom} on {equipment}: every {every} days from {day.isoformat()}.")


@schedule.command("list")
def list_schedule(
    day: Annotated[
        dt.datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], metavar="DATE", help="As of a day.")
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """List what is done, due and overdue.

    Exit code 0: nothing is overdue; 3: something is.

    Example: dose-audit phantom schedule list
    """
    _prepared(home, config)
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


def reanalyse(
    phantom: PhantomOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also runs that the present algorithms and definitions measured.")
    ] = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Measure stored images again after algorithms or definitions changed; old results stay beside the new.

    Example: dose-audit phantom reanalyse --phantom catphan504
    """
    settings = _prepared(home, config)
    from dose_audit.ingest import reanalyse as run
    from dose_audit.report.phantom_page import phantom_page

    with Progress("measuring again") as bar:
        summary = run(
            settings,
            definition=phantom,
            everything=everything,
            page=phantom_page,
            progress=lambda now: bar(now.studies),
        )
    print(f"{summary.studies} studies measured again, {summary.analyses} new results, in {summary.seconds:.1f} s.")
    for text, count in [*summary.phantoms.most_common(), *summary.reasons.most_common()]:
        print(f"  {count} × {text}")


def _prepared(home: Path | None, config: Path | None) -> Any:
    from dose_audit.store.settings import prepare

    settings = settings_for(home, config)
    prepare(settings)
    return settings


def _device(text: str) -> int:
    """Id of the device that a name, a station name or a number means; one that is not unique is refused by name."""
    from django.db.models import Q

    from dose_audit.store.models import Equipment

    wanted = Q(display_name__iexact=text) | Q(station_name__iexact=text)
    if text.isdigit():
        wanted |= Q(pk=int(text))
    found = list(Equipment.objects.filter(wanted).order_by("pk"))
    if not found:
        known = ", ".join(sorted(Equipment.objects.values_list("display_name", flat=True))[:20])
        fail(f"no device {text!r}; known are {known or 'none'}")
    if len(found) > 1:
        fail(f"{text!r} means several devices: " + ", ".join(f"{one.pk} ({one.display_name})" for one in found))
    return int(found[0].pk)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"
