"""Gives every value its band and reference level, asking the DRL tables once per kind of patient and not per
exam.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.numbering import renumbered
from dose_audit.audit.quantities import quantity_named
from dose_audit.drl.bands import AGE_RESOLUTION_YEARS, INFANT_EDGE_YEARS

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns
    from dose_audit.drl import DrlRegistry, DrlSet, Match

__all__ = [
    "ADULT_FROM_YEARS",
    "COMPARED",
    "References",
    "cell_edges",
    "editions_in_force",
    "find_references",
    "flags_of",
    "with_cells",
]

ADULT_FROM_YEARS = 18.0
"""Adults and children are never one group; this parts them where no set that answers says at what age."""

COMPARED = ("MATCHED", "NO_DRL", "AMBIGUOUS")
"""Statuses of a match whose values form a group; all others leave the value out, under that name."""


@dataclass(frozen=True)
class References:
    """The matches of a table of values.

    Attributes
    ----------
    index : array of int
        For each row its place in `matches`, −1 where none was asked for.
    matches : list of Match
    bands : list of str
        Band of each match, as reports name it.
    """

    index: NDArray[np.int64]
    matches: list[Match]
    bands: list[str]

    def status(self) -> list[str]:
        """Status of each match."""
        return [match.status for match in self.matches]


def cell_edges(registry: DrlRegistry) -> dict[str, Any]:
    """What parts patients for the reference levels: edges by column, and whether some levels hold for one site alone.

    Between two successive edges of all bands, age limits, weight windows and validity dates the tables cannot tell
    patients apart.
    """
    return _edges(registry) | {"by_site": any(drl_set.site for drl_set in registry.sets)}


def with_cells(columns: Columns, edges: Mapping[str, Any]) -> Columns:
    """The columns, of arrays, with ``cell``: the same text for rows that the reference levels cannot tell apart.

    Parameters
    ----------
    columns : Columns
        With `reason`, `examination`, `quantity`, `modality`, `phantom`, `site`, `age_years`, `weight_kg`, `thickness_mm`,
        `wed_mm`, `study_date`.
    edges : mapping
        From `cell_edges`.

    Notes
    -----
    A row that is left out, for which no level is looked up, has the empty text.
    """
    rows = np.flatnonzero(columns["reason"] == "")
    codes = np.zeros(len(columns), dtype=np.int64)
    if not rows.size:
        return columns.with_texts("cell", codes, [""])
    named = ["examination", "quantity", "modality", "phantom", *(["site"] if edges["by_site"] else [])]
    keys: list[NDArray[np.integer[Any]]] = [columns.codes(name)[0][rows] for name in named]
    for name in ("age_years", "weight_kg", "thickness_mm", "wed_mm"):
        keys.append(_cells(columns[name][rows], edges[name]))
    days = columns["study_date"][rows].astype("datetime64[D]").astype(np.int64)
    keys.append(np.searchsorted([_day_number(day) for day in edges["study_date"]], days, side="right"))
    first, inverse = _combinations(keys)
    words = [
        "\x1f".join(
            [str(columns[name][rows[row]] or "") for name in named]
            + [f"{key[row] + 1:05d}" for key in keys[len(named) :]]
        )
        for row in first.tolist()
    ]
    codes[rows] = inverse + 1
    return columns.with_texts("cell", codes, ["", *words])


def find_references(columns: Columns, registry: DrlRegistry, *, view: str, now: date) -> References:
    """Find the reference level of each row that has a cell.

    Parameters
    ----------
    columns : Columns
        From `with_cells`.
    registry : DrlRegistry
    view : str
        ``then`` or ``now``.
    now : date
        The run's date, for ``now``.

    Notes
    -----
    One row of each cell is looked up.
    """
    codes, words = columns.codes("cell")
    without = int(words[:1] == [""])  # sorted, the empty text is the first
    index = codes.astype(np.int64) - without
    first = np.empty(len(words), dtype=np.int64)
    first[codes[::-1]] = np.arange(codes.size)[::-1]  # of several, the one that is put there last stays
    first = first[without:]
    columns = columns.some(first)
    matches = [_look_up(columns, row, registry, view, now) for row in range(first.size)]
    ages = columns["age_years"]
    return References(index, matches, [_band(m, float(age)) for m, age in zip(matches, ages, strict=True)])


def editions_in_force(registry: DrlRegistry, *, since: date, until: date, view: str, now: date) -> list[DrlSet]:
    """Return every edition that answers on some day of the period, in the order of the registry."""
    turns = {day for s in registry.sets for day in (s.valid_from, s.valid_to) if day and since < day <= until}
    days = [now] if view == "now" else [since, *sorted(turns)]
    used = {(s.set_id, s.edition) for day in days for s in registry.in_force(day, view, now=now)}
    return [s for s in registry.sets if (s.set_id, s.edition) in used]


def _look_up(columns: Columns, row: int, registry: DrlRegistry, view: str, now: date) -> Match:
    quantity = quantity_named(columns["quantity"][row], columns["modality"][row])
    if quantity is None:
        raise AssertionError("a value row has a quantity of its modality")
    return registry.find(
        columns["examination"][row],
        quantity.drl_name,
        on=columns["study_date"][row].astype("datetime64[D]").item(),
        age_years=_number(columns["age_years"][row]),
        weight_kg=_number(columns["weight_kg"][row]),
        wed_mm=_number(columns["wed_mm"][row]),
        thickness_mm=_number(columns["thickness_mm"][row]),
        phantom=columns["phantom"][row],
        basis=f"per_{quantity.basis}",
        site=columns["site"][row] or "",
        view=view,
        now=now,
    )


def _edges(registry: DrlRegistry) -> dict[str, Any]:
    ages: set[float] = {ADULT_FROM_YEARS}
    weights: set[float] = set()
    thicknesses: set[float] = set()
    diameters: set[float] = set()
    days: set[date] = set()
    for drl_set in registry.sets:
        ages.add(drl_set.adult_from_years)
        weights.update(drl_set.adult_weight_kg or ())
        days.update(day for day in (drl_set.valid_from, drl_set.valid_to) if day is not None)
        for entry in drl_set.age_equivalents:
            ages.update((entry.low_months / 12.0, entry.high_months / 12.0))
        for row in drl_set.rows:
            ends = [end for end in (row.band.low, row.band.high) if end is not None]
            if row.band.type == "age":
                ages.update(end / 12.0 if row.band.unit == "month" else end for end in ends)
            elif row.band.type == "weight":
                weights.update(ends)
            elif row.band.type == "thickness":
                thicknesses.update(ends)
            elif row.band.type == "water_equivalent_diameter":
                diameters.update(ends)
    # Infants near an edge get a flag of their own: both sides of its reach are edges too.
    near = {e + s * AGE_RESOLUTION_YEARS for e in ages if e <= INFANT_EDGE_YEARS for s in (-1, 1)}
    return {
        "age_years": sorted(ages | near),
        "weight_kg": sorted(weights),
        "thickness_mm": sorted(thicknesses),
        "wed_mm": sorted(diameters),
        "study_date": sorted(days),
    }


def _cells(values: NDArray[Any], edges: Sequence[float]) -> NDArray[np.int64]:
    """Cell of each value between half-open edges; −1 where the value is absent."""
    numbers = np.asarray(values, dtype=float)
    cells = np.searchsorted(np.asarray(list(edges), dtype=float), numbers, side="right").astype(np.int64)
    cells[np.isnan(numbers)] = -1
    return cells


def _combinations(keys: Sequence[NDArray[np.integer[Any]]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct combinations of some keys in ascending order: a row of each, and each row's place among them."""
    inverse: NDArray[np.integer[Any]] = np.zeros(len(keys[0]), dtype=np.int64)
    size = 1
    for key in keys:
        # Renumbered at each step, so that many keys cannot overflow.
        low, count = int(key.min()), int(key.max()) - int(key.min()) + 1
        if count == 1:  # tells nothing apart
            continue
        inverse, size = renumbered(inverse * np.int64(count) + (key - low), size * count)
    first = np.empty(size, dtype=np.int64)
    first[inverse[::-1]] = np.arange(inverse.size)[::-1]  # the last one that is put there stays
    return first, inverse.astype(np.int64)


def _band(match: Match, age_years: float) -> str:
    if match.band_label and match.band_label != "all":
        return match.band_label
    if match.patient_group:
        return match.patient_group
    if np.isnan(age_years):
        return "age not known"
    return "adult" if age_years >= ADULT_FROM_YEARS else "child"


def _day_number(day: date) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def flags_of(matches: Iterable[Match]) -> tuple[str, ...]:
    """All flags of a group's matches, each once, in order of appearance."""
    return tuple(dict.fromkeys(flag for match in matches for flag in match.flags))
