"""Planted defects, lag, structure and artefacts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dose_audit.image_quality import artefact_map, defective_pixels, lag, structured_noise
from dose_audit.image_quality.detector import _median_of_seven

from .truth import covered

SIZE = 256


def flat(seed=0):
    heel = 1000 * (1 - 0.15 * np.arange(SIZE) / SIZE)
    return heel + np.random.default_rng(seed).normal(0, 10, (SIZE, SIZE))


def test_every_pixel_10_sd_off_is_found_and_no_line():
    for seed in range(30):
        random = np.random.default_rng(100 + seed)
        image = flat(seed)
        at = random.choice(SIZE * SIZE, 60, replace=False)
        rows, columns = np.unravel_index(at, image.shape)
        image[rows, columns] = 1000 * (1 - 0.15 * columns / SIZE) + np.where(np.arange(60) < 30, -100, 100)
        found = defective_pixels(image)
        wanted = np.zeros(image.shape, dtype=bool)
        wanted[rows, columns] = True
        assert np.array_equal(found.mask, wanted)
        assert found.rows == () and found.columns == ()
        assert {tuple(one) for one in found.dead} == set(zip(rows[:30].tolist(), columns[:30].tolist(), strict=True))
        assert found.count.value == 60


def test_a_perfect_detector_has_none():
    assert sum(defective_pixels(flat(seed)).mask.sum() for seed in range(30)) == 0


def test_lines_and_clusters():
    image = flat()
    image[77] -= 100
    image[:, 200] += 30
    image[10:90, 33] = 0.0
    image[150:153, 50:53] = 0.0
    found = defective_pixels(image)
    assert found.rows == (77,) and found.columns == (33, 200)
    assert found.clusters == (9,) and found.largest_cluster.value == 9
    assert found.line_count.value == 3


def test_broken_input_for_defects():
    image = flat()
    image[5, 5] = np.nan
    assert defective_pixels(image).mask[5, 5]
    assert defective_pixels(np.ones((64, 64))).status == "not_measurable"
    assert defective_pixels(np.ones((8, 8))).count.value is None
    assert defective_pixels(np.full((64, 64), np.nan)).status == "not_measurable"
    assert (
        defective_pixels(np.where(np.random.default_rng(0).random((SIZE, SIZE)) < 0.1, 0, flat())).status == "suspect"
    )


def test_lag():
    random = np.random.default_rng(0)
    dark = 100 + np.random.default_rng(1).normal(0, 20, (80, 80))

    def frame(level):
        return dark + level + random.normal(0, 5, dark.shape)

    found = lag(dark, frame(4000), [frame(60), frame(24), frame(12)])
    for value, error, wanted in zip(found.frames_percent, found.uncertainty_percent, (1.5, 0.6, 0.3), strict=True):
        assert abs(value - wanted) < 4 * error < 0.05
    assert found.first.status == "ok"
    assert lag(dark, frame(4000), [frame(-60)]).first.status == "suspect"
    assert lag(dark, frame(4000), [frame(10), frame(90)]).first.status == "suspect"
    assert lag(dark, dark, [dark]).first.status == "not_measurable"


def test_structured_noise():
    fixed, rand, errors = [], [], []
    pattern = np.random.default_rng(99).normal(0, 6, (SIZE, SIZE))
    for seed in range(30):
        random = np.random.default_rng(seed)
        found = structured_noise(1000 + pattern + random.normal(0, 20, (3, SIZE, SIZE)))
        fixed.append(found.fixed.value)
        rand.append(found.random.value)
        errors.append(found.fixed.uncertainty)
    assert np.mean(fixed) == pytest.approx(100 * pattern.std() / 1000, rel=0.01)
    assert np.mean(rand) == pytest.approx(2.0, rel=0.005)
    assert covered(np.array(fixed) - 100 * pattern.std() / 1000, errors, 2) >= 0.85
    none = structured_noise(1000 + np.random.default_rng(0).normal(0, 20, (3, SIZE, SIZE)))
    assert none.fixed.value < 4 * none.fixed.uncertainty
    assert structured_noise(np.ones((1, 64, 64))).status == "not_measurable"
    assert structured_noise(np.stack([flat(), flat()])).status == "not_measurable"


def test_artefact_map():
    assert not any(artefact_map(flat(seed), 0.2).mask.any() for seed in range(30))
    stained = flat()
    row, column = np.mgrid[:SIZE, :SIZE]
    stained -= 12 * np.exp(-((row - 90) ** 2 + (column - 170) ** 2) / (2 * 8**2))
    found = artefact_map(stained, 0.2, scale_mm=1.6)
    assert found.mask[90, 170] and not found.mask[:60].any()
    assert np.hypot(*(np.subtract(found.largest.details["position_px"], (90, 170)))) < 8
    assert found.largest.value < -5.5
    banded = flat() + np.where(np.arange(SIZE) % 2, 2.0, -2.0)[:, None]
    assert artefact_map(banded, 0.2).banding_rows.value > 5
    assert artefact_map(banded, 0.2).banding_columns.value == pytest.approx(1.0, abs=0.4)
    assert artefact_map(np.ones((64, 64)), 0.2, scale_mm=0.5).status == "not_measurable"


def test_one_bad_column_is_one_line_and_not_its_shadows() -> None:
    flat = np.random.default_rng(3).normal(2000.0, 20.0, (1500, 600))
    flat[:, 300] += 30.0
    found = defective_pixels(flat)
    assert (found.rows, found.columns) == ((), (300,))


def test_median_of_seven_is_the_median() -> None:
    image = np.random.default_rng(4).normal(size=(70, 41)).astype(np.float32)
    for axis, size in ((0, (7, 1)), (1, (1, 7))):
        assert (_median_of_seven(image, axis) == ndimage.median_filter(image, size)).all()
