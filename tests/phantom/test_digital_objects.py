"""Objects and blur against closed forms, scipy's distributions and brute-force averages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from dose_audit.phantom.digital.objects import BarGroup, Disc, Ellipse, HalfPlane, Rectangle
from dose_audit.phantom.digital.psf import (
    Blur,
    blurred_disc,
    coltman_ctf,
    disc_mtf,
    edge_through_pixel,
    frequency_at,
    gaussian_integral,
    gaussian_mtf,
    sphere_mtf,
)
from dose_audit.phantom.digital.render import Scene, render_image


def image_of(shape, sigma, spacing=0.25, n=120, aperture=False):
    scene = Scene(0.0)
    scene.add(shape, contrast=1.0)
    return render_image(scene, shape=(n, n), spacing_mm=spacing, psf_sigma_mm=sigma, aperture=aperture)


@pytest.mark.parametrize("radius", [0.2, 1.0, 7.5, 80.0])
def test_blurred_disc_is_the_noncentral_chi_square_distribution(radius):
    r = np.linspace(max(0.0, radius - 3), radius + 3, 41)
    sigma = 0.5
    expected = stats.ncx2.cdf((radius / sigma) ** 2, 2, (r / sigma) ** 2 + 1e-12)
    np.testing.assert_allclose(blurred_disc(r, radius, sigma), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (Disc(1.3, -2.1, 12.2), math.pi / 4 * 12.2**2),
        (Disc(0.1, 0.2, 0.4), math.pi / 4 * 0.4**2),
        (Ellipse(0.4, 0.7, 20.0, 11.0, 33.0), math.pi / 4 * 220.0),
        (Rectangle(1.0, 2.0, 14.0, 3.0, 27.0), 42.0),
        (BarGroup(0.0, 0.5, 0.5, 4, 9.0, 15.0), 4 * 9.0 * 1.0),
    ],
)
@pytest.mark.parametrize("aperture", [False, True])
def test_blur_keeps_the_area(shape, area, aperture):
    assert image_of(shape, 0.5, 0.5, 64, aperture).sum() * 0.5**2 == pytest.approx(area, rel=2e-4)
    assert shape.area_mm2 == pytest.approx(area)


def test_blur_adds_its_variance_to_the_second_moment():
    image = image_of(Rectangle(0, 0, 6.0, 2.0), (0.8, 0.5))
    x = (np.arange(120) - 59.5) * 0.25
    weights = image.sum(axis=0) / image.sum()
    assert (weights * x**2).sum() == pytest.approx(6.0**2 / 12 + 0.8**2, rel=1e-6)
    weights = image.sum(axis=1) / image.sum()
    assert (weights * x**2).sum() == pytest.approx(2.0**2 / 12 + 0.5**2, rel=1e-6)


@pytest.mark.parametrize("blur", [Blur.of(0.6), Blur.of((0.9, 0.4)), Blur(0.5, 0.3, 0.2)])
@pytest.mark.parametrize("shape", [Disc(0.3, -0.2, 5.0), Ellipse(0.1, 0.3, 7.0, 3.0, 40.0), HalfPlane(0.2, 0.1, 25.0)])
def test_blur_is_the_mean_over_a_gaussian_cloud(shape, blur):
    # A sum over the Gaussian's own plane: an independent way to the same number.
    node = np.linspace(-5.5, 5.5, 601)
    weight = np.exp(-(node**2) / 2)
    factor = np.linalg.cholesky([[blur.xx, blur.xy], [blur.xy, blur.yy]])
    u, v = np.meshgrid(node, node)
    w = np.outer(weight, weight) / weight.sum() ** 2
    dx, dy = factor[0, 0] * u, factor[1, 0] * u + factor[1, 1] * v
    for x, y in ((0.0, 0.0), (2.4, 0.1), (1.0, 2.0), (3.6, -1.2)):
        inside = shape.distance(x + dx, y + dy) < 0
        value = shape.blurred(np.array([x]), np.array([y]), blur)[0]
        assert value == pytest.approx((w * inside).sum(), abs=0.002)


def test_edge_is_the_error_function():
    d = np.linspace(-2, 2, 9)
    expected = [0.5 * (1 + math.erf(v / (math.sqrt(2) * 0.4))) for v in d]
    shape = HalfPlane(0, 0, 0.0)
    np.testing.assert_allclose(shape.blurred(d, np.zeros(9), Blur.of(0.4)), expected, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1.5, 8.0, 45.0])
@pytest.mark.parametrize("spacing", [(0.15, 0.15), (0.1, 0.2)])
def test_pixel_aperture_of_an_edge_is_the_average_over_the_pixel(angle, spacing):
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    fine = (np.arange(400) + 0.5) / 400 - 0.5
    inner = c * fine[None, :] * spacing[1] + s * fine[:, None] * spacing[0]
    for d in (-0.3, -0.05, 0.0, 0.02, 0.17):
        expected = gaussian_integral(d + inner, 0.1, 1).mean()
        assert edge_through_pixel(d, 0.1, spacing[1] * c, spacing[0] * s) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "shape", [Disc(0.1, 0.05, 2.0), Rectangle(0.1, 0.2, 2.5, 1.1, 20.0), BarGroup(0, 0, 1.0, 3, 2.0, 12.0)]
)
@pytest.mark.parametrize("sigma", [0.0, 0.12])
def test_pixel_aperture_of_flat_objects_is_the_average_over_the_pixel(shape, sigma):
    coarse = image_of(shape, sigma, spacing=0.2, n=25, aperture=True)
    n = 20
    fine = image_of(shape, sigma, spacing=0.2 / n, n=25 * n).reshape(25, n, 25, n).mean(axis=(1, 3))
    np.testing.assert_allclose(coarse, fine, atol=2e-4 if sigma else 0.03)


def test_gaussian_integrals_are_each_others_derivatives():
    x = np.linspace(-3, 3, 2001)
    for order in (1, 2, 3, 4):
        slope = np.gradient(gaussian_integral(x, 0.7, order), x)
        np.testing.assert_allclose(slope[1:-1], gaussian_integral(x, 0.7, order - 1)[1:-1], atol=2e-5)


def test_spectra_of_objects_are_their_fourier_integrals():
    f, d = 0.7, 1.3
    x = np.linspace(-d / 2, d / 2, 200_001)
    chord = 2 * np.sqrt(np.maximum((d / 2) ** 2 - x**2, 0))
    wave = np.cos(2 * math.pi * f * x)
    assert disc_mtf(f, d) == pytest.approx(np.trapezoid(chord * wave, x) / np.trapezoid(chord, x), abs=1e-6)
    assert sphere_mtf(f, d) == pytest.approx(np.trapezoid(chord**2 * wave, x) / np.trapezoid(chord**2, x), abs=1e-6)


def test_coltman_sum_gives_the_modulation_of_a_blurred_square_wave():
    sigma, f = 0.2, 0.9
    scene = Scene(0.0)
    scene.add(BarGroup(0, 0, f, 31, 100.0), contrast=1.0)
    row = render_image(scene, shape=(1, 4001), spacing_mm=0.002, psf_sigma_mm=sigma)[0]
    modulation = (row.max() - row.min()) / (row.max() + row.min())
    # Coltman's sum holds at the middle of a bar: the extremes of the wave.
    assert coltman_ctf(f, lambda v: float(gaussian_mtf(v, sigma))) == pytest.approx(modulation, rel=2e-4)


def test_frequency_at_a_level():
    at = frequency_at(0.5, lambda f: float(gaussian_mtf(f, 0.15)), 5.0)
    assert at == pytest.approx(math.sqrt(math.log(2) / 2) / (math.pi * 0.15))
    assert frequency_at(0.5, lambda f: 1.0, 5.0) is None


def test_far_values_are_exact():
    assert image_of(Disc(0, 0, 30.0), 0.5, spacing=0.5, n=51)[25, 25] == pytest.approx(1.0, abs=1e-12)
    assert image_of(Disc(0, 0, 10.0), 0.5, spacing=0.5, n=51)[0, 0] == 0.0


def test_scene_wants_value_or_contrast():
    with pytest.raises(ValueError, match="either"):
        Scene(0.0).add(Disc(0, 0, 1.0))
    with pytest.raises(ValueError, match="negative"):
        Blur.of(-1.0)
