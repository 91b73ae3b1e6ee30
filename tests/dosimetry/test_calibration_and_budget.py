"""Dated factors and uncertainty budgets, against formulas worked by hand."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from dose_audit.dosimetry import (
    CalibrationFactor,
    Quantity,
    calibrated,
    factor_on,
    load_calibrations,
    monte_carlo,
    propagate,
    water_equivalent_budget,
)
from dose_audit.measured import Measured
from tests.dosimetry.synthetic_ct import disc, paint

TABLE = """device,quantity,factor,relative_uncertainty,valid_from,valid_to,certificate,kv_from,kv_to
room 1,kap,1.10,0.03,2024-01-10,2024-12-31,K-1,,
room 1,kap,1.20,0.03,2025-01-05,,K-2,50,90
room 1,kap,1.15,0.03,2025-01-05,,K-3,91,150
room 2,kap,0.90,0.04,2024-03-01,,K-4,,
"""


@pytest.fixture
def factors(tmp_path: Path) -> list[CalibrationFactor]:
    path = tmp_path / "calibrations.csv"
    path.write_text(TABLE, encoding="utf-8")
    return load_calibrations(path)


@pytest.mark.parametrize(
    ("device", "day", "kv", "certificate"),
    [
        ("room 1", date(2024, 6, 1), None, "K-1"),
        ("room 1", date(2025, 6, 1), 80, "K-2"),
        ("room 1", date(2025, 6, 1), 120, "K-3"),
        ("room 2", date(2030, 1, 1), None, "K-4"),
        ("room 1", date(2024, 1, 9), None, None),
        ("room 1", date(2025, 1, 2), None, None),
        ("room 3", date(2025, 1, 2), None, None),
    ],
)
def test_the_factor_of_a_day(
    factors: list[CalibrationFactor], device: str, day: date, kv: float | None, certificate: str | None
) -> None:
    found = factor_on(factors, device, "kap", day, kvp_kv=kv)
    assert (found.certificate if found else None) == certificate


def test_raw_and_corrected_stay_together(factors: list[CalibrationFactor]) -> None:
    raw = Measured("kap", 2.0, "Gy.cm2", 0.3, method="as displayed")
    corrected = calibrated(raw, factors[0])
    assert corrected.value == pytest.approx(2.2)
    assert corrected.uncertainty == pytest.approx(0.03 * 2.2)
    assert corrected.details["raw_value"] == 2.0
    assert "K-1" in corrected.method
    untouched = calibrated(raw, None)
    assert (untouched.value, untouched.uncertainty) == (2.0, 0.3)
    assert "indicated" in untouched.method
    with pytest.raises(ValueError, match="does not correct"):
        calibrated(Measured("dlp", 2.0, "mGy.cm"), factors[0])


@pytest.mark.parametrize(
    "line", ["a,kap,9,0.1,2024-01-01,,,,", "a,kap,1,0.1,tomorrow,,,,", "a,kap,1,2,2024-01-01,,,,", "a,kap"]
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text(TABLE.splitlines()[0] + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        load_calibrations(path)


def test_a_product_adds_relative_variances() -> None:
    inputs = {"y": Quantity(0.05, 0.001), "q": Quantity(20.0, 0.6, "rectangular")}
    result = propagate("k", "mGy", lambda y, q: y * q, inputs)
    assert result.value == pytest.approx(1.0)
    assert result.uncertainty == pytest.approx(math.hypot(0.02, 0.03 / math.sqrt(3)))
    assert result.details["budget"] == pytest.approx({"y": 0.02, "q": 0.03 / math.sqrt(3)})


def test_a_formula_without_a_value() -> None:
    result = propagate("k", "mGy", lambda a: 1 / a, {"a": Quantity(0.0, 0.1)})
    assert result.value is None
    assert propagate("k", "mGy", lambda a: 3.0, {"a": Quantity(1.0, 0.1)}).uncertainty == 0


def test_monte_carlo_agrees_with_gum_where_the_formula_is_straight() -> None:
    inputs = {"a": Quantity(3.0, 0.1), "b": Quantity(5.0, 0.3, "triangular"), "c": Quantity(2.0)}
    linear = propagate("x", "1", lambda a, b, c: a + 2 * b + c, inputs)
    drawn = monte_carlo("x", "1", lambda a, b, c: a + 2 * b + c, inputs, draws=100_000)
    assert drawn.value == pytest.approx(linear.value, abs=0.005)
    assert drawn.uncertainty == pytest.approx(linear.uncertainty, rel=0.02)


def test_monte_carlo_of_a_curve_and_its_shortest_interval() -> None:
    # exp of a normal: mean exp(s²/2), and the shortest interval leans to the left.
    result = monte_carlo("x", "1", lambda a: np.exp(a), {"a": Quantity(0.0, 0.5)}, draws=200_000)
    assert result.value == pytest.approx(math.exp(0.125), rel=0.01)
    low, high = result.details["interval95"]
    assert low < math.exp(-1.96 * 0.5)
    assert high < math.exp(1.96 * 0.5)
    again = monte_carlo("x", "1", lambda a: np.exp(a), {"a": Quantity(0.0, 0.5)}, draws=200_000)
    assert again.value == result.value


def test_draws_without_a_value_are_told() -> None:
    with np.errstate(invalid="ignore"):
        some = monte_carlo("x", "1", lambda a: np.sqrt(a), {"a": Quantity(1.0, 1.0)}, draws=1000)
        none = monte_carlo("x", "1", lambda a: np.sqrt(a), {"a": Quantity(-9.0, 0.1)}, draws=1000)
    assert some.status == "suspect"
    assert none.value is None


@pytest.mark.parametrize("bad", [(math.nan, 1.0), (1.0, -1.0), (1.0, math.inf)])
def test_a_quantity_is_a_number(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="±"):
        Quantity(*bad)


def test_budget_of_a_water_equivalent_diameter() -> None:
    image = paint(128, 256, [disc(180)])
    # Only the scale between air and water is unknown, by 2 %: Aw goes with it, Dw by half of it.
    fixed = {"hu_of_water": Quantity(0.0), "threshold_hu": Quantity(-383.0), "spacing_error": Quantity(0.0)}
    result = water_equivalent_budget(image, 2.0, slope_error=Quantity(0.0, 0.02), draws=100, **fixed)
    assert result.uncertainty == pytest.approx(0.01 * 180, rel=0.25)
    assert water_equivalent_budget(np.full((64, 64), -1000.0), 2.0).value is None
