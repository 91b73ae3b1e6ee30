"""`dose-audit dosimetry calibration`, `recompute`: dated factors of devices, and estimates of stored exams made again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    Progress,
    fail,
    print_json,
    settings_for,
    show_table,
)
from dose_audit.cli.dates import a_day
from dose_audit.cli.dosimetry import dosimetry
from dose_audit.cli.help_texts import App
from dose_audit.cli.reading import settings_to_read

if TYPE_CHECKING:
    from dose_audit.store.models import Calibration, Equipment

__all__ = ["calibration", "recompute"]

calibration = App(
    name="calibration", help="Calibration factors of devices, by certificate and date.", no_args_is_help=True
)
dosimetry.add_typer(calibration)


@calibration.command()
def add(
    device: Annotated[str, typer.Argument(help="Display name, station name or #number.", show_default=False)],
    quantity: Annotated[str, typer.Argument(help="kap, dose_rp, ctdi_vol …", show_default=False)],
    factor: Annotated[float, typer.Argument(help="Measured over displayed value.", show_default=False)],
    uncertainty: Annotated[
        float, typer.Option("--uncertainty", metavar="FRACTION", help="Relative, k = 1.", show_default=False)
    ],
    valid_from: Annotated[
        datetime, typer.Option("--from", parser=a_day, metavar="DATE", help="Day of the calibration.")
    ],
    certificate: Annotated[str, typer.Option("--certificate", help="Its number.", show_default=False)],
    by: Annotated[str, typer.Option("--by", metavar="ROLE", help="Who enters it: a role.", show_default=False)],
    valid_to: Annotated[
        datetime | None, typer.Option("--to", parser=a_day, metavar="DATE", help="Last day; open by default.")
    ] = None,
    kv: Annotated[str | None, typer.Option("--kv", metavar="LOW-HIGH", help="Only for these tube voltages.")] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Enter a factor; raw and corrected values are both kept, and the exams concerned are estimated again.

    Example: dose-audit dosimetry calibration add "Room 1" kap 1.08 --uncertainty 0.03 --from 2026-01-31
    --certificate K-17 --by "Medical physics"
    """
    from dose_audit.dosimetry import CalibrationFactor
    from dose_audit.store.settings import prepare

    prepare(settings_for(home, config))
    from dose_audit.store.calibrations import CalibrationError, add_calibration
    from dose_audit.store.devices import equipment_named

    low, high = _voltages(kv)
    try:
        row = add_calibration(
            equipment_named(device),
            CalibrationFactor(
                device,
                quantity,
                factor,
                uncertainty,
                valid_from.date(),
                valid_to.date() if valid_to else None,
                certificate,
                low,
                high,
            ),
            entered_by=by,
        )
    except (CalibrationError, ValueError) as error:
        fail(f"{error}.")
    print(f"Calibration {row.pk} of {row.equipment.display_name}: {row.quantity} × {row.factor:g}, {row.certificate}.")
    print("Exams that it concerns wait for their estimates: the next ingest makes them, or dosimetry recompute.")


@calibration.command("list")
def list_calibrations(as_json: JsonOption = False, home: HomeOption = None, config: ConfigOption = None) -> None:
    """List all factors, the latest of each device and quantity first.

    Example: dose-audit dosimetry calibration list
    """
    settings_to_read(home, config)
    from dose_audit.store.models import Calibration

    rows = Calibration.objects.select_related("equipment").order_by(
        "equipment__display_name", "equipment_id", "quantity", "-valid_from", "-id"
    )
    records = [_record(row) for row in rows]
    if as_json:
        print_json(records)
        return
    columns = ["Device", "Quantity", "Factor", "± (k=1)", "From", "To", "kV", "Certificate", "Entered by"]
    show_table(columns, [_cells(record) for record in records], right=("Factor", "± (k=1)"))


@dosimetry.command()
def recompute(
    every: Annotated[bool, typer.Option("--all", help="Also what today's version has computed.")] = False,
    device: Annotated[str | None, typer.Option("--device", metavar="NAME", help="Exams of this device.")] = None,
    since: Annotated[datetime | None, typer.Option(parser=a_day, metavar="DATE", help="First study date.")] = None,
    until: Annotated[datetime | None, typer.Option(parser=a_day, metavar="DATE", help="Last study date.")] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Compute the dosimetry of stored exams again; what an older version of the algorithms gave stays beside it.

    Example: dose-audit dosimetry recompute --device "Room 1" --since 2026-01-31
    """
    from dose_audit.store.settings import prepare

    settings = settings_for(home, config)
    prepare(settings)
    from dose_audit.ingest import estimate_waiting
    from dose_audit.store.devices import UnknownDevice, equipment_named
    from dose_audit.store.estimates import ask_again

    equipment: Equipment | None = None
    try:
        equipment = equipment_named(device) if device is not None else None
    except UnknownDevice as error:
        fail(f"{error}.")
    ask_again(
        every=every,
        equipment=equipment.pk if equipment else None,
        since=since.date() if since else None,
        until=until.date() if until else None,
    )
    with Progress("computing") as bar:
        done = estimate_waiting(settings, progress=bar)
    print(
        f"{done.exams} exams, {done.estimates} results, in {done.seconds:.1f} s; {done.failed} could not be computed."
    )


def _voltages(text: str | None) -> tuple[float | None, float | None]:
    if text is None:
        return None, None
    low, dash, high = text.partition("-")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (1.0, 0.0)
    if not dash or ends[0] > ends[1]:
        fail(f"{text!r} is not LOW-HIGH in kV, such as 60-90.")
    return ends


def _record(row: Calibration) -> dict[str, Any]:
    return {
        "id": row.pk,
        "equipment": row.equipment.display_name,
        "equipment_id": row.equipment_id,
        "quantity": row.quantity,
        "factor": row.factor,
        "relative_uncertainty": row.relative_uncertainty,
        "valid_from": row.valid_from.isoformat(),
        "valid_to": row.valid_to.isoformat() if row.valid_to else None,
        "kv_from": row.kv_from,
        "kv_to": row.kv_to,
        "certificate": row.certificate,
        "entered_by": row.entered_by,
        "entered_at": row.entered_at.isoformat(),
    }


def _cells(record: dict[str, Any]) -> list[Any]:
    voltages = None if record["kv_from"] is None else f"{record['kv_from']:g}–{record['kv_to']:g}"
    return [
        f"{record['equipment']} #{record['equipment_id']}",
        record["quantity"],
        f"{record['factor']:g}",
        f"{record['relative_uncertainty']:.1%}",
        record["valid_from"],
        record["valid_to"],
        voltages,
        record["certificate"],
        record["entered_by"],
    ]
