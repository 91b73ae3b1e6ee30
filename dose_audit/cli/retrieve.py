"""`dose-audit retrieve` and `reconcile`: going to fetch, and proving that nothing is missing."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    Progress,
    app,
    print_json,
    settings_for,
    show_table,
)
from dose_audit.cli.dates import a_day

if TYPE_CHECKING:
    from dose_audit.retrieve import Reconciliation, RetrieveSummary

_USUAL_DAYS = 7

ArchiveOption = Annotated[
    str | None,
    typer.Option("--archive", metavar="NAME", help="Which of the settings' archives; the only one by default."),
]
SinceOption = Annotated[
    datetime | None, typer.Option(parser=a_day, metavar="DATE", help="First study date; a week ago by default.")
]
UntilOption = Annotated[
    datetime | None, typer.Option(parser=a_day, metavar="DATE", help="Last study date; yesterday by default.")
]
ModalityOption = Annotated[
    list[str] | None,
    typer.Option(
        "--modality",
        metavar="CODE",
        help="Only this modality; may be given several times. SR: studies of dose reports alone, which nothing else finds.",
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="C-MOVE: listen on this port meanwhile; else the listener that runs is used."),
]


@app.command()
def retrieve(
    archive: ArchiveOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    modality: ModalityOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be fetched and fetch nothing.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Fetch studies, too, that are here or were dealt with.")
    ] = False,
    port: PortOption = None,
    ingest: Annotated[bool, typer.Option("--ingest/--no-ingest", help="Store exams when all is fetched.")] = True,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Fetch dose reports from an archive, and images only where a study has no report. Run again, it goes on.

    Exit code 0: all that was found is fetched, or the archive named no study of these days, which is said. 1: not everything
    could be fetched.

    Example: dose-audit retrieve --archive pacs --since 2026-03-01 --until 2026-03-31 --dry-run
    """
    from dose_audit.ingest.fetching import archive_named, fetch_period
    from dose_audit.ingest.run import run_ingest

    settings = settings_for(home, config)
    first, last = _period(since, until)
    fetching = "planning" if dry_run else "fetching studies"
    with Progress("asking, day by day") as days, Progress(fetching, after=days) as bar:
        summary = fetch_period(
            settings,
            archive_named(settings, archive),
            first,
            last,
            modalities=_codes(modality),
            again=again,
            dry_run=dry_run,
            port=port,
            finding=days,
            progress=bar,
        )
    if ingest and not dry_run and summary.reports + summary.images:
        with Progress("reading objects") as bar:
            run_ingest(settings, progress=lambda now, waiting: bar(now.objects, now.objects + waiting))
    print_json(summary.record()) if as_json else _tell(summary, dry_run)
    if summary.failed or summary.given_up or summary.truncated or summary.stopped:
        raise typer.Exit(1)


@app.command()
def reconcile(
    archive: ArchiveOption = None,
    ris: Annotated[
        Path | None, typer.Option("--ris", metavar="FILE", help="Compare with a list from the RIS (CSV).")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    modality: ModalityOption = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch what is missing, and look again.")] = False,
    port: PortOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Compare what was done, as the archive or the RIS says, with what was received; the nightly report opens with it.

    Exit code 0: nothing is missing, or no study of these days was named, which proves nothing and is said. 3: studies are
    missing, or the archive did not tell everything.

    Example: dose-audit reconcile --archive pacs --since 2026-03-01 --until 2026-03-31 --fetch
    """
    from dose_audit.ingest.fetching import archive_named, fetch_missing, look_at_archive, look_at_ris
    from dose_audit.ingest.run import run_ingest

    settings = settings_for(home, config)

    def look() -> Reconciliation:
        if ris is not None:
            first, last = since and since.date(), until and until.date()
            with Progress("comparing the list"):
                return look_at_ris(settings, ris, since=first, until=last, modalities=_codes(modality)).reconciliation
        with Progress("asking, day by day") as days, Progress("asking for devices", after=days) as bar:
            return look_at_archive(
                settings,
                archive_named(settings, archive),
                *_period(since, until),
                modalities=_codes(modality),
                finding=days,
                progress=bar,
            ).reconciliation

    seen = look()
    fetched = None
    if fetch and seen.missing:
        with Progress("fetching studies") as bar:
            fetched = fetch_missing(settings, archive_named(settings, archive), seen.missing, port=port, progress=bar)
        with Progress("reading objects") as bar:
            run_ingest(settings, progress=lambda now, waiting: bar(now.objects, now.objects + waiting))
        seen = look()
    if as_json:
        print_json(seen.record() | {"fetched": fetched.record() if fetched else None})
    else:
        _tell_completeness(seen)
        if fetched:
            _tell(fetched, dry_run=False)
    if seen.missing or seen.truncated:
        raise typer.Exit(3)


def _period(since: datetime | None, until: datetime | None) -> tuple[date, date]:
    """The days asked for; today is not over yet."""
    last = until.date() if until else max(date.today() - timedelta(days=1), since.date() if since else date.min)
    first = since.date() if since else last - timedelta(days=_USUAL_DAYS - 1)
    if last < first:
        raise typer.BadParameter(f"the period ends on {last}, before it begins on {first}")
    return first, last


def _codes(modalities: list[str] | None) -> tuple[str, ...]:
    return tuple(code.strip().upper() for code in modalities or ())


def _tell(summary: RetrieveSummary, dry_run: bool) -> None:
    if dry_run:
        rows = [
            [
                study.study_instance_uid,
                study.day,
                ", ".join(study.modalities),
                study.station_name,
                one.reports,
                one.images,
            ]
            for one in summary.planned
            for study in (one.study,)
        ]
        show_table(["Study", "Day", "Modalities", "Station", "Reports", "Images"], rows, right=("Reports", "Images"))
    skipped = summary.already_here + summary.done_before + summary.given_up
    print(f"{summary.found} studies found; {skipped} left alone: {summary.already_here} here already, "
          f"{summary.done_before} dealt with before, {summary.given_up} given up after repeated failures.")  # fmt: skip
    if not summary.found:
        print(_NO_STUDY)
    if not dry_run:
        print(f"{summary.fetched} fetched ({summary.reports} reports, {summary.images} images, {summary.bytes / 1e6:.1f} MB), "
              f"{summary.nothing} without anything that tells dose, {summary.failed} failed.")  # fmt: skip
    for uid, reason in summary.failures[:20]:
        print(f"  {uid}: {reason}")
    for day, modality in summary.truncated:
        print(f"  {day}, {modality}: the archive did not tell everything")
    for reason, count in summary.left_out.most_common():
        print(f"  {count} answers left out: {reason}")
    if summary.unasked or summary.other_study:
        print(
            f"  {summary.unasked} objects were sent unasked, {summary.other_study} name another study than the archive did"
        )
    if summary.stopped:
        print(f"Stopped early: {summary.stopped}. Run it again to go on.")


_NO_STUDY = "Studies that hold dose reports alone, without an image, are found by --modality SR."


def _tell_completeness(seen: Reconciliation) -> None:
    rows = [
        [row.station, row.day, row.archived, row.received, row.without_dose, row.missing, f"{row.percent:.1f} %"]
        for row in seen.by_device
    ]
    numbers = ("Done", "Received", "No dose", "Missing", "Complete")
    show_table(["Station", "Day", *numbers], rows, right=numbers)
    if seen.percent is None:
        print(f"{seen.source} named no study of these days: nothing is known of completeness. {_NO_STUDY}")
    else:
        told = f"{seen.received} of {seen.archived} studies, {len(seen.missing)} missing"
        print(f"{seen.percent:.1f} % complete: {told} ({seen.source}).")
    for one in seen.missing[:20]:
        print(f"  {one.day} {one.station}: {one.name}")
    if len(seen.missing) > 20:
        print(f"  and {len(seen.missing) - 20} more; --json lists them")
    for day, modality in seen.truncated:
        print(f"  {day}, {modality}: the archive did not tell everything, completeness may be lower")
