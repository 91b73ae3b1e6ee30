"""What can be computed from one exam record alone, for the nightly audit to store beside the reported values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dose_audit.dosimetry.ct_effective_dose import effective_dose
from dose_audit.dosimetry.mammography import distinct_exposures, exposure_kind, mean_glandular_dose, thickness_band
from dose_audit.dosimetry.nuclear_medicine import activity_per_kg, extravasation
from dose_audit.dosimetry.projection import deviation_index
from dose_audit.dosimetry.size_specific import ssde
from dose_audit.dosimetry.tables import load_table
from dose_audit.measured import Measured, not_measurable

if TYPE_CHECKING:
    from dose_audit.extract.exam import AdministrationEvent, CtEvent, Event, Exam, ProjectionEvent

__all__ = ["ct_region", "exam_dosimetry"]

_PHANTOM_CM = {"head_16cm": 16, "body_32cm": 32}
_MOVING = frozenset({"spiral", "sequenced"})
_SIZE_KINDS = {"113934": "effective", "113935": "effective", "113936": "effective", "113937": "age"}
_SSDE_AGREE = 0.05
_MOST_MBQ = 1e5


def exam_dosimetry(exam: Exam, *, factors: str = "AAPM 96", allow_unverified: bool = False) -> tuple[Measured, ...]:
    """Dosimetry of one exam, event by event, from what its objects say.

    Parameters
    ----------
    exam : Exam
        As `dose_audit.extract` returns it.
    factors : str
        Set of effective dose factors, see `effective_dose`.
    allow_unverified : bool
        Use constants that nobody has seen in their source; each result's `method` says where.

    Returns
    -------
    tuple of Measured
        ``ssde`` where a patient's size is given; ``effective_dose`` for every helical or sequenced CT event with a DLP,
        *not measurable* with its reason where age, region or phantom lack; ``mean_glandular_dose`` for standard views
        and tomosynthesis; ``deviation_index``; ``administered_activity`` and ``activity_per_kg``. `details` holds
        ``event_index``, ``irradiation_event_uid`` and the group in which it may be compared (``thickness_band``,
        ``exposure_kind``, ``region``). Empty for a phantom and for events that are left out of patient statistics.

    Notes
    -----
    Pure: no files, no database. Size from images is `measure_series`; skin dose is `dose_audit.dosimetry.skin`.
    """
    if exam.patient.is_phantom:
        return ()
    events = [event for event in exam.events if not event.reason]
    found: list[Measured] = []
    for event in events:
        if event.type == "ct":
            found += [_of_event(item, event) for item in _ct(event, exam, factors, allow_unverified)]
        elif event.type == "administration":
            found += [_of_event(item, event) for item in _administration(event, exam)]
    projections = [event for event in events if event.type == "projection"]
    if exam.modality == "MG":
        projections = [event for event in distinct_exposures(projections) if "projection_of_sweep" not in event.extra]
    for event in projections:
        found += [_of_event(item, event) for item in _projection(event, exam)]
    return tuple(found)


def _of_event(item: Measured, event: Event) -> Measured:
    where = {"event_index": event.index, "irradiation_event_uid": event.irradiation_event_uid}
    return replace(item, details={**item.details, **where})


def _ct(event: CtEvent, exam: Exam, factors: str, allow_unverified: bool) -> Iterable[Measured]:
    if event.ct_acquisition_type not in _MOVING:
        return  # localisers, bolus tracking: neither size nor region factors are meant for them
    region = ct_region(event)
    phantom_cm = _PHANTOM_CM.get(event.ctdi_phantom or "")
    size_mm = event.water_equivalent_diameter_mm
    if size_mm is not None and event.ctdi_vol_mgy is not None:
        if phantom_cm is None:
            yield not_measurable("ssde", "mGy", "the CTDI phantom is not known")
        else:
            yield _ssde(event, size_mm, phantom_cm, region, allow_unverified)
    if event.dlp_mgy_cm is not None:
        if region is None:
            yield not_measurable("effective_dose", "mSv", "no region with a factor is coded")
        else:
            yield _with(
                effective_dose(
                    event.dlp_mgy_cm,
                    region,
                    exam.patient.age_years,
                    phantom_cm,
                    factors=factors,
                    allow_unverified=allow_unverified,
                ),
                region=region,
            )


def _ssde(event: CtEvent, size_mm: float, phantom_cm: int, region: str | None, allow_unverified: bool) -> Measured:
    assert event.ctdi_vol_mgy is not None
    kind = next((kind for code, kind in _SIZE_KINDS.items() if code in (event.size_method or "")), "water_equivalent")
    result = ssde(
        event.ctdi_vol_mgy,
        size_mm,
        phantom_cm,
        size_kind=kind,
        body_part="head" if region == "head" else "body",
        allow_unverified=allow_unverified,
    )
    if result.value is None or event.ssde_mgy is None:
        return result
    result = _with(result, reported_mgy=event.ssde_mgy)
    if abs(event.ssde_mgy / result.value - 1) > _SSDE_AGREE if result.value else event.ssde_mgy > 0:
        return result.doubt(f"the report says {event.ssde_mgy:.3g} mGy")
    return result


def _with(item: Measured, **more: Any) -> Measured:
    """The same result with more details."""
    return replace(item, details={**item.details, **more})


def ct_region(event: CtEvent) -> str | None:
    """Region of an effective dose factor that a CT event's coded anatomy stands for, ``None`` when there is none.

    Notes
    -----
    Target region first, then anatomical structure; by SNOMED code, then by meaning. Acquisition protocol names are free
    text and are not guessed from.
    """
    for code in (event.target_region, event.anatomical_structure):
        if code is None:
            continue
        for row in load_table("regions"):
            if code.value in (row["sct"], row["srt"]) and code.value:
                return row["region"]
        for row in load_table("regions"):
            if code.meaning.strip().lower() == row["meaning"]:
                return row["region"]
    return None


def _projection(event: ProjectionEvent, exam: Exam) -> Iterable[Measured]:
    if exam.modality == "MG":
        kind = exposure_kind(event)
        if kind in ("standard", "tomosynthesis"):
            yield _with(
                mean_glandular_dose(
                    event.entrance_exposure_mgy,
                    event.half_value_layer_mm,
                    event.compression_thickness_mm,
                    event.anode_material,
                    _filter(event),
                    tomosynthesis=bool(event.tomosynthesis),
                    machine_agd_mgy=event.agd_mgy,
                ),
                thickness_band=thickness_band(event.compression_thickness_mm),
                exposure_kind=kind,
                laterality=event.laterality,
            )
    if event.exposure_index is not None and event.target_exposure_index is not None:
        yield deviation_index(event.exposure_index, event.target_exposure_index, reported=event.deviation_index)


def _filter(event: ProjectionEvent) -> str | None:
    materials = {item.material for item in event.filters if item.material}
    return materials.pop() if len(materials) == 1 else None


def _administration(event: AdministrationEvent, exam: Exam) -> Iterable[Measured]:
    activity = _activity(event)
    if activity is None:
        return
    beside = extravasation(event.extravasation)
    if beside:
        activity = activity.doubt("extravasation reported")
    substance = event.radiopharmaceutical or event.radionuclide
    name = substance.meaning if substance else None
    yield _with(activity, radiopharmaceutical=name, extravasation=beside)
    if exam.patient.weight_kg is not None and activity.value is not None:
        per_kg = _with(activity_per_kg(activity.value, exam.patient.weight_kg), radiopharmaceutical=name)
        yield per_kg.doubt("extravasation reported") if beside else per_kg


def _activity(event: AdministrationEvent) -> Measured | None:
    """As reported, which is net of the residual (DICOM 113507), else from the two measurements."""
    if event.administered_activity_mbq is not None:
        value = event.administered_activity_mbq
        if not 0 < value <= _MOST_MBQ:
            return not_measurable("administered_activity", "MBq", f"reported activity of {value:g} MBq")
        return Measured("administered_activity", value, "MBq", 0.05 * value, method="as reported")
    if event.pre_administration_activity_mbq is None:
        return None
    # The report does not say when the two were measured: no decay is corrected for, which makes the value suspect anyhow.
    value = event.pre_administration_activity_mbq - (event.post_administration_activity_mbq or 0.0)
    if not 0 < value <= _MOST_MBQ:
        return not_measurable("administered_activity", "MBq", f"activities differ by {value:g} MBq")
    doubt = "no times of measurement in the report: not corrected for decay"
    if event.post_administration_activity_mbq is None:
        doubt += "; no residual"
    uncertainty = 0.05 * event.pre_administration_activity_mbq
    return Measured("administered_activity", value, "MBq", uncertainty, "suspect", doubt, "before less after")
