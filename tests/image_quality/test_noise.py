"""Noise, SNR and linearity against what was put in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dose_audit.image_quality import (
    hu_linearity,
    noise_sd,
    roi_mean,
    signal_transfer,
    snr_single_image,
    snr_smoothed,
    snr_two_images,
)
from tests.image_quality import truth


@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_sd_under_a_tilt_and_its_coverage(blur):
    tilt = 0.4 * np.arange(100) - 0.2 * np.arange(100)[:, None]
    errors, reported = [], []
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(0, 1, (140, 140))
        noise = gaussian_filter(noise, blur) if blur else noise
        # SD of a Gaussian-filtered white field: 1/(2σ√π), for the discrete kernel by its own sum of squares.
        kernel = gaussian_filter(np.pad([[1.0]], 20), blur) if blur else np.ones((1, 1))
        found = noise_sd(10 * noise[20:-20, 20:-20] / np.sqrt((kernel**2).sum()) + tilt)
        assert found.status == "ok"
        errors.append(found.value - 10)
        reported.append(found.uncertainty)
    assert abs(np.mean(errors)) < 0.05 and np.abs(errors).max() < (0.4 if blur else 0.3)
    assert truth.covered(errors, reported) >= 0.5 and truth.covered(errors, reported, 2) >= 0.85


def test_doubtful_regions():
    noise = np.random.default_rng(0).normal(0, 10, (100, 100))
    assert "no noise" in noise_sd(np.full((50, 50), 7.3)).reason
    assert noise_sd(noise + 100 * (np.arange(100) > 50)).status == "suspect"
    assert "clipped" in noise_sd(np.minimum(noise, 8.0)).reason
    assert "object" in noise_sd(np.where(np.arange(10_000).reshape(100, 100) == 4321, 500.0, noise)).reason
    assert noise_sd(np.full((50, 50), np.nan)).status == "not_measurable"
    assert roi_mean(noise[:3, :3]).status == "not_measurable"
    masked = np.where(np.hypot(*(np.mgrid[:100, :100] - 49.5)) < 45, noise + 40, np.nan)
    assert roi_mean(masked).value == pytest.approx(40, abs=0.5)
    assert noise_sd(masked).value == pytest.approx(10, abs=0.3)


@pytest.mark.parametrize("level", [0.3, 0.5, 1.0, 2.0])
def test_noise_of_a_grey_level_is_doubted_or_covered(level):
    """Rounding adds a twelfth of the square of a step: the SD of the image is not that of what was rounded."""
    noise = np.random.default_rng(3).normal(0.3, level, (200, 200))
    found = noise_sd(4.0 * np.round(noise))
    if level < 0.6:
        assert found.status == "suspect" and "grey level" in found.reason
    else:
        assert found.status == "ok" and abs(found.value - 4.0 * level) <= 2 * found.uncertainty
    assert noise_sd(noise).status == "ok"


def rician(random, signal, noise, shape=(100, 100), channels=1):
    parts = random.normal(0, noise, (2 * channels, *shape))
    parts[0] += signal
    return np.sqrt((parts**2).sum(axis=0))


@pytest.mark.parametrize("snr", [3.0, 10.0, 60.0])
def test_two_images(snr):
    errors, reported = [], []
    structure = 1 + 0.2 * np.sin(np.arange(100) / 9)
    for seed in range(30):
        random = np.random.default_rng(seed)
        shape = structure if snr > 20 else 1.0
        found = snr_two_images(rician(random, 10 * snr * shape, 10), rician(random, 10 * snr * shape, 10))
        assert found.status == "ok", found.reason
        wanted = snr * (structure.mean() if snr > 20 else 1.0)
        errors.append(found.value / wanted - 1)
        reported.append(found.uncertainty / wanted)
    assert abs(np.mean(errors)) < 0.005 and np.abs(errors).max() < 0.03
    assert truth.covered(errors, reported, 2) >= 0.85


def test_two_images_that_differ():
    random = np.random.default_rng(0)
    one, two = rician(random, 500, 10), rician(random, 500, 10)
    assert "changed" in snr_two_images(one, 1.05 * two).reason
    assert snr_two_images(one, one).status == "not_measurable"
    assert snr_two_images(*random.normal(0, 10, (2, 100, 100))).status == "not_measurable"
    moved = two.copy()
    moved[:10] += 300
    assert snr_two_images(one, moved).status == "suspect"
    assert "clipped" in snr_two_images(np.minimum(one, 500), np.minimum(two, 500)).reason
    with pytest.raises(ValueError, match="one region"):
        snr_two_images(one, one[:50])


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("snr", [5.0, 50.0])
def test_one_image(snr, channels):
    errors, reported = [], []
    for seed in range(30):
        random = np.random.default_rng(seed)
        signal, air = (rician(random, level, 10, channels=channels) for level in (10 * snr, 0.0))
        found = snr_single_image(signal, air, channels=channels)
        assert found.status == "ok", found.reason
        errors.append(found.value / snr - 1)
        reported.append(found.uncertainty / snr)
    assert abs(np.mean(errors)) < 0.005 and np.abs(errors).max() < 0.03
    assert truth.covered(errors, reported, 2) >= 0.85


def test_spread_of_a_weak_signal_contains_the_noise_that_is_taken_off():
    # At an SNR of 3 eight channels' noise is nearly twice the signal's square: of the error that makes, half was missing.
    found = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        found.append(
            snr_single_image(rician(random, 30, 10, (50, 50), 8), rician(random, 0, 10, (50, 50), 8), channels=8)
        )
    assert np.mean([m.uncertainty for m in found]) == pytest.approx(np.std([m.value for m in found], ddof=1), rel=0.2)


def test_one_image_with_wrong_air():
    random = np.random.default_rng(0)
    signal, air = rician(random, 500, 10), rician(random, 0, 10)
    assert "SD/mean" in snr_single_image(signal, np.where(air < 12, 0.0, air)).reason
    assert "SD/mean" in snr_single_image(signal, rician(random, 0, 10, channels=4)).reason
    assert snr_single_image(signal, np.zeros((50, 50))).status == "not_measurable"
    assert snr_single_image(air / 10, air).status == "not_measurable"


def test_smoothed_image_has_no_bias_of_its_kernel():
    found = [
        snr_smoothed(np.random.default_rng(seed).normal(500, 10, (120, 120)), kernel=3).value / 50 - 1
        for seed in range(30)
    ]
    assert abs(np.mean(found)) < 0.004 and np.abs(found).max() < 0.03
    blurred = 500 + gaussian_filter(np.random.default_rng(0).normal(0, 30, (120, 120)), 1.5)
    assert "correlated" in snr_smoothed(blurred).reason


NOMINAL = np.array([-1000.0, -200.0, -100.0, 0.0, 120.0, 340.0, 990.0])


def test_hu_linearity():
    slopes, offsets, errors, reported = [], [], [], []
    for seed in range(30):
        random = np.random.default_rng(seed)
        rois = [roi_mean(1.002 * hu - 1.5 + random.normal(0, 8, (30, 30))) for hu in NOMINAL]
        found = hu_linearity(rois, NOMINAL)
        assert found.status == "ok", found.reason
        slopes.append(found.slope.value)
        offsets.append(found.intercept.value)
        reported.append((found.slope.uncertainty, found.intercept.uncertainty))
        errors.extend(m.value - (1.002 * hu - 1.5) for m, hu in zip(rois, NOMINAL, strict=True))
    assert np.mean(slopes) == pytest.approx(1.002, abs=2e-4) and np.mean(offsets) == pytest.approx(-1.5, abs=0.1)
    assert np.sqrt(np.mean(np.square(errors))) < 0.4 and abs(np.mean(errors)) < 0.1
    of_slopes, of_offsets = np.transpose(reported)
    assert truth.covered(np.array(slopes) - 1.002, of_slopes, 2) >= 0.85
    assert truth.covered(np.array(offsets) + 1.5, of_offsets, 2) >= 0.85


def test_hu_fractions_are_not_rounded():
    found = hu_linearity(list(NOMINAL + 0.37), NOMINAL)
    assert found.intercept.value == pytest.approx(0.37, abs=1e-6)
    assert found.largest_deviation.value == pytest.approx(0.37, abs=1e-6)


def test_one_wrong_insert_does_not_bend_the_line():
    measured = 1.001 * NOMINAL + np.array([0.3, -0.2, 0.1, 0.2, -0.3, 0.1, -0.1])
    measured[5] -= 150
    found = hu_linearity(list(measured), NOMINAL)
    assert found.slope.value == pytest.approx(1.001, abs=2e-3)
    assert found.status == "suspect" and "340 HU" in found.reason
    measured[5] += 120
    assert hu_linearity(list(measured), NOMINAL).status == "suspect"
    assert hu_linearity(list(measured), NOMINAL, apart_hu=45.0).status == "ok"
    missing = hu_linearity([None, *measured[1:5], None, None], NOMINAL)
    assert missing.status == "suspect" and missing.residuals_hu[0] is None
    assert hu_linearity([None] * 7, NOMINAL).slope.status == "not_measurable"


KERMA = np.array([0.5, 1.0, 2.5, 5.0, 10.0, 20.0])


@pytest.mark.parametrize(("response", "forward"), [("linear", lambda k: k), ("log", np.log), ("square_root", np.sqrt)])
def test_signal_transfer(response, forward):
    random = np.random.default_rng(0)
    signal = 80 + 300 * forward(KERMA)
    found = signal_transfer(KERMA, list(signal * (1 + random.normal(0, 0.002, KERMA.size))), response=response)
    assert found.status == "ok", found.reason
    assert found.gain.value == pytest.approx(300, rel=0.02) and found.offset.value == pytest.approx(80, abs=6)
    assert found.linearise(signal) == pytest.approx(KERMA, rel=0.03)


@pytest.mark.parametrize("exposures", [4, 6, 12])
@pytest.mark.parametrize(("response", "forward"), [("linear", lambda k: k), ("log", np.log)])
def test_twice_the_uncertainty_of_a_transfer_covers_it(response, forward, exposures):
    """Errors of 0.2 % of the signal's rise that no exposure knows of, from few exposures and from many."""
    kerma = np.geomspace(0.5, 20.0, exposures)
    rise = forward(kerma) if response == "linear" else np.ones(exposures)
    gains, offsets, reported = [], [], []
    for seed in range(200):
        noise = 0.6 * rise * np.random.default_rng(seed).standard_normal(exposures)
        found = signal_transfer(kerma, list(80 + 300 * forward(kerma) + noise), response=response)
        gains.append(found.gain.value - 300)
        offsets.append(found.offset.value - 80)
        reported.append((found.gain.uncertainty, found.offset.uncertainty))
    for errors, claimed in zip((gains, offsets), np.transpose(reported), strict=True):
        assert truth.covered(errors, claimed, 2) >= 0.9
        assert truth.covered(errors, claimed, 1) <= 0.95


def test_a_detector_that_saturates():
    signal = np.minimum(100 * KERMA, 900)
    assert signal_transfer(KERMA, list(signal)).status == "suspect"
    assert signal_transfer(KERMA, [5.0] * 6).status == "not_measurable"
    assert signal_transfer(KERMA, [5.0] * 6).linearise([1.0]) is None
    with pytest.raises(ValueError, match="positive"):
        signal_transfer([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(("shared", "size"), [(10.0, 128), (4.0, 128), (10.0, 256)])
def test_rows_with_something_in_common_widen_the_interval(shared: float, size: int) -> None:
    # The lines of a read-out: 128 row levels tell their own spread to 6 % only, however many pixels each has.
    found = []
    for seed in range(30):
        draw = np.random.default_rng(seed)
        found.append(noise_sd(draw.normal(0.0, 10.0, (size, size)) + draw.normal(0.0, shared, (size, 1))))
    true = float(np.hypot(10.0, shared))
    errors = np.array([one.value for one in found]) - true
    reported = np.array([one.uncertainty for one in found])
    assert float(np.mean(np.abs(errors) <= 2 * reported)) >= 0.85
    # Variances of the row levels alone and of the pixels alone, each known to sqrt(2/number).
    expected = np.hypot(shared**2 * np.sqrt(0.5 / size), 100.0 * np.sqrt(0.5) / size) / true
    assert 0.7 < float(np.median(reported)) / expected < 1.5
