"""`dose-audit worksheet`: an incident beside the thresholds for significant exposures. It never decides."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dose_audit.cli.common import JsonOption, app, fail, print_json


@app.command()
def worksheet(
    nation: Annotated[str, typer.Option(help="England, Northern Ireland, Scotland or Wales.")],
    total: Annotated[float, typer.Option(metavar="MSV", help="Effective dose of the whole incident, in mSv.")],
    patient: Annotated[str, typer.Option(help="adult or child.")] = "adult",
    category: Annotated[str, typer.Option(help="unintended, or accidental where none was intended.")] = "unintended",
    intended: Annotated[float | None, typer.Option(metavar="MSV", help="Effective dose that was intended.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which thresholds for significant accidental or unintended exposures an incident reaches.

    Example: dose-audit worksheet --nation England --patient adult --intended 1.0 --total 12
    """
    from dose_audit.audit.significant import fill_worksheet

    try:
        sheet = fill_worksheet(
            nation=nation, population=patient, category=category, total_msv=total, intended_msv=intended
        )
    except ValueError as error:
        fail(str(error))
    if as_json:
        print_json(asdict(sheet))
        return
    factor = sheet.facts["factor"]
    asked = "" if intended is None else f", intended {intended:g} mSv, factor {factor:.3g}" if factor else ""
    print(f"{nation}, {patient}, {category}: {total:g} mSv in all{asked}.")
    print(sheet.conclusion)
    for row in sheet.looked_at:
        mark = "reached" if row in sheet.reached else "not reached"
        print(f"- {row.words()}: {mark} ({row.version}, read {row.confidence}, {row.source_url})")
    print("Criteria that dose does not answer:")
    for row in sheet.other_criteria:
        print(f"- {row.scope}: {row.words()}{'; ' + row.note if row.note else ''} ({row.version})")
