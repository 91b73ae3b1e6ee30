"""`dose-audit doctor`: is this installation fit, and which settings are in force from where?"""

from __future__ import annotations

import typer

from dose_audit.cli.common import ConfigOption, HomeOption, JsonOption, app, print_json, settings_for, show_table

_MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}


@app.command()
def doctor(home: HomeOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check Python, codecs, database, migrations, disk, clock, port and spool; print the settings in force.

    Example: dose-audit doctor
    """
    from dataclasses import asdict, fields

    from dose_audit.doctor import examine

    settings = settings_for(home, config)
    checks = examine(settings)
    shown = {
        part.name: {
            "value": _plain(part.name, getattr(settings, part.name)),
            "from": settings.source.get(part.name, "default"),
        }
        for part in fields(settings)
        if part.name != "source"
    }
    if as_json:
        print_json({"checks": [asdict(check) for check in checks], "settings": shown})
    else:
        show_table(["", "Check", "Found"], [[_MARKS[check.status], check.name, check.detail] for check in checks])
        print()
        show_table(["Setting", "Value", "From"], [[name, item["value"], item["from"]] for name, item in shown.items()])
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)


def _plain(name: str, value: object) -> object:
    if name == "database_url" and value:
        # May hold a password: only where it points is shown.
        return str(value).rsplit("@", 1)[-1]
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return value if isinstance(value, int | float | str | None) else str(value)
