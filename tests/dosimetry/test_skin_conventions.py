"""Each maker's convention against hits worked out on paper: where the central ray meets a plane and an ellipse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dose_audit.dosimetry.skin import Budget, Convention, Phantom, SkinDose, conventions, skin_dose
from dose_audit.extract.codes import Code
from tests.dosimetry.skin_events import event, exam

CERTAIN = Budget(0, 0, 0, 0, 0, 0, 0)
PLANE = Phantom("flat", 900.0, 200.0)
ELLIPSE = Phantom("elliptic", 400.0, 200.0)
MATTRESS_MM = 40.0
SHIPPED = [pytest.param(row, id=row.model.split("|")[0]) for row in conventions()]


def reported(row: Convention, left_mm: float, down_mm: float, head_mm: float) -> dict[str, float]:
    """What that maker's report says of a table that stands there, as seen from the isocentre."""
    return {
        f"table_{row.x_from}_mm": (left_mm - row.x_offset_mm) / row.x_sign,
        "table_height_mm": (down_mm - row.y_offset_mm) / row.y_sign,
        f"table_{row.z_from}_mm": (head_mm - row.z_offset_mm) / row.z_sign,
    }


def dose(row: Convention, place: tuple[float, float, float], phantom: Phantom, **changes: Any) -> SkinDose:
    made = exam(event(kap_gy_cm2=0.05, **reported(row, *place), **changes))
    return skin_dose(made, convention=row, phantom=phantom, budget=CERTAIN, cell_mm=2.0)


def centre_mm(result: SkinDose) -> tuple[float, float]:
    """Middle of the field on the map, to the patient's left and headwards of the table's zero."""
    dose_map = result.dose_map
    assert dose_map is not None
    rows, columns = np.nonzero(dose_map.dose_mgy)
    around, along = dose_map.around_mm[rows], dose_map.along_mm[columns]
    return (around.min() + around.max()) / 2, (along.min() + along.max()) / 2


@pytest.mark.parametrize("row", SHIPPED)
@pytest.mark.parametrize(("primary", "secondary"), [(0, 0), (30, 0), (-40, 0), (0, 25), (0, -35), (20, 15), (-25, 20)])
def test_the_central_ray_meets_a_plane_where_geometry_puts_it(
    row: Convention, primary: float, secondary: float
) -> None:
    left, down, head = 30.0, 150.0, -200.0
    result = dose(row, (left, down, head), PLANE, primary_angle_deg=primary, secondary_angle_deg=secondary)
    # The skin lies so far below the isocentre; the detector leans to left and head, so the ray comes from right and feet.
    deep = down - MATTRESS_MM
    alpha, beta = math.radians(primary), math.radians(secondary)
    expected = -left - deep * math.tan(alpha), -head - deep * math.tan(beta) / math.cos(alpha)
    assert centre_mm(result) == pytest.approx(expected, abs=2.5)


@pytest.mark.parametrize("row", SHIPPED)
def test_the_table_moves_and_the_map_moves_against_it(row: Convention) -> None:
    before = centre_mm(dose(row, (0.0, 150.0, 0.0), PLANE))
    to_left = centre_mm(dose(row, (40.0, 150.0, 0.0), PLANE))
    to_head = centre_mm(dose(row, (0.0, 150.0, 50.0), PLANE))
    assert np.subtract(to_left, before) == pytest.approx([-40.0, 0.0], abs=2.0)
    assert np.subtract(to_head, before) == pytest.approx([0.0, -50.0], abs=2.0)
    higher, lower = (dose(row, (0.0, down, 0.0), PLANE).events[0].numbers["source_skin_mm"] for down in (100.0, 180.0))
    assert higher - lower == pytest.approx(80.0)


@pytest.mark.parametrize("row", SHIPPED)
@pytest.mark.parametrize("primary", [0, 35, 80, -60, 130, 180])
def test_the_central_ray_meets_an_ellipse_where_geometry_puts_it(row: Convention, primary: float) -> None:
    left, down = 15.0, 140.0
    result = dose(row, (left, down, 0.0), ELLIPSE, primary_angle_deg=primary)
    alpha = math.radians(primary)
    towards = np.array([-math.sin(alpha), math.cos(alpha)])
    source = np.array([-left, -down]) + 750.0 * towards
    middle, half = np.array([0.0, -MATTRESS_MM - 100.0]), np.array([200.0, 100.0])
    start, step = (source - middle) / half, -towards / half
    a, b, c = step @ step, start @ step, start @ start - 1
    reach = (-b - math.sqrt(b**2 - a * c)) / a
    hit = source - reach * towards
    dose_map = result.dose_map
    assert dose_map is not None
    outline = dose_map.outline
    nearest = int(np.hypot(outline.x_mm - hit[0], outline.y_mm - hit[1]).argmin())
    column = int(np.abs(dose_map.along_mm).argmin())
    assert dose_map.dose_mgy[nearest, column] > 0
    assert result.events[0].numbers["source_skin_mm"] == pytest.approx(
        reach, abs=8.0
    )  # the nearest ray of a field of 7 mm


LYING = {
    "head first, supine": (Code("102540008", "SCT", ""), Code("40199007", "SCT", "")),
    "feet first, supine": (Code("102541007", "SCT", "Füße voran"), Code("40199007", "SCT", "Rückenlage")),
    "head first, prone": (Code("F-10470", "SRT", "headfirst"), Code("F-10310", "SRT", "Bauchlage")),
    "feet first, prone": (Code("F-10480", "SRT", "feet-first"), Code("1240000", "SCT", "prone")),
}


def lying(words: str) -> dict[str, Any]:
    relation, modifier = LYING[words]
    return {"patient_table_relationship": relation, "patient_orientation_modifier": modifier}


@pytest.mark.parametrize("words", list(LYING))
def test_how_the_patient_lies_is_read_by_code_in_any_language(words: str) -> None:
    result = skin_dose(exam(event(**lying(words))), budget=CERTAIN)
    assert (result.orientation.words, result.peak.status) == (words, "ok")


@pytest.mark.parametrize("words", ["feet first, supine", "head first, prone"])
def test_angles_that_may_be_the_patients_or_the_tables_are_doubted_where_it_matters(words: str) -> None:
    """The table moves to keep a point in two slanting beams: read the other way, they meet elsewhere on the skin."""
    # 10 cm above the table's lowest skin, 11 cm above it the isocentre: both rays enter at x = 0, or far from each other.
    deep = 150.0 - MATTRESS_MM
    runs = [
        event(
            number, primary_angle_deg=angle, table_longitudinal_mm=-deep * math.tan(math.radians(angle)), **lying(words)
        )
        for number, angle in enumerate((-30.0, 30.0), 1)
    ]
    for run in runs:
        run.table_height_mm = 150.0
    result = skin_dose(exam(*runs), phantom=PLANE, budget=CERTAIN)
    single = skin_dose(exam(runs[0]), phantom=PLANE, budget=CERTAIN)
    assert result.peak.value == pytest.approx(2 * single.peak.value, rel=0.1)
    assert result.peak.status == "suspect" and "as the patient sees them" in result.peak.reason
    other = skin_dose(exam(runs[0]), phantom=PLANE, budget=CERTAIN).peak.value
    assert abs(result.peak.value - other) <= 1.1 * result.peak.uncertainty
    for run in runs:
        run.patient_table_relationship, run.patient_orientation_modifier = LYING["head first, supine"]
    assert skin_dose(exam(*runs), phantom=PLANE, budget=CERTAIN).peak.status == "ok"


@settings(max_examples=10, deadline=None)
@given(st.floats(-45, 45), st.floats(-30, 30))
def test_one_beam_at_the_middle_of_the_trunk_hits_as_hard_either_way(primary: float, secondary: float) -> None:
    angles = {"primary_angle_deg": primary, "secondary_angle_deg": secondary}
    result = skin_dose(exam(event(**angles, **lying("feet first, supine"))), budget=CERTAIN)
    assert result.peak.status == "ok"
    assert result.peak.details["angles_of_patient"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("relation", "modifier"),
    [
        (Code("102540008", "SCT", "headfirst"), Code("102536004", "SCT", "left lateral decubitus")),
        (Code("F-10470", "SRT", "headfirst"), Code("F-10317", "SRT", "right lateral decubitus")),
        (Code("102540008", "SCT", "headfirst"), Code("33586001", "SCT", "sitting")),
        (Code("102540008", "SCT", "headfirst"), Code("34026001", "SCT", "semi-prone")),
        (Code("399220000", "SCT", "transverse"), Code("40199007", "SCT", "supine")),
    ],
)
def test_who_lies_neither_on_back_nor_on_front_has_no_map(relation: Code, modifier: Code) -> None:
    made = event(patient_table_relationship=relation, patient_orientation_modifier=modifier)
    result = skin_dose(exam(made))
    assert (result.method, result.peak.status) == ("screening", "suspect")
    assert "neither on the back nor on the front" in result.peak.reason


def test_a_patient_who_was_turned_is_doubted() -> None:
    result = skin_dose(exam(event(1), event(2), event(3, **lying("head first, prone"))))
    assert "turned during the exam" in result.peak.reason
