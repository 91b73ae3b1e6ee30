"""CT Dose Check of single acquisitions: what was configured, what was forecast above it, whether a reason was given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    """What the Dose Check of an acquisition says.

    Attributes
    ----------
    alert_configured, notification_configured : bool
    alerts, notifications : tuple of dict
        Forecasts above the configured value: `quantity`, `unit`, `value`, `forecast`. DICOM reports the forecast only
        where it was exceeded.
    reason_given : bool
        Whether a reason for proceeding was entered; what it says may name people and stays in the store.
    """

    alert_configured: bool
    notification_configured: bool
    alerts: tuple[dict[str, Any], ...]
    notifications: tuple[dict[str, Any], ...]
    reason_given: bool


def dose_checks(context: AuditContext) -> tuple[NDArray[np.int32], list[DoseCheck]]:
    """Which Dose Check each acquisition of `Exposures.dose_checks` has, and the different ones: a scanner says the same of
    nearly all.
    """
    places, texts = context.exposures.dose_checks.codes("dose_check")
    return places, [_read(json.loads(text)) for text in texts]


def _read(facts: Mapping[str, Any]) -> DoseCheck:
    return DoseCheck(
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
