"""Solvers against roots and minima that are known, and where a bound or a corner lies in the way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dose_audit.image_quality.slice_profile import fit_slice_profile
from dose_audit.image_quality.solvers import downhill_simplex, fitted_within, root_between


def test_a_root_is_found_from_either_side_and_at_an_end() -> None:
    assert root_between(math.cos, 0.0, 3.0) == pytest.approx(0.5 * math.pi, abs=1e-9)
    assert root_between(math.cos, 3.0, 0.0) == pytest.approx(0.5 * math.pi, abs=1e-9)
    assert root_between(lambda x: x, 0.0, 1.0) == 0.0
    assert root_between(lambda x: x**9, -0.1, 1.0) == pytest.approx(0.0, abs=0.02)
    with pytest.raises(ValueError, match="no change of sign"):
        root_between(lambda x: 1.0, 0.0, 1.0)


def test_least_squares_end_at_the_bound_that_holds_them_back() -> None:
    t = np.linspace(0.0, 1.0, 20)
    design = np.column_stack([np.ones_like(t), t])
    found = fitted_within(
        lambda p: design @ p - (1.0 + 3.0 * t),
        lambda p: design,
        np.array([0.0, 0.0]),
        lower=np.array([-5.0, -5.0]),
        upper=np.array([5.0, 2.0]),
        scales=np.ones(2),
    )
    # With the slope at 2 the best constant is the mean of the rest.
    assert found.x == pytest.approx([1.0 + 0.5, 2.0], abs=1e-4)


@pytest.mark.parametrize("width", [23.3, 25.0, 47.1, 53.0])
def test_a_sharp_rectangle_does_not_catch_the_fit_in_a_corner(width: float) -> None:
    s = np.linspace(-50, 50, 201)
    share = np.clip((0.5 * width - np.abs(s - 4.13)) / 0.5 + 0.5, 0.0, 1.0)
    found = fit_slice_profile(s, 10.0 + 300.0 * share)
    assert found.fwhm == pytest.approx(width, abs=0.25)  # half a sample
    assert found.residual is not None and found.residual < 0.001


def test_a_simplex_goes_round_a_bend() -> None:
    found = downhill_simplex(
        lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2,
        np.array([[-1, 1], [-0.5, 1], [-1, 1.5]]),
        within=1e-5,
    )
    assert found == pytest.approx([1.0, 1.0], abs=1e-3)
