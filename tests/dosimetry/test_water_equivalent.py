"""Dw against shapes whose water-equivalent area is known exactly (AAPM 220; IEC 62985 sizes)."""

from __future__ import annotations

import itertools
import math
import os

import numpy as np
import pytest

from dose_audit.dosimetry import truncation_factor, water_equivalent_diameter
from dose_audit.dosimetry._connected import fill
from dose_audit.dosimetry._morphology import dilate, erode
from tests.dosimetry.synthetic_ct import THORAX, THORAX_AW_MM2, THORAX_DW_MM, Shape, disc, ellipse, paint, slab, tables

SIZE = 256
# The small part here; DOSE_AUDIT_FULL_GRID=1 runs all diameters, fields of view and offsets.
FULL = bool(os.environ.get("DOSE_AUDIT_FULL_GRID"))
DIAMETERS = (140, 160, 200, 280, 320, 340) if FULL else (140, 320)
OFFSETS = ((0, 0), (30, 20), (-60, -50)) if FULL else ((-30, 20),)
WIDER_MM = (130, 300) if FULL else (150,)


CYLINDERS = [
    (diameter, diameter + wider, offset)
    for diameter, wider, offset in itertools.product(DIAMETERS, WIDER_MM, OFFSETS)
    if diameter / 2 + 1.3 * max(map(abs, offset)) <= (diameter + wider) / 2  # it fits into the field of view
]


@pytest.mark.parametrize("table", list(tables(0)))
@pytest.mark.parametrize(("diameter", "fov_mm", "offset"), CYLINDERS)
def test_a_water_cylinder_has_its_own_diameter(diameter: int, fov_mm: int, offset: tuple[int, int], table: str) -> None:
    shapes = [*tables(diameter / 2 + offset[1])[table], disc(diameter, 0, offset)]
    result = water_equivalent_diameter(paint(SIZE, fov_mm, shapes, noise_hu=15), fov_mm / SIZE)
    assert result.value == pytest.approx(diameter, rel=0.01)
    assert result.status == "ok"
    assert result.details["effective_diameter_mm"] == pytest.approx(diameter, rel=0.015)


@pytest.mark.parametrize("pixel_mm", [0.39, 0.78125, 1.5])
def test_averaging_pixels_does_not_change_the_size(pixel_mm: float) -> None:
    image = paint(512 if pixel_mm < 1 else 256, pixel_mm * (512 if pixel_mm < 1 else 256), [disc(160)])
    assert water_equivalent_diameter(image, pixel_mm).value == pytest.approx(160, rel=0.0025)


@pytest.mark.parametrize("table", ["none", "shells", "tray", "slab"])
def test_a_thorax_keeps_its_lungs(table: str) -> None:
    image = paint(512, 400, [*tables(120)[table], *THORAX], noise_hu=20)
    result = water_equivalent_diameter(image, 400 / 512)
    assert result.value == pytest.approx(247.6772, rel=0.004) == pytest.approx(THORAX_DW_MM, rel=0.004)
    assert result.details["water_equivalent_area_mm2"] == pytest.approx(48179.465, rel=0.008)
    assert pytest.approx(48179.465) == THORAX_AW_MM2
    assert result.details["effective_diameter_mm"] == pytest.approx(285.6571, rel=0.01)
    assert result.details["lateral_mm"] == pytest.approx(340, abs=4)
    assert result.details["ap_mm"] == pytest.approx(240, abs=4)


def test_a_childs_thin_chest_wall_keeps_its_lungs() -> None:
    lungs = [ellipse(32, 42, -750, (side, 0)) for side in (-40, 40)]  # 7 to 8 mm beneath the skin
    shapes = [*tables(60)["shells"], ellipse(80, 60, 40), *lungs]
    water = 1.04 * math.pi * 80 * 60 - 2 * 0.79 * math.pi * 32 * 42
    result = water_equivalent_diameter(paint(512, 300, shapes, noise_hu=10), 300 / 512)
    assert result.value == pytest.approx(2 * math.sqrt(water / math.pi), rel=0.01)


@pytest.mark.parametrize("table", ["slab", "shells", "tray", "plate"])
def test_a_flat_back_lies_on_its_table_without_it(table: str) -> None:
    body: list[Shape] = [(lambda x, y: ((x / 170) ** 2 + (y / 120) ** 2 < 1) & (y < 100), 40), disc(40, 300, (0, 75))]
    truth = (paint(500, 500, body) / 1000 + 1).sum()
    result = water_equivalent_diameter(paint(512, 500, [*tables(100)[table], *body], noise_hu=20), 500 / 512)
    assert result.value == pytest.approx(2 * math.sqrt(truth / math.pi), rel=0.01)


def test_breasts_and_legs_stay() -> None:
    breasts = [ellipse(60, 40, -60, (side, -95)) for side in (-90, 90)]
    legs = [disc(150, 30, (side, 0)) for side in (-85, 85)]
    for body, bottom in (([disc(40, 300, (0, 75)), ellipse(170, 110, 30), *breasts], 110), (legs, 75)):
        truth = (paint(500, 500, body) / 1000 + 1).sum()
        image = paint(512, 500, [*tables(bottom)["shells"], *body], noise_hu=20)
        result = water_equivalent_diameter(image, 500 / 512)
        assert result.value == pytest.approx(2 * math.sqrt(truth / math.pi), rel=0.01)


def test_arms_beside_the_body_count() -> None:
    arms: list[Shape] = [disc(80, 40, (-180, 10)), disc(80, 40, (180, 10))]
    result = water_equivalent_diameter(
        paint(SIZE, 500, [*tables(120)["shells"], ellipse(130, 120, 40), *arms]), 500 / SIZE
    )
    water = 1.04 * math.pi * (130 * 120 + 2 * 40 * 40)
    assert result.value == pytest.approx(2 * math.sqrt(water / math.pi), rel=0.01)


def test_a_nose_belongs_to_the_head() -> None:
    nose: Shape = (lambda x, y: (abs(x) < 12) & (y < -85) & (y > -115), 30)
    head = [disc(190, 30), disc(178, 800), disc(166, 30)]
    with_nose = water_equivalent_diameter(paint(SIZE, 300, [nose, *head]), 300 / SIZE)
    without = water_equivalent_diameter(paint(SIZE, 300, head), 300 / SIZE)
    gained = with_nose.details["water_equivalent_area_mm2"] - without.details["water_equivalent_area_mm2"]
    assert gained == pytest.approx(1.03 * 24 * (115 - math.sqrt(95**2 - 6**2)), rel=0.15)


@pytest.mark.parametrize("turn", [np.fliplr, np.flipud, np.rot90])
def test_a_mirrored_patient_has_the_same_size(turn: object) -> None:
    shapes = [*tables(120)["shells"], *THORAX, disc(30, 700, (0, 70))]
    image = paint(SIZE, 450, shapes, noise_hu=15)
    straight, turned = (water_equivalent_diameter(item, 450 / SIZE).value for item in (image, turn(image)))  # type: ignore[operator]
    assert turned == pytest.approx(straight, rel=0.002)


@pytest.mark.parametrize("outside_hu", [-1024.0, -2000.0, -3024.0, math.nan])
def test_what_lies_outside_a_circular_field_of_view_is_air(outside_hu: float) -> None:
    image = paint(SIZE, 300, [slab(81, 10), disc(160)], noise_hu=10)
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    image[axis[:, None] ** 2 + axis[None, :] ** 2 > (SIZE / 2) ** 2] = outside_hu
    result = water_equivalent_diameter(image, 300 / SIZE)
    assert result.status == "ok"
    assert result.value == pytest.approx(160, rel=0.005)


@pytest.mark.parametrize(
    ("tp", "factor"), [(0, 1.0), (0.1, 1.001151), (0.2, 1.009242), (0.3, 1.031537), (0.5, 1.154595)]
)
def test_truncation_factor_is_that_of_anam_2017(tp: float, factor: float) -> None:
    assert truncation_factor(tp) == pytest.approx(factor, abs=1e-6)


def test_a_cut_patient_is_corrected_and_marked_or_refused() -> None:
    image = paint(SIZE, 400, [ellipse(170, 120, 20, (60, 0))])
    slightly = water_equivalent_diameter(image, 400 / SIZE)
    assert slightly.status == "suspect"
    assert slightly.details["truncation_factor"] == pytest.approx(
        truncation_factor(slightly.details["truncated_fraction"])
    )
    assert "cut by the field of view" in slightly.reason
    mostly = water_equivalent_diameter(image[:, 100:][:, ::-1][64:192], 400 / SIZE)
    assert mostly.value is None
    assert mostly.details["truncated_fraction"] > 0.3


@pytest.mark.parametrize("side_mm", [160, 180, 200])
def test_the_field_of_view_of_a_heart_is_refused_although_lungs_surround_it(side_mm: float) -> None:
    """What is left of the trunk without its lungs is a heart, whole and far from the edge: no size of a patient."""
    heart = [ellipse(48, 42, 45, (15, -20)), disc(60, 250, (0, 75))]
    chest = [ellipse(175, 120, 30), *(ellipse(70, 85, -810, (side * 75, 0)) for side in (-1, 1)), ellipse(60, 60, -820)]
    image = paint(160, side_mm, [*chest, *heart], noise_hu=20, seed=4)
    result = water_equivalent_diameter(image, side_mm / 160)
    assert result.value is None
    assert "cuts over 30 %" in result.reason


def test_metal_air_table_and_noise_are_refused_with_a_reason() -> None:
    metal = paint(SIZE, 300, [disc(180, 20), disc(20, 3500)])
    assert "metal" in water_equivalent_diameter(metal, 300 / SIZE).reason
    for image in (paint(SIZE, 300, []), paint(SIZE, 500, tables(50)["shells"]), paint(SIZE, 300, [], noise_hu=30)):
        empty = water_equivalent_diameter(image, 300 / SIZE)
        assert empty.value is None
        assert empty.reason


def test_an_image_of_crumbs_is_refused_without_ado() -> None:
    tile = np.full((8, 8), -1000.0)
    tile[1:6, 1:6] = 0
    assert water_equivalent_diameter(np.tile(tile, (64, 64)), 2.0).value is None


@pytest.mark.parametrize("spacing", [0, -1.0, math.nan, math.inf, 50.0, (1.0, 2.0)])
def test_an_absurd_spacing_gives_a_reason_and_no_number(spacing: float | tuple[float, float]) -> None:
    result = water_equivalent_diameter(paint(SIZE, 300, [disc(180)]), spacing)
    assert result.value is None
    assert result.reason


def test_wrong_dimensions_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="two dimensions"):
        water_equivalent_diameter(np.zeros((4, 64, 64)), 1.0)


def test_size_grows_with_the_patient() -> None:
    sizes = [
        water_equivalent_diameter(paint(SIZE, 450, [disc(d)]), 450 / SIZE).value for d in (120, 160, 220, 300, 380)
    ]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("radius", [1, 2, 5, 9, 14])
def test_an_octagon_is_nearly_a_disc(radius: int) -> None:
    point = np.zeros((41, 41), bool)
    point[20, 20] = True
    grown = dilate(point, radius)
    y, x = np.nonzero(grown)
    distance = np.hypot(x - 20, y - 20)
    assert distance.max() <= radius * 1.0824 + 1  # circumscribed circle of a regular octagon, and a pixel
    assert grown[20, 20 + radius]
    assert not grown[20, 20 + radius + 1]
    assert not erode(~grown, radius)[20, 20]


def test_only_enclosed_holes_are_filled() -> None:
    ring = paint(64, 64, [disc(50), disc(30, -1000)]) > -500
    assert fill(ring).sum() == pytest.approx(math.pi * 25**2, rel=0.02)
    ring[:32, 32] = False  # a gap: no hole any more
    assert fill(ring).sum() == ring.sum()
