"""What is compared with what, expressed once: exams and events become one row per exam and dose quantity.

The expressions are Ibis and run on any engine that it knows. Nothing is dropped: an exam that must not be
compared keeps a row with the reason, so that the counts add up.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from dose_audit.audit.quantities import (
    FLUOROSCOPY_MODALITIES,
    QUANTITIES,
    SEQUENCE_TYPES,
    SINGLE_SHOT_MODALITIES,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from dose_audit.audit.engine import Engine

__all__ = [
    "FACT_COLUMNS",
    "LIST_SEPARATOR",
    "exams_in_period",
    "fact_rows",
    "left_out_events",
    "value_rows",
    "water_equivalent_diameter_mm",
]

LIST_SEPARATOR = "\x1f"
"""Between the parts of a list that was made one text, so that it can be grouped and joined by; in no DICOM
text.
"""
_FACT_SEPARATOR = "\x1e"

FACT_COLUMNS = (
    "site",
    "station_name",
    "manufacturer",
    "model_name",
    "modality",
    "study_description",
    "requested_procedure_description",
    "procedure_codes",
    "requested_procedure_codes",
    "acquisition_protocols",
    "target_regions",
    "acquisition_types",
    "phantoms",
    "views",
    "imaging_protocols",
)
"""All that the exam mapping may look at. Exams that agree in these are mapped once, however many they are."""

_PATIENT_COLUMNS = (
    "equipment_id",
    "equipment",
    "study_datetime",
    "study_date",
    "age_years",
    "weight_kg",
    "software_versions",
)


def exams_in_period(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    """Exams with their reason for being left out, if any, decided before their examination is known.

    Parameters
    ----------
    engine : Engine
    since, until : date, optional
        First and last study date of the period, both included; an open end takes all.

    Returns
    -------
    ibis table
        The exams of the period and those without any study date, with `left_out`: ``NOT_A_PATIENT``,
        ``NO_STUDY_DATE`` or null.
    """
    import ibis

    exams = engine.exams
    day = exams.study_date
    # The order of the reasons is their precedence: an exam has one.
    left_out = ibis.cases(
        (exams.is_phantom.fill_null(False), "NOT_A_PATIENT"),
        (day.isnull(), "NO_STUDY_DATE"),
        else_=ibis.null("string"),
    )
    moment = ibis.coalesce(exams.study_datetime, day.cast("timestamp"))
    return exams.filter(within(day, since, until)).mutate(left_out=left_out, study_datetime=moment)


def within(day: Any, since: date | None, until: date | None) -> Any:
    """Condition on a column of study dates: in the period, or not known."""
    import ibis

    inside = ibis.literal(True)
    if since is not None:
        inside = inside & (day >= ibis.literal(since))
    if until is not None:
        inside = inside & (day <= ibis.literal(until))
    return day.isnull() | inside


def left_out_events(engine: Engine) -> ir.Table:
    """Every irradiation event with why it is no patient exposure of its own, if so: `left_out` is null
    otherwise.
    """
    import ibis

    events = engine.events
    return events.mutate(
        left_out=ibis.cases(
            (events.reason.notnull() & (events.reason != ""), events.reason),
            ((events.type == "ct") & (events.ct_acquisition_type == "constant_angle"), "LOCALISER"),
            ((events.type == "ct") & (events.ct_acquisition_type == "stationary"), "BOLUS_TRACKING"),
            else_=ibis.null("string"),
        )
    )


def value_rows(engine: Engine, since: date | None, until: date | None) -> ir.Table:
    """One row per exam and quantity (per projection of one name where the basis is a projection).

    Returns
    -------
    ibis table
        The columns of `FACT_COLUMNS` as text (lists joined by `LIST_SEPARATOR`, absent is empty), `fact` (one
        number for all of those), the patient's and device's, and `exam_id`, `quantity`, `unit`, `value`,
        `phantom` (``head_16cm``, ``body_32cm``, ``mixed`` or null), `thickness_mm`, `wed_mm`, `left_out`. An exam that
        gives no value at all has one row with quantity ``""`` and `left_out` ``NO_VALUE`` unless it has a
        reason before that.
    """
    import ibis

    exams = exams_in_period(engine, since, until)
    values = ibis.union(
        *_ct_values(engine, exams),
        _single_shot_values(engine, exams),
        *_fluoroscopy_values(exams),
        _mammography_values(engine, exams),
        _administration_values(exams),
    )
    values = values.filter(values.value.notnull())
    exams = _with_facts(_with_event_facts(engine, exams))
    rows = exams.left_join(values, "exam_id").select(
        "exam_id",
        *FACT_COLUMNS,
        *_PATIENT_COLUMNS,
        "left_out",
        "projection",
        "value",
        "phantom",
        "thickness_mm",
        "wed_mm",
        quantity=values.quantity.fill_null(""),
        unit=values.unit.fill_null(""),
    )
    # A projection's own acquisition protocol decides which examination it is, not the whole study's list.
    rows = rows.mutate(
        {
            name: ibis.coalesce(rows["projection"].nullif(""), rows[name])
            for name in ("acquisition_protocols", "imaging_protocols")
        }
    ).drop("projection")
    return rows.mutate(
        fact=ibis.literal(_FACT_SEPARATOR).join([rows[name] for name in FACT_COLUMNS]).hash(),
        # The order of the reasons is their precedence: a value has one.
        left_out=ibis.cases(
            (rows.left_out.notnull(), rows.left_out),
            (rows.value.isnull(), "NO_VALUE"),
            ((rows.phantom == "mixed").fill_null(False), "MIXED_PHANTOMS"),
            (_is_absurd(rows), "IMPLAUSIBLE_VALUE"),
            else_=ibis.null("string"),
        ),
    )


def fact_rows(rows: ir.Table) -> ir.Table:
    """Return the distinct combinations of facts in `value_rows`, with number and count of exams."""
    return rows.group_by("fact", *FACT_COLUMNS).agg(exams=rows.exam_id.nunique())


def _with_event_facts(engine: Engine, exams: ir.Table) -> ir.Table:
    """Facts that only the events tell: acquisition types, phantoms, views, and what was no localiser."""
    events = left_out_events(engine)
    events = events.filter(events.left_out.isnull())
    told = events.group_by("exam_id").agg(
        acquisition_types=events.ct_acquisition_type.collect(distinct=True),
        phantoms=events.ctdi_phantom.collect(distinct=True),
        views=events["view"].collect(distinct=True),
        imaging_protocols=events.acquisition_protocol.collect(distinct=True),
    )
    return exams.left_join(told, "exam_id", rname="told_{name}")


def _with_facts(exams: ir.Table) -> ir.Table:
    """Facts as plain text, so that they group and join without regard to nulls and list order."""
    texts = {}
    for name in FACT_COLUMNS:
        column = exams[name]
        if column.type().is_array():
            column = column.unique().sort().join(LIST_SEPARATOR)
        texts[name] = column.fill_null("")
    return exams.mutate(**texts)


def _values(
    table: ir.Table,
    quantity: str,
    unit: str,
    value: Any,
    *,
    phantom: Any = None,
    thickness: Any = None,
    wed: Any = None,
    projection: Any = None,
) -> ir.Table:
    """Bring one quantity of a table of exams into the columns that all quantities share."""
    import ibis

    return table.select(
        "exam_id",
        quantity=ibis.literal(quantity),
        unit=ibis.literal(unit),
        value=value.cast("float64"),
        phantom=(ibis.null("string") if phantom is None else phantom).cast("string"),
        thickness_mm=(ibis.null("float64") if thickness is None else thickness).cast("float64"),
        wed_mm=(ibis.null("float64") if wed is None else wed).cast("float64"),
        projection=(ibis.literal("") if projection is None else projection).cast("string"),
    )


def _middle(column: Any) -> Any:
    """Median over an exam's events of the values that can be dose; else the lowest, to be refused."""
    import ibis

    usable = (column > 0.0) & (column < float("inf"))
    return ibis.coalesce(column.quantile(0.5, where=usable), column.min())


def water_equivalent_diameter_mm(events: ir.Table) -> Any:
    """Measured in images, else as the device reports it."""
    import ibis

    return ibis.coalesce(events.computed_wed_mm, events.water_equivalent_diameter_mm)


def _ct_values(engine: Engine, exams: ir.Table) -> list[ir.Table]:
    """CTDIvol and SSDE of the imaging sequences; DLP of the complete examination."""
    import ibis

    events = left_out_events(engine)
    imaging = events.ct_acquisition_type.isin(SEQUENCE_TYPES) | events.ct_acquisition_type.isnull()
    events = events.filter((events.type == "ct") & events.left_out.isnull() & imaging)
    sequences = events.group_by("exam_id").agg(
        ctdi_vol_mgy=_middle(events.ctdi_vol_mgy),
        ssde_mgy=_middle(events.computed_ssde_mgy),
        wed_mm=_middle(water_equivalent_diameter_mm(events)),
        head=(events.ctdi_phantom == "head_16cm").fill_null(False).any(),
        body=(events.ctdi_phantom == "body_32cm").fill_null(False).any(),
    )
    scans = exams.filter(exams.modality == "CT").left_join(sequences, "exam_id")
    phantom = ibis.cases(
        (scans["head"] & scans["body"], "mixed"),
        (scans["head"], "head_16cm"),
        (scans["body"], "body_32cm"),
        else_=ibis.null("string"),
    )
    # As reported, localisers and bolus tracking with it; where the report gives no total, what its events add
    # up to.
    total = ibis.coalesce(scans.ct_dlp_mgy_cm, scans.events_ct_dlp_mgy_cm)
    return [
        _values(scans, "CTDIvol", "mGy", scans.ctdi_vol_mgy, phantom=phantom, wed=scans.wed_mm),
        # Size and phantom are in the factor: doses on either phantom are one population.
        _values(scans, "SSDE", "mGy", scans.ssde_mgy, wed=scans.wed_mm),
        _values(scans, "DLP", "mGy.cm", total, phantom=phantom, wed=scans.wed_mm),
    ]


def _single_shot_values(engine: Engine, exams: ir.Table) -> ir.Table:
    """KAP of each projection, by the name of its acquisition protocol."""
    events = left_out_events(engine)
    events = events.filter(events.left_out.isnull() & events.kap_gy_cm2.notnull())
    projections = events.group_by("exam_id", projection_name=events.acquisition_protocol.fill_null("")).agg(
        projection_kap_gy_cm2=_middle(events.kap_gy_cm2)
    )
    shots = exams.filter(exams.modality.isin(SINGLE_SHOT_MODALITIES)).join(projections, "exam_id")
    return _values(shots, "KAP", "Gy.cm2", shots.projection_kap_gy_cm2, projection=shots.projection_name)


def _fluoroscopy_values(exams: ir.Table) -> list[ir.Table]:
    """KAP, dose at the reference point, peak skin dose and fluoroscopy time of the complete examination."""
    import ibis

    runs = exams.filter(exams.modality.isin(FLUOROSCOPY_MODALITIES))
    return [
        _values(runs, "KAP", "Gy.cm2", ibis.coalesce(runs.kap_gy_cm2, runs.events_kap_gy_cm2)),
        _values(runs, "dose_rp", "mGy", runs.dose_rp_mgy),
        _values(runs, "peak_skin_dose", "mGy", runs.peak_skin_dose_mgy),
        _values(runs, "fluoro_time", "min", runs.fluoro_time_s / 60.0),
    ]


def _mammography_values(engine: Engine, exams: ir.Table) -> ir.Table:
    """AGD per view, with the compressed thickness."""
    events = left_out_events(engine)
    events = events.filter(events.left_out.isnull() & events.agd_mgy.notnull())
    views = events.group_by("exam_id").agg(
        view_agd_mgy=_middle(events.agd_mgy), view_thickness_mm=_middle(events.compression_thickness_mm)
    )
    breasts = exams.filter(exams.modality == "MG").join(views, "exam_id")
    return _values(breasts, "AGD", "mGy", breasts.view_agd_mgy, thickness=breasts.view_thickness_mm)


def _administration_values(exams: ir.Table) -> ir.Table:
    given = exams.filter(exams.modality.isin(("NM", "PT")))
    return _values(given, "administered_activity", "MBq", given.administered_activity_mbq)


def _is_absurd(rows: ir.Table) -> Any:
    """Zero, negative, not finite, or physically absurd."""
    import ibis

    limit = ibis.cases(
        *(
            ((rows.quantity == quantity.name) & rows.modality.isin(quantity.modalities), quantity.largest)
            for quantity in QUANTITIES
        ),
        else_=ibis.null("float64"),
    )
    return (~(rows.value > 0.0) | rows.value.isnan() | (rows.value > limit)).fill_null(False)
