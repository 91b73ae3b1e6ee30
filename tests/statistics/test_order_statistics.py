"""Order-statistic intervals against exact binomial coverage, published tables and scipy."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.stats import mstats

from dose_audit.statistics import interval_ranks, median_interval, quantile, sign_test

DOSES = [5.2, 6.1, 6.6, 7.0, 7.3, 7.7, 8.0, 8.2, 8.5, 8.9]
DOSES += [9.3, 9.6, 10.1, 10.4, 11.0, 11.8, 12.6, 13.9, 15.5, 21.0]

# Exact binomial sums: n -> (lower rank, upper rank, coverage).
TWO_SIDED_95 = {
    6: (1, 6, 0.96875),
    8: (1, 8, 0.99219),
    9: (2, 8, 0.96094),
    10: (2, 9, 0.97852),
    15: (4, 12, 0.96484),
    20: (6, 15, 0.95861),
    25: (8, 18, 0.95671),
    30: (10, 21, 0.95723),
    40: (14, 27, 0.96152),
    50: (18, 33, 0.96716),
    100: (40, 61, 0.9648),
}


def exact_coverage(low: int, high: int, n: int) -> float:
    """P(low <= B <= high - 1), B binomial(n, 1/2), as a sum of integers."""
    return sum(math.comb(n, k) for k in range(low, high)) / 2**n


@pytest.mark.parametrize(("n", "expected"), TWO_SIDED_95.items())
def test_ranks_of_the_published_table(n, expected):
    low, high, coverage = interval_ranks(n)
    assert (low, high) == expected[:2]
    assert coverage == pytest.approx(expected[2], abs=5e-6)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
def test_coverage_is_exact_never_under_the_level_and_no_symmetric_pair_is_shorter(level):
    for n in range(1, 200):
        ranks = interval_ranks(n, level)
        if ranks is None:
            assert exact_coverage(1, n, n) < level
            continue
        low, high, coverage = ranks
        assert coverage == pytest.approx(exact_coverage(low, high, n), abs=1e-12)
        assert coverage >= level
        if low + 1 < n - low:
            assert exact_coverage(low + 1, n - low, n) < level


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_unequal_tails_give_the_fewest_ranks_of_all_pairs(level):
    for n in range(6, 60):
        shortest = min(
            (high - low)
            for low in range(1, n + 1)
            for high in range(low + 1, n + 1)
            if exact_coverage(low, high, n) >= level
        )
        low, high, coverage = interval_ranks(n, level, equal_tails=False)
        assert high - low == shortest
        assert coverage == pytest.approx(exact_coverage(low, high, n), abs=1e-12)


def test_ranks_of_a_million_agree_with_the_binomial_quantile():
    n = 1_000_001
    low, high, coverage = interval_ranks(n)
    assert low == int(stats.binom.ppf(0.025, n, 0.5))
    assert high == n + 1 - low
    assert 0.95 <= coverage < 0.951


def test_interval_equals_scipy_quantile_test():
    result = stats.quantile_test(DOSES, q=8, p=0.5)
    interval = result.confidence_interval(confidence_level=0.95)
    ours = median_interval(DOSES)
    assert ours.value == pytest.approx(9.1)
    assert (ours.low, ours.high) == (7.7, 11.0)
    assert (ours.low, ours.high) == (interval.low, interval.high)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_too_few_values_have_a_median_and_no_interval(n):
    estimate = median_interval(range(n))
    assert estimate.status == "NO_INTERVAL"
    assert estimate.value == (n - 1) / 2
    assert estimate.low is None
    assert str(n) in estimate.reason


def test_no_values_and_values_that_are_no_numbers():
    assert median_interval([]).status == "EMPTY"
    assert median_interval([]).value is None
    with pytest.raises(ValueError, match="position 1"):
        median_interval([1.0, float("inf"), 2.0])


def test_simulated_coverage_of_a_lognormal_median():
    """True coverage at n = 20 is 0.9586; 2,000 samples put the estimate within four standard errors of it."""
    rng = np.random.default_rng(20)
    truth = 7.0
    hits = 0
    for sample in truth * np.exp(0.47 * rng.standard_normal((2000, 20))):
        estimate = median_interval(sample)
        hits += estimate.low <= truth <= estimate.high
    error = math.sqrt(0.9586 * 0.0414 / 2000)
    assert abs(hits / 2000 - 0.9586) < 4 * error


def test_quantile_is_type_8():
    assert quantile(DOSES, 0.75) == pytest.approx(11.466667, abs=1e-6)
    assert quantile(DOSES, 0.75) == pytest.approx(float(mstats.mquantiles(DOSES, [0.75], 1 / 3, 1 / 3)[0]))
    assert quantile([], 0.5) is None


# Exceedances among n that make the one-sided sign test significant at 5 % (exact binomial).
NEEDED = {5: 5, 6: 6, 8: 7, 9: 8, 10: 9, 15: 12, 20: 15, 25: 18, 30: 20, 40: 26, 50: 32, 100: 59}


@pytest.mark.parametrize(("n", "needed"), NEEDED.items())
def test_exceedances_needed_by_the_sign_test(n, needed):
    def p_above(count):
        return sign_test([2.0] * count + [0.5] * (n - count), 1.0).p_above

    assert p_above(needed) <= 0.05 < p_above(needed - 1)


@pytest.mark.parametrize(("reference", "p"), [(8, 0.131588), (7, 0.005909)])
def test_sign_test_with_a_tie_equals_scipy(reference, p):
    ours = sign_test(DOSES, reference)
    theirs = stats.quantile_test(DOSES, q=reference, p=0.5, alternative="greater")
    assert ours.n_tied == 1
    assert ours.p_above == pytest.approx(theirs.pvalue, rel=1e-12)
    assert ours.p_above == pytest.approx(p, abs=1e-6)
    mirrored = sign_test([-x for x in DOSES], -reference)
    assert mirrored.p_below == pytest.approx(ours.p_above, rel=1e-12)


def test_sign_test_without_values():
    assert sign_test([], 1.0).p_above is None


@pytest.mark.parametrize("reference", [math.nan, math.inf])
def test_sign_test_against_no_number_is_refused(reference):
    with pytest.raises(ValueError, match="reference"):
        sign_test([1.0, 2.0], reference)
