"""Exams and received objects of a period, row by row: for completeness and for what concerns a single exam or
device.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

from dose_audit.audit.cohort import exams_in_period
from dose_audit.audit.columns import Columns

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.engine import Engine

__all__ = ["EXAM_COLUMNS", "name_devices_apart", "read_exams", "read_objects"]

EXAM_COLUMNS = (
    "exam_id",
    "site",
    "equipment_id",
    "equipment",
    "station_name",
    "modality",
    "study_datetime",
    "software_versions",
    "weight_kg",
    "pseudonym",
    "warning_codes",
    "ct_dlp_mgy_cm",
    "events_ct_dlp_mgy_cm",
    "ct_dlp_head_16cm_mgy_cm",
    "ct_dlp_body_32cm_mgy_cm",
    "kap_gy_cm2",
    "events_kap_gy_cm2",
    "left_out",
)


def read_exams(engine: Engine, since: date | None, until: date | None) -> Columns:
    """Return the exams of the period, and those without a date, in the order of their number."""
    exams = exams_in_period(engine, since, until).select(*EXAM_COLUMNS)
    return Columns(name_devices_apart(engine.to_arrow(exams.order_by("exam_id"))))


def read_objects(engine: Engine) -> Columns:
    """Return every received object, in the order of its number: an object that cannot be read has no study
    date.
    """
    return Columns(engine.to_arrow(engine.objects.order_by("object_id")))


def name_devices_apart(table: pa.Table) -> pa.Table:
    """Give two devices of one site that bear the same display name their number behind it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    devices = table.group_by(["site", "equipment", "equipment_id"]).aggregate([]).to_pylist()
    shared = Counter((row["site"], row["equipment"]) for row in devices)
    twins = {row["equipment_id"] for row in devices if shared[row["site"], row["equipment"]] > 1}
    named = pc.fill_null(table.column("equipment"), "Unnamed device")
    if twins:
        ids, names = table.column("equipment_id").to_pylist(), named.to_pylist()
        named = pa.array([f"{n} #{i}" if i in twins else n for i, n in zip(ids, names, strict=True)], pa.string())
    return table.set_column(table.schema.get_field_index("equipment"), "equipment", named)
