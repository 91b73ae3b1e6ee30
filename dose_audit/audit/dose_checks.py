"""CT Dose Check of single acquisitions: what was configured, what was forecast above it, whether a reason was given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dose_audit.audit.values import exam_ref

if TYPE_CHECKING:
    from dose_audit.audit.context import AuditContext

__all__ = ["DoseCheck", "dose_checks"]

_ALERTS = (
    ("DLP", "mGy.cm", "dlp_alert_value_mgy_cm", "accumulated_dlp_forward_estimate_mgy_cm"),
    ("CTDIvol", "mGy", "ctdi_vol_alert_value_mgy", "accumulated_ctdi_vol_forward_estimate_mgy"),
)
_NOTIFICATIONS = (
    ("DLP", "mGy.cm", "dlp_notification_value_mgy_cm", "dlp_forward_estimate_mgy_cm"),
    ("CTDIvol", "mGy", "ctdi_vol_notification_value_mgy", "ctdi_vol_forward_estimate_mgy"),
)
"""Quantity, unit, configured value, forecast: an alert is about the whole examination, a notification about one
acquisition (NEMA XR 25; DICOM PS3.16, TID 10015)."""


@dataclass(frozen=True, slots=True)
class DoseCheck:
    """The Dose Check of one acquisition.

    Attributes
    ----------
    exam_ref, site, equipment, acquisition_protocol : str
    alert_configured, notification_configured : bool
    alerts, notifications : tuple of dict
        Forecasts above the configured value: `quantity`, `unit`, `value`, `forecast`. DICOM reports the forecast only
        where it was exceeded.
    reason_given : bool
        Whether a reason for proceeding was entered; what it says may name people and stays in the store.
    """

    exam_ref: str
    site: str
    equipment: str
    acquisition_protocol: str
    alert_configured: bool
    notification_configured: bool
    alerts: tuple[dict[str, Any], ...]
    notifications: tuple[dict[str, Any], ...]
    reason_given: bool


def dose_checks(context: AuditContext) -> Iterator[DoseCheck]:
    """Yield the period's Dose Checks in order of place and time."""
    columns = context.exposures.dose_checks
    for row in range(len(columns)):
        facts = json.loads(columns["dose_check"][row])
        yield DoseCheck(
            exam_ref(int(columns["exam_id"][row])),
            columns["site"][row],
            columns["equipment"][row],
            columns["acquisition_protocol"][row] or "",
            bool(facts.get("dlp_alert_configured") or facts.get("ctdi_vol_alert_configured")),
            bool(facts.get("dlp_notification_configured") or facts.get("ctdi_vol_notification_configured")),
            _above(facts, _ALERTS),
            _above(facts, _NOTIFICATIONS),
            bool(facts.get("reason_for_proceeding")),
        )


def _above(facts: Mapping[str, Any], pairs: tuple[tuple[str, str, str, str], ...]) -> tuple[dict[str, Any], ...]:
    found = []
    for quantity, unit, value_name, forecast_name in pairs:
        value, forecast = facts.get(value_name), facts.get(forecast_name)
        if value is not None and forecast is not None and 0.0 < value < forecast:
            found.append({"quantity": quantity, "unit": unit, "value": value, "forecast": forecast})
    return tuple(found)
