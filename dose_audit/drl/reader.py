"""Reads `drl_tables/`: one folder an edition, every fault reported with its file and row."""

from __future__ import annotations

import csv
import io
import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

from dose_audit.drl.tables import (
    BAND_UNITS,
    BASES,
    EXAMINATION_COLUMNS,
    PATIENT_GROUPS,
    PHANTOMS,
    ROLES,
    ROW_COLUMNS,
    ROW_ID,
    SCOPES,
    SLUG,
    SOURCES,
    STATUSES,
    AgeEquivalent,
    Band,
    DrlRow,
    DrlSet,
    Examination,
    Problem,
    broader_chain,
    tables_root,
)
from dose_audit.drl.units import UnitError, find_quantity, to_canonical

_MAX_BYTES = 5_000_000
_MAX_ROWS = 20_000
_MAX_CELL = 2_000


@dataclass(slots=True)
class _Reader:
    """Collects the problems of one file while cells are turned into values."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def error(self, row: str, code: str, message: str) -> None:
        self.problems.append(Problem("error", self.file, row, code, message))


def read_examinations(root: Path | None = None) -> dict[str, Examination]:
    """Return the examinations by slug, from ``examinations.csv``.

    Raises
    ------
    ValueError
        If the file has a fault; the message names file and row.
    """
    base = root or tables_root()
    return dict(_read_examinations(str(base), (base / "examinations.csv").stat().st_mtime_ns))


@lru_cache(maxsize=8)
def _read_examinations(root: str, _modified_ns: int) -> dict[str, Examination]:
    path = Path(root) / "examinations.csv"
    reader = _Reader(str(path))
    found: dict[str, Examination] = {}
    for line, cells in read_csv(path, EXAMINATION_COLUMNS, reader.problems):
        examination = Examination(**{name: cells[name] for name in EXAMINATION_COLUMNS})
        where = f"{line} ({examination.slug})"
        if not SLUG.fullmatch(examination.slug):
            reader.error(where, "SLUG", "slug is not lower-case words joined by hyphens, modality first")
        elif examination.slug in found:
            reader.error(where, "DUPLICATE", "slug occurs twice")
        elif examination.slug.split("-")[0] != examination.modality.casefold():
            reader.error(where, "SLUG", f"slug does not begin with its modality {examination.modality}")
        if examination.default_basis not in BASES:
            reader.error(where, "BASIS", f"basis {examination.default_basis!r} is none of {', '.join(BASES)}")
        found[examination.slug] = examination
    for examination in found.values():
        if examination.broader and examination.broader not in found:
            reader.error(examination.slug, "BROADER", f"broader examination {examination.broader!r} is not in the list")
        elif broader_chain(examination.slug, found) is None:
            reader.error(examination.slug, "BROADER", "the broader examinations run in a circle")
    if reader.problems:
        raise ValueError("\n".join(str(problem) for problem in reader.problems))
    return found


def read_csv(path: Path, columns: tuple[str, ...], problems: list[Problem]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a UTF-8 CSV with exactly these columns, as (line, stripped cells); faults go to `problems`."""
    name = str(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            problems.append(Problem("error", name, "", "SIZE", f"file is larger than {_MAX_BYTES} bytes"))
            return []
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem("error", name, "", "READ", f"cannot be read as UTF-8 text: {error}"))
        return []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        if header != columns:
            missing = ", ".join(c for c in columns if c not in header) or "none"
            unknown = ", ".join(c or "(no name)" for c in header if c not in columns) or "none"
            message = f"columns must be {','.join(columns)}; missing: {missing}, unknown: {unknown}"
            problems.append(Problem("error", name, "1", "COLUMNS", message))
            return []
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) >= _MAX_ROWS:
                problems.append(Problem("error", name, str(line), "SIZE", f"more than {_MAX_ROWS} rows"))
                break
            if len(cells) != len(columns):
                message = f"{len(cells)} cells, {len(columns)} needed"
                problems.append(Problem("error", name, str(line), "COLUMNS", message))
            elif max(len(cell) for cell in cells) > _MAX_CELL:
                problems.append(Problem("error", name, str(line), "SIZE", f"a cell exceeds {_MAX_CELL} characters"))
            else:
                rows.append((line, {key: cell.strip() for key, cell in zip(columns, cells, strict=True)}))
    except csv.Error as error:
        problems.append(Problem("error", name, str(reader.line_num), "CSV", f"not valid CSV: {error}"))
    return rows


def read_edition(folder: Path) -> tuple[DrlSet | None, list[Problem]]:
    """Read one edition folder.

    Parameters
    ----------
    folder : Path
        Holds ``set.toml`` and ``rows.csv``.

    Returns
    -------
    DrlSet or None
        None where ``set.toml`` cannot be understood; rows that cannot be understood are left out.
    list of Problem
        What was wrong, naming file and row. `dose_audit.drl.check` adds the rules between rows.
    """
    toml_path = folder / "set.toml"
    head = _Reader(str(toml_path))
    try:
        facts = tomllib.loads(toml_path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        head.error("", "TOML", f"cannot be read: {error}")
        return None, head.problems
    body = _Reader(str(folder / "rows.csv"))
    values = _set_facts(facts, folder, head)
    if values is None:
        return None, head.problems
    rows = []
    lines = read_csv(folder / "rows.csv", ROW_COLUMNS, body.problems)
    if not lines and not body.problems:
        body.error("", "EMPTY", "there is no row: an edition without levels answers nothing")
    for line, cells in lines:
        row = _row(cells, line, values["set_id"], values["edition"], body)
        if row is not None:
            rows.append(row)
    return DrlSet(rows=tuple(rows), folder=str(folder), **values), head.problems + body.problems


def _set_facts(facts: dict[str, Any], folder: Path, reader: _Reader) -> dict[str, Any] | None:
    """Fields of DrlSet from ``set.toml``; None where one that is needed is missing or wrong."""
    needed = ("set_id", "edition", "title", "publisher", "region", "url", "licence", "status", "statistic")
    optional = (
        "supersedes", "source_sha256", "rounding", "phantom_convention", "notes", "site", "approved_by",
    )  # fmt: skip
    days = ("retrieved_on", "valid_from", "valid_to", "published_on")
    known = {
        *needed,
        *optional,
        *days,
        "valid_from_known",
        "scope",
        "adult_from_years",
        "adult_weight_kg",
        "age_equivalents",
        "checked",
    }
    for key in sorted(facts.keys() - known):
        reader.error("", "KEY", f"unknown key {key!r}")
    values: dict[str, Any] = {}
    for key in (*needed, *optional):
        text = facts.get(key, "")
        if not isinstance(text, str) or (key in needed and not text.strip()):
            reader.error("", "KEY", f"{key} must be text" + (" and not empty" if key in needed else ""))
        values[key] = text.strip() if isinstance(text, str) else ""
    for key in days:
        day = facts.get(key)
        if (day is None and key in ("retrieved_on", "valid_from")) or (
            day is not None and (not isinstance(day, date) or isinstance(day, datetime))
        ):
            reader.error("", "DATE", f"{key} must be a date such as 2024-11-20")
        values[key] = day
    values["valid_from_known"] = facts.get("valid_from_known", True)
    if not isinstance(values["valid_from_known"], bool):
        reader.error("", "DATE", "valid_from_known must be true or false")
    elif not values["valid_from_known"] and values["valid_from"] != values["retrieved_on"]:
        reader.error("", "DATE", "valid_from must be the day of retrieved_on where it is not known")
    values["scope"] = facts.get("scope", "indication")
    if values["scope"] not in SCOPES:
        reader.error("", "SCOPE", f"scope {values['scope']!r} is none of {', '.join(SCOPES)}")
    if values["status"] not in STATUSES:
        reader.error("", "STATUS", f"status {values['status']!r} is none of {', '.join(STATUSES)}")
    age = facts.get("adult_from_years")
    if isinstance(age, bool) or not isinstance(age, int | float) or not 10 <= age <= 21:
        reader.error("", "AGE", "adult_from_years must be a number of years between 10 and 21")
    values["adult_from_years"] = age
    window = facts.get("adult_weight_kg")
    if window is not None and not (_numbers(window, 2) and 0 <= window[0] < window[1]):
        reader.error("", "WEIGHT", "adult_weight_kg must be [low, high] in kg")
    values["adult_weight_kg"] = tuple(map(float, window)) if window and _numbers(window, 2) else None
    equivalents = facts.get("age_equivalents", [])
    if not isinstance(equivalents, list) or not all(_numbers(entry, 4) for entry in equivalents):
        reader.error("", "AGE", "age_equivalents must be rows of [low kg, high kg, low months, high months]")
        equivalents = []
    values["age_equivalents"] = tuple(AgeEquivalent(*map(float, entry)) for entry in equivalents)
    checked = facts.get("checked", [])
    people = (
        {str(c.get("by", "")).strip() for c in checked if isinstance(c, dict)} if isinstance(checked, list) else set()
    )
    values["checked_by"] = tuple(sorted(people - {""}))
    if values["status"] == "verified" and len(values["checked_by"]) < 2:
        reader.error("", "VERIFIED", "status verified needs two different people under [[checked]]")
    if values["status"] == "local" and not values["approved_by"]:
        reader.error("", "APPROVED", "a local set needs the role that approved it under approved_by")
    if (folder.name, folder.parent.name) != (values["edition"], values["set_id"]):
        reader.error("", "FOLDER", f"folder should be {values['set_id']}/{values['edition']}")
    if reader.problems:
        return None
    if values["valid_to"] is not None and values["valid_to"] <= values["valid_from"]:
        reader.error("", "DATE", "valid_to is not after valid_from")
        return None
    return values


def _row(cells: dict[str, str], line: int, set_id: str, edition: str, reader: _Reader) -> DrlRow | None:
    """One DrlRow, or None with the reasons in the reader."""
    where = f"{line} ({cells['row_id']})"
    before = len(reader.problems)
    if not ROW_ID.fullmatch(cells["row_id"]):
        reader.error(where, "ROW_ID", f"row_id {cells['row_id']!r} is not lower-case words joined by . or -")
    for column, allowed in (
        ("basis", BASES), ("patient_group", PATIENT_GROUPS), ("role", ROLES), ("phantom", PHANTOMS),
        ("confidence", SOURCES[1:]), ("phantom_source", SOURCES), ("band_type", tuple(BAND_UNITS)),
    ):  # fmt: skip
        if cells[column] not in allowed:
            reader.error(
                where,
                column.upper(),
                f"{column} {cells[column]!r} is none of {', '.join(filter(None, allowed))}",
            )
    value, unit, quantity = None, "", ""
    try:
        kind = find_quantity(cells["quantity"])
        quantity, unit = kind.symbol, kind.unit
        value = to_canonical(Decimal(cells["value"]), cells["unit"], kind)
        if not (value.is_finite() and 0 < value <= Decimal(kind.largest)):
            reader.error(where, "VALUE", f"value {cells['value']} {cells['unit']} is not a plausible {quantity}")
    except UnitError as error:
        reader.error(where, "UNIT", str(error))
    except InvalidOperation:
        reader.error(where, "VALUE", f"value {cells['value']!r} is not a number")
    band = _band(cells, where, reader)
    if len(reader.problems) > before or value is None or band is None:
        return None
    text = {c: cells[c] for c in ROW_COLUMNS if not c.startswith("band_") and c not in ("quantity", "unit", "value")}
    return DrlRow(
        set_id=set_id, edition=edition, band=band, quantity=quantity, value=float(value), unit=unit,
        printed_value=cells["value"], printed_unit=cells["unit"], file=reader.file, line=line, **text,
    )  # fmt: skip


def _band(cells: dict[str, str], where: str, reader: _Reader) -> Band | None:
    kind, unit = cells["band_type"], cells["band_unit"]
    if kind in BAND_UNITS and unit not in BAND_UNITS[kind]:
        reader.error(where, "BAND", f"band unit {unit!r} is not one of {kind}: {', '.join(BAND_UNITS[kind])}")
        return None
    ends: list[float | None] = []
    for column in ("band_low", "band_high"):
        try:
            number = Decimal(cells[column]) if cells[column] else None
        except InvalidOperation:
            number = Decimal("NaN")
        if number is not None and not (number.is_finite() and number >= 0):
            reader.error(where, "BAND", f"{column} {cells[column]!r} is not a number from 0")
            return None
        ends.append(None if number is None else float(number))
    low, high = ends
    if kind == "none" and (low is not None or high is not None):
        reader.error(where, "BAND", "band type none has no ends")
    elif kind not in ("none", "nominal_age") and low is None and high is None:
        reader.error(where, "BAND", f"a {kind} band needs an end")
    elif kind == "nominal_age" and (low is None or high is not None):
        reader.error(where, "BAND", "a nominal age is band_low alone")
    elif low is not None and high is not None and low >= high:
        reader.error(where, "BAND", f"band [{low:g}, {high:g}) is empty: bands are half-open")
    else:
        return Band(kind, low, high, unit)
    return None


def _numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    )
