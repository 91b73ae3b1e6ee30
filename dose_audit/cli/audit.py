"""`dose-audit audit` and `dose-audit report`: the nightly audit, and an earlier one drawn again."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    Progress,
    app,
    counted,
    fail,
    print_json,
    settings_for,
)
from dose_audit.cli.dates import a_day

if TYPE_CHECKING:
    from dose_audit.audit.runs import AuditOutcome
    from dose_audit.config import Settings
    from dose_audit.report import ReportFiles

OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where the report goes; else into the home directory.")
]


_AT_WORK_S = 600.0
"""For so long after its last change a run without its end may be another audit's at work."""


@app.command()
def audit(
    since: Annotated[datetime | None, typer.Option(parser=a_day, metavar="DATE", help="First study date.")] = None,
    until: Annotated[datetime | None, typer.Option(parser=a_day, metavar="DATE", help="Last study date.")] = None,
    view: Annotated[
        str | None,
        typer.Option(help="then: levels in force on the study date. now: on the day of the run, or --drl-on."),
    ] = None,
    drl_on: Annotated[
        datetime | None, typer.Option("--drl-on", parser=a_day, metavar="DATE", help="The date that `now` means.")
    ] = None,
    mail: Annotated[bool, typer.Option("--mail", help="Send the digest to the roles of [mail].")] = False,
    out: OutOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Read what was received, compare doses with reference levels, raise findings, and write the report.

    Exit code 0: nothing to act on. 3: a finding to act on or to check is open, of doses, devices, phantoms or coverage,
    or exams came in and none of them could be compared. Notes and acknowledged findings leave it at 0. 1: it failed, or nothing
    is to be acted on but a digest could not be delivered.

    Example: dose-audit audit --since 2026-01-01 --until 2026-06-30
    """
    if since and until and until < since:
        raise typer.BadParameter(f"the period ends on {until:%Y-%m-%d}, before it begins on {since:%Y-%m-%d}")
    if view not in (None, "then", "now"):
        raise typer.BadParameter(f"--view is {view!r}, expected then or now")
    from dose_audit.audit.runs import UNFINISHED, mark_unfinished

    settings = settings_for(home, config)
    on = drl_on.date() if drl_on else None
    for folder in mark_unfinished(settings.reports_dir, before=time.time() - _AT_WORK_S):
        print(f"{folder.name} is not finished: {UNFINISHED}.", file=sys.stderr)
    outcome, files = audit_and_report(
        settings, since=since, until=until, out=out, view=view or ("now" if on else None), drl_on=on
    )
    if as_json:
        print_json(
            {
                "run": outcome.run_id,
                "findings_new": outcome.findings_new,
                "exit_code": outcome.exit_code,
                "nothing_compared": outcome.nothing_compared or None,
                "exams": dict(outcome.exams),
                "html": str(files.html),
                "xlsx": str(files.xlsx),
                "json": str(files.json),
            }
        )
    else:
        _tell(outcome, files)
    if mail:
        from dose_audit.audit.mail import send_digests

        deliveries = send_digests(settings, outcome.run_dir)
        for delivery in deliveries:
            print(delivery, file=sys.stderr)
        if any(delivery.state == "failed" for delivery in deliveries):
            raise typer.Exit(outcome.exit_code or 1)
    raise typer.Exit(outcome.exit_code)


@app.command()
def report(
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Which run, or its folder; the latest by default.")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="The same, as an option.")] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="LIST", help="Of html, pdf, xlsx, json, csv, board; commas between.")
    ] = "html,xlsx,json",
    share: Annotated[
        bool, typer.Option("--share", help="What sites may show each other: no devices, small numbers hidden.")
    ] = False,
    name_sites: Annotated[bool, typer.Option("--name-sites", help="With --share: names instead of letters.")] = False,
    smallest: Annotated[
        int, typer.Option("--smallest", min=2, help="Smallest count shown to sites and boards.", show_default=True)
    ] = 5,
    out: OutOption = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Draw the report of a frozen run again: the same inputs, the same bytes, from the version that made the run.

    Another version draws it too, and says so on every page.

    Example: dose-audit report 20260701T020000-abababab --format html,pdf,board --out /tmp/again
    """
    from dose_audit.audit.runs import find_run
    from dose_audit.report import FORMATS, FrozenRunError, render_run, share_run

    if run_id and run and run_id != run:
        raise typer.BadParameter(f"the run is named twice: {run_id} and {run}")
    wanted = [name.strip() for name in formats.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise typer.BadParameter(f"--format is {formats!r}, expected some of {', '.join(FORMATS)}")
    if share and wanted == ["board"]:
        raise typer.BadParameter("the page for boards is about all sites together: it is drawn without --share")
    settings = settings_for(home, config)
    try:
        folder = find_run(settings.reports_dir, run_id or run)
        if share:
            from dose_audit.report.shared_before import overlapping_shares

            with Progress("drawing"):
                place, not_made = share_run(folder, out, formats=wanted, smallest=smallest, name_sites=name_sites)
            print(place)
            for sentence in overlapping_shares(settings.reports_dir, folder):
                print(sentence, file=sys.stderr)
        else:
            with Progress("drawing"):
                files = render_run(folder, out, formats=wanted, smallest=smallest, kept_in=settings.cache_dir)
            not_made = files.not_made
            if files.stamp:
                print(files.stamp, file=sys.stderr)
            for path in files.made(wanted):
                print(path)
    except (FileNotFoundError, FrozenRunError) as error:
        fail(str(error))
    if not_made:
        print(not_made, file=sys.stderr)


def audit_and_report(
    settings: Settings,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    out: Path | None = None,
    **more: Any,
) -> tuple[AuditOutcome, ReportFiles]:
    """Ingest what is pending, run the audit and draw its report, with a bar for each."""
    from dose_audit.audit import run_audit
    from dose_audit.ingest import run_ingest
    from dose_audit.report import render_run

    with Progress("reading objects") as bar:
        run_ingest(settings, progress=lambda now, waiting: bar(now.objects, now.objects + waiting))
    with Progress("auditing") as bar:
        outcome = run_audit(
            settings,
            since=since.date() if since else None,
            until=until.date() if until else None,
            out=out,
            progress=lambda text, fraction: bar(round(100 * fraction), 100),
            **more,
        )
    with Progress("drawing the report"):
        files = render_run(outcome.run_dir, kept_in=settings.cache_dir)
    return outcome, files


def _tell(outcome: AuditOutcome, files: ReportFiles) -> None:
    for one in outcome.levels_not_used:
        print(
            f"dose-audit: reference levels not used: {one}. `dose-audit drl check` names every fault", file=sys.stderr
        )
    new = outcome.findings_new
    if new:
        words = counted(new, "new finding")
    elif outcome.nothing_compared:
        words = ""
    else:
        words = "nothing to act on" if outcome.exit_code == 0 else "nothing new, earlier findings stand open"
    told = "; ".join(filter(None, (words, outcome.nothing_compared.rstrip(".") or outcome.coverage)))
    print(f"Run {outcome.run_id}: {told}.")
    print(f"Report   {files.html}")
    print(f"Workbook {files.xlsx}")
    print(f"Data     {files.json}")
