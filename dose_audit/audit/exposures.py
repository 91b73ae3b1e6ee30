"""What only single irradiation events tell: exposure indices, views, CT Dose Check, localisers, repeats, sizes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from dose_audit.audit.block_tables import period_rows, sums_by_block
from dose_audit.audit.cohort import exams_in_period, left_out_events
from dose_audit.audit.columns import Columns
from dose_audit.audit.device_names import name_devices_apart
from dose_audit.audit.exams import patient_rows
from dose_audit.audit.quantities import SINGLE_SHOT_MODALITIES

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from numpy.typing import NDArray

    from dose_audit.audit.block_tables import Rows
    from dose_audit.audit.engine import Engine

__all__ = ["Exposures", "read_exposures"]

_PLACE = ("site", "equipment_id", "equipment")


@dataclass(frozen=True)
class Exposures:
    """Tables of the period's patient exposures; those of single events are sorted by place and time.

    Attributes
    ----------
    indices : Columns
        Radiographs with an exposure index: `exam_id`, `site`, `equipment`, `study_datetime`,
        `acquisition_protocol`, `exposure_index`, `target_exposure_index`, `deviation_index`.
    views : Columns
        Mammography views: `exam_id`, `site`, `equipment`, `study_datetime`, `view`, `agd_mgy` as the device reports it,
        `mgd_mgy` as computed after Dance, `thickness_mm`.
    dose_checks : Columns
        CT acquisitions whose report has a Dose Check: `exam_id`, `site`, `equipment`, `study_datetime`,
        `acquisition_protocol`, `ctdi_vol_mgy`, `dlp_mgy_cm`, `dose_check` (JSON text).
    localisers : Columns
        CT exams: `exam_id`, `site`, `equipment`, `study_datetime`, `localisers`, `sequences`.
    projections : Columns
        Radiography and mammography exams: `exam_id`, `site`, `equipment`, `study_datetime`, `exposures`,
        `distinct`: how many different acquisition protocols, views and sides there were.
    sizes : Columns
        `exam_id` and `wed_mm`, the median water-equivalent diameter over an exam's imaging sequences.
    patients : Columns
        Fluoroscopy exams whose patient is known: `exam_id`, ascending, `pseudonym`, `sex` and `age_years`.
    device_months : Columns
        Every month in which a device was ever used: `site`, `equipment`, `first_exam` and `last_exam` in it, `exams`.
    """

    indices: Columns
    views: Columns
    dose_checks: Columns
    localisers: Columns
    projections: Columns
    sizes: Columns
    patients: Columns
    device_months: Columns


def read_exposures(engine: Engine, exams: Columns, since: date | None, until: date | None) -> Exposures:
    """Read the tables of a period.

    Parameters
    ----------
    engine : Engine
    exams : Columns
        Of the same period, from `exams.read_exams`.
    since, until : date, optional
        First and last study date, both included.
    """
    patients = exams["left_out"] == None  # noqa: E711 (an array)
    modality = exams.codes("modality")
    scans = patients & _one_of(modality, "CT") & ~np.isnan(exams["localisers"])
    shots = patients & _one_of(modality, *SINGLE_SHOT_MODALITIES, "MG") & (exams["exposures"] > 0.0)
    place = ("exam_id", "site", "equipment", "study_datetime")
    return Exposures(
        indices=_events(engine, "indices", _index_rows, since, until),
        views=_events(engine, "views", _view_rows, since, until),
        dose_checks=_events(engine, "dose-checks", _dose_check_rows, since, until),
        localisers=_part(exams, scans, *place, "localisers", "sequences"),
        projections=_part(exams, shots, *place, "exposures", "distinct"),
        sizes=_part(exams, patients & ~np.isnan(exams["wed_mm"]), "exam_id", "wed_mm"),
        patients=Columns(period_rows(engine, "patients", patient_rows, since, until)).sorted(("exam_id",)),
        device_months=_device_months(engine),
    )


def _one_of(column: tuple[NDArray[np.int32], list[str | None]], *words: str) -> NDArray[np.bool_]:
    return np.array([word in words for word in column[1]], dtype=np.bool_)[column[0]]


def _part(exams: Columns, rows: NDArray[np.bool_], *names: str) -> Columns:
    return exams.only(*names).some(np.flatnonzero(rows))


def _events(engine: Engine, name: str, rows: Rows, since: date | None, until: date | None) -> Columns:
    table = name_devices_apart(period_rows(engine, name, rows, since, until))
    others = set(table.column_names) - {*_PLACE, "study_date", "study_datetime", "exam_id"}
    return Columns(table).sorted(("site", "equipment", "study_datetime", "exam_id", *sorted(others)))


def _index_rows(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    exams, events = _patients(engine, since, until)
    told = events.exposure_index.notnull() | events.deviation_index.notnull()
    names = ("acquisition_protocol", "exposure_index", "target_exposure_index", "deviation_index")
    return _joined(
        exams.filter(exams.modality.isin(SINGLE_SHOT_MODALITIES)), events.filter(told).select("exam_id", *names)
    )


def _view_rows(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    exams, events = _patients(engine, since, until)
    told = events.filter(events.agd_mgy.notnull() | events.computed_mgd_mgy.notnull())
    views = told.select(
        "exam_id",
        "view",
        "agd_mgy",
        mgd_mgy=told.computed_mgd_mgy,
        thickness_mm=told.compression_thickness_mm.nullif(0.0),
    )
    return _joined(exams.filter(exams.modality == "MG"), views)


def _dose_check_rows(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    import ibis

    exams, _ = _patients(engine, since, until)
    events = left_out_events(engine)
    if "dose_check" not in events.columns:  # Parquet of an older layout
        events = events.mutate(dose_check=ibis.null("string"))
    checked = events.filter(events.dose_check.notnull())
    names = ("acquisition_protocol", "ctdi_vol_mgy", "dlp_mgy_cm", "dose_check")
    return _joined(exams.filter(exams.modality == "CT"), checked.select("exam_id", *names))


def _patients(engine: Engine, since: date | None, until: date | None) -> tuple[ir.Table, ir.Table]:
    """Patients' exams, and the events that are exposures of their own."""
    exams, events = exams_in_period(engine, since, until), left_out_events(engine)
    return exams.filter(exams.left_out.isnull()), events.filter(events.left_out.isnull())


def _joined(exams: ir.Table, events: ir.Table) -> ir.Table:
    return exams.select("exam_id", *_PLACE, "study_date", "study_datetime").join(events, "exam_id")


def _device_months(engine: Engine) -> Columns:
    blocks = sums_by_block(engine, "device-months", _month_rows)
    whole = blocks.group_by([*_PLACE, "month"]).aggregate(
        [("first_exam", "min"), ("last_exam", "max"), ("exams", "sum")]
    )
    table = whole.rename_columns({"first_exam_min": "first_exam", "last_exam_max": "last_exam", "exams_sum": "exams"})
    return Columns(name_devices_apart(table)).sorted(("site", "equipment", "first_exam"))


def _month_rows(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    exams: Any = engine.exams
    dated = exams.filter(exams.study_date.notnull())
    days = dated.study_date
    return dated.group_by(*_PLACE, month=days.year().cast("int64") * 12 + days.month().cast("int64")).agg(
        first_exam=days.min(), last_exam=days.max(), exams=dated.count().cast("float64")
    )
