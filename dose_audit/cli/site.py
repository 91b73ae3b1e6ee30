"""`dose-audit mapping`, `equipment`, `patients`, `findings`: what only the site itself can tell the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    fail,
    group,
    print_json,
    settings_for,
    show_table,
)

mapping = group("mapping", "Which examination is it? The approved table from names and codes to examinations.")
equipment = group("equipment", "The equipment register: which device stands at which site.")
findings = group("findings", "Findings: list, acknowledge.")
patients = group("patients", "Patients' heights and weights, where devices do not send them.")

CsvArgument = Annotated[Path, typer.Argument(metavar="FILE", help="CSV file.", exists=True, dir_okay=False)]
ByOption = Annotated[str, typer.Option("--by", metavar="ROLE", help="Who answers for it, by role.")]


@mapping.command("import")
def import_mapping(
    file: CsvArgument,
    by: ByOption,
    note: Annotated[str, typer.Option(help="What changed.")] = "",
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Check a mapping table and make it the current version. A row that maps two ways refuses the table.

    Example: dose-audit mapping import exam_mapping.csv --by "MPE, North"
    """
    from dose_audit.audit.mapping import approve_mapping
    from dose_audit.drl import MappingTable
    from dose_audit.store.settings import prepare

    table = MappingTable.from_csv(file)
    prepare(settings_for(home, config))
    version = approve_mapping(table, approved_by=by, note=note)
    print(f"Mapping version {version}: {len(table.rows)} rows, approved by {by}.")


@mapping.command("export")
def export_mapping(home: HomeOption = None, config: ConfigOption = None) -> None:
    """Print the current mapping as CSV.

    Example: dose-audit mapping export > exam_mapping.csv
    """
    from dose_audit.audit.mapping import stored_mapping
    from dose_audit.store.settings import prepare

    prepare(settings_for(home, config))
    print(stored_mapping().table.to_csv(), end="")


@equipment.command("import")
def import_equipment(file: CsvArgument, home: HomeOption = None, config: ConfigOption = None) -> None:
    """Read the equipment register; a row that cannot be used is refused with its line number.

    Example: dose-audit equipment import equipment.csv
    """
    from dose_audit.store.settings import prepare

    prepare(settings_for(home, config))
    from dose_audit.store.register import import_register

    result = import_register(file)
    print(
        f"{result.devices} devices, {result.new_devices} of them new; {result.moved_exams} exams moved to another site."
    )
    for line, reason in result.refused:
        print(f"line {line}: {reason}")
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
    from dose_audit.store.identity import protection
    from dose_audit.store.sizes import import_sizes as join

    plan = join(file, protection(settings), dry_run=dry_run, overwrite=overwrite)
    done = "would change" if dry_run else "changed"
    print(
        f"{len(plan.changes)} exams {done} by {len(plan.matched)} rows; {len(plan.already_known)} rows say nothing new, "
        f"{len(plan.unmatched)} match no exam, {len(plan.refused)} are refused."
    )
    for refusal in plan.refused:
        print(f"row {refusal.row}: {refusal.reason}")
    if plan.refused and not plan.changes:
        raise typer.Exit(1)


@findings.command("list")
def list_findings(
    every: Annotated[bool, typer.Option("--all", help="Acknowledged and cleared ones too.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """List the findings that are open.

    Example: dose-audit findings list
    """
    from dose_audit.store.settings import prepare

    prepare(settings_for(home, config))
    from dose_audit.store.models import Finding

    rows = [
        {
            "key": finding.key,
            "severity": finding.severity,
            "state": finding.state,
            "subject": finding.subject,
            "message": finding.message,
        }
        for finding in Finding.objects.order_by("severity", "key")
        if every or finding.state == "open"
    ]
    if as_json:
        print_json(rows)
    else:
        show_table(["Key", "Severity", "State", "Subject", "Message"], [list(row.values()) for row in rows])


@findings.command()
def acknowledge(
    key: Annotated[str, typer.Argument(help="Key of the finding, from `findings list`.")],
    by: ByOption,
    reason: Annotated[str, typer.Option(help="What was found or decided.")],
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Acknowledge a finding with a reason; it no longer counts as open.

    Example: dose-audit findings acknowledge KEY --by "MPE, North" --reason "meter replaced on 3 May"
    """
    from dose_audit.store.settings import prepare

    prepare(settings_for(home, config))
    from dose_audit.store.findings import acknowledge_finding
    from dose_audit.store.models import Finding

    try:
        finding = acknowledge_finding(key, by=by, reason=reason)
    except Finding.DoesNotExist:
        fail(f"no finding with the key {key!r}")
    print(f"Acknowledged: {finding.subject}")
