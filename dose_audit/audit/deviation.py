"""Deviation index of every device and acquisition protocol, worked out again from exposure index and target."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.limits import limit
from dose_audit.audit.samples import evenly
from dose_audit.statistics import find_changes, robust_slope

if TYPE_CHECKING:
    from dose_audit.audit.context import AuditContext
    from dose_audit.statistics import Estimate

__all__ = [
    "IndexGroup",
    "IndexStep",
    "TargetChange",
    "deviation_index",
    "drift_a_year",
    "index_groups",
    "step_of",
    "target_changes",
]

_DAYS_A_YEAR = 365.25
_LEAST_DAYS = 60
_ROUNDING = 0.15  # a header's DI has one decimal, and its EI may be rounded too
_MOST_FOR_A_STEP = 2000
_SAME_TARGET = 0.01
_STRAY = 0.05  # exposures with the other target on either side of a change of it, as a share


@dataclass(frozen=True, slots=True)
class IndexStep:
    """Another median deviation index from a day on, and of how many exposures."""

    day: np.datetime64
    before: float
    after: float
    n_before: int
    n_after: int


@dataclass(frozen=True, slots=True)
class TargetChange:
    """Another target exposure index from a day on.

    Attributes
    ----------
    day : datetime64
        Of the first exposure under the new target.
    before, after : float
        Target exposure index.
    index_before, index_after : float or None
        Median exposure index of the exposures in a row that had the one target, and the other.
    n_before, n_after : int
    """

    day: np.datetime64
    before: float
    after: float
    index_before: float | None
    index_after: float | None
    n_before: int
    n_after: int


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
    target_changes : list of TargetChange
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
    target_changes: list[TargetChange]
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


def step_of(times: NDArray[Any], deviation: NDArray[np.float64], *, false_alarm: float) -> IndexStep | None:
    """The one step that describes a deviation index better than a line does; None where there is none.

    Parameters
    ----------
    times : array of datetime64, shape (n,)
        Ascending.
    deviation : array of float, shape (n,)
    false_alarm : float
        Chance of a step in a series that does not change.

    Examples
    --------
    >>> days = np.datetime64("2026-01-01") + np.arange(80)
    >>> deviation = np.tile([-0.1, 0.1], 40) + np.repeat([0.0, 2.0], 40)
    >>> step = step_of(days, deviation, false_alarm=0.001)
    >>> str(step.day), round(step.after - step.before, 9)
    ('2026-02-10', 2.0)
    >>> step_of(days, deviation - np.repeat([0.0, 2.0], 40) + np.arange(80) / 20, false_alarm=0.001) is None
    True
    """
    every = times
    some = evenly(np.arange(deviation.size), _MOST_FOR_A_STEP)
    times, deviation = times[some], deviation[some]
    changes = find_changes(10.0 ** (deviation / 10.0), false_alarm=false_alarm).changes
    if not changes:
        return None
    days = (times - times[0]) / np.timedelta64(1, "D")
    line = robust_slope(days, deviation, minimum_n=2).value or 0.0
    from_line = deviation - line * days

    def misfit(index: int) -> float:
        parts = (deviation[:index], deviation[index:])
        return float(sum(np.abs(part - np.median(part)).sum() for part in parts))

    index = min((change.index for change in changes), key=misfit)
    if misfit(index) >= float(np.abs(from_line - np.median(from_line)).sum()):
        return None
    before, after = float(np.median(deviation[:index])), float(np.median(deviation[index:]))
    n_before = int(np.searchsorted(every, times[index]))
    return IndexStep(times[index].astype("datetime64[D]"), before, after, n_before, every.size - n_before)


def target_changes(times: NDArray[Any], target: NDArray[np.float64], index: NDArray[np.float64]) -> list[TargetChange]:
    """Days from which a group's target exposure index was another for good.

    Parameters
    ----------
    times : array of datetime64, shape (n,)
        Ascending.
    target, index : array of float, shape (n,)
        Target and exposure index; NaN where there is none.

    Notes
    -----
    A target counts once ``habit_minimum_n`` exposures in a row had it, a change of it from ``target_index_change`` on (as a
    deviation index). Targets that alternate, as those of two views under one name do, are no change, and the return to a
    former one is none either.

    Examples
    --------
    >>> days = np.datetime64("2026-01-01") + np.arange(80)
    >>> (change,) = target_changes(days, np.repeat([200.0, 400.0], 40), np.repeat([210.0, 420.0], 40))
    >>> str(change.day), change.before, change.after, change.index_after
    ('2026-02-10', 200.0, 400.0, 420.0)
    """
    usable = (target > 0.0) & ~np.isnat(times)
    times, target, index = times[usable], target[usable], index[usable]
    edges = [0, *(np.flatnonzero(np.abs(np.diff(np.log(target))) > _SAME_TARGET) + 1).tolist(), target.size]
    settled = [(a, b) for a, b in pairwise(edges) if b - a >= limit("habit_minimum_n")]
    found = []
    for place, ((first, left), (start, end)) in enumerate(pairwise(settled), start=1):
        before, after = float(target[first]), float(target[start])
        known = any(_alike(float(target[a]), after) for a, _ in settled[:place])
        alternating = start - left > _STRAY * (end - first)
        if known or alternating or abs(10.0 * math.log10(after / before)) < limit("target_index_change"):
            continue
        at_index = (_median(index[first:left]), _median(index[start:end]))
        found.append(TargetChange(times[start], before, after, *at_index, left - first, end - start))
    return found


def _alike(first: float, second: float) -> bool:
    return abs(math.log(first / second)) <= _SAME_TARGET


def _median(index: NDArray[np.float64]) -> float | None:
    known = index[index > 0.0]
    return float(np.median(known)) if known.size else None


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
        moments = columns["study_datetime"][rows]  # ascending within a device
        times = moments[known]
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
            target_changes=target_changes(moments, target, index),
            beyond=int(np.count_nonzero(np.abs(deviation) > limit("deviation_index_beyond"))),
            header_disagrees=int(np.count_nonzero(np.abs(computed - header)[both] > _ROUNDING)),
            drift=drift_a_year(times, deviation),
        )
