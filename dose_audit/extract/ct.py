"""CT dose reports: accumulated dose (TID 10012), acquisitions with length and dose check (10013 to 10015)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dose_audit.extract.codes import key
from dose_audit.extract.concepts import CT_ACQUISITION_TYPES, CT_PHANTOMS, Key, dcm, sct
from dose_audit.extract.document import EVENT, LATERALITY, participant, person
from dose_audit.extract.exam import CtEvent, CtSource, DoseCheck, Totals
from dose_audit.extract.fields import (
    Context,
    Extra,
    Rule,
    Table,
    aside,
    code,
    each,
    flag,
    group,
    number,
    part,
    term,
    text,
    walk,
    wording,
)

if TYPE_CHECKING:
    from dose_audit.extract.reader import Item

__all__ = ["CT_CONTAINERS", "CT_EVENT", "CT_EVENT_PARTS", "CT_SOURCE", "CT_TOTALS"]


def _sub_total(totals: Totals, item: Item, extra: Extra, ctx: Context) -> None:
    """CT Dose Length Product Sub-Total, with its phantom below."""
    value = ctx.measured(item, "dlp_mgy_cm")
    phantom = next((child.code for child in item.children if child.key == ("DCM", "113835")), None)
    name = CT_PHANTOMS.get(key(phantom)) if phantom else None
    if value is not None and name:
        extra.setdefault("ct_dose_length_product_sub_total_mgy_cm", {})[name] = value
    else:
        ctx.warn("sub_total_without_phantom", "a DLP sub-total without a value or a known phantom", item)


_ESTIMATE: Table = {
    sct("370129005"): aside("effective_dose_method"),
    dcm("121406"): aside("effective_dose_authority"),
}

CT_TOTALS: Table = {
    dcm("113812"): number("ct_event_count", "count"),
    dcm("113813"): number("ct_dlp_mgy_cm", "dlp_mgy_cm", {dcm("113835"): aside("ctdiw_phantom_type", CT_PHANTOMS)}),
    dcm("130745"): _sub_total,
    dcm("113814"): number("ct_effective_dose_msv", "effective_dose_msv", _ESTIMATE),
    dcm("113876"): participant,
}
"""CT Accumulated Dose Data; the target is the exam's totals."""

CT_SOURCE: Table = {
    dcm("113832"): text("id"),
    dcm("113733"): number("kvp_kv", "voltage_kv"),
    dcm("113833"): number("max_tube_current_ma", "current_ma"),
    dcm("113734"): number("tube_current_ma", "current_ma"),
    dcm("113834"): number("exposure_time_per_rotation_s", "time_s"),
    dcm("113821"): number("filter_aluminium_equivalent_mm", "length_mm"),
}
"""CT X-Ray Source Parameters; the target is a `CtSource`."""

# TID 10014 stands among the acquisition parameters.
_PARAMETERS: Table = {
    dcm("113824"): number("exposure_time_s", "time_s"),
    dcm("113825"): number("scanning_length_mm", "length_mm"),
    dcm("113893"): number("reconstructable_length_mm", "length_mm"),
    dcm("113899"): number("exposed_range_mm", "length_mm"),
    dcm("113895"): aside("top_z_location_of_reconstructable_volume_mm", "position_mm"),
    dcm("113896"): aside("bottom_z_location_of_reconstructable_volume_mm", "position_mm"),
    dcm("113897"): aside("top_z_location_of_scanning_length_mm", "position_mm"),
    dcm("113898"): aside("bottom_z_location_of_scanning_length_mm", "position_mm"),
    dcm("113826"): number("nominal_single_collimation_mm", "length_mm"),
    dcm("113827"): number("nominal_total_collimation_mm", "length_mm"),
    dcm("113828"): number("pitch_factor", "ratio"),
    dcm("113823"): number("source_count", "count"),
    dcm("113831"): each("sources", CtSource, CT_SOURCE),
}

_CHECK: Table = {
    dcm("113901"): flag("dlp_alert_configured"),
    dcm("113902"): flag("ctdi_vol_alert_configured"),
    dcm("113903"): number("dlp_alert_value_mgy_cm", "dlp_mgy_cm"),
    dcm("113904"): number("ctdi_vol_alert_value_mgy", "dose_mgy"),
    dcm("113905"): number("accumulated_dlp_forward_estimate_mgy_cm", "dlp_mgy_cm"),
    dcm("113906"): number("accumulated_ctdi_vol_forward_estimate_mgy", "dose_mgy"),
    dcm("113909"): flag("dlp_notification_configured"),
    dcm("113910"): flag("ctdi_vol_notification_configured"),
    dcm("113911"): number("dlp_notification_value_mgy_cm", "dlp_mgy_cm"),
    dcm("113912"): number("ctdi_vol_notification_value_mgy", "dose_mgy"),
    dcm("113913"): number("dlp_forward_estimate_mgy_cm", "dlp_mgy_cm"),
    dcm("113914"): number("ctdi_vol_forward_estimate_mgy", "dose_mgy"),
    dcm("113907"): text("reason_for_proceeding"),
    dcm("113870"): text("person_name", names_a_person=True),
}


def _dose_check(event: CtEvent, item: Item, extra: Extra, ctx: Context) -> None:
    """Alert and notification details fill one object."""
    if event.dose_check is None:
        event.dose_check = DoseCheck()
    walk(item.children, _CHECK, event.dose_check, extra, ctx)


_SIZE: Table = {
    dcm("113980"): number(
        "water_equivalent_diameter_mm",
        "length_mm",
        {sct("370129005"): aside("water_equivalent_diameter_method")},
    ),
    dcm("113931"): aside("measured_lateral_dimension_mm", "length_mm"),
    dcm("113932"): aside("measured_ap_dimension_mm", "length_mm"),
    dcm("113933"): aside("derived_effective_diameter_mm", "length_mm"),
}


def _size_method(event: CtEvent, item: Item, extra: Extra, ctx: Context) -> None:
    """The method of the SSDE, with the size that it used below."""
    value = item.code.meaning or item.code.value if item.code else ctx.text_of(item)
    if value:
        ctx.put(event, "size_method", value, item)
    walk(item.children, _SIZE, event, extra, ctx)


_EFFECTIVE_DOSE: Table = {
    sct("370129005"): aside("effective_dose_method"),
    dcm("113840"): aside("effective_dose_factor_msv_per_mgy_cm", "dose_factor_msv_per_mgy_cm"),
}

_DOSE: Table = {
    dcm("113830"): number("ctdi_vol_mgy", "dose_mgy"),
    dcm("113835"): term("ctdi_phantom", CT_PHANTOMS),
    dcm("113836"): aside("ctdifreeair_calculation_factor_mgy_per_ma_s", "dose_per_charge_mgy_per_mas"),
    dcm("113837"): number("ctdi_free_air_mgy", "dose_mgy"),
    dcm("113838"): number("dlp_mgy_cm", "dlp_mgy_cm"),
    dcm("113839"): number("effective_dose_msv", "effective_dose_msv", _EFFECTIVE_DOSE),
    dcm("113930"): number("ssde_mgy", "dose_mgy", {sct("370129005"): _size_method, **_SIZE}),
    dcm("113980"): _SIZE[dcm("113980")],
    dcm("113900"): _dose_check,
    dcm("113908"): _dose_check,
}

CT_EVENT_PARTS: Table = {**_PARAMETERS, **_DOSE}
"""Rows of the two containers inside CT Acquisition."""

CT_EVENT: Table = {
    dcm("125203"): text("acquisition_protocol"),
    dcm("123014"): code("target_region", LATERALITY),
    dcm("113820"): term(
        "ct_acquisition_type", CT_ACQUISITION_TYPES, {dcm("113961"): wording("reconstruction_algorithm")}
    ),
    dcm("113961"): wording("reconstruction_algorithm"),
    sct("408730004"): code("procedure_context"),
    dcm("113769"): text("irradiation_event_uid"),
    **EVENT,
    # Some place the rows of one container in the other, or beside the two.
    dcm("113822"): group(CT_EVENT_PARTS),
    dcm("113829"): group(CT_EVENT_PARTS),
    **CT_EVENT_PARTS,
    dcm("113842"): text("modulation_type"),
    dcm("121106"): text("comment"),
    dcm("113876"): participant,
    dcm("113870"): person,
}
"""CT Acquisition; the target is a `CtEvent`."""


_LOOSE = "source_without_container"


def _of_the_only_source(inner: Rule) -> Rule:
    """A row of an X-ray source that stands in no container of a source."""

    def rule(event: CtEvent, item: Item, extra: Extra, ctx: Context) -> None:
        inner(event.extra.setdefault(_LOOSE, CtSource()), item, extra, ctx)

    return rule


_ACQUISITION: dict[Key, Rule] = {
    **CT_EVENT,
    **{name: _of_the_only_source(rule) for name, rule in CT_SOURCE.items() if name not in CT_EVENT},
}
_ACQUISITION[dcm("113822")] = _ACQUISITION[dcm("113829")] = group(dict(_ACQUISITION))


def _finish(event: CtEvent, item: Item, ctx: Context) -> None:
    event.index = len(ctx.exam.events) + 1
    loose = event.extra.pop(_LOOSE, None)
    if loose is not None and not event.sources:
        event.sources.append(loose)
    repair = ctx.quirks.repairs.get("comment_modulation")
    if repair and event.modulation_type is None and event.comment:
        found = re.search(repair["pattern"], event.comment)
        if found:
            event.modulation_type = found[1].strip()
            ctx.warn("modulation_in_comment", "the modulation type is taken from the comment", item)


CT_CONTAINERS: Table = {
    dcm("113811"): part("totals", CT_TOTALS),
    dcm("113819"): each("events", CtEvent, _ACQUISITION, _finish),
}
"""What TID 10011 adds to the root of a report; the target is the exam."""
