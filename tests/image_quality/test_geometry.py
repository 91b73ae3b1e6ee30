"""Diameters, outlines, inserts and nodes against analytic objects in random places."""

from __future__ import annotations

import numpy as np
import pytest

from dose_audit.image_quality import (
    affine_distortion,
    body_outline,
    circle_diameter,
    fit_circle,
    fit_ellipse,
    fit_insert,
    node_distances,
)
from dose_audit.phantom.digital import disc_image, node_image, outline_image

from .accuracy import SEEDS, errors_of


@pytest.mark.parametrize(
    ("bubble", "bias"), [(0.0, (0.0, 0.0, 0.0)), (8.0, (0.15, 0.1, -0.15)), (20.0, (0.3, 0.0, -0.3))]
)
@pytest.mark.parametrize("noise", [0.0, 20.0])
def test_diameter_with_a_bubble_and_a_receive_field(
    noise: float, bubble: float, bias: tuple[float, float, float]
) -> None:
    draw = np.random.default_rng(1)
    whole, vertical = [], []
    for seed in range(SEEDS if noise else 2):
        diameter = float(draw.uniform(188.0, 192.0))
        centre = (float(draw.uniform(-5, 5)), float(draw.uniform(-5, 5)))
        image, truth = outline_image(diameter, bubble_mm=bubble, bias=bias, noise_sd=noise, seed=seed, centre_mm=centre)
        found = circle_diameter(image, 1.0)
        whole.append((found.diameter, diameter))
        vertical.append((found.diameters["vertical"], truth["diameter_90_deg_mm"]))
        assert found.centre_px == pytest.approx(truth["centre_row_column"], abs=0.05)
        assert bool(found.gaps_deg) == (bubble > 0)
    for results in (whole, vertical):
        assert errors_of(results).worst <= 0.1
        assert errors_of(results).covered() >= 0.8


def test_each_direction_of_a_distorted_image_with_oblong_pixels() -> None:
    draw = np.random.default_rng(2)
    results = []
    for seed in range(SEEDS):
        scale = (float(draw.uniform(0.98, 1.02)), float(draw.uniform(0.98, 1.02)))
        image, truth = outline_image(
            190.0, scale=scale, noise_sd=20.0, seed=seed, spacing_mm=(1.0, 0.8), shape=(256, 320)
        )
        found = circle_diameter(image, (1.0, 0.8))
        for name, angle in (("horizontal", 0), ("vertical", 90), ("diagonal_down", 45), ("diagonal_up", 135)):
            results.append((found.diameters[name], truth[f"diameter_{angle}_deg_mm"]))
    assert errors_of(results).worst <= 0.1
    assert errors_of(results).covered() >= 0.9


def test_outline_of_an_elliptic_body_and_its_mask() -> None:
    image, _ = outline_image(180.0, height_mm=150.0, angle_deg=20.0, noise_sd=10.0)
    outline = body_outline(image, 1.0)
    assert outline.semi_axes_mm == pytest.approx((90.0, 75.0), abs=0.1)
    assert outline.angle_deg == pytest.approx(20.0, abs=0.5)
    area = float(outline.mask((256, 256)).sum())
    assert area == pytest.approx(np.pi * 90 * 75, rel=0.005)


def test_a_padded_ct_image_and_a_table_do_not_move_the_body() -> None:
    image, truth = outline_image(200.0, signal=0.0, background=-1000.0, spacing_mm=0.8, shape=(320, 320))
    row, column = np.mgrid[:320, :320]
    image[np.hypot(row - 159.5, column - 159.5) > 158] = -2000.0
    image[294:297, 60:260] = -300.0
    outline = body_outline(image, 0.8)
    assert outline.centre_px == pytest.approx(truth["centre_row_column"], abs=0.02)
    assert outline.diameter.value == pytest.approx(200.0, abs=0.1)


@pytest.mark.parametrize("noise", [0.0, 10.0, 30.0])
def test_insert_is_found_from_a_misplaced_start(noise: float) -> None:
    draw = np.random.default_rng(3)
    sizes, contrasts, places, spreads = [], [], [], []
    for seed in range(3 * SEEDS if noise else 2):
        centre = draw.uniform(-1, 1, 2)
        image, _ = disc_image(12.0, 100.0, centre_mm=(float(centre[0]), float(centre[1])), noise_sd=noise, seed=seed)
        true = np.array([63.5 + centre[1] / 0.5, 63.5 + centre[0] / 0.5])
        found = fit_insert(image, 0.5, true + draw.uniform(-4, 4, 2), 6.0)
        assert found.position_px is not None and found.position_uncertainty_mm is not None
        sizes.append((found.diameter, 12.0))
        contrasts.append((found.contrast, 100.0))
        places.extend((np.array(found.position_px) - true) * 0.5)
        spreads.extend([found.position_uncertainty_mm] * 2)
    assert errors_of(sizes).worst <= (0.01 if noise == 0 else 0.012 * noise)
    assert np.abs(places).max() <= (0.002 if noise == 0 else 0.007 * noise)
    if noise:
        assert errors_of(sizes).covered() >= 0.8
        assert errors_of(contrasts).covered() >= 0.8
        assert np.mean(np.abs(places) <= 2 * np.array(spreads)) >= 0.85


@pytest.mark.parametrize("noise", [0.0, 20.0])
def test_node_distances_and_the_affine_map(noise: float) -> None:
    draw = np.random.default_rng(4)
    distances, scales = [], []
    for seed in range(SEEDS if noise else 2):
        scale = (float(draw.uniform(0.98, 1.02)), float(draw.uniform(0.98, 1.02)))
        roll = float(draw.uniform(-5, 5))
        image, truth = node_image(50.0, scale=scale, roll_deg=roll, noise_sd=noise, seed=seed, shape=(256, 256))
        true = [np.array(node["row_column"]) for node in truth["nodes"]]
        found = node_distances(image, 0.5, [place + draw.uniform(-3, 3, 2) for place in true], 1.5, search_mm=5.0)
        for (one, two), distance in found.distances.items():
            distances.append((distance, float(np.hypot(*(0.5 * (true[one] - true[two]))))))
        nominal = [(50.0 * j - 25.0, 50.0 * i - 25.0) for i in range(2) for j in range(2)]
        measured = affine_distortion([node.position_px for node in found.nodes], nominal, 0.5)
        # First order in roll and distortion: x along the turned axis is stretched by scale_x cos² + scale_y sin².
        turn = np.radians(roll)
        scales.append((measured.scale_x, float(np.hypot(scale[0] * np.cos(turn), scale[1] * np.sin(turn)))))
    assert errors_of(distances).worst <= 0.05
    assert errors_of(scales).worst <= 0.001
    assert errors_of(distances).covered() >= 0.9


def test_circle_and_ellipse_leave_outliers_out() -> None:
    angle = np.radians(np.arange(360.0))
    noise = np.random.default_rng(5).normal(0.0, 0.05, 360)
    x, y = 3 + (95 + noise) * np.cos(angle), -2 + (95 + noise) * np.sin(angle)
    y[240:300] = -70.0  # a bubble's chord
    x[10:14] += 6.0
    circle = fit_circle(x, y)
    assert circle.radius == pytest.approx(95.0, abs=0.03)
    assert not circle.used[245:295].any()
    ellipse = fit_ellipse(1 + (90 + noise) * np.cos(angle), 4 + (80 + noise) * np.sin(angle))
    assert (ellipse.a, ellipse.b) == pytest.approx((90.0, 80.0), abs=0.03)
    assert ellipse.radius_at(90.0) == pytest.approx(80.0, abs=0.03)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64)),
        np.full((64, 64), np.nan),
        np.random.default_rng(6).normal(0, 1, (64, 64)),
        np.full((5, 5), 7),
        np.full((64, 64), np.inf),
    ],
    ids=["zeros", "nan", "noise", "tiny", "inf"],
)
def test_nothing_to_measure_is_said_and_not_raised(image: np.ndarray) -> None:
    found = circle_diameter(image, 1.0)
    assert found.diameter.status != "ok" and found.diameter.reason
    assert body_outline(image, 1.0).diameter.status != "ok"
    insert = fit_insert(image, 1.0, (30, 30), 5.0)
    assert insert.contrast.status == "not_measurable" or abs(insert.contrast.value or 0) < 3
    nodes = node_distances(image, 1.0, [(20, 20), (40, 40)], 3.0)
    assert affine_distortion([n.position_px for n in nodes.nodes], [(0, 0), (1, 1)], 1.0).scale_x.reason


def test_wrong_calls_are_errors() -> None:
    with pytest.raises(ValueError, match="spacing"):
        circle_diameter(np.zeros((9, 9)), 0.0)
    with pytest.raises(ValueError, match="two dimensions"):
        body_outline(np.zeros(9), 1.0)
    with pytest.raises(TypeError, match="real numbers"):
        body_outline(np.zeros((9, 9), dtype=complex), 1.0)
