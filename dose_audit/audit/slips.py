"""Blocks of exams whose doses moved by a power of ten against the device's own: the mark of a wrong unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.residuals import DeviceSeries, device_series

if TYPE_CHECKING:
    from dose_audit.audit.values import Values

__all__ = ["Slip", "find_slips"]

FALSE_ALARM = 0.01
RECENT = 5
"""So many exams at the very end are enough to see a fresh slip."""
_HALF_A_SLIP = 0.4 * np.log(10.0)
"""A slip is 0.8 decades or more, see `statistics.unit_slip`: either side of it lies at least half of that from zero."""
_WINDOW, _FAR_IN_WINDOW = 10, 4


@dataclass(frozen=True)
class Slip:
    """One block of exams with doses a power of ten off.

    Attributes
    ----------
    site, equipment, modality, quantity : str
    rows : array of int
        Rows of the block in the table of values.
    decades : int
        log10 of the factor, as a whole number.
    factor : float
        Block's median over the rest's, size and examination taken out.
    others : int
        Values that it was judged by.
    """

    site: str
    equipment: str
    modality: str
    quantity: str
    rows: NDArray[np.int64]
    decades: int
    factor: float
    others: int


def find_slips(values: Values, residual: NDArray[np.float64]) -> list[Slip]:
    """Find five or more successive exams of a device that are off by a power of ten, a million at most (Gy·m² for µGy·m²).

    Parameters
    ----------
    values : Values
    residual : array of float
        `Residuals.every` of `residuals.log_residuals`.

    Notes
    -----
    The device's larger part counts as right until somebody says otherwise. A single exam ten times its
    group's median may be real: that is an outlier, and its values stay in.
    """
    found = []
    for series in device_series(values, residual):
        found.extend(_slips_of(series))
    return found


def _slips_of(series: DeviceSeries) -> list[Slip]:
    from dose_audit.statistics import find_changes, unit_slip

    n = series.residual.size
    if n < 2 * RECENT or float(np.ptp(series.residual)) < np.log(5.0):
        return []
    doses = np.exp(series.residual)
    starts: list[int] = []
    if _may_hold_block(series.residual):
        starts = [change.index for change in find_changes(doses, false_alarm=FALSE_ALARM).changes]
    if not starts and n > 4 * RECENT and unit_slip(doses[:-RECENT], doses[-RECENT:]).decades:
        starts = [n - RECENT]
    if not starts:
        return []
    blocks = [np.arange(a, b) for a, b in zip([0, *starts], [*starts, n], strict=True)]
    levels = [round(float(np.median(series.residual[block])) / np.log(10.0), 1) for block in blocks]
    usual = _usual_level(blocks, levels)
    reference = np.concatenate([b for b, level in zip(blocks, levels, strict=True) if abs(level - usual) < 0.5])
    slips = []
    for block, level in zip(blocks, levels, strict=True):
        if abs(level - usual) < 0.5:
            continue
        slip = unit_slip(doses[reference], doses[block], minimum_recent=RECENT)
        if slip.decades and slip.log10_ratio is not None:
            slips.append(
                Slip(
                    series.site,
                    series.equipment,
                    series.modality,
                    series.quantity,
                    series.rows[block],
                    slip.decades,
                    10.0**slip.log10_ratio,
                    int(reference.size),
                )
            )
    return slips


def _may_hold_block(residual: NDArray[np.float64]) -> bool:
    """Whether ten exams or more in a row can have a median far enough from zero: no search where they cannot.

    At least half of such a block lies far on one side. If every ten neighbours had three such values at most, a block of
    10·q + r exams would have at most 3·q + min(3, r) of them, which is less than half of it.
    """
    for far in (residual >= _HALF_A_SLIP, residual <= -_HALF_A_SLIP):
        places = np.flatnonzero(far)
        if np.any(places[_FAR_IN_WINDOW - 1 :] - places[: 1 - _FAR_IN_WINDOW] < _WINDOW):
            return True
    return False


def _usual_level(blocks: list[NDArray[np.int64]], levels: list[float]) -> float:
    """Level (in decades) around which most exams lie."""
    counts = [
        (sum(b.size for b, other in zip(blocks, levels, strict=True) if abs(other - level) < 0.5), -i, level)
        for i, level in enumerate(levels)
    ]
    return max(counts)[2]
