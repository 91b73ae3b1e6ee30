"""The one-call metric phantoms: their truth against an independent way to the same number."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.signal import fftconvolve

from dose_audit.phantom.digital import (
    NoisePowerSpectrum,
    bar_image,
    bead_image,
    ct_water_image,
    disc_image,
    edge_image,
    flat_field,
    low_contrast_image,
    mr_repeat_pair,
    mr_uniform_image,
    nm_flood,
    node_image,
    outline_image,
    ramp_image,
    wire_image,
)
from dose_audit.phantom.digital.metric.edge import edge_profile
from dose_audit.phantom.digital.noise import coloured_noise


@pytest.mark.parametrize("angle", [-5.0, 1.5, 3.0, 8.0])
@pytest.mark.parametrize("axis", ["vertical", "horizontal"])
@pytest.mark.parametrize("polarity", [1, -1])
def test_edge_pixels_are_the_edge_spread_function(angle, axis, polarity):
    image, truth = edge_image(angle, axis=axis, polarity=polarity, shape=(64, 64), offset_mm=0.04, sigma_mm=0.12)
    n = math.radians(truth["normal_deg"])
    y, x = (np.indices((64, 64)) - 31.5) * 0.15
    d = (x * math.cos(n) + y * math.sin(n) - 0.04) * polarity
    np.testing.assert_allclose(image, edge_profile(truth, d), atol=1e-6)
    # Bright where it should be.
    right_or_below = image[:, -1].mean() if axis == "vertical" else image[-1].mean()
    assert (right_or_below > 2000) == (polarity == 1)


def test_edge_mtf_is_the_transform_of_the_derivative():
    _, truth = edge_image(4.0, sigma_mm=0.1, spacing_mm=(0.12, 0.15), veil_fraction=0.0)
    d = np.linspace(-3, 3, 60_001)
    lsf = np.gradient(edge_profile(truth, d), d)
    for f, expected in list(zip(truth["frequency_per_mm"], truth["mtf"], strict=True))[::16]:
        found = abs(np.trapezoid(lsf * np.exp(-2j * math.pi * f * d), d)) / np.trapezoid(lsf, d)
        assert found == pytest.approx(expected, abs=1e-5)


def test_mtf50_of_a_gaussian():
    _, truth = edge_image(sigma_mm=0.15, aperture=False)
    assert truth["mtf50_per_mm"] == pytest.approx(math.sqrt(math.log(2) / 2) / (math.pi * 0.15))
    _, veiled = edge_image(sigma_mm=0.15, veil_fraction=0.1, veil_sigma_mm=3.0)
    assert veiled["mtf"][20] == pytest.approx(0.9 * edge_image(sigma_mm=0.15)[1]["mtf"][20], rel=1e-6)


@pytest.mark.parametrize("maker", [wire_image, bead_image])
def test_point_images_have_their_peak_plane_and_spread(maker):
    image, truth = maker(0.4, 0.1, centre_mm=(0.13, -0.22), background=50.0, diameter_mm=0.3, shape=(80, 80))
    row, column = truth["centre_row_column"]
    assert map_coordinates(image, [[row], [column]], order=5)[0] == pytest.approx(550.0, abs=0.2)
    weight = (image - 50.0) / (image - 50.0).sum()
    rows, columns = np.indices(image.shape)
    assert (weight * rows).sum() == pytest.approx(row, abs=1e-3)
    spread = (weight * (columns - column) ** 2).sum() * 0.01
    size = 0.3**2 / 16 if maker is wire_image else 0.3**2 / 20  # second moments of a disc, of a ball
    assert spread == pytest.approx(0.16 + size, rel=1e-3)
    # The transform of the image along x is the MTF with the object's size in it.
    line = weight.sum(axis=0)
    for k in (10, 30):
        f = truth["frequency_per_mm"][k]
        found = abs((line * np.exp(-2j * math.pi * f * columns[0] * 0.1)).sum())
        assert found == pytest.approx(truth["mtf_with_wire"][k], abs=1e-4)


def test_disc_integral_and_cnr():
    image, truth = disc_image(9.0, -40.0, background=60.0, noise_sd=0.0, centre_mm=(0.2, 0.3), aperture=True)
    assert (image - 60.0).sum() * 0.25 == pytest.approx(truth["integral"], rel=1e-4)
    _, truth = disc_image(contrast=-40.0, noise_sd=8.0)
    assert truth["cnr"] == 5.0


def roi_values(image, roi, spacing):
    """Values on a fine grid over a region of a bar image."""
    c, s = math.cos(math.radians(roi["angle_deg"])), math.sin(math.radians(roi["angle_deg"]))
    n = 4000
    u = (np.arange(n) + 0.5) / n * roi["across_mm"] - roi["across_mm"] / 2
    v = np.linspace(-0.4, 0.4, 5) * roi["along_mm"]
    x, y = c * u[None] - s * v[:, None], s * u[None] + c * v[:, None]
    row, column = roi["row_column"]
    return map_coordinates(image, [row + y / spacing, column + x / spacing], order=3)


@pytest.mark.parametrize("angle", [0.0, 12.0])
def test_bar_regions_have_the_variance_of_the_filtered_square_wave(angle):
    image, truth = bar_image((0.8, 1.5), 0.15, 0.1, angle_deg=angle)
    for group in truth["groups"]:
        values = roi_values(image, group["roi"], 0.1)
        assert values.var() == pytest.approx(group["variance"], rel=0.01)
        # Droege's estimator on the first harmonic alone, where the third has died away.
        if group["frequency_per_mm"] > 1:
            mtf = math.pi / math.sqrt(2) * math.sqrt(values.var()) / (truth["bar"] - truth["gap"])
            assert mtf == pytest.approx(group["mtf"], rel=0.005)
    assert roi_values(image, truth["solid_roi"], 0.1).mean() == pytest.approx(truth["bar"], rel=1e-6)
    assert roi_values(image, truth["gap_roi"], 0.1).mean() == pytest.approx(truth["gap"], rel=1e-4)


def test_piu_truth_is_the_extreme_of_square_centimetre_means():
    image, truth = mr_uniform_image(bias=(0.04, -0.06, 0.1), spacing_mm=0.5, shape=(400, 400), sigma_mm=0.01)
    radius = math.sqrt(100 / math.pi)
    y, x = (np.indices((400, 400)) - 199.5) * 0.5
    kernel = (x**2 + y**2 <= radius**2).astype(float)
    means = fftconvolve(image, kernel[::-1, ::-1] / kernel.sum(), mode="same")
    inside = np.hypot(x, y) <= 80.0 - radius - 0.5
    high, low = means[inside].max(), means[inside].min()
    assert truth["piu_percent"] == pytest.approx(100 * (1 - (high - low) / (high + low)), abs=0.1)


def test_a_ghost_fills_the_sides_by_its_fraction():
    image, truth = mr_uniform_image(ghost_fraction=0.02, phase="row")
    y, x = np.indices((256, 256)) - 127.5
    top = image[(y < -105) & (y > -120) & (abs(x) < 25)].mean()
    left = image[(x < -105) & (x > -120) & (abs(y) < 25)].mean()
    centre = image[np.hypot(x, y) < 20].mean()
    assert 100 * abs((2 * top - 2 * left) / (2 * centre)) == pytest.approx(truth["psg_percent"], abs=1e-6)


def test_repeat_pairs_have_the_nema_snr():
    first, second, truth = mr_repeat_pair(1000.0, 8.0, seed=3)
    part = np.s_[70:186, 70:186]
    snr = math.sqrt(2) * first[part].mean() / (first[part] - second[part]).std(ddof=1)
    assert snr == pytest.approx(truth["snr"], rel=0.02)
    assert first[:20, :20].mean() == pytest.approx(truth["mean_in_air"], rel=0.05)


def test_matched_filters_reach_the_stated_detectability():
    nps = NoisePowerSpectrum(8.0, 0.3)
    image, truth = low_contrast_image((6.0,), (5.0,), nps=nps, spacing_mm=0.5, background=0.0)
    clean, _ = low_contrast_image((6.0,), (5.0,), nps=NoisePowerSpectrum(0.0), spacing_mm=0.5, background=0.0)
    rng = np.random.default_rng(8)
    scores = [(coloured_noise(clean.shape, (0.5, 0.5), nps, rng) * clean).sum() for _ in range(600)]
    assert (clean**2).sum() / np.std(scores) == pytest.approx(truth["discs"][0]["d_npw"], rel=0.1)
    assert truth["discs"][0]["d_ideal"] > truth["discs"][0]["d_npw"]
    assert image.shape == clean.shape


def test_white_noise_makes_both_observers_one():
    _, truth = low_contrast_image((4.0, 8.0), (6.0,), nps=5.0, sigma_mm=0.5, spacing_mm=0.5)
    for disc in truth["discs"]:
        assert disc["d_npw"] == pytest.approx(disc["d_ideal"], rel=1e-9)
        # Unblurred, it is C sqrt(area/pixel)/sd; the blur takes some away.
        rose = disc["contrast"] * math.sqrt(math.pi / 4 * disc["diameter_mm"] ** 2 / 0.25) / 5.0
        assert 0.75 * rose < disc["d_npw"] < rose


def test_flat_field_defects_lie_where_they_are_said_to():
    image, truth = flat_field(
        shape=(200, 240),
        noise_sd=10.0,
        dead_pixels=7,
        hot_pixels=5,
        columns=(31,),
        rows=(77,),
        heel_percent=4.0,
        seed=9,
    )
    y = (np.arange(200) - 99.5) / 200
    expected = 2000 * (1 + 0.04 * y)[:, None] * np.ones((1, 240))
    away = image - expected
    for row, column in truth["dead_pixels"]:
        assert away[row, column] < -90 + 51 * (column == 31 or row == 77)
    for row, column in truth["hot_pixels"]:
        assert away[row, column] > 90
    assert away[:, 31].mean() == pytest.approx(50.0, abs=6)
    assert away[77].mean() == pytest.approx(50.0, abs=6)
    assert len({tuple(p) for p in truth["dead_pixels"] + truth["hot_pixels"]}) == 12


def test_water_follows_its_formula():
    image, truth = ct_water_image(cupping_hu=12.0, tilt_hu_per_mm=(0.02, 0.0), centre_mm=(3.0, -4.0))
    y, x = (np.indices((512, 512)) - 255.5) * 0.5
    x, y = x - 3.0, y + 4.0
    roi = np.hypot(x - 60.0, y) <= 10.0
    assert image[roi].mean() == pytest.approx(0.02 * 60 + 12 * (3600 + 50) / 1e4, abs=0.02)
    assert truth["centre_row_column"] == [255.5 - 8.0, 255.5 + 6.0]


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_outline_chords(angle):
    image, truth = outline_image(
        180.0, height_mm=150.0, angle_deg=angle, scale=(1.02, 0.98), spacing_mm=0.5, shape=(440, 440), signal=1.0
    )
    s = np.arange(-110, 110, 0.05)
    for direction in (0, 45, 90, 135):
        a = math.radians(direction)
        line = map_coordinates(image, [219.5 + s * math.sin(a) / 0.5, 219.5 + s * math.cos(a) / 0.5], order=1)
        assert line.sum() * 0.05 == pytest.approx(truth[f"diameter_{direction}_deg_mm"], abs=0.06)


def test_a_bubble_takes_the_top_away():
    image, _ = outline_image(190.0, bubble_mm=10.0, sigma_mm=0.3, signal=1.0)
    assert image[:, 128].sum() == pytest.approx(180.0, abs=0.1)
    assert image[128].sum() == pytest.approx(190.0, abs=0.1)


def test_nodes_lie_where_they_are_said_to():
    image, truth = node_image(40.0, grid=(3, 3), roll_deg=7.0, scale=(1.01, 0.99), barrel_per_mm2=2e-6, background=0.0)
    rows, columns = np.indices(image.shape)
    for node in truth["nodes"]:
        row, column = node["row_column"]
        near = np.hypot(rows - row, columns - column) < 14
        found = [(image * k * near).sum() / (image * near).sum() for k in (rows, columns)]
        np.testing.assert_allclose(found, [row, column], atol=0.01)


def test_floods_have_poisson_counts_and_their_bump():
    image, truth = nm_flood(4000.0, bump_percent=-8.0, bump_mm=(32.0, 0.0), seed=1)
    expected = np.array(truth["expected"])
    inside = expected > 0
    chi2 = ((image - expected)[inside] ** 2 / expected[inside]).sum()
    assert chi2 == pytest.approx(inside.sum(), rel=0.08)
    row, column = (round(v) for v in truth["bump_row_column"])
    assert expected[row, column] == pytest.approx(4000 * 0.92, rel=0.01)


@pytest.mark.parametrize(
    "maker",
    [edge_image, disc_image, wire_image, mr_uniform_image, ramp_image, outline_image, node_image, ct_water_image],
)
def test_truth_is_plain_data(maker):
    image, truth = maker()
    assert json.loads(json.dumps(truth, allow_nan=False))["kind"]
    assert image.dtype == np.float64
    assert np.isfinite(image).all()
