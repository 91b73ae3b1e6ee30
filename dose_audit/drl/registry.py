"""The editions that a run may use: which is in force on a date, and which row answers for an examination."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from dose_audit.drl.bands import PatientSize, choose_band
from dose_audit.drl.check import any_error, check_edition
from dose_audit.drl.reader import read_edition, read_examinations
from dose_audit.drl.tables import (
    DrlRow,
    DrlSet,
    Examination,
    Problem,
    broader_chain,
    edition_folders,
    tables_root,
)
from dose_audit.drl.units import find_quantity
from dose_audit.texts import counted

MATCHED = "MATCHED"
NO_DRL = "NO_DRL"
AMBIGUOUS = "AMBIGUOUS"
PHANTOM_MISMATCH = "PHANTOM_MISMATCH"
OUTSIDE_WEIGHT_WINDOW = "OUTSIDE_WEIGHT_WINDOW"

PHANTOM_NOT_REPORTED = "PHANTOM_NOT_REPORTED"
DRL_PHANTOM_NOT_STATED = "DRL_PHANTOM_NOT_STATED"
DRL_PHANTOM_RECALLED = "DRL_PHANTOM_RECALLED"
BROADER_EXAMINATION = "BROADER_EXAMINATION"
VALIDITY_NOT_KNOWN = "VALIDITY_NOT_KNOWN"
UNVERIFIED = "UNVERIFIED"
TRANSCRIBED = "TRANSCRIBED"
LOCAL = "LOCAL"

NAME_TAKEN = (
    "{} is the name of a packaged set, in whose place this one would answer: a local set needs a name of its own"
)


@dataclass(frozen=True, slots=True)
class Match:
    """What the reference levels say about one examination, quantity and patient.

    Attributes
    ----------
    row : DrlRow or None
        The reference level.
    status : str
        ``MATCHED``, ``NO_DRL``, ``AMBIGUOUS``, ``PHANTOM_MISMATCH``, ``MISSING_WEIGHT``, ``MISSING_SIZE``,
        ``MISSING_AGE``, ``OUT_OF_BAND`` or ``OUTSIDE_WEIGHT_WINDOW``.
    reason : str
        In words, for the report.
    band_label : str
        The band that the patient belongs to; empty where none was found.
    flags : tuple of str
        What a reader must know: ``AGE_EQUIVALENT``, ``UNVERIFIED``, ``VALIDITY_NOT_KNOWN``, …
    p25, achievable : DrlRow or None
        Companion rows of the same set and band.
    candidates : tuple of DrlRow
        The rows between which no choice could be made.
    patient_group : str
        ``adult``, ``child`` or empty.
    """

    row: DrlRow | None
    status: str
    reason: str = ""
    band_label: str = ""
    flags: tuple[str, ...] = ()
    p25: DrlRow | None = None
    achievable: DrlRow | None = None
    candidates: tuple[DrlRow, ...] = ()
    patient_group: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An edition that was not loaded, and why; `faults` are the errors for which it was refused."""

    set_id: str
    edition: str
    reason: str
    faults: tuple[Problem, ...] = ()


@dataclass(slots=True)
class DrlRegistry:
    """Editions loaded for a run.

    Attributes
    ----------
    sets : tuple of DrlSet
    preference : tuple of str
        Set ids, first wins; empty where no order was given, and then two sets that answer make an ambiguity.
    problems : tuple of Problem
        Faults and warnings found on the way; editions with errors are not in `sets`.
    skipped : tuple of Skipped
    examinations : dict
    """

    sets: tuple[DrlSet, ...]
    examinations: dict[str, Examination]
    preference: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    _index: dict[tuple[str, str], dict[tuple[str, str], list[DrlRow]]] = field(default_factory=dict, repr=False)
    _in_force: dict[date, tuple[DrlSet, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for drl_set in self.sets:
            rows: dict[tuple[str, str], list[DrlRow]] = {}
            for row in drl_set.rows:
                rows.setdefault((row.examination, row.quantity), []).append(row)
            self._index[drl_set.set_id, drl_set.edition] = rows

    @property
    def unverified(self) -> tuple[DrlSet, ...]:
        """Loaded editions whose values were transcribed second-hand or recalled: every report names them."""
        return tuple(s for s in self.sets if s.status == "unverified")

    def in_force(self, on: date, view: str = "then", *, now: date | None = None) -> tuple[DrlSet, ...]:
        """Return one edition per set: the newest whose validity contains the date.

        Parameters
        ----------
        on : date
            Study date.
        view : str
            ``then`` uses the study date; ``now`` uses `now`, whatever the study date.
        now : date, optional
            The chosen date; needed with ``now``.

        Returns
        -------
        tuple of DrlSet
            In order of preference.
        """
        day = _view_date(on, view, now)
        if day not in self._in_force:
            newest: dict[str, DrlSet] = {}
            for drl_set in self.sets:
                held = newest.get(drl_set.set_id)
                if drl_set.in_force(day) and (held is None or _age(drl_set) > _age(held)):
                    newest[drl_set.set_id] = drl_set
            order = {set_id: place for place, set_id in enumerate(self.preference)}
            ranked = sorted(newest.values(), key=lambda s: (order.get(s.set_id, len(order)), s.set_id))
            self._in_force[day] = tuple(ranked)
        return self._in_force[day]

    def find(
        self,
        examination: str,
        quantity: str,
        *,
        on: date,
        patient_group: str | None = None,
        age_years: float | None = None,
        weight_kg: float | None = None,
        wed_mm: float | None = None,
        thickness_mm: float | None = None,
        phantom: str | None = None,
        scan_part: str | None = None,
        technique: str | None = None,
        basis: str | None = None,
        site: str = "",
        view: str = "then",
        now: date | None = None,
    ) -> Match:
        """Find the reference level for one examination and quantity of one patient.

        Parameters
        ----------
        examination : str
            Slug from ``examinations.csv``.
        quantity : str
            Symbol, alias or exam-record field name (``CTDIvol``, ``kap_gy_cm2`` …).
        on : date
            Study date; with `view` and `now` as for `in_force`.
        patient_group : str, optional
            ``adult`` or ``child``; worked out from the age by each set's own limit when left out.
        age_years, weight_kg, wed_mm, thickness_mm : float, optional
            As measured and plausible; None is not known. `wed_mm` is the water-equivalent diameter,
            `thickness_mm` the compressed breast's.
        phantom : str, optional
            ``head_16cm``, ``body_32cm`` or ``mixed``: what the dose was reported on.
        scan_part, technique : str, optional
            Where a set has several rows that differ in these.
        basis : str, optional
            What the dose stands for, ``per_exam`` or ``per_sequence`` …: levels of another basis do not answer. Local
            levels were computed from the very values that they are compared with, and always do.
        site : str
            Sets that hold for one site answer for that site alone.

        Returns
        -------
        Match
            Never a guess: no row, or two, is a status of its own.

        Raises
        ------
        UnitError
            If the quantity is not known.
        """
        symbol = find_quantity(quantity).symbol
        patient = PatientSize(age_years, weight_kg, wed_mm, thickness_mm)
        answers: list[tuple[DrlSet, list[DrlRow], str, tuple[str, ...]]] = []
        age_needed = False
        other_basis: list[str] = []
        for drl_set in self.in_force(on, view, now=now):
            if drl_set.site and drl_set.site != site:
                continue
            rows, flags = self._rows(drl_set, examination, symbol)
            if not rows:
                continue
            group = patient_group or _group(drl_set, age_years)
            if group is None:
                age_needed = True
                continue
            rows = [row for row in rows if row.patient_group == group]
            if basis is not None and drl_set.status != "local":
                other_basis.extend(f"{drl_set.name} has it {row.basis}" for row in rows if row.basis != basis)
                rows = [row for row in rows if row.basis == basis]
            if rows:
                answers.append((drl_set, rows, group, flags))
                if self.preference:
                    break
        if not answers:
            if age_needed:
                return Match(None, "MISSING_AGE", "neither the age nor the patient group is known")
            reason = f"no loaded edition has {symbol} for {examination}"
            if other_basis:
                reason += f" {basis}: {', '.join(dict.fromkeys(other_basis))}"
            reason = reason.replace("per_", "per ")
            late = [
                drl_set
                for drl_set in self._not_yet(_view_date(on, view, now), site)
                for row in self._rows(drl_set, examination, symbol)[0]
                if row.role == "drl"
                and row.patient_group == (patient_group or _group(drl_set, age_years))
                and basis in (None, row.basis)
            ]
            if late:
                reason = "; ".join(
                    f"{one.name} has it, but it is not known from when it applies: it answers for exams from "
                    f"{one.valid_from}, the day it was recorded here"
                    for one in {one.name: one for one in late}.values()
                )
            flags = (VALIDITY_NOT_KNOWN,) if late else ()
            return Match(None, NO_DRL, reason, flags=flags, patient_group=patient_group or "")
        if len(answers) > 1:
            names = ", ".join(drl_set.name for drl_set, *_ in answers)
            both = tuple(row for _, found, *_ in answers for row in found)
            reason = f"several sets have {symbol} for {examination}: {names}; give their order of preference"
            return Match(None, AMBIGUOUS, reason, candidates=both, patient_group=answers[0][2])
        drl_set, rows, group, flags = answers[0]
        return _choose(drl_set, rows, group, patient, phantom, scan_part, technique, flags)

    def _not_yet(self, day: date, site: str) -> list[DrlSet]:
        """Editions that do not answer on a day, though they may have applied: it is not known from when they do."""
        return [s for s in self.sets if not s.valid_from_known and day < s.valid_from and s.site in ("", site)]

    def _rows(self, drl_set: DrlSet, examination: str, symbol: str) -> tuple[list[DrlRow], tuple[str, ...]]:
        """Rows for the examination, or in a set of regions for the nearest broader one that has any."""
        index = self._index[drl_set.set_id, drl_set.edition]
        rows = index.get((examination, symbol), [])
        if rows or drl_set.scope != "region":
            return rows, ()
        for slug in broader_chain(examination, self.examinations) or ():
            rows = index.get((slug, symbol), [])
            if rows:
                return rows, (BROADER_EXAMINATION,)
        return [], ()


def load_sets(
    root: Path | None = None,
    *,
    allow_unverified: bool = False,
    include: Iterable[str] | None = None,
    local: Path | None = None,
) -> DrlRegistry:
    """Load the editions of reference levels.

    Parameters
    ----------
    root : Path, optional
        A ``drl_tables`` folder; the packaged one by default.
    allow_unverified : bool
        Editions transcribed second-hand or recalled load only with True, and stamp what they touch.
    include : iterable of str, optional
        Set ids to load, in order of preference; all by default, with no preference between them.
    local : Path, optional
        A further folder of editions, of local levels that a site has approved; it need not exist.

    Returns
    -------
    DrlRegistry
        Editions with errors are refused and listed in `problems`; the rest is unaffected.

    Raises
    ------
    ValueError
        If `include` names a set that does not exist, or ``examinations.csv`` is faulty.
    """
    base = root or tables_root()
    wanted = tuple(dict.fromkeys(include)) if include is not None else None
    examinations = read_examinations(base)
    sets: list[DrlSet] = []
    problems: list[Problem] = []
    skipped: list[Skipped] = []
    packaged, own = edition_folders(base), edition_folders(local) if local is not None else []
    taken = {folder.parent.name for folder in packaged}
    for folder in packaged + own:
        set_id, edition = folder.parent.name, folder.name
        if wanted is not None and set_id not in wanted:
            continue
        drl_set, found = read_edition(folder)
        if drl_set is not None:
            released = root is None or folder in own
            found = found + check_edition(drl_set, examinations, released=released, whole=not any_error(found))
        if folder in own and set_id in taken:
            found = [Problem("error", str(folder / "set.toml"), "", "NAME", NAME_TAKEN.format(set_id)), *found]
        problems.extend(found)
        errors = tuple(problem for problem in found if problem.severity == "error")
        if drl_set is None or errors:
            reason = f"refused for {counted(len(errors), 'error')}: {errors[0].briefly}"
            skipped.append(Skipped(set_id, edition, reason, errors))
        elif drl_set.status == "unverified" and not allow_unverified:
            skipped.append(Skipped(set_id, edition, "unverified: loads only by explicit choice (allow_unverified_drl)"))
        else:
            sets.append(drl_set)
    present = taken | {folder.parent.name for folder in own}
    missing = [set_id for set_id in wanted or () if set_id not in present]
    if missing:
        raise ValueError(f"no such DRL set: {', '.join(missing)}; known: {', '.join(sorted(present))}")
    return DrlRegistry(tuple(sets), examinations, wanted or (), tuple(problems), tuple(skipped))


def _choose(
    drl_set: DrlSet,
    rows: Sequence[DrlRow],
    group: str,
    patient: PatientSize,
    phantom: str | None,
    scan_part: str | None,
    technique: str | None,
    flags: tuple[str, ...],
) -> Match:
    """The one row of a set for a patient, or the status that says why there is none."""
    window = drl_set.adult_weight_kg
    if group == "adult" and window and patient.weight_kg is not None and not window[0] <= patient.weight_kg < window[1]:
        reason = f"weight {patient.weight_kg:g} kg is outside the set's {window[0]:g}–<{window[1]:g} kg"
        return Match(None, OUTSIDE_WEIGHT_WINDOW, reason, patient_group=group)
    rows = [
        row
        for row in rows
        if (scan_part is None or row.scan_part == scan_part) and (technique is None or row.technique == technique)
    ]
    levels = [row for row in rows if row.role == "drl"]
    if not levels:
        return Match(
            None,
            NO_DRL,
            f"{drl_set.name} has no reference level for this part or technique",
            patient_group=group,
        )
    choice = choose_band(levels, patient, drl_set.age_equivalents)
    flags += choice.flags
    if choice.status != MATCHED:
        return Match(None, choice.status, choice.reason, flags=flags, patient_group=group)
    label = choice.rows[0].band.label
    hits = choice.rows
    if len(hits) > 1 and phantom:
        hits = tuple(row for row in hits if row.phantom in ("", phantom)) or hits
    if len(hits) > 1:
        reason = f"{len(hits)} rows of {drl_set.name} fit: {', '.join(row.row_id for row in hits)}"
        return Match(None, AMBIGUOUS, reason, label, flags, candidates=hits, patient_group=group)
    row = hits[0]
    flags += _row_flags(drl_set, row, phantom)
    if row.phantom and phantom and phantom != row.phantom:
        reason = f"dose reported on {_phantom(phantom)}, reference level is for {_phantom(row.phantom)}"
        return Match(None, PHANTOM_MISMATCH, reason, label, flags, candidates=(row,), patient_group=group)
    if phantom == "mixed" and row.quantity in ("CTDIvol", "DLP"):
        reason = "dose reported on both phantoms, which do not add up to one dose"
        return Match(None, PHANTOM_MISMATCH, reason, label, flags, candidates=(row,), patient_group=group)
    beside = {
        other.role: other
        for other in rows
        if other.role != "drl"
        and (other.examination, other.band, other.scan_part, other.technique, other.phantom)
        == (row.examination, row.band, row.scan_part, row.technique, row.phantom)
    }
    return Match(row, MATCHED, choice.reason, label, flags, beside.get("p25"), beside.get("achievable"), (), group)


def _row_flags(drl_set: DrlSet, row: DrlRow, phantom: str | None) -> tuple[str, ...]:
    flags: tuple[str, ...] = {
        "unverified": (UNVERIFIED,),
        "transcribed": (TRANSCRIBED,),
        "local": (LOCAL,),
    }.get(drl_set.status, ())
    if row.quantity in ("CTDIvol", "DLP"):
        if not row.phantom:
            flags += (DRL_PHANTOM_NOT_STATED,)
        elif row.phantom_source == "recalled":
            flags += (DRL_PHANTOM_RECALLED,)
        if not phantom:
            flags += (PHANTOM_NOT_REPORTED,)
    return flags


def _phantom(code: str) -> str:
    words = {"head_16cm": "the 16 cm phantom", "body_32cm": "the 32 cm phantom", "mixed": "both phantoms"}
    return words.get(code, code)


def _group(drl_set: DrlSet, age_years: float | None) -> str | None:
    if age_years is None:
        return None
    return "adult" if age_years >= drl_set.adult_from_years else "child"


def _view_date(on: date, view: str, now: date | None) -> date:
    if view == "then":
        return on
    if view == "now" and now is not None:
        return now
    raise ValueError("view is 'then', or 'now' together with the chosen date")


def _age(drl_set: DrlSet) -> tuple[date, date, str]:
    return drl_set.valid_from, drl_set.published_on or drl_set.valid_from, drl_set.edition
