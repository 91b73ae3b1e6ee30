"""`dose-audit extract`: what dose is in these files? No database, no settings."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from dose_audit.cli.common import JsonOption, Progress, app, counted, print_json, show_table
from dose_audit.texts import one_line


@app.command()
def extract(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, folders, zip archives.", show_default=False)
    ],
    as_json: JsonOption = False,
    with_identifiers: Annotated[
        bool, typer.Option("--with-identifiers", help="Print patient name, ID, birth date and staff names too.")
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Key of the patient pseudonym; without it there is none.")
    ] = None,
) -> None:
    """Print the exams in files, folders or zip archives, as a table or as one JSON object per line.

    Example: dose-audit extract --json /data/reports | jq .totals
    """
    from dose_audit.extract import ReadOptions, as_record, read_exams

    key = key_file.read_bytes() if key_file else None
    options = ReadOptions(with_identifiers=with_identifiers, pseudonym_key=key)
    refused: dict[str, int] = {}

    def on_refused(path: str, reason: str, kind: str) -> None:
        refused[kind] = refused.get(kind, 0) + 1
        if kind == "unreadable":
            print(one_line(f"{path}: {reason}"), file=sys.stderr)

    rows = []
    count = 0
    # A terminal that shows each exam as it is read needs no bar between them.
    with nullcontext() if as_json and sys.stdout.isatty() else Progress("reading") as bar:
        for exam in read_exams([str(path) for path in paths], options=options, on_refused=on_refused):
            count += 1
            if as_json:
                print_json(as_record(exam), indent=None)
            else:
                rows.append(_row(exam))
            if bar is not None:
                bar(count)
    if not as_json and rows:
        columns = ["Date", "Modality", "Equipment", "Study", "Events", "Dose", "Warnings"]
        show_table(columns, rows, right=("Events", "Warnings"))
    if refused:
        words = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in sorted(refused.items()))
        print(f"{counted(count, 'exam')}; {words}.", file=sys.stderr)
    elif count == 0:
        print("No file in what was named.", file=sys.stderr)
    if count == 0 and set(refused) == {"unreadable"}:
        raise typer.Exit(1)


def _row(exam: Any) -> list[Any]:
    equipment = " ".join(part for part in (exam.equipment.manufacturer, exam.equipment.model_name) if part)
    return [
        (exam.study_datetime or "–")[:16].replace("T", " "),
        exam.modality,
        equipment or None,
        exam.study_description or exam.requested_procedure_description,
        len(exam.events),
        _dose(exam),
        len(exam.warnings),
    ]


def _dose(exam: Any) -> str:
    """The exam's headline doses with their units: as reported, else (Σ) what the events add up to."""
    totals = exam.totals
    shown = []
    for reported, summed, unit in (
        (totals.ct_dlp_mgy_cm, totals.events_ct_dlp_mgy_cm, "mGy·cm"),
        (totals.kap_gy_cm2, totals.events_kap_gy_cm2, "Gy·cm²"),
        (totals.dose_rp_mgy, totals.events_dose_rp_mgy, "mGy at RP"),
        (totals.administered_activity_mbq, None, "MBq"),
    ):
        if reported is not None:
            shown.append(f"{reported:.4g} {unit}")
        elif summed is not None:
            shown.append(f"Σ {summed:.4g} {unit}")
    for side, dose in (totals.agd_mgy or totals.events_agd_mgy).items():
        shown.append(f"{side[0].upper()} {dose:.3g} mGy AGD")
    return ", ".join(shown) or "–"
