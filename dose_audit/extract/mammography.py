"""What mammography adds to projection reports: dose per breast (TID 10005), breast rows of the event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dose_audit.extract.codes import key
from dose_audit.extract.concepts import LATERALITIES, MATERIALS, Key, dcm, sct
from dose_audit.extract.exam import PlaneTotals
from dose_audit.extract.fields import Context, Extra, Rule, Table, aside, number, term, wording

if TYPE_CHECKING:
    from dose_audit.extract.reader import Item

__all__ = ["MAMMOGRAPHY_EVENT", "MAMMOGRAPHY_TOTALS"]

_LATERALITY: Key = sct("272741003")


def _accumulated_agd(plane: PlaneTotals, item: Item, extra: Extra, ctx: Context) -> None:
    """Accumulated Average Glandular Dose of the breast that its Laterality names."""
    value = ctx.measured(item, "dose_mgy")
    side = next((child.code for child in item.children if child.key == _LATERALITY), None)
    breast = LATERALITIES.get(key(side)) if side else None
    if value is None:
        return
    if breast is None:
        ctx.warn("agd_without_laterality", "accumulated glandular dose of no known breast", item, item.raw_number)
        return
    kept = ctx.exam.totals.agd_mgy
    if breast not in kept:
        kept[breast] = value
    elif kept[breast] != value:
        # One accumulated container per plane; a breast can stand in both.
        ctx.warn("repeated_item", f"a second accumulated glandular dose, {breast}", item, item.raw_number)


MAMMOGRAPHY_TOTALS: Table = {dcm("111637"): _accumulated_agd}

MAMMOGRAPHY_EVENT: dict[Key, Rule] = {
    dcm("111631"): number("agd_mgy", "dose_mgy"),
    dcm("111634"): number("half_value_layer_mm", "length_mm"),
    dcm("111636"): number("entrance_exposure_mgy", "dose_mgy"),
    dcm("111632"): term("anode_material", MATERIALS),
    dcm("111633"): number("compression_thickness_mm", "length_mm"),
    dcm("111647"): number("compression_force_n", "force_n"),
    dcm("111648"): number("compression_pressure_kpa", "pressure_kpa"),
    dcm("111649"): aside("compression_contact_area_cm2", "area_cm2"),
    # TID 4007 Breast Composition
    dcm("111006"): wording("breast_composition"),
    sct("129715009"): wording("breast_composition"),
    dcm("111046"): number("fibroglandular_percent", "percent"),
}
