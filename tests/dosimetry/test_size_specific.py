"""SSDE and effective diameter against the tables of AAPM 204, and properties that no constant may break."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.dosimetry import effective_diameter, size_factor, ssde, ssde_along

# AAPM Report 204 (2011), tables 1D and 2D: diameter in cm, factor to two decimals.
TABLE_1D = (
    "8:2.76 9:2.66 10:2.57 11:2.47 12:2.38 13:2.30 14:2.22 15:2.14 16:2.06 17:1.98 18:1.91 19:1.84 "
    "20:1.78 21:1.71 22:1.65 23:1.59 24:1.53 25:1.48 26:1.43 27:1.37 28:1.32 29:1.28 30:1.23 31:1.19 "
    "32:1.14 33:1.10 34:1.06 35:1.02 36:0.99 37:0.95 38:0.92 39:0.88 40:0.85 41:0.82 42:0.79 43:0.76 "
    "44:0.74 45:0.71 "
)
TABLE_2D = (
    "6:1.49 7:1.43 8:1.38 9:1.32 10:1.27 11:1.22 12:1.18 13:1.13 14:1.09 15:1.05 16:1.01 17:0.97 18:0.93 "
    "19:0.90 20:0.86 21:0.83 22:0.80 23:0.77 24:0.74 25:0.71 26:0.69 27:0.66 28:0.63 29:0.61 30:0.59 "
    "31:0.56 32:0.54 33:0.52 34:0.50 35:0.48 36:0.47 37:0.45 38:0.43 39:0.41 40:0.40 41:0.38 42:0.37 "
    "43:0.35 44:0.34 45:0.33 46:0.32 47:0.30 48:0.29 49:0.28 50:0.27 51:0.26 52:0.25 53:0.24 54:0.23 "
    "55:0.22 "
)


def rows(table: str) -> list[tuple[float, float]]:
    return [(float(size), float(factor)) for size, factor in (word.split(":") for word in table.split())]


@pytest.mark.parametrize(("table", "phantom_cm", "count"), [(TABLE_1D, 32, 38), (TABLE_2D, 16, 50)])
def test_every_tabulated_factor_is_reproduced(table: str, phantom_cm: int, count: int) -> None:
    assert len(rows(table)) == count
    for size_cm, factor in rows(table):
        assert size_factor(10 * size_cm, phantom_cm).value == pytest.approx(factor, abs=0.00501)


@pytest.mark.parametrize(
    ("phantom_cm", "size_cm", "expected"),
    [
        (32, 10, 25.659255),
        (32, 15, 21.355461),
        (32, 20, 17.773536),
        (32, 25, 14.792404),
        (32, 30, 12.311292),
        (32, 35, 10.246335),
        (32, 40, 8.52773),
        (16, 8, 13.754713),
        (16, 12, 11.781482),
        (16, 16, 10.091328),
        (16, 20, 8.643641),
        (16, 25, 7.122497),
    ],
)
def test_worked_cases(phantom_cm: int, size_cm: float, expected: float) -> None:
    result = ssde(10.0, 10 * size_cm, phantom_cm)
    assert result.value == pytest.approx(expected, abs=1e-5)
    assert result.unit == "mGy"
    assert "AAPM 204" in result.method


@pytest.mark.parametrize(("size_mm", "phantom_cm"), [(79, 32), (451, 32), (59, 16), (551, 16), (0, 32), (-5, 16)])
def test_no_size_is_extrapolated_to(size_mm: float, phantom_cm: int) -> None:
    result = ssde(10.0, size_mm, phantom_cm)
    assert result.value is None
    assert "outside" in result.reason


@pytest.mark.parametrize("ctdi", [-1.0, math.nan, math.inf, 1e9, None])
def test_absurd_ctdi_gives_a_reason(ctdi: float | None) -> None:
    result = ssde(ctdi, 300.0, 32)  # type: ignore[arg-type]
    assert result.value is None
    assert "CTDIvol" in result.reason


def test_heads_wait_behind_their_label() -> None:
    assert ssde(50.0, 160.0, 16, body_part="head").value is None
    allowed = ssde(50.0, 160.0, 16, body_part="head", allow_unverified=True)
    assert allowed.value is not None
    assert "unverified constants" in allowed.method
    assert "AAPM 293" in allowed.method
    assert "16 cm phantom" in ssde(50.0, 160.0, 32, body_part="head", allow_unverified=True).reason


def test_age_is_a_poor_size() -> None:
    assert ssde(10.0, 250.0, 32, size_kind="age").status == "suspect"
    with pytest.raises(ValueError, match="size kind"):
        ssde(10.0, 250.0, 32, size_kind="guess")
    with pytest.raises(ValueError, match="16 or 32"):
        ssde(10.0, 250.0, 20)


@given(st.floats(80, 440), st.floats(0.5, 10), st.floats(0.01, 100))
def test_a_larger_patient_gets_less_and_dose_is_linear(size_mm: float, more_mm: float, ctdi: float) -> None:
    small, large, double = ssde(ctdi, size_mm, 32), ssde(ctdi, size_mm + more_mm, 32), ssde(2 * ctdi, size_mm, 32)
    assert small.value is not None
    assert large.value is not None
    assert small.value > large.value
    assert double.value == pytest.approx(2 * small.value)


def test_no_dose_in_no_dose_out() -> None:
    assert ssde(0.0, 300.0, 32).value == 0


def test_mean_of_slices_is_not_the_slice_of_means() -> None:
    sizes = [220.0, 250.0, 280.0, 310.0, 340.0]
    doses = [4.0, 6.0, 9.0, 13.0, 18.0]
    along = ssde_along(doses, sizes, 32)
    expected = sum(d * 3.704369 * math.exp(-0.003671937 * s) for d, s in zip(doses, sizes, strict=True)) / 5
    assert along.value == pytest.approx(expected)
    assert along.value != pytest.approx(ssde(10.0, 280.0, 32).value, rel=0.01)


def test_slices_without_a_size_make_it_suspect_and_then_nothing() -> None:
    assert ssde_along([5.0] * 10, [300.0] * 8 + [None] * 2, 32).status == "suspect"
    assert ssde_along([5.0] * 10, [300.0] * 4 + [None] * 6, 32).value is None
    with pytest.raises(ValueError, match="values of CTDIvol"):
        ssde_along([5.0], [300.0, 300.0], 32)


@given(st.floats(100, 400), st.floats(100, 400))
def test_effective_diameter_is_symmetric_and_between_its_widths(ap: float, lat: float) -> None:
    one, other = effective_diameter(ap, lat), effective_diameter(lat, ap)
    assert one.value == other.value
    assert min(ap, lat) - 1e-6 <= (one.value or 0) <= max(ap, lat) + 1e-6


@pytest.mark.parametrize(
    ("ap_mm", "lat_mm", "expected_mm"), [(None, 300, 247), (None, 80, 92), (200, None, 243), (450, None, 444)]
)
def test_one_width_is_read_from_the_table(ap_mm: float | None, lat_mm: float | None, expected_mm: float) -> None:
    result = effective_diameter(ap_mm, lat_mm)
    assert (result.value, result.status) == (pytest.approx(expected_mm), "suspect")


@pytest.mark.parametrize(
    ("ap_mm", "lat_mm"), [(None, None), (0, 300), (math.nan, 300), (60, 600), (None, 79), (460, None), (-200, -300)]
)
def test_impossible_widths_give_a_reason(ap_mm: float | None, lat_mm: float | None) -> None:
    result = effective_diameter(ap_mm, lat_mm)
    assert result.value is None
    assert result.reason


def test_the_stated_uncertainty_covers_what_ctdi_factor_and_size_may_be_off() -> None:
    random = np.random.default_rng(5)
    true = 10.0 * ssde(1.0, 300.0, 32).value
    covered = 0
    for _ in range(400):
        shown = ssde(10.0 * (1 + random.uniform(-0.2, 0.2)), 300.0 * (1 + random.normal(0, 0.01)), 32)
        covered += abs(shown.value - true * (1 + random.normal(0, 0.1))) < 2 * shown.uncertainty
    assert 0.92 <= covered / 400 <= 0.985


def test_without_a_size_or_ctdi_there_is_no_estimate() -> None:
    assert ssde(10.0, None, 32).reason == "no size is known"
    assert ssde(None, 300.0, 32).reason == "no CTDIvol"
