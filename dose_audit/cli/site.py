"""`dose-audit equipment`, `patients`: what only the site itself can tell the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dose_audit.cli.common import ConfigOption, HomeOption, counted, fail, group, settings_for

equipment = group("equipment", "The equipment register: which device stands at which site.")
patients = group("patients", "Patients' heights and weights, where devices do not send them.")

CsvArgument = Annotated[Path, typer.Argument(metavar="FILE", help="CSV file.", exists=True, dir_okay=False)]


@equipment.command("import")
def import_equipment(file: CsvArgument, home: HomeOption = None, config: ConfigOption = None) -> None:
    """Read the equipment register; a row that cannot be used is refused with its number.

    Example: dose-audit equipment import equipment.csv
    """
    from dose_audit.store.settings import prepare

    prepare(settings_for(home, config))
    from dose_audit.store.register import import_register

    try:
        result = import_register(file)
    except ValueError as error:  # other columns, or no text
        fail(f"{file}: {error}")
    print(
        f"{counted(result.devices, 'device')}, {result.new_devices} of them new; "
        f"{counted(result.moved_exams, 'exam')} moved to another site."
    )
    if result.unknown_columns:
        print(f"columns that are not known and not used: {', '.join(result.unknown_columns)}")
    for number, reason in result.refused:
        print(f"row {number}: {reason}")
    if result.refused:
        raise typer.Exit(1)


@patients.command("import")
def import_sizes(
    file: CsvArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace heights and weights that exams have.")
    ] = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Join heights and weights from a CSV to stored exams, by study UID, accession number or Patient ID.

    Example: dose-audit patients import sizes.csv --dry-run
    """
    from dose_audit.store.settings import prepare

    settings = settings_for(home, config)
    prepare(settings)
    from dose_audit.extract.errors import ReadError
    from dose_audit.store.identity import protection
    from dose_audit.store.sizes import import_sizes as join

    try:
        plan = join(file, protection(settings), dry_run=dry_run, overwrite=overwrite)
    except ReadError as error:
        fail(f"{file}: {error}")
    done = "would change" if dry_run else "changed"
    print(
        f"{counted(plan.exams, 'exam')} {done} by {counted(len(plan.matched), 'row')}. Of the other rows "
        f"{len(plan.already_known)} tell nothing new, {len(plan.outdone)} give way to a surer or nearer one, "
        f"{len(plan.unmatched)} match no exam, {len(plan.refused)} are refused."
    )
    for refusal in plan.refused:
        print(f"row {refusal.row}: {refusal.reason}")
    if plan.refused and not plan.changes:
        raise typer.Exit(1)
