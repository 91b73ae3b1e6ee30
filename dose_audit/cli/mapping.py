"""`dose-audit mapping`: which examination is it? Suggest, approve, import, export the table that says so."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    counted,
    fail,
    group,
    print_json,
    settings_for,
    show_table,
)
from dose_audit.cli.reading import settings_to_read

part = group("mapping", "Which examination is it? The approved table from names and codes to examinations.")

CsvArgument = Annotated[Path, typer.Argument(metavar="FILE", help="CSV file.", exists=True, dir_okay=False)]
ByOption = Annotated[str, typer.Option("--by", metavar="ROLE", help="Who answers for it, by role.")]


@part.command()
def suggest(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write a draft to fill in and approve.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Names to show.")] = 50,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """List the names that no approved row reaches with ranked proposals, and the coverage of each site.

    Example: dose-audit mapping suggest --out draft.csv
    """
    from dose_audit.audit.engine import open_store
    from dose_audit.audit.mapping import stored_mapping
    from dose_audit.audit.mapping_draft import draft_csv, draft_mapping
    from dose_audit.drl import read_examinations
    from dose_audit.store.settings import prepare

    settings = settings_for(home, config)
    prepare(settings)
    with open_store(settings) as engine:
        rows, covered = draft_mapping(engine, stored_mapping().table, read_examinations())
    if out is not None:
        out.write_text(draft_csv(rows), encoding="utf-8")
    if as_json:
        print_json(
            {
                "coverage": [
                    {"site": c.site, "exams": c.n, "mapped": c.mapped, "ambiguous": c.ambiguous, "percent": c.percent}
                    for c in covered
                ],
                "unmapped": [
                    {
                        "site": row.site,
                        "modality": row.modality,
                        row.column: row.name,
                        "exams": row.exams,
                        "proposals": [{"examination": slug, "score": score} for slug, score in row.proposals],
                    }
                    for row in rows
                ],
            }
        )
        return
    show_table(
        ["Site", "Exams", "Mapped", "Ambiguous", "Coverage %"],
        [[c.site, c.n, c.mapped, c.ambiguous, None if c.percent is None else f"{c.percent:.1f}"] for c in covered],
        right=("Exams", "Mapped", "Ambiguous", "Coverage %"),
    )
    if rows:
        show_table(
            ["Site", "Modality", "Name", "Exams", "Proposals"],
            [
                [r.site, r.modality, r.name, r.exams, ", ".join(f"{slug} {score:.2f}" for slug, score in r.proposals)]
                for r in rows[:most]
            ],
            right=("Exams",),
        )
    if len(rows) > most:
        print(f"{len(rows) - most} more names; --out FILE writes them all.")
    if out is not None:
        print(f"Draft: {out}. Fill in the column examination, then: dose-audit mapping approve {out} --by ROLE")


@part.command()
def approve(
    file: CsvArgument,
    by: ByOption,
    note: Annotated[str, typer.Option(help="What changed.")] = "",
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Add a draft's filled-in rows to the mapping in force, as a new version.

    Example: dose-audit mapping approve draft.csv --by "MPE, North"
    """
    from dose_audit.audit.mapping import approve_mapping, stored_mapping
    from dose_audit.audit.mapping_draft import merge_draft
    from dose_audit.drl import read_examinations
    from dose_audit.store.settings import prepare

    prepare(settings_for(home, config))
    table, added = merge_draft(file, stored_mapping().table, read_examinations(), approved_by=by, on=date.today())
    if not added:
        fail(f"{file}: no row has an examination filled in")
    version = approve_mapping(table, approved_by=by, note=note or f"{counted(added, 'row')} from {file.name}")
    print(f"Mapping version {version}: {counted(added, 'row')} approved by {by}, {len(table.rows)} in all.")


@part.command("import")
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
    print(f"Mapping version {version}: {counted(len(table.rows), 'row')}, approved by {by}.")


@part.command("export")
def export_mapping(home: HomeOption = None, config: ConfigOption = None) -> None:
    """Print the current mapping as CSV.

    Example: dose-audit mapping export > exam_mapping.csv
    """
    from dose_audit.audit.mapping import stored_mapping

    settings_to_read(home, config)
    print(stored_mapping().table.to_csv(), end="")
