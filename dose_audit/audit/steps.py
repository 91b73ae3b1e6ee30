"""Steps in a device's doses: searched for in its residuals, joined with the days on which its software
changed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.kept import no_results

if TYPE_CHECKING:
    from dose_audit.audit.charts import Series
    from dose_audit.audit.kept import KeptResults
    from dose_audit.audit.schedule import Schedule
    from dose_audit.audit.software import SoftwareChange
    from dose_audit.audit.values import Values
    from dose_audit.statistics import Estimate

__all__ = ["Step", "find_steps"]

FALSE_ALARM = 0.05
"""Chance that a run over a period that was asked for shows any step at all on unchanged devices."""
SERIES_FALSE_ALARM = 0.005
"""Most that a year of closes may add to a series' chance of a false step; the running charts have the rest."""
SAME_DAYS = 21
"""Steps nearer than this in time are one cause."""
SMALLEST_RATIO = 1.10
"""A step smaller than this, either way, is not worth a person's morning."""
ASSOCIATED_DAYS = 7
PREFERRED = ("CTDIvol", "DLP", "SSDE", "KAP", "AGD", "dose_rp", "peak_skin_dose", "administered_activity")
"""A step shows in all of a device's quantities; it is told once, by the first of these."""


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
    p_value : float or None
        Of the change point; None where a running chart signalled.
    software : SoftwareChange or None
        The change of software within a week of it, if any: associated, not proven the cause.
    n_before, n_after : int
    found_by : str
        ``verdict`` (change points at a close) or ``monitor`` (a running chart since).
    examination, band : str
        Empty where the whole device changed.
    """

    site: str
    equipment: str
    modality: str
    quantity: str
    day: date
    last_before: date
    ratio: Estimate
    p_value: float | None
    software: SoftwareChange | None
    n_before: int
    n_after: int
    found_by: str = "verdict"
    examination: str = ""
    band: str = ""
    examination_name: str = ""


def find_steps(
    values: Values,
    residual: NDArray[np.float64],
    software: list[SoftwareChange],
    series: list[Series],
    schedule: Schedule,
    kept: KeptResults | None = None,
) -> tuple[list[Step], NDArray[np.float64]]:
    """Find steps, and take them out of the residuals.

    Parameters
    ----------
    values : Values
    residual : array of float
        From `log_residuals`.
    software : list of SoftwareChange
    series : list of Series
        With their running charts.
    schedule : Schedule
        Change points are searched for at its last close. Between closes the charts' signals count; one that the second
        close after it does not confirm is dropped.
    kept : KeptResults, optional
        The search at a close takes a time that grows with the square of a series' length: once a close is enough.

    Returns
    -------
    list of Step
        One of a device's series tells a step: the whole device before its examinations, its quantities in the
        order of `PREFERRED`.
    array of float
        Residuals with each side of a step centred on its own, for the search for outliers.

    Notes
    -----
    In a run over a period that was asked for, all series together have the chance `FALSE_ALARM` of a false step. A
    nightly run shares at most `SERIES_FALSE_ALARM` a series and year out among the closes, and the charts have their
    own promise.
    """
    level = FALSE_ALARM / max(1, len(series))
    if not schedule.single_look:
        level = min(level, SERIES_FALSE_ALARM) / schedule.periods_per_year
    level = max(level, 1e-6)
    by_device: dict[tuple[str, str, str], list[Series]] = defaultdict(list)
    for one in series:
        by_device[one.key[:3]].append(one)
    steps: list[Step] = []
    cleaned = residual.copy()
    times = values.columns["study_datetime"]
    for (site, equipment, _), members in sorted(by_device.items()):
        own = [change for change in software if (change.site, change.equipment) == (site, equipment)]
        told: list[tuple[Series, Any, Step]] = []
        for one in sorted(members, key=_rank):
            for moment, step in steps_of(one, times[one.rows], own, level, schedule, kept or no_results()):
                if not any(_same_cause(step, one, other, by) for by, _, other in told):
                    told.append((one, moment, step))
        steps.extend(step for _, _, step in told)
        for one in members:
            if one.key[4] == "" or not any(m.key[4] == "" and m.key[3] == one.key[3] for m in members):
                moments = sorted({moment for by, moment, _ in told if by.key[4] in ("", one.key[4])})
                if moments:
                    _centre_segments(cleaned, one.rows, times[one.rows], moments)
    names = {one.key[4]: values.columns["examination_name"][one.rows[0]] for one in series if one.key[4]}
    return [replace(step, examination_name=names.get(step.examination, "")) for step in steps], cleaned


def steps_of(
    series: Series,
    times: NDArray[Any],
    software: list[SoftwareChange],
    level: float,
    schedule: Schedule,
    kept: KeptResults,
) -> list[tuple[Any, Step]]:
    """Steps of one series that are large enough to tell, each with the moment of the first exam after it."""
    from dose_audit.statistics import median_step

    doses = np.exp(series.residual)
    last = schedule.last_day
    closed = 0 if last is None else int(np.count_nonzero(times.astype("datetime64[D]") <= np.datetime64(last, "D")))
    changes = kept.result("changes", (doses[:closed], level), lambda: _changes(doses[:closed], level))
    # Where it changed: at the close by the scan, and for each signal that the scan has not explained by the chart.
    places: list[tuple[int, float | None, str]] = [(index, p_value, "verdict") for index, p_value in changes]
    for signal in () if schedule.single_look else series.chart.signals:
        fresh = not schedule.periods or times[signal.index] >= np.datetime64(schedule.periods[-1].first, "s")
        if fresh and all(_days_apart(times[signal.change], times[index]) > SAME_DAYS for index, *_ in places):
            places.append((signal.change, None, "monitor"))
    places.sort(key=lambda place: place[0])
    edges = [0, *(index for index, *_ in places), doses.size]
    found = []
    for number, (index, p_value, by) in enumerate(places):
        before, after = doses[edges[number] : index], doses[index : edges[number + 2]]
        ratio = median_step(before, after)
        if ratio.value is None or abs(math.log(ratio.value)) < math.log(SMALLEST_RATIO):
            continue
        day = _day(times[index])
        near = [version for version in software if abs((version.day - day).days) <= ASSOCIATED_DAYS]
        step = Step(
            site=series.key[0],
            equipment=series.key[1],
            modality=series.key[2],
            quantity=series.key[3],
            day=day,
            last_before=_day(times[index - 1]),
            ratio=ratio,
            p_value=p_value,
            software=min(near, key=lambda version: abs((version.day - day).days), default=None),
            n_before=before.size,
            n_after=after.size,
            found_by=by,
            examination=series.key[4],
            band=series.key[5],
        )
        found.append((times[index], step))
    return found


def _changes(doses: NDArray[np.float64], level: float) -> list[tuple[int, float]]:
    from dose_audit.statistics import find_changes

    return [(change.index, change.p_value) for change in find_changes(doses, false_alarm=level).changes]


def _rank(series: Series) -> tuple[bool, int, str, str]:
    """The whole device first, then quantity by quantity."""
    return (series.key[4] != "", PREFERRED.index(series.key[3]), series.key[4], series.key[5])


def _same_cause(step: Step, series: Series, other: Step, by: Series) -> bool:
    """Whether a step was told already: about the same day and the same way, of the device or this examination."""
    same_place = by.key[4] in ("", series.key[4])
    ratio, told = step.ratio.value or 1.0, other.ratio.value or 1.0
    return same_place and abs((step.day - other.day).days) <= SAME_DAYS and (ratio > 1.0) == (told > 1.0)


def _days_apart(first: Any, second: Any) -> float:
    return float(abs((first - second) / np.timedelta64(1, "D")))


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
