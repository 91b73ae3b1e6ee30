"""The truths that the cases compute by formula, against the same quantity by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from compare import cases_phantoms
from compare.cases_phantoms import ACR_RADIUS_MM, ACR_SIGNAL


def field(x: np.ndarray, y: np.ndarray, bias: tuple[float, float, float]) -> np.ndarray:
    u, v = x / ACR_RADIUS_MM, y / ACR_RADIUS_MM
    return 1 + bias[0] * u + bias[1] * v + bias[2] * (u * u + v * v)


@pytest.mark.parametrize("bias", [(0.1, -0.08, 0.2), (0.05, 0.02, 0.0), (0.3, 0.0, 0.1), (0.0, 0.0, 0.0)])
def test_integral_uniformity_is_that_of_every_small_disc(bias: tuple[float, float, float]) -> None:
    small, large = np.sqrt(100 / np.pi), np.sqrt(20_000 / np.pi)
    step = np.linspace(-small, small, 81)
    dx, dy = (grid[np.hypot(*np.meshgrid(step, step)) <= small] for grid in np.meshgrid(step, step))
    radius, angle = np.meshgrid(np.linspace(0, large - small, 60), np.radians(np.arange(0, 360, 2)))
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    means = [float(field(a + dx, b + dy, bias).mean()) for a, b in zip(x.ravel(), y.ravel(), strict=True)]
    brute = 100 * (1 - (max(means) - min(means)) / (max(means) + min(means)))
    assert cases_phantoms._piu(bias) == pytest.approx(brute, abs=0.05)


def test_ghosting_is_the_mean_of_magnitude_noise_by_simulation() -> None:
    sd, ghost = 2.0, 15.0
    random = np.random.default_rng(0)

    def magnitude(signal: float) -> float:
        channels = random.normal((signal, 0.0), sd, (400_000, 2))
        return float(np.hypot(channels[:, 0], channels[:, 1]).mean())

    radius = np.sqrt(20_000 / np.pi)
    y = random.uniform(-radius, radius, 400_000)
    inside = np.hypot(random.uniform(-radius, radius, y.size), y) <= radius
    signal = ACR_SIGNAL + ghost * float((np.abs(y[inside]) > 30.0).mean())
    simulated = 100 * 2 * (magnitude(ghost) - magnitude(0.0)) / (2 * signal)
    assert cases_phantoms._psg(ghost, sd) == pytest.approx(simulated, abs=0.005)


def test_expected_spokes_are_those_of_simulated_observers() -> None:
    from dataclasses import replace

    from dose_audit.phantom.digital import NoiseModel, NoisePowerSpectrum, recipe
    from dose_audit.phantom.digital.metric.noise import detectability
    from dose_audit.phantom.digital.recipes.acr_mri import LCD_DIAMETERS_MM, LCD_SLICES

    used = replace(recipe("acr-mri-large").acquisition, noise=NoiseModel("rician", 20.0))
    random, counts = np.random.default_rng(1), 0.0
    for _, _, percent in LCD_SLICES:
        ideal = [
            detectability(d, ACR_SIGNAL * percent / 100, used.psf_sigma_mm, NoisePowerSpectrum(20.0), used.spacing_mm)[
                1
            ]
            for d in LCD_DIAMETERS_MM
        ]
        response = np.array(ideal, dtype=float)[:, None] + random.normal(size=(4000, len(ideal), 3))
        whole = (response > cases_phantoms.SEEN).all(axis=2)
        counts += float(np.cumprod(whole, axis=1).sum(axis=1).mean())
    assert cases_phantoms._spokes(used) == pytest.approx(counts, abs=0.15)


def test_mtf50_of_the_blur_is_where_its_gaussian_falls_to_a_half() -> None:
    f = cases_phantoms._mtf50(0.6)
    assert np.exp(-2 * (np.pi * 0.6 * f) ** 2) == pytest.approx(0.5)


def test_rmtf50_is_where_a_blurred_square_wave_has_half_the_swing_of_the_first_group() -> None:
    def swing(f: float) -> float:
        x = np.linspace(0.0, 1 / f, 2001)  # a whole period around two half bars
        wide = np.arange(-6.0, 6.0, 0.002)
        weight = np.exp(-0.5 * (wide / 0.6) ** 2)
        blurred = [
            float((np.where(np.cos(2 * np.pi * f * (at - wide)) > 0, 1.0, 0.0) * weight).sum()) for at in x[::100]
        ]
        return max(blurred) - min(blurred)

    assert swing(cases_phantoms._rmtf50(0.6)) / swing(0.1) == pytest.approx(0.5, abs=0.01)
