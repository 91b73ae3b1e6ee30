"""Regions, contrast, uniformity and ghosting against analytic images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dose_audit.image_quality import (
    contrast_to_noise,
    disc_mask,
    disc_statistics,
    fractional_uniformity,
    hu_uniformity,
    limiting_cnr,
    mammographic_cnr,
    nema_uniformity,
    percent_integral_uniformity,
    percent_signal_ghosting,
    polar_position,
    rectangle_statistics,
    relative_contrast,
    tile_uniformity,
)
from dose_audit.image_quality.rois import RoiStatistics
from dose_audit.phantom.digital import (
    NoisePowerSpectrum,
    ct_water_image,
    flat_field,
    low_contrast_image,
    mr_uniform_image,
    nm_flood,
)
from dose_audit.phantom.digital.noise import rician_mean

from .accuracy import SEEDS, errors_of


def test_disc_holds_the_pixels_within_its_radius_on_oblong_pixels() -> None:
    mask = disc_mask((60, 80), (30.3, 39.6), 12.0, (1.0, 0.5))
    row, column = np.mgrid[:60, :80]
    assert np.array_equal(mask, np.hypot((row - 30.3) * 1.0, (column - 39.6) * 0.5) <= 12.0)
    image = row * 1.0
    assert disc_statistics(image, (30.3, 39.6), 12.0, (1.0, 0.5)).mean == pytest.approx(image[mask].mean())


def test_neighbouring_rectangles_share_no_pixel_and_leave_none() -> None:
    image = np.arange(400.0).reshape(20, 20)
    halves = [rectangle_statistics(image, (9.5, column), (10.0, 20.0), 1.0) for column in (4.5, 14.5)]
    assert [half.pixels for half in halves] == [200, 200]
    assert np.mean([half.mean for half in halves]) == pytest.approx(image.mean())


@pytest.mark.parametrize("radius_mm", [5.5, 10.0])
@pytest.mark.parametrize("sigma", [0.0, 0.7, 1.2])
def test_uncertainty_of_a_mean_holds_for_correlated_noise(sigma: float, radius_mm: float) -> None:
    from scipy import ndimage

    draw = np.random.default_rng(21)
    means, claimed = [], []
    for _ in range(150):
        noise = draw.normal(0.0, 10.0, (64, 64))
        roi = disc_statistics(ndimage.gaussian_filter(noise, sigma) if sigma else noise, (32, 32), radius_mm, 0.7)
        means.append(roi.mean)
        claimed.append(roi.mean_uncertainty)
    assert np.mean(claimed) == pytest.approx(np.std(means), rel=0.3)


@pytest.mark.parametrize(("nps", "contrast"), [(5.0, 10.0), (5.0, 3.0), (NoisePowerSpectrum(5.0, 0.35), 6.0)])
def test_cnr(nps: NoisePowerSpectrum | float, contrast: float) -> None:
    results = []
    for seed in range(4 * SEEDS):
        image, truth = low_contrast_image((25.0,), (contrast,), nps=nps, pitch_mm=80.0, seed=seed, spacing_mm=0.7)
        place = truth["discs"][0]["row_column"]
        rod = disc_statistics(image, place, 10.0, 0.7)
        beside = disc_statistics(image, polar_position(place, 30.0, 90.0, 0.7), 10.0, 0.7)
        results.append((contrast_to_noise(rod, beside), truth["discs"][0]["cnr"]))
    spread = float(errors_of(results).errors.std(ddof=1)) / math.sqrt(len(results))
    assert abs(errors_of(results).bias) <= 0.02 * contrast / 5.0 + 2 * spread
    assert errors_of(results).covered() >= 0.8


def test_contrast_forms_by_hand() -> None:
    detail, beside = RoiStatistics(400, 450.0, 4.0), RoiStatistics(400, 500.0, 6.0)
    cnr = mammographic_cnr(detail, beside, offset=50.0)
    assert cnr.value == pytest.approx(50.0 / math.sqrt(26.0))
    assert cnr.details["contrast"] == pytest.approx(1 - 400 / 450)
    assert limiting_cnr(cnr, 0.3, 0.2).value == pytest.approx(1.5 * 50.0 / math.sqrt(26.0))
    assert contrast_to_noise(detail, RoiStatistics(400, 500.0, 0.0)).status == "not_measurable"
    assert relative_contrast(RoiStatistics(99, 5.0, 1.0), RoiStatistics(99, -5.0, 1.0)).status == "not_measurable"
    assert contrast_to_noise(RoiStatistics(0), beside).status == "not_measurable"


@pytest.mark.parametrize("nps", [0.0, 10.0, NoisePowerSpectrum(10.0, 0.35)])
def test_hu_uniformity_of_cupped_tilted_water(nps: NoisePowerSpectrum | float) -> None:
    draw = np.random.default_rng(22)
    results = []
    for seed in range(SEEDS if nps else 1):
        image, truth = ct_water_image(cupping_hu=6.0, tilt_hu_per_mm=(0.02, -0.01), nps=nps, seed=seed)
        misplaced = np.array(truth["centre_row_column"]) + (draw.uniform(-2, 2, 2) if nps else 0)
        found = hu_uniformity(image, 0.5, misplaced)
        away = (misplaced - truth["centre_row_column"]) * 0.5
        for measured, x, y in [(found.centre, 0.0, 0.0)] + [
            (m, 53 * math.cos(math.radians(a)), 53 * math.sin(math.radians(a))) for a, m in found.periphery.items()
        ]:
            x, y = x + away[1], y + away[0]
            results.append((measured, 0.02 * x - 0.01 * y + 6.0 * (x * x + y * y + 50.0) / 1e4))
    if not nps:
        assert errors_of(results).worst <= 0.01
    else:
        assert abs(errors_of(results).bias) <= 0.2
        assert errors_of(results).covered() >= 0.8


def test_hu_uniformity_outside_the_image_is_said() -> None:
    found = hu_uniformity(np.zeros((100, 100)), 1.0, (50, 20))
    assert found.largest_difference.status == "not_measurable" and "180" in found.largest_difference.reason
    assert found.centre.value == 0.0


@pytest.mark.parametrize("bias", [(0.0, 0.0, 0.0), (0.1, 0.05, -0.15), (0.05, 0.0, 0.2)])
@pytest.mark.parametrize("sd", [0.0, 10.0])
def test_integral_uniformity_under_a_known_field(sd: float, bias: tuple[float, float, float]) -> None:
    draw = np.random.default_rng(23)
    results = []
    for seed in range(SEEDS if sd else 1):
        centre = (float(draw.uniform(-3, 3)), float(draw.uniform(-3, 3)))
        image, truth = mr_uniform_image(bias=bias, sd=sd, seed=seed, centre_mm=centre, spacing_mm=0.9766)
        found = percent_integral_uniformity(image, 0.9766, truth["centre_row_column"], area_cm2=math.pi * 64)
        results.append((found, truth["piu_percent"]))
    assert errors_of(results).worst <= 0.3
    if sd:
        assert errors_of(results).covered() >= 0.8


def test_fractional_uniformity_of_a_parabola() -> None:
    image, truth = mr_uniform_image(bias=(0.0, 0.0, -0.25), sd=10.0, seed=1)
    # 1 - 0.25 (x/95)² falls to 0.9 of the middle's mean at this distance.
    middle = 1 - 0.25 * (2 * 5.0**2 / 3) / 95**2
    edge = 95 * math.sqrt((1 - 0.9 * middle) / 0.25)
    found = fractional_uniformity(image, 1.0, truth["centre_row_column"])
    assert found.value == pytest.approx(min(edge / 80.0, 1.0), abs=0.02)


@pytest.mark.parametrize(("ghost", "sd"), [(0.0, 10.0), (0.01, 0.0), (0.03, 0.0), (0.02, 5.0)])
def test_ghosting_from_outline_and_field_of_view(ghost: float, sd: float) -> None:
    # Magnitude noise lifts a ghost less than its height: the truth is that of the expected magnitudes.
    above, floor = (float(rician_mean(level, sd)) if sd else level for level in (1000 * ghost, 0.0))
    results = []
    for seed in range(SEEDS if sd else 1):
        image, _ = mr_uniform_image(170.0, ghost_fraction=ghost, sd=sd, seed=seed, centre_mm=(2.0, -3.0))
        found = percent_signal_ghosting(image, 1.0)
        results.append((found.psg, 100 * (above - floor) / 1000))
    if ghost:
        assert errors_of(results).worst <= 0.05
        assert not sd or errors_of(results).covered() >= 0.8
        assert all(m.details["signed"] > 0 for m, _ in results)
    else:
        assert all(m.value <= 0.05 for m, _ in results if m.value is not None)


def test_a_phantom_that_fills_the_field_leaves_no_ghost_region() -> None:
    image = np.full((128, 128), 1000.0)
    image[:2] = image[-2:] = image[:, :2] = image[:, -2:] = 0.0
    assert percent_signal_ghosting(image, 1.5).psg.status == "not_measurable"
    narrow, _ = mr_uniform_image(190.0, shape=(256, 204), sd=5.0)
    found = percent_signal_ghosting(narrow, 1.0).psg
    assert found.status in ("suspect", "not_measurable") and found.reason


def test_tiles_equal_the_loops_they_stand_for() -> None:
    image, _ = flat_field(heel_percent=10.0, shape=(700, 640), seed=2)
    found = tile_uniformity(image, 0.15)
    side, edge = round(10 / 0.15), round(10 / 0.15)
    rows, columns = (700 - 2 * edge) // side, (640 - 2 * edge) // side
    means, spreads = np.empty((rows, columns)), np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            tile = image[edge + i * side : edge + (i + 1) * side, edge + j * side : edge + (j + 1) * side]
            means[i, j], spreads[i, j] = tile.mean(), tile.std(ddof=1)
    local = 0.0
    for i in range(rows):
        for j in range(columns):
            beside = [(i + a, j + b) for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1))]
            there = [means[p] for p in beside if 0 <= p[0] < rows and 0 <= p[1] < columns]
            local = max(local, abs(means[i, j] - np.mean(there)))
    assert found.signal is not None and found.noise is not None
    np.testing.assert_allclose(found.signal, means, rtol=1e-12)
    np.testing.assert_allclose(found.noise, spreads, rtol=1e-10)
    assert found.local["signal"].value == pytest.approx(100 * local / np.median(means), rel=1e-9)
    assert found.global_["snr"].value == pytest.approx(
        100 * np.ptp(means / spreads) / np.median(means / spreads), rel=1e-9
    )


def test_nema_uniformity_by_hand_and_under_poisson_noise() -> None:
    flood = np.zeros((64, 64))
    flood[10:54, 8:56] = 12000.0
    flood[30, 30] = 13200.0
    found = nema_uniformity(flood, 6.4)
    # One pixel 10 % up is 2.5 % up after the 1-2-1 filter, whose middle weight is 4/16.
    assert found.integral_cfov.value == pytest.approx(100 * 0.025 / 2.025, rel=1e-9)
    assert found.differential_cfov.value == pytest.approx(100 * 0.025 / 2.025, rel=1e-9)
    # The outermost row of the field touches zeros and goes: 42 × 46 are left.
    assert int(found.ufov.sum()) == 42 * 46
    drawn = [
        nema_uniformity(nm_flood(12000.0, bump_percent=10.0, seed=k)[0], 6.4).integral_cfov for k in range(4 * SEEDS)
    ]
    claimed = float(np.mean([m.uncertainty for m in drawn]))
    assert claimed == pytest.approx(float(np.std([m.value for m in drawn], ddof=1)), rel=0.8)


@pytest.mark.parametrize("shape", ["octagon", "circle", "rectangle"])
def test_the_central_field_has_the_form_of_the_useful_one(shape: str) -> None:
    down, right = (axis * 6.4 for axis in np.mgrid[-32:32, -48:48] + 0.5)
    # Half the sides of the field, and what is cut off its corners at 45 degrees.
    across, along, cut = 240.0, 180.0, 110.0
    inside = {
        "octagon": lambda share: (
            (np.abs(right) <= share * across)
            & (np.abs(down) <= share * along)
            & (np.abs(right) + np.abs(down) <= share * (across + along - cut))
        ),
        "circle": lambda share: np.hypot(down, right) <= share * along,
        "rectangle": lambda share: (np.abs(right) <= share * across) & (np.abs(down) <= share * along),
    }[shape]
    found = nema_uniformity(np.where(inside(1.0), 12000.0, 0.0), 6.4)
    # A pixel goes from the border of the useful field, and three quarters of it from the central one's.
    least, most = inside(0.75 * (1 - 2.0 * 6.4 / along)), inside(0.75 * (1 + 0.5 * 6.4 / along))
    assert not (least & ~found.cfov).any() and not (found.cfov & ~most).any()
    # A fault where the corner of the box would lie, but not that of the field, is none of the central field.
    if shape == "octagon":
        flood = np.where(inside(1.0), 12000.0, 0.0)
        fault = (np.abs(right - 0.65 * across) < 4) & (np.abs(down - 0.65 * along) < 4)
        assert (fault & inside(0.95)).any() and not (fault & most).any()
        faulty = nema_uniformity(np.where(fault, 13200.0, flood), 6.4)
        assert faulty.integral_ufov.value > 1.0 and faulty.integral_cfov.value < 0.7


@pytest.mark.parametrize("level", [np.nan, 0.0, -5.0])
def test_hostile_images_have_a_reason(level: float) -> None:
    image = np.full((256, 256), level)
    assert percent_integral_uniformity(image, 1.0, (128, 128)).status != "ok"
    assert fractional_uniformity(image, 1.0, (128, 128)).status == "not_measurable"
    assert percent_signal_ghosting(image, 1.0).psg.reason
    assert nema_uniformity(image, 6.4).integral_ufov.status == "not_measurable"
    assert tile_uniformity(image[:40, :40], 1.0).local["signal"].status == "not_measurable"
    assert tile_uniformity(image, 1.0).local["snr"].status == "not_measurable"
