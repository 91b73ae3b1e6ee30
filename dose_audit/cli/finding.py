"""`dose-audit finding`: what waits for a person, and what that person decided."""

from __future__ import annotations

from typing import Annotated

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    fail,
    group,
    known_site,
    nearest,
    print_json,
    settings_for,
    show_table,
)
from dose_audit.cli.reading import settings_to_read

part = group("finding", "Findings: list, acknowledge, reopen.")

KeyArgument = Annotated[str, typer.Argument(help="Key of the finding, from `finding list`.")]
ByOption = Annotated[str, typer.Option("--by", metavar="ROLE", help="Who answers for it, by role.")]
ReasonOption = Annotated[str, typer.Option(help="What was found or decided.")]


@part.command("list")
def list_findings(
    every: Annotated[bool, typer.Option("--all", help="Acknowledged and cleared ones too.")] = False,
    role: Annotated[str | None, typer.Option(help="Only those that go to this role.")] = None,
    site: Annotated[str | None, typer.Option(help="Only those of this site.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """List the findings that are open, with the role that each goes to.

    Example: dose-audit finding list --role MPE
    """
    from dose_audit.audit.findings import finding_roles, role_for

    settings_to_read(home, config)
    from dose_audit.store.models import Finding

    if site is not None:
        known_site(site)
    if role is not None and role not in (known := finding_roles()):
        fail(f"no finding goes to {role!r}; roles are: {', '.join(known)}.{nearest(role, known)}")
    rows = [
        {
            "key": row.key,
            "severity": row.severity,
            "state": row.state,
            "role": role_for(row.kind),
            "site": row.site,
            "equipment": row.equipment,
            "subject": row.subject,
            "message": row.message,
        }
        for row in Finding.objects.order_by("severity", "key")
        if every or row.state == "open"
    ]
    rows = [row for row in rows if role in (None, row["role"]) and site in (None, row["site"])]
    if as_json:
        print_json(rows)
    else:
        columns = ["Key", "Severity", "State", "For", "Site", "Device", "Subject", "Message"]
        show_table(columns, [list(row.values()) for row in rows], whole=("Key",))


@part.command()
def acknowledge(
    key: KeyArgument,
    by: ByOption,
    reason: ReasonOption,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Acknowledge a finding with a reason; it no longer counts as open.

    Example: dose-audit finding acknowledge KEY --by "MPE, North" --reason "meter replaced on 3 May"
    """
    from dose_audit.store.settings import prepare

    prepare(settings_for(home, config))
    from dose_audit.store.findings import acknowledge_finding

    print(f"Acknowledged: {_done(acknowledge_finding, key, by, reason)}")


@part.command()
def reopen(
    key: KeyArgument,
    by: ByOption,
    reason: ReasonOption,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Open an acknowledged finding again.

    Example: dose-audit finding reopen KEY --by "MPE, North" --reason "the meter was not the cause"
    """
    from dose_audit.store.settings import prepare

    prepare(settings_for(home, config))
    from dose_audit.store.findings import reopen_finding

    print(f"Open again: {_done(reopen_finding, key, by, reason)}")


def _done(act: object, key: str, by: str, reason: str) -> str:
    from dose_audit.store.models import Finding

    try:
        return str(act(key, by=by, reason=reason).subject)  # type: ignore[operator]
    except Finding.DoesNotExist:
        fail(f"no finding with the key {key!r}")
    except ValueError as error:
        fail(str(error))
