"""`dose-audit demo`: a made-up network, from its DICOM to its report, on this machine."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dose_audit.cli.common import HomeOption, Progress, app, counted, fail, settings_for

if TYPE_CHECKING:
    from dose_audit.config import Settings


@app.command()
def demo(
    home: HomeOption = None,
    scale: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="A smaller network: 0.2 makes a fifth of the exams.")
    ] = 1.0,
    keep_dicom: Annotated[
        bool, typer.Option("--keep-dicom/--no-keep-dicom", help="Keep the DICOM that was made.")
    ] = True,
) -> None:
    """Make a network's DICOM, send and scan it, run the audit, and say where the report is.

    Example: dose-audit demo --home demo-home
    """
    import shutil
    import tempfile

    from dose_audit.cli.audit import audit_and_report
    from dose_audit.demo import phantoms, run
    from dose_audit.demo.planted import PERIOD

    home = settings_for(home or Path("demo-home")).home
    run.write_settings(home)
    settings = settings_for(home)
    dicom = settings.home / "dicom" if keep_dicom else Path(tempfile.mkdtemp(prefix="dose-audit-demo-"))
    sites, devices = run.network_size()
    print(f"A made-up network of {sites} sites and {devices} devices, under {settings.home}", flush=True)
    try:
        with Progress("making DICOM") as bar:
            files = run.write_network(dicom, scale=scale, progress=bar)
        with Progress("making phantom images") as bar:
            images = phantoms.write_phantoms(dicom / "phantoms", bar)
        run.install_tables(settings, files)
        with Progress("receiving") as bar:
            result = run.receive_network(settings, files, lambda _text, done, total: bar(done, total))
        with Progress("measuring phantoms") as bar:
            measured = phantoms.measure_phantoms(settings, images, bar)
        night = datetime(PERIOD[1].year, PERIOD[1].month, PERIOD[1].day, 23, 30)
        outcome, report = audit_and_report(
            settings, since=datetime.combine(PERIOD[0], night.time()), until=night, now=night
        )
    except run.SendError as error:
        fail(str(error))
    finally:
        if not keep_dicom:
            shutil.rmtree(dicom, ignore_errors=True)
    sent, scanned = sum(result.sent.values()), sum(result.scanned.values())
    print(
        f"\n{files.exam_count} exams in {files.object_count} objects: {sent} over C-STORE, {scanned} from a folder and a zip; "
        f"{result.repeated} of them had come before, byte for byte."
    )
    print(_became(settings))
    print(f"{measured} phantom runs measured; pages and pictures under {settings.phantoms_dir}")
    planted = f"what was planted, and what should be found, is in {files.truth_json}" if keep_dicom else "as planted"
    print(f"The audit raised {outcome.findings_new} findings; {planted}\n")
    print(f"Report    {report.html}")
    print(f"Workbook  {report.xlsx}")
    print(f"Data      {report.json}")
    where = f"--home {settings.home}"
    me = sys.argv[0] if sys.argv[0].endswith("dose-audit") else "dose-audit"
    print("\nTry next:")
    if keep_dicom:
        print(f"  {me} extract {_sample(dicom)}")
    print(f"  {me} finding list {where}")
    print(f"  {me} report {where}    # the same run, drawn again, byte for byte")
    print(f"  {me} phantom trend {where}")
    print(f"  {me} listen {where}    # then send to {settings.aet} at {settings.host}:{settings.port}")


def _became(settings: Settings) -> str:
    """How many exams the objects have become, and how many objects no reader can read."""
    from dose_audit.ingest import open_spool
    from dose_audit.store.models import Exam

    with open_spool(settings) as spool:
        refused = spool.counts()["quarantined"]
    exams = counted(Exam.objects.count(), "exam")
    return f"{exams} stored; {counted(refused, 'object')} unreadable, kept in quarantine."


def _sample(folder: Path) -> Path:
    """Some object of the demonstration, to look at."""
    return next((path for path in sorted(folder.rglob("*.dcm"))), folder)
