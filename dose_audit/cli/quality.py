"""`dose-audit phantom trend | reanalyse`: image quality over time, and stored images measured again."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from dose_audit.cli.common import ConfigOption, HomeOption, JsonOption, Progress, print_json, show_table
from dose_audit.cli.quality_options import (
    EquipmentOption,
    PhantomOption,
    device_id,
    phantom_id,
    prepared,
    short_number,
)
from dose_audit.cli.reading import settings_to_read

__all__ = ["reanalyse", "trend"]


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
    settings = settings_to_read(home, config)
    from dose_audit.quality.history import histories, stored_runs
    from dose_audit.quality.panel import state_rows, trend_record
    from dose_audit.quality.trends import judge_history

    device = device_id(equipment) if equipment else None
    definition = phantom_id(phantom, settings.phantom_definitions_dir) if phantom else None
    runs = [
        run
        for run in stored_runs(own=settings.phantom_definitions_dir)
        if (device is None or run.equipment_id == device) and (definition is None or run.definition == definition)
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
                row["definition"],
                row["title"],
                short_number(row["value"]),
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
    _tell_outdated(device, definition)
    if any(row["tone"] != "ok" for row in rows):
        raise typer.Exit(3)


def _tell_outdated(device: int | None, definition: str | None) -> None:
    from dose_audit.quality.outdated import outdated_baselines

    for one in outdated_baselines(equipment=device, definition=definition):
        print(one.text, file=sys.stderr)


def _show_points(record: dict[str, Any]) -> None:
    from dose_audit.quality.states import STATE_WORDS

    marks = [[mark["at"].replace("T", " "), f"— {mark['kind']} {mark['text']}", "", "", ""] for mark in record["marks"]]
    points = [
        [
            point["at"].replace("T", " "),
            short_number(point["value"]),
            STATE_WORDS[point["state"]],
            ", ".join(["accepted"] * point["accepted"] + ["repeat of the day"] * (not point["counted"])),
            point["software"] or "",
        ]
        for point in record["points"]
    ]
    phantom = f"{record['phantom']} ({record['definition']})"
    title = f"{record['equipment']}, {record['site']}: {phantom}, {record['title']} ({record['unit']})"
    show_table(["When", "Value", "State", "Run", "Software"], sorted(points + marks), title=title, right=("Value",))
    print(f"  under {record['conditions'] or 'unknown conditions'}")
    for one in record["baselines"]:
        limits = (
            "no control limits"
            if one["lower"] is None
            else f"limits {short_number(one['lower'])} to {short_number(one['upper'])}"
        )
        print(
            f"  baseline {short_number(one['value'])} from {one['from'][:10]}, {limits}, by {one['set_by']}: {one['reason']}"
        )
    print(f"  {record['text']}\n")


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
    settings = prepared(home, config)
    from dose_audit.ingest import reanalyse as run
    from dose_audit.report.phantom_page import phantom_page

    with Progress("measuring again") as bar:
        summary = run(
            settings,
            definition=phantom_id(phantom, settings.phantom_definitions_dir) if phantom else None,
            everything=everything,
            page=phantom_page,
            progress=lambda now: bar(now.studies),
        )
    print(f"{summary.studies} studies measured again, {summary.analyses} new results, in {summary.seconds:.1f} s.")
    for text, count in [*summary.phantoms.most_common(), *summary.reasons.most_common()]:
        print(f"  {count} × {text}")
    _tell_outdated(None, None)
