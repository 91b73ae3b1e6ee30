"""Size standardisation against scipy, exact lines and the chance that intervals promise."""

import math

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics import SIZE_AXES, robust_slope, size_missingness, standardise_size
from dose_audit.statistics.slope import ALL_PAIRS_UP_TO

DW = "water_equivalent_diameter"


@pytest.mark.parametrize("decimals", [6, 0])  # without ties, and with many in both
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_slope_equals_scipy(decimals, level):
    rng = np.random.default_rng(4)
    x = np.round(rng.uniform(20, 40, 60), decimals)
    y = np.round(0.5 * x + rng.standard_t(3, 60) * 3, decimals)
    ours, peer = robust_slope(x, y, level=level), stats.theilslopes(y, x, alpha=level)
    assert (ours.value, ours.low, ours.high) == pytest.approx((peer.slope, peer.low_slope, peer.high_slope))


def test_slope_of_a_large_sample_is_found_from_independent_pairs():
    rng = np.random.default_rng(5)
    n = ALL_PAIRS_UP_TO + 501
    x = rng.uniform(20, 40, n)
    y = 0.05 * x + 0.3 * rng.standard_normal(n)
    slope = robust_slope(x, y)
    assert slope.low < 0.05 < slope.high
    assert slope.high - slope.low < 0.01


def test_a_quarter_of_wild_sizes_does_not_carry_the_slope_away():
    x = np.linspace(20, 40, 40)
    y = 0.05 * x
    wild = x.copy()
    wild[::5] = 69.0
    assert robust_slope(wild, y).value == pytest.approx(0.05, rel=0.25)
    assert abs(np.polyfit(wild, y, 1)[0]) < 0.02  # least squares is carried away


@pytest.mark.parametrize(
    ("axis", "size", "dose"),
    [
        (DW, np.linspace(20, 40, 41), lambda s: 5 * np.exp(0.04 * (s - 29))),
        ("weight", np.linspace(45, 110, 41), lambda s: 5 * (s / 29) ** 0.7 * (29 / 70) ** 0.7),
        ("compressed_thickness", np.linspace(30, 80, 41), lambda s: 1.2 * np.exp(0.02 * (s - 50))),
    ],
)
def test_exact_lines(axis, size, dose):
    reference = {DW: 29.0, "weight": 70.0, "compressed_thickness": 50.0}[axis]
    expected = {DW: 5.0, "weight": 5.0, "compressed_thickness": 1.2}[axis]
    result = standardise_size(dose(size), size, reference, axis=axis)
    assert result.value == pytest.approx(expected)
    assert result.slope.value == pytest.approx({DW: 0.04, "weight": 0.7, "compressed_thickness": 0.02}[axis])
    assert result.doses == pytest.approx(np.full(41, expected))
    assert result.ratios == pytest.approx(np.ones(41))


def test_sites_with_unlike_patients_agree_once_standardised():
    rng = np.random.default_rng(6)
    medians, raw = [], []
    for centre in (25.0, 33.0):
        size = np.clip(rng.normal(centre, 4, 150), 15, 45)
        dose = 6 * np.exp(0.05 * (size - 29) + 0.2 * rng.standard_normal(150))
        raw.append(np.median(dose))
        medians.append(standardise_size(dose, size, 29.0, axis=DW))
    assert raw[1] / raw[0] > 1.3
    for result in medians:
        assert result.low < 6.0 < result.high


def test_interval_covers_the_true_dose_away_from_the_centre():
    rng = np.random.default_rng(7)
    covered = 0
    size = np.linspace(22, 36, 30)
    for _ in range(200):
        dose = 6 * np.exp(0.05 * (size - 33) + 0.3 * rng.standard_normal(30))
        result = standardise_size(dose, size, 33.0, axis=DW)
        covered += result.low <= 6.0 <= result.high
    assert covered >= 183  # 95 % of 200, less two and a half standard errors


def test_refusals():
    size = np.linspace(20, 40, 41)
    dose = np.exp(0.04 * size)
    assert standardise_size(dose, size, 45.0, axis=DW).status == "EXTRAPOLATION"
    assert standardise_size(dose, size, 45.0, axis=DW).value is None
    assert standardise_size(dose, size, 45.0, axis=DW).slope.value == pytest.approx(0.04)
    assert standardise_size(dose[:9], size[:9], 21.0, axis=DW).status == "INSUFFICIENT_N"
    assert standardise_size(dose, np.full(41, 30.0), 30.0, axis=DW).status == "NO_SPREAD"
    assert standardise_size([], [], 30.0, axis=DW).status == "EMPTY"
    with pytest.raises(ValueError, match="position 1"):
        standardise_size([1.0, -1.0], [30, 31], 30.0, axis=DW)
    with pytest.raises(ValueError, match="axis"):
        standardise_size(dose, size, 30.0, axis="shoe")


def test_absent_and_impossible_sizes_are_counted_and_never_used():
    size = np.linspace(20, 40, 60)
    dose = np.exp(0.04 * (size - 30))
    size[::3] = np.nan
    size[1] = 3000.0  # mm in a column of cm
    result = standardise_size(dose, size, 30.0, axis=DW)
    assert (result.n, result.n_missing, result.status) == (39, 21, "SIZE_MISSING")
    assert result.value == pytest.approx(1.0)
    assert np.isnan(result.doses[[0, 1, 3]]).all()
    assert not np.isnan(result.doses[2])


def test_missingness_equals_scipy_and_names_the_site():
    missing, total = {"A": 5, "B": 9, "C": 7}, {"A": 60, "B": 55, "C": 80}
    table = [[missing[s], total[s] - missing[s]] for s in "ABC"]
    result = size_missingness(missing, total)
    assert result.p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    assert (result.status, result.value) == ("OK", 21 / 195)
    worst = size_missingness({"A": 0, "B": 20}, {"A": 60, "B": 50})
    assert worst.status == "SIZE_MISSING"
    assert "'B'" in worst.reason
    assert size_missingness({}, {}).status == "EMPTY"
    with pytest.raises(ValueError, match="same sites"):
        size_missingness({"A": 1}, {"B": 2})


def test_every_axis_puts_plausible_sizes_on_a_finite_position():
    for axis in SIZE_AXES.values():
        assert 0 < axis.smallest < axis.largest
        assert math.isfinite(float(axis.position(axis.smallest)))
