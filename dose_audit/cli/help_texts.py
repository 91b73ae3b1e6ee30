"""Help in plain words: what a person is to type, in place of the names of Python's types."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["App"]

_TYPE = re.compile(r" <([^>]*)>$")
_WORDS = (("int", "NUMBER"), ("float", "NUMBER"), ("%Y", "DATE"), ("file", "FILE"), ("path", "PATH"))


class App(typer.Typer):
    """A group of commands whose help is in plain words."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"cls": _Group} | options))

    def command(self, name: str | None = None, **options: Any) -> Any:
        """As Typer's own."""
        return super().command(name, **({"cls": _Command} | options))


_WHOLE = 200
"""Characters: a first sentence is told to its end, over two lines where it takes them."""


class _Group(TyperGroup):
    def get_short_help_str(self, limit: int = _WHOLE) -> str:
        return super().get_short_help_str(max(limit, _WHOLE))


class _Command(TyperCommand):
    def get_short_help_str(self, limit: int = _WHOLE) -> str:
        return super().get_short_help_str(max(limit, _WHOLE))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = [] if self.options_metavar is None else [self.options_metavar]
        for param in self.get_params(ctx):
            if param.param_type_name == "argument" and not getattr(param, "hidden", False):
                pieces.append(_argument(param) if param.required else f"[{_argument(param)}]")
        return pieces

    def format_options(self, ctx: Any, formatter: Any) -> None:
        records: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            if param.param_type_name == "argument":
                records["Arguments"].append((_argument(param), bounds_in_words(record[1])))
            else:
                records["Options"].append((in_words(record[0]), bounds_in_words(record[1])))
        for title, lines in records.items():
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines)


def in_words(option: str) -> str:
    """An option's names, with a word for what follows them.

    Examples
    --------
    >>> in_words("--port <int range>"), in_words("--since <%Y-%m-%d>"), in_words("--note <str>"), in_words("--json")
    ('--port NUMBER', '--since DATE', '--note TEXT', '--json')
    """
    found = _TYPE.search(option)
    if found is None:
        return option
    word = next((word for part, word in _WORDS if part in found[1]), "TEXT")
    return f"{option[: found.start()]} {word}"


def bounds_in_words(text: str) -> str:
    """A help text, with words for the range that a number must lie in.

    Examples
    --------
    >>> bounds_in_words("Port.  [0<=x<=65535]"), bounds_in_words("How many.  [default: 5; x>=2]")
    ('Port.  [0 to 65535]', 'How many.  [default: 5; at least 2]')
    """
    text = re.sub(r"([-.\d]+)<=x<=([-.\d]+)", lambda found: f"{found[1]} to {found[2]}", text)
    return re.sub(r"x>=([-.\d]+)", r"at least \1", text).replace(f" to {2**63 - 1}", " or more")


def _argument(param: Any) -> str:
    name = (param.metavar or param.name).strip("[].").upper()
    return f"{name}..." if param.nargs != 1 else name
