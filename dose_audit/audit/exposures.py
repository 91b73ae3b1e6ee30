"""What only single irradiation events tell: exposure indices, views, CT Dose Check, localisers, repeats, sizes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from dose_audit.audit.cohort import exams_in_period, left_out_events, water_equivalent_diameter_mm
from dose_audit.audit.columns import Columns
from dose_audit.audit.exams import name_devices_apart
from dose_audit.audit.quantities import SEQUENCE_TYPES, SINGLE_SHOT_MODALITIES

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from dose_audit.audit.engine import Engine

__all__ = ["Exposures", "read_exposures"]

_PLACE = ("site", "equipment_id", "equipment")


@dataclass(frozen=True)
class Exposures:
    """Tables of the period's patient exposures, each sorted by place and time.

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
    first_exams : Columns
        Every device ever seen: `site`, `equipment`, `first_exam`, `exams`.
    """

    indices: Columns
    views: Columns
    dose_checks: Columns
    localisers: Columns
    projections: Columns
    sizes: Columns
    first_exams: Columns


def read_exposures(engine: Engine, since: date | None, until: date | None) -> Exposures:
    """Read the tables of a period."""
    exams = exams_in_period(engine, since, until)
    exams = exams.filter(exams.left_out.isnull())
    # The period's events alone: a store of many years has far more.
    events = left_out_events(engine).semi_join(exams, "exam_id")
    shots = exams.filter(exams.modality.isin(SINGLE_SHOT_MODALITIES))
    breasts = exams.filter(exams.modality == "MG")
    scans = exams.filter(exams.modality == "CT")
    patient = events.filter(events.left_out.isnull())
    return Exposures(
        indices=_read(
            engine,
            shots,
            patient.filter(patient.exposure_index.notnull() | patient.deviation_index.notnull()),
            ("acquisition_protocol", "exposure_index", "target_exposure_index", "deviation_index"),
        ),
        views=_read(
            engine,
            breasts,
            patient.filter(patient.agd_mgy.notnull() | patient.computed_mgd_mgy.notnull()),
            ("view", "agd_mgy", "computed_mgd_mgy", "compression_thickness_mm"),
            {"compression_thickness_mm": "thickness_mm", "computed_mgd_mgy": "mgd_mgy"},
        ),
        dose_checks=_dose_checks(engine, scans, events),
        localisers=_localisers(engine, scans, events),
        projections=_projections(engine, exams.filter(exams.modality.isin((*SINGLE_SHOT_MODALITIES, "MG"))), patient),
        sizes=_sizes(engine, patient),
        first_exams=_first_exams(engine),
    )


def _read(
    engine: Engine, exams: ir.Table, events: ir.Table, names: tuple[str, ...], renamed: dict[str, str] | None = None
) -> Columns:
    parts = events.select("exam_id", **{(renamed or {}).get(name, name): events[name] for name in names})
    return _sorted(engine, exams.select("exam_id", *_PLACE, "study_datetime").join(parts, "exam_id"))


def _sorted(engine: Engine, table: ir.Table, *order: str) -> Columns:
    arrow = engine.to_arrow(table)
    keys = order or ("site", "equipment", "study_datetime", "exam_id", *sorted(_others(arrow.column_names)))
    named = name_devices_apart(arrow) if "equipment" in arrow.column_names else arrow
    return Columns(named.sort_by([(name, "ascending") for name in keys]))


def _others(names: list[str]) -> set[str]:
    return set(names) - {"site", "equipment", "equipment_id", "study_datetime", "exam_id"}


def _dose_checks(engine: Engine, scans: ir.Table, events: ir.Table) -> Columns:
    import ibis

    if "dose_check" not in events.columns:  # Parquet of an older layout
        events = events.mutate(dose_check=ibis.null("string"))
    checked = events.filter(events.dose_check.notnull())
    return _read(engine, scans, checked, ("acquisition_protocol", "ctdi_vol_mgy", "dlp_mgy_cm", "dose_check"))


def _localisers(engine: Engine, scans: ir.Table, events: ir.Table) -> Columns:
    kind = events.ct_acquisition_type
    counted = events.group_by("exam_id").agg(
        localisers=(kind == "constant_angle").fill_null(False).sum().cast("float64"),
        sequences=kind.isin(SEQUENCE_TYPES).fill_null(False).sum().cast("float64"),
    )
    return _sorted(engine, scans.select("exam_id", *_PLACE, "study_datetime").join(counted, "exam_id"))


def _projections(engine: Engine, exams: ir.Table, events: ir.Table) -> Columns:
    import ibis

    name = ibis.literal("\x1f").join(
        [events[part].fill_null("") for part in ("acquisition_protocol", "view", "laterality")]
    )
    counted = events.group_by("exam_id").agg(
        exposures=events.count().cast("float64"), distinct=name.nunique().cast("float64")
    )
    return _sorted(engine, exams.select("exam_id", *_PLACE, "study_datetime").join(counted, "exam_id"))


def _sizes(engine: Engine, events: ir.Table) -> Columns:
    events = events.mutate(wed_mm=water_equivalent_diameter_mm(events))
    known = events.filter((events.wed_mm > 0.0) & events.ct_acquisition_type.isin(SEQUENCE_TYPES))
    table = known.group_by("exam_id").agg(wed_mm=known.wed_mm.quantile(0.5))
    return _sorted(engine, table, "exam_id")


def _first_exams(engine: Engine) -> Columns:
    exams: Any = engine.exams
    dated = exams.filter(exams.study_date.notnull())
    table = dated.group_by(*_PLACE).agg(first_exam=dated.study_date.min(), exams=dated.count().cast("float64"))
    return _sorted(engine, table, "site", "equipment", "first_exam")
