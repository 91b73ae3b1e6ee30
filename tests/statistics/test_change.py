"""Steps: ratios of medians against simulation and bootstrap; the search against planted steps and chance."""

import math

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics import find_changes, median_step
from dose_audit.statistics.change import _normal_scores, _pelt, scan_limit, scan_tail


def lognormal(rng, n, median=1.0, sigma=0.35):
    return median * np.exp(sigma * rng.standard_normal(n))


def test_ratio_of_medians_is_the_ratio_of_the_medians():
    step = median_step([1, 2, 3, 4, 5] * 4, [2, 4, 6, 8, 10] * 4)
    assert step.value == pytest.approx(2.0)
    assert step.low < 2.0 < step.high


def test_interval_of_a_large_sample_is_the_asymptotic_one():
    """ln median has standard error 1.2533·sigma/√n for a log-normal."""
    rng = np.random.default_rng(4)
    step = median_step(lognormal(rng, 4000), lognormal(rng, 4000, 1.3))
    expected = 1.959964 * 1.253314 * 0.35 * math.sqrt(2 / 4000)
    assert math.log(step.high / step.value) == pytest.approx(expected, rel=0.15)
    assert step.low < 1.3 < step.high


@pytest.mark.parametrize(("n_before", "n_after"), [(20, 20), (60, 15)])
def test_interval_covers_the_true_ratio(n_before, n_after):
    """Nominally 95 %; four standard errors of 1,500 samples below, the method's excess above."""
    rng = np.random.default_rng(n_before)
    hits = 0
    for _ in range(1500):
        step = median_step(lognormal(rng, n_before), lognormal(rng, n_after, 1.2, 0.5))
        hits += step.low <= 1.2 <= step.high
    assert 0.928 < hits / 1500 < 0.985


def test_p_value_follows_the_bootstrap():
    rng = np.random.default_rng(11)
    before, after = lognormal(rng, 40), lognormal(rng, 40, 1.3)
    step = median_step(before, after)
    boot = stats.bootstrap(
        (np.log(before), np.log(after)),
        lambda a, b, axis: np.median(b, axis=axis) - np.median(a, axis=axis),
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert math.log(step.high / step.low) == pytest.approx(boot.high - boot.low, rel=0.35)
    assert (step.p_value < 0.05) == (step.low > 1.0)


def test_short_sides_and_fixed_technique_have_a_status():
    assert median_step([1.0] * 9, [2.0] * 50).status == "INSUFFICIENT_N"
    assert median_step([], []).value is None
    fixed = median_step([1.0] * 20, [1.3] * 20)
    assert (fixed.status, fixed.value, fixed.low) == ("NO_SPREAD", 1.3, None)


@pytest.mark.parametrize(("factor", "at"), [(1.3, 100), (0.7, 60), (10.0, 130)])
def test_a_planted_step_is_found_where_it_is(factor, at):
    values = lognormal(np.random.default_rng(at), 180, 5.0, 0.25)
    values[at:] *= factor
    scan = find_changes(values)
    assert len(scan.changes) == 1
    change = scan.changes[0]
    assert abs(change.index - at) <= 8
    assert change.ratio.low <= factor <= change.ratio.high
    assert change.p_value < 0.01


def test_two_steps_are_found():
    """The worked series: log shifts of 0.25 and 0.35 at 120 and 220 on a spread of 0.3."""
    rng = np.random.default_rng(42)
    logs = 0.3 * rng.standard_normal(320)
    logs[120:] += 0.25
    logs[220:] += 0.35
    found = [change.index for change in find_changes(np.exp(logs)).changes]
    assert len(found) == 2
    assert abs(found[0] - 120) <= 15
    assert abs(found[1] - 220) <= 15


def test_false_alarms_stay_at_the_promise_whatever_the_distribution():
    """5 % promised; 400 series allow 5 % + 3.3 standard errors."""
    rng = np.random.default_rng(8)
    for draw in (rng.standard_normal, lambda n: rng.standard_t(2, n), lambda n: rng.exponential(size=n)):
        alarms = sum(bool(find_changes(np.exp(0.3 * draw(100))).changes) for _ in range(400))
        assert alarms / 400 < 0.086


def test_outliers_do_not_make_a_step():
    values = lognormal(np.random.default_rng(9), 150)
    values[[30, 31, 90]] *= 100.0
    assert find_changes(values).changes == ()


def test_pelt_finds_the_segmentation_that_exhaustive_search_finds():
    rng = np.random.default_rng(12)
    for _ in range(30):
        scores = rng.standard_normal(26)
        scores[rng.integers(4, 22) :] += rng.uniform(-2, 2)
        penalty, shortest = 3.0, 4

        def cost(edges, scores=scores, penalty=penalty):
            parts = [scores[a:b] for a, b in zip([0, *edges], [*edges, 26], strict=True)]
            return sum(((p - p.mean()) ** 2).sum() for p in parts) + penalty * len(edges)

        every = [[]] + [[a] for a in range(4, 23)]
        every += [[a, b] for a in range(4, 23) for b in range(a + 4, 23)]
        every += [[a, b, c] for a in range(4, 23) for b in range(a + 4, 23) for c in range(b + 4, 23)]
        every += [
            [a, b, c, d]
            for a in range(4, 23)
            for b in range(a + 4, 23)
            for c in range(b + 4, 23)
            for d in range(c + 4, 23)
        ]
        best = min(every, key=cost)
        assert cost(_pelt(scores, penalty, shortest)) <= cost(best) + 1e-9


def test_normal_scores_share_ranks_like_scipy():
    values = np.round(np.random.default_rng(13).exponential(size=60), 1)
    scores = stats.norm.ppf((stats.rankdata(values) - 0.5) / 60)
    expected = (scores - scores.mean()) / scores.std()
    assert _normal_scores(values) == pytest.approx(expected)


def test_scan_tail_is_the_pointwise_tail_for_one_split():
    assert scan_tail(1.959964, 20, 10) == pytest.approx(0.05, rel=1e-5)
    assert scan_limit(20, 10, 0.05) == pytest.approx(1.959964, rel=1e-4)
    assert scan_limit(500, 10, 0.05) > scan_limit(50, 10, 0.05)


def test_scan_tail_is_the_simulated_one_of_a_long_series():
    """Largest standardised difference of means over the middle half of 1,500 values."""
    rng = np.random.default_rng(14)
    n, edge, series = 1500, 375, 4000
    split = np.arange(edge, n - edge + 1)
    exceeded = 0
    for _ in range(series // 500):
        sums = np.cumsum(rng.standard_normal((500, n)), axis=1)
        bridge = sums[:, split - 1] - np.outer(sums[:, -1], split / n)
        contrast = np.abs(bridge) / np.sqrt(split * (n - split) / n)
        exceeded += np.count_nonzero(contrast.max(axis=1) > 2.5)
    assert exceeded / series == pytest.approx(scan_tail(2.5, n, edge), abs=0.015)


def test_short_and_equal_series_have_a_status():
    assert find_changes([1.0, 2.0] * 9).status == "INSUFFICIENT_N"
    assert find_changes([2.0] * 50).status == "NO_SPREAD"
