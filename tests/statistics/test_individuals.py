"""The XmR chart: textbook limits, both rules, and false signals at the rate that theory gives."""

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics.individuals import control_limits, control_states


def test_limits_of_a_published_example():
    # Montgomery, Introduction to Statistical Quality Control, viscosity of aircraft primer paint: mean 33.52, mean range 0.48.
    x = [33.75, 33.05, 34.00, 33.81, 33.46, 34.02, 33.68, 33.27, 33.49, 33.20, 33.62, 33.00, 33.54, 33.12, 33.84]
    found = control_limits(x)
    assert found.centre == pytest.approx(33.52, abs=0.005)
    assert found.upper == pytest.approx(34.80, abs=0.01)
    assert found.lower == pytest.approx(32.24, abs=0.01)


def test_a_run_of_nine_on_one_side_is_a_signal_and_eight_is_not():
    limits = control_limits([0.0, 1.0] * 6)
    values = [0.6] * 9 + [0.4] + [0.6] * 8
    rules = [one.rule for one in control_states(values, limits)]
    assert rules == [""] * 8 + ["run_of_nine"] + [""] * 9


def test_a_value_that_is_none_is_not_in_control_and_leaves_a_run_as_it_is():
    limits = control_limits([0.0, 1.0] * 6)
    found = control_states([0.6] * 5 + [np.nan, np.inf] + [0.6] * 4, limits)
    assert [one.state for one in found[5:7]] == ["not_known"] * 2
    assert [one.rule for one in found] == [""] * 10 + ["run_of_nine"]


def test_without_limits_nothing_is_known():
    short = control_limits([1.0, 2.0, 3.0])
    assert short.status == "insufficient"
    assert {one.state for one in control_states([5.0, 50.0], short)} == {"not_known"}
    assert control_limits([4.0] * 20).status == "no_spread"
    # Rounding to a known step has a spread of its own.
    assert control_limits([4.0] * 20, resolution=1.0).upper == pytest.approx(4.0 + 3 / 12**0.5)


def test_single_values_beyond_three_sigma_are_as_rare_as_they_should_be():
    rng = np.random.default_rng(8)
    # A long phase I makes the limits those of theory: 0.27 % of normal values lie beyond three standard deviations.
    limits = control_limits(rng.normal(0, 1, 20_000))
    beyond = [one.rule == "beyond_limits" for one in control_states(rng.normal(0, 1, 40_000), limits)]
    assert np.mean(beyond) == pytest.approx(0.0027, abs=0.0009)


def test_limits_of_ten_values_worked_by_hand():
    """Mean 10.1, mean range 2.5 / 9; 3 / 1.128 of it beside the mean (2.66 in the textbooks)."""
    found = control_limits([10.2, 10.0, 10.4, 9.9, 10.1, 10.3, 9.8, 10.0, 10.2, 10.1])
    assert (found.centre, found.sigma) == (pytest.approx(10.1), pytest.approx(0.2777778 / 1.128379, rel=5e-4))
    assert (found.lower, found.upper) == (pytest.approx(9.361478, abs=5e-4), pytest.approx(10.838522, abs=5e-4))


@pytest.mark.parametrize(("baseline", "rate"), [(10, 0.0236), (20, 0.0107), (30, 0.0075), (50, 0.0052), (100, 0.0040)])
def test_false_signals_of_a_short_phase_one(baseline: int, rate: float):
    """Limits that are learned from few values let more through than 0.27 %; the rates are from a simulation made elsewhere."""
    rng = np.random.default_rng(baseline)
    shares = []
    for _ in range(4000):
        limits = control_limits(rng.normal(size=baseline))
        assert limits.lower is not None and limits.upper is not None
        shares.append(stats.norm.cdf(limits.lower) + stats.norm.sf(limits.upper))
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) == pytest.approx(rate, abs=5 * error + 0.00025)
