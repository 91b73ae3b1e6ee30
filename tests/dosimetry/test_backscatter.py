"""Backscatter factors against the Monte Carlo tables they were fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from dose_audit.dosimetry.backscatter import backscatter_factor, backscatter_in_range, field_weights

# Benmakhlouf 2013 eq. 8 evaluated by hand at its five field sides: kV, half-value layer, factors.
EVALUATED = [
    (70, 3.0, (1.2414, 1.3255, 1.3782, 1.3871, 1.3931)),
    (80, 4.0, (1.2621, 1.3671, 1.4401, 1.4535, 1.4632)),
    (80, 6.0, (1.2922, 1.4287, 1.5330, 1.5533, 1.5688)),
    (100, 5.0, (1.2677, 1.3869, 1.4782, 1.4966, 1.5111)),
    (120, 8.0, (1.2761, 1.4209, 1.5454, 1.5731, 1.5969)),
]


@pytest.fixture(scope="module")
def published() -> Iterator[pd.DataFrame]:
    """The 715 rows of Benmakhlouf's tables (doi 10.1088/0031-9155/56/22/012), as PySkinDose carries them."""
    table = files("pyskindose") / "table_data" / "correction_medium_and_backscatter.csv"
    with table.open() as file:
        yield pd.read_csv(file)


def test_all_tabulated_values_are_met_within_half_a_percent(published: pd.DataFrame) -> None:
    found = backscatter_factor(published.kvp_kv, published.hvl_mmal, published.field_side_length_cm)
    assert len(published) == 715
    assert np.abs(found / published.backscatter - 1).max() < 0.005


@pytest.mark.parametrize(("kvp", "hvl", "factors"), EVALUATED)
def test_polynomial_at_its_own_field_sides(kvp: float, hvl: float, factors: tuple[float, ...]) -> None:
    assert backscatter_factor(kvp, hvl, [5, 10, 20, 25, 35]) == pytest.approx(factors, abs=6e-5)


def test_more_field_scatters_more_back_and_no_field_none() -> None:
    sides = np.linspace(0, 35, 71)
    factors = backscatter_factor(90, 5.0, sides)
    assert factors[0] == 1.0
    assert (np.diff(factors) > -1e-4).all()  # a cubic spline may dip that much where the factor has saturated


def test_beyond_the_tables_the_edge_holds_and_is_told() -> None:
    assert backscatter_factor(40, 1.0, 50) == backscatter_factor(50, 1.8, 35)
    told = backscatter_in_range([50, 49, 80, 80], [1.8, 3, 13, 4], [5, 10, 10, 36])
    assert told.tolist() == [True, False, False, False]


def test_weights_of_the_field_add_up_to_one() -> None:
    assert field_weights(np.linspace(1, 40, 40)).sum(axis=-1) == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [(0, 3, 10), (80, 0, 10), (80, 3, -1), (float("nan"), 3, 10), (80, float("inf"), 10)])
def test_absurd_inputs_are_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="tube voltage"):
        backscatter_factor(*wrong)
