"""Radiopharmaceutical dose reports (TID 10021): administrations, organ doses, patient characteristics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dose_audit.extract.codes import key
from dose_audit.extract.common import plausible
from dose_audit.extract.concepts import LATERALITIES, SEXES, dcm, sct
from dose_audit.extract.document import LATERALITY, person
from dose_audit.extract.exam import AdministrationEvent, Exam, OrganDose
from dose_audit.extract.fields import (
    Context,
    Extra,
    Rule,
    Table,
    aside,
    code,
    each,
    group,
    moment,
    number,
    one_more,
    term,
    text,
    walk,
    wording,
)

if TYPE_CHECKING:
    from dose_audit.extract.reader import Item

__all__ = ["ADMINISTRATION", "NUCLEAR_CONTAINERS", "modality_of_nuclear"]

_AUTHORITY: Table = {dcm("121406"): wording("authority")}
_METHOD: Table = {sct("370129005"): wording("method")}

_ORGAN_DOSE: Table = {
    sct("363698007"): code("site", LATERALITY),
    sct("272741003"): term("laterality", LATERALITIES),
    sct("118538004"): number("mass_g", "mass_g", _METHOD),
    dcm("113518"): number("dose_mgy", "dose_mgy", _AUTHORITY),
    dcm("121406"): wording("authority"),
}

_AGENT: Table = {
    sct("89457008"): code("radionuclide"),
    sct("304283002"): number("half_life_s", "time_s"),
}

_RADIONUCLIDE: Table = {sct("304283002"): number("half_life_s", "time_s")}


def _identifier(name: str) -> Rule:
    """An identifier of the product, kept by name in `identifiers`, its own parts beside it."""

    def rule(event: AdministrationEvent, item: Item, extra: Extra, ctx: Context) -> None:
        value: Any = ctx.coded(item) if item.code else ctx.text_of(item)
        if value:
            one_more(event.identifiers, name, value)
        walk(item.children, _IDENTIFIERS, event, extra, ctx)

    return rule


_IDENTIFIERS: dict[tuple[str, str], Rule] = {}
_IDENTIFIERS.update(
    {
        dcm("113510"): _identifier("drug_product"),
        dcm("111529"): _identifier("brand_name"),
        dcm("113511"): _identifier("dispense_unit"),
        dcm("113512"): _identifier("lot"),
        dcm("113513"): _identifier("reagent_vial"),
        dcm("113514"): _identifier("radionuclide"),
        dcm("113516"): _identifier("prescription"),
        dcm("121147"): _identifier("billing_code"),
    }
)


def _extravasation(event: AdministrationEvent, item: Item, extra: Extra, ctx: Context) -> None:
    """One of the symptoms; the field lists them all."""
    symptom = ctx.text_of(item) or (item.code.meaning or item.code.value if item.code else None)
    if symptom:
        event.extravasation = f"{event.extravasation}; {symptom}" if event.extravasation else symptom
    if item.code:
        one_more(extra, "extravasation_code", item.code)


_ROUTE: Table = {sct("272737002"): code("site", LATERALITY)}

_EFFECTIVE_DOSE: Table = {
    dcm("121406"): aside("effective_dose_authority"),
    sct("370129005"): aside("effective_dose_method"),
}

ADMINISTRATION: Table = {
    sct("349358000"): code("radiopharmaceutical", _AGENT),
    sct("417881006"): code("radiopharmaceutical", _AGENT),
    ("SRT", "F-61FDB"): code("radiopharmaceutical", _AGENT),
    sct("89457008"): code("radionuclide", _RADIONUCLIDE),
    sct("304283002"): number("half_life_s", "time_s"),
    dcm("123007"): number("specific_activity_bq_per_mol", "specific_activity_bq_per_mol"),
    dcm("113503"): text("irradiation_event_uid"),
    dcm("113505"): _extravasation,
    dcm("113506"): aside("estimated_extravasation_activity_percent", "percent"),
    dcm("123003"): moment("started_at"),
    dcm("123004"): moment("stopped_at"),
    dcm("113507"): number("administered_activity_mbq", "activity_mbq"),
    dcm("123005"): number("volume_ml", "volume_ml"),
    dcm("113508"): number("pre_administration_activity_mbq", "activity_mbq"),
    dcm("113509"): number("post_administration_activity_mbq", "activity_mbq"),
    dcm("113517"): each("organ_doses", OrganDose, _ORGAN_DOSE),
    dcm("113839"): number("effective_dose_msv", "effective_dose_msv", _EFFECTIVE_DOSE),
    ("99SHS", "220001"): group({dcm("113839"): number("effective_dose_msv", "effective_dose_msv", _EFFECTIVE_DOSE)}),
    sct("410675002"): code("route", _ROUTE),
    sct("272737002"): code("site", LATERALITY),
    dcm("121106"): text("comment"),
    dcm("113870"): person,
    **_IDENTIFIERS,
}
"""Radiopharmaceutical Administration; the target is an `AdministrationEvent`."""

_CHARACTERISTICS: Table = {
    dcm("121033"): aside("age_years", "age_years"),
    dcm("121032"): aside("sex", SEXES),
    ("LN", "8302-2"): aside("height_m", "height_m"),
    ("LN", "29463-7"): aside("weight_kg", "mass_kg"),
    ("LN", "8277-6"): aside("body_surface_area_m2", "body_surface_area_m2"),
    sct("60621009"): aside("body_mass_index_kg_per_m2", "body_mass_index_kg_per_m2"),
    ("LN", "14749-6"): aside("glucose_mmol_per_l", "glucose_mmol_per_l"),
    dcm("113550"): aside("fasting_duration_h", "time_h"),
    dcm("113551"): aside("hydration_volume_ml", "volume_ml"),
    dcm("113552"): aside("recent_physical_activity"),
    ("LN", "2160-0"): aside("serum_creatinine_mg_per_dl", "creatinine_mg_per_dl"),
    sct("80274001"): aside("glomerular_filtration_rate_ml_per_min_1_73_m2", "filtration_ml_per_min", many=True),
    dcm("109054"): aside("patient_state", many=True),
}


def _characteristics(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    """Patient Characteristics describe every administration, and the patient where the header does not."""
    found: Extra = {}
    walk(item.children, _CHARACTERISTICS, exam, found, ctx)
    for event in exam.events:
        event.patient_characteristics = dict(found)
    patient = exam.patient
    for name in ("age_years", "weight_kg", "height_m"):
        if getattr(patient, name) is None and name in found:
            setattr(patient, name, plausible(name, found[name], exam.warnings))
    if patient.sex is None and found.get("sex") in ("M", "F", "O"):
        patient.sex = found["sex"]


def _finish(event: AdministrationEvent, item: Item, ctx: Context) -> None:
    event.index = len(ctx.exam.events) + 1


NUCLEAR_CONTAINERS: Table = {
    dcm("113502"): each("events", AdministrationEvent, ADMINISTRATION, _finish),
    dcm("121118"): _characteristics,
}
"""What TID 10021 adds to the root of a report; the target is the exam."""

_PET_PROCEDURES = frozenset(
    {
        sct("82918005"),  # Positron emission tomography
        sct("241439007"),  # PET heart study
        sct("764666002"),  # PET brain study
        sct("241443006"),  # PET study for localization of tumor
        sct("416323006"),  # PET breast study
    }
)


def modality_of_nuclear(exam: Exam) -> str:
    """``PT`` where the procedure's code is one of positron emission tomography, else ``NM``."""
    procedure = exam.report.procedure_reported if exam.report else None
    return "PT" if procedure and key(procedure) in _PET_PROCEDURES else "NM"
