"""Running charts of the groups that are compared, with their signals and the days on which software changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.device_events import SOFTWARE, DeviceEvent
from dose_audit.audit.findings import Finding
from dose_audit.audit.sections.device_events import all_events

if TYPE_CHECKING:
    from dose_audit.audit.charts import Series

__all__ = ["build"]


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry a device, quantity and examination that has a running chart, and one for the device as a whole."""
    by_device: dict[tuple[str | None, str | None], list[DeviceEvent]] = {}
    for event in all_events(context):
        by_device.setdefault((event.site, event.equipment), []).append(event)
    return [_entry(context, one, by_device.get(one.key[:2], [])) for one in context.series if one.chart.status == "OK"]


def _entry(context: AuditContext, one: Series, events: Sequence[DeviceEvent]) -> dict[str, Any]:
    columns = context.values.columns
    site, equipment, modality, quantity, examination, band = one.key
    chart, times = one.chart, columns["study_datetime"]
    shown = chart.places

    def stamps(places: Any) -> NDArray[np.datetime64]:
        return times[one.rows[places]].astype("datetime64[s]")

    # As arrays: in `report.json` they are lists, and null where a chart in its warm-up has no value.
    lines = np.round(np.stack([one.residual[shown], chart.line, chart.reach, chart.high, chart.low]), 4)

    return {
        "site": site,
        "equipment": equipment,
        "modality": modality,
        "quantity": quantity,
        "examination": examination or None,
        "examination_name": columns["examination_name"][one.rows[0]] if examination else None,
        "band": band or None,
        "n": one.n,
        "points_shown": int(shown.size),
        "points": {
            "time": stamps(shown),
            **dict(zip(("log_residual", "ewma", "ewma_limit", "cusum_high", "cusum_low"), lines, strict=True)),
        },
        "cusum_limit": chart.decision,
        "signals": [
            {
                "time": str(time),
                "change": str(change),
                "direction": signal.direction,
            }
            for signal, time, change in zip(
                chart.signals,
                stamps(np.array([signal.index for signal in chart.signals], dtype=np.int64)),
                stamps(np.array([signal.change for signal in chart.signals], dtype=np.int64)),
                strict=True,
            )
        ],
        "steps": [
            {
                "day": step.day.isoformat(),
                "quantity": step.quantity,
                "ratio": step.ratio.value,
                "low": step.ratio.low,
                "high": step.ratio.high,
                "found_by": step.found_by,
            }
            for step in context.steps
            if (step.site, step.equipment, step.modality) == (site, equipment, modality)
            and step.examination in ("", examination)
        ],
        "software": [
            {"day": event.day.isoformat(), "before": event.before, "after": event.text}
            for event in events
            if event.kind == SOFTWARE
        ],
        "service": [
            {"day": event.day.isoformat(), "kind": event.kind, "note": event.text}
            for event in events
            if event.kind != SOFTWARE
        ],
    }
