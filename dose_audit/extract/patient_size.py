"""Patient height and weight from CSV: read with the units of its headings, checked, joined, planned.

Nothing is written here. A row is named by its number only, never by whom it is about.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from math import inf, isfinite

from dose_audit.csv_rows import NotCsv, csv_rows
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
    """What one exam would get from one row; its height and its weight may come from two."""

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
    outdone : list of int
        Rows for whose exams another row has a surer key or a nearer date.
    unmatched : list of int
        Rows without an exam.
    refused : list of Refusal
    """

    changes: list[Change] = field(default_factory=list)
    matched: list[int] = field(default_factory=list)
    already_known: list[int] = field(default_factory=list)
    outdone: list[int] = field(default_factory=list)
    unmatched: list[int] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    @property
    def exams(self) -> int:
        """How many exams change."""
        return len({change.exam_id for change in self.changes})


def read_sizes(
    source: str | os.PathLike[str] | bytes, *, pseudonym_key: bytes | None = None
) -> tuple[list[SizeRow], list[Refusal]]:
    """Read a CSV of heights and weights.

    Parameters
    ----------
    source : path or bytes
        CSV as `dose_audit.csv_rows` takes it. Headings name a key (`KEYS`), height and weight with their unit
        (``height (cm)``, ``weight_kg``), and perhaps a date.
    pseudonym_key : bytes, optional
        Key of the pseudonym, needed where rows are joined on Patient ID.

    Returns
    -------
    rows : list of SizeRow
    refused : list of Refusal

    Raises
    ------
    Malformed
        When the headings have no key, no height and no weight, or a unit that is missing or unknown; when it is no text,
        or longer than `MAX_BYTES`.
    TooLarge
        Above `MAX_ROWS`.

    Examples
    --------
    >>> read_sizes(b"accession number,height (cm)\\nA1,175\\nA2,17\\n")[0]
    [SizeRow(row=2, by='accession_number', key='A1', height_m=1.75, weight_kg=None, measured_on=None)]
    """
    rows: list[SizeRow] = []
    refused: list[Refusal] = []
    numbered = csv_rows(source, max_bytes=MAX_BYTES)
    try:
        columns = _Columns(next(numbered, (1, None))[1] or [])
    except NotCsv as error:
        raise Malformed(str(error)) from error
    for number, fields in numbered:
        if len(rows) + len(refused) > MAX_ROWS:
            raise TooLarge(f"more than {MAX_ROWS} rows")
        result = Refusal(number, "not a CSV row") if fields is None else columns.read(number, fields, pseudonym_key)
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

    Height and weight of an exam each come from the row with the surest key, among those from the one measured nearest
    to it, before rather than after.

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
        A dated row joined on a patient concerns exams at most this many days away; one without a date is refused when the
        patient's exams are further apart than that, for nobody knows which of them it is about.

    Returns
    -------
    Plan
        Each row in one of its lists.
    """
    plan = Plan(refused=list(refused))
    used: set[int] = set()
    outdone: set[int] = set()
    contradicted: set[int] = set()
    for exam, rivals in _offers(rows, find, days, plan).items():
        used |= {row.row for row in rivals}
        changes: dict[int, Change] = {}
        for name in _WORDS:
            best, others = _surest([row for row in rivals if getattr(row, name) is not None], exam)
            if not best or (getattr(exam, name) is not None and not overwrite):
                continue
            outdone |= {row.row for row in others}
            value = getattr(best[0], name)
            if any(getattr(row, name) != value for row in best):
                contradicted |= {row.row for row in best}
            elif value != getattr(exam, name):
                own = best[0].row
                changes[own] = replace(changes.get(own, Change(own, exam.exam_id)), **{name: value})
        plan.changes += changes.values()
    plan.changes.sort(key=lambda change: (change.row, change.exam_id))
    plan.matched = sorted({change.row for change in plan.changes})
    rest = used - set(plan.matched)
    plan.refused += [Refusal(row, "another row says something else of the same exam") for row in rest & contradicted]
    plan.refused.sort(key=lambda refusal: refusal.row)
    plan.outdone = sorted(rest & outdone - contradicted)
    plan.already_known = sorted(rest - outdone - contradicted)
    return plan


def _offers(
    rows: Iterable[SizeRow], find: Callable[[SizeRow], Iterable[ExamSize]], days: int, plan: Plan
) -> dict[ExamSize, list[SizeRow]]:
    """Each exam with the rows that may be about it; the other rows go into the plan."""
    offers: dict[ExamSize, list[SizeRow]] = {}
    for row in rows:
        exams = list(find(row))
        if row.by == "pseudonym" and row.measured_on is None and _far_apart(exams, days):
            reason = f"no date, and the exams of this patient are more than {days} days apart"
            plan.refused.append(Refusal(row.row, reason))
            continue
        exams = [exam for exam in exams if _near(row, exam, days)]
        if not exams:
            plan.unmatched.append(row.row)
        for exam in exams:
            offers.setdefault(exam, []).append(row)
    return offers


def _surest(rows: list[SizeRow], exam: ExamSize) -> tuple[list[SizeRow], list[SizeRow]]:
    """The rows with the surest key and the nearest date, before rather than after the exam; and the others."""
    if not rows:
        return [], []
    ranks = [_rank(row, exam) for row in rows]
    least = min(ranks)
    pairs = list(zip(rows, ranks, strict=True))
    return [row for row, rank in pairs if rank == least], [row for row, rank in pairs if rank != least]


def _rank(row: SizeRow, exam: ExamSize) -> tuple[int, float, bool]:
    kind = list(KEYS).index(row.by)
    if row.measured_on is None or exam.study_date is None:
        return kind, inf, False
    after = (row.measured_on - exam.study_date).days
    return kind, abs(after), after > 0


def _near(row: SizeRow, exam: ExamSize, days: int) -> bool:
    if row.by != "pseudonym" or row.measured_on is None:
        return True
    return exam.study_date is not None and abs((exam.study_date - row.measured_on).days) <= days


def _far_apart(exams: Sequence[ExamSize], days: int) -> bool:
    dates = [exam.study_date for exam in exams if exam.study_date is not None]
    return len(exams) > 1 and (len(dates) < len(exams) or (max(dates) - min(dates)).days > days)


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
            raise Malformed(f"no column to join on; known headings: {_headings(KEYS.values())}")
        if not self.sizes:
            raise Malformed('no column of height or weight; known headings are like "height (cm)" and "weight_kg"')

    def _size(self, index: int, name: str) -> None:
        for field_, words in _WORDS.items():
            match = re.fullmatch(rf"(?:patient )?(?:{words})\s*[(\[/]?\s*([a-z]*)\s*[)\]]?", name)
            if match is None:
                continue
            factor = FACTORS[field_].get(match[1])
            if factor is None:
                raise Malformed(f"column {index + 1}: a heading of {field_.split('_')[0]} has to name its unit")
            self.sizes[field_] = (index, factor)

    def read(self, number: int, fields: list[str], pseudonym_key: bytes | None) -> SizeRow | Refusal:
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
            value = _number(fields[index])
            if value is None:
                return Refusal(number, f"{name.split('_')[0]} is not a number")
            value = round(value * factor, 6)
            low, high = PLAUSIBLE[name]
            if not low <= value <= high:
                what, unit = name.split("_")
                return Refusal(number, f"a {what} outside {low:g} to {high:g} {unit}: is the heading's unit right?")
            sizes[name] = value
        if not sizes:
            return Refusal(number, "neither height nor weight")
        measured = None
        if self.date is not None and fields[self.date]:
            measured = date_of(fields[self.date].replace("/", "-"))
            if measured is None:
                return Refusal(number, "the date is not YYYY-MM-DD")
        return SizeRow(number, by, key, sizes.get("height_m"), sizes.get("weight_kg"), measured)


def _headings(known: Iterable[Sequence[str]]) -> str:
    return ", ".join(names[0] for names in known)


def _number(text: str) -> float | None:
    if text.count(",") == 1 and "." not in text:
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
