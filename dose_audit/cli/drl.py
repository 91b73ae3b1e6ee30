"""`dose-audit drl`: which reference levels there are, what they say, and whether their tables hold together."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dose_audit.cli.common import JsonOption, fail, group, print_json, show_table

part = group("drl", "Diagnostic reference levels: list, show, check.")

TablesOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A folder of editions instead of the packaged one.")
]


@part.command("list")
def list_sets(tables: TablesOption = None, as_json: JsonOption = False) -> None:
    """List the editions with their status and validity.

    Example: dose-audit drl list
    """
    from dose_audit.drl import load_sets

    registry = load_sets(tables, allow_unverified=True)
    records = [
        {
            "set": item.set_id,
            "edition": item.edition,
            "status": item.status,
            "valid_from": item.valid_from.isoformat(),
            "valid_to": item.valid_to.isoformat() if item.valid_to else None,
            "rows": len(item.rows),
            "title": item.title,
        }
        for item in registry.sets
    ]
    if as_json:
        print_json(records)
        return
    columns = ["Set", "Edition", "Status", "From", "To", "Rows", "Title"]
    show_table(columns, [list(record.values()) for record in records], right=("Rows",))


@part.command()
def show(
    name: Annotated[str, typer.Argument(metavar="SET", help="Set, or set/edition.")],
    tables: TablesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the rows of one set.

    Example: dose-audit drl show uk-ndrl-ct-adult
    """
    from dose_audit.drl import load_sets

    wanted, _, edition = name.partition("/")
    found = [
        item
        for item in load_sets(tables, allow_unverified=True).sets
        if item.set_id == wanted and edition in ("", item.edition)
    ]
    if not found:
        fail(f"no set {name!r}; `dose-audit drl list` names them.")
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
        }
        for item in found
        for row in item.rows
    ]
    if as_json:
        print_json(rows)
        return
    for item in found:
        print(f"{item.title}, edition {item.edition}: {item.status}. {item.publisher}")
    columns = ["Edition", "Examination", "Group", "Band", "Quantity", "Value", "Unit", "Statistic", "Phantom", "Row"]
    show_table(columns, [list(row.values()) for row in rows], right=("Value",))


@part.command()
def check(tables: TablesOption = None, as_json: JsonOption = False) -> None:
    """Check schema, units, bands, duplicates and released rows of every edition. Exit code 1 on an error.

    Example: dose-audit drl check
    """
    from dose_audit.drl import check_root

    problems = check_root(tables)
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            print(problem)
        print(f"{len(errors)} errors, {len(problems) - len(errors)} warnings.")
    if errors:
        raise typer.Exit(1)
