"""Exams and received objects of a period, row by row: for completeness and for what concerns a single exam or
device.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from dose_audit.audit.block_tables import period_blocks, sums_by_block
from dose_audit.audit.cohort import LIST_SEPARATOR, exams_in_period, left_out_events, water_equivalent_diameter_mm
from dose_audit.audit.columns import Columns
from dose_audit.audit.device_names import devices_of, name_devices_apart, twins_among, with_devices
from dose_audit.audit.kept_rows import KeptRows, RowKind
from dose_audit.audit.quantities import FLUOROSCOPY_MODALITIES, SEQUENCE_TYPES
from dose_audit.audit.query_texts import period_query
from dose_audit.drl import find_quantity

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from dose_audit.audit.engine import Engine

__all__ = [
    "EXAM_COLUMNS",
    "Received",
    "exam_rows",
    "patient_rows",
    "read_exams",
    "read_objects",
]

SET_ASIDE = ("quarantined", "conflict")

EXAM_COLUMNS = (
    "exam_id",
    "site",
    "equipment_id",
    "equipment",
    "station_name",
    "modality",
    "study_date",
    "study_datetime",
    "software_versions",
    "weight_kg",
    "warning_codes",
    "ct_dlp_mgy_cm",
    "events_ct_dlp_mgy_cm",
    "ct_dlp_head_16cm_mgy_cm",
    "ct_dlp_body_32cm_mgy_cm",
    "kap_gy_cm2",
    "events_kap_gy_cm2",
    "left_out",
)

_ADDED_UP = (
    "localisers",
    "sequences",
    "standing",
    "most_ctdi_vol_mgy",
    "most_standing_ctdi_vol_mgy",
    "wed_mm",
    "exposures",
    "distinct",
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

    @property
    def waiting(self) -> int:
        """How many have not been read yet."""
        found = self.counts.groups(("state",))
        return sum(int(self.counts["n"][rows].sum()) for (state,), rows in found if state == "pending")


def read_exams(engine: Engine, since: date | None, until: date | None) -> Columns:
    """Return the exams of the period, and those without a date, in the order of their number.

    Returns
    -------
    Columns
        As arrays, those of `exam_rows`, with the codes of ``warning_codes`` joined by `LIST_SEPARATOR`, and ``device`` (see
        `device_names.device_of`) in place of the device's number.
    """

    def made(tables: list[pa.Table], twins: set[int]) -> Columns:
        named = Columns(name_devices_apart(with_devices(tables.pop()), twins).drop_columns(["equipment_id"]))
        return named.sorted_arrays(("exam_id",))

    blocks = period_blocks(engine, since, until)
    if not blocks:
        table = engine.to_encoded(period_query(engine, "exams", exam_rows, since, until))
        return made([table], twins_among(devices_of(table)))
    kind = RowKind("exams", exam_rows, ("exam_id",))
    return KeptRows(engine, kind, blocks, since, until, str(since)).read(lambda: made)[0]


def patient_rows(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    """Exams of which a patient's doses are added up, each with what tells whose it is."""
    exams = exams_in_period(engine, since, until)
    exams = exams.filter(exams.modality.isin(FLUOROSCOPY_MODALITIES) & exams.pseudonym.notnull())
    return exams.select("exam_id", "study_date", "pseudonym", "sex", "age_years")


def exam_rows(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    """One row an exam with the columns of `EXAM_COLUMNS` and what its events add up to.

    Returns
    -------
    ibis table
        With `localisers`, `sequences` and `standing` (acquisitions without table movement: bolus tracking, perfusion),
        null without events; `most_ctdi_vol_mgy` and `most_standing_ctdi_vol_mgy`, the highest CTDIvol that can be dose of
        the acquisitions with and without table movement; of the events that are patient exposures of their own `wed_mm`,
        the median water-equivalent diameter over imaging sequences, `exposures`, and `distinct`: how many different
        acquisition protocols, views and sides there were.
    """
    import ibis

    exams = exams_in_period(engine, since, until)
    codes = exams.warning_codes.join(LIST_SEPARATOR).fill_null("")
    exams = exams.mutate(warning_codes=codes).select(*EXAM_COLUMNS)
    # The period's events alone: a store of many years has far more.
    events = left_out_events(engine).semi_join(exams, "exam_id")
    kind, exposed = events.ct_acquisition_type, events.left_out.isnull()
    imaging = kind.isin(SEQUENCE_TYPES).fill_null(False)
    diameter = water_equivalent_diameter_mm(events)
    name = ibis.literal("\x1f").join(
        [events[part].fill_null("") for part in ("acquisition_protocol", "view", "laterality")]
    )
    standing = (kind == "stationary").fill_null(False)
    ctdi_vol = events.ctdi_vol_mgy
    usable = (
        (events.type == "ct")
        & (events.reason.fill_null("") == "")
        & ~(kind == "constant_angle").fill_null(False)
        & (ctdi_vol > 0.0)
    )
    usable &= ctdi_vol <= find_quantity("CTDIvol").largest
    told = events.group_by("exam_id").agg(
        localisers=(kind == "constant_angle").fill_null(False).sum().cast("float64"),
        sequences=imaging.sum().cast("float64"),
        standing=standing.sum().cast("float64"),
        most_ctdi_vol_mgy=ctdi_vol.max(where=usable & ~standing),
        most_standing_ctdi_vol_mgy=ctdi_vol.max(where=usable & standing),
        wed_mm=diameter.quantile(0.5, where=exposed & imaging & (diameter > 0.0)),
        exposures=exposed.sum().cast("float64"),
        distinct=name.nunique(where=exposed).cast("float64"),
    )
    joined = exams.left_join(told, "exam_id")
    return joined.select(*EXAM_COLUMNS, *_ADDED_UP)


def read_objects(engine: Engine) -> Received:
    """Count the received objects, and read those that were set aside."""
    counts = sums_by_block(engine, "object-counts", _object_counts, of="objects")
    aside = sums_by_block(engine, "objects-set-aside", _set_aside, of="objects")
    added = counts.group_by(["site", "state", "reason"]).aggregate([("n", "sum")]).rename_columns({"n_sum": "n"})
    return Received(Columns(added).sorted(("site", "state", "reason")), Columns(aside).sorted(("object_id",)))


def _object_counts(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    import ibis

    objects = engine.objects
    quarantined = objects.state == "quarantined"
    named = objects.mutate(reason=ibis.cases((quarantined, objects.reason), else_=ibis.null("string")))
    return named.group_by("site", "state", "reason").agg(n=named.count())


def _set_aside(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    objects = engine.objects
    aside = objects.filter(objects.state.isin(SET_ASIDE))
    return aside.select("object_id", "received_at", "site", "station_name", "state", "reason")
