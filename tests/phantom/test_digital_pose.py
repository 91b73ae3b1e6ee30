"""A pose moves what is drawn to where it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dose_audit.phantom.digital import Pose, Scene, SliceProfile, placements, recipe, render_image
from dose_audit.phantom.digital.objects import Disc
from dose_audit.phantom.digital.pose import pixel_of

POSES = [
    Pose(),
    Pose(30.0, -30.0, 5.0, 180.0),
    Pose(-12.3, 7.7, -20.0, -47.0, 2.0, -2.0),
    Pose(5.0, 5.0, 0.0, 90.0, -1.5, 0.5, 0.98),
    Pose(0.0, 2.0, 3.0, 10.0, 0.0, 1.0, (1.02, 0.98), True),
]


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("spacing", [(0.8, 0.8), (0.6, 0.9)])
@pytest.mark.parametrize("z", [0.0, 25.0])
def test_the_centre_of_gravity_lies_where_the_pose_says(pose, spacing, z):
    scene, shape = Scene(0.0), (260, 240)
    scene.add(Disc(30.0, 14.0, 9.0), contrast=1.0)
    image = render_image(
        scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=1.2, pose=pose, profile=SliceProfile(2.0), z_mm=z
    )
    rows, columns = np.indices(shape)
    found = (image * rows).sum() / image.sum(), (image * columns).sum() / image.sum()
    np.testing.assert_allclose(found, pixel_of(*pose.in_slice(30.0, 14.0, z), shape, spacing), atol=0.02)


@pytest.mark.parametrize("pose", POSES)
def test_back_and_forth(pose):
    points = np.random.default_rng(1).normal(0, 50, (20, 3))
    np.testing.assert_allclose(pose.to_phantom(pose.to_image(points)), points, atol=1e-9)


def test_roll_turns_clockwise_on_screen_and_tilt_leans_the_far_end():
    x, y, _ = Pose(roll_deg=30.0).to_image([10.0, 0.0, 0.0])
    assert (x, y) == pytest.approx((10 * math.cos(math.pi / 6), 5.0))  # y points down
    x, y, _ = Pose(tilt_x_deg=2.0).to_image([0.0, 0.0, 100.0])
    assert (x, y) == pytest.approx((100 * math.sin(math.radians(2)), 0.0))
    assert Pose(tilt_y_deg=2.0).to_image([0.0, 0.0, 100.0])[1] == pytest.approx(100 * math.sin(math.radians(2)))


def test_end_for_end_mirrors_left_and_right_and_runs_back():
    assert Pose(end_for_end=True).to_image([10.0, 5.0, 20.0]).tolist() == [-10.0, 5.0, -20.0]


def test_a_tilted_cylinder_keeps_its_area_in_the_slice():
    scene = Scene(0.0)
    scene.add(Disc(0, 0, 60.0), contrast=1.0)
    for tilt in (0.0, 2.0, 10.0):
        image = render_image(
            scene,
            shape=(200, 200),
            spacing_mm=0.5,
            psf_sigma_mm=0.5,
            pose=Pose(tilt_x_deg=tilt),
            profile=SliceProfile(1.0),
        )
        expected = math.pi * 900 / math.cos(math.radians(tilt))  # an ellipse, longer by 1/cos
        assert image.sum() * 0.25 == pytest.approx(expected, rel=1e-4)


def test_scale_makes_things_larger_in_both_directions():
    scene = Scene(0.0)
    scene.add(Disc(0, 0, 40.0), contrast=1.0)
    image = render_image(scene, shape=(160, 160), spacing_mm=0.5, psf_sigma_mm=0.5, pose=Pose(scale=(1.02, 0.98)))
    assert image[80].sum() * 0.5 == pytest.approx(40.8, abs=0.03)
    assert image[:, 80].sum() * 0.5 == pytest.approx(39.2, abs=0.03)


def test_slices_of_an_upright_phantom_are_the_same_as_one_by_one():
    from dose_audit.phantom.digital import render_volume

    scene = Scene(-1000.0)
    scene.add(Disc(0, 0, 40.0), value=0.0, z=(-5.0, 5.0))
    scene.add(Disc(8, 3, 6.0), contrast=300.0, z=(-2.0, 3.0))
    z, kwargs = (
        np.arange(-7, 7.1, 1.0),
        {"shape": (64, 64), "spacing_mm": 0.8, "psf_sigma_mm": 0.7, "profile": SliceProfile(2.0)},
    )
    volume = render_volume(scene, z_mm=z, pose=Pose(2.0, 1.0, 0.5, 30.0), **kwargs)
    for k in (0, 4, 9):
        single = render_image(scene, z_mm=z[k], pose=Pose(2.0, 1.0, 0.5, 30.0), **kwargs)
        np.testing.assert_allclose(volume[k], single, atol=2e-4)


def test_placements_stay_within_their_ranges_and_cover_the_modules():
    phantom = recipe("catphan504")
    drawn = list(placements(phantom, 60, seed=3))
    assert {p.pose.end_for_end for p in drawn} == {True, False}
    assert any(p.acquisition.z_mm[0] > p.acquisition.z_mm[-1] for p in drawn)
    assert any(p.acquisition.effects.table for p in drawn)
    for placement in drawn:
        pose, acquisition = placement.pose, placement.acquisition
        assert max(abs(pose.x_mm), abs(pose.y_mm), abs(pose.z_mm)) <= 30
        assert max(abs(pose.tilt_x_deg), abs(pose.tilt_y_deg)) <= 2
        assert 180 <= acquisition.spacing_mm[0] * 512 <= 500
        assert 3 <= acquisition.noise.sd <= 60
        for along in phantom.modules.values():
            assert min(acquisition.z_mm) < pose.to_image([0.0, 0.0, along])[2] < max(acquisition.z_mm)
    with pytest.raises(ValueError, match="projection"):
        next(placements(recipe("flat-dx"), 1))
