"""`dose-audit drl`: which reference levels there are, whether their tables hold together, and local ones."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    counted,
    fail,
    group,
    known_site,
    nearest,
    print_json,
    settings_for,
    show_table,
)
from dose_audit.cli.dates import a_day
from dose_audit.cli.reading import open_to_read

if TYPE_CHECKING:
    from dose_audit.config import Settings

part = group("drl", "Diagnostic reference levels: list, show, check; propose and approve local ones.")

TablesOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A folder of editions instead of the packaged one.")
]


@part.command("list")
def list_sets(
    tables: TablesOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """List the editions with their status and validity, local ones and proposals among them.

    Example: dose-audit drl list
    """
    from dose_audit.audit.answering import unanswerable
    from dose_audit.drl import load_sets

    settings = settings_for(home, config)
    registry = load_sets(tables, allow_unverified=True, local=settings.local_drl_dir)
    records = [
        {
            "set": item.set_id,
            "edition": item.edition,
            "status": item.status,
            "valid_from": item.valid_from.isoformat() if item.valid_from_known else None,
            "valid_to": item.valid_to.isoformat() if item.valid_to else None,
            "rows": len(item.rows),
            "levels": sum(row.role == "drl" for row in item.rows),
            "levels_never_compared": len(unanswerable(item)),
            "title": item.title,
        }
        for item in registry.sets
    ]
    records += _proposals(settings)
    if as_json:
        print_json(records)
        return
    columns = ["Set", "Edition", "Status", "From", "To", "Rows", "Levels", "Never compared", "Title"]
    right = ("Rows", "Levels", "Never compared")
    show_table(columns, [list(record.values()) for record in records], right=right, whole=("Set", "Edition"))
    if any(record["levels_never_compared"] for record in records):
        print("Levels are never compared where no exam tells what they ask for: `dose-audit drl show SET` says why.")


@part.command()
def show(
    name: Annotated[str, typer.Argument(metavar="SET", help="Set, or set/edition.")],
    tables: TablesOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the rows of one set.

    Example: dose-audit drl show uk-adult-ct
    """
    from dose_audit.audit.answering import unanswerable
    from dose_audit.drl import load_sets

    wanted, _, edition = name.partition("/")
    sets = load_sets(tables, allow_unverified=True, local=settings_for(home, config).local_drl_dir).sets
    found = [item for item in sets if item.set_id == wanted and edition in ("", item.edition)]
    if not found:
        known = {item.set_id for item in sets} | {f"{item.set_id}/{item.edition}" for item in sets}
        fail(f"no set {name!r}; `dose-audit drl list` names them.{nearest(name, sorted(known))}")
    rows = [
        {
            "edition": item.edition,
            "examination": row.examination,
            "group": row.patient_group,
            "band": row.band.label,
            "quantity": row.quantity,
            "value": row.value,
            "unit": row.unit,
            "statistic": row.statistic,
            "phantom": row.phantom,
            "row": row.row_id,
            "never_compared": never.get(row.row_id),
        }
        for item in found
        for never in [unanswerable(item)]
        for row in item.rows
    ]
    if as_json:
        print_json(rows)
        return
    for item in found:
        print(f"{item.title}, edition {item.edition}: {item.status}. {item.publisher}")
    columns = ["Edition", "Examination", "Group", "Band", "Quantity", "Value", "Unit", "Statistic", "Phantom", "Row"]
    show_table([*columns, "Never compared"], [list(row.values()) for row in rows], right=("Value",))


@part.command()
def check(
    tables: TablesOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Check schema, units, bands, duplicates and released rows of every edition, local ones among them. Exit code 1 on an
    error.

    Example: dose-audit drl check
    """
    from dose_audit.drl import check_root

    problems = check_root(tables, settings_for(home, config).local_drl_dir)
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            print(problem)
        print(f"{counted(len(errors), 'error')}, {counted(len(problems) - len(errors), 'warning')}.")
    if errors:
        raise typer.Exit(1)


ByOption = Annotated[str, typer.Option("--by", metavar="ROLE", help="Who answers for it, by role.")]


@part.command()
def propose(
    name: Annotated[str, typer.Argument(metavar="SET", help="Name of the local set, such as local-north-ct.")],
    by: ByOption,
    since: Annotated[datetime, typer.Option(parser=a_day, metavar="DATE", help="First study date.")],
    until: Annotated[datetime, typer.Option(parser=a_day, metavar="DATE", help="Last study date.")],
    site: Annotated[
        str, typer.Option(help="Typical values of this site; without it, local levels over all rooms.")
    ] = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Work out typical values of one site, or local reference levels over ten rooms or more, with their intervals.

    Example: dose-audit drl propose local-north-ct --site North --since 2026-01-01 --until 2026-06-30 --by MPE
    """
    from dose_audit.audit.local_levels import ProposalError, propose_levels
    from dose_audit.store.settings import prepare

    kind = "typical" if site else "local"
    settings = settings_for(home, config)
    if site:
        prepare(settings)
        known_site(site)
    try:
        edition, values = propose_levels(
            settings, kind=kind, set_id=name, site=site, since=since.date(), until=until.date(), proposed_by=by
        )
    except ProposalError as error:
        fail(str(error))
    if as_json:
        print_json({"set": name, "edition": edition, "values": [asdict(value) for value in values]})
        return
    show_table(
        ["Examination", "Group", "Band", "Quantity", "Value", "Unit", "95 % interval", "Exams", "Rooms", "Reason"],
        [
            [
                value.examination,
                value.patient_group,
                "all" if value.band_type == "none" else f"{value.band_low or 0}-<{value.band_high} {value.band_unit}",
                value.quantity,
                None if value.value is None else f"{value.value:.4g}",
                value.unit,
                None if value.low is None or value.high is None else f"{value.low:.4g} to {value.high:.4g}",
                value.n,
                value.rooms,
                value.reason,
            ]
            for value in values
        ],
        right=("Value", "Exams", "Rooms"),
    )
    print(f"Proposed as {name} {edition}. To use it: dose-audit drl approve {name} {edition} --by ROLE")


@part.command()
def approve(
    name: Annotated[str, typer.Argument(metavar="SET", help="The proposed set.")],
    edition: Annotated[str, typer.Argument(metavar="EDITION", help="Its edition, as `drl list` shows it.")],
    by: ByOption,
    valid_from: Annotated[
        datetime | None, typer.Option(parser=a_day, metavar="DATE", help="First study date; today by default.")
    ] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Approve a proposal: an edition that never changes, for runs that name its set in drl_sets.

    Example: dose-audit drl approve local-north-ct 2026-07-01 --by "MPE, North"
    """
    from dose_audit.audit.local_levels import ProposalError, approve_levels

    settings = settings_for(home, config)
    start = valid_from.date() if valid_from else date.today()
    try:
        folder = approve_levels(settings, name, edition, approved_by=by, valid_from=start)
    except (ProposalError, ValueError) as error:
        fail(str(error))
    print(f"Approved by {by}, in force for studies from {start}: {folder}")
    print(f"Add {name!r} to drl_sets, before the sets that it goes before.")


def _proposals(settings: Settings) -> list[dict[str, Any]]:
    """Proposals that nobody has approved yet; none where there is no database."""
    if settings.database_url is None and not settings.database_path.is_file():
        return []
    open_to_read(settings)
    from dose_audit.store.models import LocalEdition

    return [
        {
            "set": row.set_id,
            "edition": row.edition,
            "status": "proposed",
            "valid_from": None,
            "valid_to": None,
            "rows": max(len(row.rows) - 1, 0),
            "levels": max(len(row.rows) - 1, 0),
            "levels_never_compared": 0,
            "title": f"{'Typical values' if row.kind == 'typical' else 'Local reference levels'}, {row.site or 'all sites'}",
        }
        for row in LocalEdition.objects.filter(state="proposed").order_by("set_id", "edition")
    ]
