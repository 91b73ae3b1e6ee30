"""Quantile regression against closed forms, its own optimality condition and scipy's minimiser."""

import math

import numpy as np
import pytest
from scipy import optimize

from dose_audit.statistics import dose_curve, quantile_regression


@pytest.mark.parametrize("q", [0.25, 0.5, 0.75, 0.9])
def test_groups_have_their_own_quantiles(q):
    """With one indicator a group the minimiser is each group's ⌈n·q⌉-th value (n·q not a whole number)."""
    rng = np.random.default_rng(1)
    group = np.repeat([0, 1, 2], [7, 11, 15])
    y = rng.lognormal(size=33) + group
    design = (group[:, None] == np.arange(3)).astype(float)
    expected = [np.sort(y[group == g])[math.ceil(np.sum(group == g) * q) - 1] for g in range(3)]
    assert quantile_regression(design, y, q) == pytest.approx(expected)


def test_weights_are_repeats():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(3, 60, 25), rng.standard_normal(25)
    repeats = rng.integers(1, 4, 25)
    design = np.column_stack([np.ones(25), x])
    weighted = quantile_regression(design, y, 0.7, weights=repeats + 1e-7 * rng.uniform(size=25))
    repeated = quantile_regression(np.repeat(design, repeats, axis=0), np.repeat(y, repeats), 0.7)

    def loss(beta):
        rest = y - design @ beta
        return float(np.sum(repeats * np.where(rest < 0, -0.3, 0.7) * rest))

    assert loss(weighted) == pytest.approx(loss(repeated), rel=1e-6)


@pytest.mark.parametrize("q", [0.5, 0.75])
def test_no_other_line_has_a_smaller_loss(q):
    rng = np.random.default_rng(3)
    x = rng.uniform(3, 60, 80)
    y = 0.03 * x + 0.4 * rng.standard_t(3, 80)
    design = np.column_stack([np.ones(80), x])

    def loss(beta):
        rest = y - design @ beta
        return float(np.sum(np.where(rest < 0, q - 1, q) * rest))

    beta = quantile_regression(design, y, q)
    options = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
    peer = optimize.minimize(loss, [0.1, 0.02], method="Nelder-Mead", options=options)
    assert loss(beta) <= peer.fun + 1e-9
    rest = y - design @ beta
    on_the_line = np.abs(rest) < 1e-8
    assert np.count_nonzero(on_the_line) == 2  # as many as coefficients
    assert np.count_nonzero(rest < -1e-8) <= q * 80 <= np.count_nonzero(rest < 1e-8)


def test_curves_find_the_truth_and_follow_a_change_of_unit():
    rng = np.random.default_rng(4)
    weight = rng.uniform(4, 60, 200)
    dose = 0.5 * np.exp(0.03 * weight + 0.3 * rng.standard_normal(200))
    curve = dose_curve(dose, weight, 0.75, replicates=60)
    truth = 0.5 * math.exp(0.03 * 30 + 0.3 * 0.6745)
    at = curve.at(30.0)
    assert at.low < truth < at.high
    assert curve.slope.low < 0.03 < curve.slope.high
    assert dose_curve(1000 * dose, weight, 0.75, replicates=60).at(30.0).value == pytest.approx(1000 * at.value)
    assert dose_curve(dose, weight, 0.75, replicates=60).at(30.0) == at  # frozen inputs, the same interval


def test_exams_of_one_patient_are_drawn_together():
    rng = np.random.default_rng(5)
    weight = np.repeat(rng.uniform(4, 60, 60), 4)
    dose = 0.5 * np.exp(0.03 * weight + np.repeat(0.3 * rng.standard_normal(60), 4))
    patients = np.repeat(np.arange(60), 4).tolist()
    together = dose_curve(dose, weight, patients=patients, replicates=80).at(30.0)
    apart = dose_curve(dose, weight, replicates=80).at(30.0)
    assert math.log(together.high / together.low) > 1.4 * math.log(apart.high / apart.low)  # 2 in the limit


def test_refusals():
    weight = np.linspace(4, 60, 60)
    dose = np.exp(0.03 * weight)
    curve = dose_curve(dose, weight, replicates=50)
    assert curve.at(80.0).status == "EXTRAPOLATION"
    assert curve.at(80.0).value is None
    assert dose_curve(dose[:40], weight[:40]).status == "INSUFFICIENT_N"
    assert dose_curve([], []).status == "EMPTY"
    assert dose_curve(dose, np.full(60, 20.0)).status == "NO_SPREAD"
    gap = np.concatenate([np.linspace(4, 10, 40), np.linspace(50, 60, 40)])
    empty_middle = dose_curve(np.exp(0.03 * gap), gap)
    assert (empty_middle.status, empty_middle.at(30.0).value) == ("INSUFFICIENT_N", None)
    assert "middle" in empty_middle.reason
    with pytest.raises(ValueError, match="full rank"):
        quantile_regression(np.ones((5, 2)), np.arange(5.0))
    with pytest.raises(ValueError, match="quantile"):
        quantile_regression(np.ones((5, 1)), np.arange(5.0), 1.0)
