"""Patient height and weight from CSV: read with the units of its headings, checked, joined, planned.

Nothing is written here. A row is named by its number only, never by whom it is about.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import isfinite

from dose_audit.extract.common import PLAUSIBLE, pseudonym_of
from dose_audit.extract.errors import Malformed, TooLarge
from dose_audit.extract.times import date_of

__all__ = ["Change", "ExamSize", "Plan", "Refusal", "SizeRow", "plan_sizes", "read_sizes"]

MAX_BYTES = 64 << 20
MAX_ROWS = 1_000_000
MAX_FIELD = 256

DAYS = 30
"""How far a dated measurement may be from an exam of the same patient."""

KEYS: dict[str, tuple[str, ...]] = {
    "study_instance_uid": ("study instance uid", "study uid", "studyinstanceuid", "studyuid"),
    "accession_number": ("accession number", "accession", "accession no", "accessionnumber", "acc no"),
    "patient_id": ("patient id", "patientid", "pid", "mrn", "hospital number"),
    "pseudonym": ("pseudonym",),
}
"""What a row is joined on, surest first, and the column headings that mean it."""

DATES = ("date", "measured on", "measurement date", "study date")

FACTORS: dict[str, dict[str, float]] = {
    "height_m": {
        "m": 1.0,
        "cm": 0.01,
        "mm": 0.001,
        "in": 0.0254,
        "inch": 0.0254,
        "inches": 0.0254,
        "ft": 0.3048,
    },
    "weight_kg": {"kg": 1.0, "g": 0.001, "lb": 0.45359237, "lbs": 0.45359237},
}
"""Field → units that its heading may name, with their factor. A heading without a unit is refused."""

_WORDS = {"height_m": "height|patient ?size|size|stature", "weight_kg": "weight|mass|patient ?weight"}


@dataclass(frozen=True, slots=True)
class SizeRow:
    """One row that can be used.

    Attributes
    ----------
    row : int
        Number in the file; the heading is row 1.
    by : str
        ``study_instance_uid``, ``accession_number`` or ``pseudonym``.
    key : str
        What to look up under it; a Patient ID is hashed on reading.
    height_m, weight_kg : float or None
    measured_on : date or None
    """

    row: int
    by: str
    key: str
    height_m: float | None = None
    weight_kg: float | None = None
    measured_on: date | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is not used, and why, without its contents."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class ExamSize:
    """What the store knows of an exam that a row may concern."""

    exam_id: int
    study_date: date | None = None
    height_m: float | None = None
    weight_kg: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One exam that would get a height or a weight from a row."""

    row: int
    exam_id: int
    height_m: float | None = None
    weight_kg: float | None = None


@dataclass(slots=True)
class Plan:
    """What a file would do; applying it is the store's business.

    Attributes
    ----------
    changes : list of Change
    matched : list of int
        Rows with at least one change.
    already_known : list of int
        Rows whose exams have a height and weight of their own.
    unmatched : list of int
        Rows without an exam.
    refused : list of Refusal
    """

    changes: list[Change] = field(default_factory=list)
    matched: list[int] = field(default_factory=list)
    already_known: list[int] = field(default_factory=list)
    unmatched: list[int] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def read_sizes(
    source: str | os.PathLike[str] | bytes, *, pseudonym_key: bytes | None = None
) -> tuple[list[SizeRow], list[Refusal]]:
    """Read a CSV of heights and weights.

    Parameters
    ----------
    source : path or bytes
        Comma, semicolon, tabulator or bar between fields; UTF-8, else Latin-1. Headings name a key (`KEYS`),
        height and weight with their unit (``height (cm)``, ``weight_kg``), and perhaps a date.
    pseudonym_key : bytes, optional
        Key of the pseudonym, needed where rows are joined on Patient ID.

    Returns
    -------
    rows : list of SizeRow
    refused : list of Refusal

    Raises
    ------
    Malformed
        When the headings have no key, no height and no weight, or a unit that is missing or unknown.
    TooLarge
        Above `MAX_BYTES` or `MAX_ROWS`.

    Examples
    --------
    >>> read_sizes(b"accession number,height (cm)\\nA1,175\\nA2,17\\n")[0]
    [SizeRow(row=2, by='accession_number', key='A1', height_m=1.75, weight_kg=None, measured_on=None)]
    """
    text = _text(source)
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = _Columns(next(reader, []))
    rows: list[SizeRow] = []
    refused: list[Refusal] = []
    for number, fields in _rows(reader, refused):
        if len(rows) + len(refused) > MAX_ROWS:
            raise TooLarge(f"more than {MAX_ROWS} rows")
        result = columns.read(number, fields, delimiter, pseudonym_key)
        (rows if isinstance(result, SizeRow) else refused).append(result)  # type: ignore[arg-type]
    kept = _without_contradictions(rows, refused)
    return kept, sorted(refused, key=lambda refusal: refusal.row)


def plan_sizes(
    rows: Iterable[SizeRow],
    find: Callable[[SizeRow], Iterable[ExamSize]],
    *,
    refused: Sequence[Refusal] = (),
    overwrite: bool = False,
    days: int = DAYS,
) -> Plan:
    """Say what rows would change; nothing is changed.

    Parameters
    ----------
    rows : iterable of SizeRow
    find : callable
        Gives the exams whose study UID, accession number or pseudonym is the row's key.
    refused : sequence of Refusal
        From `read_sizes`, carried along.
    overwrite : bool
        Whether a size that an exam has is replaced. By default only what is unknown is filled.
    days : int
        A dated row joined on a patient concerns exams at most this many days away.

    Returns
    -------
    Plan
    """
    plan = Plan(refused=list(refused))
    for row in rows:
        exams = [exam for exam in find(row) if _near(row, exam, days)]
        if not exams:
            plan.unmatched.append(row.row)
            continue
        changes = [change for exam in exams if (change := _change(row, exam, overwrite)) is not None]
        plan.changes.extend(changes)
        (plan.matched if changes else plan.already_known).append(row.row)
    return plan


def _near(row: SizeRow, exam: ExamSize, days: int) -> bool:
    if row.by != "pseudonym" or row.measured_on is None:
        return True
    return exam.study_date is not None and abs((exam.study_date - row.measured_on).days) <= days


def _change(row: SizeRow, exam: ExamSize, overwrite: bool) -> Change | None:
    new = {
        name: value
        for name in ("height_m", "weight_kg")
        if (value := getattr(row, name)) is not None
        and value != getattr(exam, name)
        and (overwrite or getattr(exam, name) is None)
    }
    return Change(row.row, exam.exam_id, **new) if new else None


def _text(source: str | os.PathLike[str] | bytes) -> str:
    if isinstance(source, bytes):
        data = source[: MAX_BYTES + 1]
    else:
        with open(source, "rb") as file:  # noqa: PTH123
            data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TooLarge(f"a CSV of more than {MAX_BYTES >> 20} MiB")
    if b"\0" in data:
        raise Malformed("no CSV text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _delimiter(text: str) -> str:
    heading = text.partition("\n")[0]
    return max(",;\t|", key=heading.count)


def _rows(reader: Iterator[list[str]], refused: list[Refusal]) -> Iterator[tuple[int, list[str]]]:
    number = 1
    while True:
        number += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            refused.append(Refusal(number, "not a CSV row"))
            continue
        if any(field_.strip() for field_ in fields):
            yield number, fields


class _Columns:
    """Where in a row what stands."""

    def __init__(self, headings: list[str]) -> None:
        names = [re.sub(r"[\s_]+", " ", heading).strip().lower() for heading in headings]
        self.count = len(names)
        self.keys = [
            (by, names.index(name)) for by, known in KEYS.items() for name in known if name in names
        ]  # surest first
        self.date = next((names.index(name) for name in DATES if name in names), None)
        self.sizes: dict[str, tuple[int, float]] = {}
        for index, name in enumerate(names):
            self._size(index, name)
        if not self.keys:
            raise Malformed("no column of study UID, accession number or patient ID")
        if not self.sizes:
            raise Malformed("no column of height or weight")

    def _size(self, index: int, name: str) -> None:
        for field_, words in _WORDS.items():
            match = re.fullmatch(rf"(?:patient )?(?:{words})\s*[(\[/]?\s*([a-z]*)\s*[)\]]?", name)
            if match is None:
                continue
            factor = FACTORS[field_].get(match[1])
            if factor is None:
                raise Malformed(f"column {index + 1}: a heading of {field_.split('_')[0]} has to name its unit")
            self.sizes[field_] = (index, factor)

    def read(self, number: int, fields: list[str], delimiter: str, pseudonym_key: bytes | None) -> SizeRow | Refusal:
        if len(fields) > self.count or any(len(text) > MAX_FIELD for text in fields):
            return Refusal(number, "more or longer fields than the heading has")
        fields = [text.strip() for text in fields] + [""] * (self.count - len(fields))
        by, key = next(((by, fields[index]) for by, index in self.keys if fields[index]), ("", ""))
        if not key:
            return Refusal(number, "no study UID, accession number or patient ID")
        if by == "patient_id":
            hashed = pseudonym_of(key, pseudonym_key)
            if hashed is None:
                return Refusal(number, "a patient ID cannot be joined without a pseudonym key")
            by, key = "pseudonym", hashed
        sizes: dict[str, float] = {}
        for name, (index, factor) in self.sizes.items():
            if not fields[index]:
                continue
            value = _number(fields[index], delimiter)
            if value is None:
                return Refusal(number, f"{name.split('_')[0]} is not a number")
            value = round(value * factor, 6)
            low, high = PLAUSIBLE[name]
            if not low <= value <= high:
                return Refusal(number, f"{name} is outside {low:g} to {high:g}")
            sizes[name] = value
        if not sizes:
            return Refusal(number, "neither height nor weight")
        measured = None
        if self.date is not None and fields[self.date]:
            measured = date_of(fields[self.date].replace("/", "-"))
            if measured is None:
                return Refusal(number, "the date is not YYYY-MM-DD")
        return SizeRow(number, by, key, sizes.get("height_m"), sizes.get("weight_kg"), measured)


def _number(text: str, delimiter: str) -> float | None:
    if delimiter != "," and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")  # the decimal comma of most of Europe
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _without_contradictions(rows: list[SizeRow], refused: list[Refusal]) -> list[SizeRow]:
    """Rows of one key and date that differ are all refused; equal ones count once."""
    groups: dict[tuple[str, str, date | None], list[SizeRow]] = {}
    for row in rows:
        groups.setdefault((row.by, row.key, row.measured_on), []).append(row)
    kept = []
    for group in groups.values():
        if len({(row.height_m, row.weight_kg) for row in group}) == 1:
            kept.append(group[0])
            refused.extend(Refusal(row.row, f"the same as row {group[0].row}") for row in group[1:])
        else:
            refused.extend(
                Refusal(row.row, "another row says something else of the same exam or patient") for row in group
            )
    return sorted(kept, key=lambda row: row.row)
