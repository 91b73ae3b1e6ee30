"""Steps in a device's doses: searched for in its residuals, joined with the days on which its software
changed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.residuals import DeviceSeries, device_series

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns
    from dose_audit.audit.values import Values
    from dose_audit.statistics import Estimate

__all__ = ["SoftwareChange", "Step", "find_steps", "software_changes"]

FALSE_ALARM = 0.05
"""Chance that a run over unchanged devices shows any step at all."""
SMALLEST_RATIO = 1.10
"""A step smaller than this, either way, is not worth a person's morning."""
ASSOCIATED_DAYS = 7
PREFERRED = ("CTDIvol", "DLP", "KAP", "AGD", "dose_rp", "administered_activity")
"""A step shows in all of a device's quantities; it is told once, by the first of these."""


@dataclass(frozen=True)
class SoftwareChange:
    """A device's first exam under another software version."""

    site: str
    equipment: str
    day: date
    before: str
    after: str


@dataclass(frozen=True)
class Step:
    """One step in one device's doses.

    Attributes
    ----------
    site, equipment, modality, quantity : str
    day : date
        Of the first exam after it.
    last_before : date
    ratio : Estimate
        Median after over median before, examination and size taken out.
    p_value : float
    software : SoftwareChange or None
        The change of software within a week of it, if any: associated, not proven the cause.
    n_before, n_after : int
    """

    site: str
    equipment: str
    modality: str
    quantity: str
    day: date
    last_before: date
    ratio: Estimate
    p_value: float
    software: SoftwareChange | None
    n_before: int
    n_after: int


def software_changes(exams: Columns) -> list[SoftwareChange]:
    """Every change of a device's software version in the period, in time order.

    A version counts as new when it has not been seen on the device before: two consoles that alternate are
    one change.
    """
    changes = []
    times = exams["study_datetime"]
    dated = ~np.isnat(times)
    versions = exams["software_versions"]
    for (site, equipment), rows in exams.groups(("site", "equipment"), dated):
        seen: set[str] = set()
        current = ""
        for row in rows[np.argsort(times[rows], kind="stable")].tolist():
            version = versions[row]
            if not version or version in seen:
                continue
            if current:
                changes.append(SoftwareChange(site, equipment, _day(times[row]), current, version))
            seen.add(version)
            current = version
    return changes


def find_steps(
    values: Values, residual: NDArray[np.float64], software: list[SoftwareChange]
) -> tuple[list[Step], NDArray[np.float64]]:
    """Find steps, and take them out of the residuals.

    Parameters
    ----------
    values : Values
    residual : array of float
        From `log_residuals`.
    software : list of SoftwareChange

    Returns
    -------
    list of Step
        One series of each device is searched: see `PREFERRED`.
    array of float
        Residuals with each side of a step centred on its own, for the search for outliers.

    Notes
    -----
    All series together have the chance `FALSE_ALARM` of a false step.
    """
    by_device: dict[tuple[str, str, str], list[DeviceSeries]] = defaultdict(list)
    for series in device_series(values, residual):
        by_device[series.site, series.equipment, series.modality].append(series)
    level = max(FALSE_ALARM / max(1, len(by_device)), 1e-5)
    steps: list[Step] = []
    cleaned = residual.copy()
    times = values.columns["study_datetime"]
    for (site, equipment, _), device in sorted(by_device.items()):
        told = min(device, key=lambda series: PREFERRED.index(series.quantity))
        own = [change for change in software if (change.site, change.equipment) == (site, equipment)]
        found = _steps_of(told, times[told.rows], own, level)
        steps.extend(step for _, step in found)
        for series in device if found else ():
            _centre_segments(cleaned, series.rows, times[series.rows], [moment for moment, _ in found])
    return steps, cleaned


def _steps_of(
    series: DeviceSeries, times: NDArray[Any], software: list[SoftwareChange], level: float
) -> list[tuple[Any, Step]]:
    """Steps of one series that are large enough to tell, each with the moment of the first exam after it."""
    from dose_audit.statistics import find_changes

    scan = find_changes(np.exp(series.residual), false_alarm=level)
    edges = [0, *(change.index for change in scan.changes), series.rows.size]
    found = []
    for place, change in enumerate(scan.changes):
        if change.ratio.value is None or abs(math.log(change.ratio.value)) < math.log(SMALLEST_RATIO):
            continue
        day = _day(times[change.index])
        near = [version for version in software if abs((version.day - day).days) <= ASSOCIATED_DAYS]
        step = Step(
            site=series.site,
            equipment=series.equipment,
            modality=series.modality,
            quantity=series.quantity,
            day=day,
            last_before=_day(times[change.index - 1]),
            ratio=change.ratio,
            p_value=change.p_value,
            software=min(near, key=lambda version: abs((version.day - day).days), default=None),
            n_before=edges[place + 1] - edges[place],
            n_after=edges[place + 2] - edges[place + 1],
        )
        found.append((times[change.index], step))
    return found


def _centre_segments(
    residual: NDArray[np.float64], rows: NDArray[np.int64], times: NDArray[Any], moments: list[Any]
) -> None:
    place = np.searchsorted(np.array(moments), times, side="right")
    for segment in np.unique(place):
        part = rows[place == segment]
        residual[part] -= np.median(residual[part])


def _day(moment: Any) -> date:
    day: date = moment.astype("datetime64[D]").item()
    return day
