"""Average glandular dose by compressed thickness, and what European quality control accepts at that thickness."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dose_audit.audit.context import AuditContext

__all__ = ["AGREEMENT", "ThicknessBin", "agd_limits", "thickness_bins"]

BIN_MM = 10.0
LARGEST_AGD_MGY = 100.0
"""More for a single view is a fault of unit, not a dose."""
AGREEMENT = 0.25
"""Device and computed dose that differ by more disagree, as in `dose_audit.dosimetry.agd_agreement`."""


@dataclass(frozen=True)
class ThicknessBin:
    """Views of one device in one bin [low_mm, high_mm) of compressed thickness.

    `agd_mgy` and `times` are of the views whose device reports a dose. `mgd_mgy` holds, of all views of the bin, those
    whose mean glandular dose was computed after Dance, and `mgd_ratio` the device's over it, where both are there.
    `acceptable_mgy` and `achievable_mgy` are the limits at the middle of the bin; None outside the table.
    """

    site: str
    equipment: str
    low_mm: float
    high_mm: float
    agd_mgy: NDArray[np.float64]
    times: NDArray[Any]
    mgd_mgy: NDArray[np.float64]
    mgd_ratio: NDArray[np.float64]
    acceptable_mgy: float | None
    achievable_mgy: float | None
    confidence: str


@lru_cache(maxsize=1)
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], str]:
    text = resources.files("dose_audit.audit").joinpath("data/agd_limits.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    thickness, acceptable, achievable = (
        np.array([float(row[name]) for row in rows]) for name in ("breast_mm", "acceptable_mgy", "achievable_mgy")
    )
    return thickness, acceptable, achievable, rows[0]["confidence"]


def agd_limits(thickness_mm: float) -> tuple[float | None, float | None]:
    """Acceptable and achievable dose in mGy at a breast thickness, interpolated; None outside the table.

    Examples
    --------
    >>> agd_limits(60.0), agd_limits(120.0)
    ((3.0, 2.4), (None, None))
    """
    thickness, acceptable, achievable, _ = _table()
    if not thickness[0] <= thickness_mm <= thickness[-1]:
        return None, None
    return (
        float(np.interp(thickness_mm, thickness, acceptable)),
        float(np.interp(thickness_mm, thickness, achievable)),
    )


def _possible(doses: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (doses > 0.0) & (doses <= LARGEST_AGD_MGY)


def thickness_bins(context: AuditContext) -> Iterator[ThicknessBin]:
    """Yield each device's bins, thinnest first."""
    columns = context.exposures.views
    agd = np.asarray(columns["agd_mgy"], dtype=float)
    thickness = np.asarray(columns["thickness_mm"], dtype=float)
    computed = np.asarray(columns["mgd_mgy"], dtype=float)
    has_agd, has_mgd = _possible(agd), _possible(computed)
    usable = (has_agd | has_mgd) & (thickness >= 5.0) & (thickness <= 150.0)
    for (site, equipment), rows in columns.groups(("site", "equipment"), usable):
        place = np.floor(thickness[rows] / BIN_MM)
        for number in np.unique(place).tolist():
            members = rows[place == number]
            shown, both = members[has_agd[members]], members[has_agd[members] & has_mgd[members]]
            limits = agd_limits((number + 0.5) * BIN_MM)
            yield ThicknessBin(
                site,
                equipment,
                number * BIN_MM,
                (number + 1) * BIN_MM,
                agd[shown],
                columns["study_datetime"][shown],
                computed[members[has_mgd[members]]],
                agd[both] / computed[both],
                *limits,
                _table()[3],
            )
