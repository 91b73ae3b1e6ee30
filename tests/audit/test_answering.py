"""Levels that are said never to be compared are those that a patient in the middle of their band finds no match with."""

from __future__ import annotations

import pytest

from dose_audit.audit.answering import unanswerable
from dose_audit.audit.quantities import quantity_named
from dose_audit.drl import DrlRow, find_quantity, load_sets

SETS = sorted({one.set_id for one in load_sets(allow_unverified=True).sets})


def _patient(row: DrlRow) -> dict[str, float]:
    low = row.band.low or 0.0
    middle = 0.5 * (low + (low + 2.0 if row.band.high is None else row.band.high))
    names = {
        "weight": "weight_kg",
        "age": "age_years",
        "thickness": "thickness_mm",
        "water_equivalent_diameter": "wed_mm",
    }
    if row.band.type not in names:
        return {}
    return {names[row.band.type]: middle / 12.0 if row.band.unit == "month" else middle}


@pytest.mark.parametrize("set_id", SETS)
def test_a_level_is_said_never_to_be_compared_where_no_patient_finds_it(set_id: str) -> None:
    registry = load_sets(include=[set_id], allow_unverified=True)
    for edition in registry.sets:
        never = unanswerable(edition)
        for row in edition.rows:
            if row.role != "drl":
                continue
            names = (
                "CTDIvol",
                "SSDE",
                "DLP",
                "KAP",
                "dose_rp",
                "peak_skin_dose",
                "fluoro_time",
                "AGD",
                "administered_activity",
            )
            asked = [quantity for name in names if (quantity := quantity_named(name, row.modality))]
            asked = [quantity for quantity in asked if find_quantity(quantity.drl_name).symbol == row.quantity]
            matches = [
                registry.find(
                    row.examination, quantity.drl_name, on=edition.valid_from, patient_group=row.patient_group,
                    phantom=row.phantom or None, basis=f"per_{quantity.basis}", **_patient(row),
                )
                for quantity in asked
            ]  # fmt: skip
            found = any(match.row == row for match in matches)
            assert found is (row.row_id not in never), (edition.name, row.row_id, never.get(row.row_id))
