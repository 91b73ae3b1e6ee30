"""The report's image-quality panel: states, trends, schedule, sites side by side, and dose beside image quality."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dose_audit.quality.figure_of_merit import DeviceMerit, GeometricMean, device_merits, geometric_mean, pool
from dose_audit.quality.history import History, Mark, Run, histories, phantom_names, stored_runs
from dose_audit.quality.schedule import repeated_days, schedule
from dose_audit.quality.states import STATE_WORDS
from dose_audit.quality.trade import trade_of
from dose_audit.quality.trends import Judged, judge_history, sentence

__all__ = ["image_quality", "state_rows", "trend_record"]

HISTORY_DAYS = 400
"""How far back runs are read: more than a year, so that yearly phantoms have a history."""
_MOST_TRENDS = 24
_MOST_POINTS = 200

# Which latest states want somebody's attention, most urgent first.
_URGENCY = {"failed": 0, "beyond": 1, "steadily_out": 2, "drifting": 3, "changed": 4}
_TONES = dict.fromkeys(("failed", "beyond"), "act") | dict.fromkeys(
    ("steadily_out", "drifting", "changed", "not_measured"), "check"
)


def image_quality(
    until: dt.datetime, *, since: dt.datetime | None = None, own: Path | None = None
) -> dict[str, Any] | None:
    """Build ``image_quality`` of ``report.json``.

    Parameters
    ----------
    until : datetime
        The moment of looking, local time.
    since : datetime, optional
        From when runs are read; 400 days before by default.
    own : Path, optional
        Folder of the site's own phantom definitions.

    Returns
    -------
    dict or None
        None where no phantom was ever measured and none is on a schedule.

        ``runs``
            Number of analyses, devices and phantoms.
        ``states``
            For each quantity with a tolerance or limits, the latest counted run: value, state, and a sentence.
        ``trends``
            Points, baselines with limits, marks of those that want attention, then of the longest.
        ``cross_site``
            The same phantom and metric on several devices: geometric mean or mean of each with its interval.
        ``merit``
            Figures of merit by device, site and network.
        ``dose_and_quality``
            For each device dose and quality run by run, and what became of their balance.
        ``schedule``, ``repeats``
            What is due, and days with more than one run.
    """
    runs = stored_runs(since=since or until - dt.timedelta(days=HISTORY_DAYS), until=until, own=own)
    tasks = schedule(until.date())
    if not runs and not tasks:
        return None
    found = histories(runs)
    judged = [(history, judge_history(history)) for history in found]
    merits = device_merits(found)
    names = phantom_names(own)
    return {
        "as_of": until.isoformat(timespec="minutes"),
        "runs": {
            "analyses": len(runs),
            "devices": len({run.equipment_id for run in runs}),
            "phantoms": len({run.definition for run in runs}),
            "sites": sorted({run.site for run in runs}),
        },
        "states": state_rows(judged),
        "trends": _trends(judged),
        "cross_site": _cross_site(found),
        "merit": _merit(merits),
        "dose_and_quality": _dose_and_quality(merits),
        "schedule": [{**_plain(asdict(row)), "phantom": names.get(row.definition, row.definition)} for row in tasks],
        "repeats": [{**_plain(asdict(row)), "text": row.text} for row in repeated_days(runs)],
    }


def _latest(points: Sequence[Judged]) -> Judged | None:
    return next((one for one in reversed(points) if one.point.run.counted), None)


def _matters(points: Sequence[Judged]) -> bool:
    return any(one.point.tolerance is not None or one.baseline is not None for one in points)


def state_rows(judged: Iterable[tuple[History, list[Judged]]]) -> list[dict[str, Any]]:
    """The latest counted run of each quantity that has a tolerance or a baseline, those that want attention first."""
    rows = []
    for history, points in judged:
        latest = _latest(points)
        if latest is None or not _matters(points):
            continue
        rows.append(
            {
                **_who(latest.point.run),
                "measurement": history.measurement,
                "title": history.title,
                "unit": history.unit,
                "at": latest.point.run.at.isoformat(timespec="minutes"),
                "value": latest.point.value,
                "uncertainty": latest.point.uncertainty,
                "status": latest.point.status,
                "reason": latest.point.reason,
                "baseline": latest.baseline.value if latest.baseline else None,
                "limits": _limits_of(latest),
                "judgement": latest.judgement,
                "tolerance": latest.tolerance,
                "control": latest.control,
                "rule": latest.rule,
                "state": _shown(latest),
                "words": STATE_WORDS[_shown(latest)],
                "tone": "act" if latest.judgement == "suspension" else _TONES.get(_shown(latest), "ok"),
                "text": _told(latest),
                "since": _marks_since_steady(history, points, latest),
            }
        )
    return sorted(rows, key=lambda row: (_URGENCY.get(row["state"], 9), row["site"], row["equipment"], row["phantom"]))


def _marks_since_steady(history: History, points: Sequence[Judged], latest: Judged) -> list[dict[str, str]]:
    """What happened to the device after the last run that was as usual, up to the latest one that is not."""
    if latest.control != "out":
        return []
    steady = [one.point.run.at for one in points if one.control == "in" and one.point.run.at < latest.point.run.at]
    after = steady[-1] if steady else points[0].point.run.at
    return [
        _mark(mark)
        for mark in history.marks
        if mark.at.date() > after.date() and mark.at.date() <= latest.point.run.at.date()
    ]


def _mark(mark: Mark) -> dict[str, str]:
    return {"at": mark.at.isoformat(timespec="minutes"), "kind": mark.kind, "text": mark.text}


def _shown(one: Judged) -> str:
    """The state, or that the value is in doubt."""
    return one.state if one.point.status == "ok" else "not_measured"


def _told(latest: Judged) -> str:
    if latest.point.status != "ok":
        return f"Not judged: {latest.point.reason}. Scan once more, with the phantom set up as usual."
    return sentence(latest)


def _trends(judged: Sequence[tuple[History, list[Judged]]]) -> list[dict[str, Any]]:
    chosen = []
    for history, points in judged:
        latest = _latest(points)
        numbers = sum(one.point.value is not None for one in points)
        if latest is None or numbers < 3 or not _matters(points):
            continue
        chosen.append((_URGENCY.get(latest.state, 9), -numbers, history.measurement, history, points))
    chosen.sort(key=lambda item: (*item[:3], item[3].run.site, item[3].run.equipment))
    return [trend_record(history, points) for *_, history, points in chosen[:_MOST_TRENDS]]


def trend_record(history: History, points: Sequence[Judged]) -> dict[str, Any]:
    """Points, baselines and marks of one quantity."""
    latest = _latest(points) or points[-1]
    shown = points[-_MOST_POINTS:]
    begin = shown[0].point.run.at
    return {
        **_who(history.run),
        "measurement": history.measurement,
        "title": history.title,
        "unit": history.unit,
        "state": _shown(latest),
        "text": _told(latest),
        "points": [
            {
                "at": one.point.run.at.isoformat(timespec="minutes"),
                "value": one.point.value,
                "uncertainty": one.point.uncertainty,
                "judgement": one.judgement,
                "state": "accepted" if one.accepted and one.tolerance != "out" else _shown(one),
                "rule": one.rule,
                "counted": one.point.run.counted,
                "phase_one": one.phase_one,
                "accepted": one.accepted,
                "software": one.point.run.software,
            }
            for one in shown
            if one.point.value is not None
        ],
        "baselines": [
            {
                "from": max(one.valid_from, begin).isoformat(timespec="minutes"),
                "value": one.value,
                "lower": one.lower,
                "upper": one.upper,
                "set_by": one.set_by,
                "reason": one.reason,
            }
            for one in history.accepted
        ],
        "tolerance": _limits_of(latest),
        "marks": [_mark(mark) for mark in history.marks if mark.at >= begin.replace(hour=0, minute=0)],
    }


def _limits_of(one: Judged) -> dict[str, Any] | None:
    """Remedial and suspension levels as plain values on the quantity's own axis."""
    stored = one.point.tolerance
    if stored is None:
        return None
    centre: float | None = 0.0
    scale = 1.0
    if stored["about"] == "nominal":
        centre = stored["nominal"]
    elif stored["about"] in ("baseline", "baseline_percent"):
        centre = one.baseline.value if one.baseline else None
        if centre is not None and stored["about"] == "baseline_percent":
            scale = abs(centre) / 100.0
    if centre is None:
        return None
    levels = {
        name: [None if limit is None else centre + scale * limit for limit in stored[name]]
        for name in ("remedial", "suspension")
    }
    return {**levels, "source": stored["source"], "edition": stored["edition"], "status": stored["status"]}


def _cross_site(found: Sequence[History]) -> list[dict[str, Any]]:
    """The same phantom and metric on two devices or more: the mean of each with its 95 % interval."""
    groups: dict[tuple[str, str, str], list[History]] = {}
    for history in found:
        if any(point.tolerance is not None for point in history.points):
            groups.setdefault((history.run.definition, history.measurement, history.unit), []).append(history)
    parts = []
    for (_, name, unit), members in sorted(groups.items()):
        rows = []
        for history in members:
            values = [point.value for point in history.points if point.usable and point.value is not None]
            if values:
                rows.append({**_who(history.run), "mean": _arithmetic(values), "n": len(values), "last": values[-1]})
        if len({row["equipment_id"] for row in rows}) > 1:
            parts.append(
                {
                    "phantom": members[0].run.phantom,
                    "definition": members[0].run.definition,
                    "measurement": name,
                    "title": members[0].title,
                    "unit": unit,
                    "rows": rows,
                }
            )
    return parts


def _arithmetic(values: Sequence[float]) -> dict[str, float | None]:
    """Mean with Student's 95 % interval; the interval only from three values on."""
    from math import sqrt

    import numpy as np
    from scipy.special import stdtrit

    x = np.asarray(values)
    middle = float(x.mean())
    if x.size < 3:
        return {"value": middle, "low": None, "high": None}
    reach = float(stdtrit(x.size - 1, 0.975)) * float(x.std(ddof=1)) / sqrt(x.size)
    return {"value": middle, "low": middle - reach, "high": middle + reach}


def _merit(members: Sequence[DeviceMerit]) -> list[dict[str, Any]]:
    """Devices, sites and network, figure by figure."""
    parts = []
    for (_, _, name), rows in _grouped(
        members, lambda one: (one.merit.id, one.run.definition, one.measurement)
    ).items():
        network = pool(rows)
        assert network is not None
        sites = _grouped(rows, lambda one: (one.run.site,))
        parts.append(
            {
                **_figure(rows[0]),
                "measurement": name,
                "devices": [
                    {
                        **_who(one.run),
                        "mean": _mean(one.mean),
                        "of_network": one.mean.value / network.value,
                    }
                    for one in rows
                ],
                "sites": [
                    {"site": site, "devices": len(its), "mean": _mean(pool(its))} for (site,), its in sites.items()
                ],
                "network": {**_mean(network), "devices": len(rows)},
            }
        )
    return parts


def _dose_and_quality(members: Sequence[DeviceMerit]) -> list[dict[str, Any]]:
    parts = []
    for one in members:
        first = one.points[: max(1, len(one.points) // 3)]
        dose, quality = geometric_mean(p.dose for p in first), geometric_mean(p.quality for p in first)
        assert dose is not None and quality is not None
        trade = trade_of(one)
        parts.append(
            {
                **_who(one.run),
                **_figure(one),
                "measurement": one.measurement,
                "quality_unit": {"noise_at_dose": "HU", "contrast_to_noise": "HU"}.get(one.merit.kind, "1"),
                "first_dose": dose.value,
                "first_quality": quality.value,
                "points": [
                    {
                        "at": point.run.at.isoformat(timespec="minutes"),
                        "dose": point.dose,
                        "quality": point.quality,
                        "merit": point.value,
                    }
                    for point in one.points[-_MOST_POINTS:]
                ],
                "trade": None if trade is None else asdict(trade),
            }
        )
    urgent = {"dose_down_images_worse": 0, "images_worse": 1}
    return sorted(parts, key=lambda part: urgent.get((part["trade"] or {}).get("verdict", ""), 9))


def _figure(one: DeviceMerit) -> dict[str, Any]:
    merit = one.merit
    return {
        "figure": merit.id,
        "figure_title": merit.title,
        "kind": merit.kind,
        "unit": merit.unit,
        "better": merit.better,
        "dose": merit.dose,
        "source": merit.source,
        "phantom": one.run.phantom,
        "definition": one.run.definition,
    }


def _who(run: Run) -> dict[str, Any]:
    return {
        "site": run.site,
        "equipment_id": run.equipment_id,
        "equipment": run.equipment,
        "definition": run.definition,
        "phantom": run.phantom,
        "conditions": run.condition_key,
    }


def _mean(found: GeometricMean | None) -> dict[str, Any]:
    return {} if found is None else asdict(found)


def _grouped(
    members: Sequence[DeviceMerit], key: Callable[[DeviceMerit], tuple[str, ...]]
) -> dict[tuple[str, ...], list[DeviceMerit]]:
    groups: dict[tuple[str, ...], list[DeviceMerit]] = {}
    for member in members:
        groups.setdefault(key(member), []).append(member)
    return groups


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Dates as text and tuples as lists."""
    return {
        name: value.isoformat() if isinstance(value, dt.date) else list(value) if isinstance(value, tuple) else value
        for name, value in record.items()
    }
