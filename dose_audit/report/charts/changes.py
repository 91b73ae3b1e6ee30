"""What happened to the devices: new software, service, and steps in dose on one line of time a device."""

from __future__ import annotations

from typing import Any

from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import GRID, QUIET, SERVICE, TONES
from dose_audit.report.words import number, plural, quantity_label

__all__ = ["change_events", "change_figures"]

_KINDS = {
    "new software": ("square", TONES["check"]),
    "service": ("diamond", SERVICE),
    "exam mapping": ("cross", QUIET),
    "step up": ("triangle-up", TONES["act"]),
    "step down": ("triangle-down", TONES["ok"]),
}


def change_events(run: FrozenRun) -> list[dict[str, Any]]:
    """Every change once, by device and day: ``site, equipment, day, kind, text, quantity, ratio, low, high, found_by``."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}

    def add(entry: dict[str, Any], day: str, kind: str, text: str, **more: Any) -> None:
        event = {"site": entry["site"], "equipment": entry["equipment"], "day": day, "kind": kind, "text": text}
        empty = {"quantity": None, "ratio": None, "low": None, "high": None, "found_by": None}
        key = (entry["site"], entry["equipment"], day, kind, str(more.get("quantity") or text))
        found.setdefault(key, event | empty | more)

    for event in run.data.get("device_events") or []:
        place = {"site": event["site"] or "", "equipment": event["equipment"] or "All devices"}
        if event["kind"] == "new software":
            add(place, event["day"], "new software", f"{event['text']}, before {event['before'] or 'not known'}")
        elif event["kind"] == "exam mapping":
            add(place, event["day"], "exam mapping", event["text"])
        else:
            add(place, event["day"], "service", _service(event["kind"], event["text"]))
    # A device as a whole before its single examinations: its steps are the better known ones.
    for entry in sorted(run.data.get("monitors") or [], key=lambda entry: entry["examination"] is not None):
        for change in entry["software"]:
            add(entry, change["day"], "new software", f"{change['after']}, before {change['before']}")
        for item in entry.get("service") or []:
            add(entry, item["day"], "service", _service(item["kind"], item["note"]))
        for step in entry["steps"]:
            between = f" ({number(step['low'])} to {number(step['high'])})" if step["low"] is not None else ""
            add(
                entry,
                step["day"],
                "step up" if step["ratio"] >= 1 else "step down",
                f"{quantity_label(step['quantity'])} by a factor of {number(step['ratio'])}{between}",
                **{name: step[name] for name in ("quantity", "ratio", "low", "high", "found_by")},
            )
    return [found[key] for key in sorted(found)]


def _service(kind: str, text: str) -> str:
    """What was done; that it was a service says the mark already."""
    return text if kind == "service" and text else ": ".join(filter(None, (kind, text)))


def change_figures(run: FrozenRun) -> list[Figure]:
    """One figure of the devices to which something happened, or nothing."""
    import altair as alt

    events = change_events(run)
    if not events:
        return []
    data = [
        event
        | {
            "device": f"{event['equipment']} ({event['site']})" if event["site"] else event["equipment"],
            "time": f"{event['day']}T12:00",
        }
        for event in events
    ]
    kinds = [kind for kind in _KINDS if any(event["kind"] == kind for event in events)]
    first, last = (run.data["run"][name] or data[end]["day"] for name, end in (("since", 0), ("until", -1)))
    x = alt.X(
        "time:T",
        title=None,
        scale=alt.Scale(domain=[f"{first[:10]}T00:00", f"{last[:10]}T23:59"]),
        axis=alt.Axis(format="%b %Y", tickCount="month", labelOverlap=True, grid=True),
    )
    y = alt.Y(
        "device:N", title=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=220, grid=True, gridColor=GRID)
    )
    chart = (
        alt.Chart(inline(data))
        .mark_point(filled=True, size=110, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=alt.Color("kind:N", title=None, scale=alt.Scale(domain=kinds, range=[_KINDS[k][1] for k in kinds])),
            shape=alt.Shape("kind:N", title=None, scale=alt.Scale(domain=kinds, range=[_KINDS[k][0] for k in kinds])),
            tooltip=[
                alt.Tooltip("device:N", title="Device"),
                alt.Tooltip("day:N", title="Day"),
                alt.Tooltip("kind:N", title="What"),
                alt.Tooltip("text:N", title="Detail"),
            ],
        )
        .properties(width=700, height=alt.Step(26))
    )
    devices = len({item["device"] for item in data})
    return [
        Figure(
            "change-events",
            "What changed, and when",
            f"{plural(len(events), 'change')} on {plural(devices, 'device')}: "
            + "; ".join(
                f"{event['equipment']}, {event['day']}, {event['kind']}, {event['text']}" for event in events[:6]
            )
            + ".",
            finished(chart),
            ["Day", "Site", "Equipment", "What", "Detail", "Found by"],
            [
                [
                    e["day"],
                    e["site"],
                    e["equipment"],
                    e["kind"],
                    e["text"],
                    {"verdict": "verdict at the close"}.get(e["found_by"] or "", e["found_by"] or "–"),
                ]
                for e in sorted(events, key=lambda e: (e["day"], e["site"], e["equipment"], e["kind"]))
            ],
            wide=True,
        )
    ]
