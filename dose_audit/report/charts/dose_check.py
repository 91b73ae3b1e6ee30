"""CT Dose Check: on how many acquisitions an alert value was set and how often it was passed, by scanner."""

from __future__ import annotations

from typing import Any

from dose_audit.report.charts.axes import PERCENT
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import TONES
from dose_audit.report.words import percent, plural

__all__ = ["dose_check_figures"]

_KINDS = {"alert_configured": "alert value set", "notification_configured": "notification value set"}


def dose_check_figures(run: FrozenRun) -> list[Figure]:
    """One figure of the scanners whose reports carry a Dose Check, or nothing."""
    import altair as alt

    entries = run.data.get("dose_check") or []
    if not entries:
        return []
    data = [
        {"device": f"{e['equipment']} ({e['site']})", "kind": kind, "share": e[name] / e["acquisitions"], "n": e[name]}
        for e in entries
        if e["acquisitions"]
        for name, kind in _KINDS.items()
    ]
    kinds = list(_KINDS.values())
    chart = (
        alt.Chart(inline(data))
        .mark_bar(height=9)
        .encode(
            x=alt.X(
                "share:Q",
                title="share of acquisitions",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(labelExpr=PERCENT, tickCount=5),
            ),
            y=alt.Y("device:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=220)),
            yOffset=alt.YOffset("kind:N", sort=kinds),
            color=alt.Color(
                "kind:N", title=None, sort=kinds, scale=alt.Scale(domain=kinds, range=[TONES["ok"], TONES["check"]])
            ),
            tooltip=[
                alt.Tooltip("device:N", title="Scanner"),
                alt.Tooltip("kind:N", title="What"),
                alt.Tooltip("n:Q", title="Acquisitions"),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
            ],
        )
        .properties(width=700, height=alt.Step(11))
    )
    alerts = sum(e["alert_exceeded"] for e in entries)
    silent = sum(e["alert_exceeded_without_reason"] for e in entries)
    return [
        Figure(
            "dose-check-values",
            "Alert and notification values on the scanners",
            f"{plural(len(entries), 'scanner')} with a Dose Check in the reports; an alert value was passed on "
            f"{plural(alerts, 'acquisition')}, {silent} of them without a reason given.",
            finished(chart),
            [
                "Site",
                "Equipment",
                "Acquisitions",
                "Alert set",
                "Alert passed",
                "No reason given",
                "Notification set",
                "Notification passed",
                "Exams",
            ],
            [_row(entry) for entry in entries],
            wide=True,
        )
    ]


def _row(entry: dict[str, Any]) -> list[str]:
    whole = entry["acquisitions"]

    def part(name: str) -> str:
        return f"{entry[name]} ({percent(100 * entry[name] / whole)})" if whole else str(entry[name])

    return [
        entry["site"],
        entry["equipment"],
        str(whole),
        part("alert_configured"),
        str(entry["alert_exceeded"]),
        str(entry["alert_exceeded_without_reason"]),
        part("notification_configured"),
        str(entry["notification_exceeded"]),
        ", ".join(entry["exams_with_alert"]) or "–",
    ]
