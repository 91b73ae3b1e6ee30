"""What all commands share: the application, the options of every command, printing, and errors for people."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from dose_audit.cli.help_texts import App
from dose_audit.cli.streams import OneLineFormatter, guard_streams, unguarded
from dose_audit.sqlite_files import cannot_write, why_not_writable
from dose_audit.texts import counted, escaped, one_line

if TYPE_CHECKING:
    from rich.console import Console

    from dose_audit.config import Settings

__all__ = [
    "ConfigOption",
    "HomeOption",
    "JsonOption",
    "Progress",
    "app",
    "console",
    "counted",
    "fail",
    "group",
    "known_site",
    "nearest",
    "print_json",
    "run",
    "settings_for",
    "show_table",
]

app = App(
    name="dose-audit",
    help="Receive DICOM, extract radiation dose, and audit it against diagnostic reference levels.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", metavar="DIR", help="Where everything is kept; else DOSE_AUDIT_HOME, else the platform's place."
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file; else dose-audit.toml in the home directory."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@dataclass
class _Given:
    """Options before the command's name: ``dose-audit --home DIR audit``."""

    home: Path | None = None
    config: Path | None = None
    in_force: Path | None = None
    """Home directory of the settings that the command loaded last."""


_given = _Given()


class CommandError(Exception):
    """A failure that is told in one line and ends with exit code 1."""


def _version(wanted: bool) -> None:
    if wanted:
        from dose_audit import __version__

        print(f"dose-audit {__version__}")
        raise typer.Exit


@app.callback()
def _before(
    home: HomeOption = None,
    config: ConfigOption = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    _given.home, _given.config = home, config


def group(name: str, text: str) -> App:
    """A group of commands below the application."""
    part = App(name=name, help=text, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(part)
    return part


def settings_for(home: Path | None = None, config: Path | None = None, **overrides: Any) -> Settings:
    """Settings in force for a command: its own options, those before its name, the file, the environment."""
    from dose_audit.config import load_settings

    settings = load_settings(home=home or _given.home, config=config or _given.config, **overrides)
    _given.in_force = settings.home
    return settings


_INTERRUPTED = 130  # as shells say it: 128 and the number of the signal


def run() -> int:
    """Run the program and return its exit code."""
    guard_streams()
    # `kill`, `timeout` and a supervisor ask politely: what is in hand is handed back, as after Ctrl-C. `listen` has its own way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        outcome = app(standalone_mode=False)
        if outcome == _INTERRUPTED:  # Typer makes this of an interruption within a command
            raise KeyboardInterrupt
        return outcome if isinstance(outcome, int) else 0
    except typer.Exit as ending:
        return int(ending.exit_code)
    except KeyboardInterrupt:
        print("dose-audit: stopped. What has reached the store is kept; run it again for the rest.", file=sys.stderr)
        return _INTERRUPTED
    except typer.Abort:
        return 1
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing is wrong, and nothing more may be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # no command was named: the message is the help
            print(error, file=sys.stderr)
            return 2
        if hasattr(error, "format_message"):  # wrong usage, told in the parser's own words
            print(f"dose-audit: {error.format_message()}  (--help shows how)", file=sys.stderr)
            return int(getattr(error, "exit_code", 2))
        if _is_for_people(error):
            print(f"dose-audit: {_told(error)}", file=sys.stderr)
            return 1
        raise


def _told(error: Exception) -> str:
    """An error in a line: what it is about, what is wrong, and where it helps what to do."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{one_line(os.fsdecode(error.filename))}: {error.strerror}"
    if _names(error) & {"SpoolError"} and _given.in_force is not None:
        why = _why_not(_given.in_force) or f"is {_given.in_force} a folder that may be written to?"
        return f"{error}: {why} `dose-audit doctor` looks it over"
    if _names(error) & _DATABASE or type(error).__name__ == "DatabaseError":
        why = _why_not(_given.in_force) if cannot_write(error.__cause__) else ""
        said = f"the store cannot be used ({str(error).strip()})"
        return f"{said}{f': {why}' if why else ';'} `dose-audit doctor` says where it is and what it lacks"
    return str(error)


def _why_not(home: Path | None) -> str:
    """A sentence on why nothing can be written into a home; empty where it can."""
    why = "" if home is None else why_not_writable(home)
    return f"{home} {why}." if why else ""


def _is_for_people(error: Exception) -> bool:
    """Whether an error's text was written for whoever runs the program; all else is a bug and keeps its traceback."""
    from dose_audit.config import SettingsError

    people = {"ReceiveError", "FrozenRunError", "AuditInputError", "MappingError", "ReadError"} | _DATABASE
    people |= {"IngestError", "DefinitionError", "RoleError"}
    # A file that is no database, or a broken one, is the plain DatabaseError; its other kinds are bugs.
    broken = type(error).__name__ == "DatabaseError"
    return isinstance(error, CommandError | SettingsError | OSError) or broken or bool(_names(error) & people)


_DATABASE = {"OperationalError"}
"""Locked, read-only or out of reach."""


def _names(error: Exception) -> set[str]:
    """Names of an error's class and of what it derives from: known without importing them."""
    return {base.__name__ for base in type(error).__mro__}


def fail(message: str) -> NoReturn:
    """End the command with exit code 1 and one line on standard error."""
    raise CommandError(message)


def nearest(word: str, known: Iterable[str]) -> str:
    """A question after the known word that is most like a wrong one; nothing where none is.

    Examples
    --------
    >>> nearest("catphn504", ["acr464", "catphan504"]), nearest("x", ["acr464"])
    (" Did you mean 'catphan504'?", '')
    """
    from difflib import get_close_matches

    found = get_close_matches(word, list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


def known_site(name: str) -> str:
    """A site's name as somebody typed it, once the store knows it; ends the command where it does not."""
    from dose_audit.store.models import Site

    names = list(Site.objects.order_by("name").values_list("name", flat=True))
    if name not in names:
        fail(f"no site {name!r} in the store; there are: {', '.join(names) or 'none'}.{nearest(name, names)}")
    return name


def console(*, errors: bool = False) -> Console:
    """A terminal that wraps nothing when its output is not a terminal."""
    from rich.console import Console

    stream = unguarded(sys.stderr if errors else sys.stdout)
    wide = None if stream.isatty() else 200
    return Console(file=stream, stderr=errors, width=wide, highlight=False, soft_wrap=not stream.isatty())


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print one JSON value, readable and without NaN; with escapes for what a terminal would obey, and for all that is
    not ASCII where the output is not UTF-8.
    """
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    print(escaped(json.dumps(value, indent=indent, ensure_ascii=plain, allow_nan=False, default=str)))


def show_table(
    columns: list[str],
    rows: list[list[Any]],
    *,
    title: str | None = None,
    right: tuple[str, ...] = (),
    whole: tuple[str, ...] = (),
) -> None:
    """Print a table; a cell is clean text on one line, cut where it is endless.

    Parameters
    ----------
    right : tuple of str
        Columns of numbers.
    whole : tuple of str
        Columns of what other commands take: never broken over lines.
    """
    from rich.table import Table
    from rich.text import Text

    heading = None if title is None else Text(_cell(title))
    table = Table(title=heading, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column in whole)
    for row in rows:
        # As plain text: what a file or a sender says is never read as markup.
        table.add_row(*(Text(_cell(cell)) for cell in row))
    console().print(table)


_LONGEST_CELL = 2000


def _cell(value: Any) -> str:
    text = "–" if value is None else one_line(str(value))
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


LINE_EVERY_S = 10.0
"""Seconds between lines of progress where no terminal shows a bar."""


class Progress:
    """How far a command is, on standard error: a bar on a terminal, else a plain line every `LINE_EVERY_S` seconds.

    Parameters
    ----------
    label : str
        What is being done.
    after : Progress, optional
        The step before this one within the same call: this one begins, and that one ends, when it first moves.

    Notes
    -----
    Lines come from a thread of their own, so that a step which takes minutes without a word is seen to go on.
    """

    def __init__(self, label: str, *, after: Progress | None = None) -> None:
        self._label, self._after = label, after
        self._done: tuple[int, int | None] | None = None
        self._began: float | None = None
        self._ended = threading.Event()
        self._bars: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if self._after is None:
            self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, done: int, total: int | None = None) -> None:
        """Say that ``done`` of ``total`` are done."""
        if self._began is None:
            self._begin()
        self._done = (done, total)
        if self._bars is not None:
            self._bars.update(self._task, completed=done, total=total)

    def _begin(self) -> None:
        if self._after is not None:
            self._after._end()
        self._began = time.monotonic()
        if sys.stderr.isatty():
            self._bars = _bars()
            self._task = self._bars.add_task(self._label, total=None)
            self._bars.start()
        else:
            threading.Thread(target=self._tell, daemon=True, name="progress").start()

    def _end(self) -> None:
        self._ended.set()
        if self._bars is not None:
            self._bars.stop()

    def _tell(self) -> None:
        while not self._ended.wait(LINE_EVERY_S):
            print(self._line(), file=sys.stderr, flush=True)

    def _line(self) -> str:
        seconds = time.monotonic() - (self._began or 0.0)
        if self._done is None:
            return f"{self._label}: going on for {seconds:.0f} s"
        done, total = self._done
        return f"{self._label}: {done}{'' if total is None else f' of {total}'} after {seconds:.0f} s"


def _bars() -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(errors=True),
        redirect_stdout=False,  # results go where they were sent, never to the terminal of the bar
    )


@contextmanager
def logging_to(path: Path | None, level: int = logging.INFO) -> Iterator[None]:
    """Log to standard error, and to a rotating file when one is given."""
    from logging.handlers import RotatingFileHandler

    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(RotatingFileHandler(path, maxBytes=10_000_000, backupCount=5, encoding="utf-8"))
    root = logging.getLogger()
    form = OneLineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    for handler in handlers:
        handler.setFormatter(form)
        root.addHandler(handler)
    root.setLevel(level)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
