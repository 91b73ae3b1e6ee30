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
    "anatomical_structures",
    "radiopharmaceuticals",
)
"""All that the exam mapping may look at. Exams that agree in these are mapped once, however many they are."""

_OWN = ("projected", "own_name", "own_region", "own_structure", "own_view")
"""Whether a value is of one projection or view, and what this alone says of itself."""

UNLIKE_FROM = 2.0
"""Sequences of one exam of which the highest CTDIvol is so many times the lowest are not repeats of one scan, nor ranges of
one examination: their median is the dose of none of them."""
_PART_FROM = 0.1
"""Share of an exam's DLP from which on the phantom that it is reported on counts, where no imaging sequence has that phantom:
bolus tracking over the body does not make the DLP of a head one of both."""

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
    """One row per exam and quantity (per projection or view where the basis is one).

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
        *_OWN,
        "value",
        "phantom",
        "thickness_mm",
        "wed_mm",
        "unlike",
        quantity=values.quantity.fill_null(""),
        unit=values.unit.fill_null(""),
    )
    # What a projection says of itself decides which examination it is, not the whole study's list.
    own = rows.projected.fill_null(False)
    rows = rows.mutate(
        acquisition_protocols=ibis.coalesce(rows.own_name.nullif(""), rows.acquisition_protocols),
        imaging_protocols=ibis.coalesce(rows.own_name.nullif(""), rows.imaging_protocols),
        target_regions=ibis.coalesce(rows.own_region.nullif(""), rows.target_regions),
        anatomical_structures=ibis.ifelse(own, rows.own_structure.fill_null(""), rows.anatomical_structures),
        views=ibis.ifelse(own, rows.own_view.fill_null(""), rows.views),
    ).drop(*_OWN)
    return rows.mutate(
        fact=ibis.literal(_FACT_SEPARATOR).join([rows[name] for name in FACT_COLUMNS]).hash(),
        # The order of the reasons is their precedence: a value has one.
        left_out=ibis.cases(
            (rows.left_out.notnull(), rows.left_out),
            (rows.value.isnull(), "NO_VALUE"),
            ((rows.phantom == "mixed").fill_null(False), "MIXED_PHANTOMS"),
            (_is_absurd(rows), "IMPLAUSIBLE_VALUE"),
            (rows.unlike.fill_null(False), "UNLIKE_SEQUENCES"),
            (_of_several_substances(rows), "SEVERAL_SUBSTANCES"),
            else_=ibis.null("string"),
        ),
    ).drop("unlike")


def fact_rows(rows: ir.Table) -> ir.Table:
    """Return the distinct combinations of facts in `value_rows`, with number and count of exams.

    `alike_exams` is the count of exams with these facts but for the views, of which an exam has several.
    """
    names = [name for name in FACT_COLUMNS if name != "views"]
    alike = rows.group_by(*names).agg(alike_exams=rows.exam_id.nunique())
    facts = rows.group_by("fact", *FACT_COLUMNS).agg(exams=rows.exam_id.nunique())
    return facts.join(alike, names).select("fact", *FACT_COLUMNS, "exams", "alike_exams")


def _with_event_facts(engine: Engine, exams: ir.Table) -> ir.Table:
    """Facts that only the events tell: acquisition types, phantoms, views, and what was no localiser."""
    events = left_out_events(engine)
    events = events.filter(events.left_out.isnull())
    told = events.group_by("exam_id").agg(
        acquisition_types=events.ct_acquisition_type.collect(distinct=True),
        phantoms=events.ctdi_phantom.collect(distinct=True),
        views=events["view"].collect(distinct=True),
        imaging_protocols=events.acquisition_protocol.collect(distinct=True),
        anatomical_structures=events.anatomical_structure.collect(distinct=True),
        radiopharmaceuticals=events.radiopharmaceutical.collect(distinct=True),
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
    unlike: Any = None,
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
        unlike=ibis.literal(False) if unlike is None else unlike.fill_null(False),
        **_own(projection),
    )


def _own(projection: ir.Table | None) -> dict[str, Any]:
    import ibis

    if projection is None:
        return {"projected": ibis.literal(False)} | dict.fromkeys(_OWN[1:], ibis.null("string"))
    names = ("event_protocol", "event_region", "event_structure", "event_view")
    told = {own: projection[name].cast("string") for own, name in zip(_OWN[1:], names, strict=True)}
    return {"projected": ibis.literal(True)} | told


def _middle(column: Any, among: Any) -> Any:
    """Median over some of an exam's events of the values that can be dose; else the lowest, to be refused."""
    import ibis

    return ibis.coalesce(column.quantile(0.5, where=among & _usable(column)), column.min(where=among))


def _spread(column: Any, among: Any) -> Any:
    """How many times the lowest value that can be dose the highest is, over some of an exam's events."""
    usable = among & _usable(column)
    return column.max(where=usable) / column.min(where=usable)


def _usable(column: Any) -> Any:
    return (column > 0.0) & (column < float("inf"))


def water_equivalent_diameter_mm(events: ir.Table) -> Any:
    """Measured in images, else as the device reports it."""
    import ibis

    return ibis.coalesce(events.computed_wed_mm, events.water_equivalent_diameter_mm)


def _ct_values(engine: Engine, exams: ir.Table) -> list[ir.Table]:
    """CTDIvol and SSDE of the imaging sequences; DLP of the complete examination."""
    import ibis

    events = left_out_events(engine)
    moved = events.ct_acquisition_type.isin(SEQUENCE_TYPES) | events.ct_acquisition_type.isnull()
    tracking = (events.left_out == "BOLUS_TRACKING").fill_null(False)
    events = events.filter((events.type == "ct") & ((events.left_out.isnull() & moved) | tracking))
    imaging, stood = events.left_out.isnull(), events.left_out.notnull()
    on_head = (events.ctdi_phantom == "head_16cm").fill_null(False)
    on_body = (events.ctdi_phantom == "body_32cm").fill_null(False)
    sequences = events.group_by("exam_id").agg(
        ctdi_vol_mgy=_middle(events.ctdi_vol_mgy, imaging),
        ssde_mgy=_middle(events.computed_ssde_mgy, imaging),
        wed_mm=_middle(water_equivalent_diameter_mm(events), imaging),
        ctdi_vol_unlike=_spread(events.ctdi_vol_mgy, imaging) >= UNLIKE_FROM,
        ssde_unlike=_spread(events.computed_ssde_mgy, imaging) >= UNLIKE_FROM,
        head=(on_head & imaging).any(),
        body=(on_body & imaging).any(),
        head_standing=(on_head & stood).any(),
        body_standing=(on_body & stood).any(),
        head_dlp=events.dlp_mgy_cm.sum(where=on_head & (events.dlp_mgy_cm > 0.0)).fill_null(0.0),
        body_dlp=events.dlp_mgy_cm.sum(where=on_body & (events.dlp_mgy_cm > 0.0)).fill_null(0.0),
    )
    scans = exams.filter(exams.modality == "CT").left_join(sequences, "exam_id")
    phantom = _phantom(scans["head"], scans["body"])
    part = _PART_FROM * (scans.head_dlp + scans.body_dlp)
    alone = ~(scans["head"] | scans["body"])
    of_total = _phantom(
        scans["head"] | (scans.head_standing & (alone | (scans.head_dlp >= part))),
        scans["body"] | (scans.body_standing & (alone | (scans.body_dlp >= part))),
    )
    # As reported, localisers and bolus tracking with it; where the report gives no total, what its events add
    # up to.
    total = ibis.coalesce(scans.ct_dlp_mgy_cm, scans.events_ct_dlp_mgy_cm)
    return [
        _values(
            scans, "CTDIvol", "mGy", scans.ctdi_vol_mgy, phantom=phantom, wed=scans.wed_mm, unlike=scans.ctdi_vol_unlike
        ),
        # Size and phantom are in the factor: doses on either phantom are one population.
        _values(scans, "SSDE", "mGy", scans.ssde_mgy, wed=scans.wed_mm, unlike=scans.ssde_unlike),
        _values(scans, "DLP", "mGy.cm", total, phantom=of_total, wed=scans.wed_mm),
    ]


def _phantom(head: Any, body: Any) -> Any:
    import ibis

    return ibis.cases((head & body, "mixed"), (head, "head_16cm"), (body, "body_32cm"), else_=ibis.null("string"))


def _projections(engine: Engine, exams: ir.Table, value: str) -> ir.Table:
    """Exams with each of their projections or views that has a value, and what it says of itself."""
    events = left_out_events(engine)
    told = events.filter(events.left_out.isnull() & events[value].notnull()).select(
        "exam_id",
        event_value=events[value],
        event_thickness_mm=events.compression_thickness_mm.nullif(0.0),  # a device that measured none
        event_protocol=events.acquisition_protocol,
        event_region=events.target_region,
        event_structure=events.anatomical_structure,
        event_view=events["view"],
    )
    return exams.join(told, "exam_id")


def _single_shot_values(engine: Engine, exams: ir.Table) -> ir.Table:
    """KAP of each projection."""
    shots = _projections(engine, exams.filter(exams.modality.isin(SINGLE_SHOT_MODALITIES)), "kap_gy_cm2")
    return _values(shots, "KAP", "Gy.cm2", shots.event_value, projection=shots)


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
    """AGD of each view, with the compressed thickness."""
    views = _projections(engine, exams.filter(exams.modality == "MG"), "agd_mgy")
    return _values(views, "AGD", "mGy", views.event_value, thickness=views.event_thickness_mm, projection=views)


def _administration_values(exams: ir.Table) -> ir.Table:
    given = exams.filter(exams.modality.isin(("NM", "PT")))
    return _values(given, "administered_activity", "MBq", given.administered_activity_mbq)


def _of_several_substances(rows: ir.Table) -> Any:
    return (rows.quantity == "administered_activity") & rows.radiopharmaceuticals.contains(LIST_SEPARATOR)


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
