"""`drl check`: rules that hold between rows, and fingerprints that keep a released row from changing."""

from __future__ import annotations

import hashlib
import itertools
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from dose_audit.drl.bands import in_band_unit
from dose_audit.drl.reader import read_csv, read_edition, read_examinations
from dose_audit.drl.tables import (
    ROW_COLUMNS,
    DrlRow,
    DrlSet,
    Examination,
    Problem,
    edition_folders,
    tables_root,
)

IMPLIED_LENGTH_CM = (5.0, 150.0)
"""DLP over CTDIvol outside this is worth a look; a multiphase examination exceeds it rightly."""
FINGERPRINTS = "rows.sha256"
NOT_RELEASED = frozenset({"status", "checked", "notes"})
"""Keys of set.toml that may change after the release: the reading of a source can be checked later."""
EXAMINATIONS = "examinations.csv"

# No row has such an id: there is a space in it.
_FIELD = "set.toml "
_INTERVALS = ("weight", "age", "water_equivalent_diameter", "thickness", "field_of_view")


def check_root(root: Path | None = None, local: Path | None = None) -> list[Problem]:
    """Check every edition under a ``drl_tables`` folder.

    Parameters
    ----------
    root : Path, optional
        The packaged folder by default. One without a list of examinations uses the packaged one.
    local : Path, optional
        A further folder, of the editions that a site has approved; it need not exist.

    Returns
    -------
    list of Problem
        Errors and warnings, in the order of the files; empty where all is well.
    """
    base = root or tables_root()
    listed = base if (base / EXAMINATIONS).is_file() else tables_root()
    try:
        examinations = read_examinations(listed)
    except (OSError, ValueError) as error:
        return [Problem("error", str(listed / EXAMINATIONS), "", "EXAMINATIONS", str(error))]
    problems: list[Problem] = []
    own = edition_folders(local) if local is not None else []
    for folder in edition_folders(base) + own:
        drl_set, found = read_edition(folder)
        problems.extend(found)
        if drl_set is not None:
            released = root is None or folder in own
            problems.extend(check_edition(drl_set, examinations, released=released, whole=not any_error(found)))
    if not edition_folders(base):
        problems.append(Problem("warning", str(base), "", "EMPTY", "no edition found (region/set/edition/set.toml)"))
    return problems


def check_edition(
    drl_set: DrlSet, examinations: Mapping[str, Examination], *, released: bool = False, whole: bool = True
) -> list[Problem]:
    """Check the rows of one edition against each other, the examination list and the released fingerprints.

    Parameters
    ----------
    drl_set : DrlSet
        As read; faults of single cells were reported by the reader.
    examinations : mapping
        Slug → Examination.
    released : bool
        Whether it must have been released, as every packaged edition and every approved one has been.
    whole : bool
        Whether every row could be read: one that could not leaves a gap that is none.
    """
    problems: list[Problem] = []
    for row in drl_set.rows:
        problems.extend(_row_problems(drl_set, row, examinations))
    problems.extend(_duplicates(drl_set.rows))
    series: dict[tuple[str, ...], list[DrlRow]] = defaultdict(list)
    for row in drl_set.rows:
        series[_series_key(row)].append(row)
    for rows in series.values():
        found = _band_problems(rows)
        problems.extend(problem for problem in found if whole or problem.code != "GAP")
    problems.extend(_scan_lengths(drl_set.rows))
    problems.extend(_equivalent_problems(drl_set))
    problems.extend(_fingerprint_problems(Path(drl_set.folder), released=released))
    if not (Path(drl_set.folder) / "CHECK.md").is_file():
        problems.append(
            Problem("warning", drl_set.folder, "", "CHECK", "no CHECK.md: who read which page is not recorded")
        )
    return problems


def release_edition(folder: Path, toml: str | None = None) -> int:
    """Write the fingerprints of an edition; from then on a changed, lost or added row or field is an error.

    Parameters
    ----------
    folder : Path
        The edition.
    toml : str, optional
        The text of its ``set.toml`` where that is not written yet.

    Returns
    -------
    int
        Rows released.

    Raises
    ------
    ValueError
        If the edition was released before, or its rows or its ``set.toml`` cannot be read.
    """
    target = folder / FINGERPRINTS
    if target.exists():
        raise ValueError(f"{target} exists: a released edition is never edited; add an edition")
    problems: list[Problem] = []
    rows = read_csv(folder / "rows.csv", ROW_COLUMNS, problems)
    if problems:
        raise ValueError("\n".join(str(problem) for problem in problems))
    lines = [f"{row_fingerprint(cells)}  {cells['row_id']}\n" for _, cells in rows]
    text = (folder / "set.toml").read_text(encoding="utf-8") if toml is None else toml
    lines += [f"{digest}  {_FIELD}{key}\n" for key, digest in field_fingerprints(text).items()]
    target.write_text("".join(lines), encoding="utf-8")
    return len(rows)


def row_fingerprint(cells: Mapping[str, str]) -> str:
    """SHA-256 of a row's cells that are not empty, in the order of their column names.

    A column that is added later and left empty does not change it.
    """
    text = "\x1f".join(f"{name}={cells[name]}" for name in sorted(cells) if cells[name])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def field_fingerprints(toml: str) -> dict[str, str]:
    """SHA-256 of each key of a ``set.toml`` with its value, but of those that may change after the release."""
    facts = tomllib.loads(toml)
    # JSON, since the layout of the file says nothing; dates as TOML writes them.
    return {
        key: hashlib.sha256(json.dumps([key, facts[key]], default=str).encode()).hexdigest()
        for key in sorted(facts.keys() - NOT_RELEASED)
    }


def _where(row: DrlRow) -> str:
    return f"{row.line} ({row.row_id})"


def _problem(severity: str, row: DrlRow, code: str, message: str) -> Problem:
    return Problem(severity, row.file, _where(row), code, message)


def _row_problems(drl_set: DrlSet, row: DrlRow, examinations: Mapping[str, Examination]) -> Iterable[Problem]:
    examination = examinations.get(row.examination)
    if examination is None:
        yield _problem("error", row, "EXAMINATION", f"examination {row.examination!r} is not in examinations.csv")
    elif examination.modality != row.modality:
        message = f"modality {row.modality!r}, but {row.examination} is {examination.modality}"
        yield _problem("error", row, "MODALITY", message)
    if row.phantom and not row.phantom_source:
        yield _problem("error", row, "PHANTOM", "a phantom needs its phantom_source")
    if not row.quote and not row.note:
        yield _problem("warning", row, "QUOTE", "neither quote nor note says where the value was read")
    if drl_set.status != "unverified" and row.confidence != "primary":
        message = f"confidence {row.confidence} in a {drl_set.status} set: such rows belong to an unverified one"
        yield _problem("error", row, "CONFIDENCE", message)


def _series_key(row: DrlRow) -> tuple[str, ...]:
    """What rows share that differ only in their band."""
    return (
        row.examination,
        row.scan_part,
        row.technique,
        row.patient_group,
        row.quantity,
        row.role,
        row.phantom,
        row.band.type,
    )


def _duplicates(rows: Iterable[DrlRow]) -> Iterable[Problem]:
    ids: dict[str, DrlRow] = {}
    keys: dict[tuple[object, ...], DrlRow] = {}
    for row in rows:
        if row.row_id in ids:
            yield _problem("error", row, "DUPLICATE", f"row_id is also that of row {ids[row.row_id].line}")
        ids.setdefault(row.row_id, row)
        key = (*_series_key(row), row.band)
        if key in keys:
            yield _problem("error", row, "DUPLICATE", f"same examination, band and quantity as row {_where(keys[key])}")
        keys.setdefault(key, row)


def _band_problems(rows: list[DrlRow]) -> Iterable[Problem]:
    """Gaps, overlaps and falling values along one ladder of bands."""
    if rows[0].band.type not in _INTERVALS:
        return
    ladder = sorted(rows, key=lambda row: (_end(row, 0.0), _end(row, float("inf"), high=True)))
    for lower, upper in itertools.pairwise(ladder):
        stop, start = _end(lower, float("inf"), high=True), _end(upper, 0.0)
        bands = f"{lower.band.label} and {upper.band.label}"
        if lower.band == upper.band:
            continue  # reported as a duplicate
        if start < stop:
            yield _problem("error", upper, "OVERLAP", f"bands {bands} overlap (row {_where(lower)})")
        elif start > stop:
            # An achievable dose or p25 may be published for some bands only; a reference level for all.
            severity = "error" if upper.role == "drl" else "warning"
            yield _problem(severity, upper, "GAP", f"bands {bands} leave a gap (row {_where(lower)})")
        elif upper.value < lower.value and upper.band.type != "field_of_view":
            falls = f"{lower.printed_value} to {upper.printed_value} {upper.printed_unit}"
            message = f"value falls from {falls} between the bands {bands} (row {_where(lower)})"
            yield _problem("warning", upper, "MONOTONE", message)


def _equivalent_problems(drl_set: DrlSet) -> Iterable[Problem]:
    """Gaps and overlaps of the ages that stand in for weights."""
    ladder = sorted(drl_set.age_equivalents, key=lambda one: (one.low_months, one.band_low))
    file = str(Path(drl_set.folder) / "set.toml")
    for lower, upper in itertools.pairwise(ladder):
        for what, stop, start in (
            ("months", lower.high_months, upper.low_months),
            ("kg", lower.band_high, upper.band_low),
        ):
            if start != stop:
                code, word = ("OVERLAP", "overlap") if start < stop else ("GAP", "leave a gap")
                message = f"age_equivalents up to {stop:g} and from {start:g} {what} {word}"
                yield Problem("error", file, "", code, message)


def any_error(problems: Iterable[Problem]) -> bool:
    """Whether an edition with these problems is refused."""
    return any(problem.severity == "error" for problem in problems)


def _end(row: DrlRow, default: float, *, high: bool = False) -> float:
    """An end of the row's band on one scale: months become years."""
    end = row.band.high if high else row.band.low
    return default if end is None else end / in_band_unit(1.0, row.band)


def _scan_lengths(rows: Iterable[DrlRow]) -> Iterable[Problem]:
    pairs: dict[tuple[object, ...], dict[str, DrlRow]] = defaultdict(dict)
    for row in rows:
        if row.quantity in ("CTDIvol", "DLP"):
            key = (
                row.examination,
                row.scan_part,
                row.technique,
                row.patient_group,
                row.role,
                row.phantom,
                row.band,
            )
            pairs[key][row.quantity] = row
    low, high = IMPLIED_LENGTH_CM
    for pair in pairs.values():
        if len(pair) == 2:
            length = pair["DLP"].value / pair["CTDIvol"].value
            if not low <= length <= high:
                other = _where(pair["CTDIvol"])
                message = f"DLP over CTDIvol (row {other}) implies {length:.0f} cm; usual is {low:g} to {high:g} cm"
                yield _problem("warning", pair["DLP"], "SCAN_LENGTH", message)


def _fingerprint_problems(folder: Path, *, released: bool) -> Iterable[Problem]:
    """Compare rows and the fields of ``set.toml`` with the fingerprints of the release."""
    rows_path, target = folder / "rows.csv", folder / FINGERPRINTS
    if not target.is_file():
        severity, message = "warning", "the edition is not released: its rows may still change"
        if released:
            severity = "error"
            message = "the fingerprints of the released rows are missing: nothing tells whether a row was changed"
        yield Problem(severity, str(target), "", "UNRELEASED", message)
        return
    known: dict[str, str] = {}
    fields: dict[str, str] = {}
    for line in target.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if name.startswith(_FIELD):
            fields[name.removeprefix(_FIELD)] = digest
        else:
            known[name] = digest
    yield from _field_problems(folder / "set.toml", target, fields)
    seen = set()
    for number, cells in read_csv(rows_path, ROW_COLUMNS, []):
        row_id = cells["row_id"]
        seen.add(row_id)
        where = f"{number} ({row_id})"
        if row_id not in known:
            yield Problem("error", str(rows_path), where, "RELEASED", "row was added after release: add an edition")
        elif known[row_id] != row_fingerprint(cells):
            yield Problem("error", str(rows_path), where, "RELEASED", "released row was changed: add an edition")
    for row_id in sorted(known.keys() - seen):
        yield Problem("error", str(rows_path), row_id, "RELEASED", "released row is missing: add an edition")


def _field_problems(path: Path, target: Path, released: Mapping[str, str]) -> Iterable[Problem]:
    if not released:
        message = "written before set.toml had fingerprints: nothing tells whether a field of it was changed"
        yield Problem("warning", str(target), "", "UNRELEASED", message)
        return
    present = field_fingerprints(path.read_text(encoding="utf-8"))
    for key in sorted(released.keys() | present.keys()):
        if released.get(key) != present.get(key):
            what = "added" if key not in released else "changed" if key in present else "removed"
            yield Problem("error", str(path), "", "RELEASED", f"{key} was {what} after release: add an edition")
