"""Log doses with examination, device and patient size taken out: what steps, slips and outliers are looked
for in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.quantities import quantity_named

if TYPE_CHECKING:
    from dose_audit.audit.values import Values

__all__ = ["DeviceSeries", "device_series", "log_residuals", "resistant_slope"]

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


def log_residuals(values: Values) -> NDArray[np.float64]:
    """Return ln(dose) of every compared value minus its group's centre and size trend; NaN for the rest.

    Notes
    -----
    Groups are device × examination × band × quantity with at least ten values. The size trend (ln dose on ln
    weight, or on compressed thickness) is Tukey's resistant line, from 30 values with known size on; a value
    without size is only centred.
    """
    columns = values.columns
    residual = np.full(len(columns), np.nan)
    names = ("site", "equipment", "modality", "examination", "quantity")
    for key, rows in columns.groups(names, values.compared, within=values.band_codes):
        if rows.size < MINIMUM_GROUP:
            continue
        logs = np.log(columns["value"][rows])
        residual[rows] = logs - np.median(logs)
        size = _size(columns, rows, key[4], key[2])
        known = np.isfinite(size)
        if np.count_nonzero(known) >= MINIMUM_FOR_SIZE:
            trend = resistant_slope(size[known], logs[known]) * (size[known] - np.median(size[known]))
            left = logs[known] - trend
            residual[rows[known]] = left - np.median(left)
    return residual


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
    width = float(np.median(x[high]) - np.median(x[low]))
    if width <= 1e-9:
        return 0.0
    return float((np.median(y[high]) - np.median(y[low])) / width)


def device_series(values: Values, residual: NDArray[np.float64]) -> Iterator[DeviceSeries]:
    """Yield the residuals of each device and quantity in time order, for quantities that the device decides.

    Fluoroscopy time is left out: it is the operator's, and says nothing about the device.
    """
    columns = values.columns
    usable = np.isfinite(residual)
    times = columns["study_datetime"]
    ids = columns["exam_id"]
    for (site, equipment, modality, quantity), rows in columns.groups(
        ("site", "equipment", "modality", "quantity"), usable
    ):
        if quantity == "fluoro_time":
            continue
        ordered = rows[np.lexsort((ids[rows], times[rows]))]
        yield DeviceSeries(site, equipment, modality, quantity, ordered, residual[ordered])


def _size(columns: Any, rows: NDArray[np.int64], quantity: str, modality: str) -> NDArray[np.float64]:
    known = quantity_named(quantity, modality)
    if known is None or known.size == "thickness_mm":
        return np.asarray(columns["thickness_mm"][rows], dtype=float)
    weight = np.asarray(columns["weight_kg"][rows], dtype=float)
    return np.log(np.where(weight > 0, weight, np.nan))
