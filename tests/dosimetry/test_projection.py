"""Radiography: published backscatter, hand-computed kerma, and deviation indices of real headers."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.dosimetry import (
    backscatter_factor,
    deviation_index,
    entrance_surface_air_kerma,
    exposure_index,
    incident_air_kerma_from_kap,
    incident_air_kerma_from_output,
    tube_output,
)

SIDES = (5, 10, 20, 25, 35)
# Benmakhlouf 2013, eq. 8: (kV, HVL mm Al) → factor for the sides above.
POLYNOMIAL = {
    (70, 3.0): (1.2414, 1.3255, 1.3782, 1.3871, 1.3931),
    (80, 4.0): (1.2621, 1.3671, 1.4401, 1.4535, 1.4632),
    (80, 6.0): (1.2922, 1.4287, 1.5330, 1.5533, 1.5688),
    (100, 5.0): (1.2677, 1.3869, 1.4782, 1.4966, 1.5111),
    (120, 8.0): (1.2761, 1.4209, 1.5454, 1.5731, 1.5969),
}
# Benmakhlouf 2011, Monte Carlo at 80 kV: (HVL, side cm) → factor.
MONTE_CARLO = {
    (2.77, 10): 1.312,
    (4.08, 10): 1.371,
    (8.69, 10): 1.463,
    (2.77, 20): 1.364,
    (4.08, 20): 1.446,
    (8.69, 20): 1.605,
}


@pytest.mark.parametrize(("beam", "factors"), POLYNOMIAL.items())
def test_backscatter_of_the_polynomial(beam: tuple[float, float], factors: tuple[float, ...]) -> None:
    for side, factor in zip(SIDES, factors, strict=True):
        assert backscatter_factor(*beam, side).value == pytest.approx(factor, abs=6e-5)


@pytest.mark.parametrize(("case", "factor"), MONTE_CARLO.items())
def test_backscatter_of_the_monte_carlo(case: tuple[float, float], factor: float) -> None:
    assert backscatter_factor(80, *case).value == pytest.approx(factor, rel=0.005)


@pytest.mark.parametrize(
    "beam", [(49, 4, 10), (151, 4, 10), (80, 1.7, 10), (80, 13, 10), (80, 4, 4), (80, 4, 40), (80, None, 10)]
)
def test_backscatter_is_not_extrapolated(beam: tuple[float, float | None, float]) -> None:
    assert backscatter_factor(*beam).value is None
    assert backscatter_factor(*beam).reason


@given(st.floats(5, 30), st.floats(0.1, 1))  # beyond, the spline's end dips by 0.02 %
def test_backscatter_grows_with_the_field(side: float, more: float) -> None:
    assert (backscatter_factor(80, 4, side).value or 9) < (backscatter_factor(80, 4, side + more).value or 0)


def test_kerma_from_kap_and_output() -> None:
    # 1 Gy·cm² over 30 cm × 30 cm at 1 m, seen at 80 cm: 1000 / (900 · 0.64) mGy.
    kerma = incident_air_kerma_from_kap(1.0, 900.0, 1000.0, 800.0)
    assert kerma.value == pytest.approx(1000 / 576)
    esak = entrance_surface_air_kerma(kerma, kvp_kv=80, hvl_mm_al=4.0, field_side_cm=20)
    assert esak.value == pytest.approx(1000 / 576 * 1.4401, rel=1e-4)
    assert esak.uncertainty == pytest.approx(math.hypot(0.15, 0.06, 0.01) * esak.value, rel=1e-3)
    assert incident_air_kerma_from_output(0.04, 10.0, 750.0).value == pytest.approx(0.4 * (1000 / 750) ** 2)


def test_without_a_half_value_layer_the_convention_stands_in() -> None:
    result = entrance_surface_air_kerma(2.0, kvp_kv=80, field_side_cm=20)
    assert (result.value, result.status) == (pytest.approx(2.7), "suspect")
    assert "half-value layer" in result.reason


def test_nothing_in_nothing_out_and_distance_matters() -> None:
    assert incident_air_kerma_from_kap(0.0, 900.0, 1000.0, 800.0).value == 0
    near, far = (incident_air_kerma_from_output(0.05, 10.0, distance).value for distance in (600.0, 1200.0))
    assert near == pytest.approx(4 * (far or 0))


@pytest.mark.parametrize(
    "absurd",
    [(-1, 900, 1000, 800), (1, 0, 1000, 800), (1, 900, math.nan, 800), (1, 900, 1000, 0), (None, 900, 1000, 800)],
)
def test_absurd_kerma(absurd: Any) -> None:
    result = incident_air_kerma_from_kap(*absurd)
    assert result.value is None
    assert entrance_surface_air_kerma(result).reason == result.reason


def test_output_is_a_power_of_the_voltage_within_what_was_measured() -> None:
    kv = [50, 60, 80, 100, 120]
    result = tube_output(90, kv, [1e-5 * v**2.1 for v in kv])
    assert result.value == pytest.approx(1e-5 * 90**2.1)
    assert result.details["power"] == pytest.approx(2.1)
    assert tube_output(130, kv, [1.0] * 5).value is None
    assert tube_output(55, [50, 60], [1.0, 1.2]).value is None
    with pytest.raises(ValueError, match="voltages"):
        tube_output(55, [50, 60], [1.0])


@pytest.mark.parametrize(
    ("ei", "target", "header", "exact"),
    [
        (256.88, 226.22, 0.55, 0.552),
        (51.745061, 438.469173, -9.3, -9.2807),
        (108.84306, 438.469173, -6.1, -6.0514),
        (286.828227, 438.469173, -1.8, -1.8432),
        (800, 400, 3.0103, 3.0103),
        (200, 400, -3.0103, -3.0103),
        (400, 400, 0.0, 0.0),
    ],
)
def test_deviation_indices_of_real_headers(ei: float, target: float, header: float, exact: float) -> None:
    result = deviation_index(ei, target, reported=header)
    assert result.value == pytest.approx(exact, abs=5e-4)
    assert result.value == pytest.approx(header, abs=0.06)
    assert result.status == "ok"


def test_a_wrong_deviation_index_is_told() -> None:
    assert deviation_index(800, 400, reported=-3.0).status == "suspect"
    for ei, target in ((0, 400), (400, 0), (None, 400), (400, None), (math.nan, 400), (-5, 400)):
        assert deviation_index(ei, target).value is None


def test_exposure_index_is_a_hundred_times_the_kerma() -> None:
    assert exposure_index(2.5).value == pytest.approx(250)
    assert exposure_index(-1).value is None
