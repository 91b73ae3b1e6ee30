"""Silences of every device in the period, judged by its own rhythm."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns
    from dose_audit.statistics import SilenceScan

__all__ = ["MINIMUM_DAYS", "find_silences"]

MINIMUM_DAYS = 7.0
"""Shorter silences are for the reconciliation against the archive."""
FALSE_ALARM = 0.01
"""Chance of any false silence in a run over devices that never stopped."""


def find_silences(exams: Columns, until: datetime) -> dict[tuple[str, str], SilenceScan]:
    """Scan each device's exams for silences.

    Parameters
    ----------
    exams : Columns
        With `site`, `equipment` and `study_datetime`; everything that a device sends counts, patients or not.
    until : datetime
        The moment of looking, in the devices' local time.

    Returns
    -------
    dict
        By site and equipment.
    """
    from dose_audit.statistics import silent_gaps

    times = exams["study_datetime"]
    devices = list(exams.groups(("site", "equipment"), ~np.isnat(times)))
    alpha = FALSE_ALARM / max(1, len(devices))
    return {
        (site, equipment): silent_gaps(times[rows], until, alpha=alpha, minimum_days=MINIMUM_DAYS)
        for (site, equipment), rows in devices
    }
