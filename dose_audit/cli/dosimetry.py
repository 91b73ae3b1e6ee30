"""`dose-audit dosimetry`: size-specific dose, glandular dose, effective dose; localiser calibration."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from dose_audit.cli.common import JsonOption, Progress, fail, group, one_line, print_json, show_table

if TYPE_CHECKING:
    from dose_audit.measured import Measured

dosimetry = group("dosimetry", "Patient size, SSDE, glandular dose, effective dose, skin dose.")

PathsArgument = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files or folders.", show_default=False)]
UnverifiedOption = Annotated[
    bool, typer.Option("--allow-unverified", help="Use constants that were not checked against their source.")
]
_COLUMNS = ("Object", "Event", "Quantity", "Value", "± (k=1)", "Unit", "Status", "Reason", "Method")


@dosimetry.command()
def ssde(
    paths: PathsArgument,
    ctdi_vol: Annotated[
        float | None, typer.Option(metavar="MGY", help="CTDIvol; else from reports and images given.")
    ] = None,
    phantom: Annotated[int | None, typer.Option(metavar="CM", help="CTDI phantom, 16 or 32.")] = None,
    head: Annotated[bool, typer.Option("--head", help="Heads: AAPM 293 (needs --allow-unverified).")] = False,
    allow_unverified: UnverifiedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure water-equivalent diameter and SSDE in CT image series, with CTDIvol from a dose report beside them.

    Example: dose-audit dosimetry ssde series/ report.dcm --json
    """
    from dose_audit.dosimetry import measure_series, series_ssde

    if ctdi_vol is not None and not 0.0 < ctdi_vol < 10_000.0:
        raise typer.BadParameter(f"a CTDIvol is more than 0 and less than 10,000 mGy, not {ctdi_vol:g}")
    if phantom not in (None, 16, 32):
        raise typer.BadParameter(f"a CTDI phantom is 16 or 32 cm across, not {phantom}")
    with Progress("measuring"):
        sizes = measure_series(_files(paths))
    if not any(size.images for size in sizes):
        nothing_given(sizes[0].dw.reason, as_json)
    reported = _reported_ct(paths)
    records = []
    for size in sizes:
        event = reported.get(size.dw.details.get("irradiation_event_uid") or "", (None, None))
        dose = series_ssde(
            size,
            ctdi_vol_mgy=ctdi_vol if ctdi_vol is not None else event[0],
            phantom_cm=phantom or event[1],
            body_part="head" if head else "body",
            allow_unverified=allow_unverified,
        )[0]
        name = size.dw.details.get("series_instance_uid")
        event_uid = size.dw.details.get("irradiation_event_uid")
        records += [_record(item, name, event_uid, with_details=as_json) for item in (size.dw, dose)]
    _show(records, as_json)


@dosimetry.command()
def mgd(paths: PathsArgument, as_json: JsonOption = False) -> None:
    """Compute mean glandular dose after Dance beside the machine's own, from mammography reports and images.

    Example: dose-audit dosimetry mgd mammograms/
    """
    _exam_quantities(paths, "mean_glandular_dose", "patients' mammograms or their dose reports", as_json)


@dosimetry.command()
def effective(
    paths: PathsArgument,
    factors: Annotated[str, typer.Option(metavar="SET", help="'AAPM 96', 'ICRP 103' or 'NCI ICRP 103'.")] = "AAPM 96",
    allow_unverified: UnverifiedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate effective dose from the DLP of CT reports, for populations and never for one patient's risk.

    Example: dose-audit dosimetry effective --factors "ICRP 103" reports/
    """
    from dose_audit.dosimetry import FACTOR_SETS

    if factors not in FACTOR_SETS:
        raise typer.BadParameter(f"--factors is {factors!r}, expected one of {', '.join(FACTOR_SETS)}")
    options = {"factors": factors, "allow_unverified": allow_unverified}
    _exam_quantities(paths, "effective_dose", "dose reports of patients' CT", as_json, **options)


@dosimetry.command("localiser-calibration")
def localiser_calibration(
    device: Annotated[str, typer.Argument(help="Your name of the scanner.", show_default=False)],
    phantoms: Annotated[
        list[str], typer.Argument(metavar="FILE=MM...", help="Localiser of a water cylinder and its diameter.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Fit a scanner's localiser calibration from localisers of water cylinders of known diameter.

    Example: dose-audit dosimetry localiser-calibration "CT 2" small.dcm=160 large.dcm=320
    """
    from dose_audit.dosimetry import fit_localiser_calibration, read_localiser

    found: list[tuple[Any, float, float]] = []
    voltages = set()
    for text in phantoms:
        path, _, diameter = text.rpartition("=")
        try:
            diameter_mm = float(diameter)
        except ValueError:
            fail(f"{text!r} is not FILE=MM.")
        read = read_localiser(path)
        if isinstance(read, str):
            fail(f"{path}: {read}.")
        pixels, spacing_mm, facts = read
        voltages.add(facts["kvp_kv"])
        found.append((pixels, spacing_mm, diameter_mm))
    if len(voltages) != 1 or None in voltages:
        fail("localisers of one tube voltage belong to one calibration.")
    try:
        calibration = fit_localiser_calibration(device, voltages.pop(), found).as_record()
    except ValueError as error:
        fail(f"{error}.")
    if as_json:
        print_json(calibration)
    else:
        show_table(["Quantity", "Value"], [[key, value] for key, value in calibration.items()], right=("Value",))


def must_exist(path: Path) -> None:
    """End the command where a path leads nowhere."""
    if not path.exists():
        fail(f"{one_line(str(path))}: there is no such file or folder.")


def nothing_given(reason: str, as_json: bool) -> NoReturn:
    """End the command that found nothing to compute: an empty list for programs, one line for people, exit code 1."""
    if as_json:
        print_json([])
    fail(f"nothing to compute: {reason}.")


def what_was_read(exams: Iterable[Any], unread: Iterable[str]) -> str:
    """``2 × exam of CT; 1 × the file is empty``."""
    seen = Counter(_kind(exam) for exam in exams)
    shown = (seen + Counter(unread)).most_common(5)
    return one_line("; ".join(f"{count} × {what}" for what, count in shown) or "no object")


def _kind(exam: Any) -> str:
    """What an exam is, as far as it tells why nothing is computed for it."""
    from dose_audit.dosimetry import exposure_kind

    kind = f"exam of {exam.modality or 'an unknown kind'}"
    if exam.patient.is_phantom:
        return f"{kind}, of a phantom"
    views = (
        {exposure_kind(event) for event in exam.events if event.type == "projection"} if exam.modality == "MG" else ()
    )
    return f"{kind} ({', '.join(sorted(views))})" if views else kind


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        must_exist(path)
        found += sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    return found


def _reported_ct(paths: list[Path]) -> dict[str, tuple[float | None, int | None]]:
    """CTDIvol and phantom of each irradiation event that the given reports and images tell."""
    from dose_audit.extract import read_exams

    phantoms = {"head_16cm": 16, "body_32cm": 32}
    return {
        event.irradiation_event_uid: (event.ctdi_vol_mgy, phantoms.get(event.ctdi_phantom or ""))
        for exam in read_exams([str(path) for path in paths])
        for event in exam.events
        if event.type == "ct" and event.irradiation_event_uid
    }


def _exam_quantities(paths: list[Path], name: str, wanted: str, as_json: bool, **options: Any) -> None:
    from dose_audit.dosimetry import exam_dosimetry
    from dose_audit.extract import read_exams

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
        records = []
        for number, exam in enumerate(exams, 1):
            for item in exam_dosimetry(exam, **options):
                if item.name == name:
                    event_uid = item.details.get("irradiation_event_uid")
                    records.append(_record(item, exam.study_instance_uid, event_uid, with_details=as_json))
            bar(number, len(exams))
    if not records:
        nothing_given(f"{wanted} are needed, and there is {what_was_read(exams, unread)}", as_json)
    _show(records, as_json)


def _record(item: Measured, name: str | None, event_uid: str | None, *, with_details: bool) -> dict[str, Any]:
    record = {"object": name, "irradiation_event_uid": event_uid, **item.as_record()}
    if with_details:
        record["details"] = dict(item.details)
    return record


def _show(records: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(records)
        return
    keys = ("object", "irradiation_event_uid", "name", "value", "uncertainty", "unit", "status", "reason", "method")
    rows = [[_cell(record[key]) for key in keys] for record in records]
    show_table(list(_COLUMNS), rows, right=("Value", "± (k=1)"))


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str) and len(value) > 24 and value.replace(".", "").isdigit():
        return f"…{value[-12:]}"  # the end of a UID tells one from another
    return value or None
