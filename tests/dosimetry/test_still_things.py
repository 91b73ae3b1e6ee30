"""Tables and cushions that no single image tells from a body, in series that show them free of it; and what only looks so."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from dose_audit.dosimetry import water_equivalent_diameter
from dose_audit.dosimetry.ct_passes import measure_slices
from dose_audit.dosimetry.patient_region import TABLE_THRESHOLD_HU
from dose_audit.dosimetry.pooling import pool
from dose_audit.measured import Measured
from tests.dosimetry.synthetic_ct import Shape, disc, ellipse, paint, slab
from tests.dosimetry.test_holders import HEAD, HEAD_DW_MM, block, cup, trunk

FOV_MM, SIZE = 400.0, 128
PIXEL_MM = FOV_MM / SIZE


def images(scenes: Sequence[Sequence[Shape]]) -> list[np.ndarray]:
    """One image for each scene, each with its own noise; a scene that follows itself is painted once."""
    random = np.random.default_rng(1)
    clean: list[np.ndarray] = []
    for before, scene in zip([None, *scenes], scenes, strict=False):
        clean.append(clean[-1] if scene is before else paint(SIZE, FOV_MM, scene))
    return [image + random.normal(0, 10, image.shape) for image in clean]


def along(pictures: Sequence[np.ndarray], step_mm: float = 12.0) -> list[Measured]:
    """Dw of each slice."""
    pooled = [pool(picture.astype(np.float32), PIXEL_MM, PIXEL_MM) for picture in pictures]
    places = [step_mm * number for number in range(len(pooled))]
    return measure_slices(pooled.__getitem__, places, TABLE_THRESHOLD_HU)[0]


def alone(picture: np.ndarray) -> Measured:
    return water_equivalent_diameter(picture, PIXEL_MM)


def same(one: Measured, other: Measured) -> bool:
    """The same size and status, or the same reason for none; neighbours that share a region differ by less."""
    if one.value is None or other.value is None:
        return (one.value, one.reason) == (other.value, other.reason)
    return one.status == other.status and abs(one.value / other.value - 1) < 1e-4


def scaled(shapes: Sequence[Shape], share: float, bottom_mm: float) -> list[Shape]:
    """A body that is smaller and lies on the same place."""

    def smaller(inside, hu: float) -> Shape:
        return lambda x, y: inside(x / share, (y - bottom_mm) / share + bottom_mm), hu

    return [smaller(inside, hu) for inside, hu in shapes]


@pytest.mark.parametrize("hu", [-20, 60, 200])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_a_cushion_of_tissues_number_is_known_from_the_slices_beyond_the_body(hu: float, share: float) -> None:
    body, water_mm2 = trunk(160, 110)
    cushion = cup(160, 110, 12, hu, share * 110)
    hollow = ellipse(160, 110, -1000)
    *measured, beyond = along(images([*[[cushion, *body]] * 2, [cushion, hollow]]))
    assert [item.value for item in measured] == [pytest.approx(2 * math.sqrt(water_mm2 / math.pi), rel=0.01)] * 2
    assert [item.status for item in measured] == ["ok", "ok"]
    assert beyond.value is None


def test_a_cushion_that_one_of_many_slices_shows_is_taken_out_of_all() -> None:
    """A dozen slices are looked at first; this one is not among them."""
    body, water_mm2 = trunk(160, 110)
    cushion = cup(160, 110, 12, 60, 11)
    scene = [cushion, *body]
    scenes: list[Sequence[Shape]] = [scene] * 24
    scenes[11] = [cushion, ellipse(160, 110, -1000)]
    measured = along(images(scenes))
    assert measured.pop(11).value is None
    whole = pytest.approx(2 * math.sqrt(water_mm2 / math.pi), rel=0.01)
    assert [(item.value, item.status) for item in measured] == [(whole, "ok")] * 23


@pytest.mark.parametrize("hu", [-100, 60])
def test_a_rigid_cushion_is_known_from_slices_in_which_the_body_leaves_it(hu: float) -> None:
    body, water_mm2 = trunk(160, 110)
    cushion: list[Shape] = [cup(160, 110, 12, hu, 0), ellipse(160, 110, -1000)]
    shares = (1.0, 0.97, 0.9, 0.85, 0.92, 0.98)
    measured = along(images([[*cushion, *scaled(body, share, 110)] for share in shares]))
    whole = 2 * math.sqrt(water_mm2 / math.pi)
    for item, share in zip(measured, shares, strict=True):
        # Where the body always lies on it the cushion is never seen, and that is said.
        assert item.status == "suspect" and "beneath" in item.reason
        assert item.value == pytest.approx(share * whole, abs=2 * item.uncertainty)
        assert item.value == pytest.approx(share * whole, rel=0.04)


@pytest.mark.parametrize("holder", [cup(75, 95, 10, -100, 0), cup(75, 95, 10, -100, 38), block(95, 30, 110, 60)])
def test_a_holder_of_a_head_is_known_from_the_slices_beyond_it(holder: Shape) -> None:
    hollow = ellipse(75, 95, -1000)
    *measured, _ = along(images([*[[holder, *HEAD]] * 2, [holder, hollow]]))
    assert [(item.value, item.status) for item in measured] == [(pytest.approx(HEAD_DW_MM, rel=0.01), "ok")] * 2


def test_a_heavy_table_alone_is_no_patient() -> None:
    table = block(60, 90, 170, 60)
    pictures = images([*[[table, disc(180)]] * 4, [table]])
    assert alone(pictures[-1]).value is not None  # one image alone does not tell it from a body
    *measured, beyond = along(pictures)
    assert [item.value for item in measured] == [pytest.approx(180, rel=0.01)] * 4
    assert (beyond.value, beyond.reason) == (None, "no patient in the image")


BACK: list[Shape] = [ellipse(150, 100, -100), ellipse(135, 85, 40), disc(40, 300, (0, 55))]
LEG_SCALES = (0.12, 0.2, 0.4, 0.7, 1.0)


@pytest.mark.parametrize(
    "scenes",
    [
        pytest.param([[slab(100, 30, -95), *scaled(BACK, share, 100)] for share in (1, 0.95, 0.9, 0.97)], id="back"),
        pytest.param([*[[slab(100, 4), *BACK]] * 3, [slab(100, 4)]], id="back and empty table"),
        pytest.param([scaled([disc(180, 40)], share, 0) for share in LEG_SCALES], id="foot and leg"),
        pytest.param([scaled([disc(180, 40)], share, 90) for share in LEG_SCALES], id="leg on a table not seen"),
        pytest.param([[disc(30)], [disc(30)], *[[disc(200)]] * 4], id="phantom on a rod"),
        pytest.param([[disc(diameter)] for diameter in (160, 210, 260, 310)], id="phantom of steps"),
        pytest.param([[disc(180), disc(size, 30, (130, 0))] for size in (15, 20, 25, 60, 70)], id="arm that begins"),
    ],
)
def test_what_is_the_bodys_stays(scenes: list[list[Shape]]) -> None:
    pictures = images(scenes)
    for item, picture in zip(along(pictures), pictures, strict=True):
        assert same(item, alone(picture))


def test_an_arm_that_keeps_its_place_for_two_centimetres_stays() -> None:
    """Slices that show it too small for an arm do not teach that it is a table."""
    arms = (24, 24, 60, 60, 60)
    pictures = images([[disc(180), disc(size, 30, (100 + size / 2, 0))] for size in arms])
    for item, picture in zip(along(pictures, step_mm=5), pictures, strict=True):
        assert same(item, alone(picture))


def test_a_slice_that_cannot_be_read_again_keeps_what_it_had() -> None:
    body, water_mm2 = trunk(160, 110)
    cushion = cup(160, 110, 12, 60, 11)
    pictures = images([[cushion, *body], [cushion, *body], [cushion, *body], [cushion, ellipse(160, 110, -1000)]])
    pooled = [pool(picture.astype(np.float32), PIXEL_MM, PIXEL_MM) for picture in pictures]
    asked = [0] * len(pooled)

    def load(index: int):
        asked[index] += 1
        return pooled[index] if index or asked[0] < 3 else "gone"

    first, second, *_ = measure_slices(load, [0.0, 10.0, 20.0, 30.0], TABLE_THRESHOLD_HU)[0]
    assert first.value == alone(pictures[0]).value
    assert second.value == pytest.approx(2 * math.sqrt(water_mm2 / math.pi), rel=0.01)
