"""Where statsmodels does the same, it finds the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.regression.quantile_regression import QuantReg
from statsmodels.stats.descriptivestats import sign_test as peer_sign_test
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_oneway
from statsmodels.stats.proportion import proportion_confint

from dose_audit.drl.local import quantile_interval
from dose_audit.statistics import (
    benjamini_hochberg,
    brown_forsythe,
    holm,
    quantile_regression,
    robust_slope,
    sign_test,
    variance_components,
)


def _p_values():
    return np.random.default_rng(4).uniform(size=200) ** 2


@pytest.mark.parametrize(("ours", "method"), [(lambda p: benjamini_hochberg(p).adjusted, "fdr_bh"), (holm, "holm")])
def test_adjusted_p_values(ours, method):
    p = _p_values()
    np.testing.assert_allclose(ours(p), multipletests(p, method=method)[1], rtol=1e-12)


@pytest.mark.parametrize("q", [0.25, 0.5, 0.75, 0.9])
def test_quantile_regression(q):
    random = np.random.default_rng(2)
    size = random.uniform(5, 60, 151)
    dose = 0.4 + 0.03 * size + random.normal(0, 0.2 + 0.003 * size)
    design = np.column_stack([np.ones(151), size])
    peer = QuantReg(dose, design).fit(q=q, max_iter=5000, p_tol=1e-10)
    ours = quantile_regression(design, dose, q)
    np.testing.assert_allclose(ours, peer.params, atol=2e-4)

    def loss(b):
        residual = dose - design @ b
        return float(np.sum(residual * (q - (residual < 0))))

    assert loss(ours) <= loss(np.asarray(peer.params)) + 1e-9


@pytest.mark.parametrize("unbalanced", [False, True])
def test_variance_components(unbalanced):
    random = np.random.default_rng(6)
    logs, site, scanner = [], [], []
    for s in range(12):
        high = random.normal(0, 0.25)
        for d in range(3):
            middle = random.normal(0, 0.15)
            n = int(random.integers(4, 25)) if unbalanced else 12
            logs += (high + middle + random.normal(0, 0.3, n)).tolist()
            site += [s] * n
            scanner += [f"{s}-{d}"] * n
    ours = variance_components(np.exp(logs), {"site": site, "scanner": scanner})
    names = np.unique(scanner)
    indicator = (np.array(scanner)[:, None] == names[None, :]).astype(float)
    columns = {s: [i for i, name in enumerate(names) if name.startswith(f"{s}-")] for s in range(12)}
    parts = {"scanner": {s: indicator[np.array(site) == s][:, columns[s]] for s in range(12)}}
    peer = MixedLM(
        np.array(logs),
        np.ones((len(logs), 1)),
        groups=np.array(site),
        exog_re=np.ones((len(logs), 1)),
        exog_vc=_structure(parts),
    ).fit(reml=True)
    sigma = {part.name: part.value for part in ours.components}
    assert sigma["site"] ** 2 == pytest.approx(float(np.asarray(peer.cov_re)[0, 0]), rel=2e-3, abs=2e-5)
    assert sigma["scanner"] ** 2 == pytest.approx(float(peer.vcomp[0]), rel=2e-3, abs=2e-5)
    assert sigma["exam"] ** 2 == pytest.approx(float(peer.scale), rel=2e-3)
    assert ours.deviance == pytest.approx(-2.0 * float(peer.llf), abs=0.02)


def _structure(parts):
    """statsmodels' own description of variance components: matrices of each group, by name."""
    from statsmodels.regression.mixed_linear_model import VCSpec

    names = list(parts)
    matrices = [[parts[name][group] for group in sorted(parts[name])] for name in names]
    columns = [[[str(i) for i in range(m.shape[1])] for m in row] for row in matrices]
    return VCSpec(names, columns, matrices)


def test_brown_forsythe_is_the_analysis_of_variance_of_deviations():
    random = np.random.default_rng(9)
    groups = {name: random.lognormal(1.0, s, 40) for name, s in (("A", 0.2), ("B", 0.3), ("C", 0.45))}
    deviations = [np.abs(np.log(x) - np.median(np.log(x))) for x in groups.values()]
    peer = anova_oneway(deviations, use_var="equal")
    ours = brown_forsythe(groups)
    assert ours.statistic == pytest.approx(peer.statistic)
    assert ours.p_value == pytest.approx(peer.pvalue)


def test_sign_test():
    values = np.random.default_rng(3).lognormal(2.3, 0.4, 41)
    ours = sign_test(values, 10.0)
    _, two_sided = peer_sign_test(values, 10.0)
    assert min(1.0, 2.0 * min(ours.p_above, ours.p_below)) == pytest.approx(two_sided)


def test_robust_slope_is_theil_and_sens():
    random = np.random.default_rng(5)
    x, y = random.normal(size=60), random.normal(size=60)
    peer = stats.theilslopes(y, x, 0.95)
    ours = robust_slope(x, y)
    assert (ours.value, ours.low, ours.high) == pytest.approx((peer.slope, peer.low_slope, peer.high_slope))


@pytest.mark.parametrize(("n", "q"), [(12, 0.75), (20, 0.75), (40, 0.75), (40, 0.5), (100, 0.9)])
def test_quantile_interval_has_its_coverage_and_none_is_shorter(n, q):
    ranks = np.arange(1.0, n + 1)
    low, high = quantile_interval(ranks, q)

    def coverage(r, s):
        return stats.binom.cdf(s - 1, n, q) - stats.binom.cdf(r - 1, n, q)

    everything = {(r, s): coverage(r, s) for r in range(1, n) for s in range(r + 1, n + 1)}
    enough = [s - r for (r, s), c in everything.items() if c >= 0.95]
    if not enough:
        assert (low, high) == (None, None)
        return
    assert everything[int(low), int(high)] >= 0.95
    assert high - low == min(enough)
    # The exact interval of a proportion, turned about: the quantile's tail beyond the interval is what it allows.
    assert proportion_confint(int(low) - 1, n, 0.05, "beta")[0] <= q


def test_too_few_for_a_quantile_interval():
    assert quantile_interval([1.0, 2.0, 3.0], 0.75) == (None, None)
    assert quantile_interval([], 0.75) == (None, None)
