"""Slanted-edge MTF against the analytic transfer of blur and pixel aperture.

All angles, orientations and polarities run with ``IMAGE_QUALITY_GRID=1``; the suite takes a part of them.
"""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dose_audit.image_quality import edge_mtf
from tests.image_quality import truth

WHOLE = os.environ.get("IMAGE_QUALITY_GRID") == "1"
ANGLES = (1.5, 2.3, 3.0, 5.0, 7.125, 8.0, 11.0, 15.0)
GRID = list(itertools.product((0.05, 0.1, 0.2), ANGLES, (0.0, 90.0), (1, -1), (1, -1)))
SEEDS = 60 if WHOLE else 30


def expected(curve, spacing, angle, sigma):
    return truth.edge_truth(curve.frequencies_per_mm, spacing, angle, sigma)


def true_mtf50(spacing, angle, sigma):
    f = np.linspace(0, 10, 20001)
    curve = truth.edge_truth(f, spacing, angle, sigma)
    first = int(np.argmax(curve < 0.4))
    return truth.crossing(f[:first], curve[:first], 0.5)


@pytest.mark.parametrize(("sigma", "angle", "base", "turn", "polarity"), GRID if WHOLE else GRID[::7])
def test_noise_free_curve_is_true_to_nyquist(sigma, angle, base, turn, polarity):
    spacing, tilted = (0.1, 0.1), base + turn * angle
    image = truth.edge((200, 200), spacing, tilted, sigma, offset_px=0.3, low=500.0, high=500.0 + 1000.0 * polarity)
    curve = edge_mtf(image, spacing)
    inside = curve.frequencies_per_mm <= curve.nyquist_per_mm * (1 + 1e-9)
    assert curve.status == "ok", curve.reason
    assert np.abs(curve.mtf - expected(curve, spacing, tilted, sigma))[inside].max() <= 0.005
    assert curve.mtf50.value == pytest.approx(true_mtf50(spacing, tilted, sigma), rel=0.01)
    assert abs(curve.details["angle_deg"]) == pytest.approx(angle, abs=0.01)


@pytest.mark.parametrize(("along", "angle"), [("columns", 4.0), ("rows", 86.0)])
def test_oblong_pixels(along, angle):
    spacing = (0.2, 0.1)
    image = truth.edge((160, 240), spacing, angle, 0.15, low=0.0, high=1000.0)
    curve = edge_mtf(image, spacing)
    inside = curve.frequencies_per_mm <= curve.nyquist_per_mm
    assert curve.nyquist_per_mm == pytest.approx(5.0 if along == "columns" else 2.5)
    assert curve.details["edge_along"] == along
    assert np.abs(curve.mtf - expected(curve, spacing, angle, 0.15))[inside].max() <= 0.005


@pytest.mark.parametrize(("cnr", "limit"), [(100.0, 0.01), (40.0, 0.02)])
def test_noise_bias_spread_and_coverage(cnr, limit):
    spacing, sigma, angle = (0.1, 0.1), 0.1, 3.0
    clean = truth.edge((300, 300), spacing, angle, sigma, low=0.0, high=1000.0)
    true50 = true_mtf50(spacing, angle, sigma)
    random = np.random.default_rng(7)
    curves = [edge_mtf(clean + random.normal(0, 1000.0 / cnr, clean.shape), spacing) for _ in range(SEEDS)]
    assert all(curve.status == "ok" for curve in curves)
    errors = np.array([curve.mtf50.value / true50 - 1 for curve in curves])
    reported = np.array([curve.mtf50.uncertainty / true50 for curve in curves])
    assert abs(errors.mean()) < 0.004
    assert errors.std() < limit / 2
    assert np.abs(errors).max() < 1.5 * limit
    assert truth.covered(errors, reported) >= 0.55
    assert truth.covered(errors, reported, 2) >= 0.87
    # The modulus of a noisy transform would be biased upwards where the curve is low.
    inside = curves[0].frequencies_per_mm <= 5.0
    bias = np.mean([curve.mtf - expected(curve, spacing, angle, sigma) for curve in curves], axis=0)[inside]
    assert np.abs(bias).max() < 0.012


def test_correlated_noise_widens_the_interval():
    clean = truth.edge((300, 300), (0.1, 0.1), 3.0, 0.1, low=0.0, high=1000.0)
    true50 = true_mtf50((0.1, 0.1), 3.0, 0.1)
    random = np.random.default_rng(3)
    found = []
    for _ in range(SEEDS):
        noise = gaussian_filter(random.normal(0, 1, clean.shape), 1.2)
        found.append(edge_mtf(clean + 25.0 * noise / noise.std(), 0.1).mtf50)
    errors, reported = [m.value - true50 for m in found], [m.uncertainty for m in found]
    assert truth.covered(errors, reported) >= 0.5
    assert truth.covered(errors, reported, 2) >= 0.85


def test_a_step_at_pixel_pitch_is_not_13_percent_off():
    # An ESF at pixel pitch without oversampling reads 1.046 where 1.200 is true (sigma = pixel = 0.15 mm).
    image = truth.edge((256, 256), (0.15, 0.15), 2.5, 0.15, low=0.0, high=4000.0)
    assert edge_mtf(image, 0.15).mtf50.value == pytest.approx(true_mtf50((0.15, 0.15), 2.5, 0.15), rel=0.01)


def test_heel_effect_does_not_bend_the_curve():
    clean = truth.edge((200, 200), (0.1, 0.1), 3.0, 0.1, low=100.0, high=1100.0)
    heel = clean * (1 - 0.1 * np.arange(200) / 200)
    assert edge_mtf(heel, 0.1).mtf50.value == pytest.approx(true_mtf50((0.1, 0.1), 3.0, 0.1), rel=0.01)


def test_the_value_at_one_frequency():
    curve = edge_mtf(truth.edge((200, 200), (0.1, 0.1), 3.0, 0.1, low=0.0, high=1000.0), 0.1)
    at = curve.at(2.0)
    assert at.value == pytest.approx(float(truth.edge_truth(2.0, (0.1, 0.1), 3.0, 0.1)), abs=0.005)
    assert curve.at(99.0).status == "not_measurable"


def edge(**changes):
    values = {"angle_deg": 3.0, "sigma_mm": 0.1, "low": 100.0, "high": 1100.0} | changes
    return truth.edge((200, 200), (0.1, 0.1), **values)


def noisy(image, sd, seed=0):
    return image + np.random.default_rng(seed).normal(0, sd, image.shape)


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (np.zeros((200, 200)), "equal"),
        (np.random.default_rng(0).normal(0, 10, (200, 200)), "edge"),
        (np.add.outer(np.zeros(200), 5.0 * np.arange(200)), "plateau"),
        (edge()[:12, :12], "pixels"),
        (np.full((100, 100), np.nan), "no number"),
        (edge(angle_deg=0.2), "phase"),
        (noisy(edge(), 500.0), "noise"),
        (truth.disc((200, 200), (0.1, 0.1), 5.0, 0.1, centre_px=(100, 100)), "edge"),
        (edge(high=1100.0) - edge(offset_px=20.0, low=0.0, high=1000.0), "step"),
    ],
)
def test_no_edge_is_said_in_words(image, word):
    curve = edge_mtf(image, 0.1)
    assert curve.status == "not_measurable" and word in curve.reason
    assert all(m.value is None and m.reason == curve.reason for m in curve.measurements)


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (noisy(edge(bend_px=0.6), 5.0), "curved"),
        (edge(angle_deg=18.0), "tilted"),
        (noisy(edge(), 150.0), "noise"),
        (np.minimum(noisy(edge(), 20.0), 1050.0), "clipped"),
        (np.minimum(edge(), 1050.0), "clipped"),
        (np.round(edge() / 125.0), "grey levels"),
        (np.where(np.arange(200)[:, None] * 200 + np.arange(200) == 20_100, np.nan, edge()), "no number"),
        (np.log(edge()), "linear"),
        (np.log(noisy(edge(), 8.0)), "linear"),
        (np.sqrt(noisy(edge(low=50.0), 2.0)), "linear"),
        (1.0 / (1.0 + np.exp(-(noisy(edge(), 20.0) - 600.0) / 125.0)), "larger on the edge"),
        (np.clip(noisy(edge(sigma_mm=0.05), 20.0), 200.0, 1000.0), "larger on the edge"),
    ],
)
def test_a_doubtful_edge_is_suspect(image, word):
    curve = edge_mtf(image, 0.1)
    assert curve.status == "suspect" and word in curve.reason
    assert curve.mtf50.status == "suspect" and curve.mtf50.value is not None


def test_programming_errors_raise():
    with pytest.raises(ValueError, match="two dimensions"):
        edge_mtf(np.zeros(10), 0.1)
    with pytest.raises(ValueError, match="spacing"):
        edge_mtf(np.zeros((20, 20)), 0.0)


@pytest.mark.parametrize("strength", [0.3, 0.8])
def test_an_image_that_was_sharpened_is_suspect_and_its_curve_true(strength):
    # Unsharp masking with a Gaussian: every frequency is raised by 1 + strength (1 - its transform).
    spacing, sigma, angle = (0.1, 0.1), 0.1, 3.0
    plain = truth.edge((240, 240), spacing, angle, sigma, low=100.0, high=1100.0)
    sharp = plain + strength * (plain - gaussian_filter(plain, 3.0, mode="nearest"))
    curve = edge_mtf(noisy(sharp, 5.0), spacing)
    assert "sharpened" in curve.reason and {m.status for m in curve.measurements} == {"suspect"}
    f = curve.frequencies_per_mm
    expected_curve = expected(curve, spacing, angle, sigma) * (1 + strength * (1 - np.exp(-2 * (np.pi * 0.3 * f) ** 2)))
    inside = f <= curve.nyquist_per_mm
    assert np.abs(curve.mtf - expected_curve)[inside].max() <= 0.03
    assert curve.details["highest"] == pytest.approx(expected_curve.max(), abs=0.03)


def test_a_plain_edge_in_noise_is_not_called_sharpened():
    plain = truth.edge((200, 200), (0.1, 0.1), 3.0, 0.1, low=100.0, high=1100.0)
    assert not any("sharpened" in edge_mtf(noisy(plain, 60.0, seed), 0.1).reason for seed in range(SEEDS // 3))


@pytest.mark.parametrize("sigma", [0.02, 0.15])
def test_quantum_noise_and_its_correlation_are_not_held_against_an_edge(sigma):
    # Detectors blur the quanta's noise; an edge as sharp as the pixels allow has corners of its own.
    random = np.random.default_rng(21)
    for angle in (2.1, 96.4):
        quanta = random.poisson(edge(angle_deg=angle, sigma_mm=sigma, low=300.0, high=4000.0)).astype(float)
        for image in (quanta, gaussian_filter(quanta, 1.0)):
            curve = edge_mtf(image, 0.1)
            assert curve.status == "ok", curve.reason


@pytest.mark.parametrize("sigma", [0.06, 0.12, 0.2])
def test_rounding_alone_clips_nothing(sigma):
    # Without noise one plateau may be one grey level through and through, and the tail of the other none.
    image = np.round(truth.edge((200, 200), (0.1, 0.1), 3.0, sigma, low=500.0, high=1500.0))
    curve = edge_mtf(image, 0.1)
    assert curve.status == "ok", curve.reason
    assert curve.mtf50.value == pytest.approx(true_mtf50((0.1, 0.1), 3.0, sigma), rel=0.01)
