"""What several parts need: cells of comparable values, their sizes, estimates as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.numbering import Texts, places_among
from dose_audit.audit.quantities import quantity_named
from dose_audit.statistics.size import SIZE_AXES

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns
    from dose_audit.audit.context import AuditContext
    from dose_audit.statistics import Estimate

__all__ = [
    "Cell",
    "cells",
    "estimate_record",
    "names_of",
    "size_of",
    "summary",
    "up_to_close",
    "usable_sizes",
    "water_equivalent_diameter_cm",
]


@dataclass(frozen=True)
class Cell:
    """All compared values of one examination, band and quantity, whatever the site.

    Attributes
    ----------
    modality, examination, examination_name, band, quantity, unit : str
    rows : array of int
        Rows in the table of values, by site, device and time.
    """

    modality: str
    examination: str
    examination_name: str
    band: str
    quantity: str
    unit: str
    rows: NDArray[np.int64]

    def record(self) -> dict[str, Any]:
        """What it is, for ``report.json``."""
        return {
            "modality": self.modality,
            "examination": self.examination,
            "examination_name": self.examination_name,
            "band": self.band,
            "quantity": self.quantity,
            "unit": self.unit,
            "n": int(self.rows.size),
        }

    @property
    def child(self) -> bool:
        """Whether the band is one of children: all but ``adult`` in sets that part them."""
        return self.band != "adult"


def cells(context: AuditContext, *, banded: bool = True) -> Iterator[Cell]:
    """Yield the cells in sorted order; without `banded` all bands of children are one."""
    columns, bands = context.values.columns, context.values.band
    if not banded:
        bands = Texts((bands != "adult").astype(np.int8), ["adult", "child"])
    names = ("modality", "examination", "quantity")
    for (modality, examination, quantity), rows in columns.groups(names, context.values.compared, within=bands.codes):
        yield Cell(
            modality,
            examination,
            columns["examination_name"][rows[0]],
            bands[rows[0]],
            quantity,
            columns["unit"][rows[0]],
            rows,
        )


def up_to_close(context: AuditContext, cell: Cell) -> list[tuple[Cell, str | None]]:
    """What a comparison between sites looks at: the cell up to the last close, and the whole of it where that is too little.

    Sites are compared at the closes like medians, so that a night between two of them changes nothing.

    Returns
    -------
    list of (Cell, str or None)
        In order of preference, each with the day of the close in ISO form; None where no close limits it.
    """
    last = context.schedule.last_day
    if context.schedule.single_look or last is None:
        return [(cell, None)]
    days = context.values.columns["study_date"][cell.rows].astype("datetime64[D]")
    closed = replace(cell, rows=cell.rows[days <= np.datetime64(last, "D")])
    return [(closed, last.isoformat()), (cell, None)]


def names_of(columns: Columns, name: str, rows: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct texts of a column among some rows, sorted, and which of them each row has."""
    codes, words = columns.codes(name)
    those = codes[rows]
    there = np.bincount(those, minlength=len(words)) > 0
    place: NDArray[np.int64] = (np.cumsum(there) - 1)[those]
    return [str(word) for word, used in zip(words, there, strict=True) if used], place


def size_of(context: AuditContext, cell: Cell) -> tuple[str, NDArray[np.float64]]:
    """Axis and values of the best measure of size that most of a cell's patients have; NaN where missing.

    Measured water-equivalent diameter before weight; for the breast its compressed thickness.
    """
    columns = context.values.columns
    known = quantity_named(cell.quantity, cell.modality)
    if known is not None and known.size == "thickness_mm":
        return "compressed_thickness", np.asarray(columns["thickness_mm"][cell.rows], dtype=float)
    if cell.modality == "CT":
        diameter = water_equivalent_diameter_cm(context, cell.rows)
        if np.count_nonzero(np.isfinite(diameter)) >= 0.7 * cell.rows.size:
            return "water_equivalent_diameter", diameter
    axis = "paediatric_weight" if cell.child else "weight"
    return axis, np.asarray(columns["weight_kg"][cell.rows], dtype=float)


def water_equivalent_diameter_cm(context: AuditContext, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Water-equivalent diameter of each row's exam; NaN where it was not measured."""
    found: NDArray[np.float64] = context.once(_diameters_cm)[rows]
    return found


def _diameters_cm(context: AuditContext) -> NDArray[np.float64]:
    """Of all rows of the table of values."""
    sizes, exams = context.exposures.sizes, context.values.columns["exam_id"]
    known = sizes["exam_id"]
    if known.size == 0:
        return np.full(exams.size, np.nan)
    place = places_among(known, exams)
    return np.where(place < 0, np.nan, sizes["wed_mm"][place] / 10.0)


def usable_sizes(axis: str, sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a size can be real."""
    row = SIZE_AXES[axis]
    return (sizes >= row.smallest) & (sizes <= row.largest)


def estimate_record(estimate: Estimate) -> dict[str, Any]:
    """Value, interval and status."""
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "status": estimate.status,
        "reason": estimate.reason,
    }


def summary(values: NDArray[np.float64]) -> dict[str, Any]:
    """Count, median with its interval, and quartiles."""
    from dose_audit.statistics import median_interval, quantile

    median = median_interval(values)
    return {
        "n": median.n,
        "median": median.value,
        "ci_low": median.low,
        "ci_high": median.high,
        "p25": quantile(values, 0.25) if median.n else None,
        "p75": quantile(values, 0.75) if median.n else None,
    }
