"""`dose-audit dosimetry skin`: the peak skin dose of fluoroscopy exams, and where on the skin it lies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dose_audit.cli.common import JsonOption, Progress, fail, one_line, print_json, show_table
from dose_audit.cli.dosimetry import dosimetry, must_exist, nothing_given, what_was_read

__all__ = ["skin"]

_PICTURES = (".html", ".png", ".svg")


@dosimetry.command()
def skin(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Dose reports, or folders.", show_default=False)
    ],
    as_json: JsonOption = False,
    picture: Annotated[
        Path | None, typer.Option("--map", metavar="PICTURE", help="Draw the map of one exam: .html, .png or .svg.")
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="Show what became of every event.")] = False,
) -> None:
    """Estimate the peak skin dose of fluoroscopy and intervention from dose reports.

    Example: dose-audit dosimetry skin report.dcm --map skin.html
    """
    from dose_audit.dosimetry.skin import skin_dose
    from dose_audit.extract import read_exams

    if picture is not None and picture.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"a map is drawn as {', '.join(_PICTURES)}, not {picture.suffix or picture.name}")
    unread = []

    def on_refused(path: str, reason: str, kind: str) -> None:
        unread.append(reason)
        if kind == "unreadable":
            print(f"{one_line(path)}: {one_line(reason)}", file=sys.stderr)

    for path in paths:
        must_exist(path)
    with Progress("reading"):
        exams = list(read_exams([str(path) for path in paths], on_refused=on_refused))
    with Progress("computing") as bar:
        done = []
        for number, exam in enumerate(exams, 1):
            if exam.modality not in ("CT", "MG", "NM", "PT"):
                done.append((exam, skin_dose(exam)))
            bar(number, len(exams))
    if not done:
        nothing_given(
            f"dose reports of projection exams are needed, and there is {what_was_read(exams, unread)}", as_json
        )
    if picture is not None:
        _draw(done, picture)
    if as_json:
        print_json([{**_exam(exam), **result.as_record()} for exam, result in done])
    else:
        columns = ["Date", "Equipment", "Peak skin dose (mGy, k = 2)", "Status", "Method", "Reason"]
        show_table(columns, [_row(exam, result) for exam, result in done], right=("Peak skin dose (mGy, k = 2)",))
        if events:
            for exam, result in done:
                _show_events(exam, result)


def _draw(done: list[tuple[Any, Any]], picture: Path) -> None:
    from dose_audit.report.skin_page import skin_map_page, skin_map_png, skin_map_svg

    mapped = [(exam, result) for exam, result in done if result.method == "map" and result.peak.value]
    if len(mapped) != 1:
        fail(f"a map is drawn of one exam; {len(mapped)} of the {len(done)} read have one")
    exam, result = mapped[0]
    kind = picture.suffix.lower()
    if kind == ".html":
        picture.write_text(skin_map_page(result, _title(exam)), encoding="utf-8")
    elif kind == ".png":
        picture.write_bytes(skin_map_png(result))
    else:
        picture.write_text(skin_map_svg(result), encoding="utf-8")


def _title(exam: Any) -> str:
    """The exam in a line without anybody's name."""
    equipment = " ".join(part for part in (exam.equipment.manufacturer, exam.equipment.model_name) if part)
    study = exam.study_description or exam.requested_procedure_description
    return " · ".join(part for part in ((exam.study_datetime or "")[:10], equipment, study) if part) or "Exam"


def _exam(exam: Any) -> dict[str, Any]:
    return {
        "study_instance_uid": exam.study_instance_uid,
        "study_datetime": exam.study_datetime,
        "manufacturer": exam.equipment.manufacturer,
        "model_name": exam.equipment.model_name,
    }


def _row(exam: Any, result: Any) -> list[Any]:
    peak = result.peak
    value = None
    if peak.value is not None:
        value = _plain(peak.value, 3) + (
            f" ± {_plain(2 * peak.uncertainty, 2)}" if peak.uncertainty is not None else ""
        )
    equipment = " ".join(part for part in (exam.equipment.manufacturer, exam.equipment.model_name) if part)
    date = (exam.study_datetime or "–")[:16].replace("T", " ")
    return [date, equipment or None, value, peak.status.replace("_", " "), result.method, peak.reason or None]


def _plain(value: float, digits: int) -> str:
    return f"{float(f'{value:.{digits}g}'):g}"


def _show_events(exam: Any, result: Any) -> None:
    rows = []
    for share in result.events:
        shown = [share.numbers.get(name) for name in ("dose_rp_mgy", "reference_mm", "field_cm2", "source_skin_mm")]
        at_peak = share.numbers.get("peak_share_mgy")
        rows.append(
            [
                share.index,
                share.plane,
                *(None if number is None else f"{number:.4g}" for number in (*shown, at_peak)),
                share.reason or "; ".join(share.notes),
            ]
        )
    columns = ["Event", "Plane", "Dose RP (mGy)", "RP (mm)", "Field (cm²)", "Skin (mm)", "At peak (mGy)", "Notes"]
    show_table(columns, rows, title=_title(exam), right=tuple(columns[2:7]))
