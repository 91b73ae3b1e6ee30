"""What the commands about image quality share: their options, the store made ready, the device that a text means."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dose_audit.cli.common import fail, nearest, settings_for
from dose_audit.cli.dates import a_day

if TYPE_CHECKING:
    from dose_audit.config import Settings

__all__ = [
    "DayOption",
    "EquipmentOption",
    "NeededEquipment",
    "NeededPhantom",
    "PhantomOption",
    "RoleOption",
    "device_id",
    "phantom_id",
    "prepared",
    "short_number",
]

EquipmentOption = Annotated[
    str | None, typer.Option("--equipment", metavar="NAME", help="A device, by its name, station name or number.")
]
NeededEquipment = Annotated[
    str, typer.Option("--equipment", metavar="NAME", help="A device, by its name, station name or number.")
]
PhantomOption = Annotated[
    str | None, typer.Option("--phantom", metavar="ID", help="Only this phantom, by its id or name.")
]
NeededPhantom = Annotated[
    str, typer.Option("--phantom", metavar="ID", help="Which phantom, by its id or name; `phantom list` tells both.")
]
RoleOption = Annotated[
    str, typer.Option("--role", metavar="ROLE", help="Who says so, by role, as medical physics expert.")
]
DayOption = Annotated[dt.datetime | None, typer.Option(parser=a_day, metavar="DATE", help="A day, as 2026-01-31.")]


def prepared(home: Path | None, config: Path | None) -> Settings:
    """The settings, with the store ready for writing."""
    from dose_audit.store.settings import prepare

    settings = settings_for(home, config)
    prepare(settings)
    return settings


def device_id(text: str) -> int:
    """The store's number of the device that a name, a station name or a number means."""
    from dose_audit.store.devices import UnknownDevice, equipment_named

    try:
        return int(equipment_named(text).pk)
    except UnknownDevice as error:
        fail(f"{error}.")


def phantom_id(text: str, own: Path) -> str:
    """The id of the phantom that an id or a name means: of a definition, or of stored runs whose definition is gone.

    Parameters
    ----------
    text : str
    own : Path
        Folder of the site's own definitions.
    """
    from dose_audit.quality.history import phantom_names
    from dose_audit.store.models import PhantomStudy

    stored = PhantomStudy.objects.values_list("definition", flat=True).distinct()
    known = {**{one: one for one in stored}, **phantom_names(own)}
    if text in known:
        return text
    meant = [one for one, name in known.items() if text.casefold() in (one.casefold(), name.casefold())]
    if len(meant) != 1:
        fail(f"no phantom {text!r}; `dose-audit phantom list` names them.{nearest(text, [*known, *known.values()])}")
    return meant[0]


def short_number(value: float | None) -> str | None:
    """Four digits."""
    return None if value is None else f"{value:.4g}"
