"""Variance components against published fits, the analysis of variance, and the likelihood written out in full."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from dose_audit.statistics import variance_components
from dose_audit.statistics._nested import Likelihood, nest

# Davies and Goldsmith, Statistical Methods in Research and Production, 4th ed. 1972.
DYESTUFF = [1545, 1440, 1440, 1520, 1580, 1540, 1555, 1490, 1560, 1495, 1595, 1550, 1605, 1510, 1560]
DYESTUFF += [1445, 1440, 1595, 1465, 1545, 1595, 1630, 1515, 1635, 1625, 1520, 1455, 1450, 1480, 1445]
PASTES = [62.8, 62.6, 60.1, 62.3, 62.7, 63.1, 60.0, 61.4, 57.5, 56.9, 61.1, 58.9, 58.7, 57.5, 63.9, 63.1]
PASTES += [65.4, 63.7, 57.1, 56.4, 56.9, 58.6, 64.7, 64.5, 55.1, 55.1, 54.7, 54.2, 58.8, 57.5, 63.4, 64.9]
PASTES += [59.3, 58.1, 60.5, 60.0, 62.5, 62.6, 61.0, 58.7, 56.9, 57.7, 59.2, 59.4, 65.2, 66.0, 64.8, 64.1]
PASTES += [54.8, 54.8, 64.0, 64.0, 57.7, 56.8, 58.3, 59.3, 59.2, 59.2, 58.9, 56.6]


def test_dyestuff_as_published():
    """lme4 (Bates et al., J. Stat. Softw. 67(1), 2015): 1764 and 2451, criterion 319.7, mean 1527.50 ± 19.38."""
    result = variance_components(np.exp(np.array(DYESTUFF) / 1000), {"batch": np.repeat(np.arange(6), 5)})
    batch, exam = result.components
    table = np.reshape(DYESTUFF, (6, 5)).astype(float)
    within = np.mean(np.var(table, axis=1, ddof=1))
    between = (5 * np.var(table.mean(axis=1), ddof=1) - within) / 5
    assert (batch.value * 1000) ** 2 == pytest.approx(between, rel=1e-4) == pytest.approx(1764.05, abs=0.01)
    assert (exam.value * 1000) ** 2 == pytest.approx(within, rel=1e-4) == pytest.approx(2451.25, abs=0.01)
    assert result.deviance + 29 * 2 * math.log(1000) == pytest.approx(319.7, abs=0.05)
    assert math.log(result.centre.value) * 1000 == pytest.approx(1527.5)
    error = math.log(result.centre.high / result.centre.value) / stats.norm.ppf(0.975)
    assert error * 1000 == pytest.approx(19.38, abs=0.01)


def test_pastes_as_published():
    """lme4: cask in batch 8.434, batch 1.657, residual 0.678, criterion 247."""
    batch, cask = [i // 6 for i in range(60)], [i // 2 % 3 for i in range(60)]
    result = variance_components(np.exp(np.array(PASTES) / 100), {"batch": batch, "cask": cask})
    variances = [(part.value * 100) ** 2 for part in result.components]
    assert variances == pytest.approx([1.657, 8.434, 0.678], abs=6e-4)
    assert result.deviance + 59 * 2 * math.log(100) == pytest.approx(247.0, abs=0.05)
    assert [part.n for part in result.components] == [10, 30, 60]
    outer = result.components[0]
    assert outer.low == 0.0  # the intervals' own answer to a p value above 0.05
    assert outer.p_value > 0.05
    assert result.site_factor.value == pytest.approx(math.exp(outer.value))
    assert result.pair_factor.high == pytest.approx(math.exp(1.96 * math.sqrt(2) * outer.high), rel=1e-4)


def unbalanced():
    rng = np.random.default_rng(21)
    site, scanner, acquisition, logs = [], [], [], []
    for s in range(7):
        s_effect = 0.3 * rng.standard_normal()
        for k in range(int(rng.integers(1, 4))):
            k_effect = 0.2 * rng.standard_normal()
            for p in range(int(rng.integers(1, 4))):
                p_effect = 0.1 * rng.standard_normal()
                for _ in range(int(rng.integers(1, 7))):
                    site.append(f"S{s}")
                    scanner.append(k)
                    acquisition.append(p)
                    logs.append(s_effect + k_effect + p_effect + 0.3 * rng.standard_normal())
    return np.array(logs), {"site": site, "scanner": scanner, "acquisition_protocol": acquisition}


@pytest.mark.parametrize("sigmas", [(0.3, 0.2, 0.1, 0.3), (0.0, 0.5, 0.0, 1.0), (2.0, 0.01, 0.4, 0.2)])
def test_likelihood_of_an_unbalanced_design_equals_the_dense_one(sigmas):
    """−2·log restricted likelihood = ln|V| + ln|1ᵀV⁻¹1| + rᵀV⁻¹r, with V written out."""
    logs, levels = unbalanced()
    design = nest(logs, levels)
    ours = Likelihood.of(design, list(levels)).deviance(np.array(sigmas))
    y, ones = design.values, np.ones(logs.size)
    cover = sigmas[-1] ** 2 * np.eye(logs.size)
    keys = list(zip(*levels.values(), strict=True))
    for depth, sigma in enumerate(sigmas[:-1], start=1):
        cover += sigma**2 * np.array([[a[:depth] == b[:depth] for b in keys] for a in keys])
    precision = np.linalg.inv(cover)
    mean = ones @ precision @ y / (ones @ precision @ ones)
    dense = np.linalg.slogdet(cover)[1] + math.log(ones @ precision @ ones)
    dense += (y - mean) @ precision @ (y - mean)
    assert ours == pytest.approx(dense, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_slope_of_the_deviance_is_that_of_its_differences(seed):
    """By the variances, and by the logarithm of the residual's standard deviation."""
    logs, levels = unbalanced()
    likelihood = Likelihood.of(nest(logs, levels), list(levels))
    random = np.random.default_rng(seed)
    at = np.append(random.uniform(0.01, 1.0, 3), random.normal(0.0, 0.3))

    def deviance(point):
        return likelihood.deviance(np.append(np.sqrt(point[:-1]), math.exp(point[-1])))

    ours = likelihood.slope(np.append(np.sqrt(at[:-1]), math.exp(at[-1])))
    assert ours[0] == pytest.approx(deviance(at), rel=1e-12)
    for i, along in enumerate(1e-6 * np.eye(4)):
        difference = (deviance(at + along) - deviance(at - along)) / 2e-6
        assert ours[1][i] == pytest.approx(difference, rel=1e-5, abs=1e-4)


def test_no_neighbouring_point_is_more_likely_and_the_interval_ends_where_the_deviance_says():
    logs, levels = unbalanced()
    design = nest(logs, levels)
    likelihood = Likelihood.of(design, list(levels))
    fitted = design.fit(list(levels))
    at = fitted.sigmas / design.scale
    for i in range(4):
        for factor in (0.97, 1.03):
            moved = at.copy()
            moved[i] = moved[i] * factor + 1e-3 * (factor - 1)
            assert likelihood.deviance(np.abs(moved)) >= fitted.least - 1e-7
    cut = float(stats.chi2.ppf(0.95, 1))
    high = fitted.profile(0, cut)[1] / design.scale
    assert likelihood.minimise(fitted.point, fixed=0, at=high**2)[1] - fitted.least == pytest.approx(cut, abs=0.01)


def test_a_component_at_zero_leaves_it_when_another_is_held_down():
    """Scanners differ no more than chance, sites do: without sites their spread must go to the scanners."""
    rng = np.random.default_rng(41)
    site, scanner = np.repeat(np.arange(8), 20), np.tile(np.repeat(np.arange(2), 10), 8)
    noise = rng.standard_normal((16, 10))
    noise -= noise.mean(axis=1, keepdims=True)  # the scanners of a site agree to the last digit
    logs = rng.standard_normal(8)[site] + noise.ravel()
    levels = {"site": site.tolist(), "scanner": scanner.tolist()}
    fitted = nest(logs, levels).fit(list(levels))
    assert fitted.sigmas[1] == pytest.approx(0.0, abs=1e-3)
    peer = min(
        optimize.minimize(
            lambda x: fitted.likelihood.deviance(np.array([0.0, abs(x[0]), math.exp(x[1])])),
            [start, -0.5],
            method="Nelder-Mead",
            options={"xatol": 1e-8, "fatol": 1e-10},
        ).fun
        for start in (0.1, 0.5, 1.0)
    )
    assert fitted.excess_at_zero(0) == pytest.approx(peer - fitted.least, abs=1e-5)


def test_predicted_effects_of_a_balanced_design_are_shrunken_means():
    result = variance_components(np.exp(np.array(DYESTUFF) / 1000), {"batch": np.repeat(list("ABCDEF"), 5)})
    means = np.reshape(DYESTUFF, (6, 5)).mean(axis=1) / 1000
    shrink = 1764.05 / (1764.05 + 2451.25 / 5)
    assert [math.log(effect.value) for effect in result.effects] == pytest.approx(
        shrink * (means - means.mean()), abs=1e-6
    )
    assert [(effect.name, effect.n) for effect in result.effects] == [(name, 5) for name in "ABCDEF"]


def test_what_cannot_be_told_apart_or_is_too_few_has_no_value():
    logs = np.array(DYESTUFF) / 1000
    site = np.repeat(np.arange(6), 5).tolist()
    one_scanner = variance_components(np.exp(logs), {"site": site, "scanner": site})
    assert [part.status for part in one_scanner.components] == ["CONFOUNDED", "CONFOUNDED", "OK"]
    assert one_scanner.components[1].value is None
    assert "scanner" in one_scanner.components[0].reason
    assert (one_scanner.components[0].value * 1000) ** 2 == pytest.approx(1764.05, rel=1e-4)
    own = variance_components(np.exp(logs), {"site": site, "accession": list(range(30))})
    assert [part.status for part in own.components] == ["OK", "CONFOUNDED", "CONFOUNDED"]
    assert own.components[2].reason.startswith("includes accession")
    few = variance_components(np.exp(logs[:20]), {"site": site[:20]})
    assert (few.status, few.site_factor.value, few.effects) == ("INSUFFICIENT_N", None, ())
    assert few.components[1].value is not None
    assert variance_components([5.0] * 9, {"site": [0, 0, 0, 1, 1, 1, 2, 2, 2]}).status == "NO_SPREAD"
    assert variance_components([], {"site": []}).status == "EMPTY"
    with pytest.raises(ValueError, match="labels of site"):
        variance_components([1.0, 2.0], {"site": [1]})


def test_a_network_of_known_components_is_recovered():
    """Twenty sites of three scanners with forty exams: the intervals hold the truth."""
    rng = np.random.default_rng(30)
    truth = {"site": 0.2, "scanner": 0.15, "exam": 0.3}
    site = np.repeat(np.arange(20), 120)
    scanner = np.tile(np.repeat(np.arange(3), 40), 20)
    logs = truth["site"] * rng.standard_normal(20)[site]
    logs += truth["scanner"] * rng.standard_normal(60)[3 * site + scanner]
    logs += truth["exam"] * rng.standard_normal(site.size)
    result = variance_components(8 * np.exp(logs), {"site": site.tolist(), "scanner": scanner.tolist()})
    for part in result.components:
        assert part.low < truth[part.name] < part.high
    assert sum(part.share for part in result.components) == pytest.approx(1.0)
    assert result.site_factor.low < math.exp(0.2) < result.site_factor.high
    assert result.centre.low < 8.0 < result.centre.high
