"""Slice profiles, ramps, wedges and balls against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dose_audit.phantom.digital import (
    Pose,
    Scene,
    SliceProfile,
    ramp_image,
    ramp_volume,
    render_image,
    render_volume,
    wedge_image,
)
from dose_audit.phantom.digital.objects import Disc, Rectangle
from dose_audit.phantom.digital.solids import Ball, Ramp

SHAPES = ("rect", "gauss", "triangular")


def width_at_half(values: np.ndarray, step: float) -> float:
    """Full width at half maximum by linear interpolation of both crossings."""
    half = values.max() / 2
    above = np.flatnonzero(values >= half)
    first, last = above[0], above[-1]
    left = first - (values[first] - half) / (values[first] - values[first - 1])
    right = last + (values[last] - half) / (values[last] - values[last + 1])
    return (right - left) * step


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.0, 0.4])
def test_profile_has_unit_area_its_width_and_its_variance(shape, sigma):
    profile, z = SliceProfile(3.0, shape), np.linspace(-15, 15, 30_001)
    pdf = profile.pdf(z, sigma)
    assert np.trapezoid(pdf, z) == pytest.approx(1.0, abs=1e-4)
    assert np.trapezoid(pdf * z**2, z) == pytest.approx(profile.variance_mm2 + sigma**2, rel=1e-3)
    if sigma == 0:
        assert width_at_half(pdf, z[1] - z[0]) == pytest.approx(3.0, abs=2e-3)
    cumulative = np.concatenate([[0.0], np.cumsum((pdf[1:] + pdf[:-1]) / 2) * (z[1] - z[0])])
    np.testing.assert_allclose(profile.cdf(z, sigma), cumulative, atol=2e-3)


def test_unknown_profiles_are_refused():
    with pytest.raises(ValueError, match="thickness"):
        SliceProfile(0.0)
    with pytest.raises(ValueError, match="unknown"):
        SliceProfile(1.0, "sinc")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("thickness", [1.0, 2.5, 5.0])
def test_a_ramp_shows_the_thickness_over_its_slope(shape, thickness):
    slope, sigma, step = math.tan(math.radians(23)), 0.002, 0.02
    scene = Scene(0.0)
    scene.add(Ramp(0, 0, 0, 0, slope, 60.0, 1.0, 0.001), contrast=1.0)
    row = render_image(
        scene, shape=(1, 2401), spacing_mm=step, psf_sigma_mm=sigma, profile=SliceProfile(thickness, shape)
    )[0]
    assert width_at_half(row, step) == pytest.approx(thickness / slope, abs=0.02)


@pytest.mark.parametrize(
    "pose", [Pose(), Pose(roll_deg=20.0), Pose(3.0, -2.0, 0.7, 5.0), Pose(tilt_x_deg=2.0), Pose(scale=1.02)]
)
def test_ramp_truth_is_what_is_drawn(pose):
    image, truth = ramp_image(4.0, pose=pose, sigma_mm=0.05, spacing_mm=0.5, shape=(400, 400), z_mm=0.3)
    for strip in truth["strips"]:
        angle = math.radians(strip["run_deg"])
        s = np.arange(-60, 60, 0.1)
        x, y = strip["centre_mm"][0] + s * math.cos(angle), strip["centre_mm"][1] + s * math.sin(angle)
        column, row = x / 0.5 + 199.5, y / 0.5 + 199.5
        from scipy.ndimage import map_coordinates

        profile = map_coordinates(image, [row, column], order=1)
        assert width_at_half(profile, 0.1) == pytest.approx(strip["fwhm_mm"], abs=0.35)
        assert (profile * s).sum() / profile.sum() == pytest.approx(0.0, abs=0.15)


def test_opposed_ramps_under_tilt_still_give_the_thickness_by_the_acr_formula():
    _, truth = ramp_image(5.0, pose=Pose(tilt_x_deg=1.0))
    upper, lower = (strip["fwhm_mm"] for strip in truth["strips"])
    assert abs(upper - lower) > 10
    # 0.2 L1 L2/(L1+L2) cancels the tilt to second order.
    assert 0.2 * upper * lower / (upper + lower) == pytest.approx(5.0, abs=0.01)


def test_thickness_and_spacing_are_independent():
    volume, truth = ramp_volume(2.0, 0.5, sigma_mm=0.3, spacing_mm=0.25, shape=(400, 200), background=0.0)
    assert truth["z_spacing_mm"] == 0.5
    assert truth["thickness_mm"] == 2.0
    middle = volume[truth["z_mm"].index(0.0)]
    row = round(-38.0 / 0.25 + 199.5)
    assert width_at_half(middle[row - 2 : row + 3].sum(axis=0), 0.25) == pytest.approx(2.0 / truth["slope"], rel=0.02)
    # Summed over slices half a millimetre apart, each place of the wire has its whole height.
    weight = volume.sum(axis=0)[row - 6 : row + 7].sum(axis=0) * 0.5
    assert weight[90:110].std() / weight[90:110].mean() < 0.01


def test_a_ball_has_its_volume_over_a_stack():
    scene = Scene(0.0)
    scene.add(Ball(1.0, -2.0, 0.4, 8.0), contrast=1.0)
    z = np.arange(-5.5, 6.01, 0.5)
    volume = render_volume(scene, shape=(80, 80), spacing_mm=0.25, z_mm=z, profile=SliceProfile(1.0), psf_sigma_mm=0.4)
    assert volume.sum(dtype=np.float64) * 0.25**2 * 0.5 == pytest.approx(math.pi / 6 * 8**3, rel=2e-3)


def test_the_end_of_a_slab_is_shared_by_weight():
    scene = Scene(0.0)
    scene.add(Disc(0, 0, 40.0), contrast=100.0, z=(-10.0, 0.0))
    values = [
        render_image(scene, shape=(5, 5), spacing_mm=1.0, profile=SliceProfile(4.0), z_mm=z)[2, 2]
        for z in (-3.0, -1.0, 0.0, 2.5)
    ]
    np.testing.assert_allclose(values, [100.0, 75.0, 50.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("displacement", [-3.0, 0.0, 1.3])
def test_wedges_differ_by_twice_the_displacement(displacement):
    image, truth = wedge_image(displacement, spacing_mm=0.5, shape=(400, 400), sigma_mm=0.2, thickness_mm=5.0)
    # A bar's length is its missing signal, whatever the slice's blur along it.
    lengths = []
    for x in (-2.8, 2.8):
        column = round(x / 0.5 + 199.5)
        missing = 1000.0 - image[:, column - 1 : column + 2].mean(axis=1)
        lengths.append(missing.sum() * 0.5 / 1000.0)
    assert lengths[1] - lengths[0] == pytest.approx(truth["bar_difference_mm"], abs=0.02)
    assert lengths[0] == pytest.approx(truth["left_bar"]["length_mm"], abs=0.05)


def test_ramps_need_a_slice_profile():
    scene = Scene(0.0)
    scene.add(Ramp(0, 0, 0, 0, 0.1, 10, 1, 1), contrast=1.0)
    with pytest.raises(TypeError, match="slice profile"):
        render_image(scene, shape=(8, 8), spacing_mm=1.0)
    with pytest.raises(ValueError, match="ramps are"):
        ramp_image(kind="ultrasound")


def test_windows_of_a_rectangle_are_extruded_too():
    scene = Scene(0.0)
    scene.add(Rectangle(0, 0, 4.0, 4.0), contrast=1.0, z=(-1.0, 1.0))
    z = np.arange(-4, 4.01, 0.25)
    profile = SliceProfile(1.5, "gauss")
    volume = render_volume(scene, shape=(40, 40), spacing_mm=0.25, z_mm=z, profile=profile, psf_sigma_mm=0.3)
    assert volume.sum(dtype=np.float64) * 0.25**3 == pytest.approx(32.0, rel=1e-4)
