"""The rows of an exam mapping: their columns, what each level asks of them, and a file's faults by row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from dose_audit.drl.tables import Examination, Problem
from dose_audit.extract.codes import fold as fold_code
from dose_audit.texts import clean, from_spreadsheet

LEVELS = ("coded_procedure", "exact", "rdsr")
"""In the order they are tried: coded procedure; exact station, acquisition protocol and study description;
what the dose report itself says of anatomy and type."""

COLUMNS = (
    "site", "level", "modality", "code_scheme", "code_value", "station_name", "acquisition_protocol",
    "study_description", "requested_procedure", "target_region", "anatomical_structure", "acquisition_type",
    "phantom", "view", "radiopharmaceutical", "examination", "approved_by", "approved_on", "note",
)  # fmt: skip
"""Columns of the CSV. Codes in `target_region`, `anatomical_structure`, `view` and `radiopharmaceutical` are
written scheme:value, as in SCT:69536005."""

_CRITERIA = COLUMNS[COLUMNS.index("modality") : COLUMNS.index("examination")]
CODED = ("target_region", "anatomical_structure", "view", "radiopharmaceutical")
DECIDING = {
    "coded_procedure": ("code_value",),
    "exact": ("acquisition_protocol", "study_description", "requested_procedure"),
    "rdsr": (*CODED, "acquisition_type"),
}
"""Criteria of which each level needs at least one: a station or modality alone names no examination."""
ALLOWED = {
    "coded_procedure": ("site", "modality", "station_name", "code_scheme", "code_value"),
    "exact": (
        "site",
        "modality",
        "station_name",
        "acquisition_protocol",
        "study_description",
        "requested_procedure",
    ),
    "rdsr": ("site", "modality", "station_name", *CODED, "acquisition_type", "phantom"),
}
SAME_KIND = (frozenset({"DX", "CR"}), frozenset({"RF", "XA"}), frozenset({"PX", "DX", "CR"}), frozenset({"PX", "CT"}))
"""Modalities that devices write for one another: computed and digital radiography, fluoroscopy and angiography,
panoramic units as either (or, with cone beam, as CT)."""
_SPACE = re.compile(r"\s+")
_MAX_ROWS = 100_000
MAXIMUM_CHARACTERS = 50_000_000


@dataclass(frozen=True, slots=True)
class ExamMapping:
    """One approved row: an exam on which every filled criterion holds was this examination."""

    site: str = ""
    level: str = "exact"
    modality: str = ""
    code_scheme: str = ""
    code_value: str = ""
    station_name: str = ""
    acquisition_protocol: str = ""
    study_description: str = ""
    requested_procedure: str = ""
    target_region: str = ""
    anatomical_structure: str = ""
    acquisition_type: str = ""
    phantom: str = ""
    view: str = ""
    radiopharmaceutical: str = ""
    examination: str = ""
    approved_by: str = ""
    approved_on: str = ""
    note: str = ""
    line: int = 0

    @property
    def criteria(self) -> tuple[str, ...]:
        """Columns that the row looks at."""
        return tuple(column for column in ALLOWED[self.level] if getattr(self, column))

    @property
    def rule(self) -> str:
        """The rule in words, as it is stored beside each exam that it mapped."""
        criteria = [f"{column}={getattr(self, column)}" for column in self.criteria]
        return f"{self.level}: {', '.join(criteria)} (row {self.line})"


class MappingError(ValueError):
    """A mapping that cannot be used; `problems` name file and row."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def agrees(examination: str, modality: str) -> bool:
    """Whether exams of a modality can be this examination, whose slug begins with its own modality.

    An exam whose modality is not known contradicts nothing.

    Examples
    --------
    >>> agrees("ct-head", "XA"), agrees("dx-chest-pa", "CR"), agrees("rf-barium-swallow", "XA"), agrees("ct-head", "")
    (False, True, True, True)
    """
    wanted, given = examination.split("-")[0].upper(), modality.upper()
    return not given or wanted == given or any({wanted, given} <= kind for kind in SAME_KIND)


def fold(text: str) -> str:
    """Text as mapping compares it: case and runs of white space do not count."""
    return _SPACE.sub(" ", text).strip().casefold()


def parse_mapping(
    text: str, name: str, examinations: Mapping[str, Examination]
) -> tuple[list[ExamMapping], list[Problem]]:
    """Read mapping rows from CSV text.

    Parameters
    ----------
    text : str
        With a header; columns may be left out and stand in any order.
    name : str
        What to call the file in messages.
    examinations : mapping
        Slug → Examination.

    Returns
    -------
    list of ExamMapping
        The rows without a fault.
    list of Problem
        All faults, in the order of the rows.
    """
    problems: list[Problem] = []
    if len(text) > MAXIMUM_CHARACTERS:
        return [], [Problem("error", name, "", "SIZE", f"mapping is longer than {MAXIMUM_CHARACTERS} characters")]
    rows: list[ExamMapping] = []
    try:
        reader = csv.reader(io.StringIO(text), strict=True)
        header = [cell.strip() for cell in next(reader, [])]
        wrong = _wrong_columns(header)
        if wrong:
            return [], [Problem("error", name, "1", "COLUMNS", f"{wrong}; the columns are {', '.join(COLUMNS)}")]
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num
            if len(cells) != len(header):
                problems.append(
                    Problem("error", name, str(line), "COLUMNS", f"{len(cells)} cells, {len(header)} needed")
                )
                continue
            row = ExamMapping(line=line, **{k: _text(v) for k, v in zip(header, cells, strict=True)})
            faults = [Problem("error", name, str(line), code, message) for code, message in _faults(row, examinations)]
            problems.extend(faults)
            if not faults:
                rows.append(row)
            if len(rows) > _MAX_ROWS:
                problems.append(Problem("error", name, str(line), "SIZE", f"more than {_MAX_ROWS} rows"))
                break
    except csv.Error as error:
        problems.append(Problem("error", name, "", "CSV", f"not valid CSV: {error}"))
    problems.extend(_contradictions(rows, name))
    return rows, sorted(problems, key=lambda problem: int(problem.row or 0))


def _wrong_columns(header: list[str]) -> str:
    told = {
        "not known": [column or "one without a name" for column in header if column not in COLUMNS],
        "missing": [column for column in ("site", "level", "examination") if column not in header],
        "there twice": sorted({column for column in header if column in COLUMNS and header.count(column) > 1}),
    }
    return "; ".join(f"{what}: {', '.join(columns)}" for what, columns in told.items() if columns)


def _text(cell: str) -> str:
    """What a cell says, as the store has it, whether or not it was kept from being run as a formula."""
    return clean(from_spreadsheet(cell.strip()))


def _faults(row: ExamMapping, examinations: Mapping[str, Examination]) -> Iterable[tuple[str, str]]:
    if row.level not in LEVELS:
        yield "LEVEL", f"level {row.level!r} is none of {', '.join(LEVELS)}"
        return
    examination = examinations.get(row.examination)
    if examination is None:
        yield "EXAMINATION", f"examination {row.examination!r} is not in examinations.csv"
    elif not agrees(row.examination, row.modality):
        yield "MODALITY", f"modality {row.modality} cannot be {row.examination}, which is {examination.modality}"
    if not any(getattr(row, column) for column in DECIDING[row.level]):
        yield "CRITERIA", f"level {row.level} needs one of {', '.join(DECIDING[row.level])}"
    if row.level == "coded_procedure" and not row.code_scheme:
        yield "CRITERIA", "a code value needs its code_scheme"
    for column in _CRITERIA:
        if getattr(row, column) and column not in ALLOWED[row.level]:
            yield "CRITERIA", f"{column} is not used on level {row.level}; leave it empty"
    for column in CODED:
        value = getattr(row, column)
        if value and not re.fullmatch(r"[^:\s]+:\S+", value):
            yield "CODE", f"{column} {value!r} is not written scheme:value"
    if row.approved_on:
        try:
            date.fromisoformat(row.approved_on)
        except ValueError:
            yield "DATE", f"approved_on {row.approved_on!r} is not a date such as 2026-01-31"


def _contradictions(rows: Iterable[ExamMapping], name: str) -> Iterable[Problem]:
    """Rows with the same criteria and different examinations: a mapping that maps two ways."""
    seen: dict[tuple[str, ...], ExamMapping] = {}
    for row in rows:
        key = (row.level, *(fold(getattr(row, column)) for column in ("site", *_CRITERIA)))
        first = seen.setdefault(key, row)
        if first is not row:
            same = first.examination == row.examination
            message = f"same criteria as row {first.line}" + (
                "" if same else f", which maps to {first.examination}, not {row.examination}"
            )
            yield Problem("error", name, str(row.line), "DUPLICATE" if same else "TWO_WAYS", message)


def criterion(row: ExamMapping, column: str) -> str:
    """What a row asks for in a column, in the form in which an exam's facts are compared with it."""
    if column == "code_value":
        return ":".join(fold_code(row.code_scheme, row.code_value))
    value: str = getattr(row, column)
    return ":".join(fold_code(*value.split(":", 1))) if column in CODED else fold(value)
