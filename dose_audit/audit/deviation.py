"""Deviation index of every device and acquisition protocol, worked out again from exposure index and target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.limits import limit
from dose_audit.statistics import robust_slope

if TYPE_CHECKING:
    from dose_audit.audit.context import AuditContext
    from dose_audit.statistics import Estimate

__all__ = ["IndexGroup", "deviation_index", "drift_a_year", "index_groups"]

_DAYS_A_YEAR = 365.25
_LEAST_DAYS = 60
_ROUNDING = 0.15  # a header's DI has one decimal, and its EI may be rounded too


@dataclass(frozen=True)
class IndexGroup:
    """Exposures of one device and acquisition protocol, in time order.

    Attributes
    ----------
    site, equipment, acquisition_protocol : str
    times : array of datetime64
        Of the exposures that have a deviation index.
    deviation : array of float
        10·log10(EI/target); the header's own where it names no target.
    without_target : int
        Exposures with an index and neither target nor deviation.
    median_ei : float or None
    targets : list of (float, int)
        Each target index with its count, most used first: a drifted target hides a drifted dose.
    beyond : int
        Exposures further than ±3 from their target.
    header_disagrees : int
        Exposures whose header says another deviation than EI and target give.
    drift : Estimate
        Change of the deviation index a year.
    """

    site: str
    equipment: str
    acquisition_protocol: str
    times: NDArray[Any]
    deviation: NDArray[np.float64]
    without_target: int
    median_ei: float | None
    targets: list[tuple[float, int]]
    beyond: int
    header_disagrees: int
    drift: Estimate


def deviation_index(exposure_index: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Deviation index 10·log10(EI/EI_T); NaN where either is missing or not positive.

    References
    ----------
    IEC 62494-1:2008.

    Examples
    --------
    >>> deviation_index(np.array([256.88, 0.0]), np.array([226.22, 200.0])).round(2).tolist()
    [0.55, nan]
    """
    usable = (exposure_index > 0.0) & (target > 0.0)
    found = np.full(exposure_index.size, np.nan)
    found[usable] = 10.0 * np.log10(exposure_index[usable] / target[usable])
    return found


def drift_a_year(times: NDArray[Any], deviation: NDArray[np.float64], level: float = 0.95) -> Estimate:
    """Robust slope of the deviation index on time; no value under thirty exposures or sixty days."""
    days = (times - times.min()) / np.timedelta64(1, "D") if times.size else np.empty(0)
    short = times.size == 0 or float(days.max()) < _LEAST_DAYS
    least = times.size + 1 if short else int(limit("habit_minimum_n"))
    return robust_slope(np.asarray(days, dtype=float) / _DAYS_A_YEAR, deviation, level=level, minimum_n=least)


def index_groups(context: AuditContext) -> list[IndexGroup]:
    """The groups in order of place and name."""
    return list(_groups(context))


def _groups(context: AuditContext) -> Iterator[IndexGroup]:
    columns = context.exposures.indices
    for (site, equipment, name), rows in columns.groups(("site", "equipment", "acquisition_protocol")):
        index, target, header = (
            np.asarray(columns[part][rows], dtype=float)
            for part in ("exposure_index", "target_exposure_index", "deviation_index")
        )
        computed = deviation_index(index, target)
        deviation = np.where(np.isfinite(computed), computed, header)
        both = np.isfinite(computed) & np.isfinite(header)
        known = np.isfinite(deviation)
        times = columns["study_datetime"][rows][known]
        order = np.argsort(times, kind="stable")
        deviation, times = deviation[known][order], times[order]
        used = Counter(target[target > 0.0].round(1).tolist())
        yield IndexGroup(
            site=site,
            equipment=equipment,
            acquisition_protocol=name or "",
            times=times,
            deviation=deviation,
            without_target=int(np.count_nonzero(~known)),
            median_ei=float(np.median(index[index > 0.0])) if (index > 0.0).any() else None,
            targets=sorted(used.items(), key=lambda item: (-item[1], item[0]))[:10],
            beyond=int(np.count_nonzero(np.abs(deviation) > limit("deviation_index_beyond"))),
            header_disagrees=int(np.count_nonzero(np.abs(computed - header)[both] > _ROUNDING)),
            drift=drift_a_year(times, deviation),
        )
