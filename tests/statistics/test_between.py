"""Tests between groups against scipy, identities that hold exactly, and hand-worked ranks."""

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics import brown_forsythe, dunn, holm, kruskal_wallis

RNG = np.random.default_rng(11)
SITES = {
    "A": np.round(np.exp(0.4 * RNG.standard_normal(30)) * 8, 1),
    "B": np.round(np.exp(0.4 * RNG.standard_normal(45)) * 10, 1),
    "C": np.round(np.exp(0.7 * RNG.standard_normal(25)) * 9, 1),
    "D": np.round(np.exp(0.4 * RNG.standard_normal(12)) * 8, 0),
}


def test_kruskal_wallis_equals_scipy_with_ties():
    result, peer = kruskal_wallis(SITES), stats.kruskal(*SITES.values())
    assert (result.statistic, result.p_value) == pytest.approx((peer.statistic, peer.pvalue))
    assert result.value == pytest.approx(peer.statistic / 111)
    assert (result.n, result.n_groups, result.degrees_of_freedom) == (112, 4, 3)


def test_brown_forsythe_equals_scipy():
    result = brown_forsythe(SITES)
    peer = stats.levene(*(np.log(x) for x in SITES.values()), center="median")
    assert (result.statistic, result.p_value) == pytest.approx((peer.statistic, peer.pvalue))
    assert max(result.spreads, key=result.spreads.get) == "C"


def test_brown_forsythe_does_not_see_the_level():
    doubled = {"A": SITES["A"], "twice": 2 * SITES["A"]}
    result = brown_forsythe(doubled)
    assert result.statistic == pytest.approx(0.0, abs=1e-12)
    assert result.value == pytest.approx(1.0)


@pytest.mark.parametrize("pair", [(1.0, 2.0), (0.1, 0.3), (1.1, 9.7), (3.0, 7.0), (1e-9, 2e-9), (1e12, 3e12)])
def test_doses_that_alternate_between_two_values_have_no_f(pair):
    """Every deviation of a group is half the distance of its logarithms: there is nothing to divide by."""
    low, high = pair
    result = brown_forsythe({"A": [low, high] * 5, "B": [2 * low, 2 * high] * 6, "C": [low, high**2 / low] * 5})
    assert (result.status, result.statistic, result.p_value) == ("NO_SPREAD", None, None)
    # A spread of a millionth within the groups is one.
    real = brown_forsythe({"A": [low, low * 1.000001, high] * 5, "B": [low, high, high * 1.000001] * 5})
    assert real.status == "OK"


def test_two_groups_dunn_squared_is_kruskal_wallis():
    pair = {name: SITES[name] for name in "AB"}
    (only,) = dunn(pair).pairs
    assert only.z**2 == pytest.approx(kruskal_wallis(pair).statistic)
    assert only.adjusted == only.p_value == pytest.approx(kruskal_wallis(pair).p_value)
    assert only.z > 0
    assert only.ratio.value == pytest.approx(np.median(SITES["B"]) / np.median(SITES["A"]))


def test_dunn_by_the_formula_on_scipy_ranks():
    pooled = np.concatenate(list(SITES.values()))
    ranks = np.split(stats.rankdata(pooled), np.cumsum([x.size for x in SITES.values()])[:-1])
    n, ties = pooled.size, np.unique(pooled, return_counts=True)[1].astype(float)
    variance = n * (n + 1) / 12 - np.sum(ties**3 - ties) / (12 * (n - 1))
    result = dunn(SITES, adjustment="bh")
    raw = []
    for pair in result.pairs:
        i, j = "ABCD".index(pair.first), "ABCD".index(pair.second)
        z = (ranks[j].mean() - ranks[i].mean()) / np.sqrt(variance * (1 / ranks[i].size + 1 / ranks[j].size))
        assert pair.z == pytest.approx(z)
        raw.append(2 * stats.norm.sf(abs(z)))
    assert [pair.p_value for pair in result.pairs] == pytest.approx(raw)
    assert [pair.adjusted for pair in result.pairs] == pytest.approx(stats.false_discovery_control(raw))
    assert [pair.adjusted for pair in dunn(SITES).pairs] == pytest.approx(holm(raw))


def test_holm_by_its_definition():
    """Holm 1979: reject in order while p_(i) ≤ α/(m − i + 1); the adjusted p is the least α that rejects."""
    p = [0.011, 0.02, 0.012, 0.3, 0.049]

    def rejected(alpha):
        found = set()
        for step, i in enumerate(np.argsort(p)):
            if p[i] > alpha / (len(p) - step):
                break
            found.add(int(i))
        return found

    for i, adjusted in enumerate(holm(p)):
        assert i in rejected(adjusted + 1e-9)
        assert i not in rejected(adjusted - 1e-9)


def test_a_site_with_one_exam_is_named_and_the_rest_compared():
    with_one = SITES | {"E": [7.0], "F": []}
    result = kruskal_wallis(with_one)
    assert result.left_out == ("E", "F")
    assert result.statistic == kruskal_wallis(SITES).statistic
    assert dunn(with_one).left_out == brown_forsythe(with_one).left_out == ("E", "F")


def test_nothing_to_compare():
    flat = {"A": [5.0] * 6, "B": [5.0] * 6}
    assert kruskal_wallis(flat).status == dunn(flat).status == brown_forsythe(flat).status == "NO_SPREAD"
    alone = {"A": [5.0, 6, 7, 8, 9]}
    assert kruskal_wallis(alone).status == dunn(alone).status == brown_forsythe(alone).status == "INSUFFICIENT_N"
    assert kruskal_wallis({}).p_value is None
    with pytest.raises(ValueError, match=r"group 'B'.*position 1"):
        dunn({"A": [1, 2, 3, 4, 5], "B": [1, -2, 3, 4, 5]})
    with pytest.raises(ValueError, match="adjustment"):
        dunn(SITES, adjustment="none")
