"""Doses as corrected by dated calibrations, for a site that compares those in place of the displayed ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from dose_audit.audit.numbering import places_among

if TYPE_CHECKING:
    from dose_audit.audit.values import Values

__all__ = ["corrected_values", "stored_ratios"]

# Quantity of the audit → name of the corrected value, and the events' column that it corrects.
_QUANTITIES = {
    "CTDIvol": ("ctdi_vol", "ctdi_vol_mgy"),
    "DLP": ("dlp", "dlp_mgy_cm"),
    "KAP": ("kap", "kap_gy_cm2"),
    "dose_rp": ("dose_rp", "dose_rp_mgy"),
    "AGD": ("agd", "agd_mgy"),
    "administered_activity": ("administered_activity", "administered_activity_mbq"),
}

Ratios = Mapping[str, Mapping[int, float]]


def stored_ratios(since: date | None, until: date | None) -> dict[str, dict[int, float]]:
    """Corrected over displayed dose, by quantity and exam, where all of the exam's displayed values have a factor.

    Parameters
    ----------
    since, until : date, optional
        First and last study date, both included.

    Returns
    -------
    dict
        Quantity → exam → ratio: of the total where that was corrected, else of the events' sums.
    """
    from django.db.models import Count, Sum

    from dose_audit.store.models import DoseEstimate, Event
    from dose_audit.store.sql import chunks

    rows = DoseEstimate.objects.filter(current=True, raw_value__gt=0, value__isnull=False, calibration__isnull=False)
    if since is not None:
        rows = rows.filter(exam__study_date__gte=since)
    if until is not None:
        rows = rows.filter(exam__study_date__lte=until)
    found: dict[str, dict[int, float]] = {}
    for quantity, (name, column) in _QUANTITIES.items():
        own = rows.filter(quantity=name)
        totals = {
            exam: value / raw
            for exam, value, raw in own.filter(event_index__isnull=True).values_list("exam_id", "value", "raw_value")
        }
        sums = (
            own.filter(event_index__isnull=False)
            .values_list("exam_id")
            .annotate(Sum("value"), Sum("raw_value"), Count("id"))
        )
        parts = {exam: (value / raw, count) for exam, value, raw, count in sums if exam not in totals}
        for some in chunks(list(parts)):
            shown = Event.objects.filter(exam_id__in=some, **{f"{column}__gt": 0})
            for exam, count in shown.values_list("exam_id").annotate(Count("id")):
                if parts[exam][1] == count:
                    totals[exam] = parts[exam][0]
        found[quantity] = totals
    return found


def corrected_values(values: Values, ratios: Ratios) -> tuple[Values, int]:
    """The same values with displayed doses replaced by corrected ones where there is a ratio.

    Parameters
    ----------
    values : Values
    ratios : mapping
        See `stored_ratios`.

    Returns
    -------
    values : Values
    count : int
        How many were replaced; the others stay as displayed, since nobody measured how far off these displays are.
    """
    columns = values.columns
    dose, exams, quantities = columns["value"].astype(float), columns["exam_id"], columns["quantity"]
    count = 0
    for quantity, by_exam in ratios.items():
        if not by_exam:
            continue
        known = np.fromiter(by_exam, dtype=np.int64, count=len(by_exam))
        factors = np.fromiter(by_exam.values(), dtype=float, count=len(by_exam))
        rows = np.nonzero(quantities == quantity)[0]
        at = places_among(known, exams[rows])
        there = at >= 0
        dose[rows[there]] *= factors[at[there]]
        count += int(there.sum())
    if not count:
        return values, 0
    return replace(values, columns=columns.with_numbers("value", dose), weeks={}), count
