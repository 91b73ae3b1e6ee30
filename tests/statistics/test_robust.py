"""Robust log scores and unit slips against worked figures and constructed truths."""

import math

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics import log_outliers, log_scale, slipped_values, unit_slip

DOSES = [5.2, 6.1, 6.6, 7.0, 7.3, 7.7, 8.0, 8.2, 8.5, 8.9]
DOSES += [9.3, 9.6, 10.1, 10.4, 11.0, 11.8, 12.6, 13.9, 15.5, 21.0]


def lognormal(rng, n, median=1.0, sigma=0.35):
    return median * np.exp(sigma * rng.standard_normal(n))


def test_log_score_of_the_worked_example():
    """The modified z of ln 21 is 2.752 and no flag, where the raw scale's 4.34 would raise one."""
    result = log_outliers(DOSES, minimum_n=20)
    assert result.z[-1] == pytest.approx(2.752114, rel=2e-4)  # the example rounds Φ⁻¹(¾) to 0.6745
    assert result.high == result.low == ()


def test_scale_equals_scipy():
    logs = np.log(DOSES)
    scale = log_scale(DOSES)
    assert scale.scale == pytest.approx(stats.median_abs_deviation(logs, scale="normal"))
    assert scale.centre == pytest.approx(np.median(logs))


def test_scale_estimates_the_spread_of_a_lognormal():
    scale = log_scale(lognormal(np.random.default_rng(1), 20_000, sigma=0.4))
    assert scale.scale == pytest.approx(0.4, rel=0.03)


@pytest.mark.parametrize("factor", [50.0, 1 / 50.0])
def test_outliers_are_found_on_either_side(factor):
    values = lognormal(np.random.default_rng(2), 60, median=12.0, sigma=0.3)
    values[17] = 12.0 * factor
    result = log_outliers(values)
    assert 17 in (result.high if factor > 1 else result.low)
    assert 17 not in (result.low if factor > 1 else result.high)


def test_fixed_technique_has_a_status_and_no_division_by_zero():
    assert log_scale([3.0] * 40).status == "NO_SPREAD"
    equal = log_outliers([3.0] * 40)
    assert (equal.status, equal.high, equal.low) == ("NO_SPREAD", (), ())
    assert np.all(equal.z == 0.0)
    mostly = log_outliers([3.0] * 39 + [9.0])
    assert mostly.high == (39,)
    assert mostly.status == "SCALE_FLOOR"


def test_iqr_stands_in_when_more_than_half_are_equal():
    values = [4.0] * 22 + [6.0] * 18
    scale = log_scale(values)
    assert scale.status == "IQR_FALLBACK"
    assert scale.scale == pytest.approx(math.log(1.5) / 1.3489795, rel=1e-6)


def test_short_history_judges_nobody():
    result = log_outliers([1.0, 2.0, 400.0])
    assert result.status == "INSUFFICIENT_N"
    assert np.isnan(result.z).all()
    assert result.high == ()


def test_zero_and_negative_doses_are_refused_with_their_position():
    with pytest.raises(ValueError, match="position 2"):
        log_scale([1.0, 2.0, 0.0])


@pytest.mark.parametrize("decades", [-6, -4, -3, -2, -1, 1, 2, 3, 4, 6])
def test_unit_slip_finds_the_power_of_ten(decades):
    rng = np.random.default_rng(100 + decades)
    result = unit_slip(lognormal(rng, 120, 20.0), lognormal(rng, 60, 20.0 * 10.0**decades))
    assert result.decades == decades
    assert result.log10_ratio == pytest.approx(decades, abs=0.15)


@pytest.mark.parametrize("factor", [1.0, 1.3, 2.0, 3.0, 5.0, 0.2])
def test_real_changes_of_dose_are_no_slip(factor):
    rng = np.random.default_rng(int(factor * 10))
    for _ in range(50):
        assert unit_slip(lognormal(rng, 100, 20.0), lognormal(rng, 20, 20.0 * factor)).decades == 0


@pytest.mark.parametrize("factor", [7.0, 8.0, 13.0, 1 / 8])
def test_an_overexposure_that_is_not_ten_times_is_no_slip_where_the_figures_can_tell(factor):
    """Eightfold doses of CT perfusion went on for 18 months in 2008 and 2009 (FDA): not to be put down to a unit."""
    rng = np.random.default_rng(8)
    for _ in range(50):
        assert unit_slip(lognormal(rng, 150, 60.0, 0.1), lognormal(rng, 50, 60.0 * factor, 0.1)).decades == 0


def test_a_ratio_of_ten_that_chance_explains_is_no_slip():
    wide = 10.0 ** np.linspace(-1.5, 1.5, 21)
    result = unit_slip(wide, 10.0 * wide[::5])
    assert result.log10_ratio == pytest.approx(1.0)
    assert result.low < 0.5
    assert result.decades == 0


def test_unit_slip_needs_a_history():
    assert unit_slip([1.0] * 19, [10.0] * 20).status == "INSUFFICIENT_N"
    assert unit_slip([1.0] * 20, [10.0] * 4).status == "INSUFFICIENT_N"


def test_single_slipped_values_are_found_and_others_left():
    rng = np.random.default_rng(7)
    values = lognormal(rng, 80, 2.0, 0.3)
    values[[5, 40]] *= 10.0
    values[60] /= 100.0
    values[70] = 2.0 * 4.0  # high, and no slip
    assert slipped_values(values) == {5: 1, 40: 1, 60: -2}


def test_wide_spread_says_nothing_about_a_tenfold_dose():
    values = np.exp(np.linspace(-3, 3, 41))
    assert slipped_values(values) == {}


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="threshold"):
        log_outliers([7.0] * 40 + [70.0], threshold=math.nan)
