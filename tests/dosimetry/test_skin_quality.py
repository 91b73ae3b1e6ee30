"""Half-value layers, water-to-air ratios and table transmission against published and measured values."""

from __future__ import annotations

import math
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from dose_audit.dosimetry.skin import Support, half_value_layer, water_to_air
from dose_audit.dosimetry.skin.hvl import quality_in_range
from dose_audit.dosimetry.skin.transmission import normal_transmission, path_factors, transmission

SOURCE = np.array([0.0, 600.0, 0.0])


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    """Benmakhlouf's beams: inherent aluminium, added copper, half-value layer, µen/ρ ratio."""
    table = files("pyskindose") / "table_data" / "correction_medium_and_backscatter.csv"
    with table.open() as file:
        rows = pd.read_csv(file)
    return rows[rows.field_side_length_cm == 10]


def test_half_value_layers_are_those_of_the_published_spectra(published: pd.DataFrame) -> None:
    found = half_value_layer(published.kvp_kv, published.filtration_inherent_mmal, published.filtration_added_mmcu)
    relative = found / published.hvl_mmal - 1
    assert len(published) == 143
    assert np.abs(relative).max() < 0.035  # another spectrum model, one anode angle
    assert np.abs(relative).mean() < 0.015


def test_half_value_layers_are_those_of_the_peer_program() -> None:
    with (files("pyskindose") / "table_data" / "hvl_tables" / "hvl_allura_filters_11deg.csv").open() as file:
        peer = pd.read_csv(file)
    total = peer.filtration_inherent_mmal + peer.filtration_added_mmal
    chosen = peer[quality_in_range(peer.kvp_kv, total, peer.filtration_added_mmcu) & (peer.kvp_kv >= 50)]
    total = total[chosen.index]
    found = half_value_layer(chosen.kvp_kv, total, chosen.filtration_added_mmcu)
    assert len(chosen) > 500
    assert np.abs(found / chosen.hvl_mmal - 1).max() < 0.025


def test_water_to_air_ratio_is_the_published_one(published: pd.DataFrame) -> None:
    found = water_to_air(published.kvp_kv, published.filtration_inherent_mmal, published.filtration_added_mmcu)
    assert np.abs(found / published.mu_en_quotient - 1).max() < 0.012  # theirs counts the backscatter's spectrum too


def test_harder_beams_have_larger_half_value_layers() -> None:
    kvps = np.arange(40, 151, 1.0)
    assert (np.diff(half_value_layer(kvps, 3.1, 0.2)) > 0).all()
    assert (np.diff(half_value_layer(80, np.linspace(1.5, 12, 50), 0.0)) > 0).all()
    assert (np.diff(half_value_layer(80, 3.1, np.linspace(0, 1, 50))) > 0).all()


@pytest.mark.parametrize(
    ("kvp", "copper", "table", "both"), [(60, 0.0, 0.80, 0.66), (80, 0.3, 0.86, 0.79), (125, 0.9, 0.90, 0.86)]
)
def test_measured_transmission_is_met(kvp: float, copper: float, table: float, both: float) -> None:
    alone, mattress = normal_transmission(kvp, copper)
    assert alone == pytest.approx(table)
    assert alone * mattress == pytest.approx(both)


@pytest.mark.parametrize("angle_deg", [0.0, 15.0, 40.0, 60.0])
def test_oblique_rays_see_the_slab_as_long_as_it_is(angle_deg: float) -> None:
    along = 640.0 * math.tan(math.radians(angle_deg))
    log_normal = np.log(normal_transmission(80, 0.1))
    through = transmission(log_normal, SOURCE, np.array([[0.0, -40.0, along]]), Support())[0]
    assert through == pytest.approx(0.75 ** (1 / math.cos(math.radians(angle_deg))))


def test_rays_beside_the_table_or_from_above_see_nothing() -> None:
    beside = np.array([[400.0, -150.0, 0.0]])
    assert path_factors(np.array([700.0, 600.0, 0.0]), beside, Support()).tolist() == [[0.0, 0.0]]
    assert path_factors(np.array([0.0, -700.0, 0.0]), np.array([[0.0, -250.0, 0.0]]), Support()).tolist() == [
        [0.0, 0.0]
    ]


def test_a_ray_through_the_edge_sees_a_part() -> None:
    # From straight below the edge, leaning outward by a tenth of the table's thickness on each thickness.
    support = Support(table_width_mm=400.0, table_thickness_mm=20.0, mattress_thickness_mm=0.0)
    source, point = np.array([199.0 - 0.1 * 500.0, 520.0, 0.0]), np.array([[199.0 + 0.1 * 20 + 0.1 * 100, -100.0, 0.0]])
    # It enters the table 1 mm inside its edge (x = 199 at y = 20), so it leaves after 10 mm of height out of 20.
    assert path_factors(source, point, support)[0, 0] == pytest.approx(0.5 * math.sqrt(1 + 0.1**2))
