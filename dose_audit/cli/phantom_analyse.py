"""`dose-audit phantom list | analyse`: which phantoms are known, and what images of one show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    Progress,
    fail,
    nearest,
    print_json,
    settings_for,
    show_table,
)
from dose_audit.texts import escaped, one_line

if TYPE_CHECKING:
    from dose_audit.phantom.analyse import Outcome
    from dose_audit.phantom.definition import Definition
    from dose_audit.phantom.results import Analysis

OwnOption = Annotated[
    Path | None,
    typer.Option(
        "--definitions", metavar="DIR", help="A folder of your own phantom definitions beside the shipped ones."
    ),
]


def list_phantoms(
    own: OwnOption = None, as_json: JsonOption = False, home: HomeOption = None, config: ConfigOption = None
) -> None:
    """List the phantoms that are known, with what each measures; the home's own definitions among them.

    Example: dose-audit phantom list
    """
    from dose_audit.phantom.definition import definitions

    known = definitions(own or settings_for(home, config).phantom_definitions_dir)
    records = [
        {
            "id": one.id,
            "name": one.name,
            "maker": one.maker,
            "modalities": list(one.modalities),
            "measures": [measure.name for measure in one.measures],
            "confirmed": sum(feature.status == "confirmed" for feature in one.features),
            "features": len(one.features),
            "note": one.note,
            "sha256": one.sha256,
        }
        for one in known
    ]
    if as_json:
        print_json(records)
        return
    show_table(
        ["Id", "Name", "Modality", "Measures", "Unconfirmed places"],
        [
            [
                one.id,
                one.name,
                "/".join(one.modalities),
                ", ".join(each.name for each in one.measures),
                _unconfirmed(one),
            ]
            for one in known
        ],
    )


def _unconfirmed(definition: Definition) -> str:
    """How many of a definition's places no source confirms; nothing where all are sure."""
    count = sum(feature.status != "confirmed" for feature in definition.features)
    return f"{count} of {len(definition.features)}" if count else ""


def _pair(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        row, column = (float(one) for one in text.split(","))
    except ValueError:
        raise typer.BadParameter("--centre takes row,column in pixels, for example 255.5,260") from None
    return row, column


def analyse(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="An image, a folder or a zip archive.", show_default=False)
    ],
    definition: Annotated[
        str | None, typer.Option(metavar="ID", help="Which phantom it is; else it is recognised.")
    ] = None,
    as_json: JsonOption = False,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Write page, pictures and JSON there.")] = None,
    slice_number: Annotated[
        int | None, typer.Option("--slice", metavar="N", help="Slice of the reference module, from 1, by position.")
    ] = None,
    angle: Annotated[float | None, typer.Option(metavar="DEGREES", help="Roll, clockwise on screen.")] = None,
    centre: Annotated[str | None, typer.Option(metavar="ROW,COLUMN", help="Centre of the phantom in pixels.")] = None,
    scale: Annotated[float | None, typer.Option(metavar="FACTOR", help="Measured over nominal size.")] = None,
    own: OwnOption = None,
) -> None:
    """Recognise, locate and measure a phantom, and judge it by its tolerances.

    Exit code 0: within limits, or nothing to judge; 3: beyond a level, or not everything could be measured or written; 1: no
    phantom.

    Example: dose-audit phantom analyse /images/catphan --report result
    """

    from dose_audit.phantom.analyse import analyse as run
    from dose_audit.phantom.definition import DefinitionError
    from dose_audit.phantom.pose import OverrideError, Overrides

    try:
        overrides = Overrides(slice=slice_number, angle_deg=angle, centre_px=_pair(centre), scale=scale)
    except OverrideError as error:
        raise typer.BadParameter(str(error)) from None
    try:
        with Progress("measuring"):
            outcome = run(path, definition=definition, overrides=overrides or None, own_folder=own)
    except KeyError as error:
        from dose_audit.phantom.definition import definitions

        guess = nearest(definition or "", [one.id for one in definitions(own)])
        raise typer.BadParameter(f"{error.args[0]}.{guess}") from None
    except (DefinitionError, ValueError) as error:
        fail(str(error))
    whole = report is None or _write(outcome, report)
    if as_json:
        record: dict[str, Any] = outcome.as_record()
        # One phantom in one series is the usual case: its own record stands at the top, as the contract has it.
        print_json({**record["analyses"][0], **record} if len(record["analyses"]) == 1 else record)
    else:
        _show(outcome)
    if not outcome.analyses:
        raise typer.Exit(1)
    if any(one.verdict in ("remedial", "suspension", "incomplete") for one in outcome.analyses):
        raise typer.Exit(3)
    if not whole or any(one.defect for one in outcome.refused):
        raise typer.Exit(3)


def _show(outcome: Outcome) -> None:
    from dose_audit.report.phantom_page import ANSWERS, MARKS, shown_number

    for one in outcome.analyses:
        rows = []
        for entry in one.measurements:
            value = entry.measured
            rows.append(
                [
                    entry.title or value.name,
                    shown_number(value.value, value.uncertainty),
                    "" if value.uncertainty is None else shown_number(2 * value.uncertainty, value.uncertainty),
                    value.unit if value.unit != "1" else "",
                    MARKS[entry.judgement],
                    value.reason,
                ]
            )
        seconds = "" if one.seconds is None else f" ({one.seconds:.1f} s)"
        show_table(
            ["Quantity", "Value", "± (k=2)", "Unit", "Result", "Remark"],
            rows,
            title=f"{one.definition.name}: {one.series.describe()}{seconds}",
            right=("Value", "± (k=2)"),
        )
        print(f"{ANSWERS[one.verdict][1]}.")
        for said in one.definition.caveats:
            print(said)
        print()
    for refusal in outcome.refused:
        print(one_line(f"not analysed: {refusal.series.describe()}: {refusal.reason}"))
    for name, reason in outcome.left_aside:
        print(one_line(f"left aside: {name}: {reason}"))
    if not (outcome.analyses or outcome.refused or outcome.left_aside):
        print("not analysed: there is no file in what was named")


def _write(outcome: Outcome, folder: Path) -> bool:
    """Pages, pictures and JSON; whether all of them could be made. What could not is told in the notes of its analysis."""
    from dose_audit.phantom.defects import told
    from dose_audit.phantom.picture import draw
    from dose_audit.report.phantom_page import phantom_page

    folder.mkdir(parents=True, exist_ok=True)
    whole = True
    for number, one in enumerate(outcome.analyses, 1):
        stem, notes = _stem(one, number), len(one.notes)
        pictures = draw(one)
        whole = whole and len(one.notes) == notes
        for picture in pictures:
            (folder / f"{stem}-{picture.name}.png").write_bytes(picture.png)
        modules = {module.id: module.name for module in one.definition.modules}
        try:
            page = phantom_page(one.as_record(), pictures, modules)
        except Exception as error:  # noqa: BLE001 - a page that cannot be made must not take the values with it
            one.notes.append(f"no page: {told(error, 'making the page of a result')}")
            whole = False
            continue
        (folder / f"{stem}.html").write_text(page, encoding="utf-8")
    record = escaped(json.dumps(outcome.as_record(), indent=1, ensure_ascii=False))
    (folder / "result.json").write_text(record, encoding="utf-8")
    return whole


def _stem(one: Analysis, number: int) -> str:
    """File name of an analysis: nothing that a sender could have chosen."""
    return f"{number:02d}-{one.definition.id}"
