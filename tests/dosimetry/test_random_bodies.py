"""Random bodies on random supports: right, or said to be in doubt.

A few dozen draws here; ``DOSE_AUDIT_FULL_GRID=1`` runs 1,800, of which 1 % may be wrong. The generator also draws shells,
blocks and straps of the body's own CT number, which no single image can tell from it: those are only tabled in the docs.
"""

from __future__ import annotations

import os

import pytest

from dose_audit.dosimetry import water_equivalent_diameter
from tests.dosimetry.random_ct import BODIES, PLAIN_TABLES, draw_scene

FULL = bool(os.environ.get("DOSE_AUDIT_FULL_GRID"))
DRAWS = 300 if FULL else 5


@pytest.mark.parametrize("table", PLAIN_TABLES)
def test_bodies_on_plain_tables_are_right_or_in_doubt(table: str) -> None:
    wrong, doubted = [], 0
    for seed in range(DRAWS):
        body = BODIES[(seed + 5 * PLAIN_TABLES.index(table)) % len(BODIES)]
        scene = draw_scene(20_000 + seed, body=body, table=table, extras=())
        result = water_equivalent_diameter(scene.image_hu, scene.pixel_mm)
        doubted += result.status != "ok"
        if result.status == "ok" and abs(result.value / scene.dw_mm - 1) > 0.01:
            wrong.append((seed, body, result.value, scene.dw_mm))
    assert len(wrong) <= DRAWS // 100, wrong
    assert doubted <= max(1, 0.04 * DRAWS)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("body", ["ellipse", "infant", "flat back"])
def test_a_soft_pad_is_no_part_of_the_body(body: str, seed: int) -> None:
    scene = draw_scene(30_000 + seed, body=body, table="pad", extras=())
    result = water_equivalent_diameter(scene.image_hu, scene.pixel_mm)
    assert result.value == pytest.approx(scene.dw_mm, rel=0.01) or result.status == "suspect"


@pytest.mark.parametrize("seed", [910_069, 910_105])
def test_a_wall_of_about_the_thresholds_number_leaves_no_splinter_on_an_infant(seed: int) -> None:
    """Where the threshold cuts a wall into pieces, those that touch the body are short as fingers are, but go on faintly."""
    scene = draw_scene(seed, body="infant", table="curved", extras=())
    result = water_equivalent_diameter(scene.image_hu, scene.pixel_mm)
    assert result.value == pytest.approx(scene.dw_mm, rel=0.006)
    assert abs(result.value - scene.dw_mm) < 2 * result.uncertainty


def test_two_legs_in_a_block_that_is_less_than_ten_centimetres_deep_are_doubted() -> None:
    """The top of a low body juts out on both sides, too: it is no ledge, and must not hide the block's own."""
    scene = draw_scene(960_031, body="legs", table="block", extras=())
    result = water_equivalent_diameter(scene.image_hu, scene.pixel_mm)
    assert (result.status, "plate beneath" in result.reason) == ("suspect", True)
    assert abs(result.value - scene.dw_mm) < 2 * result.uncertainty
