"""`dose-audit run`: the frozen runs of the audit, whether they are still what was frozen, and who vouches for them."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dose_audit.cli.common import (
    ConfigOption,
    HomeOption,
    JsonOption,
    Progress,
    fail,
    group,
    print_json,
    settings_for,
    show_table,
)
from dose_audit.cli.reading import settings_to_read
from dose_audit.texts import named_role

if TYPE_CHECKING:
    from dose_audit.audit.signing import SignedRun
    from dose_audit.config import Settings

part = group("run", "Frozen runs of the audit: list, verify, sign.")

RunArgument = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="Which run, or the folder it is in; the latest by default.")
]
_ENDED = {None: "", 0: "nothing to act on", 3: "findings open"}


@part.command("list")
def list_runs(as_json: JsonOption = False, home: HomeOption = None, config: ConfigOption = None) -> None:
    """List the runs, the latest first, and who has signed each; then those that were begun and not finished.

    Example: dose-audit run list
    """
    from dose_audit.audit.runs import UNFINISHED, unfinished_runs
    from dose_audit.audit.signing import signed_runs

    settings = settings_to_read(home, config)
    runs = signed_runs(settings.reports_dir)
    known = {run.run_id for run in runs}
    unfinished = [path.name for path in reversed(unfinished_runs(settings.reports_dir)) if path.name not in known]
    if as_json:
        print_json([_plain(run) for run in runs] + [{"run": name, "unfinished": UNFINISHED} for name in unfinished])
        return
    rows = [
        [
            run.run_id,
            f"{run.since or '…'} to {run.until or '…'}",
            _ENDED.get(run.exit_code, f"exit code {run.exit_code}"),
            "; ".join(f"{one['by']}, {one['at'][:10]}" for one in run.signatures) or "nobody",
            "" if run.folder else "not here",
        ]
        for run in runs
    ]
    rows += [[name, None, "not finished", "nobody", "incomplete"] for name in unfinished]
    show_table(["Run", "Period", "Ended with", "Signed by", "Files"], rows, whole=("Run",))
    if unfinished:
        print(f"not finished: {UNFINISHED}.", file=sys.stderr)


@part.command()
def verify(
    run: RunArgument = None,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Draw its pages and tables too, and compare them byte for byte.")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Say whether a run is still what was frozen and signed; exit code 1 where it is not.

    Example: dose-audit run verify 20260701T020000-abababab --redraw
    """
    from dose_audit.audit.signing import unsound

    settings, folder = _run_of(run, settings_to_read(home, config))
    problems = unsound(folder)
    if redraw and not problems:
        from dose_audit.report.again import not_the_same

        with Progress("drawing again"):
            problems = not_the_same(folder, kept_in=settings.cache_dir)
    if as_json:
        print_json({"run": folder.name, "folder": str(folder), "sound": not problems, "problems": problems})
    elif problems:
        fail(f"{folder}: {' '.join(problems)}")
    else:
        print(f"{folder.name}: as it was frozen{' and drawn' if redraw else ''}.")
    raise typer.Exit(1 if problems else 0)


@part.command()
def sign(
    run: RunArgument = None,
    by: Annotated[str, typer.Option("--by", metavar="ROLE", help="Who vouches for it, by role.")] = "",
    statement: Annotated[str, typer.Option(metavar="TEXT", help="What is said of the run.")] = "",
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Vouch for a run as it is now. It is verified first; what was signed, when and in what words is kept for good.

    Example: dose-audit run sign --by "MPE, North" --statement "Accepted; chest CT of SCT1 goes to the optimisation group"
    """
    from dose_audit.audit.signing import sign_run

    if not by.strip() or not statement.strip():
        raise typer.BadParameter("a run is signed by somebody, with a statement: give --by and --statement")
    named_role(by)
    from dose_audit.store.settings import prepare

    settings = settings_for(home, config)
    prepare(settings)
    _, folder = _run_of(run, settings)
    try:
        signed = sign_run(folder, by=by, statement=statement)
    except ValueError as error:
        fail(str(error))
    last = signed.signatures[-1]
    print(f"{signed.run_id}: signed by {last['by']}, {last['at']}, over the seal {last['seal_sha256']}.")


def _run_of(run: str | None, settings: Settings) -> tuple[Settings, Path]:
    """The settings, and the folder of the run that is meant."""
    from dose_audit.audit.runs import find_run

    try:
        return settings, find_run(settings.reports_dir, run)
    except FileNotFoundError as error:
        fail(str(error))


def _plain(run: SignedRun) -> dict[str, Any]:
    """The run as JSON has it."""
    told = asdict(run)
    for name in ("since", "until", "folder"):
        told[name] = None if told[name] is None else str(told[name])
    return {"run": told.pop("run_id"), **told, "made_at": run.made_at.isoformat(timespec="seconds")}
