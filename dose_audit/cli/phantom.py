"""`dose-audit phantom …`: the group of commands about phantoms; each lives in a file of its own."""

from __future__ import annotations

from dose_audit.cli.common import group
from dose_audit.cli.phantom_analyse import analyse, list_phantoms
from dose_audit.cli.phantom_make import make
from dose_audit.cli.quality import reanalyse, trend
from dose_audit.cli.quality_records import baseline, event, schedule

part = group("phantom", "Phantoms: list, analyse, make, follow over time.")
part.command("list")(list_phantoms)
for command in (analyse, make, trend, reanalyse):
    part.command()(command)
for records in (baseline, event, schedule):
    part.add_typer(records)
