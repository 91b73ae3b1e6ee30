"""Noise has the statistics that its truth claims."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from dose_audit.phantom.digital import Acquisition, NoiseModel, NoisePowerSpectrum, noise_image
from dose_audit.phantom.digital.noise import coloured_noise, rician, rician_mean

SPACING = (0.5, 0.5)


@pytest.mark.parametrize(("f0", "power"), [(0.35, 1.0), (0.2, 0.0), (0.3, 2.0)])
def test_the_spectrum_integrates_to_the_variance(f0, power):
    nps = NoisePowerSpectrum(12.0, f0, power)
    total, _ = integrate.quad(lambda f: 2 * math.pi * f * float(nps(f)), 0, 20 * f0)
    assert total == pytest.approx(144.0, rel=1e-6)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_peak_and_mean_frequency_are_those_of_the_curve(power):
    nps = NoisePowerSpectrum(10.0, 0.3, power)
    f = np.linspace(0, 1.0, 200_001)
    assert nps.peak_per_mm == pytest.approx(f[np.argmax(nps(f))], abs=1e-4)
    expected = np.trapezoid(f * nps(f), f) / np.trapezoid(nps(f), f)
    assert nps.mean_frequency_per_mm(1.0) == pytest.approx(expected, rel=1e-6)
    expected = np.trapezoid(f**2 * nps(f), f) / np.trapezoid(f * nps(f), f)
    assert nps.mean_frequency_per_mm(1.0, two_dimensional=True) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "nps", [NoisePowerSpectrum(10.0, 0.35), NoisePowerSpectrum(10.0), NoisePowerSpectrum(10.0, 0.2, 0.0)]
)
def test_periodograms_follow_the_spectrum(nps):
    rng, n, spacing = np.random.default_rng(5), 128, (0.5, 0.6)
    mean = np.zeros((n, n))
    for _ in range(40):
        field = coloured_noise((n, n), spacing, nps, rng)
        mean += np.abs(np.fft.fft2(field)) ** 2 * spacing[0] * spacing[1] / n**2 / 40
    f = np.hypot(np.fft.fftfreq(n, spacing[0])[:, None], np.fft.fftfreq(n, spacing[1])[None, :])
    expected = nps(f, spacing)
    cell = 1 / (n * spacing[0]) / (n * spacing[1])
    assert mean.sum() * cell == pytest.approx(100.0, rel=0.01)
    for low in np.arange(0.05, 0.7, 0.1):
        ring = (f >= low) & (f < low + 0.1)
        if expected[ring].mean() > 1e-3 * expected.max():
            assert mean[ring].mean() == pytest.approx(expected[ring].mean(), rel=0.06)


def test_what_lies_beyond_nyquist_is_not_lost_from_the_variance():
    nps = NoisePowerSpectrum(10.0, 1.5, 1.0)  # half of it lies beyond 1/mm
    field = np.stack([coloured_noise((128, 128), SPACING, nps, np.random.default_rng(k)) for k in range(10)])
    assert field.std() == pytest.approx(10.0, rel=0.01)


def test_rician_mean_is_the_rice_distributions():
    for signal in (0.0, 5.0, 40.0, 200.0):
        assert rician_mean(signal, 10.0) == pytest.approx(stats.rice.mean(signal / 10.0, scale=10.0), rel=1e-6)
    sample = rician(np.full((500, 500), 25.0), 10.0, np.random.default_rng(3))
    assert stats.kstest(sample.ravel()[::50], stats.rice(2.5, scale=10.0).cdf).pvalue > 1e-3


def test_poisson_and_quantum_noise_follow_the_signal():
    rng = np.random.default_rng(2)
    counts = NoiseModel("poisson").add(np.full((400, 400), 50.0), SPACING, rng)
    assert counts.mean() == pytest.approx(50.0, rel=0.005)
    assert counts.var() == pytest.approx(50.0, rel=0.02)
    bright = NoiseModel("quantum", 20.0, reference=2000.0).add(np.full((400, 400), 8000.0), SPACING, rng)
    assert bright.std() == pytest.approx(40.0, rel=0.01)


def test_noise_follows_from_the_seed_alone():
    first, truth = noise_image(NoisePowerSpectrum(10.0, 0.35), seed=4)
    again, _ = noise_image(NoisePowerSpectrum(10.0, 0.35), seed=4)
    other, _ = noise_image(NoisePowerSpectrum(10.0, 0.35), seed=5)
    assert np.array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05
    assert truth["nps"]["f_peak_per_mm"] == pytest.approx(0.2475, abs=1e-4)
    assert truth["nps"]["f_av_plane_per_mm"] == pytest.approx(0.394, abs=1e-3)


def test_no_noise_leaves_the_image_alone():
    image = np.arange(12.0).reshape(3, 4)
    for model in (NoiseModel(), NoiseModel("white", 0.0), NoiseModel("rician", 0.0)):
        assert model.add(image, SPACING, np.random.default_rng(0)) is image
    assert Acquisition("CT", (4, 4), SPACING).noise.kind == "none"
