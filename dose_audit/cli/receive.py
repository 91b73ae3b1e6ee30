"""`dose-audit scan`, `listen`, `status`, `quarantine`: the ways in, and what became of what came."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
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
    group,
    logging_to,
    print_json,
    settings_for,
    show_table,
)
from dose_audit.cli.reading import spool_to_read
from dose_audit.texts import clean, one_line

if TYPE_CHECKING:
    from dose_audit.config import Settings
    from dose_audit.ingest import IngestSummary, PhantomSummary
    from dose_audit.receive.scanner import ScanSummary

quarantine = group("quarantine", "Objects that could not be read: list them, read them again.")


@app.command()
def scan(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, folders or zip archives.", show_default=False)
    ],
    site: Annotated[str | None, typer.Option("--site", metavar="NAME", help="Where these exams were made.")] = None,
    phantom: Annotated[bool, typer.Option("--phantom", help="These are phantom images: measure them.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Read dose objects in place and store their exams. A second scan of the same tree changes nothing.

    Images that a routing rule sends to phantom analysis are measured, and with --phantom all of them. Exit code 1: something
    could not be opened, or none of it is DICOM.

    Example: dose-audit scan /media/archive --site "North Hospital"
    """
    from dose_audit.ingest import IngestError, PhantomSummary, run_ingest, run_phantoms, scan_paths
    from dose_audit.report.phantom_page import phantom_page

    missing = [path for path in paths if not path.exists()]
    if missing:
        raise typer.BadParameter(f"no such file or folder: {missing[0]}")
    settings = settings_for(home, config)
    with Progress("scanning") as bar:
        summary = scan_paths(
            settings,
            paths,
            site=clean(site or "") or settings.default_site,
            phantom=phantom,
            progress=lambda now: bar(now.files),
        )
    with Progress("reading objects") as bar:
        ingested = run_ingest(settings, progress=lambda now, waiting: bar(now.objects, now.objects + waiting))
    waits = ""
    try:
        with Progress("measuring phantoms") as bar:
            measured = run_phantoms(settings, page=phantom_page, progress=lambda now: bar(now.studies))
    except IngestError as error:  # what was read before it is told all the same
        measured, waits = PhantomSummary(), str(error)
    for place, reason in summary.unreadable:
        print(one_line(f"{place}: {reason}"), file=sys.stderr)
    if more := summary.unreadable_count - len(summary.unreadable):
        print(f"and {more} more like these, which are counted and not listed", file=sys.stderr)
    record = {
        "files": summary.files,
        "members": summary.members,
        "archives": summary.archives,
        "dicom": summary.dicom,
        "registered": summary.registered,
        "duplicates": summary.duplicates,
        "conflicts": summary.conflicts,
        "not_relevant": dict(summary.not_relevant),
        "unreadable": summary.unreadable_count - summary.apart,
        "unread_folders_and_archives": summary.apart,
        "stored": dict(ingested.by_state + measured.by_state),
        "phantoms": dict(measured.phantoms),
        "changed": summary.changed,
    }
    if as_json:
        print_json(record)
    else:
        print(_told_scan(summary))
        for reason, count in summary.not_relevant.most_common():
            print(f"  {count} × {reason}")
        # What an interrupted scan had found waits in the spool: it is read now though nothing in the folder is new.
        read = summary.changed or ingested.objects
        if summary.registered and not ingested.objects and not measured.objects:
            print("The new ones are read by another program on this store, such as a listener: dose-audit status")
        else:
            print(_told(ingested) if read else "Nothing new: the store is as it was.")
        if held := _being_read(settings):
            print(f"{counted(held, 'object')} of this spool are held by another program that is reading them.")
        if measured.studies:
            print(_told_phantoms(measured, settings))
    if waits:
        fail(waits)
    if summary.closed:
        print(
            f"{counted(summary.closed, 'file or folder', 'files and folders')} could not be opened: see above.",
            file=sys.stderr,
        )
        raise typer.Exit(1)
    if not summary.dicom and summary.unreadable_count:
        raise typer.Exit(1)


def _told_scan(summary: ScanSummary) -> str:
    """What a scan met: every file and every member of an archive in exactly one of the counts."""
    met = counted(summary.files - summary.members, "file")
    if summary.archives:
        met += f" and {counted(summary.members, 'member')} of {counted(summary.archives, 'zip archive')}"
    told = (
        f"{met}, {summary.dicom} of them DICOM: {summary.registered} new, {summary.duplicates} known before, "
        f"{summary.conflicts} with the identity of another, {sum(summary.not_relevant.values())} without dose, "
        f"{summary.unreadable_count - summary.apart} unreadable."
    )
    if summary.apart:
        places = counted(summary.apart, "folder or archive", "folders and archives")
        told += f"\n{places} could not be read, or not to the end: what else is there is in no count."
    return told


def _being_read(settings: Settings) -> int:
    from dose_audit.ingest import open_spool

    with open_spool(settings) as spool:
        return spool.counts()["in_work"]


@app.command()
def listen(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
    aet: Annotated[str | None, typer.Option(help="Our AE title.")] = None,
    ingest: Annotated[bool, typer.Option("--ingest/--no-ingest", help="Store exams as objects arrive.")] = True,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Take objects by C-STORE until told to stop; each is safe on disk before its sender is told so.

    Images that a routing rule sends to phantom analysis are measured when their sender has finished.

    Example: dose-audit listen --host 0.0.0.0 --port 11112 --aet DOSEAUDIT
    """
    from dose_audit.ingest import listener_settings, open_spool
    from dose_audit.receive.listener import Listener
    from dose_audit.store.settings import prepare

    settings = settings_for(home, config, host=host, port=port, aet=aet)
    prepare(settings)
    with logging_to(settings.logs_dir / "listen.log"), open_spool(settings) as spool:
        listener = Listener(listener_settings(settings), spool)
        listener.start()
        print(f"Listening as {settings.aet} on {settings.host}:{listener.port}; Ctrl-C stops.", flush=True)
        done = threading.Event()
        work = [_ingest] if ingest else []
        if ingest and any(route.to == "phantom" for route in settings.routes):
            work.append(_measure)
        threads = [threading.Thread(target=_keep_on, args=(one, settings, done)) for one in work]
        for thread in threads:
            thread.start()
        try:
            listener.serve_forever()
        finally:
            done.set()
            for thread in threads:
                thread.join()


AGAIN_S = 30.0
"""After which ingest begins again where it could not go on."""


def _ingest(settings: Settings, done: threading.Event) -> None:
    from dose_audit.ingest import run_ingest

    run_ingest(settings, once=False, stop=done.is_set)


def _measure(settings: Settings, done: threading.Event) -> None:
    from dose_audit.ingest import run_phantoms
    from dose_audit.report.phantom_page import phantom_page

    run_phantoms(settings, once=False, stop=done.is_set, page=phantom_page)


def _keep_on(work: Callable[[Settings, threading.Event], None], settings: Settings, done: threading.Event) -> None:
    """Store what arrives until told to stop; after a failure wait and go on, for the objects are safe in the spool."""
    import logging

    from django.db import connections

    from dose_audit.ingest import IngestError
    from dose_audit.store.places import where

    while not done.is_set():
        try:
            work(settings, done)
        except Exception as error:  # noqa: BLE001  a listener that takes objects and reads none would look sound
            said = error if isinstance(error, IngestError) else where(error)
            logging.getLogger(__name__).error(
                "ingest stopped (%s); objects wait in the spool, trying again in %g s", said, AGAIN_S
            )
            done.wait(AGAIN_S)
    connections.close_all()  # this thread's own


@app.command()
def status(as_json: JsonOption = False, home: HomeOption = None, config: ConfigOption = None) -> None:
    """Show the spool: what waits, what became of the rest, the last object of each sender, free disk.

    Example: dose-audit status
    """
    from dose_audit.receive.metrics import spool_status

    with spool_to_read(home, config) as spool:
        state = spool_status(spool)
    if as_json:
        print_json(state)
        return
    _show_status(state)


_FATES = {
    "received": "received",
    "pending": "wait to be read",
    "phantom": "wait for phantom analysis",
    "in_work": "are being read",
    "extracted": "read, their dose stored",
    "measured": "phantom images, measured",
    "duplicate": "had come before, the same bytes",
    "superseded": "told by another object of their study",
    "conflict": "replaced by another of the same SOP Instance UID",
    "not_relevant": "without dose",
    "quarantined": "in quarantine",
}
"""What became of objects, in the words of `status`."""


_REFUSALS = {
    "called AE title": "called another AE title than ours",
    "caller": "admitted by no row of [[callers]]",
    "address": "from an address that no row of [[callers]] names",
    "out of resources": "for want of room or a store that could not be written",
}
"""Why senders were refused, in the words of `status`."""


def _size(count: int) -> str:
    """Bytes in the unit that a person would choose.

    Examples
    --------
    >>> _size(77_824), _size(48_300_000), _size(2_500_000_000)
    ('78 kB', '48 MB', '2.5 GB')
    """
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


_NEARLY = 4
"""Times the least free space, from which on `status` and `doctor` warn."""


def _show_status(state: dict[str, Any]) -> None:
    fates = [[_FATES.get(name, name), number] for name, number in state["counts"].items() if number]
    show_table(["Objects", "Number"], fates or [["received", 0]], right=("Number",))
    print("\nIn the last " + ", ".join(f"{span}: {number}" for span, number in state["received_last"].items()))
    if state["sources"]:
        cells = [[row[name] for name in ("source", "objects", "duplicates", "last_at")] for row in state["sources"]]
        print()
        show_table(["Sender", "Kept", "Had come before", "Last"], cells, right=("Kept", "Had come before"))
    free, floor = state["free_bytes"], state["min_free_bytes"]
    print(f"\nKept in the spool: {_size(state['kept_bytes'])}")
    print(f"Free disk: {_size(free)}; below {_size(floor)} objects are refused")
    if free < _NEARLY * floor:
        now = "is below that: senders are refused, and send again later" if free < floor else "will soon be so little"
        print(f"Make room, or give the home a larger disk: free space {now}.", file=sys.stderr)
    for name, title in (("drops", "Dropped by a rule"), ("refusals", "Refused")):
        told = ", ".join(one_line(f"{_REFUSALS.get(key, key)} {number}") for key, number in state[name].items())
        print(f"{title}: {told or 'none'}")


@quarantine.command("list")
def list_quarantine(as_json: JsonOption = False, home: HomeOption = None, config: ConfigOption = None) -> None:
    """List quarantined objects with the reason of each.

    Example: dose-audit quarantine list
    """
    with spool_to_read(home, config) as spool:
        rows = [
            {
                "id": item.id,
                "received": item.received_at.isoformat(),
                "source": item.source,
                "size": item.size,
                "reason": reason,
            }
            for item, reason in spool.quarantined()
        ]
    if as_json:
        print_json(rows)
    else:
        show_table(
            ["Id", "Received", "Source", "Bytes", "Reason"], [list(row.values()) for row in rows], right=("Bytes",)
        )


@quarantine.command()
def retry(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID...]", min=1, max=2**63 - 1, help="Which ones; all by default.")
    ] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Read quarantined objects again, after an upgrade that reads more.

    Example: dose-audit quarantine retry
    """
    from dose_audit.ingest import open_spool, reprocess

    settings = settings_for(home, config)
    if ids:
        with open_spool(settings) as spool:
            unknown = [number for number in ids if spool.get(number) is None]
        if unknown:
            fail(f"no object has the number {unknown[0]}; dose-audit quarantine list shows them")
    with Progress("reading objects") as bar:
        summary = reprocess(settings, ids=ids, progress=lambda now, waiting: bar(now.objects, now.objects + waiting))
    print(_told(summary))


def _told(summary: IngestSummary) -> str:
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in summary.by_state.most_common())
    lines = [f"{counted(summary.objects, 'object')} read: {states or 'none'}, in {summary.seconds:.1f} s."]
    lines += [one_line(f"  {count} × {reason}") for reason, count in summary.reasons.most_common()]
    lines += [
        f"  {counted(count, 'object')} settled before, {state.replace('_', ' ')} since what came after"
        for state, count in summary.moved.most_common()
    ]
    return "\n".join(lines)


def _told_phantoms(summary: PhantomSummary, settings: Settings) -> str:
    results = counted(summary.analyses, "new phantom result")
    lines = [f"{results} from {counted(summary.objects, 'image')}, in {summary.seconds:.1f} s."]
    lines += [f"  {count} × {text}" for text, count in summary.phantoms.most_common()]
    lines += [one_line(f"  {count} × {reason}") for reason, count in summary.reasons.most_common()]
    if summary.analyses:
        lines.append(f"Pages and pictures: {settings.phantoms_dir}")
    return "\n".join(lines)
