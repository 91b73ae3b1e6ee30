"""Rows of a CSV that a person made: whatever separator and encoding a spreadsheet gave it, numbered as the spreadsheet does."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator

__all__ = ["NotCsv", "csv_rows"]

MAX_BYTES = 64 << 20


class NotCsv(ValueError):
    """No text of rows, or more of it than anybody writes."""


def csv_rows(
    source: str | os.PathLike[str] | bytes, *, max_bytes: int = MAX_BYTES
) -> Iterator[tuple[int, list[str] | None]]:
    """Rows with something in them, each with its number; the heading comes first.

    Parameters
    ----------
    source : path or bytes
        Comma, semicolon, tabulator or bar between cells, whichever the first line has most of. UTF-8, with or without a
        byte order mark; else the Latin letters of Windows, which spreadsheets there still write.
    max_bytes : int
        Larger ones are refused.

    Yields
    ------
    number : int
        The first row is 1. Empty rows count, as in a spreadsheet; a line break within a cell does not.
    cells : list of str, or None
        None for a row that is no CSV, as one with a cell of more than 131,072 characters.

    Raises
    ------
    NotCsv
        Zero bytes in it, or too large.

    Examples
    --------
    >>> list(csv_rows(b"site;room\\n\\nNorth;1,5\\n"))
    [(1, ['site', 'room']), (3, ['North', '1,5'])]
    """
    text = _text(source, max_bytes)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator(text))
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield number, None
            continue
        if any(cell.strip() for cell in cells):
            yield number, cells


def separator(text: str) -> str:
    """What stands between the cells of the first line."""
    heading = text.lstrip("\r\n").partition("\n")[0]
    return max(",;\t|", key=heading.count)


def _text(source: str | os.PathLike[str] | bytes, max_bytes: int) -> str:
    if isinstance(source, bytes):
        data = source
    else:
        with open(source, "rb") as file:  # noqa: PTH123
            data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise NotCsv(f"a CSV of more than {max_bytes >> 20} MiB")
    if b"\0" in data:
        raise NotCsv("no CSV text: there are zero bytes in it; save it as CSV (UTF-8)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
