"""Stored phantom measurements as histories: one quantity of one phantom on one device under one set of conditions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db.models import Q

from dose_audit.store.models import Baseline, EquipmentEvent, EquipmentSoftware, Measurement, PhantomStudy

__all__ = ["Accepted", "History", "Mark", "Point", "Run", "histories", "phantom_names", "stored_runs"]


@dataclass(frozen=True, slots=True)
class Run:
    """One stored analysis.

    ``counted`` is true for the first run of its phantom, device, conditions and day: repeats are looked at elsewhere, for
    a repeat that is made because the first failed would hide the failure. ``dose`` holds the images' own dose indicators.
    """

    id: int
    site: str
    equipment_id: int
    equipment: str
    definition: str
    phantom: str
    modality: str
    condition_key: str
    at: dt.datetime
    verdict: str
    software: str | None
    dose: Mapping[str, float]
    counted: bool
    nth_of_day: int


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one run, as it was measured and judged then."""

    run: Run
    value: float | None
    uncertainty: float | None
    status: str
    reason: str
    judgement: str
    tolerance: Mapping[str, Any] | None

    @property
    def usable(self) -> bool:
        """Whether it enters a control chart: a sound value of a counted run."""
        return self.run.counted and self.status == "ok" and self.value is not None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A baseline: value, limits frozen with it (None where too few runs were accepted), and from when it holds."""

    value: float
    sigma: float | None
    lower: float | None
    upper: float | None
    valid_from: dt.datetime
    runs: tuple[int, ...]
    set_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to the device: a recorded event, or the first run with other software."""

    at: dt.datetime
    kind: str
    text: str


@dataclass
class History:
    """All runs of one quantity, oldest first, with what belongs to them."""

    measurement: str
    title: str
    unit: str
    points: list[Point] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    @property
    def run(self) -> Run:
        """The latest run: what all of them share is read from it."""
        return self.points[-1].run


def stored_runs(
    *, since: dt.datetime | None = None, until: dt.datetime | None = None, own: Path | None = None
) -> list[Run]:
    """Current, dated analyses in order of time.

    Parameters
    ----------
    since, until : datetime, optional
        First and last moment of acquisition, local time.
    own : Path, optional
        Folder of the site's own phantom definitions, for their names; it need not exist.
    """
    rows = PhantomStudy.objects.filter(current=True, acquired_at__isnull=False)
    if since is not None:
        # Whole days, so that the first run of a day stays the first.
        rows = rows.filter(acquired_at__gte=since.replace(hour=0, minute=0, second=0, microsecond=0))
    if until is not None:
        rows = rows.filter(acquired_at__lte=until)
    names = phantom_names(own)
    nth: dict[tuple[Any, ...], int] = {}
    runs = []
    for row in rows.order_by("acquired_at", "pk").values(
        *("pk", "site__name", "equipment_id", "equipment__display_name", "definition", "modality", "condition_key"),
        *("acquired_at", "verdict", "software_versions", "conditions"),
    ):
        day = (row["equipment_id"], row["definition"], row["condition_key"], row["acquired_at"].date())
        nth[day] = nth.get(day, 0) + 1
        runs.append(
            Run(
                id=row["pk"],
                site=row["site__name"],
                equipment_id=row["equipment_id"],
                equipment=row["equipment__display_name"],
                definition=row["definition"],
                phantom=names.get(row["definition"], row["definition"]),
                modality=row["modality"],
                condition_key=row["condition_key"],
                at=row["acquired_at"],
                verdict=row["verdict"],
                software=row["software_versions"],
                dose=row["conditions"].get("dose") or {},
                counted=nth[day] == 1,
                nth_of_day=nth[day],
            )
        )
    return runs


def histories(runs: Sequence[Run]) -> list[History]:
    """Every quantity that these runs measured, by device, phantom and conditions.

    Parameters
    ----------
    runs : sequence of Run
        As `stored_runs` gives them.

    Returns
    -------
    list of History
        Ordered by site, device, phantom, conditions, name.
    """
    by_id = {run.id: run for run in runs}
    found: dict[tuple[Any, ...], History] = {}
    tolerances = ("about", "nominal", "remedial", "suspension", "unit", "source", "edition", "status", "measurement")
    columns = [f"tolerance__{name}" for name in tolerances]
    wanted = Q(study__current=True)
    if runs:
        wanted &= Q(study__acquired_at__gte=runs[0].at, study__acquired_at__lte=runs[-1].at)
    rows = Measurement.objects.filter(wanted).values_list(
        *("study_id", "name", "title", "unit", "value", "uncertainty", "status", "reason", "judgement", "tolerance_id"),
        *columns,
    )
    points: list[tuple[tuple[Any, ...], str, str, str, Point]] = []
    for study, name, title, unit, value, uncertainty, status, reason, judgement, tolerance, *limits in rows:
        run = by_id.get(study)
        if run is None:
            continue
        known = dict(zip(tolerances, limits, strict=True)) if tolerance is not None else None
        key = (run.site, run.equipment, run.equipment_id, run.definition, run.condition_key, name, unit)
        points.append((key, name, title, unit, Point(run, value, uncertainty, status, reason, judgement, known)))
    # A device that moved has one history: its place is that of the latest run.
    points.sort(key=lambda item: (item[0][1:], item[4].run.at, item[4].run.id))
    for key, name, title, unit, point in points:
        history = found.setdefault(key[1:], History(name, title, unit))
        history.points.append(point)
    _add_accepted(found)
    _add_marks(found)
    return sorted(found.values(), key=lambda one: (one.run.site, one.run.equipment, one.run.definition))


def _add_accepted(found: Mapping[tuple[Any, ...], History]) -> None:
    by_trend = {(key[1], key[2], key[3], key[4], key[5]): history for key, history in found.items()}
    for row in Baseline.objects.order_by("valid_from", "pk"):
        history = by_trend.get((row.equipment_id, row.definition, row.condition_key, row.measurement, row.unit))
        if history is not None:
            history.accepted.append(
                Accepted(
                    row.value, row.sigma, row.lower, row.upper, row.valid_from, tuple(row.runs), row.set_by, row.reason
                )
            )


def _add_marks(found: Mapping[tuple[Any, ...], History]) -> None:
    marks: dict[int, list[Mark]] = {}
    for event in EquipmentEvent.objects.order_by("at"):
        marks.setdefault(event.equipment_id, []).append(Mark(event.at, event.kind, event.text))
    first: dict[int, int] = {}
    for equipment, version, day in EquipmentSoftware.objects.order_by("first_study_date", "pk").values_list(
        "equipment_id", "software_versions", "first_study_date"
    ):
        first[equipment] = first.get(equipment, 0) + 1
        if first[equipment] > 1 and day is not None:  # the first version is no change
            at = dt.datetime.combine(day, dt.time())
            marks.setdefault(equipment, []).append(Mark(at, "software", version))
    for key, history in found.items():
        first_at = history.points[0].run.at
        own = [mark for mark in marks.get(key[1], []) if mark.at.date() >= first_at.date()]
        history.marks = sorted(own, key=lambda mark: mark.at)


def phantom_names(own: Path | None) -> dict[str, str]:
    """Name of each phantom definition, shipped ones and the site's own, by its id."""
    from dose_audit.phantom.definition import sound_definitions

    return {one.id: one.name for one in sound_definitions(own)[0]}
