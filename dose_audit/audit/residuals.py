"""Log doses with examination, device and patient size taken out: what steps, slips and outliers are looked
for in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.quantities import quantity_named
from dose_audit.audit.row_order import run_of
from dose_audit.statistics.order_statistics import median_of

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns
    from dose_audit.audit.kept import KeptResults
    from dose_audit.audit.values import Values

__all__ = [
    "GROUP",
    "DeviceSeries",
    "Residuals",
    "device_series",
    "log_residuals",
    "resistant_slope",
    "size_known",
]

GROUP = ("site", "equipment", "modality", "examination", "quantity")
"""With the band: values that are alike but for the patient's size."""

MINIMUM_GROUP = 10
MINIMUM_FOR_SIZE = 30


@dataclass(frozen=True)
class DeviceSeries:
    """All residuals of one device and quantity, in time order, whatever the examination.

    Attributes
    ----------
    site, equipment, modality, quantity : str
    rows : array of int
        Rows in the table of values.
    residual : array of float
        ln(dose) minus what its examination, band and the patient's size let expect.
    """

    site: str
    equipment: str
    modality: str
    quantity: str
    rows: NDArray[np.int64]
    residual: NDArray[np.float64]


@dataclass(frozen=True)
class Residuals:
    """What is left of the log doses of a table of values.

    Attributes
    ----------
    every : array of float
        Of each compared value in a group that is large enough; NaN for the rest.
    judged : array of float
        The same without values older than those that their group's were learned from.
    """

    every: NDArray[np.float64]
    judged: NDArray[np.float64]


def log_residuals(values: Values, closed: date | None = None, kept: KeptResults | None = None) -> Residuals:
    """Return ln(dose) of compared values minus its group's centre and size trend.

    Parameters
    ----------
    values : Values
    closed : date, optional
        Last close of the schedule. What a group's values are expected to be is then learned from those up to it.
    kept : KeptResults, optional
        Has what was learned of the same values in an earlier run.

    Notes
    -----
    Groups are device × examination × band × quantity with at least ten values. The size trend (ln dose on ln
    weight, or on compressed thickness) is Tukey's resistant line, from 30 values with known size on; a value
    without size is only centred.

    With a close the residuals of the exams before it stay what they are until the next one, however many come in, and
    newer exams are judged by what was usual before them. A group that had fewer than ten values by then learns from
    those after it, and judges those alone.
    """
    columns = values.columns
    parted = columns.parted(GROUP, values.compared, within=values.band.codes)
    every = np.full(len(columns), np.nan)
    not_judged: list[NDArray[np.int64]] = []
    # Group by group: what a group's few thousand values become stays where the processor has it at hand.
    for key, (a, b) in zip(parted.keys, pairwise(parted.edges), strict=True):
        rows = run_of(parted.rows[a:b])
        logs, size = np.log(columns["value"][rows]), _size(columns, key, rows)
        settled = (
            np.ones(logs.size, dtype=bool) if closed is None else _days(columns, rows) <= np.datetime64(closed, "D")
        )
        learned, judged = settled, None
        if closed is not None and np.count_nonzero(settled) < MINIMUM_GROUP:
            learned = judged = ~settled
        if np.count_nonzero(learned) < MINIMUM_GROUP:
            continue
        parts = (logs[learned], size[learned])
        if closed is None or kept is None:
            expected = _learn(*parts)
        else:
            expected = _Expected(**kept.result("expected", parts, partial(_learn_record, *parts)))
        left = logs - expected.centre
        if expected.slope is not None:
            at_size = (logs - expected.slope * (size - expected.size)) - expected.at_size
            left = np.where(np.isfinite(size), at_size, left)
        every[rows] = left
        if judged is not None:
            not_judged.append(parted.rows[a:b][~judged])
    if not not_judged:
        return Residuals(every, every)
    alone = every.copy()
    alone[np.concatenate(not_judged)] = np.nan
    return Residuals(every, alone)


def _size(columns: Columns, key: tuple[Any, ...], rows: NDArray[np.int64] | slice) -> NDArray[np.float64]:
    """Compressed thickness, or the logarithm of the weight; NaN where it is not known."""
    if _by_thickness(key[4], key[2]):
        return np.asarray(columns["thickness_mm"][rows], dtype=float)
    weight = np.asarray(columns["weight_kg"][rows], dtype=float)
    return np.log(np.where(weight > 0, weight, np.nan))


def _days(columns: Columns, rows: NDArray[np.int64] | slice) -> NDArray[np.datetime64]:
    return columns["study_date"][rows].astype("datetime64[D]", copy=False)


def size_known(values: Values, rows: NDArray[np.int64], *, quantity: str, modality: str) -> NDArray[np.bool_]:
    """Of which rows the size is known by which doses of this kind are expected."""
    name = "thickness_mm" if _by_thickness(quantity, modality) else "weight_kg"
    size = np.asarray(values.columns[name][rows], dtype=float)
    return np.isfinite(size) & (size > 0)


@dataclass(frozen=True, slots=True)
class _Expected:
    """What a group's log doses are expected to be: `centre`, or where the size is known on a line through `at_size` at
    `size`."""

    centre: float
    slope: float | None = None
    size: float = 0.0
    at_size: float = 0.0


def _learn_record(logs: NDArray[np.float64], size: NDArray[np.float64]) -> dict[str, Any]:
    return asdict(_learn(logs, size))


def _learn(logs: NDArray[np.float64], size: NDArray[np.float64]) -> _Expected:
    centre = median_of(logs)
    known = np.isfinite(size)
    if np.count_nonzero(known) < MINIMUM_FOR_SIZE:
        return _Expected(centre)
    logs, size = logs[known], size[known]
    slope, middle = resistant_slope(size, logs), median_of(size)
    return _Expected(centre, slope, middle, median_of(logs - slope * (size - middle)))


def resistant_slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Slope between the medians of the outer thirds (Tukey's resistant line); 0 where x hardly varies.

    References
    ----------
    Tukey, Exploratory Data Analysis, Addison-Wesley 1977, chapter 10.

    Examples
    --------
    >>> resistant_slope(np.arange(9.0), np.array([0, 2, 4, 6, 8, 10, 12, 14, 1000.0]))
    2.0
    """
    order = np.argsort(x, kind="stable")
    third = x.size // 3
    if third == 0:
        return 0.0
    low, high = order[:third], order[-third:]
    width = median_of(x[high]) - median_of(x[low])
    if width <= 1e-9:
        return 0.0
    return (median_of(y[high]) - median_of(y[low])) / width


def device_series(values: Values, residual: NDArray[np.float64]) -> Iterator[DeviceSeries]:
    """Yield the residuals of each device and quantity in time order, for quantities that the device decides.

    Fluoroscopy time is left out: it is the operator's, and says nothing about the device.
    """
    usable = np.isfinite(residual)
    for (site, equipment, modality, quantity), rows in values.by_device:
        if quantity == "fluoro_time":
            continue
        those = rows[usable[rows]]
        if those.size:
            yield DeviceSeries(site, equipment, modality, quantity, those, residual[those])


def _by_thickness(quantity: str, modality: str) -> bool:
    """Whether a quantity goes with the compressed thickness of the breast, and not with the weight."""
    known = quantity_named(quantity, modality)
    return known is None or known.size == "thickness_mm"
