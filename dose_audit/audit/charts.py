"""Running charts of every group and device: what watches between two verdicts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.kept import no_results
from dose_audit.audit.residuals import device_series
from dose_audit.audit.row_order import rows_by_groups
from dose_audit.audit.samples import evenly

if TYPE_CHECKING:
    from dose_audit.audit.kept import KeptResults
    from dose_audit.audit.values import Values
    from dose_audit.statistics import RunningChart
    from dose_audit.statistics.sequential import Signal

__all__ = ["DrawnChart", "Series", "SeriesKey", "watch_all"]

_MOST_POINTS = 400

SeriesKey = tuple[str, str, str, str, str, str]
"""Site, equipment, modality, quantity, examination, band; the last two are empty for the device as a whole."""


@dataclass(frozen=True)
class DrawnChart:
    """What is kept of a running chart: its signals, and as many of its points as are drawn.

    Attributes
    ----------
    status : str
    decision : float or None
    signals : tuple of Signal
    places : array of int
        Of the drawn points in the series.
    line, reach, high, low : array of float
        At those places; see `statistics.RunningChart`.
    """

    status: str
    decision: float | None
    signals: tuple[Signal, ...]
    places: NDArray[np.int64]
    line: NDArray[np.float64]
    reach: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]


def _drawn(chart: RunningChart) -> DrawnChart:
    """Points spread evenly over a chart, and those at which it signalled."""
    places = evenly(np.arange(chart.n), _MOST_POINTS)
    if chart.signals:
        places = _with(places, [signal.index for signal in chart.signals])
    lines = (chart.line, chart.reach, chart.high, chart.low)
    return DrawnChart(chart.status, chart.decision, chart.signals, places, *(line[places] for line in lines))


def _with(places: NDArray[np.int64], more: list[int]) -> NDArray[np.int64]:
    """Ascending places and others, each once."""
    both = np.sort(np.concatenate([places, np.array(more, dtype=np.int64)]))
    return both[np.diff(both, prepend=-1) > 0]


@dataclass(frozen=True)
class Series:
    """One series of log residuals with its chart.

    Attributes
    ----------
    key : SeriesKey
    rows : array of int
        Rows in the table of values, in time order.
    residual : array of float
    chart : DrawnChart
    n : int
        Exams of the series, whatever part of them it holds.
    """

    key: SeriesKey
    rows: NDArray[np.int64]
    residual: NDArray[np.float64]
    chart: DrawnChart
    n: int

    def drawn(self) -> Series:
        """The same with the exams alone that its drawing shows, the first one and those of its signals among them."""
        signals = self.chart.signals
        named = [place for signal in signals for place in (signal.index, signal.change)]
        held = _with(self.chart.places, [0, *named])

        def moved(place: int) -> int:
            return int(np.searchsorted(held, place))

        chart = replace(
            self.chart,
            places=np.searchsorted(held, self.chart.places),
            signals=tuple(replace(s, index=moved(s.index), change=moved(s.change)) for s in signals),
        )
        return replace(self, rows=self.rows[held], residual=self.residual[held], chart=chart)


def _limits(n: int, false_alarm: float, kept: KeptResults) -> tuple[float, float] | None:
    """Limits of a chart of so many values; None where there are none, and the chart says why."""
    from dose_audit.statistics.sequential import chart_limits, limits_length

    decision, width = kept.result(
        "chart limits",
        (limits_length(n), false_alarm),
        lambda: [limit.value for limit in chart_limits(n, false_alarm)],
    )
    return None if decision is None or width is None else (decision, width)


def _parts(values: Values, rows: NDArray[np.int64]) -> dict[tuple[str, str], NDArray[np.int64]]:
    """Places of each examination and band among some rows, in time order as the rows are."""
    codes, words = values.columns.codes("examination")
    places, edges = rows_by_groups([(codes[rows], len(words)), (values.band.codes[rows], values.band.words.size)])
    parts = [places[a:b] for a, b in pairwise(edges.tolist())]
    return {(words[codes[rows[part[0]]]], str(values.band[rows[part[0]]])): part for part in parts}


def watch_all(
    values: Values,
    residual: NDArray[np.float64],
    *,
    false_alarm: float | None = None,
    kept: KeptResults | None = None,
) -> list[Series]:
    """Chart every device's quantities, and where it does several examinations each of them too.

    Parameters
    ----------
    values : Values
    residual : array of float
        From `residuals.log_residuals`.
    false_alarm : float, optional
        Chance of any signal on an unchanged group, all its quantities together; `statistics.sequential.FALSE_ALARM`
        by default.
    kept : KeptResults, optional
        Gives the scores of the exams that a series had in an earlier run, and keeps those that it has now.
    """
    from dose_audit.statistics.sequential import FALSE_ALARM, running_chart

    kept = kept or no_results()
    promised = FALSE_ALARM if false_alarm is None else false_alarm
    by_device: dict[tuple[str, str, str], list[tuple[SeriesKey, NDArray[np.int64], NDArray[np.float64]]]]
    by_device = defaultdict(list)
    for series in device_series(values, residual):
        device = (series.site, series.equipment, series.modality)
        whole: SeriesKey = (*device, series.quantity, "", "")
        parts = _parts(values, series.rows)
        if len(parts) == 1:
            by_device[device].append(((*device, series.quantity, *next(iter(parts))), series.rows, series.residual))
            continue
        by_device[device].append((whole, series.rows, series.residual))
        for name, places in parts.items():
            by_device[device].append(((*device, series.quantity, *name), series.rows[places], series.residual[places]))
    found = []
    for _, members in sorted(by_device.items()):
        quantities = len({key[3] for key, _, _ in members})
        for key, rows, part in members:
            growing = kept.growing("\x1f".join(map(str, key)), part)
            chart = running_chart(
                part,
                false_alarm=promised / quantities,
                known=growing.beginning,
                limits=_limits(part.size, promised / quantities, kept),
            )
            if chart.first_scores is not None:
                growing.keep(chart.first_scores)
            found.append(Series(key, rows, part, _drawn(chart), int(rows.size)))
    return found
