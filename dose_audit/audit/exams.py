"""Exams and received objects of a period, row by row: for completeness and for what concerns a single exam or
device.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from dose_audit.audit.cohort import exams_in_period
from dose_audit.audit.columns import Columns

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.engine import Engine

__all__ = ["EXAM_COLUMNS", "Received", "name_devices_apart", "read_exams", "read_objects"]

SET_ASIDE = ("quarantined", "conflict")

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


@dataclass(frozen=True)
class Received:
    """Every received object, whatever its date: one that cannot be read has none.

    Attributes
    ----------
    counts : Columns
        Objects by `site`, `state` and `reason` (of quarantined ones alone), with their number `n`.
    set_aside : Columns
        Those that could not be used, row by row: `object_id`, `received_at`, `site`, `station_name`, `state`, `reason`.
    """

    counts: Columns
    set_aside: Columns


def read_exams(engine: Engine, since: date | None, until: date | None) -> Columns:
    """Return the exams of the period, and those without a date, in the order of their number."""
    exams = exams_in_period(engine, since, until).select(*EXAM_COLUMNS)
    return Columns(name_devices_apart(engine.to_encoded(exams.order_by("exam_id"))))


def read_objects(engine: Engine) -> Received:
    """Count the received objects, and read those that were set aside."""
    import ibis

    objects = engine.objects
    quarantined = objects.state == "quarantined"
    named = objects.mutate(reason=ibis.cases((quarantined, objects.reason), else_=ibis.null("string")))
    counts = named.group_by("site", "state", "reason").agg(n=named.count())
    aside = objects.filter(objects.state.isin(SET_ASIDE)).select(
        "object_id", "received_at", "site", "station_name", "state", "reason"
    )
    return Received(
        Columns(engine.to_arrow(counts)).sorted(("site", "state", "reason")),
        Columns(engine.to_arrow(aside.order_by("object_id"))),
    )


def name_devices_apart(table: pa.Table) -> pa.Table:
    """Give two devices of one site that bear the same display name their number behind it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    devices = table.group_by(["site", "equipment", "equipment_id"]).aggregate([]).to_pylist()
    shared = Counter((row["site"], row["equipment"]) for row in devices)
    twins = {row["equipment_id"] for row in devices if shared[row["site"], row["equipment"]] > 1} - {None}
    column = table.column("equipment")
    named = pc.fill_null(column.cast(pa.string()), "Unnamed device")
    if twins:
        ids = table.column("equipment_id")
        numbered = pc.binary_join_element_wise(named, ids.cast(pa.string()), " #")
        named = pc.if_else(pc.is_in(ids, value_set=pa.array(sorted(twins), ids.type)), numbered, named)
    named = named.dictionary_encode() if pa.types.is_dictionary(column.type) else named
    return table.set_column(table.schema.get_field_index("equipment"), "equipment", named)
