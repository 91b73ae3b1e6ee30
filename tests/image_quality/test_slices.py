"""Slice thickness and position against ramps, wires and wedges of known slice profile."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dose_audit.image_quality import (
    fit_slice_profile,
    mean_thickness,
    profile_shift,
    slice_position_bars,
    slice_thickness_crossed,
    slice_thickness_ramps,
    slice_thickness_wedge,
    slice_thickness_wire,
    strip_profile,
)
from dose_audit.image_quality.profile_shapes import plateau_shape
from dose_audit.image_quality.rician import dark_ground, rician_mean
from dose_audit.phantom.digital import Pose, ramp_image, ramp_volume, wedge_image

from .accuracy import SEEDS, errors_of


@pytest.mark.parametrize("thickness", [4.3, 5.0, 5.7])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_mr_ramps(thickness: float, noise: float) -> None:
    draw = np.random.default_rng(11)
    results = []
    for seed in range(SEEDS if noise else 2):
        roll = float(draw.uniform(-3, 3))
        image, _ = ramp_image(
            thickness,
            z_mm=float(draw.uniform(-1, 1)),
            noise_sd=noise * 1000 / thickness,
            rician_noise=True,
            background=20.0,
            pose=Pose(roll_deg=roll),
            seed=seed,
        )
        centre = (127.5, 127.5 + draw.uniform(-3, 3))
        results.append((slice_thickness_ramps(image, 1.0, centre, angle_deg=roll, search_mm=0).thickness, thickness))
    assert errors_of(results).worst <= 0.05
    assert errors_of(results).covered(3.0) >= 0.9


@pytest.mark.parametrize(("profile", "limit"), [("gauss", 0.01), ("triangular", 0.05)])
def test_mr_ramps_of_a_profile_that_is_no_rectangle(profile: str, limit: float) -> None:
    # The slots are 1 mm high, which would widen these by 0.08 mm; a plateau laid through a triangle by 0.3 mm more.
    for thickness in (2.6, 3.4):
        image, _ = ramp_image(thickness, profile=profile, shape=(60, 160), spacing_mm=0.9, z_mm=0.3)
        found = slice_thickness_ramps(image, 0.9, (29.5, 79.5), search_mm=0).thickness
        assert found.status == "ok" and found.value is not None and found.uncertainty is not None
        assert abs(found.value - thickness) <= min(limit, 2 * found.uncertainty + 0.005)


@pytest.mark.parametrize("profile", ["gauss", "triangular"])
def test_mr_ramps_of_such_a_profile_in_noise(profile: str) -> None:
    results = []
    for seed in range(SEEDS):
        image, _ = ramp_image(
            2.6, profile=profile, shape=(60, 160), spacing_mm=0.9, z_mm=0.2 * (seed % 5) - 0.4,
            noise_sd=0.02 * 1000 / 2.6, rician_noise=True, seed=seed,
        )  # fmt: skip
        results.append((slice_thickness_ramps(image, 0.9, (29.5, 79.5), search_mm=0).thickness, 2.6))
    assert abs(errors_of(results).bias) <= 0.05
    assert errors_of(results).covered() >= 0.8


def test_mr_ramps_are_found_in_a_misplaced_rolled_insert() -> None:
    image, _ = ramp_image(5.0, noise_sd=5.0, pose=Pose(roll_deg=1.0))
    row, column = np.mgrid[:256, :256] - 127.5
    across = row * np.cos(np.radians(1.0)) - column * np.sin(np.radians(1.0))
    image = np.where(np.abs(across) > 5.5, 1000.0, image)
    shifted = np.roll(image, (4, -6), axis=(0, 1))
    result = slice_thickness_ramps(shifted, 1.0, (127.5, 127.5))
    assert result.thickness.value == pytest.approx(5.0, abs=0.05)


def test_a_tilted_phantom_leaves_the_harmonic_mean() -> None:
    tangent, tilt = 0.1, np.tan(np.radians(1.0))
    s = np.linspace(-60, 60, 241)
    one = fit_slice_profile(s, plateau_shape(s, 5.0 / (tangent + tilt), 1.0))
    two = fit_slice_profile(s, plateau_shape(s, 5.0 / (tangent - tilt), 1.0))
    assert slice_thickness_crossed(one, two, tangent=tangent).thickness.value == pytest.approx(5.0, abs=0.01)


def test_ramps_that_contradict_each_other_are_suspect() -> None:
    s = np.linspace(-60, 60, 241)
    one, two = (fit_slice_profile(s, plateau_shape(s, width, 1.0)) for width in (70.0, 20.0))
    thickness = slice_thickness_crossed(one, two, tangent=0.1).thickness
    assert thickness.status == "suspect" and "contradict" in thickness.reason
    wild = fit_slice_profile(s, np.sin(s / 3.0) + plateau_shape(s, 40.0, 1.0))
    assert slice_thickness_crossed(wild, wild, tangent=0.1).thickness.status == "suspect"


@pytest.mark.parametrize("profile", ["rect", "gauss", "triangular"])
def test_ct_wire_of_a_known_height_under_any_profile(profile: str) -> None:
    # A plateau laid through a triangle reads 8 % too wide; the wire's own 0.4 mm would add 0.08 mm to a peak.
    for thickness in (0.6, 1.0, 2.5, 5.0):
        image, _ = ramp_image(
            thickness, kind="ct", profile=profile, background=50.0, contrast=2000.0, spacing_mm=0.5, shape=(200, 200)
        )
        known = slice_thickness_wire(image, 0.5, (99.5 - 76, 99.5), 0.0, height_mm=0.4)
        assert known.status == "ok" and known.value == pytest.approx(thickness, abs=0.03)
        # Of a wire whose height is not known the uncertainty speaks.
        unknown = slice_thickness_wire(image, 0.5, (99.5 - 76, 99.5), 0.0)
        assert unknown.uncertainty is not None
        assert unknown.value == pytest.approx(thickness, abs=min(0.1, 2 * unknown.uncertainty + 0.01))


@pytest.mark.parametrize("profile", ["rect", "gauss"])
@pytest.mark.parametrize("thickness", [0.6, 1.0, 2.5, 5.0])
def test_ct_wire_on_one_slice_without_noise(thickness: float, profile: str) -> None:
    image, _ = ramp_image(
        thickness, kind="ct", profile=profile, z_mm=0.3, background=50.0, contrast=2000.0, spacing_mm=0.5
    )
    result = slice_thickness_wire(image, 0.5, (127.5 - 76 + 2, 125.0), 1.5)
    assert result.value == pytest.approx(thickness, abs=max(0.06, 0.005 * thickness))
    assert result.status == "ok"


@pytest.mark.parametrize("thickness", [1.0, 2.5])
def test_ct_wire_on_one_slice_in_noise(thickness: float) -> None:
    draw = np.random.default_rng(12)
    results = []
    for seed in range(2 * SEEDS):
        image, _ = ramp_image(
            thickness, kind="ct", z_mm=float(draw.uniform(-0.6, 0.6)), noise_sd=10.0, seed=seed, spacing_mm=0.5
        )
        place = (127.5 - 76 + draw.uniform(-3, 3), 127.5 + draw.uniform(-5, 5))
        results.append((slice_thickness_wire(image, 0.5, place, float(draw.uniform(-2, 2))), thickness))
    assert abs(errors_of(results).bias) <= 0.06
    assert errors_of(results).covered() >= 0.8


@pytest.mark.parametrize(("thickness", "spacing"), [(1.0, 0.75), (2.0, 1.0), (3.0, 1.5), (2.5, 2.5), (1.0, 3.0)])
def test_ct_thickness_does_not_follow_the_reconstruction_spacing(thickness: float, spacing: float) -> None:
    z = list(np.arange(-6.0, 6.1, spacing) + 0.2)
    volume, truth = ramp_volume(thickness, spacing, noise_sd=15.0, seed=3, z_mm=z)
    wires = [slice_thickness_wire(volume, 0.5, (127.5 + y, 125.0), 0.0, z_mm=truth["z_mm"]) for y in (-76, 76)]
    result = mean_thickness(wires)
    assert result.status == "ok"
    assert result.value == pytest.approx(thickness, abs=max(0.03 * thickness, 0.05))
    assert wires[0].details["tangent"] == pytest.approx(np.tan(np.radians(23.0)), rel=0.02)


def test_ct_thickness_in_noise_counts_every_slice_and_not_the_thin_ones() -> None:
    # Of fits that noise leaves open the narrow ones look sure: kept alone they read 1.2 mm as 0.9.
    z = list(np.arange(-6.0, 6.1, 1.9) + 0.2)
    for seed in (0, 3):
        volume, truth = ramp_volume(1.2, 1.9, noise_sd=28.0, seed=seed, z_mm=z)
        wires = [slice_thickness_wire(volume, 0.5, (127.5 + y, 125.0), 0.0, z_mm=truth["z_mm"]) for y in (-76, 76)]
        result = mean_thickness(wires)
        assert all(wire.details["slices_used"] == len(z) for wire in wires)
        assert result.status == "ok"
        assert result.uncertainty is not None and result.uncertainty < 0.15
        assert result.value == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize("noise", [0.0, 20.0])
def test_bars_of_the_crossed_wedges(noise: float) -> None:
    draw = np.random.default_rng(13)
    results = []
    for seed in range(2 * SEEDS if noise else 3):
        displacement = float(draw.uniform(-3, 3))
        image, truth = wedge_image(displacement, noise_sd=noise, seed=seed)
        found = slice_position_bars(image, 1.0, (71.5, 124.7), (71.5, 130.3), length_mm=30.0, width_mm=2.5)
        results.append((found.length_difference, truth["bar_difference_mm"]))
        assert found.offset.value == pytest.approx(displacement, abs=0.1)
    assert errors_of(results).worst <= (0.01 if noise == 0 else 0.2)
    if noise:
        assert errors_of(results).covered() >= 0.8


@pytest.mark.parametrize("thickness", [3.0, 5.0])
@pytest.mark.parametrize("profile", ["rect", "gauss"])
def test_wedge_thickness_with_the_image_blur_taken_off(thickness: float, profile: str) -> None:
    image, truth = wedge_image(0.4, thickness_mm=thickness, profile=profile)
    blur = float(np.hypot(truth["sigma_mm"], 1.0 / np.sqrt(12.0)))
    position, signal = strip_profile(image, (72.5, 124.7), 30.0, 3.0, 1.0, angle_deg=90.0)
    assert slice_thickness_wedge(position, signal, tangent=1.0, blur_mm=blur).value == pytest.approx(thickness, abs=0.1)


def test_shift_is_found_under_gain_and_ground() -> None:
    x = np.arange(0.0, 60.0, 0.5)
    first = 1 / (1 + np.exp(-(x - 25.0)))
    second = 40 + 3 / (1 + np.exp(-(x - 31.37)))
    assert profile_shift(x, first, second).value == pytest.approx(6.37, abs=0.005)


@pytest.mark.parametrize("level", [0.0, np.nan, 100.0])
def test_empty_images_are_not_measurable(level: float) -> None:
    image = np.full((128, 128), level)
    ramps = slice_thickness_ramps(image, 1.0, (64, 64))
    assert ramps.thickness.status == "not_measurable" and ramps.thickness.reason
    assert slice_thickness_wire(image, 1.0, (64, 64), 0.0).status == "not_measurable"
    assert slice_position_bars(image, 1.0, (40, 60), (40, 68)).offset.status == "not_measurable"
    assert slice_thickness_wedge(np.arange(30.0), np.full(30, level), tangent=1.0).status == "not_measurable"


def test_pure_noise_yields_no_sound_thickness() -> None:
    noise = np.random.default_rng(14).normal(100.0, 10.0, (128, 128))
    assert slice_thickness_wire(noise, 1.0, (64, 64), 0.0).status != "ok"
    assert slice_thickness_ramps(noise, 1.0, (64, 64)).thickness.status != "ok"


@pytest.mark.parametrize("thickness", [4.3, 5.0, 5.7])
def test_ramps_are_not_shortened_by_the_noise_of_a_magnitude_image(thickness: float) -> None:
    """Noise of 10 % lifts the dark ground and with it the half maximum: uncorrected, the ramps read more than 0.06 mm low."""
    column = np.arange(160.0)[None, :] * np.ones((40, 1))
    truth, sd = 200.0 * plateau_shape(column - 79.6, thickness / 0.1, 2.0), 20.0
    results = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        image = np.hypot(truth + random.normal(0, sd, truth.shape), random.normal(0, sd, truth.shape))
        results.append((slice_thickness_ramps(image, 1.0, (20.0, 79.6), search_mm=0.0).thickness, thickness))
    assert abs(errors_of(results).bias) < 0.03
    assert errors_of(results).covered() >= 0.8
    assert results[0][0].details["channel_noise"] == pytest.approx(sd, rel=0.1)


def test_signed_noise_and_a_bright_ground_are_left_as_they_are() -> None:
    random = np.random.default_rng(3)
    column = np.arange(160.0)[None, :] * np.ones((40, 1))
    for ground in (0.0, 400.0):
        image = ground + 200.0 * plateau_shape(column - 79.6, 50.0, 2.0) + random.normal(0, 20.0, (40, 160))
        thickness = slice_thickness_ramps(image, 1.0, (20.0, 79.6), search_mm=0.0).thickness
        assert thickness.details["channel_noise"] is None
        assert thickness.value == pytest.approx(5.0, abs=0.1)


def test_mean_magnitude_is_that_of_the_rice_distribution() -> None:
    signal = np.array([0.0, 0.5, 2.0, 7.0, 30.0])
    assert rician_mean(2.5 * signal, 2.5) == pytest.approx(stats.rice.mean(signal, scale=2.5), rel=1e-9)


@pytest.mark.parametrize("signal", [0.0, 2.0, 5.0])
def test_a_dark_ground_is_told_from_an_empty_one(signal: float) -> None:
    random = np.random.default_rng(4)
    pixels = stats.rice.rvs(signal, scale=3.0, size=400, random_state=random)
    found = dark_ground(pixels, random.normal(0.0, 3.0, 100).std(), 99)
    assert found is not None
    assert found.noise_sd == pytest.approx(3.0, rel=0.1)
    assert found.signal == pytest.approx(3.0 * signal, abs=0.6)
