"""Every recipe is rendered, and its features show the values that its table says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dose_audit.phantom.digital import NoiseModel, Pose, recipe
from dose_audit.phantom.digital.recipes import KINDS
from dose_audit.phantom.digital.truth import feature_truth, mean_in_disc
from dose_audit.phantom.digital.writing import clean_images, magnified

# Objects that a slice or a blur shows only in part.
PARTIAL = (
    "wire",
    "bead",
    "lp/cm",
    "lp/mm",
    "bars",
    "holes",
    "ramp",
    "plate",
    "marker",
    "line",
    "fibre",
    "node",
    "speck",
    "square",
)


def flat_features(phantom):
    """Features wide enough to show their full value in the middle, of one slice or projection."""
    sigma = phantom.acquisition.psf_sigma_mm
    return [
        f
        for f in phantom.features
        if f.value is not None
        and not any(word in f.name for word in PARTIAL)
        and f.size_mm[0] > max(8 * sigma, 3 * max(phantom.acquisition.spacing_mm))
        and "sub-slice" not in f.name
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_features_show_their_values(kind):
    phantom = recipe(kind)
    still = replace(phantom.acquisition.effects, cupping_hu=0.0, bias=(0.0, 0.0, 0.0), ghost_fraction=0.0)
    acquisition = replace(phantom.acquisition, noise=NoiseModel(), aperture=False, effects=still)
    features = flat_features(phantom)
    # One slice is enough: that of the feature in the middle of the list.
    pose = Pose(1.3, -0.7, 0.0, 5.0)
    chosen = features[len(features) // 2 : len(features) // 2 + 1]
    z = (float(pose.to_image([0, 0, chosen[0].z_mm])[2]),) if chosen else acquisition.z_mm[:1]
    if acquisition.z_mm:
        acquisition = replace(acquisition, z_mm=z)
    image = next(clean_images(phantom, acquisition, pose))
    assert np.isfinite(image).all()
    assert image.max() > image.min() or kind in ("flat-dx", "flat-cr", "pmma")
    placed = magnified(pose, acquisition)
    for feature in features:
        if acquisition.z_mm and abs(feature.z_mm - chosen[0].z_mm) > 0.1:
            continue
        _, at = feature_truth(feature, placed, acquisition, z[0] if acquisition.z_mm else None)
        diameter = 0.4 * feature.size_mm[0]
        found = mean_in_disc(image, at, diameter, acquisition.spacing_mm)
        if found is None:  # outside the image
            continue
        scale = max(abs(feature.value), 100.0)
        assert found == pytest.approx(feature.value, abs=0.004 * scale), feature.name


@pytest.mark.parametrize(
    "kind", ["catphan500", "catphan503", "catphan504", "catphan600", "catphan604", "catphan700", "acr464"]
)
def test_ct_chains_are_ordered_and_covered(kind):
    phantom = recipe(kind)
    z = phantom.acquisition.z_mm
    assert all(b > a for a, b in pairwise(z))
    assert all(min(z) < along < max(z) for along in phantom.modules.values())
    slabs = phantom.expected.get("slabs", {})
    for name, (low, high, _) in slabs.items():
        assert low < phantom.modules[name] < high


def test_slabs_of_a_catphan_do_not_overlap():
    for kind in ("catphan500", "catphan503", "catphan504", "catphan600", "catphan604", "catphan700"):
        slabs = sorted(tuple(s) for s in recipe(kind).expected["slabs"].values())
        assert all(a[1] <= b[0] for a, b in pairwise(slabs)), kind


def test_the_acr_spokes_lie_in_their_ring_and_turn_by_nine_degrees():
    phantom = recipe("acr-mri-large")
    spokes = [f for f in phantom.features if f.name.startswith("lcd")]
    assert len(spokes) == 4 * 10 * 3
    first = {f.module: f.more["theta_deg"] for f in spokes if "spoke 1 disc 1" in f.name}
    assert [first[f"slice {k}"] for k in (8, 9, 10, 11)] == [-90.0, -81.0, -72.0, -63.0]
    assert all(np.hypot(f.x_mm, f.y_mm - 8.6) + f.size_mm[0] / 2 < 44 for f in spokes)


def test_the_signal_of_an_mri_phantom_is_never_negative():
    for kind in ("acr-mri-large", "acr-mri-medium", "magnet-slice-width", "magnet-resolution"):
        phantom = recipe(kind)
        for image in clean_images(phantom, phantom.acquisition, Pose()):
            assert image.min() > -1e-6


def test_bars_of_the_gauge_do_not_touch_their_neighbours():
    phantom = recipe("catphan504")
    groups = [f for f in phantom.features if "lp/cm" in f.name]
    for a, b in pairwise(groups):
        apart = np.hypot(a.x_mm - b.x_mm, a.y_mm - b.y_mm)
        half = sum((2 * f.more["bars"] - 1) / (4 * f.more["frequency_per_mm"]) for f in (a, b))
        assert half < apart
