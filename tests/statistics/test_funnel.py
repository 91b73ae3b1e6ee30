"""Funnels against a published meta-analysis, closed forms and scipy's binomial intervals."""

import math

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics import funnel_limits, group_funnel, log_funnel, proportion_funnel
from dose_audit.statistics.funnel import _share_left

# Colditz et al., JAMA 271 (1994) 698: thirteen trials of the BCG vaccine, cases and non-cases, vaccine and control.
BCG = [(4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619)]
BCG += [(33, 5036, 47, 5761), (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892)]
BCG += [(29, 7470, 45, 7232), (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338)]
BCG += [(27, 16886, 29, 17825)]


def bcg():
    ratio, error = {}, {}
    for i, (a, b, c, d) in enumerate(BCG):
        ratio[str(i)] = a / (a + b) / (c / (c + d))
        error[str(i)] = math.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))
    return ratio, error


def test_over_dispersion_is_der_simonian_and_lairds():
    """metafor (Viechtbauer, J. Stat. Softw. 36(3), 2010) on these trials: Q 152.2330, fixed mean −0.4303; the

    random-effects mean −0.7141 with standard error 0.1787 that follows from its τ².
    """
    ratio, error = bcg()
    funnel = log_funnel(ratio, error, target=math.exp(-0.430285), winsorise=0.0)
    assert len(BCG) * funnel.phi == pytest.approx(152.2330, abs=5e-4)
    weight = np.array([1 / (e**2 + funnel.tau**2) for e in error.values()])
    assert weight @ np.log(list(ratio.values())) / weight.sum() == pytest.approx(-0.7141, abs=1e-4)
    assert weight.sum() ** -0.5 == pytest.approx(0.1787, abs=1e-4)


def test_equal_errors_closed_form():
    """With equal errors s: τ² = s²·(I·φ − (I − 1))/(I − 1)."""
    logs = np.array([-0.5, -0.2, -0.1, 0.0, 0.1, 0.3, 0.4])
    values = {str(i): math.exp(x) for i, x in enumerate(logs)}
    funnel = log_funnel(values, dict.fromkeys(values, 0.1), target=1.0, winsorise=0.0)
    assert funnel.phi == pytest.approx(np.mean((logs / 0.1) ** 2))
    assert funnel.tau == pytest.approx(0.1 * math.sqrt((7 * funnel.phi - 6) / 6))
    for point, x in zip(funnel.points, logs, strict=True):
        assert point.z == pytest.approx(x / 0.1)
        assert point.z_adjusted == pytest.approx(x / math.hypot(0.1, funnel.tau))


def test_winsorised_phi_is_of_scores_drawn_in_to_type_8_quantiles():
    rng = np.random.default_rng(2)
    values = {str(i): math.exp(x) for i, x in enumerate(0.2 * rng.standard_normal(30))}
    values["far"] = 20.0
    funnel = log_funnel(values, dict.fromkeys(values, 0.1), target=1.0)
    z = np.log(list(values.values())) / 0.1
    low, high = stats.mstats.mquantiles(z, [0.1, 0.9], alphap=1 / 3, betap=1 / 3)
    assert funnel.phi == pytest.approx(np.mean(np.clip(z, low, high) ** 2))
    plain = log_funnel(values, dict.fromkeys(values, 0.1), target=1.0, winsorise=0.0)
    assert funnel.tau < plain.tau  # the far site does not widen the limits that find it
    assert [point.name for point in funnel.points if point.beyond == 0.998] == ["far"]


def test_chance_alone_has_no_over_dispersion_and_few_sites_outside():
    rng = np.random.default_rng(9)
    sites = {str(i): 8 * np.exp(0.4 * rng.standard_normal(n)) for i, n in enumerate(rng.integers(20, 400, 60))}
    funnel = group_funnel(sites)
    assert funnel.tau < 0.02
    assert funnel.unit_error == pytest.approx(math.sqrt(math.pi / 2) * 0.4, rel=0.05)
    assert not any(point.beyond == 0.998 for point in funnel.points)


@pytest.mark.parametrize(("sites", "tau"), [(12, 0.15), (12, 0.4), (40, 0.15), (40, 0.4)])
def test_of_sites_that_differ_as_usual_as_many_lie_outside_as_the_limits_say(sites, tau):
    """As published, 9 to 12 % of 40 sites lie outside the 95 % limits, and 1 to 2 % outside those of 99.8 %."""
    rng = np.random.default_rng(sites)
    beyond, found = [], []
    for _ in range(60 if sites == 40 else 200):
        counts = rng.integers(10, 600, sites)
        groups = {
            str(i): np.exp(tau * rng.standard_normal() + 0.45 * rng.standard_normal(n)) for i, n in enumerate(counts)
        }
        funnel = group_funnel(groups)
        beyond += [point.beyond for point in funnel.points]
        found.append(funnel.tau)
    outside = np.mean([level is not None for level in beyond])
    assert 0.03 < outside < 0.075
    assert np.mean([level == 0.998 for level in beyond]) < 0.007
    assert np.median(found) == pytest.approx(tau, rel=0.1)


def test_the_share_that_winsorising_leaves_of_very_many_scores():
    """Of a normal distribution clipped at its 10th and 90th percentile: ∫ z² + 0.2·1.2816², 0.679."""
    z = stats.norm.ppf(0.9)
    exact = 0.8 - 2 * z * stats.norm.pdf(z) + 0.2 * z**2
    assert _share_left(2000, 0.1) == pytest.approx(exact, abs=0.005)
    assert _share_left(5, 0.1) == pytest.approx(1.0, abs=0.01) and _share_left(40, 0.0) == 1.0


def test_ordinary_differences_between_sites_do_not_put_large_sites_outside():
    rng = np.random.default_rng(10)
    sites = {str(i): 8 * np.exp(0.2 * rng.standard_normal() + 0.4 * rng.standard_normal(500)) for i in range(40)}
    funnel = group_funnel(sites, statistic="geometric_mean")
    assert sum(abs(point.z) > 1.96 for point in funnel.points) > 25
    assert sum(point.direction != 0 for point in funnel.points) <= 6
    assert funnel.tau == pytest.approx(0.2, rel=0.35)
    low, high = funnel_limits(funnel, [10, 1e12])
    assert math.log(high[1] / funnel.target) == pytest.approx(1.96 * funnel.tau, rel=1e-4)
    assert low * high == pytest.approx(np.full(2, funnel.target**2))


def test_too_few_sites_nothing_that_differs_and_nothing_at_all():
    few = group_funnel({"A": [1, 2, 3], "B": [10, 20, 30], "C": [100.0]})
    assert (few.status, few.tau) == ("INSUFFICIENT_N", None)
    assert not any(point.direction for point in few.points)
    assert group_funnel({"A": [5, 5], "B": [5, 5]}).status == "NO_SPREAD"
    assert group_funnel({"A": [5], "B": [6]}).status == "NO_SPREAD"
    assert group_funnel({"A": []}).status == log_funnel({}, {}).status == "EMPTY"
    with pytest.raises(ValueError, match=r"group 'B'.*position 0"):
        group_funnel({"A": [1.0], "B": [0.0]})
    with pytest.raises(ValueError, match="'A'"):
        log_funnel({"A": 1.0}, {"A": 0.0})


def test_proportions_equal_scipy():
    counts = {"A": (0, 20), "B": (3, 90), "C": (12, 60), "D": (5, 5), "none": (0, 0)}
    funnel = proportion_funnel(counts, target=0.05)
    assert [point.name for point in funnel.points] == ["A", "B", "C", "D"]
    for point in funnel.points:
        part, whole = counts[point.name]
        peer = stats.binomtest(part, whole, 0.05).proportion_ci(0.95, "exact")
        assert (point.low, point.high) == pytest.approx((peer.low, peer.high))
        tails = stats.binom.sf(part - 1, whole, 0.05), stats.binom.cdf(part, whole, 0.05)
        assert point.p_value == pytest.approx(min(1.0, 2 * min(tails)))
    assert [point.beyond for point in funnel.points] == [None, None, 0.998, 0.998]
    assert proportion_funnel({"A": (0, 5)}).status == "NO_SPREAD"
    assert proportion_funnel({}).status == "EMPTY"
    with pytest.raises(ValueError, match="'A'"):
        proportion_funnel({"A": (3, 2)})


@pytest.mark.parametrize("statistic", ["median", "geometric_mean"])
@pytest.mark.parametrize("sizes", [[3] * 40, [5] * 40, [1] * 40 + [10] * 6, [2, 3, 4, 30] * 10])
def test_error_of_one_exam_is_the_true_one_for_small_sites_too(statistic, sizes):
    """ln(dose) normal with a known spread: c·s, whatever the number of exams a site has."""
    rng = np.random.default_rng(6)
    factor = math.sqrt(math.pi / 2) if statistic == "median" else 1.0
    errors = []
    for _ in range(40):
        doses = {str(i): np.exp(0.4 * rng.standard_normal(n)) for i, n in enumerate(sizes)}
        errors.append(group_funnel(doses, statistic=statistic).unit_error)
    assert np.median(errors) == pytest.approx(factor * 0.4, rel=0.06)


def test_sites_of_one_exam_or_of_equal_doses_say_nothing_of_chance():
    for doses in ({"A": [3.0], "B": [5.0]}, {"A": [0.1, 0.1, 0.1], "B": [0.3, 0.3, 0.3], "C": [7.0]}):
        funnel = group_funnel(doses)
        assert (funnel.status, funnel.points, funnel.n) == ("NO_SPREAD", (), len(doses))


def test_limits_at_no_exams_are_refused():
    funnel = group_funnel({name: [4.0, 5.0, 6.0, 7.0] for name in "ABCDE"})
    for n in (0, -1, math.nan):
        with pytest.raises(ValueError, match="not finite and positive"):
            funnel_limits(funnel, [5, n])
