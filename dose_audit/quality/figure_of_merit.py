"""Image quality for its dose: CNR² over dose, and noise brought to one dose, per device, site and network."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

import numpy as np
from scipy.special import stdtrit

from dose_audit.quality.history import History, Run

__all__ = ["DeviceMerit", "GeometricMean", "Merit", "MeritPoint", "device_merits", "geometric_mean", "merits", "pool"]

_LEAST = 3
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Merit:
    """A figure of merit, as a row of ``data/figures_of_merit.csv``.

    ``kind`` is ``ratio`` (numerator² / dose), ``contrast_to_noise`` ((numerator / denominator)² / dose) or
    ``noise_at_dose`` (numerator · √(dose / reference)). Names of measurements are shell-style patterns.
    """

    id: str
    title: str
    kind: str
    numerator: str
    denominator: str
    dose: str
    reference: float | None
    unit: str
    better: str
    source: str

    def value(self, numerator: float, denominator: float | None, dose: float) -> float | None:
        """The figure of one run; None where it has none.

        Parameters
        ----------
        numerator : float
        denominator : float or None
        dose : float
            In the unit that the name of the dose ends with.

        Examples
        --------
        >>> noise = next(one for one in merits() if one.kind == "noise_at_dose")
        >>> noise.value(5.0, None, 40.0)
        10.0
        """
        if dose <= 0 or numerator <= 0:
            return None
        if self.kind == "noise_at_dose":
            assert self.reference is not None
            return numerator * math.sqrt(dose / self.reference)
        if self.kind == "contrast_to_noise":
            if denominator is None or denominator <= 0:
                return None
            numerator = numerator / denominator
        return numerator**2 / dose


@dataclass(frozen=True, slots=True)
class GeometricMean:
    """A geometric mean with its 95 % interval; ``low`` and ``high`` are None below three values."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class MeritPoint:
    """The figure of one run, with the quantity and the dose that it came from."""

    run: Run
    value: float
    quality: float
    dose: float


@dataclass(frozen=True, slots=True)
class DeviceMerit:
    """A figure of merit on one device, with one phantom under one set of conditions."""

    merit: Merit
    measurement: str
    points: tuple[MeritPoint, ...]
    mean: GeometricMean

    @property
    def run(self) -> Run:
        """The latest run."""
        return self.points[-1].run


@cache
def merits() -> tuple[Merit, ...]:
    """The figures of merit that are known."""
    text = (resources.files("dose_audit.quality") / "data" / "figures_of_merit.csv").read_text(encoding="utf-8")
    return tuple(
        Merit(
            id=row["id"],
            title=row["title"],
            kind=row["kind"],
            numerator=row["numerator"],
            denominator=row["denominator"],
            dose=row["dose"],
            reference=float(row["reference"]) if row["reference"] else None,
            unit=row["unit"],
            better=row["better"],
            source=row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def geometric_mean(values: Iterable[float], *, level: float = LEVEL) -> GeometricMean | None:
    """Geometric mean of positive values with Student's interval of the mean logarithm.

    Parameters
    ----------
    values : iterable of float
        All above zero.
    level : float
        Of the interval.

    Returns
    -------
    GeometricMean or None
        None without values.

    Notes
    -----
    exp(m ± t·s/√n) with mean m and standard deviation s of ln x and n − 1 degrees of freedom. Runs count as independent;
    a drift within the period makes the interval too narrow.

    Examples
    --------
    >>> found = geometric_mean([1.0, 2.0, 4.0])
    >>> round(found.value, 6), round(found.low, 3), round(found.high, 3)
    (2.0, 0.357, 11.19)
    """
    logs = np.log(np.asarray(list(values), dtype=float))
    if not logs.size:
        return None
    middle = float(logs.mean())
    if logs.size < _LEAST:
        return GeometricMean(math.exp(middle), None, None, int(logs.size))
    reach = float(stdtrit(logs.size - 1, 0.5 + level / 2)) * float(logs.std(ddof=1)) / math.sqrt(logs.size)
    return GeometricMean(math.exp(middle), math.exp(middle - reach), math.exp(middle + reach), int(logs.size))


def device_merits(found: Sequence[History]) -> list[DeviceMerit]:
    """Every figure of merit that the histories allow: sound values of counted runs whose images tell their dose.

    Parameters
    ----------
    found : sequence of History

    Returns
    -------
    list of DeviceMerit
    """
    trends: dict[tuple[int, str, str], dict[str, History]] = {}
    for history in found:
        run = history.run
        trends.setdefault((run.equipment_id, run.definition, run.condition_key), {})[history.measurement] = history
    rows = []
    for members in trends.values():
        for merit in merits():
            below = members.get(merit.denominator) if merit.denominator else None
            for name, history in sorted(members.items()):
                # Units too must fit: a noise in other than HU is another quantity.
                if not fnmatchcase(name.lower(), merit.numerator) or not _fits(merit, history):
                    continue
                points = _points(merit, history, below)
                mean = geometric_mean(point.value for point in points)
                if mean is not None:
                    rows.append(DeviceMerit(merit, name, tuple(points), mean))
    return sorted(
        rows, key=lambda row: (row.merit.id, row.run.definition, row.measurement, row.run.site, row.run.equipment)
    )


def _fits(merit: Merit, history: History) -> bool:
    wanted = {"ratio": "1", "noise_at_dose": merit.unit}.get(merit.kind)
    return wanted is None or history.unit == wanted


def _points(merit: Merit, history: History, below: History | None) -> list[MeritPoint]:
    under = {p.run.id: p.value for p in below.points if p.usable} if below is not None else {}
    points = []
    for point in history.points:
        dose = point.run.dose.get(merit.dose)
        if not point.usable or point.value is None or dose is None:
            continue
        value = merit.value(abs(point.value), under.get(point.run.id), dose)
        if value is not None:
            points.append(MeritPoint(point.run, value, abs(point.value), dose))
    return points


def pool(members: Sequence[DeviceMerit]) -> GeometricMean | None:
    """Geometric mean of devices, each counted once however often it was measured.

    Parameters
    ----------
    members : sequence of DeviceMerit
        Of one figure, phantom and measurement. A single device keeps its own interval.
    """
    if len(members) == 1:
        return members[0].mean
    return geometric_mean(member.mean.value for member in members)
