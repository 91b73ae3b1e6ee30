"""Marks exams whose dose fits the device's own history only after division by 10, 100 or 1000: a slipped unit.

Runs after a batch of ingest over the devices that it touched, on their whole history, so that the order in which
exams came in cannot change what is marked.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction

from dose_audit.store.models import Exam
from dose_audit.store.sql import select_in, utc_text

__all__ = ["QUANTITIES", "mark_unit_slips"]

QUANTITIES = (
    "ct_dlp_mgy_cm",
    "kap_gy_cm2",
    "dose_rp_mgy",
    "agd_left_mgy",
    "agd_right_mgy",
    "administered_activity_mbq",
)
"""Exam totals whose unit a device can get wrong. A total that was not sent is judged by what the events add up to."""

_FALLBACK = {"ct_dlp_mgy_cm": "events_ct_dlp_mgy_cm", "kap_gy_cm2": "events_kap_gy_cm2"}
_TABLE = Exam._meta.db_table


def mark_unit_slips(equipment: Iterable[int]) -> int:
    """Mark or unmark the exams of these devices.

    Parameters
    ----------
    equipment : iterable of int
        Devices with new exams.

    Returns
    -------
    int
        How many exams changed.

    Notes
    -----
    Exams are compared with those of the same device and the same acquisition protocols, phantom exposures apart. Fewer
    than 20 say nothing, and where a tenfold dose is within the group's own spread nothing is marked (see
    `dose_audit.statistics.slipped_values`).
    """
    columns = [*QUANTITIES, *_FALLBACK.values()]
    rows = select_in(
        f"id, equipment_id, acquisition_protocols, is_phantom, unit_slips, {', '.join(columns)}",
        _TABLE,
        [("equipment_id", sorted(set(equipment)))],
    )
    marks: dict[int, dict[str, int]] = {}
    standing = {row[0]: _json(row[4]) for row in rows}
    for (quantity, *_), members in _groups(rows, columns).items():
        for exam, decades in _slipped(members).items():
            marks.setdefault(exam, {})[quantity] = decades
    now = utc_text(dt.datetime.now(dt.UTC))
    changed = []
    for exam, old in standing.items():
        new = [{"quantity": name, "decades": marks[exam][name]} for name in sorted(marks.get(exam, ()))]
        if new != old:
            changed.append((json.dumps(new), now, exam))
    if changed:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(f"UPDATE {_TABLE} SET unit_slips = %s, updated_at = %s WHERE id = %s", changed)
    return len(changed)


def _groups(rows: list[tuple[Any, ...]], columns: list[str]) -> dict[tuple[Any, ...], list[tuple[int, float]]]:
    """Positive values by quantity, device, acquisition protocols and whether it was a phantom."""
    groups: dict[tuple[Any, ...], list[tuple[int, float]]] = defaultdict(list)
    for exam, device, protocols, is_phantom, _, *values in rows:
        by_name = dict(zip(columns, values, strict=True))
        for quantity in QUANTITIES:
            value = by_name[quantity]
            if value is None and quantity in _FALLBACK:
                value = by_name[_FALLBACK[quantity]]
            if value is not None and value > 0:
                groups[(quantity, device, str(protocols), bool(is_phantom))].append((exam, value))
    return groups


def _slipped(members: list[tuple[int, float]]) -> dict[int, int]:
    from dose_audit.statistics.robust import slipped_values

    found = slipped_values([value for _, value in members])
    return {members[position][0]: decades for position, decades in found.items()}


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
