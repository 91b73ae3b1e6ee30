"""The three tables of the columnar copy: each column's name, where the store has it, and its type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LAYOUT", "TABLES", "Column", "Source", "arrow_schema", "hidden"]

LAYOUT = 5
"""Raise it when a column changes: the whole copy is then made anew."""


@dataclass(frozen=True, slots=True)
class Column:
    """One Parquet column: its name, where the store has it, and its type (``text``, ``number``, ``texts`` …)."""

    name: str
    sql: str
    type: str


@dataclass(frozen=True, slots=True)
class Source:
    """One table of the copy.

    Attributes
    ----------
    columns : tuple of Column
    rows : str
        What stands behind ``FROM``.
    key : str
        The number by which the table is cut into blocks.
    keys : int
        How many of the first columns the rows of a block are in the order of.
    """

    columns: tuple[Column, ...]
    rows: str
    key: str
    keys: int = 1

    def select(self, first: int, last: int, *, ahead: str = "") -> str:
        """The query for the rows whose key lies from `first` to `last`, both included.

        Parameters
        ----------
        first, last : int
        ahead : str
            Values of one more row, with a key below `first`, which comes before all others.
        """
        names = ", ".join(column.sql for column in self.columns)
        before = f"SELECT {ahead} UNION ALL " if ahead else ""
        places = ", ".join(str(place) for place in range(1, self.keys + 1))
        return f"{before}SELECT {names} FROM {self.rows} WHERE {self.key} BETWEEN {first} AND {last} ORDER BY {places}"


def _same(kind: str, prefix: str, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, f"{prefix}.{name}", kind) for name in names)


_EXAMS = (
    Column("exam_id", "x.id", "key"),
    *_same("time", "x", "study_datetime"),
    *_same("date", "x", "study_date"),
    Column("site", "s.name", "text"),
    *_same("key", "x", "equipment_id"),
    Column("equipment", "q.display_name", "text"),
    *_same("text", "q", "manufacturer", "model_name", "station_name", "serial_number"),
    *_same("text", "x", "software_versions"),
    Column("modality", "COALESCE(q.modality_override, x.modality)", "text"),
    *_same("text", "x", "study_description", "requested_procedure_description"),
    *_same("texts", "x", "procedure_codes", "requested_procedure_codes", "acquisition_protocols", "target_regions"),
    *_same("text", "x", "sex"),
    *_same("number", "x", "age_years"),
    Column("weight_kg", "COALESCE(x.given_weight_kg, x.weight_kg)", "number"),
    Column("height_m", "COALESCE(x.given_height_m, x.height_m)", "number"),
    *_same("text", "x", "pseudonym"),
    *_same("flag", "x", "is_phantom"),
    *_same("text", "x", "is_phantom_reason"),
    *_same("texts", "x", "source_kinds"),
    *_same(
        "number", "x", "ct_dlp_mgy_cm", "events_ct_dlp_mgy_cm", "ct_dlp_head_16cm_mgy_cm", "ct_dlp_body_32cm_mgy_cm",
        "kap_gy_cm2", "events_kap_gy_cm2", "dose_rp_mgy", "fluoro_time_s", "agd_left_mgy", "agd_right_mgy",
        "administered_activity_mbq",
    ),
    *_same("count", "x", "event_count"),
    *_same("texts", "x", "warning_codes"),
    *_same("instant", "x", "received_at"),
    Column("mapping_examination", "NULL", "text"),  # reserved: the audit maps, the store does not
    Column("unit_slips", "x.unit_slips", "slips"),
    *_same("number", "x", "peak_skin_dose_mgy"),
)  # fmt: skip

_HAS_DOSE_CHECK = "CAST(e.rest AS TEXT) LIKE '%heck\"%' AND CAST(e.rest AS TEXT) LIKE '%\"dose_check\"%'"
# The first of the two only saves time: SQLite looks for a pattern at each place where its first letter stands, and a quotation
# mark stands at every word of JSON. It takes a fifth of the second's time, and few rows come to that.
_DOSE_CHECK = f"CASE WHEN {_HAS_DOSE_CHECK} THEN CAST(e.rest AS TEXT) END"

_EVENTS = (
    *_same("key", "e", "exam_id"),
    *_same("count", "e", "event_index"),
    *_same("text", "e", "irradiation_event_uid", "type"),
    *_same("time", "e", "started_at"),
    *_same("text", "e", "acquisition_protocol", "target_region", "laterality", "reason", "ct_acquisition_type"),
    *_same("number", "e", "ctdi_vol_mgy"),
    *_same("text", "e", "ctdi_phantom"),
    *_same("number", "e", "dlp_mgy_cm", "scanning_length_mm", "kvp_kv", "kap_gy_cm2", "dose_rp_mgy"),
    *_same("text", "e", "plane", "irradiation_event_type"),
    *_same(
        "number", "e", "agd_mgy", "compression_thickness_mm", "exposure_index", "target_exposure_index",
        "deviation_index",
    ),
    *_same("text", "e", "view"),
    *_same("number", "e", "exposure_mas", "water_equivalent_diameter_mm", "ssde_mgy", "administered_activity_mbq"),
    Column("dose_check", _DOSE_CHECK, "dose_check"),
    *_same("number", "e", "computed_ssde_mgy", "computed_mgd_mgy", "computed_wed_mm"),
    *_same("text", "e", "anatomical_structure", "radiopharmaceutical"),
)  # fmt: skip

# ``study_key`` is opaque: the exam's number, not the Study Instance UID.
_OBJECTS = (
    Column("object_id", "r.id", "key"),
    *_same("instant", "r", "received_at"),
    Column("site", "COALESCE(s.name, r.site)", "text"),
    *_same("text", "r", "source", "sop_class_uid", "kind", "state", "reason", "station_name"),
    Column("study_key", "CAST(x.id AS TEXT)", "text"),
    *_same("key", "r", "size_bytes"),
    Column("copies", "r.copies", "copies"),
)

TABLES: dict[str, Source] = {
    "exams": Source(
        _EXAMS,
        "store_exam x JOIN store_site s ON s.id = x.site_id JOIN store_equipment q ON q.id = x.equipment_id",
        "x.id",
    ),
    "events": Source(_EVENTS, "store_event e", "e.exam_id", keys=2),
    "objects": Source(
        _OBJECTS,
        "store_receivedobject r LEFT JOIN store_exam x ON x.study_instance_uid = r.study_instance_uid "
        "LEFT JOIN store_site s ON s.id = x.site_id",
        "r.id",
    ),
}
"""Parquet table → where its rows come from."""


def hidden(column: Column) -> bool:
    """Whether a column only helps to make others and is not kept."""
    return column.type in ("slips", "copies")


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Arrow types of the columns that are kept; they do not depend on the rows."""
    import pyarrow as pa

    types = {
        "key": pa.int64(),
        "count": pa.int32(),
        "number": pa.float64(),
        "flag": pa.bool_(),
        "text": pa.string(),
        "dose_check": pa.string(),
        "texts": pa.list_(pa.string()),
        "time": pa.timestamp("us"),
        "instant": pa.timestamp("us"),
        "date": pa.date32(),
    }
    return pa.schema([(column.name, types[column.type]) for column in columns if not hidden(column)])
