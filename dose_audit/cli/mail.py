"""`dose-audit mail`: the digest of a run by e-mail, and what became of it."""

from __future__ import annotations

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
from dose_audit.cli.reading import settings_to_read

part = group("mail", "The digest of findings by e-mail: send it, list deliveries.")


@part.command()
def send(
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Which run; the latest by default.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Send also to those who have it.")] = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Send a run's digests to the roles of the table [mail.roles]; whoever has one is not sent it twice.

    Exit code 1: one could not be delivered.

    Example: dose-audit mail send --run 20260701T020000-abababab
    """
    from dose_audit.audit.mail import send_digests
    from dose_audit.audit.runs import find_run
    from dose_audit.store.settings import prepare

    settings = settings_for(home, config)
    prepare(settings)
    try:
        folder = find_run(settings.reports_dir, run)
    except FileNotFoundError as error:
        fail(str(error))
    outcomes = send_digests(settings, folder, again=again)
    for outcome in outcomes:
        print(outcome)
    if not outcomes:
        print("Nothing waits for anybody: no digest was sent.")
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(1)


@part.command("list")
def list_deliveries(as_json: JsonOption = False, home: HomeOption = None, config: ConfigOption = None) -> None:
    """List what was sent to which role, and what could not be.

    Example: dose-audit mail list
    """
    settings_to_read(home, config)
    from dose_audit.store.models import Delivery

    rows = [
        {
            "at": row.at.isoformat(timespec="seconds"),
            "run": row.run_id,
            "role": row.role,
            "recipients": row.recipients,
            "delivered_to": row.delivered_to,
            "findings": row.findings,
            "state": row.state,
            "reason": row.reason,
        }
        for row in Delivery.objects.order_by("-at")[:500]
    ]
    if as_json:
        print_json(rows)
    else:
        columns = ["At", "Run", "Role", "Recipients", "Delivered to", "Findings", "State", "Reason"]
        cells = [list((row | {"delivered_to": ", ".join(row["delivered_to"] or ()) or None}).values()) for row in rows]
        show_table(columns, cells, right=("Recipients", "Findings"))
