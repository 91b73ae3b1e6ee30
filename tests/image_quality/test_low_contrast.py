"""Low-contrast discs against the ideal observer, detectability against its definition, the statistical LCD curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg, stats

from dose_audit.image_quality import (
    detectability_ideal,
    detectability_npw,
    low_contrast_visible,
    statistical_lcd,
)
from dose_audit.image_quality.kernels import disc_kernel
from dose_audit.phantom.digital import NoisePowerSpectrum, low_contrast_image, noise_image

from .accuracy import SEEDS

DIAMETERS = (15.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0)


@pytest.mark.parametrize(
    ("nps", "observer"),
    [(5.0, "d_ideal"), (NoisePowerSpectrum(5.0, 0.35), "d_npw")],
    ids=["white", "coloured"],
)
@pytest.mark.parametrize("contrast", [3.0, 8.0])
def test_visible_discs_are_those_of_the_model_observer(
    contrast: float, nps: NoisePowerSpectrum | float, observer: str
) -> None:
    # The observer knows the disc, the background and the noise's spectrum; both see the same noise. In white noise its
    # matched filter is the ideal observer's, coloured noise it does not whiten.
    image, truth = low_contrast_image(DIAMETERS, (contrast,), nps=1e-6, pitch_mm=32.0, spacing_mm=0.7)
    discs = low_contrast_image(DIAMETERS, (contrast,), nps=nps, pitch_mm=32.0, spacing_mm=0.7)[1]["discs"]
    signal = image - truth["background"]
    off = []
    for seed in range(2 * SEEDS):
        noise, _ = noise_image(nps, seed=seed, shape=image.shape, spacing_mm=0.7)
        expected = 0
        for disc in discs:
            column = round(disc["row_column"][1])
            own = np.s_[:, column - 22 : column + 23]
            output = float((signal[own] * (signal + noise)[own]).sum() / (signal[own] ** 2).sum()) * disc[observer]
            expected += output > float(stats.norm.isf(0.001))
        found = low_contrast_visible(
            image + noise, 0.7, [d["row_column"] for d in discs], list(DIAMETERS), polarity=1,
            region=np.ones(image.shape, dtype=bool), blur_mm=truth["sigma_mm"], correct=False,
        )  # fmt: skip
        assert found.count.value is not None, found.count.reason
        off.append(found.count.value - expected)
    assert float(np.mean(np.abs(off) <= 1)) >= 0.8
    assert abs(float(np.mean(off))) <= 1.0


#: White; filtered back-projection with its peak at 0.35, 0.25 and 0.14/mm; low-pass. The last two die at high frequency.
SPECTRA = {
    "white": NoisePowerSpectrum(5.0),
    "sharp": NoisePowerSpectrum(5.0, 0.5),
    "standard": NoisePowerSpectrum(5.0, 0.35),
    "smooth": NoisePowerSpectrum(5.0, 0.2),
    "low-pass": NoisePowerSpectrum(5.0, 0.25, power=0.0),
}
SPACING = 0.7
SMALL = DIAMETERS[1:]


def ideal_observer(
    signal: np.ndarray, centres: list[tuple[float, float]], nps: NoisePowerSpectrum
) -> list[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
    """Pixels and weights of the Hotelling observer of each disc, of unit variance, from the covariance of the spectrum.

    It knows the disc and the noise, that of rounding included (1/12), and sees the pixels within 1.25 diameters and eight
    pixels; of the background it knows that it is a plane.
    """
    f = np.fft.fftfreq(256, SPACING)
    alike = np.fft.ifft2(nps(np.hypot(f[:, None], f), (SPACING, SPACING))).real / SPACING**2
    alike[0, 0] += 1 / 12
    found = []
    for (row, column), diameter in zip(centres, SMALL, strict=True):
        reach = math.floor(1.25 * diameter / SPACING + 8)
        down, right = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
        near = np.hypot(down, right) <= reach
        down, right = down[near], right[near]
        at = (down + round(row), right + round(column))
        covariance = linalg.cho_factor(alike[np.subtract.outer(down, down), np.subtract.outer(right, right)])
        plane = np.stack([np.ones(down.size), down, right], axis=1)
        disc, ground = linalg.cho_solve(covariance, signal[at]), linalg.cho_solve(covariance, plane)
        weights = disc - ground @ np.linalg.solve(plane.T @ ground, plane.T @ disc)
        found.append((at, weights / math.sqrt(weights @ signal[at])))
    return found


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("contrast", [3.0, 8.0])
def test_as_many_discs_as_the_ideal_observer_that_has_to_find_the_background(contrast: float, kind: str) -> None:
    # Both see the same whole numbers.
    nps = SPECTRA[kind]
    clean, truth = low_contrast_image(SMALL, (contrast,), nps=1e-6, pitch_mm=32.0, spacing_mm=SPACING)
    centres = [disc["row_column"] for disc in truth["discs"]]
    observer = ideal_observer(clean - truth["background"], centres, nps)
    off = []
    for seed in range(max(30, 2 * SEEDS)):
        image = np.rint(clean + noise_image(nps, seed=seed, shape=clean.shape, spacing_mm=SPACING)[0])
        expected = sum(float(weights @ image[at]) > float(stats.norm.isf(0.001)) for at, weights in observer)
        found = low_contrast_visible(
            image, SPACING, centres, SMALL, polarity=1, region=np.ones(image.shape, dtype=bool),
            blur_mm=truth["sigma_mm"], correct=False,
        )  # fmt: skip
        assert found.count.value is not None, found.count.reason
        off.append(found.count.value - expected)
    assert float(np.mean(np.abs(off) <= 1)) >= 0.8
    assert abs(float(np.mean(off))) <= 0.7


@pytest.mark.parametrize("kind", SPECTRA)
def test_noise_alone_shows_discs_as_often_as_is_said(kind: str) -> None:
    # At 2 % for each of eight discs; three standard deviations, of discs whose outputs have something in common.
    level, images = 0.02, 8 * SEEDS
    centres = [(46.0, 46.0 * (k + 1)) for k in range(len(SMALL))]
    seen = 0.0
    for seed in range(images):
        image = noise_image(SPECTRA[kind], seed=seed, shape=(92, 414), spacing_mm=SPACING)[0]
        seen += low_contrast_visible(
            image, SPACING, centres, SMALL, polarity=1, region=np.ones(image.shape, dtype=bool),
            correct=False, significance=level,
        ).count.value or 0.0  # fmt: skip
    trials = images * len(SMALL)
    assert abs(seen / trials - level) <= 3 * math.sqrt(1.5 * level / trials)


@pytest.mark.parametrize("search", [0.0, 1.0])
def test_noise_alone_shows_no_discs(search: float) -> None:
    seen = 0.0
    for seed in range(SEEDS):
        image, _ = noise_image(10.0, seed=seed, shape=(200, 200))
        places = [(row, column) for row in (50, 100, 150) for column in (50, 100, 150)]
        found = low_contrast_visible(image, 0.5, places, [8.0] * 9, polarity=1, search_mm=search)
        seen += found.count.value or 0.0
    assert seen <= 1


def test_groups_count_until_the_first_that_is_not_whole() -> None:
    draw = np.random.default_rng(31)
    image = draw.normal(0.0, 1.0, (240, 240))
    row, column = np.mgrid[:240, :240]
    places = [(60, 60), (60, 120), (120, 60), (120, 120), (180, 60), (180, 120)]
    for index, (r, c) in enumerate(places):
        image += (0.0 if index == 3 else 2.0) * (np.hypot(row - r, column - c) < 6)
    groups = [[0, 1], [2, 3], [4, 5]]
    all_counted = low_contrast_visible(image, 1.0, places, [12.0] * 6, groups=groups)
    assert all_counted.groups == (True, False, True) and all_counted.count.value == 2
    assert low_contrast_visible(image, 1.0, places, [12.0] * 6, groups=groups, consecutive=True).count.value == 1


def test_without_background_nothing_is_claimed() -> None:
    found = low_contrast_visible(np.ones((20, 20)), 1.0, [(10, 10)], [8.0], region=np.zeros((20, 20), dtype=bool))
    assert found.count.status == "not_measurable" and found.count.reason


def test_white_noise_index_is_contrast_times_root_area() -> None:
    # A disc large against the resolution: d' = C sqrt(A / S), all of its spectrum inside the band.
    frequency = np.linspace(0.0, 5.0, 501)
    expected = 3.0 * math.sqrt(math.pi * 36.0 / 25.0)
    for observer in (detectability_npw, detectability_ideal):
        assert observer(3.0, 12.0, (frequency, np.full(501, 25.0))).value == pytest.approx(expected, rel=0.01)


def test_coloured_noise_index_is_that_of_the_plane() -> None:
    _, truth = low_contrast_image((9.0, 4.0), (5.0,), nps=NoisePowerSpectrum(5.0, 0.35), spacing_mm=0.25)
    spectrum, frequency = NoisePowerSpectrum(5.0, 0.35), np.linspace(0.0, 2.0, 801)
    transfer = np.exp(-2 * (math.pi * truth["sigma_mm"] * frequency) ** 2)
    for disc in truth["discs"]:
        power = np.asarray(spectrum(frequency, (0.25, 0.25)))
        found = detectability_npw(5.0, disc["diameter_mm"], (frequency, power), ttf=(frequency, transfer))
        assert found.value == pytest.approx(disc["d_npw"], rel=0.03)
    assert detectability_npw(5.0, 4.0, (frequency, np.zeros(801))).status == "not_measurable"


def test_statistical_lcd_in_white_noise() -> None:
    ratios, claimed = [], []
    for seed in range(2 * SEEDS):
        curve = statistical_lcd(noise_image(10.0, seed=seed)[0], 0.5, [2.0, 4.0, 8.0])
        for diameter, threshold in zip(curve.diameters_mm, curve.thresholds, strict=True):
            weights = disc_kernel(diameter / 2, (0.5, 0.5))
            truth = 2 * 1.6449 * 10.0 * math.sqrt(float((weights**2).sum())) / float(weights.sum())
            assert threshold.value is not None and threshold.uncertainty is not None
            ratios.append(threshold.value / truth - 1)
            claimed.append(threshold.uncertainty / truth)
    assert abs(float(np.mean(ratios))) <= 0.02
    assert float(np.mean(np.abs(ratios) <= 2 * np.array(claimed))) >= 0.8
    assert statistical_lcd(np.zeros((20, 20)), 1.0, [9.0]).thresholds[0].status == "not_measurable"
