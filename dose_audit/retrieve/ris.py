"""Reads a list of examinations that a RIS exported as CSV: what was done, without a word about whom."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TextIO

from dose_audit.receive.errors import ReceiveError
from dose_audit.retrieve.entries import as_text, known_uid

__all__ = ["COLUMNS", "RisError", "RisRow", "read_ris"]

COLUMNS: dict[str, frozenset[str]] = {
    "study_instance_uid": frozenset({"studyinstanceuid", "studyuid", "uid"}),
    "accession_number": frozenset({"accessionnumber", "accession", "accessionno", "order", "ordernumber"}),
    "day": frozenset({"studydate", "examdate", "examinationdate", "date", "performed", "performeddate"}),
    "modality": frozenset({"modality", "modalities", "modalitycode"}),
    "station_name": frozenset({"stationname", "station", "room", "device", "equipment", "resource"}),
}
"""What is read → headings under which it may stand; letters and digits count, their case does not."""

_DAYS = ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y")
_MAX_ROWS = 1_000_000
_MAX_LINE = 64 * 1024


class RisError(ReceiveError):
    """The list cannot be read: which line, what was expected."""


@dataclass(frozen=True, slots=True)
class RisRow:
    """One examination of the list.

    Attributes
    ----------
    line : int
        In the file; names the examination where it has no Study Instance UID.
    study_instance_uid : str
        Empty where the list has only accession numbers.
    accession_number : str
        In clear, and for comparison only: never printed, never stored.
    """

    line: int
    study_instance_uid: str
    accession_number: str
    day: date
    modality: str
    station_name: str

    def __repr__(self) -> str:
        return (
            f"RisRow(line={self.line}, day={self.day}, modality={self.modality!r}, station_name={self.station_name!r})"
        )


def read_ris(path: Path) -> Iterator[RisRow]:
    """Read the list.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 with a line of headings; comma, semicolon or tab. Needed: a date, and Study Instance UID or
        accession number. Dates: ``2026-03-01``, ``20260301``, ``01.03.2026`` or ``01/03/2026`` (day first).

    Yields
    ------
    RisRow

    Raises
    ------
    RisError
        No headings that are known, a date that is none, a row that names no study; by line, without its contents.
    OSError
        The file cannot be opened.
    """
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        headings = stream.readline(_MAX_LINE)
        if "\0" in headings:
            raise RisError("line 1: no CSV text, there are zero bytes in it; save it as CSV (UTF-8)")
        delimiter = max(",;\t", key=headings.count)
        places = _places(next(csv.reader([headings], delimiter=delimiter), []))
        reader = csv.reader(_bounded(stream), delimiter=delimiter)
        try:
            for row in reader:
                line = reader.line_num + 1
                if line > _MAX_ROWS:
                    raise RisError(f"more than {_MAX_ROWS} lines")
                if any(cell.strip() for cell in row):
                    yield _row(line, {name: row[place] if place < len(row) else "" for name, place in places.items()})
        except csv.Error as error:
            raise RisError(f"line {reader.line_num + 1}: {error}") from error


def _places(headings: list[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, heading in enumerate(headings):
        plain = "".join(letter for letter in heading.lower() if letter.isalnum())
        for name, known in COLUMNS.items():
            if plain in known:
                places.setdefault(name, place)
    if "day" not in places or not {"study_instance_uid", "accession_number"} & set(places):
        raise RisError("line 1: expected headings for a date and for a Study Instance UID or an accession number")
    return places


def _row(line: int, cells: dict[str, str]) -> RisRow:
    text = cells.get("study_instance_uid", "").strip()
    uid = known_uid(text) or ""
    if text and not uid:
        raise RisError(f"line {line}: the Study Instance UID is not valid")
    accession = cells.get("accession_number", "").strip()[:64]
    if not uid and not accession:
        raise RisError(f"line {line}: neither Study Instance UID nor accession number")
    return RisRow(
        line,
        uid,
        accession,
        _day(cells["day"], line),
        as_text(cells.get("modality", "")).upper(),
        as_text(cells.get("station_name", "")),
    )


def _day(text: str, line: int) -> date:
    first = text.strip().replace("T", " ").split(" ")[0]
    for form in _DAYS:
        try:
            return datetime.strptime(first, form).date()
        except ValueError:
            continue
    raise RisError(f"line {line}: the date is none of {', '.join(_DAYS)}")


def _bounded(stream: TextIO) -> Iterator[str]:
    """Lines of reasonable length: a quote that is never closed cannot swallow the file."""
    while line := stream.readline(_MAX_LINE):
        if len(line) >= _MAX_LINE:
            raise RisError(f"a line of more than {_MAX_LINE} characters")
        yield line
