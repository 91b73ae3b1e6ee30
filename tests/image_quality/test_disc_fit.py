"""Crowded low-contrast sets against what an ideal observer, who knows disc, background and noise, is expected to count."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import stats

from dose_audit.image_quality import low_contrast_fitted
from dose_audit.image_quality.disc_fit import background_criteria, fit_discs, plane_shapes, ring_shapes
from dose_audit.phantom.digital import NoisePowerSpectrum, noise_image
from dose_audit.phantom.digital.metric.noise import detectability
from dose_audit.phantom.digital.objects import Disc
from dose_audit.phantom.digital.pose import pixel_of
from dose_audit.phantom.digital.recipes.acr_mri import LCD_DIAMETERS_MM, LCD_RADII_MM
from dose_audit.phantom.digital.render import Scene, render_image

from .accuracy import SEEDS

SHAPE, SPACING, SIGMA = (100, 100), (0.9766, 0.9766), 0.45
DIAMETERS = [diameter for diameter in LCD_DIAMETERS_MM for _ in LCD_RADII_MM]
SPOKES = [range(3 * spoke, 3 * spoke + 3) for spoke in range(10)]
AT_MM = [
    (radius * np.cos(angle), radius * np.sin(angle))
    for angle in np.radians(-90.0 + 36.0 * np.arange(10))
    for radius in LCD_RADII_MM
]
PLACES = [pixel_of(x, y, SHAPE, SPACING) for x, y in AT_MM]
CENTRE = pixel_of(0.0, 0.0, SHAPE, SPACING)
ROW, COLUMN = np.mgrid[: SHAPE[0], : SHAPE[1]]
INSIDE = np.hypot(ROW - CENTRE[0], COLUMN - CENTRE[1]) * SPACING[0] < 42.5
SHAPES = [*plane_shapes(SHAPE), *ring_shapes(SHAPE, CENTRE, 43.0, SPACING)]


def spokes(contrast: float) -> np.ndarray:
    scene = Scene(0.0)
    for (x, y), diameter in zip(AT_MM, DIAMETERS, strict=True):
        scene.add(Disc(x, y, diameter), contrast=contrast)
    return np.asarray(render_image(scene, shape=SHAPE, spacing_mm=SPACING, psf_sigma_mm=SIGMA))


@lru_cache
def single_discs() -> np.ndarray:
    """Each disc by itself, of unit contrast."""
    scenes = []
    for (x, y), diameter in zip(AT_MM, DIAMETERS, strict=True):
        scene = Scene(0.0)
        scene.add(Disc(x, y, diameter), contrast=1.0)
        scenes.append(render_image(scene, shape=SHAPE, spacing_mm=SPACING, psf_sigma_mm=SIGMA))
    return np.array(scenes)


def ideal(noise: np.ndarray, contrast: float, spectrum: NoisePowerSpectrum) -> int:
    """Spokes that the ideal observer of the same noise counts, who knows the discs, the background and the spectrum.

    Its template is each disc prewhitened. Noise alone shows it a spoke of three discs with a chance of 0.001, one with 0.1.
    """
    d_prime = [detectability(diameter, contrast, SIGMA, spectrum, SPACING)[1] or 0.0 for diameter in LCD_DIAMETERS_MM]
    rows, columns = (np.fft.fftfreq(size, step) for size, step in zip(SHAPE, SPACING, strict=True))
    power = np.asarray(spectrum(np.hypot(rows[:, None], columns[None, :]), SPACING))
    power = np.maximum(power, 1e-9 * power.max())
    templates = np.fft.fft2(single_discs()).conj() / power
    templates[:, 0, 0] = 0.0
    spread = np.sqrt((np.abs(templates) ** 2 * power).sum(axis=(1, 2)) * ROW.size / np.prod(SPACING))
    output = np.real((templates * np.fft.fft2(noise)).sum(axis=(1, 2))) / spread
    seen = (np.repeat(d_prime, 3) + output > stats.norm.isf(0.1)).reshape(10, 3).all(axis=1)
    return int(np.argmin(seen)) if not seen.all() else 10


@pytest.mark.parametrize(
    ("contrast", "spectrum"),
    [
        (14.0, NoisePowerSpectrum(12.0)),
        (36.0, NoisePowerSpectrum(12.0)),
        (20.0, NoisePowerSpectrum(12.0, 0.35)),
        (36.0, NoisePowerSpectrum(12.0, 0.35)),
    ],
    ids=["faint", "white", "faint, coloured", "coloured"],
)
def test_as_many_spokes_as_the_ideal_observer(contrast: float, spectrum: NoisePowerSpectrum) -> None:
    clean = spokes(contrast) + 0.02 * ROW + 3e-3 * (COLUMN - 40.0) ** 2
    off = []
    for seed in range(SEEDS):
        noise = noise_image(spectrum, shape=SHAPE, spacing_mm=SPACING, seed=seed)[0]
        found = low_contrast_fitted(
            clean + noise, SPACING, PLACES, DIAMETERS, region=INSIDE, shapes=SHAPES, groups=SPOKES, consecutive=True,
            blur_mm=0.4,
        )  # fmt: skip
        assert found.count.status == "ok" and found.count.value is not None
        off.append(found.count.value - ideal(noise, contrast, spectrum))
    assert abs(float(np.mean(off))) <= 1.0
    assert float(np.mean(np.abs(off) <= 1)) >= 0.6


def test_contrasts_are_unbiased_and_their_uncertainty_is_honest() -> None:
    clean, off = spokes(20.0), []
    for seed in range(SEEDS):
        image = clean + noise_image(NoisePowerSpectrum(12.0, 0.35), shape=SHAPE, spacing_mm=SPACING, seed=seed)[0]
        fitted = fit_discs(image, SPACING, PLACES, DIAMETERS, region=INSIDE, shapes=SHAPES, blur_mm=SIGMA)
        assert not isinstance(fitted, str)
        off.append((fitted.contrasts - 20.0) / fitted.uncertainties)
    assert abs(float(np.mean(off))) <= 0.3
    assert 0.85 <= float(np.std(off)) <= 1.15


def test_noise_alone_shows_no_spokes() -> None:
    for seed in range(SEEDS):
        image = noise_image(10.0, shape=SHAPE, spacing_mm=SPACING, seed=seed)[0]
        found = low_contrast_fitted(
            image, SPACING, PLACES, DIAMETERS, region=INSIDE, shapes=SHAPES, groups=SPOKES, consecutive=True
        )
        assert found.count.value == 0


def test_a_sequence_is_tested_at_its_level_and_the_rest_at_a_false_discovery_rate() -> None:
    """A disc with p between the level and Benjamini-Hochberg's stricter limit counts in a sequence only."""
    image = noise_image(1.0, shape=(120, 200), spacing_mm=1.0, seed=3)[0]
    places = [(60.0, 25.0 + 30.0 * k) for k in range(6)]
    fitted = fit_discs(
        image, 1.0, places, [8.0] * 6, region=np.ones((120, 200), bool), shapes=plane_shapes((120, 200), 2)
    )
    assert not isinstance(fitted, str)
    row, column = np.mgrid[:120, :200]
    # The first disc is raised to d' = 2.8: p = 0.0026, below 0.01 and above 0.01/6.
    lift = 2.8 * fitted.uncertainties[0] - fitted.contrasts[0]
    image = image + lift * (np.hypot(row - 60.0, column - 25.0) < 4.0)
    counts = [
        low_contrast_fitted(
            image, 1.0, places, [8.0] * 6, region=np.ones((120, 200), bool), shapes=plane_shapes((120, 200), 2),
            significance=0.01, consecutive=consecutive,
        ).count.value
        for consecutive in (True, False)
    ]  # fmt: skip
    assert counts == [1.0, 0.0]


def test_backgrounds_compared_by_one_matrix_have_the_criteria_of_their_fits() -> None:
    image = np.random.default_rng(4).normal(1000.0, 5.0, SHAPE) + 0.02 * (ROW - 40.0) ** 2
    planes = plane_shapes(SHAPE, 6)
    rings = ring_shapes(SHAPE, CENTRE, 43.0, SPACING)
    by_order = [[k for k, (i, j) in enumerate(_orders(6)) if i + j <= order] for order in (1, 2, 4, 6)]
    choices = [[*planes_of, *range(len(planes), len(planes) + len(rings))] for planes_of in by_order]
    how = {"region": INSIDE, "blur_mm": 0.4}
    found = background_criteria(image, SPACING, PLACES, DIAMETERS, shapes=[*planes, *rings], choices=choices, **how)
    for choice, criterion in zip(choices, found, strict=True):
        shapes = [[*planes, *rings][k] for k in choice]
        fitted = fit_discs(image, SPACING, PLACES, DIAMETERS, shapes=shapes, white=True, **how)
        assert not isinstance(fitted, str)
        # The two scale the image differently: criteria are equal but for one constant.
        assert criterion - found[0] == pytest.approx(
            fitted.criterion - _first(image, choices[0], planes, rings), abs=1e-3
        )
    assert int(np.argmin(found)) == 1


def _orders(order: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]


def _first(image: np.ndarray, choice: list[int], planes: list, rings: list) -> float:
    shapes = [[*planes, *rings][k] for k in choice]
    fitted = fit_discs(image, SPACING, PLACES, DIAMETERS, shapes=shapes, region=INSIDE, blur_mm=0.4, white=True)
    assert not isinstance(fitted, str)
    return fitted.criterion
